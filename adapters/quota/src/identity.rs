//! What is counted together, and which request is the same as an earlier one.

use sha2::{Digest, Sha256};

/// Stands for a quota and the values of its dimensions, however long they are.
pub type Identity = [u8; 32];

/// Stands for a request that may come again: half a SHA-256, which nobody can hit on purpose.
pub type RequestId = [u8; 16];

pub fn identity(quota: &str, values: &[Vec<u8>]) -> Identity {
    let mut hash = Sha256::new();
    add(&mut hash, quota.as_bytes());
    for value in values {
        add(&mut hash, value);
    }
    hash.finalize().into()
}

/// The caller is part of it, so that nobody can be given another one's answer.
pub fn request_id(caller: &str, identity: &Identity, id: &str) -> RequestId {
    let mut hash = Sha256::new();
    add(&mut hash, caller.as_bytes());
    add(&mut hash, identity);
    add(&mut hash, id.as_bytes());
    let whole: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// With its length before it: `["ab", "c"]` and `["a", "bc"]` are two.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

/// Which of `buckets` an identity belongs to.
pub fn bucket_of(identity: &Identity, buckets: u32) -> u32 {
    let mut first = [0; 4];
    first.copy_from_slice(&identity[..4]);
    u32::from_le_bytes(first) % buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Identity {
        let values: Vec<Vec<u8>> = values.iter().map(|v| v.as_bytes().to_vec()).collect();
        identity("q", &values)
    }

    #[test]
    fn values_do_not_run_together() {
        let all = [
            of(&[]),
            of(&[""]),
            of(&["ab", "c"]),
            of(&["a", "bc"]),
            of(&["abc"]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other != one));
        }
        assert_ne!(identity("q", &[]), identity("r", &[]));
    }

    #[test]
    fn requests_differ_by_caller_quota_dimensions_and_id() {
        let (one, other) = (of(&["a"]), of(&["b"]));
        let id = request_id("c", &one, "1");
        assert_eq!(id, request_id("c", &one, "1"));
        for different in [
            request_id("d", &one, "1"),
            request_id("c", &other, "1"),
            request_id("c", &one, "2"),
            request_id("", &one, "c1"),
        ] {
            assert_ne!(id, different);
        }
    }
}
