//! Path normalisation: the one spelling that rules are matched against.
//!
//! A rule is only as good as the agreement between this module and the upstream
//! about what a path means. Spellings that servers are known to read in different
//! ways are therefore refused, not guessed at.

/// The decoded, dot-free path of a request target, or None if it is refused.
///
/// The query is cut, percent-encoding is decoded once, empty and `.` segments
/// vanish, `..` takes its parent away, and a slash at the end does not count.
pub fn normalise(target: &[u8], allow_parameters: bool) -> Option<Vec<u8>> {
    let path = target.split(|b| *b == b'?').next()?;
    if is_plain(path) {
        return Some(path.to_vec());
    }
    let mut raw = path.strip_prefix(b"/")?.split(|b| *b == b'/').peekable();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let (mut saw_empty, mut saw_parent) = (false, false);
    while let Some(segment) = raw.next() {
        let segment = decode_segment(segment, allow_parameters)?;
        match segment.as_slice() {
            b"" => saw_empty |= raw.peek().is_some(),
            b"." => {}
            b".." => {
                saw_parent = true;
                // Above the root: some servers clamp, some refuse.
                kept.pop()?;
            }
            _ => kept.push(segment),
        }
    }
    // "/a//../b" is "/b" where slashes are merged and "/a/b" where they are not.
    if saw_empty && saw_parent {
        return None;
    }
    let mut result = Vec::with_capacity(path.len());
    for segment in &kept {
        result.push(b'/');
        result.extend_from_slice(segment);
    }
    if result.is_empty() {
        result.push(b'/');
    }
    Some(result)
}

/// Whether nothing would change in it, which most paths are like: no segment is empty or begins
/// with a dot, and no character is an escape or is refused.
fn is_plain(path: &[u8]) -> bool {
    let mut before = b'x';
    for &byte in path {
        let begins = before == b'/';
        before = byte;
        match byte {
            b'/' | b'.' if begins => return false,
            b'%' | b';' | b'\\' | b'#' | 0..=b' ' | 0x7f => return false,
            _ => {}
        }
    }
    path.first() == Some(&b'/') && (path.len() == 1 || before != b'/')
}

fn decode_segment(segment: &[u8], allow_parameters: bool) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                decoded.push(decode_escape(tail)?);
                rest = tail.get(2..)?;
            }
            b';' if allow_parameters => break,
            // A backslash is a slash to some servers, a fragment never travels.
            b';' | b'\\' | b'#' | 0..=b' ' | 0x7f => return None,
            _ => decoded.push(byte),
        }
    }
    if hides_second_encoding(&decoded) {
        return None;
    }
    Some(decoded)
}

/// The byte of the two hex digits at the start; None for those that stay ambiguous.
fn decode_escape(digits: &[u8]) -> Option<u8> {
    let byte = hex_pair(digits)?;
    match byte {
        b'/' | b'\\' | b';' | 0..=0x1f | 0x7f => None,
        _ => Some(byte),
    }
}

/// "%252e%252e" turns into ".." in a server that decodes twice.
fn hides_second_encoding(decoded: &[u8]) -> bool {
    decoded.windows(3).any(|w| {
        w[0] == b'%'
            && matches!(
                hex_pair(&w[1..]),
                Some(b'.' | b'/' | b'\\' | b';' | b'%' | 0..=0x1f | 0x7f)
            )
    })
}

fn hex_pair(digits: &[u8]) -> Option<u8> {
    Some(hex_digit(*digits.first()?)? << 4 | hex_digit(*digits.get(1)?)?)
}

pub fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(target: &str) -> String {
        let path = normalise(target.as_bytes(), false).expect(target);
        String::from_utf8(path).unwrap()
    }

    fn refused(target: &str) -> bool {
        normalise(target.as_bytes(), false).is_none()
    }

    #[test]
    fn equal_spellings_meet() {
        for spelling in [
            "/admin/users",
            "/admin/users/",
            "//admin///users",
            "/admin/./users",
            "/x/../admin/users",
            "/%61dmin/users",
            "/admin/users?x=/../y",
            "/admin/u%73ers/.",
            "/admin/users//",
        ] {
            assert_eq!(ok(spelling), "/admin/users", "{spelling}");
        }
    }

    #[test]
    fn root_and_reserved_characters() {
        assert_eq!(ok("/"), "/");
        assert_eq!(ok("/?q"), "/");
        assert_eq!(ok("/a/.."), "/");
        assert_eq!(ok("/a%40b"), ok("/a@b"));
        assert_eq!(ok("/a%3Fb"), "/a?b");
        assert_eq!(ok("/100%25"), "/100%");
        assert_eq!(ok("/caf%C3%A9"), "/café");
        assert_eq!(ok("/..."), "/...");
    }

    #[test]
    fn plain_paths_are_as_they_are() {
        for plain in ["/", "/a", "/a/b.css", "/a..b/c", "/caf\u{e9}"] {
            assert!(is_plain(plain.as_bytes()), "{plain}");
            assert_eq!(ok(plain), plain);
        }
        for other in [
            "", "a", "/a/", "//", "/a//b", "/./a", "/../a", "/.a", "/a%41", "/a;b", "/a b",
        ] {
            assert!(!is_plain(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn ambiguous_spellings_are_refused() {
        for spelling in [
            "",
            "*",
            "admin",
            "http://h/admin",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0ab",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a#b",
            "/a b",
            "/..",
            "/a/../..",
            "/%2e%2e",
            "/a//../b",
            "/a/..//b",
            "/%252e%252e/b",
            "/%252f",
            "/%25252e",
            "/a;b",
            "/a%3bb",
            "/a/..;/b",
            "/a\u{7f}",
            "/\n",
        ] {
            assert!(refused(spelling), "{spelling}");
        }
    }

    #[test]
    fn parameters_are_cut_where_allowed() {
        let allowed = |t: &str| normalise(t.as_bytes(), true);
        assert_eq!(allowed("/a;v=1/b;w").unwrap(), b"/a/b");
        assert_eq!(allowed("/a/..;x/b").unwrap(), b"/b");
        assert_eq!(allowed("/;x/a").unwrap(), b"/a");
        assert!(allowed("/a%3bb").is_none());
        assert!(allowed("/a;x/../..").is_none());
    }
}
