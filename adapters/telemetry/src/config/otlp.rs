//! `otlp`: where spans and log records go.

use crate::otlp::Bounds;
use mixer_host::config::{ConfigError, Node, Object};

type Read<T> = Result<T, ConfigError>;
type Pairs = Vec<(String, String)>;

pub struct Otlp {
    /// The host's name of the collector.
    pub cluster: String,
    /// Metadata of each call.
    pub headers: Pairs,
    /// Attributes of the resource.
    pub resource: Pairs,
    /// How long a record waits at the most before it is sent, in milliseconds.
    pub interval: u64,
    /// How long a call may take, in milliseconds.
    pub timeout: u64,
    pub bounds: Bounds,
}

#[allow(clippy::cast_possible_truncation)] // they are in their ranges
pub fn otlp(node: Node) -> Read<Otlp> {
    let mut own = node.object(&[
        "cluster",
        "headers",
        "resource",
        "interval",
        "timeout",
        "batchSize",
        "queueBytes",
        "retries",
    ])?;
    let cluster = cluster(own.required("cluster")?)?;
    let interval = duration(&mut own, "interval", 1000, 10, 60_000)?;
    Ok(Otlp {
        cluster,
        headers: pairs(&mut own, "headers", is_header)?,
        resource: resource(&mut own)?,
        interval,
        timeout: duration(&mut own, "timeout", 10_000, 10, 60_000)?,
        bounds: Bounds {
            batch: whole(&mut own, "batchSize", 512, 1, 10_000)? as u32,
            bytes: whole(&mut own, "queueBytes", 4 << 20, 1 << 10, 64 << 20)? as usize,
            retries: whole(&mut own, "retries", 5, 0, 20)? as u32,
            pause: interval,
        },
    })
}

/// With more it would be no text once it is written as a message, and hosts take it for text.
const CLUSTER_BYTES: usize = 120;

fn cluster(node: Node) -> Read<String> {
    let error = node.error("must be 1 to 120 bytes: the name of a cluster");
    let name = node.string()?;
    let sound = (1..=CLUSTER_BYTES).contains(&name.len());
    sound.then_some(name).ok_or(error)
}

fn resource(own: &mut Object) -> Read<Pairs> {
    let mut resource = pairs(own, "resource", |name| (1..=128).contains(&name.len()))?;
    if !resource.iter().any(|(name, _)| name == "service.name") {
        resource.push(("service.name".to_owned(), "mixer".to_owned()));
    }
    Ok(resource)
}

fn pairs(own: &mut Object, name: &'static str, sound: fn(&str) -> bool) -> Read<Pairs> {
    let Some(node) = own.optional(name) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for (name, node) in node.members(0..=32)? {
        let error = node.error("must have a sound name and a text of at most 4096 bytes");
        let value = node.string()?;
        let tame = !value.chars().any(char::is_control);
        if !sound(&name) || value.len() > 4096 || !tame {
            return Err(error);
        }
        found.push((name, value));
    }
    Ok(found)
}

fn is_header(name: &str) -> bool {
    let tame = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    (1..=128).contains(&name.len()) && name.bytes().all(tame) && !name.starts_with("grpc-")
}

fn whole(own: &mut Object, name: &'static str, default: u64, min: u64, max: u64) -> Read<u64> {
    own.optional(name)
        .map_or(Ok(default), |node| node.whole(min..=max))
}

/// Milliseconds, written as `500ms`, `1s` or `1m`.
fn duration(own: &mut Object, name: &'static str, default: u64, min: u64, max: u64) -> Read<u64> {
    let Some(node) = own.optional(name) else {
        return Ok(default);
    };
    let error = node.error(format!(
        "must be a duration such as 1s or 500ms, from {min}ms to {max}ms"
    ));
    let text = node.string()?;
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err(error),
    };
    let number: Option<u64> = digits.parse().ok();
    let found = number.and_then(|number| number.checked_mul(unit));
    found
        .filter(|length| (min..=max).contains(length))
        .ok_or(error)
}
