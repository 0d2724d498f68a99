//! Conditions: expressions that are true, false, or cannot be told.

use crate::attributes::may_be_absent;
use crate::expression::Expression;
use crate::path::read_unasked;
use crate::properties::{self, Missing};
use crate::value::Truth;

/// A condition that the host has parsed.
pub struct Condition {
    expression: Expression,
    unasked: Vec<Vec<u8>>,
}

impl Condition {
    /// None where the host does not take it. To be called when the plugin is configured.
    pub fn create(text: &str) -> Option<Self> {
        // By itself first: in parentheses more is an expression than without them.
        Expression::create(text)?;
        let unasked = read_unasked(text)
            .into_iter()
            .filter(|path| may_be_absent(path));
        Some(Self {
            // What is no bool has no value then.
            expression: Expression::create(&format!("(\n{text}\n) ? \"t\" : \"f\""))?,
            unasked: unasked.map(|path| path.join("\0").into_bytes()).collect(),
        })
    }

    /// Whether it is true for the current request.
    pub fn test(&self) -> Truth {
        match self.expression.evaluate().as_deref() {
            Some(b"t") => Truth::True,
            Some(b"f") => Truth::False,
            _ if self.lacks_something() => Truth::Absent,
            _ => Truth::Broken,
        }
    }

    fn lacks_something(&self) -> bool {
        let absent = |path: &Vec<u8>| properties::get_joined(path) == Err(Missing::Absent);
        self.unasked.iter().any(absent)
    }
}
