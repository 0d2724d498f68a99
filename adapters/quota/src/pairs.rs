//! A map as the host hands it over: the count, all sizes, and then each key and value with a NUL.

/// None for bytes that are no such map.
pub fn decode(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let (count, rest) = number(bytes)?;
    // Sizes alone take so much: a count that cannot be true reserves nothing.
    let sizes = rest.get(..count.checked_mul(8)?)?;
    let mut texts = rest.get(sizes.len()..)?;
    let mut pairs = Vec::with_capacity(count);
    for both in sizes.chunks_exact(8) {
        let (key, value) = (number(both)?.0, number(&both[4..])?.0);
        pairs.push((text(&mut texts, key)?, text(&mut texts, value)?));
    }
    Some(pairs)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*head) as usize, rest))
}

fn text(texts: &mut &[u8], size: usize) -> Option<Vec<u8>> {
    let text = texts.get(..size)?.to_vec();
    *texts = texts.get(size.checked_add(1)?..)?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0a\0xy\0a\0\0";

    #[test]
    fn keys_may_come_twice() {
        let pair = |k: &[u8], v: &[u8]| (k.to_vec(), v.to_vec());
        assert_eq!(decode(TWO), Some(vec![pair(b"a", b"xy"), pair(b"a", b"")]));
        assert_eq!(decode(b"\0\0\0\0"), Some(vec![]));
    }

    #[test]
    fn damaged_bytes_are_no_map_and_no_panic() {
        for end in 0..TWO.len() {
            assert_eq!(decode(&TWO[..end]), None);
        }
        assert_eq!(decode(b"\xff\xff\xff\xff"), None);
        assert_eq!(decode(b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
