//! The plugin configuration: parsing, bounds, and one clear message for a mistake.

mod early;
mod meters;
mod plans;
#[cfg(test)]
mod tests;
mod tokens;

use mixer_host::config::{parse, ConfigError, Node};

const NEEDED: &str = "subject is needed";
const LABELS: usize = 32;
/// YAML 1.1 reads the name `on` as true.
const HINTS: [(&str, &str); 2] = [("on", WHEN), ("true", WHEN)];
const WHEN: &str = "recordOn says when a record is made";

pub struct Config {
    pub record_on: RecordOn,
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
pub enum RecordOn {
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
        let known = [
            "recordOn",
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
        ];
        let mut root = parse(text, NEEDED)?.object_with_hints(&known, &HINTS)?;
        let record_on = root.either(
            "recordOn",
            [("log", RecordOn::Log), ("request", RecordOn::Request)],
        )?;
        let tokens = tokens::fields(root.optional("tokenFields"))?;
        let plans = plans::plans(&mut root)?;
        let plan = root.optional("plan").map(expression).transpose()?;
        let config = Self {
            subject: expression(root.required("subject")?)?,
            unknown_subject: root
                .optional("unknownSubject")
                .map_or(Ok(UnknownSubject::Skip), unknown_subject)?,
            on_error: root.either(
                "onError",
                [("deny", OnError::Deny), ("allow", OnError::Allow)],
            )?,
            condition: root.optional("match").map(expression).transpose()?,
            key: root
                .optional("idempotencyKey")
                .map(expression)
                .transpose()?,
            meters: meters::meters(&mut root, &tokens, record_on)?,
            labels: root.optional("labels").map_or(Ok(Vec::new()), labels)?,
            default_plan: plans::default(&mut root, &plans, plan.is_some())?,
            record_on,
            tokens,
            plan,
            plans,
        };
        early::check(&config)?;
        Ok(config)
    }

    /// Fields that have no value where records are made before there is a response.
    pub fn early_fields(&self) -> Vec<String> {
        early::fields(self)
    }
}

fn unknown_subject(node: Node) -> Read<UnknownSubject> {
    let error = node.error(
        "must be deny, skip, or the name of a subject: 1 to 256 bytes without control characters",
    );
    Ok(match node.string() {
        Ok(text) if text == "deny" => UnknownSubject::Deny,
        Ok(text) if text == "skip" => UnknownSubject::Skip,
        Ok(text) if crate::text::subject(text.as_bytes()).is_some() => UnknownSubject::Named(text),
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
    let error = node.error("must be an expression of 1 to 4096 bytes as text, such as \"1\"");
    let sound = |text: &String| text.len() <= 4096 && !text.trim().is_empty();
    node.string().ok().filter(sound).ok_or(error)
}

const NAME: &str =
    "must be 1 to 64 letters, digits, dots, hyphens and underscores as text, such as \"a-1\"";

/// What plans, versions, meters and labels are called.
fn name(node: Node) -> Read<String> {
    let error = node.error(NAME);
    let name = node.string().ok();
    name.filter(|name| is_name(name)).ok_or(error)
}

fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}
