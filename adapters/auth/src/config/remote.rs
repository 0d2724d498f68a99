//! `remote_jwks` of a provider, and `http_uri`: where a service is asked.

use super::fields::text;
use super::keys::{algorithms, configured_keys};
use crate::jwk::Algorithm;
use crate::jwks_remote::{Durations, RemoteJwks};
use crate::jwt::KeySource;
use crate::remote::HttpUri;
use mixer_host::config::{ConfigError, Node, Object};
use std::ops::RangeInclusive;

const DAY: u64 = 86_400;
const MAX_URI_BYTES: usize = 2048;

/// `jwks` or `remote_jwks`: exactly one of them.
pub fn key_source(provider: &mut Object) -> Result<KeySource, ConfigError> {
    let Some(remote) = provider.optional("remote_jwks") else {
        return configured_keys(provider).map(KeySource::Configured);
    };
    if let Some(jwks) = provider.optional("jwks") {
        return Err(jwks.error("must not be there together with remote_jwks"));
    }
    let path = provider.path_of("algorithms");
    let algorithms = algorithms(provider)?;
    // Whoever can read a key set could sign with the secrets in it.
    if algorithms
        .as_ref()
        .is_some_and(|a| a.contains(&Algorithm::HS256))
    {
        let message = "must not have HS256 with remote_jwks: its keys are secrets";
        return Err(ConfigError::new(path, message));
    }
    remote_jwks(remote, algorithms).map(KeySource::Remote)
}

fn remote_jwks(node: Node, algorithms: Option<Vec<Algorithm>>) -> Result<RemoteJwks, ConfigError> {
    let mut object = node.object(&[
        "http_uri",
        "cache_duration_seconds",
        "stale_duration_seconds",
        "failed_refetch_duration_seconds",
        "unknown_kid_refetch_duration_seconds",
    ])?;
    let uri = http_uri(object.required("http_uri")?)?;
    let durations = Durations {
        cache: seconds(&mut object, "cache_duration_seconds", 600, 2..=DAY)?,
        stale: seconds(&mut object, "stale_duration_seconds", 3600, 0..=7 * DAY)?,
        failed_refetch: seconds(&mut object, "failed_refetch_duration_seconds", 1, 1..=3600)?,
        unknown_kid: seconds(
            &mut object,
            "unknown_kid_refetch_duration_seconds",
            30,
            1..=DAY,
        )?,
    };
    Ok(RemoteJwks::new(uri, durations, algorithms))
}

pub fn http_uri(node: Node) -> Result<HttpUri, ConfigError> {
    let mut object = node.object(&["uri", "cluster", "timeout_seconds"])?;
    let uri = object.required("uri")?;
    let error = uri.error("must be an http or https URL without user and fragment");
    let uri = text(uri, MAX_URI_BYTES)?;
    let (scheme, authority, path) = HttpUri::parse(&uri).ok_or(error)?;
    Ok(HttpUri {
        cluster: text(object.required("cluster")?, 255)?,
        scheme,
        authority,
        path,
        timeout_ms: timeout(&mut object)?,
    })
}

fn timeout(object: &mut Object) -> Result<u32, ConfigError> {
    let Some(node) = object.optional("timeout_seconds") else {
        return Ok(5000);
    };
    let error = node.error("must be a number from 0.001 to 60");
    let seconds = node.number()?;
    let sound = (0.001..=60.0).contains(&seconds);
    sound.then_some((seconds * 1000.0) as u32).ok_or(error)
}

pub fn seconds(
    object: &mut Object,
    name: &'static str,
    default: u64,
    range: RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    object
        .optional(name)
        .map_or(Ok(default), |n| n.whole(range))
}
