//! The response of the current request, as far as it tells tokens.

use crate::tokens::{Format, Found, Paths, Reader};
use mixer_host::properties;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

/// How much of a body is in the memory of the module at once.
const PIECE_BYTES: usize = 64 * 1024;
const NEVER_PASSED: &str = "the response did not pass through here";

/// What is known of the tokens of one response.
pub enum Response {
    /// Nothing passed yet.
    Unseen,
    /// It is an error, or there is none: no tokens are used, and none are missed.
    Without,
    Unreadable(&'static str),
    Reading(Reader),
}

impl Response {
    /// By the headers of the response.
    pub fn begin() -> Self {
        if !succeeded() {
            return Self::Without;
        }
        let header = |name| {
            let value = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, name);
            value.ok().flatten()
        };
        let format = Format::of(
            header("content-type").as_deref(),
            header("content-encoding").as_deref(),
        );
        match format {
            Ok(format) => Self::Reading(Reader::new(format)),
            Err(why) => Self::Unreadable(why),
        }
    }

    /// Reads what of the body is there, piece by piece.
    pub fn read(&mut self, paths: &Paths, size: usize) {
        let Self::Reading(reader) = self else {
            return;
        };
        for start in (0..size).step_by(PIECE_BYTES) {
            let most = PIECE_BYTES.min(size - start);
            match hostcalls::get_buffer(BufferType::HttpResponseBody, start, most) {
                Ok(Some(piece)) => reader.feed(paths, &piece),
                _ => return,
            }
        }
    }

    /// What it told, None where there is nothing to tell; or why that cannot be read.
    pub fn tokens(&mut self, paths: &Paths, passed: bool) -> Result<Option<Found>, &'static str> {
        match self {
            Self::Reading(reader) => reader.finish(paths).map(Some),
            Self::Unreadable(why) => Err(why),
            Self::Unseen if !passed || succeeded() => Err(NEVER_PASSED),
            Self::Unseen | Self::Without => Ok(None),
        }
    }
}

fn succeeded() -> bool {
    properties::int(&["response", "code"]).is_some_and(|code| (200..300).contains(&code))
}
