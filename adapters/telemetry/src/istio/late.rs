//! What is read only of those requests whose labels need it.

use super::slots::{FIRST_LATE, FIRST_LATE_AMOUNT};
use super::{protocol::protocol, Record, Slot, PATHS};

/// The values of the late slots.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Late([Option<Vec<u8>>; PATHS.len() - FIRST_LATE]);

impl Late {
    /// What the slots before leave open.
    pub fn read<'a>(
        early: &'a dyn Fn(Slot) -> Option<&'a [u8]>,
        read: impl Fn(Slot) -> Option<Vec<u8>>,
    ) -> Self {
        let mut late = Self::default();
        let record = Record::new(early, None);
        if record.may_be_connection() {
            late.put(Slot::Method, read(Slot::Method));
        }
        if record.told_protocol().is_none() {
            late.put(Slot::ContentType, read(Slot::ContentType));
        }
        for slot in late.of_protocol(early) {
            late.put(*slot, read(*slot));
        }
        late
    }

    fn of_protocol<'a>(&self, early: &'a dyn Fn(Slot) -> Option<&'a [u8]>) -> &'static [Slot] {
        let find = |slot| self.get(slot).or_else(|| early(slot));
        match protocol(&Record::new(&find, None)) {
            b"tcp" => &[Slot::Event, Slot::Sent, Slot::Received],
            b"grpc" => &[Slot::GrpcStatus],
            _ => &[],
        }
    }

    fn put(&mut self, slot: Slot, value: Option<Vec<u8>>) {
        self.0[slot as usize - FIRST_LATE] = value;
    }

    /// A late one; None for all others.
    pub fn get(&self, slot: Slot) -> Option<&[u8]> {
        let at = (slot as usize).checked_sub(FIRST_LATE)?;
        self.0.get(at)?.as_deref()
    }

    /// Those that labels are made of.
    pub fn of_labels(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let count = FIRST_LATE_AMOUNT - FIRST_LATE;
        self.0[..count].iter().map(Option::as_deref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn asked(told: &[(Slot, &'static [u8])]) -> Vec<Slot> {
        let early = |slot| told.iter().find(|one| one.0 == slot).map(|one| one.1);
        let seen = RefCell::new(Vec::new());
        let kind = b"application/grpc".to_vec();
        Late::read(&early, |slot| {
            seen.borrow_mut().push(slot);
            (slot == Slot::ContentType).then(|| kind.clone())
        });
        seen.into_inner()
    }

    #[test]
    fn only_what_is_needed() {
        let code = (Slot::Code, &[200, 0, 0, 0, 0, 0, 0, 0][..]);
        let protocol = |name: &'static [u8]| (Slot::ContextProtocol, name);
        assert_eq!(asked(&[code, protocol(b"http")]), []);
        let amounts = [Slot::Event, Slot::Sent, Slot::Received];
        assert_eq!(asked(&[protocol(b"tcp")]), amounts);
        assert_eq!(asked(&[protocol(b"grpc")]), [Slot::GrpcStatus]);
        assert_eq!(
            asked(&[protocol(b"http")]),
            [&[Slot::Method][..], &amounts].concat()
        );
        assert_eq!(asked(&[code, (Slot::ApiProtocol, b"https")]), []);
        assert_eq!(asked(&[code]), [Slot::ContentType, Slot::GrpcStatus]);
    }
}
