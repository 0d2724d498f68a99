//! gRPC status codes.

pub const INVALID_ARGUMENT: i32 = 3;
pub const PERMISSION_DENIED: i32 = 7;
pub const FAILED_PRECONDITION: i32 = 9;
pub const INTERNAL: i32 = 13;

/// By code from 0: the HTTP statuses that Istio's Mixer had a proxy answer with.
const STATUSES: [u32; 17] = [
    200, 408, 500, 400, 504, 404, 409, 403, 429, 412, 409, 400, 501, 500, 503, 500, 401,
];

/// The HTTP status of a code.
pub fn http_status(code: i32) -> u32 {
    usize::try_from(code)
        .ok()
        .and_then(|at| STATUSES.get(at))
        .copied()
        .unwrap_or(500)
}
