//! Requests of whose end nobody tells, although their records are made then.

/// So many in a row are no accident.
pub const UNREPORTED: u32 = 100;

/// Watches requests until it is known whether anybody tells of their end.
#[derive(Default)]
pub struct Unreported {
    count: u32,
    known: bool,
}

impl Unreported {
    /// The end of a request was told.
    pub fn told(&mut self) {
        self.known = true;
    }

    /// Whether it matters how requests end.
    pub fn is_watching(&self) -> bool {
        !self.known
    }

    /// A request is gone without anything told of its end. True if that is the last one that is
    /// watched.
    pub fn gone(&mut self) -> bool {
        self.count += 1;
        self.known |= self.count >= UNREPORTED;
        self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_told_of() {
        let mut unreported = Unreported::default();
        for number in 1..=UNREPORTED {
            assert!(unreported.is_watching());
            assert_eq!(unreported.gone(), number == UNREPORTED);
        }
        assert!(!unreported.is_watching());
    }

    #[test]
    fn one_is_told_of() {
        let mut unreported = Unreported::default();
        assert!(!unreported.gone());
        unreported.told();
        assert!(!unreported.is_watching());
    }
}
