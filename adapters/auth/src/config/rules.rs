//! `rules` and `default`.

use super::addresses::networks;
use super::credentials::{claim_path, consumer};
use crate::claims::Requirement;
use crate::condition::Condition;
use crate::path::normalise;
use crate::rules::{Conditions, PathPattern, Rule, Who};
use mixer_host::config::{ConfigError, Node, Object};

const MAX_RULES: usize = 1000;

const RULE: [&str; 9] = [
    "paths",
    "methods",
    "addresses",
    "match",
    "consumers",
    "claims",
    "when",
    "anonymous",
    "deny",
];

pub fn default(root: &mut Object) -> Result<Who, ConfigError> {
    let Some(node) = root.optional("default") else {
        return Ok(Who::Authenticated(Conditions::default()));
    };
    let error = node.error("must be authenticated, allow or deny");
    match node.string()?.as_str() {
        "authenticated" => Ok(Who::Authenticated(Conditions::default())),
        "allow" => Ok(Who::Anyone),
        "deny" => Ok(Who::NoOne),
        _ => Err(error),
    }
}

/// What they ask the host for goes into the conditions.
pub fn rules(
    root: &mut Object,
    allow_parameters: bool,
    conditions: &mut Vec<Condition>,
) -> Result<Vec<Rule>, ConfigError> {
    let Some(list) = root.optional("rules") else {
        return Ok(Vec::new());
    };
    let mut rules = Vec::new();
    for node in list.list(0..=MAX_RULES)? {
        rules.push(rule(node, allow_parameters, conditions)?);
    }
    Ok(rules)
}

fn rule(
    node: Node,
    allow_parameters: bool,
    conditions: &mut Vec<Condition>,
) -> Result<Rule, ConfigError> {
    let mut object = node.object(&RULE)?;
    let paths = object.each("paths", 1..=64, |node| pattern(node, allow_parameters))?;
    let methods = object.each("methods", 1..=16, method)?;
    Ok(Rule {
        paths: paths.unwrap_or_default(),
        methods: methods.unwrap_or_default(),
        addresses: networks(&mut object, "addresses")?,
        condition: condition(&mut object, "match", conditions)?,
        who: who(&mut object, conditions)?,
    })
}

/// The place of an expression among all of them.
fn condition(
    rule: &mut Object,
    name: &'static str,
    conditions: &mut Vec<Condition>,
) -> Result<Option<usize>, ConfigError> {
    let Some(node) = rule.optional(name) else {
        return Ok(None);
    };
    let error = node.error("must be a CEL expression of 1 to 4096 bytes");
    let path = node.path.clone();
    let text = node.string()?;
    if !(1..=4096).contains(&text.len()) {
        return Err(error);
    }
    conditions.push(Condition { path, text });
    Ok(Some(conditions.len() - 1))
}

fn pattern(node: Node, allow_parameters: bool) -> Result<PathPattern, ConfigError> {
    let error = node.error(
        "must be an exact path (/x), a prefix (/x/*), a suffix (*.css) or *, without a query, \
         and not a path that is refused in requests",
    );
    parse_pattern(&node.string()?, allow_parameters).ok_or(error)
}

fn parse_pattern(text: &str, allow_parameters: bool) -> Option<PathPattern> {
    if text.len() > 1024 || text.contains('?') {
        return None;
    }
    if text == "*" || text == "/*" {
        return Some(PathPattern::Any);
    }
    let fixed = |path: &str| {
        let fixed = !path.contains('*');
        fixed.then(|| normalise(path.as_bytes(), allow_parameters))?
    };
    if let Some(suffix) = text.strip_prefix('*') {
        // A suffix has no segments to normalise, so it must already be plain.
        let plain = !suffix.contains(['*', '%', ';', '#', '\\']) && !suffix.ends_with('/');
        return plain.then(|| PathPattern::Suffix(suffix.as_bytes().to_vec()));
    }
    if let Some(parent) = text.strip_suffix("/*") {
        return fixed(parent).map(PathPattern::Below);
    }
    fixed(text).map(PathPattern::Exact)
}

fn method(node: Node) -> Result<String, ConfigError> {
    let error = node.error("must be a method in upper case, at most 32 bytes");
    let method = node.string()?;
    let allowed = |b: u8| b.is_ascii_uppercase() || b == b'-' || b == b'_';
    let sound = (1..=32).contains(&method.len()) && method.bytes().all(allowed);
    sound.then_some(method).ok_or(error)
}

fn who(rule: &mut Object, conditions: &mut Vec<Condition>) -> Result<Who, ConfigError> {
    let deny = rule.bool_or("deny", false)?;
    let anonymous = rule.optional("anonymous").map(anonymous).transpose()?;
    let consumers = rule.each("consumers", 1..=1024, consumer)?;
    let claims = rule.each("claims", 1..=16, requirement)?;
    let when = condition(rule, "when", conditions)?;
    let conditional = consumers.is_some() || claims.is_some() || when.is_some();
    match (conditional, anonymous.is_some(), deny) {
        (false, true, false) => Ok(Who::Anyone),
        (false, false, true) => Ok(Who::NoOne),
        (_, false, false) => Ok(Who::Authenticated(Conditions {
            consumers: consumers.into_iter().flatten().collect(),
            claims: claims.unwrap_or_default(),
            condition: when,
        })),
        _ => {
            let message = "must have only one of: consumers, claims and when; anonymous; deny";
            Err(rule.error(message))
        }
    }
}

fn anonymous(node: Node) -> Result<(), ConfigError> {
    let error = node.error("must be allow, if it is there");
    (node.string()? == "allow").then_some(()).ok_or(error)
}

fn requirement(node: Node) -> Result<Requirement, ConfigError> {
    let mut object = node.object(&["claim", "any_of"])?;
    let claim = claim_path(object.required("claim")?)?;
    let any_of = object.required("any_of")?.each(1..=64, Node::scalar)?;
    Ok(Requirement { claim, any_of })
}
