//! `Content-Digest` (RFC 9530).

use super::fields::binary;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

const MAX_BYTES: usize = 1024;

/// Whether the header tells a body's digest: each one in it that is known, and at least one.
pub fn matches(header: &[u8], body: &[u8]) -> bool {
    if header.len() > MAX_BYTES {
        return false;
    }
    let Ok(text) = std::str::from_utf8(header) else {
        return false;
    };
    let mut known = text.split(',').filter_map(|member| is_right(member, body));
    let first = known.next();
    first == Some(true) && known.all(|right| right)
}

/// None for an algorithm that is not known.
fn is_right(member: &str, body: &[u8]) -> Option<bool> {
    let (name, value) = member.trim_matches([' ', '\t']).split_once('=')?;
    let equal = |digest: &[u8]| binary(value).is_some_and(|told| told.ct_eq(digest).into());
    match name {
        "sha-256" => Some(equal(&Sha256::digest(body))),
        "sha-512" => Some(equal(&Sha512::digest(body))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64, Encoding};

    #[test]
    fn digests() {
        let half = format!("sha-256=:{}:", Base64::encode_string(&Sha256::digest(b"a")));
        let whole = format!("sha-512=:{}:", Base64::encode_string(&Sha512::digest(b"a")));
        for good in [
            &half,
            &whole,
            &format!("{half}, {whole}"),
            &format!("x=:AA==:,{half}"),
        ] {
            assert!(matches(good.as_bytes(), b"a"), "{good}");
            assert!(!matches(good.as_bytes(), b"b"), "{good}");
        }
        let other = format!("sha-512=:{}:", Base64::encode_string(&Sha512::digest(b"b")));
        for bad in [
            "",
            "md5=:AA==:",
            "sha-256",
            "sha-256=AA==",
            &format!("{half}, {other}"),
        ] {
            assert!(!matches(bad.as_bytes(), b"a"), "{bad}");
        }
        assert!(!matches(b"\xff", b"a"));
        assert!(!matches(&[b' '; MAX_BYTES + 1], b"a"));
    }
}
