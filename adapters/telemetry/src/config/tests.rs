use super::{Amount, Config, Format, Kind, Severity};
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

fn metric(own: Value) -> Value {
    let mut metric = json!({"name": "requests_total", "kind": "COUNTER"});
    for (name, value) in own.as_object().unwrap() {
        metric[name] = value.clone();
    }
    json!({"metrics": [metric]})
}

fn log(own: Value) -> Value {
    let mut log = json!({"name": "accesslog"});
    for (name, value) in own.as_object().unwrap() {
        log[name] = value.clone();
    }
    json!({"logs": [log]})
}

#[test]
fn defaults() {
    let mut both = metric(json!({}));
    both["logs"] = json!([{"name": "l"}]);
    let config = parsed(&both);
    assert_eq!(
        (config.max_series, config.metrics.len(), config.logs.len()),
        (10_000, 1, 1)
    );
    assert_eq!(config.metrics[0].kind, Kind::Counter);
    assert_eq!(config.metrics[0].amount, Amount::Constant(1));
    assert_eq!(config.logs[0].severity, Severity::Level(2));
    assert_eq!(config.logs[0].format, Format::Json);
}

#[test]
fn amounts() {
    for (value, amount) in [
        (json!(2), Amount::Constant(2)),
        (json!("3"), Amount::Constant(3)),
        (
            json!("request.size"),
            Amount::Expression("request.size".to_owned()),
        ),
    ] {
        assert_eq!(
            parsed(&metric(json!({ "value": value }))).metrics[0].amount,
            amount
        );
    }
}

#[test]
fn severities() {
    for (text, severity) in [
        ("warning", Severity::Level(3)),
        ("ERROR", Severity::Level(4)),
        ("'x'", Severity::Expression("'x'".to_owned())),
    ] {
        assert_eq!(
            parsed(&log(json!({ "severity": text }))).logs[0].severity,
            severity
        );
    }
}

#[test]
fn mistakes_are_named_with_their_path() {
    let labels = |name: &str| metric(json!({"dimensions": {name: "a"}}));
    let label = "must be a label of at most 64 letters";
    let twice = json!({"metrics": [
        {"name": "a", "kind": "COUNTER"}, {"name": "a", "kind": "GAUGE", "value": 1}
    ]});
    for (config, expected) in [
        (json!([]), "the configuration must be an object"),
        (
            json!({}),
            "the configuration needs at least one of metrics and logs",
        ),
        (
            json!({"metric": []}),
            "metric is not a known field; known here: metrics, logs, maxSe",
        ),
        (json!({"metrics": [{}]}), "metrics[0].kind is missing"),
        (
            metric(json!({"name": "9lives"})),
            "metrics[0].name must be 1 to 128 letters",
        ),
        (
            metric(json!({"name": "a;.;b"})),
            "metrics[0].name must be 1 to 128 letters",
        ),
        (
            metric(json!({"kind": "TIMER"})),
            "metrics[0].kind must be COUNTER, GAUGE or HISTOGRAM",
        ),
        (
            metric(json!({"kind": "GAUGE"})),
            "metrics[0].value is missing: only a COUNTER has a ",
        ),
        (
            metric(json!({"value": 0.5})),
            "metrics[0].value must be an expression or a whole num",
        ),
        (
            metric(json!({"value": ""})),
            "metrics[0].value must be an expression of 1 to 4096",
        ),
        (
            metric(json!({"match": true})),
            "metrics[0].match must be a string",
        ),
        (
            metric(json!({"dimensions": []})),
            "metrics[0].dimensions must be an object of 0 to 32 members",
        ),
        (labels("le"), &format!("metrics[0].dimensions.le {label}")),
        (
            labels("overflow"),
            &format!("metrics[0].dimensions.overflow {label}"),
        ),
        (
            labels("a-b"),
            &format!("metrics[0].dimensions.(a name that is not shown) {label}"),
        ),
        (labels("__a"), &format!("metrics[0].dimensions.__a {label}")),
        (
            twice,
            "metrics[1].kind must be the same as metrics[0].kind, since the names are",
        ),
        (
            log(json!({"format": "XML"})),
            "logs[0].format must be JSON or TEXT",
        ),
        (
            log(json!({"fields": {"level": "a"}})),
            "logs[0].fields.level must be a field of at most",
        ),
        (
            log(json!({"severity": " "})),
            "logs[0].severity must be an expression of 1 to 4096",
        ),
        (
            json!({"logs": [{"name": "a"}], "maxSeries": 16_001}),
            "maxSeries must be a whole number from 1 to 16000",
        ),
    ] {
        let found = error(&config);
        assert!(found.starts_with(expected), "{config}: {found}");
    }
}

#[test]
fn an_empty_configuration() {
    let error = Config::parse(b"").err().unwrap().to_string();
    assert!(error.ends_with("none was given, and at least one of metrics and logs is needed"));
}
