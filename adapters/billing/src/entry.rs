//! Entries of the ledger as `mixer.ledger.v1.Entry`, in Protobuf's wire format.
//!
//! By hand: two messages that are only written are a fraction of a library.

use crate::config::{Plan, Rate, Tier};
use std::borrow::Cow;

/// Where fields are written to, each with its number and its wire type before it.
///
/// A message within another one has its size before it: it is written once to count, and once more
/// in its place, so that nothing is allocated or moved for it.
trait Fields {
    fn put(&mut self, bytes: &[u8]);

    fn key(&mut self, field: u8, wire: u8) {
        self.put(&[field << 3 | wire]);
    }

    fn varint(&mut self, mut number: u64) {
        let (mut bytes, mut size) = ([0; 10], 0);
        while number >= 0x80 {
            #[allow(clippy::cast_possible_truncation)] // seven bits at a time
            let low = number as u8 | 0x80;
            bytes[size] = low;
            size += 1;
            number >>= 7;
        }
        #[allow(clippy::cast_possible_truncation)] // it is less
        let last = number as u8;
        bytes[size] = last;
        self.put(&bytes[..=size]);
    }

    /// A number that is left out where it is 0, as its default is.
    fn number(&mut self, field: u8, number: u64) {
        if number != 0 {
            self.key(field, VARINT);
            self.varint(number);
        }
    }

    fn text(&mut self, field: u8, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.key(field, LENGTH);
        self.varint(bytes.len() as u64);
        self.put(bytes);
    }

    fn message(&mut self, field: u8, message: &impl Message)
    where
        Self: Sized,
    {
        self.key(field, LENGTH);
        self.varint(size(message) as u64);
        message.write(self);
    }
}

impl Fields for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts bytes.
impl Fields for usize {
    fn put(&mut self, bytes: &[u8]) {
        *self += bytes.len();
    }
}

trait Message {
    fn write(&self, fields: &mut impl Fields);
}

fn size(message: &impl Message) -> usize {
    let mut count = 0usize;
    message.write(&mut count);
    count
}

/// An `Entry` that has a message in its field of that number.
fn entry(field: u8, message: &impl Message) -> Vec<u8> {
    const BEFORE: usize = 11;
    let size = size(message);
    let mut entry = Vec::with_capacity(BEFORE + size);
    entry.key(field, LENGTH);
    entry.varint(size as u64);
    message.write(&mut entry);
    entry
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;

/// What one request used.
pub struct Usage<'a> {
    pub key: &'a str,
    pub subject: &'a str,
    pub plan: Option<&'a Plan>,
    /// Meters and units.
    pub quantities: &'a [(&'a str, u64)],
    /// Nanoseconds since 1970.
    pub time: u64,
    pub labels: &'a [(&'a str, Cow<'a, str>)],
}

impl Usage<'_> {
    /// The serialized entry.
    pub fn entry(&self) -> Vec<u8> {
        entry(1, self)
    }
}

impl Message for Usage<'_> {
    fn write(&self, fields: &mut impl Fields) {
        fields.text(1, self.key);
        fields.text(2, self.subject);
        if let Some(plan) = self.plan {
            fields.text(3, &plan.name);
            fields.text(4, &plan.version);
        }
        for quantity in self.quantities {
            fields.message(5, quantity);
        }
        fields.key(6, FIXED64);
        fields.put(&self.time.to_le_bytes());
        for label in self.labels {
            fields.message(7, label);
        }
    }
}

/// A meter and its units.
impl Message for (&str, u64) {
    fn write(&self, fields: &mut impl Fields) {
        fields.text(1, self.0);
        fields.number(2, self.1);
    }
}

/// A label and its value.
impl Message for (&str, Cow<'_, str>) {
    fn write(&self, fields: &mut impl Fields) {
        fields.bytes(1, self.0.as_bytes());
        fields.bytes(2, self.1.as_bytes());
    }
}

impl Plan {
    /// The serialized entry.
    pub fn entry(&self) -> Vec<u8> {
        entry(2, self)
    }
}

impl Message for Plan {
    fn write(&self, fields: &mut impl Fields) {
        fields.text(1, &self.name);
        fields.text(2, &self.version);
        fields.text(3, &self.currency);
        fields.number(4, self.period as u64);
        for rate in &self.rates {
            fields.message(5, rate);
        }
    }
}

impl Message for Rate {
    fn write(&self, fields: &mut impl Fields) {
        fields.text(1, &self.meter);
        fields.number(2, self.included);
        fields.number(3, self.per);
        for tier in &self.tiers {
            fields.message(4, tier);
        }
        fields.number(5, u64::from(self.volume));
    }
}

impl Message for Tier {
    fn write(&self, fields: &mut impl Fields) {
        fields.number(1, self.up_to);
        fields.number(2, self.price_nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record() {
        let usage = Usage {
            key: "k",
            subject: "s",
            plan: None,
            quantities: &[("calls", 1), ("b", 300)],
            time: 1,
            labels: &[("l", Cow::Borrowed(""))],
        };
        let expected = b"\x0a\x29\x0a\x01k\x12\x01s\x2a\x09\x0a\x05calls\x10\x01\x2a\x06\x0a\x01b\
                         \x10\xac\x02\x31\x01\0\0\0\0\0\0\0\x3a\x05\x0a\x01l\x12\0";
        assert_eq!(usage.entry(), expected);
    }
}
