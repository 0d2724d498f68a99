//! OpenTelemetry's semantic conventions for spans of HTTP servers.

use mixer_host::attributes::Kind;
use mixer_host::value::Value;

pub const METHOD: &str = "http.request.method";
pub const ORIGINAL_METHOD: &str = "http.request.method_original";
pub const QUERY: &str = "url.query";

/// The attributes of a span, the method first, and where their values come from.
pub const USUAL: [(&str, &str, Kind); 11] = [
    (METHOD, "request\0method", Kind::Text),
    ("http.response.status_code", "response\0code", Kind::Int),
    ("url.path", "request\0url_path", Kind::Text),
    (QUERY, "request\0query", Kind::Text),
    ("url.scheme", "request\0scheme", Kind::Text),
    ("server.address", "request\0host", Kind::Text),
    ("user_agent.original", "request\0useragent", Kind::Text),
    ("client.address", "source\0address", Kind::Text),
    ("network.protocol.version", "request\0protocol", Kind::Text),
    ("http.request.body.size", "request\0size", Kind::Int),
    ("http.response.body.size", "response\0size", Kind::Int),
];

/// Those of RFC 9110, PATCH of RFC 5789 and QUERY; their case counts.
const METHODS: [&[u8]; 10] = [
    b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE",
    b"QUERY",
];

/// A method that the conventions know; None for all others.
pub fn known_method(method: &[u8]) -> Option<&'static [u8]> {
    METHODS.into_iter().find(|known| *known == method)
}

/// An attribute's value: a known method, an address without its port, a version without its name.
pub fn told_as(name: &str, value: Value) -> Value {
    let Value::Text(text) = value else {
        return value;
    };
    Value::Text(match name {
        METHOD => known_method(&text).unwrap_or(b"_OTHER").to_vec(),
        "client.address" => host(&text).to_vec(),
        "network.protocol.version" => version(&text).to_vec(),
        _ => text,
    })
}

fn host(address: &[u8]) -> &[u8] {
    let end = address.iter().rposition(|byte| *byte == b':');
    let host = &address[..end.unwrap_or(address.len())];
    let bare = host
        .strip_prefix(b"[")
        .and_then(|one| one.strip_suffix(b"]"));
    bare.unwrap_or(host)
}

fn version(protocol: &[u8]) -> &[u8] {
    match protocol.strip_prefix(b"HTTP/").unwrap_or(protocol) {
        b"2.0" => b"2",
        version => version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (name, text, told) in [
            (METHOD, "QUERY", "QUERY"),
            (METHOD, "get", "_OTHER"),
            ("client.address", "10.1.2.3:80", "10.1.2.3"),
            ("client.address", "[::1]:80", "::1"),
            ("client.address", "pipe", "pipe"),
            ("network.protocol.version", "HTTP/1.1", "1.1"),
            ("network.protocol.version", "HTTP/2", "2"),
            ("network.protocol.version", "HTTP/2.0", "2"),
            ("url.path", "/a:b", "/a:b"),
        ] {
            let found = told_as(name, Value::Text(text.into()));
            assert!(
                matches!(&found, Value::Text(bytes) if bytes == told.as_bytes()),
                "{name} {text}"
            );
        }
        let number = told_as(METHOD, Value::Int(7));
        assert!(matches!(number, Value::Int(7)));
    }
}
