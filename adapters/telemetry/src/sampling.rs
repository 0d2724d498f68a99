//! Which log entries are written, where not all are.

use crate::trace::{Ids, Ratio};

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// From 0 to 100.
    Percent(f64),
    PerSecond(u32),
}

/// What a request is known by.
#[derive(Clone, Copy, Debug)]
pub enum Identity<'a> {
    Trace(&'a [u8; 16]),
    Request(&'a [u8]),
    None,
}

/// What sampling goes by.
pub enum Sampler {
    Share(Ratio),
    Bucket(Bucket),
}

impl Sampler {
    pub fn new(sampling: Sampling) -> Self {
        match sampling {
            Sampling::Percent(percent) => Self::Share(Ratio::percent(percent)),
            Sampling::PerSecond(rate) => Self::Bucket(Bucket::new(rate)),
        }
    }
}

/// The same share of requests wherever it is asked: by trace, so that traces and logs agree, else
/// by the id of the request, else at random.
pub fn share(ratio: Ratio, identity: Identity, ids: &mut Ids) -> bool {
    match identity {
        Identity::Trace(id) => ratio.takes(id),
        Identity::Request(id) => ratio.takes_number(hash(id)),
        Identity::None => ratio.takes_number(ids.next()),
    }
}

/// FNV-1a, and a mixing of its bits as in SplitMix64, since its last ones are weak.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// So many in a second, and as many at once.
pub struct Bucket {
    interval: u64,
    most: u64,
    /// When it would be full again.
    full_at: u64,
}

impl Bucket {
    pub fn new(rate: u32) -> Self {
        let interval = SECOND / u64::from(rate.max(1));
        Self {
            interval,
            most: SECOND,
            full_at: 0,
        }
    }

    /// Whether there is one more, at a time in nanoseconds. A clock that goes back by more than
    /// a second begins anew.
    pub fn takes(&mut self, now: u64) -> bool {
        let behind = self.full_at.saturating_sub(now);
        let behind = if behind > self.most { 0 } else { behind };
        if behind + self.interval > self.most {
            return false;
        }
        self.full_at = now + behind + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_or_not_wherever_it_is_asked() {
        let (mut some, mut others) = (Ids::new([1; 4]), Ids::new([2; 4]));
        let ratio = Ratio::percent(30.0);
        let mut taken = 0;
        for number in 0..10_000_u32 {
            let id = number.to_string();
            let identity = Identity::Request(id.as_bytes());
            let one = share(ratio, identity, &mut some);
            assert_eq!(one, share(ratio, identity, &mut others));
            taken += u32::from(one);
        }
        assert!((2700..3300).contains(&taken), "{taken}");
    }

    #[test]
    fn without_an_id_it_is_by_chance() {
        let mut ids = Ids::new([1; 4]);
        let ratio = Ratio::percent(50.0);
        let taken = (0..10_000)
            .filter(|_| share(ratio, Identity::None, &mut ids))
            .count();
        assert!((4700..5300).contains(&taken), "{taken}");
    }

    #[test]
    fn so_many_in_a_second() {
        let mut bucket = Bucket::new(10);
        let at = |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.takes(now)).count();
        assert_eq!(at(&mut bucket, 5 * SECOND), 10);
        assert_eq!(at(&mut bucket, 5 * SECOND + SECOND / 2), 5);
        assert_eq!(at(&mut bucket, 50 * SECOND), 10);
        assert_eq!(at(&mut bucket, 20 * SECOND), 10, "a clock that went back");
    }
}
