//! Where the values of dimensions and costs come from: whatever is cheapest for the host.

use crate::value::{cost_of, text_form};
use mixer_host::attributes::{kind, Kind};
use mixer_host::expression::Expression;
use mixer_host::path::{literal, whole};
use mixer_host::properties;
use mixer_host::reading::Reading;
use mixer_host::value::{tagged, Value};

/// Where the value of a dimension comes from.
pub enum Source {
    Constant(Vec<u8>),
    /// By its path.
    Attribute(Vec<u8>, Kind),
    Expression {
        value: Expression,
        typed: Expression,
    },
}

impl Source {
    /// None where the host does not take the expression.
    pub fn create(text: &str) -> Option<Self> {
        if let Some(constant) = literal(text) {
            return Some(Self::Constant(constant.into_bytes()));
        }
        if let Some(path) = whole(text) {
            if let Some(kind) = kind(&path) {
                return Some(Self::Attribute(path.join("\0").into_bytes(), kind));
            }
        }
        Some(Self::Expression {
            value: Expression::create(text)?,
            typed: Expression::create(&tagged(text))?,
        })
    }

    /// The value for the current request as text; empty where it has none.
    pub fn read(&self) -> Vec<u8> {
        match self {
            Self::Constant(text) => text.clone(),
            Self::Attribute(path, kind) => {
                let value = properties::get_joined(path).unwrap_or_default();
                match kind {
                    Kind::Text => value,
                    kind => text_form(value.clone(), || Value::decode(*kind, value)),
                }
            }
            Self::Expression { value, typed } => match value.evaluate() {
                Some(value) => text_form(value, || typed.evaluate().and_then(Value::untag)),
                None => Vec::new(),
            },
        }
    }
}

/// What a request takes of a quota.
pub enum Price {
    Constant(u64),
    Reading(Reading),
}

impl Price {
    /// None where the host does not take the expression.
    pub fn create(text: &str) -> Option<Self> {
        Reading::create(text).map(Self::Reading)
    }

    pub fn read(&self) -> u64 {
        match self {
            Self::Constant(cost) => *cost,
            Self::Reading(reading) => cost_of(reading.read().as_ref()),
        }
    }
}
