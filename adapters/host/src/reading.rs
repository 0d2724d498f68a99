//! Where a value comes from: a constant, an attribute by its path, which is cheap to read, or an
//! expression.

use crate::attributes::{kind, Kind};
use crate::expression::Expression;
use crate::path::{literal, whole};
use crate::properties;
use crate::value::{tagged, Value};

pub enum Reading {
    Constant(Vec<u8>),
    Attribute(Vec<u8>, Kind),
    Expression(Expression),
}

impl Reading {
    /// None where the host does not take the expression. To be called when the plugin is
    /// configured.
    pub fn create(text: &str) -> Option<Self> {
        if let Some(constant) = literal(text) {
            return Some(Self::Constant(constant.into_bytes()));
        }
        if let Some(path) = whole(text) {
            if let Some(kind) = kind(&path) {
                return Some(Self::Attribute(path.join("\0").into_bytes(), kind));
            }
        }
        // By itself first: within the other text more is an expression than without it.
        Expression::create(text)?;
        Expression::create(&tagged(text)).map(Self::Expression)
    }

    /// The value for the current request as the host encodes it; None where it has none.
    pub fn raw(&self) -> Option<Vec<u8>> {
        match self {
            Self::Constant(text) => Some(text.clone()),
            Self::Attribute(path, _) => properties::get_joined(path).ok(),
            Self::Expression(expression) => expression.evaluate(),
        }
    }

    /// What `raw` gave.
    pub fn decode(&self, raw: Vec<u8>) -> Option<Value> {
        match self {
            Self::Constant(_) => Some(Value::Text(raw)),
            Self::Attribute(_, kind) => Value::decode(*kind, raw),
            Self::Expression(_) => Value::untag(raw),
        }
    }

    /// The value for the current request; None where it has none.
    pub fn read(&self) -> Option<Value> {
        self.decode(self.raw()?)
    }
}
