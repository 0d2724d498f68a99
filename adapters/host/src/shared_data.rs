//! Shared data: what all VMs of one `vm_id` see, or all services over one store.

#[cfg(target_arch = "wasm32")]
use crate::abi::{self, Given};

/// What came of a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Set {
    Done,
    /// Another one set it since it was read.
    Raced,
    /// The store is full, or does not answer.
    Failed,
}

/// The store does not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unavailable;

/// A value, with the number by which a set tells whether another one came in between.
#[cfg(target_arch = "wasm32")]
pub fn get(key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
    let mut given = Given::NOTHING;
    let mut cas = 0;
    let (value, size) = given.parts();
    // SAFETY: the key is a live slice that the host only reads; the rest points to live values.
    let status =
        unsafe { abi::proxy_get_shared_data(key.as_ptr(), key.len(), value, size, &mut cas) };
    match status {
        abi::OK => Ok(Some((given.into_bytes(), cas))),
        abi::NOT_FOUND => Ok(None),
        _ => Err(Unavailable),
    }
}

/// Sets a value if its number is still `cas`; with 0, or where there is none, in any case.
#[cfg(target_arch = "wasm32")]
pub fn set(key: &[u8], value: &[u8], cas: u32) -> Set {
    // SAFETY: both pointer and size pairs are live slices, and the host only reads.
    let status = unsafe {
        abi::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
    };
    match status {
        abi::OK => Set::Done,
        abi::CAS_MISMATCH => Set::Raced,
        _ => Set::Failed,
    }
}
