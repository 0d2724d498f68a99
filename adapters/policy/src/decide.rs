//! The decision about one request.

use crate::code;
use crate::config::{Action, Check, Config, Rule};
use mixer_host::value::{Truth, Value};
use std::borrow::Cow;

/// How much of a value is told in a message.
const SHOWN: usize = 256;

/// The rules' expressions, evaluated for one request.
pub trait Evaluate {
    /// Whether the condition of a rule holds; one without is true.
    fn condition(&self, rule: usize) -> Truth;

    /// The value that a rule checks; None where there is none.
    fn value(&self, rule: usize) -> Option<Value>;
}

#[derive(Debug, Eq, PartialEq)]
pub struct Refusal {
    /// A gRPC code.
    pub code: i32,
    /// An HTTP status.
    pub status: u32,
    /// For the caller.
    pub message: String,
    /// For operators.
    pub details: String,
    /// Whether the same request may be refused again without asking.
    pub lasting: bool,
}

/// None where every rule lets the request pass.
pub fn decide<E: Evaluate>(config: &Config, request: &E) -> Option<Refusal> {
    let mut rules = config.rules.iter().enumerate();
    rules.find_map(|(number, rule)| match request.condition(number) {
        // As in Mixer: what is absent from a request does not match.
        Truth::False | Truth::Absent => None,
        Truth::Broken => Some(broken(rule, "match")),
        Truth::True => apply(rule, || request.value(number)),
    })
}

fn apply(rule: &Rule, value: impl Fn() -> Option<Value>) -> Option<Refusal> {
    match &rule.action {
        Action::Deny(deny) => Some(refusal(rule, deny.code, deny.status, deny.message.clone())),
        Action::Check(check) => match value() {
            Some(value) => checked(rule, check, &value),
            None => Some(broken(rule, "list.value")),
        },
    }
}

fn checked(rule: &Rule, check: &Check, value: &Value) -> Option<Refusal> {
    let text = value.text();
    let text = String::from_utf8_lossy(&text);
    let shown = shown(&text);
    if !matches!(value, Value::Text(_) | Value::Bytes(_)) {
        return Some(invalid(
            rule,
            format!("{shown} is not a valid string or IP address"),
        ));
    }
    let Ok(found) = check.list.contains(value, &text) else {
        return Some(invalid(rule, format!("{shown} is not a valid IP address")));
    };
    if found != check.blacklist {
        return None;
    }
    let what = if check.blacklist {
        "blacklisted"
    } else {
        "not whitelisted"
    };
    let message = check
        .message
        .clone()
        .unwrap_or_else(|| format!("{shown} is {what}"));
    Some(refusal(rule, check.code, check.status, message))
}

fn refusal(rule: &Rule, code: i32, status: u32, message: String) -> Refusal {
    let details = format!("denied_by_{}", rule.name);
    Refusal {
        code,
        status,
        message,
        details,
        lasting: true,
    }
}

fn invalid(rule: &Rule, message: String) -> Refusal {
    let code = code::INVALID_ARGUMENT;
    refusal(rule, code, code::http_status(code), message)
}

/// Whoever asks must not take what cannot be told for a permission, nor keep the answer.
fn broken(rule: &Rule, what: &str) -> Refusal {
    Refusal {
        code: code::INTERNAL,
        status: 503,
        message: format!("{}: {}.{what} cannot be evaluated", rule.name, rule.path),
        details: format!("not_evaluated_in_{}", rule.name),
        lasting: false,
    }
}

/// For a host that goes on although the configuration was refused.
#[cfg(target_arch = "wasm32")]
pub fn not_configured() -> Refusal {
    Refusal {
        code: code::INTERNAL,
        status: 503,
        message: "policy: not configured".to_owned(),
        details: "not_configured".to_owned(),
        lasting: false,
    }
}

fn shown(text: &str) -> Cow<'_, str> {
    let plain = !text.chars().any(char::is_control);
    if plain && text.len() <= SHOWN {
        return Cow::Borrowed(text);
    }
    let tame = |one: char| if one.is_control() { '?' } else { one };
    let cut = if text.chars().nth(SHOWN).is_some() {
        "..."
    } else {
        ""
    };
    Cow::Owned(
        text.chars()
            .take(SHOWN)
            .map(tame)
            .chain(cut.chars())
            .collect(),
    )
}
