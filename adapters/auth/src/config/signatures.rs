//! `signatures`.

use super::credentials::consumer;
use super::fields::{is_token, text};
use crate::signature::{Key, Signatures};
use base64ct::{Base64, Encoding};
use mixer_host::config::{ConfigError, Node};
use std::collections::BTreeMap;

const MAX_KEYS: usize = 1024;
const KNOWN: [&str; 6] = [
    "keys",
    "required_components",
    "max_age_seconds",
    "leeway_seconds",
    "max_body_bytes",
    "hold_headers",
];

pub fn signatures(node: Node) -> Result<Signatures, ConfigError> {
    let mut object = node.object(&KNOWN)?;
    let required = object.each("required_components", 1..=16, component)?;
    let mut whole = |name, default, range| match object.optional(name) {
        Some(node) => Node::whole(node, range),
        None => Ok(default),
    };
    let max_age = whole("max_age_seconds", 60, 1..=3600)?;
    let leeway = whole("leeway_seconds", 5, 0..=300)?;
    let max_body_bytes = whole("max_body_bytes", 1 << 20, 0..=1 << 24)? as usize;
    let hold_headers = object.bool_or("hold_headers", false)?;
    let mut keys = BTreeMap::new();
    for entry in object.required("keys")?.list(1..=MAX_KEYS)? {
        let path = format!("{}.id", entry.path);
        let (id, key) = key(entry)?;
        if keys.insert(id, key).is_some() {
            return Err(ConfigError::new(path, "is there twice"));
        }
    }
    Ok(Signatures {
        keys,
        required: required.unwrap_or_default(),
        max_age,
        leeway,
        max_body_bytes,
        hold_headers,
    })
}

fn key(node: Node) -> Result<(String, Key), ConfigError> {
    let mut object = node.object(&["id", "secret", "consumer"])?;
    let id = object.required("id")?;
    let error = id.error("must be printable ASCII without quotes and backslashes");
    let id = text(id, 128)?;
    let allowed = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
    if !id.bytes().all(allowed) {
        return Err(error);
    }
    let secret = object.required("secret")?;
    let error = secret.error("must be base64 of 32 to 1024 bytes");
    let secret = Base64::decode_vec(&secret.string()?).ok();
    let secret = secret
        .filter(|s| (32..=1024).contains(&s.len()))
        .ok_or(error)?;
    let consumer = consumer(object.required("consumer")?)?;
    Ok((id, Key { secret, consumer }))
}

fn component(node: Node) -> Result<String, ConfigError> {
    let error = node.error("must be a header in lower case, or @scheme");
    let name = node.string()?;
    let lower = !name.bytes().any(|b| b.is_ascii_uppercase());
    let sound = name == "@scheme" || lower && is_token(&name);
    sound.then_some(name).ok_or(error)
}
