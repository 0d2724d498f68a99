//! Metrics of the host.

use crate::abi;

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
