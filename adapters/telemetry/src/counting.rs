//! Metrics over one record.

use crate::config::{Amount, Config, Kind, Metric};
use crate::context::{compiled, told_once, Once};
use crate::labels::metric_name;
use crate::series::{Key, Series};
use mixer_host::batch::Batch;
use mixer_host::condition::Condition;
use mixer_host::config::ConfigError;
use mixer_host::metrics::{define, Counts, Type};
use mixer_host::source::Source;
use mixer_host::value::Truth;

/// The value of a label whose attribute is absent.
pub const UNKNOWN: &[u8] = b"unknown";

/// A metric with its expressions compiled.
pub struct Counted {
    path: String,
    name: String,
    kind: Kind,
    condition: Option<Condition>,
    amount: Adds,
    dimensions: Vec<(String, Source)>,
    overflow: Option<u32>,
    broken: Once,
}

enum Adds {
    Constant(i64),
    Source(Source),
}

/// Every metric of a configuration.
pub struct Metrics {
    all: Vec<Counted>,
}

impl Metrics {
    pub fn new(config: &Config, batch: &mut Batch) -> Result<Self, ConfigError> {
        let mut all = Vec::with_capacity(config.metrics.len());
        for metric in &config.metrics {
            all.push(counted(metric, batch)?);
        }
        Ok(Self { all })
    }

    /// Counts the current request, of which the batch was read.
    pub fn count(
        &mut self,
        batch: &Batch,
        series: &mut Series,
        key: &mut Key,
        counts: &mut Counts,
    ) {
        for (number, metric) in (0..).zip(&mut self.all) {
            if let Some(amount) = metric.amount(batch) {
                if let Some(id) = metric.series(number, batch, series, key) {
                    counts.add(metric.kind.host(), id, amount);
                }
            }
        }
    }
}

fn counted(metric: &Metric, batch: &mut Batch) -> Result<Counted, ConfigError> {
    let condition = match &metric.condition {
        Some(text) => Some(compiled(Condition::create(text), &metric.path, "match")?),
        None => None,
    };
    let amount = match &metric.amount {
        Amount::Constant(number) => Adds::Constant(*number),
        Amount::Expression(text) => Adds::Source(compiled(
            Source::create(text, batch),
            &metric.path,
            "value",
        )?),
    };
    let mut dimensions = Vec::with_capacity(metric.dimensions.len());
    for one in &metric.dimensions {
        let field = format!("dimensions.{}", one.name);
        let source = compiled(Source::create(&one.value, batch), &metric.path, &field)?;
        dimensions.push((one.name.clone(), source));
    }
    let mut counted = Counted {
        path: metric.path.clone(),
        name: metric.name.clone(),
        kind: metric.kind,
        condition,
        amount,
        dimensions,
        overflow: None,
        broken: Once::default(),
    };
    counted.overflow();
    Ok(counted)
}

impl Counted {
    /// What the current request counts; None where it does not.
    fn amount(&mut self, batch: &Batch) -> Option<i64> {
        match self.condition.as_ref().map_or(Truth::True, Condition::test) {
            Truth::True => {}
            Truth::False | Truth::Absent => return None,
            Truth::Broken => {
                told_once(&mut self.broken, &self.path, "match");
                return None;
            }
        }
        match &self.amount {
            Adds::Constant(number) => Some(*number),
            Adds::Source(source) => {
                let value = source.read(batch).and_then(|value| value.number());
                if value.is_none() {
                    told_once(&mut self.broken, &self.path, "value");
                }
                value
            }
        }
    }

    /// The metric of the current request's labels; None where the host takes no more.
    fn series(
        &mut self,
        number: u32,
        batch: &Batch,
        series: &mut Series,
        key: &mut Key,
    ) -> Option<u32> {
        key.begin(number);
        for (_, source) in &self.dimensions {
            key.push(source.raw(batch).as_deref());
        }
        if let Some(id) = series.get(key) {
            return Some(id);
        }
        let own = if series.has_room(1) {
            self.define(key)
        } else {
            None
        };
        match own {
            Some(id) => {
                series.put(key, id, 1);
                own
            }
            None => self.overflow(),
        }
    }

    fn define(&self, key: &Key) -> Option<u32> {
        let values = self.dimensions.iter().zip(key.values());
        let texts: Vec<Vec<u8>> = values
            .map(|((_, source), raw)| label(source, raw))
            .collect();
        let names = self.dimensions.iter().map(|(name, _)| name.as_str());
        let labels: Vec<(&str, &[u8])> = names.zip(texts.iter().map(Vec::as_slice)).collect();
        define(self.kind.host(), &metric_name(&labels, &self.name)?)
    }

    /// Where everything is counted that is beyond the bound; without labels there is nothing more.
    ///
    /// It is there from the start: when it is needed the host may have no room for it any more.
    fn overflow(&mut self) -> Option<u32> {
        if self.overflow.is_none() {
            let labels: &[(&str, &[u8])] = match self.dimensions.is_empty() {
                true => &[],
                false => &[("overflow", b"true")],
            };
            self.overflow = define(self.kind.host(), &metric_name(labels, &self.name)?);
        }
        self.overflow
    }
}

impl Kind {
    pub fn host(self) -> Type {
        match self {
            Self::Counter => Type::Counter,
            Self::Gauge => Type::Gauge,
            Self::Histogram => Type::Histogram,
        }
    }
}

/// The text of a label.
pub fn label(source: &Source, raw: Option<Vec<u8>>) -> Vec<u8> {
    match raw.and_then(|raw| source.decode(raw)) {
        Some(value) => value.text().into_owned(),
        None => UNKNOWN.to_vec(),
    }
}
