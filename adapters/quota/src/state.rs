//! What is known of one counter, whichever algorithm it has.

use crate::limit::Limit;
use crate::rate::Rate;
use crate::window::Window;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    Window(Window),
    Rate(Rate),
}

impl State {
    /// One of which nothing was taken.
    pub fn new(limit: Limit, now: u64) -> Self {
        if limit.is_fixed() {
            return Self::Window(Window::new(now, limit.window));
        }
        Self::Rate(Rate::default())
    }

    pub fn is_fixed(&self) -> bool {
        matches!(self, Self::Window(_))
    }

    /// Whether nothing of it is taken any more.
    pub fn is_over(&self, now: u64) -> bool {
        match self {
            Self::Window(window) => window.is_over(now),
            Self::Rate(rate) => rate.is_over(now),
        }
    }

    /// Follows a clock that was put back; returns whether it must be kept as it is now.
    pub fn follow(&mut self, now: u64) -> bool {
        match self {
            Self::Window(window) => window.follow(now),
            Self::Rate(rate) => rate.follow(now),
        }
    }

    /// Brings it in line with the limit that holds now; another algorithm begins anew.
    pub fn adjust(&mut self, limit: Limit, now: u64) {
        match self {
            Self::Window(window) if limit.is_fixed() => window.adjust(limit, now),
            Self::Rate(rate) if !limit.is_fixed() => rate.adjust(limit, now),
            _ => *self = Self::new(limit, now),
        }
    }

    pub fn left(&self, limit: Limit, now: u64) -> u64 {
        match self {
            Self::Window(window) => window.left(limit),
            Self::Rate(rate) => rate.left(limit, now),
        }
    }

    /// Takes an amount, or with `best_effort` what there is of it; returns what was taken.
    pub fn take(&mut self, limit: Limit, now: u64, amount: u64, best_effort: bool) -> u64 {
        let left = self.left(limit, now);
        let granted = match amount <= left {
            true => amount,
            false if best_effort => left,
            false => 0,
        };
        match self {
            Self::Window(window) => window.used += granted,
            Self::Rate(rate) => rate.take(limit, now, granted),
        }
        granted
    }

    pub fn give_back(&mut self, limit: Limit, now: u64, amount: u64) {
        match self {
            Self::Window(window) => window.give_back(amount),
            Self::Rate(rate) => rate.give_back(limit, now, amount),
        }
    }

    /// Undoes a take after which it was `taken`; false where that is over.
    pub fn undo(&mut self, limit: Limit, now: u64, taken: &Self, amount: u64) -> bool {
        match (self, taken) {
            (Self::Window(window), Self::Window(taken)) if window.start == taken.start => {
                window.give_back(amount);
            }
            (Self::Rate(rate), Self::Rate(taken)) => rate.undo(limit, now, taken, amount),
            _ => return false,
        }
        true
    }

    /// Nanoseconds until all of it is there again.
    pub fn reset(&self, limit: Limit, now: u64) -> u64 {
        match self {
            Self::Window(window) => window.rest(now),
            Self::Rate(rate) => rate.rest(limit, now),
        }
    }

    /// Nanoseconds until an amount could be taken; 0 where it can be now, or never can.
    pub fn retry_after(&self, limit: Limit, now: u64, amount: u64) -> u64 {
        if amount <= self.left(limit, now) || amount > limit.burst {
            return 0;
        }
        match self {
            Self::Window(window) => window.rest(now),
            Self::Rate(rate) => rate.wait(limit, now, amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Algorithm;

    const FIXED: Limit = Limit::fixed(5, 100);
    const SLIDING: Limit = Limit {
        algorithm: Algorithm::SlidingWindow,
        ..FIXED
    };

    #[test]
    fn takes_all_or_nothing_unless_told_otherwise() {
        for limit in [FIXED, SLIDING] {
            let mut state = State::new(limit, 1_000);
            let mut take = |amount, best| state.take(limit, 1_000, amount, best);
            assert_eq!([take(3, false), take(3, false)], [3, 0]);
            assert_eq!([take(3, true), take(1, true)], [2, 0]);
            state.give_back(limit, 1_000, 1);
            let mut take = |amount, best| state.take(limit, 1_000, amount, best);
            assert_eq!([take(u64::MAX, false), take(u64::MAX, true)], [0, 1]);
            assert_eq!(state.left(limit, 1_000), 0);
        }
    }

    #[test]
    fn tells_when_to_come_again_unless_it_would_never_pass() {
        for (limit, wait) in [(FIXED, 100), (SLIDING, 40)] {
            let mut state = State::new(limit, 1_000);
            assert_eq!(state.retry_after(limit, 1_000, 5), 0);
            state.take(limit, 1_000, 5, false);
            assert_eq!(state.retry_after(limit, 1_000, 2), wait);
            assert_eq!(state.retry_after(limit, 1_000, 6), 0);
            assert_eq!(state.reset(limit, 1_000), 100);
        }
    }

    #[test]
    fn another_algorithm_begins_anew() {
        let mut state = State::new(FIXED, 1_000);
        state.take(FIXED, 1_000, 5, false);
        state.adjust(SLIDING, 1_000);
        assert_eq!(state, State::Rate(Rate::default()));
        state.take(SLIDING, 1_000, 5, false);
        state.adjust(FIXED, 1_000);
        assert_eq!(state, State::new(FIXED, 1_000));
    }
}
