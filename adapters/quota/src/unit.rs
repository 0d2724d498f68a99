//! The units of time of Envoy's rate limits.

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 24 * 3600 * SECOND;

/// Nanoseconds of a unit in any case; a month is 30 days and a year 365, as in envoyproxy/ratelimit.
pub fn length(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "second" => SECOND,
        "minute" => 60 * SECOND,
        "hour" => 3600 * SECOND,
        "day" => DAY,
        "week" => 7 * DAY,
        "month" => 30 * DAY,
        "year" => 365 * DAY,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_case_will_do() {
        assert_eq!(length("second"), Some(SECOND));
        assert_eq!(length("MINUTE"), Some(60 * SECOND));
        assert_eq!(length("Year"), Some(365 * DAY));
        assert_eq!(length("fortnight"), None);
    }
}
