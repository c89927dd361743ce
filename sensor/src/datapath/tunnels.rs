//! The tunnels that packets came through: which are known, and what a record's tunnel number means.
//!
//! One table for all workers, because the two directions of a tunnelled connection may come through
//! different outer flows and so through different workers. It is locked for packets out of tunnels
//! only, and not for what a worker asked a moment ago. Its size is bounded: what was not used for longest is forgotten first, and a tunnel that
//! comes back gets a new number and a new uid.

use std::cell::{RefCell, RefMut};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use sensor_common::decap::{BY_PROGRAM, GENEVE_PORT, Number, VXLAN_PORT};
use sensor_common::key::{IPPROTO_UDP, Realm};
use sensor_common::{FlowKey, proto};

use crate::base::aging;
use crate::base::time::{DAY, HOUR, SECOND};

/// Most tunnels in a packet (Zeek: Tunnel::max_depth).
pub const MAX_DEPTH: usize = 4;
/// An IP tunnel that comes back after this much silence is a new one, ns (Zeek: Tunnel::ip_tunnel_timeout).
const IP_TUNNEL_TIMEOUT_NS: u64 = DAY;
/// A tunnel in which no connection began for this long is reported as expired, ns (Zeek:
/// Tunnel::expiration_interval).
const EXPIRATION_NS: u64 = HOUR;
/// Entries of a generation; twice as many are kept at most.
const GENERATION_ENTRIES: usize = 1 << 15;

type Aging<K, V> = aging::Aging<K, V, GENERATION_ENTRIES>;

/// A tunnel's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TunnelKind {
    /// IP in IP (RFC 2003, 4213).
    Ip,
    /// AYIYA (draft-massar-v6ops-ayiya-02).
    Ayiya,
    /// Teredo (RFC 4380).
    Teredo,
    /// GTP version 1, user plane (3GPP TS 29.060).
    Gtpv1,
    /// GRE (RFC 2784).
    Gre,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe).
    VxlanGpe,
    /// L2TP version 2 (RFC 2661).
    L2tp,
    /// A proxy's HTTP CONNECT: for tunnel.log alone, nothing is taken out of it here.
    Http,
    /// A proxy that speaks SOCKS: the same.
    Socks,
}

impl TunnelKind {
    /// Whether its header names a virtual network.
    pub fn has_vni(self) -> bool {
        matches!(
            self,
            TunnelKind::Vxlan | TunnelKind::VxlanGpe | TunnelKind::Geneve
        )
    }

    /// Whether it stands for many connections to one proxy.
    pub fn is_proxy(self) -> bool {
        matches!(self, TunnelKind::Http | TunnelKind::Socks)
    }

    /// Zeek's name (Tunnel::Type).
    pub fn name(self) -> &'static str {
        match self {
            TunnelKind::Ip => "Tunnel::IP",
            TunnelKind::Ayiya => "Tunnel::AYIYA",
            TunnelKind::Teredo => "Tunnel::TEREDO",
            TunnelKind::Gtpv1 => "Tunnel::GTPv1",
            TunnelKind::Gre => "Tunnel::GRE",
            TunnelKind::Vxlan | TunnelKind::VxlanGpe => "Tunnel::VXLAN",
            TunnelKind::Geneve => "Tunnel::GENEVE",
            // Not Zeek's, which does not take it apart.
            TunnelKind::L2tp => "Tunnel::L2TP",
            TunnelKind::Http => "Tunnel::HTTP",
            TunnelKind::Socks => "Tunnel::SOCKS",
        }
    }
}

/// The two ends of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelEnds {
    /// The originator's address, network byte order, IPv4 mapped; where there is no connection, the first packet's
    /// sender.
    pub orig: [u8; 16],
    /// The responder's address, in the same form.
    pub resp: [u8; 16],
    /// The originator's port, host byte order; 0 where there is no connection.
    pub orig_port: u16,
    /// The responder's port, in the same form.
    pub resp_port: u16,
    /// IP protocol number.
    pub proto: u8,
    /// The realm of the addresses.
    pub realm: Realm,
}

/// Sender and receiver of a tunnel's packet, and their realm.
pub type Hosts<'a> = (&'a [u8; 16], &'a [u8; 16], Realm);

/// One tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layer {
    /// Its protocol.
    pub kind: TunnelKind,
    /// Between whom it is.
    pub ends: TunnelEnds,
    /// Input of the tunnel's uid: the upper half of the connection's uid if the tunnel is a connection, else the time at which
    /// it began, ns. A proxy has no uid, because it stands for many connections.
    pub n: u64,
}

impl Layer {
    /// Whether it is the same tunnel (Zeek: EncapsulatingConn's operator==).
    fn same(&self, o: &Layer) -> bool {
        let (a, b) = (&self.ends, &o.ends);
        let straight = (a.orig, a.resp) == (b.orig, b.resp);
        let either = straight || (a.orig, a.resp) == (b.resp, b.orig);
        let ends = match self.kind {
            TunnelKind::Ip | TunnelKind::Gre => either,
            TunnelKind::Vxlan | TunnelKind::VxlanGpe => either && a.resp_port == b.resp_port,
            _ => straight && (a.orig_port, a.resp_port) == (b.orig_port, b.resp_port),
        };
        (self.kind, self.n, a.proto, a.realm) == (o.kind, o.n, b.proto, b.realm) && ends
    }
}

/// The tunnels of a packet, outermost first; at least one.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The tunnel number in records; never 0, which means no tunnel.
    pub id: u32,
    /// Outermost first.
    pub layers: Vec<Layer>,
}

impl Stack {
    /// The innermost tunnel's kind.
    pub fn last(&self) -> Option<TunnelKind> {
        self.layers.last().map(|l| l.kind)
    }

    /// Whether one of them names a virtual network.
    pub fn has_vni(&self) -> bool {
        self.layers.iter().any(|l| l.kind.has_vni())
    }

    /// Whether it is made of the same tunnels in the same order.
    pub fn same(&self, other: &Stack) -> bool {
        self.layers.len() == other.layers.len()
            && self.layers.iter().zip(&other.layers).all(|(a, b)| a.same(b))
    }
}

/// The table of tunnels. Clones share it; each has a cache of its own of its last answers, which takes no lock.
#[derive(Default)]
pub struct Tunnels {
    shared: Arc<SharedTable>,
    recent: RefCell<Recent>,
}

impl Clone for Tunnels {
    fn clone(&self) -> Self {
        Tunnels {
            shared: self.shared.clone(),
            recent: RefCell::default(),
        }
    }
}

#[derive(Default)]
struct SharedTable {
    table: Mutex<TunnelTable>,
    /// [`TunnelTable::turn`] when it was last unlocked.
    turn: AtomicU64,
}

/// Cached answers, which hold until the table's next generation.
#[derive(Default)]
struct Recent {
    turn: u64,
    /// By number.
    ids: Places<u32>,
    /// By the number of the outer stack and the connection's number.
    conns: Places<(u32, Layer)>,
    /// By the number of the outer stack and the packet's addresses; also the time of the answer.
    hosts: Places<(u32, [u8; 16], [u8; 16], Realm)>,
}

/// A cache with one entry per place: a key takes the place from another key with the same place.
struct Places<K>(Vec<Option<(K, u64, Arc<Stack>)>>);

/// Places of each kind; a power of two.
const PLACES: usize = 256;
/// How long an answer about hosts holds, ns. Then the table is asked again, so that it learns that they were not silent.
const HOSTS_HOLD_NS: u64 = SECOND;

impl<K> Default for Places<K> {
    fn default() -> Self {
        Places(Vec::new())
    }
}

impl<K: PartialEq> Places<K> {
    fn get(&self, place: u64, key: &K) -> Option<(u64, &Arc<Stack>)> {
        let (k, told, s) = self.0.get(place as usize % PLACES)?.as_ref()?;
        (k == key).then_some((*told, s))
    }

    fn put(&mut self, place: u64, key: K, told: u64, s: &Arc<Stack>) {
        if self.0.is_empty() {
            self.0.resize_with(PLACES, || None);
        }
        if let Some(e) = self.0.get_mut(place as usize % PLACES) {
            *e = Some((key, told, s.clone()));
        }
    }
}

/// A place for two addresses: a hash of them.
fn place((src, dst): (&[u8; 16], &[u8; 16])) -> u64 {
    let fold = |a: &[u8; 16]| {
        let n = u128::from_ne_bytes(*a);
        n as u64 ^ (n >> 64) as u64
    };
    let n = (fold(src).rotate_left(23) ^ fold(dst)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    n >> 32
}

#[derive(Default)]
struct TunnelTable {
    /// By the number of the outer stack (0: none) and the layer.
    stacks: Aging<(u32, Layer), Arc<Stack>>,
    by_id: Aging<u32, Arc<Stack>>,
    /// Stacks of open connections out of which the kernel's program takes packets. It does not say that it uses them, so they
    /// do not age.
    held: HashMap<u32, Arc<Stack>, RandomState>,
    last_id: u32,
    /// IP tunnels by their addresses, the lower first.
    ip: Aging<([u8; 16], [u8; 16], Realm), IpTunnel>,
    /// How often an entry that was known was replaced by another one.
    replaced: u64,
    /// Tunnels that tunnel.log has as discovered: the layer, and when a connection last began in it, ns.
    active: Aging<TunnelEnds, (Layer, u64)>,
}

struct IpTunnel {
    layer: Layer,
    /// The number that the kernel's program gave it; that program then notices its silence. 0: none.
    number: u32,
    since: u64,
    last: u64,
}

impl IpTunnel {
    /// Whether Zeek would have given it up by `now`: it looks every [`IP_TUNNEL_TIMEOUT_NS`].
    fn over(&self, now: u64) -> bool {
        let looks = now.saturating_sub(self.since) / IP_TUNNEL_TIMEOUT_NS;
        let looked = self.since + looks * IP_TUNNEL_TIMEOUT_NS;
        looks > 0 && looked.saturating_sub(self.last) >= IP_TUNNEL_TIMEOUT_NS
    }
}

impl Tunnels {
    fn locked<R>(&self, f: impl FnOnce(&mut TunnelTable) -> R) -> R {
        let mut t = self.shared.table.lock().unwrap_or_else(PoisonError::into_inner);
        let r = f(&mut t);
        self.shared.turn.store(t.turn(), Ordering::Relaxed);
        r
    }

    /// The cached answers that still hold.
    fn recent(&self) -> RefMut<'_, Recent> {
        let mut r = self.recent.borrow_mut();
        let turn = self.shared.turn.load(Ordering::Relaxed);
        if r.turn != turn {
            *r = Recent {
                turn,
                ..Recent::default()
            };
        }
        r
    }

    /// The stack that a record's number names.
    pub fn get(&self, id: u32) -> Option<Arc<Stack>> {
        if id == 0 {
            return None;
        }
        self.by_id(id, |t| t.get(id))
    }

    fn by_id(&self, id: u32, ask: impl FnOnce(&mut TunnelTable) -> Option<Arc<Stack>>) -> Option<Arc<Stack>> {
        let mut recent = self.recent();
        if let Some((_, s)) = recent.ids.get(id.into(), &id) {
            return Some(s.clone());
        }
        let s = self.locked(ask)?;
        recent.ids.put(id.into(), id, 0, &s);
        Some(s)
    }

    /// The way through one tunnel to which the kernel's program gave a number (see [`sensor_common::decap`]). `outer`
    /// has the tunnel's ends. Whoever sees the number first makes the tunnel, and `n` gives the upper half of its uid if it is a connection.
    pub fn numbered(
        &self,
        id: u32,
        outer: &FlowKey,
        now: u64,
        n: impl FnOnce() -> u64,
    ) -> Option<Arc<Stack>> {
        self.by_id(id, |t| match t.get(id) {
            Some(s) => Some(s),
            None => t.make(id, outer, now, n),
        })
    }

    /// As [`Tunnels::numbered`] for the connection that is the tunnel: it holds the number until [`Tunnels::let_go`].
    /// `again`: whatever the number stood for, now it is this connection's.
    pub fn hold(&self, id: u32, outer: &FlowKey, again: bool, n: impl FnOnce() -> u64) -> Option<Arc<Stack>> {
        self.locked(|t| {
            let known = if again { None } else { t.get(id) };
            let s = match known {
                Some(s) => s,
                None => t.make(id, outer, 0, n)?,
            };
            t.held.insert(id, s.clone());
            t.replaced += u64::from(again);
            Some(s)
        })
    }

    /// The connection that is the tunnel is over. Records that name it may still come.
    pub fn let_go(&self, id: u32) {
        self.locked(|t| {
            if let Some(s) = t.held.remove(&id) {
                t.by_id.insert(id, s);
            }
        });
    }

    /// A tunnel of IP packets between two addresses of a realm, in what is `outer` to it. Zeek knows such a tunnel
    /// by its addresses alone: the first packet says what it is.
    pub fn ip(
        &self,
        outer: Option<&Stack>,
        kind: TunnelKind,
        ends @ (src, dst, realm): Hosts<'_>,
        proto: u8,
        now: u64,
    ) -> Arc<Stack> {
        let mut recent = self.recent();
        let key = (outer.map_or(0, |o| o.id), *src, *dst, realm);
        let place = place((src, dst));
        if let Some((told, s)) = recent.hosts.get(place, &key)
            && now.abs_diff(told) < HOSTS_HOLD_NS
        {
            return s.clone();
        }
        let s = self.locked(|t| {
            let layer = t.hosts(kind, ends, proto, now, 0);
            t.push(outer, layer)
        });
        recent.hosts.put(place, key, now, &s);
        s
    }

    /// The stack of a tunnel over a connection inside the tunnels `outer`.
    pub fn conn(&self, outer: Option<&Stack>, layer: Layer) -> Arc<Stack> {
        let mut recent = self.recent();
        let key = (outer.map_or(0, |o| o.id), layer);
        if let Some((_, s)) = recent.conns.get(layer.n, &key) {
            return s.clone();
        }
        let s = self.locked(|t| t.push(outer, layer));
        recent.conns.put(layer.n, key, 0, &s);
        s
    }

    /// Notes a connection in these tunnels: those of them that tunnel.log does not have yet.
    pub fn discover(&self, layers: &[Layer], now: u64) -> Vec<Layer> {
        self.locked(|t| {
            let mut new = Vec::new();
            for l in layers {
                match t.active.get(&l.ends) {
                    Some(a) => a.1 = a.1.max(now),
                    None => {
                        t.active.insert(l.ends, (*l, now));
                        new.push(*l);
                    }
                }
            }
            new
        })
    }

    /// A connection that was a tunnel is over. Returns its layer if tunnel.log has it as discovered.
    pub fn close(&self, ends: &TunnelEnds) -> Option<Layer> {
        self.locked(|t| t.active.remove(ends).map(|a| a.0))
    }

    /// Takes out the tunnels that have expired by `now`, ns. Also returns when the next one may expire, if any are left.
    pub fn expire(&self, now: u64) -> (Vec<Layer>, Option<u64>) {
        let mut over = Vec::new();
        let mut next = None;
        self.locked(|t| {
            t.active.retain(|(layer, last)| {
                let due = last.saturating_add(EXPIRATION_NS);
                if due <= now {
                    over.push(*layer);
                    return false;
                }
                next = Some(next.map_or(due, |n: u64| n.min(due)));
                true
            });
        });
        over.sort_by_key(|l| (l.ends, l.n));
        (over, next)
    }
}

impl TunnelTable {
    /// A number that changes when cached answers may no longer hold, or when the table must be asked again so that it does not
    /// forget what is in use.
    fn turn(&self) -> u64 {
        self.stacks.turns() + self.by_id.turns() + self.ip.turns() + self.replaced
    }

    fn get(&mut self, id: u32) -> Option<Arc<Stack>> {
        match self.held.get(&id) {
            Some(s) => Some(s.clone()),
            None => self.by_id.get(&id).map(|s| s.clone()),
        }
    }

    /// The tunnel between two addresses, made if it is not known. `number`: the kernel program's number for it, or 0.
    fn hosts(
        &mut self,
        kind: TunnelKind,
        (src, dst, realm): Hosts<'_>,
        proto: u8,
        now: u64,
        number: u32,
    ) -> Layer {
        let (a, b) = if src < dst { (*src, *dst) } else { (*dst, *src) };
        let key = (a, b, realm);
        if let Some(k) = self.ip.get(&key) {
            let same = match (k.number, number) {
                (0, _) => !k.over(now),
                (_, 0) => true,
                (a, b) => a == b,
            };
            if same {
                k.last = k.last.max(now);
                k.number = k.number.max(number);
                return k.layer;
            }
        }
        self.replaced += u64::from(self.ip.get(&key).is_some());
        let ends = TunnelEnds {
            orig: *src,
            resp: *dst,
            orig_port: 0,
            resp_port: 0,
            proto,
            realm,
        };
        let layer = Layer { kind, ends, n: now };
        let (since, last) = (now, now);
        self.ip.insert(
            key,
            IpTunnel {
                layer,
                number,
                since,
                last,
            },
        );
        layer
    }

    /// Makes the tunnel of a number that the kernel's program gave.
    fn make(&mut self, id: u32, outer: &FlowKey, now: u64, n: impl FnOnce() -> u64) -> Option<Arc<Stack>> {
        let number = Number::read(id)?;
        let (a, b) = ((outer.a, outer.a_port), (outer.b, outer.b_port));
        let (orig, resp) = if number.from == 0 { (a, b) } else { (b, a) };
        let layer = if number.proto == IPPROTO_UDP {
            let kind = match resp.1 {
                VXLAN_PORT => TunnelKind::Vxlan,
                GENEVE_PORT => TunnelKind::Geneve,
                _ => return None,
            };
            let ends = udp_ends(orig, resp, outer.realm);
            Layer { kind, ends, n: n() }
        } else {
            let kind = if number.proto == proto::GRE {
                TunnelKind::Gre
            } else {
                TunnelKind::Ip
            };
            self.hosts(kind, (&orig.0, &resp.0, outer.realm), number.proto, now, id)
        };
        let s = Arc::new(Stack {
            id,
            layers: vec![layer],
        });
        self.stacks.insert((0, layer), s.clone());
        self.by_id.insert(id, s.clone());
        Some(s)
    }

    fn push(&mut self, outer: Option<&Stack>, layer: Layer) -> Arc<Stack> {
        let key = (outer.map_or(0, |o| o.id), layer);
        if let Some(s) = self.stacks.get(&key) {
            let s = s.clone();
            // Both tables age alike, or a number could be forgotten whose way is still in use.
            if self.by_id.get(&s.id).is_none() {
                self.by_id.insert(s.id, s.clone());
            }
            return s;
        }
        self.last_id = match (self.last_id + 1) % BY_PROGRAM {
            0 => 1,
            n => n,
        };
        let mut layers = outer.map(|o| o.layers.clone()).unwrap_or_default();
        layers.push(layer);
        let s = Arc::new(Stack {
            id: self.last_id,
            layers,
        });
        self.stacks.insert(key, s.clone());
        self.by_id.insert(s.id, s.clone());
        s
    }
}

/// The ends of a UDP connection.
pub fn udp_ends(orig: ([u8; 16], u16), resp: ([u8; 16], u16), realm: Realm) -> TunnelEnds {
    TunnelEnds {
        orig: orig.0,
        resp: resp.0,
        orig_port: orig.1,
        resp_port: resp.1,
        proto: IPPROTO_UDP,
        realm,
    }
}

#[cfg(test)]
mod tests;
