//! `jwks` and `algorithms` of a provider.

use crate::jwk::{Algorithm, Jwk, Key};
use mixer_host::config::{ConfigError, Node, Object};

const MAX_JWKS: usize = 64;

/// The keys that tokens may be signed with, at least one.
pub fn keys(provider: &mut Object) -> Result<Vec<Key>, ConfigError> {
    let algorithms = provider.each("algorithms", 1..=4, algorithm)?;
    let wanted = |k: &Key| algorithms.as_ref().is_none_or(|a| a.contains(&k.algorithm));
    // Other members of a JWK Set are passed over (RFC 7517, section 5).
    let mut jwks = provider.required("jwks")?.open_object()?;
    let list = jwks.required("keys")?;
    let error = list.error(
        "has no key that can be used: HS256 (oct), RS256 (RSA), ES256 (EC P-256) or \
         EdDSA (OKP Ed25519), for signatures, and among the provider's algorithms",
    );
    let mut keys = Vec::new();
    for entry in list.list(1..=MAX_JWKS)? {
        keys.extend(key(entry)?.filter(wanted));
    }
    if keys.is_empty() {
        return Err(error);
    }
    Ok(keys)
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
