//! FTP's control connection: sure at the first word of a command; replies have to carry codes.

use super::lines::{Eol, Lines, reply_code, skip_blank, word};
use super::{Said, Tail};

/// Longer words are no commands (Zeek's `FTP::max_command_length`).
const MAX_COMMAND: usize = 100;
const IAC: u8 = 255;

/// One connection's state.
#[derive(Debug)]
pub struct Ftp {
    lines: [Lines; 2],
    /// Bytes of a telnet command that are still to be skipped, by direction; 255: its code comes next.
    telnet: [u8; 2],
    /// The code of a reply of several lines.
    pending: u16,
    auth_tls: bool,
    tls: bool,
}

impl Ftp {
    pub fn new() -> Self {
        Ftp {
            lines: [Lines::new(Eol::Lf), Lines::new(Eol::Lf)],
            telnet: [0; 2],
            pending: 0,
            auth_tls: false,
            tls: false,
        }
    }

    pub fn is_partial_line(&self, is_orig: bool) -> bool {
        self.lines[usize::from(!is_orig)].is_partial()
    }

    pub fn flip(&mut self) {
        self.lines.swap(0, 1);
        self.telnet.swap(0, 1);
    }

    pub fn feed(&mut self, is_orig: bool, mut bytes: &[u8], said: &mut Said<'_, '_>) -> Tail {
        while !self.tls && !bytes.is_empty() {
            let dir = usize::from(!is_orig);
            if self.telnet[dir] != 0 {
                self.telnet_byte(dir, &mut bytes);
                continue;
            }
            // Telnet commands may stand anywhere and are not part of the line.
            let plain = bytes.iter().position(|b| *b == IAC);
            let mut part = bytes.get(..plain.unwrap_or(bytes.len())).unwrap_or(bytes);
            let whole = part.len();
            let tls = loop {
                let Some(line) = self.lines[dir].next(&mut part) else {
                    break false;
                };
                let turn = if is_orig {
                    Turn::request(line, said)
                } else {
                    Turn::reply(line, &mut self.pending, said)
                };
                match turn {
                    Turn::AuthTls(asked) => self.auth_tls = asked,
                    Turn::Accepted if self.auth_tls => break true,
                    _ => {}
                }
            };
            bytes = bytes.get(whole - part.len()..).unwrap_or(&[]);
            if tls {
                self.tls = true;
            } else if plain.is_some() {
                self.telnet[dir] = 255;
                bytes = bytes.get(1..).unwrap_or(&[]);
            }
        }
        if self.tls {
            Tail::Tls(bytes.len())
        } else {
            Tail::None
        }
    }

    fn telnet_byte(&mut self, dir: usize, bytes: &mut &[u8]) {
        let Some((&b, rest)) = bytes.split_first() else {
            return;
        };
        *bytes = rest;
        // WILL, WONT, DO and DONT carry one byte more.
        self.telnet[dir] = u8::from(self.telnet[dir] == 255 && (251..=254).contains(&b));
    }
}

/// What a line changes.
enum Turn {
    Nothing,
    /// An AUTH, for TLS or for something else.
    AuthTls(bool),
    /// 234: the AUTH before is accepted.
    Accepted,
}

impl Turn {
    fn request(line: &[u8], said: &mut Said<'_, '_>) -> Turn {
        let (command, args) = word(skip_blank(line));
        let ok = (3..=MAX_COMMAND).contains(&command.len()) && command.iter().all(u8::is_ascii_graphic);
        if !ok {
            return Turn::Nothing;
        }
        said.confirm();
        if command.eq_ignore_ascii_case(b"AUTH") {
            Turn::AuthTls(args == b"TLS")
        } else {
            Turn::Nothing
        }
    }

    fn reply(line: &[u8], pending: &mut u16, said: &mut Said<'_, '_>) -> Turn {
        if line.is_empty() {
            return Turn::Nothing;
        }
        let code = reply_code(line).unwrap_or(0);
        let fourth = line.get(3).copied();
        if *pending != 0 {
            if code == *pending && fourth == Some(b' ') {
                *pending = 0;
                return if code == 234 {
                    Turn::Accepted
                } else {
                    Turn::Nothing
                };
            }
            return Turn::Nothing;
        }
        match (code, fourth) {
            (0, _) => said.violation("non-numeric reply code"),
            (1..100, _) => said.violation("invalid reply code"),
            (_, Some(b'-')) => *pending = code,
            (_, Some(b' ') | None) if code == 234 => return Turn::Accepted,
            (_, Some(b' ') | None) => {}
            _ => said.violation("invalid reply line"),
        }
        Turn::Nothing
    }
}
