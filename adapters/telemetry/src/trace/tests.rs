//! The headers of traces, against each other and against what the Recommendation says.

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn sampled(incoming: Option<Incoming>) -> Option<(bool, Option<bool>)> {
    incoming.map(|one| (one.parent.is_some(), one.sampled))
}

#[test]
fn good_traceparents() {
    for (text, flag) in [
        (format!("00-{TRACE}-{SPAN}-01"), true),
        (format!("00-{TRACE}-{SPAN}-00"), false),
        (format!("00-{TRACE}-{SPAN}-ff"), true),
        (format!("00-{TRACE}-{SPAN}-02"), false),
        (format!("cc-{TRACE}-{SPAN}-01"), true),
        (format!("cc-{TRACE}-{SPAN}-01-what the future brings"), true),
    ] {
        let found = parse_traceparent(text.as_bytes());
        assert_eq!(sampled(found), Some((true, Some(flag))), "{text}");
    }
}

#[test]
fn bad_traceparents() {
    for text in [
        String::new(),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-0"),
        format!("00-{TRACE}-{SPAN}-01-x"),
        format!("00-{TRACE}-{SPAN}-01."),
        format!("cc-{TRACE}-{SPAN}-01.x"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("00_{TRACE}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{TRACE}-{SPAN}-0x"),
        format!("00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01"),
        format!("0\u{e9}-{TRACE}-{SPAN}-01"),
    ] {
        assert_eq!(parse_traceparent(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn good_b3() {
    for (text, found) in [
        (format!("{TRACE}-{SPAN}"), (true, None)),
        (format!("{TRACE}-{SPAN}-1"), (true, Some(true))),
        (format!("{TRACE}-{SPAN}-0"), (true, Some(false))),
        (format!("{TRACE}-{SPAN}-d"), (true, Some(true))),
        (format!("{SPAN}-{SPAN}-1"), (true, Some(true))),
        (format!("{TRACE}-{SPAN}-1-{SPAN}"), (true, Some(true))),
        ("0".to_owned(), (false, Some(false))),
        ("1".to_owned(), (false, Some(true))),
        ("d".to_owned(), (false, Some(true))),
    ] {
        assert_eq!(
            sampled(parse_b3_single(text.as_bytes())),
            Some(found),
            "{text}"
        );
    }
}

#[test]
fn bad_b3() {
    for text in [
        String::new(),
        "x".to_owned(),
        "-".to_owned(),
        format!("{TRACE}-{SPAN}-"),
        format!("{TRACE}-{SPAN}-2"),
        format!("{TRACE}-{SPAN}-1-"),
        format!("{TRACE}-{SPAN}-1-{SPAN}-1"),
        format!("{TRACE}-{TRACE}"),
        format!("{}-{SPAN}", "0".repeat(32)),
        format!("{TRACE}-{}", "0".repeat(16)),
        format!("{}-{SPAN}-1", TRACE.to_uppercase()),
        format!("{TRACE}-{SPAN}-1,{TRACE}-{SPAN}-1"),
    ] {
        assert_eq!(parse_b3_single(text.as_bytes()), None, "{text}");
    }
}

fn multi(trace: &str, span: &str, flag: &str, flags: &str) -> Option<(bool, Option<bool>)> {
    let some = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
    let (trace, span, flag, flags) = (some(trace), some(span), some(flag), some(flags));
    sampled(parse_b3_multi(MultiHeaders {
        trace_id: trace.as_deref(),
        span_id: span.as_deref(),
        sampled: flag.as_deref(),
        flags: flags.as_deref(),
    }))
}

#[test]
fn several_headers() {
    for (headers, found) in [
        ((TRACE, SPAN, "1", ""), Some((true, Some(true)))),
        ((SPAN, SPAN, "0", ""), Some((true, Some(false)))),
        ((TRACE, SPAN, "true", ""), Some((true, Some(true)))),
        ((TRACE, SPAN, "", "1"), Some((true, Some(true)))),
        ((TRACE, SPAN, "", ""), Some((true, None))),
        (("", "", "0", ""), Some((false, Some(false)))),
        (("", "", "", ""), None),
        ((TRACE, "", "1", ""), None),
        (("", SPAN, "1", ""), None),
        ((TRACE, SPAN, "d", ""), None),
        ((TRACE, SPAN, "yes", ""), None),
        (("zz", SPAN, "1", ""), None),
    ] {
        let (trace, span, flag, flags) = headers;
        assert_eq!(multi(trace, span, flag, flags), found, "{headers:?}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let mut ids = Ids::new([5; 4]);
    for number in 0..1000 {
        let ratio = Ratio::percent(50.0);
        let parent = Parent {
            trace_id: ids.trace(),
            span_id: ids.span(),
        };
        let told = Incoming {
            parent: (number % 2 == 0).then_some(parent),
            sampled: None,
        };
        let span = SpanContext::of(Some(&told), &mut ids, ratio);
        let own = Parent {
            trace_id: span.trace_id,
            span_id: span.span_id,
        };
        let expected = Some(Incoming {
            parent: Some(own),
            sampled: Some(span.sampled),
        });
        assert_eq!(parse_traceparent(traceparent(&span).as_bytes()), expected);
        assert_eq!(parse_b3_single(b3_single(&span).as_bytes()), expected);
        let [trace, id, flag] = b3_multi(&span);
        let headers = MultiHeaders {
            trace_id: Some(trace.as_bytes()),
            span_id: Some(id.as_bytes()),
            sampled: Some(flag.as_bytes()),
            flags: None,
        };
        assert_eq!(parse_b3_multi(headers), expected);
    }
}

/// Every text that is one byte away from a good one, and many that are not even that.
#[test]
fn nothing_breaks_a_parser() {
    let mut ids = Ids::new([6; 4]);
    let good = [
        format!("00-{TRACE}-{SPAN}-01"),
        format!("{TRACE}-{SPAN}-1-{SPAN}"),
    ];
    for text in &good {
        for at in 0..text.len() {
            for byte in 0..=255 {
                let mut changed = text.clone().into_bytes();
                changed[at] = byte;
                check(&changed);
                changed.truncate(at);
                check(&changed);
            }
        }
    }
    for _ in 0..20_000 {
        let size = ids.next() as usize % 80;
        let random: Vec<u8> = (0..size)
            .map(|_| b"0123456789abcdef-,-\xff AZ"[ids.next() as usize % 23])
            .collect();
        check(&random);
    }
}

/// What is taken for a context says the same once it is written again.
fn check(text: &[u8]) {
    is_tracestate(text);
    for found in [parse_traceparent(text), parse_b3_single(text)]
        .into_iter()
        .flatten()
    {
        let Some(parent) = found.parent else {
            continue;
        };
        assert_ne!((parent.trace_id, parent.span_id), ([0; 16], [0; 8]));
        let Parent { trace_id, span_id } = parent;
        let sampled = found.sampled.unwrap_or_default();
        let span = SpanContext {
            trace_id,
            span_id,
            parent_id: None,
            sampled,
        };
        let again = parse_traceparent(traceparent(&span).as_bytes());
        assert_eq!(again.and_then(|one| one.parent), Some(parent));
    }
}
