//! Mail in chunks (BDAT, RFC 3030): what the command says, and the lines in what follows it.

use super::mail::Line;
use super::work::Work;

/// Longest line, bytes; a longer one is cut (Zeek: SMTP::bdat_max_line_length).
const MAX_LINE: usize = 4096;
/// Longest argument of BDAT, bytes: the largest number of 64 bits, and ` LAST`.
const MAX_ARGUMENT: usize = 25;

/// Who is told of lines.
pub type Deliver<'d> = dyn FnMut(Line<'_>, &mut Work<'_, '_>) + 'd;

/// What a BDAT command announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes that follow the command.
    pub len: u64,
    /// The mail is over with them.
    pub is_last: bool,
}

impl Chunk {
    /// Reads the argument of a BDAT command. What a weird says of one that is none.
    pub fn of(argument: &[u8]) -> Result<Chunk, &'static str> {
        if !(1..=MAX_ARGUMENT).contains(&argument.len()) {
            return Err("BDAT argument bad length");
        }
        let digits = argument.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = argument.split_at(digits);
        if number.is_empty() {
            return Err("BDAT not followed by a valid chunk-size");
        }
        if !matches!(rest.first(), None | Some(b' ' | 0)) {
            return Err("BDAT chunk-size not valid");
        }
        let number = std::str::from_utf8(number).ok().and_then(|n| n.parse().ok());
        let Some(len) = number else {
            return Err("BDAT chunk-size too large");
        };
        let is_last = rest.eq_ignore_ascii_case(b" LAST");
        if !is_last && !rest.is_empty() {
            return Err("BDAT chunk-size followed by junk");
        }
        Ok(Chunk { len, is_last })
    }
}

/// The chunks of one mail.
#[derive(Debug)]
pub struct Chunks {
    /// The chunk at work; its length is what is still to come.
    now: Chunk,
    /// The line under construction.
    line: Vec<u8>,
}

impl Chunks {
    /// Of a mail whose first chunk follows.
    pub fn new(first: Chunk) -> Chunks {
        Chunks {
            now: first,
            line: Vec::new(),
        }
    }

    /// The next chunk follows.
    pub fn announce(&mut self, next: Chunk) {
        self.now = next;
    }

    /// Whether bytes of the chunk are still to come.
    pub fn is_short(&self) -> bool {
        self.now.len > 0
    }

    /// Whether all of them came.
    pub fn is_over(&self) -> bool {
        self.now.is_last && self.now.len == 0
    }

    /// Bytes of the chunk. `deliver` is told the lines that end in them; at the end of the last chunk, what is left, too.
    pub fn push(&mut self, bytes: &[u8], w: &mut Work<'_, '_>, deliver: &mut Deliver<'_>) {
        if self.line.last() == Some(&b'\r') && bytes.first() != Some(&b'\n') {
            w.ctx.out.weird("smtp_bdat_line_cr_only", "");
            self.hand_out(false, w, deliver);
        }
        for b in bytes {
            self.byte(*b, w, deliver);
        }
        self.now.len = self.now.len.saturating_sub(bytes.len() as u64);
        if self.is_over() && !self.line.is_empty() {
            self.hand_out(false, w, deliver);
        }
    }

    fn byte(&mut self, b: u8, w: &mut Work<'_, '_>, deliver: &mut Deliver<'_>) {
        let ends = b == b'\n';
        if ends && self.line.last() == Some(&b'\r') {
            self.line.pop();
            return self.hand_out(true, w, deliver);
        }
        // A CR may be half of the line's end.
        let is_full = self.line.len() >= MAX_LINE && !ends;
        if is_full && (b != b'\r' || self.line.len() > MAX_LINE) {
            let addl = self.line.len().to_string();
            w.ctx.out.weird("smtp_bdat_line_too_long", &addl);
            self.hand_out(false, w, deliver);
        }
        self.line.push(b);
        if ends {
            w.ctx.out.weird("smtp_bdat_line_lf_only", "");
            self.hand_out(false, w, deliver);
        }
    }

    /// The mail is over, whatever the chunks say: what is left of a line is handed out.
    pub fn finish(&mut self, w: &mut Work<'_, '_>, deliver: &mut Deliver<'_>) {
        if !self.line.is_empty() {
            w.ctx.out.weird("smtp_bdat_undelivered_at_done", "");
            self.hand_out(false, w, deliver);
        }
    }

    fn hand_out(&mut self, crlf: bool, w: &mut Work<'_, '_>, deliver: &mut Deliver<'_>) {
        let line = Line {
            bytes: &self.line,
            starts: true,
            ends: true,
            crlf,
        };
        deliver(line, w);
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_announces_a_chunk() {
        let chunk = |len, is_last| Ok(Chunk { len, is_last });
        for (argument, want) in [
            ("86", chunk(86, false)),
            ("86 LAST", chunk(86, true)),
            ("86 last", chunk(86, true)),
            ("0 LAST", chunk(0, true)),
            ("18446744073709551615 LAST", chunk(u64::MAX, true)),
            ("", Err("BDAT argument bad length")),
            ("184467440737095516150 LAST", Err("BDAT argument bad length")),
            ("184467440737095516150", Err("BDAT chunk-size too large")),
            (" 86 LAST", Err("BDAT not followed by a valid chunk-size")),
            ("LAST", Err("BDAT not followed by a valid chunk-size")),
            ("-42 LAST", Err("BDAT not followed by a valid chunk-size")),
            ("86LAST", Err("BDAT chunk-size not valid")),
            ("86 LASTLY", Err("BDAT chunk-size followed by junk")),
            ("86 ", Err("BDAT chunk-size followed by junk")),
        ] {
            assert_eq!(Chunk::of(argument.as_bytes()), want, "{argument}");
        }
    }
}
