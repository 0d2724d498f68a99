//! Entries of the ledger as `mixer.ledger.v1.Entry`, in Protobuf's wire format.
//!
//! By hand: two messages that are only written are a fraction of a library.

use crate::config::{Plan, Rate};

/// Fields of a message, each with its number and its wire type before it.
#[derive(Default)]
struct Message(Vec<u8>);

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;

impl Message {
    fn key(&mut self, field: u8, wire: u8) {
        self.0.push(field << 3 | wire);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            #[allow(clippy::cast_possible_truncation)] // seven bits at a time
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        #[allow(clippy::cast_possible_truncation)] // it is less
        self.0.push(number as u8);
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
        self.0.extend_from_slice(bytes);
    }

    /// A message within, written by `write`.
    fn message(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        let mut within = Self(Vec::with_capacity(64));
        write(&mut within);
        self.bytes(field, &within.0);
    }
}

/// What one request used.
pub struct Usage<'a> {
    pub key: &'a str,
    pub subject: &'a str,
    pub plan: Option<&'a Plan>,
    /// Meters and units.
    pub quantities: &'a [(&'a str, u64)],
    /// Nanoseconds since 1970.
    pub time: u64,
    pub labels: &'a [(&'a str, String)],
}

impl Usage<'_> {
    /// The serialized entry.
    pub fn entry(&self) -> Vec<u8> {
        let mut entry = Message::default();
        entry.message(1, |usage| self.write(usage));
        entry.0
    }

    fn write(&self, usage: &mut Message) {
        usage.0.reserve(192);
        usage.text(1, self.key);
        usage.text(2, self.subject);
        if let Some(plan) = self.plan {
            usage.text(3, &plan.name);
            usage.text(4, &plan.version);
        }
        for (meter, units) in self.quantities {
            usage.message(5, |quantity| {
                quantity.text(1, meter);
                quantity.number(2, *units);
            });
        }
        usage.key(6, FIXED64);
        usage.0.extend_from_slice(&self.time.to_le_bytes());
        for (name, value) in self.labels {
            usage.message(7, |label| {
                label.bytes(1, name.as_bytes());
                label.bytes(2, value.as_bytes());
            });
        }
    }
}

impl Plan {
    /// The serialized entry.
    pub fn entry(&self) -> Vec<u8> {
        let mut entry = Message::default();
        entry.message(2, |plan| {
            plan.text(1, &self.name);
            plan.text(2, &self.version);
            plan.text(3, &self.currency);
            plan.number(4, self.period as u64);
            for rate in &self.rates {
                plan.message(5, |message| rate.write(message));
            }
        });
        entry.0
    }
}

impl Rate {
    fn write(&self, rate: &mut Message) {
        rate.text(1, &self.meter);
        rate.number(2, self.included);
        rate.number(3, self.per);
        for tier in &self.tiers {
            rate.message(4, |message| {
                message.number(1, tier.up_to);
                message.number(2, tier.price_nanos);
            });
        }
        rate.number(5, u64::from(self.volume));
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
            labels: &[("l", String::new())],
        };
        let expected = b"\x0a\x29\x0a\x01k\x12\x01s\x2a\x09\x0a\x05calls\x10\x01\x2a\x06\x0a\x01b\
                         \x10\xac\x02\x31\x01\0\0\0\0\0\0\0\x3a\x05\x0a\x01l\x12\0";
        assert_eq!(usage.entry(), expected);
    }
}
