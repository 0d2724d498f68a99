//! Answers that are kept for a while, bounded in number; the oldest goes first.

use crate::remote::Fingerprint;
use std::collections::{BTreeMap, VecDeque};

pub struct Answers<T> {
    max: usize,
    entries: BTreeMap<Fingerprint, Entry<T>>,
    /// The oldest first. One that was replaced is here a second time until it is met.
    order: VecDeque<(Fingerprint, u64)>,
    next: u64,
}

struct Entry<T> {
    value: T,
    /// Seconds.
    from: u64,
    until: f64,
    number: u64,
}

impl<T: Clone> Answers<T> {
    pub fn new(max: usize) -> Self {
        Self {
            max,
            entries: BTreeMap::new(),
            order: VecDeque::new(),
            next: 0,
        }
    }

    /// The answer and the seconds that are left of it. A clock that went back ends it.
    pub fn get(&mut self, name: &Fingerprint, now: u64) -> Option<(T, f64)> {
        let entry = self.entries.get(name)?;
        let left = entry.until - now as f64;
        if left > 0.0 && entry.from <= now {
            return Some((entry.value.clone(), left));
        }
        self.entries.remove(name);
        None
    }

    pub fn put(&mut self, name: Fingerprint, value: T, from: u64, until: f64) {
        if self.max == 0 || until <= from as f64 {
            return;
        }
        self.next += 1;
        let number = self.next;
        let entry = Entry {
            value,
            from,
            until,
            number,
        };
        self.entries.insert(name, entry);
        self.order.push_back((name, number));
        while self.entries.len() > self.max || self.order.len() > 2 * self.max {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((name, number)) = self.order.pop_front() {
            if self.entries.get(&name).is_some_and(|e| e.number == number) {
                self.entries.remove(&name);
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u8) -> Fingerprint {
        [number; 32]
    }

    #[test]
    fn the_oldest_goes_and_nothing_grows() {
        let mut answers = Answers::new(3);
        for round in 0..100 {
            for number in 0..5 {
                answers.put(name(number), round, 0, 10.0);
            }
            assert_eq!(answers.len(), 3);
            assert!(answers.order.len() <= 6);
        }
        let kept: Vec<u8> = (0..5)
            .filter(|n| answers.get(&name(*n), 0).is_some())
            .collect();
        assert_eq!(kept, [2, 3, 4]);
        for round in 0..100 {
            answers.put(name(4), round, 0, 10.0);
        }
        assert!(answers.order.len() <= 6);
        assert_eq!(answers.get(&name(4), 0), Some((99, 10.0)));
    }

    #[test]
    fn times() {
        let mut answers = Answers::new(3);
        answers.put(name(1), (), 100, 110.5);
        assert_eq!(answers.get(&name(1), 110), Some(((), 0.5)));
        assert_eq!(answers.get(&name(1), 111), None);
        answers.put(name(1), (), 100, 110.0);
        assert_eq!(answers.get(&name(1), 99), None, "the clock went back");
        answers.put(name(1), (), 100, 100.0);
        assert_eq!(answers.len(), 0);
    }
}
