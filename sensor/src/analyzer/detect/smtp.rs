//! SMTP: sure at the first command that is one; watched for bad replies and STARTTLS.

use super::lines::{Eol, Lines, reply_code, word};
use super::{Said, Tail};

/// RFC 821, 1869, 1985, 2487, 2554, 3030 and Exchange's.
const COMMANDS: &[&str] = &[
    "EHLO",
    "HELO",
    "MAIL",
    "RCPT",
    "DATA",
    "QUIT",
    "RSET",
    "VRFY",
    "EXPN",
    "HELP",
    "NOOP",
    "STARTTLS",
    "X-ANONYMOUSTLS",
    "SEND",
    "SOML",
    "SAML",
    "TURN",
    "BDAT",
    "ETRN",
    "AUTH",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Commands,
    /// A STARTTLS is unanswered.
    StartTls,
    Tls,
    /// Bytes are missing: the next valid reply is where it goes on.
    Gap,
    /// Mail data: commands are not followed beyond it.
    Data,
}

/// One connection's state.
#[derive(Debug)]
pub struct Smtp {
    lines: [Lines; 2],
    state: State,
    /// The code of a reply of several lines.
    pending: u16,
}

impl Smtp {
    pub fn new() -> Self {
        Smtp {
            lines: [Lines::new(Eol::CrOrLf), Lines::new(Eol::CrOrLf)],
            state: State::Commands,
            pending: 0,
        }
    }

    pub fn is_partial_line(&self, is_orig: bool) -> bool {
        self.lines[usize::from(!is_orig)].is_partial()
    }

    pub fn flip(&mut self) {
        self.lines.swap(0, 1);
    }

    pub fn gap(&mut self) {
        if self.state != State::Tls {
            self.state = State::Gap;
        }
    }

    pub fn wants_more(&self, is_orig: bool) -> bool {
        !(is_orig && self.state == State::Data)
    }

    pub fn feed(&mut self, is_orig: bool, mut bytes: &[u8], said: &mut Said<'_, '_>) -> Tail {
        if is_orig && self.state == State::Data {
            return Tail::None;
        }
        let dir = usize::from(!is_orig);
        while self.state != State::Tls {
            let Some(line) = self.lines[dir].next(&mut bytes) else {
                return Tail::None;
            };
            let end = line.iter().rposition(|b| *b != b'\r').map_or(0, |n| n + 1);
            let line = line.get(..end).unwrap_or(line);
            if is_orig {
                let (word, _) = word(line);
                let known = COMMANDS.iter().any(|c| c.as_bytes().eq_ignore_ascii_case(word));
                if !known || self.state == State::Gap {
                    continue;
                }
                said.confirm();
                self.state = if word.eq_ignore_ascii_case(b"STARTTLS")
                    || word.eq_ignore_ascii_case(b"X-ANONYMOUSTLS")
                {
                    State::StartTls
                } else if word.eq_ignore_ascii_case(b"DATA") || word.eq_ignore_ascii_case(b"BDAT") {
                    State::Data
                } else {
                    State::Commands
                };
                if self.state == State::Data {
                    return Tail::None;
                }
                continue;
            }
            let Some(code) = reply_code(line).filter(|c| (100..600).contains(c)) else {
                said.violation("reply code -1 out of range");
                continue;
            };
            let first = self.pending != code;
            self.pending = if line.get(3) == Some(&b'-') { code } else { 0 };
            match self.state {
                State::Gap if first => {
                    said.confirm();
                    self.state = State::Commands;
                }
                State::StartTls if self.pending == 0 && code == 220 => {
                    self.state = State::Tls;
                    return Tail::Tls(bytes.len());
                }
                State::StartTls if self.pending == 0 => self.state = State::Commands,
                _ => {}
            }
        }
        Tail::Tls(bytes.len())
    }
}
