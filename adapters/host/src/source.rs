//! Where a value comes from: a constant, a property that is read with others, or an expression.

use crate::attributes::{kind, Kind};
use crate::batch::Batch;
use crate::expression::Expression;
use crate::path::{literal, whole};
use crate::value::{tagged, Value};
use std::borrow::Cow;

pub enum Source {
    Constant(Vec<u8>),
    /// By its place in the batch.
    Property(usize, Kind),
    Expression(Expression),
}

impl Source {
    /// None where the host does not take the expression. To be called when the plugin is
    /// configured.
    pub fn create(text: &str, batch: &mut Batch) -> Option<Self> {
        if let Some(constant) = literal(text) {
            return Some(Self::Constant(constant.into_bytes()));
        }
        if let Some(path) = whole(text) {
            if let Some(kind) = kind(&path) {
                return Some(Self::Property(batch.add(path.join("\0").as_bytes()), kind));
            }
        }
        // By itself first: within the other text more is an expression than without it.
        Expression::create(text)?;
        Expression::create(&tagged(text)).map(Self::Expression)
    }

    /// The value for the current request, of which the batch was read, as the host encodes it;
    /// None where it has none.
    pub fn raw<'a>(&'a self, batch: &'a Batch) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Constant(text) => Some(Cow::Borrowed(text)),
            Self::Property(at, _) => batch.get(*at).map(Cow::Borrowed),
            Self::Expression(expression) => expression.evaluate().map(Cow::Owned),
        }
    }

    /// What `raw` gave.
    pub fn decode(&self, raw: Vec<u8>) -> Option<Value> {
        match self {
            Self::Constant(_) => Some(Value::Text(raw)),
            Self::Property(_, kind) => Value::decode(*kind, raw),
            Self::Expression(_) => Value::untag(raw),
        }
    }

    /// The value for the current request; None where it has none.
    pub fn read(&self, batch: &Batch) -> Option<Value> {
        self.decode(self.raw(batch)?.into_owned())
    }

    /// The same as text, without a copy of what is text.
    pub fn text<'a>(&'a self, batch: &'a Batch) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Constant(_) | Self::Property(_, Kind::Text) => self.raw(batch),
            _ => Some(Cow::Owned(self.read(batch)?.text().into_owned())),
        }
    }
}
