//! Where a credential is looked for, and how it is taken out of the request.

use crate::path::hex_digit;
use crate::request::{Cached, Change, Request};

pub enum Place {
    Header { name: String, prefix: String },
    Query(String),
    Cookie(String),
}

pub struct Source {
    pub place: Place,
    pub strip: bool,
}

/// The credential of the first source that the request has one for.
pub fn find<R: Request>(sources: &[Source], request: &Cached<R>) -> Option<Vec<u8>> {
    sources.iter().find_map(|s| s.place.find(request))
}

impl Place {
    fn find<R: Request>(&self, request: &Cached<R>) -> Option<Vec<u8>> {
        let found = match self {
            Self::Header { name, prefix } => after_prefix(&request.header(name)?, prefix)?.to_vec(),
            Self::Query(name) => {
                let target = request.header(":path")?;
                let (_, query) = split_query(&target)?;
                let value = parameters(query).find_map(|p| parameter_value(p, name));
                value?
            }
            Self::Cookie(name) => {
                let header = request.header("cookie")?;
                let value = cookies(&header).find_map(|c| cookie_value(c, name));
                value?.to_vec()
            }
        };
        (!found.is_empty()).then_some(found)
    }
}

/// Authentication schemes are compared without regard to case (RFC 9110, 11.1).
fn after_prefix<'a>(value: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let value = value.trim_ascii();
    let head = value.get(..prefix.len())?;
    let rest = value.get(prefix.len()..)?;
    head.eq_ignore_ascii_case(prefix.as_bytes())
        .then(|| rest.trim_ascii())
}

fn split_query(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = target.iter().position(|b| *b == b'?')?;
    Some((target.get(..at)?, target.get(at + 1..)?))
}

fn parameters(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|b| *b == b'&')
}

fn parameter_name(parameter: &[u8]) -> Vec<u8> {
    let name = parameter.split(|b| *b == b'=').next();
    decode_form(name.unwrap_or_default())
}

fn parameter_value(parameter: &[u8], name: &str) -> Option<Vec<u8>> {
    if parameter_name(parameter) != name.as_bytes() {
        return None;
    }
    let at = parameter.iter().position(|b| *b == b'=')?;
    Some(decode_form(parameter.get(at + 1..)?))
}

/// Form decoding; an escape that is none stays as it is.
fn decode_form(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return decoded,
            [b'%', high, low, tail @ ..] => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    tail
                }
                _ => {
                    decoded.push(b'%');
                    &rest[1..]
                }
            },
            [b'+', tail @ ..] => {
                decoded.push(b' ');
                tail
            }
            [byte, tail @ ..] => {
                decoded.push(*byte);
                tail
            }
        }
    }
}

fn cookies(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|b| *b == b';').map(<[u8]>::trim_ascii)
}

fn cookie_value<'a>(cookie: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value = cookie.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""));
    Some(inner.unwrap_or(value))
}

/// The changes that take every credential with `strip` out of the request,
/// also out of sources that were not the one used. A header is removed unseen too:
/// a caller may withhold one that the request has. A query or a cookie header can
/// only be rewritten where it is seen, because its other parts must stay.
pub fn strip<'a, R: Request>(
    sources: impl Iterator<Item = &'a Source>,
    request: &Cached<R>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut parameters, mut cookies) = (Vec::new(), Vec::new());
    for source in sources.filter(|s| s.strip) {
        match &source.place {
            Place::Header { name, prefix } => {
                let removal = Change::Remove(name.clone());
                if !holds_another(name, prefix, request) && !changes.contains(&removal) {
                    changes.push(removal);
                }
            }
            Place::Query(name) => parameters.push(name.as_str()),
            Place::Cookie(name) => cookies.push(name.as_str()),
        }
    }
    changes.extend(strip_parameters(&parameters, request));
    changes.extend(strip_cookies(&cookies, request));
    changes
}

/// Whether the header is known to be of another scheme, as `Basic` where
/// `Bearer` is looked for: that one is not ours to remove.
fn holds_another<R: Request>(name: &str, prefix: &str, request: &Cached<R>) -> bool {
    let other = |value: &[u8]| after_prefix(value, prefix).is_none();
    !prefix.is_empty() && request.header(name).is_some_and(|v| other(&v))
}

fn strip_parameters<R: Request>(names: &[&str], request: &Cached<R>) -> Option<Change> {
    if names.is_empty() {
        return None;
    }
    let target = request.header(":path")?;
    let (path, query) = split_query(&target)?;
    let named = |p: &[u8]| names.iter().any(|n| parameter_name(p) == n.as_bytes());
    if !parameters(query).any(named) {
        return None;
    }
    let kept: Vec<&[u8]> = parameters(query).filter(|p| !named(p)).collect();
    let mut rewritten = path.to_vec();
    if !kept.is_empty() {
        rewritten.push(b'?');
        rewritten.extend(kept.join(&b'&'));
    }
    Some(Change::Set(":path".to_owned(), rewritten))
}

fn strip_cookies<R: Request>(names: &[&str], request: &Cached<R>) -> Option<Change> {
    if names.is_empty() {
        return None;
    }
    let header = request.header("cookie")?;
    let named = |c: &[u8]| {
        let name = c.split(|b| *b == b'=').next().unwrap_or_default();
        names.iter().any(|n| name == n.as_bytes())
    };
    if !cookies(&header).any(named) {
        return None;
    }
    let kept: Vec<&[u8]> = cookies(&header)
        .filter(|c| !c.is_empty() && !named(c))
        .collect();
    Some(if kept.is_empty() {
        Change::Remove("cookie".to_owned())
    } else {
        Change::Set("cookie".to_owned(), kept.join(&b"; "[..]))
    })
}
