//! Lists of what is allowed or refused.

use mixer_host::network::{address_of, parse_address, Network};
use mixer_host::value::Value;
use regex_lite::Regex;
use std::collections::BTreeSet;

pub enum List {
    Strings(BTreeSet<String>),
    /// In capitals.
    CaseInsensitive(BTreeSet<String>),
    Addresses(Vec<Network>),
    Patterns(Vec<Regex>),
}

/// What is no address where one is needed.
pub struct NoAddress;

impl List {
    /// Whether a value, which has this text, is in it.
    pub fn contains(&self, value: &Value, text: &str) -> Result<bool, NoAddress> {
        Ok(match self {
            Self::Strings(entries) => entries.contains(text),
            Self::CaseInsensitive(entries) => entries.contains(&capitals(text)),
            Self::Patterns(patterns) => patterns.iter().any(|one| one.is_match(text)),
            Self::Addresses(networks) => {
                let address = match value {
                    Value::Bytes(bytes) => address_of(bytes),
                    _ => parse_address(text),
                };
                let address = address.ok_or(NoAddress)?;
                networks.iter().any(|network| network.contains(address))
            }
        })
    }
}

/// Each letter by itself, as in Mixer: the German sharp s has no capital that is one letter.
pub fn capitals(text: &str) -> String {
    let capital = |one: char| {
        let mut upper = one.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(single), None) => single,
            _ => one,
        }
    };
    text.chars().map(capital).collect()
}
