//! Cuts a byte stream into lines, in any chunking, within a bounded buffer.

/// Bytes of a line that are kept; what is beyond is dropped and the line stays one line.
const MAX_LINE: usize = 4096;

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eol {
    /// CR, LF or CR LF (HTTP).
    CrOrLf,
    /// LF, with one CR before it taken off (SMTP, FTP).
    Lf,
}

/// The line under construction of one direction.
#[derive(Debug)]
pub struct Lines {
    buf: Vec<u8>,
    eol: Eol,
    /// The last byte was a CR that ended a line: an LF now belongs to it.
    after_cr: bool,
    /// The line in `buf` is complete and was handed out.
    complete: bool,
}

impl Lines {
    pub fn new(eol: Eol) -> Self {
        Lines {
            buf: Vec::new(),
            eol,
            after_cr: false,
            complete: false,
        }
    }

    /// Takes bytes from the front of `bytes` up to the end of a line. `None`: the input ended first.
    pub fn next<'a>(&'a mut self, bytes: &mut &[u8]) -> Option<&'a [u8]> {
        if self.complete {
            self.buf.clear();
            self.complete = false;
        }
        self.settle(bytes);
        let eol = self.eol;
        let end = bytes
            .iter()
            .position(|&b| b == b'\n' || (eol == Eol::CrOrLf && b == b'\r'));
        let Some(end) = end else {
            self.keep(bytes);
            *bytes = &[];
            return None;
        };
        let (line, rest) = bytes.split_at(end);
        self.keep(line);
        self.after_cr = rest.first() == Some(&b'\r');
        *bytes = rest.get(1..).unwrap_or(&[]);
        self.settle(bytes);
        self.complete = true;
        let line = self.buf.as_slice();
        Some(if eol == Eol::Lf {
            line.strip_suffix(b"\r").unwrap_or(line)
        } else {
            line
        })
    }

    /// Takes the LF off `bytes` that belongs to the line before, for whoever reads on without lines.
    pub fn settle(&mut self, bytes: &mut &[u8]) {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            *bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
    }

    /// Whether a line has begun and not ended.
    pub fn is_partial(&self) -> bool {
        !self.complete && !self.buf.is_empty()
    }

    fn keep(&mut self, part: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.buf.len());
        self.buf.extend_from_slice(part.get(..room).unwrap_or(part));
    }
}

/// Without leading blanks and tabs.
pub fn skip_blank(line: &[u8]) -> &[u8] {
    let n = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    line.get(n..).unwrap_or(&[])
}

/// The first word of a line and what follows it, blanks between them taken off.
pub fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let n = line
        .iter()
        .take_while(|b| !b.is_ascii_whitespace() && **b != 0x0b)
        .count();
    let (word, rest) = line.split_at(n);
    (word, skip_blank(rest))
}

/// The three digits that a reply of SMTP or FTP starts with.
pub fn reply_code(line: &[u8]) -> Option<u16> {
    let digits = line.get(..3)?;
    digits
        .iter()
        .all(u8::is_ascii_digit)
        .then(|| digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(eol: Eol, chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(eol);
        let mut out = vec![];
        for chunk in chunks {
            let mut rest = *chunk;
            while let Some(line) = lines.next(&mut rest) {
                out.push(line.to_vec());
            }
        }
        out
    }

    #[test]
    fn a_cr_lf_is_one_end_however_it_is_cut() {
        for cuts in [
            &[&b"a\r\nb\rc\nd"[..]][..],
            &[b"a\r", b"\nb\r", b"c\nd"],
            &[b"a", b"\r", b"\n", b"b\rc", b"\nd"],
        ] {
            assert_eq!(cut(Eol::CrOrLf, cuts), [b"a", b"b", b"c"]);
        }
        for cuts in [&[&b"a\r\nb\rc\n"[..]][..], &[b"a\r", b"\nb\r", b"c\n"]] {
            assert_eq!(cut(Eol::Lf, cuts), [&b"a"[..], b"b\rc"]);
        }
    }

    #[test]
    fn an_endless_line_is_kept_short() {
        let mut lines = Lines::new(Eol::Lf);
        for _ in 0..100 {
            assert!(lines.next(&mut &[b'x'; 1000][..]).is_none());
        }
        assert_eq!(lines.next(&mut &b"\n"[..]).map(<[u8]>::len), Some(MAX_LINE));
    }
}
