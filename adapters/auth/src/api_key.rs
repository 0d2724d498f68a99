//! API keys, known only by their SHA-256.

use crate::source::Source;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// Longer credentials are not hashed at all: no real key is that long.
const MAX_KEY_BYTES: usize = 1024;

pub struct ApiKeys {
    pub sources: Vec<Source>,
    pub keys: Vec<ApiKey>,
}

pub struct ApiKey {
    pub sha256: [u8; 32],
    pub consumer: String,
}

impl ApiKeys {
    /// The consumer that the key belongs to.
    ///
    /// Every configured digest is compared in full, so that the time taken does
    /// not tell how close a guess was or which entry it met.
    pub fn consumer(&self, credential: &[u8]) -> Option<&str> {
        if credential.len() > MAX_KEY_BYTES {
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(credential).into();
        let mut found = u32::MAX;
        for (index, key) in (0u32..).zip(&self.keys) {
            found.conditional_assign(&index, key.sha256.ct_eq(&digest));
        }
        let key = self.keys.get(usize::try_from(found).ok()?)?;
        Some(&key.consumer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> ApiKeys {
        let key = |name: &&str| ApiKey {
            sha256: Sha256::digest(name.as_bytes()).into(),
            consumer: format!("of-{name}"),
        };
        ApiKeys {
            sources: Vec::new(),
            keys: names.iter().map(key).collect(),
        }
    }

    #[test]
    fn finds_first_middle_last_and_no_other() {
        let keys = keys(&["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            assert_eq!(keys.consumer(name.as_bytes()), Some(&*format!("of-{name}")));
        }
        for other in ["", "d", "A", "a ", "ab"] {
            assert_eq!(keys.consumer(other.as_bytes()), None);
        }
        assert_eq!(keys.consumer(&[b'a'; MAX_KEY_BYTES + 1]), None);
    }
}
