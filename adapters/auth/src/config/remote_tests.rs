//! Mistakes in `remote_jwks` and `introspection`.

use super::Config;
use serde_json::{json, Value};

fn error(config: &Value) -> String {
    match Config::parse(config.to_string().as_bytes()) {
        Ok(_) => panic!("accepted: {config}"),
        Err(error) => error.to_string(),
    }
}

fn merge(into: &mut Value, extra: Value) {
    for (name, value) in extra.as_object().unwrap() {
        into[name] = value.clone();
    }
}

fn uri(extra: Value) -> Value {
    let mut uri = json!({"uri": "https://id.example.com/keys", "cluster": "id"});
    merge(&mut uri, extra);
    uri
}

fn remote(provider: Value, remote: Value) -> Value {
    let mut jwks = json!({"http_uri": uri(json!({}))});
    merge(&mut jwks, remote);
    let mut one = json!({"issuer": "i", "audiences": ["*"], "remote_jwks": jwks});
    merge(&mut one, provider);
    json!({"jwt": {"providers": [one]}})
}

fn introspection(extra: Value) -> Value {
    let mut one = json!({"http_uri": uri(json!({})), "audiences": ["*"]});
    merge(&mut one, extra);
    json!({"introspection": one})
}

#[test]
fn what_is_needed_is_enough() {
    for good in [
        remote(json!({}), json!({})),
        remote(
            json!({"algorithms": ["RS256"]}),
            json!({"stale_duration_seconds": 0}),
        ),
        introspection(json!({})),
        introspection(json!({"client_id": "a", "client_secret": "b", "max_cached_tokens": 0})),
    ] {
        Config::parse(good.to_string().as_bytes()).unwrap_or_else(|e| panic!("{good}: {e}"));
    }
}

#[test]
fn mistakes_in_remote_jwks() {
    const AT: &str = "jwt.providers[0].remote_jwks.";
    for (extra, message) in [
        (json!({"http_uri": {}}), "http_uri.uri is missing"),
        (
            json!({"http_uri": {"uri": "https://a/"}}),
            "http_uri.cluster is missing",
        ),
        (
            json!({"http_uri": uri(json!({"uri": "id/keys"}))}),
            "http_uri.uri must be an http",
        ),
        (
            json!({"http_uri": uri(json!({"cluster": ""}))}),
            "http_uri.cluster must be 1 to 255",
        ),
        (
            json!({"http_uri": uri(json!({"timeout_seconds": 0}))}),
            "http_uri.timeout_seconds must be a number from 0.001 to 60",
        ),
        (
            json!({"cache_duration_seconds": 1}),
            "cache_duration_seconds must be a whole number from 2",
        ),
        (
            json!({"stale_duration_seconds": -1}),
            "stale_duration_seconds must be",
        ),
        (
            json!({"failed_refetch_duration_seconds": 0}),
            "failed_refetch_duration_seconds must be",
        ),
        (
            json!({"unknown_kid_refetch_duration_seconds": 0.5}),
            "unknown_kid_refetch_duration_seconds must be",
        ),
        (
            json!({"uri": "https://a/"}),
            "uri is not a known field; known here: http_uri, ",
        ),
    ] {
        let text = error(&remote(json!({}), extra));
        assert!(text.starts_with(&format!("{AT}{message}")), "{text}");
    }
}

#[test]
fn one_origin_of_keys_and_no_secrets_from_afar() {
    let jwks = json!({"keys": []});
    assert_eq!(
        error(&remote(json!({"jwks": jwks}), json!({}))),
        "jwt.providers[0].jwks must not be there together with remote_jwks"
    );
    let text = error(&remote(
        json!({"algorithms": ["ES256", "HS256"]}),
        json!({}),
    ));
    assert!(
        text.starts_with("jwt.providers[0].algorithms must not have HS256"),
        "{text}"
    );
}

#[test]
fn mistakes_in_introspection() {
    for (extra, message) in [
        (
            json!({"audiences": []}),
            ".audiences must be a list of 1 to 64",
        ),
        (
            json!({"client_id": "a"}),
            " must have both client_id and client_secret",
        ),
        (
            json!({"max_cached_tokens": 16385}),
            ".max_cached_tokens must be",
        ),
        (
            json!({"cache_duration_seconds": 3601}),
            ".cache_duration_seconds must be",
        ),
        (
            json!({"negative_cache_duration_seconds": "1"}),
            ".negative_cache_duration_seconds",
        ),
        (
            json!({"claim_headers": [{"claim": "a", "header": "x-consumer"}]}),
            ".claim_headers[0].header is already set by another field",
        ),
        (
            json!({"claim_headers": [{"claim": "a", "header": "authorization"}]}),
            ".claim_headers[0].header must not be a header that a credential",
        ),
    ] {
        let text = error(&introspection(extra));
        assert!(
            text.starts_with(&format!("introspection{message}")),
            "{text}"
        );
    }
}

#[test]
fn the_clients_secret_is_not_told() {
    for extra in [
        json!({"client_id": "a", "client_secret": "s3cret\u{0}"}),
        json!({"client_secret": "s3cret"}),
        json!({"client_id": "s3cret\u{0}", "client_secret": "b"}),
    ] {
        let text = error(&introspection(extra));
        assert!(!text.contains("s3cret"), "{text}");
    }
}
