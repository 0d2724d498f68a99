use super::Config;
use serde_json::{json, Value};

const HASH: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

fn error(config: &Value) -> String {
    match Config::parse(config.to_string().as_bytes()) {
        Ok(_) => panic!("accepted: {config}"),
        Err(error) => error.to_string(),
    }
}

fn with_keys(extra: Value) -> Value {
    let mut config = json!({"api_keys": {"keys": [{"sha256": HASH, "consumer": "a"}]}});
    for (name, value) in extra.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn with_provider(extra: Value) -> Value {
    let k = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T";
    let mut provider = json!({
        "issuer": "i", "audiences": ["a"], "jwks": {"keys": [{"kty": "oct", "k": k}]}
    });
    for (name, value) in extra.as_object().unwrap() {
        provider[name] = value.clone();
    }
    json!({"jwt": {"providers": [provider]}})
}

#[test]
fn minimal_configurations() {
    for good in [
        with_keys(json!({})),
        with_keys(json!({"rules": [], "consumer_header": "", "default": "deny"})),
        with_provider(json!({})),
        with_provider(json!({"audiences": ["*"], "leeway_seconds": 0.0, "consumer_prefix": ""})),
        with_provider(json!({"claim_headers": [{"claim": ["https://x/y"], "header": "x-y"}]})),
        with_provider(json!({"algorithms": ["HS256", "EdDSA"]})),
    ] {
        if let Err(error) = Config::parse(good.to_string().as_bytes()) {
            panic!("{good}: {error}");
        }
    }
}

#[test]
fn mistakes_are_named_with_their_path() {
    let sources =
        |s: Value| json!({"api_keys": {"sources": s, "keys": [{"sha256": HASH, "consumer": "a"}]}});
    let rule = |r: Value| with_keys(json!({"rules": [r]}));
    for (config, start) in [
        (json!([]), "the configuration must be an object"),
        (json!({}), "the configuration needs at least one of"),
        (
            with_keys(json!({"defualt": "deny"})),
            "defualt is not a known field; known here: realm, ",
        ),
        (
            with_keys(json!({"default": "open"})),
            "default must be authenticated, allow or deny",
        ),
        (
            with_keys(json!({"default": true})),
            "default must be a string",
        ),
        (with_keys(json!({"realm": "a\"b"})), "realm must be"),
        (
            with_keys(json!({"consumer_header": "X-Consumer"})),
            "consumer_header must be a lower-case",
        ),
        (
            with_keys(json!({"consumer_header": "host"})),
            "consumer_header must not be a header of HTTP",
        ),
        (
            with_keys(json!({"consumer_header": ":path"})),
            "consumer_header must be a lower-case",
        ),
        (
            with_keys(json!({"consumer_header": "x-api-key"})),
            "consumer_header must not be a header that",
        ),
        (json!({"api_keys": {}}), "api_keys.keys is missing"),
        (json!({"jwt": {}}), "jwt.providers is missing"),
        (
            json!({"jwt": {"providers": [{"issuer": "i", "audiences": ["a"]}]}}),
            "jwt.providers[0].jwks is missing",
        ),
        (
            json!({"api_keys": {"keys": []}}),
            "api_keys.keys must be a list of 1 to 4096",
        ),
        (
            json!({"api_keys": {"keys": [{"sha256": "x", "consumer": "a"}]}}),
            "api_keys.keys[0].sha256 must be",
        ),
        (
            json!({"api_keys": {"keys": [{"sha256": HASH.to_uppercase(), "consumer": "a"}]}}),
            "api_keys.keys[0].sha256 must be",
        ),
        (
            json!({"api_keys": {"keys": [{"sha256": HASH, "consumer": ""}]}}),
            "api_keys.keys[0].consumer must be",
        ),
        (
            json!({"api_keys": {"keys": [{"sha256": HASH, "consumer": "a"}, {"sha256": HASH, "consumer": "b"}]}}),
            "api_keys.keys[1].sha256 is there twice",
        ),
        (
            json!({"api_keys": {"keys": [{"key": "plain", "sha256": HASH, "consumer": "a"}]}}),
            "api_keys.keys[0].key is not a known field",
        ),
        (
            sources(json!([])),
            "api_keys.sources must be a list of 1 to 8",
        ),
        (
            sources(json!([{}])),
            "api_keys.sources[0] must have exactly one",
        ),
        (
            sources(json!([{"header": "a", "query": "b"}])),
            "api_keys.sources[0] must have exactly one",
        ),
        (
            sources(json!([{"query": "b", "prefix": "c"}])),
            "api_keys.sources[0] must have exactly one",
        ),
        (
            sources(json!([{"cookie": "a b"}])),
            "api_keys.sources[0].cookie must be",
        ),
        (
            sources(json!([{"header": "a", "strip": "yes"}])),
            "api_keys.sources[0].strip must be true or false",
        ),
        (json!({"jwt": null}), "jwt must be an object"),
        (
            json!({"jwt": {"providers": []}}),
            "jwt.providers must be a list of 1 to 32",
        ),
        (
            with_provider(json!({"issuer": ""})),
            "jwt.providers[0].issuer must be",
        ),
        (
            with_provider(json!({"audiences": []})),
            "jwt.providers[0].audiences must be",
        ),
        (
            with_provider(json!({"audiences": ["a", "*"]})),
            "jwt.providers[0].audiences must have",
        ),
        (
            with_keys(json!({"validity": {"duration_seconds": 86_401}})),
            "validity.duration_seconds must be a number from 0 to 86400",
        ),
        (
            with_keys(json!({"validity": {"duration_seconds": 1, "use_count": 0.5}})),
            "validity.use_count must be a whole number",
        ),
        (
            with_keys(json!({"validity": {"use_count": 1}})),
            "validity.duration_seconds is missing",
        ),
        (
            with_provider(json!({"leeway_seconds": 301})),
            "jwt.providers[0].leeway_seconds must be a whole",
        ),
        (
            with_provider(json!({"leeway_seconds": 0.5})),
            "jwt.providers[0].leeway_seconds must be a whole",
        ),
        (
            with_provider(json!({"leeway_seconds": -1})),
            "jwt.providers[0].leeway_seconds must be a whole",
        ),
        (
            with_provider(json!({"leeway_seconds": "1"})),
            "jwt.providers[0].leeway_seconds must be a number",
        ),
        (
            with_provider(json!({"algorithms": ["none"]})),
            "jwt.providers[0].algorithms[0] must be HS256",
        ),
        (
            with_provider(json!({"algorithms": ["RS256"]})),
            "jwt.providers[0].jwks.keys has no key",
        ),
        (
            with_provider(json!({"jwks": {"keys": [{"kty": "oct", "k": "AA"}]}})),
            "jwt.providers[0].jwks.keys[0].k is too short",
        ),
        (
            with_provider(json!({"jwks": {"keys": [{"kty": "oct", "k": 5}]}})),
            "jwt.providers[0].jwks.keys[0].k must be a string",
        ),
        (
            with_provider(json!({"consumer_claim": "https://x.y/z"})),
            "jwt.providers[0].consumer_claim must be",
        ),
        (
            with_provider(json!({"claim_headers": [{"claim": "a", "header": "authorization"}]})),
            "jwt.providers[0].claim_headers[0].header must not",
        ),
        (
            with_provider(json!({"claim_headers": [{"claim": "a", "header": "x-consumer"}]})),
            "jwt.providers[0].claim_headers[0].header is already",
        ),
        (
            rule(json!({"path": "/x"})),
            "rules[0].path is not a known field",
        ),
        (
            rule(json!({"paths": ["x"]})),
            "rules[0].paths[0] must be an exact path",
        ),
        (
            rule(json!({"paths": ["/x*"]})),
            "rules[0].paths[0] must be an exact path",
        ),
        (
            rule(json!({"paths": ["/a/*/b"]})),
            "rules[0].paths[0] must be an exact path",
        ),
        (
            rule(json!({"paths": ["/a?b"]})),
            "rules[0].paths[0] must be an exact path",
        ),
        (
            rule(json!({"paths": ["/a%2fb"]})),
            "rules[0].paths[0] must be an exact path",
        ),
        (
            rule(json!({"paths": []})),
            "rules[0].paths must be a list of 1 to 64",
        ),
        (
            rule(json!({"methods": ["get"]})),
            "rules[0].methods[0] must be a method",
        ),
        (
            rule(json!({"consumers": []})),
            "rules[0].consumers must be a list",
        ),
        (
            rule(json!({"anonymous": "allow", "deny": true})),
            "rules[0] must have only one of",
        ),
        (
            rule(json!({"anonymous": "allow", "consumers": ["a"]})),
            "rules[0] must have only one of",
        ),
        (
            rule(json!({"anonymous": "yes"})),
            "rules[0].anonymous must be allow",
        ),
        (
            rule(json!({"claims": [{"claim": "a", "any_of": [[]]}]})),
            "rules[0].claims[0].any_of[0] must be",
        ),
        (
            rule(json!({"claims": [{"claim": "a", "any_of": []}]})),
            "rules[0].claims[0].any_of must be",
        ),
    ] {
        let message = error(&config);
        assert!(
            message.starts_with(start),
            "{config}\n  {message}\n  {start}"
        );
    }
}

/// Every kind of object with a misspelt field, which would also leave one missing
/// or stand beside another mistake.
#[test]
fn unknown_fields_are_named_before_anything_else() {
    let keys = |k: Value| json!({"api_keys": {"keys": [k]}});
    let sources = |s: Value| json!({"api_keys": {"sources": [s]}});
    let provider = |p: Value| json!({"jwt": {"providers": [p]}});
    let rule = |r: Value| json!({"rules": [r]});
    for (config, path, known) in [
        (
            json!({"api_keyz": {}, "realm": 5}),
            "api_keyz",
            "realm, api_keys, jwt, introspection, basic, signatures, mtls, addresses, rules, default, consumer_header, \
             anonymous_consumer, allow_path_parameters, validity",
        ),
        (
            json!({"api_keys": {"keyz": [], "sources": 5}}),
            "api_keys.keyz",
            "sources, keys",
        ),
        (
            keys(json!({"sha265": HASH, "consumer": 5})),
            "api_keys.keys[0].sha265",
            "sha256, consumer",
        ),
        (
            sources(json!({"headers": "a", "strip": 5})),
            "api_keys.sources[0].headers",
            "header, prefix, query, cookie, strip",
        ),
        (
            json!({"jwt": {"provider": [], "sources": 5}}),
            "jwt.provider",
            "sources, providers",
        ),
        (
            provider(json!({"audience": "a", "claim_headers": 5})),
            "jwt.providers[0].audience",
            "issuer, audiences, jwks, remote_jwks, algorithms, leeway_seconds, require_exp, \
             consumer_claim, consumer_prefix, claim_headers",
        ),
        (
            provider(json!({"claim_headers": [{"claim": 5, "headers": "x-a"}]})),
            "jwt.providers[0].claim_headers[0].headers",
            "claim, header",
        ),
        (
            rule(json!({"path": "/x", "deny": 5})),
            "rules[0].path",
            "paths, methods, addresses, match, consumers, claims, when, anonymous, deny",
        ),
        (
            rule(json!({"claims": [{"claim": 5, "value": "x"}]})),
            "rules[0].claims[0].value",
            "claim, any_of",
        ),
    ] {
        let message = format!("{path} is not a known field; known here: {known}");
        assert_eq!(error(&config), message, "{config}");
    }
}

#[test]
fn a_name_that_may_be_a_secret_is_not_told() {
    for name in [
        "k9-3fA81b2cD4",
        "sk_live_51H8xT2eZvKYlo2C",
        "0123456789abcdef",
    ] {
        let message = error(&json!({"api_keys": {name: "alice"}}));
        assert!(!message.contains(name), "{message}");
        assert!(message.contains("is not a known field"), "{message}");
    }
}

#[test]
fn a_key_sets_address_is_answered_with_what_to_do() {
    for name in ["jwks_uri", "jwksUri"] {
        let mut provider = json!({"issuer": "i", "audiences": ["a"]});
        provider[name] = json!("https://id.example.com/jwks.json");
        let message = error(&json!({"jwt": {"providers": [provider]}}));
        let start = format!(
            "jwt.providers[0].{name} is not a known field: an address goes into \
             remote_jwks.http_uri, with the cluster it is reached by; known here: issuer, "
        );
        assert!(message.starts_with(&start), "{message}");
    }
}

/// RFC 7517 wants them passed over, so that a whole key set can be pasted.
#[test]
fn other_members_of_key_sets_and_keys_are_passed_over() {
    let k = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T";
    let jwks = json!({"x": 1, "keys": [{"kty": "oct", "k": k, "x5t": "y"}]});
    let config = with_provider(json!({"jwks": jwks}));
    assert!(Config::parse(config.to_string().as_bytes()).is_ok());
}

#[test]
fn an_absent_configuration_is_called_absent() {
    for text in ["", "  \n"] {
        let error = Config::parse(text.as_bytes()).map(|_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration is empty: none was given, and it needs \
             at least one of api_keys, jwt, introspection, basic, signatures and mtls"
        );
    }
}

#[test]
fn texts_that_are_no_configuration() {
    for text in [
        "",
        "  \n",
        "{",
        "{} x",
        "nul",
        "{\"realm\":\"a\",\"realm\":\"b\"}",
    ] {
        let error = Config::parse(text.as_bytes()).map(|_| ()).unwrap_err();
        assert!(
            error.to_string().starts_with("the configuration is "),
            "{text}: {error}"
        );
    }
    assert!(Config::parse(&[0xff, 0xfe]).is_err());
}

#[test]
fn errors_hold_no_values() {
    let secret = "s3cret-value-of-the-owner";
    for config in [
        json!({"api_keys": {"keys": [{"sha256": secret, "consumer": "a"}]}}),
        json!({"api_keys": secret}),
        json!({"api_keys": {"keys": secret}}),
        json!({"jwt": {"providers": secret}}),
        with_provider(json!({"jwks": secret})),
        with_provider(json!({"jwks": {"keys": [{"kty": "oct", "k": secret}]}})),
        with_provider(json!({"leeway_seconds": secret})),
        with_keys(json!({"default": secret})),
    ] {
        assert!(!error(&config).contains(secret), "{config}");
    }
    let torn = format!("{{\"api_keys\": \"{secret}\" \"");
    let message = Config::parse(torn.as_bytes())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(!message.contains(secret), "{message}");
}
