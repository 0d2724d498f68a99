//! Metrics over one record.

use crate::config::{Amount, Config, Kind, Metric};
use crate::context::{compiled, told_once, Once};
use crate::labels::metric_name;
use crate::series::{Key, Series};
use mixer_host::condition::Condition;
use mixer_host::config::ConfigError;
use mixer_host::metrics::{define, increment, record, Type};
use mixer_host::reading::Reading;
use mixer_host::value::Truth;

/// The value of a label whose attribute is absent.
const UNKNOWN: &[u8] = b"unknown";

/// A metric with its expressions compiled.
pub struct Counted {
    path: String,
    name: String,
    kind: Kind,
    condition: Option<Condition>,
    amount: Counts,
    dimensions: Vec<(String, Reading)>,
    overflow: Option<u32>,
    broken: Once,
}

enum Counts {
    Constant(i64),
    Reading(Reading),
}

/// Every metric of a configuration.
pub struct Metrics {
    all: Vec<Counted>,
    series: Series,
    key: Key,
}

impl Metrics {
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut all = Vec::with_capacity(config.metrics.len());
        for metric in &config.metrics {
            all.push(counted(metric)?);
        }
        let series = Series::new(config.max_series);
        let key = Key::default();
        Ok(Self { all, series, key })
    }

    /// Counts the current request.
    pub fn count(&mut self) {
        for (number, metric) in (0..).zip(&mut self.all) {
            if let Some(amount) = metric.amount() {
                let id = metric.series(number, &mut self.series, &mut self.key);
                metric.tell(id, amount);
            }
        }
    }
}

fn counted(metric: &Metric) -> Result<Counted, ConfigError> {
    let condition = match &metric.condition {
        Some(text) => Some(compiled(Condition::create(text), &metric.path, "match")?),
        None => None,
    };
    let amount = match &metric.amount {
        Amount::Constant(number) => Counts::Constant(*number),
        Amount::Expression(text) => {
            Counts::Reading(compiled(Reading::create(text), &metric.path, "value")?)
        }
    };
    let mut dimensions = Vec::with_capacity(metric.dimensions.len());
    for one in &metric.dimensions {
        let field = format!("dimensions.{}", one.name);
        let reading = compiled(Reading::create(&one.value), &metric.path, &field)?;
        dimensions.push((one.name.clone(), reading));
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
    fn amount(&mut self) -> Option<i64> {
        match self.condition.as_ref().map_or(Truth::True, Condition::test) {
            Truth::True => {}
            Truth::False | Truth::Absent => return None,
            Truth::Broken => {
                told_once(&mut self.broken, &self.path, "match");
                return None;
            }
        }
        match &self.amount {
            Counts::Constant(number) => Some(*number),
            Counts::Reading(reading) => {
                let value = reading.read().and_then(|value| value.number());
                if value.is_none() {
                    told_once(&mut self.broken, &self.path, "value");
                }
                value
            }
        }
    }

    /// The metric of the current request's labels; None where the host takes no more.
    fn series(&mut self, number: u32, series: &mut Series, key: &mut Key) -> Option<u32> {
        key.begin(number);
        for (_, reading) in &self.dimensions {
            key.push(reading.raw().as_deref());
        }
        if let Some(id) = series.get(key) {
            return Some(id);
        }
        let own = if series.is_full() {
            None
        } else {
            self.define(key)
        };
        match own {
            Some(id) => {
                series.put(key, id);
                own
            }
            None => self.overflow(),
        }
    }

    fn define(&self, key: &Key) -> Option<u32> {
        let values = self.dimensions.iter().zip(key.values());
        let texts: Vec<Vec<u8>> = values
            .map(|((_, reading), raw)| label(reading, raw))
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

    fn tell(&self, id: Option<u32>, amount: i64) {
        match (id, self.kind) {
            (None, _) => {}
            // A counter only goes up: the hosts refuse everything else.
            (Some(id), Kind::Counter) => increment(id, amount),
            (Some(id), Kind::Gauge | Kind::Histogram) => record(id, amount.max(0).unsigned_abs()),
        }
    }
}

impl Kind {
    fn host(self) -> Type {
        match self {
            Self::Counter => Type::Counter,
            Self::Gauge => Type::Gauge,
            Self::Histogram => Type::Histogram,
        }
    }
}

fn label(reading: &Reading, raw: Option<Vec<u8>>) -> Vec<u8> {
    match raw.and_then(|raw| reading.decode(raw)) {
        Some(value) => value.text().into_owned(),
        None => UNKNOWN.to_vec(),
    }
}
