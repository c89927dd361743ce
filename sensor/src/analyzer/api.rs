//! What an analyzer is, and what it is called with. Knows events and log rows, no protocol and no packet.

use std::net::IpAddr;
use std::sync::Arc;

use super::carried::Carried;
use super::pattern::{Rule, UdpRule};
use crate::datapath::tunnels::TunnelKind;
use crate::event::log::{Log, LogRow};
use crate::event::{AnalyzerTag, ConnId, Event, Page, Subscriptions, Ts};
use crate::file::{Carrier, News, Piece};
use crate::signature::Context;
use crate::software::Found;

/// A violation this many payload bytes into a connection no longer takes the service away (Zeek's
/// `DPD::ignore_violations_after`).
pub const IGNORE_VIOLATIONS_AFTER: u64 = 10 * 1024;

/// An analyzer of one protocol on one connection: bytes in, events and log rows out.
///
/// `is_orig` is the direction: sent by the connection's originator.
pub trait Protocol: Sized {
    /// What the list of protocols makes its tables of.
    const SPEC: Spec;

    /// What the analyzers of one worker share: settings, caches.
    type Shared: Default;

    /// An analyzer for a connection, before its first byte.
    fn new(start: &Start, shared: &Self::Shared) -> Self;

    /// Bytes of a TCP direction, in order.
    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let _ = (is_orig, bytes, ctx);
        Next::Stop
    }

    /// The payload of one UDP datagram.
    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let _ = (is_orig, bytes, ctx);
        Next::Stop
    }

    /// `len` bytes of a TCP direction are missing here.
    fn gap(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
        let _ = (is_orig, len, ctx);
        Next::Stop
    }

    /// `len` bytes of a TCP direction came that are not at hand, because the analyzer had said that it needs none of them
    /// ([`Interest::Skip`]).
    fn unseen(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
        self.gap(is_orig, len, ctx)
    }

    /// Bytes of a TCP direction came of those that it had said it needs none of ([`Interest::Skip`]); how many is told later,
    /// by [`Protocol::unseen`]. The time is that of the last of them.
    fn coming(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) {
        let _ = (is_orig, ctx);
    }

    /// A TCP direction ended in order: a line without an end is a line now.
    fn eof(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) -> Next {
        match self.has_open_line(is_orig) {
            true => self.data(is_orig, b"\n", ctx),
            false => Next::More,
        }
    }

    /// Whether the protocol is one of lines, and a direction has begun one and not ended it.
    fn has_open_line(&self, is_orig: bool) -> bool {
        let _ = is_orig;
        false
    }

    /// Another analyzer of this protocol was on the connection before and has handed the rest of it over, in which this
    /// one begins.
    fn inherit(&mut self, outer: &mut Self) {
        let _ = outer;
    }

    /// The connection is over.
    fn close(&mut self, how: Closing, ctx: &mut Ctx<'_>) {
        let _ = (how, ctx);
    }

    /// Originator and responder change places.
    fn flip(&mut self) {}

    /// How much of a direction's further bytes the analyzer still needs.
    fn interest(&self, is_orig: bool, seen: Seen) -> Interest;

    /// Whether [`Protocol::close`] does nothing, if no more bytes come.
    fn is_settled(&self) -> bool {
        true
    }

    /// The connection's start was not seen: a direction may begin in the middle of a message.
    fn start_unseen(&mut self) {}

    /// The part of the analyzer that reads marks, if it may ask for [`Interest::Marks`].
    fn marks(&self) -> Option<&dyn ReadsMarks> {
        None
    }

    /// The same, to be given marks.
    fn marks_mut(&mut self) -> Option<&mut dyn ReadsMarks> {
        None
    }
}

/// A protocol that the list knows by a number.
pub trait Listed: Protocol {
    /// Its place in the list.
    const NUMBER: u8;
}

/// An analyzer that needs only the headers of a stream's records for a while (see [`sensor_common::follow`]).
pub trait ReadsMarks {
    /// How many bytes of a direction come before the next header; none in the middle of one.
    fn to_header(&self, is_orig: bool) -> Option<u64>;

    /// `n` bytes of a TCP direction came whose content stayed in the datapath.
    fn unseen(&mut self, is_orig: bool, n: u64, ctx: &mut Ctx<'_>);

    /// The next byte begins a record. The rest of the one before it is lost.
    fn record_begins(&mut self, is_orig: bool);

    /// A datagram of `len` bytes came; only its records' headers are at hand.
    fn headers(
        &mut self,
        is_orig: bool,
        len: usize,
        headers: &mut dyn Iterator<Item = [u8; 5]>,
        ctx: &mut Ctx<'_>,
    );
}

/// What is known of a protocol before any of its bytes.
#[derive(Debug)]
pub struct Spec {
    /// The protocol's names: Zeek's for its analyzer, and conn.log's for its service.
    pub tag: AnalyzerTag,
    /// The pages of events that it may raise.
    pub pages: &'static [&'static Page],
    /// The logs that it may write.
    pub logs: &'static [Log],
    /// Responder ports on which it is put on a TCP connection before any byte.
    pub tcp_ports: &'static [u16],
    /// The same for UDP.
    pub udp_ports: &'static [u16],
    /// It is tried on the first datagram of every UDP flow whose port is no protocol's.
    pub any_udp_port: bool,
    /// How it is known by the first bytes of a TCP connection, on any port; each rule puts it there once.
    pub rules: &'static [Rule],
    /// How it is known by the first datagram of a UDP flow, on any port.
    pub udp_rules: &'static [UdpRule],
    /// How it is known where it begins behind other bytes.
    pub later: Later,
    /// Without the connection's beginning it makes no sense.
    pub needs_start: bool,
    /// A failed analyzer stays to the connection's end, to write its log row.
    pub stays: bool,
    /// Its users may be silent for long: the connection gets the inactivity timeout of interactive protocols.
    pub interactive: bool,
    /// udp_session_done is raised at the end of flows to its UDP ports.
    pub session_done: bool,
    /// A flow to its UDP ports is over after a short silence (Zeek: dns_session_timeout), unless
    /// it turned out to be another protocol's.
    pub short_session: bool,
}

impl Spec {
    /// The spec of a protocol that has no ports and no signatures.
    pub const fn new(tag: AnalyzerTag) -> Spec {
        Spec {
            tag,
            pages: &[],
            logs: &[],
            tcp_ports: &[],
            udp_ports: &[],
            any_udp_port: false,
            rules: &[],
            udp_rules: &[],
            later: Later::Never,
            needs_start: false,
            stays: false,
            interactive: false,
            session_done: false,
            short_session: false,
        }
    }
}

/// How a protocol is recognised that may begin behind another protocol's bytes. At most one TCP protocol and one UDP
/// protocol have this.
#[derive(Clone, Copy, Debug)]
pub enum Later {
    /// It is not looked for.
    Never,
    /// It may begin at the start of a TCP segment.
    Segment {
        /// Whether a direction begins with it, given its first bytes.
        first: fn(bytes: &[u8], is_orig: bool) -> super::pattern::Match,
        /// Whether it begins in mid-stream with these bytes. `start_unseen`: neither side's SYN was seen.
        begins: fn(bytes: &[u8], is_orig: bool, start_unseen: bool) -> bool,
        /// How many bytes of both directions may come before it.
        within: u64,
    },
    /// It may begin with any datagram.
    Datagram {
        /// Whether it begins with this one.
        begins: fn(bytes: &[u8]) -> bool,
        /// Whether one before it counts as an error of its own.
        stranger: fn(bytes: &[u8]) -> bool,
    },
}

/// What is known when an analyzer is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// Originator's and responder's port, host byte order; zeros where the analyzer was chosen by content, not by port.
    pub ports: [u16; 2],
    /// Earlier datagrams of this flow for which [`Later::Datagram`]'s `stranger` held.
    pub strangers: u32,
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// A direction was delivered to its end.
    pub ended: bool,
    /// The analyzer still reads: neither done nor failed before this packet.
    pub reads: bool,
}

/// What a connection has brought so far.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Payload bytes of both directions.
    pub bytes: u64,
    /// The analyzer is sure of its protocol.
    pub confirmed: bool,
}

impl Seen {
    /// Whether so much came that a violation changes nothing any more.
    pub fn is_late(self) -> bool {
        self.bytes > IGNORE_VIOLATIONS_AFTER
    }

    /// What an analyzer needs that tells nothing but whether it is its protocol: everything, as long as that may change.
    pub fn until_late(self) -> Interest {
        match self.is_late() {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

/// What an analyzer answers when it was given bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It reads on.
    More,
    /// It is done with the connection.
    Stop,
    /// The rest of the connection is another protocol's.
    HandOver(HandOver),
}

/// Where the other protocol begins: with the last `len` of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// What begins there.
    pub to: Inside,
    /// It comes in WebSocket's frames, whose name this is.
    pub framed: Option<AnalyzerTag>,
    /// How many of the bytes just given belong to the other protocol; they are the last ones.
    pub len: usize,
}

impl HandOver {
    /// The rest of the connection, from `rest` on, is `to`'s.
    pub fn new(to: Inside, rest: &[u8]) -> HandOver {
        HandOver {
            to,
            framed: None,
            len: rest.len(),
        }
    }
}

/// What begins inside a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// Any protocol, after HTTP's CONNECT.
    Tunnel,
    /// Any protocol, after an HTTP reply that switches to it.
    Upgrade,
    /// The protocol that is known by [`Later::Segment`]: TLS, after STARTTLS (SMTP) or AUTH TLS (FTP).
    Tls,
}

/// What is still wanted of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// None of its bytes: the direction may be shed.
    Nothing,
    /// None of its next so many bytes, all of those after them. It holds until they have come, whatever comes in the other
    /// direction: what was skipped is not to be had later. TCP.
    Skip(u64),
    /// What the headers of its records say.
    Marks,
    /// All of its bytes.
    Everything,
}

impl Interest {
    /// What both want together.
    pub fn and(self, other: Interest) -> Interest {
        use Interest::{Everything, Marks, Nothing, Skip};
        match (self, other) {
            (Nothing, one) | (one, Nothing) => one,
            (Skip(a), Skip(b)) => Skip(a.min(b)),
            (Marks, Marks) => Marks,
            // Marks are read from a place that only they know.
            (Everything | Marks | Skip(_), _) => Everything,
        }
    }
}

/// Where an analyzer's results go.
pub trait Out {
    /// An event that somebody wants, at network time `ts`.
    fn event(&mut self, ts: Ts, ev: &dyn Event);
    /// A row for a log.
    fn log(&mut self, row: &dyn LogRow);
    /// An analyzer is sure that this is its protocol; `aid` is its number on this connection.
    fn confirm(&mut self, spec: &'static Spec, aid: u64);
    /// An analyzer met what its protocol does not allow.
    fn violation(&mut self, spec: &'static Spec, aid: u64, reason: &str);
    /// `weird` of this connection (Zeek's name).
    fn weird(&mut self, name: &'static str, addl: &str);
    /// The same of one that analyzers of several protocols meet: weird.log names `source`.
    fn weird_from(&mut self, name: &'static str, addl: &str, source: &'static str) {
        let _ = source;
        self.weird(name, addl);
    }
    /// An analyzer stopped reading because it met a limit or content that it does not know. The history gets an `X`, once.
    fn gave_up(&mut self);
    /// A weird that Zeek's scripts find, not its analyzers: it goes to weird.log and raises no event.
    fn scripted_weird(&mut self, name: &'static str) {
        self.weird(name, "");
    }
    /// A piece of a file that the connection carries.
    fn file(&mut self, carrier: &Carrier<'_>, piece: Piece<'_>) -> News {
        let _ = (carrier, piece);
        News::default()
    }
    /// Whether signatures are looked for in what an analyzer finds: whether [`Out::to_match`] does something, with a
    /// beginning or with more of what has begun.
    fn wants_match(&self, context: Context, is_orig: bool, begins: bool) -> bool {
        let _ = (context, is_orig, begins);
        false
    }
    /// Bytes for signatures. `begins`: they are matched from here on; `ends`: this is all of it.
    fn to_match(&mut self, is_orig: bool, what: (Context, &[u8]), begins: bool, ends: bool) {
        let _ = (is_orig, what, begins, ends);
    }
    /// Bytes for signatures, of one of several streams that come at a time. `ends`: this is all of it.
    fn to_match_of(&mut self, stream: u32, is_orig: bool, what: (Context, &[u8]), ends: bool) {
        let _ = (stream, is_orig, what, ends);
    }
    /// More of the stream inside the connection, which signatures are matched with anew. The first time there may be none of it.
    fn inner(&mut self, is_orig: bool, bytes: &[u8]) {
        let _ = (is_orig, bytes);
    }
    /// Software named itself.
    fn software(&mut self, found: &Found<'_>) {
        let _ = found;
    }
    /// Whether an address is local.
    fn is_local(&self, addr: IpAddr) -> bool {
        let _ = addr;
        false
    }
    /// From now on TCP connections between the two hosts may be announced.
    fn prepare(&mut self, orig: IpAddr, resp: IpAddr) {
        let _ = (orig, resp);
    }
    /// A TCP connection of `tag` from `orig` to `port` of `resp` is about to come; from any host if `orig` is 0.0.0.0.
    fn announce(&mut self, orig: IpAddr, resp: IpAddr, port: u16, tag: AnalyzerTag) {
        let _ = (orig, resp, port, tag);
    }
    /// The same of one that carries a file: `files` is told of it.
    fn announce_file(&mut self, orig: IpAddr, resp: (IpAddr, u16), tag: AnalyzerTag, files: &Arc<Carried>) {
        let _ = files;
        self.announce(orig, resp.0, resp.1, tag);
    }
    /// What the connection that announced this one is told of its files, and has told of them.
    fn announced_files(&self) -> Option<Arc<Carried>> {
        None
    }
    /// What is new of a file of this connection is told to the one that announced it.
    fn carries(&mut self, news: &News) {
        let _ = news;
    }
    /// The connection asks a proxy of this kind for another one.
    fn proxies(&mut self, kind: TunnelKind) {
        let _ = kind;
    }
}

/// What the analyzers of a connection are called with, the same for all of them.
pub struct Call<'c> {
    /// Time of the packet that is at work.
    pub ts: Ts,
    /// The connection.
    pub c: &'c ConnId,
    /// The events that somebody wants.
    pub subs: &'c Subscriptions,
    /// Where events, rows and what else an analyzer says go.
    pub out: &'c mut dyn Out,
}

/// What one analyzer is called with: a [`Call`] and its own standing.
pub struct Ctx<'c> {
    /// Time of the packet that is at work.
    pub ts: Ts,
    /// The connection.
    pub c: &'c ConnId,
    /// The events that somebody wants.
    pub subs: &'c Subscriptions,
    /// Where events, rows and what else the analyzer says go.
    pub out: &'c mut dyn Out,
    me: Me<'c>,
}

/// Whose context it is.
struct Me<'c> {
    spec: &'static Spec,
    number: u8,
    standing: &'c mut Standing,
    around: Around<'c>,
}

/// What all analyzers of a connection say of it.
pub struct Around<'c> {
    /// The protocols that the connection is, by its analyzers so far.
    pub services: &'c mut Services,
    /// The content shows originator and responder to be the wrong way round.
    pub turned: &'c mut bool,
    /// Violations mean nothing: the connection is incomplete.
    pub mute: bool,
    /// Violations take no service away any more.
    pub late: bool,
}

/// How sure an analyzer is of its protocol.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// It is sure; a violation does not take this back.
    pub confirmed: bool,
    /// Time of its first violation. The analyzer is taken off when that packet has been handled.
    pub failed: Option<Ts>,
}

impl<'c> Call<'c> {
    /// Raises an event if somebody wants it.
    pub fn raise(&mut self, ev: &dyn Event) {
        if self.subs.wants(ev.kind()) {
            self.out.event(self.ts, ev);
        }
    }

    /// The context of one analyzer.
    pub fn of<'s>(
        &'s mut self,
        spec: &'static Spec,
        number: u8,
        standing: &'s mut Standing,
        around: Around<'s>,
    ) -> Ctx<'s> {
        Ctx {
            ts: self.ts,
            c: self.c,
            subs: self.subs,
            out: &mut *self.out,
            me: Me {
                spec,
                number,
                standing,
                around,
            },
        }
    }
}

impl Ctx<'_> {
    /// The analyzer is sure that this is its protocol.
    pub fn confirm(&mut self) {
        let me = &mut self.me;
        if !std::mem::replace(&mut me.standing.confirmed, true) {
            self.out.confirm(me.spec, me.number.into());
            // What failed a moment before is no service any more.
            me.around.services.add(me.number, me.standing.failed.is_none());
        }
    }

    /// The analyzer's protocol.
    pub fn tag(&self) -> AnalyzerTag {
        self.me.spec.tag
    }

    /// Matches something whole with signatures, if there are any for it.
    pub fn to_match(&mut self, context: Context, is_orig: bool, bytes: &[u8]) {
        if self.out.wants_match(context, is_orig, true) {
            self.out.to_match(is_orig, (context, bytes), true, true);
        }
    }

    /// Whether the analyzer has said that it is its protocol.
    pub fn is_confirmed(&self) -> bool {
        self.me.standing.confirmed
    }

    /// Whether violations take no service away any more.
    pub fn is_late(&self) -> bool {
        self.me.around.late
    }

    /// Reports what the protocol does not allow. The analyzer reads on to the end of the packet.
    pub fn violation(&mut self, reason: &str) {
        if self.me.around.mute {
            return;
        }
        self.tell_violation(reason);
        if !self.me.around.late {
            self.retract();
            self.me.standing.failed.get_or_insert(self.ts);
        }
    }

    /// Reports a violation of an analyzer that Zeek leaves where it is: one that is in no tree, but owned, whose service is taken
    /// away until it is confirmed anew by another one of its kind.
    pub fn violation_inside(&mut self, reason: &str) {
        self.violation_spared(reason);
        if !self.me.around.mute && !self.me.around.late {
            self.retract();
        }
    }

    /// The same of one that reads datagrams: to Zeek's it means nothing that a TCP connection is incomplete.
    pub fn violation_of_datagram(&mut self, reason: &str) {
        self.tell_violation(reason);
        if !self.me.around.late {
            self.retract();
        }
    }

    /// Reports a violation that has no consequences (Zeek's `DPD::ignore_violations`).
    pub fn violation_spared(&mut self, reason: &str) {
        if !self.me.around.mute {
            self.tell_violation(reason);
        }
    }

    /// Reports a violation without its consequences, for an analyzer that decides them itself.
    pub fn tell_violation(&mut self, reason: &str) {
        self.out.violation(self.me.spec, self.me.number.into(), reason);
    }

    /// Takes the service away: it is not this protocol after all.
    pub fn retract(&mut self) {
        self.me.around.services.retract(self.me.number);
    }

    /// The context of an analyzer that reads what this one carries.
    pub fn inside<'s, P: Listed>(&'s mut self, standing: &'s mut Standing) -> Ctx<'s> {
        let around = &mut self.me.around;
        Ctx {
            ts: self.ts,
            c: self.c,
            subs: self.subs,
            out: &mut *self.out,
            me: Me {
                spec: const { &P::SPEC },
                number: P::NUMBER,
                standing,
                around: Around {
                    services: &mut *around.services,
                    turned: &mut *around.turned,
                    mute: around.mute,
                    late: around.late,
                },
            },
        }
    }

    /// Whether the analyzer's protocol is a service of the connection: it was confirmed, and not taken back.
    pub fn is_service(&self) -> bool {
        self.me.around.services.holds(self.me.number)
    }

    /// The connection is a service that has no analyzer of its own, by its number in the list.
    pub fn serve(&mut self, number: u8) {
        self.me.around.services.add(number, true);
    }

    /// The content shows that originator and responder are the wrong way round. After this datagram the connection is
    /// turned and [`Protocol::flip`] called, unless the responder is a multicast or broadcast address.
    pub fn turn(&mut self) {
        *self.me.around.turned = true;
    }
}

/// The protocols that a connection was told to be, in order, and which of them it still is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Services {
    numbers: [u8; Services::MAX_SERVICES],
    len: u8,
    /// A bit each.
    holds: u8,
}

impl Services {
    /// Most services of a connection, more than occur in practice. Further ones are not named.
    const MAX_SERVICES: usize = 6;

    fn known(&self) -> &[u8] {
        self.numbers.get(..self.len.into()).unwrap_or(&[])
    }

    /// A protocol is told, once more or for the first time.
    pub fn add(&mut self, number: u8, holds: bool) {
        let at = match self.known().iter().position(|n| *n == number) {
            Some(at) => at,
            None => {
                let at = usize::from(self.len);
                let Some(free) = self.numbers.get_mut(at) else {
                    return;
                };
                *free = number;
                self.len += 1;
                at
            }
        };
        self.holds |= u8::from(holds) << at;
    }

    /// It is not that protocol after all.
    pub fn retract(&mut self, number: u8) {
        if let Some(at) = self.known().iter().position(|n| *n == number) {
            self.holds &= !(1 << at);
        }
    }

    /// Whether it was told and not taken back.
    pub fn holds(&self, number: u8) -> bool {
        self.iter().any(|n| n == number)
    }

    /// Those that it still is, in the order in which they were told first.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        let holds = self.holds;
        let known = self.known().iter().enumerate();
        known.filter(move |(at, _)| holds >> at & 1 != 0).map(|(_, n)| *n)
    }
}

/// An analyzer without a tree around it, for tests and fuzz targets.
pub struct Solo<P> {
    /// The analyzer under test.
    pub analyzer: P,
    standing: Standing,
    services: Services,
    turned: bool,
}

impl<P: Protocol> Solo<P> {
    const SPEC: &'static Spec = &P::SPEC;

    /// Without a connection yet: each call brings its own.
    pub fn new(analyzer: P) -> Self {
        Solo {
            analyzer,
            standing: Standing::default(),
            services: Services::default(),
            turned: false,
        }
    }

    /// Calls it.
    pub fn with<R>(&mut self, mut call: Call<'_>, work: impl FnOnce(&mut P, &mut Ctx<'_>) -> R) -> R {
        let around = Around {
            services: &mut self.services,
            turned: &mut self.turned,
            mute: false,
            late: false,
        };
        work(
            &mut self.analyzer,
            &mut call.of(Self::SPEC, 0, &mut self.standing, around),
        )
    }

    /// Ends its connection, of which a direction was delivered to its end.
    pub fn close(&mut self, call: Call<'_>) {
        let how = Closing {
            ended: true,
            reads: true,
        };
        self.with(call, |a, ctx| a.close(how, ctx));
    }

    /// Says once that the analyzer asked for the connection to be turned.
    pub fn take_turned(&mut self) -> bool {
        std::mem::take(&mut self.turned)
    }

    /// What it still wants, early on its connection.
    pub fn interest(&self, is_orig: bool) -> Interest {
        let seen = Seen {
            bytes: 0,
            confirmed: self.standing.confirmed,
        };
        self.analyzer.interest(is_orig, seen)
    }

    /// Whether it is sure of its protocol and has not taken that back.
    pub fn holds(&self) -> bool {
        self.services.holds(0)
    }
}
