//! Nobody says what is asked, as in a plain proxy: each request takes one of every quota.

use crate::config::{Config, OnError};
use crate::ledger::{Account, Demand, Ledger, Taken};
use crate::limit::{Limit, Quota};
use crate::request::Request;
use crate::store::Store;

/// How a quota stands after a request.
#[derive(Debug, PartialEq)]
pub struct Standing<'a> {
    pub quota: &'a str,
    pub limit: Limit,
    pub left: u64,
    /// Nanoseconds until the window is over.
    pub rest: u64,
}

#[derive(Debug, PartialEq)]
pub enum Charge<'a> {
    Passed(Vec<Standing<'a>>),
    /// Nothing was taken of any quota, because this one has nothing left.
    Exhausted(Standing<'a>),
    /// The store is full or does not answer for this quota, and the configuration denies then.
    Unavailable(&'a str),
}

const ONE: Demand = Demand {
    amount: 1,
    best_effort: false,
    id: None,
};
const NONE: Demand = Demand {
    amount: 0,
    best_effort: false,
    id: None,
};

struct Charger<'a, S> {
    ledger: Ledger<'a, S>,
    on_error: OnError,
    taken: Vec<(&'a Quota, Account, Taken)>,
}

pub fn charge<'a, R: Request, S: Store>(
    config: &'a Config,
    request: &R,
    store: &'a S,
) -> Charge<'a> {
    let accounts: Vec<(&Quota, Account)> = config
        .quotas
        .iter()
        .enumerate()
        .filter(|(at, _)| request.holds(*at))
        .map(|(at, quota)| (quota, Account::new(quota, &request.dimensions(at))))
        .collect();
    let mut charger = Charger {
        ledger: Ledger {
            store,
            deduplication: &config.deduplication,
        },
        on_error: config.on_error,
        taken: Vec::with_capacity(accounts.len()),
    };
    if let Some(refused) = charger.look(&accounts) {
        return refused;
    }
    for (quota, account) in accounts {
        if let Some(refused) = charger.take(quota, account) {
            charger.give_back();
            return refused;
        }
    }
    Charge::Passed(charger.standings())
}

impl<'a, S: Store> Charger<'a, S> {
    /// Where there are several, an exhausted one is found before any is touched: what is taken
    /// and given back would be missed by others in the meantime.
    fn look(&self, accounts: &[(&'a Quota, Account)]) -> Option<Charge<'a>> {
        if accounts.len() < 2 {
            return None;
        }
        accounts.iter().find_map(|(quota, account)| {
            let seen = self.ledger.take(account, &NONE).ok()?;
            (seen.left == 0).then(|| Charge::Exhausted(standing(quota, account, &seen)))
        })
    }

    fn take(&mut self, quota: &'a Quota, account: Account) -> Option<Charge<'a>> {
        match self.ledger.take(&account, &ONE) {
            Ok(taken) if taken.granted == 0 => {
                return Some(Charge::Exhausted(standing(quota, &account, &taken)));
            }
            Ok(taken) => self.taken.push((quota, account, taken)),
            Err(_) if self.on_error == OnError::Allow => {}
            Err(_) => return Some(Charge::Unavailable(&quota.name)),
        }
        None
    }

    fn give_back(&self) {
        for (_, account, taken) in &self.taken {
            // A store that fails now keeps the one until the window is over.
            let _ = self.ledger.give_back(account, taken);
        }
    }

    fn standings(&self) -> Vec<Standing<'a>> {
        let stands =
            |(quota, account, taken): &(&'a Quota, Account, Taken)| standing(quota, account, taken);
        self.taken.iter().map(stands).collect()
    }
}

fn standing<'a>(quota: &'a Quota, account: &Account, taken: &Taken) -> Standing<'a> {
    Standing {
        quota: &quota.name,
        limit: account.limit,
        left: taken.left,
        rest: taken.rest,
    }
}
