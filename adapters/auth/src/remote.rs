//! What a decision may have to wait for, and where that is asked.

use base64ct::{Base64, Encoding};

/// The SHA-256 of a token.
pub type Fingerprint = [u8; 32];

/// What is asked of another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The key set of the provider of this index.
    KeySet(usize),
    /// What the authorization server says of a token.
    Introspection(Fingerprint),
}

/// What came back: None where there was no whole answer.
pub struct Answer {
    /// Of HTTP.
    pub status: u32,
    /// Cut where it is longer than whoever asked takes, plus one byte.
    pub body: Vec<u8>,
}

/// Where to ask: Envoy's `HttpUri`.
#[derive(Debug)]
pub struct HttpUri {
    pub cluster: String,
    pub scheme: &'static str,
    pub authority: String,
    pub path: String,
    pub timeout_ms: u32,
}

/// A request that is ready to be sent.
pub struct Call {
    pub wanted: Wanted,
    pub method: &'static str,
    /// Beyond those that the address gives.
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Vec<u8>>,
}

impl HttpUri {
    /// The parts of `https://host:port/path?query`. None for one that is not whole, or that has
    /// what no request line may have: a fragment, a user, spaces, control characters.
    pub fn parse(uri: &str) -> Option<(&'static str, String, String)> {
        let (scheme, rest) = match uri.split_once("://")? {
            ("https", rest) => ("https", rest),
            ("http", rest) => ("http", rest),
            _ => return None,
        };
        let plain = |b: u8| (b'!'..=b'~').contains(&b) && !b"#\\\"<>^`{|}".contains(&b);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let sound = rest.bytes().all(plain) && !authority.is_empty() && !authority.contains('@');
        let path = match target.as_bytes() {
            [b'/', ..] => target.to_owned(),
            _ => format!("/{target}"),
        };
        sound.then(|| (scheme, authority.to_owned(), path))
    }
}

/// `application/x-www-form-urlencoded`: all but the unreserved characters are escaped.
pub fn form_encode(text: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len() + text.len() / 4);
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded
}

/// The client's credentials in the form of RFC 6749, section 2.3.1: both are form-encoded first.
pub fn basic_authorization(client_id: &str, secret: &str) -> String {
    let (id, secret) = (
        form_encode(client_id.as_bytes()),
        form_encode(secret.as_bytes()),
    );
    let pair = Base64::encode_string(format!("{id}:{secret}").as_bytes());
    format!("Basic {pair}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (uri, authority, path) in [
            (
                "https://id.example.com/keys?v=2",
                "id.example.com",
                "/keys?v=2",
            ),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", "/"),
            ("https://[::1]:1?a", "[::1]:1", "/?a"),
        ] {
            let (_, a, p) = HttpUri::parse(uri).unwrap();
            assert_eq!((a.as_str(), p.as_str()), (authority, path), "{uri}");
        }
        for bad in [
            "",
            "id.example.com/keys",
            "ftp://a/",
            "https:///keys",
            "https://u:p@a/",
            "https://a/#b",
            "https://a/ b",
            "https://a/\r\nx: y",
            "https://a/ü",
            "https://",
        ] {
            assert!(HttpUri::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn forms() {
        assert_eq!(form_encode(b"a-Z_0.~"), "a-Z_0.~");
        assert_eq!(form_encode(b"a&b=c d+\xff\0"), "a%26b%3Dc%20d%2B%FF%00");
        // RFC 6749 encodes before RFC 7617 joins, so that a colon in a name splits nothing.
        assert_eq!(basic_authorization("a:b", "c"), "Basic YSUzQWI6Yw==");
    }
}
