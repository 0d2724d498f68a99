//! Protobuf's wire format, as much of it as is written here.

/// A message that grows by fields.
#[derive(Default)]
pub struct Message(pub Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl Message {
    fn key(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    pub fn number(&mut self, field: u32, number: u64) {
        self.key(field, VARINT);
        self.varint(number);
    }

    pub fn fixed64(&mut self, field: u32, bits: u64) {
        self.key(field, FIXED64);
        self.0.extend(bits.to_le_bytes());
    }

    pub fn fixed32(&mut self, field: u32, bits: u32) {
        self.key(field, FIXED32);
        self.0.extend(bits.to_le_bytes());
    }

    pub fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// A message within this one.
    pub fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.key(field, BYTES);
        let start = self.0.len();
        write(self);
        let end = self.0.len();
        self.varint((end - start) as u64);
        let size = self.0.len() - end;
        self.0[start..].rotate_right(size);
    }
}

/// A field of a message that came: its number and what it holds.
pub enum Field<'a> {
    Number(u32, u64),
    Bytes(u32, &'a [u8]),
    Other,
}

/// The first field and what is behind it; None where there is none, or a malformed one.
pub fn field(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (key, rest) = varint(bytes)?;
    let number = u32::try_from(key >> 3).ok()?;
    match u32::try_from(key & 7).ok()? {
        VARINT => varint(rest).map(|(value, rest)| (Field::Number(number, value), rest)),
        FIXED64 => Some((Field::Other, rest.get(8..)?)),
        FIXED32 => Some((Field::Other, rest.get(4..)?)),
        BYTES => {
            let (size, rest) = varint(rest)?;
            let (value, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
            Some((Field::Bytes(number, value), rest))
        }
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}
