//! CEL over the attributes of a request, by the foreign functions of Envoy.

use crate::abi::{self, Given};

/// An expression that the host has parsed; it holds for every request of this plugin.
pub struct Expression(Vec<u8>);

impl Expression {
    /// None where the host has no expressions, or does not take this one. To be called when the
    /// plugin is configured.
    pub fn create(text: &str) -> Option<Self> {
        call("expr_create", text.as_bytes()).map(Self)
    }

    /// The value for the current request, encoded as that of a property: text as it is, a bool
    /// as one byte, numbers and times as eight, little-endian. None where it has none, as when an
    /// attribute is absent.
    pub fn evaluate(&self) -> Option<Vec<u8>> {
        call("expr_evaluate", &self.0)
    }
}

impl Drop for Expression {
    fn drop(&mut self) {
        call("expr_delete", &self.0);
    }
}

/// A foreign function's answer; None where it is not there or refuses.
pub(crate) fn call(name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
    let mut given = Given::NOTHING;
    let (result, size) = given.parts();
    // SAFETY: every pointer and size pair is a live slice, and the host only reads; the last two
    // point to a live value.
    let status = unsafe {
        abi::proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            result,
            size,
        )
    };
    (status == abi::OK).then(|| given.into_bytes())
}
