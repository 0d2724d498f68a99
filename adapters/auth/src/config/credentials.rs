//! `api_keys` and `jwt`.

use super::fields::{header_name, is_token, text};
use super::remote::key_source;
use crate::api_key::{ApiKey, ApiKeys};
use crate::claims::{is_consumer_name, ClaimPath};
use crate::jwt::{ClaimHeader, Jwt, Provider};
use crate::path::hex_digit;
use crate::source::{Place, Source};
use mixer_host::config::{ConfigError, Node, Object};
use std::collections::BTreeSet;

const MAX_API_KEYS: usize = 4096;
const MAX_SOURCES: usize = 8;
const MAX_PROVIDERS: usize = 32;
const MAX_AUDIENCES: usize = 64;
const MAX_CLAIM_HEADERS: usize = 32;
const MAX_LEEWAY: f64 = 300.0;

const SOURCE: [&str; 5] = ["header", "prefix", "query", "cookie", "strip"];
const PROVIDER: [&str; 10] = [
    "issuer",
    "audiences",
    "jwks",
    "remote_jwks",
    "algorithms",
    "leeway_seconds",
    "require_exp",
    "consumer_claim",
    "consumer_prefix",
    "claim_headers",
];

/// As in OpenID Connect's metadata, and as in Istio.
const KEY_SET_ADDRESS: [(&str, &str); 2] = [("jwks_uri", REMOTE), ("jwksUri", REMOTE)];
const REMOTE: &str = "an address goes into remote_jwks.http_uri, with the cluster it is reached by";

pub fn api_keys(node: Node) -> Result<ApiKeys, ConfigError> {
    let mut object = node.object(&["sources", "keys"])?;
    let sources = sources(&mut object, || Place::Header {
        name: "x-api-key".to_owned(),
        prefix: String::new(),
    })?;
    let mut seen = BTreeSet::new();
    let mut keys = Vec::new();
    for entry in object.required("keys")?.list(1..=MAX_API_KEYS)? {
        let path = format!("{}.sha256", entry.path);
        let key = api_key(entry)?;
        if !seen.insert(key.sha256) {
            return Err(ConfigError::new(path, "is there twice"));
        }
        keys.push(key);
    }
    Ok(ApiKeys { sources, keys })
}

fn api_key(node: Node) -> Result<ApiKey, ConfigError> {
    let mut object = node.object(&["sha256", "consumer"])?;
    let sha256 = object.required("sha256")?;
    let error = sha256.error("must be a SHA-256: 64 lower-case hex digits");
    let sha256 = digest(sha256.string()?.as_bytes()).ok_or(error)?;
    let consumer = consumer(object.required("consumer")?)?;
    Ok(ApiKey { sha256, consumer })
}

fn digest(hex: &[u8]) -> Option<[u8; 32]> {
    if hex.len() != 64 || hex.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(digest)
}

pub fn consumer(node: Node) -> Result<String, ConfigError> {
    let message = "must be 1 to 256 bytes, no control characters, no space at either end";
    let error = node.error(message);
    let name = node.string()?;
    is_consumer_name(&name).then_some(name).ok_or(error)
}

fn sources(
    object: &mut Object,
    default: impl FnOnce() -> Place,
) -> Result<Vec<Source>, ConfigError> {
    let sources = object.each("sources", 1..=MAX_SOURCES, source)?;
    Ok(sources.unwrap_or_else(|| {
        let place = default();
        let strip = false;
        vec![Source { place, strip }]
    }))
}

pub fn bearer_sources(object: &mut Object) -> Result<Vec<Source>, ConfigError> {
    sources(object, || Place::Header {
        name: "authorization".to_owned(),
        prefix: "Bearer ".to_owned(),
    })
}

fn source(node: Node) -> Result<Source, ConfigError> {
    let mut object = node.object(&SOURCE)?;
    let strip = object.bool_or("strip", false)?;
    let header = object.optional("header");
    let (query, cookie) = (object.optional("query"), object.optional("cookie"));
    let prefix = object.optional("prefix");
    let place = match (header, query, cookie, prefix) {
        (Some(name), None, None, prefix) => Place::Header {
            name: header_name(name)?,
            prefix: prefix.map_or(Ok(String::new()), scheme)?,
        },
        (None, Some(name), None, None) => Place::Query(text(name, 128)?),
        (None, None, Some(name), None) => Place::Cookie(cookie_name(name)?),
        _ => {
            let message =
                "must have exactly one of header (which may have a prefix), query, cookie";
            return Err(object.error(message));
        }
    };
    Ok(Source { place, strip })
}

fn scheme(node: Node) -> Result<String, ConfigError> {
    let error = node.error("must be at most 64 ASCII characters, none of them a control character");
    let prefix = node.string()?;
    let printable = prefix.bytes().all(|b| (b' '..=b'~').contains(&b));
    (prefix.len() <= 64 && printable)
        .then_some(prefix)
        .ok_or(error)
}

fn cookie_name(node: Node) -> Result<String, ConfigError> {
    let error = node.error("must be a cookie name of at most 128 bytes");
    let name = node.string()?;
    is_token(&name).then_some(name).ok_or(error)
}

pub fn jwt(node: Node) -> Result<Jwt, ConfigError> {
    let mut object = node.object(&["sources", "providers"])?;
    let sources = bearer_sources(&mut object)?;
    let mut providers: Vec<Provider> = Vec::new();
    for entry in object.required("providers")?.list(1..=MAX_PROVIDERS)? {
        let path = format!("{}.issuer", entry.path);
        let provider = provider(entry)?;
        if providers.iter().any(|p| p.issuer == provider.issuer) {
            let message = "is the issuer of another provider";
            return Err(ConfigError::new(path, message));
        }
        providers.push(provider);
    }
    Ok(Jwt::new(sources, providers))
}

fn provider(node: Node) -> Result<Provider, ConfigError> {
    let mut object = node.object_with_hints(&PROVIDER, &KEY_SET_ADDRESS)?;
    let consumer_claim = object.optional("consumer_claim").map(claim_path);
    let claim_headers = claim_headers(&mut object)?;
    Ok(Provider {
        issuer: text(object.required("issuer")?, 1024)?,
        audiences: audiences(object.required("audiences")?)?,
        keys: key_source(&mut object)?,
        leeway: leeway(&mut object)?,
        require_exp: object.bool_or("require_exp", true)?,
        consumer_claim: consumer_claim.unwrap_or_else(|| Ok(ClaimPath::subject()))?,
        consumer_prefix: consumer_prefix(&mut object)?,
        claim_headers,
    })
}

pub fn claim_headers(object: &mut Object) -> Result<Vec<ClaimHeader>, ConfigError> {
    let headers = object.each("claim_headers", 0..=MAX_CLAIM_HEADERS, claim_header)?;
    Ok(headers.unwrap_or_default())
}

fn leeway(object: &mut Object) -> Result<f64, ConfigError> {
    let Some(node) = object.optional("leeway_seconds") else {
        return Ok(60.0);
    };
    let error = node.error("must be a whole number from 0 to 300");
    let leeway = node.number()?;
    let sound = (0.0..=MAX_LEEWAY).contains(&leeway) && leeway.fract() == 0.0;
    sound.then_some(leeway).ok_or(error)
}

pub fn consumer_prefix(object: &mut Object) -> Result<String, ConfigError> {
    match object.optional("consumer_prefix") {
        Some(node) if !node.is_empty_string() => text(node, 128),
        _ => Ok(String::new()),
    }
}

/// None if every audience is accepted.
pub fn audiences(node: Node) -> Result<Option<Vec<String>>, ConfigError> {
    let error = node.error("must have \"*\" as the only entry or not at all");
    let list = node.each(1..=MAX_AUDIENCES, |n| text(n, 1024))?;
    if list == ["*"] {
        return Ok(None);
    }
    let sound = !list.iter().any(|audience| audience == "*");
    sound.then_some(Some(list)).ok_or(error)
}

fn claim_header(node: Node) -> Result<ClaimHeader, ConfigError> {
    let mut object = node.object(&["claim", "header"])?;
    let claim = claim_path(object.required("claim")?)?;
    let header = header_name(object.required("header")?)?;
    Ok(ClaimHeader { claim, header })
}

pub fn claim_path(node: Node) -> Result<ClaimPath, ConfigError> {
    let message = "must be a dotted string or a list of strings, with 1 to 16 steps; \
                   a claim whose own name contains dots is a list of one string";
    let error = node.error(message);
    if node.is_string() {
        return ClaimPath::from_dotted(&node.string()?).ok_or(error);
    }
    ClaimPath::from_steps(node.each(1..=16, Node::string)?).ok_or(error)
}
