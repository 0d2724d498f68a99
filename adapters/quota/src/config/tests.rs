use super::{Config, OnError};
use crate::domain::Rate;
use crate::limit::{Algorithm, Cost, Limit};
use serde_json::{json, Value};

const S: u64 = 1_000_000_000;

fn parse(config: &Value) -> Result<Config, super::ConfigError> {
    Config::parse(config.to_string().as_bytes())
}

fn error(config: &Value) -> String {
    match parse(config) {
        Ok(_) => panic!("accepted: {config}"),
        Err(error) => error.to_string(),
    }
}

fn with(extra: Value) -> Value {
    let mut config = json!({"quotas": [{"name": "q", "max": 5, "window": "1s"}]});
    for (name, value) in extra.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn quota(extra: Value) -> Value {
    let mut quota = json!({"name": "q", "max": 5, "window": "1s"});
    for (name, value) in extra.as_object().unwrap() {
        quota[name] = value.clone();
    }
    json!({"quotas": [quota]})
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = parse(&with(json!({}))).unwrap();
    assert_eq!(config.quotas[0].limit, Limit::fixed(5, S));
    assert_eq!(config.quotas[0].records.count, 1);
    assert_eq!(config.deduplication.window, 10 * S);
    assert_eq!(config.deduplication.entries, 256);
    assert_eq!(config.check_validity, 60 * S);
    assert_eq!(config.on_error, OnError::Deny);
    assert!(!config.rate_limit_headers);
    let config = parse(&with(json!({"deduplication": {}, "onError": "allow"}))).unwrap();
    assert_eq!(config.deduplication.entries, 256);
    assert_eq!(config.on_error, OnError::Allow);
}

#[test]
fn the_first_override_that_fits_holds() {
    let config = parse(&quota(json!({
        "dimensions": {"source": "a", "destination": "b"},
        "overrides": [
            {"dimensions": {"destination": "ratings", "source": "reviews"}, "max": 1},
            {"dimensions": {"destination": "ratings"}, "max": 100, "window": "1m"},
        ],
    })))
    .unwrap();
    let limit = |destination: &str, source: &str| {
        let values = [destination.as_bytes().to_vec(), source.as_bytes().to_vec()];
        config.quotas[0].limit_for(&values)
    };
    assert_eq!(limit("ratings", "reviews"), Limit::fixed(1, S));
    let minute = Limit::fixed(100, 60 * S);
    assert_eq!(limit("ratings", "x"), minute);
    assert_eq!(limit("reviews", "ratings"), Limit::fixed(5, S));
    assert_eq!(config.quotas[0].records.count, 512);
}

#[test]
fn bounds_are_part_of_the_range() {
    for good in [
        quota(json!({"name": "x".repeat(253), "max": 9_007_199_254_740_991_u64})),
        quota(json!({"window": "1ms", "max": 1.0})),
        quota(json!({"window": "8760h", "match": "true"})),
        quota(json!({"dimensions": {"a": "1"}, "maxKeys": 1})),
        quota(json!({"dimensions": {"a": "1"}, "maxKeys": 1 << 20})),
        with(json!({"checkValidity": "0s", "deduplication": {"window": "1ms", "entries": 1024}})),
    ] {
        if let Err(error) = parse(&good) {
            panic!("{good}: {error}");
        }
    }
}

#[test]
fn mistakes_are_named_with_their_path() {
    let dimension = |d: Value| quota(json!({"dimensions": d}));
    let over = |o: Value| quota(json!({"dimensions": {"a": "1"}, "overrides": [o]}));
    let range = "must be a duration as text, such as \"60s\" or \"1m30s\", from ";
    let amount = "must be a whole number from 1 to 9007199254740991";
    let twice = json!({"name": "q", "max": 5, "window": "1s"});
    for (config, message) in [
        (json!([]), "the configuration must be an object".to_owned()),
        (json!({}), "the configuration has neither quotas nor domains".to_owned()),
        (with(json!({"quotas": []})), "quotas must be a list of 1 to 256 entries".to_owned()),
        (with(json!({"quotas": [twice, twice]})), "quotas[1].name is the name of another quota too".to_owned()),
        (with(json!({"onEror": "allow"})), "onEror is not a known field; known here: quotas, domains, deduplication, checkValidity, onError, rateLimitHeaders".to_owned()),
        (with(json!({"onError": "open"})), "onError must be deny or allow".to_owned()),
        (with(json!({"checkValidity": "25h"})), format!("checkValidity {range}0s to 24h")),
        (with(json!({"deduplication": {"window": 1}})), format!("deduplication.window {range}1ms to 24h")),
        (quota(json!({"window": 60})), format!("quotas[0].window {range}1ms to 8760h")),
        (with(json!({"deduplication": {"window": "0s"}})), format!("deduplication.window {range}1ms to 24h")),
        (with(json!({"deduplication": {"entries": 1025}})), "deduplication.entries must be a whole number from 1 to 1024".to_owned()),
        (quota(json!({"max": 0})), format!("quotas[0].max {amount}")),
        (quota(json!({"max": -1})), format!("quotas[0].max {amount}")),
        (quota(json!({"max": 1.5})), format!("quotas[0].max {amount}")),
        (quota(json!({"max": 9_007_199_254_740_992_u64})), format!("quotas[0].max {amount}")),
        (quota(json!({"max": "5"})), "quotas[0].max must be a number".to_owned()),
        (quota(json!({"window": "999us"})), format!("quotas[0].window {range}1ms to 8760h")),
        (quota(json!({"window": "8761h"})), format!("quotas[0].window {range}1ms to 8760h")),
        (quota(json!({"window": "1"})), format!("quotas[0].window {range}1ms to 8760h")),
        (quota(json!({"name": ""})), "quotas[0].name must be text of 1 to 253 visible ASCII characters without \" and \\ and ,".to_owned()),
        (quota(json!({"name": "x".repeat(254)})), "quotas[0].name must be text of 1 to 253 visible ASCII characters without \" and \\ and ,".to_owned()),
        (quota(json!({"name": "a,b"})), "quotas[0].name must be text of 1 to 253 visible ASCII characters without \" and \\ and ,".to_owned()),
        (quota(json!({"match": " "})), "quotas[0].match must be a CEL expression of 1 to 1024 bytes as text, such as \"true\"".to_owned()),
        (quota(json!({"maxKeys": 5})), "quotas[0] needs dimensions, or no maxKeys".to_owned()),
        (dimension(json!(["a"])), "quotas[0].dimensions must be an object of 0 to 16 members".to_owned()),
        (dimension(json!({"a": 1})), "quotas[0].dimensions.a must be a CEL expression of 1 to 1024 bytes as text, such as \"true\"".to_owned()),
        (dimension(json!({"a": "x".repeat(1025)})), "quotas[0].dimensions.a must be a CEL expression of 1 to 1024 bytes as text, such as \"true\"".to_owned()),
        (over(json!({"max": 1})), "quotas[0].overrides[0].dimensions is missing".to_owned()),
        (over(json!({"dimensions": {}, "max": 1})), "quotas[0].overrides[0].dimensions must be an object of 1 to 16 members".to_owned()),
        (over(json!({"dimensions": {"b": "x"}, "max": 1})), "quotas[0].overrides[0].dimensions.b is not one of the quota's dimensions".to_owned()),
        (over(json!({"dimensions": {"a": 1}, "max": 1})), "quotas[0].overrides[0].dimensions.a must be text, such as \"10\"".to_owned()),
        (over(json!({"dimensions": {"a": "x"}})), "quotas[0].overrides[0].max is missing".to_owned()),
    ] {
        assert_eq!(error(&config), message, "{config}");
    }
}

#[test]
fn an_absent_configuration_is_called_absent() {
    for text in ["", "  \n"] {
        let message = Config::parse(text.as_bytes()).err().unwrap().to_string();
        let expected =
            "the configuration is empty: none was given, and quotas or domains are needed";
        assert_eq!(message, expected);
    }
}

#[test]
fn limits_count_as_configured() {
    let config = parse(&quota(json!({
        "algorithm": "TOKEN_BUCKET", "burst": 20, "cost": "request.size", "shadow": true,
        "dimensions": {"a": "1"},
        "overrides": [
            {"dimensions": {"a": "1"}, "max": 7},
            {"dimensions": {"a": "2"}, "max": 7, "burst": 8},
            {"dimensions": {"a": "3"}, "max": 7, "algorithm": "FIXED_WINDOW"},
            {"dimensions": {"a": "4"}, "max": 7, "algorithm": "SLIDING_WINDOW", "burst": 1},
        ],
    })))
    .unwrap();
    let quota = &config.quotas[0];
    let bucket = |max, burst| Limit {
        algorithm: Algorithm::TokenBucket,
        burst,
        ..Limit::fixed(max, S)
    };
    let sliding = Limit {
        algorithm: Algorithm::SlidingWindow,
        ..bucket(7, 1)
    };
    let limits = quota.overrides.iter().map(|o| o.limit).collect::<Vec<_>>();
    assert_eq!(quota.limit, bucket(5, 20));
    assert_eq!(
        limits,
        [bucket(7, 7), bucket(7, 8), Limit::fixed(7, S), sliding]
    );
    assert!(quota.shadow);
    assert!(matches!(&quota.cost, Cost::Expression(text) if text == "request.size"));
    let config = parse(&with(json!({}))).unwrap();
    assert!(!config.quotas[0].shadow);
    assert!(matches!(config.quotas[0].cost, Cost::Constant(1)));
}

#[test]
fn mistakes_in_how_limits_count_are_named_with_their_path() {
    let bucket = |more: Value| {
        let mut one = json!({"algorithm": "TOKEN_BUCKET"});
        one["burst"] = more;
        quota(one)
    };
    let over = |o: Value| quota(json!({"dimensions": {"a": "1"}, "overrides": [o]}));
    let amount = "must be a whole number from 1 to 9007199254740991";
    for (config, message) in [
        (
            quota(json!({"algorithm": "GCRA"})),
            "quotas[0].algorithm must be FIXED_WINDOW, SLIDING_WINDOW or TOKEN_BUCKET".to_owned(),
        ),
        (
            quota(json!({"burst": 5})),
            "quotas[0].burst is not for FIXED_WINDOW".to_owned(),
        ),
        (bucket(json!(0)), format!("quotas[0].burst {amount}")),
        (
            bucket(json!("5")),
            "quotas[0].burst must be a number".to_owned(),
        ),
        (
            bucket(json!(9_007_199_254_740_991_u64)),
            "quotas[0].burst must come back within 87600h, at max in each window".to_owned(),
        ),
        (
            quota(json!({"cost": -1})),
            "quotas[0].cost must be a whole number from 0 to 9007199254740991".to_owned(),
        ),
        (
            quota(json!({"cost": ""})),
            "quotas[0].cost must be a CEL expression of 1 to 1024 bytes as text, such as \"true\""
                .to_owned(),
        ),
        (
            quota(json!({"shadow": "yes"})),
            "quotas[0].shadow must be true or false".to_owned(),
        ),
        (
            over(json!({"dimensions": {"a": "1"}, "max": 1, "burst": 1})),
            "quotas[0].overrides[0].burst is not for FIXED_WINDOW".to_owned(),
        ),
    ] {
        assert_eq!(error(&config), message, "{config}");
    }
}

fn domain(extra: Value) -> Value {
    let mut domain = json!({"domain": "d", "descriptors": []});
    for (name, value) in extra.as_object().unwrap() {
        domain[name] = value.clone();
    }
    json!({"domains": [domain]})
}

fn rule(extra: Value) -> Value {
    let mut rule = json!({"key": "k"});
    for (name, value) in extra.as_object().unwrap() {
        rule[name] = value.clone();
    }
    domain(json!({"descriptors": [rule]}))
}

#[test]
fn domains_are_as_those_of_others() {
    let minute = json!({"unit": "minute", "requests_per_unit": 5});
    let config = parse(&rule(json!({
        "rate_limit": minute,
        "shadow_mode": true,
        "descriptors": [
            {"key": "a", "value": "v", "rate_limit": {"unlimited": true}},
            {"key": "a", "rate_limit": {"name": "n", "unit": "DAY", "requests_per_unit": 0}},
        ],
    })))
    .unwrap();
    let rule = &config.domains[0].rules[0];
    let limited = |name: Option<&str>, max, window| Rate::Limited {
        name: name.map(str::to_owned),
        limit: Limit::fixed(max, window),
    };
    assert_eq!(rule.rate, Some(limited(None, 5, 60 * S)));
    assert_eq!(rule.rules[0].rate, Some(Rate::Unlimited));
    assert!(rule.shadow && !rule.rules[0].shadow);
    assert_eq!(rule.rules[0].value.as_deref(), Some("v"));
    assert_eq!(
        rule.rules[1].rate,
        Some(limited(Some("n"), 0, 24 * 3600 * S))
    );
    assert_eq!(config.domains[0].records.count, 512);
    assert!(config.quotas.is_empty());
    assert_eq!(
        parse(&domain(json!({"maxKeys": 1})))
            .err()
            .map(|e| e.to_string()),
        Some("domains[0].descriptors must be a list of 1 to 4096 entries".to_owned())
    );
}

#[test]
fn mistakes_in_domains_are_named_with_their_path() {
    let rate = |rate: Value| rule(json!({"rate_limit": rate}));
    let at = "domains[0].descriptors[0]";
    let twice = json!([{"key": "k", "value": "v"}, {"key": "k"}, {"key": "k", "value": "v"}]);
    let mut deep = json!({"key": "k"});
    for _ in 0..16 {
        deep = json!({"key": "k", "descriptors": [deep]});
    }
    let under = ".descriptors[0]".repeat(16);
    for (config, message) in [
        (json!({"domains": []}), "domains must be a list of 1 to 64 entries".to_owned()),
        (json!({"domains": [{}]}), "domains[0].domain is missing".to_owned()),
        (with(json!({"domains": [{"domain": "q"}]})), "domains[0].domain is the name of another domain or quota too".to_owned()),
        (json!({"domains": [{"domain": "a"}, {"domain": "a"}]}), "domains[1].domain is the name of another domain or quota too".to_owned()),
        (rule(json!({"key": ""})), format!("{at}.key must be text of 1 to 1024 bytes, such as \"10\"")),
        (rule(json!({"value": "a*"})), format!("{at}.value must have no *: patterns are not supported")),
        (rule(json!({"replaces": []})), format!("{at}.replaces is not a known field; known here: key, value, rate_limit, shadow_mode, descriptors")),
        (rule(json!({"shadow_mode": 1})), format!("{at}.shadow_mode must be true or false")),
        (rate(json!({"requests_per_unit": 1, "unit": "day", "burst": 2})), format!("{at}.rate_limit.burst is not for FIXED_WINDOW")),
        (rate(json!({"unlimited": true, "algorithm": "TOKEN_BUCKET"})), format!("{at}.rate_limit is unlimited, so that it has no unit and no number")),
        (domain(json!({"descriptors": twice})), "domains[0].descriptors[2] has the key and value of another one".to_owned()),
        (domain(json!({"descriptors": [deep]})), format!("domains[0]{under}.descriptors is deeper than 16 levels")),
        (rate(json!({"unit": "second"})), format!("{at}.rate_limit.requests_per_unit is missing")),
        (rate(json!({"requests_per_unit": 1})), format!("{at}.rate_limit.unit is missing")),
        (rate(json!({"requests_per_unit": 4_294_967_296_u64})), format!("{at}.rate_limit.requests_per_unit must be a whole number from 0 to 4294967295")),
        (rate(json!({"requests_per_unit": 1, "unit": "eon"})), format!("{at}.rate_limit.unit must be second, minute, hour, day, week, month or year")),
        (rate(json!({"unlimited": true, "unit": "day"})), format!("{at}.rate_limit is unlimited, so that it has no unit and no number")),
    ] {
        assert_eq!(error(&config), message, "{config}");
    }
}
