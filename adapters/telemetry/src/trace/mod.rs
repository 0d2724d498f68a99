//! Where a request stands in a trace, and how headers tell it.

mod b3;
#[cfg(test)]
#[path = "tests.rs"]
mod headers;
mod hex;
mod ids;
mod tracestate;
mod w3c;

pub use b3::{b3_multi, b3_single, parse_b3_multi, parse_b3_single, MultiHeaders};
pub use ids::Ids;
pub use tracestate::is_tracestate;
pub use w3c::{parse_traceparent, traceparent};

/// What a caller told: the span that the request comes from, or a decision alone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Incoming {
    /// Trace and span; None where the caller told a decision alone, as B3 allows.
    pub parent: Option<Parent>,
    /// None leaves the decision to who gets the request, as B3 allows.
    pub sampled: Option<bool>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parent {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
}

/// The span of the current request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SpanContext {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_id: Option<[u8; 8]>,
    pub sampled: bool,
}

impl SpanContext {
    /// The span of a request: one more of its trace, or the first of a new one.
    ///
    /// `ratio` decides where no caller did.
    pub fn of(incoming: Option<&Incoming>, ids: &mut Ids, ratio: Ratio) -> Self {
        let parent = incoming.and_then(|one| one.parent);
        let trace_id = parent.map_or_else(|| ids.trace(), |parent| parent.trace_id);
        let told = incoming.and_then(|one| one.sampled);
        Self {
            trace_id,
            span_id: ids.span(),
            parent_id: parent.map(|parent| parent.span_id),
            sampled: told.unwrap_or_else(|| ratio.takes(&trace_id)),
        }
    }
}

/// A share of all traces, the same ones wherever it is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ratio(u64);

/// As many as the last seven bytes of a trace id tell apart, which are those that are random.
const ALL: u64 = 1 << 56;

impl Ratio {
    /// From 0 to 100.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    pub fn percent(percent: f64) -> Self {
        // Every number of this size is exact.
        Self((percent.clamp(0.0, 100.0) / 100.0 * ALL as f64) as u64)
    }

    pub fn takes(self, trace_id: &[u8; 16]) -> bool {
        let mut last = [0; 8];
        last[1..].copy_from_slice(&trace_id[9..]);
        self.takes_number(u64::from_be_bytes(last))
    }

    /// Of a number whose last 56 bits are random.
    pub fn takes_number(self, number: u64) -> bool {
        number % ALL < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(last: [u8; 8]) -> [u8; 16] {
        let mut id = [0xff; 16];
        id[8..].copy_from_slice(&last);
        id
    }

    #[test]
    fn ratios() {
        let low = trace([0xff, 0, 0, 0, 0, 0, 0, 0]);
        let high = trace([0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        let middle = trace([0, 0x80, 0, 0, 0, 0, 0, 0]);
        for (percent, taken) in [
            (0.0, [false, false, false]),
            (50.0, [true, false, false]),
            (50.1, [true, true, false]),
            (100.0, [true, true, true]),
        ] {
            let ratio = Ratio::percent(percent);
            assert_eq!([low, middle, high].map(|id| ratio.takes(&id)), taken);
        }
    }

    #[test]
    fn spans() {
        let mut ids = Ids::new([1, 2, 3, 4]);
        let root = SpanContext::of(None, &mut ids, Ratio::percent(100.0));
        assert_eq!((root.parent_id, root.sampled), (None, true));
        let parent = Parent {
            trace_id: [7; 16],
            span_id: [8; 8],
        };
        let told = Incoming {
            parent: Some(parent),
            sampled: Some(false),
        };
        let child = SpanContext::of(Some(&told), &mut ids, Ratio::percent(100.0));
        assert_eq!((child.trace_id, child.parent_id), ([7; 16], Some([8; 8])));
        assert!(!child.sampled, "the caller's decision holds");
        let open = Incoming {
            parent: Some(parent),
            sampled: None,
        };
        assert!(SpanContext::of(Some(&open), &mut ids, Ratio::percent(100.0)).sampled);
        let alone = Incoming {
            parent: None,
            sampled: Some(true),
        };
        let first = SpanContext::of(Some(&alone), &mut ids, Ratio::percent(0.0));
        assert_eq!((first.parent_id, first.sampled), (None, true));
        assert_ne!(first.trace_id, root.trace_id);
    }
}
