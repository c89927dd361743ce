//! The analyzers of one connection: which are at work, what they are fed, what becomes of it.

use std::net::IpAddr;

use super::entry::{Tcp, letter};
use super::followed::Followed;
use super::row::{WeirdRow, Whose};
use super::shared::Run;
use super::{Proto, Sink, proto};
use crate::analyzer::detect::{Detector, Inner};
use crate::analyzer::tls::{
    CLEAR_TEXT_BYTES, DTLS_PORTS, Dtls, Match, SSL_PORTS, SharedTls, Tls, client_hello_begins,
    looks_like_dtls, looks_like_tls, server_hello_begins,
};
use crate::analyzer::{Ctx, Interest, Out};
use crate::event::log::LogRow;
use crate::event::{AnalyzerTag, ConnId, Event, Subscriptions, Ts};

/// Bytes of both directions kept while it is open whether they are TLS (Zeek: dpd_buffer_size).
const PROBE_BYTES: usize = 1024;
/// Datagrams looked at for DTLS (Zeek: dpd_max_packets).
const PROBE_DATAGRAMS: u32 = 100;
/// Ports of UDP protocols whose analyzers say udp_session_done in Zeek: DNS, NTP, SNMP, syslog.
const SESSION_PORTS: [u16; 8] = [53, 137, 5353, 5355, 123, 161, 162, 514];
/// First octets of IPv4 multicast.
const MULTICAST_V4: std::ops::RangeInclusive<u8> = 224..=239;

/// The analyzers at work on a connection and what they found.
pub struct App {
    detector: Detector,
    pub(super) security: Security,
    /// Confirmed protocols, in order.
    confirmed: Vec<AnalyzerTag>,
    /// Clear text seen while it was open whether TLS comes, bytes.
    clear: u64,
    /// TLS or DTLS was confirmed and not refuted.
    secure: bool,
    /// A side's SYN was not seen.
    start_unseen: bool,
    /// Directions of which the datapath tells the headers of TLS records.
    pub(super) followed: [Followed; 2],
    shared: SharedTls,
}

/// TLS, in its several conditions.
pub(super) enum Security {
    /// The first bytes of either direction are kept until they tell.
    Probing(Vec<(bool, Vec<u8>)>, usize),
    /// Datagrams looked at so far, and their bytes: STUN or others' may come before DTLS does. Zeek shows them to
    /// the analyzer once there is one, which counts the `strangers`.
    Datagrams {
        count: u32,
        bytes: usize,
        strangers: u32,
    },
    Tls(Box<Tls>),
    Dtls(Box<Dtls>),
    None,
}

impl App {
    fn new(p: Proto, orig_port: u16, resp_port: u16, shared: &SharedTls) -> App {
        let (detector, security) = if p == Proto::Tcp {
            let tls = match SSL_PORTS.contains(&resp_port) {
                true => Security::Tls(Box::new(Tls::with(shared))),
                false => Security::Probing(Vec::new(), 0),
            };
            (Detector::tcp(orig_port, resp_port), tls)
        } else {
            let dtls = match DTLS_PORTS.contains(&resp_port) {
                true => Security::Dtls(Box::new(Dtls::with(shared))),
                false => Security::Datagrams {
                    count: 0,
                    bytes: 0,
                    strangers: 0,
                },
            };
            (Detector::udp(orig_port, resp_port), dtls)
        };
        App {
            detector,
            security,
            confirmed: Vec::new(),
            secure: false,
            start_unseen: false,
            // Datagrams are looked at whatever came before.
            clear: if p == Proto::Tcp { 0 } else { u64::MAX },
            followed: Default::default(),
            shared: shared.clone(),
        }
    }

    /// conn.log's `service`: what was confirmed and not refuted, in order.
    pub fn service(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for tag in &self.confirmed {
            let name = tag.service();
            let holds = match tag {
                AnalyzerTag::Ssl | AnalyzerTag::Dtls => self.secure,
                AnalyzerTag::Vxlan
                | AnalyzerTag::Geneve
                | AnalyzerTag::Teredo
                | AnalyzerTag::Gtpv1
                | AnalyzerTag::Ayiya
                | AnalyzerTag::FtpData => true,
                _ => self.detector.services().any(|s| s == name),
            };
            if holds && !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(",")
    }

    /// Whether its service is final and nothing is left to be written, if no more payload comes.
    fn is_settled(&self) -> bool {
        self.detector.is_settled()
            && match &self.security {
                Security::Probing(..) | Security::Datagrams { .. } => false,
                Security::Tls(t) => t.is_logged(),
                Security::Dtls(d) => d.is_logged(),
                Security::None => true,
            }
    }

    fn interest(&self, is_orig: bool) -> Interest {
        match &self.security {
            _ if self.detector.wants_more(is_orig) => Interest::Everything,
            Security::Tls(t) => t.interest(is_orig),
            Security::Dtls(d) => d.interest(is_orig),
            Security::None if self.clear > CLEAR_TEXT_BYTES => Interest::Nothing,
            Security::Probing(..) | Security::Datagrams { .. } | Security::None => Interest::Everything,
        }
    }

    /// Whether TLS was looked for in vain, be it on one of its ports.
    fn is_not_secure(&self) -> bool {
        match &self.security {
            Security::None => !self.secure,
            Security::Tls(t) => t.has_failed(),
            _ => false,
        }
    }

    fn stream(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) {
        let inner = self.detector.stream(is_orig, bytes, ctx);
        match self.detector.inner() {
            Inner::None => self.secure_stream(is_orig, bytes, ctx),
            Inner::Tls => {
                if !matches!(self.security, Security::Tls(_)) {
                    self.security = Security::Tls(self.new_tls());
                }
                self.secure_stream(is_orig, &inner, ctx);
            }
            Inner::Tunnel | Inner::Upgrade => {
                if self.is_not_secure() && !inner.is_empty() {
                    self.security = Security::Probing(Vec::new(), 0);
                }
                self.secure_stream(is_orig, &inner, ctx);
            }
        }
    }

    /// A side's SYN was not seen. What has begun goes on: the client's hello may have come before the server's first
    /// packet showed that its SYN is missing. What has not is begun by a hello alone, whatever the port says.
    fn start_unseen(&mut self) {
        self.start_unseen = true;
        match &mut self.security {
            Security::Tls(t) if t.has_begun() => t.start_unseen(),
            Security::Tls(_) => self.security = Security::Probing(Vec::new(), 0),
            _ => {}
        }
    }

    fn new_tls(&self) -> Box<Tls> {
        let mut tls = Box::new(Tls::with(&self.shared));
        if self.start_unseen {
            tls.start_unseen();
        }
        tls
    }

    /// Whether TLS may still begin.
    fn awaits_tls(&self) -> bool {
        let begun = matches!(&self.security, Security::Tls(t) if t.has_begun());
        !begun && self.clear <= CLEAR_TEXT_BYTES
    }

    fn secure_stream(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) {
        if bytes.is_empty() {
            return;
        }
        // TLS may also begin in mid-stream, with the client's hello at the start of a segment; or, where the start was not
        // seen, with the server's.
        let late = !matches!(self.security, Security::Tls(_))
            && (self.clear > 0 || self.start_unseen)
            && self.clear <= CLEAR_TEXT_BYTES;
        if late
            && (is_orig && client_hello_begins(bytes)
                || !is_orig && self.start_unseen && server_hello_begins(bytes))
        {
            self.security = Security::Tls(self.new_tls());
        }
        self.clear = self.clear.saturating_add(bytes.len() as u64);
        match &mut self.security {
            Security::Tls(t) => t.data(is_orig, bytes, ctx),
            Security::Probing(kept, size) => {
                kept.push((is_orig, bytes.to_vec()));
                *size += bytes.len();
                self.judge(ctx);
            }
            _ => {}
        }
    }

    /// Looks at what is kept: TLS, not TLS, or too early to tell.
    fn judge(&mut self, ctx: &mut Ctx<'_>) {
        let Security::Probing(kept, size) = &mut self.security else {
            return;
        };
        let size = *size;
        let mut sides = [Match::NeedMore; 2];
        for (side, verdict) in sides.iter_mut().enumerate() {
            let orig = side == 0;
            let mut first = [0u8; 128];
            let mut n = 0;
            for (_, bytes) in kept.iter().filter(|k| k.0 == orig) {
                let part = &bytes[..bytes.len().min(first.len() - n)];
                first[n..n + part.len()].copy_from_slice(part);
                n += part.len();
            }
            if n > 0 {
                *verdict = looks_like_tls(&first[..n], orig);
            }
        }
        if sides.contains(&Match::Yes) {
            let kept = std::mem::take(kept);
            let mut tls = self.new_tls();
            for (is_orig, bytes) in kept {
                tls.data(is_orig, &bytes, ctx);
            }
            self.security = Security::Tls(tls);
        } else if sides == [Match::No; 2] || size > PROBE_BYTES {
            self.security = Security::None;
        }
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) {
        self.detector.datagram(is_orig, bytes, ctx);
        if let Security::Datagrams {
            count,
            bytes: size,
            strangers,
        } = &mut self.security
        {
            *count += 1;
            *size += bytes.len();
            if looks_like_dtls(bytes) {
                self.security = Security::Dtls(Box::new(Dtls::after(*strangers, &self.shared)));
            } else if *size > PROBE_BYTES || *count > PROBE_DATAGRAMS {
                self.security = Security::None;
            } else {
                *strangers += u32::from(Dtls::is_stranger(bytes));
            }
        }
        if let Security::Dtls(d) = &mut self.security {
            d.datagram(is_orig, bytes, ctx);
        }
    }
}

/// Takes the analyzers' results to the engine's outputs.
struct Results<'r, 'e, S> {
    run: &'r mut Run<'e, S>,
    id: ConnId,
    confirmed: Vec<AnalyzerTag>,
}

impl<S: Sink> Out for Results<'_, '_, S> {
    fn event(&mut self, ts: Ts, ev: &Event<'_>) {
        self.run.sh.emit(ts, ev);
    }

    fn log(&mut self, row: &dyn LogRow) {
        self.run.sh.sink.log(row);
    }

    fn confirm(&mut self, tag: AnalyzerTag) {
        self.confirmed.push(tag);
        if matches!(tag, AnalyzerTag::Ssh | AnalyzerTag::Ftp) {
            let timeout = self.run.sh.cfg.timeouts.interactive_inactivity;
            self.run.set_inactivity(timeout);
        }
        if self
            .run
            .sh
            .subs
            .wants(crate::event::EventKind::ProtocolConfirmation)
        {
            let ev = Event::ProtocolConfirmation {
                c: &self.id,
                atype: tag,
                aid: tag as u64,
            };
            self.run.sh.emit(self.run.ts, &ev);
        }
    }

    fn violation(&mut self, tag: AnalyzerTag, reason: &str) {
        if self.run.sh.subs.wants(crate::event::EventKind::ProtocolViolation) {
            let ev = Event::ProtocolViolation {
                c: &self.id,
                atype: tag,
                aid: tag as u64,
                reason,
            };
            self.run.sh.emit(self.run.ts, &ev);
        }
    }

    fn weird(&mut self, name: &'static str, addl: &str) {
        self.run.weird(name, addl);
    }

    fn gave_up(&mut self) {
        self.run.gave_up();
    }

    fn scripted_weird(&mut self, name: &'static str) {
        self.run.sh.log_weird(&WeirdRow {
            ts: self.run.ts,
            whose: Whose::Conn(&self.id),
            name,
            addl: "",
            source: "",
        });
    }

    fn file_weird(&mut self, name: &'static str, addl: &str) {
        self.run.sh.log_weird(&WeirdRow {
            ts: self.run.ts,
            whose: Whose::Nobody,
            name,
            addl,
            source: "",
        });
    }

    fn announce(&mut self, orig: IpAddr, resp: IpAddr, port: u16, tag: AnalyzerTag) {
        let now = self.run.ts;
        self.run.sh.expected.announce(orig, resp, port, tag, now);
    }
}

impl<'e, S: Sink> Run<'e, S> {
    /// Lets the connection's analyzers work.
    pub(super) fn with_app(&mut self, work: impl FnOnce(&mut App, &mut Ctx<'_>)) {
        let mut app = match self.conn.app.take() {
            Some(a) => a,
            None => Box::new(App::new(
                proto(self.conn.key.proto),
                self.conn.orig_port(),
                self.conn.resp_port(),
                &self.sh.tls,
            )),
        };
        let id = self.id();
        let subs: Subscriptions = self.sh.subs;
        let ts = self.ts;
        let mut out = Results {
            run: self,
            id,
            confirmed: Vec::new(),
        };
        work(
            &mut app,
            &mut Ctx {
                ts,
                c: &id,
                subs: &subs,
                out: &mut out,
            },
        );
        app.secure = match &app.security {
            Security::Tls(t) => t.holds(),
            Security::Dtls(d) => d.holds(),
            _ => app.secure,
        };
        app.confirmed.append(&mut out.confirmed);
        self.conn.app = Some(app);
    }

    /// In-order bytes of a TCP direction.
    pub fn app_stream(&mut self, tcp: &mut Tcp, is_orig: bool, seq: u64, bytes: &[u8]) {
        if !self.sh.cfg.analyzers || self.conn.service != 0 {
            return;
        }
        let partial = tcp.is_partial;
        let mut proxied = false;
        self.with_app(|app, ctx| {
            let before = app.detector.inner();
            app.detector.set_partial(partial);
            if partial {
                app.start_unseen();
            }
            let bytes = app.unread(is_orig, seq, bytes, ctx);
            app.stream(is_orig, bytes, ctx);
            proxied = app.detector.inner() == Inner::Tunnel && before != Inner::Tunnel;
        });
        if proxied {
            self.proxied();
        }
    }

    /// Where no SYN was seen, a hello of TLS says who is client. Whether originator and responder changed places.
    pub fn turn_by_hello(&mut self, tcp: &mut Tcp, is_orig: bool, bytes: &[u8]) -> bool {
        const SYN: u16 = letter::SYN | letter::SYN << 8;
        if !tcp.is_partial || !self.sh.cfg.analyzers || self.conn.service != 0 {
            return false;
        }
        let turned = match is_orig {
            true => server_hello_begins(bytes),
            false => client_hello_begins(bytes),
        };
        let waits = self.conn.app.as_ref().is_none_or(|a| a.awaits_tls());
        if !turned || !waits || self.conn.hist_seen & SYN != 0 {
            return false;
        }
        self.flip(tcp);
        // Still.
        tcp.is_partial = true;
        true
    }

    /// Bytes of a TCP direction that the analyzers will not see.
    pub fn app_gap(&mut self, is_orig: bool, len: u64) {
        if self.conn.app.is_none() {
            return;
        }
        self.with_app(|app, ctx| {
            app.detector.gap(is_orig, len, ctx);
            match &mut app.security {
                Security::Tls(t) => t.gap(is_orig, len, ctx),
                Security::Probing(..) => app.security = Security::None,
                _ => {}
            }
        });
    }

    /// A TCP direction has been delivered to its end.
    pub fn app_eof(&mut self, is_orig: bool) {
        if self.conn.app.is_some() {
            self.with_app(|app, ctx| app.detector.eof(is_orig, ctx));
        }
    }

    /// A UDP datagram's payload.
    pub fn app_datagram(&mut self, is_orig: bool, bytes: &[u8]) {
        if !self.sh.cfg.analyzers || self.conn.service != 0 {
            return;
        }
        let mut backwards = false;
        self.with_app(|app, ctx| {
            app.datagram(is_orig, bytes, ctx);
            backwards = app.detector.take_backwards();
        });
        let receiver = if self.conn.orig_dir == 0 {
            self.conn.key.b
        } else {
            self.conn.key.a
        };
        let multicast = match super::addr(&receiver) {
            std::net::IpAddr::V4(a) => MULTICAST_V4.contains(&a.octets()[0]),
            std::net::IpAddr::V6(a) => a.is_multicast(),
        };
        if backwards && !multicast {
            self.flip_conn();
        }
    }

    /// The connection's ends changed places.
    pub fn app_flip(&mut self) {
        if let Some(app) = &mut self.conn.app {
            app.detector.flip();
            app.followed.swap(0, 1);
            match &mut app.security {
                Security::Tls(t) => t.flip(),
                Security::Dtls(d) => d.flip(),
                Security::Probing(kept, _) => kept.iter_mut().for_each(|k| k.0 = !k.0),
                Security::Datagrams { .. } | Security::None => {}
            }
        }
    }

    /// A tunnel protocol is sure.
    pub fn app_confirm(&mut self, tag: AnalyzerTag) {
        self.with_app(|_, ctx| ctx.out.confirm(tag));
    }

    /// It is not that tunnel protocol. If it was taken for it, `service` keeps it, as in Zeek.
    pub fn app_violation(&mut self, tag: AnalyzerTag, reason: &str) {
        self.with_app(|_, ctx| ctx.out.violation(tag, reason));
    }

    /// What the analyzers want of a direction's payload.
    pub fn app_interest(&self, is_orig: bool) -> Interest {
        if !self.sh.cfg.analyzers || self.conn.service != 0 {
            return Interest::Nothing;
        }
        let app = self.conn.app.as_ref();
        app.map_or(Interest::Everything, |a| a.interest(is_orig))
    }

    /// The connection was announced as one of `tag`.
    pub fn app_expected(&mut self, tag: AnalyzerTag) {
        self.with_app(|app, _| app.confirmed.push(tag));
    }

    /// No payload comes any more: frees the analyzers, unless something is left for them to do.
    pub fn app_done(&mut self) {
        if !self.conn.app.as_ref().is_some_and(|a| a.is_settled()) {
            return;
        }
        let name = self.service();
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
        self.conn.app = None;
    }

    /// Whether its DNS was given up before its packet of `last`.
    pub fn app_dns_is_off(&self, last: Ts) -> bool {
        self.conn
            .app
            .as_ref()
            .is_some_and(|a| a.detector.dns_is_off(last))
    }

    /// conn.log's `service`.
    pub fn service(&self) -> String {
        let done = self.sh.services.get((self.conn.service as usize).wrapping_sub(1));
        let mut name = done.cloned().unwrap_or_default();
        if let Some(app) = &self.conn.app {
            // A tunnel may be found after the analyzers were done.
            let more = app.service();
            if !name.is_empty() && !more.is_empty() {
                name.push(',');
            }
            name.push_str(&more);
        }
        name
    }

    /// The connection is over.
    pub fn app_end(&mut self) {
        if self.conn.app.is_some() {
            self.with_app(|app, ctx| {
                app.detector.end(ctx);
                match &mut app.security {
                    Security::Tls(t) => t.end(ctx),
                    Security::Dtls(d) => d.end(ctx),
                    _ => {}
                }
            });
        }
        if proto(self.conn.key.proto) == Proto::Udp
            && SESSION_PORTS.contains(&self.conn.resp_port())
            && self.sh.subs.wants(crate::event::EventKind::UdpSessionDone)
        {
            let id = self.id();
            self.sh.emit(self.ts, &Event::UdpSessionDone { u: &id });
        }
    }
}
