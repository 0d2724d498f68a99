//! What the decision needs to know about a request.
//!
//! The decision is written against a trait so that it can be tested natively;
//! in the module the trait is backed by Proxy-Wasm host calls.

use crate::remote::Wanted;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The bytes of one header value. Header values need not be UTF-8.
pub type Bytes = Rc<[u8]>;

pub trait Request {
    /// The first value of the header, or None if the request lacks it.
    fn header(&self, name: &str) -> Option<Vec<u8>>;
    /// Seconds since the Unix epoch.
    fn now(&self) -> u64;
    /// Told for how many seconds the answer stays what it is, where that depends on the time. The
    /// shortest counts.
    fn holds(&self, seconds: f64);
    /// Told what the outcome is still to be waited for; then it counts only where nobody can wait.
    fn awaits(&self, _wanted: Wanted) {}
}

/// Asks the host for each header at most once: a host call crosses the sandbox
/// border, and several sources and rules may want the same header.
pub struct Cached<'a, R: Request> {
    inner: &'a R,
    seen: RefCell<Vec<(String, Option<Bytes>)>>,
    now: Cell<Option<u64>>,
}

impl<'a, R: Request> Cached<'a, R> {
    pub fn new(inner: &'a R) -> Self {
        Self {
            inner,
            seen: RefCell::new(Vec::with_capacity(4)),
            now: Cell::default(),
        }
    }

    pub fn header(&self, name: &str) -> Option<Bytes> {
        // A handful of names at most, so a scan beats a map.
        if let Some((_, value)) = self.seen.borrow().iter().find(|(n, _)| n == name) {
            return value.clone();
        }
        let value: Option<Bytes> = self.inner.header(name).map(Into::into);
        self.seen
            .borrow_mut()
            .push((name.to_owned(), value.clone()));
        value
    }

    pub fn now(&self) -> u64 {
        let now = self.now.get().unwrap_or_else(|| self.inner.now());
        self.now.set(Some(now));
        now
    }

    pub fn holds(&self, seconds: f64) {
        self.inner.holds(seconds);
    }

    pub fn awaits(&self, wanted: Wanted) {
        self.inner.awaits(wanted);
    }
}

/// One change to the request headers that go upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Replace every value of the header by this one.
    Set(String, Vec<u8>),
    /// Remove every value of the header.
    Remove(String),
}
