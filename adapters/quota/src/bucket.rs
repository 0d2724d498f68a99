//! One record of shared data: some counters, and answers that may have to be given again.
//!
//! Both are in one record so that one compare-and-set takes an amount and remembers the answer.
//! The record's form: version, counts (u16 each), counters, answers; numbers are little-endian.

use crate::identity::{Identity, RequestId};
use crate::limit::Limit;
use crate::rate::Rate;
use crate::state::State;
use crate::window::Window;

/// Beyond these a bucket takes no other counter until one of its own is over.
pub const MAX_CELLS: usize = 64;

const VERSION: u8 = 2;
const WINDOW: u8 = 0;
const RATE: u8 = 1;
const CELL_BYTES: usize = 32 + 1 + 3 * 8;
const ANSWER_BYTES: usize = 16 + 3 * 8;

#[derive(Debug, Default, PartialEq)]
pub struct Bucket {
    cells: Vec<Cell>,
    answers: Vec<Answer>,
}

#[derive(Clone, Debug, PartialEq)]
struct Cell {
    identity: Identity,
    state: State,
}

/// What a request was granted.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub id: RequestId,
    pub granted: u64,
    /// When all of the quota is there again.
    pub until: u64,
    /// When it was given.
    pub at: u64,
}

impl Bucket {
    /// None for bytes that are no bucket.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.take::<1>()? != [VERSION] {
            return None;
        }
        let (cells, answers) = (reader.count()?, reader.count()?);
        if reader.0.len() != cells * CELL_BYTES + answers * ANSWER_BYTES {
            return None;
        }
        Some(Self {
            cells: (0..cells).map(|_| reader.cell()).collect::<Option<_>>()?,
            answers: (0..answers)
                .map(|_| reader.answer())
                .collect::<Option<_>>()?,
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let size = 5 + self.cells.len() * CELL_BYTES + self.answers.len() * ANSWER_BYTES;
        let mut bytes = Vec::with_capacity(size);
        bytes.push(VERSION);
        for count in [self.cells.len(), self.answers.len()] {
            bytes.extend((count as u16).to_le_bytes());
        }
        for Cell { identity, state } in &self.cells {
            bytes.extend(identity);
            let (kind, numbers) = match state {
                State::Window(one) => (WINDOW, [one.start, one.length, one.used]),
                State::Rate(one) => (RATE, [one.full, one.part, one.span]),
            };
            bytes.push(kind);
            for number in numbers {
                bytes.extend(number.to_le_bytes());
            }
        }
        for answer in &self.answers {
            bytes.extend(answer.id);
            for number in [answer.granted, answer.until, answer.at] {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes
    }

    /// Brings it to a time: what is over is dropped. Returns whether the clock was put back so
    /// far that the bucket must be kept as it is now.
    pub fn advance(&mut self, now: u64, remembered_for: u64) -> bool {
        let mut moved = false;
        for cell in &mut self.cells {
            moved |= cell.state.follow(now);
        }
        self.cells.retain(|cell| !cell.state.is_over(now));
        self.answers
            .retain(|answer| now.abs_diff(answer.at) < remembered_for);
        moved
    }

    /// Brings the state of an identity in line with the limit that holds now. Returns whether that
    /// changed it, so that the bucket must be kept.
    pub fn adjust(&mut self, identity: &Identity, limit: Limit, now: u64) -> bool {
        let Some(cell) = self.cell(identity, limit.is_fixed()) else {
            return false;
        };
        let before = cell.state;
        cell.state.adjust(limit, now);
        cell.state != before
    }

    /// The state of an identity, as it was adjusted; a new one where there is none.
    pub fn state(&mut self, identity: &Identity, limit: Limit, now: u64) -> State {
        let known = self.cell(identity, limit.is_fixed());
        known.map_or_else(|| State::new(limit, now), |cell| cell.state)
    }

    /// A fixed window is another counter than one of the other algorithms.
    fn cell(&mut self, identity: &Identity, fixed: bool) -> Option<&mut Cell> {
        let mut cells = self.cells.iter_mut();
        cells.find(|cell| cell.identity == *identity && cell.state.is_fixed() == fixed)
    }

    /// Keeps a state; false where the bucket is full.
    pub fn keep(&mut self, identity: &Identity, state: State) -> bool {
        if let Some(cell) = self.cell(identity, state.is_fixed()) {
            cell.state = state;
            return true;
        }
        let has_room = self.cells.len() < MAX_CELLS;
        if has_room {
            let identity = *identity;
            self.cells.push(Cell { identity, state });
        }
        has_room
    }

    pub fn answer(&self, id: &RequestId) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.id == *id)
    }

    /// Remembers an answer; beyond `most` the oldest is forgotten.
    pub fn remember(&mut self, answer: Answer, most: usize) {
        let over = (self.answers.len() + 1).saturating_sub(most);
        self.answers.drain(..over.min(self.answers.len()));
        self.answers.push(answer);
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn count(&mut self) -> Option<usize> {
        self.take().map(u16::from_le_bytes).map(usize::from)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn cell(&mut self) -> Option<Cell> {
        let identity = self.take()?;
        let [kind] = self.take()?;
        let numbers = [self.number()?, self.number()?, self.number()?];
        let state = match (kind, numbers) {
            (WINDOW, [start, length, used]) => State::Window(Window {
                start,
                length,
                used,
            }),
            (RATE, [full, part, span]) => State::Rate(Rate { full, part, span }),
            _ => return None,
        };
        Some(Cell { identity, state })
    }

    fn answer(&mut self) -> Option<Answer> {
        Some(Answer {
            id: self.take()?,
            granted: self.number()?,
            until: self.number()?,
            at: self.number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit::fixed(5, 100);

    fn window(start: u64) -> State {
        State::Window(Window::new(start, 100))
    }

    fn filled(count: u8) -> Bucket {
        let mut bucket = Bucket::default();
        for i in 0..count {
            let mut window = Window::new(1_000 + u64::from(i), 100);
            window.used = u64::from(i);
            assert!(bucket.keep(&[i; 32], State::Window(window)));
        }
        bucket
    }

    fn answered(id: u8, at: u64) -> Answer {
        Answer {
            id: [id; 16],
            granted: 1,
            until: at + 5,
            at,
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut bucket = filled(3);
        let rate = Rate {
            full: 1,
            part: 2,
            span: 3,
        };
        bucket.keep(&[9; 32], State::Rate(rate));
        bucket.remember(answered(1, 7), 8);
        for one in [&Bucket::default(), &bucket] {
            assert_eq!(Bucket::decode(&one.encode()).as_ref(), Some(one));
        }
    }

    #[test]
    fn damaged_bytes_are_no_bucket_and_no_panic() {
        let mut bucket = filled(2);
        bucket.remember(answered(1, 7), 8);
        let bytes = bucket.encode();
        for end in 0..bytes.len() {
            assert_eq!(Bucket::decode(&bytes[..end]), None);
        }
        let longer = [bytes.as_slice(), b"x"].concat();
        assert_eq!(Bucket::decode(&longer), None);
        assert_eq!(Bucket::decode(b"\x01\0\0\0\0"), None);
        assert_eq!(Bucket::decode(b"\x02\xff\xff\xff\xff"), None);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            if let Some(mut bucket) = Bucket::decode(&damaged) {
                bucket.advance(1_000, 10);
                bucket.adjust(&[0; 32], LIMIT, 1_000);
                bucket.state(&[0; 32], LIMIT, 1_000);
            }
        }
    }

    #[test]
    fn is_bounded_and_makes_room_when_windows_are_over() {
        let mut bucket = filled(MAX_CELLS as u8);
        assert!(!bucket.keep(&[255; 32], window(1_000)));
        assert!(bucket.keep(&[3; 32], window(1_000)), "a known one");
        bucket.advance(1_110, 10);
        assert!(bucket.keep(&[255; 32], window(1_110)));
        assert!(bucket.encode().len() < 64 * CELL_BYTES);
    }

    #[test]
    fn forgets_the_oldest_answers_and_those_of_old() {
        let mut bucket = Bucket::default();
        for i in 0..5 {
            bucket.remember(answered(i, u64::from(i)), 3);
        }
        assert!(bucket.answer(&[1; 16]).is_none());
        assert_eq!(bucket.answer(&[2; 16]), Some(&answered(2, 2)));
        bucket.advance(12, 10);
        assert!(bucket.answer(&[2; 16]).is_none());
        assert!(bucket.answer(&[3; 16]).is_some());
        bucket.remember(answered(9, 9), 0);
        assert!(bucket.answer(&[3; 16]).is_none());
    }

    #[test]
    fn follows_a_clock_that_was_put_back() {
        let mut bucket = filled(2);
        assert!(!bucket.advance(1_050, 10));
        assert!(bucket.advance(5, 10));
        let moved = Window {
            used: 1,
            ..Window::new(5, 100)
        };
        assert_eq!(bucket.state(&[1; 32], LIMIT, 5), State::Window(moved));
        assert!(!bucket.advance(6, 10));
    }
}
