//! DNS over UDP and TCP: messages, which answer belongs to which question, rows of dns.log.
//!
//! Meaning is Zeek's (its DNS analyzer, base/protocols/dns); what makes a message sound decides whether
//! the connection is DNS at all. Questions and answers wait for each other by transaction id, in bounds.

mod answer;
mod log;
mod names;
mod rr;
mod svcb;
mod wire;

use std::collections::VecDeque;

use answer::{Rr, RrHead};
use log::Asked;
pub use log::{DnsRow, DnsSession};
pub use wire::Frames;
use wire::{Bad, DnsReader, HEADER, Header, OP_QUERY};

use super::api::{Closing, Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::{AnalyzerTag, ConnId};

/// NetBIOS's name service bends some rules.
const NETBIOS_PORT: u16 = 137;
/// Messages that claim more questions are not DNS (Zeek's `dns_max_queries`).
const MAX_QUERIES: u16 = 25;
/// Questions without an answer, or answers without a question, that wait on a connection. With more, all
/// are logged as they are.
const MAX_WAITING: usize = 256;
/// Bytes of text that they may hold on to. Compressed names let a small answer say much, on many
/// connections at a time.
const MAX_KEPT: usize = 32 * 1024;

/// DNS on one connection.
#[derive(Debug)]
pub struct Analyzer {
    dns: Dns,
    /// TCP's framing, orig and resp.
    frames: [Frames; 2],
}

impl Protocol for Analyzer {
    const SPEC: Spec = Spec {
        logs: &[DnsRow::LOG],
        tcp_ports: &[53],
        udp_ports: &[53, NETBIOS_PORT, 5353, 5355],
        // What waits is logged at the connection's end.
        stays: true,
        session_done: true,
        short_session: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_DNS", "dns"))
    };
    type Shared = ();

    fn new(start: &Start, (): &()) -> Analyzer {
        Analyzer {
            dns: Dns::new(start.ports.contains(&NETBIOS_PORT)),
            frames: Default::default(),
        }
    }

    fn data(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let frames = &mut self.frames[usize::from(!is_orig)];
        while let Some(message) = frames.next(&mut bytes) {
            self.dns.message(is_orig, message, ctx);
            frames.done();
        }
        Next::More
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.dns.message(is_orig, bytes, ctx);
        Next::More
    }

    /// A message over TCP that its sender cut off may still be DNS. Where no side ended, the rest may have come later
    /// than the capture's end or a timeout, and nobody knows what it would have been.
    fn close(&mut self, how: Closing, ctx: &mut Ctx<'_>) {
        if how.reads && how.ended {
            for part in self.frames.iter().filter_map(Frames::rest) {
                self.dns.message(false, part, ctx);
            }
        }
        let Ctx { c, out, .. } = ctx;
        self.dns.finish(c, &mut |row| out.log(row));
    }

    fn flip(&mut self) {
        self.frames.swap(0, 1);
    }

    /// Every message is logged.
    fn interest(&self, _: bool, _: Seen) -> Interest {
        Interest::Everything
    }

    fn is_settled(&self) -> bool {
        false
    }
}

/// A connection's messages.
#[derive(Debug, Default)]
struct Dns {
    /// One of the ports is 137.
    netbios: bool,
    first_seen: bool,
    /// The message being read is the first, came from the originator and is a response.
    backwards: bool,
    questions: VecDeque<DnsSession>,
    answers: VecDeque<DnsSession>,
    /// Bytes of text in both.
    kept: usize,
}

/// Where a session goes when its message is read and the other half is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Question,
    Answer,
    /// It was waiting already; what is still incomplete is forgotten.
    No,
}

impl Dns {
    fn new(netbios: bool) -> Self {
        Dns {
            netbios,
            ..Dns::default()
        }
    }

    /// One message, without TCP's length.
    fn message(&mut self, is_orig: bool, msg: &[u8], ctx: &mut Ctx<'_>) {
        let Some(header) = Header::parse(msg) else {
            ctx.out.weird("DNS_truncated_len_lt_hdr_len", "");
            return;
        };
        // NetBIOS's registrations and the like are read as well, and not logged.
        let tracked = header.opcode() == OP_QUERY;
        if !tracked && !self.netbios {
            ctx.out.weird("DNS_unknown_opcode", &header.opcode().to_string());
            ctx.out.gave_up();
            return;
        }
        self.backwards = !std::mem::replace(&mut self.first_seen, true) && header.is_response() && is_orig;
        if self.backwards {
            ctx.turn();
        }
        let mut session = tracked.then(|| self.session(&header, ctx));
        self.read(&header, msg, session.as_mut().map(|(session, _)| session), ctx);
        if let Some((session, wait)) = session {
            let Ctx { c, out, .. } = ctx;
            self.end_message(&header, session, wait, c, &mut |row| out.log(row));
        }
    }

    /// The connection is over: what waits is logged as it is.
    fn finish(&mut self, c: &ConnId, log: &mut dyn FnMut(&DnsRow<'_>)) {
        for s in self.questions.drain(..).chain(self.answers.drain(..)) {
            s.log(c, log);
        }
        self.kept = 0;
    }

    /// The session that a message belongs to.
    fn session(&mut self, header: &Header, ctx: &Ctx<'_>) -> (DnsSession, Wait) {
        let multicast = ctx.c.resp_h.is_multicast();
        let (others, wait) = match header.is_response() {
            true => (&mut self.questions, Wait::Answer),
            false => (&mut self.answers, Wait::Question),
        };
        let waiting = match multicast {
            // Who answers does so on another connection: every message stands for itself.
            true => None,
            false => others.iter().position(|s| s.trans_id == header.id),
        };
        let (mut s, wait) = match waiting.and_then(|at| others.remove(at)) {
            Some(s) => {
                self.kept = self.kept.saturating_sub(s.kept());
                (s, Wait::No)
            }
            None => {
                let s = DnsSession {
                    ts: ctx.ts,
                    trans_id: header.id,
                    saw_query: multicast,
                    saw_reply: multicast,
                    ..DnsSession::default()
                };
                (s, wait)
            }
        };
        if header.is_response() {
            s.rcode = Some(header.rcode().into());
            if header.answers == 0 {
                (s.aa, s.ra) = (header.aa(), header.ra());
                s.tc |= header.tc();
            }
            s.rejected |= header.rcode() != 0 && header.questions == 0;
        }
        (s, wait)
    }

    /// A message was read, as far as it could be.
    fn end_message(
        &mut self,
        header: &Header,
        mut s: DnsSession,
        wait: Wait,
        c: &ConnId,
        log: &mut dyn FnMut(&DnsRow<'_>),
    ) {
        s.saw_reply |= header.is_response();
        s.saw_query |= !header.is_response();
        if s.saw_query && s.saw_reply {
            s.log(c, log);
            return;
        }
        self.kept += s.kept();
        match wait {
            Wait::Question => self.questions.push_back(s),
            Wait::Answer => self.answers.push_back(s),
            Wait::No => self.kept -= s.kept(),
        }
        if self.questions.len() + self.answers.len() > MAX_WAITING || self.kept > MAX_KEPT {
            self.finish(c, log);
        }
    }

    /// Reads questions and answers.
    fn read(&self, header: &Header, msg: &[u8], mut session: Option<&mut DnsSession>, ctx: &mut Ctx<'_>) {
        if header.questions > MAX_QUERIES {
            ctx.violation("DNS_Conn_count_too_large");
            ctx.out.weird("DNS_Conn_count_too_large", "");
            return;
        }
        // The responder as it will be once the connection is turned round.
        let c = ctx.c;
        let turned = self.backwards && !c.resp_h.is_multicast();
        let port = if turned { c.orig_p } else { c.resp_p };
        let mut m = Message {
            header,
            to_netbios: port == NETBIOS_PORT,
            now: ctx.ts,
            weirds: Vec::new(),
        };
        let mut r = DnsReader::new(msg);
        r.bytes(HEADER);
        let outcome = m.sections(&mut r, &mut session);
        for (name, addl) in m.weirds {
            ctx.out.weird(name, &addl);
        }
        match outcome {
            Ok(()) => ctx.confirm(),
            Err(Stop::Bad(bad)) => {
                if let Some(name) = bad {
                    ctx.out.weird(name, "");
                }
            }
            Err(Stop::Violation(reason)) => ctx.violation(reason),
        }
    }
}

/// Why a message is read no further.
enum Stop {
    Bad(Bad),
    Violation(&'static str),
}

impl From<Bad> for Stop {
    fn from(bad: Bad) -> Stop {
        Stop::Bad(bad)
    }
}

/// A message being read.
struct Message<'m> {
    header: &'m Header,
    to_netbios: bool,
    now: u64,
    weirds: Vec<(&'static str, String)>,
}

impl Message<'_> {
    fn sections(&mut self, r: &mut DnsReader<'_>, s: &mut Option<&mut DnsSession>) -> Result<(), Stop> {
        for n in 0..self.header.questions {
            self.question(n == 0, r, s)?;
        }
        for _ in 0..self.header.answers {
            self.record(r, s)?;
        }
        if let Some(s) = s.as_mut().filter(|_| self.header.is_response()) {
            let h = self.header;
            let records = u32::from(h.authorities) + u32::from(h.additional);
            if let Some(upper) = r.clone().extended_rcode(records) {
                s.rcode = Some(u16::from(upper) << 4 | u16::from(h.rcode()));
            }
        }
        Ok(())
    }

    fn question(
        &mut self,
        first: bool,
        r: &mut DnsReader<'_>,
        s: &mut Option<&mut DnsSession>,
    ) -> Result<(), Stop> {
        let name = self.name(r);
        if r.left() < 4 {
            return Err(Stop::Bad(Some("DNS_truncated_quest_too_short")));
        }
        let (qtype, qclass) = (r.short(), r.short());
        let h = self.header;
        let Some(s) = s else { return Ok(()) };
        if h.is_response() {
            s.rejected |= h.answers == 0 && h.authorities == 0 && h.additional == 0;
            return Ok(());
        }
        (s.rd, s.z) = (h.rd(), h.z());
        s.tc |= h.tc();
        let asked = Asked {
            query: Some(match self.to_netbios {
                true => netbios_name(&name).unwrap_or(name),
                false => name,
            }),
            qclass: Some(qclass),
            qtype: Some(qtype),
            is_nbstat: self.to_netbios && qtype == rr::SRV,
            ..Asked::default()
        };
        if !first {
            s.more.push(asked);
            return Ok(());
        }
        // An answer may have come before it.
        let (rtt, answers) = (s.asked.rtt, std::mem::take(&mut s.asked.answers));
        s.asked = Asked {
            rtt,
            answers,
            ..asked
        };
        Ok(())
    }

    fn name(&mut self, r: &mut DnsReader<'_>) -> Vec<u8> {
        let weirds = &mut self.weirds;
        r.name(true, self.to_netbios, &mut |name, addl| {
            weirds.push((name, addl));
        })
    }

    fn record(&mut self, r: &mut DnsReader<'_>, s: &mut Option<&mut DnsSession>) -> Result<(), Stop> {
        let owner = self.name(r);
        if r.left() < 4 {
            return Err(Stop::Bad(Some("DNS_truncated_ans_too_short")));
        }
        let (rtype, _class) = (r.short(), r.short());
        let (ttl, len) = (r.long(), usize::from(r.short()));
        if len > r.left() {
            return Err(Stop::Bad(Some("DNS_truncated_RR_rdlength_lt_len")));
        }
        let f = RrHead { rtype, len };
        if len == 0 && r.left() > 0 {
            return Err(Stop::Bad(Some("DNS_zero_rdlength")));
        }
        let weirds = &mut self.weirds;
        let said = answer::read(r, f, &owner, self.to_netbios, &mut |name, addl| {
            weirds.push((name, addl));
        })?;
        let (text, stop) = match said {
            Rr::Answer(text) => (Some(text), None),
            Rr::Nothing => (None, None),
            Rr::Unsound(text) => (Some(text), Some(Stop::Bad(None))),
            Rr::Unknown => {
                self.weirds.push(("DNS_RR_unknown_type", rtype.to_string()));
                (Some(format!("<unknown type={rtype}>").into_bytes()), None)
            }
            Rr::Violation(reason) => (None, Some(Stop::Violation(reason))),
        };
        if let Some(text) = text {
            self.answer(s, (&owner, rtype), text, ttl);
        }
        stop.map_or(Ok(()), Err)
    }

    /// A record of an answer, by its owner and type, into the row of its question.
    fn answer(&mut self, s: &mut Option<&mut DnsSession>, of: (&[u8], u16), text: Vec<u8>, ttl: u32) {
        let h = self.header;
        let Some(s) = s else { return };
        // Answers in a question are not an answer.
        if !h.is_response() {
            return;
        }
        (s.aa, s.ra) = (h.aa(), h.ra());
        s.asked.query.get_or_insert_with(|| of.0.to_vec());
        let rtt = (self.now as i64).saturating_sub(s.ts as i64);
        let asked = s.asked_for(of.0, of.1);
        // No time at all: the answer is all there was.
        asked.rtt = asked.rtt.or((rtt != 0).then_some(rtt));
        if !text.is_empty() {
            asked.answers.push((text, ttl));
        }
    }
}

/// The name in a NetBIOS name's 32 letters (RFC 1001, 14.1), without what pads it. `None`: it is not
/// written that way.
fn netbios_name(name: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = name.as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != 16 {
        return None;
    }
    let half = |b: u8| {
        let b = b.to_ascii_uppercase();
        b.is_ascii_uppercase().then(|| b - b'A').filter(|half| *half < 16)
    };
    let mut out = Vec::with_capacity(16);
    for [high, low] in pairs {
        let b = half(*high)? << 4 | half(*low)?;
        if !(b.is_ascii_graphic() || b == b' ' || b < 3) {
            break;
        }
        out.push(b);
    }
    // The last one is the kind of name.
    out.truncate(15);
    while let Some(b' ' | 0) = out.last() {
        out.pop();
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests;
