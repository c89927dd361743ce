//! SSH: version lines, then key exchange packets up to NEWKEYS, at which it is sure.

mod rules;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::lines::{Eol, Lines};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Ssh;

/// Longest packet, bytes. A larger length field counts as this, as in Zeek.
const MAX_PACKET: u32 = 8 << 20;
const MSG_NEWKEYS: u8 = 21;
/// The only two messages of version 1 before encryption: the server's, then the client's.
const SMSG_PUBLIC_KEY: u8 = 2;
const CMSG_SESSION_KEY: u8 = 3;
/// Zeek's violation for a key exchange packet before both sides have agreed on a version.
const NO_VERSION: &str = "Binpac exception: binpac exception: invalid index for case: SSH_Key_Exchange: 3";

/// What a side's version line offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Unknown,
    V1,
    V2,
    /// Both versions (`1.99`).
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Version,
    Kex,
    Done,
}

/// A packet that has begun. Positions count from its length field.
#[derive(Debug, Default)]
struct Packet {
    /// Bytes taken so far.
    seen: u64,
    len: u32,
    total: u64,
    type_at: u64,
    message: u8,
}

#[derive(Debug)]
struct Side {
    lines: Lines,
    state: State,
    offer: Offer,
    packet: Packet,
}

/// One connection's state.
#[derive(Debug)]
pub struct Ssh {
    sides: [Side; 2],
}

impl Protocol for Ssh {
    const SPEC: Spec = Spec {
        tcp_ports: &[22],
        rules: rules::RULES,
        needs_start: true,
        interactive: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SSH", "ssh"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Ssh {
        let side = || Side {
            lines: Lines::new(Eol::Lf),
            state: State::Version,
            offer: Offer::Unknown,
            packet: Packet::default(),
        };
        Ssh {
            sides: [side(), side()],
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.feed(is_orig, bytes, ctx);
        Next::More
    }

    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        self.finish();
        Next::More
    }

    fn flip(&mut self) {
        self.sides.swap(0, 1);
    }

    fn interest(&self, is_orig: bool, _: Seen) -> Interest {
        match self.sides[usize::from(!is_orig)].state {
            State::Done => Interest::Nothing,
            State::Version | State::Kex => Interest::Everything,
        }
    }
}

impl Ssh {
    /// Neither direction is read any further.
    fn finish(&mut self) {
        for side in &mut self.sides {
            side.state = State::Done;
        }
    }

    /// The version both sides speak, 1 or 2.
    fn version(&self) -> Option<u8> {
        use Offer::{Both, V1, V2};
        match (self.sides[0].offer, self.sides[1].offer) {
            (V1, V1) | (V1, Both) | (Both, V1) => Some(1),
            (V2, V2) | (V2, Both) | (Both, V2) | (Both, Both) => Some(2),
            _ => None,
        }
    }

    fn feed(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) {
        let dir = usize::from(!is_orig);
        while self.sides[dir].state == State::Version {
            let side = &mut self.sides[dir];
            let Some(line) = side.lines.next(&mut bytes) else {
                return;
            };
            match offer(line) {
                Some(offer) => {
                    side.offer = offer;
                    side.state = State::Kex;
                }
                // A server may talk before its version; a client may not.
                None if is_orig => side.state = State::Done,
                None => {}
            }
        }
        if bytes.is_empty() || self.sides[dir].state == State::Done {
            return;
        }
        let Some(version) = self.version() else {
            ctx.violation(NO_VERSION);
            self.finish();
            return;
        };
        let side = &mut self.sides[dir];
        while !bytes.is_empty() && side.state == State::Kex {
            let Some(message) = side.packet.take(version, &mut bytes, ctx) else {
                return;
            };
            match (version, message) {
                (2, MSG_NEWKEYS) | (1, CMSG_SESSION_KEY) => {
                    side.state = State::Done;
                    ctx.confirm();
                }
                (1, SMSG_PUBLIC_KEY) => side.state = State::Done,
                (1, other) => {
                    side.state = State::Done;
                    ctx.violation(&format!(
                        "Binpac exception: binpac exception: invalid index for case: SSH1_Message: {other}"
                    ));
                }
                _ => {}
            }
        }
        if ctx.is_confirmed() {
            self.finish();
        }
    }
}

impl Packet {
    /// Takes the packet's bytes off the front of `bytes`; gives the message type once the packet is whole.
    fn take(&mut self, version: u8, bytes: &mut &[u8], ctx: &mut Ctx<'_>) -> Option<u8> {
        while self.seen < 4 {
            let (&b, rest) = bytes.split_first()?;
            *bytes = rest;
            self.len = self.len << 8 | u32::from(b);
            self.seen += 1;
        }
        if self.total == 0 {
            if self.len > MAX_PACKET {
                let lengths = format!("{} > {MAX_PACKET}", self.len);
                ctx.out.weird("SSH_max_packet_length_exceeded", &lengths);
                ctx.out.gave_up();
            }
            let len = u64::from(self.len.min(MAX_PACKET));
            // Version 1 puts 1 to 8 bytes of padding before the type and does not count them; version 2
            // counts a padding length before the type.
            let pad = 8 - len % 8;
            (self.total, self.type_at) = if version == 1 {
                (4 + pad + len, 4 + pad)
            } else {
                (4 + len, 5)
            };
        }
        let n = usize::try_from(self.total - self.seen)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (part, rest) = bytes.split_at(n);
        *bytes = rest;
        let at = self
            .type_at
            .checked_sub(self.seen)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(&message) = at.and_then(|at| part.get(at)) {
            self.message = message;
        }
        self.seen += n as u64;
        (self.seen == self.total).then(|| std::mem::take(self).message)
    }
}

fn offer(line: &[u8]) -> Option<Offer> {
    let rest = line.strip_prefix(b"SSH-")?;
    Some(match rest {
        [b'2', ..] => Offer::V2,
        [b'1', _, b'9', b'9', ..] => Offer::Both,
        [b'1', ..] => Offer::V1,
        _ => Offer::Unknown,
    })
}
