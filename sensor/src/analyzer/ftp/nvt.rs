//! Lines of Telnet's network virtual terminal (RFC 854), which FTP's control connection speaks: commands of Telnet may stand
//! anywhere and are no part of a line. In any chunking, within a bounded buffer.

/// Bytes of a line that are kept; it stays one line however long it is. Base64 of certificates comes in lines.
pub const MAX_LINE: usize = 64 << 10;
/// Bytes that a buffer may keep for the next line.
const MAX_IDLE: usize = 4 << 10;

const IAC: u8 = 255;
/// Begins a subnegotiation, which SE ends.
const SB: u8 = 250;
const SE: u8 = 240;
/// WILL, WONT, DO and DONT carry one byte more.
const OPTIONS: std::ops::RangeInclusive<u8> = 251..=254;

/// A line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// As much of it as was kept.
    pub bytes: &'a [u8],
    /// Its length, bytes.
    pub len: usize,
    /// What was odd since the line before it.
    pub odd: Odd,
}

/// What is odd in a stream of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odd {
    /// A CR without an LF behind it.
    pub lone_cr: bool,
    /// A NUL where no CR is before it.
    pub nul: bool,
}

/// Where a Telnet command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telnet {
    Text,
    /// Behind IAC.
    Command,
    /// An option's number comes.
    Option,
    Subnegotiation,
    /// IAC in a subnegotiation.
    SubnegotiationCommand,
}

/// One direction.
#[derive(Debug)]
pub struct Nvt {
    line: Vec<u8>,
    /// Of the line so far, kept or not.
    len: usize,
    last: u8,
    telnet: Telnet,
    odd: Odd,
    /// The first NUL is left out, as in Zeek; others stand in their lines.
    had_nul: bool,
    /// The line was handed out.
    is_complete: bool,
}

impl Nvt {
    pub const fn new() -> Nvt {
        Nvt {
            line: Vec::new(),
            len: 0,
            last: 0,
            telnet: Telnet::Text,
            odd: Odd {
                lone_cr: false,
                nul: false,
            },
            had_nul: false,
            is_complete: false,
        }
    }

    /// Takes bytes from the front of `bytes` up to the end of a line. `None`: the input ended first.
    pub fn next<'a>(&'a mut self, bytes: &mut &[u8]) -> Option<Line<'a>> {
        self.begin();
        while let Some((&b, rest)) = bytes.split_first() {
            *bytes = rest;
            match self.telnet {
                Telnet::Text if b == IAC => self.telnet = Telnet::Command,
                Telnet::Text => {
                    let ends = self.text(b);
                    self.last = b;
                    if ends {
                        self.is_complete = true;
                        return Some(Line {
                            bytes: &self.line,
                            len: self.len,
                            odd: std::mem::take(&mut self.odd),
                        });
                    }
                }
                Telnet::Command => self.command(b),
                Telnet::Option => self.telnet = Telnet::Text,
                Telnet::Subnegotiation if b == IAC => self.telnet = Telnet::SubnegotiationCommand,
                Telnet::Subnegotiation => {}
                Telnet::SubnegotiationCommand => match b {
                    IAC => self.telnet = Telnet::Subnegotiation,
                    SE => self.telnet = Telnet::Text,
                    _ => self.command(b),
                },
            }
        }
        None
    }

    /// Whether a line has begun and not ended.
    pub fn is_partial(&self) -> bool {
        !self.is_complete && self.len > 0
    }

    fn begin(&mut self) {
        if std::mem::take(&mut self.is_complete) {
            self.line.clear();
            self.line.shrink_to(MAX_IDLE);
            self.len = 0;
        }
    }

    /// The byte behind IAC.
    fn command(&mut self, b: u8) {
        self.telnet = match b {
            SB => Telnet::Subnegotiation,
            b if OPTIONS.contains(&b) => Telnet::Option,
            _ => Telnet::Text,
        };
        if b == IAC {
            // The byte 255 itself.
            self.keep(IAC);
            self.last = IAC;
        }
    }

    /// A byte of text. True: the line ends with it.
    fn text(&mut self, b: u8) -> bool {
        let after_cr = self.last == b'\r';
        self.odd.lone_cr |= after_cr && !matches!(b, b'\n' | 0);
        match b {
            b'\n' if after_cr && self.len > 0 => {
                self.len -= 1;
                self.line.truncate(self.len);
                true
            }
            b'\n' => !after_cr,
            0 if after_cr => false,
            0 if !std::mem::replace(&mut self.had_nul, true) => {
                self.odd.nul = true;
                false
            }
            _ => {
                self.keep(b);
                false
            }
        }
    }

    fn keep(&mut self, b: u8) {
        self.len = self.len.saturating_add(1);
        if self.line.len() < MAX_LINE {
            self.line.push(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8], size: usize) -> Vec<(Vec<u8>, usize, Odd)> {
        let mut nvt = Nvt::new();
        let mut out = vec![];
        for chunk in bytes.chunks(size) {
            let mut rest = chunk;
            while let Some(line) = nvt.next(&mut rest) {
                out.push((line.bytes.to_vec(), line.len, line.odd));
            }
        }
        out
    }

    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        let whole = cut(bytes, bytes.len());
        for size in 1..8 {
            assert_eq!(cut(bytes, size), whole, "in parts of {size}");
        }
        whole.into_iter().map(|(line, ..)| line).collect()
    }

    #[test]
    fn a_line_ends_with_lf_or_cr_lf() {
        assert_eq!(lines(b"a\r\nb\nc\rd\n\r\n"), [&b"a"[..], b"b", b"c\rd", b""]);
        assert_eq!(lines(b"a\r\0\nb\n"), [&b"a\r"[..], b"b"]);
    }

    #[test]
    fn telnet_commands_are_no_part_of_a_line() {
        // Interrupt process, synch, and ABOR: as RFC 959 has it.
        assert_eq!(lines(b"\xff\xf4\xff\xf2ABOR\r\n"), [b"ABOR"]);
        assert_eq!(lines(b"a\xff\xfb\x01b\xff\xffc\n"), [b"ab\xffc"]);
        assert_eq!(lines(b"a\xff\xfa\x18\x00\xff\xff\nx\xff\xf0b\n"), [b"ab"]);
        // What ends it is a command by itself.
        assert_eq!(lines(b"a\xff\xfa\x18\xff\xfb\nb\n"), [b"ab"]);
    }

    #[test]
    fn a_lone_cr_and_the_first_nul_are_odd() {
        let odd = |bytes: &[u8]| cut(bytes, 100).into_iter().map(|l| l.2).collect::<Vec<_>>();
        let (lone_cr, nul) = (true, true);
        let not = Odd::default();
        assert_eq!(odd(b"a\rb\nc\n"), [Odd { lone_cr, ..not }, not]);
        assert_eq!(odd(b"a\r\0b\n"), [not]);
        assert_eq!(odd(b"a\0b\0\n\0\n"), [Odd { nul, ..not }, not]);
        assert_eq!(lines(b"a\0b\0\n"), [b"ab\0"]);
    }

    #[test]
    fn an_endless_line_is_kept_short_and_counted() {
        let mut bytes = vec![b'x'; MAX_LINE + 1000];
        bytes.extend(b"\r\ny\n");
        let got = cut(&bytes, 777);
        assert_eq!((got[0].0.len(), got[0].1), (MAX_LINE, MAX_LINE + 1000));
        assert_eq!(got[1].0, b"y");
        let mut nvt = Nvt::new();
        let mut rest = &bytes[..];
        nvt.next(&mut rest);
        nvt.next(&mut rest);
        assert!(nvt.line.capacity() <= 2 * MAX_IDLE);
    }
}
