//! `basic`.

use super::credentials::consumer;
use super::fields::text;
use crate::basic::{Basic, PasswordHash, User};
use crate::source::{Place, Source};
use base64ct::{Base64Unpadded, Encoding};
use mixer_host::config::{ConfigError, Node};
use std::collections::BTreeMap;

const MAX_USERS: usize = 4096;

pub const AUTHORIZATION: &str = "authorization";

pub fn basic(node: Node) -> Result<Basic, ConfigError> {
    let mut object = node.object(&["users", "strip", "max_hashes_per_second"])?;
    let place = Place::Header {
        name: AUTHORIZATION.to_owned(),
        prefix: "Basic ".to_owned(),
    };
    let strip = object.bool_or("strip", false)?;
    let max = object.optional("max_hashes_per_second");
    let max = max.map_or(Ok(10), |node| node.whole(1..=1000))?;
    let mut users = BTreeMap::new();
    for entry in object.required("users")?.list(1..=MAX_USERS)? {
        let path = format!("{}.username", entry.path);
        let (name, user) = user(entry)?;
        if users.insert(name, user).is_some() {
            return Err(ConfigError::new(path, "is there twice"));
        }
    }
    Ok(Basic::new(vec![Source { place, strip }], users, max as u32))
}

fn user(node: Node) -> Result<(String, User), ConfigError> {
    let mut object = node.object(&["username", "password_hash", "consumer"])?;
    let name = object.required("username")?;
    let error = name.error("must be without a colon");
    let name = text(name, 256)?;
    if name.contains(':') {
        return Err(error);
    }
    let password = object.required("password_hash")?;
    let error = password.error(
        "must be $pbkdf2-sha256$i=<iterations>$<salt>$<hash> with 1000 to 30000 iterations, a \
         salt of 8 to 64 bytes and a hash of 32 bytes, both in base64 without padding",
    );
    let password = password_hash(&password.string()?).ok_or(error)?;
    let consumer = consumer(object.required("consumer")?)?;
    Ok((name, User { consumer, password }))
}

/// A PHC string.
fn password_hash(text: &str) -> Option<PasswordHash> {
    let mut parts = text.strip_prefix("$pbkdf2-sha256$i=")?.split('$');
    let iterations = parts.next()?.parse().ok()?;
    let salt = Base64Unpadded::decode_vec(parts.next()?).ok()?;
    let hash = Base64Unpadded::decode_vec(parts.next()?).ok()?;
    let sound = (1000..=30_000).contains(&iterations) && (8..=64).contains(&salt.len());
    (sound && parts.next().is_none()).then_some(PasswordHash {
        iterations,
        salt,
        hash: hash.try_into().ok()?,
    })
}
