//! Many properties by one host call, where the host has such a thing.

use crate::foreign;
use crate::properties;

/// Properties that are read together.
#[derive(Default)]
pub struct Batch {
    paths: Vec<Vec<u8>>,
    request: Vec<u8>,
    /// The host has no such call.
    alone: bool,
    /// The size of each value, and then all values.
    answer: Vec<u8>,
    places: Vec<Place>,
}

/// Where a value is, or would be.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
    is_there: bool,
}

const NAME: &str = "mixer_get_properties";
const ABSENT: u32 = u32::MAX;

impl Batch {
    /// A batch of which every value is cut to so many bytes.
    pub fn new(most: u32) -> Self {
        Self {
            request: most.to_le_bytes().to_vec(),
            ..Self::default()
        }
    }

    /// One more, by its path whose parts are joined by NULs; what `get` finds it by.
    pub fn add(&mut self, path: &[u8]) -> usize {
        if let Some(at) = self.paths.iter().position(|known| known == path) {
            return at;
        }
        let size = u32::try_from(path.len()).unwrap_or(ABSENT);
        self.request.extend(size.to_le_bytes());
        self.request.extend(path);
        self.paths.push(path.to_vec());
        self.paths.len() - 1
    }

    /// Reads all of them for the current request.
    pub fn read(&mut self) {
        self.places.clear();
        if self.paths.is_empty() {
            return;
        }
        if !self.alone {
            if foreign::call(NAME, &self.request).is_ok_and(|answer| self.take(answer)) {
                return;
            }
            self.alone = true;
        }
        let answer = self.read_alone();
        self.take(answer);
    }

    fn take(&mut self, answer: Vec<u8>) -> bool {
        let mut start = 4 * self.paths.len();
        self.places.clear();
        for size in answer.chunks_exact(4).take(self.paths.len()) {
            let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]);
            let is_there = size != ABSENT;
            let end = start + if is_there { size as usize } else { 0 };
            self.places.push(Place {
                start,
                end,
                is_there,
            });
            start = end;
        }
        self.answer = answer;
        self.places.len() == self.paths.len() && start == self.answer.len()
    }

    /// The same as the host would answer.
    fn read_alone(&self) -> Vec<u8> {
        let most = u32::from_le_bytes([0, 1, 2, 3].map(|at| self.request[at])) as usize;
        let (mut sizes, mut values) = (Vec::new(), Vec::<u8>::new());
        for path in &self.paths {
            let size = properties::get_joined(path).map_or(ABSENT, |value| {
                let kept = &value[..value.len().min(most)];
                values.extend(kept);
                u32::try_from(kept.len()).unwrap_or(ABSENT)
            });
            sizes.extend(size.to_le_bytes());
        }
        sizes.extend(values);
        sizes
    }

    /// What was read last; None where there is no such thing.
    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let place = self.places.get(at).filter(|place| place.is_there)?;
        self.answer.get(place.start..place.end)
    }

    /// The first so many of what was read last as bytes that tell them from all others.
    pub fn first(&self, count: usize, bytes: &mut Vec<u8>) {
        if let Some(last) = self.places[..count].last() {
            bytes.extend(&self.answer[..4 * count]);
            bytes.extend(&self.answer[4 * self.places.len()..last.end]);
        }
    }
}
