//! Claims of a verified token: looking them up, comparing them, passing them on.

use crate::reason::Reason;
use serde_json::Value;

/// Longer claims are not passed on in a header.
const MAX_HEADER_BYTES: usize = 4096;
pub const MAX_CONSUMER_BYTES: usize = 256;
const MAX_STEPS: usize = 16;

/// The way to a claim through nested objects and lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    pub fn subject() -> Self {
        Self(vec!["sub".to_owned()])
    }

    /// "a.b.0"; None for what looks like one name with dots in it.
    pub fn from_dotted(text: &str) -> Option<Self> {
        let steps = text.split('.').map(str::to_owned).collect();
        Self::from_steps(steps).filter(|_| !text.contains("://"))
    }

    pub fn from_steps(steps: Vec<String>) -> Option<Self> {
        let sound = (1..=MAX_STEPS).contains(&steps.len()) && steps.iter().all(|s| !s.is_empty());
        sound.then_some(Self(steps))
    }

    pub fn get<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(claims, |value, step| match value {
            Value::Object(members) => members.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Scopes are a space-separated list by RFC 8693 and by common use. No other
    /// string is split: a display name "x admin" must not count as "admin".
    fn is_scope(&self) -> bool {
        matches!(self.0.last().map(String::as_str), Some("scope" | "scp"))
    }
}

/// What a rule asks of one claim.
pub struct Requirement {
    pub claim: ClaimPath,
    /// Strings, numbers and booleans.
    pub any_of: Vec<Value>,
}

impl Requirement {
    pub fn holds(&self, claims: &Value) -> bool {
        match self.claim.get(claims) {
            Some(Value::Array(items)) => items.iter().any(|item| self.any_of.contains(item)),
            Some(Value::String(text)) if self.claim.is_scope() => {
                text.split(' ').any(|scope| self.names(scope))
            }
            Some(value) => self.any_of.contains(value),
            None => false,
        }
    }

    fn names(&self, scope: &str) -> bool {
        self.any_of.iter().any(|v| v.as_str() == Some(scope))
    }
}

/// The text of a claim for a request header, or None if there is no safe one.
pub fn header_value(value: &Value) -> Option<String> {
    let text = match value {
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(list_item).collect();
            items?.join(",")
        }
        other => scalar(other)?,
    };
    is_clean(&text, MAX_HEADER_BYTES).then_some(text)
}

/// An item with a comma would look like two items to the upstream.
fn list_item(value: &Value) -> Option<String> {
    scalar(value).filter(|text| !text.contains(','))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Whether `aud` is, or has, one of the accepted audiences.
pub fn check_audience(accepted: &[String], claims: &Value) -> Result<(), Reason> {
    let accepts = |v: &Value| v.as_str().is_some_and(|a| accepted.iter().any(|x| x == a));
    let met = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().any(accepts),
        Some(value) => accepts(value),
        None => false,
    };
    met.then_some(()).ok_or(Reason::TokenAudience)
}

/// The consumer's name that a claim gives, or None if it is not usable as one.
pub fn consumer_name(prefix: &str, value: &Value) -> Option<String> {
    let name = match value {
        Value::String(_) | Value::Number(_) => scalar(value)?,
        _ => return None,
    };
    if name.is_empty() {
        return None;
    }
    let name = format!("{prefix}{name}");
    is_consumer_name(&name).then_some(name)
}

pub fn is_consumer_name(name: &str) -> bool {
    is_clean(name, MAX_CONSUMER_BYTES)
}

/// Fit for a header value: no control character (so no line break and no NUL),
/// and no space at either end, which the next reader would trim.
fn is_clean(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.trim().len() == text.len()
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(value: Value) -> ClaimPath {
        match value {
            Value::String(text) => ClaimPath::from_dotted(&text).unwrap(),
            steps => ClaimPath::from_steps(serde_json::from_value(steps).unwrap()).unwrap(),
        }
    }

    fn holds(claim: Value, any_of: Value, claims: Value) -> bool {
        let any_of = any_of.as_array().unwrap().clone();
        let claim = path(claim);
        Requirement { claim, any_of }.holds(&claims)
    }

    #[test]
    fn paths() {
        let claims = json!({"a": {"b": [{"c": 7}]}, "https://x.y/r": 8});
        assert_eq!(path(json!("a.b.0.c")).get(&claims), Some(&json!(7)));
        assert_eq!(path(json!(["https://x.y/r"])).get(&claims), Some(&json!(8)));
        for absent in ["a.b.1", "a.b.-1", "a.b.c", "a.x", "a.b.0.c.d", "x"] {
            assert_eq!(path(json!(absent)).get(&claims), None, "{absent}");
        }
        for bad in [
            "",
            "a..b",
            ".",
            "https://x.y",
            "1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7",
        ] {
            assert!(ClaimPath::from_dotted(bad).is_none(), "{bad}");
        }
        assert!(ClaimPath::from_steps(Vec::new()).is_none());
    }

    #[test]
    fn requirements() {
        assert!(holds(
            json!("role"),
            json!(["a", "b"]),
            json!({"role": "b"})
        ));
        assert!(!holds(json!("role"), json!(["a"]), json!({"role": "a b"})));
        assert!(!holds(json!("role"), json!(["a"]), json!({})));
        assert!(holds(
            json!("roles"),
            json!(["a"]),
            json!({"roles": ["x", "a"]})
        ));
        assert!(holds(json!("n"), json!([1]), json!({"n": 1})));
        assert!(!holds(json!("n"), json!([1]), json!({"n": "1"})));
        assert!(holds(json!("ok"), json!([true]), json!({"ok": true})));
        assert!(holds(
            json!("scope"),
            json!(["read"]),
            json!({"scope": "write read"})
        ));
        assert!(holds(
            json!("scp"),
            json!(["read"]),
            json!({"scp": ["read"]})
        ));
        assert!(!holds(
            json!("scope"),
            json!(["read"]),
            json!({"scope": "reader"})
        ));
    }

    #[test]
    fn header_values() {
        assert_eq!(header_value(&json!("x")).as_deref(), Some("x"));
        assert_eq!(header_value(&json!(4)).as_deref(), Some("4"));
        assert_eq!(
            header_value(&json!(["a", 1, true])).as_deref(),
            Some("a,1,true")
        );
        for bad in [
            json!(null),
            json!({}),
            json!([]),
            json!([[1]]),
            json!([null]),
            json!(["a,b"]),
            json!(""),
            json!("a\r\nb: c"),
            json!("a\u{0}"),
            json!(" a"),
            json!("a\u{85}"),
            json!("x".repeat(MAX_HEADER_BYTES + 1)),
        ] {
            assert_eq!(header_value(&bad), None, "{bad}");
        }
    }

    #[test]
    fn consumer_names() {
        assert_eq!(consumer_name("p:", &json!("a")).as_deref(), Some("p:a"));
        assert_eq!(consumer_name("", &json!(12)).as_deref(), Some("12"));
        for bad in [
            json!(""),
            json!(true),
            json!(null),
            json!(["a"]),
            json!("a\n"),
            json!("x".repeat(257)),
        ] {
            assert_eq!(consumer_name("", &bad), None, "{bad}");
        }
    }
}
