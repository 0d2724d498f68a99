//! `mixer.operation` is `quota`: somebody asks for an amount of one quota.

use crate::config::{Config, OnError};
use crate::counters::{Account, Charge, Standing, Take};
use crate::domain::{Descriptor, Domain, Entry, Rate};
use crate::identity::request_id;
use crate::limit::Limit;
use crate::request::Request;

/// There is no limit above it.
const MOST: i64 = (1 << 53) - 1;

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
    /// The counters cannot be reached, and the configuration denies then.
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
        /// What is left, and the nanoseconds until all of it is there again; None where the
        /// counters cannot be reached.
        standing: Option<(u64, u64)>,
    },
}

/// What is to be asked of the counters for it, if anything.
pub enum Order {
    Settled(Allocation),
    Ask(Errand),
}

/// An amount that is asked of one limit.
pub struct Errand {
    pub take: Take,
    amount: i64,
    limit: Limit,
    shadow: bool,
    /// What the limit is called.
    policy: String,
}

pub fn order<R: Request>(config: &Config, request: &R, asked: &Asked) -> Order {
    let office = Office { config, asked };
    let quota = config.quotas.iter().position(|q| q.name == asked.quota);
    if let Some(at) = quota {
        return office.of_quota(request, at);
    }
    let domain = config.domains.iter().find(|d| d.name == asked.quota);
    match (domain, &asked.descriptor) {
        (Some(domain), Some(descriptor)) => office.of_domain(domain, descriptor),
        _ => Order::Settled(Allocation::Unknown),
    }
}

struct Office<'a> {
    config: &'a Config,
    asked: &'a Asked,
}

impl Office<'_> {
    fn of_quota<R: Request>(&self, request: &R, at: usize) -> Order {
        // Who tells what is left wants to hear it; a caller of Mixer asks for nothing.
        if self.asked.amount <= 0 && self.asked.descriptor.is_none() {
            return Order::Settled(granted(0, 0, Told::Nothing));
        }
        if !request.holds(at) {
            return self.unlimited(Told::Nothing);
        }
        let Some(quota) = self.config.quotas.get(at) else {
            return Order::Settled(Allocation::Unknown);
        };
        let account = Account::new(quota, &request.dimensions(at));
        self.ask(account, quota.name.clone(), quota.shadow)
    }

    fn of_domain(&self, domain: &Domain, descriptor: &Descriptor) -> Order {
        if descriptor.entries.is_empty() {
            return Order::Settled(Allocation::Unavailable); // nobody asks so: it could not be read
        }
        let Some(found) = domain.find(descriptor) else {
            return self.unlimited(Told::Nothing);
        };
        match found.rate {
            Rate::Unlimited => self.unlimited(Told::Unlimited),
            Rate::Limited { name, limit } => {
                let parts = found.entries.iter().flat_map(|(key, value)| [key, value]);
                let parts: Vec<Vec<u8>> = parts.cloned().collect();
                let account = Account::under(&domain.name, &parts, limit, &domain.records);
                let policy = name.unwrap_or_else(|| keys(&found.entries));
                self.ask(account, policy, found.shadow)
            }
        }
    }

    /// What is not limited is granted in full.
    fn unlimited(&self, told: Told) -> Order {
        let amount = u64::try_from(self.asked.amount).unwrap_or(0);
        Order::Settled(granted(amount, self.config.check_validity, told))
    }

    fn ask(&self, account: Account, policy: String, shadow: bool) -> Order {
        let asked = self.asked;
        // What is more than any limit is not there, and is no amount that counters take.
        let never = asked.amount > MOST && !asked.best_effort;
        let cost = if never {
            0
        } else {
            asked.amount.clamp(-MOST, MOST)
        };
        let is_told_again = !asked.dedup_id.is_empty() && cost > 0;
        let errand = Errand {
            amount: asked.amount,
            limit: account.limit,
            shadow,
            policy,
            take: Take {
                best_effort: asked.best_effort,
                id: is_told_again
                    .then(|| request_id(&asked.caller, &account.identity, &asked.dedup_id)),
                remembered_for: self.config.deduplication.window,
                charges: vec![Charge {
                    account,
                    cost,
                    shadow,
                }],
            },
        };
        if errand.limit.max > 0 {
            return Order::Ask(errand);
        }
        // There is nothing to count.
        let nothing = Standing {
            reset: errand.limit.window,
            ..Standing::default()
        };
        Order::Settled(errand.settle(self.config, &[Some(nothing)]))
    }
}

impl Errand {
    /// What comes of it, by the standing of its charge.
    pub fn settle(&self, config: &Config, standings: &[Option<Standing>]) -> Allocation {
        let amount = u64::try_from(self.amount).unwrap_or(0);
        let told = |standing| Told::Limited {
            policy: self.policy.clone(),
            limit: self.limit,
            standing,
        };
        match (standings.first().copied().flatten(), config.on_error) {
            (Some(one), _) => {
                let told = told(Some((one.remaining, one.reset)));
                let amount = if self.shadow { amount } else { one.granted };
                granted(amount, self.valid(amount, &one), told)
            }
            (None, OnError::Deny) if !self.shadow => Allocation::Unavailable,
            _ => granted(amount, self.limit.window, told(None)),
        }
    }

    /// Whether it is only for being a shadow that the limit does not refuse.
    pub fn would_refuse(&self, standings: &[Option<Standing>]) -> bool {
        self.shadow && standings.iter().flatten().any(|one| one.refused)
    }

    /// Nanoseconds: until all is there again, or where nothing was there, until something is.
    fn valid(&self, granted: u64, standing: &Standing) -> u64 {
        match granted {
            1.. => standing.reset,
            0 if self.take.best_effort => standing.reset.min(self.limit.time_for(1)),
            0 => 0,
        }
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
