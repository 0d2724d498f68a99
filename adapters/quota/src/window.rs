//! The algorithm: a window of fixed length, which begins with the first amount taken in it.

use crate::limit::Limit;

/// Times are nanoseconds of the wall clock since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    pub start: u64,
    pub length: u64,
    pub used: u64,
}

impl Window {
    pub fn new(start: u64, length: u64) -> Self {
        Self {
            start,
            length,
            used: 0,
        }
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    pub fn is_over(&self, now: u64) -> bool {
        now >= self.end()
    }

    /// A clock that was put back by more than the window must not hold the quota for as long: the
    /// window begins again, with what was taken in it, so that nothing is granted twice. Returns
    /// whether it was so.
    pub fn follow(&mut self, now: u64) -> bool {
        let ahead = self.start > now.saturating_add(self.length);
        if ahead {
            self.start = now;
        }
        ahead
    }

    /// Keeps the window in line with the limit that holds now; one that is over begins anew.
    pub fn adjust(&mut self, limit: Limit, now: u64) {
        self.length = limit.window;
        if self.is_over(now) {
            *self = Self::new(now, limit.window);
        }
    }

    pub fn left(&self, limit: Limit) -> u64 {
        limit.max.saturating_sub(self.used)
    }

    pub fn give_back(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
    }

    /// Nanoseconds until it is over, at most its length.
    pub fn rest(&self, now: u64) -> u64 {
        self.end().saturating_sub(now).min(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit::fixed(5, 100);

    #[test]
    fn a_limit_that_was_lowered_leaves_nothing() {
        let mut window = Window::new(0, 100);
        window.used = 9;
        assert_eq!(window.left(LIMIT), 0);
    }

    #[test]
    fn begins_anew_when_it_is_over() {
        let mut window = Window::new(1_000, 100);
        window.used = 5;
        window.adjust(LIMIT, 1_099);
        assert_eq!((window.used, window.rest(1_099)), (5, 1));
        window.adjust(LIMIT, 1_100);
        assert_eq!(window, Window::new(1_100, 100));
    }

    #[test]
    fn a_length_that_was_changed_holds_at_once() {
        let mut window = Window::new(1_000, 100_000);
        window.used = 5;
        window.adjust(LIMIT, 1_050);
        assert_eq!((window.used, window.rest(1_050)), (5, 50));
        window.adjust(LIMIT, 1_200);
        assert_eq!(window.used, 0);
    }

    #[test]
    fn a_clock_put_back_neither_grants_twice_nor_holds_for_ever() {
        let mut window = Window::new(1_000, 100);
        window.used = 5;
        assert!(!window.follow(950));
        window.adjust(LIMIT, 950);
        assert_eq!((window.used, window.rest(950)), (5, 100));
        assert!(window.follow(10));
        window.adjust(LIMIT, 10);
        assert_eq!((window.start, window.used, window.rest(10)), (10, 5, 100));
        window.adjust(LIMIT, 110);
        assert_eq!(window.used, 0);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let mut window = Window::new(u64::MAX - 1, 100);
        assert!(!window.is_over(0));
        assert!(window.follow(0));
        let window = Window::new(0, u64::MAX);
        assert_eq!(window.rest(5), u64::MAX - 5);
    }
}
