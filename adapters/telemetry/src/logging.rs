//! Log entries over one record.

use crate::config::{Config, Format, Log, Output, Severity};
use crate::context::{compiled, told_once, Once};
use crate::entry::{json_entry, text_entry, Field};
use crate::exporting::{Exporter, Signal};
use crate::otlp::{log_record, Attribute, LogRecord};
use crate::sampling::{share, Identity, Sampler};
use crate::trace::{Ids, SpanContext};
use crate::tracing::{Headers, Open};
use mixer_host::batch::Batch;
use mixer_host::condition::Condition;
use mixer_host::config::ConfigError;
use mixer_host::request::now;
use mixer_host::source::Source;
use mixer_host::value::Truth;
use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;

const INFO: u8 = 2;

/// A log with its expressions compiled.
pub struct Logged {
    path: String,
    name: String,
    condition: Option<Condition>,
    level: Level,
    fields: Vec<(String, Source)>,
    /// What the fields and the level are read from.
    batch: Batch,
    format: Format,
    sampler: Option<Sampler>,
    output: Output,
    broken: Once,
}

enum Level {
    Constant(u8),
    Source(Source),
}

/// Every log of a configuration.
pub struct Logs {
    all: Vec<Logged>,
    headers: Headers,
}

/// What the current request is in a trace, read once for all logs that want it.
struct Place {
    context: Option<SpanContext>,
}

/// How much of a value is read: one more than is told, so that it shows what was cut.
const VALUE_BYTES: u32 = 1025;

impl Logs {
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut all = Vec::with_capacity(config.logs.len());
        for log in &config.logs {
            all.push(logged(log)?);
        }
        let headers = Headers::of(config);
        Ok(Self { all, headers })
    }

    /// Logs the current request, and its span if it has one here.
    pub fn write(&mut self, open: Option<&Open>, ids: &mut Ids, exporter: &mut Option<Exporter>) {
        let mut place = None;
        for log in &mut self.all {
            if !log.matches() {
                continue;
            }
            let headers = &mut self.headers;
            if log.wants_place() && place.is_none() {
                place = Some(Place::of(open, headers));
            }
            let context = place.as_ref().and_then(|place| place.context.as_ref());
            if log.takes(context, headers, ids) {
                log.write(context, exporter);
            }
        }
    }
}

impl Place {
    /// Of the span that was begun for it, else by the headers that a record has.
    fn of(open: Option<&Open>, headers: &mut Headers) -> Self {
        let told = headers.read();
        let parent = told
            .incoming
            .and_then(|one| Some((one.parent?, one.sampled)));
        let by_headers = parent.map(|(parent, sampled)| SpanContext {
            trace_id: parent.trace_id,
            span_id: parent.span_id,
            parent_id: None,
            sampled: sampled.unwrap_or_default(),
        });
        let context = open.map(|open| open.context).or(by_headers);
        Self { context }
    }
}

fn logged(log: &Log) -> Result<Logged, ConfigError> {
    let condition = match &log.condition {
        Some(text) => Some(compiled(Condition::create(text), &log.path, "match")?),
        None => None,
    };
    let mut batch = Batch::new(VALUE_BYTES);
    let level = match &log.severity {
        Severity::Level(level) => Level::Constant(*level),
        Severity::Expression(text) => {
            let made = Source::create(text, &mut batch);
            Level::Source(compiled(made, &log.path, "severity")?)
        }
    };
    let mut fields = Vec::with_capacity(log.fields.len());
    for one in &log.fields {
        let field = format!("fields.{}", one.name);
        let source = compiled(Source::create(&one.value, &mut batch), &log.path, &field)?;
        fields.push((one.name.clone(), source));
    }
    Ok(Logged {
        path: log.path.clone(),
        name: log.name.clone(),
        format: log.format,
        sampler: log.sampling.map(Sampler::new),
        output: log.output,
        batch,
        broken: Once::default(),
        condition,
        level,
        fields,
    })
}

impl Logged {
    fn matches(&mut self) -> bool {
        match self.condition.as_ref().map_or(Truth::True, Condition::test) {
            Truth::True => true,
            Truth::False | Truth::Absent => false,
            Truth::Broken => {
                told_once(&mut self.broken, &self.path, "match");
                false
            }
        }
    }

    fn wants_place(&self) -> bool {
        self.output == Output::Otlp || matches!(self.sampler, Some(Sampler::Share(_)))
    }

    fn takes(&mut self, context: Option<&SpanContext>, headers: &Headers, ids: &mut Ids) -> bool {
        match &mut self.sampler {
            None => true,
            Some(Sampler::Bucket(bucket)) => now().is_none_or(|now| bucket.takes(now)),
            Some(Sampler::Share(ratio)) => {
                let identity = match (context, headers.request_id()) {
                    (Some(context), _) => Identity::Trace(&context.trace_id),
                    (None, Some(id)) => Identity::Request(id),
                    (None, None) => Identity::None,
                };
                share(*ratio, identity, ids)
            }
        }
    }

    fn write(&mut self, context: Option<&SpanContext>, exporter: &mut Option<Exporter>) {
        self.batch.read();
        let fields = self.fields.iter();
        let fields = fields.map(|(name, source)| (name.as_str(), source.read(&self.batch)));
        let fields: Vec<Field> = fields.collect();
        match (self.output, exporter) {
            (Output::Otlp, Some(exporter)) => self.send(fields, context, exporter),
            _ => self.log(&fields),
        }
    }

    fn log(&self, fields: &[Field]) {
        let (level, severity) = named(self.level());
        let entry = match self.format {
            Format::Json => json_entry(&self.name, severity, fields),
            Format::Text => text_entry(&self.name, fields),
        };
        let _ = hostcalls::log(level, &entry);
    }

    fn send(&self, fields: Vec<Field>, context: Option<&SpanContext>, exporter: &mut Exporter) {
        let known = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let attributes: Vec<Attribute> = known.collect();
        let observed = now().unwrap_or(0);
        let record = LogRecord {
            name: &self.name,
            level: self.level(),
            time: observed,
            observed,
            context,
            attributes: &attributes,
        };
        exporter.push(Signal::Logs, |records| log_record(records, &record));
    }

    fn level(&self) -> u8 {
        match &self.level {
            Level::Constant(level) => *level,
            Level::Source(source) => {
                let name = source
                    .read(&self.batch)
                    .map(|value| value.text().into_owned());
                let name = name.and_then(|name| String::from_utf8(name).ok());
                name.and_then(|name| Severity::level(&name)).unwrap_or(INFO)
            }
        }
    }
}

fn named(level: u8) -> (LogLevel, &'static str) {
    match level {
        0 => (LogLevel::Trace, "trace"),
        1 => (LogLevel::Debug, "debug"),
        3 => (LogLevel::Warn, "warn"),
        4 => (LogLevel::Error, "error"),
        5 => (LogLevel::Critical, "critical"),
        _ => (LogLevel::Info, "info"),
    }
}
