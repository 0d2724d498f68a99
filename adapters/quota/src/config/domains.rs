//! `domains`: the fields under the names that envoyproxy/ratelimit has for them.

use super::fields;
use super::quotas::{buckets_for, KEYS, MAX_KEYS};
use crate::domain::{Domain, Rate, Rule};
use crate::limit::{Algorithm, Quota, Records};
use crate::unit;
use mixer_host::config::{ConfigError, Node, Object};

const MAX_DOMAINS: usize = 64;
const MAX_RULES: usize = 4096;
const MAX_DEPTH: usize = 16;
const MAX_TEXT: usize = 1024;
const MAX_REQUESTS: u64 = u32::MAX as u64;

const DOMAIN: [&str; 3] = ["domain", "descriptors", "maxKeys"];
const RULE: [&str; 5] = ["key", "value", "rate_limit", "shadow_mode", "descriptors"];
const RATE: [&str; 6] = [
    "name",
    "unit",
    "requests_per_unit",
    "unlimited",
    "algorithm",
    "burst",
];

pub fn domains(node: Node, quotas: &[Quota]) -> Result<Vec<Domain>, ConfigError> {
    let path = node.path.clone();
    let domains = node.each(1..=MAX_DOMAINS, domain)?;
    for (at, domain) in domains.iter().enumerate() {
        let earlier = domains[..at].iter().map(|d| &d.name);
        let mut taken = earlier.chain(quotas.iter().map(|q| &q.name));
        if taken.any(|name| *name == domain.name) {
            let path = format!("{path}[{at}].domain");
            let message = "is the name of another domain or quota too";
            return Err(ConfigError::new(path, message));
        }
    }
    Ok(domains)
}

fn domain(node: Node) -> Result<Domain, ConfigError> {
    let mut object = node.object(&DOMAIN)?;
    let keys = match object.optional("maxKeys") {
        Some(node) => node.whole(1..=MAX_KEYS)?,
        None => KEYS,
    };
    let name = fields::name(object.required("domain")?)?;
    Ok(Domain {
        rules: rules(&mut object, 1)?,
        records: Records::new(&name, buckets_for(keys)),
        name,
    })
}

fn rules(object: &mut Object, depth: usize) -> Result<Vec<Rule>, ConfigError> {
    let Some(node) = object.optional("descriptors") else {
        return Ok(Vec::new());
    };
    if depth > MAX_DEPTH {
        return Err(node.error(format!("is deeper than {MAX_DEPTH} levels")));
    }
    let path = node.path.clone();
    let rules = node.each(1..=MAX_RULES, |node| rule(node, depth))?;
    for (at, one) in rules.iter().enumerate() {
        let same = |r: &Rule| r.key == one.key && r.value == one.value;
        if rules[..at].iter().any(same) {
            let path = format!("{path}[{at}]");
            return Err(ConfigError::new(
                path,
                "has the key and value of another one",
            ));
        }
    }
    Ok(rules)
}

fn rule(node: Node, depth: usize) -> Result<Rule, ConfigError> {
    let mut object = node.object(&RULE)?;
    Ok(Rule {
        key: text(object.required("key")?)?,
        value: object.optional("value").map(value).transpose()?,
        rate: object.optional("rate_limit").map(rate).transpose()?,
        shadow: object.bool_or("shadow_mode", false)?,
        rules: rules(&mut object, depth + 1)?,
    })
}

fn text(node: Node) -> Result<String, ConfigError> {
    let error = node.error(format!(
        "must be text of 1 to {MAX_TEXT} bytes, such as \"10\""
    ));
    let text = node.string().ok();
    let sound = |text: &String| (1..=MAX_TEXT).contains(&text.len());
    text.filter(sound).ok_or(error)
}

/// Elsewhere a star stands for anything; taken for itself, it would limit nothing.
fn value(node: Node) -> Result<String, ConfigError> {
    let error = node.error("must have no *: patterns are not supported");
    let text = text(node)?;
    (!text.contains('*')).then_some(text).ok_or(error)
}

fn rate(node: Node) -> Result<Rate, ConfigError> {
    let mut object = node.object(&RATE)?;
    if object.bool_or("unlimited", false)? {
        for name in ["unit", "requests_per_unit", "algorithm", "burst"] {
            if object.optional(name).is_some() {
                return Err(object.error("is unlimited, so that it has no unit and no number"));
            }
        }
        return Ok(Rate::Unlimited);
    }
    let name = object.optional("name").map(fields::name).transpose()?;
    let max = object
        .required("requests_per_unit")?
        .whole(0..=MAX_REQUESTS)?;
    let window = unit_of(object.required("unit")?)?;
    let limit = fields::counting(&mut object, max, window, Algorithm::FixedWindow)?;
    Ok(Rate::Limited { name, limit })
}

fn unit_of(node: Node) -> Result<u64, ConfigError> {
    let error = node.error("must be second, minute, hour, day, week, month or year");
    let unit = node.string().ok();
    unit.and_then(|unit| unit::length(&unit)).ok_or(error)
}
