//! What is remembered of label combinations: which metric each is.

use crate::hashing::Folding;
use std::collections::HashMap;

/// How much of a value makes a label: what is longer is cut.
const VALUE_BYTES: usize = 256;
const ABSENT: u32 = u32::MAX;

/// The metrics of one configuration by their label combinations, of which there is a bound.
pub struct Series {
    by_key: HashMap<Vec<u8>, u32, Folding>,
    used: usize,
    most: usize,
}

impl Series {
    /// So many at the most; a seed that callers do not know keeps them from making keys alike.
    pub fn new(most: usize, seed: u64) -> Self {
        Self {
            by_key: HashMap::with_hasher(Folding(seed)),
            used: 0,
            most,
        }
    }

    pub fn get(&self, key: &Key) -> Option<u32> {
        self.by_key.get(key.0.as_slice()).copied()
    }

    /// Whether there is room for so many metrics.
    pub fn has_room(&self, count: usize) -> bool {
        self.used + count <= self.most
    }

    /// Remembers what so many metrics of a combination are found by.
    pub fn put(&mut self, key: &Key, id: u32, count: usize) {
        self.used += count;
        self.by_key.insert(key.0.clone(), id);
    }
}

/// A combination: the number of a metric, and its values as the host encodes them.
///
/// It is written anew for each record, in the same memory.
#[derive(Default)]
pub struct Key(Vec<u8>);

impl Key {
    pub fn begin(&mut self, metric: u32) {
        self.0.clear();
        self.0.extend(metric.to_le_bytes());
    }

    /// The next value, or that there is none.
    pub fn push(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => {
                let kept = &value[..value.len().min(VALUE_BYTES)];
                // It is not over VALUE_BYTES.
                let size = u32::try_from(kept.len()).unwrap_or(ABSENT);
                self.0.extend(size.to_le_bytes());
                self.0.extend(kept);
            }
            None => self.0.extend(ABSENT.to_le_bytes()),
        }
    }

    /// More of what tells it from others.
    pub fn extend(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.0);
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The values again, cut to what is kept of them.
    pub fn values(&self) -> Vec<Option<Vec<u8>>> {
        let mut rest = self.0.get(4..).unwrap_or_default();
        let mut values = Vec::new();
        while let Some((size, after)) = rest.split_first_chunk::<4>() {
            let size = u32::from_le_bytes(*size);
            let (value, after) = match size {
                ABSENT => (None, after),
                _ => {
                    let (value, after) = after.split_at(size as usize);
                    (Some(value.to_vec()), after)
                }
            };
            values.push(value);
            rest = after;
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(metric: u32, values: &[Option<&[u8]>]) -> Key {
        let mut key = Key::default();
        key.begin(9);
        key.push(Some(b"of the record before"));
        key.begin(metric);
        for value in values {
            key.push(*value);
        }
        key
    }

    #[test]
    fn combinations_are_told_apart() {
        let mut series = Series::new(100, 7);
        let long = [b'x'; 1000];
        let keys = [
            key(0, &[]),
            key(1, &[]),
            key(0, &[None]),
            key(0, &[Some(b"")]),
            key(0, &[Some(b"a"), Some(b"b")]),
            key(0, &[Some(b"ab"), Some(b"")]),
            key(0, &[Some(b"ab"), None]),
            key(0, &[Some(&long)]),
        ];
        for (id, one) in (0..).zip(&keys) {
            assert_eq!(series.get(one), None);
            series.put(one, id, 1);
        }
        for (id, one) in (0..).zip(&keys) {
            assert_eq!(series.get(one), Some(id));
        }
    }

    #[test]
    fn values_come_back() {
        let long = [b'x'; 1000];
        let found = key(3, &[Some(b"a"), None, Some(b""), Some(&long)]).values();
        assert_eq!(
            found,
            [
                Some(b"a".to_vec()),
                None,
                Some(vec![]),
                Some(vec![b'x'; 256])
            ]
        );
    }

    #[test]
    fn a_bound() {
        let mut series = Series::new(1, 7);
        assert!(series.has_room(1) && !series.has_room(2));
        series.put(&key(0, &[]), 1, 1);
        assert!(!series.has_room(1));
    }
}
