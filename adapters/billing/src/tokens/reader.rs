//! Reads the usage out of one response.

use super::json::{Ending, Json};
use super::paths::{Found, Paths};
use super::sse::Sse;

const COMPRESSED: &str = "the response is compressed";
const OTHER_TYPE: &str = "the content type is neither JSON nor an event stream";
const BROKEN: &str = "the response is no JSON, or not all of it came";
const NO_USAGE: &str = "the response tells no usage";
const BAD: &str = "a number of the usage is no whole number from 0 to 1000000000";

/// What a response is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    Json,
    Sse,
}

impl Format {
    /// By the headers of the response, or why it cannot be read.
    pub fn of(content_type: Option<&[u8]>, encoding: Option<&[u8]>) -> Result<Self, &'static str> {
        let encoding = encoding.unwrap_or_default().trim_ascii();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
            return Err(COMPRESSED);
        }
        let whole = content_type.unwrap_or_default();
        let media = whole.split(|byte| *byte == b';').next().unwrap_or_default();
        let media = media.trim_ascii().to_ascii_lowercase();
        match media.as_slice() {
            b"text/event-stream" => Ok(Self::Sse),
            b"application/json" => Ok(Self::Json),
            _ if media.ends_with(b"+json") => Ok(Self::Json),
            _ => Err(OTHER_TYPE),
        }
    }
}

/// Boxed: most requests have none.
pub enum Reader {
    Json(Box<Json>),
    Sse(Box<Sse>),
}

impl Reader {
    pub fn new(format: Format) -> Self {
        match format {
            Format::Json => Self::Json(Box::new(Json::new())),
            Format::Sse => Self::Sse(Box::new(Sse::new())),
        }
    }

    /// Takes the next piece of the body.
    pub fn feed(&mut self, paths: &Paths, piece: &[u8]) {
        match self {
            Self::Json(json) => json.feed(paths, piece),
            Self::Sse(sse) => sse.feed(paths, piece),
        }
    }

    /// What it told, or why that cannot be counted.
    pub fn finish(&mut self, paths: &Paths) -> Result<Found, &'static str> {
        let (found, bad) = match self {
            Self::Json(json) => match json.finish(paths) {
                (Ending::Whole, found, bad) => (found, bad),
                _ => return Err(BROKEN),
            },
            Self::Sse(sse) => sse.finish(paths),
        };
        if bad {
            return Err(BAD);
        }
        let told = found.iter().any(Option::is_some);
        told.then_some(*found).ok_or(NO_USAGE)
    }
}
