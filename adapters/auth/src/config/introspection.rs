//! `introspection`.

use super::credentials::{audiences, bearer_sources, claim_headers, claim_path, consumer_prefix};
use super::fields::text;
use super::remote::{http_uri, seconds};
use crate::claims::ClaimPath;
use crate::introspection::{Introspection, Settings};
use crate::remote::basic_authorization;
use mixer_host::config::{ConfigError, Node, Object};

pub fn introspection(node: Node) -> Result<Introspection, ConfigError> {
    let mut object = node.object(&[
        "sources",
        "http_uri",
        "client_id",
        "client_secret",
        "token_type_hint",
        "cache_duration_seconds",
        "negative_cache_duration_seconds",
        "max_cached_tokens",
        "audiences",
        "consumer_claim",
        "consumer_prefix",
        "claim_headers",
    ])?;
    let consumer_claim = object.optional("consumer_claim").map(claim_path);
    let claim_headers = claim_headers(&mut object)?;
    let hint = object.optional("token_type_hint").map(|n| text(n, 64));
    let max = object.optional("max_cached_tokens");
    let max = max.map_or(Ok(1024), |n| n.whole(0..=16_384))?;
    Ok(Introspection::new(Settings {
        sources: bearer_sources(&mut object)?,
        uri: http_uri(object.required("http_uri")?)?,
        authorization: authorization(&mut object)?,
        token_type_hint: hint.transpose()?,
        cache_duration: seconds(&mut object, "cache_duration_seconds", 60, 0..=3600)?,
        negative_cache_duration: seconds(
            &mut object,
            "negative_cache_duration_seconds",
            10,
            0..=3600,
        )?,
        max_cached_tokens: max as usize,
        audiences: audiences(object.required("audiences")?)?,
        consumer_claim: consumer_claim.unwrap_or_else(|| Ok(ClaimPath::subject()))?,
        consumer_prefix: consumer_prefix(&mut object)?,
        claim_headers,
    }))
}

/// RFC 7662 leaves open how the server knows who asks: a cluster may see to it with TLS.
fn authorization(object: &mut Object) -> Result<Option<String>, ConfigError> {
    let (id, secret) = (
        object.optional("client_id"),
        object.optional("client_secret"),
    );
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let (id, secret) = (text(id, 256)?, text(secret, 1024)?);
            Ok(Some(basic_authorization(&id, &secret)))
        }
        (None, None) => Ok(None),
        _ => Err(object.error("must have both client_id and client_secret, or neither")),
    }
}
