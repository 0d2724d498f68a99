//! Istio's standard metrics over one record.

use crate::config::{Config, Istio, Kind, Origin};
use crate::context::compiled;
use crate::counting::{label, UNKNOWN};
use crate::istio::{
    self, Late, Record, Reporter, Slot, FIRST_AMOUNT, FIRST_LATE, LABELS, OF_EACH, PATHS, STANDARD,
};
use crate::labels::metric_name;
use crate::recent::Recent;
use crate::series::{Key, Series};
use mixer_host::batch::Batch;
use mixer_host::config::ConfigError;
use mixer_host::metrics::{define, Counts};
use mixer_host::properties;
use mixer_host::source::Source;

/// Combinations of the metrics of a configuration have smaller numbers.
const FIRST_KEY: u32 = 1 << 16;

/// The metrics of a configuration, on each of the two sides.
pub struct Standard {
    reporter: Option<Reporter>,
    late: Vec<Vec<u8>>,
    tags: Vec<Option<Source>>,
    /// Of requests and of connections, on each of the two sides.
    groups: [[Group; 2]; 2],
    /// What each combination counts into, by what `Series` remembers.
    ids: Vec<[Option<u32>; OF_EACH]>,
    /// The same by what was read, of which no labels need to be made then.
    recent: Recent<usize>,
    read: Key,
}

/// Metrics that count together.
struct Group {
    measures: Vec<Option<Measure>>,
    /// Which of all labels and tags any of them has: no other one may make more combinations.
    wanted: Vec<bool>,
}

struct Measure {
    name: &'static str,
    kind: Kind,
    labels: Vec<(String, Origin)>,
    overflow: Option<u32>,
}

impl Standard {
    /// To be called before anything else is added to the batch: slots are places there.
    pub fn new(config: &Istio, batch: &mut Batch, seed: u64) -> Result<Self, ConfigError> {
        let path = |text: &&str| text.replace('|', "\0").into_bytes();
        let (early, late) = PATHS.split_at(FIRST_LATE);
        for text in early {
            batch.add(&path(text));
        }
        let tags = tags(config, batch)?;
        let groups =
            [0, 1].map(|side| [0, OF_EACH].map(|first| group(config, first, side, tags.len())));
        Ok(Self {
            reporter: config.reporter,
            late: late.iter().map(path).collect(),
            tags,
            groups,
            ids: Vec::new(),
            recent: Recent::new(seed),
            read: Key::default(),
        })
    }

    pub fn of(config: &Config, batch: &mut Batch, seed: u64) -> Result<Option<Self>, ConfigError> {
        config
            .istio
            .as_ref()
            .map(|istio| Self::new(istio, batch, seed))
            .transpose()
    }

    /// Counts the current request, of which the batch was read.
    pub fn count(
        &mut self,
        batch: &Batch,
        series: &mut Series,
        key: &mut Key,
        counts: &mut Counts,
    ) {
        let early = |slot: Slot| batch.get(slot as usize).filter(|_| is_early(slot));
        let late = Late::read(&early, |slot| {
            properties::get_joined(&self.late[slot as usize - FIRST_LATE]).ok()
        });
        let find = |slot: Slot| {
            if is_early(slot) {
                early(slot)
            } else {
                late.get(slot)
            }
        };
        let record = Record::new(&find, self.reporter);
        let side = usize::from(record.reporter != Reporter::Source);
        let kind = usize::from(record.kind == istio::Kind::Tcp);
        let group = &self.groups[side][kind];
        if group.measures.iter().all(Option::is_none) {
            return;
        }
        let number = FIRST_KEY + 2 * u32::from(side > 0) + u32::from(kind > 0);
        self.read.begin(number);
        group.read(&mut self.read, batch, &late, &self.tags);
        let mut at = self.recent.get(self.read.bytes());
        if at.is_none() {
            key.begin(number);
            group.write(key, &record, &self.tags, batch);
            at = match series.get(key) {
                Some(at) => Some(at as usize),
                None => remember(key, &group.measures, &self.tags, series, &mut self.ids),
            };
            // What is beyond the bound is not to push out the others.
            if let Some(at) = at {
                self.recent.put(self.read.bytes(), at);
            }
        }
        let known = at.and_then(|at| self.ids.get(at));
        for (number, amount) in record.amounts().into_iter().enumerate() {
            let (Some(measure), Some(amount)) = (&group.measures[number], amount) else {
                continue;
            };
            if let Some(id) = known.and_then(|ids| ids[number]).or(measure.overflow) {
                let amount = i64::try_from(amount).unwrap_or(i64::MAX);
                counts.add(measure.kind.host(), id, amount);
            }
        }
    }
}

fn is_early(slot: Slot) -> bool {
    (slot as usize) < FIRST_LATE
}

impl Group {
    /// What labels are made of, as it was read.
    fn read(&self, key: &mut Key, batch: &Batch, late: &Late, tags: &[Option<Source>]) {
        key.extend(|bytes| batch.first(FIRST_AMOUNT, bytes));
        late.of_labels().for_each(|value| key.push(value));
        self.write_tags(key, tags, batch);
    }

    fn write(&self, key: &mut Key, record: &Record, tags: &[Option<Source>], batch: &Batch) {
        let mut wanted = self.wanted.iter();
        record.labels(|value| {
            let wanted = wanted.next() == Some(&true);
            key.push(value.as_deref().filter(|_| wanted));
        });
        self.write_tags(key, tags, batch);
    }

    fn write_tags(&self, key: &mut Key, tags: &[Option<Source>], batch: &Batch) {
        for (source, wanted) in tags.iter().zip(&self.wanted[LABELS.len()..]) {
            let value = source.as_ref().filter(|_| *wanted);
            key.push(value.and_then(|source| source.raw(batch)).as_deref());
        }
    }
}

/// The ids of a combination that comes for the first time; None beyond the bound.
fn remember(
    key: &Key,
    measures: &[Option<Measure>],
    tags: &[Option<Source>],
    series: &mut Series,
    all: &mut Vec<[Option<u32>; OF_EACH]>,
) -> Option<usize> {
    let count = measures.iter().flatten().count();
    if !series.has_room(count) {
        return None;
    }
    let values = key.values();
    let mut ids = [None; OF_EACH];
    for (id, measure) in ids.iter_mut().zip(measures) {
        *id = measure.as_ref().and_then(|one| one.define(&values, tags));
    }
    // With those that the host did not take it is no better the next time.
    let at = u32::try_from(all.len()).ok()?;
    series.put(key, at, count);
    all.push(ids);
    Some(at as usize)
}

impl Measure {
    fn define(&self, values: &[Option<Vec<u8>>], tags: &[Option<Source>]) -> Option<u32> {
        let text = |origin: &Origin| match *origin {
            Origin::Standard(at) => values[at].clone().unwrap_or_else(|| UNKNOWN.to_vec()),
            Origin::Tag(at) => {
                let raw = values[LABELS.len() + at].clone();
                let source = tags[at].as_ref();
                source.map_or_else(Vec::new, |source| label(source, raw))
            }
        };
        let texts: Vec<(&str, Vec<u8>)> = self
            .labels
            .iter()
            .map(|(name, origin)| (name.as_str(), text(origin)))
            .collect();
        let labels: Vec<(&str, &[u8])> = texts
            .iter()
            .map(|(name, text)| (*name, text.as_slice()))
            .collect();
        define(self.kind.host(), &metric_name(&labels, self.name)?)
    }
}

fn tags(config: &Istio, batch: &mut Batch) -> Result<Vec<Option<Source>>, ConfigError> {
    let mut sources = Vec::new();
    for tag in config.overrides.iter().flat_map(|one| &one.tags) {
        let made = match &tag.value {
            Some(text) => Some(compiled(Source::create(text, batch), &tag.path, "value")?),
            None => None,
        };
        sources.push(made);
    }
    Ok(sources)
}

fn group(config: &Istio, first: usize, side: usize, tags: usize) -> Group {
    let measures: Vec<Option<Measure>> = (first..first + OF_EACH)
        .map(|at| measure(config, at, side))
        .collect();
    let standard = (0..LABELS.len()).map(Origin::Standard);
    let has = |origin| {
        let of = |one: &Measure| one.labels.iter().any(|(_, own)| *own == origin);
        measures.iter().flatten().any(of)
    };
    let wanted = standard
        .chain((0..tags).map(Origin::Tag))
        .map(has)
        .collect();
    Group { measures, wanted }
}

fn measure(config: &Istio, metric: usize, side: usize) -> Option<Measure> {
    let labels = config.labels(metric, side)?;
    let one = &STANDARD[metric];
    let kind = if one.histogram {
        Kind::Histogram
    } else {
        Kind::Counter
    };
    let overflow = metric_name(&[("overflow", b"true")], one.name);
    Some(Measure {
        name: one.name,
        kind,
        labels: labels
            .into_iter()
            .map(|(name, origin)| (name.to_owned(), origin))
            .collect(),
        // From the start: when it is needed the host may have no room for it any more.
        overflow: overflow.and_then(|name| define(kind.host(), &name)),
    })
}
