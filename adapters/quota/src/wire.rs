//! The messages of `mixer.quota.v1`, in the wire format of Protocol Buffers.
//!
//! By hand, because they are few and are written and read for every request.

use crate::counters::{Charge, Standing, Take};

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

/// What a host answers.
#[derive(Debug, Default, PartialEq)]
pub struct Reply {
    /// Not 0: the answer comes later, under this number.
    pub pending: u32,
    pub standings: Vec<Standing>,
}

/// A `TakeRequest`.
pub fn encode(take: &Take) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24 + take.charges.len() * 96);
    let mut charge = Vec::with_capacity(96);
    for one in &take.charges {
        charge.clear();
        write_charge(&mut charge, one);
        write_bytes(&mut bytes, 1, &charge);
    }
    write_number(&mut bytes, 2, take.best_effort.into());
    if let Some(id) = &take.id {
        write_bytes(&mut bytes, 3, id);
        write_number(&mut bytes, 4, take.remembered_for);
    }
    bytes
}

fn write_charge(bytes: &mut Vec<u8>, charge: &Charge) {
    let limit = &charge.account.limit;
    write_bytes(bytes, 1, &charge.account.identity);
    write_number(bytes, 2, limit.algorithm as u64);
    write_number(bytes, 3, limit.max);
    write_number(bytes, 4, limit.window);
    if !limit.is_fixed() {
        write_number(bytes, 5, limit.burst);
    }
    write_number(bytes, 6, zigzag(charge.cost));
    write_number(bytes, 7, charge.shadow.into());
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn write_number(bytes: &mut Vec<u8>, field: u64, number: u64) {
    if number != 0 {
        varint(bytes, field << 3 | VARINT);
        varint(bytes, number);
    }
}

fn write_bytes(bytes: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(bytes, field << 3 | BYTES);
    varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// A `TakeResponse`; None for bytes that are none.
pub fn decode(bytes: &[u8]) -> Option<Reply> {
    let mut reply = Reply::default();
    let mut reader = Reader(bytes);
    while let Some(field) = reader.field()? {
        match field {
            (1, Field::Number(number)) => reply.pending = number as u32,
            (2, Field::Bytes(content)) => reply.standings.push(standing(content)?),
            _ => {}
        }
    }
    Some(reply)
}

fn standing(bytes: &[u8]) -> Option<Standing> {
    let mut standing = Standing::default();
    let mut reader = Reader(bytes);
    while let Some(field) = reader.field()? {
        match field {
            (1, Field::Number(number)) => standing.granted = number,
            (2, Field::Number(number)) => standing.refused = number != 0,
            (3, Field::Number(number)) => standing.remaining = number,
            (4, Field::Number(number)) => standing.reset = number,
            (5, Field::Number(number)) => standing.retry_after = number,
            _ => {}
        }
    }
    Some(standing)
}

struct Reader<'a>(&'a [u8]);

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

impl<'a> Reader<'a> {
    /// The next field with its number; None within where there is none left, None for nonsense.
    #[allow(clippy::option_option)]
    fn field(&mut self) -> Option<Option<(u64, Field<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            VARINT => Field::Number(self.varint()?),
            BYTES => {
                let size = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(size)?)
            }
            FIXED_64 => self.take(8).map(|_| Field::Other)?,
            FIXED_32 => self.take(4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some(Some((tag >> 3, field)))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(size)?;
        self.0 = tail;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Account;
    use crate::limit::{Algorithm, Limit, Records};

    /// As `protoc --encode` has it.
    #[test]
    fn a_request() {
        let limit = Limit {
            algorithm: Algorithm::TokenBucket,
            burst: 300,
            ..Limit::fixed(5, 1_000_000)
        };
        let records = Records::new("q", 1);
        let charge = |limit, cost, shadow| Charge {
            account: Account::under("q", &[], limit, &records),
            cost,
            shadow,
        };
        let take = Take {
            charges: vec![
                charge(limit, -1, true),
                charge(Limit::fixed(5, 7), 0, false),
            ],
            best_effort: true,
            id: Some([7; 16]),
            remembered_for: 9,
        };
        let identity = crate::identity::identity("q", &[]);
        let expected = [
            b"\x0a\x31\x0a\x20",
            &identity[..],
            b"\x10\x02\x18\x05\x20\xc0\x84\x3d\x28\xac\x02\x30\x01\x38\x01",
            b"\x0a\x26\x0a\x20",
            &identity,
            b"\x18\x05\x20\x07",
            b"\x10\x01\x1a\x10",
            &[7; 16],
            b"\x20\x09",
        ];
        assert_eq!(encode(&take), expected.concat());
    }

    #[test]
    fn an_answer() {
        let bytes = b"\x12\x0b\x08\x01\x10\x01\x18\xac\x02\x20\x03\x28\x04\x12\x00\x18\x01\x25....";
        let one = Standing {
            granted: 1,
            refused: true,
            remaining: 300,
            reset: 3,
            retry_after: 4,
        };
        let reply = Reply {
            pending: 0,
            standings: vec![one, Standing::default()],
        };
        assert_eq!(decode(bytes), Some(reply));
        assert_eq!(decode(b"\x08\x05").map(|r| r.pending), Some(5));
        assert_eq!(decode(b""), Some(Reply::default()));
    }

    #[test]
    fn damaged_bytes_are_no_answer_and_no_panic() {
        for bytes in [
            &b"\x12\x02\x08"[..],
            b"\x08",
            b"\x0b",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x25...",
            b"\x12\x01\x0f",
        ] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
