//! RFB, which VNC speaks (RFC 6143): sure at the client's version; watched for what Zeek takes for a violation, up to the
//! client's first unknown message.

#[cfg(test)]
mod tests;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::fields::Fields;
use super::framer::Framer;
use super::pattern::{Match, Rule};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Rfb;

/// Bytes of text from which on Zeek takes a message for none.
const MAX_TEXT: u32 = 65536;
/// Bytes kept of a message: of most only the length is read.
const MAX_KEPT: usize = 64;

/// What the client sends next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Version,
    Selection,
    VncResponse,
    ArdResponse,
    Init,
    Messages,
    /// Nothing, until the server has said something.
    Waits,
}

/// What the server sends next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Version,
    /// A security type, before version 3.7.
    Type,
    /// A list of security types.
    Types,
    Failure,
    VncChallenge,
    ArdChallenge,
    Result,
    Init,
    /// Nothing, until the client has said something.
    Waits,
    /// Pixels: nothing is read any more.
    Pixels,
}

/// One connection's state.
#[derive(Debug)]
pub struct Rfb {
    /// By direction, orig first.
    framers: [Framer; 2],
    client: Client,
    server: Server,
    minor: u32,
    ard_key: u16,
    /// What came was none: nothing is read any more.
    broken: bool,
}

impl Protocol for Rfb {
    const SPEC: Spec = Spec {
        rules: &[Rule::Both(first_bytes, first_bytes)],
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_RFB", "rfb"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Rfb {
        Rfb {
            framers: [const { Framer::new(MAX_KEPT) }; 2],
            client: Client::Version,
            server: Server::Version,
            minor: 0,
            ard_key: 0,
            broken: false,
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if !self.broken && self.read(is_orig, bytes, ctx).is_none() {
            ctx.violation("no RFB message");
            self.broken = true;
        }
        Next::More
    }

    /// Where a message begins behind a gap nobody knows.
    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        Next::Stop
    }

    fn flip(&mut self) {
        self.framers.swap(0, 1);
    }

    fn interest(&self, is_orig: bool, seen: Seen) -> Interest {
        match self.broken || seen.is_late() || (!is_orig && self.server == Server::Pixels) {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

impl Rfb {
    /// Reads what came. `None`: it is no RFB.
    fn read(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<()> {
        let dir = usize::from(!is_orig);
        loop {
            if !is_orig && self.server == Server::Pixels {
                return Some(());
            }
            let waits = match is_orig {
                true => self.client == Client::Waits,
                false => self.server == Server::Waits,
            };
            if waits {
                return bytes.is_empty().then_some(());
            }
            let (client, server, key) = (self.client, self.server, self.ard_key);
            let len = |begun: &[u8]| match is_orig {
                true => client_len(client, key, begun),
                false => server_len(server, begun),
            };
            let mut framer = std::mem::replace(&mut self.framers[dir], Framer::new(MAX_KEPT));
            let message = framer.next(&mut bytes, len);
            let read = message.map(|m| {
                let f = &mut Fields::new(m.bytes);
                if is_orig {
                    self.client_sent(f, ctx)
                } else {
                    self.server_sent(f, ctx)
                }
            });
            // What has begun is told as soon as its length is known, for that may be what is wrong.
            let is_wrong = read.is_none() && has_long_text(is_orig, client, server, framer.begun());
            self.framers[dir] = framer;
            match read {
                _ if is_wrong => return None,
                None => return Some(()),
                Some(read) => read?,
            }
        }
    }

    fn client_sent(&mut self, f: &mut Fields<'_>, ctx: &mut Ctx<'_>) -> Option<()> {
        self.client = match self.client {
            Client::Version => {
                self.minor = version(f)?;
                // Apple says 889, and speaks 3.7.
                let (client, server) = match self.minor >= 7 {
                    true => (Client::Selection, Server::Types),
                    false => (Client::Waits, Server::Type),
                };
                self.server = server;
                ctx.confirm();
                client
            }
            Client::Selection => match f.u8()? {
                1 => {
                    self.server = if self.minor > 7 {
                        Server::Result
                    } else {
                        Server::Init
                    };
                    Client::Init
                }
                2 => {
                    self.server = Server::VncChallenge;
                    Client::VncResponse
                }
                // Apple Remote Desktop: the server says how long the answer is.
                30 => {
                    self.server = Server::ArdChallenge;
                    Client::Waits
                }
                _ => {
                    ctx.violation("unknown RFB security type");
                    Client::Selection
                }
            },
            Client::VncResponse | Client::ArdResponse => Client::Init,
            Client::Init => Client::Messages,
            Client::Messages => {
                if !matches!(f.u8()?, 0 | 2..=6) {
                    return None;
                }
                Client::Messages
            }
            Client::Waits => return None,
        };
        Some(())
    }

    fn server_sent(&mut self, f: &mut Fields<'_>, ctx: &mut Ctx<'_>) -> Option<()> {
        self.server = match self.server {
            Server::Version => {
                version(f)?;
                Server::Waits
            }
            Server::Type => match f.be32()? {
                0 => {
                    self.client = Client::Init;
                    Server::Failure
                }
                1 => {
                    self.client = Client::Init;
                    Server::Init
                }
                2 => {
                    self.client = Client::VncResponse;
                    Server::VncChallenge
                }
                _ => {
                    ctx.violation("unknown RFB security type");
                    Server::Type
                }
            },
            Server::Types => match f.u8()? {
                0 => Server::Failure,
                _ => Server::Waits,
            },
            Server::Failure => Server::Init,
            Server::VncChallenge => {
                self.client = Client::VncResponse;
                Server::Result
            }
            Server::ArdChallenge => {
                f.skip(2)?;
                self.ard_key = f.be16()?;
                self.client = Client::ArdResponse;
                Server::Result
            }
            Server::Result => match f.be32()? {
                0 => Server::Init,
                1 => Server::Failure,
                _ => {
                    ctx.violation("unknown RFB security result");
                    Server::Result
                }
            },
            Server::Init => Server::Pixels,
            Server::Waits | Server::Pixels => return None,
        };
        Some(())
    }
}

/// The minor version of `RFB 003.008` and a line's end.
fn version(f: &mut Fields<'_>) -> Option<u32> {
    if f.take(4)? != b"RFB " {
        return None;
    }
    f.skip(3)?;
    if f.u8()? != b'.' {
        return None;
    }
    let minor = f.take(3)?.iter().take_while(|b| b.is_ascii_digit());
    Some(minor.fold(0, |n, b| n * 10 + u32::from(b - b'0')))
}

/// How long the client's message is that begins so; 0 if that is not known yet.
fn client_len(next: Client, ard_key: u16, begun: &[u8]) -> u64 {
    let mut f = Fields::new(begun);
    match next {
        Client::Version => 12,
        Client::Selection | Client::Init => 1,
        Client::VncResponse => 16,
        Client::ArdResponse => 2 * u64::from(ard_key),
        Client::Messages => match f.u8() {
            None => 0,
            Some(0) => 20,
            Some(2) => f
                .skip(1)
                .and_then(|()| f.be16())
                .map_or(0, |n| 4 + 4 * u64::from(n)),
            Some(3) => 10,
            Some(4) => 8,
            Some(5) => 6,
            Some(6) => f.skip(3).and_then(|()| f.be32()).map_or(0, |n| 8 + u64::from(n)),
            Some(_) => 1,
        },
        Client::Waits => 0,
    }
}

/// The same of the server's.
fn server_len(next: Server, begun: &[u8]) -> u64 {
    let mut f = Fields::new(begun);
    match next {
        Server::Version => 12,
        Server::Type | Server::Result => 4,
        Server::Types => f.u8().map_or(0, |n| 1 + u64::from(n)),
        Server::Failure => f.be32().map_or(0, |n| 4 + u64::from(n)),
        Server::VncChallenge => 16,
        Server::ArdChallenge => f
            .skip(2)
            .and_then(|()| f.be16())
            .map_or(0, |n| 4 + 2 * u64::from(n)),
        Server::Init => f
            .skip(20)
            .and_then(|()| f.be32())
            .map_or(0, |n| 24 + u64::from(n)),
        Server::Waits | Server::Pixels => 0,
    }
}

/// A message has begun whose text is longer than any.
fn has_long_text(is_orig: bool, client: Client, server: Server, begun: &[u8]) -> bool {
    let mut f = Fields::new(begun);
    let before = match (is_orig, client, server) {
        (true, Client::Messages, _) if begun.first() == Some(&6) => 4,
        (false, _, Server::Failure) => 0,
        (false, _, Server::Init) => 20,
        _ => return false,
    };
    f.skip(before)
        .and_then(|()| f.be32())
        .is_some_and(|n| n >= MAX_TEXT)
}

/// `RFB`, of both sides.
fn first_bytes(b: &[u8]) -> Match {
    let n = b.len().min(3);
    match (b.get(..n) == b"RFB".get(..n), n) {
        (false, _) => Match::No,
        (true, 3) => Match::Yes,
        (true, _) => Match::More,
    }
}
