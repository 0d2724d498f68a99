//! A provider's keys that are fetched: when to fetch them, and how long they are used.

use crate::config::remote_keys;
use crate::jwk::{Algorithm, Key};
use crate::remote::{Answer, Call, HttpUri, Wanted};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::rc::Rc;

/// Of a key set as it is sent. 64 RSA keys of 4096 bits with certificates fit.
pub const MAX_JWKS_BYTES: usize = 256 * 1024;

/// All in seconds.
#[derive(Debug)]
pub struct Durations {
    /// How long a fetched set is used before it is fetched again.
    pub cache: u64,
    /// How much longer while it cannot be fetched again.
    pub stale: u64,
    /// How long to wait after a failure.
    pub failed_refetch: u64,
    /// How often a `kid` that is not in the set has it fetched again.
    pub unknown_kid: u64,
}

pub struct RemoteJwks {
    pub uri: HttpUri,
    pub durations: Durations,
    pub algorithms: Option<Vec<Algorithm>>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    set: Option<Rc<KeySet>>,
    fetched_at: u64,
    /// Seconds of the last failure, unless a fetch has succeeded since.
    failed_at: Option<u64>,
    /// When the set was last fetched for a `kid`.
    asked_for_kid_at: Option<u64>,
    in_flight: bool,
    /// A request waits for it, or its time has come.
    wanted: bool,
}

pub struct KeySet {
    pub keys: Vec<Key>,
    digest: [u8; 32],
    /// Tells a set from the one before it.
    pub generation: u64,
}

/// The keys to verify with, or what to do without any.
pub enum Lookup {
    /// With the seconds for which a decision made by them holds.
    Keys(Rc<KeySet>, f64),
    /// They are being fetched, or are to be.
    Wait,
    /// A fetch has just failed.
    Unavailable,
}

impl RemoteJwks {
    pub fn new(uri: HttpUri, durations: Durations, algorithms: Option<Vec<Algorithm>>) -> Self {
        let state = RefCell::default();
        Self {
            uri,
            durations,
            algorithms,
            state,
        }
    }

    pub fn lookup(&self, now: u64) -> Lookup {
        let mut state = self.state.borrow_mut();
        state.notice(now);
        if let Some((set, age)) = state.usable(&self.durations, now) {
            let left = self.durations.cache.saturating_sub(age);
            // The clock gives whole seconds.
            return Lookup::Keys(set, left.saturating_sub(1) as f64);
        }
        state.set = None;
        match state.want(&self.durations, now) {
            true => Lookup::Wait,
            false => Lookup::Unavailable,
        }
    }

    /// A token names a key that the set lacks: whether to wait for another set.
    pub fn miss(&self, now: u64) -> bool {
        let mut state = self.state.borrow_mut();
        state.notice(now);
        if state.in_flight {
            return true;
        }
        let again = |at| now - at >= self.durations.unknown_kid;
        if !state.asked_for_kid_at.is_none_or(again) || !state.want(&self.durations, now) {
            return false;
        }
        state.asked_for_kid_at = Some(now);
        true
    }

    /// What is to be sent now, if anything. Who takes it says later how it ended.
    pub fn take_call(&self, provider: usize, now: u64) -> Option<Call> {
        let mut state = self.state.borrow_mut();
        state.notice(now);
        if state.is_due(&self.durations, now) {
            state.want(&self.durations, now);
        }
        if state.in_flight || !std::mem::take(&mut state.wanted) {
            return None;
        }
        state.in_flight = true;
        Some(Call {
            wanted: Wanted::KeySet(provider),
            method: "GET",
            headers: vec![(
                "accept",
                "application/jwk-set+json, application/json".to_owned(),
            )],
            body: None,
        })
    }

    /// The answer, or None where there is none. The error is for operators.
    pub fn complete(&self, answer: Option<Answer>, now: u64) -> Result<(), String> {
        let read = answer
            .ok_or_else(|| "no answer".to_owned())
            .and_then(|a| self.read(&a));
        let mut state = self.state.borrow_mut();
        state.in_flight = false;
        match read {
            Ok(set) => {
                state.set = Some(set);
                state.fetched_at = now;
                state.failed_at = None;
                Ok(())
            }
            Err(error) => {
                state.failed_at = Some(now);
                Err(error)
            }
        }
    }

    fn read(&self, answer: &Answer) -> Result<Rc<KeySet>, String> {
        if answer.status != 200 {
            return Err(format!("status {}", answer.status));
        }
        if answer.body.len() > MAX_JWKS_BYTES {
            return Err(format!("more than {MAX_JWKS_BYTES} bytes"));
        }
        let digest: [u8; 32] = Sha256::digest(&answer.body).into();
        let before = self.state.borrow().set.clone();
        // Tokens that were verified with the same keys need not be verified again.
        if let Some(same) = before.as_ref().filter(|set| set.digest == digest) {
            return Ok(same.clone());
        }
        let keys = remote_keys(&answer.body, self.algorithms.as_deref())?;
        Ok(Rc::new(KeySet {
            keys,
            digest,
            generation: u64::from_le_bytes(digest[..8].try_into().unwrap_or_default()),
        }))
    }
}

impl State {
    /// A clock that goes back must not make what was fetched hold longer than once more.
    fn notice(&mut self, now: u64) {
        self.fetched_at = self.fetched_at.min(now);
        self.failed_at = self.failed_at.map(|at| at.min(now));
        self.asked_for_kid_at = self.asked_for_kid_at.map(|at| at.min(now));
    }

    /// The set and its age.
    fn usable(&self, durations: &Durations, now: u64) -> Option<(Rc<KeySet>, u64)> {
        let age = now - self.fetched_at;
        let set = self.set.clone()?;
        (age < durations.cache + durations.stale).then_some((set, age))
    }

    /// Whether it is time to fetch, although nobody waits: a tenth of its time before a set ends.
    fn is_due(&self, durations: &Durations, now: u64) -> bool {
        let early = (durations.cache / 10).max(1);
        self.set.is_none() || now - self.fetched_at + early >= durations.cache
    }

    /// Has a fetch made unless one has just failed; whether one is under way or will be.
    fn want(&mut self, durations: &Durations, now: u64) -> bool {
        let again = |at| now - at >= durations.failed_refetch;
        if !self.in_flight && self.failed_at.is_none_or(again) {
            self.wanted = true;
        }
        self.in_flight || self.wanted
    }
}
