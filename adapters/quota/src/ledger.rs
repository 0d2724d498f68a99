//! Taking from a quota, in the bucket that it and its dimensions belong to.

use crate::bucket::{Answer, Bucket};
use crate::config::Deduplication;
use crate::domain::{Domain, Entry};
use crate::identity::{bucket_of, identity, Identity, RequestId};
use crate::limit::{Limit, Quota};
use crate::store::{update, Changed, Store};
use crate::window::Window;
use mixer_host::shared_data::Unavailable;

/// A quota for certain dimensions.
pub struct Account {
    pub identity: Identity,
    pub limit: Limit,
    key: Vec<u8>,
}

/// What is wanted of it.
pub struct Demand {
    pub amount: u64,
    pub best_effort: bool,
    /// Where the request may come again.
    pub id: Option<RequestId>,
}

/// What came of it. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taken {
    pub granted: u64,
    /// How long the grant holds.
    pub valid: u64,
    /// What is left in the window.
    pub left: u64,
    /// Until the window is over.
    pub rest: u64,
    /// When the window began.
    pub start: u64,
}

pub struct Ledger<'a, S> {
    pub store: &'a S,
    pub deduplication: &'a Deduplication,
}

impl Account {
    pub fn new(quota: &Quota, values: &[Vec<u8>]) -> Self {
        let limit = quota.limit_for(values);
        Self::under(&quota.name, values, limit, quota.buckets)
    }

    /// Every combination of values has one.
    pub fn of_descriptor(domain: &Domain, entries: &[&Entry], limit: Limit) -> Self {
        let parts = entries.iter().flat_map(|(key, value)| [key, value]);
        let parts: Vec<Vec<u8>> = parts.cloned().collect();
        Self::under(&domain.name, &parts, limit, domain.buckets)
    }

    fn under(name: &str, values: &[Vec<u8>], limit: Limit, buckets: u32) -> Self {
        let identity = identity(name, values);
        let bucket = bucket_of(&identity, buckets);
        Self {
            identity,
            limit,
            key: format!("mixer.quota/{name}/{bucket:x}").into_bytes(),
        }
    }
}

impl<S: Store> Ledger<'_, S> {
    /// Takes what is wanted, once for each request id; a full bucket is as a store that is not
    /// there.
    pub fn take(&self, account: &Account, demand: &Demand) -> Result<Taken, Unavailable> {
        update(self.store, &account.key, |bucket, now| {
            self.take_from(bucket, account, demand, now)
        })?
    }

    fn take_from(
        &self,
        bucket: &mut Bucket,
        account: &Account,
        demand: &Demand,
        now: u64,
    ) -> Changed<Result<Taken, Unavailable>> {
        let moved = bucket.advance(now, self.deduplication.window);
        let mut window = bucket.window(&account.identity, account.limit, now);
        if let Some(answer) = demand.id.as_ref().and_then(|id| bucket.answer(id)) {
            let mut taken = told(&window, account.limit, now);
            taken.granted = answer.granted;
            taken.valid = answer.until.saturating_sub(now);
            let result = Ok(taken);
            return Changed {
                result,
                keep: moved,
            };
        }
        let granted = window.take(account.limit, demand.amount, demand.best_effort);
        let mut taken = told(&window, account.limit, now);
        taken.granted = granted;
        if granted > 0 || demand.best_effort {
            taken.valid = taken.rest;
        }
        if granted > 0 && !bucket.keep(&account.identity, window) {
            let result = Err(Unavailable);
            return Changed {
                result,
                keep: moved,
            };
        }
        if let Some(id) = demand.id {
            bucket.remember(answer(id, &taken, now), self.deduplication.entries);
        }
        let keep = moved || granted > 0 || demand.id.is_some();
        let result = Ok(taken);
        Changed { result, keep }
    }

    /// Puts an amount back into the window that there is now, as far as it was taken in it.
    pub fn put_back(&self, account: &Account, amount: u64) -> Result<Taken, Unavailable> {
        update(self.store, &account.key, |bucket, now| {
            let moved = bucket.advance(now, self.deduplication.window);
            let mut window = bucket.window(&account.identity, account.limit, now);
            let had = window.used;
            window.give_back(amount);
            let result = told(&window, account.limit, now);
            let keep = moved || (window.used < had && bucket.keep(&account.identity, window));
            Changed { result, keep }
        })
    }

    /// Undoes a take, if its window is still the one.
    pub fn give_back(&self, account: &Account, taken: &Taken) -> Result<(), Unavailable> {
        update(self.store, &account.key, |bucket, now| {
            bucket.advance(now, self.deduplication.window);
            let mut window = bucket.window(&account.identity, account.limit, now);
            let keep = window.start == taken.start;
            if keep {
                window.give_back(taken.granted);
                bucket.keep(&account.identity, window);
            }
            Changed { result: (), keep }
        })
    }
}

/// How a window stands, for an answer that grants nothing yet.
fn told(window: &Window, limit: Limit, now: u64) -> Taken {
    Taken {
        granted: 0,
        valid: 0,
        left: window.left(limit),
        rest: window.rest(now),
        start: window.start,
    }
}

fn answer(id: RequestId, taken: &Taken, now: u64) -> Answer {
    Answer {
        id,
        granted: taken.granted,
        until: now.saturating_add(taken.valid),
        at: now,
    }
}
