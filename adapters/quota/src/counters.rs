//! What is asked of the counters of limits, and what they answer. Source: `mixer.quota.v1`.

use crate::identity::{bucket_of, identity, Identity, RequestId};
use crate::limit::{Limit, Quota, Records};

/// As many limits can be asked at once.
pub const MAX_CHARGES: usize = 64;

pub trait Counters {
    /// Takes of all charges, or of none where one that is no shadow refuses.
    fn take(&self, take: &Take) -> Answer;

    /// The same within the bounds; nothing is asked for nothing.
    fn ask(&self, take: &Take) -> Answer {
        match take.charges.len() {
            1..=MAX_CHARGES => self.take(take),
            count => Answer::Now(vec![None; count]),
        }
    }
}

pub struct Take {
    pub charges: Vec<Charge>,
    /// Takes what there is, of a single charge.
    pub best_effort: bool,
    /// Where the request may come again.
    pub id: Option<RequestId>,
    /// Nanoseconds for which its answer is remembered.
    pub remembered_for: u64,
}

pub struct Charge {
    pub account: Account,
    /// 0 looks; a negative one is put back.
    pub cost: i64,
    /// Takes what there is, and never refuses.
    pub shadow: bool,
}

/// A limit for certain dimensions.
pub struct Account {
    pub identity: Identity,
    pub limit: Limit,
    records: Records,
}

#[derive(Debug, PartialEq)]
pub enum Answer {
    /// For each charge, in their order; None where its counter cannot be reached.
    Now(Vec<Option<Standing>>),
    /// The answer comes under this number.
    Later(u32),
}

/// How a limit stands. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    pub granted: u64,
    /// Whether there is less than was asked for.
    pub refused: bool,
    pub remaining: u64,
    /// Until all of it is there again: the end of a fixed window.
    pub reset: u64,
    /// Until the same charge could pass; 0 where it passed, or never would.
    pub retry_after: u64,
}

impl Account {
    pub fn new(quota: &Quota, values: &[Vec<u8>]) -> Self {
        let limit = quota.limit_for(values);
        Self::under(&quota.name, values, limit, &quota.records)
    }

    pub fn under(name: &str, values: &[Vec<u8>], limit: Limit, records: &Records) -> Self {
        Self {
            identity: identity(name, values),
            limit,
            records: records.clone(),
        }
    }

    /// Of its record in shared data.
    pub fn key(&self) -> Vec<u8> {
        let record = bucket_of(&self.identity, self.records.count);
        self.records.key(record)
    }
}
