//! A place in the configuration: a JSON value and the path to it.
//!
//! Reading by hand instead of by derived deserializers keeps the module small,
//! gives every mistake its path, and never quotes a value, which may be a secret.

use crate::json;
use serde_json::{Map, Value};
use std::fmt;
use std::ops::RangeInclusive;

/// Where the mistake is and what would be right. It never holds a value of the
/// configuration, which may be a secret.
#[derive(Debug)]
pub struct ConfigError {
    pub path: String,
    pub message: String,
}

impl ConfigError {
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "the configuration {}", self.message),
            path => write!(f, "{path} {}", self.message),
        }
    }
}

/// The whole configuration. Where none was given, the error says what is `needed`.
pub fn parse(text: &[u8], needed: &str) -> Result<Node, ConfigError> {
    if text.trim_ascii().is_empty() {
        let message = format!("is empty: none was given, and {needed}");
        return Err(ConfigError::new("", message));
    }
    let value = json::parse(text)
        .map_err(|error| ConfigError::new("", format!("is not valid JSON: {error}")))?;
    Ok(Node::root(value))
}

pub struct Node {
    pub path: String,
    value: Value,
}

/// An object whose members are all known, unless it is an open one.
pub struct Object {
    pub path: String,
    members: Map<String, Value>,
}

type Read<T> = Result<T, ConfigError>;

impl Node {
    fn root(value: Value) -> Self {
        let path = String::new();
        Self { path, value }
    }

    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::new(&*self.path, message)
    }

    /// An object with no other members than the known ones. A misspelt field must
    /// not be a rule that silently does not hold, and it is refused before anything
    /// else, so that it is named rather than the field that it should have been.
    pub fn object(self, known: &[&str]) -> Read<Object> {
        self.object_with_hints(known, &[])
    }

    /// The same, with names that people write here and what they are told to do instead.
    pub fn object_with_hints(self, known: &[&str], hints: &[(&str, &str)]) -> Read<Object> {
        let object = self.open_object()?;
        for name in object.members.keys() {
            if !known.contains(&name.as_str()) {
                return Err(object.unknown(name, known, hints));
            }
        }
        Ok(object)
    }

    /// An object of which other members are passed over.
    pub fn open_object(self) -> Read<Object> {
        match self.value {
            Value::Object(members) => Ok(Object {
                path: self.path,
                members,
            }),
            _ => Err(self.error("must be an object")),
        }
    }

    pub fn string(self) -> Read<String> {
        match self.value {
            Value::String(text) => Ok(text),
            _ => Err(self.error("must be a string")),
        }
    }

    pub fn bool(self) -> Read<bool> {
        self.value
            .as_bool()
            .ok_or_else(|| self.error("must be true or false"))
    }

    /// A float, because Protobuf's Struct knows no other number.
    pub fn number(self) -> Read<f64> {
        self.value
            .as_f64()
            .ok_or_else(|| self.error("must be a number"))
    }

    /// One of a rule's values: a string, a number or a boolean.
    pub fn scalar(self) -> Read<Value> {
        match self.value {
            Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(self.value),
            _ => Err(self.error("must be a string, a number or a boolean")),
        }
    }

    /// A whole number of a range.
    pub fn whole(self, range: RangeInclusive<u64>) -> Read<u64> {
        let error = self.error(format!(
            "must be a whole number from {} to {}",
            range.start(),
            range.end()
        ));
        let number = self.number()?;
        let sound = number.fract() == 0.0
            && (*range.start() as f64..=*range.end() as f64).contains(&number);
        sound.then_some(number as u64).ok_or(error)
    }

    /// What a bool says; None where it is none.
    pub fn is_bool(&self) -> Option<bool> {
        self.value.as_bool()
    }

    pub fn is_string(&self) -> bool {
        self.value.is_string()
    }

    pub fn is_empty_string(&self) -> bool {
        self.value.as_str() == Some("")
    }

    /// The members of an object whose names are the user's own.
    pub fn members(self, count: RangeInclusive<usize>) -> Read<Vec<(String, Node)>> {
        let (min, max) = count.clone().into_inner();
        let error = self.error(format!("must be an object of {min} to {max} members"));
        match self.value {
            Value::Object(members) if count.contains(&members.len()) => {
                let under = |name: &str| match self.path.as_str() {
                    "" => printable(name).to_owned(),
                    path => format!("{path}.{}", printable(name)),
                };
                let node = |(name, value): (String, Value)| {
                    let path = under(&name);
                    (name, Node { path, value })
                };
                Ok(members.into_iter().map(node).collect())
            }
            _ => Err(error),
        }
    }

    /// The entries of a list with an allowed number of them.
    pub fn list(self, count: RangeInclusive<usize>) -> Read<Vec<Node>> {
        let sound = self
            .value
            .as_array()
            .is_some_and(|l| count.contains(&l.len()));
        let (min, max) = count.into_inner();
        match self.value {
            Value::Array(items) if sound => Ok(entries(&self.path, items)),
            _ => Err(self.error(format!("must be a list of {min} to {max} entries"))),
        }
    }

    /// Every entry read by `read`.
    pub fn each<T>(
        self,
        count: RangeInclusive<usize>,
        read: impl Fn(Node) -> Read<T>,
    ) -> Read<Vec<T>> {
        let nodes = self.list(count)?;
        let mut entries = Vec::with_capacity(nodes.len());
        // A loop, not collect: that alone makes the module several kilobytes smaller.
        for node in nodes {
            entries.push(read(node)?);
        }
        Ok(entries)
    }
}

fn entries(path: &str, items: Vec<Value>) -> Vec<Node> {
    let node = |(i, value)| Node {
        path: format!("{path}[{i}]"),
        value,
    };
    items.into_iter().enumerate().map(node).collect()
}

impl Object {
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::new(&*self.path, message)
    }

    pub fn path_of(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    pub fn optional(&mut self, name: &'static str) -> Option<Node> {
        let value = self.members.remove(name)?;
        let path = self.path_of(name);
        Some(Node { path, value })
    }

    pub fn required(&mut self, name: &'static str) -> Read<Node> {
        let missing = ConfigError::new(self.path_of(name), "is missing");
        self.optional(name).ok_or(missing)
    }

    pub fn string_or(&mut self, name: &'static str, default: &str) -> Read<String> {
        match self.optional(name) {
            Some(node) => node.string(),
            None => Ok(default.to_owned()),
        }
    }

    /// What one of two words stands for; where there is none, the first one.
    pub fn either<T: Copy>(&mut self, name: &'static str, words: [(&str, T); 2]) -> Read<T> {
        let [(first, default), (second, _)] = words;
        let Some(node) = self.optional(name) else {
            return Ok(default);
        };
        let error = node.error(format!("must be {first} or {second}"));
        let said = node.string().ok();
        let found = words
            .iter()
            .find(|(word, _)| said.as_deref() == Some(*word));
        found.map(|(_, meant)| *meant).ok_or(error)
    }

    pub fn bool_or(&mut self, name: &'static str, default: bool) -> Read<bool> {
        self.optional(name).map_or(Ok(default), Node::bool)
    }

    /// Every entry of the list read by `read`; without the list, nothing.
    pub fn each<T>(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
        read: impl Fn(Node) -> Read<T>,
    ) -> Read<Option<Vec<T>>> {
        let Some(node) = self.optional(name) else {
            return Ok(None);
        };
        node.each(count, read).map(Some)
    }

    fn unknown(&self, name: &str, known: &[&str], hints: &[(&str, &str)]) -> ConfigError {
        let known = known.join(", ");
        let hint = hints.iter().find(|(n, _)| *n == name);
        let hint = hint.map_or_else(String::new, |(_, text)| format!(": {text}"));
        let message = format!("is not a known field{hint}; known here: {known}");
        ConfigError::new(self.path_of(printable(name)), message)
    }
}

/// An unknown name may be a secret: who writes keys as names, `{"<key>": "alice"}`, must not find
/// them in a log. Names like those of fields are told, and nothing else.
fn printable(name: &str) -> &str {
    let tame = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if name.len() <= 24 && digits <= 3 && name.chars().all(tame) {
        name
    } else {
        "(a name that is not shown)"
    }
}
