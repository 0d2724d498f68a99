//! Requests that wait for an answer of another service: who waits for what, and whose turn it is.

use crate::remote::Wanted;
use std::collections::{BTreeMap, VecDeque};

/// How often one request waits: for the keys, for another set of them, and for an introspection.
const MAX_WAITS: u8 = 3;

#[derive(Default)]
pub struct Waiting {
    waiters: BTreeMap<u32, Waiter>,
    ready: VecDeque<u32>,
}

struct Waiter {
    wanted: Wanted,
    waits: u8,
    is_ready: bool,
}

impl Waiting {
    /// Whether the request may wait; it must be told of its turn.
    pub fn add(&mut self, context: u32, wanted: Wanted, waited: u8) -> bool {
        if waited >= MAX_WAITS {
            return false;
        }
        let waiter = Waiter {
            wanted,
            waits: waited + 1,
            is_ready: false,
        };
        self.waiters.insert(context, waiter);
        true
    }

    pub fn contains(&self, context: u32) -> bool {
        self.waiters.contains_key(&context)
    }

    /// The request is gone, or waits no longer. What it waited for.
    pub fn remove(&mut self, context: u32) -> Option<Wanted> {
        let waiter = self.waiters.remove(&context)?;
        if waiter.is_ready {
            self.ready.retain(|ready| *ready != context);
        }
        Some(waiter.wanted)
    }

    /// What was wanted is there, or will not be.
    pub fn complete(&mut self, wanted: Wanted) {
        let waits = |w: &Waiter| w.wanted == wanted && !w.is_ready;
        for (context, waiter) in self.waiters.iter_mut().filter(|(_, w)| waits(w)) {
            waiter.is_ready = true;
            self.ready.push_back(*context);
        }
    }

    /// Whose turn it is, with what it waited for and how often it has waited.
    pub fn next(&mut self) -> Option<(u32, Wanted, u8)> {
        let context = self.ready.pop_front()?;
        let waiter = self.waiters.remove(&context)?;
        Some((context, waiter.wanted, waiter.waits))
    }

    /// Whether someone's turn is still to come.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub fn is_wanted(&self, wanted: Wanted) -> bool {
        self.waiters.values().any(|w| w.wanted == wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Wanted = Wanted::KeySet(0);
    const TOKEN: Wanted = Wanted::Introspection([1; 32]);

    #[test]
    fn those_who_wait_for_it_have_their_turn_once() {
        let mut waiting = Waiting::default();
        for (context, wanted) in [(1, KEYS), (2, TOKEN), (3, KEYS)] {
            assert!(waiting.add(context, wanted, 0));
        }
        waiting.complete(KEYS);
        assert!(waiting.is_ready() && waiting.is_wanted(KEYS));
        assert_eq!(waiting.next(), Some((1, KEYS, 1)));
        assert_eq!(waiting.next(), Some((3, KEYS, 1)));
        assert_eq!(waiting.next(), None);
        assert!(waiting.contains(2) && waiting.is_wanted(TOKEN) && !waiting.is_wanted(KEYS));
    }

    #[test]
    fn who_is_gone_has_no_turn() {
        let mut waiting = Waiting::default();
        waiting.add(1, KEYS, 0);
        waiting.complete(KEYS);
        waiting.remove(1);
        assert!(!waiting.is_ready());
        assert_eq!(waiting.next(), None);
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut waiting = Waiting::default();
        assert!(waiting.add(1, KEYS, MAX_WAITS - 1));
        assert!(!waiting.add(2, KEYS, MAX_WAITS));
    }
}
