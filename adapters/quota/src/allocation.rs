//! `mixer.operation` is `quota`: somebody asks for an amount of one quota.

use crate::config::{Config, OnError};
use crate::identity::request_id;
use crate::ledger::{Account, Demand, Ledger};
use crate::request::Request;
use crate::store::Store;

/// What is asked for.
#[derive(Debug, Default)]
pub struct Asked {
    pub quota: String,
    pub amount: i64,
    pub best_effort: bool,
    /// Told again where the request comes again; empty where it is not to be known again.
    pub dedup_id: String,
    pub caller: String,
}

#[derive(Debug, PartialEq)]
pub enum Allocation {
    /// The amount, and the nanoseconds for which it holds.
    Granted { amount: u64, valid: u64 },
    /// There is no quota of this name.
    Unknown,
    /// The store is full or does not answer, and the configuration denies then.
    Unavailable,
}

pub fn allocate<R: Request, S: Store>(
    config: &Config,
    request: &R,
    store: &S,
    asked: &Asked,
) -> Allocation {
    let Some(at) = config.quotas.iter().position(|q| q.name == asked.quota) else {
        return Allocation::Unknown;
    };
    // Nothing is ever put back: whoever sends a negative amount has not taken it before.
    let amount = u64::try_from(asked.amount).unwrap_or(0);
    if amount == 0 {
        return granted(0, 0);
    }
    if !request.holds(at) {
        return granted(amount, config.check_validity);
    }
    let Some(quota) = config.quotas.get(at) else {
        return Allocation::Unknown;
    };
    let account = Account::new(quota, &request.dimensions(at));
    let demand = Demand {
        amount,
        best_effort: asked.best_effort,
        id: (!asked.dedup_id.is_empty())
            .then(|| request_id(&asked.caller, &account.identity, &asked.dedup_id)),
    };
    let ledger = Ledger {
        store,
        deduplication: &config.deduplication,
    };
    match (ledger.take(&account, &demand), config.on_error) {
        (Ok(taken), _) => granted(taken.granted, taken.valid),
        (Err(_), OnError::Allow) => granted(amount, account.limit.window),
        (Err(_), OnError::Deny) => Allocation::Unavailable,
    }
}

fn granted(amount: u64, valid: u64) -> Allocation {
    Allocation::Granted { amount, valid }
}
