//! What was found lately, by bytes that tell it from all else.

use crate::hashing::Folding;
use std::collections::HashMap;

/// Of all keys, with what the map itself takes.
const MOST_BYTES: usize = 1 << 20;
const OF_EACH: usize = 64;

/// A memory that is emptied when it is full, so that it never holds more than 1 MiB.
pub struct Recent<T> {
    found: HashMap<Vec<u8>, T, Folding>,
    bytes: usize,
}

impl<T: Copy> Recent<T> {
    /// A seed that callers do not know keeps them from making keys alike.
    pub fn new(seed: u64) -> Self {
        Self {
            found: HashMap::with_hasher(Folding(seed)),
            bytes: 0,
        }
    }

    pub fn get(&self, key: &[u8]) -> Option<T> {
        self.found.get(key).copied()
    }

    pub fn put(&mut self, key: &[u8], value: T) {
        let size = key.len() + OF_EACH;
        if self.bytes + size > MOST_BYTES {
            self.found.clear();
            self.bytes = 0;
        }
        if size <= MOST_BYTES {
            self.bytes += size;
            self.found.insert(key.to_vec(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found() {
        let mut recent = Recent::new(1);
        recent.put(b"a", 1);
        recent.put(b"b", 2);
        assert_eq!([recent.get(b"a"), recent.get(b"b")], [Some(1), Some(2)]);
        assert_eq!(recent.get(b"c"), None);
    }

    #[test]
    fn a_bound() {
        let mut recent = Recent::new(1);
        for number in 0..100_u8 {
            recent.put(&[number; 100_000], number);
            assert_eq!(recent.get(&[number; 100_000]), Some(number));
            let held: usize = recent.found.keys().map(|key| key.len() + OF_EACH).sum();
            assert_eq!(held, recent.bytes);
            assert!(held <= MOST_BYTES);
        }
        recent.put(&[1; MOST_BYTES], 1);
        assert_eq!(recent.get(&[1; MOST_BYTES]), None);
    }
}
