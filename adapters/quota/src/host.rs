//! The host side: expressions, shared data, the clock, properties.

use crate::allocation::Asked;
use crate::config::{Config, ConfigError};
use crate::domain::Descriptor;
use crate::limit::{Cost, Limit, Quota};
use crate::pairs;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::source::{Price, Source};
use crate::store::Store;
use crate::unit;
use mixer_host::condition::Condition;
use mixer_host::response::{send, LocalResponse};
use mixer_host::shared_data::{self, Set, Unavailable};
use mixer_host::value::Truth;
use mixer_host::{properties, request};

/// The expressions of a configuration, as the host knows them.
pub struct Expressions(Vec<OfQuota>);

struct OfQuota {
    matches: Option<Condition>,
    dimensions: Vec<Source>,
    cost: Price,
}

impl Expressions {
    pub fn create(config: &Config) -> Result<Self, ConfigError> {
        let mut all = Vec::with_capacity(config.quotas.len());
        for (at, quota) in config.quotas.iter().enumerate() {
            all.push(of_quota(&format!("quotas[{at}]"), quota)?);
        }
        Ok(Self(all))
    }
}

fn of_quota(path: &str, quota: &Quota) -> Result<OfQuota, ConfigError> {
    let mut dimensions = Vec::with_capacity(quota.dimensions.len());
    for dimension in &quota.dimensions {
        let path = format!("{path}.dimensions.{}", dimension.name);
        dimensions.push(taken(Source::create(&dimension.expression), &path)?);
    }
    let matches = quota.matches.as_ref();
    let matches = matches.map(|text| taken(Condition::create(text), &format!("{path}.match")));
    Ok(OfQuota {
        matches: matches.transpose()?,
        dimensions,
        cost: match &quota.cost {
            Cost::Constant(cost) => Price::Constant(*cost),
            Cost::Expression(text) => taken(Price::create(text), &format!("{path}.cost"))?,
        },
    })
}

fn taken<T>(made: Option<T>, path: &str) -> Result<T, ConfigError> {
    let message = "is no CEL expression that the host takes";
    made.ok_or_else(|| ConfigError::new(path, message))
}

impl Request for Expressions {
    fn holds(&self, quota: usize) -> bool {
        let matches = self.0.get(quota).and_then(|q| q.matches.as_ref());
        // What fails for another reason than an absent attribute must be no way around the quota.
        matches.is_none_or(|one| matches!(one.test(), Truth::True | Truth::Broken))
    }

    fn cost(&self, quota: usize) -> u64 {
        self.0.get(quota).map_or(1, |q| q.cost.read())
    }

    fn dimensions(&self, quota: usize) -> Vec<Vec<u8>> {
        let dimensions = self.0.get(quota).map(|q| q.dimensions.as_slice());
        let dimensions = dimensions.unwrap_or_default().iter();
        dimensions.map(Source::read).collect()
    }
}

pub struct SharedData;

impl Store for SharedData {
    fn now(&self) -> Option<u64> {
        request::now()
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
        shared_data::get(key)
    }

    fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Set {
        shared_data::set(key, value, cas)
    }
}

/// What this request is for; None in a plain proxy.
pub fn operation() -> Option<String> {
    properties::text(&["mixer", "operation"])
}

pub fn asked() -> Asked {
    let text = |path: &[&str]| properties::text(path).unwrap_or_default();
    let dedup_id = text(&["mixer", "dedup_id"]);
    Asked {
        quota: text(&["mixer", "quota", "name"]),
        amount: properties::int(&["mixer", "quota", "amount"]).unwrap_or(0),
        best_effort: properties::bool(&["mixer", "quota", "best_effort"]).unwrap_or(false),
        // Whoever asks matters only where the request may come again.
        caller: match dedup_id.as_str() {
            "" => String::new(),
            _ => text(&["mixer", "caller"]),
        },
        dedup_id,
        descriptor: descriptor(),
    }
}

/// Of those who ask for a rate limit; one that cannot be read is one without entries.
fn descriptor() -> Option<Descriptor> {
    let of = |name| properties::get(&["mixer", "rate_limit", name]);
    let (bytes, ordered) = match of("descriptor") {
        Some(bytes) => (bytes, true),
        None => (of("bucket")?, false),
    };
    Some(Descriptor {
        entries: pairs::decode(&bytes).unwrap_or_default(),
        ordered,
        limit: override_limit(),
    })
}

fn override_limit() -> Option<Limit> {
    let path = |name| ["mixer", "rate_limit", "limit", name];
    let max = properties::int(&path("requests_per_unit"))?;
    let window = unit::length(&properties::text(&path("unit"))?)?;
    let max = u64::try_from(max).ok()?;
    Some(Limit::fixed(max, window))
}

pub fn refuse(refusal: &Refusal) {
    properties::set("mixer.deny.code", &refusal.code.to_string());
    send(&LocalResponse {
        status: refusal.status,
        details: &refusal.details,
        headers: &refusal.headers,
        body: &refusal.body,
    });
}
