//! The entries of a list, by its type.

use crate::list::{capitals, List};
use mixer_host::config::{ConfigError, Node, Object};
use mixer_host::network::Network;
use regex_lite::{Regex, RegexBuilder};

type Read<T> = Result<T, ConfigError>;

const MOST: usize = 10_000;
const MOST_PATTERNS: usize = 256;
/// Of one compiled pattern.
const PATTERN_BYTES: usize = 256 * 1024;

pub fn list(check: &mut Object) -> Read<List> {
    let kind = check.string_or("type", "STRINGS")?;
    let path = check.path_of("type");
    let entries = check.required("entries")?;
    Ok(match kind.as_str() {
        "STRINGS" => List::Strings(entries.each(0..=MOST, text)?.into_iter().collect()),
        "CASE_INSENSITIVE_STRINGS" => {
            let texts = entries.each(0..=MOST, text)?;
            List::CaseInsensitive(texts.iter().map(|one| capitals(one)).collect())
        }
        "IP_ADDRESSES" => List::Addresses(entries.each(0..=MOST, network)?),
        "REGEX" => List::Patterns(entries.each(0..=MOST_PATTERNS, pattern)?),
        _ => {
            let message = "must be STRINGS, CASE_INSENSITIVE_STRINGS, IP_ADDRESSES or REGEX";
            return Err(ConfigError::new(path, message));
        }
    })
}

fn text(node: Node) -> Read<String> {
    let error = node.error("must be 1 to 1024 bytes");
    let text = node.string()?;
    (1..=1024)
        .contains(&text.len())
        .then_some(text)
        .ok_or(error)
}

fn network(node: Node) -> Read<Network> {
    let error = node.error("must be an IP address, or a network such as 10.0.0.0/8");
    Network::parse(&node.string()?).ok_or(error)
}

fn pattern(node: Node) -> Read<Regex> {
    let path = node.path.clone();
    let text = text(node)?;
    let built = RegexBuilder::new(&text).size_limit(PATTERN_BYTES).build();
    built.map_err(|_| ConfigError::new(path, "is not a regular expression that is known here"))
}
