//! Which protocol a connection speaks, told from its content: conn.log's `service`.
//!
//! Small matchers, one file a protocol, that follow a conversation no further than being sure takes. A
//! matcher is put on a connection by the well-known port of the responder or by how the first bytes look
//! (`sig`), as Zeek attaches its analyzers; only what it then reads makes a service of it. TLS is not here.
//! Nothing here knows of packets, sequence numbers or tables.

mod ftp;
mod http;
mod lines;
mod probe;
mod sig;
mod slot;
mod smtp;
mod ssh;
mod udp;
mod websocket;

use std::borrow::Cow;

use super::{Ctx, dns};
use crate::event::{AnalyzerTag, Ts};
use probe::Probe;
pub(super) use slot::Said;
use slot::{Matcher, Services, Slot, Tail};
use websocket::WebSocket;

/// A violation this many payload bytes into a connection no longer takes the service away (Zeek's
/// `DPD::ignore_violations_after`).
const IGNORE_VIOLATIONS_AFTER: u64 = 10 * 1024;

/// What begins inside the connection, in the bytes that [`Detector::stream`] gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    None,
    /// Any protocol, after HTTP's CONNECT.
    Tunnel,
    /// Any protocol, after an HTTP reply that switches to it.
    Upgrade,
    /// TLS, after STARTTLS (SMTP) or AUTH TLS (FTP).
    Tls,
}

/// One connection's detection. Inline it is a few words; what a matcher remembers is boxed and freed as
/// soon as it is done.
#[derive(Debug)]
pub struct Detector {
    slots: Vec<Slot>,
    probe: Option<Box<Probe>>,
    /// Before the first payload: what the port asks for, and whether signatures are to look. Until then
    /// nothing is allocated; most connections of a scan never get further.
    waiting: Option<Waiting>,
    services: Services,
    inner: Inner,
    /// The frames that the inner stream is in.
    frames: Option<Box<WebSocket>>,
    partial: bool,
    gap: bool,
    backwards: bool,
    /// The next byte of the responder, if an LF, belongs to the line before the inner stream.
    swallow_lf: bool,
    /// A direction was delivered to its end.
    ended: bool,
    /// Payload bytes seen, both directions.
    bytes: u64,
}

/// What to begin with when payload comes.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    tag: Option<AnalyzerTag>,
    netbios: bool,
    probe: bool,
}

impl Detector {
    /// A TCP connection, by the ports of its final originator and responder.
    pub fn tcp(orig_port: u16, resp_port: u16) -> Self {
        let tag = match resp_port {
            80 | 81 | 631 | 1080 | 3128 | 8000 | 8080 | 8888 => Some(AnalyzerTag::Http),
            22 => Some(AnalyzerTag::Ssh),
            25 | 587 => Some(AnalyzerTag::Smtp),
            21 | 2811 => Some(AnalyzerTag::Ftp),
            53 => Some(AnalyzerTag::Dns),
            _ => None,
        };
        Self::on_port(tag, true, orig_port, resp_port)
    }

    /// A UDP flow, by the ports of its final originator and responder.
    pub fn udp(orig_port: u16, resp_port: u16) -> Self {
        let tag = match resp_port {
            53 | 137 | 5353 | 5355 => Some(AnalyzerTag::Dns),
            123 => Some(AnalyzerTag::Ntp),
            514 => Some(AnalyzerTag::Syslog),
            // QUIC is known by its first datagram, on any port.
            _ => Some(AnalyzerTag::Quic),
        };
        Self::on_port(tag, false, orig_port, resp_port)
    }

    fn on_port(tag: Option<AnalyzerTag>, probe: bool, orig_port: u16, resp_port: u16) -> Self {
        let netbios = orig_port == dns::NETBIOS_PORT || resp_port == dns::NETBIOS_PORT;
        Detector {
            slots: Vec::new(),
            probe: None,
            waiting: Some(Waiting { tag, netbios, probe }),
            services: Services::default(),
            inner: Inner::None,
            frames: None,
            partial: false,
            gap: false,
            backwards: false,
            swallow_lf: false,
            ended: false,
            bytes: 0,
        }
    }

    /// Whether the connection's beginning was missed (Zeek's partial connections): HTTP, SSH and SMTP are
    /// not looked for then, and nothing is a violation.
    pub fn set_partial(&mut self, partial: bool) {
        self.partial = partial;
    }

    /// In-order bytes of one direction. Gives back the trailing ones that belong to a stream inside the
    /// connection, see [`Detector::inner`]; out of their frames, where they come in frames.
    pub fn stream<'b>(&mut self, is_orig: bool, mut bytes: &'b [u8], ctx: &mut Ctx<'_>) -> Cow<'b, [u8]> {
        self.begin();
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.drop_failed(ctx.ts);
        if !is_orig && !bytes.is_empty() && std::mem::take(&mut self.swallow_lf) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        let bytes = self.unframed(is_orig, bytes);
        let mut tail = None;
        for at in 0..self.slots.len() {
            tail = Tail::earlier(tail, self.feed(at, is_orig, &bytes, ctx));
        }
        tail = Tail::earlier(tail, self.probe_stream(is_orig, &bytes, ctx));
        match (self.inner, tail) {
            (Inner::None, None) => Cow::default(),
            (Inner::None, Some(tail)) => {
                let rest = bytes.len().saturating_sub(tail.len);
                // The line that ended it may have ended with a CR whose LF is still to come.
                self.swallow_lf = tail.len == 0 && bytes.last() == Some(&b'\r');
                let rest = match bytes {
                    Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(rest..).unwrap_or(&[])),
                    Cow::Owned(mut bytes) => Cow::Owned(bytes.split_off(rest)),
                };
                self.step_inside(is_orig, tail, rest, ctx)
            }
            _ => bytes,
        }
    }

    fn unframed<'b>(&mut self, is_orig: bool, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        match &mut self.frames {
            Some(frames) => Cow::Owned(frames.unframe(is_orig, bytes)),
            None => Cow::Borrowed(bytes),
        }
    }

    /// One datagram of a UDP flow.
    pub fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) {
        self.begin();
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.drop_failed(ctx.ts);
        let late = self.bytes > IGNORE_VIOLATIONS_AFTER;
        let Detector {
            slots,
            services,
            backwards,
            ..
        } = self;
        for slot in slots.iter_mut().filter(|slot| !slot.done) {
            let Slot {
                tag,
                matcher,
                confirmed,
                failed,
                ..
            } = slot;
            let said = &mut Said {
                ctx,
                services,
                tag: *tag,
                confirmed,
                failed,
                mute: false,
                late,
            };
            match matcher {
                Matcher::Dns(m) => {
                    m.0.message(is_orig, bytes, said);
                    *backwards |= std::mem::take(&mut m.0.backwards);
                }
                Matcher::Ntp(turned) => match (udp::ntp(bytes, said), is_orig) {
                    // Modes 3 and 4: client and server. A direction turns the flow round once.
                    (Some(4), true) | (Some(3), false) => {
                        *backwards |= !std::mem::replace(&mut turned[usize::from(!is_orig)], true);
                    }
                    _ => {}
                },
                Matcher::Syslog if udp::is_syslog(bytes) => said.confirm(),
                Matcher::Quic if udp::is_quic_initial(is_orig, bytes) => said.confirm(),
                // Only a flow's first datagram may bring QUIC.
                Matcher::Quic => *failed = failed.or(Some(0)),
                _ => {}
            }
        }
    }

    /// `len` bytes of one direction are missing here.
    pub fn gap(&mut self, is_orig: bool, len: u64, _ctx: &mut Ctx<'_>) {
        self.begin();
        self.gap = true;
        self.bytes = self.bytes.saturating_add(len);
        if let Some(probe) = &mut self.probe {
            probe.gap(is_orig);
        }
        if let Some(frames) = &mut self.frames {
            frames.gap();
        }
        for slot in &mut self.slots {
            slot.gap(is_orig);
        }
    }

    /// Originator and responder change places.
    pub fn flip(&mut self) {
        self.backwards = false;
        if let Some(probe) = &mut self.probe {
            probe.flip();
        }
        for slot in &mut self.slots {
            match &mut slot.matcher {
                Matcher::Http(m) => m.flip(),
                Matcher::Ssh(m) => m.flip(),
                Matcher::Smtp(m) => m.flip(),
                Matcher::Ftp(m) => m.flip(),
                Matcher::Dns(m) => m.1.swap(0, 1),
                Matcher::Ntp(_) | Matcher::Syslog | Matcher::Quic => {}
            }
        }
    }

    /// One direction ended in order (FIN): a line without an end is a line now.
    pub fn eof(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) {
        self.ended = true;
        self.drop_failed(ctx.ts);
        for at in 0..self.slots.len() {
            let partial = self.slots.get(at).is_some_and(|slot| match &slot.matcher {
                Matcher::Http(m) => m.is_partial_line(is_orig),
                Matcher::Smtp(m) => m.is_partial_line(is_orig),
                Matcher::Ftp(m) => m.is_partial_line(is_orig),
                _ => false,
            });
            if partial {
                self.feed(at, is_orig, b"\n", ctx);
            }
        }
    }

    /// The connection is over: a message over TCP that its sender cut off may still be DNS. Where no side ended, the
    /// rest may have come later than the capture's end or a timeout, and nobody knows what it would have been.
    pub fn end(&mut self, ctx: &mut Ctx<'_>) {
        let mute = self.is_incomplete();
        let late = self.bytes > IGNORE_VIOLATIONS_AFTER;
        let ended = self.ended;
        let Detector { slots, services, .. } = self;
        for Slot {
            tag,
            matcher,
            confirmed,
            failed,
            done,
        } in slots.iter_mut()
        {
            let Matcher::Dns(m) = matcher else { continue };
            let said = &mut Said {
                ctx,
                services,
                tag: *tag,
                confirmed,
                failed,
                mute,
                late,
            };
            let (dns, frames) = &mut **m;
            if !*done && ended {
                for part in frames.iter().filter_map(dns::Frames::rest) {
                    dns.message(false, part, said);
                }
            }
            let Ctx { c, out, .. } = &mut *said.ctx;
            dns.finish(c, &mut |row| out.log(row));
        }
        self.slots = Vec::new();
        self.probe = None;
        self.waiting = None;
    }

    /// Whether more bytes of a direction could change anything here. An inner stream's wants are its own.
    pub fn wants_more(&self, is_orig: bool) -> bool {
        self.waiting.is_some()
            || self.probe.is_some()
            || self
                .slots
                .iter()
                .any(|slot| !self.ignores(slot.tag) && slot.wants_more(is_orig, self.bytes))
    }

    /// Whether the connection's end changes nothing, if no more bytes come.
    pub fn is_settled(&self) -> bool {
        !self
            .slots
            .iter()
            .any(|slot| matches!(slot.matcher, Matcher::Dns(_)))
    }

    /// Whether DNS was given up before the packet of `last`: Zeek takes an analyzer off when the packet after
    /// the one that it failed in comes, and its timers with it.
    pub fn dns_is_off(&self, last: Ts) -> bool {
        self.slots
            .iter()
            .any(|slot| matches!(slot.matcher, Matcher::Dns(_)) && slot.failed.is_some_and(|at| at < last))
    }

    /// What the bytes that [`Detector::stream`] gives back are.
    pub fn inner(&self) -> Inner {
        self.inner
    }

    /// Says once that the content shows originator and responder to be the wrong way round (the first DNS
    /// message is a response, NTP's originator is a server). Zeek then flips the connection, DNS only when
    /// the responder is no multicast address.
    pub fn take_backwards(&mut self) -> bool {
        std::mem::take(&mut self.backwards)
    }

    /// The confirmed services, in the order of confirmation, those that failed since left out.
    pub fn services(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.services.iter().map(AnalyzerTag::service)
    }

    /// Protocols that make no sense without their beginning.
    fn ignores(&self, tag: AnalyzerTag) -> bool {
        self.partial && matches!(tag, AnalyzerTag::Http | AnalyzerTag::Ssh | AnalyzerTag::Smtp)
    }

    fn is_incomplete(&self) -> bool {
        self.partial || self.gap
    }

    /// The first payload, or a hole in it, is there.
    fn begin(&mut self) {
        let Some(Waiting { tag, netbios, probe }) = self.waiting.take() else {
            return;
        };
        self.slots.extend(tag.and_then(|tag| Slot::new(tag, netbios)));
        self.probe = probe.then(Box::default);
    }

    /// Takes off what failed in an earlier packet. DNS stays, to log at the end what still waits.
    fn drop_failed(&mut self, now: Ts) {
        self.slots.retain_mut(|slot| {
            let over = slot.failed.is_some_and(|at| at != now);
            slot.done |= over;
            !over || matches!(slot.matcher, Matcher::Dns(_))
        });
    }

    /// Gives bytes to one matcher; where it hands over to an inner stream, if it does.
    fn feed(&mut self, at: usize, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<Tail> {
        let mute = self.is_incomplete();
        let late = self.bytes > IGNORE_VIOLATIONS_AFTER;
        let partial = self.partial;
        let slot = self.slots.get_mut(at).filter(|slot| !slot.done)?;
        let Slot {
            tag,
            matcher,
            confirmed,
            failed,
            done,
        } = slot;
        let said = &mut Said {
            ctx,
            services: &mut self.services,
            tag: *tag,
            confirmed,
            failed,
            mute,
            late,
        };
        let tail = match matcher {
            Matcher::Http(_) | Matcher::Ssh(_) | Matcher::Smtp(_) if partial => None,
            Matcher::Http(m) => m.feed(is_orig, bytes, said),
            Matcher::Smtp(m) => m.feed(is_orig, bytes, said),
            Matcher::Ftp(m) => m.feed(is_orig, bytes, said),
            Matcher::Ssh(m) => {
                m.feed(is_orig, bytes, said);
                None
            }
            Matcher::Dns(m) => {
                let (dns, frames) = &mut **m;
                let mut rest = bytes;
                while let Some(message) = frames[usize::from(!is_orig)].next(&mut rest) {
                    dns.message(is_orig, message, said);
                    frames[usize::from(!is_orig)].done();
                }
                self.backwards |= std::mem::take(&mut dns.backwards);
                None
            }
            Matcher::Ntp(_) | Matcher::Syslog | Matcher::Quic => None,
        };
        *done = tail.is_some();
        tail
    }

    /// Looks at the first bytes of the connection for protocols that no port told of.
    fn probe_stream(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<Tail> {
        let mut probe = self.probe.take()?;
        let taken = probe.push(is_orig, bytes);
        let mut tail = None;
        while let Some(tag) = probe.next_match() {
            // One that has handed over is in the way of another of its kind, but not inside the stream.
            let inside = self.inner != Inner::None;
            if self
                .slots
                .iter()
                .any(|slot| slot.tag == tag && !(inside && slot.done))
            {
                continue;
            }
            let Some(slot) = Slot::new(tag, false) else {
                continue;
            };
            self.slots.push(slot);
            let at = self.slots.len() - 1;
            let rest = bytes.get(taken..).unwrap_or(&[]);
            let mut inside: Option<Tail> = None;
            for (is_orig, part) in probe.replay().chain([(is_orig, Some(rest))]) {
                let Some(part) = part else {
                    self.slots.iter_mut().skip(at).for_each(|s| s.gap(is_orig));
                    continue;
                };
                // Behind the hand-over in the kept bytes, the rest of the chunk is the inner stream's too.
                match &mut inside {
                    Some(inside) => inside.len += part.len(),
                    None => inside = self.feed(at, is_orig, part, ctx),
                }
            }
            tail = Tail::earlier(tail, inside);
        }
        if !probe.is_over() {
            self.probe = Some(probe);
        }
        tail
    }

    /// The rest of the connection is another protocol's.
    fn step_inside<'b>(
        &mut self,
        is_orig: bool,
        tail: Tail,
        mut rest: Cow<'b, [u8]>,
        ctx: &mut Ctx<'_>,
    ) -> Cow<'b, [u8]> {
        if tail.framed {
            let mut frames = Box::new(WebSocket::default());
            rest = Cow::Owned(frames.unframe(is_orig, &rest));
            self.frames = Some(frames);
        }
        self.inner = tail.inner;
        self.probe = None;
        if self.inner != Inner::Tls {
            self.probe = Some(Box::default());
            self.probe_stream(is_orig, &rest, ctx);
        }
        rest
    }
}

#[cfg(test)]
mod tests;
