//! The host side: the request, conditions, the clock, shared data, the local response.

use crate::condition::{CLAIMS, CONSUMER};
use crate::config::{Config, ConfigError, Validity};
use crate::remote::Wanted;
use crate::replay::Shared;
use crate::request::{Change, Expected, Request};
use crate::response::Denial;
use mixer_host::condition::Condition;
use mixer_host::declared::{declare, Type};
use mixer_host::response::{send, LocalResponse};
use mixer_host::shared_data::{self, Set, Unavailable};
use mixer_host::value::Truth;
use mixer_host::{properties, request};
use std::cell::Cell;

/// The conditions of a configuration, as the host knows them.
pub struct Conditions(Vec<Condition>);

impl Conditions {
    pub fn create(config: &Config) -> Result<Self, ConfigError> {
        let mut all = Vec::with_capacity(config.conditions.len());
        if !config.conditions.is_empty() {
            declare(CLAIMS, Type::Struct);
            declare(CONSUMER, Type::Text);
        }
        for one in &config.conditions {
            let message = "is no CEL expression that the host takes";
            let refused = || ConfigError::new(&*one.path, message);
            all.push(Condition::create(&one.text).ok_or_else(refused)?);
        }
        Ok(Self(all))
    }
}

pub struct HostRequest<'a> {
    conditions: &'a Conditions,
    has_body: bool,
    /// Seconds; see `Request::holds`.
    pub holds: Cell<f64>,
    /// See `Request::awaits`.
    pub awaits: Cell<Option<Wanted>>,
    /// See `Request::expects`.
    pub expected: Cell<Option<Expected>>,
}

impl<'a> HostRequest<'a> {
    pub fn new(conditions: &'a Conditions, has_body: bool) -> Self {
        Self {
            conditions,
            has_body,
            holds: Cell::new(f64::INFINITY),
            awaits: Cell::default(),
            expected: Cell::default(),
        }
    }
}

impl Request for HostRequest<'_> {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        request::header(name)
    }

    fn now(&self) -> u64 {
        // Without a clock every token that can expire has expired.
        request::now().map_or(u64::MAX, |since| since / 1_000_000_000)
    }

    fn property(&self, path: &str) -> Option<Vec<u8>> {
        properties::get_joined(path.as_bytes()).ok()
    }

    fn has_body(&self) -> bool {
        self.has_body
    }

    fn expects(&self, expected: Expected) {
        self.expected.set(Some(expected));
    }

    fn test(&self, condition: usize) -> Truth {
        self.conditions
            .0
            .get(condition)
            .map_or(Truth::Broken, Condition::test)
    }

    fn set_property(&self, name: &str, value: &[u8]) -> bool {
        properties::set_bytes(name, value)
    }

    fn holds(&self, seconds: f64) {
        self.holds.set(self.holds.get().min(seconds));
    }

    fn awaits(&self, wanted: Wanted) {
        self.awaits.set(Some(wanted));
    }
}

impl Shared for HostRequest<'_> {
    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
        shared_data::get(key)
    }

    fn set_shared(&self, key: &[u8], value: &[u8], cas: u32) -> Set {
        shared_data::set(key, value, cas)
    }
}

/// Says how long the answer may be used again. A host that keeps none takes no notice.
pub fn set_validity(validity: &Validity, holds: f64) {
    let milliseconds = (validity.seconds.min(holds) * 1000.0) as u64;
    properties::set("mixer\0valid_duration", &format!("{milliseconds}ms"));
    if let Some(count) = validity.use_count {
        properties::set("mixer\0valid_use_count", &count.to_string());
    }
}

pub fn apply(changes: &[Change]) {
    for change in changes {
        match change {
            Change::Set(name, value) => request::set_header(name, Some(value)),
            Change::Remove(name) => request::set_header(name, None),
        }
    }
}

pub fn deny(denial: &Denial) {
    send(&LocalResponse {
        status: denial.status,
        details: &denial.details,
        headers: &denial.headers,
        body: &denial.body,
    });
}
