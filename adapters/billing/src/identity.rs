//! What names one request for good, and when it was.

use crate::text;
use mixer_host::reading::Reading;
use mixer_host::{properties, request};
use std::fmt::Write;

pub struct Identity {
    /// The configured key.
    key: Option<Reading>,
    /// Before a key of its own making: two adapters may each record the same request.
    plugin: Vec<u8>,
    began: u64,
    made: u64,
}

impl Identity {
    pub fn new(key: Option<Reading>) -> Self {
        Self {
            key,
            plugin: properties::get(&["plugin_name"]).unwrap_or_default(),
            began: request::now().unwrap_or_default(),
            made: 0,
        }
    }

    /// The key of the current request, and its time in nanoseconds since 1970, above 0.
    ///
    /// A report may come twice; a request that `passed` here itself does not.
    pub fn tell(&mut self, passed: bool) -> (String, u64) {
        let told = properties::get(&["request", "time"]).and_then(time);
        let now = told.or_else(request::now).unwrap_or(1);
        let configured = self.key.as_ref().and_then(Reading::read);
        if let Some(value) = configured.filter(|value| !value.text().is_empty()) {
            return (text::key(value.text().into_owned()), now);
        }
        let time = told.or(passed.then_some(now));
        let key = self.of_request(time).unwrap_or_else(|| self.own(now));
        (text::key(key), now)
    }

    /// The request's id with its time: a client that sends the same id again does not get the
    /// second request for nothing.
    fn of_request(&self, time: Option<u64>) -> Option<Vec<u8>> {
        let id = properties::get(&["request", "id"]).filter(|id| !id.is_empty())?;
        let mut key = Vec::with_capacity(self.plugin.len() + id.len() + 24);
        key.extend_from_slice(&self.plugin);
        key.push(b'/');
        key.extend_from_slice(&id);
        if let Some(time) = time {
            key.push(b'/');
            text::push_decimal(&mut key, time);
        }
        Some(key)
    }

    /// One that no other request has: there is no source of random numbers, but no two requests
    /// come over one connection to one VM at one time with one number.
    fn own(&mut self, now: u64) -> Vec<u8> {
        self.made += 1;
        let mut key = self.plugin.clone();
        for path in [["source", "address"], ["connection", "id"]] {
            key.push(0);
            key.extend(properties::get(&path).unwrap_or_default());
        }
        let clock = request::now().unwrap_or_default();
        let mut numbers = String::new();
        let _ = write!(numbers, "\0{}/{}/{now}/{clock}", self.began, self.made);
        // The control characters have it hashed.
        key.extend_from_slice(numbers.as_bytes());
        key
    }
}

fn time(encoded: Vec<u8>) -> Option<u64> {
    let number = i64::from_le_bytes(encoded.try_into().ok()?);
    u64::try_from(number).ok().filter(|time| *time > 0)
}
