//! What streams share: data, a queue, metrics.

use crate::tell;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::Context;
use proxy_wasm::types::{MetricType, Status};

pub const QUEUE: &str = "rust";

#[derive(Default)]
pub struct Metrics {
    requests: u32,
    size: u32,
    sizes: u32,
}

impl Metrics {
    pub fn define() -> Self {
        let define = |kind, name| hostcalls::define_metric(kind, name).unwrap();
        Self {
            requests: define(MetricType::Counter, "rust.requests"),
            size: define(MetricType::Gauge, "rust.size"),
            sizes: define(MetricType::Histogram, "rust.sizes"),
        }
    }

    pub fn count(&self, size: usize) {
        hostcalls::increment_metric(self.requests, 1).unwrap();
        hostcalls::record_metric(self.size, size as u64).unwrap();
        hostcalls::increment_metric(self.size, -1).unwrap();
        hostcalls::record_metric(self.sizes, size as u64).unwrap();
        let requests = hostcalls::get_metric(self.requests).unwrap();
        let size = hostcalls::get_metric(self.size).unwrap();
        let sizes = hostcalls::get_metric(self.sizes).is_err();
        tell(&format!("metrics {requests} {size} {sizes}"));
    }
}

/// Adds one to the number that is shared under a key; a lost race is tried anew.
pub fn count(context: &dyn Context, key: &str) -> u32 {
    loop {
        let (value, cas) = context.get_shared_data(key);
        let last = value.and_then(|v| String::from_utf8(v).ok()?.parse().ok());
        let next = last.unwrap_or(0) + 1;
        match context.set_shared_data(key, Some(next.to_string().as_bytes()), cas) {
            Ok(()) => return next,
            Err(Status::CasMismatch) => {}
            Err(status) => panic!("{status:?}"),
        }
    }
}

/// Sends a message to the root context, and to a queue that is not there.
pub fn announce(context: &dyn Context, message: &str) {
    let absent = context.resolve_shared_queue("", "absent");
    let missed = context.enqueue_shared_queue(u32::MAX, None);
    tell(&format!("queues {absent:?} {missed:?}"));
    if let Some(queue) = context.resolve_shared_queue("", QUEUE) {
        let _ = context.enqueue_shared_queue(queue, Some(message.as_bytes()));
    }
}
