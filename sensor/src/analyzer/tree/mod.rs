//! The analyzers of one connection: who is put on it and why, what each is given, and what becomes of a hand-over.
//!
//! An analyzer is put on a connection by the well-known port of the responder or by how the first bytes look
//! ([`pattern`](super::pattern)), as in Zeek; only what it then reads makes a service of it. One protocol may also begin
//! behind other bytes (`watch`). Knows no protocol by name, no packet and no sequence number.

mod watch;

use std::borrow::Cow;

use super::api::{Call, HandOver, Inside, Interest, Later, Next, ReadsMarks, Services, Start};
use super::node::{Node, NodeConn};
use super::probe::Probe;
use super::websocket::Frames;
use super::{Ctx, Id, LATER, TCP_PORTS, UDP_PORTS, UDP_RULES, WorkerShared};
use crate::event::{AnalyzerTag, Ts};
use crate::profile::place::{Part, enter};
use watch::Watch;

/// The analyzers of one connection. What an analyzer remembers is boxed and freed as soon as it is done.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    probe: Option<Box<Probe>>,
    watch: Watch,
    /// Ports of originator and responder, until the first payload comes. Before that nothing is allocated, because most
    /// connections of a scan have no payload.
    waiting: Option<[u16; 2]>,
    services: Services,
    /// What the connection has become.
    inside: Option<Inside>,
    /// The WebSocket frames that carry the inner stream.
    frames: Option<Box<Frames>>,
    is_tcp: bool,
    partial: bool,
    gap: bool,
    turned: bool,
    /// The responder's next byte belongs to the line before the inner stream if it is an LF.
    swallow_lf: bool,
    /// A direction was delivered to its end.
    ended: bool,
    /// Payload bytes seen, both directions.
    bytes: u64,
}

/// The fields of a tree that a node may change, while another field of the tree is borrowed.
macro_rules! conn {
    ($tree:ident) => {
        NodeConn {
            services: &mut $tree.services,
            turned: &mut $tree.turned,
            incomplete: $tree.partial || $tree.gap,
            bytes: $tree.bytes,
        }
    };
}

impl Tree {
    /// For a TCP connection, or a UDP flow, by the ports of its final originator and responder.
    pub fn new(is_tcp: bool, orig_port: u16, resp_port: u16, shared: &WorkerShared) -> Tree {
        let ports = [orig_port, resp_port];
        Tree {
            nodes: Vec::new(),
            probe: None,
            watch: Watch::new(is_tcp, ports, shared),
            waiting: Some(ports),
            services: Services::default(),
            inside: None,
            frames: None,
            is_tcp,
            partial: false,
            gap: false,
            turned: false,
            swallow_lf: false,
            ended: false,
            bytes: 0,
        }
    }

    /// Sets whether the connection's beginning was missed (Zeek's partial connections). If so, protocols that need it are not
    /// looked for, and nothing is a violation.
    pub fn set_partial(&mut self, partial: bool) {
        self.partial = partial;
        if partial {
            self.watch.start_unseen();
        }
    }

    /// In-order bytes of a TCP direction.
    pub fn stream(&mut self, is_orig: bool, bytes: &[u8], shared: &WorkerShared, call: &mut Call<'_>) {
        let _inside = enter(Part::Detection);
        let was_outside = self.inside.is_none();
        let inner = self.read(is_orig, bytes, shared, call);
        match self.inside {
            None => self.watch_stream(is_orig, bytes, shared, call),
            Some(Inside::Tls) => {
                self.watch.begin(shared);
                self.watch_stream(is_orig, &inner, shared, call);
            }
            Some(Inside::Tunnel | Inside::Upgrade) => {
                if !inner.is_empty() {
                    self.watch.begin_anew();
                }
                if was_outside || !inner.is_empty() {
                    call.out.inner(is_orig, &inner);
                }
                self.watch_stream(is_orig, &inner, shared, call);
            }
        }
    }

    /// One datagram of a UDP flow.
    pub fn datagram(&mut self, is_orig: bool, bytes: &[u8], shared: &WorkerShared, call: &mut Call<'_>) {
        let _inside = enter(Part::Detection);
        let is_first = self.waiting.is_some();
        self.begin(shared);
        if is_first {
            self.probe_datagram(bytes, shared);
        }
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.take_off(call);
        for node in &mut self.nodes {
            node.datagram(is_orig, bytes, conn!(self), call);
        }
        self.watch.look_at(bytes, shared);
        if let Some(node) = self.watch.node_mut() {
            node.datagram(is_orig, bytes, conn!(self), call);
        }
    }

    /// `len` bytes of a TCP direction are missing here.
    pub fn gap(&mut self, is_orig: bool, len: u64, shared: &WorkerShared, call: &mut Call<'_>) {
        self.begin(shared);
        self.gap = true;
        self.bytes = self.bytes.saturating_add(len);
        if let Some(probe) = &mut self.probe {
            probe.gap(is_orig);
        }
        if let Some(frames) = &mut self.frames {
            frames.gap();
        }
        for node in &mut self.nodes {
            node.gap(is_orig, len, conn!(self), call);
        }
        match self.watch.node_mut() {
            Some(node) => node.gap(is_orig, len, conn!(self), call),
            None => self.watch.gap(),
        }
    }

    /// `len` bytes of a TCP direction came that are not at hand: those that nobody needs, or they are missing.
    pub fn unseen(&mut self, is_orig: bool, len: u64, shared: &WorkerShared, call: &mut Call<'_>) {
        let skipped = match self.interest(is_orig) {
            Interest::Skip(n) => n.min(len),
            Interest::Nothing | Interest::Marks | Interest::Everything => 0,
        };
        if skipped > 0 {
            self.bytes = self.bytes.saturating_add(skipped);
            self.take_off(call);
            let partial = self.partial;
            let nodes = self.nodes.iter_mut().filter(|n| !ignores(partial, n));
            for node in nodes.chain(self.watch.node_mut()) {
                node.unseen(is_orig, skipped, conn!(self), call);
            }
        }
        if len > skipped {
            self.gap(is_orig, len - skipped, shared, call);
        }
    }

    /// Bytes of a TCP direction came of those that nobody needs; how many is told later.
    pub fn coming(&mut self, is_orig: bool, call: &mut Call<'_>) {
        let partial = self.partial;
        for node in self.nodes.iter_mut().filter(|n| !ignores(partial, n)) {
            node.coming(is_orig, conn!(self), call);
        }
    }

    /// A TCP direction ended in order (FIN): a line without an end is a line now.
    pub fn eof(&mut self, is_orig: bool, call: &mut Call<'_>) {
        self.ended = true;
        self.take_off(call);
        let partial = self.partial;
        for node in self.nodes.iter_mut().filter(|n| !ignores(partial, n)) {
            node.eof(is_orig, conn!(self), call);
        }
    }

    /// The connection is over.
    pub fn close(&mut self, call: &mut Call<'_>) {
        let ended = self.ended;
        for node in &mut self.nodes {
            node.close(ended, conn!(self), call);
        }
        if let Some(node) = self.watch.node_mut() {
            node.close(ended, conn!(self), call);
        }
        self.nodes = Vec::new();
        self.probe = None;
        self.waiting = None;
    }

    /// Originator and responder change places.
    pub fn flip(&mut self) {
        self.turned = false;
        if let Some(probe) = &mut self.probe {
            probe.flip();
        }
        self.nodes.iter_mut().for_each(Node::flip);
        self.watch.flip();
    }

    /// How much of a direction any analyzer, the probe or the watch still needs.
    pub fn interest(&self, is_orig: bool) -> Interest {
        let tells = self.frames.as_ref().is_some_and(|frames| frames.needs_all());
        if self.waiting.is_some() || self.probe.is_some() || tells {
            return Interest::Everything;
        }
        let nodes = self.nodes.iter().filter(|n| !ignores(self.partial, n));
        let of_nodes = nodes.map(|n| n.interest(is_orig, self.bytes));
        match of_nodes.fold(self.watch.interest(is_orig, self.bytes), Interest::and) {
            // Between them and the stream's bytes there are others.
            Interest::Skip(_) if self.frames.is_some() || self.swallow_lf => Interest::Everything,
            interest => interest,
        }
    }

    /// Whether, if no more bytes come, the connection's end changes nothing and the services are final.
    pub fn is_settled(&self) -> bool {
        self.nodes.iter().all(Node::is_settled) && self.watch.is_settled()
    }

    /// Whether an analyzer that stays to the connection's end was taken off before the packet of time `last`.
    pub fn was_off(&self, last: Ts) -> bool {
        self.nodes.iter().any(|n| n.id.spec().stays && n.was_off(last))
    }

    /// What the connection has become.
    pub fn inside(&self) -> Option<Inside> {
        self.inside
    }

    /// Whether nobody reads the connection, and nobody has.
    pub fn is_unknown(&self) -> bool {
        self.nodes.is_empty() && self.watch.node().is_none() && self.inside.is_none()
    }

    /// Says once that the content shows originator and responder to be the wrong way round. Zeek then flips the
    /// connection, unless the responder is a multicast address.
    pub fn take_turned(&mut self) -> bool {
        std::mem::take(&mut self.turned)
    }

    /// Whether the protocol that may begin in mid-stream may still do so.
    pub fn awaits(&self) -> bool {
        self.watch.awaits()
    }

    /// The confirmed services, in the order of confirmation, without those that were refuted.
    pub fn services(&self) -> impl Iterator<Item = &'static str> + '_ {
        let spec = |n: u8| Id::ALL.get(usize::from(n)).map(|id| id.spec().tag.service());
        self.services.iter().filter_map(spec)
    }

    /// The engine is sure of a protocol that it reads by itself.
    pub fn confirm(&mut self, id: Id, call: &mut Call<'_>) {
        call.out.confirm(id.spec(), id.number().into());
        self.services.add(id.number(), true);
    }

    /// The engine refutes a protocol that it reads by itself. A service that was confirmed stays, as in Zeek.
    pub fn violation(&mut self, id: Id, reason: &str, call: &mut Call<'_>) {
        call.out.violation(id.spec(), id.number().into(), reason);
    }

    /// Another connection announced this one, on which nothing came yet, as `tag`'s. So its ports tell nothing.
    pub fn expect(&mut self, tag: AnalyzerTag, shared: &WorkerShared) {
        if let Some(id) = of_tag(tag) {
            self.services.add(id.number(), true);
            self.waiting = Some([0; 2]);
            self.nodes.push(Node::new(id, &Start::default(), shared));
        }
    }

    /// A signature names an analyzer, by Zeek's name: it gets what came so far, if that is still kept.
    pub fn enable(&mut self, name: &str, shared: &WorkerShared, call: &mut Call<'_>) {
        // What may begin behind other bytes is looked for anyway.
        let Some(id) = Id::named(name).filter(|id| matches!(id.spec().later, Later::Never)) else {
            return;
        };
        self.begin(shared);
        if self.nodes.iter().any(|n| n.id == id) {
            return;
        }
        self.nodes.push(Node::new(id, &Start::default(), shared));
        let at = self.nodes.len() - 1;
        let probe = self.probe.take();
        for (is_orig, part) in probe.iter().flat_map(|probe| probe.replay()) {
            match part {
                Some(part) => drop(self.feed(at, is_orig, part, call)),
                None => {
                    if let Some(node) = self.nodes.get_mut(at) {
                        node.gap(is_orig, 0, conn!(self), call);
                    }
                }
            }
        }
        self.probe = probe;
    }

    /// See [`ReadsMarks::to_header`].
    pub fn to_header(&self, is_orig: bool) -> Option<u64> {
        self.watch.node().and_then(|node| node.to_header(is_orig))
    }

    /// Lets the analyzer work that reads marks, if there is one.
    pub fn mark(&mut self, call: &mut Call<'_>, work: impl FnOnce(&mut dyn ReadsMarks, &mut Ctx<'_>)) {
        if let Some(node) = self.watch.node_mut() {
            node.mark(conn!(self), call, work);
        }
    }

    /// Gives a piece of a stream only to the analyzer that reads marks.
    pub fn marked_bytes(&mut self, is_orig: bool, bytes: &[u8], call: &mut Call<'_>) {
        if let Some(node) = self.watch.node_mut() {
            node.data(is_orig, bytes, conn!(self), call);
        }
    }

    /// The first payload has come, or a gap in its place.
    fn begin(&mut self, shared: &WorkerShared) {
        let Some(ports) = self.waiting.take() else { return };
        let start = Start { ports, strangers: 0 };
        let known: &[(Id, u16)] = if self.is_tcp { &TCP_PORTS } else { &UDP_PORTS };
        // A port may be several protocols'.
        let on_port = known.iter().filter(|(_, port)| *port == ports[1]);
        self.nodes
            .extend(on_port.map(|(id, _)| Node::new(*id, &start, shared)));
        self.probe = self.is_tcp.then(Box::default);
    }

    /// Looks for protocols in the flow's first datagram, whatever its ports. (Zeek looks at later ones, too, and then gives the
    /// analyzer all of them: what does not begin with its protocol is a violation.)
    fn probe_datagram(&mut self, bytes: &[u8], shared: &WorkerShared) {
        for (id, matches) in &UDP_RULES {
            if matches(bytes) && !self.nodes.iter().any(|n| n.id == *id) {
                self.nodes.push(Node::new(*id, &Start::default(), shared));
            }
        }
    }

    /// Takes off what failed in an earlier packet. What it has read by then is told.
    fn take_off(&mut self, call: &mut Call<'_>) {
        let ended = self.ended;
        self.nodes.retain_mut(|node| {
            let off = node.take_off(call.ts);
            if off && !node.is_settled() {
                node.close(ended, conn!(self), call);
            }
            !off
        });
    }

    /// Gives bytes to the analyzers. Returns the trailing bytes that belong to a stream inside the connection, without the
    /// WebSocket frames around them.
    fn read<'b>(
        &mut self,
        is_orig: bool,
        mut bytes: &'b [u8],
        shared: &WorkerShared,
        call: &mut Call<'_>,
    ) -> Cow<'b, [u8]> {
        self.begin(shared);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.take_off(call);
        if !is_orig && !bytes.is_empty() && std::mem::take(&mut self.swallow_lf) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        let bytes = match &mut self.frames {
            Some(frames) => Cow::Owned(frames.unframe(is_orig, bytes, call)),
            None => Cow::Borrowed(bytes),
        };
        let mut over = None;
        for at in 0..self.nodes.len() {
            over = earlier(over, self.feed(at, is_orig, &bytes, call));
        }
        over = earlier(over, self.probe_stream(is_orig, &bytes, shared, call));
        match (self.inside, over) {
            (None, None) => Cow::default(),
            (None, Some(over)) => {
                let rest = bytes.len().saturating_sub(over.len);
                // The line that ended it may have ended with a CR whose LF is still to come.
                self.swallow_lf = over.len == 0 && bytes.last() == Some(&b'\r');
                let rest = match bytes {
                    Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(rest..).unwrap_or(&[])),
                    Cow::Owned(mut bytes) => Cow::Owned(bytes.split_off(rest)),
                };
                self.step_inside(is_orig, over, rest, shared, call)
            }
            _ => bytes,
        }
    }

    /// Gives bytes to one analyzer. Returns its hand-over, if it makes one.
    fn feed(&mut self, at: usize, is_orig: bool, bytes: &[u8], call: &mut Call<'_>) -> Option<HandOver> {
        let partial = self.partial;
        let node = self.nodes.get_mut(at).filter(|n| !ignores(partial, n))?;
        match node.data(is_orig, bytes, conn!(self), call) {
            Next::HandOver(over) => Some(over),
            Next::More | Next::Stop => None,
        }
    }

    /// Looks for protocols in the connection's first bytes, whatever its ports.
    fn probe_stream(
        &mut self,
        is_orig: bool,
        bytes: &[u8],
        shared: &WorkerShared,
        call: &mut Call<'_>,
    ) -> Option<HandOver> {
        let mut probe = self.probe.take()?;
        let taken = probe.push(is_orig, bytes);
        let mut over = None;
        while let Some(id) = probe.next_match() {
            // What one that failed has read comes once more, and with it what it had to say.
            self.nodes.retain(|n| n.id != id || !n.is_off());
            // One that has handed over is in the way of another of its kind, but not inside the stream.
            let is_inside = self.inside.is_some();
            if self.nodes.iter().any(|n| n.id == id && !(is_inside && n.done)) {
                continue;
            }
            let mut node = Node::new(id, &Start::default(), shared);
            if let Some(outer) = self.nodes.iter_mut().rev().find(|n| n.id == id) {
                node.inherit(outer);
            }
            self.nodes.push(node);
            let at = self.nodes.len() - 1;
            let rest = bytes.get(taken..).unwrap_or(&[]);
            let mut inside: Option<HandOver> = None;
            for (is_orig, part) in probe.replay().chain([(is_orig, Some(rest))]) {
                let Some(part) = part else {
                    if let Some(node) = self.nodes.get_mut(at) {
                        node.gap(is_orig, 0, conn!(self), call);
                    }
                    continue;
                };
                // Behind the hand-over in the kept bytes, the rest of the chunk is the inner stream's too.
                match &mut inside {
                    Some(inside) => inside.len += part.len(),
                    None => inside = self.feed(at, is_orig, part, call),
                }
            }
            over = earlier(over, inside);
        }
        if !probe.is_over() {
            self.probe = Some(probe);
        }
        over
    }

    /// The rest of the connection is another protocol's.
    fn step_inside<'b>(
        &mut self,
        is_orig: bool,
        over: HandOver,
        mut rest: Cow<'b, [u8]>,
        shared: &WorkerShared,
        call: &mut Call<'_>,
    ) -> Cow<'b, [u8]> {
        if let Some(tag) = over.framed {
            if let Some(id) = of_tag(tag) {
                self.confirm(id, call);
            }
            let mut frames = Box::new(Frames::new(call.subs));
            rest = Cow::Owned(frames.unframe(is_orig, &rest, call));
            self.frames = Some(frames);
        }
        self.inside = Some(over.to);
        self.probe = None;
        if over.to != Inside::Tls {
            self.probe = Some(Box::default());
            self.probe_stream(is_orig, &rest, shared, call);
        }
        rest
    }

    /// Gives bytes to the watch, and to the analyzer that it has found.
    fn watch_stream(&mut self, is_orig: bool, bytes: &[u8], shared: &WorkerShared, call: &mut Call<'_>) {
        if bytes.is_empty() {
            return;
        }
        let kept = self.watch.pass(is_orig, bytes, shared);
        if let Some(node) = self.watch.node_mut() {
            for (is_orig, bytes) in &kept {
                node.data(*is_orig, bytes, conn!(self), call);
            }
            if kept.is_empty() {
                node.data(is_orig, bytes, conn!(self), call);
            }
        }
    }
}

/// The protocol that events call so.
fn of_tag(tag: AnalyzerTag) -> Option<Id> {
    Id::ALL.iter().copied().find(|id| id.spec().tag == tag)
}

/// Whether a node's protocol needs the connection's beginning.
fn ignores(partial: bool, node: &Node) -> bool {
    partial && node.id.spec().needs_start
}

/// The one of two hand-overs that begins first.
fn earlier(a: Option<HandOver>, b: Option<HandOver>) -> Option<HandOver> {
    match (a, b) {
        (Some(x), Some(y)) if y.len > x.len => b,
        (None, _) => b,
        _ => a,
    }
}

/// For a connection without a SYN: whether these bytes show that the sides are the wrong way round. They are taken for the
/// originator's if `is_orig`, and begin the watched protocol as only the other side would.
pub fn begins_turned(is_orig: bool, bytes: &[u8]) -> bool {
    match LATER[0].map(|id| id.spec().later) {
        Some(Later::Segment { begins, .. }) => begins(bytes, !is_orig, true),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
