//! Nobody says what is asked, as in a plain proxy: each request takes of every quota.

use crate::config::{Config, OnError};
use crate::counters::{Account, Charge, Standing, Take};
use crate::limit::{Limit, Quota};
use crate::request::Request;

/// There is no limit above it.
const MOST: u64 = (1 << 53) - 1;

/// What a request is to take.
pub struct Plan {
    pub take: Take,
    /// For each charge the index of its quota, and what it costs.
    parts: Vec<(usize, u64)>,
    /// Nothing is taken, and the answer is what it would be.
    looks: bool,
}

/// How a quota stands after a request.
#[derive(Debug, PartialEq)]
pub struct Item<'a> {
    pub quota: &'a str,
    pub limit: Limit,
    pub left: u64,
    /// Nanoseconds until all of it is there again.
    pub reset: u64,
}

#[derive(Debug, PartialEq)]
pub enum Verdict<'a> {
    Passed {
        items: Vec<Item<'a>>,
        /// Those that would have refused, but for being shadows.
        shadows: Vec<&'a str>,
    },
    /// Nothing was taken of any quota, because this one has too little left.
    Exhausted {
        item: Item<'a>,
        /// Nanoseconds; None where it would never pass.
        retry_after: Option<u64>,
    },
    /// The counters of this quota cannot be reached, and the configuration denies then.
    Unavailable(&'a str),
}

impl Plan {
    /// Of the quotas that hold for a request; `looks` where nothing is to be taken.
    pub fn new<R: Request>(config: &Config, request: &R, looks: bool) -> Self {
        let mut plan = Self {
            take: Take {
                charges: Vec::with_capacity(config.quotas.len()),
                best_effort: false,
                id: None,
                remembered_for: 0,
            },
            parts: Vec::with_capacity(config.quotas.len()),
            looks,
        };
        for (at, quota) in config.quotas.iter().enumerate() {
            if request.holds(at) {
                plan.add(at, quota, request);
            }
        }
        plan
    }

    fn add<R: Request>(&mut self, at: usize, quota: &Quota, request: &R) {
        let cost = request.cost(at);
        self.parts.push((at, cost));
        self.take.charges.push(Charge {
            account: Account::new(quota, &request.dimensions(at)),
            cost: match self.looks {
                true => 0,
                false => i64::try_from(cost.min(MOST)).unwrap_or(i64::MAX),
            },
            shadow: quota.shadow,
        });
    }

    /// What comes of it, by the standings of its charges.
    pub fn conclude<'a>(&self, config: &'a Config, standings: &[Option<Standing>]) -> Verdict<'a> {
        let found = self.found(config, standings);
        let binding = || found.iter().filter(|one| !one.quota.shadow);
        if let Some((first, standing)) = binding().find_map(Found::refusal) {
            return Verdict::Exhausted {
                item: first.item(standing),
                retry_after: longest(binding()),
            };
        }
        let mut unreached = binding().filter(|one| one.standing.is_none());
        if let (Some(one), OnError::Deny) = (unreached.next(), config.on_error) {
            return Verdict::Unavailable(&one.quota.name);
        }
        let stands = |one: &Found<'a>| one.standing.map(|s| one.item(&s));
        let shadows = found.iter().filter(|one| one.quota.shadow);
        Verdict::Passed {
            items: binding().filter_map(stands).collect(),
            shadows: shadows
                .filter(|one| one.refusal().is_some())
                .map(|one| one.quota.name.as_str())
                .collect(),
        }
    }

    fn found<'a>(&self, config: &'a Config, standings: &[Option<Standing>]) -> Vec<Found<'a>> {
        let of = |(number, (at, cost)): (usize, &(usize, u64))| {
            let quota = config.quotas.get(*at)?;
            let limit = self.take.charges.get(number)?.account.limit;
            let standing = standings.get(number).copied().flatten();
            let standing = standing.map(|one| match self.looks {
                true => as_if_taken(one, limit, *cost),
                false => one,
            });
            Some(Found {
                quota,
                limit,
                cost: *cost,
                standing,
            })
        };
        self.parts.iter().enumerate().filter_map(of).collect()
    }
}

/// What was found of one quota.
struct Found<'a> {
    quota: &'a Quota,
    limit: Limit,
    cost: u64,
    standing: Option<Standing>,
}

impl<'a> Found<'a> {
    fn refusal(&self) -> Option<(&Self, &Standing)> {
        let standing = self.standing.as_ref().filter(|s| s.refused)?;
        Some((self, standing))
    }

    fn item(&self, standing: &Standing) -> Item<'a> {
        Item {
            quota: &self.quota.name,
            limit: self.limit,
            left: standing.remaining,
            reset: standing.reset,
        }
    }
}

/// Who comes again must pass all that refused; None where one of them never passes.
fn longest<'f, 'a: 'f>(found: impl Iterator<Item = &'f Found<'a>>) -> Option<u64> {
    let refusals = found.filter_map(Found::refusal);
    let after =
        |(one, s): (&Found, &Standing)| (one.cost <= one.limit.burst).then_some(s.retry_after);
    refusals
        .map(after)
        .try_fold(0, |most, after| after.map(|a| most.max(a)))
}

/// What taking would have come to, of a limit that was only looked at.
fn as_if_taken(seen: Standing, limit: Limit, cost: u64) -> Standing {
    let refused = cost > seen.remaining;
    if !refused {
        return Standing {
            granted: cost,
            remaining: seen.remaining - cost,
            ..seen
        };
    }
    let retry_after = match limit.is_fixed() {
        true => seen.reset,
        false => {
            let needed = seen.reset.saturating_add(limit.time_for(cost));
            needed.saturating_sub(limit.time_for(limit.burst))
        }
    };
    Standing {
        refused,
        retry_after,
        ..seen
    }
}
