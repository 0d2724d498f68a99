//! Fields that several parts have.

use crate::duration;
use crate::limit::{Algorithm, Limit};
use mixer_host::config::{ConfigError, Node, Object};

/// Nanoseconds of a Go duration, from `lowest` to `highest`.
pub fn duration(node: Node, lowest: &str, highest: &str) -> Result<u64, ConfigError> {
    let error = node.error(format!(
        "must be a duration as text, such as \"60s\" or \"1m30s\", from {lowest} to {highest}"
    ));
    let bounds = |text| duration::parse(text).unwrap_or(0);
    let range = bounds(lowest)..=bounds(highest);
    let length = node.string().ok().and_then(|text| duration::parse(&text));
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
    let error = node.error(format!(
        "must be a CEL expression of 1 to {MAX} bytes as text, such as \"true\""
    ));
    let sound = |text: &String| text.len() <= MAX && !text.trim().is_empty();
    node.string().ok().filter(sound).ok_or(error)
}

/// What a header's text and a list with commas can hold.
pub fn name(node: Node) -> Result<String, ConfigError> {
    let error =
        node.error("must be text of 1 to 253 visible ASCII characters without \" and \\ and ,");
    let allowed = |b: u8| b.is_ascii_graphic() && !b"\"\\,".contains(&b);
    let sound = |name: &String| (1..=253).contains(&name.len()) && name.bytes().all(allowed);
    node.string().ok().filter(sound).ok_or(error)
}

/// Up to it every whole number is exact in JSON, and in Protobuf's Struct.
pub const MAX_AMOUNT: u64 = (1 << 53) - 1;
/// In which a burst must come back, so that no time is out of bounds.
const LONGEST: u64 = 10 * 8_760 * 3_600_000_000_000;

/// `algorithm` and `burst`, for what is known of the limit so far.
pub fn counting(
    object: &mut Object,
    max: u64,
    window: u64,
    default: Algorithm,
) -> Result<Limit, ConfigError> {
    let mut limit = Limit::fixed(max, window);
    limit.algorithm = match object.optional("algorithm") {
        Some(node) => algorithm(node)?,
        None => default,
    };
    let Some(node) = object.optional("burst") else {
        return Ok(limit);
    };
    if limit.is_fixed() {
        return Err(node.error("is not for FIXED_WINDOW"));
    }
    let error = node.error("must come back within 87600h, at max in each window");
    limit.burst = node.whole(1..=MAX_AMOUNT)?;
    (limit.time_for(limit.burst) <= LONGEST)
        .then_some(limit)
        .ok_or(error)
}

fn algorithm(node: Node) -> Result<Algorithm, ConfigError> {
    let error = node.error("must be FIXED_WINDOW, SLIDING_WINDOW or TOKEN_BUCKET");
    Ok(match node.string().as_deref() {
        Ok("FIXED_WINDOW") => Algorithm::FixedWindow,
        Ok("SLIDING_WINDOW") => Algorithm::SlidingWindow,
        Ok("TOKEN_BUCKET") => Algorithm::TokenBucket,
        _ => return Err(error),
    })
}
