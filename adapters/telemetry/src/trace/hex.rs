//! Ids as small hexadecimal digits, which is how every format writes them.

/// The bytes of an id; None for what is no such number of small hexadecimal digits.
pub fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// The same for an id, which is never 0.
pub fn id<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    decode(text).filter(|bytes| bytes.iter().any(|byte| *byte != 0))
}

pub fn push(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for four in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(four)]));
        }
    }
}

fn digit(one: u8) -> Option<u8> {
    match one {
        b'0'..=b'9' => Some(one - b'0'),
        b'a'..=b'f' => Some(one - b'a' + 10),
        _ => None,
    }
}
