//! New ids.

/// Makes ids that nobody else makes, if its seed is random: xoshiro256** by Blackman and Vigna.
pub struct Ids([u64; 4]);

impl Ids {
    pub fn new(mut seed: [u64; 4]) -> Self {
        // All zeros would stay so.
        seed[0] |= u64::from(seed == [0; 4]);
        let mut ids = Self(seed);
        for _ in 0..8 {
            ids.next();
        }
        ids
    }

    /// Takes in what makes the next ids differ from those of who began alike.
    pub fn stir(&mut self, now: u64, more: &[u8]) {
        self.0[0] ^= now;
        for (number, eight) in (0..).zip(more.chunks(8)) {
            let mut word = [0; 8];
            word[..eight.len()].copy_from_slice(eight);
            self.0[(number + 1) % 4] ^= u64::from_le_bytes(word).rotate_left(32);
        }
        self.0[0] |= u64::from(self.0 == [0; 4]);
        self.next();
    }

    pub fn trace(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next().to_be_bytes());
        id[8..].copy_from_slice(&self.span());
        id
    }

    /// Never all zeros, which would be none.
    pub fn span(&mut self) -> [u8; 8] {
        self.next().max(1).to_be_bytes()
    }

    pub fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;
    use std::collections::HashSet;

    #[test]
    fn ids_differ() {
        for seed in [[0; 4], [1, 2, 3, 4]] {
            let mut ids = Ids::new(seed);
            let found: HashSet<[u8; 8]> = (0..10_000).map(|_| ids.span()).collect();
            assert_eq!(found.len(), 10_000);
        }
        let (mut one, mut other) = (Ids::new([1; 4]), Ids::new([1; 4]));
        one.stir(7, b"a request");
        other.stir(7, b"another request");
        assert_ne!(one.trace(), other.trace());
        assert_ne!(
            Ids::new([1, 0, 0, 0]).trace(),
            Ids::new([2, 0, 0, 0]).trace()
        );
    }
}
