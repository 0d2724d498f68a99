//! Shared queues: what one plugin tells another one, or a host's own consumer.

#[cfg(target_arch = "wasm32")]
use crate::abi;

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// There is no such queue.
    NotFound,
    /// The message is not one that the queue takes.
    Malformed,
    /// The queue is full, or cannot be reached.
    Failed,
}

/// The id of a queue of any `vm_id`; None where there is none.
#[cfg(target_arch = "wasm32")]
pub fn resolve(vm_id: &str, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: both texts are live slices that the host only reads, and the id is a live value.
    let status = unsafe {
        abi::proxy_resolve_shared_queue(
            vm_id.as_ptr(),
            vm_id.len(),
            name.as_ptr(),
            name.len(),
            &mut id,
        )
    };
    (status == abi::OK).then_some(id)
}

/// Puts a message at the end of a queue.
#[cfg(target_arch = "wasm32")]
pub fn enqueue(id: u32, message: &[u8]) -> Result<(), Refused> {
    // SAFETY: the message is a live slice that the host only reads.
    let status = unsafe { abi::proxy_enqueue_shared_queue(id, message.as_ptr(), message.len()) };
    match status {
        abi::OK => Ok(()),
        abi::NOT_FOUND => Err(Refused::NotFound),
        abi::BAD_ARGUMENT => Err(Refused::Malformed),
        _ => Err(Refused::Failed),
    }
}
