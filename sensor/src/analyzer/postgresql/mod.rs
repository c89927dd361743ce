//! PostgreSQL's protocol, version 3 (its manual, chapter "Frontend/Backend Protocol"): sure at the client's startup message,
//! or at the server's answer to a request for TLS. If that is a yes, the rest is TLS.

#[cfg(test)]
mod tests;
mod wire;

use super::api::{Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::framer::{Framer, Message};
use super::pattern::{Match, Rule};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = PostgreSql;

/// Bytes kept of a message; of longer ones the body is not read.
const MAX_MESSAGE: usize = 16 * 1024;
/// Bytes that a side may send before the other one's turn. Zeek bounds the pieces, not the bytes.
const MAX_EARLY: usize = 16 * 1024;

/// What the client began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// Nothing yet.
    No,
    /// A request for TLS, which is not answered yet.
    AsksTls,
    /// A startup message, now or after TLS was refused.
    Plain,
}

/// One connection's state.
#[derive(Debug)]
pub struct PostgreSql {
    /// By direction, orig first.
    framers: [Framer; 2],
    /// What came of a side too early, orig first.
    early: [Vec<u8>; 2],
    begun: Begun,
    /// The startup message was read.
    started: bool,
    /// What came was none: nothing is read any more.
    broken: bool,
}

impl Protocol for PostgreSql {
    const SPEC: Spec = Spec {
        tcp_ports: &[5432],
        rules: &[Rule::Both(tls_request, tls_reply), Rule::Both(startup, reply)],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_POSTGRESQL", "postgresql"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> PostgreSql {
        PostgreSql {
            framers: [const { Framer::new(MAX_MESSAGE) }; 2],
            early: [const { Vec::new() }; 2],
            begun: Begun::No,
            started: false,
            broken: false,
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if self.broken {
            return Next::More;
        }
        let read = match is_orig {
            true => self.client_sent(bytes, ctx).map(|()| Next::More),
            false => self.server_sent(bytes, ctx),
        };
        read.unwrap_or_else(|| {
            ctx.violation("no PostgreSQL message");
            self.broken = true;
            Next::More
        })
    }

    /// Where a message begins behind a gap nobody knows.
    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        Next::Stop
    }

    fn flip(&mut self) {
        self.framers.swap(0, 1);
        self.early.swap(0, 1);
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match self.broken || seen.is_late() {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

impl PostgreSql {
    fn client_sent(&mut self, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<()> {
        if self.begun == Begun::AsksTls {
            return keep(&mut self.early[0], bytes);
        }
        let mut framer = std::mem::replace(&mut self.framers[0], Framer::new(MAX_MESSAGE));
        loop {
            let started = self.started;
            let Some(message) = framer.next(&mut bytes, |begun| client_len(started, begun)) else {
                break;
            };
            if started {
                self.client_message(message)?;
            } else if self.begun == Begun::No && wire::is_tls_request(message.bytes) {
                self.begun = Begun::AsksTls;
                keep(&mut self.early[0], bytes)?;
                return self.server_waited(ctx);
            } else {
                // What is too long to be kept is no startup message.
                wire::startup(message.bytes).filter(|()| !message.is_cut)?;
                self.begun = Begun::Plain;
                self.started = true;
                ctx.confirm();
            }
        }
        if !self.started && !wire::may_begin(framer.begun()) {
            return None;
        }
        self.framers[0] = framer;
        self.server_waited(ctx)
    }

    fn client_message(&self, message: Message<'_>) -> Option<()> {
        match message.is_cut {
            true => wire::length(message.bytes).map(drop),
            false => wire::from_client(message.bytes),
        }
    }

    /// Reads what the server sent before the client had begun.
    fn server_waited(&mut self, ctx: &mut Ctx<'_>) -> Option<()> {
        if self.begun == Begun::No {
            return Some(());
        }
        let early = std::mem::take(&mut self.early[1]);
        match early.is_empty() {
            true => Some(()),
            // A reply that comes before its question does not begin TLS here.
            false => self.server_sent(&early, ctx).map(drop),
        }
    }

    fn server_sent(&mut self, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<Next> {
        match self.begun {
            Begun::No => return keep(&mut self.early[1], bytes).map(|()| Next::More),
            Begun::AsksTls => {
                let Some((reply, rest)) = bytes.split_first() else {
                    return Some(Next::More);
                };
                answered(*reply, ctx)?;
                if *reply == b'S' {
                    return Some(Next::HandOver(HandOver::new(Inside::Tls, rest)));
                }
                self.begun = Begun::Plain;
                let early = std::mem::take(&mut self.early[0]);
                self.client_sent(&early, ctx)?;
                bytes = rest;
            }
            Begun::Plain => {}
        }
        let framer = &mut self.framers[1];
        while let Some(message) = framer.next(&mut bytes, wire::len) {
            match message.is_cut {
                true => wire::length(message.bytes).map(drop),
                false => wire::from_server(message.bytes),
            }?;
        }
        Some(Next::More)
    }
}

/// The server's answer to a request for TLS: yes or no.
fn answered(reply: u8, ctx: &mut Ctx<'_>) -> Option<()> {
    matches!(reply, b'S' | b'N').then(|| ctx.confirm())
}

/// Keeps what came too early, if it is not too much.
fn keep(early: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    (early.len() + bytes.len() <= MAX_EARLY).then(|| early.extend_from_slice(bytes))
}

/// How long the client's message is that begins so; 0 if that is not known yet.
fn client_len(started: bool, begun: &[u8]) -> u64 {
    match started {
        true => wire::len(begun),
        false => wire::startup_len(begun),
    }
}

/// A request for TLS.
fn tls_request(b: &[u8]) -> Match {
    begins(b, &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f])
}

fn tls_reply(b: &[u8]) -> Match {
    match b.first() {
        None => Match::More,
        Some(b'S' | b'N') => Match::Yes,
        Some(_) => Match::No,
    }
}

/// A startup message, with a user within the first 256 bytes.
fn startup(b: &[u8]) -> Match {
    if b.iter().take(4).any(|b| *b == b'\n') {
        return Match::No;
    }
    match b.get(4..).map(|version| begins(version, &[0, 3, 0])) {
        None => Match::More,
        Some(Match::Yes) => {
            // Where line ends end it.
            let rest = b.get(7..).unwrap_or(&[]);
            let end = rest
                .iter()
                .position(|b| *b == b'\n')
                .unwrap_or(rest.len())
                .min(256 + 5);
            let found = rest.get(..end).unwrap_or(rest).windows(5).any(|w| w == b"user\0");
            match found {
                true => Match::Yes,
                false if end < rest.len() || end == 256 + 5 => Match::No,
                false => Match::More,
            }
        }
        Some(other) => other,
    }
}

/// The server's first message: a type and a length below 64 KiB.
fn reply(b: &[u8]) -> Match {
    match b {
        [] => Match::More,
        [kind, ..] if !kind.is_ascii_alphanumeric() => Match::No,
        [_, rest @ ..] => match begins(rest, &[0, 0]) {
            Match::Yes if rest.get(2..4).is_some_and(|l| l.contains(&b'\n')) => Match::No,
            Match::Yes if rest.len() < 4 => Match::More,
            other => other,
        },
    }
}

fn begins(b: &[u8], with: &[u8]) -> Match {
    let n = b.len().min(with.len());
    match (b.get(..n) == with.get(..n), n == with.len()) {
        (false, _) => Match::No,
        (true, false) => Match::More,
        (true, true) => Match::Yes,
    }
}
