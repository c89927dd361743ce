//! FTP's control connection: sure at the first word of a command; replies have to carry codes.

mod rules;

use std::net::IpAddr;

use super::api::{Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::lines::{Eol, Lines, reply_code, skip_blank, word};
use crate::event::AnalyzerTag;
use crate::signature::Context;
use crate::software::{Found, Kind, greeting};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Ftp;

/// Longest command, bytes (Zeek's `FTP::max_command_length`). A longer word is not taken for one.
const MAX_COMMAND: usize = 100;
const IAC: u8 = 255;

/// One connection's state.
#[derive(Debug)]
pub struct Ftp {
    lines: [Lines; 2],
    /// Bytes of a telnet command that are still to come, by direction; 255: its code comes next.
    telnet: [u8; 2],
    /// The code of a multi-line reply that has not ended.
    pending: u16,
    auth_tls: bool,
    tls: bool,
}

impl Protocol for Ftp {
    const SPEC: Spec = Spec {
        tcp_ports: &[21, 2811],
        rules: rules::RULES,
        interactive: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_FTP", "ftp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Ftp {
        Ftp {
            lines: [Lines::new(Eol::Lf), Lines::new(Eol::Lf)],
            telnet: [0; 2],
            pending: 0,
            auth_tls: false,
            tls: false,
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.feed(is_orig, bytes, ctx).map_or(Next::More, Next::HandOver)
    }

    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        Next::More
    }

    fn has_open_line(&self, is_orig: bool) -> bool {
        self.lines[usize::from(!is_orig)].is_partial()
    }

    fn flip(&mut self) {
        self.lines.swap(0, 1);
        self.telnet.swap(0, 1);
    }

    /// Once it is FTP, data connections may be announced at any time.
    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match seen.confirmed || !seen.is_late() {
            true => Interest::Everything,
            false => Interest::Nothing,
        }
    }
}

impl Ftp {
    fn feed(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<HandOver> {
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
                if let Some((host, port)) = data_port(is_orig, line) {
                    let c = ctx.c;
                    // Who asks for a connection gets one from the other side.
                    let (orig, here) = if is_orig {
                        (c.resp_h, c.orig_h)
                    } else {
                        (c.orig_h, c.resp_h)
                    };
                    let resp = host.unwrap_or(here);
                    ctx.out
                        .announce(orig, resp, port, super::ftp_data::Analyzer::SPEC.tag);
                }
                let turn = if is_orig {
                    Turn::request(line, ctx)
                } else {
                    Turn::reply(line, &mut self.pending, ctx)
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
            Some(HandOver::new(Inside::Tls, bytes))
        } else {
            None
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

/// Where a data connection will go: PORT and EPRT of a client, replies 227 and 229 of a server (RFC 959 and 2428). Without
/// a host it goes to the one who says it.
fn data_port(is_orig: bool, line: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let (first, rest) = word(skip_blank(line));
    if is_orig {
        if first.eq_ignore_ascii_case(b"PORT") {
            return numbers(rest);
        }
        return first.eq_ignore_ascii_case(b"EPRT").then(|| extended(rest))?;
    }
    let open = rest.iter().position(|b| *b == b'(');
    match first {
        b"227" => {
            let digit = rest.iter().position(u8::is_ascii_digit);
            numbers(rest.get(open.map_or(digit?, |at| at + 1)..)?)
        }
        b"229" => extended(rest.get(open? + 1..)?),
        _ => None,
    }
}

/// `h1,h2,h3,h4,p1,p2`.
fn numbers(text: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let mut n = [0u8; 6];
    let mut parts = text.splitn(6, |b| *b == b',');
    for to in &mut n {
        let part = parts.next()?.trim_ascii_start();
        let end = part
            .iter()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(part.len());
        *to = std::str::from_utf8(part.get(..end)?).ok()?.parse().ok()?;
    }
    let [a, b, c, d, hi, lo] = n;
    Some((Some(IpAddr::from([a, b, c, d])), u16::from_be_bytes([hi, lo])))
}

/// `|protocol|host|port|`, with any character as the separator.
fn extended(text: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let (bar, rest) = text.split_first()?;
    let mut parts = rest.splitn(4, |b| b == bar);
    let (_, host, port) = (parts.next()?, parts.next()?, parts.next()?);
    // The bar behind the port.
    parts.next()?;
    let host = match host {
        b"" => None,
        h => Some(std::str::from_utf8(h).ok()?.parse().ok()?),
    };
    Some((host, std::str::from_utf8(port).ok()?.parse().ok()?))
}

/// What a line changes for the rest of the connection.
enum Turn {
    Nothing,
    /// An AUTH, for TLS or for something else.
    AuthTls(bool),
    /// Reply 234: the server accepts the AUTH.
    Accepted,
}

impl Turn {
    fn request(line: &[u8], ctx: &mut Ctx<'_>) -> Turn {
        let whole = skip_blank(line);
        let (command, args) = word(whole);
        let ok = (3..=MAX_COMMAND).contains(&command.len()) && command.iter().all(u8::is_ascii_graphic);
        if !ok {
            return Turn::Nothing;
        }
        ctx.confirm();
        ctx.to_match(Context::Ftp, true, whole);
        if command.eq_ignore_ascii_case(b"CLNT") && !args.is_empty() {
            ctx.out.software(&Found::client(ctx.c, Kind::FtpClient, args));
        }
        if command.eq_ignore_ascii_case(b"USER") {
            ctx.out.prepare(ctx.c.orig_h, ctx.c.resp_h);
        }
        if command.eq_ignore_ascii_case(b"AUTH") {
            Turn::AuthTls(args == b"TLS")
        } else {
            Turn::Nothing
        }
    }

    fn reply(line: &[u8], pending: &mut u16, ctx: &mut Ctx<'_>) -> Turn {
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
        if code == 220 && !ctx.is_confirmed() {
            // The greeting.
            let text = line.get(4..).unwrap_or(&[]);
            if let Some(banner) = greeting::software(text) {
                ctx.out.software(&Found::server(ctx.c, Kind::FtpServer, banner));
            }
        }
        match (code, fourth) {
            (0, _) => ctx.violation("non-numeric reply code"),
            (1..100, _) => ctx.violation("invalid reply code"),
            (_, Some(b'-')) => *pending = code,
            (_, Some(b' ') | None) if code == 234 => return Turn::Accepted,
            (_, Some(b' ') | None) => {}
            _ => ctx.violation("invalid reply line"),
        }
        Turn::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_connections_are_announced_in_four_ways() {
        let host = Some(IpAddr::from([10, 0, 0, 7]));
        let six: IpAddr = "2001:db8::7".parse().expect("address");
        for (is_orig, line, want) in [
            (true, "PORT 10,0,0,7,4,1", Some((host, 1025))),
            (true, "port 10,0,0,7,4,1\r", Some((host, 1025))),
            (true, "EPRT |2|2001:db8::7|1025|", Some((Some(six), 1025))),
            (
                false,
                "227 Entering Passive Mode (10,0,0,7,4,1).",
                Some((host, 1025)),
            ),
            (
                false,
                "227 Entering Passive Mode 10,0,0,7,4,1",
                Some((host, 1025)),
            ),
            (
                false,
                "229 Entering Extended Passive Mode (|||1025|)",
                Some((None, 1025)),
            ),
            (false, "PORT 10,0,0,7,4,1", None),
            (true, "227 (10,0,0,7,4,1)", None),
            (true, "PORT 10,0,0,7,4", None),
            (true, "PORT 10,0,0,777,4,1", None),
            (false, "229 (|||1025", None),
            (false, "229 (|||99999|)", None),
            (false, "227 nothing", None),
            (true, "PORT", None),
            (true, "", None),
        ] {
            assert_eq!(data_port(is_orig, line.as_bytes()), want, "{line}");
        }
    }
}
