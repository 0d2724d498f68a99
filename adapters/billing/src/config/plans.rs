//! `plans`: how usage becomes money.

use super::{name, Period, Plan, Rate, Read, Tier};
use crate::price::{nanos, NoPrice};
use mixer_host::config::{ConfigError, Node, Object};

const PLANS: usize = 64;
const RATES: usize = 32;
const TIERS: usize = 32;
/// What a number of JSON holds exactly.
const MOST_UNITS: u64 = (1 << 53) - 1;

pub fn plans(root: &mut Object) -> Read<Vec<Plan>> {
    let plans = root.each("plans", 0..=PLANS, plan)?.unwrap_or_default();
    for (at, one) in plans.iter().enumerate() {
        if let Some(same) = plans[..at].iter().position(|other| other.name == one.name) {
            let message = format!("must not be the same as plans[{same}].name");
            return Err(ConfigError::new(format!("plans[{at}].name"), message));
        }
    }
    Ok(plans)
}

/// Where in the list the default is; a plan that is alone is it anyway.
pub fn default(root: &mut Object, plans: &[Plan], has_expression: bool) -> Read<Option<usize>> {
    let Some(node) = root.optional("defaultPlan") else {
        return match plans.len() {
            0 => Ok(None),
            1 => Ok(Some(0)),
            _ if has_expression => Ok(None),
            _ => Err(ConfigError::new(
                "defaultPlan",
                "is missing: there are several plans, and no plan to choose by",
            )),
        };
    };
    let error = node.error("must be the name of one of the plans");
    let wanted = node.string().ok();
    let found = wanted.and_then(|wanted| plans.iter().position(|plan| plan.name == wanted));
    found.map(Some).ok_or(error)
}

fn plan(node: Node) -> Read<Plan> {
    let mut plan = node.object(&["name", "version", "currency", "period", "rates"])?;
    Ok(Plan {
        name: name(plan.required("name")?)?,
        version: name(plan.required("version")?)?,
        currency: currency(plan.required("currency")?)?,
        period: plan.either("period", [("MONTH", Period::Month), ("DAY", Period::Day)])?,
        rates: rates(plan.required("rates")?)?,
    })
}

fn currency(node: Node) -> Read<String> {
    let error = node.error("must be a currency of three capital letters, such as EUR");
    let sound = |text: &String| text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
    node.string().ok().filter(sound).ok_or(error)
}

fn rates(node: Node) -> Read<Vec<Rate>> {
    let entries = node.members(0..=RATES)?;
    let mut found = Vec::with_capacity(entries.len());
    for (meter, value) in entries {
        if !super::is_name(&meter) {
            return Err(value.error(super::NAME));
        }
        found.push(rate(meter, value)?);
    }
    Ok(found)
}

fn rate(meter: String, node: Node) -> Read<Rate> {
    let known = ["included", "per", "price", "tiers", "mode"];
    let mut rate = node.object(&known)?;
    let whole = |node: Option<Node>, least, default| match node {
        Some(node) => node.whole(least..=MOST_UNITS),
        None => Ok(default),
    };
    Ok(Rate {
        meter,
        included: whole(rate.optional("included"), 0, 0)?,
        per: whole(rate.optional("per"), 1, 1)?,
        volume: rate.either("mode", [("GRADUATED", false), ("VOLUME", true)])?,
        tiers: tiers(&mut rate)?,
    })
}

/// The tiers, or the only one that a price makes.
fn tiers(rate: &mut Object) -> Read<Vec<Tier>> {
    let path = rate.path_of("tiers");
    let tiers = rate.each("tiers", 1..=TIERS, tier)?;
    match (rate.optional("price"), tiers) {
        (Some(node), None) => Ok(vec![Tier {
            up_to: 0,
            price_nanos: price(node)?,
        }]),
        (None, Some(tiers)) => in_order(&path, tiers),
        _ => Err(rate.error("needs either price or tiers")),
    }
}

fn tier(node: Node) -> Read<Tier> {
    let mut tier = node.object(&["upTo", "price"])?;
    Ok(Tier {
        up_to: match tier.optional("upTo") {
            Some(node) => node.whole(1..=MOST_UNITS)?,
            None => 0,
        },
        price_nanos: price(tier.required("price")?)?,
    })
}

fn in_order(path: &str, tiers: Vec<Tier>) -> Read<Vec<Tier>> {
    let last = tiers.len() - 1;
    let mut before = 0;
    for (at, tier) in tiers.iter().enumerate() {
        let message = match (at == last, tier.up_to) {
            (true, 0) => continue,
            (true, _) => "must not be there: the last tier has no end",
            (false, 0) => "is missing: only the last tier has no end",
            (false, up_to) if up_to <= before => "must be more than that of the tier before it",
            (false, up_to) => {
                before = up_to;
                continue;
            }
        };
        return Err(ConfigError::new(format!("{path}[{at}].upTo"), message));
    }
    Ok(tiers)
}

fn price(node: Node) -> Read<u64> {
    let path = node.path.clone();
    let error = |message: &str| ConfigError::new(&*path, message);
    if !node.is_string() {
        return Err(error(
            "must be a decimal number as text, such as \"0.0004\"",
        ));
    }
    nanos(&node.string()?).map_err(|why| match why {
        NoPrice::NotDecimal => error("must be a decimal number as text, such as \"0.0004\""),
        NoPrice::TooFine => error("must have no more than nine decimal places"),
        NoPrice::TooMuch => error("must be at most 9223372036.854775807"),
    })
}
