//! Fields of the top level, and checks that several parts share.

use super::{Config, Validity};
use crate::jwt::ClaimHeader;
use crate::source::Place;
use mixer_host::config::{ConfigError, Node, Object};

/// Names that frame the message or pick its route; overwriting them from a
/// claim would change which request is sent, not who sends it.
const RESERVED_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a signature is read from, and where a request comes from.
const SIGNED: [&str; 3] = ["signature", "signature-input", "content-digest"];

pub fn text(node: Node, max: usize) -> Result<String, ConfigError> {
    let message = format!("must be 1 to {max} bytes without control characters");
    let error = node.error(message);
    let text = node.string()?;
    let sound = (1..=max).contains(&text.len()) && !text.chars().any(char::is_control);
    sound.then_some(text).ok_or(error)
}

pub fn header_name(node: Node) -> Result<String, ConfigError> {
    let error = node.error("must be a lower-case header name of at most 128 bytes");
    let name = node.string()?;
    let lower = !name.bytes().any(|b| b.is_ascii_uppercase());
    (lower && is_token(&name)).then_some(name).ok_or(error)
}

/// The token of RFC 9110, section 5.6.2: header names, cookie names.
pub fn is_token(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=128).contains(&name.len()) && name.bytes().all(allowed)
}

pub fn realm(root: &mut Object) -> Result<String, ConfigError> {
    let realm = root.string_or("realm", "mixer")?;
    let allowed = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
    if (1..=128).contains(&realm.len()) && realm.bytes().all(allowed) {
        return Ok(realm);
    }
    let message = "must be 1 to 128 ASCII characters without quotes and backslashes";
    Err(ConfigError::new("realm", message))
}

pub fn validity(node: Node) -> Result<Validity, ConfigError> {
    let mut object = node.object(&["duration_seconds", "use_count"])?;
    let duration = object.required("duration_seconds")?;
    let error = duration.error("must be a number from 0 to 86400");
    let seconds = duration.number()?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err(error);
    }
    let use_count = object.optional("use_count").map(use_count).transpose()?;
    Ok(Validity { seconds, use_count })
}

fn use_count(node: Node) -> Result<u32, ConfigError> {
    let error = node.error("must be a whole number from 0 to 2147483647");
    let count = node.number()?;
    let sound = (0.0..=2_147_483_647.0).contains(&count) && count.fract() == 0.0;
    sound.then_some(count as u32).ok_or(error)
}

/// None if it is switched off by an empty name.
pub fn consumer_header(root: &mut Object) -> Result<Option<String>, ConfigError> {
    let Some(node) = root.optional("consumer_header") else {
        return Ok(Some("x-consumer".to_owned()));
    };
    if node.is_empty_string() {
        return Ok(None);
    }
    header_name(node).map(Some)
}

/// The headers that only this module may set, each once.
pub fn managed_headers(config: &Config) -> Result<Vec<String>, ConfigError> {
    let mut managed = Vec::new();
    if let Some(name) = &config.consumer_header {
        check_managed(config, "consumer_header", name)?;
        managed.push(name.clone());
    }
    for (owner, entries) in claim_headers(config) {
        let mut own: Vec<&str> = config.consumer_header.as_deref().into_iter().collect();
        for (c, entry) in entries.iter().enumerate() {
            let path = format!("{owner}.claim_headers[{c}].header");
            check_managed(config, &path, &entry.header)?;
            if own.contains(&entry.header.as_str()) {
                return Err(ConfigError::new(path, "is already set by another field"));
            }
            own.push(&entry.header);
            if !managed.contains(&entry.header) {
                managed.push(entry.header.clone());
            }
        }
    }
    Ok(managed)
}

/// With the path of what has them.
fn claim_headers(config: &Config) -> Vec<(String, &[ClaimHeader])> {
    let mut all: Vec<(String, &[ClaimHeader])> = Vec::new();
    let providers = config.jwt.iter().flat_map(|jwt| &jwt.providers);
    for (p, provider) in providers.enumerate() {
        all.push((format!("jwt.providers[{p}]"), &provider.claim_headers));
    }
    if let Some(introspection) = &config.introspection {
        let entries = &introspection.settings.claim_headers;
        all.push(("introspection".to_owned(), entries));
    }
    all
}

fn check_managed(config: &Config, path: &str, name: &str) -> Result<(), ConfigError> {
    if RESERVED_HEADERS.contains(&name) {
        return Err(ConfigError::new(
            path,
            "must not be a header of HTTP itself",
        ));
    }
    let is_source = config
        .sources()
        .any(|s| matches!(&s.place, Place::Header { name: n, .. } if n == name));
    if is_source || config.signatures.is_some() && SIGNED.contains(&name) {
        let message = "must not be a header that a credential is read from";
        return Err(ConfigError::new(path, message));
    }
    Ok(())
}
