//! SPIFFE IDs, and patterns of them.

const MAX_ID_BYTES: usize = 2048;

/// `spiffe://trust.domain/path`, as the standard allows it; None for anything else.
pub fn parse(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let (domain, path) = split(text)?;
    let sound =
        text.len() <= MAX_ID_BYTES && is_domain(domain) && path.iter().all(|s| is_segment(s));
    sound.then_some(text)
}

/// The trust domain and the segments of the path.
fn split(text: &str) -> Option<(&str, Vec<&str>)> {
    let mut parts = text.strip_prefix("spiffe://")?.split('/');
    Some((parts.next()?, parts.collect()))
}

fn is_domain(domain: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    (1..=255).contains(&domain.len()) && domain.bytes().all(allowed)
}

fn is_segment(segment: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}

/// An ID in which `*` stands for one segment of the path, or at its end for one or more.
#[derive(Debug, PartialEq)]
pub struct Pattern {
    domain: String,
    path: Vec<String>,
}

impl Pattern {
    pub fn parse(text: &str) -> Option<Self> {
        let (domain, path) = split(text)?;
        let sound = text.len() <= MAX_ID_BYTES
            && is_domain(domain)
            && path.iter().all(|s| *s == "*" || is_segment(s));
        sound.then(|| Self {
            domain: domain.to_owned(),
            path: path.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Of an ID that was parsed.
    pub fn matches(&self, id: &str) -> bool {
        let Some((domain, path)) = split(id) else {
            return false;
        };
        let open = self.path.last().is_some_and(|last| last == "*");
        let long_enough = if open {
            path.len() >= self.path.len()
        } else {
            path.len() == self.path.len()
        };
        let mut pairs = self.path.iter().zip(path);
        domain == self.domain && long_enough && pairs.all(|(own, s)| own == "*" || own == s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for good in [
            "spiffe://a.b",
            "spiffe://a/ns/x/sa/Y_1.z-",
            "spiffe://1-_./...",
        ] {
            assert_eq!(parse(good.as_bytes()), Some(good));
        }
        let long = format!("spiffe://a/{}", "x".repeat(MAX_ID_BYTES));
        for bad in [
            "",
            "spiffe://",
            "spiffe:///a",
            "SPIFFE://a/b",
            "https://a/b",
            "spiffe://A/b",
            "spiffe://a/",
            "spiffe://a//b",
            "spiffe://a/./b",
            "spiffe://a/../b",
            "spiffe://a/%41",
            "spiffe://a/b?c",
            "spiffe://a/b#c",
            "spiffe://a:1/b",
            "spiffe://u@a/b",
            "spiffe://a/b c",
            "spiffe://a/*",
            "spiffe://a/\u{fc}",
            &long,
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"spiffe://a/\xff"), None);
    }

    #[test]
    fn patterns() {
        for (pattern, id, expected) in [
            ("spiffe://a/b", "spiffe://a/b", true),
            ("spiffe://a/b", "spiffe://a/b/c", false),
            ("spiffe://a/b", "spiffe://ab/b", false),
            ("spiffe://a/*", "spiffe://a/b", true),
            ("spiffe://a/*", "spiffe://a/b/c", true),
            ("spiffe://a/*", "spiffe://a", false),
            ("spiffe://a/ns/*/sa/x", "spiffe://a/ns/y/sa/x", true),
            ("spiffe://a/ns/*/sa/x", "spiffe://a/ns/y/z/sa/x", false),
            ("spiffe://a/ns/*/sa/x", "spiffe://a/ns/y/sa/xx", false),
            ("spiffe://a", "spiffe://a", true),
            ("spiffe://a", "spiffe://a/b", false),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(id),
                expected,
                "{pattern} {id}"
            );
        }
        for bad in [
            "",
            "*",
            "spiffe://*/a",
            "spiffe://a/b*",
            "spiffe://a/",
            "spiffe://a//*",
        ] {
            assert_eq!(Pattern::parse(bad), None, "{bad}");
        }
    }
}
