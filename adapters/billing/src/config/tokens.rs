//! `tokenFields`: where responses tell how many tokens they used.

use super::{is_name, Read, TokenField, NAME};
use crate::tokens::{FIELDS, PARTS, PART_BYTES, SLOTS};
use mixer_host::config::{ConfigError, Node};

const PATHS: usize = 8;
const OTHERS: [&str; 4] = ["calls", "request_bytes", "response_bytes", "total_bytes"];

/// Those that are known anyway, with the configured ones in place of them or after them.
pub fn fields(node: Option<Node>) -> Read<Vec<TokenField>> {
    let mut fields: Vec<TokenField> = FIELDS.iter().map(known).collect();
    let Some(node) = node else {
        return Ok(fields);
    };
    let path = node.path.clone();
    for (name, value) in node.members(0..=SLOTS)? {
        if !is_name(&name) || OTHERS.contains(&name.as_str()) {
            return Err(value.error(format!("{NAME}, and none of {}", OTHERS.join(", "))));
        }
        let paths = value.each(1..=PATHS, one_path)?;
        match fields.iter_mut().find(|one| one.name == name) {
            Some(known) => known.paths = paths,
            None => fields.push(TokenField { name, paths }),
        }
    }
    if fields.len() > SLOTS {
        let message = format!(
            "must not make more than {SLOTS}, with the {} known ones",
            FIELDS.len()
        );
        return Err(ConfigError::new(path, message));
    }
    Ok(fields)
}

fn known(field: &(&str, &[&str])) -> TokenField {
    TokenField {
        name: field.0.to_owned(),
        paths: field.1.iter().map(|&path| path.to_owned()).collect(),
    }
}

fn one_path(node: Node) -> Read<String> {
    let error = node.error(format!(
        "must be 1 to {PARTS} names of 1 to {PART_BYTES} bytes, joined by dots"
    ));
    let text = node.string()?;
    let sound = |part: &str| (1..=PART_BYTES).contains(&part.len()) && !part.contains(['"', '\\']);
    let parts = text.split('.').count();
    let sound = parts <= PARTS && text.split('.').all(sound);
    sound.then_some(text).ok_or(error)
}
