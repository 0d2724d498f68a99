//! Istio's standard metrics over one record.

use crate::config::{Config, Istio, Kind, Origin};
use crate::context::compiled;
use crate::counting::{label, tell, UNKNOWN};
use crate::istio::{self, Record, Reporter, Slot, LABELS, OF_EACH, PATHS, STANDARD};
use crate::labels::metric_name;
use crate::series::{Key, Series};
use crate::source::Source;
use mixer_host::batch::Batch;
use mixer_host::config::ConfigError;
use mixer_host::metrics::define;

/// Combinations of the metrics of a configuration have smaller numbers.
const FIRST_KEY: u32 = 1 << 16;

/// The metrics of a configuration, on each of the two sides.
pub struct Standard {
    reporter: Option<Reporter>,
    slots: Vec<usize>,
    tags: Vec<Option<Source>>,
    /// Of requests and of connections, on each of the two sides.
    groups: [[Group; 2]; 2],
    /// What each combination counts into, by what `Series` remembers.
    ids: Vec<[Option<u32>; OF_EACH]>,
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
    pub fn new(config: &Istio, batch: &mut Batch) -> Result<Self, ConfigError> {
        let path = |text: &str| text.replace('|', "\0").into_bytes();
        let slots = PATHS.iter().map(|text| batch.add(&path(text))).collect();
        let tags = tags(config, batch)?;
        let groups =
            [0, 1].map(|side| [0, OF_EACH].map(|first| group(config, first, side, tags.len())));
        Ok(Self {
            reporter: config.reporter,
            slots,
            tags,
            groups,
            ids: Vec::new(),
        })
    }

    pub fn of(config: &Config, batch: &mut Batch) -> Result<Option<Self>, ConfigError> {
        config
            .istio
            .as_ref()
            .map(|istio| Self::new(istio, batch))
            .transpose()
    }

    /// Counts the current request, of which the batch was read.
    pub fn count(&mut self, batch: &Batch, series: &mut Series, key: &mut Key) {
        let slots = &self.slots;
        let find = |slot: Slot| batch.get(slots[slot as usize]);
        let record = Record::new(&find, self.reporter);
        let side = usize::from(record.reporter != Reporter::Source);
        let kind = usize::from(record.kind == istio::Kind::Tcp);
        let group = &self.groups[side][kind];
        if group.measures.iter().all(Option::is_none) {
            return;
        }
        key.begin(FIRST_KEY + 2 * u32::from(side > 0) + u32::from(kind > 0));
        group.write(key, &record, &self.tags, batch);
        let at = match series.get(key) {
            Some(at) => Some(at as usize),
            None => remember(key, &group.measures, &self.tags, series, &mut self.ids),
        };
        let known = at.and_then(|at| self.ids.get(at));
        for (number, amount) in record.amounts().into_iter().enumerate() {
            let (Some(measure), Some(amount)) = (&group.measures[number], amount) else {
                continue;
            };
            let own = known.and_then(|ids| ids[number]).or(measure.overflow);
            tell(measure.kind, own, i64::try_from(amount).unwrap_or(i64::MAX));
        }
    }
}

impl Group {
    fn write(&self, key: &mut Key, record: &Record, tags: &[Option<Source>], batch: &Batch) {
        let mut wanted = self.wanted.iter();
        record.labels(|value| {
            let wanted = wanted.next() == Some(&true);
            key.push(value.as_deref().filter(|_| wanted));
        });
        for source in tags {
            let wanted = wanted.next() == Some(&true);
            let value = source.as_ref().filter(|_| wanted);
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
