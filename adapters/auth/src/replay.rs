//! Nonces that were used, in data that all VMs, workers and hosts of one store share.
//!
//! Shared data knows neither a list nor a removal, so that there are as many keys as a signer may
//! need, each with a bounded list of nonces, changed by compare-and-set. A full list refuses: what
//! could be a replay is not let in.

use crate::reason::Reason;
use mixer_host::shared_data::{Set, Unavailable};
use sha2::{Digest, Sha256};

/// Nonces in one list.
const SLOTS: usize = 256;
/// Lists of one signer. Not configured: with another number, a nonce would be looked for in
/// another list than the one that it is in.
const LISTS: u64 = 256;
const NONCE_BYTES: usize = 16;
const ENTRY_BYTES: usize = NONCE_BYTES + 8;

/// The number for a list that is to be new; see `mixer_host::shared_data::set`.
const NEVER_SET: u32 = u32::MAX;

/// How often a list is changed anew because another one came in between.
const ATTEMPTS: usize = 256;

pub trait Shared {
    /// A value, and the number by which a set tells whether another one came in between.
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable>;

    /// Sets a value if its number is still `cas`, or there is none.
    fn set_shared(&self, key: &[u8], value: &[u8], cas: u32) -> Set;
}

/// A nonce, and whose it is.
pub struct Use<'a> {
    pub key_id: &'a str,
    pub nonce: &'a [u8],
    /// When it was made, in seconds.
    pub created: u64,
    /// Seconds from then on in which it is taken.
    pub max_age: u64,
}

/// Notes that a nonce is used now unless it is not to be spent, or refuses it.
pub fn take<S: Shared>(store: &S, used: &Use, now: u64, spends: bool) -> Result<(), Reason> {
    let digest = Sha256::new_with_prefix(used.key_id)
        .chain_update([0])
        .chain_update(used.nonce)
        .finalize();
    let (nonce, rest) = digest.split_at(NONCE_BYTES);
    let at = rest.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte)) % LISTS;
    let key = format!("mixer.auth.nonces.{}.{at}", used.key_id);
    for _ in 0..ATTEMPTS {
        let (mut list, cas) = match store.shared(key.as_bytes()) {
            Ok(Some((bytes, cas))) => (List::decode(&bytes).ok_or(Reason::NonceStore)?, cas),
            Ok(None) => (List::default(), NEVER_SET),
            Err(Unavailable) => return Err(Reason::NonceStore),
        };
        list.add(nonce, used, now)?;
        if !spends {
            return Ok(());
        }
        match store.set_shared(key.as_bytes(), &list.encode(), cas) {
            Set::Done => return Ok(()),
            Set::Raced => {}
            Set::Failed => return Err(Reason::NonceStore),
        }
    }
    Err(Reason::NonceStore)
}

#[derive(Debug, Default, PartialEq)]
struct List {
    /// When the newest of those was made that were left out: what is as old may be one of them,
    /// and is refused also if the clock goes back, or a new configuration takes older ones.
    forgotten: u64,
    /// Nonces, and when each was made.
    entries: Vec<([u8; NONCE_BYTES], u64)>,
}

impl List {
    fn add(&mut self, nonce: &[u8], used: &Use, now: u64) -> Result<(), Reason> {
        if used.created <= self.forgotten {
            return Err(Reason::SignatureExpired);
        }
        if self.entries.iter().any(|(known, _)| known == nonce) {
            return Err(Reason::SignatureReplayed);
        }
        let is_over = |created: u64| created.saturating_add(used.max_age) <= now;
        let made = self.entries.iter().map(|(_, created)| *created);
        self.forgotten = made.filter(|c| is_over(*c)).fold(self.forgotten, u64::max);
        self.entries.retain(|(_, created)| !is_over(*created));
        if self.entries.len() >= SLOTS {
            return Err(Reason::NonceStore);
        }
        let nonce = nonce.try_into().map_err(|_| Reason::NonceStore)?;
        self.entries.push((nonce, used.created));
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.forgotten.to_le_bytes().to_vec();
        for (nonce, created) in &self.entries {
            bytes.extend(nonce);
            bytes.extend(created.to_le_bytes());
        }
        bytes
    }

    /// None for what is none of ours: nothing tells which nonces were used.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (forgotten, entries) = bytes.split_first_chunk::<8>()?;
        let (entries, []) = entries.as_chunks::<ENTRY_BYTES>() else {
            return None;
        };
        let entry = |bytes: &[u8; ENTRY_BYTES]| {
            let (nonce, created) = bytes.split_first_chunk::<NONCE_BYTES>()?;
            Some((*nonce, u64::from_le_bytes(created.try_into().ok()?)))
        };
        Some(Self {
            forgotten: u64::from_le_bytes(*forgotten),
            entries: entries.iter().map(entry).collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Memory {
        values: RefCell<BTreeMap<Vec<u8>, (Vec<u8>, u32)>>,
        /// What happens between the next read and its set.
        between: RefCell<Option<Box<dyn FnOnce(&Memory)>>>,
        full: bool,
    }

    impl Shared for Memory {
        fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
            let value = self.values.borrow().get(key).cloned();
            if let Some(other) = self.between.take() {
                other(self);
            }
            Ok(value)
        }

        fn set_shared(&self, key: &[u8], value: &[u8], cas: u32) -> Set {
            if self.full {
                return Set::Failed;
            }
            let mut values = self.values.borrow_mut();
            let number = values.get(key).map_or(0, |(_, number)| *number);
            if number != 0 && number != cas {
                return Set::Raced;
            }
            values.insert(key.to_vec(), (value.to_vec(), number + 1));
            Set::Done
        }
    }

    fn used(nonce: &str, created: u64, max_age: u64) -> Use<'_> {
        let nonce = nonce.as_bytes();
        Use {
            key_id: "k",
            nonce,
            created,
            max_age,
        }
    }

    fn taken(store: &Memory, nonce: &str, created: u64, now: u64) -> Result<(), Reason> {
        take(store, &used(nonce, created, 10), now, true)
    }

    #[test]
    fn once_and_not_again() {
        let store = Memory::default();
        assert_eq!(taken(&store, "a", 10, 10), Ok(()));
        assert_eq!(taken(&store, "b", 10, 10), Ok(()));
        assert_eq!(taken(&store, "a", 10, 10), Err(Reason::SignatureReplayed));
        assert_eq!(taken(&store, "a", 15, 15), Err(Reason::SignatureReplayed));
        let other = Use {
            key_id: "j",
            ..used("a", 10, 10)
        };
        assert_eq!(take(&store, &other, 10, true), Ok(()));
    }

    #[test]
    fn what_is_not_spent_is_only_looked_at() {
        let store = Memory::default();
        let looked = || take(&store, &used("a", 10, 10), 10, false);
        assert_eq!(looked(), Ok(()));
        assert!(store.values.borrow().is_empty());
        assert_eq!(taken(&store, "a", 10, 10), Ok(()));
        assert_eq!(looked(), Err(Reason::SignatureReplayed));
    }

    #[test]
    fn two_at_once() {
        let store = Memory::default();
        let first = |store: &Memory| assert_eq!(taken(store, "a", 10, 10), Ok(()));
        store.between.replace(Some(Box::new(first)));
        assert_eq!(taken(&store, "a", 10, 10), Err(Reason::SignatureReplayed));
    }

    #[test]
    fn a_full_list_refuses_until_some_are_over() {
        let mut list = List::default();
        for number in 0..SLOTS as u64 {
            let nonce = u128::from(number).to_le_bytes();
            assert_eq!(list.add(&nonce, &used("", 10 + number, 1000), 10), Ok(()));
        }
        let another = [255; NONCE_BYTES];
        let full = Err(Reason::NonceStore);
        assert_eq!(list.add(&another, &used("", 300, 1000), 1009), full);
        assert_eq!(list.add(&another, &used("", 300, 1000), 1010), Ok(()));
        assert_eq!(
            list.add(&[254; NONCE_BYTES], &used("", 300, 1000), 1010),
            full
        );
        assert_eq!(List::decode(&list.encode()), Some(list));
    }

    #[test]
    fn what_is_forgotten_is_not_let_in_again() {
        let forgot = || {
            let mut list = List::default();
            let (one, two) = ([1; NONCE_BYTES], [2; NONCE_BYTES]);
            assert_eq!(list.add(&one, &used("", 10, 10), 10), Ok(()));
            assert_eq!(list.add(&two, &used("", 90, 10), 90), Ok(()));
            assert_eq!(list.entries.len(), 1);
            list
        };
        let add = |created, max_age, now| {
            let nonce = [1; NONCE_BYTES];
            forgot().add(&nonce, &used("", created, max_age), now)
        };
        // The clock goes back; or a new configuration takes older ones.
        assert_eq!(add(10, 10, 10), Err(Reason::SignatureExpired));
        assert_eq!(add(10, 1000, 91), Err(Reason::SignatureExpired));
        assert_eq!(add(11, 10, 11), Ok(()));
    }

    #[test]
    fn a_store_that_fails_or_holds_rubbish_refuses() {
        let store = Memory {
            full: true,
            ..Memory::default()
        };
        assert_eq!(taken(&store, "a", 10, 10), Err(Reason::NonceStore));
        for rubbish in [&b"x"[..], b"", &[0; 8 + 23]] {
            let store = Memory::default();
            assert_eq!(taken(&store, "a", 10, 10), Ok(()));
            for (value, _) in store.values.borrow_mut().values_mut() {
                *value = rubbish.to_vec();
            }
            assert_eq!(taken(&store, "a", 11, 10), Err(Reason::NonceStore));
        }
    }
}
