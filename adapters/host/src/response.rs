//! The local response: what is answered in place of the upstream.

use crate::abi;

/// A refusal.
pub struct LocalResponse<'a> {
    pub status: u32,
    /// The reason for operators: Envoy's `%RESPONSE_CODE_DETAILS%`. Spaces become underscores.
    pub details: &'a str,
    pub headers: &'a [(&'a str, String)],
    pub body: &'a str,
}

// The SDK's own send_http_response passes no details, and the details are where operators see
// the reason.
pub fn send(response: &LocalResponse) {
    // No gRPC status of our own: the proxy derives it from the HTTP status.
    send_with_code(response, -1);
}

/// The same, with the gRPC code that a gRPC client is told.
pub fn send_with_code(response: &LocalResponse, code: i32) {
    let headers = serialize(response.headers);
    // SAFETY: every pointer and size pair is a live slice, and the host only reads.
    let _status = unsafe {
        abi::proxy_send_local_response(
            response.status,
            response.details.as_ptr(),
            response.details.len(),
            response.body.as_ptr(),
            response.body.len(),
            headers.as_ptr(),
            headers.len(),
            code,
        )
    };
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
