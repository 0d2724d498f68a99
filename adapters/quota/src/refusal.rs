//! The answer to a request that is refused, and the headers of one that passes.

use crate::plan::Item;

const NS: u64 = 1_000_000_000;

/// What is answered in place of the upstream.
#[derive(Debug, PartialEq)]
pub struct Refusal {
    pub status: u32,
    /// For operators: the reason and the quota.
    pub details: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// The gRPC code, for callers that want one.
    pub code: u8,
}

impl Refusal {
    /// `retry_after` is in nanoseconds, None for a request that would never pass.
    pub fn exhausted(item: &Item, retry_after: Option<u64>, rate_limit_headers: bool) -> Self {
        let mut refusal = Self::new(429, 8, "quota_exhausted", item.quota);
        if let Some(after) = retry_after {
            let seconds = whole_seconds(after).max(1);
            refusal.headers.push(("retry-after", seconds.to_string()));
        }
        if rate_limit_headers {
            refusal.headers.extend(headers(std::slice::from_ref(item)));
        }
        refusal
    }

    pub fn unavailable(quota: &str) -> Self {
        Self::new(503, 14, "quota_unavailable", quota)
    }

    pub fn unknown(quota: &str) -> Self {
        Self::new(404, 5, "quota_unknown", quota)
    }

    pub fn not_configured() -> Self {
        Self::new(500, 13, "not_configured", "")
    }

    fn new(status: u32, code: u8, error: &str, quota: &str) -> Self {
        let details = match quota {
            "" => error.to_owned(),
            quota => format!("{error}:{quota}"),
        };
        let body = serde_json::json!({"error": error, "quota": quota}).to_string();
        Self {
            status,
            details,
            headers: vec![("content-type", "application/json".to_owned())],
            body,
            code,
        }
    }
}

/// The two header fields of the IETF's draft "RateLimit header fields for HTTP", version 10: one
/// item for each quota, times in whole seconds.
pub fn headers(items: &[Item]) -> Vec<(&'static str, String)> {
    let policy = |i: &Item| {
        let window = whole_seconds(i.limit.window);
        format!("\"{}\";q={};w={window}", i.quota, i.limit.max)
    };
    let limit = |i: &Item| format!("\"{}\";r={};t={}", i.quota, i.left, whole_seconds(i.reset));
    let join = |items: Vec<String>| items.join(", ");
    vec![
        ("ratelimit-policy", join(items.iter().map(policy).collect())),
        ("ratelimit", join(items.iter().map(limit).collect())),
    ]
}

/// Rounded up: who waits as long as told must not come too early.
pub fn whole_seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(NS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;

    fn item(reset: u64) -> Item<'static> {
        Item {
            quota: "q",
            limit: Limit::fixed(5, 1_500_000_000),
            left: 2,
            reset,
        }
    }

    #[test]
    fn whoever_is_refused_is_told_when_to_come_again() {
        let refusal = Refusal::exhausted(&item(9 * NS), Some(1), false);
        assert_eq!(refusal.status, 429);
        assert_eq!(refusal.details, "quota_exhausted:q");
        assert_eq!(refusal.body, r#"{"error":"quota_exhausted","quota":"q"}"#);
        assert_eq!(refusal.headers[1], ("retry-after", "1".to_owned()));
        assert_eq!(refusal.headers.len(), 2);
        let later = Refusal::exhausted(&item(NS + 1), Some(NS + 1), true);
        assert_eq!(later.headers[1].1, "2");
        assert_eq!(later.headers[2].1, "\"q\";q=5;w=2");
        assert_eq!(later.headers[3].1, "\"q\";r=2;t=2");
    }

    #[test]
    fn whoever_would_never_pass_is_not_told_to_come_again() {
        let refusal = Refusal::exhausted(&item(NS), None, false);
        assert_eq!(refusal.headers.len(), 1);
    }

    #[test]
    fn several_quotas_are_told_as_a_list() {
        let headers = headers(&[item(0), item(NS)]);
        assert_eq!(headers[1].1, "\"q\";r=2;t=0, \"q\";r=2;t=1");
    }
}
