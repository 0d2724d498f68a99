//! Where buckets are kept, and how one is changed while others change it too.

use crate::bucket::Bucket;
use mixer_host::shared_data::{Set, Unavailable};

pub trait Store {
    /// Nanoseconds of the wall clock since 1970; None without a clock.
    fn now(&self) -> Option<u64>;

    /// A value, and the number by which a set tells whether another one came in between.
    fn get(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable>;

    /// Sets a value if its number is still `cas`, or there is none.
    fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Set;
}

/// The number for a value that is to be new. A host compares it only if the key has come to be,
/// and its numbers count up from 1.
pub const NEVER_SET: u32 = u32::MAX;

/// How often a change is tried anew because another one came in between: what loses every other
/// time still comes through.
const ATTEMPTS: usize = 256;

/// What a change came to, and whether the bucket is to be kept.
pub struct Changed<T> {
    pub result: T,
    pub keep: bool,
}

impl<T> Changed<T> {
    pub fn new(result: T, keep: bool) -> Self {
        Self { result, keep }
    }
}

/// Changes the bucket of a key as if nobody else did in the meantime.
///
/// What cannot be decoded is none of ours, or of another version: it is replaced.
pub fn update<S: Store, T>(
    store: &S,
    key: &[u8],
    change: impl Fn(&mut Bucket, u64) -> Changed<T>,
) -> Result<T, Unavailable> {
    for _ in 0..ATTEMPTS {
        let now = store.now().ok_or(Unavailable)?;
        let (mut bucket, cas) = match store.get(key)? {
            Some((bytes, cas)) => (Bucket::decode(&bytes).unwrap_or_default(), cas),
            None => (Bucket::default(), NEVER_SET),
        };
        let Changed { result, keep } = change(&mut bucket, now);
        if !keep {
            return Ok(result);
        }
        match store.set(key, &bucket.encode(), cas) {
            Set::Done => return Ok(result),
            Set::Raced => {}
            Set::Failed => return Err(Unavailable),
        }
    }
    Err(Unavailable)
}
