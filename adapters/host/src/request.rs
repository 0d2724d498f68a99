//! Headers of the request, and the clock.

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};
use std::time::UNIX_EPOCH;

/// Bytes, not text: the SDK's text variant panics on what is not UTF-8.
pub fn header(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name)
        .ok()
        .flatten()
}

/// Sets a header, or with None removes it.
pub fn set_header(name: &str, value: Option<&[u8]>) {
    // The only error that the SDK returns here is one that it never does.
    let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, value);
}

/// The body that is buffered, of so many bytes; None where the host gives none.
pub fn body(size: usize) -> Option<Vec<u8>> {
    hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size).ok()?
}

/// Nanoseconds of the wall clock since 1970; None without a clock.
pub fn now() -> Option<u64> {
    let time = hostcalls::get_current_time().ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}
