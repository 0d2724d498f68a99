//! What a collector answers, and what is to be done then.

use super::wire::{field, Field};

const CANCELLED: u32 = 1;
const DEADLINE_EXCEEDED: u32 = 4;
const ABORTED: u32 = 10;
const OUT_OF_RANGE: u32 = 11;
const UNAVAILABLE: u32 = 14;
const DATA_LOSS: u32 = 15;

/// Whether the same may be sent again after a status of gRPC, by OTLP's table.
///
/// RESOURCE_EXHAUSTED would be with `RetryInfo` alone, and a unary call tells no trailers.
pub fn is_retryable(status: u32) -> bool {
    [
        CANCELLED,
        DEADLINE_EXCEEDED,
        ABORTED,
        OUT_OF_RANGE,
        UNAVAILABLE,
        DATA_LOSS,
    ]
    .contains(&status)
}

/// How many records of a batch the collector did not take, by `partial_success`.
///
/// What is no answer of a collector says nothing about that: None.
pub fn rejected(answer: &[u8]) -> Option<u64> {
    let mut rest = answer;
    let mut count = 0;
    while !rest.is_empty() {
        let (one, behind) = field(rest)?;
        if let Field::Bytes(1, partial) = one {
            count = partial_success(partial)?;
        }
        rest = behind;
    }
    Some(count)
}

fn partial_success(mut rest: &[u8]) -> Option<u64> {
    let mut count = 0;
    while !rest.is_empty() {
        let (one, behind) = field(rest)?;
        if let Field::Number(1, number) = one {
            // It is signed on the wire.
            count = number.min(i64::MAX.unsigned_abs());
        }
        rest = behind;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        for (answer, count) in [
            (&b""[..], Some(0)),
            (b"\x0a\x00", Some(0)),
            (b"\x0a\x02\x08\x05", Some(5)),
            (b"\x0a\x07\x08\xac\x02\x12\x02no", Some(300)),
            (b"\x12\x01x\x0a\x02\x08\x05", Some(5)),
            (b"\x0a\x05\x08", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"<html>", None),
        ] {
            assert_eq!(rejected(answer), count, "{answer:?}");
        }
    }

    #[test]
    fn statuses() {
        let again: Vec<u32> = (0..20).filter(|status| is_retryable(*status)).collect();
        assert_eq!(again, [1, 4, 10, 11, 14, 15]);
    }
}
