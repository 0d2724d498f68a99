//! What a request speaks.

use super::{Kind, Record, Slot};

const GRPC: &[u8] = b"application/grpc";

/// `grpc`, `http` or `tcp`, unless the caller says.
pub fn protocol<'a>(record: &Record<'a>) -> &'a [u8] {
    if record.kind == Kind::Tcp {
        return b"tcp";
    }
    let grpc = || {
        record
            .get(Slot::ContentType)
            .is_some_and(|one| one.starts_with(GRPC))
    };
    match record.told_protocol() {
        Some(told) => told,
        None if grpc() => b"grpc",
        None => b"http",
    }
}
