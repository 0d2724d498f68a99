//! The plugin configuration: parsing, bounds, and one clear message for a mistake.

mod addresses;
mod basic;
mod credentials;
mod fields;
mod introspection;
mod keys;
mod mtls;
mod remote;
#[cfg(test)]
mod remote_tests;
mod rules;
mod signatures;
#[cfg(test)]
mod tests;

use crate::address::Addresses;
use crate::api_key::ApiKeys;
use crate::basic::Basic;
use crate::condition::Condition;
use crate::introspection::Introspection;
use crate::jwt::Jwt;
use crate::mtls::Mtls;
use crate::response::Accepts;
use crate::rules::{Rule, Who};
use crate::signature::Signatures;
use crate::source::Source;
use mixer_host::config::{parse, Node};

pub use keys::remote_keys;
pub use mixer_host::config::ConfigError;

const NEEDED: &str = "at least one of api_keys, jwt, introspection, basic, signatures and mtls";

const ROOT: [&str; 14] = [
    "realm",
    "api_keys",
    "jwt",
    "introspection",
    "basic",
    "signatures",
    "mtls",
    "addresses",
    "rules",
    "default",
    "consumer_header",
    "anonymous_consumer",
    "allow_path_parameters",
    "validity",
];

pub struct Config {
    pub realm: String,
    pub api_keys: Option<ApiKeys>,
    pub jwt: Option<Jwt>,
    pub introspection: Option<Introspection>,
    pub basic: Option<Basic>,
    pub signatures: Option<Signatures>,
    pub mtls: Option<Mtls>,
    pub addresses: Addresses,
    pub rules: Vec<Rule>,
    /// Those of the rules.
    pub conditions: Vec<Condition>,
    /// Holds when no rule matches.
    pub default: Who,
    pub consumer_header: Option<String>,
    /// What the upstream is told of who has shown no credential; None for nothing.
    pub anonymous_consumer: Option<String>,
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
        Self::read(parse(text, &format!("it needs {NEEDED}"))?)
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
            basic: root.optional("basic").map(basic::basic).transpose()?,
            signatures: root
                .optional("signatures")
                .map(signatures::signatures)
                .transpose()?,
            mtls: root.optional("mtls").map(mtls::mtls).transpose()?,
            addresses: root
                .optional("addresses")
                .map_or_else(|| Ok(Addresses::default()), addresses::addresses)?,
            allow_path_parameters: root.bool_or("allow_path_parameters", false)?,
            default: rules::default(&mut root)?,
            validity: root
                .optional("validity")
                .map(fields::validity)
                .transpose()?,
            consumer_header: fields::consumer_header(&mut root)?,
            anonymous_consumer: root
                .optional("anonymous_consumer")
                .map(credentials::consumer)
                .transpose()?,
            rules: Vec::new(),
            conditions: Vec::new(),
            managed_headers: Vec::new(),
        };
        let parameters = config.allow_path_parameters;
        config.rules = rules::rules(&mut root, parameters, &mut config.conditions)?;
        if !config.identifies() {
            return Err(ConfigError::new("", format!("needs {NEEDED}")));
        }
        config.managed_headers = fields::managed_headers(&config)?;
        Ok(config)
    }

    fn identifies(&self) -> bool {
        let Accepts {
            api_keys,
            tokens,
            basic,
            signatures,
        } = self.accepts();
        api_keys || tokens || basic || signatures || self.mtls.is_some()
    }

    pub fn accepts(&self) -> Accepts {
        Accepts {
            api_keys: self.api_keys.is_some(),
            tokens: self.jwt.is_some() || self.introspection.is_some(),
            basic: self.basic.is_some(),
            signatures: self.signatures.is_some(),
        }
    }

    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let keys = self.api_keys.iter().flat_map(|a| &a.sources);
        let introspected = self.introspection.iter().flat_map(|i| &i.settings.sources);
        keys.chain(self.jwt.iter().flat_map(|j| &j.sources))
            .chain(introspected)
            .chain(self.basic.iter().flat_map(|b| &b.sources))
    }
}
