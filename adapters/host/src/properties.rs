//! Properties of the current request.

use crate::abi::{self, Given};

/// Why a property cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Missing {
    /// The request has nothing of that name.
    Absent,
    /// It is there, and has no value of its own.
    Unreadable,
}

/// The value at a path, as the host encodes it; None where there is none.
pub fn get(path: &[&str]) -> Option<Vec<u8>> {
    get_joined(path.join("\0").as_bytes()).ok()
}

/// The value at a path whose parts are joined by NULs.
pub fn get_joined(path: &[u8]) -> Result<Vec<u8>, Missing> {
    let mut given = Given::NOTHING;
    let (value, size) = given.parts();
    // SAFETY: the path is a live slice that the host only reads; the rest points to a live value.
    let status = unsafe { abi::proxy_get_property(path.as_ptr(), path.len(), value, size) };
    match status {
        abi::OK => Ok(given.into_bytes()),
        abi::NOT_FOUND => Err(Missing::Absent),
        _ => Err(Missing::Unreadable),
    }
}

/// The same as `get`, where it is UTF-8.
pub fn text(path: &[&str]) -> Option<String> {
    String::from_utf8(get(path)?).ok()
}

/// An `int`: eight bytes, little-endian.
pub fn int(path: &[&str]) -> Option<i64> {
    Some(i64::from_le_bytes(get(path)?.try_into().ok()?))
}

/// A `bool`: one byte.
pub fn bool(path: &[&str]) -> Option<bool> {
    match get(path)?.as_slice() {
        [byte] => Some(*byte != 0),
        _ => None,
    }
}

/// Sets a property of the request; whether the host took it.
pub fn set(path: &str, value: &str) -> bool {
    set_bytes(path, value.as_bytes())
}

/// The same for what is no text.
pub fn set_bytes(path: &str, value: &[u8]) -> bool {
    // SAFETY: both pointer and size pairs are live slices, and the host only reads.
    let status =
        unsafe { abi::proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) };
    status == abi::OK
}
