//! What names one request for good, and when it was.

use crate::text;
use mixer_host::batch::Batch;
use mixer_host::source::Source;
use mixer_host::{properties, request};
use std::borrow::Cow;
use std::fmt::Write;

pub struct Identity {
    /// The configured key.
    configured: Option<Source>,
    /// The places of the request's time and id in the batch.
    time: usize,
    id: usize,
    /// Before a key of its own making: two adapters may each record the same request.
    plugin: Vec<u8>,
    began: u64,
    made: u64,
    /// Where a key is made.
    key: Vec<u8>,
}

impl Identity {
    pub fn new(configured: Option<Source>, batch: &mut Batch) -> Self {
        Self {
            configured,
            time: batch.add(b"request\0time"),
            id: batch.add(b"request\0id"),
            plugin: properties::get(&["plugin_name"]).unwrap_or_default(),
            began: request::now().unwrap_or_default(),
            made: 0,
            key: Vec::new(),
        }
    }

    /// The key of the current request, of which the batch was read, and its time in nanoseconds
    /// since 1970, above 0.
    ///
    /// A report may come twice; a request that `passed` here itself does not.
    pub fn tell<'a>(&'a mut self, batch: &'a Batch, passed: bool) -> (Cow<'a, str>, u64) {
        let told = batch.get(self.time).and_then(time);
        let now = told.or_else(request::now).unwrap_or(1);
        self.key.clear();
        match batch.get(self.id).filter(|id| !id.is_empty()) {
            _ if self.is_configured(batch) => {}
            Some(id) => self.of_request(id, told.or(passed.then_some(now))),
            None => self.own(now),
        }
        (text::key(&self.key), now)
    }

    /// Whether the configured key has a value, which then is the key.
    fn is_configured(&mut self, batch: &Batch) -> bool {
        let source = self.configured.as_ref();
        if let Some(value) = source.and_then(|source| source.text(batch)) {
            self.key.extend_from_slice(&value);
        }
        !self.key.is_empty()
    }

    /// The request's id with its time: a client that sends the same id again does not get the
    /// second request for nothing.
    fn of_request(&mut self, id: &[u8], time: Option<u64>) {
        self.key.extend_from_slice(&self.plugin);
        self.key.push(b'/');
        self.key.extend_from_slice(id);
        if let Some(time) = time {
            self.key.push(b'/');
            text::push_decimal(&mut self.key, time);
        }
    }

    /// One that no other request has: there is no source of random numbers, but no two requests
    /// come over one connection to one VM at one time with one number.
    fn own(&mut self, now: u64) {
        self.made += 1;
        self.key.extend_from_slice(&self.plugin);
        for path in [["source", "address"], ["connection", "id"]] {
            self.key.push(0);
            self.key.extend(properties::get(&path).unwrap_or_default());
        }
        let clock = request::now().unwrap_or_default();
        let mut numbers = String::new();
        let _ = write!(numbers, "\0{}/{}/{now}/{clock}", self.began, self.made);
        // The control characters have it hashed.
        self.key.extend_from_slice(numbers.as_bytes());
    }
}

fn time(encoded: &[u8]) -> Option<u64> {
    let number = i64::from_le_bytes(encoded.try_into().ok()?);
    u64::try_from(number).ok().filter(|time| *time > 0)
}
