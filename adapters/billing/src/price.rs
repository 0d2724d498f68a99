//! Prices as decimal text, in billionths of a currency.

/// The decimal places that count.
const PLACES: usize = 9;
/// What 64 bits with a sign hold: no database has less.
const MOST: u64 = i64::MAX as u64;

/// Why a text is no price.
#[derive(Debug, Eq, PartialEq)]
pub enum NoPrice {
    /// It is no decimal number, or a negative one.
    NotDecimal,
    /// It is finer than a billionth.
    TooFine,
    /// It is over the bound, 9223372036.854775807.
    TooMuch,
}

/// A text such as `0.0004`, exactly.
pub fn nanos(text: &str) -> Result<u64, NoPrice> {
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(places) {
        return Err(NoPrice::NotDecimal);
    }
    let places = places.trim_end_matches('0');
    if places.len() > PLACES {
        return Err(NoPrice::TooFine);
    }
    let joined = format!("{whole}{places:0<PLACES$}");
    let number = joined.parse().ok().filter(|number| *number <= MOST);
    number.ok_or(NoPrice::TooMuch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("1", Ok(1_000_000_000)),
            ("0.0004", Ok(400_000)),
            ("0.000000001", Ok(1)),
            ("12.50", Ok(12_500_000_000)),
            ("0.1000000000000", Ok(100_000_000)),
            ("9223372036.854775807", Ok(MOST)),
            ("9223372036.854775808", Err(NoPrice::TooMuch)),
            ("99999999999999999999999999", Err(NoPrice::TooMuch)),
            ("0.0000000001", Err(NoPrice::TooFine)),
        ] {
            assert_eq!(nanos(text), expected, "{text}");
        }
        for text in [
            "", ".5", "1.", "-1", "+1", "1e3", "1,5", " 1", "0x1", "1.2.3", "\u{661}",
        ] {
            assert_eq!(nanos(text), Err(NoPrice::NotDecimal), "{text}");
        }
    }
}
