//! The host side: request headers, the clock, the local response.

use crate::request::{Change, Request};
use crate::response::Denial;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{LogLevel, MapType};
use std::time::UNIX_EPOCH;

pub struct HostRequest;

impl Request for HostRequest {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        // Bytes, not text: the SDK's text variant panics on what is not UTF-8.
        hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name)
            .ok()
            .flatten()
    }

    fn now(&self) -> u64 {
        // Without a clock every token that can expire has expired.
        hostcalls::get_current_time()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(u64::MAX, |since| since.as_secs())
    }
}

pub fn apply(changes: &[Change]) {
    for change in changes {
        let (name, value) = match change {
            Change::Set(name, value) => (name, Some(value.as_slice())),
            Change::Remove(name) => (name, None),
        };
        // The only error that the SDK returns here is one that it never does.
        let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, value);
    }
}

pub fn log_error(message: &str) {
    let _ = hostcalls::log(LogLevel::Error, message);
}

pub fn deny(denial: &Denial) {
    let headers = serialize(&denial.headers);
    // SAFETY: every pointer and size pair is a live slice, and the host only reads.
    let _status = unsafe {
        proxy_send_local_response(
            denial.status,
            denial.code.as_ptr(),
            denial.code.len(),
            denial.body.as_ptr(),
            denial.body.len(),
            headers.as_ptr(),
            headers.len(),
            // No gRPC status of our own: the proxy derives it from the HTTP status.
            -1,
        )
    };
}

// The SDK's own send_http_response passes no details, and the details are where
// operators see the reason. The status is declared as a number, because a host
// may answer with one that the SDK's enum does not know.
#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

/// The ABI's header list: the count, then two sizes for each header, then each
/// name and value with a zero byte after it. Numbers are little-endian.
fn serialize(headers: &[(&str, String)]) -> Vec<u8> {
    let size = |text: &str| u32::try_from(text.len()).unwrap_or(0).to_le_bytes();
    let mut bytes = Vec::with_capacity(256);
    bytes.extend(u32::try_from(headers.len()).unwrap_or(0).to_le_bytes());
    for (name, value) in headers {
        bytes.extend(size(name));
        bytes.extend(size(value));
    }
    for (name, value) in headers {
        for text in [name.as_bytes(), value.as_bytes()] {
            bytes.extend(text);
            bytes.push(0);
        }
    }
    bytes
}
