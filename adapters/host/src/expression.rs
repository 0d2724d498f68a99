//! CEL over the attributes of a request, by the foreign functions of Envoy.

use crate::foreign::call;

/// An expression that the host has parsed; it holds for every request of this plugin.
pub struct Expression(Vec<u8>);

impl Expression {
    /// None where the host has no expressions, or does not take this one. To be called when the
    /// plugin is configured.
    pub fn create(text: &str) -> Option<Self> {
        call("expr_create", text.as_bytes()).ok().map(Self)
    }

    /// The value for the current request, encoded as that of a property: text as it is, a bool
    /// as one byte, numbers and times as eight, little-endian. None where it has none, as when an
    /// attribute is absent.
    pub fn evaluate(&self) -> Option<Vec<u8>> {
        call("expr_evaluate", &self.0).ok()
    }
}

impl Drop for Expression {
    fn drop(&mut self) {
        let _ = call("expr_delete", &self.0);
    }
}
