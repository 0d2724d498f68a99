//! The value of a dimension as text.

use mixer_host::value::Value;

/// Text as it is; an address of bytes, a number, a bool or a time as it is written.
///
/// The host encodes a value without its type. Numbers and times come as 8 bytes, bools as one, and
/// addresses have 4 or 16, so only what has such a length needs a closer look, which costs more.
pub fn text_form(value: Vec<u8>, typed: impl FnOnce() -> Option<Value>) -> Vec<u8> {
    if !matches!(value.len(), 1 | 4 | 8 | 16) {
        return value;
    }
    match typed() {
        Some(Value::Bytes(bytes)) if !matches!(bytes.len(), 4 | 16) => bytes,
        Some(typed) => typed.text().into_owned(),
        // A list or a map.
        None => value,
    }
}

/// What a request costs by the value of an expression.
///
/// What is no number or below 0 costs 1: it is no way around a quota. A part counts as a whole.
pub fn cost_of(value: Option<&Value>) -> u64 {
    let number = match value {
        #[allow(clippy::cast_possible_truncation)] // what is out of range is at its end
        Some(Value::Double(number)) if !number.is_nan() => Some(number.ceil() as i64),
        Some(value) => value.number(),
        None => None,
    };
    number.and_then(|n| u64::try_from(n).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(value: &[u8], typed: Option<Value>) -> String {
        String::from_utf8(text_form(value.to_vec(), || typed)).unwrap()
    }

    #[test]
    fn is_told_by_the_type_where_the_length_does_not() {
        let text = |t: &[u8]| Some(Value::Text(t.to_vec()));
        let bytes = |t: &[u8]| Some(Value::Bytes(t.to_vec()));
        assert_eq!(form(b"tenant-a", text(b"tenant-a")), "tenant-a");
        assert_eq!(form(b"1", text(b"1")), "1");
        assert_eq!(
            form(&8080_i64.to_le_bytes(), Some(Value::Int(8080))),
            "8080"
        );
        assert_eq!(form(b"\x01", Some(Value::Bool(true))), "true");
        assert_eq!(form(b"\x0a\0\0\x01", bytes(b"\x0a\0\0\x01")), "10.0.0.1");
        assert_eq!(form(b"12345678", bytes(b"12345678")), "12345678");
        assert_eq!(form(b"\0\0\0\0", None), "\0\0\0\0");
    }

    #[test]
    fn what_a_request_costs() {
        for (value, cost) in [
            (None, 1),
            (Some(Value::Int(7)), 7),
            (Some(Value::Int(0)), 0),
            (Some(Value::Int(-7)), 1),
            (Some(Value::Double(1.2)), 2),
            (Some(Value::Double(-1.2)), 1),
            (Some(Value::Double(f64::NAN)), 1),
            (Some(Value::Double(1e300)), i64::MAX as u64),
            (Some(Value::Uint(u64::MAX)), 1),
            (Some(Value::Text(b"12".to_vec())), 12),
            (Some(Value::Text(b"many".to_vec())), 1),
            (Some(Value::Bytes(b"12".to_vec())), 1),
        ] {
            assert_eq!(cost_of(value.as_ref()), cost, "{value:?}");
        }
    }

    #[test]
    fn nothing_is_asked_about_other_lengths() {
        let never = || panic!("asked");
        assert_eq!(text_form(b"alice".to_vec(), never), b"alice");
        assert_eq!(text_form(Vec::new(), never), b"");
    }
}
