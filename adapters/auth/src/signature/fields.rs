//! `Signature-Input` and `Signature` (RFC 9421, section 4), as strictly as signers write them.
//!
//! The base that a signature is over repeats the parameters, so that each spelling but the
//! canonical one of RFC 8941 would fail anyway: one signature, single spaces, no escapes.

use base64ct::{Base64, Encoding};

const MAX_INPUT_BYTES: usize = 4096;
const MAX_COMPONENTS: usize = 32;

/// What a signature says that it is over.
#[derive(Debug, PartialEq)]
pub struct Input<'a> {
    pub label: &'a str,
    pub components: Vec<&'a str>,
    pub created: u64,
    pub expires: Option<u64>,
    pub nonce: &'a str,
    pub key_id: &'a str,
    pub algorithm: Option<&'a str>,
    /// The list and its parameters as they were written.
    pub parameters: &'a str,
}

#[derive(Default)]
struct Parameters<'a> {
    numbers: [Option<u64>; 2],
    texts: [Option<&'a str>; 4],
}

const NUMBERS: [&str; 2] = ["created", "expires"];
const TEXTS: [&str; 4] = ["nonce", "keyid", "alg", "tag"];

impl<'a> Input<'a> {
    /// None for anything else than one signature with all that is needed.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > MAX_INPUT_BYTES || !bytes.is_ascii() {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?.trim_matches(' ');
        let (label, parameters) = text.split_once('=')?;
        let (list, rest) = parameters.strip_prefix('(')?.split_once(')')?;
        let given = Parameters::parse(rest)?;
        let ([created, expires], [nonce, key_id, algorithm, _]) = (given.numbers, given.texts);
        is_key(label).then_some(Self {
            label,
            components: components(list)?,
            created: created?,
            expires,
            nonce: nonce?,
            key_id: key_id?,
            algorithm,
            parameters,
        })
    }
}

fn components(list: &str) -> Option<Vec<&str>> {
    let mut found: Vec<&str> = Vec::new();
    for item in list.split(' ') {
        let name = item.strip_prefix('"')?.strip_suffix('"')?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_@".contains(&b);
        let sound = !name.is_empty() && name.bytes().all(allowed) && !found.contains(&name);
        if !sound || found.len() >= MAX_COMPONENTS {
            return None;
        }
        found.push(name);
    }
    Some(found)
}

impl<'a> Parameters<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut found = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (name, value) = rest.strip_prefix(';')?.split_once('=')?;
            rest = if let Some(at) = NUMBERS.iter().position(|n| *n == name) {
                let size = value.find(';').unwrap_or(value.len());
                let (digits, rest) = value.split_at(size);
                put(found.numbers.get_mut(at)?, number(digits)?)?;
                rest
            } else {
                let at = TEXTS.iter().position(|n| *n == name)?;
                let (content, rest) = value.strip_prefix('"')?.split_once('"')?;
                put(found.texts.get_mut(at)?, sound_text(content)?)?;
                rest
            };
        }
        Some(found)
    }
}

/// None where it is there already.
fn put<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// An integer of RFC 8941, which has 15 digits at most.
fn number(digits: &str) -> Option<u64> {
    let sound = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| digits.parse().ok())?
}

fn sound_text(text: &str) -> Option<&str> {
    let allowed = |b: u8| (b' '..=b'~').contains(&b) && b != b'\\';
    let sound = (1..=256).contains(&text.len()) && text.bytes().all(allowed);
    sound.then_some(text)
}

fn is_key(label: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b);
    let first = label.bytes().next();
    let begins = first.is_some_and(|b| b.is_ascii_lowercase() || b == b'*');
    begins && label.len() <= 64 && label.bytes().all(allowed)
}

/// The bytes of `label=:...:`, if there is no other signature.
pub fn signature(bytes: &[u8], label: &str) -> Option<Vec<u8>> {
    if bytes.len() > MAX_INPUT_BYTES {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?.trim_matches(' ');
    binary(text.strip_prefix(label)?.strip_prefix('=')?)
}

/// A byte sequence of RFC 8941: base64 between colons.
pub fn binary(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix(':')?.strip_suffix(':')?;
    Base64::decode_vec(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "sig1=(\"@method\" \"x-a\");created=7;keyid=\"k 1\";alg=\"hmac-sha256\";nonce=\"n\"";

    #[test]
    fn one_signature() {
        let input = Input::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(
            (input.label, input.created, input.expires),
            ("sig1", 7, None)
        );
        assert_eq!((input.key_id, input.nonce), ("k 1", "n"));
        assert_eq!(input.components, ["@method", "x-a"]);
        assert_eq!(input.parameters, &GOOD[5..]);
    }

    #[test]
    fn anything_else_is_none() {
        for (from, to) in [
            ("sig1", ""),
            ("sig1", "Sig"),
            ("sig1=", "a=();created=1, sig1="),
            (" \"x-a\"", "  \"x-a\""),
            (" \"x-a\"", ""),
            ("\"x-a\"", "\"@method\""),
            ("\"x-a\"", "\"x-a\";sf"),
            ("\"x-a\"", "\"X-A\""),
            ("\"x-a\"", "\"\""),
            ("created=7", "created=-7"),
            ("created=7", "created=7.5"),
            ("created=7", "created=\"7\""),
            ("created=7", "created=1234567890123456"),
            (";created=7", ""),
            ("created=7", "created=7;created=7"),
            ("created=7", "created=7;other=1"),
            ("created=7", "created=7;expires=x"),
            (";created=7", "; created=7"),
            (";nonce=\"n\"", ""),
            ("nonce=\"n\"", "nonce=\"\""),
            ("nonce=\"n\"", "nonce=\"n\\\"\""),
            ("nonce=\"n\"", "nonce=\"n\";nonce=\"m\""),
            ("nonce=\"n\"", "nonce=\"n"),
            ("keyid=\"k 1\"", "keyid=k"),
            ("keyid=\"k 1\"", "keyid=\"\u{fc}\""),
            ("nonce=\"n\"", "nonce=\"n\", sig2=()"),
        ] {
            let changed = GOOD.replacen(from, to, 1);
            assert!(changed != GOOD || from == " \"x-a\"", "{from}");
            if from == " \"x-a\"" && to.is_empty() {
                continue;
            }
            assert_eq!(Input::parse(changed.as_bytes()), None, "{changed}");
        }
        let long = format!("{GOOD}{}", " ".repeat(MAX_INPUT_BYTES));
        assert_eq!(Input::parse(long.as_bytes()), None);
        assert_eq!(Input::parse(b"\xff"), None);
    }

    #[test]
    fn cuts_and_damage_do_not_panic() {
        for cut in 0..GOOD.len() {
            let _ = Input::parse(&GOOD.as_bytes()[..cut]);
            for insert in ["\"", "(", ")", ";", "=", ",", " ", "\u{fc}"] {
                let damaged = format!("{}{insert}{}", &GOOD[..cut], &GOOD[cut..]);
                let _ = Input::parse(damaged.as_bytes());
            }
        }
    }

    #[test]
    fn signatures() {
        assert_eq!(signature(b"sig1=:AAE=:", "sig1"), Some(vec![0, 1]));
        for bad in [
            "sig1=:AAE:",
            "sig2=:AAE=:",
            "sig1=:AAE=:, b=:AA==:",
            "sig1=AAE=",
            "",
            ":",
        ] {
            assert_eq!(signature(bad.as_bytes(), "sig1"), None, "{bad}");
        }
    }
}
