//! HTTP/1 as far as the name of the service needs it: the first line of both directions, and where a
//! CONNECT tunnel begins. Messages' bodies are not followed.

use super::lines::{Eol, Lines, skip_blank};
use super::{Said, Tail};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    FirstLine,
    Headers,
    Nothing,
}

/// One connection's state.
#[derive(Debug)]
pub struct Http {
    lines: [Lines; 2],
    expect: [Expect; 2],
    connect: bool,
    tunnel: bool,
    code: u16,
}

impl Http {
    pub fn new() -> Self {
        let lines = || Lines::new(Eol::CrOrLf);
        Http {
            lines: [lines(), lines()],
            expect: [Expect::FirstLine; 2],
            connect: false,
            tunnel: false,
            code: 0,
        }
    }

    pub fn is_partial_line(&self, is_orig: bool) -> bool {
        self.lines[usize::from(!is_orig)].is_partial()
    }

    pub fn flip(&mut self) {
        self.lines.swap(0, 1);
        self.expect.swap(0, 1);
    }

    /// A reply's meaning depends on its request, so a hole in the requests ends both directions.
    pub fn gap(&mut self, is_orig: bool) {
        self.expect[1] = Expect::Nothing;
        if is_orig {
            self.expect[0] = Expect::Nothing;
        }
        self.connect &= self.tunnel;
    }

    pub fn wants_more(&self, is_orig: bool) -> bool {
        self.connect || self.expect[usize::from(!is_orig)] == Expect::FirstLine
    }

    pub fn feed(&mut self, is_orig: bool, mut bytes: &[u8], said: &mut Said<'_, '_>) -> Tail {
        let dir = usize::from(!is_orig);
        while !self.tunnel && self.expect[dir] != Expect::Nothing {
            let Some(line) = self.lines[dir].next(&mut bytes) else {
                return Tail::None;
            };
            match self.expect[dir] {
                Expect::FirstLine if line.is_empty() => {}
                Expect::FirstLine if is_orig => match request_line(line) {
                    Some(method) => {
                        said.confirm();
                        self.connect = b"CONNECT"
                            .get(..method.len())
                            .is_some_and(|c| c.eq_ignore_ascii_case(method));
                        self.expect[0] = Expect::Nothing;
                        if is_http09(line) {
                            self.expect[1] = Expect::Nothing;
                        }
                    }
                    None => {
                        said.violation("not a http request line");
                        self.expect[0] = Expect::Nothing;
                    }
                },
                Expect::FirstLine => match reply_line(line) {
                    Some(code) => {
                        self.code = code;
                        self.connect &= code == 200;
                        self.expect[1] = if self.connect {
                            Expect::Headers
                        } else {
                            Expect::Nothing
                        };
                    }
                    None => {
                        said.violation("not a http reply line");
                        self.expect[1] = Expect::Nothing;
                        self.connect = false;
                    }
                },
                Expect::Headers if line.is_empty() => {
                    self.tunnel = true;
                    return Tail::Tunnel(bytes.len());
                }
                Expect::Headers | Expect::Nothing => {}
            }
        }
        Tail::None
    }
}

/// Characters of a token (RFC 2616, section 2.2), in which methods are written.
fn is_token(b: &u8) -> bool {
    matches!(b, 32..127) && !b" \t()<>@,;:\\\"/[]?={}".contains(b)
}

/// Characters of a URI, `%` included.
fn is_uri(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || b":/?#[]@!$&'()*+,;=-_.~%".contains(b)
}

fn method_and_rest(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (method, after) = line.split_at(line.iter().take_while(|b| is_token(b)).count());
    let rest = skip_blank(after);
    (!method.is_empty() && rest.len() < after.len()).then_some((method, rest))
}

fn has_version(rest: &[u8]) -> bool {
    rest.windows(5).any(|w| w.eq_ignore_ascii_case(b"HTTP/"))
}

/// The method of a request line; `None` when it is none. Without a version it may be HTTP/0.9,
/// which takes a method of three letters and a URI.
fn request_line(line: &[u8]) -> Option<&[u8]> {
    let (method, rest) = method_and_rest(line)?;
    let odd = usize::from(!rest.iter().all(is_uri));
    (has_version(rest) || (method.len() >= 3 && rest.len() > odd)).then_some(method)
}

fn is_http09(line: &[u8]) -> bool {
    method_and_rest(line).is_some_and(|(_, rest)| !has_version(rest))
}

/// The code of a status line (0 when it is no number); `None` when it is no status line.
fn reply_line(line: &[u8]) -> Option<u16> {
    line.get(..5).filter(|p| p.eq_ignore_ascii_case(b"HTTP/"))?;
    let blank = line.iter().position(|b| matches!(b, b' ' | b'\t'))?;
    let rest = skip_blank(line.get(blank..)?);
    rest.get(..3)?;
    Some(super::lines::reply_code(rest).unwrap_or(0))
}
