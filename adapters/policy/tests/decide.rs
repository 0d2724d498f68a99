//! Whole decisions: a configuration and what its expressions are worth, in; a refusal, out.
//!
//! The messages and codes of lists are those of a Mixer 1.3.

use mixer_policy::{decide, Config, Evaluate, Refusal, Truth, Value};
use serde_json::{json, Value as Json};

struct Fake {
    conditions: Vec<Truth>,
    value: Option<Value>,
}

impl Evaluate for Fake {
    fn condition(&self, rule: usize) -> Truth {
        self.conditions.get(rule).copied().unwrap_or(Truth::True)
    }

    fn value(&self, _rule: usize) -> Option<Value> {
        self.value.clone()
    }
}

fn config(value: &Json) -> Config {
    Config::parse(value.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn listed(list: &Json, value: Option<Value>) -> Option<Refusal> {
    let mut list = list.clone();
    list["value"] = json!("source.address");
    let config = config(&json!({"rules": [{"name": "l", "list": list}]}));
    decide(
        &config,
        &Fake {
            conditions: vec![],
            value,
        },
    )
}

fn denied(conditions: Vec<Truth>) -> Option<Refusal> {
    let rules = json!({"rules": [
        {"name": "a", "match": "x", "deny": {"code": 7, "message": "Not allowed"}},
        {"name": "b", "match": "y", "deny": {"code": 16, "status": 499, "message": "no"}},
    ]});
    decide(
        &config(&rules),
        &Fake {
            conditions,
            value: None,
        },
    )
}

#[test]
fn the_first_rule_that_holds_answers() {
    let first = denied(vec![Truth::True, Truth::True]).unwrap();
    assert_eq!(
        (first.code, first.status, first.message.as_str()),
        (7, 403, "Not allowed")
    );
    assert_eq!(
        (first.details.as_str(), first.lasting),
        ("denied_by_a", true)
    );
    let second = denied(vec![Truth::False, Truth::True]).unwrap();
    assert_eq!(
        (second.code, second.status, second.message.as_str()),
        (16, 499, "no")
    );
    assert_eq!(denied(vec![Truth::False, Truth::False]), None);
}

#[test]
fn what_is_absent_does_not_match() {
    assert_eq!(denied(vec![Truth::Absent, Truth::Absent]), None);
    assert_eq!(
        denied(vec![Truth::Absent, Truth::True]).unwrap().details,
        "denied_by_b"
    );
}

#[test]
fn what_cannot_be_evaluated_is_no_permission() {
    let broken = denied(vec![Truth::Broken, Truth::False]).unwrap();
    assert_eq!(
        (broken.code, broken.status, broken.lasting),
        (13, 503, false)
    );
    assert_eq!(broken.message, "a: rules[0].match cannot be evaluated");
    assert_eq!(broken.details, "not_evaluated_in_a");
    for blacklist in [true, false] {
        let list = json!({"entries": ["a"], "blacklist": blacklist});
        let refusal = listed(&list, None).unwrap();
        assert_eq!(
            (refusal.code, refusal.status, refusal.lasting),
            (13, 503, false)
        );
        assert_eq!(
            refusal.message,
            "l: rules[0].list.value cannot be evaluated"
        );
    }
}

#[test]
fn lists() {
    let strings = json!({"entries": ["v1", "v2"]});
    let folded = json!({
        "entries": ["v1", "Stra\u{df}e"], "type": "CASE_INSENSITIVE_STRINGS", "blacklist": true
    });
    let addresses = json!({
        "entries": ["10.1.2.3", "192.168.7.9/16", "2001:db8::1"], "type": "IP_ADDRESSES"
    });
    let patterns = json!({"entries": ["a+b", "^x$"], "type": "REGEX", "blacklist": true});
    let mapped = Value::Bytes([&[0; 10][..], &[255, 255, 10, 1, 2, 3]].concat());
    for (list, value, expected) in [
        (&strings, text("v1"), None),
        (&strings, text("v3"), Some((7, "v3 is not whitelisted"))),
        (&strings, text(""), Some((7, " is not whitelisted"))),
        (
            &strings,
            Value::Bytes(vec![10, 1, 2, 3]),
            Some((7, "10.1.2.3 is not whitelisted")),
        ),
        (
            &strings,
            Value::Int(5),
            Some((3, "5 is not a valid string or IP address")),
        ),
        (&folded, text("V1"), Some((7, "V1 is blacklisted"))),
        (&folded, text("v3"), None),
        (&folded, text("STRASSE"), None),
        (
            &folded,
            text("STRA\u{df}E"),
            Some((7, "STRA\u{df}E is blacklisted")),
        ),
        (&addresses, Value::Bytes(vec![10, 1, 2, 3]), None),
        (
            &addresses,
            Value::Bytes(vec![10, 1, 2, 4]),
            Some((7, "10.1.2.4 is not whitelisted")),
        ),
        (&addresses, Value::Bytes(vec![192, 168, 1, 1]), None),
        (&addresses, mapped, None),
        (
            &addresses,
            Value::Bytes(vec![10, 1]),
            Some((3, "0a01 is not a valid IP address")),
        ),
        (&addresses, text("10.1.2.3"), None),
        (&addresses, text("10.1.2.3:4711"), None),
        (
            &addresses,
            text("2001:db8::2"),
            Some((7, "2001:db8::2 is not whitelisted")),
        ),
        (
            &addresses,
            text("abc"),
            Some((3, "abc is not a valid IP address")),
        ),
        (
            &addresses,
            text(""),
            Some((3, " is not a valid IP address")),
        ),
        (
            &addresses,
            text("10.1.2.3/32"),
            Some((3, "10.1.2.3/32 is not a valid IP address")),
        ),
        (&patterns, text("xaab"), Some((7, "xaab is blacklisted"))),
        (&patterns, text("x"), Some((7, "x is blacklisted"))),
        (&patterns, text("yx"), None),
    ] {
        let refusal = listed(list, Some(value.clone()));
        let found = refusal.as_ref().map(|one| (one.code, one.message.as_str()));
        assert_eq!(found, expected, "{list} {value:?}");
    }
}

#[test]
fn an_address_in_bytes_is_not_taken_for_text() {
    let list = json!({"entries": ["1::2"], "type": "IP_ADDRESSES"});
    assert_eq!(listed(&list, Some(text("1::2"))), None);
    let spells_it = listed(&list, Some(Value::Bytes(b"1::2".to_vec()))).unwrap();
    assert_eq!(spells_it.message, "49.58.58.50 is not whitelisted");
}

#[test]
fn own_codes_and_messages() {
    let list = json!({"entries": [], "code": 16, "status": 418, "message": "go away"});
    let refusal = listed(&list, Some(text("x"))).unwrap();
    assert_eq!(
        (refusal.code, refusal.status, refusal.message.as_str()),
        (16, 418, "go away")
    );
}

#[test]
fn a_message_tells_little_of_a_hostile_value() {
    let refusal = listed(&json!({"entries": []}), Some(text(&"a\r\n".repeat(1000)))).unwrap();
    assert!(refusal.message.starts_with("a??a??"));
    assert!(refusal.message.ends_with("... is not whitelisted"));
    assert!(refusal.message.len() < 300);
}
