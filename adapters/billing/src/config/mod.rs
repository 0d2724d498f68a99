//! The plugin configuration: parsing, bounds, and one clear message for a mistake.

mod meters;
mod plans;
#[cfg(test)]
mod tests;
mod tokens;

use mixer_host::config::{parse, ConfigError, Node, Object};

const NEEDED: &str = "subject is needed";
const LABELS: usize = 32;

pub struct Config {
    pub on: On,
    /// An expression.
    pub subject: String,
    pub unknown_subject: UnknownSubject,
    pub on_error: OnError,
    /// An expression; without one every request counts.
    pub condition: Option<String>,
    /// An expression; without one the request's id and time.
    pub key: Option<String>,
    pub meters: Vec<Meter>,
    /// Names and paths of what a response tells of tokens, by slot.
    pub tokens: Vec<TokenField>,
    /// Names and expressions.
    pub labels: Vec<(String, String)>,
    /// An expression whose value is the name of a plan.
    pub plan: Option<String>,
    /// Which of `plans` it is for the others.
    pub default_plan: Option<usize>,
    pub plans: Vec<Plan>,
}

/// When a record is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum On {
    /// When the request is let through here.
    Request,
    /// When it is over.
    Log,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UnknownSubject {
    Deny,
    Skip,
    /// This one pays.
    Named(String),
}

/// What happens to requests while nothing can be recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnError {
    Deny,
    Allow,
}

pub struct Meter {
    /// Where it is, such as `meters[0]`.
    pub path: String,
    pub name: String,
    pub source: Source,
    /// An expression; without one it always counts.
    pub condition: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// Each request is one.
    One,
    RequestBytes,
    ResponseBytes,
    TotalBytes,
    /// What a response tells, by its slot.
    Tokens(usize),
    Expression(String),
}

pub struct TokenField {
    pub name: String,
    /// Each is names joined by dots.
    pub paths: Vec<String>,
}

pub struct Plan {
    pub name: String,
    pub version: String,
    pub currency: String,
    pub period: Period,
    pub rates: Vec<Rate>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Period {
    Month = 0,
    Day = 1,
}

pub struct Rate {
    pub meter: String,
    pub included: u64,
    pub per: u64,
    pub tiers: Vec<Tier>,
    pub volume: bool,
}

#[derive(Debug, Eq, PartialEq)]
pub struct Tier {
    /// 0 has no end.
    pub up_to: u64,
    pub price_nanos: u64,
}

type Read<T> = Result<T, ConfigError>;

impl Config {
    pub fn parse(text: &[u8]) -> Read<Self> {
        let mut root = parse(text, NEEDED)?.object(&[
            "on",
            "subject",
            "unknownSubject",
            "onError",
            "match",
            "idempotencyKey",
            "meters",
            "tokenFields",
            "labels",
            "plan",
            "defaultPlan",
            "plans",
        ])?;
        let on = on(&mut root)?;
        let tokens = tokens::fields(root.optional("tokenFields"))?;
        let plans = plans::plans(&mut root)?;
        let plan = root.optional("plan").map(expression).transpose()?;
        Ok(Self {
            subject: expression(root.required("subject")?)?,
            unknown_subject: root
                .optional("unknownSubject")
                .map_or(Ok(UnknownSubject::Skip), unknown_subject)?,
            on_error: on_error(&mut root)?,
            condition: root.optional("match").map(expression).transpose()?,
            key: root
                .optional("idempotencyKey")
                .map(expression)
                .transpose()?,
            meters: meters::meters(&mut root, &tokens, on)?,
            labels: root.optional("labels").map_or(Ok(Vec::new()), labels)?,
            default_plan: plans::default(&mut root, &plans, plan.is_some())?,
            on,
            tokens,
            plan,
            plans,
        })
    }
}

fn on(root: &mut Object) -> Read<On> {
    match root.string_or("on", "log")?.as_str() {
        "log" => Ok(On::Log),
        "request" => Ok(On::Request),
        _ => Err(ConfigError::new("on", "must be log or request")),
    }
}

fn on_error(root: &mut Object) -> Read<OnError> {
    match root.string_or("onError", "deny")?.as_str() {
        "deny" => Ok(OnError::Deny),
        "allow" => Ok(OnError::Allow),
        _ => Err(ConfigError::new("onError", "must be deny or allow")),
    }
}

fn unknown_subject(node: Node) -> Read<UnknownSubject> {
    let error = node.error(
        "must be deny, skip, or the name of a subject: 1 to 256 bytes without control characters",
    );
    let text = node.string()?;
    Ok(match text.as_str() {
        "deny" => UnknownSubject::Deny,
        "skip" => UnknownSubject::Skip,
        _ if crate::text::subject(text.as_bytes()).is_some() => UnknownSubject::Named(text),
        _ => return Err(error),
    })
}

fn labels(node: Node) -> Read<Vec<(String, String)>> {
    let entries = node.members(0..=LABELS)?;
    let mut found = Vec::with_capacity(entries.len());
    for (label, value) in entries {
        if !is_name(&label) {
            return Err(value.error(NAME));
        }
        found.push((label, expression(value)?));
    }
    Ok(found)
}

fn expression(node: Node) -> Read<String> {
    let error = node.error("must be an expression of 1 to 4096 bytes");
    let text = node.string()?;
    let sound = text.len() <= 4096 && !text.trim().is_empty();
    sound.then_some(text).ok_or(error)
}

const NAME: &str = "must be 1 to 64 letters, digits, dots, hyphens and underscores";

/// What plans, versions, meters and labels are called.
fn name(node: Node) -> Read<String> {
    let error = node.error(NAME);
    let name = node.string()?;
    is_name(&name).then_some(name).ok_or(error)
}

fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}
