//! What a client sends: arrays of strings, or lines.

use super::limits::{MAX_ELEMENTS, MAX_STRING};
use super::line::Line;

/// Longest command that is a line, bytes.
const MAX_INLINE: usize = 1024;

/// The client's direction.
#[derive(Debug, Default)]
pub struct Client {
    state: State,
    line: Line,
    /// Strings of the array that are still to come.
    left: i64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// Between commands.
    #[default]
    Start,
    Inline,
    /// The number of strings.
    Count,
    /// A string's type.
    Type,
    /// Its length.
    Length,
    /// So many bytes of it.
    Content(i64),
    /// What is behind it up to the line's end.
    Rest,
}

impl Client {
    /// Takes bytes. False: a command has no words.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<bool, &'static str> {
        while let Some((&first, rest)) = bytes.split_first() {
            match self.state {
                State::Start if first == b'*' => {
                    bytes = rest;
                    self.state = State::Count;
                }
                State::Start => self.state = State::Inline,
                State::Inline => {
                    let is_whole = self.line.read(&mut bytes);
                    if self.line.len() > MAX_INLINE {
                        return Err("Redis command that is too long a line");
                    }
                    if is_whole {
                        if !std::mem::take(&mut self.line).has_word() {
                            return Ok(false);
                        }
                        self.state = State::Start;
                    }
                }
                State::Count => {
                    let Some(count) = self.number(&mut bytes)? else {
                        break;
                    };
                    if !(-1..=MAX_ELEMENTS).contains(&count) {
                        return Err("Redis array of too many elements");
                    }
                    if count <= 0 {
                        return Ok(false);
                    }
                    (self.left, self.state) = (count, State::Type);
                }
                State::Type => {
                    if first != b'$' {
                        return Err("Redis command of something else than strings");
                    }
                    bytes = rest;
                    self.state = State::Length;
                }
                State::Length => {
                    let Some(len) = self.number(&mut bytes)? else {
                        break;
                    };
                    if len > MAX_STRING {
                        return Err("Redis string that is too long");
                    }
                    self.state = match len {
                        1.. => State::Content(len),
                        _ => State::Rest,
                    };
                }
                State::Content(len) => {
                    let n = bytes.len().min(usize::try_from(len).unwrap_or(0));
                    bytes = bytes.get(n..).unwrap_or(&[]);
                    self.state = match len - n as i64 {
                        0 => State::Rest,
                        left => State::Content(left),
                    };
                }
                State::Rest => {
                    if self.line.read(&mut bytes) {
                        self.line = Line::default();
                        self.left -= 1;
                        self.state = match self.left {
                            0 => State::Start,
                            _ => State::Type,
                        };
                    }
                }
            }
        }
        Ok(true)
    }

    /// A line that is a number, once it is whole.
    fn number(&mut self, bytes: &mut &[u8]) -> Result<Option<i64>, &'static str> {
        if !self.line.read(bytes) {
            return Ok(None);
        }
        match std::mem::take(&mut self.line).number() {
            None => Err("Redis length that is no number"),
            number => Ok(number),
        }
    }

    /// Whether no command has begun and not ended.
    pub fn is_between(&self) -> bool {
        self.state == State::Start
    }
}
