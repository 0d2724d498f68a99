//! Istio's standard metrics: which there are, and what their labels are made of.

mod flags;
mod late;
mod protocol;
mod record;
mod slots;

pub use late::Late;
pub use record::{Record, Reporter};
pub use slots::{Slot, FIRST_AMOUNT, FIRST_LATE, PATHS};

/// A request or a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Http,
    Tcp,
}

/// A metric: its name as Istio's Telemetry API has it, as Prometheus gets it, and what it is of.
pub struct Standard {
    pub key: &'static str,
    pub name: &'static str,
    pub of: Kind,
    pub histogram: bool,
}

const fn of(key: &'static str, name: &'static str, of: Kind, histogram: bool) -> Standard {
    Standard {
        key,
        name,
        of,
        histogram,
    }
}

/// How many metrics a request has, and a connection.
pub const OF_EACH: usize = 4;

pub const STANDARD: [Standard; 2 * OF_EACH] = [
    of("REQUEST_COUNT", "istio_requests_total", Kind::Http, false),
    of(
        "REQUEST_DURATION",
        "istio_request_duration_milliseconds",
        Kind::Http,
        true,
    ),
    of("REQUEST_SIZE", "istio_request_bytes", Kind::Http, true),
    of("RESPONSE_SIZE", "istio_response_bytes", Kind::Http, true),
    of(
        "TCP_OPENED_CONNECTIONS",
        "istio_tcp_connections_opened_total",
        Kind::Tcp,
        false,
    ),
    of(
        "TCP_CLOSED_CONNECTIONS",
        "istio_tcp_connections_closed_total",
        Kind::Tcp,
        false,
    ),
    of(
        "TCP_SENT_BYTES",
        "istio_tcp_sent_bytes_total",
        Kind::Tcp,
        false,
    ),
    of(
        "TCP_RECEIVED_BYTES",
        "istio_tcp_received_bytes_total",
        Kind::Tcp,
        false,
    ),
];

/// The labels, in the order in which `Record::labels` gives their values.
pub const LABELS: [&str; 25] = [
    "reporter",
    "source_workload",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "source_canonical_service",
    "source_canonical_revision",
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_cluster",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "request_protocol",
    "connection_security_policy",
    "response_flags",
    "response_code",
    "grpc_response_status",
];

/// Those of `LABELS` that a connection has: all but the last two.
pub const OF_CONNECTIONS: usize = 23;
