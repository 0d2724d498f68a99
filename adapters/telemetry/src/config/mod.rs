//! The plugin configuration: parsing, bounds, and one clear message for a mistake.

mod istio;
mod logs;
mod metrics;
mod otlp;
#[cfg(test)]
mod tests;
mod tracing;

pub use istio::{Istio, Origin};
pub use otlp::Otlp;
pub use tracing::{Format as Propagation, Tracing};

use crate::sampling::Sampling;
use mixer_host::config::{parse, ConfigError, Node};

const SERIES: usize = 10_000;
/// The hosts give one VM 16,384 metrics, and each metric has one for what is beyond the bound.
const MOST_SERIES: u64 = 16_000;

pub struct Config {
    /// Istio's standard metrics; None without them.
    pub istio: Option<Istio>,
    pub metrics: Vec<Metric>,
    pub logs: Vec<Log>,
    /// How many label combinations are told apart.
    pub max_series: usize,
    pub tracing: Option<Tracing>,
    pub otlp: Option<Otlp>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

pub struct Metric {
    /// Where it is, such as `metrics[0]`.
    pub path: String,
    pub name: String,
    pub kind: Kind,
    /// An expression; without one every request counts.
    pub condition: Option<String>,
    pub amount: Amount,
    pub dimensions: Vec<Dimension>,
}

/// What is counted, set or recorded.
#[derive(Debug, Eq, PartialEq)]
pub enum Amount {
    Constant(i64),
    Expression(String),
}

/// A label, or a field of a log entry.
pub struct Dimension {
    pub name: String,
    /// An expression.
    pub value: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    Json,
    Text,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    /// The log of the host.
    Host,
    Otlp,
}

pub struct Log {
    /// Where it is, such as `logs[0]`.
    pub path: String,
    pub name: String,
    /// An expression; without one every request is logged.
    pub condition: Option<String>,
    pub severity: Severity,
    pub fields: Vec<Dimension>,
    pub format: Format,
    /// Without it every one that matches is written.
    pub sampling: Option<Sampling>,
    pub output: Output,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Severity {
    /// A level from 0, trace, to 5, critical.
    Level(u8),
    Expression(String),
}

impl Severity {
    /// The level of a name such as `INFO`, in small or capital letters.
    pub fn level(name: &str) -> Option<u8> {
        Some(match name.to_ascii_uppercase().as_str() {
            "TRACE" => 0,
            "DEBUG" => 1,
            "INFO" => 2,
            "WARN" | "WARNING" => 3,
            "ERROR" => 4,
            "CRITICAL" => 5,
            _ => return None,
        })
    }
}

impl Config {
    /// What is given; nothing is a configuration too, of Istio's standard metrics.
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        let text = if text.trim_ascii().is_empty() {
            b"{}"
        } else {
            text
        };
        let mut root = parse(text, "")?.object(&[
            "istio",
            "metrics",
            "logs",
            "maxSeries",
            "tracing",
            "otlp",
        ])?;
        let metrics = root.each("metrics", 0..=64, metrics::metric)?;
        let istio = istio::istio(root.optional("istio"), metrics.is_none())?;
        let metrics = metrics.unwrap_or_default();
        metrics::check_names(&metrics, istio.is_some())?;
        let config = Self {
            istio,
            metrics,
            logs: root.each("logs", 0..=32, logs::log)?.unwrap_or_default(),
            max_series: root.optional("maxSeries").map_or(Ok(SERIES), max_series)?,
            tracing: root.optional("tracing").map(tracing::tracing).transpose()?,
            otlp: root.optional("otlp").map(otlp::otlp).transpose()?,
        };
        config.check()
    }

    fn check(self) -> Result<Self, ConfigError> {
        let sent = self.logs.iter().find(|log| log.output == Output::Otlp);
        if let Some(log) = sent.filter(|_| self.otlp.is_none()) {
            let message = "is OTLP, and there is no otlp that says where to";
            return Err(ConfigError::new(format!("{}.output", log.path), message));
        }
        let idle = self.istio.is_none() && self.metrics.is_empty() && self.logs.is_empty();
        if idle && self.tracing.is_none() {
            let message = "needs at least one of istio, metrics, logs and tracing";
            return Err(ConfigError::new("", message));
        }
        Ok(self)
    }
}

fn max_series(node: Node) -> Result<usize, ConfigError> {
    #[allow(clippy::cast_possible_truncation)] // it is in the range
    node.whole(1..=MOST_SERIES).map(|number| number as usize)
}

fn expression(node: Node) -> Result<String, ConfigError> {
    let error = node.error("must be an expression of 1 to 4096 bytes");
    let text = node.string()?;
    let sound = text.len() <= 4096 && !text.trim().is_empty();
    sound.then_some(text).ok_or(error)
}

/// What metrics and logs are called.
fn name(node: Node) -> Result<String, ConfigError> {
    let message = "must be 1 to 128 letters, digits, dots, hyphens and underscores, and begin \
                   with a letter or an underscore";
    let error = node.error(message);
    let name = node.string()?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let sound = begins && name.len() <= 128 && name.bytes().all(allowed) && !name.ends_with('.');
    sound.then_some(name).ok_or(error)
}
