//! Metrics of the host.

use crate::{abi, foreign};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Type {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// The id of a metric; None where the host has too many.
pub fn define(kind: Type, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: the name is a live slice that the host only reads, and the id is a live value.
    let status =
        unsafe { abi::proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &mut id) };
    (status == abi::OK).then_some(id)
}

/// Adds to a counter or gauge.
pub fn increment(id: u32, delta: i64) {
    // SAFETY: no memory is handed over.
    let _status = unsafe { abi::proxy_increment_metric(id, delta) };
}

/// Sets a gauge, or puts a value into a histogram.
pub fn record(id: u32, value: u64) {
    // SAFETY: no memory is handed over.
    let _status = unsafe { abi::proxy_record_metric(id, value) };
}

/// What is counted of one request, told by one host call where the host has such a thing.
#[derive(Default)]
pub struct Counts {
    all: Vec<(Type, u32, u64)>,
    arguments: Vec<u8>,
    /// The host has no such call.
    alone: bool,
}

const NAME: &str = "mixer_record_metrics";

impl Counts {
    /// Adds to a counter, sets a gauge, or puts a value into a histogram, once it is told.
    pub fn add(&mut self, kind: Type, id: u32, amount: i64) {
        // A counter only goes up: the hosts refuse everything else.
        if kind != Type::Counter || amount > 0 {
            self.all.push((kind, id, amount.max(0).unsigned_abs()));
        }
    }

    /// Tells of all.
    pub fn tell(&mut self) {
        if self.all.len() > 1 && !self.alone {
            self.alone = !self.tell_at_once();
        }
        for (kind, id, amount) in self.all.drain(..) {
            match kind {
                Type::Counter => increment(id, i64::try_from(amount).unwrap_or(i64::MAX)),
                Type::Gauge | Type::Histogram => record(id, amount),
            }
        }
    }

    /// Whether the host took all of them.
    fn tell_at_once(&mut self) -> bool {
        self.arguments.clear();
        for (_, id, amount) in &self.all {
            self.arguments.extend(id.to_le_bytes());
            self.arguments.extend(amount.to_le_bytes());
        }
        let taken = foreign::call(NAME, &self.arguments).is_ok();
        if taken {
            self.all.clear();
        }
        taken
    }
}
