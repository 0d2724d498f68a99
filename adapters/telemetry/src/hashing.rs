//! A hash for keys of some hundred bytes, which take SipHash longer than all else of a record.

use std::hash::{BuildHasher, Hasher};

/// By folded multiplications, from a seed.
#[derive(Clone, Copy)]
pub struct Folding(pub u64);

pub struct Folded(u64);

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl BuildHasher for Folding {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0 ^ ODD)
    }
}

impl Folded {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(ODD);
        #[allow(clippy::cast_possible_truncation)] // both halves are taken
        let halves = [product as u64, (product >> 64) as u64];
        // The state comes in again, since one factor may be 0.
        self.0 = (halves[0] ^ halves[1]).wrapping_add(self.0.rotate_left(23));
    }
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let mut whole = [0; 8];
            whole.copy_from_slice(word);
            self.fold(u64::from_le_bytes(whole));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.fold(u64::from_le_bytes(last));
    }

    fn finish(&self) -> u64 {
        let mut last = Self(self.0);
        last.fold(ODD);
        last.0
    }
}

#[cfg(test)]
mod tests {
    use super::Folding;
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    #[test]
    fn hashes_differ() {
        let mut seen = HashSet::new();
        for seed in [0, 1, super::ODD] {
            for number in 0..20_000_u32 {
                seen.insert(Folding(seed).hash_one(number.to_be_bytes()));
                seen.insert(Folding(seed).hash_one([&[0; 40][..], &number.to_be_bytes()].concat()));
            }
        }
        assert_eq!(seen.len(), 120_000);
        let low: HashSet<u64> = (0..1000_u32)
            .map(|n| Folding(3).hash_one(n.to_le_bytes()) % 1024)
            .collect();
        assert!(low.len() > 550, "their last bits differ too: {}", low.len());
    }
}
