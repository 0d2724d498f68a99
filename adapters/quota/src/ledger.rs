//! Taking from one limit, in the bucket that it and its dimensions belong to.

use crate::bucket::{Answer, Bucket};
use crate::config::Deduplication;
use crate::counters::{Account, Standing};
use crate::identity::RequestId;
use crate::limit::Limit;
use crate::state::State;
use crate::store::{update, Changed, Store};
use mixer_host::shared_data::Unavailable;

/// What is wanted of a limit.
pub struct Demand {
    pub amount: u64,
    pub best_effort: bool,
    /// Where the request may come again.
    pub id: Option<RequestId>,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub standing: Standing,
    /// What the limit's state was then.
    state: State,
}

pub struct Ledger<'a, S> {
    pub store: &'a S,
    pub deduplication: &'a Deduplication,
}

impl<S: Store> Ledger<'_, S> {
    /// Takes what is wanted, once for each request id; a full bucket is as a store that is not
    /// there.
    pub fn take(&self, account: &Account, demand: &Demand) -> Result<Taken, Unavailable> {
        update(self.store, &account.key(), |bucket, now| {
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
        let limit = account.limit;
        let moved = self.advance(bucket, account, now);
        let mut state = bucket.state(&account.identity, limit, now);
        if let Some(answer) = demand.id.as_ref().and_then(|id| bucket.answer(id)) {
            let mut standing = stands(&state, limit, now, demand.amount);
            standing.granted = answer.granted;
            standing.refused = answer.granted < demand.amount;
            standing.reset = answer.until.saturating_sub(now);
            return Changed::new(Ok(Taken { standing, state }), moved);
        }
        let retry_after = state.retry_after(limit, now, demand.amount);
        let granted = state.take(limit, now, demand.amount, demand.best_effort);
        let standing = Standing {
            granted,
            refused: granted < demand.amount,
            retry_after,
            ..stands(&state, limit, now, 0)
        };
        if granted > 0 && !bucket.keep(&account.identity, state) {
            return Changed::new(Err(Unavailable), moved);
        }
        if let Some(id) = demand.id {
            bucket.remember(answer(id, &standing, now), self.deduplication.entries);
        }
        let keep = moved || granted > 0 || demand.id.is_some();
        Changed::new(Ok(Taken { standing, state }), keep)
    }

    /// Brings a bucket to a time, and what it has of an account in line with its limit; returns
    /// whether it must be kept.
    fn advance(&self, bucket: &mut Bucket, account: &Account, now: u64) -> bool {
        let moved = bucket.advance(now, self.deduplication.window);
        bucket.adjust(&account.identity, account.limit, now) || moved
    }

    /// How it would be to take an amount.
    pub fn look(&self, account: &Account, amount: u64) -> Result<Standing, Unavailable> {
        update(self.store, &account.key(), |bucket, now| {
            let moved = self.advance(bucket, account, now);
            let state = bucket.state(&account.identity, account.limit, now);
            Changed::new(stands(&state, account.limit, now, amount), moved)
        })
    }

    /// Puts an amount back, as far as it is taken now.
    pub fn put_back(&self, account: &Account, amount: u64) -> Result<Taken, Unavailable> {
        update(self.store, &account.key(), |bucket, now| {
            let moved = self.advance(bucket, account, now);
            let had = bucket.state(&account.identity, account.limit, now);
            let mut state = had;
            state.give_back(account.limit, now, amount);
            let standing = stands(&state, account.limit, now, 0);
            let less = standing.reset < had.reset(account.limit, now)
                || standing.remaining > had.left(account.limit, now);
            let keep = moved || (less && bucket.keep(&account.identity, state));
            Changed::new(Taken { standing, state }, keep)
        })
    }

    /// Undoes a take, unless it is over.
    pub fn undo(&self, account: &Account, taken: &Taken) -> Result<(), Unavailable> {
        update(self.store, &account.key(), |bucket, now| {
            self.advance(bucket, account, now);
            let mut state = bucket.state(&account.identity, account.limit, now);
            let granted = taken.standing.granted;
            let keep = state.undo(account.limit, now, &taken.state, granted)
                && bucket.keep(&account.identity, state);
            Changed::new((), keep)
        })
    }
}

/// How a limit stands for somebody who wants an amount.
fn stands(state: &State, limit: Limit, now: u64, amount: u64) -> Standing {
    let remaining = state.left(limit, now);
    Standing {
        granted: 0,
        refused: amount > remaining,
        remaining,
        reset: state.reset(limit, now),
        retry_after: state.retry_after(limit, now, amount),
    }
}

fn answer(id: RequestId, standing: &Standing, now: u64) -> Answer {
    Answer {
        id,
        granted: standing.granted,
        until: now.saturating_add(standing.reset),
        at: now,
    }
}
