//! Durations as Go and Istio write them.

const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
const DAY: u64 = 24 * 3_600_000_000_000;

/// Whether a text such as `1m30s` is a duration of at most a day, and not below 0.
pub fn is_sound(text: &str) -> bool {
    match text {
        "0" => true,
        _ => nanoseconds(text).is_some_and(|length| length <= DAY),
    }
}

fn nanoseconds(text: &str) -> Option<u64> {
    let (mut rest, mut sum) = (text, 0u64);
    while !rest.is_empty() || text.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !is_part(c))?);
        let (unit, after) = after.split_at(after.find(is_part).unwrap_or(after.len()));
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(of_unit(number, *length)?)?;
        rest = after;
    }
    Some(sum)
}

fn is_part(one: char) -> bool {
    one.is_ascii_digit() || one == '.'
}

fn of_unit(number: &str, unit: u64) -> Option<u64> {
    if !number.contains('.') {
        return number.parse::<u64>().ok()?.checked_mul(unit);
    }
    let length = number.parse::<f64>().ok()? * unit as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it is in the range
    (length <= DAY as f64).then_some(length as u64)
}

#[cfg(test)]
mod tests {
    use super::is_sound;

    #[test]
    fn durations() {
        for text in [
            "0", "0s", "5s", "1m30s", "1.5h", "300ms", "24h", "1h0.5s", "10us",
        ] {
            assert!(is_sound(text), "{text}");
        }
        for text in [
            "",
            "5",
            "-5s",
            "s",
            "5 s",
            "24h1ns",
            "5d",
            "1..5s",
            "5s!",
            "999999999h",
            ".",
        ] {
            assert!(!is_sound(text), "{text}");
        }
    }
}
