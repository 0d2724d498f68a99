//! `metrics` and what is in each.

use super::{expression, name, Amount, Dimension, Kind, Metric};
use crate::istio::STANDARD;
use mixer_host::config::{ConfigError, Node, Object};

type Read<T> = Result<T, ConfigError>;

/// Labels that have a meaning of their own: a histogram's bounds, and what is beyond `maxSeries`.
const RESERVED: [&str; 2] = ["le", "overflow"];

pub fn metric(node: Node) -> Read<Metric> {
    let path = node.path.clone();
    let mut metric = node.object(&["name", "kind", "match", "value", "dimensions"])?;
    let kind = kind(&mut metric)?;
    Ok(Metric {
        path,
        name: name(metric.required("name")?)?,
        condition: metric.optional("match").map(expression).transpose()?,
        amount: amount(&mut metric, kind)?,
        dimensions: metric
            .optional("dimensions")
            .map_or(Ok(Vec::new()), dimensions)?,
        kind,
    })
}

/// What reads metrics tells them apart by name alone.
pub fn check_names(metrics: &[Metric], istio: bool) -> Read<()> {
    for (at, metric) in metrics.iter().enumerate() {
        if istio && STANDARD.iter().any(|one| one.name == metric.name) {
            let message = "is that of a metric of istio, which is on: change that one there";
            return Err(ConfigError::new(format!("{}.name", metric.path), message));
        }
        let same = metrics[..at].iter().find(|other| other.name == metric.name);
        if let Some(other) = same.filter(|other| other.kind != metric.kind) {
            let message = format!(
                "must be the same as {}.kind, since the names are",
                other.path
            );
            return Err(ConfigError::new(format!("{}.kind", metric.path), message));
        }
    }
    Ok(())
}

fn kind(metric: &mut Object) -> Read<Kind> {
    let node = metric.required("kind")?;
    let error = node.error("must be COUNTER, GAUGE or HISTOGRAM");
    Ok(match node.string()?.as_str() {
        "COUNTER" => Kind::Counter,
        "GAUGE" => Kind::Gauge,
        "HISTOGRAM" => Kind::Histogram,
        _ => return Err(error),
    })
}

/// A number, or an expression. A whole number as an expression is not evaluated.
fn amount(metric: &mut Object, kind: Kind) -> Read<Amount> {
    let Some(node) = metric.optional("value") else {
        let message = "is missing: only a COUNTER has a default";
        let missing = ConfigError::new(metric.path_of("value"), message);
        let one = (kind == Kind::Counter).then_some(Amount::Constant(1));
        return one.ok_or(missing);
    };
    if !node.is_string() {
        return constant(node);
    }
    let text = expression(node)?;
    Ok(match text.trim().parse() {
        Ok(number) => Amount::Constant(number),
        Err(_) => Amount::Expression(text),
    })
}

fn constant(node: Node) -> Read<Amount> {
    let error = node.error("must be an expression or a whole number");
    let Ok(number) = node.number() else {
        return Err(error);
    };
    let sound = number.fract() == 0.0 && number.abs() <= f64::from(1u32 << 31);
    #[allow(clippy::cast_possible_truncation)] // it is whole, and in the range
    sound
        .then_some(Amount::Constant(number as i64))
        .ok_or(error)
}

fn dimensions(node: Node) -> Read<Vec<Dimension>> {
    let entries = node.members(0..=32)?;
    let mut found = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        if !is_label(&name) {
            let message = "must be a label of at most 64 letters, digits and underscores that \
                           begins with a letter, other than le and overflow";
            return Err(value.error(message));
        }
        let value = expression(value)?;
        found.push(Dimension { name, value });
    }
    Ok(found)
}

/// Whether a label of the user's own can have a name.
pub fn is_label(name: &str) -> bool {
    let reserved = RESERVED.contains(&name);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !reserved
        && name.len() <= 64
        && name.bytes().all(allowed)
        && name.starts_with(|c: char| c.is_alphabetic())
}
