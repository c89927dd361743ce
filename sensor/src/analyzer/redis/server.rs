//! What a server sends: values, in values to some depth. Behind an error the next line is tried.

use super::limits::{MAX_ELEMENTS, MAX_STRING};
use super::line::Line;

/// Most values in each other.
const MAX_DEPTH: usize = 20;

/// The server's direction.
#[derive(Debug)]
pub struct Server {
    state: State,
    line: Line,
    /// The aggregates around what comes next, outermost first.
    around: Vec<Aggregate>,
    /// Elements of the reply so far.
    elements: i64,
    /// There was an error.
    was_wrong: bool,
}

#[derive(Debug)]
struct Aggregate {
    /// Elements still to come.
    left: i64,
    /// It stands before the value that it tells of.
    is_attribute: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value's type; true: behind its attributes.
    Type(bool),
    /// The number behind this type.
    Number(u8),
    /// So many bytes of a string.
    Content(i64),
    /// A truth value's letter.
    Letter,
    /// The rest of a line, which ends a value.
    Rest,
    /// The next line begins anew.
    Lost,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            state: State::Type(false),
            line: Line::default(),
            around: Vec::new(),
            elements: 0,
            was_wrong: false,
        }
    }
}

impl Server {
    /// Takes bytes. Whether a reply has become whole.
    pub fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut found = false;
        while !bytes.is_empty() {
            match self.step(&mut bytes) {
                Some(is_whole) => found |= is_whole,
                None => {
                    *self = Server {
                        state: State::Lost,
                        was_wrong: true,
                        ..Server::default()
                    };
                }
            }
        }
        found
    }

    /// Whether no reply has begun and not ended, and none was wrong.
    pub fn is_between(&self) -> bool {
        self.state == State::Type(false) && self.around.is_empty() && !self.was_wrong
    }

    /// Takes bytes off the front. Whether a reply has become whole; none if it cannot be one.
    fn step(&mut self, bytes: &mut &[u8]) -> Option<bool> {
        match self.state {
            State::Type(is_told) => {
                let (&first, rest) = bytes.split_first()?;
                *bytes = rest;
                self.state = self.typed(first, is_told)?;
            }
            State::Letter => {
                *bytes = bytes.get(1..)?;
                self.state = State::Rest;
            }
            State::Content(left) => {
                let n = bytes.len().min(usize::try_from(left).ok()?);
                *bytes = bytes.get(n..)?;
                self.state = match left - n as i64 {
                    0 => State::Rest,
                    left => State::Content(left),
                };
            }
            State::Number(_) | State::Rest | State::Lost if !self.line.read(bytes) => {}
            State::Number(kind) => {
                let number = std::mem::take(&mut self.line).number()?;
                return self.counted(kind, number);
            }
            State::Rest => {
                self.line = Line::default();
                return Some(self.value_ends());
            }
            State::Lost => {
                self.line = Line::default();
                self.state = State::Type(false);
            }
        }
        Some(false)
    }

    /// What follows a type.
    fn typed(&self, first: u8, is_told: bool) -> Option<State> {
        match first {
            _ if self.around.len() >= MAX_DEPTH => None,
            b'+' | b'-' | b':' | b'_' | b',' | b'(' => Some(State::Rest),
            b'#' => Some(State::Letter),
            b'$' | b'!' | b'=' | b'*' | b'>' | b'%' | b'~' => Some(State::Number(first)),
            b'|' if !is_told => Some(State::Number(first)),
            _ => None,
        }
    }

    /// A number follows its type: of bytes, or of elements.
    fn counted(&mut self, kind: u8, n: i64) -> Option<bool> {
        if matches!(kind, b'$' | b'!' | b'=') {
            self.state = match n {
                ..0 => return Some(self.value_ends()),
                0 => State::Rest,
                _ => State::Content(n),
            };
            return (n <= MAX_STRING).then_some(false);
        }
        let is_array = matches!(kind, b'*' | b'>');
        if is_array && n == -1 {
            return Some(self.value_ends());
        }
        if n < 0 || n > MAX_ELEMENTS - self.elements {
            return None;
        }
        self.elements += n;
        let is_attribute = kind == b'|';
        // Maps have a key and a value for each.
        let left = match kind {
            b'%' | b'|' => 2 * n,
            _ => n,
        };
        if left > 0 {
            self.around.push(Aggregate { left, is_attribute });
        } else if !is_attribute {
            return Some(self.value_ends());
        }
        self.state = State::Type(is_attribute && left == 0);
        Some(false)
    }

    /// A value is whole, and with it perhaps those around it. Whether the reply is.
    fn value_ends(&mut self) -> bool {
        self.state = State::Type(false);
        while let Some(last) = self.around.last_mut() {
            last.left -= 1;
            if last.left > 0 {
                return false;
            }
            let is_attribute = last.is_attribute;
            self.around.pop();
            if is_attribute {
                self.state = State::Type(true);
                return false;
            }
        }
        self.elements = 0;
        true
    }
}
