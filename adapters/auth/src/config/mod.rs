//! The plugin configuration: parsing, bounds, and one clear message for a mistake.

mod credentials;
mod fields;
mod introspection;
mod keys;
mod remote;
#[cfg(test)]
mod remote_tests;
mod rules;
#[cfg(test)]
mod tests;

use crate::api_key::ApiKeys;
use crate::introspection::Introspection;
use crate::jwt::Jwt;
use crate::response::Accepts;
use crate::rules::{Rule, Who};
use crate::source::Source;
use mixer_host::config::{parse, Node};

pub use keys::remote_keys;
pub use mixer_host::config::ConfigError;

const ROOT: [&str; 9] = [
    "realm",
    "api_keys",
    "jwt",
    "introspection",
    "rules",
    "default",
    "consumer_header",
    "allow_path_parameters",
    "validity",
];

pub struct Config {
    pub realm: String,
    pub api_keys: Option<ApiKeys>,
    pub jwt: Option<Jwt>,
    pub introspection: Option<Introspection>,
    pub rules: Vec<Rule>,
    /// Holds when no rule matches.
    pub default: Who,
    pub consumer_header: Option<String>,
    /// Every request header that only this module may set.
    pub managed_headers: Vec<String>,
    pub allow_path_parameters: bool,
    /// Without one no answer is to be used again.
    pub validity: Option<Validity>,
}

/// How long an answer may be used again, for requests that agree in all that was read.
#[derive(Debug, PartialEq)]
pub struct Validity {
    pub seconds: f64,
    /// None for any number of times.
    pub use_count: Option<u32>,
}

impl Config {
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        Self::read(parse(
            text,
            "at least one of api_keys, jwt and introspection is needed",
        )?)
    }

    fn read(root: Node) -> Result<Self, ConfigError> {
        let mut root = root.object(&ROOT)?;
        let mut config = Self {
            realm: fields::realm(&mut root)?,
            api_keys: root
                .optional("api_keys")
                .map(credentials::api_keys)
                .transpose()?,
            jwt: root.optional("jwt").map(credentials::jwt).transpose()?,
            introspection: root
                .optional("introspection")
                .map(introspection::introspection)
                .transpose()?,
            allow_path_parameters: root.bool_or("allow_path_parameters", false)?,
            default: rules::default(&mut root)?,
            validity: root
                .optional("validity")
                .map(fields::validity)
                .transpose()?,
            consumer_header: fields::consumer_header(&mut root)?,
            rules: Vec::new(),
            managed_headers: Vec::new(),
        };
        config.rules = rules::rules(&mut root, config.allow_path_parameters)?;
        if config.api_keys.is_none() && !config.accepts().tokens {
            let message = "needs at least one of api_keys, jwt and introspection";
            return Err(ConfigError::new("", message));
        }
        config.managed_headers = fields::managed_headers(&config)?;
        Ok(config)
    }

    pub fn accepts(&self) -> Accepts {
        Accepts {
            api_keys: self.api_keys.is_some(),
            tokens: self.jwt.is_some() || self.introspection.is_some(),
        }
    }

    pub fn sources(&self) -> Vec<&Source> {
        let keys = self.api_keys.iter().flat_map(|a| &a.sources);
        let introspected = self.introspection.iter().flat_map(|i| &i.settings.sources);
        keys.chain(self.jwt.iter().flat_map(|j| &j.sources))
            .chain(introspected)
            .collect()
    }
}
