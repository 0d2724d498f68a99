//! `tracestate` of W3C's Trace Context: whether it is one. What it says is others' business.

const MEMBERS: usize = 32;

/// Whether it can be passed on: at most 32 members, each key once, and nothing malformed.
pub fn is_tracestate(text: &[u8]) -> bool {
    let mut keys: Vec<&[u8]> = Vec::new();
    for member in text.split(|byte| *byte == b',') {
        let member = trim(member);
        if member.is_empty() {
            continue;
        }
        let Some(at) = member.iter().position(|byte| *byte == b'=') else {
            return false;
        };
        let (key, value) = (&member[..at], &member[at + 1..]);
        if !is_key(key) || !is_value(value) || keys.contains(&key) || keys.len() == MEMBERS {
            return false;
        }
        keys.push(key);
    }
    !keys.is_empty()
}

fn trim(text: &[u8]) -> &[u8] {
    let kept = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = text.iter().position(kept).unwrap_or(text.len());
    let end = text.iter().rposition(kept).map_or(start, |at| at + 1);
    &text[start..end]
}

fn is_key(key: &[u8]) -> bool {
    let mut parts = key.splitn(2, |byte| *byte == b'@');
    let first = parts.next().unwrap_or_default();
    match parts.next() {
        None => is_name(first, 256, |byte| byte.is_ascii_lowercase()),
        Some(system) => {
            is_name(first, 241, |byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit()
            }) && is_name(system, 14, |byte| byte.is_ascii_lowercase())
        }
    }
}

fn is_name(name: &[u8], most: usize, begins: fn(&u8) -> bool) -> bool {
    let tame =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(byte);
    name.first().is_some_and(begins) && name.len() <= most && name.iter().all(tame)
}

fn is_value(value: &[u8]) -> bool {
    let tame = |byte: &u8| matches!(byte, b' '..=b'~') && !b",=".contains(byte);
    (1..=256).contains(&value.len()) && value.iter().all(tame) && !value.ends_with(b" ")
}

#[cfg(test)]
mod tests {
    use super::is_tracestate;

    #[test]
    fn what_is_one() {
        let long = format!("{}=1", "a".repeat(256));
        let many: Vec<String> = (0..32).map(|n| format!("k{n}=1")).collect();
        for text in [
            "a=1",
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "a=1 , b=2,\tc=3",
            "a=1,,b=2",
            "1a@vendor=x",
            "a_-*/z=!~ x",
            long.as_str(),
            &many.join(","),
        ] {
            assert!(is_tracestate(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        let long = format!("{}=1", "a".repeat(257));
        let value = format!("a={}", "1".repeat(257));
        let many: Vec<String> = (0..33).map(|n| format!("k{n}=1")).collect();
        for text in [
            "",
            ",",
            "a",
            "a=",
            "=1",
            "A=1",
            "1a=1",
            "a=1,a=2",
            "a=b=c",
            "a=\u{fc}",
            "a b=1",
            "a@=1",
            "@a=1",
            "a@1=1",
            "a=1\n",
            long.as_str(),
            &value,
            &many.join(","),
        ] {
            assert!(!is_tracestate(text.as_bytes()), "{text}");
        }
    }
}
