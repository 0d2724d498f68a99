//! Log entries over one record.

use crate::config::{Config, Format, Log, Severity};
use crate::context::{compiled, told_once, Once};
use crate::entry::{json_entry, text_entry, Field};
use mixer_host::condition::Condition;
use mixer_host::config::ConfigError;
use mixer_host::reading::Reading;
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
    fields: Vec<(String, Reading)>,
    format: Format,
    broken: Once,
}

enum Level {
    Constant(u8),
    Reading(Reading),
}

/// Every log of a configuration.
pub struct Logs(Vec<Logged>);

impl Logs {
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut all = Vec::with_capacity(config.logs.len());
        for log in &config.logs {
            all.push(logged(log)?);
        }
        Ok(Self(all))
    }

    /// Logs the current request.
    pub fn write(&mut self) {
        for log in &mut self.0 {
            log.write();
        }
    }
}

fn logged(log: &Log) -> Result<Logged, ConfigError> {
    let condition = match &log.condition {
        Some(text) => Some(compiled(Condition::create(text), &log.path, "match")?),
        None => None,
    };
    let level = match &log.severity {
        Severity::Level(level) => Level::Constant(*level),
        Severity::Expression(text) => {
            Level::Reading(compiled(Reading::create(text), &log.path, "severity")?)
        }
    };
    let mut fields = Vec::with_capacity(log.fields.len());
    for one in &log.fields {
        let field = format!("fields.{}", one.name);
        let reading = compiled(Reading::create(&one.value), &log.path, &field)?;
        fields.push((one.name.clone(), reading));
    }
    Ok(Logged {
        path: log.path.clone(),
        name: log.name.clone(),
        format: log.format,
        broken: Once::default(),
        condition,
        level,
        fields,
    })
}

impl Logged {
    fn write(&mut self) {
        match self.condition.as_ref().map_or(Truth::True, Condition::test) {
            Truth::True => self.write_entry(),
            Truth::False | Truth::Absent => {}
            Truth::Broken => told_once(&mut self.broken, &self.path, "match"),
        }
    }

    fn write_entry(&self) {
        let fields = self
            .fields
            .iter()
            .map(|(name, reading)| (name.as_str(), reading.read()));
        let fields: Vec<Field> = fields.collect();
        let (level, severity) = named(self.level());
        let entry = match self.format {
            Format::Json => json_entry(&self.name, severity, &fields),
            Format::Text => text_entry(&self.name, &fields),
        };
        let _ = hostcalls::log(level, &entry);
    }

    fn level(&self) -> u8 {
        match &self.level {
            Level::Constant(level) => *level,
            Level::Reading(reading) => {
                let name = reading.read().map(|value| value.text().into_owned());
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
