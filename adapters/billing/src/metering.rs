//! What is counted of the current request.

use crate::config::{Config, Meter, Source};
use crate::tokens::{sum, Found, TOTAL};
use mixer_host::batch::Batch;
use mixer_host::condition::Condition;
use mixer_host::config::ConfigError;
use mixer_host::expression::Expression;
use mixer_host::root;
use mixer_host::source;
use mixer_host::value::{Truth, Value};

/// What a number of JSON holds exactly.
const MOST_UNITS: u64 = (1 << 53) - 1;

/// Whether something was told already.
#[derive(Default)]
pub struct Once(bool);

impl Once {
    /// Warns the first time.
    pub fn warn(&mut self, message: &str) {
        if !self.0 {
            self.0 = true;
            root::log_warning(&format!("billing: {message}; said once"));
        }
    }
}

/// An expression that the host took, or the error that it did not.
pub fn compiled<T>(made: Option<T>, field: &str) -> Result<T, ConfigError> {
    made.ok_or_else(|| {
        let why = match Expression::create("true") {
            Some(_) => "is not an expression that the host takes",
            None => "needs expressions, and the host has no foreign function expr_create",
        };
        ConfigError::new(field, why)
    })
}

/// A condition; where there is none it always holds.
pub struct Gate {
    condition: Option<Condition>,
    field: String,
    broken: Once,
}

impl Gate {
    pub fn new(text: Option<&str>, field: String) -> Result<Self, ConfigError> {
        let condition = match text {
            Some(text) => Some(compiled(Condition::create(text), &field)?),
            None => None,
        };
        let broken = Once::default();
        Ok(Self {
            condition,
            field,
            broken,
        })
    }

    fn test(&self) -> Truth {
        self.condition.as_ref().map_or(Truth::True, Condition::test)
    }

    /// Whether it may hold once more is known of the request than now.
    pub fn may_hold(&self) -> bool {
        self.test() != Truth::False
    }

    pub fn holds(&mut self) -> bool {
        match self.test() {
            Truth::True => true,
            Truth::False | Truth::Absent => false,
            Truth::Broken => {
                let message = "cannot be evaluated, and what it stands for is not recorded";
                self.broken.warn(&format!("{} {message}", self.field));
                false
            }
        }
    }
}

/// A meter with its expressions compiled.
pub struct Metering {
    name: String,
    gate: Gate,
    units: Units,
    field: String,
    bad: Once,
}

enum Units {
    One,
    /// By their places in the batch.
    Bytes(Vec<usize>),
    Tokens(usize),
    Sum(usize),
    Source(source::Source),
}

const REQUEST: &[u8] = b"request\0total_size";
const RESPONSE: &[u8] = b"response\0total_size";

pub fn all(config: &Config, batch: &mut Batch) -> Result<Vec<Metering>, ConfigError> {
    let mut all = Vec::with_capacity(config.meters.len());
    for meter in &config.meters {
        all.push(Metering::new(meter, batch)?);
    }
    Ok(all)
}

impl Metering {
    fn new(meter: &Meter, batch: &mut Batch) -> Result<Self, ConfigError> {
        let field = format!("{}.value", meter.path);
        Ok(Self {
            name: meter.name.clone(),
            gate: Gate::new(meter.condition.as_deref(), format!("{}.match", meter.path))?,
            units: match &meter.source {
                Source::One => Units::One,
                Source::RequestBytes => Units::Bytes(vec![batch.add(REQUEST)]),
                Source::ResponseBytes => Units::Bytes(vec![batch.add(RESPONSE)]),
                Source::TotalBytes => Units::Bytes(vec![batch.add(REQUEST), batch.add(RESPONSE)]),
                Source::Tokens(slot) if meter.name == TOTAL => Units::Sum(*slot),
                Source::Tokens(slot) => Units::Tokens(*slot),
                Source::Expression(text) => {
                    Units::Source(compiled(source::Source::create(text, batch), &field)?)
                }
            },
            field,
            bad: Once::default(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The units of the current request, of which the batch was read; None where there is
    /// nothing to record.
    pub fn measure(&mut self, tokens: Option<&Found>, batch: &Batch) -> Option<u64> {
        if !self.gate.holds() {
            return None;
        }
        let units = match &self.units {
            Units::One => Some(1),
            Units::Tokens(slot) => tokens?[*slot],
            Units::Sum(slot) => tokens?[*slot].or_else(|| tokens.and_then(sum)),
            Units::Bytes(places) => match bytes(places, batch) {
                Some(total) => checked(Some(total), &self.field, &mut self.bad),
                None => None,
            },
            Units::Source(source) => {
                let value = source.read(batch)?;
                checked(value_of(&value), &self.field, &mut self.bad)
            }
        };
        units.filter(|units| *units > 0)
    }
}

/// All of those that the host knows; None where it knows none of them.
fn bytes(places: &[usize], batch: &Batch) -> Option<i64> {
    let int = |at: &usize| batch.get(*at)?.try_into().ok().map(i64::from_le_bytes);
    let mut known = places.iter().filter_map(int);
    let first = known.next()?;
    Some(known.fold(first, i64::saturating_add))
}

fn value_of(value: &Value) -> Option<i64> {
    match value {
        // What is no whole number any more must not become the largest one.
        #[allow(clippy::cast_precision_loss)]
        Value::Double(number) if !(0.0..=MOST_UNITS as f64).contains(number) => None,
        _ => value.number(),
    }
}

fn checked(number: Option<i64>, field: &str, bad: &mut Once) -> Option<u64> {
    let sound = number.and_then(|number| u64::try_from(number).ok());
    let sound = sound.filter(|number| *number <= MOST_UNITS);
    if sound.is_none() {
        bad.warn(&format!(
            "{field} is no number from 0 to 2^53 - 1, and is not recorded"
        ));
    }
    sound
}
