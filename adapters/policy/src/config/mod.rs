//! The plugin configuration: parsing, bounds, and one clear message for a mistake.

mod entries;
mod rules;
#[cfg(test)]
mod tests;

use crate::duration;
use crate::list::List;
use mixer_host::config::{parse, ConfigError, Object};

const NEEDED: &str = "rules are needed";

pub struct Config {
    /// What the rules are about.
    pub protocol: Protocol,
    /// In order: the first that refuses answers.
    pub rules: Vec<Rule>,
    /// How long an answer holds, as Go writes a duration.
    pub valid_duration: String,
    /// How often; below 0 without a bound.
    pub valid_use_count: i32,
}

/// A context of a plugin is of one kind: so the plugin has to be told which.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP requests.
    Http,
    /// TCP connections.
    Tcp,
}

pub struct Rule {
    /// For messages and response code details.
    pub name: String,
    /// Where it is, such as `rules[0]`.
    pub path: String,
    /// An expression; without one it holds always.
    pub condition: Option<String>,
    pub action: Action,
}

pub enum Action {
    Deny(Denial),
    Check(Check),
}

pub struct Denial {
    /// A gRPC code.
    pub code: i32,
    /// An HTTP status.
    pub status: u32,
    pub message: String,
}

pub struct Check {
    /// An expression.
    pub value: String,
    pub list: List,
    /// Whether what is in the list is refused, rather than what is not.
    pub blacklist: bool,
    pub code: i32,
    pub status: u32,
    /// In place of one that names the value.
    pub message: Option<String>,
}

impl Config {
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        let known = ["protocol", "rules", "validDuration", "validUseCount"];
        let mut root = parse(text, NEEDED)?.object(&known)?;
        Ok(Self {
            protocol: protocol(&mut root)?,
            rules: rules::rules(root.required("rules")?)?,
            valid_duration: valid_duration(&mut root)?,
            valid_use_count: valid_use_count(&mut root)?,
        })
    }
}

fn protocol(root: &mut Object) -> Result<Protocol, ConfigError> {
    match root.string_or("protocol", "HTTP")?.as_str() {
        "HTTP" => Ok(Protocol::Http),
        "TCP" => Ok(Protocol::Tcp),
        _ => Err(ConfigError::new("protocol", "must be HTTP or TCP")),
    }
}

fn valid_duration(root: &mut Object) -> Result<String, ConfigError> {
    let text = root.string_or("validDuration", "5s")?;
    let message = "must be a duration from 0s to 24h such as 5s or 1m30s";
    let error = ConfigError::new("validDuration", message);
    duration::is_sound(&text).then_some(text).ok_or(error)
}

fn valid_use_count(root: &mut Object) -> Result<i32, ConfigError> {
    let Some(node) = root.optional("validUseCount") else {
        return Ok(1000);
    };
    rules::whole(node, -1, i32::MAX)
}
