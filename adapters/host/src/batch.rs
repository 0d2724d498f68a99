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
    values: Vec<u8>,
    /// Where each value is; None where there is none.
    places: Vec<Option<(usize, usize)>>,
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
            if foreign::call(NAME, &self.request).is_ok_and(|values| self.take(values)) {
                return;
            }
            self.alone = true;
        }
        self.read_alone();
    }

    fn take(&mut self, values: Vec<u8>) -> bool {
        let mut at = 4 * self.paths.len();
        for size in values.chunks_exact(4).take(self.paths.len()) {
            let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]);
            let place = (size != ABSENT).then(|| (at, at + size as usize));
            at = place.map_or(at, |(_, end)| end);
            self.places.push(place);
        }
        self.values = values;
        self.places.len() == self.paths.len() && at == self.values.len()
    }

    fn read_alone(&mut self) {
        let most = u32::from_le_bytes([0, 1, 2, 3].map(|at| self.request[at])) as usize;
        self.values.clear();
        self.places.clear();
        for path in &self.paths {
            let start = self.values.len();
            let value = properties::get_joined(path).ok();
            let place = value.map(|value| {
                self.values.extend(&value[..value.len().min(most)]);
                (start, self.values.len())
            });
            self.places.push(place);
        }
    }

    /// What was read last; None where there is no such thing.
    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let (start, end) = (*self.places.get(at)?)?;
        self.values.get(start..end)
    }
}
