//! Batches that wait for a collector: bounded, whatever becomes of it.

use std::collections::VecDeque;

const MILLISECOND: u64 = 1_000_000;
/// The pause between tries grows to so many times the first one.
const LONGEST: u32 = 5;

#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Records in a batch.
    pub batch: u32,
    /// Bytes of all that waits and that is on its way.
    pub bytes: usize,
    /// How often a batch is sent again.
    pub retries: u32,
    /// The pause before it is, for the first time, in milliseconds.
    pub pause: u64,
}

/// Records, one after the other as fields of the message that they go in.
#[derive(Debug, Default)]
pub struct Batch {
    pub records: Vec<u8>,
    pub count: u32,
    tries: u32,
    due: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pushed {
    Kept,
    /// Kept, and a batch is whole now.
    Whole,
    /// There was no room.
    Dropped,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// It waits for its next try.
    Later,
    /// That was the last one: so many records are lost.
    Given(u32),
}

/// What waits for one service of a collector.
pub struct Queue {
    bounds: Bounds,
    open: Batch,
    whole: VecDeque<Batch>,
    bytes: usize,
    flying: Vec<(u32, Batch)>,
}

/// A batch is whole with so many bytes, too: gRPC servers take 4 MiB unless told otherwise.
const BATCH_BYTES: usize = 512 * 1024;
/// Calls that are under way at once.
const FLYING: usize = 4;

impl Queue {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            open: Batch::default(),
            whole: VecDeque::new(),
            bytes: 0,
            flying: Vec::new(),
        }
    }

    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Pushed {
        if self.bytes >= self.bounds.bytes {
            return Pushed::Dropped;
        }
        let before = self.open.records.len();
        write(&mut self.open.records);
        let size = self.open.records.len();
        if self.bytes + (size - before) > self.bounds.bytes {
            self.open.records.truncate(before);
            return Pushed::Dropped;
        }
        self.bytes += size - before;
        self.open.count += 1;
        if self.open.count < self.bounds.batch && size < BATCH_BYTES {
            return Pushed::Kept;
        }
        self.whole.push_back(std::mem::take(&mut self.open));
        Pushed::Whole
    }

    /// The next batch that is to be sent at a time in nanoseconds. It is `flies`, `again` or
    /// `gone` afterwards.
    pub fn next(&mut self, now: u64) -> Option<Batch> {
        if self.flying.len() >= FLYING {
            return None;
        }
        // A clock that goes back must not hold a batch for ever.
        let longest = (self.bounds.pause << LONGEST) * MILLISECOND;
        let due = |batch: &Batch| batch.due <= now || batch.due - now > longest;
        if let Some(at) = self.whole.iter().position(due) {
            return self.whole.remove(at);
        }
        (self.open.count > 0).then(|| std::mem::take(&mut self.open))
    }

    pub fn flies(&mut self, token: u32, batch: Batch) {
        self.flying.push((token, batch));
    }

    /// The batch of a call that is over; None for a call that is not this queue's.
    pub fn landed(&mut self, token: u32) -> Option<Batch> {
        let at = self.flying.iter().position(|(own, _)| *own == token)?;
        Some(self.flying.swap_remove(at).1)
    }

    /// The collector has it, or never will.
    pub fn gone(&mut self, batch: &Batch) {
        self.bytes -= batch.records.len();
    }

    pub fn again(&mut self, mut batch: Batch, now: u64, jitter: u64) -> Retry {
        if batch.tries >= self.bounds.retries {
            self.gone(&batch);
            return Retry::Given(batch.count);
        }
        let pause = (self.bounds.pause << batch.tries.min(LONGEST)) * MILLISECOND;
        // From three quarters of it to all of it: callers must not come back all at once.
        batch.due = now + pause - jitter % (pause / 4).max(1);
        batch.tries += 1;
        self.whole.push_back(batch);
        Retry::Later
    }

    pub fn is_empty(&self) -> bool {
        self.open.count == 0 && self.whole.is_empty() && self.flying.is_empty()
    }

    /// Nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.flying.is_empty()
    }

    /// How many records wait or are on their way.
    pub fn count(&self) -> u32 {
        let whole: u32 = self.whole.iter().map(|one| one.count).sum();
        let flying: u32 = self.flying.iter().map(|(_, one)| one.count).sum();
        self.open.count + whole + flying
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        batch: 3,
        bytes: 100,
        retries: 2,
        pause: 1000,
    };
    const SECOND: u64 = 1_000_000_000;

    fn push(queue: &mut Queue, size: usize) -> Pushed {
        queue.push(|records| records.extend(vec![7; size]))
    }

    #[test]
    fn batches() {
        let mut queue = Queue::new(BOUNDS);
        let pushed: Vec<Pushed> = (0..4).map(|_| push(&mut queue, 10)).collect();
        assert_eq!(
            pushed,
            [Pushed::Kept, Pushed::Kept, Pushed::Whole, Pushed::Kept]
        );
        assert_eq!(queue.next(0).unwrap().count, 3);
        assert_eq!(queue.next(0).unwrap().count, 1);
        assert!(queue.next(0).is_none());
    }

    #[test]
    fn there_is_a_bound() {
        let mut queue = Queue::new(BOUNDS);
        for _ in 0..10 {
            assert_ne!(push(&mut queue, 10), Pushed::Dropped);
        }
        assert_eq!(push(&mut queue, 10), Pushed::Dropped);
        assert_eq!(queue.count(), 10);
        let batch = queue.next(0).unwrap();
        queue.flies(1, batch);
        assert_eq!(
            push(&mut queue, 1),
            Pushed::Dropped,
            "what is on its way takes room too"
        );
        let batch = queue.landed(1).unwrap();
        queue.gone(&batch);
        assert_eq!(push(&mut queue, 31), Pushed::Dropped);
        assert_eq!(push(&mut queue, 30), Pushed::Kept);
    }

    #[test]
    fn calls_at_once() {
        let mut queue = Queue::new(Bounds { batch: 1, ..BOUNDS });
        for token in 0..4 {
            push(&mut queue, 1);
            let batch = queue.next(0).unwrap();
            queue.flies(token, batch);
        }
        push(&mut queue, 1);
        assert!(queue.next(0).is_none());
        assert!(queue.landed(9).is_none());
        assert!(queue.landed(2).is_some());
        assert!(queue.next(0).is_some());
    }

    #[test]
    fn tries() {
        let mut queue = Queue::new(BOUNDS);
        push(&mut queue, 100);
        let mut now = 10 * SECOND;
        for pause in [1, 2] {
            let batch = queue.next(now).unwrap();
            assert_eq!(queue.again(batch, now, 7), Retry::Later);
            assert!(queue.next(now + pause * SECOND / 2).is_none(), "it waits");
            now += pause * SECOND;
        }
        let batch = queue.next(now).unwrap();
        assert_eq!(queue.again(batch, now, 7), Retry::Given(1));
        assert!(queue.is_empty());
        assert_eq!(
            push(&mut queue, 100),
            Pushed::Kept,
            "its room is free again"
        );
    }

    #[test]
    fn a_clock_that_goes_back_holds_nothing() {
        let mut queue = Queue::new(BOUNDS);
        push(&mut queue, 1);
        let batch = queue.next(1000 * SECOND).unwrap();
        queue.again(batch, 1000 * SECOND, 0);
        assert!(queue.next(SECOND).is_some());
    }
}
