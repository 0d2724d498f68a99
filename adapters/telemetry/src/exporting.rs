//! The way of spans and log records to the collector: calls of gRPC in the root context.

use crate::config::{Config, Otlp};
use crate::otlp::{is_retryable, rejected, request, resource, Batch, Pushed, Queue, Retry};
use mixer_host::metrics::{define, increment, record, Type};
use mixer_host::request::now;
use proxy_wasm::hostcalls;
use proxy_wasm::types::BufferType;
use std::time::Duration;

/// A service of the collector.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    Traces,
    Logs,
}

const SIGNALS: [(Signal, &str, &str); 2] = [
    (
        Signal::Traces,
        "spans",
        "opentelemetry.proto.collector.trace.v1.TraceService",
    ),
    (
        Signal::Logs,
        "logs",
        "opentelemetry.proto.collector.logs.v1.LogsService",
    ),
];

/// What waits, what is on its way, and what became of it.
pub struct Exporter {
    target: String,
    headers: Vec<(String, String)>,
    resource: Vec<u8>,
    interval: Duration,
    timeout: Duration,
    lanes: [Lane; 2],
    /// A whole batch waits: the next tick comes at once.
    hurried: bool,
    ending: bool,
}

struct Lane {
    service: &'static str,
    queue: Queue,
    counts: Counts,
}

/// Metrics of the host, by what became of records.
struct Counts {
    sent: Option<u32>,
    no_room: Option<u32>,
    failed: Option<u32>,
    rejected: Option<u32>,
    retries: Option<u32>,
    waiting: Option<u32>,
}

impl Exporter {
    pub fn of(config: &Config) -> Option<Self> {
        let otlp = config.otlp.as_ref()?;
        let exporter = Self::new(otlp);
        let _ = hostcalls::set_tick_period(exporter.interval);
        Some(exporter)
    }

    fn new(otlp: &Otlp) -> Self {
        Self {
            target: grpc_service(&otlp.cluster),
            headers: otlp.headers.clone(),
            resource: resource(&otlp.resource),
            interval: Duration::from_millis(otlp.interval),
            timeout: Duration::from_millis(otlp.timeout),
            lanes: SIGNALS.map(|(_, name, service)| Lane {
                service,
                queue: Queue::new(otlp.bounds),
                counts: Counts::new(name),
            }),
            hurried: false,
            ending: false,
        }
    }

    /// Takes a record, or counts that there was no room for it.
    pub fn push(&mut self, signal: Signal, write: impl FnOnce(&mut Vec<u8>)) {
        let lane = &mut self.lanes[usize::from(signal == Signal::Logs)];
        match lane.queue.push(write) {
            Pushed::Kept => {}
            // A call of a stream would be told to it, and it may be gone by then.
            Pushed::Whole if !self.hurried => {
                self.hurried = true;
                let _ = hostcalls::set_tick_period(Duration::from_millis(1));
            }
            Pushed::Whole => {}
            Pushed::Dropped => count(lane.counts.no_room, 1),
        }
    }

    pub fn tick(&mut self) {
        if self.hurried {
            self.hurried = false;
            let _ = hostcalls::set_tick_period(self.interval);
        }
        self.send();
    }

    fn send(&mut self) {
        // Without a clock nothing waits.
        let now = if self.ending {
            u64::MAX
        } else {
            now().unwrap_or(u64::MAX)
        };
        for at in 0..self.lanes.len() {
            while let Some(batch) = self.lanes[at].queue.next(now) {
                if !self.call(at, batch, now) {
                    break;
                }
            }
            let lane = &self.lanes[at];
            if let Some(id) = lane.counts.waiting {
                record(id, u64::from(lane.queue.count()));
            }
        }
    }

    /// Whether the host took the call.
    fn call(&mut self, at: usize, batch: Batch, now: u64) -> bool {
        let message = request(&self.resource, &batch.records);
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let service = self.lanes[at].service;
        let (headers, message) = (headers.collect(), Some(message.as_slice()));
        let made = hostcalls::dispatch_grpc_call(
            &self.target,
            service,
            "Export",
            headers,
            message,
            self.timeout,
        );
        match made {
            Ok(token) => self.lanes[at].queue.flies(token, batch),
            Err(_) => self.lanes[at].failed(batch, now, self.ending),
        }
        made.is_ok()
    }

    /// A call is over: with a status, or with a message of so many bytes.
    pub fn answered(&mut self, token: u32, status: u32, size: usize) {
        for at in 0..self.lanes.len() {
            if let Some(batch) = self.lanes[at].queue.landed(token) {
                match status {
                    0 => self.lanes[at].taken(&batch, &answer(size)),
                    status if is_retryable(status) => {
                        let now = now().unwrap_or(0);
                        self.lanes[at].failed(batch, now, self.ending);
                    }
                    _ => self.lanes[at].lost(&batch),
                }
            }
        }
        self.send();
    }

    /// Sends what is left, once; whether nothing is on its way.
    pub fn end(&mut self) -> bool {
        self.ending = true;
        self.send();
        self.is_over()
    }

    /// Whether it was to end and has.
    pub fn is_over(&self) -> bool {
        self.ending && self.lanes.iter().all(|lane| lane.queue.is_idle())
    }
}

impl Lane {
    fn taken(&mut self, batch: &Batch, answer: &[u8]) {
        self.queue.gone(batch);
        // What is no answer of a collector is taken for one: sending it again could double all.
        let rejected = rejected(answer).unwrap_or(0).min(u64::from(batch.count));
        let rejected = i64::try_from(rejected).unwrap_or_default();
        count(self.counts.rejected, rejected);
        count(self.counts.sent, i64::from(batch.count) - rejected);
    }

    fn lost(&mut self, batch: &Batch) {
        self.queue.gone(batch);
        count(self.counts.failed, i64::from(batch.count));
    }

    fn failed(&mut self, batch: Batch, now: u64, ending: bool) {
        if ending {
            return self.lost(&batch);
        }
        // Batches of one moment come back at different ones, and modules begin at different ones.
        let jitter = now ^ batch.records.len() as u64 * 0x9e37_79b9;
        match self.queue.again(batch, now, jitter) {
            Retry::Later => count(self.counts.retries, 1),
            Retry::Given(records) => count(self.counts.failed, i64::from(records)),
        }
    }
}

impl Counts {
    fn new(signal: &str) -> Self {
        let counter = |name: &str| define(Type::Counter, name);
        let dropped = |reason: &str| {
            counter(&format!(
                "reason=.={reason};.;signal=.={signal};.;telemetry_otlp_dropped_total"
            ))
        };
        Self {
            sent: counter(&format!("signal=.={signal};.;telemetry_otlp_sent_total")),
            no_room: dropped("queue_full"),
            failed: dropped("failed"),
            rejected: dropped("rejected"),
            retries: counter(&format!("signal=.={signal};.;telemetry_otlp_retries_total")),
            waiting: define(
                Type::Gauge,
                &format!("signal=.={signal};.;telemetry_otlp_waiting"),
            ),
        }
    }
}

fn count(id: Option<u32>, number: i64) {
    if let Some(id) = id.filter(|_| number > 0) {
        increment(id, number);
    }
}

fn answer(size: usize) -> Vec<u8> {
    let bytes = hostcalls::get_buffer(BufferType::GrpcReceiveBuffer, 0, size);
    bytes.ok().flatten().unwrap_or_default()
}

/// `envoy.config.core.v3.GrpcService` with the cluster: a bare name may look like such a message.
fn grpc_service(cluster: &str) -> String {
    let size = |text: &str| char::from(text.len().to_le_bytes()[0]);
    let named = format!("\n{}{cluster}", size(cluster));
    format!("\n{}{named}", size(&named))
}
