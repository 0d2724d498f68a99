//! `mixer.operation` is `quota`: somebody asks for an amount of one quota.

use crate::config::{Config, OnError};
use crate::domain::{Descriptor, Domain, Entry, Rate};
use crate::identity::request_id;
use crate::ledger::{Account, Demand, Ledger, Taken};
use crate::limit::Limit;
use crate::request::Request;
use crate::store::Store;
use mixer_host::shared_data::Unavailable;

/// What is asked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// Or the domain.
    pub quota: String,
    pub amount: i64,
    pub best_effort: bool,
    /// Told again where the request comes again; empty where it is not to be known again.
    pub dedup_id: String,
    pub caller: String,
    /// Where it is asked by one of the protocols for rate limits.
    pub descriptor: Option<Descriptor>,
}

#[derive(Debug, PartialEq)]
pub enum Allocation {
    Granted(Grant),
    /// There is no quota of this name.
    Unknown,
    /// The store is full or does not answer, and the configuration denies then.
    Unavailable,
}

#[derive(Debug, PartialEq)]
pub struct Grant {
    pub amount: u64,
    /// Nanoseconds for which it holds.
    pub valid: u64,
    pub told: Told,
}

/// How the quota stands, as far as there is something to tell.
#[derive(Debug, PartialEq)]
pub enum Told {
    Nothing,
    Unlimited,
    Limited {
        /// What the limit is called.
        policy: String,
        limit: Limit,
        /// What is left, and the nanoseconds until the window is over; None where the store does
        /// not tell.
        standing: Option<(u64, u64)>,
    },
}

pub fn allocate<R: Request, S: Store>(
    config: &Config,
    request: &R,
    store: &S,
    asked: &Asked,
) -> Allocation {
    let office = Office {
        config,
        store,
        asked,
    };
    let quota = config.quotas.iter().position(|q| q.name == asked.quota);
    if let Some(at) = quota {
        return office.of_quota(request, at);
    }
    let domain = config.domains.iter().find(|d| d.name == asked.quota);
    match (domain, &asked.descriptor) {
        (Some(domain), Some(descriptor)) => office.of_domain(domain, descriptor),
        _ => Allocation::Unknown,
    }
}

struct Office<'a, S> {
    config: &'a Config,
    store: &'a S,
    asked: &'a Asked,
}

impl<S: Store> Office<'_, S> {
    fn of_quota<R: Request>(&self, request: &R, at: usize) -> Allocation {
        // Who tells what is left wants to hear it; a caller of Mixer asks for nothing.
        if self.asked.amount <= 0 && self.asked.descriptor.is_none() {
            return granted(0, 0, Told::Nothing);
        }
        if !request.holds(at) {
            return self.unlimited(Told::Nothing);
        }
        let Some(quota) = self.config.quotas.get(at) else {
            return Allocation::Unknown;
        };
        let account = Account::new(quota, &request.dimensions(at));
        self.from(&account, &quota.name)
    }

    fn of_domain(&self, domain: &Domain, descriptor: &Descriptor) -> Allocation {
        if descriptor.entries.is_empty() {
            return Allocation::Unavailable; // nobody asks so: it could not be read
        }
        let Some(found) = domain.find(descriptor) else {
            return self.unlimited(Told::Nothing);
        };
        match found.rate {
            Rate::Unlimited => self.unlimited(Told::Unlimited),
            Rate::Limited { name, limit } => {
                let account = Account::of_descriptor(domain, &found.entries, limit);
                self.from(&account, &name.unwrap_or_else(|| keys(&found.entries)))
            }
        }
    }

    /// What is not limited is granted in full.
    fn unlimited(&self, told: Told) -> Allocation {
        let amount = u64::try_from(self.asked.amount).unwrap_or(0);
        granted(amount, self.config.check_validity, told)
    }

    fn from(&self, account: &Account, policy: &str) -> Allocation {
        let told = |standing| Told::Limited {
            policy: policy.to_owned(),
            limit: account.limit,
            standing,
        };
        match (self.move_amount(account), self.config.on_error) {
            (Ok(taken), _) => {
                let told = told(Some((taken.left, taken.rest)));
                granted(taken.granted, taken.valid, told)
            }
            (Err(_), OnError::Allow) => {
                let amount = u64::try_from(self.asked.amount).unwrap_or(0);
                granted(amount, account.limit.window, told(None))
            }
            (Err(_), OnError::Deny) => Allocation::Unavailable,
        }
    }

    /// Takes the amount; a negative one, which only those ask for who took it before, comes back.
    fn move_amount(&self, account: &Account) -> Result<Taken, Unavailable> {
        let ledger = Ledger {
            store: self.store,
            deduplication: &self.config.deduplication,
        };
        let asked = self.asked;
        let Ok(amount) = u64::try_from(asked.amount) else {
            return ledger.put_back(account, asked.amount.unsigned_abs());
        };
        let id = (!asked.dedup_id.is_empty())
            .then(|| request_id(&asked.caller, &account.identity, &asked.dedup_id));
        let demand = Demand {
            amount,
            best_effort: asked.best_effort,
            id,
        };
        ledger.take(account, &demand)
    }
}

fn granted(amount: u64, valid: u64, told: Told) -> Allocation {
    Allocation::Granted(Grant {
        amount,
        valid,
        told,
    })
}

/// What a limit without a name is called: no values, which may be anybody's secrets.
fn keys(entries: &[&Entry]) -> String {
    let keys: Vec<_> = entries
        .iter()
        .map(|(key, _)| String::from_utf8_lossy(key))
        .collect();
    keys.join(".")
}
