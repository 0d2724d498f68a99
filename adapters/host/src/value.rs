//! Values of attributes and of expressions.

use crate::attributes::Kind;
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What came of a condition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Truth {
    True,
    False,
    /// The request lacks an attribute that the condition reads.
    Absent,
    /// It cannot be evaluated though every attribute is there, or it is no bool.
    Broken,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text that need not be UTF-8, as a header need not.
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    /// Nanoseconds since 1970.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
}

const SECOND: i64 = 1_000_000_000;

impl Value {
    /// What the host encoded as a property of a known type; None where it did not do so.
    pub fn decode(kind: Kind, bytes: Vec<u8>) -> Option<Self> {
        let number = || <[u8; 8]>::try_from(bytes.as_slice()).ok();
        Some(match kind {
            Kind::Text => Self::Text(bytes),
            Kind::Address => Self::Bytes(bytes),
            Kind::Bool => Self::Bool(*bytes.first()? != 0),
            Kind::Int => Self::Int(i64::from_le_bytes(number()?)),
            Kind::Uint => Self::Uint(u64::from_le_bytes(number()?)),
            Kind::Time => Self::Time(i64::from_le_bytes(number()?)),
            Kind::Duration => Self::Duration(i64::from_le_bytes(number()?)),
            Kind::Map | Kind::Message => return None,
        })
    }

    /// What an expression made by `tagged` has for a value.
    pub fn untag(mut bytes: Vec<u8>) -> Option<Self> {
        let tag = *bytes.first()?;
        bytes.remove(0);
        if tag == b's' {
            return Some(Self::Text(bytes));
        }
        if tag == b'b' {
            return Some(Self::Bytes(bytes));
        }
        let text = std::str::from_utf8(&bytes).ok()?;
        Some(match tag {
            b'f' => Self::Bool(false),
            b't' => Self::Bool(true),
            b'i' => Self::Int(text.parse().ok()?),
            b'u' => Self::Uint(text.parse().ok()?),
            b'd' => Self::Double(text.parse().ok()?),
            b'o' if text.ends_with('s') => Self::Duration(seconds(text)?),
            // A time is not calculated with, so that its text does.
            b'o' => Self::Text(bytes),
            _ => return None,
        })
    }

    /// As text: addresses in their usual notation, other bytes in hexadecimal digits, durations
    /// as in `1.5s`.
    pub fn text(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match self {
            Self::Text(text) => return Cow::Borrowed(text),
            Self::Bytes(bytes) => bytes_text(bytes).into_bytes(),
            Self::Bool(flag) => flag.to_string().into_bytes(),
            Self::Int(number) => number.to_string().into_bytes(),
            Self::Uint(number) => number.to_string().into_bytes(),
            Self::Double(number) => number.to_string().into_bytes(),
            Self::Time(at) => crate::time::rfc3339(*at).into_bytes(),
            Self::Duration(length) => duration_text(*length).into_bytes(),
        })
    }

    /// As a whole number: a duration in milliseconds. None for what is no number.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Uint(number) => i64::try_from(*number).ok(),
            Self::Bool(flag) => Some(i64::from(*flag)),
            Self::Duration(length) => Some(length / 1_000_000),
            #[allow(clippy::cast_possible_truncation)] // what is out of range is at its end
            Self::Double(number) => (!number.is_nan()).then_some(*number as i64),
            Self::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
            Self::Bytes(_) | Self::Time(_) => None,
        }
    }
}

/// An expression with the same value, and its type before it.
///
/// A property's encoding does not tell a text of eight bytes from a number.
pub fn tagged(expression: &str) -> String {
    format!(
        "[\n{expression}\n].map(v, type(v) == string ? \"s\" + v : type(v) == bytes ? b\"b\" + v : \
         type(v) == bool ? (v ? \"t\" : \"f\") : type(v) == int ? \"i\" + string(v) : \
         type(v) == uint ? \"u\" + string(v) : type(v) == double ? \"d\" + string(v) : \
         \"o\" + string(v))[0]"
    )
}

fn bytes_text(bytes: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(four).to_string();
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(sixteen) => match Ipv6Addr::from(sixteen) {
            address if address.to_ipv4_mapped().is_some() => address
                .to_ipv4_mapped()
                .unwrap_or(Ipv4Addr::UNSPECIFIED)
                .to_string(),
            address => address.to_string(),
        },
        Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn duration_text(length: i64) -> String {
    let sign = if length < 0 { "-" } else { "" };
    let (whole, rest) = (
        length.unsigned_abs() / 1_000_000_000,
        length.unsigned_abs() % 1_000_000_000,
    );
    let text = format!("{sign}{whole}.{rest:09}");
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `1.5s`, as CEL writes a duration, in nanoseconds.
fn seconds(text: &str) -> Option<i64> {
    let text = text.strip_suffix('s')?;
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let nanoseconds: i64 = format!("{rest:0<9}").get(..9)?.parse().ok()?;
    let length = whole
        .parse::<i64>()
        .ok()?
        .checked_mul(SECOND)?
        .checked_add(nanoseconds)?;
    Some(if negative { -length } else { length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for (bytes, value) in [
            (&b"s"[..], Some(Value::Text(vec![]))),
            (b"s\xff", Some(Value::Text(vec![0xff]))),
            (b"b\x0a\x01\x02\x03", Some(Value::Bytes(vec![10, 1, 2, 3]))),
            (b"t", Some(Value::Bool(true))),
            (b"i-5", Some(Value::Int(-5))),
            (b"u5", Some(Value::Uint(5))),
            (b"d1e+06", Some(Value::Double(1e6))),
            (b"o1.5s", Some(Value::Duration(1_500_000_000))),
            (b"o-0.001s", Some(Value::Duration(-1_000_000))),
            (b"o3s", Some(Value::Duration(3_000_000_000))),
            (
                b"o2020-01-01T00:00:00Z",
                Some(Value::Text(b"2020-01-01T00:00:00Z".to_vec())),
            ),
            (b"", None),
            (b"ix", None),
            (b"z", None),
        ] {
            assert_eq!(Value::untag(bytes.to_vec()), value, "{bytes:?}");
        }
    }

    #[test]
    fn texts() {
        for (value, text) in [
            (Value::Bytes(vec![10, 1, 2, 3]), "10.1.2.3"),
            (
                Value::Bytes([&[0; 10][..], &[255, 255, 10, 1, 2, 3]].concat()),
                "10.1.2.3",
            ),
            (
                Value::Bytes([&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[1]].concat()),
                "2001:db8::1",
            ),
            (Value::Bytes(vec![1, 0xab]), "01ab"),
            (Value::Duration(1_500_000_000), "1.5s"),
            (Value::Duration(-1_000), "-0.000001s"),
            (Value::Duration(20_000_000_000), "20s"),
            (Value::Time(0), "1970-01-01T00:00:00Z"),
            (Value::Double(0.1), "0.1"),
        ] {
            assert_eq!(value.text(), text.as_bytes());
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(Value::Duration(1_999_999).number(), Some(1));
        assert_eq!(Value::Text(b" 12".to_vec()).number(), Some(12));
        assert_eq!(Value::Text(b"12x".to_vec()).number(), None);
        assert_eq!(Value::Double(f64::NAN).number(), None);
        assert_eq!(Value::Double(1e300).number(), Some(i64::MAX));
        assert_eq!(Value::Uint(u64::MAX).number(), None);
    }
}
