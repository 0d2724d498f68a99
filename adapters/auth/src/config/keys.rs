//! `jwks` and `algorithms` of a provider.

use crate::jwk::{Algorithm, Jwk, Key};
use mixer_host::config::{parse, ConfigError, Node, Object};

const MAX_JWKS: usize = 64;

const UNUSABLE: &str =
    "has no key that can be used: HS256 (oct), RS256 (RSA), ES256 (EC P-256) or \
     EdDSA (OKP Ed25519), for signatures, and among the provider's algorithms";

/// The keys that tokens may be signed with, at least one.
pub fn configured_keys(provider: &mut Object) -> Result<Vec<Key>, ConfigError> {
    let algorithms = algorithms(provider)?;
    let wanted = |k: &Key| algorithms.as_ref().is_none_or(|a| a.contains(&k.algorithm));
    let list = key_list(provider.required("jwks")?)?;
    let error = list.error(UNUSABLE);
    let mut keys = Vec::new();
    for entry in list.list(1..=MAX_JWKS)? {
        keys.extend(key(entry)?.filter(wanted));
    }
    if keys.is_empty() {
        return Err(error);
    }
    Ok(keys)
}

/// The keys of a set that was fetched, at least one. A key that cannot be used is passed over,
/// since the others are still good; so is a secret, which whoever fetches the set could sign with.
pub fn remote_keys(text: &[u8], algorithms: Option<&[Algorithm]>) -> Result<Vec<Key>, String> {
    let wanted = |k: &Key| {
        k.algorithm != Algorithm::HS256 && algorithms.is_none_or(|a| a.contains(&k.algorithm))
    };
    let read = || {
        let list = key_list(parse(text, "a JWK Set is needed")?)?;
        let error = list.error(UNUSABLE);
        let entries = list.list(1..=MAX_JWKS)?;
        let usable = |entry| key(entry).ok().flatten().filter(wanted);
        let keys: Vec<Key> = entries.into_iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(error);
        }
        Ok(keys)
    };
    read().map_err(|error: ConfigError| format!("{}: {}", error.path, error.message))
}

/// Other members of a JWK Set are passed over (RFC 7517, section 5).
fn key_list(jwks: Node) -> Result<Node, ConfigError> {
    jwks.open_object()?.required("keys")
}

pub fn algorithms(provider: &mut Object) -> Result<Option<Vec<Algorithm>>, ConfigError> {
    provider.each("algorithms", 1..=4, algorithm)
}

fn algorithm(node: Node) -> Result<Algorithm, ConfigError> {
    let error = node.error("must be HS256, RS256, ES256 or EdDSA");
    Algorithm::from_name(&node.string()?).ok_or(error)
}

/// None for a key of a kind or for a purpose that is not used here.
fn key(node: Node) -> Result<Option<Key>, ConfigError> {
    let mut object = node.open_object()?;
    let mut text = |name| object.optional(name).map(Node::string).transpose();
    let mut jwk = Jwk {
        kty: text("kty")?.unwrap_or_default(),
        kid: text("kid")?,
        alg: text("alg")?,
        usage: text("use")?,
        crv: text("crv")?,
        k: text("k")?,
        n: text("n")?,
        e: text("e")?,
        x: text("x")?,
        y: text("y")?,
        key_ops: None,
        is_private: false,
    };
    jwk.key_ops = object.each("key_ops", 1..=16, Node::string)?;
    jwk.is_private = object.optional("d").is_some();
    jwk.into_key()
        .map_err(|(member, message)| ConfigError::new(object.path_of(member), message))
}
