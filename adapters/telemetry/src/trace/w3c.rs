//! `traceparent` of W3C's Trace Context, by the letter.

use super::{hex, Incoming, Parent, SpanContext};

const SAMPLED: u8 = 1;
/// Version, trace, span and flags with hyphens between them.
const SIZE: usize = 55;

/// None for what the Recommendation calls invalid: a new trace begins then.
///
/// A header that came twice is told joined by a comma, and is invalid so. A later version may have
/// more behind a hyphen.
pub fn parse_traceparent(text: &[u8]) -> Option<Incoming> {
    let text = text.trim_ascii();
    let (known, rest) = text.split_at_checked(SIZE)?;
    let [version] = hex::decode(&known[..2])?;
    let ends = match (version, rest) {
        (0xff, _) => false,
        (_, []) => true,
        (version, rest) => version > 0 && rest[0] == b'-',
    };
    let hyphens = [known[2], known[35], known[52]] == [b'-'; 3];
    if !ends || !hyphens {
        return None;
    }
    let [flags] = hex::decode(&known[53..])?;
    let parent = Parent {
        trace_id: hex::id(&known[3..35])?,
        span_id: hex::id(&known[36..52])?,
    };
    Some(Incoming {
        parent: Some(parent),
        sampled: Some(flags & SAMPLED != 0),
    })
}

pub fn traceparent(span: &SpanContext) -> String {
    let mut text = String::with_capacity(SIZE);
    text.push_str("00-");
    hex::push(&mut text, &span.trace_id);
    text.push('-');
    hex::push(&mut text, &span.span_id);
    text.push_str(if span.sampled { "-01" } else { "-00" });
    text
}
