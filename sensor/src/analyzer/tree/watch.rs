//! The one protocol that may begin behind others' bytes: TLS after STARTTLS and proxies' handshakes, DTLS after STUN.

use crate::analyzer::api::{Interest, Later, Start};
use crate::analyzer::node::Node;
use crate::analyzer::pattern::Match;
use crate::analyzer::probe::{MAX_BYTES, MAX_PIECES};
use crate::analyzer::{Id, LATER, WorkerShared};

/// Most bytes of a direction that are shown to a pattern for its first bytes.
const HEAD_BYTES: usize = 128;

/// Pieces of a stream in the order in which they came; true: the originator sent it.
pub type KeptPieces = Vec<(bool, Vec<u8>)>;

/// The lookout for the protocol on one connection.
#[derive(Debug)]
pub struct Watch {
    state: State,
    is_tcp: bool,
    /// A side's SYN was not seen.
    start_unseen: bool,
    /// Bytes of both directions before the protocol begins; stays at the most that fits.
    clear: u32,
}

#[derive(Debug)]
enum State {
    /// The first bytes of both directions, kept until they decide.
    First(KeptPieces),
    /// Datagrams of other protocols so far, and their bytes.
    Datagrams {
        count: u32,
        bytes: u32,
        strangers: u32,
    },
    Found(Box<Node>),
    /// The first bytes were not the protocol's.
    Off,
}

impl Watch {
    /// A watch over a connection with these ports of originator and responder, host byte order.
    pub fn new(is_tcp: bool, ports: [u16; 2], shared: &WorkerShared) -> Watch {
        let mut watch = Watch {
            state: State::Off,
            is_tcp,
            start_unseen: false,
            clear: 0,
        };
        let on_port = watch.id().is_some_and(|id| match is_tcp {
            true => id.spec().tcp_ports.contains(&ports[1]),
            false => id.spec().udp_ports.contains(&ports[1]),
        });
        watch.state = match on_port {
            true => State::Off,
            false if is_tcp => State::First(KeptPieces::new()),
            false => State::Datagrams {
                count: 0,
                bytes: 0,
                strangers: 0,
            },
        };
        if on_port {
            watch.put(&Start { ports, strangers: 0 }, shared);
        }
        watch
    }

    fn id(&self) -> Option<Id> {
        LATER[usize::from(!self.is_tcp)]
    }

    fn put(&mut self, start: &Start, shared: &WorkerShared) {
        if let Some(id) = self.id() {
            let mut node = Box::new(Node::new(id, start, shared));
            if self.start_unseen {
                node.start_unseen();
            }
            self.state = State::Found(node);
        }
    }

    /// The analyzer, if it has begun.
    pub fn node(&self) -> Option<&Node> {
        match &self.state {
            State::Found(node) => Some(node),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn node_mut(&mut self) -> Option<&mut Node> {
        match &mut self.state {
            State::Found(node) => Some(node),
            _ => None,
        }
    }

    /// A side's SYN was not seen. An analyzer that was given bytes goes on: they may have come before the other side's first
    /// packet showed that its SYN is missing. One that was put on by port and got no bytes yet is taken off again: only a first
    /// message puts it on.
    pub fn start_unseen(&mut self) {
        self.start_unseen = true;
        match &mut self.state {
            State::Found(node) if node.fed => node.start_unseen(),
            State::Found(_) => self.state = State::First(KeptPieces::new()),
            _ => {}
        }
    }

    /// The protocol begins here, by another analyzer's hand-over.
    pub fn begin(&mut self, shared: &WorkerShared) {
        if self.node().is_none() {
            self.put(&Start::default(), shared);
        }
    }

    /// The protocol may begin here. Looks for it once more if it was not found so far, or failed on one of its ports.
    pub fn begin_anew(&mut self) {
        let in_vain = match &self.state {
            State::Off => true,
            State::Found(node) => node.has_failed(),
            State::First(_) | State::Datagrams { .. } => false,
        };
        if in_vain {
            self.state = State::First(KeptPieces::new());
        }
    }

    /// Whether it may still begin in mid-stream.
    pub fn awaits(&self) -> bool {
        let has_begun = self.node().is_some_and(|node| node.fed);
        !has_begun && u64::from(self.clear) <= self.within()
    }

    fn within(&self) -> u64 {
        match self.id().map(|id| id.spec().later) {
            Some(Later::Segment { within, .. }) => within,
            // Datagrams are looked at whatever came before.
            _ => 0,
        }
    }

    /// Takes bytes of a stream. If the protocol began with bytes that were kept, returns the pieces that its analyzer has not
    /// read yet, these bytes included.
    pub fn pass(&mut self, is_orig: bool, bytes: &[u8], shared: &WorkerShared) -> KeptPieces {
        let Some(Later::Segment {
            first,
            begins,
            within,
        }) = self.id().map(|id| id.spec().later)
        else {
            return KeptPieces::new();
        };
        let is_found = self.node().is_some();
        let late = !is_found && (self.clear > 0 || self.start_unseen) && u64::from(self.clear) <= within;
        if late && begins(bytes, is_orig, self.start_unseen) {
            self.put(&Start::default(), shared);
        }
        self.clear = self.clear.saturating_add(bytes.len() as u32);
        let State::First(kept) = &mut self.state else {
            return KeptPieces::new();
        };
        kept.push((is_orig, bytes.to_vec()));
        let size: usize = kept.iter().map(|(_, bytes)| bytes.len()).sum();
        let sides = [true, false].map(|is_orig| head(kept, is_orig, first));
        if sides.contains(&Match::Yes) {
            let kept = std::mem::take(kept);
            self.put(&Start::default(), shared);
            return kept;
        }
        if sides == [Match::No; 2] || size as u64 > MAX_BYTES {
            self.state = State::Off;
        }
        KeptPieces::new()
    }

    /// Looks whether the protocol begins with this datagram.
    pub fn look_at(&mut self, datagram: &[u8], shared: &WorkerShared) {
        let Some(Later::Datagram { begins, stranger }) = self.id().map(|id| id.spec().later) else {
            return;
        };
        let State::Datagrams {
            count,
            bytes,
            strangers,
        } = &mut self.state
        else {
            return;
        };
        *count += 1;
        *bytes += datagram.len() as u32;
        if begins(datagram) {
            // Zeek shows those before to the analyzer once there is one.
            let start = Start {
                strangers: *strangers,
                ..Start::default()
            };
            self.put(&start, shared);
        } else if u64::from(*bytes) > MAX_BYTES || *count > MAX_PIECES {
            self.state = State::Off;
        } else {
            *strangers += u32::from(stranger(datagram));
        }
    }

    /// Bytes are missing before the protocol began.
    pub fn gap(&mut self) {
        if matches!(self.state, State::First(_)) {
            self.state = State::Off;
        }
    }

    pub fn flip(&mut self) {
        match &mut self.state {
            State::First(kept) => kept.iter_mut().for_each(|k| k.0 = !k.0),
            State::Found(node) => node.flip(),
            State::Datagrams { .. } | State::Off => {}
        }
    }

    /// How much of a direction it still needs, after `bytes` payload bytes on the connection.
    pub fn interest(&self, is_orig: bool, bytes: u64) -> Interest {
        match &self.state {
            State::Found(node) => node.interest(is_orig, bytes),
            State::Off if !self.is_tcp || u64::from(self.clear) > self.within() => Interest::Nothing,
            State::First(_) | State::Datagrams { .. } | State::Off => Interest::Everything,
        }
    }

    /// Whether the connection's end changes nothing, if no more bytes come.
    pub fn is_settled(&self) -> bool {
        match &self.state {
            State::First(_) | State::Datagrams { .. } => false,
            State::Found(node) => node.is_settled(),
            State::Off => true,
        }
    }
}

/// Whether a direction's first bytes match; undecided for a direction without any.
fn head(kept: &KeptPieces, of_orig: bool, first: fn(&[u8], bool) -> Match) -> Match {
    let mut head = [0u8; HEAD_BYTES];
    let mut n = 0;
    for (_, bytes) in kept.iter().filter(|k| k.0 == of_orig) {
        let part = &bytes[..bytes.len().min(HEAD_BYTES - n)];
        head[n..n + part.len()].copy_from_slice(part);
        n += part.len();
    }
    match n {
        0 => Match::More,
        n => first(&head[..n], of_orig),
    }
}
