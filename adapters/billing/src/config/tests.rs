use super::{Config, OnError, Period, RecordOn, Source, Tier, UnknownSubject};
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

fn with(own: Value) -> Value {
    let mut config = json!({"subject": "request.host"});
    for (name, value) in own.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn plan(own: Value) -> Value {
    let mut plan = json!({"name": "p", "version": "1", "currency": "EUR", "rates": {}});
    for (name, value) in own.as_object().unwrap() {
        plan[name] = value.clone();
    }
    with(json!({"plans": [plan]}))
}

fn rate(own: Value) -> Value {
    plan(json!({"rates": {"calls": own}}))
}

#[test]
fn defaults() {
    let config = parsed(&with(json!({})));
    assert_eq!(config.record_on, RecordOn::Log);
    assert_eq!(config.on_error, OnError::Deny);
    assert_eq!(config.unknown_subject, UnknownSubject::Skip);
    assert_eq!(config.meters[0].source, Source::One);
    assert_eq!((config.meters.len(), config.tokens.len()), (1, 8));
    assert!(config.default_plan.is_none() && config.key.is_none());
}

#[test]
fn meters() {
    let config = parsed(&with(json!({
        "tokenFields": {"credits": ["meta.credits"], "input_tokens": ["in"]},
        "meters": ["calls", "total_bytes", "input_tokens", "credits",
                   {"name": "output_tokens", "match": "true"}, {"name": "ms", "value": "1"}]
    })));
    let sources: Vec<&Source> = config.meters.iter().map(|meter| &meter.source).collect();
    let own = Source::Expression("1".to_owned());
    let expected = [
        &Source::One,
        &Source::TotalBytes,
        &Source::Tokens(0),
        &Source::Tokens(8),
        &Source::Tokens(1),
        &own,
    ];
    assert_eq!(sources, expected);
    assert_eq!(config.tokens[0].paths, ["in"]);
    assert!(config.meters[4].condition.is_some());
}

#[test]
fn plans() {
    let config = parsed(&rate(
        json!({"included": 1000, "per": 10, "mode": "VOLUME", "tiers": [
        {"upTo": 5, "price": "0.5"}, {"price": "0.000000001"}]}),
    ));
    let plan = &config.plans[0];
    assert_eq!((config.default_plan, plan.period), (Some(0), Period::Month));
    let rate = &plan.rates[0];
    assert_eq!((rate.included, rate.per, rate.volume), (1000, 10, true));
    let tiers = [
        Tier {
            up_to: 5,
            price_nanos: 500_000_000,
        },
        Tier {
            up_to: 0,
            price_nanos: 1,
        },
    ];
    assert_eq!(rate.tiers, tiers);
    let flat = parsed(&rate_of("2"));
    assert_eq!(
        flat.plans[0].rates[0].tiers,
        [Tier {
            up_to: 0,
            price_nanos: 2_000_000_000
        }]
    );
}

fn rate_of(price: &str) -> Value {
    rate(json!({ "price": price }))
}

#[test]
fn mistakes_are_named_with_their_path() {
    let two = |more: Value| {
        let mut config = with(json!({"plans": [
            {"name": "a", "version": "1", "currency": "EUR", "rates": {}},
            {"name": "b", "version": "1", "currency": "EUR", "rates": {}}]}));
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    };
    let tiers = |list: Value| rate(json!({ "tiers": list }));
    let decimal = "plans[0].rates.calls.price must be a decimal number as text, such as";
    for (config, expected) in [
        (json!([]), "the configuration must be an object"),
        (json!({}), "subject is missing"),
        (
            with(json!({"unknown_subject": "deny"})),
            "unknown_subject is not a known field; known ",
        ),
        (
            with(json!({"subject": " "})),
            "subject must be an expression of 1 to 4096",
        ),
        (
            with(json!({"recordOn": "check"})),
            "recordOn must be log or request",
        ),
        (
            with(json!({"recordOn": true})),
            "recordOn must be log or request",
        ),
        (
            with(json!({"on": "request"})),
            "on is not a known field: recordOn says when a record is made; known here: ",
        ),
        (
            with(json!({"true": "request"})),
            "true is not a known field: recordOn says when a record is made; known here: ",
        ),
        (
            with(json!({"onError": "skip"})),
            "onError must be deny or allow",
        ),
        (
            with(json!({"unknownSubject": "a\nb"})),
            "unknownSubject must be deny, skip, or the name",
        ),
        (
            with(json!({"unknownSubject": "x".repeat(257)})),
            "unknownSubject must be deny, skip, or",
        ),
        (
            with(json!({"meters": []})),
            "meters must be a list of 1 to 32 entries",
        ),
        (
            with(json!({"meters": ["call"]})),
            "meters[0] needs a value: without one a meter is calls",
        ),
        (
            with(json!({"meters": ["calls", {"name": "calls", "value": "2"}]})),
            "meters[1].name must not be the same as that of meters[0]",
        ),
        (
            with(json!({"meters": [{"name": "a b", "value": "1"}]})),
            "meters[0].name must be 1 to 64",
        ),
        (
            with(json!({"recordOn": "request", "meters": ["total_tokens"]})),
            "meters[0] is known when a request is over: it needs recordOn: log",
        ),
        (
            with(json!({"meters": [{"name": "calls", "value": 2}]})),
            "meters[0].value must be an expression of 1 to 4096 bytes as text, such as \"1\"",
        ),
        (
            with(json!({"unknownSubject": false})),
            "unknownSubject must be deny, skip, or the name",
        ),
        (
            with(json!({"onError": false})),
            "onError must be deny or allow",
        ),
        (
            with(json!({"recordOn": "request", "match": "response.code < 400"})),
            "match reads response.*, which is known when a request is over: it needs recordOn: log",
        ),
        (
            with(json!({"recordOn": "request", "subject": "response.headers['x-user']"})),
            "subject reads response.*",
        ),
        (
            with(
                json!({"recordOn": "request", "meters": [{"name": "x", "value": "response.size"}]}),
            ),
            "meters[0].value reads response.*",
        ),
        (
            with(
                json!({"recordOn": "request", "meters": ["calls", {"name": "x", "value": "1",
                "match": "response.code == 200"}]}),
            ),
            "meters[1].match reads response.*",
        ),
        (
            with(json!({"tokenFields": {"calls": ["a"]}})),
            "tokenFields.calls must be 1 to 64 lett",
        ),
        (
            with(json!({"tokenFields": {"x": ["a..b"]}})),
            "tokenFields.x[0] must be 1 to 8 names of",
        ),
        (
            with(json!({"tokenFields": {"x": ["a.b.c.d.e.f.g.h.i"]}})),
            "tokenFields.x[0] must be 1",
        ),
        (
            with(json!({"labels": {"a b": "x"}})),
            "labels.(a name that is not shown) must be 1 to 64",
        ),
        (
            with(json!({"defaultPlan": "x"})),
            "defaultPlan must be the name of one of the plans",
        ),
        (
            two(json!({})),
            "defaultPlan is missing: there are several plans, and no plan to choose",
        ),
        (
            plan(json!({"version": 2})),
            "plans[0].version must be 1 to 64 letters, digits, dots, hyphens and underscores as text",
        ),
        (
            plan(json!({"currency": "euro"})),
            "plans[0].currency must be a currency of three capital",
        ),
        (
            plan(json!({"period": "YEAR"})),
            "plans[0].period must be MONTH or DAY",
        ),
        (
            rate(json!({})),
            "plans[0].rates.calls needs either price or tiers",
        ),
        (
            rate(json!({"price": "1", "tiers": [{"price": "1"}]})),
            "plans[0].rates.calls needs eith",
        ),
        (rate(json!({"price": 0.5})), decimal),
        (rate_of("1e3"), decimal),
        (
            rate_of("0.0000000001"),
            "plans[0].rates.calls.price must have no more than nine decimal",
        ),
        (
            rate_of("9999999999999"),
            "plans[0].rates.calls.price must be at most 9223372036.85477",
        ),
        (
            rate(json!({"price": "1", "per": 0})),
            "plans[0].rates.calls.per must be a whole number fr",
        ),
        (
            rate(json!({"price": "1", "mode": "FLAT"})),
            "plans[0].rates.calls.mode must be GRADUATED",
        ),
        (
            tiers(json!([{"upTo": 5, "price": "1"}])),
            "plans[0].rates.calls.tiers[0].upTo must not be there: the last tier has no end",
        ),
        (
            tiers(json!([{"price": "1"}, {"price": "1"}])),
            "plans[0].rates.calls.tiers[0].upTo is missing: only the last tier",
        ),
        (
            tiers(json!([{"upTo": 5, "price": "1"}, {"upTo": 5, "price": "1"}, {"price": "1"}])),
            "plans[0].rates.calls.tiers[1].upTo must be more than that of the tier before",
        ),
    ] {
        let found = error(&config);
        assert!(found.starts_with(expected), "{config}: {found}");
    }
}

#[test]
fn plans_of_one_name() {
    let same = json!({"name": "a", "version": "1", "currency": "EUR", "rates": {}});
    let found = error(&with(json!({"plans": [same, same]})));
    assert_eq!(found, "plans[1].name must not be the same as plans[0].name");
    let both = json!({"name": "b", "version": "1", "currency": "EUR", "rates": {}});
    let config = parsed(&with(json!({"plans": [same, both], "plan": "'a'"})));
    assert_eq!(config.default_plan, None);
    let config = parsed(&with(json!({"plans": [same, both], "defaultPlan": "b"})));
    assert_eq!(config.default_plan, Some(1));
}

#[test]
fn what_reads_the_response_too_early() {
    let reading = json!({
        "plan": "response.headers['x-plan']",
        "idempotencyKey": "response.headers['x-id']",
        "labels": {"code": "response.code", "path": "request.path",
            "asked": "has(response.code) ? 'a' : 'b'", "text": "'response.code'"},
        "match": "!has(response.code) || response.code < 400"
    });
    assert_eq!(parsed(&with(reading.clone())).early_fields(), [""; 0]);
    let mut early = with(reading);
    early["recordOn"] = json!("request");
    let fields = ["plan", "idempotencyKey", "labels.code"];
    assert_eq!(parsed(&early).early_fields(), fields);
}
