//! B3, as Zipkin has it: one header or several.

use super::{hex, Incoming, Parent, SpanContext};

/// What the several headers say.
#[derive(Clone, Copy, Debug, Default)]
pub struct MultiHeaders<'a> {
    pub trace_id: Option<&'a [u8]>,
    pub span_id: Option<&'a [u8]>,
    pub sampled: Option<&'a [u8]>,
    pub flags: Option<&'a [u8]>,
}

/// `b3`: trace, span, decision and the parent's parent, of which the last two may be absent, or
/// the decision alone. None for what is malformed.
pub fn parse_b3_single(text: &[u8]) -> Option<Incoming> {
    let text = text.trim_ascii();
    if text.len() == 1 {
        let sampled = Some(decision(text)?);
        return Some(Incoming {
            parent: None,
            sampled,
        });
    }
    let parts: Vec<&[u8]> = text.splitn(5, |byte| *byte == b'-').collect();
    let (trace, span, sampled) = match parts[..] {
        [trace, span] => (trace, span, None),
        [trace, span, sampled] => (trace, span, Some(sampled)),
        [trace, span, sampled, parent] if hex::id::<8>(parent).is_some() => {
            (trace, span, Some(sampled))
        }
        _ => return None,
    };
    let sampled = match sampled {
        Some(text) => Some(decision(text)?),
        None => None,
    };
    Some(Incoming {
        parent: Some(parent(trace, span)?),
        sampled,
    })
}

/// `x-b3-traceid` and those beside it. None where there are none, or malformed ones.
pub fn parse_b3_multi(headers: MultiHeaders) -> Option<Incoming> {
    let debug = headers
        .flags
        .is_some_and(|flags| flags.trim_ascii() == b"1");
    let sampled = match headers.sampled.map(<[u8]>::trim_ascii) {
        _ if debug => Some(true),
        // As older libraries wrote it.
        Some(b"true") => Some(true),
        Some(b"false") => Some(false),
        Some(b"d") => return None,
        Some(text) => Some(decision(text)?),
        None => None,
    };
    let parent = match (headers.trace_id, headers.span_id) {
        (Some(trace), Some(span)) => Some(parent(trace.trim_ascii(), span.trim_ascii())?),
        (None, None) => None,
        _ => return None,
    };
    (parent.is_some() || sampled.is_some()).then_some(Incoming { parent, sampled })
}

pub fn b3_single(span: &SpanContext) -> String {
    let [trace, own, sampled] = b3_multi(span);
    let mut text = format!("{trace}-{own}-{sampled}");
    if let Some(parent) = span.parent_id {
        text.push('-');
        hex::push(&mut text, &parent);
    }
    text
}

/// `x-b3-traceid`, `x-b3-spanid` and `x-b3-sampled`.
pub fn b3_multi(span: &SpanContext) -> [String; 3] {
    let (mut trace, mut own) = (String::with_capacity(32), String::with_capacity(16));
    hex::push(&mut trace, &span.trace_id);
    hex::push(&mut own, &span.span_id);
    [trace, own, if span.sampled { "1" } else { "0" }.to_owned()]
}

/// `d` is for debug: sampled whatever else is.
fn decision(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"d" => Some(true),
        b"0" => Some(false),
        _ => None,
    }
}

/// A trace id may be half as long.
fn parent(trace: &[u8], span: &[u8]) -> Option<Parent> {
    let trace_id = match hex::id::<8>(trace) {
        Some(half) => {
            let mut whole = [0; 16];
            whole[8..].copy_from_slice(&half);
            whole
        }
        None => hex::id(trace)?,
    };
    Some(Parent {
        trace_id,
        span_id: hex::id(span)?,
    })
}
