//! Keys that are fetched and tokens that are asked about: when, how often, and what holds meanwhile.

use base64ct::{Base64UrlUnpadded, Encoding};
use mixer_auth::{Answer, Change, Config, Expected, Reason, Request, Shared, Wanted};
use mixer_host::shared_data::{Set, Unavailable};
use mixer_host::value::Truth;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{json, Value};
use std::cell::Cell;

const NOW: u64 = 1_800_000_000;

/// The outcome, without which rule it was.
fn decide<R: Request>(config: &Config, request: &R) -> Result<Vec<Change>, Reason> {
    mixer_auth::decide(config, request).map_err(|refusal| refusal.reason)
}

struct Fake {
    authorization: String,
    now: u64,
    holds: Cell<f64>,
    awaits: Cell<Option<Wanted>>,
}

impl Request for Fake {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        (name == "authorization").then(|| self.authorization.clone().into())
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn property(&self, _path: &str) -> Option<Vec<u8>> {
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
        self.holds.set(self.holds.get().min(seconds));
    }

    fn awaits(&self, wanted: Wanted) {
        self.awaits.set(Some(wanted));
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

/// What came of one request: the consumer or the reason, whether it would wait, and how long it
/// holds.
#[derive(Debug, PartialEq)]
struct Seen(Result<String, Reason>, bool, f64);

fn ask(config: &Config, token: &str, now: u64) -> Seen {
    let request = Fake {
        authorization: format!("Bearer {token}"),
        now,
        holds: Cell::new(f64::INFINITY),
        awaits: Cell::default(),
    };
    let outcome = decide(config, &request).map(|changes| consumer(&changes));
    Seen(outcome, request.awaits.get().is_some(), request.holds.get())
}

fn consumer(changes: &[Change]) -> String {
    let named = |c: &Change| match c {
        Change::Set(name, value) if name == "x-consumer" => String::from_utf8(value.clone()).ok(),
        _ => None,
    };
    changes.iter().find_map(named).unwrap_or_default()
}

fn waits(reason: Reason) -> Seen {
    Seen(Err(reason), true, 0.0)
}

fn refused(reason: Reason) -> Seen {
    Seen(Err(reason), false, 0.0)
}

fn passes(name: &str, holds: f64) -> Seen {
    Seen(Ok(name.to_owned()), false, holds)
}

fn config(value: Value) -> Config {
    Config::parse(value.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

fn ok(body: impl ToString) -> Option<Answer> {
    status(200, body)
}

fn status(status: u32, body: impl ToString) -> Option<Answer> {
    let body = body.to_string().into_bytes();
    Some(Answer { status, body })
}

mod key_sets {
    use super::*;

    fn remote() -> Config {
        config(json!({"jwt": {"providers": [{
            "issuer": "i", "audiences": ["*"], "leeway_seconds": 0,
            "remote_jwks": {
                "http_uri": {"uri": "https://id/keys", "cluster": "id"},
                "cache_duration_seconds": 100, "stale_duration_seconds": 50,
                "failed_refetch_duration_seconds": 5, "unknown_kid_refetch_duration_seconds": 30,
            },
        }]}}))
    }

    fn signing(number: u8) -> SigningKey {
        SigningKey::from_slice(&[number; 32]).unwrap()
    }

    fn public(number: u8) -> Value {
        let point = signing(number).verifying_key().to_sec1_point(false);
        let text = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
        json!({
            "kty": "EC", "crv": "P-256", "kid": format!("k{number}"),
            "x": text(&point.as_bytes()[1..33]), "y": text(&point.as_bytes()[33..]),
        })
    }

    fn set(numbers: &[u8]) -> Value {
        let keys: Vec<Value> = numbers.iter().map(|n| public(*n)).collect();
        json!({"keys": keys})
    }

    fn token(number: u8) -> String {
        let part = |value: Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let header = part(json!({"alg": "ES256", "kid": format!("k{number}")}));
        let payload = part(json!({"iss": "i", "sub": "al", "exp": NOW + 10_000}));
        let signed = format!("{header}.{payload}");
        let signature: Signature = signing(number).sign(signed.as_bytes());
        format!(
            "{signed}.{}",
            Base64UrlUnpadded::encode_string(&signature.to_bytes())
        )
    }

    fn is_sent(config: &Config, now: u64) -> bool {
        config.jwt.as_ref().unwrap().take_call(now).is_some()
    }

    fn answer(config: &Config, answer: Option<Answer>, now: u64) -> Result<(), String> {
        let (_, remote) = config.jwt.as_ref().unwrap().remote().next().unwrap();
        remote.complete(answer, now)
    }

    fn fetch(config: &Config, set: Value, now: u64) {
        assert!(is_sent(config, now));
        answer(config, ok(set), now).unwrap();
    }

    #[test]
    fn without_keys_a_request_waits_and_one_fetch_is_for_all() {
        let config = remote();
        assert_eq!(ask(&config, &token(1), NOW), waits(Reason::JwksUnavailable));
        assert!(is_sent(&config, NOW));
        assert_eq!(ask(&config, &token(1), NOW), waits(Reason::JwksUnavailable));
        assert!(!is_sent(&config, NOW), "one at a time");
        answer(&config, ok(set(&[1])), NOW).unwrap();
        assert_eq!(ask(&config, &token(1), NOW), passes("al", 99.0));
        assert_eq!(ask(&config, &token(1), NOW + 60), passes("al", 39.0));
    }

    #[test]
    fn after_a_failure_nobody_waits_and_nothing_is_fetched_for_a_while() {
        let config = remote();
        assert!(is_sent(&config, NOW));
        assert_eq!(answer(&config, None, NOW), Err("no answer".to_owned()));
        for later in 0..5 {
            assert_eq!(
                ask(&config, &token(1), NOW + later),
                refused(Reason::JwksUnavailable)
            );
            assert!(!is_sent(&config, NOW + later));
        }
        assert_eq!(
            ask(&config, &token(1), NOW + 5),
            waits(Reason::JwksUnavailable)
        );
        fetch(&config, set(&[1]), NOW + 5);
        assert_eq!(ask(&config, &token(1), NOW + 5), passes("al", 99.0));
    }

    #[test]
    fn a_set_is_fetched_again_before_it_ends() {
        let config = remote();
        fetch(&config, set(&[1]), NOW);
        assert!(!is_sent(&config, NOW + 89));
        fetch(&config, set(&[1]), NOW + 90);
        assert!(!is_sent(&config, NOW + 179));
        assert_eq!(ask(&config, &token(1), NOW + 180), passes("al", 9.0));
    }

    #[test]
    fn a_stale_set_is_used_up_to_its_bound_while_fetching_fails() {
        let config = remote();
        fetch(&config, set(&[1]), NOW);
        for later in [90, 100, 149] {
            assert!(is_sent(&config, NOW + later));
            answer(&config, status(500, ""), NOW + later).unwrap_err();
            let left = (100.0 - later as f64 - 1.0).max(0.0);
            assert_eq!(ask(&config, &token(1), NOW + later), passes("al", left));
        }
        assert_eq!(
            ask(&config, &token(1), NOW + 150),
            refused(Reason::JwksUnavailable)
        );
        assert_eq!(
            ask(&config, &token(1), NOW + 154),
            waits(Reason::JwksUnavailable)
        );
        fetch(&config, set(&[1]), NOW + 154);
        assert_eq!(ask(&config, &token(1), NOW + 154), passes("al", 99.0));
    }

    #[test]
    fn an_unknown_key_has_the_set_fetched_once_in_an_interval() {
        let config = remote();
        fetch(&config, set(&[1]), NOW);
        assert_eq!(ask(&config, &token(2), NOW), waits(Reason::TokenKey));
        fetch(&config, set(&[1]), NOW);
        for later in 0..30 {
            assert_eq!(
                ask(&config, &token(2), NOW + later),
                refused(Reason::TokenKey)
            );
            assert!(!is_sent(&config, NOW + later));
        }
        assert_eq!(ask(&config, &token(2), NOW + 30), waits(Reason::TokenKey));
        fetch(&config, set(&[2]), NOW + 30);
        assert_eq!(ask(&config, &token(2), NOW + 30), passes("al", 99.0));
    }

    #[test]
    fn a_key_that_is_gone_verifies_no_token_that_it_verified_before() {
        let config = remote();
        fetch(&config, set(&[1, 2]), NOW);
        assert_eq!(ask(&config, &token(1), NOW), passes("al", 99.0));
        fetch(&config, set(&[2]), NOW + 90);
        let Seen(outcome, ..) = ask(&config, &token(1), NOW + 90);
        assert_eq!(outcome, Err(Reason::TokenKey));
    }

    #[test]
    fn rubbish_replaces_no_keys() {
        let config = remote();
        fetch(&config, set(&[1]), NOW);
        let many: Vec<Value> = (0..65).map(|_| public(1)).collect();
        let twice = r#"{"keys": [], "keys": []}"#;
        let secret = json!({"keys": [{"kty": "oct", "k": "A".repeat(64)}]});
        let mut now = NOW + 90;
        for (bad, message) in [
            (ok("<html>"), "is not valid JSON"),
            (ok(""), "is empty"),
            (ok("[]"), "must be an object"),
            (ok(twice), "is not valid JSON"),
            (ok(json!({})), "is missing"),
            (ok(json!({"keys": {}})), "must be a list of 1 to 64"),
            (ok(json!({"keys": []})), "must be a list of 1 to 64"),
            (ok(json!({"keys": many})), "must be a list of 1 to 64"),
            (
                ok(json!({"keys": [5, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}]})),
                "has no key",
            ),
            (ok(secret), "has no key"),
            (ok("x".repeat(256 * 1024 + 1)), "more than 262144 bytes"),
            (status(404, set(&[1])), "status 404"),
            (status(302, ""), "status 302"),
        ] {
            assert!(is_sent(&config, now));
            let error = answer(&config, bad, now).unwrap_err();
            assert!(error.contains(message), "{error}");
            let Seen(outcome, ..) = ask(&config, &token(1), now);
            assert!(outcome.is_ok(), "{message}");
            now += 5;
            if now >= NOW + 145 {
                fetch(&config, set(&[1]), now);
                now += 90;
            }
        }
    }

    #[test]
    fn a_broken_key_beside_a_good_one_is_passed_over() {
        let config = remote();
        let mut keys = set(&[1]);
        let list = keys["keys"].as_array_mut().unwrap();
        list.insert(
            0,
            json!({"kty": "EC", "crv": "P-256", "kid": "k2", "x": "A", "y": "B"}),
        );
        list.insert(
            0,
            json!({"kty": "EC", "crv": "P-256", "kid": "k3", "d": "AA"}),
        );
        list.insert(0, json!("text"));
        fetch(&config, keys, NOW);
        assert_eq!(ask(&config, &token(1), NOW), passes("al", 99.0));
    }

    #[test]
    fn a_clock_that_goes_back_gives_keys_no_second_life() {
        let config = remote();
        fetch(&config, set(&[1]), NOW);
        assert_eq!(ask(&config, &token(1), NOW - 5000), passes("al", 99.0));
        assert!(is_sent(&config, NOW - 5000 + 90));
        answer(&config, None, NOW - 5000 + 90).unwrap_err();
        assert_eq!(
            ask(&config, &token(1), NOW - 5000 + 150),
            waits(Reason::JwksUnavailable)
        );
        assert!(
            is_sent(&config, u64::MAX),
            "and one without a time is at the end of all"
        );
    }

    #[test]
    fn hostile_tokens_wait_for_nothing() {
        let config = remote();
        let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let payload = part(r#"{"iss": "i", "exp": 1e300}"#);
        for (token, reason) in [
            (
                format!("{}.{payload}.", part(r#"{"alg": "none"}"#)),
                Reason::TokenAlgorithm,
            ),
            (
                format!(
                    "{}.{payload}.AA",
                    part(r#"{"alg": "HS256", "alg": "ES256"}"#)
                ),
                Reason::TokenMalformed,
            ),
            (
                format!(
                    "{}.{}.AA",
                    part(r#"{"alg": "ES256"}"#),
                    part(r#"{"iss": "i", "iss": "i"}"#)
                ),
                Reason::TokenMalformed,
            ),
            (
                format!(
                    "{}.{}.AA",
                    part(r#"{"alg": "ES256"}"#),
                    part(r#"{"iss": "i", "exp": 1e999}"#)
                ),
                Reason::TokenMalformed,
            ),
            (
                format!(
                    "{}.{}.AA",
                    part(r#"{"alg": "ES256"}"#),
                    part(r#"{"iss": "other"}"#)
                ),
                Reason::TokenIssuer,
            ),
            ("x".repeat(1 << 20), Reason::TokenTooLarge),
        ] {
            let Seen(outcome, waits, _) = ask(&config, &token, NOW);
            assert_eq!((outcome, waits), (Err(reason), false));
        }
    }
}

mod introspections {
    use super::*;

    fn opaque(extra: Value) -> Config {
        let mut one = json!({
            "http_uri": {"uri": "https://id/introspect", "cluster": "id"},
            "client_id": "mixer", "client_secret": "s3cret:&", "audiences": ["shop"],
            "cache_duration_seconds": 60, "negative_cache_duration_seconds": 10,
            "max_cached_tokens": 2,
        });
        for (name, value) in extra.as_object().unwrap() {
            one[name] = value.clone();
        }
        config(json!({"introspection": one}))
    }

    fn active(extra: Value) -> Value {
        let mut claims = json!({"active": true, "sub": "al", "aud": ["shop"]});
        for (name, value) in extra.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    /// What is sent, and then its answer; those who waited are told as it comes.
    fn answer(config: &Config, token: &str, answer: Option<Answer>, now: u64) -> Seen {
        let introspection = config.introspection.as_ref().unwrap();
        let call = introspection.take_call().expect("it is asked about");
        let Wanted::Introspection(name) = call.wanted else {
            panic!("a key set");
        };
        let _ = introspection.complete(name, answer, now);
        let told = ask(config, token, now);
        introspection.forget(&name);
        told
    }

    fn is_sent(config: &Config) -> bool {
        config.introspection.as_ref().unwrap().take_call().is_some()
    }

    #[test]
    fn what_is_sent() {
        let config = opaque(json!({"token_type_hint": "access_token"}));
        ask(&config, "a/b+c=&x", NOW);
        let call = config.introspection.as_ref().unwrap().take_call().unwrap();
        assert_eq!(call.method, "POST");
        let body = String::from_utf8(call.body.unwrap()).unwrap();
        assert_eq!(body, "token=a%2Fb%2Bc%3D%26x&token_type_hint=access_token");
        assert_eq!(
            call.headers,
            [
                ("accept", "application/json".to_owned()),
                (
                    "content-type",
                    "application/x-www-form-urlencoded".to_owned()
                ),
                ("authorization", "Basic bWl4ZXI6czNjcmV0JTNBJTI2".to_owned()),
            ]
        );
    }

    #[test]
    fn an_active_token_is_asked_about_once_in_its_time() {
        let config = opaque(json!({}));
        let wait = waits(Reason::IntrospectionUnavailable);
        assert_eq!(ask(&config, "t", NOW), wait);
        assert_eq!(ask(&config, "t", NOW), wait);
        assert_eq!(
            answer(&config, "t", ok(active(json!({}))), NOW),
            passes("al", 0.0)
        );
        assert_eq!(ask(&config, "t", NOW), passes("al", 59.0));
        assert_eq!(ask(&config, "t", NOW + 59), passes("al", 0.0));
        assert!(!is_sent(&config));
        assert_eq!(ask(&config, "t", NOW + 60), wait);
        assert!(is_sent(&config));
    }

    #[test]
    fn an_answer_is_never_kept_beyond_the_tokens_end() {
        let config = opaque(json!({}));
        ask(&config, "t", NOW);
        let ends = ok(active(json!({"exp": NOW + 5})));
        assert_eq!(answer(&config, "t", ends, NOW), passes("al", 0.0));
        assert_eq!(ask(&config, "t", NOW + 4), passes("al", 0.0));
        assert_eq!(
            ask(&config, "t", NOW + 5),
            waits(Reason::IntrospectionUnavailable)
        );
        let over = ok(active(json!({"exp": NOW + 5})));
        assert_eq!(
            answer(&config, "t", over, NOW + 5),
            refused(Reason::TokenExpired)
        );
    }

    #[test]
    fn refusals_are_kept_for_their_own_time() {
        for (body, reason) in [
            (json!({"active": false}), Reason::TokenInactive),
            (active(json!({"aud": "other"})), Reason::TokenAudience),
            (active(json!({"sub": ["x"]})), Reason::TokenConsumer),
            (active(json!({"exp": "soon"})), Reason::TokenMalformed),
        ] {
            let config = opaque(json!({}));
            ask(&config, "t", NOW);
            assert_eq!(answer(&config, "t", ok(body), NOW), refused(reason));
            assert_eq!(ask(&config, "t", NOW), Seen(Err(reason), false, 9.0));
            assert!(!is_sent(&config));
            assert_eq!(
                ask(&config, "t", NOW + 10),
                waits(Reason::IntrospectionUnavailable)
            );
        }
    }

    #[test]
    fn no_answer_or_rubbish_lets_nobody_in_and_is_not_kept() {
        for bad in [
            None,
            status(500, active(json!({}))),
            status(401, ""),
            status(302, ""),
            ok(""),
            ok("<html>"),
            ok("[true]"),
            ok(json!({})),
            ok(json!({"active": "true", "sub": "al", "aud": "shop"})),
            ok(json!({"active": 1, "sub": "al", "aud": "shop"})),
            ok(r#"{"active": false, "active": true, "sub": "al", "aud": "shop"}"#),
            ok(format!("{{\"active\": true{}", " ".repeat(64 * 1024))),
        ] {
            let config = opaque(json!({}));
            ask(&config, "t", NOW);
            let unavailable = refused(Reason::IntrospectionUnavailable);
            assert_eq!(answer(&config, "t", bad, NOW), unavailable);
            assert_eq!(
                ask(&config, "t", NOW),
                waits(Reason::IntrospectionUnavailable)
            );
        }
    }

    #[test]
    fn a_flood_of_bad_tokens_drives_out_no_good_one() {
        let config = opaque(json!({}));
        ask(&config, "good", NOW);
        answer(&config, "good", ok(active(json!({}))), NOW);
        for number in 0..100 {
            let token = format!("bad{number}");
            ask(&config, &token, NOW);
            answer(&config, &token, ok(json!({"active": false})), NOW);
        }
        assert_eq!(ask(&config, "good", NOW), passes("al", 59.0));
        assert_eq!(
            ask(&config, "bad99", NOW),
            Seen(Err(Reason::TokenInactive), false, 9.0)
        );
        assert_eq!(
            ask(&config, "bad97", NOW),
            waits(Reason::IntrospectionUnavailable)
        );
    }

    #[test]
    fn nothing_is_kept_where_that_is_configured_and_those_who_wait_are_told() {
        let config = opaque(json!({"cache_duration_seconds": 0}));
        ask(&config, "t", NOW);
        assert_eq!(
            answer(&config, "t", ok(active(json!({}))), NOW),
            passes("al", 0.0)
        );
        assert_eq!(
            ask(&config, "t", NOW),
            waits(Reason::IntrospectionUnavailable)
        );
    }

    #[test]
    fn long_answers_are_used_and_not_kept() {
        let config = opaque(json!({}));
        ask(&config, "t", NOW);
        let long = ok(active(json!({"x": "x".repeat(5000)})));
        assert_eq!(answer(&config, "t", long, NOW), passes("al", 0.0));
        assert_eq!(
            ask(&config, "t", NOW),
            waits(Reason::IntrospectionUnavailable)
        );
    }

    #[test]
    fn so_many_tokens_are_asked_about_at_one_time() {
        let config = opaque(json!({}));
        for number in 0..256 {
            let Seen(_, waits, _) = ask(&config, &format!("t{number}"), NOW);
            assert!(waits);
        }
        assert_eq!(
            ask(&config, "more", NOW),
            refused(Reason::IntrospectionOverloaded)
        );
        assert_eq!(
            ask(&config, "t0", NOW),
            waits(Reason::IntrospectionUnavailable)
        );
    }

    #[test]
    fn what_is_no_token_is_not_asked_about() {
        let config = opaque(json!({}));
        let long = "x".repeat(1 << 20);
        for (token, reason) in [
            (&*long, Reason::TokenTooLarge),
            ("a b", Reason::TokenMalformed),
        ] {
            let Seen(outcome, waits, _) = ask(&config, token, NOW);
            assert_eq!((outcome, waits), (Err(reason), false));
        }
        assert!(!is_sent(&config));
    }

    #[test]
    fn tokens_that_can_be_checked_here_are_not_asked_about() {
        let config = config(json!({
            "jwt": {"providers": [{
                "issuer": "i", "audiences": ["*"],
                "jwks": {"keys": [{"kty": "oct", "k": "A".repeat(64)}]},
            }]},
            "introspection": {
                "http_uri": {"uri": "https://id/introspect", "cluster": "id"}, "audiences": ["*"],
            },
        }));
        let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let token = |alg: &str, iss: &str| {
            let header = part(&format!("{{\"alg\": \"{alg}\"}}"));
            format!("{header}.{}.AAAA", part(&format!("{{\"iss\": \"{iss}\"}}")))
        };
        let Seen(outcome, waits, _) = ask(&config, &token("HS256", "i"), NOW);
        assert_eq!((outcome, waits), (Err(Reason::TokenSignature), false));
        let Seen(outcome, waits, _) = ask(&config, &token("none", "i"), NOW);
        assert_eq!((outcome, waits), (Err(Reason::TokenAlgorithm), false));
        for asked in [&*token("HS256", "other"), "opaque", "a.b.c"] {
            let Seen(_, waits, _) = ask(&config, asked, NOW);
            assert!(waits, "{asked}");
        }
    }

    #[test]
    fn a_clock_that_goes_back_ends_what_is_kept() {
        let config = opaque(json!({}));
        ask(&config, "t", NOW);
        answer(&config, "t", ok(active(json!({}))), NOW);
        assert_eq!(
            ask(&config, "t", NOW - 1),
            waits(Reason::IntrospectionUnavailable)
        );
    }
}
