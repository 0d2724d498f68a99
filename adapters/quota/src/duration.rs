//! Durations as Go writes them: `1s`, `1m30s`, `0.5h`, `100ms`.

const UNITS: [(&str, u64); 8] = [
    // Longest names first: "ms" begins like "m".
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// Nanoseconds; None for what is no duration, or negative, or too long for 64 bits.
pub fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0_u64;
    loop {
        let (part, after) = part(rest)?;
        sum = sum.checked_add(part)?;
        if after.is_empty() {
            return Some(sum);
        }
        rest = after;
    }
}

fn part(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => digits(after),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (name, unit) = UNITS.iter().find(|(name, _)| rest.starts_with(name))?;
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let nanoseconds = whole
        .checked_mul(*unit)?
        .checked_add(share(fraction, *unit))?;
    Some((nanoseconds, &rest[name.len()..]))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// The part of a unit that decimals stand for; what is below a nanosecond is cut.
fn share(decimals: &str, unit: u64) -> u64 {
    let mut sum = 0;
    let mut place = unit;
    for digit in decimals.bytes().map(|b| u64::from(b - b'0')) {
        // The remainder is passed on, so that 0.3h is exact.
        sum += digit * place / 10;
        if place % 10 != 0 {
            return sum;
        }
        place /= 10;
    }
    sum
}

/// In the same form: whole nanoseconds as seconds with the decimals that it takes.
pub fn format(nanoseconds: u64) -> String {
    let (seconds, decimals) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    if decimals == 0 {
        return format!("{seconds}s");
    }
    let decimals = format!("{decimals:09}");
    format!("{seconds}.{}s", decimals.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_writes_is_read() {
        for (text, nanoseconds) in [
            ("1s", 1_000_000_000),
            ("1m30s", 90_000_000_000),
            ("100ms", 100_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0.3h", 1_080_000_000_000),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("1h0m0s", 3_600_000_000_000),
            ("0.0000000001s", 0),
            ("2562047h", 9_223_369_200_000_000_000),
        ] {
            assert_eq!(parse(text), Some(nanoseconds), "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "1",
            "s",
            "1 s",
            "-1s",
            "+1s",
            "1d",
            "1s1",
            ".s",
            "1e3s",
            "99999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for nanoseconds in [
            0,
            1,
            370_000_000,
            1_000_000_000,
            90_000_000_001,
            u64::MAX / 2,
        ] {
            assert_eq!(parse(&format(nanoseconds)), Some(nanoseconds));
        }
    }
}
