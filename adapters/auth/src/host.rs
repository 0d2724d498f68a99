//! The host side: request headers, the clock, the local response.

use crate::request::{Change, Request};
use crate::response::Denial;
use mixer_host::request;
use mixer_host::response::{send, LocalResponse};

pub struct HostRequest;

impl Request for HostRequest {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        request::header(name)
    }

    fn now(&self) -> u64 {
        // Without a clock every token that can expire has expired.
        request::now().map_or(u64::MAX, |since| since / 1_000_000_000)
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
