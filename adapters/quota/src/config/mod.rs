//! The plugin configuration: parsing, bounds, and one clear message for a mistake.

mod domains;
mod fields;
mod quotas;
#[cfg(test)]
mod tests;

use crate::domain::Domain;
use crate::limit::Quota;
use mixer_host::config::{parse, Node, Object};

pub use mixer_host::config::ConfigError;

const ROOT: [&str; 6] = [
    "quotas",
    "domains",
    "deduplication",
    "checkValidity",
    "onError",
    "rateLimitHeaders",
];
const MAX_ENTRIES: u64 = 1024;
const DAY: &str = "24h";

pub struct Config {
    pub quotas: Vec<Quota>,
    pub domains: Vec<Domain>,
    pub deduplication: Deduplication,
    /// Nanoseconds.
    pub check_validity: u64,
    pub on_error: OnError,
    pub rate_limit_headers: bool,
}

/// How long, and how many answers, are remembered for requests that come again.
#[derive(Debug, PartialEq)]
pub struct Deduplication {
    /// Nanoseconds.
    pub window: u64,
    /// Of one bucket.
    pub entries: usize,
}

/// What is answered where the store is full or does not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnError {
    Deny,
    Allow,
}

impl Config {
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        Self::read(parse(text, "quotas or domains are needed")?)
    }

    fn read(root: Node) -> Result<Self, ConfigError> {
        let mut root = root.object(&ROOT)?;
        let quotas = root.optional("quotas").map(quotas::quotas).transpose()?;
        let domains = root.optional("domains");
        if quotas.is_none() && domains.is_none() {
            return Err(ConfigError::new("", "has neither quotas nor domains"));
        }
        let quotas = quotas.unwrap_or_default();
        let domains = domains.map(|node| domains::domains(node, &quotas));
        Ok(Self {
            domains: domains.transpose()?.unwrap_or_default(),
            quotas,
            deduplication: deduplication(&mut root)?,
            check_validity: fields::duration_or(&mut root, "checkValidity", "60s", "0s", DAY)?,
            on_error: root.either(
                "onError",
                [("deny", OnError::Deny), ("allow", OnError::Allow)],
            )?,
            rate_limit_headers: root.bool_or("rateLimitHeaders", false)?,
        })
    }
}

fn deduplication(root: &mut Object) -> Result<Deduplication, ConfigError> {
    let Some(node) = root.optional("deduplication") else {
        return Ok(Deduplication {
            window: 10_000_000_000,
            entries: 256,
        });
    };
    let mut object = node.object(&["window", "entries"])?;
    Ok(Deduplication {
        window: fields::duration_or(&mut object, "window", "10s", "1ms", DAY)?,
        entries: match object.optional("entries") {
            Some(node) => node.whole(1..=MAX_ENTRIES)? as usize,
            None => 256,
        },
    })
}
