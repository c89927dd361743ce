//! One connection: what the table keeps of it, its history and its final state.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sensor_common::record::Totals;
use sensor_common::{FlowKey, FlowState, Packet};

use super::app::App;
use super::ends::{addr, proto};
use super::history::History;
use super::timer::{Kind, Timer};
use super::udp_tunnel::UdpTunnel;
use super::weird::Sampler;
use crate::datapath::tunnels::Stack;
use crate::event::{ConnId, Proto, Ts, Uid};
use crate::tcp::endpoint::{Endpoint, Scaled, State};
use crate::tcp::kept::Kept;
use crate::tcp::reassembly::Reassembler;

/// Letters of a history beyond the first few that are kept. Zeek has no bound.
const MAX_HISTORY: usize = 4096;

/// Letters that are written once per direction; the responder's are 8 bits higher.
pub mod letter {
    pub const SYN: u16 = 1 << 0;
    pub const FIN: u16 = 1 << 1;
    pub const RST: u16 = 1 << 2;
    pub const FIN_RST: u16 = 1 << 3;
    pub const DATA: u16 = 1 << 4;
    pub const ACK: u16 = 1 << 5;
    pub const MULTI: u16 = 1 << 6;
    /// An analyzer would not read on; one for both directions.
    pub const GAVE_UP: u16 = 1 << 7;
}

/// A connection in the table. Kept small: there may be a million of them.
pub struct Conn {
    pub key: FlowKey,
    pub start: Ts,
    /// Last packet that counts for the duration, as far as records told.
    pub last: Ts,
    /// The uid's upper half; the rest follows from the ends.
    pub uid_hi: u64,
    /// When it is looked whether it has been silent for long, unless [`Ts::MAX`].
    pub inactive_at: Ts,
    /// Which connection of the engine it is, modulo 2^32.
    pub n: u32,
    /// Number of its TCP part; [`super::slab::NONE`] if it is not TCP.
    pub tcp: u32,
    /// The flow direction that is the originator's.
    pub orig_dir: u8,
    /// Both sides have closed: the duration is final.
    pub frozen: bool,
    pub weird: bool,
    /// A timer of the kind `Expire` is pending.
    pub expires: bool,
    pub analyzer_epoch: u8,
    /// Directions whose payload was shed, by flow direction.
    pub shed: u8,
    /// Packets of unwanted payload since nobody wants it.
    pub unwanted: u8,
    /// How long it may be silent: an index in [`super::shared::Shared::silences`].
    pub silence: u8,
    /// Once analyzers are done: one more than its index in [`super::shared::Shared::services`].
    pub service: u8,
    /// Letters written, by [`letter`].
    pub hist_seen: u16,
    /// Its beginning; the rest is in [`Extra::history`].
    pub history: History,
    pub extra: Option<Box<Extra>>,
}

/// A connection in the table, and its analyzers once there is payload.
pub struct Entry {
    pub conn: Conn,
    pub app: Option<Box<App>>,
}

impl Deref for Entry {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Entry {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

/// What few connections need.
#[derive(Default)]
pub struct Extra {
    /// See [`Conn::flow_start`].
    flow_start: Option<Ts>,
    /// The flow's state when this connection began: not zero where a 4-tuple is reused.
    pub base: FlowState,
    pub weirds: Sampler,
    /// IPv6 flow labels of originator and responder, once seen.
    pub labels: [Option<u32>; 2],
    /// Delivered and not acknowledged, by flow direction; only while somebody wants to know of
    /// inconsistent retransmissions.
    pub kept: Option<Box<[Kept; 2]>>,
    pub tunnel_parents: Vec<Uid>,
    /// Sequence space that never came and was acknowledged, bytes.
    pub missed_bytes: u64,
    /// What the connection's own [`History`] has no room for.
    pub history: String,
    /// The tunnels that the last packet came through.
    pub encap: Option<Arc<Stack>>,
    /// How often that was others than before, as far as it was told.
    pub tunnel_changes: u8,
    /// What is known of the connection as a tunnel.
    pub tunnel: UdpTunnel,
    /// UDP packets with a bad checksum, by side.
    pub bad_checksums: [Scaled; 2],
    /// Bit per side: its payload is written to a contents file, if that is done on request.
    pub contents: u8,
}

/// The TCP part. Index 0 is the originator, 1 the responder.
#[derive(Default)]
pub struct Tcp {
    pub ep: [Endpoint; 2],
    pub reasm: [Reassembler; 2],
    /// The flow's extended sequence and ack numbers as of the last record, by flow direction.
    pub known_next: Numbers,
    pub known_ack: Numbers,
    pub seen_first_ack: bool,
    pub inactive: bool,
    pub is_partial: bool,
    /// Bit per side.
    pub first_packet_seen: u8,
    /// Bit per side: connection_eof was told.
    pub eof: u8,
    pub close_deferred: bool,
    pub deferred_gen_event: bool,
    /// A payload was cut by the capture's snap length: nothing is shed then.
    pub truncated: bool,
}

/// The lower 48 bits of two sequence numbers that do not wrap, in twelve bytes.
#[derive(Clone, Copy, Default)]
pub struct Numbers {
    low: [u32; 2],
    high: [u16; 2],
}

impl Numbers {
    pub fn new(of: [u64; 2]) -> Self {
        Numbers {
            low: of.map(|n| n as u32),
            high: of.map(|n| (n >> 32) as u16),
        }
    }

    pub fn get(&self, which: usize) -> u64 {
        (self.high[which] as u64) << 32 | self.low[which] as u64
    }

    /// How far on `n` is, modulo 2^48.
    pub fn to(&self, which: usize, n: u64) -> u64 {
        n.wrapping_sub(self.get(which)) & ((1 << 48) - 1)
    }
}

impl Conn {
    /// A connection that begins with this packet; which one it is of the engine, its uid's upper half, and when its flow
    /// entry was made.
    pub fn new(p: &Packet, n: u32, uid_hi: u64, flow_start: Ts) -> Conn {
        let mut conn = Conn {
            key: p.key,
            start: p.ts,
            last: p.ts,
            uid_hi,
            n,
            inactive_at: Ts::MAX,
            silence: 0,
            tcp: super::slab::NONE,
            orig_dir: p.dir,
            frozen: false,
            weird: false,
            expires: false,
            analyzer_epoch: 0,
            shed: 0,
            unwanted: 0,
            hist_seen: 0,
            history: History::default(),
            service: 0,
            extra: None,
        };
        conn.set_flow_start(flow_start);
        conn
    }

    /// Who it is, for events and logs.
    pub fn id(&self) -> ConnId {
        let k = &self.key;
        let (o, op, r, rp) = if self.orig_dir == 0 {
            (&k.a, k.a_port, &k.b, k.b_port)
        } else {
            (&k.b, k.b_port, &k.a, k.a_port)
        };
        ConnId {
            uid: Uid::between(self.uid_hi, (&k.a, k.a_port), (&k.b, k.b_port), k.proto),
            orig_h: addr(o),
            resp_h: addr(r),
            orig_p: op,
            resp_p: rp,
            proto: proto(k.proto),
            start: self.start,
        }
    }

    pub fn resp_port(&self) -> u16 {
        if self.orig_dir == 0 {
            self.key.b_port
        } else {
            self.key.a_port
        }
    }

    pub fn orig_port(&self) -> u16 {
        if self.orig_dir == 0 {
            self.key.a_port
        } else {
            self.key.b_port
        }
    }

    /// The flow direction of a side (0 originator, 1 responder) and the other way round.
    pub fn dir(&self, side: usize) -> usize {
        side ^ self.orig_dir as usize
    }

    /// Writes a letter unless it was written before; whether it was.
    pub fn check_history(&mut self, side: usize, bit: u16, code: char) -> bool {
        let bit = bit << (8 * side);
        if self.hist_seen & bit == 0 {
            self.hist_seen |= bit;
            self.add_history(side, code);
            return false;
        }
        true
    }

    pub fn add_history(&mut self, side: usize, code: char) {
        let code = if side == 0 {
            code
        } else {
            code.to_ascii_lowercase()
        };
        if !self.history.push(code) {
            // Repeated SYNs, FINs, RSTs and flips write without an end, and nothing new.
            let more = &mut self.extra().history;
            if more.len() < MAX_HISTORY {
                more.push(code);
            }
        }
    }

    /// All letters so far.
    pub fn history(&self) -> Cow<'_, str> {
        let head = self.history.as_str();
        match &self.extra {
            Some(e) if !e.history.is_empty() => Cow::Owned([head, &e.history].concat()),
            _ => Cow::Borrowed(head),
        }
    }

    /// A timer of this connection.
    pub fn timer(&self, slot: u32, kind: Kind, at: Ts) -> Timer {
        let epoch = if kind == Kind::Inactivity {
            0
        } else {
            self.analyzer_epoch
        };
        Timer::new(at, slot, self.n, kind, epoch)
    }

    /// Whether it is a timer of this connection that was not cancelled.
    pub fn has(&self, t: &Timer) -> bool {
        self.timer(t.slot, t.kind(), t.at) == *t && (t.kind() != Kind::Inactivity || t.at == self.inactive_at)
    }

    /// The flow entry's time of birth; tells a new entry of the same key. Most begin with their connection.
    pub fn flow_start(&self) -> Ts {
        let other = self.extra.as_ref().and_then(|e| e.flow_start);
        other.unwrap_or(self.start)
    }

    pub fn set_flow_start(&mut self, at: Ts) {
        if at != self.flow_start() {
            self.extra().flow_start = Some(at);
        }
    }

    pub fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_with(Default::default)
    }

    /// Totals of a side since this connection began.
    pub fn totals(&self, flow: &FlowState, side: usize) -> Totals {
        let dir = self.dir(side);
        let mut t = Totals::of(&flow.dir[dir]);
        if let Some(e) = &self.extra {
            t.pkts -= e.base.dir[dir].pkts.min(t.pkts);
            t.bytes -= e.base.dir[dir].bytes.min(t.bytes);
            t.payload -= e.base.dir[dir].payload.min(t.payload);
        }
        t
    }

    /// conn.log's conn_state (Zeek: Conn::conn_state). `active`: which sides sent anything.
    pub fn conn_state(&self, tcp: Option<&Tcp>, active: [bool; 2]) -> &'static str {
        let Some(tcp) = tcp else {
            return match (proto(self.key.proto), active) {
                (Proto::Udp, [true, true]) => "SF",
                (Proto::Udp, [true, false]) => "S0",
                (Proto::Udp, [false, true]) => "SHR",
                _ => "OTH",
            };
        };
        use State::*;
        let (o, r) = (tcp.ep[0].state, tcp.ep[1].state);
        let idle = |s: State| matches!(s, Inactive | Partial);
        match (o, r) {
            (SynSent | SynAckSent, Reset) => "REJ",
            (Reset, Reset) if tcp.ep[0].size(&tcp.ep[1]) == 0 && tcp.ep[1].size(&tcp.ep[0]) == 0 => "REJ",
            (_, Reset) => {
                if idle(o) {
                    "RSTRH"
                } else {
                    "RSTR"
                }
            }
            (Reset, _) => {
                if !idle(r) {
                    "RSTO"
                } else if self.was_syn_then_rst() {
                    "RSTOS0"
                } else {
                    "OTH"
                }
            }
            (Closed, Closed) => "SF",
            (Closed, _) => {
                if idle(r) {
                    "SH"
                } else {
                    "S2"
                }
            }
            (_, Closed) => {
                if idle(o) {
                    "SHR"
                } else {
                    "S3"
                }
            }
            (SynSent, Inactive) => "S0",
            (Established, Established) => "S1",
            _ => "OTH",
        }
    }

    /// A SYN and later a RST by the originator, which sent nothing else in between.
    fn was_syn_then_rst(&self) -> bool {
        let h = self.history();
        let Some(rest) = h.strip_prefix('^').unwrap_or(&h).strip_prefix('S') else {
            return false;
        };
        rest.find('R')
            .is_some_and(|i| !rest[..i].contains(['H', 'A', 'F', 'G', 'I', 'Q']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With 10 bytes of hash table and a timer of 16, an open TCP connection is to stay below 330 bytes
    /// (`cargo xtask bench` measures it).
    #[test]
    fn a_connection_is_small() {
        let (conn, tcp) = (size_of::<Option<Entry>>(), size_of::<Option<Tcp>>());
        assert!(conn <= 120 && tcp <= 176, "{conn} {tcp}");
        assert_eq!(size_of::<Timer>(), 16);
    }

    #[test]
    fn a_number_knows_how_far_on_another_is() {
        for n in [0, 1, 0xffff_ffff, 0x1234_5678_9abc, u64::MAX] {
            let to = |far: u64| Numbers::new([7, n]).to(1, n.wrapping_add(far));
            assert_eq!([to(0), to(0xfedc_ba98_7654)], [0, 0xfedc_ba98_7654]);
            assert_eq!(to(u64::MAX), (1 << 48) - 1);
        }
    }
}
