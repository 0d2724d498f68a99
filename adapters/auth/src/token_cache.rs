//! Tokens that were verified before, so that a client that sends the same token
//! again does not cost a signature check (up to a millisecond) each time.
//!
//! A token is recognised by the SHA-256 of all its bytes, so a hit is exactly
//! the token that was verified. What can change with time is checked each time;
//! a new configuration starts with an empty cache.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::rc::Rc;

const MAX_ENTRIES: usize = 128;
/// Larger tokens are verified each time: this bounds the memory of the cache.
const MAX_TOKEN_BYTES: usize = 4 * 1024;

/// What stays true of a token for ever.
pub struct Proven {
    /// Index of the provider.
    pub provider: usize,
    /// Of the key set, where that was fetched.
    pub generation: u64,
    pub consumer: String,
    pub claims: Value,
}

#[derive(Default)]
pub struct TokenCache {
    entries: Vec<([u8; 32], Rc<Proven>)>,
    /// The entry that is overwritten next: the oldest one.
    next: usize,
}

/// The token's name in the cache, or None if it is not to be cached.
pub fn fingerprint(token: &[u8]) -> Option<[u8; 32]> {
    (token.len() <= MAX_TOKEN_BYTES).then(|| Sha256::digest(token).into())
}

impl TokenCache {
    pub fn get(&self, fingerprint: &[u8; 32]) -> Option<Rc<Proven>> {
        let entry = self.entries.iter().find(|(f, _)| f == fingerprint)?;
        Some(entry.1.clone())
    }

    pub fn put(&mut self, fingerprint: [u8; 32], proven: Rc<Proven>) {
        match self.entries.get_mut(self.next) {
            Some(oldest) => *oldest = (fingerprint, proven),
            None => self.entries.push((fingerprint, proven)),
        }
        self.next = (self.next + 1) % MAX_ENTRIES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_entries() {
        let mut cache = TokenCache::default();
        let name = |i: usize| fingerprint(&i.to_le_bytes()).unwrap();
        for i in 0..MAX_ENTRIES + 10 {
            let proven = Proven {
                provider: i,
                generation: 0,
                consumer: String::new(),
                claims: Value::Null,
            };
            cache.put(name(i), Rc::new(proven));
        }
        assert_eq!(cache.entries.len(), MAX_ENTRIES);
        assert!(cache.get(&name(9)).is_none());
        assert_eq!(cache.get(&name(10)).unwrap().provider, 10);
        assert_eq!(
            cache.get(&name(MAX_ENTRIES + 9)).unwrap().provider,
            MAX_ENTRIES + 9
        );
        assert!(fingerprint(&[0; MAX_TOKEN_BYTES + 1]).is_none());
    }
}
