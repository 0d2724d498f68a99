//! Reads numbers at given paths out of one JSON document that comes in pieces.
//!
//! It keeps nothing of the document but where it is in it: a bit for each level, the name or the
//! number that is being read. Text within strings can so never be taken for the usage.

use super::paths::{Found, Paths, PARTS, PART_BYTES, ROOT, SLOTS};
use memchr::memchr2;

const LEVELS: u32 = 128;
const NUMBER_BYTES: usize = 10;
/// The most tokens that one response may tell.
pub const MOST: u64 = 1_000_000_000;

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// A value, or the end of an array that has none.
    Value,
    FirstValue,
    /// A name, or the end of an object that has none.
    Name,
    FirstName,
    InName,
    InNameEscape,
    Colon,
    InText,
    InTextEscape,
    InNumber,
    /// The rest of `true`, `false` or `null`.
    Literal(&'static [u8]),
    AfterValue,
    Failed,
}

/// What came of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// There was nothing but white space.
    Nothing,
    /// It is not JSON, or not all of it.
    Broken,
    /// It is one whole document.
    Whole,
}

pub struct Json {
    state: State,
    depth: u32,
    /// Whether each level is an object, the innermost one in the lowest bit.
    objects: u128,
    /// The place in the tree of each level from the outermost one, as long as there is one.
    places: [u16; PARTS + 2],
    live: u32,
    /// The place of the next value.
    place: Option<u16>,
    name: Short<PART_BYTES>,
    number: Short<NUMBER_BYTES>,
    found: Found,
    bad: bool,
}

/// A text that is kept as long as it is not too long.
struct Short<const N: usize> {
    bytes: [u8; N],
    size: usize,
}

impl<const N: usize> Short<N> {
    const EMPTY: Self = Self {
        bytes: [0; N],
        size: 0,
    };

    fn push(&mut self, more: &[u8]) {
        let end = self.size.saturating_add(more.len());
        if let Some(room) = self.bytes.get_mut(self.size..end) {
            room.copy_from_slice(more);
        }
        self.size = end;
    }

    /// None where it was too long.
    fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..self.size)
    }
}

impl Json {
    pub fn new() -> Self {
        Self {
            state: State::Value,
            depth: 0,
            objects: 0,
            places: [ROOT; PARTS + 2],
            live: 0,
            place: Some(ROOT),
            name: Short::EMPTY,
            number: Short::EMPTY,
            found: [None; SLOTS],
            bad: false,
        }
    }

    /// Takes the next piece.
    pub fn feed(&mut self, paths: &Paths, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            rest = match self.state {
                State::Failed => return,
                State::InText | State::InName => self.text(paths, rest),
                _ => {
                    self.step(paths, byte);
                    after
                }
            };
        }
    }

    /// What came of it; the numbers count only where it is whole. The flag tells that one of them
    /// is none that can be counted.
    pub fn finish(&mut self, paths: &Paths) -> (Ending, &Found, bool) {
        if self.state == State::InNumber {
            self.end_number(paths);
        }
        let ending = match self.state {
            State::AfterValue if self.depth == 0 => Ending::Whole,
            State::Value if self.depth == 0 => Ending::Nothing,
            _ => Ending::Broken,
        };
        (ending, &self.found, self.bad)
    }

    /// Takes what of a text is there; what follows is returned.
    fn text<'a>(&mut self, paths: &Paths, rest: &'a [u8]) -> &'a [u8] {
        let is_name = self.state == State::InName;
        let end = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        if is_name && self.is_live() {
            self.name.push(part);
        }
        let Some((&byte, after)) = after.split_first() else {
            return after;
        };
        match (byte, is_name) {
            (b'"', true) => self.end_name(paths),
            (b'"', false) => self.state = State::AfterValue,
            (_, true) => self.state = State::InNameEscape,
            (_, false) => self.state = State::InTextEscape,
        }
        after
    }

    fn step(&mut self, paths: &Paths, byte: u8) {
        match self.state {
            State::InNameEscape => {
                // A name with an escape is none that is looked for: it must not match by its rest.
                self.name.push(&[0; PART_BYTES + 1]);
                self.state = State::InName;
            }
            State::InTextEscape => self.state = State::InText,
            State::InNumber => self.in_number(paths, byte),
            State::Literal(expected) => self.in_literal(expected, byte),
            _ if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') => {}
            State::Value => self.value(paths, byte),
            State::FirstValue if byte == b']' => self.close(false),
            State::FirstValue => self.value(paths, byte),
            State::FirstName if byte == b'}' => self.close(true),
            State::FirstName | State::Name => self.begin_name(byte),
            State::Colon if byte == b':' => self.state = State::Value,
            State::AfterValue => self.after_value(byte),
            _ => self.state = State::Failed,
        }
    }

    fn value(&mut self, paths: &Paths, byte: u8) {
        let slot = self.place.and_then(|place| paths.slot(place));
        // What should be a number and is neither that nor null.
        self.bad |= slot.is_some() && !matches!(byte, b'-' | b'0'..=b'9' | b'n');
        match byte {
            b'{' => self.open(paths, true),
            b'[' => self.open(paths, false),
            b'"' => self.state = State::InText,
            b't' => self.state = State::Literal(b"rue"),
            b'f' => self.state = State::Literal(b"alse"),
            b'n' => self.state = State::Literal(b"ull"),
            b'-' | b'0'..=b'9' => {
                self.number.size = 0;
                self.number.push(&[byte]);
                self.state = State::InNumber;
            }
            _ => self.state = State::Failed,
        }
    }

    fn open(&mut self, paths: &Paths, is_object: bool) {
        if self.depth == LEVELS {
            self.state = State::Failed;
            return;
        }
        // Documents within one outermost array are each like one by itself.
        let place = self.place.filter(|_| is_object || self.depth == 0);
        if let Some(place) = place.filter(|one| paths.has_children(*one)) {
            self.places[self.live as usize] = place;
            self.live += 1;
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_object);
        self.state = if is_object {
            State::FirstName
        } else {
            State::FirstValue
        };
        self.place = self.here().filter(|_| !is_object);
    }

    fn close(&mut self, is_object: bool) {
        let innermost = self.objects & 1 == 1;
        if self.depth == 0 || innermost != is_object {
            self.state = State::Failed;
            return;
        }
        self.depth -= 1;
        self.objects >>= 1;
        self.live = self.live.min(self.depth);
        self.state = State::AfterValue;
    }

    /// Whether the innermost level has a place in the tree.
    fn is_live(&self) -> bool {
        self.live == self.depth
    }

    fn here(&self) -> Option<u16> {
        let innermost = self.depth.checked_sub(1)? as usize;
        self.is_live().then(|| self.places[innermost])
    }

    fn begin_name(&mut self, byte: u8) {
        self.name.size = 0;
        self.state = match byte {
            b'"' => State::InName,
            _ => State::Failed,
        };
    }

    fn end_name(&mut self, paths: &Paths) {
        let here = self.here().zip(self.name.get());
        self.place = here.and_then(|(here, name)| paths.child(here, name));
        self.state = State::Colon;
    }

    fn after_value(&mut self, byte: u8) {
        let is_object = self.objects & 1 == 1;
        match byte {
            b',' if self.depth > 0 && is_object => self.state = State::Name,
            b',' if self.depth > 0 => {
                self.place = self.here();
                self.state = State::Value;
            }
            b'}' => self.close(true),
            b']' => self.close(false),
            _ => self.state = State::Failed,
        }
    }

    fn in_number(&mut self, paths: &Paths, byte: u8) {
        if matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') {
            self.number.push(&[byte]);
            return;
        }
        self.end_number(paths);
        self.step(paths, byte);
    }

    fn end_number(&mut self, paths: &Paths) {
        self.state = State::AfterValue;
        let Some(slot) = self.place.and_then(|place| paths.slot(place)) else {
            return;
        };
        match self.number.get().and_then(whole) {
            Some(number) => self.found[slot] = Some(number),
            None => self.bad = true,
        }
    }

    fn in_literal(&mut self, expected: &'static [u8], byte: u8) {
        self.state = match expected {
            [last] if *last == byte => State::AfterValue,
            [next, rest @ ..] if *next == byte => State::Literal(rest),
            _ => State::Failed,
        };
    }
}

/// A number of tokens; None where it is negative, a fraction, or huge.
fn whole(digits: &[u8]) -> Option<u64> {
    let sound =
        matches!(digits, [b'0'] | [b'1'..=b'9', ..]) && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| sound)?;
    text.parse().ok().filter(|number| *number <= MOST)
}
