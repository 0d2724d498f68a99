//! Spans and log records, written as fields of the message that they are sent in.

use super::wire::Message;
use crate::trace::SpanContext;
use mixer_host::value::Value;

const SERVER: u64 = 2;
const STATUS_ERROR: u64 = 2;
/// The flags of a span tell that its parent is in another process.
const REMOTE_PARENT: u32 = 0x300;
/// How much of a value is sent.
const VALUE_BYTES: usize = 1024;
/// Spans in `ScopeSpans` and records in `ScopeLogs`: both have the same number.
const RECORDS: u32 = 2;

/// A name and its value.
pub type Attribute<'a> = (&'a str, Value);

pub struct Span<'a> {
    pub context: &'a SpanContext,
    pub trace_state: &'a [u8],
    pub name: &'a [u8],
    /// Nanoseconds since 1970; so is the end.
    pub start: u64,
    pub end: u64,
    pub failed: bool,
    pub attributes: &'a [Attribute<'a>],
}

pub struct LogRecord<'a> {
    pub name: &'a str,
    /// From 0, trace, to 5, critical.
    pub level: u8,
    /// Nanoseconds since 1970; 0 where it is not known. So is when it was observed.
    pub time: u64,
    pub observed: u64,
    pub context: Option<&'a SpanContext>,
    pub attributes: &'a [Attribute<'a>],
}

/// `Resource`, with the module as the scope behind it, as the beginning of what a request holds.
pub fn resource(attributes: &[(String, String)]) -> Vec<u8> {
    let mut resource = Message::default();
    resource.message(1, |resource| {
        for (name, value) in attributes {
            attribute(resource, 1, name, &Value::Text(value.clone().into_bytes()));
        }
    });
    resource.0
}

/// `ExportTraceServiceRequest` or `ExportLogsServiceRequest`: their fields have the same numbers.
pub fn request(resource: &[u8], records: &[u8]) -> Vec<u8> {
    let mut request = Message(Vec::with_capacity(resource.len() + records.len() + 64));
    request.message(1, |of_resource| {
        of_resource.0.extend(resource);
        of_resource.message(2, |of_scope| {
            of_scope.message(1, |scope| scope.bytes(1, b"mixer.telemetry"));
            of_scope.0.extend(records);
        });
    });
    request.0
}

pub fn span(batch: &mut Vec<u8>, span: &Span) {
    append(batch, |message| {
        let context = span.context;
        message.bytes(1, &context.trace_id);
        message.bytes(2, &context.span_id);
        if !span.trace_state.is_empty() {
            message.bytes(3, span.trace_state);
        }
        if let Some(parent) = &context.parent_id {
            message.bytes(4, parent);
        }
        message.bytes(5, &text(span.name));
        message.number(6, SERVER);
        message.fixed64(7, span.start);
        message.fixed64(8, span.end);
        for (name, value) in span.attributes {
            attribute(message, 9, name, value);
        }
        if span.failed {
            message.message(15, |status| status.number(3, STATUS_ERROR));
        }
        let remote = if context.parent_id.is_some() {
            REMOTE_PARENT
        } else {
            0x100
        };
        message.fixed32(16, u32::from(context.sampled) | remote);
    });
}

pub fn log_record(batch: &mut Vec<u8>, record: &LogRecord) {
    append(batch, |message| {
        if record.time > 0 {
            message.fixed64(1, record.time);
        }
        let (number, name) = severity(record.level);
        message.number(2, number);
        message.bytes(3, name.as_bytes());
        message.message(5, |body| body.bytes(1, record.name.as_bytes()));
        for (name, value) in record.attributes {
            attribute(message, 6, name, value);
        }
        if let Some(context) = record.context {
            message.fixed32(8, u32::from(context.sampled));
            message.bytes(9, &context.trace_id);
            message.bytes(10, &context.span_id);
        }
        message.fixed64(11, record.observed);
        message.bytes(12, record.name.as_bytes());
    });
}

fn append(batch: &mut Vec<u8>, write: impl FnOnce(&mut Message)) {
    let mut message = Message(std::mem::take(batch));
    message.message(RECORDS, write);
    *batch = message.0;
}

fn severity(level: u8) -> (u64, &'static str) {
    match level {
        0 => (1, "TRACE"),
        1 => (5, "DEBUG"),
        3 => (13, "WARN"),
        4 => (17, "ERROR"),
        5 => (21, "FATAL"),
        _ => (9, "INFO"),
    }
}

fn attribute(message: &mut Message, field: u32, name: &str, value: &Value) {
    message.message(field, |pair| {
        pair.bytes(1, name.as_bytes());
        pair.message(2, |any| match value {
            Value::Bool(flag) => any.number(2, u64::from(*flag)),
            #[allow(clippy::cast_sign_loss)] // so it is on the wire
            Value::Int(number) => any.number(3, *number as u64),
            Value::Uint(number) if i64::try_from(*number).is_ok() => any.number(3, *number),
            Value::Double(number) => any.fixed64(4, number.to_bits()),
            value => any.bytes(1, &text(&value.text())),
        });
    });
}

/// Text as Protobuf wants it, which refuses a whole batch for one byte that is no UTF-8.
fn text(value: &[u8]) -> Vec<u8> {
    let mut kept = String::from_utf8_lossy(&value[..value.len().min(VALUE_BYTES)]).into_owned();
    if value.len() > VALUE_BYTES {
        // A character that was cut in two.
        kept.truncate(kept.trim_end_matches('\u{fffd}').len());
        kept.push_str("...");
    }
    kept.into_bytes()
}
