//! Log entries as text.

use mixer_host::value::Value;
use serde_json::Value as Json;
use std::borrow::Cow;

/// How much of a value is logged.
const VALUE_BYTES: usize = 1024;

/// A field's name, and its value if there is one.
pub type Field<'a> = (&'a str, Option<Value>);

/// One JSON object: the entry's name and severity, then the fields.
pub fn json_entry(name: &str, severity: &str, fields: &[Field]) -> String {
    let mut text = format!(
        "{{\"instance\":{},\"level\":{}",
        quoted(name),
        quoted(severity)
    );
    for (field, value) in fields {
        text.push(',');
        text.push_str(&quoted(field));
        text.push(':');
        text.push_str(&value.as_ref().map_or_else(|| "null".to_owned(), json));
    }
    text.push('}');
    text
}

/// The entry's name, then `field=value`; a value with spaces or quotes is in quotes.
pub fn text_entry(name: &str, fields: &[Field]) -> String {
    let mut text = name.to_owned();
    for (field, value) in fields {
        text.push(' ');
        text.push_str(field);
        text.push('=');
        match value {
            Some(value) => text.push_str(&bare(&shown(value))),
            None => text.push('-'),
        }
    }
    text
}

fn json(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Double(number) => Json::from(*number).to_string(),
        _ => quoted(&shown(value)),
    }
}

fn shown(value: &Value) -> String {
    let text = value.text();
    let text = String::from_utf8_lossy(&text);
    let end = end_within(&text, VALUE_BYTES);
    match end < text.len() {
        true => format!("{}...", &text[..end]),
        false => text.into_owned(),
    }
}

fn bare(text: &str) -> Cow<'_, str> {
    let plain = |one: char| !one.is_whitespace() && !one.is_control() && !"\"=".contains(one);
    match text.chars().all(plain) && !matches!(text, "" | "-") {
        true => Cow::Borrowed(text),
        false => Cow::Owned(quoted(text)),
    }
}

fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// The end of the last whole character within so many bytes.
fn end_within(text: &str, most: usize) -> usize {
    let end = most.min(text.len());
    (0..=end)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<Field<'static>> {
        vec![
            ("code", Some(Value::Int(200))),
            ("gone", None),
            ("path", Some(Value::Text(b"/a\"b\n\xff".to_vec()))),
            ("ratio", Some(Value::Double(0.5))),
            ("took", Some(Value::Duration(1_500_000))),
        ]
    }

    #[test]
    fn as_json() {
        let expected = "{\"instance\":\"a\",\"level\":\"info\",\"code\":200,\"gone\":null,\
                        \"path\":\"/a\\\"b\\n\u{fffd}\",\"ratio\":0.5,\"took\":\"0.0015s\"}";
        assert_eq!(json_entry("a", "info", &fields()), expected);
        assert!(serde_json::from_str::<Json>(expected).is_ok());
        let nan = json_entry("a", "info", &[("x", Some(Value::Double(f64::NAN)))]);
        assert_eq!(nan, "{\"instance\":\"a\",\"level\":\"info\",\"x\":null}");
    }

    #[test]
    fn as_text() {
        let expected = "a code=200 gone=- path=\"/a\\\"b\\n\u{fffd}\" ratio=0.5 took=0.0015s";
        assert_eq!(text_entry("a", &fields()), expected);
        let odd = [
            ("x", Some(Value::Text(vec![]))),
            ("y", Some(Value::Text(b"-".to_vec()))),
        ];
        assert_eq!(text_entry("a", &odd), "a x=\"\" y=\"-\"");
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = "\u{fc}".repeat(1000);
        let entry = text_entry("a", &[("x", Some(Value::Text(long.into_bytes())))]);
        assert_eq!(entry, format!("a x={}...", "\u{fc}".repeat(512)));
    }
}
