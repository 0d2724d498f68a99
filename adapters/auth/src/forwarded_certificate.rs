//! `x-forwarded-client-cert`: what a proxy before this one tells of its peer's certificate.

const MAX_BYTES: usize = 64 * 1024;

/// The only URI of an element, counted from the end, which is what the nearest proxy added.
///
/// None where there is none, more than one (a SPIFFE certificate has one), or what cannot be read.
pub fn uri(header: &[u8], from_end: usize) -> Option<String> {
    if header.len() > MAX_BYTES {
        return None;
    }
    let elements = split(std::str::from_utf8(header).ok()?, ',')?;
    let element = elements.iter().rev().nth(from_end)?;
    let pairs = split(element, ';')?;
    let mut uris = pairs.iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("uri").then_some(value)
    });
    let found = uris.next()?;
    uris.next().is_none().then(|| unquoted(found))?
}

/// The parts between separators that are not in quotes. None where a quote is left open, or an
/// escape is outside of quotes: who is before the trusted proxies may have left one open, and what
/// they quote would not be in quotes.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, one) in text.char_indices() {
        match one {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '\\' => return None,
            '"' => quoted = !quoted,
            _ if one == separator && !quoted => {
                parts.push(text.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

/// No URI of SPIFFE needs an escape.
fn unquoted(value: &str) -> Option<String> {
    let value = value.trim();
    let inner = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    (!inner.contains(['"', '\\'])).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let two = "By=spiffe://m/x;Hash=00;Subject=\"CN=a,O=\\\";URI=b\";URI=spiffe://m/one, \
                   By=x;URI=\"spiffe://m/two\"";
        assert_eq!(uri(two.as_bytes(), 0).as_deref(), Some("spiffe://m/two"));
        assert_eq!(uri(two.as_bytes(), 1).as_deref(), Some("spiffe://m/one"));
        assert_eq!(uri(two.as_bytes(), 2), None);
        for bad in [
            "",
            "Hash=1",
            "URI",
            "URI=a;URI=b",
            "Subject=\"URI=a",
            "URI=\"a",
            "URI=\"a\\\"\"",
            "By=a;uri=b,",
            "XURI=a",
            "URI=a;Subject=\"",
            "X=\"a,By=b;Subject=\"CN=x,URI=a,DNS=\\\"c\";URI=b;DNS=\"\"",
        ] {
            assert_eq!(uri(bad.as_bytes(), 0), None, "{bad}");
        }
        assert_eq!(uri(b"URI=\xff", 0), None);
        assert_eq!(uri(&vec![b'a'; MAX_BYTES + 1], 0), None);
    }
}
