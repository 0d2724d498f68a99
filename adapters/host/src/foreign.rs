//! Foreign functions: what a host offers beyond the ABI.

use crate::abi::{self, Given};

/// Why a call has no result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallError {
    /// The host has no such function.
    Unknown,
    /// It refuses, or fails.
    Refused,
}

/// The result of a function.
pub fn call(name: &str, arguments: &[u8]) -> Result<Vec<u8>, CallError> {
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
    match status {
        abi::OK => Ok(given.into_bytes()),
        abi::NOT_FOUND | abi::UNIMPLEMENTED => Err(CallError::Unknown),
        _ => Err(CallError::Refused),
    }
}
