//! `tracing`: how a trace is continued.

use super::{expression, logs::is_field, Dimension};
use mixer_host::config::{ConfigError, Node};

type Read<T> = Result<T, ConfigError>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    W3c,
    B3,
    B3Multi,
}

pub struct Tracing {
    pub path: String,
    /// Which headers are read, the first ones first, and written.
    pub formats: Vec<Format>,
    /// Percent of the traces that begin here.
    pub sampling: f64,
    /// Whether spans tell the query of the URL.
    pub url_query: bool,
    /// What a span tells beside the usual.
    pub attributes: Vec<Dimension>,
}

pub fn tracing(node: Node) -> Read<Tracing> {
    let path = node.path.clone();
    let mut own = node.object(&["propagation", "sampling", "urlQuery", "attributes"])?;
    Ok(Tracing {
        path,
        formats: own
            .each("propagation", 1..=3, format)?
            .unwrap_or_else(|| vec![Format::W3c]),
        sampling: own.optional("sampling").map_or(Ok(100.0), percent)?,
        url_query: own.bool_or("urlQuery", false)?,
        attributes: own
            .optional("attributes")
            .map_or(Ok(Vec::new()), attributes)?,
    })
}

fn format(node: Node) -> Read<Format> {
    let error = node.error("must be W3C, B3 or B3_MULTI");
    match node.string()?.as_str() {
        "W3C" => Ok(Format::W3c),
        "B3" => Ok(Format::B3),
        "B3_MULTI" => Ok(Format::B3Multi),
        _ => Err(error),
    }
}

/// A share that need not be whole.
pub fn percent(node: Node) -> Read<f64> {
    let error = node.error("must be a number from 0 to 100");
    match node.number() {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        _ => Err(error),
    }
}

fn attributes(node: Node) -> Read<Vec<Dimension>> {
    let mut found = Vec::new();
    for (name, value) in node.members(0..=32)? {
        if !is_field(&name) {
            return Err(value.error(
                "must be an attribute of at most 64 letters, digits, dots, \
                                    hyphens and underscores",
            ));
        }
        let value = expression(value)?;
        found.push(Dimension { name, value });
    }
    Ok(found)
}
