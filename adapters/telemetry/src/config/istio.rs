//! `istio`: Istio's standard metrics, and what is otherwise about them.

use super::{expression, metrics::is_label};
use crate::istio::{Kind, Reporter, LABELS, OF_CONNECTIONS, STANDARD};
use mixer_host::config::{ConfigError, Node, Object};

type Read<T> = Result<T, ConfigError>;

#[derive(Default)]
pub struct Istio {
    /// What every record is of, where that is known beforehand.
    pub reporter: Option<Reporter>,
    /// In the order in which they are applied.
    pub overrides: Vec<Override>,
}

/// As in Istio's Telemetry API.
pub struct Override {
    /// Which of `STANDARD`.
    pub metrics: Vec<usize>,
    /// Of clients, and of servers.
    pub sides: [bool; 2],
    pub disabled: Option<bool>,
    /// An expression by label, or that there is no such label.
    pub tags: Vec<Tag>,
}

pub struct Tag {
    pub path: String,
    pub name: String,
    pub value: Option<String>,
}

/// The metrics, unless `false`; `default` where nothing is said.
pub fn istio(node: Option<Node>, default: bool) -> Read<Option<Istio>> {
    let Some(node) = node else {
        return Ok(default.then(Istio::default));
    };
    if let Some(wanted) = node.is_bool() {
        return Ok(wanted.then(Istio::default));
    }
    let mut istio = node.object(&["reporter", "overrides"])?;
    Ok(Some(Istio {
        reporter: istio.optional("reporter").map(reporter).transpose()?,
        overrides: istio.each("overrides", 0..=64, one)?.unwrap_or_default(),
    }))
}

fn reporter(node: Node) -> Read<Reporter> {
    let error = node.error("must be SOURCE or DESTINATION");
    match node.string()?.as_str() {
        "SOURCE" => Ok(Reporter::Source),
        "DESTINATION" => Ok(Reporter::Destination),
        _ => Err(error),
    }
}

fn one(node: Node) -> Read<Override> {
    let mut own = node.object(&["match", "disabled", "tagOverrides"])?;
    let (metrics, sides) = matching(&mut own)?;
    Ok(Override {
        metrics,
        sides,
        disabled: own.optional("disabled").map(Node::bool).transpose()?,
        tags: own.optional("tagOverrides").map_or(Ok(Vec::new()), tags)?,
    })
}

fn matching(own: &mut Object) -> Read<(Vec<usize>, [bool; 2])> {
    let Some(node) = own.optional("match") else {
        return Ok(((0..STANDARD.len()).collect(), [true; 2]));
    };
    let mut own = node.object(&["metric", "mode"])?;
    let metric = own.string_or("metric", "ALL_METRICS")?;
    let metrics: Vec<usize> = (0..STANDARD.len())
        .filter(|at| metric == "ALL_METRICS" || STANDARD[*at].key == metric)
        .collect();
    if metrics.is_empty() {
        let keys = STANDARD.map(|one| one.key).join(", ");
        let message = format!("must be ALL_METRICS, {keys}");
        return Err(ConfigError::new(own.path_of("metric"), message));
    }
    let sides = match own.string_or("mode", "CLIENT_AND_SERVER")?.as_str() {
        "CLIENT_AND_SERVER" => [true; 2],
        "CLIENT" => [true, false],
        "SERVER" => [false, true],
        _ => {
            let message = "must be CLIENT, SERVER or CLIENT_AND_SERVER";
            return Err(ConfigError::new(own.path_of("mode"), message));
        }
    };
    Ok((metrics, sides))
}

fn tags(node: Node) -> Read<Vec<Tag>> {
    let mut tags = Vec::new();
    for (name, node) in node.members(0..=32)? {
        let path = node.path.clone();
        if !is_label(&name) {
            return Err(node.error(
                "must be a label of at most 64 letters, digits and underscores \
                                   that begins with a letter, other than le and overflow",
            ));
        }
        let mut own = node.object(&["operation", "value"])?;
        let value = match own.string_or("operation", "UPSERT")?.as_str() {
            "UPSERT" => Some(expression(own.required("value")?)?),
            "REMOVE" if own.optional("value").is_none() => None,
            _ => {
                let message = "must be UPSERT with a value, or REMOVE without one";
                return Err(ConfigError::new(own.path_of("operation"), message));
            }
        };
        tags.push(Tag { path, name, value });
    }
    Ok(tags)
}

/// Where a label comes from: from `LABELS`, or from an override, by its place among all tags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    Standard(usize),
    Tag(usize),
}

impl Istio {
    /// The labels of a metric of `STANDARD` on one side, by their names; None where it is disabled.
    pub fn labels(&self, metric: usize, side: usize) -> Option<Vec<(&str, Origin)>> {
        let count = match STANDARD[metric].of {
            Kind::Http => LABELS.len(),
            Kind::Tcp => OF_CONNECTIONS,
        };
        let standard = (0..count).map(|at| (LABELS[at], Origin::Standard(at)));
        let mut labels: Vec<(&str, Origin)> = standard.collect();
        let mut disabled = false;
        let mut first = 0;
        for one in &self.overrides {
            if one.sides[side] && one.metrics.contains(&metric) {
                disabled = one.disabled.unwrap_or(disabled);
                for (number, tag) in (first..).zip(&one.tags) {
                    labels.retain(|(name, _)| *name != tag.name);
                    if tag.value.is_some() {
                        labels.push((&tag.name, Origin::Tag(number)));
                    }
                }
            }
            first += one.tags.len();
        }
        (!disabled).then_some(labels)
    }
}
