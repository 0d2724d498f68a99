//! The host side: request headers, the clock, the local response.

use crate::config::Validity;
use crate::remote::Wanted;
use crate::request::{Change, Request};
use crate::response::Denial;
use mixer_host::response::{send, LocalResponse};
use mixer_host::{properties, request};
use std::cell::Cell;

pub struct HostRequest {
    /// Seconds; see `Request::holds`.
    pub holds: Cell<f64>,
    /// See `Request::awaits`.
    pub awaits: Cell<Option<Wanted>>,
}

impl HostRequest {
    pub fn new() -> Self {
        let holds = Cell::new(f64::INFINITY);
        let awaits = Cell::default();
        Self { holds, awaits }
    }
}

impl Request for HostRequest {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        request::header(name)
    }

    fn now(&self) -> u64 {
        // Without a clock every token that can expire has expired.
        request::now().map_or(u64::MAX, |since| since / 1_000_000_000)
    }

    fn holds(&self, seconds: f64) {
        self.holds.set(self.holds.get().min(seconds));
    }

    fn awaits(&self, wanted: Wanted) {
        self.awaits.set(Some(wanted));
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
        details: denial.code,
        headers: &denial.headers,
        body: &denial.body,
    });
}
