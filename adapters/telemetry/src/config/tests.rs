use super::{Amount, Config, Format, Kind, Origin, Severity};
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
            json!({"metrics": []}),
            "the configuration needs at least one of istio, metrics, logs and tracing",
        ),
        (
            json!({"metric": []}),
            "metric is not a known field; known here: istio, metrics, logs, maxSe",
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
    for text in ["", " \n", "{}"] {
        let config = Config::parse(text.as_bytes()).unwrap();
        assert!(
            config.istio.is_some() && config.metrics.is_empty(),
            "{text:?}"
        );
    }
    assert!(parsed(&log(json!({}))).istio.is_some());
    assert!(parsed(&metric(json!({}))).istio.is_none());
    assert!(parsed(&json!({"istio": false, "tracing": {}}))
        .istio
        .is_none());
}

fn overridden(one: Value) -> Value {
    json!({"istio": {"overrides": [one]}})
}

fn otlp(own: Value) -> Value {
    let mut otlp = json!({"cluster": "collector"});
    for (name, value) in own.as_object().unwrap() {
        otlp[name] = value.clone();
    }
    json!({ "otlp": otlp })
}

#[test]
fn overrides() {
    let config = parsed(&json!({"istio": {"overrides": [
        {"tagOverrides": {"reporter": {"operation": "REMOVE"}, "x": {"value": "a"}}},
        {"match": {"metric": "REQUEST_COUNT", "mode": "CLIENT"}, "disabled": true},
        {"match": {"metric": "REQUEST_SIZE"}, "tagOverrides": {"x": {"value": "b"}}},
    ]}}));
    let istio = config.istio.unwrap();
    assert!(istio.labels(0, 0).is_none() && istio.labels(0, 1).is_some());
    let labels = istio.labels(2, 1).unwrap();
    assert!(!labels.iter().any(|(name, _)| *name == "reporter"));
    assert_eq!(labels.len(), 25);
    assert_eq!(labels.last(), Some(&("x", Origin::Tag(2))));
    assert_eq!(
        istio.labels(7, 1).unwrap().len(),
        23,
        "a connection has no codes"
    );
}

#[test]
fn mistakes_in_what_is_new() {
    for (config, expected) in [
        (
            json!({"istio": {"reporter": "GATEWAY"}}),
            "istio.reporter must be SOURCE or DESTINATION",
        ),
        (
            overridden(json!({"match": {"metric": "GRPC"}})),
            "istio.overrides[0].match.metric must be ALL_METRICS, REQUEST_COUNT",
        ),
        (
            overridden(json!({"match": {"mode": "x"}})),
            "istio.overrides[0].match.mode must be CLIENT",
        ),
        (
            overridden(json!({"tagOverrides": {"le": {"operation": "REMOVE"}}})),
            "istio.overrides[0].tagOverrides.le must be a label",
        ),
        (
            overridden(json!({"tagOverrides": {"a": {"operation": "REMOVE", "value": "b"}}})),
            "istio.overrides[0].tagOverrides.a.operation must be UPSERT with a value",
        ),
        (
            overridden(json!({"tagOverrides": {"a": {}}})),
            "istio.overrides[0].tagOverrides.a.value is missing",
        ),
        (
            json!({"istio": true, "metrics": [{"name": "istio_requests_total", "kind": "COUNTER"}]}),
            "metrics[0].name is that of a metric of istio",
        ),
        (
            log(json!({"sampling": {}})),
            "logs[0].sampling needs either percent or perSecond",
        ),
        (
            log(json!({"sampling": {"percent": 101}})),
            "logs[0].sampling.percent must be a number from 0 to 100",
        ),
        (
            log(json!({"output": "OTLP"})),
            "logs[0].output is OTLP, and there is no otlp",
        ),
        (
            json!({"tracing": {"propagation": ["JAEGER"]}}),
            "tracing.propagation[0] must be W3C, B3 or B3_MULTI",
        ),
        (
            json!({"tracing": {"propagation": []}}),
            "tracing.propagation must be a list of 1 to 3",
        ),
        (
            json!({"tracing": {"sampling": -1}}),
            "tracing.sampling must be a number from 0 to 100",
        ),
        (
            json!({"tracing": {"urlQuery": "yes"}}),
            "tracing.urlQuery must be true or false",
        ),
        (json!({"otlp": {}}), "otlp.cluster is missing"),
        (
            otlp(json!({"cluster": "x".repeat(121)})),
            "otlp.cluster must be 1 to 120 bytes",
        ),
        (
            otlp(json!({"interval": "1h"})),
            "otlp.interval must be a duration such as 1s",
        ),
        (
            otlp(json!({"interval": "9ms"})),
            "otlp.interval must be a duration such as 1s",
        ),
        (
            otlp(json!({"headers": {"A": "b"}})),
            "otlp.headers.A must have a sound name",
        ),
        (
            otlp(json!({"headers": {"a": "b\n"}})),
            "otlp.headers.a must have a sound name",
        ),
        (
            otlp(json!({"batchSize": 0})),
            "otlp.batchSize must be a whole number from 1",
        ),
    ] {
        let found = error(&config);
        assert!(found.starts_with(expected), "{config}: {found}");
    }
    assert_eq!(
        parsed(&otlp(json!({"interval": "1m"})))
            .otlp
            .unwrap()
            .interval,
        60_000
    );
}
