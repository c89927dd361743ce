//! What a connection's analyzers are given, and where what they say goes.

use std::net::IpAddr;
use std::sync::Arc;

use super::app::App;
use super::ends::{addr, proto};
use super::entry::{Tcp, letter};
use super::late::Late;
use super::row::{WeirdRow, Whose};
use super::shared::{Core, Run, raise};
use super::sink::Sink;
use crate::analyzer::api::{Call, Interest, Out, Spec};
use crate::analyzer::carried::Carried;
use crate::analyzer::tree::{Tree, begins_turned};
use crate::analyzer::{Id, WorkerShared};
use crate::datapath::tunnels::TunnelKind;
use crate::event::log::LogRow;
use crate::event::{self, AnalyzerTag, ConnId, Event, Proto, Ts};
use crate::file::{Carrier, News, Piece};
use crate::signature::Context;
use crate::software::Found;

/// First octets of IPv4 multicast.
const MULTICAST_V4: std::ops::RangeInclusive<u8> = 224..=239;

/// Takes the analyzers' results to the engine's outputs.
struct Results<'r, 'e, S> {
    core: &'r mut Core<'e, S>,
    id: ConnId,
}

impl<S: Sink> Out for Results<'_, '_, S> {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.core.sh.emit(ts, ev);
    }

    fn log(&mut self, row: &dyn LogRow) {
        self.core.sh.outlet.sink.log(row);
    }

    fn confirm(&mut self, spec: &'static Spec, aid: u64) {
        if spec.interactive {
            let timeout = self.core.sh.cfg.timeouts.interactive_inactivity;
            self.core.set_inactivity(timeout);
        }
        if self.core.sh.subs.wants(event::ProtocolConfirmation::KIND) {
            let ev = event::ProtocolConfirmation {
                c: &self.id,
                atype: spec.tag,
                aid,
            };
            self.core.sh.emit(self.core.ts, &ev);
        }
    }

    fn violation(&mut self, spec: &'static Spec, aid: u64, reason: &str) {
        if self.core.sh.subs.wants(event::ProtocolViolation::KIND) {
            let ev = event::ProtocolViolation {
                c: &self.id,
                atype: spec.tag,
                aid,
                reason,
            };
            self.core.sh.emit(self.core.ts, &ev);
        }
    }

    fn weird(&mut self, name: &'static str, addl: &str) {
        self.core.weird(name, addl);
    }

    fn weird_from(&mut self, name: &'static str, addl: &str, source: &'static str) {
        self.core.weird_from(name, addl, source);
    }

    fn gave_up(&mut self) {
        self.core.gave_up();
    }

    fn scripted_weird(&mut self, name: &'static str) {
        let row = WeirdRow::new(self.core.ts, Whose::Conn(&self.id), name, "", "");
        self.core.sh.outlet.log_weird(&row);
    }

    fn file(&mut self, carrier: &Carrier<'_>, piece: Piece<'_>) -> News {
        let now = self.core.ts;
        self.core
            .sh
            .with_files(now, |files, cx| files.piece(carrier, piece, cx))
    }

    fn wants_match(&self, context: Context, is_orig: bool, begins: bool) -> bool {
        let (signatures, n) = (&self.core.sh.signatures, self.core.conn.n);
        let signatures = signatures.as_ref();
        signatures.is_some_and(|m| m.wants(n, usize::from(!is_orig), context, begins))
    }

    fn to_match(&mut self, is_orig: bool, what: (Context, &[u8]), begins: bool, ends: bool) {
        self.core.match_context(is_orig, what, begins, ends);
    }

    fn to_match_of(&mut self, stream: u32, is_orig: bool, (context, bytes): (Context, &[u8]), ends: bool) {
        let s = usize::from(!is_orig);
        self.core
            .match_with(|m, n, host| m.context_of(n, s, stream, (context, bytes), ends, host));
    }

    fn inner(&mut self, is_orig: bool, bytes: &[u8]) {
        self.core.match_inner(is_orig, bytes);
    }

    fn software(&mut self, found: &Found<'_>) {
        self.core.sh.found_software(self.core.ts, found);
    }

    fn is_local(&self, addr: IpAddr) -> bool {
        (self.core.sh.cfg.is_local)(addr)
    }

    fn announce(&mut self, orig: IpAddr, resp: IpAddr, port: u16, tag: AnalyzerTag) {
        let now = self.core.ts;
        let expected = &self.core.sh.cfg.expected;
        expected.announce(orig, resp, port, tag, now);
        // And perhaps another one after it.
        expected.prepare(orig, resp, now);
    }

    fn announce_file(
        &mut self,
        orig: IpAddr,
        (resp, port): (IpAddr, u16),
        tag: AnalyzerTag,
        files: &Arc<Carried>,
    ) {
        let now = self.core.ts;
        let expected = &self.core.sh.cfg.expected;
        expected.announce_file((orig, resp, port), tag, now, Some(files.clone()));
        expected.prepare(orig, resp, now);
    }

    fn announced_files(&self) -> Option<Arc<Carried>> {
        self.core.sh.cfg.expected.files(&self.id)
    }

    fn carries(&mut self, news: &News) {
        let Some(files) = self.announced_files() else {
            return;
        };
        if let Some(fuid) = news.fuid.filter(|_| news.joined) {
            files.begins(fuid);
        }
        if let Some(mime) = news.sniffed {
            files.is_of(mime);
        }
    }

    fn proxies(&mut self, kind: TunnelKind) {
        self.core.proxies(kind);
    }

    fn prepare(&mut self, orig: IpAddr, resp: IpAddr) {
        self.core.sh.cfg.expected.prepare(orig, resp, self.core.ts);
    }
}

impl<'e, S: Sink> Run<'e, S> {
    /// Lets the connection's analyzers work.
    pub(super) fn with_app(&mut self, work: impl FnOnce(&mut App, &WorkerShared, &mut Call<'_>)) {
        let Run { core, app } = self;
        let fixed = core.fixed;
        let app = app.get_or_insert_with(|| {
            let conn = &core.conn;
            let is_tcp = proto(conn.key.proto) == Proto::Tcp;
            Box::new(App {
                tree: Tree::new(is_tcp, conn.orig_port(), conn.resp_port(), &fixed.analyzers),
                followed: Default::default(),
                late: None,
            })
        });
        let id = core.id();
        let mut call = Call {
            ts: core.ts,
            c: &id,
            subs: &fixed.subs,
            out: &mut Results { core, id },
        };
        work(app, &fixed.analyzers, &mut call);
    }

    /// In-order bytes of a TCP direction.
    pub fn app_stream(&mut self, tcp: &mut Tcp, is_orig: bool, seq: u64, bytes: &[u8]) {
        if !self.sh.cfg.analyzers || self.conn.service != 0 {
            return;
        }
        let late = match &mut self.app {
            None => self.app_begins(is_orig),
            Some(app) => app.late.take().and_then(|late| self.app_announced(late)),
        };
        let late = late.filter(|_| !tcp.is_partial);
        let late = late.and_then(|late| late.and(is_orig, bytes, self.ts));
        let partial = tcp.is_partial;
        self.with_app(|app, shared, call| {
            app.tree.set_partial(partial);
            let bytes = app.unread(is_orig, seq, bytes, call);
            app.tree.stream(is_orig, bytes, shared, call);
            app.late = late.filter(|_| app.tree.is_unknown());
        });
        self.enable_due();
    }

    /// Before the first bytes of a connection: whether another one announced it meanwhile. What is to be kept if one may do so
    /// yet.
    fn app_begins(&mut self, is_orig: bool) -> Option<Late> {
        let expected = &self.sh.cfg.expected;
        if !expected.is_empty()
            && let Some(tag) = expected.find_late(&self.id(), self.ts)
        {
            self.app_expected(tag);
            return None;
        }
        let may_come = expected.may_come(&self.id(), self.ts);
        may_come.then(|| self.sh.late.take(is_orig, self.ts))?
    }

    /// Whether another connection announced this one since its first bytes came: then they are read anew. Else they are to be
    /// kept on.
    fn app_announced(&mut self, late: Late) -> Option<Late> {
        let Some(tag) = self.sh.cfg.expected.find_late(&self.id(), self.ts) else {
            return Some(late);
        };
        *self.app = None;
        self.app_expected(tag);
        self.with_app(|app, shared, call| app.tree.stream(late.is_orig, &late.bytes, shared, call));
        None
    }

    /// As before further bytes, where none come.
    fn app_late(&mut self) {
        let late = self.app.as_mut().and_then(|app| app.late.take());
        let late = late.and_then(|late| self.app_announced(late));
        if let Some(app) = self.app {
            app.late = late;
        }
    }

    /// Where no SYN was seen, a hello of TLS says who is client. Whether originator and responder changed places.
    pub fn turn_by_hello(&mut self, tcp: &mut Tcp, is_orig: bool, bytes: &[u8]) -> bool {
        const SYN: u16 = letter::SYN | letter::SYN << 8;
        if !tcp.is_partial || !self.sh.cfg.analyzers || self.conn.service != 0 {
            return false;
        }
        let waits = self.app.as_ref().is_none_or(|a| a.tree.awaits());
        if !begins_turned(is_orig, bytes) || !waits || self.conn.hist_seen & SYN != 0 {
            return false;
        }
        self.flip(tcp);
        // Still.
        tcp.is_partial = true;
        true
    }

    /// Bytes of a TCP direction that the analyzers will not see.
    pub fn app_gap(&mut self, is_orig: bool, len: u64) {
        if self.app.is_none() {
            return;
        }
        self.with_app(|app, shared, call| {
            app.late = None;
            app.tree.gap(is_orig, len, shared, call);
        });
    }

    /// A TCP direction has been delivered to its end.
    pub fn app_eof(&mut self, is_orig: bool) {
        if self.app.is_some() {
            self.app_late();
            self.with_app(|app, _, call| app.tree.eof(is_orig, call));
        }
    }

    /// A UDP datagram's payload.
    pub fn app_datagram(&mut self, is_orig: bool, bytes: &[u8]) {
        if !self.sh.cfg.analyzers || self.conn.service != 0 {
            return;
        }
        let mut turned = false;
        self.with_app(|app, shared, call| {
            app.tree.datagram(is_orig, bytes, shared, call);
            turned = app.tree.take_turned();
        });
        let receiver = if self.conn.orig_dir == 0 {
            self.conn.key.b
        } else {
            self.conn.key.a
        };
        let multicast = match addr(&receiver) {
            std::net::IpAddr::V4(a) => MULTICAST_V4.contains(&a.octets()[0]),
            std::net::IpAddr::V6(a) => a.is_multicast(),
        };
        if turned && !multicast {
            self.flip_conn();
        }
    }

    /// The connection's ends changed places.
    pub fn app_flip(&mut self) {
        if let Some(app) = self.app {
            app.tree.flip();
            app.late = None;
            app.followed.swap(0, 1);
        }
    }

    /// A tunnel protocol is sure.
    pub fn app_confirm(&mut self, id: Id) {
        self.with_app(|app, _, call| app.tree.confirm(id, call));
    }

    /// It is not that tunnel protocol. If it was taken for it, `service` keeps it, as in Zeek.
    pub fn app_violation(&mut self, id: Id, reason: &str) {
        self.with_app(|app, _, call| app.tree.violation(id, reason, call));
    }

    /// What the analyzers want of a direction's payload.
    pub fn app_interest(&self, is_orig: bool) -> Interest {
        if !self.sh.cfg.analyzers || self.conn.service != 0 {
            return Interest::Nothing;
        }
        match &*self.app {
            Some(app) if app.late.is_none() => app.tree.interest(is_orig),
            _ => Interest::Everything,
        }
    }

    /// The connection was announced as one of `tag`.
    pub fn app_expected(&mut self, tag: AnalyzerTag) {
        raise!(self, ScheduledAnalyzerApplied, a: tag);
        self.with_app(|app, shared, _| app.tree.expect(tag, shared));
    }

    /// No payload comes any more: frees the analyzers, unless something is left for them to do.
    pub fn app_done(&mut self) {
        if !self.app.as_ref().is_some_and(|a| a.tree.is_settled()) {
            return;
        }
        let name = self.service();
        self.app_over(name);
    }

    /// Nothing is to be read of what the connection carries from here on.
    pub fn app_never(&mut self) {
        self.app_over(String::new());
    }

    fn app_over(&mut self, name: String) {
        let known = &mut self.sh.services;
        let at = known.iter().position(|s| *s == name).unwrap_or(known.len());
        let Some(number) = u8::try_from(at + 1).ok() else {
            // So many combinations do not occur.
            return;
        };
        if at == known.len() {
            known.push(name);
        }
        self.conn.service = number;
        *self.app = None;
    }

    /// Whether the analyzer that has a timer of its own was given up before the packet of `last`.
    pub fn app_is_off(&self, last: Ts) -> bool {
        self.app.as_ref().is_some_and(|a| a.tree.was_off(last))
    }

    /// conn.log's `service`.
    pub fn service(&self) -> String {
        let done = self.sh.services.get((self.conn.service as usize).wrapping_sub(1));
        let mut name = done.cloned().unwrap_or_default();
        if let Some(app) = &*self.app {
            // A tunnel may be found after the analyzers were done.
            for service in app.tree.services() {
                if !name.is_empty() {
                    name.push(',');
                }
                name.push_str(service);
            }
        }
        name
    }

    /// The connection is over.
    pub fn app_end(&mut self) {
        if self.app.is_some() {
            self.app_late();
            self.with_app(|app, _, call| app.tree.close(call));
        }
        if proto(self.conn.key.proto) == Proto::Udp
            && self.sh.subs.wants(event::UdpSessionDone::KIND)
            && says_session_done(self.conn.resp_port())
        {
            let id = self.id();
            self.core.sh.emit(self.core.ts, &event::UdpSessionDone { u: &id });
        }
    }
}

/// Whether the end of a UDP flow to this port is told.
fn says_session_done(port: u16) -> bool {
    udp_specs(port).any(|spec| spec.session_done)
}

/// What is known of the protocols on a UDP port.
pub(super) fn udp_specs(port: u16) -> impl Iterator<Item = &'static Spec> {
    let specs = Id::ALL.iter().map(|id| id.spec());
    specs.filter(move |spec| spec.udp_ports.contains(&port))
}
