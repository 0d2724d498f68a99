//! The algorithm of sliding windows and token buckets: the generic cell rate algorithm.
//!
//! What was taken comes back evenly, `max` in each window, and the state is the time at which all
//! of it has come back (ITU-T I.371 calls it the theoretical arrival time). Calculated in units of
//! one nanosecond divided by `max`, in which every amount is a whole number: nothing is rounded.

use crate::limit::Limit;

/// Times are nanoseconds of the wall clock since 1970.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rate {
    /// When all of it is there again.
    pub full: u64,
    /// And so many units later.
    pub part: u64,
    /// Nanoseconds in which all of it comes back.
    pub span: u64,
}

impl Rate {
    pub fn is_over(&self, now: u64) -> bool {
        self.full < now || (self.full == now && self.part == 0)
    }

    /// A clock that was put back further than all of it takes to come back must not hold it for
    /// as long: nothing of it is left then, and it comes back from now on. Returns whether it was so.
    pub fn follow(&mut self, now: u64) -> bool {
        let end = now.saturating_add(self.span);
        let ahead = self.full > end;
        if ahead {
            (self.full, self.part) = (end, 0);
        }
        ahead
    }

    /// Of what was taken under a limit with another span, the same share is taken of this one.
    pub fn adjust(&mut self, limit: Limit, now: u64) {
        let (before, span) = (self.span, limit.time_for(limit.burst));
        if before == span || before == 0 {
            return;
        }
        let rest = self.full.saturating_sub(now) + u64::from(self.part > 0);
        let share = u128::from(rest.min(before)) * u128::from(span);
        let share = u64::try_from(share.div_ceil(u128::from(before))).unwrap_or(u64::MAX);
        (self.full, self.part, self.span) = (now.saturating_add(share), 0, span);
    }

    pub fn left(&self, limit: Limit, now: u64) -> u64 {
        let (backlog, window) = (self.backlog(limit, now), u128::from(limit.window));
        let room = capacity(limit).saturating_sub(backlog);
        u64::try_from(room / window.max(1)).unwrap_or(u64::MAX)
    }

    pub fn take(&mut self, limit: Limit, now: u64, amount: u64) {
        self.span = limit.time_for(limit.burst);
        if amount > 0 {
            let units = self.units(limit).max(moment(limit, now));
            self.set(limit, units.saturating_add(cost(limit, amount)));
        }
    }

    pub fn give_back(&mut self, limit: Limit, now: u64, amount: u64) {
        let units = self.units(limit).saturating_sub(cost(limit, amount));
        self.set(limit, units.max(moment(limit, now)));
    }

    /// Undoes a take after which it was `taken`, as far as it has not come back by itself.
    pub fn undo(&mut self, limit: Limit, now: u64, taken: &Self, amount: u64) {
        let still_out = taken.backlog(limit, now).min(cost(limit, amount));
        let units = self.units(limit).saturating_sub(still_out);
        self.set(limit, units);
    }

    /// Nanoseconds until all of it is there, rounded up.
    pub fn rest(&self, limit: Limit, now: u64) -> u64 {
        in_nanoseconds(limit, self.backlog(limit, now))
    }

    /// Nanoseconds until an amount is there, rounded up.
    pub fn wait(&self, limit: Limit, now: u64, amount: u64) -> u64 {
        let needed = self.backlog(limit, now).saturating_add(cost(limit, amount));
        in_nanoseconds(limit, needed.saturating_sub(capacity(limit)))
    }

    fn units(&self, limit: Limit) -> u128 {
        moment(limit, self.full) + u128::from(self.part.min(limit.max))
    }

    fn set(&mut self, limit: Limit, units: u128) {
        let max = u128::from(limit.max.max(1));
        self.full = u64::try_from(units / max).unwrap_or(u64::MAX);
        self.part = u64::try_from(units % max).unwrap_or(0);
    }

    /// What has not come back yet.
    fn backlog(&self, limit: Limit, now: u64) -> u128 {
        self.units(limit).saturating_sub(moment(limit, now))
    }
}

fn moment(limit: Limit, at: u64) -> u128 {
    u128::from(at) * u128::from(limit.max.max(1))
}

fn cost(limit: Limit, amount: u64) -> u128 {
    u128::from(amount) * u128::from(limit.window)
}

fn capacity(limit: Limit) -> u128 {
    cost(limit, limit.burst)
}

fn in_nanoseconds(limit: Limit, units: u128) -> u64 {
    let max = u128::from(limit.max.max(1));
    u64::try_from(units.div_ceil(max)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Algorithm;

    /// 3 each 100 ns, 5 at once.
    const LIMIT: Limit = Limit {
        max: 3,
        window: 100,
        algorithm: Algorithm::TokenBucket,
        burst: 5,
    };

    fn after(amount: u64) -> Rate {
        let mut rate = Rate::default();
        rate.take(LIMIT, 1_000, amount);
        rate
    }

    #[test]
    fn what_was_taken_comes_back_evenly_and_to_the_unit() {
        let rate = after(5);
        assert_eq!((rate.full, rate.part, rate.span), (1_166, 2, 167));
        for (at, left) in [
            (1_000, 0),
            (1_033, 0),
            (1_034, 1),
            (1_066, 1),
            (1_067, 2),
            (1_100, 3),
            (1_166, 4),
            (1_167, 5),
            (9_999, 5),
        ] {
            assert_eq!(rate.left(LIMIT, at), left, "{at}");
        }
        assert_eq!(rate.rest(LIMIT, 1_000), 167);
        assert_eq!(rate.wait(LIMIT, 1_000, 1), 34);
        assert_eq!(rate.wait(LIMIT, 1_000, 3), 100);
        assert_eq!(rate.wait(LIMIT, 1_100, 3), 0);
        assert!(!rate.is_over(1_166));
        assert!(rate.is_over(1_167));
    }

    #[test]
    fn what_is_put_back_is_never_more_than_was_taken() {
        let mut rate = after(5);
        rate.give_back(LIMIT, 1_000, 2);
        assert_eq!(rate.left(LIMIT, 1_000), 2);
        rate.give_back(LIMIT, 1_010, u64::MAX);
        assert_eq!((rate.full, rate.part), (1_010, 0));
        assert_eq!(rate.left(LIMIT, 1_010), 5);
    }

    #[test]
    fn what_came_back_by_itself_is_not_given_back_again() {
        let taken = after(1);
        let mut rate = taken;
        rate.take(LIMIT, 1_030, 2);
        let others = rate;
        rate.undo(LIMIT, 1_034, &taken, 1);
        assert_eq!(rate, others, "it has come back at 1034");
        rate.undo(LIMIT, 1_000, &taken, 1);
        assert_eq!(rate.units(LIMIT), others.units(LIMIT) - 100);
    }

    #[test]
    fn a_clock_put_back_neither_grants_twice_nor_holds_for_ever() {
        let mut rate = after(5);
        assert!(!rate.follow(1_000));
        assert_eq!(rate.left(LIMIT, 1_000), 0);
        assert!(rate.follow(10));
        assert_eq!((rate.left(LIMIT, 10), rate.rest(LIMIT, 10)), (0, 167));
        assert!(!rate.follow(10));
        assert_eq!(rate.left(LIMIT, 177), 5);
    }

    #[test]
    fn another_limit_has_the_same_share_taken() {
        let day = Limit {
            max: 4,
            window: 1_000_000,
            burst: 4,
            ..LIMIT
        };
        let second = Limit { window: 100, ..day };
        let mut rate = Rate::default();
        rate.take(day, 1_000, 3);
        rate.adjust(second, 1_000);
        assert_eq!((rate.full, rate.span), (1_075, 100));
        rate.adjust(day, 1_000);
        assert_eq!(rate.left(day, 1_000), 1);
        let mut far = Rate {
            full: u64::MAX,
            part: 1,
            span: 1,
        };
        far.full -= 1;
        far.adjust(day, 0);
        assert_eq!(far.full, 1_000_000);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let most = (1 << 53) - 1;
        let year = 8_760 * 3_600 * 1_000_000_000;
        let limit = Limit {
            max: most,
            window: year,
            burst: most,
            ..LIMIT
        };
        let now = 1_700_000_000_000_000_000;
        let mut rate = Rate::default();
        rate.take(limit, now, most - 1);
        assert_eq!(rate.left(limit, now), 1);
        rate.take(limit, now, 1);
        assert_eq!((rate.left(limit, now), rate.rest(limit, now)), (0, year));
        let zero = Limit {
            max: 0,
            burst: 0,
            ..LIMIT
        };
        assert_eq!(rate.left(zero, now), 0);
        rate.give_back(zero, now, 1);
        assert!(rate.follow(0));
        let far = Rate {
            full: u64::MAX,
            part: u64::MAX,
            span: u64::MAX,
        };
        assert_eq!(far.left(limit, now), 0);
        far.wait(limit, 0, u64::MAX);
    }
}
