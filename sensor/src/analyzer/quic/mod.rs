//! QUIC (RFC 9000, RFC 9369): Initial packets are read, with keys that follow from the wire (RFC 9001), and the hellos in them
//! given to the TLS analyzer. A row of quic.log for each connection. Meaning is Zeek's: names, letters, when a row is written.

mod crypto;
pub mod events;
mod initial;
pub mod keys;
mod log;
pub mod names;
mod session;
#[cfg(test)]
mod tests;
mod wire;

use super::api::{Closing, Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::inner::Inner;
use super::text;
use super::tls::{SharedTls, Tls};
use crate::event::{AnalyzerTag, Event};
use crypto::{Crypto, TooMuch};
use initial::{Initial, Initials, Read};
pub use log::QuicRow;
use names::negotiates;
use session::Session;
use wire::{Bad, Body, Frame, Long, Packet};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Quic;

/// HTTP/3, and DNS over QUIC with the port that it had before (Zeek's `quic_ports` and `doq_ports`).
const PORTS: &[u16] = &[443, 853, 784];

/// So many packets that nobody can read come before their direction is only counted: Handshake packets that are sent again come
/// between the first of them.
const LOOKED_AT_DARK: u32 = 16;

/// One connection's state.
#[derive(Debug)]
pub struct Quic {
    tls: Inner<Tls>,
    /// By direction, orig first.
    streams: [Crypto; 2],
    initials: Initials,
    session: Option<Box<Session>>,
    /// Both hellos are read, or nobody can read them.
    is_over: bool,
    /// Length of the connection id in packets to the client.
    client_id: usize,
    /// Datagrams that end with a packet that nobody can read.
    dark: [u32; 2],
    /// Initial packets that could be read.
    decrypted: u64,
    /// The connection's originator is the server, and nobody has turned the connection yet.
    is_turned: bool,
}

/// What ends the analysis.
struct Refused(String);

impl From<TooMuch> for Refused {
    fn from(_: TooMuch) -> Refused {
        Refused("too much crypto data".to_owned())
    }
}

impl From<Bad> for Refused {
    fn from(bad: Bad) -> Refused {
        Refused(match bad {
            Bad::Short(short) => format!("{} is cut off", short.0),
            Bad::Frame(kind) => format!("unhandled frame type {kind} in Initial packet"),
        })
    }
}

/// Raises an event that has the ids of a long header.
macro_rules! raise {
    ($ctx:expr, $kind:ident, $is_orig:expr, $long:expr $(, $more:ident: $value:expr)*) => {
        raise($ctx, &events::$kind {
            c: $ctx.c,
            is_orig: $is_orig,
            version: $long.version.into(),
            dcid: $long.dcid,
            scid: $long.scid,
            $($more: $value,)*
        })
    };
}

fn raise(ctx: &mut Ctx<'_>, ev: &dyn Event) {
    if ctx.subs.wants(ev.kind()) {
        ctx.out.event(ctx.ts, ev);
    }
}

impl Protocol for Quic {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[QuicRow::LOG],
        udp_ports: PORTS,
        udp_rules: &[looks_like_initial],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_QUIC", "quic"))
    };
    /// As for TLS.
    type Shared = SharedTls;

    fn new(_: &Start, shared: &SharedTls) -> Quic {
        Quic {
            tls: Inner::new(Tls::in_quic(shared)),
            streams: [Crypto::default(), Crypto::default()],
            initials: Initials::default(),
            session: None,
            is_over: false,
            client_id: 0,
            dark: [0; 2],
            decrypted: 0,
            is_turned: false,
        }
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        match self.packets(is_orig, bytes, ctx) {
            Ok(()) => Next::More,
            Err(Refused(reason)) => {
                ctx.violation(&reason);
                Next::Stop
            }
        }
    }

    fn close(&mut self, how: Closing, ctx: &mut Ctx<'_>) {
        if how.reads && self.decrypted == 0 && self.initials.has_failed() {
            ctx.violation("decryption failed");
        }
        self.initials = Initials::default();
        self.write_row(ctx);
        self.tls.close(how, ctx);
    }

    fn flip(&mut self) {
        if !std::mem::take(&mut self.is_turned) {
            self.turn();
        }
    }

    fn interest(&self, is_orig: bool, _: Seen) -> Interest {
        match self.dark[usize::from(is_orig == self.is_turned)] >= LOOKED_AT_DARK {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }

    fn is_settled(&self) -> bool {
        self.session.is_none() && self.tls.is_settled() && !self.initials.has_failed()
    }
}

impl Quic {
    /// What was the originator's is the responder's.
    fn turn(&mut self) {
        self.tls.flip();
        self.streams.swap(0, 1);
        self.dark.swap(0, 1);
        self.initials.flip();
        if let Some(session) = &mut self.session {
            session.flip();
        }
    }

    /// The packets of a datagram.
    fn packets(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Result<(), Refused> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let from_client = is_orig != self.is_turned;
            let packet = wire::packet(rest).map_err(|short| Refused::from(Bad::Short(short)))?;
            rest = match packet {
                Packet::Short if rest.len() <= self.client_id => {
                    return Err(Refused("short header is cut off".to_owned()));
                }
                Packet::Short | Packet::Discarded => {
                    let dark = &mut self.dark[usize::from(!from_client)];
                    *dark = dark.saturating_add(1);
                    &[]
                }
                Packet::Long(long) => {
                    self.long_header(from_client, &long, ctx)?;
                    rest.get(long.packet.len()..).unwrap_or(&[])
                }
            };
        }
        Ok(())
    }

    fn long_header(&mut self, is_orig: bool, long: &Long<'_>, ctx: &mut Ctx<'_>) -> Result<(), Refused> {
        match &long.body {
            Body::Initial(family, at) => {
                let read = match self.is_over {
                    true => None,
                    false => {
                        let initial = Initial {
                            is_orig,
                            family: *family,
                            dcid: long.dcid,
                            packet: long.packet,
                            at: at.clone(),
                        };
                        Some(self.initials.read(initial))
                    }
                };
                // What the client's keys open is the client's.
                let is_orig = is_orig ^ matches!(read, Some(Read::Turned(_)));
                let client_id = if is_orig { long.scid } else { long.dcid };
                self.client_id = client_id.len();
                if let Some(Read::Turned(_)) = read {
                    ctx.turn();
                    self.turn();
                    self.is_turned = !self.is_turned;
                }
                raise!(ctx, InitialPacket, is_orig, long);
                self.session(ctx, long.version).ids(is_orig, long);
                self.letter(is_orig, 'I', ctx);
                match read {
                    Some(Read::Payload(payload) | Read::Turned(payload)) => {
                        self.payload(is_orig, &payload, long, ctx)?;
                        for (is_orig, payload) in self.initials.read_waiting() {
                            self.payload(is_orig, &payload, long, ctx)?;
                        }
                    }
                    Some(Read::Failed) => return Err(Refused("decryption failed".to_owned())),
                    Some(Read::Waits) | None => {}
                }
            }
            Body::ZeroRtt => {
                raise!(ctx, ZeroRttPacket, is_orig, long);
                self.session(ctx, long.version).ids(is_orig, long);
                self.letter(is_orig, 'Z', ctx);
            }
            Body::Handshake => {
                raise!(ctx, HandshakePacket, is_orig, long);
                self.session(ctx, long.version).ids(is_orig, long);
                self.letter(is_orig, 'H', ctx);
            }
            Body::Retry { token, integrity } => {
                raise!(ctx, RetryPacket, is_orig, long, retry_token: token, integrity_tag: integrity);
                self.ends_with(is_orig, 'R', long, ctx);
            }
            Body::Unknown => {
                raise!(ctx, UnhandledVersion, is_orig, long);
                self.ends_with(is_orig, 'U', long, ctx);
                // After a negotiation the client comes with another version.
                if !negotiates(long.version) {
                    return Err(Refused(format!("unhandled QUIC version 0x{:x}", long.version)));
                }
            }
        }
        Ok(())
    }

    /// What is known so far, made when first needed.
    fn session(&mut self, ctx: &Ctx<'_>, version: u32) -> &mut Session {
        self.session
            .get_or_insert_with(|| Box::new(Session::new(ctx.ts, version)))
    }

    fn letter(&mut self, is_orig: bool, letter: char, ctx: &mut Ctx<'_>) {
        if let Some(session) = &mut self.session {
            session.letter(is_orig, letter, ctx);
        }
    }

    /// A packet after which the client begins anew.
    fn ends_with(&mut self, is_orig: bool, letter: char, long: &Long<'_>, ctx: &mut Ctx<'_>) {
        if self.session.is_none() {
            self.session(ctx, long.version).ids(is_orig, long);
        }
        self.letter(is_orig, letter, ctx);
        self.write_row(ctx);
        self.streams = [Crypto::default(), Crypto::default()];
        self.initials = Initials::default();
        self.is_over = false;
    }

    fn write_row(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(session) = self.session.take() {
            let row = session.row(ctx);
            ctx.out.log(&row);
        }
    }

    /// What an Initial packet carries.
    fn payload(
        &mut self,
        is_orig: bool,
        payload: &[u8],
        long: &Long<'_>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Refused> {
        ctx.confirm();
        self.decrypted = self.decrypted.saturating_add(1);
        let mut list = Vec::new();
        let read = wire::frames(payload, |frame| list.push(frame));
        for frame in list {
            match frame {
                Frame::Crypto { .. } if self.is_over => {}
                Frame::Crypto { offset, data } => {
                    let dir = usize::from(!is_orig);
                    self.streams[dir].add(offset, data)?;
                    while let (false, Some(message)) = (self.is_over, self.streams[dir].next()?) {
                        self.message(is_orig, &message, ctx);
                    }
                }
                Frame::Close { error_code, reason } => {
                    let reason = &text::of_bytes(reason);
                    raise!(ctx, ConnectionCloseFrame, is_orig, long, error_code: error_code, reason_phrase: reason);
                    self.letter(is_orig, 'C', ctx);
                    self.write_row(ctx);
                }
            }
        }
        if self.is_over {
            self.streams = [Crypto::default(), Crypto::default()];
            self.initials = Initials::default();
        }
        Ok(read?)
    }

    /// A message of TLS.
    fn message(&mut self, is_orig: bool, message: &[u8], ctx: &mut Ctx<'_>) {
        let before = self.tls.analyzer().heard().counts();
        let next = self.tls.read(ctx, |tls, ctx| tls.message(is_orig, message, ctx));
        let heard = self.tls.analyzer().heard();
        let now = heard.counts();
        if let Some(session) = &mut self.session {
            if now[0] > before[0] {
                session.hello(heard, ctx);
                session.letter(true, 'S', ctx);
            }
            if now[1] > before[1] {
                session.letter(false, 'S', ctx);
            }
        }
        // After a retry request both hellos come once more.
        let [of_client, of_server] = now;
        let are_final = of_server > 0 && of_client >= of_server && !heard.retries;
        self.is_over = next == Next::Stop || are_final;
    }
}

/// An Initial packet of a version that is known (Zeek's signatures have versions 1 and 2).
fn looks_like_initial(bytes: &[u8]) -> bool {
    let version = crate::base::bytes::be32(bytes, 1).and_then(names::family);
    let kind = bytes.first().filter(|b| *b >> 6 == 3);
    match (version, kind) {
        (Some(family), Some(first)) => family.kind(first >> 4) == names::Kind::Initial,
        _ => false,
    }
}
