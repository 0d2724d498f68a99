//! The value of a dimension as text.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The kind of a value, as an expression over it tells it.
pub fn kind_expression(expression: &str) -> String {
    // A line of its own each time: the expression may end with a comment.
    let type_of = format!("type({expression}\n)");
    format!("{type_of} == string ? 's' : {type_of} == bytes ? 'b' : 'o'")
}

pub fn text_expression(expression: &str) -> String {
    format!("string({expression}\n)")
}

/// Text as it is; an address of bytes, a number, a bool or a time as it is written.
///
/// The host encodes a value without its kind. Numbers and times come as 8 bytes, bools as one, and
/// addresses have 4 or 16, so only what has such a length needs a closer look.
pub fn text_form(
    value: Vec<u8>,
    kind: impl FnOnce() -> Option<Vec<u8>>,
    text: impl FnOnce() -> Option<Vec<u8>>,
) -> Vec<u8> {
    if !matches!(value.len(), 1 | 4 | 8 | 16) {
        return value;
    }
    match kind().as_deref() {
        Some(b"b") => address(&value).map_or(value, String::into_bytes),
        Some(b"o") => text().unwrap_or(value),
        _ => value,
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(sixteen).to_canonical().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(value: &[u8], kind: &str, text: Option<&str>) -> String {
        let kind = Some(kind.as_bytes().to_vec());
        let text = text.map(|t| t.as_bytes().to_vec());
        String::from_utf8(text_form(value.to_vec(), || kind, || text)).unwrap()
    }

    #[test]
    fn is_told_by_the_kind_where_the_length_does_not() {
        assert_eq!(form(b"tenant-a", "s", Some("no")), "tenant-a");
        assert_eq!(form(&8080_i64.to_le_bytes(), "o", Some("8080")), "8080");
        assert_eq!(form(b"\x01", "o", Some("true")), "true");
        assert_eq!(form(b"1", "s", None), "1");
        assert_eq!(form(b"\x0a\0\0\x01", "b", None), "10.0.0.1");
        assert_eq!(form(b"host", "s", None), "host");
        let mapped = b"\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01";
        assert_eq!(form(mapped, "b", None), "10.0.0.1");
        assert_eq!(form(b"12345678", "b", None), "12345678");
    }

    #[test]
    fn nothing_is_asked_about_other_lengths() {
        let never = || panic!("asked");
        assert_eq!(text_form(b"alice".to_vec(), never, never), b"alice");
        assert_eq!(text_form(Vec::new(), never, never), b"");
    }
}
