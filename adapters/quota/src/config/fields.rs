//! Fields that several parts have.

use crate::duration;
use mixer_host::config::{ConfigError, Node, Object};

/// Nanoseconds of a Go duration, from `lowest` to `highest`.
pub fn duration(node: Node, lowest: &str, highest: &str) -> Result<u64, ConfigError> {
    let error = node.error(format!(
        "must be a duration such as 100ms, 1s or 1m30s, from {lowest} to {highest}"
    ));
    let bounds = |text| duration::parse(text).unwrap_or(0);
    let range = bounds(lowest)..=bounds(highest);
    let length = duration::parse(&node.string()?);
    length.filter(|l| range.contains(l)).ok_or(error)
}

pub fn duration_or(
    object: &mut Object,
    name: &'static str,
    default: &str,
    lowest: &str,
    highest: &str,
) -> Result<u64, ConfigError> {
    match object.optional(name) {
        Some(node) => duration(node, lowest, highest),
        None => Ok(duration::parse(default).unwrap_or(0)),
    }
}

/// The text of an expression; whether it is one, the host says.
pub fn expression(node: Node) -> Result<String, ConfigError> {
    const MAX: usize = 1024;
    let error = node.error(format!("must be a CEL expression of 1 to {MAX} bytes"));
    let text = node.string()?;
    let sound = text.len() <= MAX && !text.trim().is_empty();
    sound.then_some(text).ok_or(error)
}

/// What a header's text and a list with commas can hold.
pub fn name(node: Node) -> Result<String, ConfigError> {
    let error = node.error("must be 1 to 253 visible ASCII characters without \" and \\ and ,");
    let name = node.string()?;
    let allowed = |b: u8| b.is_ascii_graphic() && !b"\"\\,".contains(&b);
    let sound = (1..=253).contains(&name.len()) && name.bytes().all(allowed);
    sound.then_some(name).ok_or(error)
}
