//! `logs` and what is in each.

use super::tracing::percent;
use super::{expression, name, Dimension, Format, Log, Output, Severity};
use crate::sampling::Sampling;
use mixer_host::config::{ConfigError, Node, Object};

type Read<T> = Result<T, ConfigError>;

/// What every entry has anyway.
const RESERVED: [&str; 2] = ["instance", "level"];

pub fn log(node: Node) -> Read<Log> {
    let path = node.path.clone();
    let mut log = node.object(&[
        "name", "match", "severity", "fields", "format", "sampling", "output",
    ])?;
    Ok(Log {
        path,
        name: name(log.required("name")?)?,
        condition: log.optional("match").map(expression).transpose()?,
        severity: log
            .optional("severity")
            .map_or(Ok(Severity::Level(2)), severity)?,
        fields: log.optional("fields").map_or(Ok(Vec::new()), fields)?,
        format: format(&mut log)?,
        sampling: log.optional("sampling").map(sampling).transpose()?,
        output: output(&mut log)?,
    })
}

fn severity(node: Node) -> Read<Severity> {
    let text = expression(node)?;
    Ok(match Severity::level(&text) {
        Some(level) => Severity::Level(level),
        None => Severity::Expression(text),
    })
}

fn format(log: &mut Object) -> Read<Format> {
    match log.string_or("format", "JSON")?.as_str() {
        "JSON" => Ok(Format::Json),
        "TEXT" => Ok(Format::Text),
        _ => Err(ConfigError::new(
            log.path_of("format"),
            "must be JSON or TEXT",
        )),
    }
}

fn sampling(node: Node) -> Read<Sampling> {
    let mut own = node.object(&["percent", "perSecond"])?;
    match (own.optional("percent"), own.optional("perSecond")) {
        (Some(node), None) => percent(node).map(Sampling::Percent),
        #[allow(clippy::cast_possible_truncation)] // it is in the range
        (None, Some(node)) => node
            .whole(1..=1_000_000)
            .map(|rate| Sampling::PerSecond(rate as u32)),
        _ => Err(own.error("needs either percent or perSecond")),
    }
}

fn output(log: &mut Object) -> Read<Output> {
    match log.string_or("output", "HOST")?.as_str() {
        "HOST" => Ok(Output::Host),
        "OTLP" => Ok(Output::Otlp),
        _ => Err(ConfigError::new(
            log.path_of("output"),
            "must be HOST or OTLP",
        )),
    }
}

fn fields(node: Node) -> Read<Vec<Dimension>> {
    let entries = node.members(0..=64)?;
    let mut found = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        if !is_field(&name) || RESERVED.contains(&name.as_str()) {
            let message = "must be a field of at most 64 letters, digits, dots, hyphens and \
                           underscores, other than instance and level";
            return Err(value.error(message));
        }
        let value = expression(value)?;
        found.push(Dimension { name, value });
    }
    Ok(found)
}

/// Whether a field or an attribute can have a name.
pub fn is_field(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}
