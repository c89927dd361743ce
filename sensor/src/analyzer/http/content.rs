//! A direction's bytes as lines, or as they are where a body's length is known; in any chunking, within a bounded buffer.

use std::borrow::Cow;

/// Longest line that is kept, bytes. Of a longer line in a body the pieces are passed on; of any other the rest is dropped.
pub const MAX_LINE: usize = 64 * 1024;
/// A line that is longer is odd (Zeek cuts it there).
const ODD_LINE: usize = 16 * 1024 * 1024 - 100;

/// What a direction gives.
#[derive(Debug)]
pub enum Piece<'a> {
    /// A line without its end.
    Line(Cow<'a, [u8]>),
    /// A piece of a line that is too long, not the last one.
    OfLine(Vec<u8>),
    /// Bytes of a body.
    Plain(&'a [u8]),
}

/// How one direction is cut.
#[derive(Debug, Default)]
pub struct Content {
    /// The line under construction.
    partial: Vec<u8>,
    /// The last byte was a CR that ended a line: an LF now belongs to it.
    after_cr: bool,
    /// That LF counts for the limit, as the CR did.
    lf_counts: bool,
    /// The line before ended with a CR alone, as it seems.
    lone_cr: bool,
    /// It did, and that is to be told.
    lone_cr_odd: bool,
    /// So many bytes are passed on as they are.
    plain: u64,
    /// After so many bytes a line is over, whether it has an end or not.
    limit: Option<u64>,
    /// Only CR LF ends a line, and no other end of a line is odd.
    only_crlf: bool,
    /// Bytes of the line that were dropped; the rest of it is, too.
    dropped: usize,
    /// The line has had a piece passed on.
    pub in_line: bool,
    /// What is odd about the lines so far, until it is taken.
    odd: Option<&'static str>,
}

impl Content {
    /// Takes something from the front of `bytes`. `in_body`: pieces of lines that are too long are of use.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8], in_body: bool) -> Option<Piece<'a>> {
        self.settle(bytes);
        if bytes.is_empty() {
            return None;
        }
        if self.plain > 0 {
            let most = self.plain.min(self.limit.unwrap_or(u64::MAX));
            let n = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
            self.count(n);
            self.limit = self.limit.filter(|left| *left > 0);
            let (plain, rest) = bytes.split_at(n);
            *bytes = rest;
            self.plain -= n as u64;
            (self.after_cr, self.lone_cr) = (false, false);
            return Some(Piece::Plain(plain));
        }
        let left = self
            .limit
            .map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let window = bytes.get(..left).unwrap_or(bytes);
        let lone_cr = std::mem::take(&mut self.lone_cr) && !self.only_crlf;
        if lone_cr && !matches!(window.first(), Some(b'\r' | b'\n')) {
            self.lone_cr_odd = true;
        }
        let Some((end, eol)) = self.end_of_line(window) else {
            *bytes = bytes.get(window.len()..).unwrap_or(&[]);
            self.count(window.len());
            if self.limit == Some(0) {
                self.odd = Some("line_terminated_without_CRLF");
                return Some(self.line(window));
            }
            return self.keep(window, in_body);
        };
        let line = window.get(..end).unwrap_or(window);
        self.after_cr = eol == 1 && window.get(end) == Some(&b'\r');
        self.lone_cr = self.after_cr;
        self.lf_counts = self.after_cr && self.limit.is_some();
        *bytes = bytes.get(end + eol..).unwrap_or(&[]);
        self.count(end + eol);
        let mut line = self.line(line);
        if let Piece::Line(Cow::Owned(line)) = &mut line
            && self.only_crlf
            && end == 0
            && eol == 1
        {
            // The CR of this end came with the piece before.
            line.pop();
        }
        self.settle(bytes);
        Some(line)
    }

    /// Where the first end of a line is and how long, without a CR before `window`.
    fn end_of_line(&self, window: &[u8]) -> Option<(usize, usize)> {
        if !self.only_crlf {
            let at = memchr::memchr2(b'\r', b'\n', window)?;
            let is_both = window.get(at..at + 2) == Some(b"\r\n");
            return Some((at, if is_both { 2 } else { 1 }));
        }
        if window.first() == Some(&b'\n') && self.partial.last() == Some(&b'\r') {
            return Some((0, 1));
        }
        let at = memchr::memmem::find(window, b"\r\n")?;
        Some((at, 2))
    }

    fn count(&mut self, n: usize) {
        if let Some(left) = &mut self.limit {
            *left = left.saturating_sub(n as u64);
        }
    }

    /// The line that ends with `last`.
    fn line<'a>(&mut self, last: &'a [u8]) -> Piece<'a> {
        if self.limit == Some(0) {
            self.limit = None;
        }
        let dropped = std::mem::take(&mut self.dropped) > 0;
        if self.partial.is_empty() && last.len() <= MAX_LINE {
            return Piece::Line(Cow::Borrowed(last));
        }
        let mut line = std::mem::take(&mut self.partial);
        if !dropped {
            let room = MAX_LINE.saturating_sub(line.len());
            line.extend_from_slice(last.get(..room).unwrap_or(last));
        }
        Piece::Line(Cow::Owned(line))
    }

    /// Keeps what has no end yet.
    fn keep<'a>(&mut self, part: &[u8], in_body: bool) -> Option<Piece<'a>> {
        if self.dropped > 0 {
            let before = self.dropped;
            self.dropped = before.saturating_add(part.len());
            if before < ODD_LINE && self.dropped >= ODD_LINE {
                self.odd = Some("contentline_size_exceeded");
            }
            return None;
        }
        let room = MAX_LINE.saturating_sub(self.partial.len());
        if part.len() <= room {
            self.partial.extend_from_slice(part);
            return None;
        }
        if in_body {
            // A CR at the end may be half of the line's end.
            let mut piece = std::mem::take(&mut self.partial);
            piece.extend_from_slice(part);
            if piece.last() == Some(&b'\r') {
                piece.pop();
                self.partial.push(b'\r');
            }
            self.in_line = true;
            return Some(Piece::OfLine(piece));
        }
        self.partial.extend_from_slice(part.get(..room).unwrap_or(part));
        self.dropped = part.len() - room;
        None
    }

    /// Takes the LF off `bytes` that belongs to the line before.
    pub fn settle(&mut self, bytes: &mut &[u8]) {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            if let Some(rest) = bytes.strip_prefix(b"\n") {
                *bytes = rest;
                self.lone_cr = false;
                if std::mem::take(&mut self.lf_counts) {
                    self.count(1);
                    self.limit = self.limit.filter(|left| *left > 0);
                }
            }
        }
    }

    /// Takes the memory of a line back.
    pub fn give_back(&mut self, mut line: Vec<u8>) {
        if self.partial.capacity() == 0 && line.capacity() <= 4096 {
            line.clear();
            self.partial = line;
        }
    }

    /// Something that is odd about the lines so far; each once.
    pub fn take_odd(&mut self) -> Option<&'static str> {
        match std::mem::take(&mut self.lone_cr_odd) {
            true => Some("line_terminated_with_single_CR"),
            false => self.odd.take(),
        }
    }

    /// Whether a line has begun and not ended, and the direction's end ends it.
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty() && self.plain == 0 && !self.only_crlf
    }

    /// The next `n` bytes are a body's.
    pub fn set_plain(&mut self, n: u64) {
        self.plain = n;
    }

    /// How many of the next bytes are a body's.
    pub fn plain(&self) -> u64 {
        self.plain
    }

    /// `n` of them are gone by.
    pub fn skip(&mut self, n: u64) {
        self.plain = self.plain.saturating_sub(n);
        (self.after_cr, self.lone_cr) = (false, false);
    }

    /// After `n` bytes the line is over; None: when it ends.
    pub fn set_limit(&mut self, n: Option<u64>) {
        self.limit = n;
        self.lf_counts = false;
    }

    /// Whether the lines are those of a part, in which bytes that look like ends of lines may stand.
    pub fn set_in_part(&mut self, is: bool) {
        self.only_crlf = is;
    }
}
