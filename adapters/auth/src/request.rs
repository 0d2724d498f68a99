//! What the decision needs to know about a request.
//!
//! The decision is written against a trait so that it can be tested natively;
//! in the module the trait is backed by Proxy-Wasm host calls.

use crate::remote::Wanted;
use crate::replay::Shared;
use mixer_host::value::Truth;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The bytes of one header value. Header values need not be UTF-8.
pub type Bytes = Rc<[u8]>;

pub trait Request: Shared {
    /// The first value of the header, or None if the request lacks it.
    fn header(&self, name: &str) -> Option<Vec<u8>>;
    /// Seconds since the Unix epoch.
    fn now(&self) -> u64;
    /// A property of the host, by its path with NULs between the parts.
    fn property(&self, path: &str) -> Option<Vec<u8>>;
    /// Whether there is a body that the host shows.
    fn has_body(&self) -> bool;
    /// Told what the body has to be, which comes after the headers.
    fn expects(&self, expected: Expected);
    /// Evaluates a condition by its place in the configuration.
    fn test(&self, condition: usize) -> Truth;
    /// Sets what conditions may read of this module; whether the host took it.
    fn set_property(&self, name: &str, value: &[u8]) -> bool;
    /// Told for how many seconds the answer stays what it is, where that depends on the time. The
    /// shortest counts.
    fn holds(&self, seconds: f64);
    /// Told what the outcome is still to be waited for; then it counts only where nobody can wait.
    fn awaits(&self, _wanted: Wanted) {}
}

/// What a body has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The `content-digest` that was signed.
    pub digest: Vec<u8>,
    pub max_bytes: usize,
    /// Whether the headers wait for it.
    pub hold_headers: bool,
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
        self.once(name, |name| self.inner.header(name))
    }

    /// All values of a header, joined by commas: what only the first value tells can be forged
    /// by whoever sends one before it.
    pub fn whole_header(&self, name: &str) -> Option<Bytes> {
        self.property(&format!("request\0headers\0{name}"))
    }

    pub fn property(&self, path: &str) -> Option<Bytes> {
        self.once(path, |path| self.inner.property(path))
    }

    fn once(&self, name: &str, read: impl FnOnce(&str) -> Option<Vec<u8>>) -> Option<Bytes> {
        // A handful of names at most, so a scan beats a map.
        if let Some((_, value)) = self.seen.borrow().iter().find(|(n, _)| n == name) {
            return value.clone();
        }
        let value: Option<Bytes> = read(name).map(Into::into);
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

    pub fn inner(&self) -> &R {
        self.inner
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
