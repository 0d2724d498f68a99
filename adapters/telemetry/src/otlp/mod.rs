//! Spans and log records as OTLP has them, and their way out.
//!
//! Encoded by hand: it is a handful of fields, and each is written once, where it stays.

mod answer;
mod queue;
mod record;
mod wire;

pub use answer::{is_retryable, rejected};
pub use queue::{Batch, Bounds, Pushed, Queue, Retry};
pub use record::{log_record, request, resource, span, Attribute, LogRecord, Span};
