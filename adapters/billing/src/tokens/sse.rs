//! Reads numbers out of a stream of server-sent events whose data are JSON documents.
//!
//! The last event that tells a number counts. Events that are no JSON, such as `[DONE]`, are
//! passed over.

use super::json::{Ending, Json};
use super::paths::{Found, Paths, SLOTS};
use memchr::memchr2;

const DATA: &[u8] = b"data:";
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// So many bytes of the line are as those of the field's name.
    Field(usize),
    /// The value of the field; a space before it is none of it.
    Value { first: bool },
    /// Another line.
    Other,
}

pub struct Sse {
    state: State,
    /// So many bytes of the mark that may be at the very beginning were there.
    mark: Option<usize>,
    after_return: bool,
    event: Json,
    found: Found,
    bad: bool,
}

impl Sse {
    pub fn new() -> Self {
        Self {
            state: State::Field(0),
            mark: Some(0),
            after_return: false,
            event: Json::new(),
            found: [None; SLOTS],
            bad: false,
        }
    }

    /// Takes the next piece.
    pub fn feed(&mut self, paths: &Paths, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            let state = self.state;
            rest = match state {
                _ if self.is_mark(byte) => after,
                State::Field(_) => {
                    self.in_field(paths, byte);
                    after
                }
                State::Value { first: true } if byte == b' ' => {
                    self.state = State::Value { first: false };
                    after
                }
                State::Value { .. } | State::Other => self.in_line(paths, rest),
            };
        }
    }

    /// The numbers, and whether one of them is none that can be counted.
    pub fn finish(&mut self, paths: &Paths) -> (&Found, bool) {
        // Not every server ends its last event with an empty line.
        self.end_event(paths);
        (&self.found, self.bad)
    }

    fn is_mark(&mut self, byte: u8) -> bool {
        let is_next = |at: &usize| BYTE_ORDER_MARK.get(*at) == Some(&byte);
        let next = self.mark.filter(is_next);
        self.mark = next.map(|at| at + 1);
        next.is_some()
    }

    fn in_field(&mut self, paths: &Paths, byte: u8) {
        let State::Field(at) = self.state else {
            return;
        };
        let follows_return = std::mem::take(&mut self.after_return);
        self.state = match byte {
            b'\n' if follows_return => State::Field(0),
            b'\n' | b'\r' => {
                if at == 0 {
                    self.end_event(paths);
                }
                self.after_return = byte == b'\r';
                State::Field(0)
            }
            _ if DATA[at] != byte => State::Other,
            _ if at + 1 == DATA.len() => State::Value { first: true },
            _ => State::Field(at + 1),
        };
    }

    /// Takes what of a line is there; what follows is returned.
    fn in_line<'a>(&mut self, paths: &Paths, rest: &'a [u8]) -> &'a [u8] {
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        let is_value = matches!(self.state, State::Value { .. });
        if is_value {
            self.event.feed(paths, part);
            self.state = State::Value { first: false };
        }
        let Some((&byte, after)) = after.split_first() else {
            return after;
        };
        if is_value {
            // Values of several lines are joined by this.
            self.event.feed(paths, b"\n");
        }
        self.after_return = byte == b'\r';
        self.state = State::Field(0);
        after
    }

    fn end_event(&mut self, paths: &Paths) {
        let (ending, found, bad) = self.event.finish(paths);
        if ending == Ending::Nothing {
            return;
        }
        if ending == Ending::Whole {
            self.bad |= bad;
            for (known, new) in self.found.iter_mut().zip(found) {
                *known = new.or(*known);
            }
        }
        self.event = Json::new();
    }
}
