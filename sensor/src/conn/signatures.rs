//! A connection's packets and streams for the signatures, and what becomes of matches.

use std::sync::Arc;

use sensor_common::key::{IPPROTO_ICMP, IPPROTO_ICMPV6};

use super::ends::proto;
use super::entry::{Conn, Tcp};
use super::segment::Segment;
use super::shared::{Core, Run};
use super::sink::Sink;
use crate::event::{self, ConnId, Event, Proto, SignatureState};
use crate::profile::place::{Part, enter};
use crate::signature::header::Headers;
use crate::signature::{Action, At, Context, Facts, Host, Matching, Raise, write};
use crate::tcp::endpoint::State;

/// The weird of a direction in which some expressions are not looked for any further, for want of memory.
const NO_MEMORY: &str = "signature_memory_exceeded";

/// Takes matches to the engine's outputs.
pub(super) struct Matches<'r, 'e, S> {
    core: &'r mut Core<'e, S>,
}

impl<S: Sink> Matches<'_, '_, S> {
    fn raise(&mut self, raise: Raise, msg: &str, at: &At<'_>) {
        let c = &self.core.id();
        let mut emit = |kind, ev: &dyn Event| {
            if self.core.sh.subs.wants(kind) {
                self.core.sh.emit(self.core.ts, ev);
            }
        };
        match raise {
            Raise::Match => {
                let (state, data) = (state(c, at), at.data);
                emit(
                    event::SignatureMatch::KIND,
                    &event::SignatureMatch { state, msg, data },
                );
                let ts = self.core.ts;
                write(ts, c, at, msg, |row| self.core.sh.outlet.sink.log(row));
            }
            Raise::Gaobot => emit(
                event::GaobotSignatureFound::KIND,
                &event::GaobotSignatureFound { c },
            ),
            Raise::Kazaa => emit(
                event::KazaaSignatureFound::KIND,
                &event::KazaaSignatureFound { c },
            ),
            Raise::Napster => emit(
                event::NapsterSignatureFound::KIND,
                &event::NapsterSignatureFound { c },
            ),
            Raise::RootBackdoor => emit(
                event::RootBackdoorSignatureFound::KIND,
                &event::RootBackdoorSignatureFound { c },
            ),
        }
    }
}

fn state<'a>(conn: &'a ConnId, at: &At<'a>) -> SignatureState<'a> {
    SignatureState {
        sig_id: &at.signature.id,
        conn,
        is_orig: at.is_orig,
        payload_size: at.payload_size,
    }
}

impl<S: Sink> Host for Matches<'_, '_, S> {
    fn matched(&mut self, at: At<'_>) {
        for action in &at.signature.actions {
            match action {
                Action::Event(raise, msg) => self.raise(*raise, msg, &at),
                Action::Enable(name) => self.core.sh.to_enable.push(name.clone()),
                Action::Mime(..) => {}
            }
        }
    }

    fn evaluate(&mut self, function: &str, at: At<'_>) -> bool {
        let id = self.core.id();
        let state = state(&id, &at);
        self.core.sh.outlet.sink.evaluate(function, &state, at.data)
    }

    fn gave_up(&mut self) {
        self.core.weird(NO_MEMORY, "");
    }
}

impl<S: Sink> Core<'_, S> {
    /// Lets the signatures work, if there are any.
    pub(super) fn match_with<R>(
        &mut self,
        work: impl FnOnce(&mut Matching, u32, &mut dyn Host) -> R,
    ) -> Option<R> {
        let mut matching = self.sh.signatures.take()?;
        let n = self.conn.n;
        let done = work(&mut matching, n, &mut Matches { core: self });
        self.sh.signatures = Some(matching);
        Some(done)
    }

    /// Matches what an analyzer found.
    pub(super) fn match_context(&mut self, is_orig: bool, what: (Context, &[u8]), begins: bool, ends: bool) {
        let s = usize::from(!is_orig);
        self.match_with(|m, n, host| m.context(n, s, what, begins, ends, host));
    }
}

impl<S: Sink> Core<'_, S> {
    /// Matches more of the stream inside a connection.
    pub(super) fn match_inner(&mut self, is_orig: bool, bytes: &[u8]) {
        let s = usize::from(!is_orig);
        let known = [0, 1].map(|s| ends(self.conn, s));
        self.match_with(|m, n, host| m.inner(n, s, bytes, &known, host));
    }
}

impl<S: Sink> Run<'_, S> {
    fn facts(&self, tcp: Option<&Tcp>) -> Facts {
        let conn = &self.conn;
        Facts {
            tcp: tcp.is_some(),
            udp: proto(conn.key.proto) == Proto::Udp,
            same_ip: conn.key.a == conn.key.b,
            established: tcp.is_some_and(is_established),
        }
    }

    /// The first packet of a TCP direction, before its payload.
    pub(super) fn signatures_begin(&mut self, tcp: &Tcp, s: usize, seg: &Segment<'_>) {
        let facts = self.facts(Some(tcp));
        let headers = headers(self.conn, s, seg);
        self.match_with(|m, n, host| m.first(n, s, &headers, facts, host));
        self.enable_due();
    }

    /// The next bytes of a TCP direction.
    pub(super) fn signatures_stream(&mut self, tcp: &Tcp, is_orig: bool, bytes: &[u8]) {
        if self.sh.signatures.is_none() {
            return;
        }
        let _inside = enter(Part::Signatures);
        let s = usize::from(!is_orig);
        let facts = self.facts(Some(tcp));
        let known = ends(self.conn, s);
        self.match_with(|m, n, host| {
            if !m.is_ready(n, s) {
                // Its first packet was lost, or another sensor had it.
                m.first(n, s, &known, facts, host);
            }
            m.stream(n, s, bytes, facts.established, host);
        });
        self.enable_due();
    }

    /// A packet of UDP or ICMP.
    pub(super) fn signatures_packet(&mut self, s: usize, seg: &Segment<'_>) {
        // What the datapath kept is of no more use.
        let is_kept = seg.payload.is_empty() && seg.len > 0;
        if self.sh.signatures.is_none() || is_kept {
            return;
        }
        let _inside = enter(Part::Signatures);
        let facts = self.facts(None);
        let (headers, bytes) = (headers(self.conn, s, seg), seg.payload);
        let is_icmp = matches!(self.conn.key.proto, IPPROTO_ICMP | IPPROTO_ICMPV6);
        self.match_with(|m, n, host| match (facts.udp, is_icmp) {
            (true, _) => m.datagram(n, s, bytes, &headers, facts, host),
            (_, true) => m.message(n, s, bytes, &headers, facts, host),
            _ => {}
        });
        self.enable_due();
    }

    /// Whether signatures may match further payload of a direction.
    pub(super) fn signatures_want(&self, is_orig: bool) -> bool {
        let is_matched = proto(self.conn.key.proto) != Proto::Unknown;
        let matching = self.sh.signatures.as_ref().filter(|_| is_matched);
        matching.is_some_and(|m| m.wants_payload(self.conn.n, usize::from(!is_orig)))
    }

    /// The connection is over.
    pub(super) fn signatures_end(&mut self, tcp: Option<&Tcp>) {
        let established = tcp.is_some_and(is_established);
        self.match_with(|m, n, host| m.finish(n, established, host));
        self.sh.to_enable.clear();
    }

    /// Puts the analyzers on the connection that signatures have named.
    pub(super) fn enable_due(&mut self) {
        if self.sh.to_enable.is_empty() {
            return;
        }
        let names: Vec<Arc<str>> = std::mem::take(&mut self.sh.to_enable);
        let carries = matches!(proto(self.conn.key.proto), Proto::Tcp | Proto::Udp);
        if carries && self.sh.cfg.analyzers && self.conn.service == 0 {
            self.with_app(|app, shared, call| {
                names.iter().for_each(|name| app.tree.enable(name, shared, call));
            });
        }
    }
}

/// Whether the handshake is over, or was missed (as Zeek's signatures see it).
fn is_established(tcp: &Tcp) -> bool {
    let open = |s: State| !matches!(s, State::Inactive | State::SynSent | State::SynAckSent);
    open(tcp.ep[0].state) && open(tcp.ep[1].state)
}

/// What a connection's key says of the headers of side `s`.
fn ends(conn: &Conn, s: usize) -> Headers<'static> {
    let k = &conn.key;
    let (a, b) = ((k.a, k.a_port), (k.b, k.b_port));
    let (src, dst) = if conn.dir(s) == 0 { (a, b) } else { (b, a) };
    Headers {
        src: src.0,
        dst: dst.0,
        ports: [src.1, dst.1],
        proto: k.proto,
        ip: &[],
        transport: &[],
    }
}

fn headers<'p>(conn: &Conn, s: usize, seg: &Segment<'p>) -> Headers<'p> {
    let p = &seg.rec.pkt;
    let from = |at: u16| seg.frame.get(usize::from(at)..).unwrap_or_default();
    Headers {
        ip: from(p.l3),
        transport: from(p.l4),
        ..ends(conn, s)
    }
}
