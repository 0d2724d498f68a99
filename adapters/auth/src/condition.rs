//! CEL expressions of rules, which the host evaluates, and what they read of this module.

use serde_json::Value;

/// One expression of the configuration.
pub struct Condition {
    /// Where it is in the configuration.
    pub path: String,
    pub text: String,
}

/// What `claims` is set to, for a host that reads it as a `google.protobuf.Struct`.
pub const CLAIMS: &str = "claims";
pub const CONSUMER: &str = "consumer";

impl Condition {
    /// Whether it may read a name; a text with the same letters in it costs no more than a call.
    pub fn may_read(&self, name: &str) -> bool {
        self.text.contains(name)
    }
}

/// Claims as a serialized `google.protobuf.Struct`.
pub fn claims_struct(claims: &Value) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    for (name, value) in claims.as_object().into_iter().flatten() {
        let mut entry = Vec::new();
        field(&mut entry, 1, name.as_bytes());
        field(&mut entry, 2, &value_message(value));
        field(&mut bytes, 1, &entry);
    }
    bytes
}

/// A `google.protobuf.Value`.
fn value_message(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    match value {
        Value::Null => bytes.extend([1 << 3, 0]),
        Value::Number(number) => {
            bytes.push(2 << 3 | 1);
            bytes.extend(number.as_f64().unwrap_or(f64::NAN).to_le_bytes());
        }
        Value::String(text) => field(&mut bytes, 3, text.as_bytes()),
        Value::Bool(flag) => bytes.extend([4 << 3, u8::from(*flag)]),
        Value::Object(_) => field(&mut bytes, 5, &claims_struct(value)),
        Value::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                field(&mut list, 1, &value_message(item));
            }
            field(&mut bytes, 6, &list);
        }
    }
    bytes
}

/// A field of which the length comes first.
fn field(bytes: &mut Vec<u8>, number: u8, content: &[u8]) {
    bytes.push(number << 3 | 2);
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_struct_of_protobuf() {
        assert!(claims_struct(&json!({})).is_empty());
        assert!(claims_struct(&Value::Null).is_empty());
        assert_eq!(
            claims_struct(&json!({"k": "v"})),
            b"\x0a\x08\x0a\x01k\x12\x03\x1a\x01v"
        );
        let long = claims_struct(&json!({"k": "v".repeat(200)}));
        assert_eq!(long[..10], *b"\x0a\xd1\x01\x0a\x01k\x12\xcb\x01\x1a");
        assert_eq!(
            claims_struct(&json!({"a": [true, null, 1]})),
            b"\x0a\x1a\x0a\x01a\x12\x15\x32\x13\x0a\x02\x20\x01\x0a\x02\x08\x00\x0a\x09\x11\0\0\0\0\0\0\xf0\x3f"
        );
        assert_eq!(
            claims_struct(&json!({"o": {"x": false}})),
            b"\x0a\x10\x0a\x01o\x12\x0b\x2a\x09\x0a\x07\x0a\x01x\x12\x02\x20\x00"
        );
    }
}
