use super::{Action, Config, Protocol};
use serde_json::{json, Value};

fn error(config: &Value) -> String {
    match Config::parse(config.to_string().as_bytes()) {
        Ok(_) => panic!("accepted: {config}"),
        Err(error) => error.to_string(),
    }
}

fn parsed(config: &Value) -> Config {
    Config::parse(config.to_string().as_bytes()).unwrap_or_else(|e| panic!("{config}: {e}"))
}

fn deny(deny: Value) -> Value {
    json!({"rules": [{"deny": deny}]})
}

fn list(own: Value) -> Value {
    let mut list = json!({"value": "source.address", "entries": ["a"]});
    for (name, value) in own.as_object().unwrap() {
        list[name] = value.clone();
    }
    json!({"rules": [{"list": list}]})
}

#[test]
fn defaults() {
    let config = parsed(&json!({"rules": [{"deny": {}}, {"list": {"value": "a", "entries": []}}]}));
    assert_eq!(
        (config.valid_duration.as_str(), config.valid_use_count),
        ("5s", 1000)
    );
    assert_eq!(config.rules[1].name, "rules_1");
    let (Action::Deny(deny), Action::Check(check)) =
        (&config.rules[0].action, &config.rules[1].action)
    else {
        panic!("other actions");
    };
    assert_eq!(
        (deny.code, deny.status, deny.message.as_str()),
        (9, 412, "")
    );
    assert_eq!((check.code, check.status, check.blacklist), (7, 403, false));
}

#[test]
fn protocols() {
    for (own, protocol) in [
        (json!({}), Protocol::Http),
        (json!({"protocol": "HTTP"}), Protocol::Http),
        (json!({"protocol": "TCP"}), Protocol::Tcp),
    ] {
        let mut config = deny(json!({}));
        for (name, value) in own.as_object().unwrap() {
            config[name] = value.clone();
        }
        assert_eq!(parsed(&config).protocol, protocol);
    }
    let mut config = deny(json!({}));
    config["protocol"] = json!("UDP");
    assert_eq!(error(&config), "protocol must be HTTP or TCP");
}

#[test]
fn statuses_of_codes() {
    for (code, status) in [
        (3, 400),
        (5, 404),
        (7, 403),
        (8, 429),
        (13, 500),
        (14, 503),
        (16, 401),
    ] {
        let config = parsed(&deny(json!({ "code": code })));
        let Action::Deny(deny) = &config.rules[0].action else {
            panic!("another action")
        };
        assert_eq!((deny.code, deny.status), (code, status));
    }
}

#[test]
fn mistakes_are_named_with_their_path() {
    for (config, expected) in [
        (json!([]), "the configuration must be an object"),
        (json!({}), "rules is missing"),
        (
            json!({"rules": []}),
            "rules must be a list of 1 to 256 entries",
        ),
        (
            json!({"rule": []}),
            "rule is not a known field; known here: protocol, rules, ",
        ),
        (
            json!({"rules": [{}]}),
            "rules[0] must have exactly one of deny and list",
        ),
        (
            json!({"rules": [{"deny": {}, "list": {"value": "a", "entries": []}}]}),
            "rules[0] must have exactly one of deny and list",
        ),
        (
            json!({"rules": [{"deny": {}, "name": "a b"}]}),
            "rules[0].name must be 1 to 128 ",
        ),
        (
            json!({"rules": [{"deny": {}, "match": " "}]}),
            "rules[0].match must be an expression",
        ),
        (
            json!({"rules": [{"deny": {}, "match": 1}]}),
            "rules[0].match must be a string",
        ),
        (
            deny(json!({"code": 0})),
            "rules[0].deny.code must be a whole number from 1 to 16",
        ),
        (
            deny(json!({"code": 7.5})),
            "rules[0].deny.code must be a whole number from 1 to 16",
        ),
        (
            deny(json!({"status": 200})),
            "rules[0].deny.status must be a whole number from 400 to 599",
        ),
        (
            deny(json!({"message": "a\nb"})),
            "rules[0].deny.message must be at most 1024 bytes",
        ),
        (
            list(json!({"type": "REGEXP"})),
            "rules[0].list.type must be STRINGS, ",
        ),
        (
            list(json!({"entries": [""]})),
            "rules[0].list.entries[0] must be 1 to 1024 bytes",
        ),
        (
            list(json!({"type": "IP_ADDRESSES", "entries": ["10.0.0.1", "10.0.0.0/33"]})),
            "rules[0].list.entries[1] must be an IP address, or a network such as 10.0.0.0/8",
        ),
        (
            list(json!({"type": "REGEX", "entries": ["a("]})),
            "rules[0].list.entries[0] is not a regular expression that is known here",
        ),
        (
            list(json!({"type": "REGEX", "entries": ["(a{1000}){1000}"]})),
            "rules[0].list.entries[0] is not a regular expression that is known here",
        ),
        (
            list(json!({"blacklist": "no"})),
            "rules[0].list.blacklist must be true or false",
        ),
        (
            json!({"rules": [{"deny": {}}], "validDuration": "5"}),
            "validDuration must be a duration from 0s to 24h such as 5s or 1m30s",
        ),
        (
            json!({"rules": [{"deny": {}}], "validUseCount": -2}),
            "validUseCount must be a whole number from -1 to 2147483647",
        ),
    ] {
        let found = error(&config);
        assert!(found.starts_with(expected), "{config}: {found}");
    }
}

#[test]
fn an_empty_configuration() {
    let error = Config::parse(b" ").err().unwrap().to_string();
    assert_eq!(
        error,
        "the configuration is empty: none was given, and rules are needed"
    );
}
