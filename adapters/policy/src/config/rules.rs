//! `rules` and what is in each.

use super::entries::list;
use super::{Action, Check, Denial, Rule};
use crate::code;
use mixer_host::config::{ConfigError, Node, Object};

type Read<T> = Result<T, ConfigError>;

pub fn rules(node: Node) -> Read<Vec<Rule>> {
    node.each(1..=256, rule)
}

fn rule(node: Node) -> Read<Rule> {
    let path = node.path.clone();
    let mut rule = node.object(&["name", "match", "deny", "list"])?;
    let action = match (rule.optional("deny"), rule.optional("list")) {
        (Some(deny), None) => Action::Deny(denial(deny)?),
        (None, Some(list)) => Action::Check(check(list)?),
        _ => return Err(rule.error("must have exactly one of deny and list")),
    };
    Ok(Rule {
        name: name(&mut rule)?,
        condition: rule.optional("match").map(expression).transpose()?,
        path,
        action,
    })
}

/// Without one, the rule's place in the list, as in `rules_0`.
fn name(rule: &mut Object) -> Read<String> {
    let Some(node) = rule.optional("name") else {
        return Ok(rule.path.replace('[', "_").replace(']', ""));
    };
    let error = node.error("must be 1 to 128 letters, digits, dots, hyphens and underscores");
    let name = node.string()?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    let sound = (1..=128).contains(&name.len()) && name.bytes().all(allowed);
    sound.then_some(name).ok_or(error)
}

fn denial(node: Node) -> Read<Denial> {
    let mut deny = node.object(&["code", "message", "status"])?;
    let (code, status) = outcome(&mut deny, code::FAILED_PRECONDITION)?;
    let message = message(&mut deny)?.unwrap_or_default();
    Ok(Denial {
        code,
        status,
        message,
    })
}

fn check(node: Node) -> Read<Check> {
    let known = [
        "value",
        "entries",
        "type",
        "blacklist",
        "code",
        "message",
        "status",
    ];
    let mut check = node.object(&known)?;
    let (code, status) = outcome(&mut check, code::PERMISSION_DENIED)?;
    Ok(Check {
        value: expression(check.required("value")?)?,
        blacklist: check.bool_or("blacklist", false)?,
        message: message(&mut check)?,
        list: list(&mut check)?,
        code,
        status,
    })
}

/// The gRPC code and the HTTP status of a refusal.
fn outcome(object: &mut Object, default: i32) -> Read<(i32, u32)> {
    let code = match object.optional("code") {
        Some(node) => whole(node, 1, 16)?,
        None => default,
    };
    let status = match object.optional("status") {
        Some(node) => whole(node, 400, 599)?.unsigned_abs(),
        None => code::http_status(code),
    };
    Ok((code, status))
}

fn message(object: &mut Object) -> Read<Option<String>> {
    let Some(node) = object.optional("message") else {
        return Ok(None);
    };
    let error = node.error("must be at most 1024 bytes without control characters");
    let text = node.string()?;
    let sound = text.len() <= 1024 && !text.chars().any(char::is_control);
    sound.then_some(Some(text)).ok_or(error)
}

fn expression(node: Node) -> Read<String> {
    let error = node.error("must be an expression of 1 to 4096 bytes");
    let text = node.string()?;
    let sound = text.len() <= 4096 && !text.trim().is_empty();
    sound.then_some(text).ok_or(error)
}

/// A whole number. A float holds all of them: Protobuf's Struct knows no other number.
pub fn whole(node: Node, least: i32, most: i32) -> Read<i32> {
    let error = node.error(format!("must be a whole number from {least} to {most}"));
    let number = node.number()?;
    let sound = number.fract() == 0.0 && (f64::from(least)..=f64::from(most)).contains(&number);
    #[allow(clippy::cast_possible_truncation)] // it is whole, and in the range
    sound.then_some(number as i32).ok_or(error)
}
