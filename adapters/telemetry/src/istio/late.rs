//! What is read only of those requests whose labels need it.

use super::slots::FIRST_LATE;
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
        let is_grpc = {
            let find = |slot| late.get(slot).or_else(|| early(slot));
            protocol(&Record::new(&find, None)) == b"grpc"
        };
        if is_grpc {
            let status = read(Slot::GrpcStatus);
            late.put(Slot::GrpcStatus, status);
        }
        late
    }

    fn put(&mut self, slot: Slot, value: Option<Vec<u8>>) {
        self.0[slot as usize - FIRST_LATE] = value;
    }

    /// A late one; None for all others.
    pub fn get(&self, slot: Slot) -> Option<&[u8]> {
        let at = (slot as usize).checked_sub(FIRST_LATE)?;
        self.0.get(at)?.as_deref()
    }

    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.0.iter().map(Option::as_deref)
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
        assert_eq!(asked(&[protocol(b"tcp")]), []);
        assert_eq!(asked(&[protocol(b"grpc")]), [Slot::GrpcStatus]);
        assert_eq!(asked(&[protocol(b"http")]), [Slot::Method]);
        assert_eq!(asked(&[code, (Slot::ApiProtocol, b"https")]), []);
        assert_eq!(asked(&[code]), [Slot::ContentType, Slot::GrpcStatus]);
    }
}
