//! Texts of requests within the bounds of a record.

use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write;

/// The longest subject, key or value of a label.
pub const BYTES: usize = 256;

/// A subject; None for what names nobody for sure: what is empty, too long, no UTF-8, or has
/// control characters, which no name has.
pub fn subject(bytes: &[u8]) -> Option<&str> {
    if !(1..=BYTES).contains(&bytes.len()) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    (!has_control(text)).then_some(text)
}

fn has_control(text: &str) -> bool {
    // Nearly all are ASCII, and taking characters apart costs several times as much.
    if text.is_ascii() {
        return text.bytes().any(|byte| byte.is_ascii_control());
    }
    text.chars().any(char::is_control)
}

/// A key as it is, or where it does not fit what stands for it and for nothing else.
pub fn key(bytes: &[u8]) -> Cow<'_, str> {
    match subject(bytes) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(digest(bytes)),
    }
}

fn digest(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Adds a number in decimal digits, at a fraction of what formatting costs.
pub fn push_decimal(bytes: &mut Vec<u8>, mut number: u64) {
    let (mut digits, mut at) = ([0; 20], 20);
    loop {
        at -= 1;
        #[allow(clippy::cast_possible_truncation)] // it is below 10
        let digit = (number % 10) as u8;
        digits[at] = b'0' + digit;
        number /= 10;
        if number == 0 {
            bytes.extend_from_slice(&digits[at..]);
            return;
        }
    }
}

/// The value of a label: cut, and with a mark for what is no text.
pub fn label(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => match subject(bytes) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(repaired(bytes)),
        },
        Cow::Owned(bytes) => Cow::Owned(label(Cow::Borrowed(&bytes)).into_owned()),
    }
}

fn repaired(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(BYTES)]);
    let mut end = text.len().min(BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let shown = |one: char| match one.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => one,
    };
    let mut kept = String::with_capacity(end);
    for one in text[..end].chars().map(shown) {
        if kept.len() + one.len_utf8() <= BYTES {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let long = [b'x'; BYTES + 1];
        assert_eq!(subject(b"acme"), Some("acme"));
        assert_eq!(subject("B\u{fc}ro 1".as_bytes()), Some("B\u{fc}ro 1"));
        assert_eq!(subject(&long[1..]).map(str::len), Some(BYTES));
        for none in [&b""[..], b"a\0b", b"a\nb", b"\x7f", b"\xff", &long] {
            assert_eq!(subject(none), None, "{none:?}");
        }
    }

    #[test]
    fn keys() {
        assert_eq!(key(b"a/b"), "a/b");
        let odd = [
            vec![b'x'; 1_000_000],
            vec![b'y'; BYTES + 1],
            vec![0xff],
            b"a\n".to_vec(),
            vec![],
        ];
        let mut made: Vec<_> = odd.iter().map(|one| key(one)).collect();
        assert!(made
            .iter()
            .all(|one| one.len() == 7 + 64 && one.starts_with("sha256:")));
        made.sort();
        made.dedup();
        assert_eq!(made.len(), 5);
    }

    #[test]
    fn decimals() {
        for number in [0, 9, 10, 1_700_000_123_456_789_000, u64::MAX] {
            let mut bytes = vec![b'/'];
            push_decimal(&mut bytes, number);
            assert_eq!(bytes, format!("/{number}").as_bytes());
        }
    }

    #[test]
    fn labels() {
        for (bytes, text) in [
            (&b"a"[..], "a"),
            (b"", ""),
            (b"a\xffb\n\0", "a\u{fffd}b\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(label(bytes.into()), text);
        }
        for long in [
            vec![b'x'; 1 << 20],
            vec![0xff; 1 << 20],
            "\u{20ac}".repeat(999).into_bytes(),
        ] {
            assert!((BYTES - 3..=BYTES).contains(&label(long.into()).len()));
        }
        assert_eq!(label([b'x'; 300][..].into()), "x".repeat(BYTES));
    }
}
