//! Whole decisions: a configuration and a request in, an outcome out.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use mixer_auth::{Change, Config, Expected, Reason, Request, Shared};
use mixer_host::shared_data::{Set, Unavailable};
use mixer_host::value::Truth;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};

const NOW: u64 = 1_800_000_000;
const SECRET: [u8; 32] = [7; 32];

/// The outcome, without which rule it was.
fn decide<R: Request>(config: &Config, request: &R) -> Result<Vec<Change>, Reason> {
    mixer_auth::decide(config, request).map_err(|refusal| refusal.reason)
}

struct Fake {
    headers: Vec<(String, Vec<u8>)>,
    now: u64,
    asked: RefCell<Vec<String>>,
    holds: Cell<Option<f64>>,
}

impl Request for Fake {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.asked.borrow_mut().push(name.to_owned());
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.clone())
    }

    fn now(&self) -> u64 {
        self.asked.borrow_mut().push("now".to_owned());
        self.now
    }

    fn property(&self, path: &str) -> Option<Vec<u8>> {
        self.asked.borrow_mut().push(path.replace('\0', "."));
        None
    }

    fn has_body(&self) -> bool {
        false
    }

    fn expects(&self, _expected: Expected) {}

    fn test(&self, _condition: usize) -> Truth {
        Truth::Broken
    }

    fn set_property(&self, _name: &str, _value: &[u8]) -> bool {
        false
    }

    fn holds(&self, seconds: f64) {
        self.holds.set(Some(seconds));
    }
}

impl Shared for Fake {
    fn shared(&self, _key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
        Err(Unavailable)
    }

    fn set_shared(&self, _key: &[u8], _value: &[u8], _cas: u32) -> Set {
        Set::Failed
    }
}

fn request(path: &str, headers: &[(&str, &str)]) -> Fake {
    let mut all = vec![
        (":method".to_owned(), b"GET".to_vec()),
        (":path".to_owned(), path.into()),
    ];
    all.extend(
        headers
            .iter()
            .map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())),
    );
    Fake {
        headers: all,
        now: NOW,
        asked: RefCell::default(),
        holds: Cell::default(),
    }
}

fn config(value: Value) -> Config {
    Config::parse(value.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn api_keys(sources: Value) -> Value {
    json!({"sources": sources, "keys": [
        {"sha256": sha256("k-alice"), "consumer": "alice"},
        {"sha256": sha256("k-bob"), "consumer": "bob"},
    ]})
}

fn key_config(extra: Value) -> Config {
    let mut value = json!({"api_keys": api_keys(json!([{"header": "x-api-key"}]))});
    merge(&mut value, extra);
    config(value)
}

fn jwt(extra: Value) -> Value {
    let mut provider = json!({
        "issuer": "https://issuer", "audiences": ["api"],
        "jwks": {"keys": [{"kty": "oct", "kid": "h", "k": Base64UrlUnpadded::encode_string(&SECRET)}]},
    });
    merge(&mut provider, extra);
    json!({"providers": [provider]})
}

fn merge(into: &mut Value, extra: Value) {
    for (name, value) in extra.as_object().unwrap() {
        into[name] = value.clone();
    }
}

fn claims(extra: Value) -> Value {
    let mut claims =
        json!({"iss": "https://issuer", "aud": "api", "sub": "carol", "exp": NOW + 100});
    merge(&mut claims, extra);
    claims.as_object_mut().unwrap().retain(|_, v| !v.is_null());
    claims
}

fn token_with(header: &Value, payload: &str) -> String {
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let signed = format!("{}.{}", part(&header.to_string()), part(payload));
    let mut mac = Hmac::<Sha256>::new_from_slice(&SECRET).unwrap();
    mac.update(signed.as_bytes());
    let signature = mac.finalize().into_bytes();
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))
}

fn token(extra: Value) -> String {
    token_with(
        &json!({"alg": "HS256", "kid": "h"}),
        &claims(extra).to_string(),
    )
}

fn bearer(config: &Config, token: &str) -> Result<Vec<Change>, Reason> {
    decide(
        config,
        &request("/", &[("authorization", &format!("Bearer {token}"))]),
    )
}

fn set(name: &str, value: &str) -> Change {
    Change::Set(name.to_owned(), value.as_bytes().to_vec())
}

fn remove(name: &str) -> Change {
    Change::Remove(name.to_owned())
}

#[test]
fn api_keys_from_every_source() {
    let sources = json!([
        {"header": "authorization", "prefix": "ApiKey "}, {"query": "api key"}, {"cookie": "key"},
    ]);
    let config = config(json!({"api_keys": api_keys(sources)}));
    let alice = Ok(vec![set("x-consumer", "alice")]);
    for (path, headers) in [
        ("/", [("authorization", "ApiKey k-alice")]),
        ("/", [("authorization", "apikey   k-alice ")]),
        ("/?a=b&api%20key=k-alic%65", [("x", "")]),
        ("/?api+key=k-alice&api+key=other", [("x", "")]),
        ("/", [("cookie", "a=b; key=k-alice")]),
        ("/", [("cookie", "key=\"k-alice\"")]),
    ] {
        assert_eq!(
            decide(&config, &request(path, &headers)),
            alice,
            "{path} {headers:?}"
        );
    }
    for (path, headers) in [
        ("/", [("authorization", "Bearer k-alice")]),
        ("/", [("authorization", "ApiKey ")]),
        ("/?apikey=k-alice", [("cookie", "xkey=k-alice; key")]),
        ("/?api+key", [("cookie", "")]),
    ] {
        let outcome = decide(&config, &request(path, &headers));
        assert_eq!(outcome, Err(Reason::ApiKeyMissing), "{path} {headers:?}");
    }
    // The first source that is present counts, also if a later one would do.
    let both = request("/?api+key=k-alice", &[("authorization", "ApiKey wrong")]);
    assert_eq!(decide(&config, &both), Err(Reason::ApiKeyUnknown));
}

#[test]
fn few_headers_are_asked_for() {
    let plain = key_config(json!({}));
    let asked = |config: &Config, request: Fake| {
        let _ = decide(config, &request);
        request.asked.into_inner()
    };
    assert_eq!(
        asked(&plain, request("/", &[("x-api-key", "k-bob")])),
        ["x-api-key"]
    );
    let ruled = key_config(json!({"rules": [{"paths": ["/x"]}]}));
    assert_eq!(
        asked(&ruled, request("/", &[("x-api-key", "k-bob")])),
        [":path", "x-api-key"]
    );
    let denied = key_config(json!({"rules": [{"paths": ["/*"], "deny": true}]}));
    assert_eq!(
        asked(&denied, request("/", &[("x-api-key", "k-bob")])),
        [":path"]
    );
    let tokens = config(json!({"jwt": jwt(json!({}))}));
    assert_eq!(
        asked(&tokens, request("/", &[("authorization", "Bearer x.y.z")])),
        ["authorization"]
    );
    let open = key_config(json!({"default": "allow"}));
    assert_eq!(asked(&open, request("/", &[])), ["x-api-key"]);
}

#[test]
fn headers_of_ours_cannot_be_sent_by_the_client() {
    let value = json!({
        "api_keys": api_keys(json!([{"header": "x-api-key"}])),
        "jwt": jwt(json!({"claim_headers": [{"claim": "email", "header": "x-email"}]})),
        "rules": [{"paths": ["/open"], "anonymous": "allow"}],
    });
    let config = config(value);
    let forged = [("x-consumer", "root"), ("x-email", "")];
    // Also those that the caller withholds from the module.
    for seen in [&forged[..], &forged[1..], &[]] {
        let outcome = decide(&config, &request("/open", seen));
        assert_eq!(outcome, Ok(vec![remove("x-consumer"), remove("x-email")]));
    }
    let outcome = decide(&config, &request("/", &[("x-api-key", "k-bob")]));
    assert_eq!(
        outcome,
        Ok(vec![set("x-consumer", "bob"), remove("x-email")])
    );
    let outcome = decide(
        &config,
        &request("/", &[forged[0], forged[1], ("x-api-key", "k-bob")]),
    );
    assert_eq!(
        outcome,
        Ok(vec![set("x-consumer", "bob"), remove("x-email")])
    );
    // A claim that the token lacks, and one that has no safe text.
    for bad in [json!({}), json!({"email": "a\r\nx: y"})] {
        let token = format!("Bearer {}", token(bad));
        let request = request("/", &[forged[0], forged[1], ("authorization", &token)]);
        assert_eq!(
            decide(&config, &request),
            Ok(vec![set("x-consumer", "carol"), remove("x-email")])
        );
    }
}

#[test]
fn credentials_are_stripped_from_every_source() {
    let sources = json!([
        {"header": "x-api-key", "strip": true}, {"query": "k", "strip": true},
        {"cookie": "c", "strip": true}, {"header": "authorization", "prefix": "ApiKey ", "strip": true},
    ]);
    let config = config(json!({"api_keys": api_keys(sources), "consumer_header": ""}));
    let strip = |path: &str, headers: &[(&str, &str)]| {
        let mut all = vec![("x-api-key", "k-bob")];
        all.extend(headers);
        let mut changes = decide(&config, &request(path, &all)).unwrap();
        assert_eq!(changes.remove(0), remove("x-api-key"));
        changes
    };
    let basic = ("authorization", "Basic x");
    assert_eq!(strip("/?a=1", &[("cookie", "a=b"), basic]), []);
    assert_eq!(strip("/?k=1", &[basic]), [set(":path", "/")]);
    assert_eq!(
        strip("/x?a=1&k=1&b=%20&%6b=2&k", &[basic]),
        [set(":path", "/x?a=1&b=%20")]
    );
    assert_eq!(
        strip("/", &[("cookie", "a=1; c=2;d=3; c"), basic]),
        [set("cookie", "a=1; d=3")]
    );
    assert_eq!(strip("/", &[("cookie", "c=2"), basic]), [remove("cookie")]);
    assert_eq!(
        strip("/", &[("authorization", "apikey z")]),
        [remove("authorization")]
    );
}

#[test]
fn headers_to_strip_go_also_where_they_are_withheld() {
    let sources = json!([
        {"header": "x-api-key", "strip": true}, {"header": "authorization", "prefix": "ApiKey ", "strip": true},
        {"header": "x-kept"}, {"query": "k", "strip": true}, {"cookie": "c", "strip": true},
    ]);
    let config = config(json!({
        "api_keys": api_keys(sources), "jwt": jwt(json!({})),
        "consumer_header": "", "default": "allow",
    }));
    let stripped = |headers: &[(&str, &str)]| decide(&config, &request("/?a=1", headers));
    let both = Ok(vec![remove("x-api-key"), remove("authorization")]);
    assert_eq!(stripped(&[]), both);
    assert_eq!(stripped(&[("x-kept", "k-bob")]), both);
    // The token's header is the one that the key's source strips, but it is seen to hold a token.
    let bearer = format!("Bearer {}", token(json!({})));
    assert_eq!(
        stripped(&[("authorization", &bearer)]),
        Ok(vec![remove("x-api-key")])
    );
}

#[test]
fn token_claims() {
    let config = config(json!({"jwt": jwt(json!({"leeway_seconds": 10}))}));
    assert_eq!(
        bearer(&config, &token(json!({}))),
        Ok(vec![set("x-consumer", "carol")])
    );
    for good in [
        json!({"aud": ["x", "api"]}),
        json!({"exp": NOW - 9}),
        json!({"nbf": NOW + 10}),
        json!({"iat": NOW + 10}),
        json!({"exp": NOW as f64 + 0.5}),
    ] {
        assert!(bearer(&config, &token(good.clone())).is_ok(), "{good}");
    }
    for (bad, reason) in [
        (json!({"exp": NOW - 10}), Reason::TokenExpired),
        (json!({"exp": -1}), Reason::TokenExpired),
        (json!({"exp": null}), Reason::TokenExpiryMissing),
        (json!({"exp": "9999999999"}), Reason::TokenUnsound),
        (json!({"nbf": NOW + 11}), Reason::TokenNotYetValid),
        (json!({"iat": NOW + 11}), Reason::TokenIssuedInFuture),
        (json!({"aud": "x"}), Reason::TokenAudience),
        (json!({"aud": []}), Reason::TokenAudience),
        (json!({"aud": {"api": 1}}), Reason::TokenAudience),
        (json!({"aud": null}), Reason::TokenAudience),
        (json!({"iss": "https://issuer/"}), Reason::TokenIssuer),
        (json!({"iss": null}), Reason::TokenIssuer),
        (json!({"sub": null}), Reason::TokenConsumer),
        (json!({"sub": ""}), Reason::TokenConsumer),
        (json!({"sub": "a\nb"}), Reason::TokenConsumer),
    ] {
        assert_eq!(bearer(&config, &token(bad.clone())), Err(reason), "{bad}");
    }
}

#[test]
fn a_cached_token_still_expires() {
    let config = config(json!({"jwt": jwt(json!({"leeway_seconds": 0}))}));
    let header = format!("Bearer {}", token(json!({})));
    let mut request = request("/", &[("authorization", &header)]);
    assert!(decide(&config, &request).is_ok());
    request.now = NOW + 99;
    assert!(decide(&config, &request).is_ok());
    request.now = NOW + 100;
    assert_eq!(decide(&config, &request), Err(Reason::TokenExpired));
    request.now = NOW;
    let forged = format!("{}A", &header[..header.len() - 1]);
    request.headers.retain(|(n, _)| n != "authorization");
    request
        .headers
        .push(("authorization".to_owned(), forged.into_bytes()));
    assert!(decide(&config, &request).is_err());
}

#[test]
fn an_answer_holds_until_a_time_in_the_token() {
    let config = config(json!({"jwt": jwt(json!({"leeway_seconds": 10}))}));
    let holds = |extra: Value| {
        let bearer = format!("Bearer {}", token(extra));
        let request = request("/", &[("authorization", &bearer)]);
        let passes = decide(&config, &request).is_ok();
        (passes, request.holds.get().unwrap())
    };
    // A second less than the times say: the clock gives whole seconds.
    assert_eq!(holds(json!({})), (true, 109.0));
    assert_eq!(holds(json!({"exp": NOW - 9})), (true, 0.0));
    assert_eq!(holds(json!({"exp": NOW - 10})), (false, f64::INFINITY));
    assert_eq!(holds(json!({"nbf": NOW + 30})), (false, 19.0));
    assert_eq!(holds(json!({"nbf": NOW + 10})), (true, 109.0));
    assert_eq!(
        holds(json!({"nbf": NOW + 12, "iat": NOW + 11})),
        (false, 0.0)
    );
    assert_eq!(holds(json!({"iat": NOW + 500})), (false, 109.0));
    assert_eq!(holds(json!({"exp": 1e300})), (true, 1e300));
    // Who has no token, or a bad one, is not asked for the time.
    let none = request("/", &[("authorization", "Bearer x.y.z")]);
    assert!(decide(&config, &none).is_err());
    assert_eq!(none.holds.get(), None);
}

#[test]
fn token_headers() {
    let config = config(json!({"jwt": jwt(json!({}))}));
    let payload = claims(json!({})).to_string();
    for (header, reason) in [
        (json!({"alg": "none"}), Reason::TokenAlgorithm),
        (json!({"alg": "None"}), Reason::TokenAlgorithm),
        (json!({"alg": "HS512"}), Reason::TokenAlgorithm),
        (json!({"alg": "RS256"}), Reason::TokenAlgorithm),
        (json!({"alg": 1}), Reason::TokenAlgorithm),
        (json!({}), Reason::TokenAlgorithm),
        (json!({"alg": "HS256", "crit": []}), Reason::TokenCritical),
        (json!({"alg": "HS256", "kid": "other"}), Reason::TokenKey),
        (json!({"alg": "HS256", "kid": ["h"]}), Reason::TokenUnsound),
    ] {
        assert_eq!(
            bearer(&config, &token_with(&header, &payload)),
            Err(reason),
            "{header}"
        );
    }
    // One of another issuer is not for this provider to judge, whatever it is signed with.
    let other = claims(json!({"iss": "other"})).to_string();
    for header in [json!({"alg": "PS512"}), json!({"alg": "RS256", "crit": []})] {
        let token = token_with(&header, &other);
        assert_eq!(bearer(&config, &token), Err(Reason::TokenIssuer));
    }
    assert!(bearer(&config, &token_with(&json!({"alg": "HS256"}), &payload)).is_ok());
    let good = token(json!({}));
    for bad in [
        "x".to_owned(),
        "..".to_owned(),
        format!("{good}.x"),
        format!(".{good}"),
        format!("{good}="),
        good.replace('.', ".."),
        token_with(&json!({"alg": "HS256"}), "[]"),
        token_with(
            &json!({"alg": "HS256"}),
            "{\"iss\":\"a\",\"iss\":\"https://issuer\"}",
        ),
    ] {
        let refused = bearer(&config, &bad).unwrap_err();
        assert_eq!(refused.describe().code, "token_malformed", "{bad}");
    }
    let large = token(json!({"x": "x".repeat(16 * 1024)}));
    assert_eq!(bearer(&config, &large), Err(Reason::TokenTooLarge));
}

/// A provider with `others` before the key that signs these tests' tokens.
fn with_other_keys(others: usize, other_kid: impl Fn(usize) -> Value) -> Config {
    let key = |secret: &[u8; 32], kid: Value| {
        let mut key = json!({"kty": "oct", "k": Base64UrlUnpadded::encode_string(secret)});
        if !kid.is_null() {
            key["kid"] = kid;
        }
        key
    };
    let mut keys: Vec<Value> = (0..others)
        .map(|i| key(&[100 + i as u8; 32], other_kid(i)))
        .collect();
    keys.push(key(&SECRET, json!("h")));
    // Keys of another algorithm do not count.
    for i in 0..5 {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        keys.push(json!({"kty": "OKP", "crv": "Ed25519", "kid": format!("e{i}"), "x": x}));
    }
    config(json!({"jwt": jwt(json!({"jwks": {"keys": keys}}))}))
}

#[test]
fn at_most_four_keys_are_tried() {
    let payload = claims(json!({})).to_string();
    let bare = token_with(&json!({"alg": "HS256"}), &payload);
    let unknown = token_with(&json!({"alg": "HS256", "kid": "x"}), &payload);
    let carol = Ok(vec![set("x-consumer", "carol")]);
    let forged = |token: &str| format!("{}.{}", token.rsplit_once('.').unwrap().0, "A".repeat(43));
    for (others, bare_outcome, bare_forged) in [
        (0, carol.clone(), Reason::TokenSignature),
        (3, carol.clone(), Reason::TokenSignature),
        (4, Err(Reason::TokenKey), Reason::TokenKey),
        (50, Err(Reason::TokenKey), Reason::TokenKey),
    ] {
        for config in [
            with_other_keys(others, |i| json!(format!("k{i}"))),
            with_other_keys(others, |_| Value::Null),
        ] {
            assert_eq!(bearer(&config, &bare), bare_outcome, "{others}");
            assert_eq!(bearer(&config, &forged(&bare)), Err(bare_forged));
            // With a kid that one key has, the number of keys does not matter.
            let named = token(json!({}));
            assert_eq!(bearer(&config, &named), carol, "{others}");
            assert_eq!(
                bearer(&config, &forged(&named)),
                Err(Reason::TokenSignature)
            );
            assert_eq!(bearer(&config, &unknown), Err(Reason::TokenKey));
        }
        // A kid that many keys share tells them apart no better than none.
        let config = with_other_keys(others, |_| json!("h"));
        assert_eq!(bearer(&config, &token(json!({}))), bare_outcome, "{others}");
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let vectors: Value = serde_json::from_str(include_str!("../testdata/rsa.json")).unwrap();
    let rsa = json!({"kty": "RSA", "kid": "h", "n": vectors["2048"]["n"], "e": "AQAB"});
    let config = config(json!({"jwt": jwt(json!({"jwks": {"keys": [rsa]}}))}));
    assert_eq!(
        bearer(&config, &token(json!({}))),
        Err(Reason::TokenAlgorithm)
    );
}

#[test]
fn damaged_tokens_neither_pass_nor_panic() {
    let config = config(json!({"jwt": jwt(json!({"require_exp": false}))}));
    let good = token(json!({"roles": ["a", {"b": [1, 2.5, null]}]})).into_bytes();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    for _ in 0..20_000 {
        let mut damaged = good.clone();
        for _ in 0..=random(3) {
            let at = random(damaged.len());
            match random(4) {
                0 => damaged[at] = random(256) as u8,
                1 if damaged.len() > 1 => drop(damaged.remove(at)),
                2 => damaged.insert(at, b".={}\"A_"[random(7)]),
                _ => damaged.truncate(at.max(1)),
            }
        }
        let mut request = request("/", &[]);
        let header = [b"Bearer ", damaged.as_slice()].concat();
        request.headers.push(("authorization".to_owned(), header));
        let passes = decide(&config, &request).is_ok();
        assert!(!passes || damaged.trim_ascii() == good, "{damaged:?}");
    }
}

#[test]
fn damaged_payloads_with_good_signatures_do_not_panic() {
    let config = config(
        json!({"jwt": jwt(json!({"claim_headers": [{"claim": "a.0.b", "header": "x-a"}]}))}),
    );
    let header = json!({"alg": "HS256"});
    let payload = claims(json!({"a": [{"b": "c"}], "nbf": 1, "iat": 1.5})).to_string();
    for cut in 0..payload.len() {
        for insert in ["", "\"", "{", "[", "9e999", "\\ud800", "-", ",", "null"] {
            let damaged = format!("{}{insert}{}", &payload[..cut], &payload[cut..]);
            let _ = bearer(&config, &token_with(&header, &damaged));
            let _ = bearer(&config, &token_with(&header, &payload[..cut]));
        }
    }
}

#[test]
fn rules_decide_in_order() {
    let config = config(json!({
        "api_keys": api_keys(json!([{"header": "x-api-key"}])),
        "jwt": jwt(json!({"consumer_prefix": "oidc:"})),
        "rules": [
            {"paths": ["/public/*", "*.css"], "anonymous": "allow"},
            {"paths": ["/admin/*"], "methods": ["POST"], "deny": true},
            {"paths": ["/admin/*"], "consumers": ["alice"]},
            {"paths": ["/write"], "claims": [{"claim": "scope", "any_of": ["write", "all"]}]},
            {"paths": ["/both"], "consumers": ["oidc:carol"], "claims": [{"claim": "ok", "any_of": [true]}]},
        ],
        "default": "authenticated",
    }));
    let by =
        |path: &str, header: &str, value: &str| decide(&config, &request(path, &[(header, value)]));
    let token = |extra| format!("Bearer {}", token(extra));
    let key = "x-api-key";
    for path in [
        "/public",
        "/public/a",
        "/a/b.css",
        "/%70ublic/x",
        "/x/../public",
    ] {
        let outcome = Ok(vec![remove("x-consumer")]);
        assert_eq!(by(path, key, "wrong"), outcome, "{path}");
    }
    assert_eq!(
        by("/public/../admin", key, "k-bob"),
        Err(Reason::ConsumerForbidden)
    );
    assert_eq!(by("/admin/x", key, "k-bob"), Err(Reason::ConsumerForbidden));
    assert_eq!(
        by("/admin/x", key, "k-alice"),
        Ok(vec![set("x-consumer", "alice")])
    );
    assert_eq!(by("/admin/x", "x", ""), Err(Reason::CredentialMissing));
    assert_eq!(by("/write", key, "k-alice"), Err(Reason::ClaimForbidden));
    let auth = "authorization";
    assert_eq!(
        by("/write", auth, &token(json!({"scope": "read"}))),
        Err(Reason::ClaimForbidden)
    );
    assert!(by("/write/", auth, &token(json!({"scope": "read write"}))).is_ok());
    assert!(by("/both", auth, &token(json!({"ok": true}))).is_ok());
    assert_eq!(
        by("/both", auth, &token(json!({"ok": false}))),
        Err(Reason::ClaimForbidden)
    );
    assert_eq!(
        by("/both", auth, &token(json!({"ok": true, "sub": "dan"}))),
        Err(Reason::ConsumerForbidden)
    );
    assert_eq!(by("/else", "x", ""), Err(Reason::CredentialMissing));
    assert_eq!(by("/a%2fb", key, "k-alice"), Err(Reason::PathInvalid));
    let mut post = request("/admin/x", &[(key, "k-alice")]);
    post.headers[0].1 = b"POST".to_vec();
    assert_eq!(decide(&config, &post), Err(Reason::PathForbidden));
    let refusal = mixer_auth::decide(&config, &post).unwrap_err();
    assert_eq!(refusal.rule, Some(1));
}

#[test]
fn defaults() {
    let outcome = |default: &str, headers: &[(&str, &str)]| {
        let config = key_config(json!({"default": default, "rules": [{"paths": ["/x"]}]}));
        decide(&config, &request("/", headers))
    };
    assert_eq!(outcome("allow", &[]), Ok(vec![remove("x-consumer")]));
    assert_eq!(
        outcome("allow", &[("x-api-key", "k-bob")]),
        Ok(vec![set("x-consumer", "bob")])
    );
    assert_eq!(
        outcome("deny", &[("x-api-key", "k-bob")]),
        Err(Reason::DefaultForbidden)
    );
    assert_eq!(outcome("authenticated", &[]), Err(Reason::ApiKeyMissing));
}

#[test]
fn keys_and_tokens_in_one_header() {
    let config = config(json!({
        "api_keys": api_keys(json!([{"header": "authorization", "prefix": "Bearer "}])),
        "jwt": jwt(json!({})),
    }));
    assert_eq!(bearer(&config, "k-bob"), Ok(vec![set("x-consumer", "bob")]));
    assert_eq!(
        bearer(&config, &token(json!({}))),
        Ok(vec![set("x-consumer", "carol")])
    );
    assert_eq!(bearer(&config, "wrong"), Err(Reason::ApiKeyUnknown));
    assert_eq!(
        bearer(&config, &token(json!({"exp": 1}))),
        Err(Reason::TokenExpired)
    );
}

#[test]
fn several_providers() {
    let mut jwt = jwt(json!({"consumer_prefix": "a:"}));
    let mut second = jwt["providers"][0].clone();
    merge(
        &mut second,
        json!({
            "issuer": "https://second", "audiences": ["*"], "consumer_prefix": "b:",
            "consumer_claim": "client.id", "require_exp": false,
        }),
    );
    jwt["providers"].as_array_mut().unwrap().push(second);
    let config = config(json!({"jwt": jwt}));
    assert_eq!(
        bearer(&config, &token(json!({}))),
        Ok(vec![set("x-consumer", "a:carol")])
    );
    let other = json!({"iss": "https://second", "aud": null, "exp": null, "client": {"id": 7}});
    assert_eq!(
        bearer(&config, &token(other)),
        Ok(vec![set("x-consumer", "b:7")])
    );
}
