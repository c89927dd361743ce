//! Tunnels as connections see them: which tunnels a connection's packets came through, and the UDP
//! connections that are tunnels themselves.
//!
//! The rules are Zeek's: a connection is the same one whatever tunnels its packets came through (its
//! key has no tunnel in it), the change is an event; the responder's port says which tunnel protocol
//! it is, and where it says nothing, AYIYA and Teredo are looked for in each packet.

use std::sync::Arc;

use sensor_common::decap::{GENEVE_PORT, VXLAN_GPE_PORT, VXLAN_LINUX_PORT, VXLAN_PORT};
use sensor_common::flow::why;
use sensor_common::key::{IPPROTO_UDP, Realm};
use sensor_common::{RecordHeader, policy};

use super::ends::{addr, proto};
use super::row::TunnelRow;
use super::shared::{Core, Run, Shared};
use super::sink::Sink;
use super::timer::{self, Timer};
use super::udp_tunnel::UdpTunnel;
use super::uid;
use crate::analyzer::Id;
use crate::base::time::SECOND;
use crate::datapath::soft::InnerPacket;
use crate::datapath::tunnels::{self, Layer, MAX_DEPTH, Stack, TunnelEnds, TunnelKind};
use crate::event::{self, Encap, Ts, Uid};
use crate::packet;
use crate::packet::link::LinkType;
use crate::packet::tunnel::{self, Found, Gtp, Teredo};
use crate::packet::weird::Weird;

/// Registered port (IANA).
const L2TP_PORT: u16 = 1701;

/// Most changes that are told per connection (Zeek: Tunnel::max_changes_per_connection).
const MAX_CHANGES: u8 = 5;
/// How often it is looked for expired tunnels, ns (Zeek: table_expire_interval).
const EXPIRE_INTERVAL: u64 = 10 * SECOND;

fn bit(k: TunnelKind) -> u16 {
    1 << k as u8
}

/// The tunnel protocol of a responder's port.
fn by_port(port: u16) -> Option<TunnelKind> {
    Some(match port {
        VXLAN_PORT | VXLAN_LINUX_PORT => TunnelKind::Vxlan,
        VXLAN_GPE_PORT => TunnelKind::VxlanGpe,
        GENEVE_PORT => TunnelKind::Geneve,
        3544 => TunnelKind::Teredo,
        2123 | 2152 => TunnelKind::Gtpv1,
        5072 => TunnelKind::Ayiya,
        4754 => TunnelKind::Gre,
        L2TP_PORT => TunnelKind::L2tp,
        _ => return None,
    })
}

fn id(k: TunnelKind) -> Option<Id> {
    Some(match k {
        TunnelKind::Vxlan | TunnelKind::VxlanGpe => Id::vxlan,
        TunnelKind::Geneve => Id::geneve,
        TunnelKind::Teredo => Id::teredo,
        TunnelKind::Gtpv1 => Id::gtpv1,
        TunnelKind::Ayiya => Id::ayiya,
        // Zeek has no analyzer for L2TP.
        TunnelKind::Gre | TunnelKind::Ip | TunnelKind::Http | TunnelKind::Socks | TunnelKind::L2tp => {
            return None;
        }
    })
}

impl<S: Sink> Shared<S> {
    fn uid(&self, l: &Layer) -> Uid {
        match l.kind {
            // Between hosts, without a connection.
            TunnelKind::Ip | TunnelKind::Gre => uid::of_hosts(self.cfg.seed, l.n, &l.ends),
            _ => uid::of_ends(l.n, &l.ends),
        }
    }

    /// tunnel.log has each tunnel when the first connection in it begins.
    fn discover(&mut self, layers: &[Layer], now: Ts) {
        for l in self.cfg.tunnels.discover(layers, now) {
            self.tunnel_row(&l, "Tunnel::DISCOVER", now);
        }
        if !self.tunnels_armed {
            self.arm_tunnels(now + EXPIRE_INTERVAL);
        }
    }

    fn arm_tunnels(&mut self, at: Ts) {
        self.tunnels_armed = true;
        self.wheel
            .arm(Timer::new(at, timer::TUNNELS, 0, timer::Kind::Status, 0));
    }

    /// The timer for tunnels in which nothing began for long.
    pub fn expire_tunnels(&mut self, now: Ts) {
        self.tunnels_armed = false;
        let (over, next) = self.cfg.tunnels.expire(now);
        for l in over {
            self.tunnel_row(&l, "Tunnel::EXPIRE", now);
        }
        if let Some(next) = next {
            self.arm_tunnels(next.max(now + EXPIRE_INTERVAL));
        }
    }

    fn tunnel_row(&mut self, l: &Layer, action: &'static str, ts: Ts) {
        let uid = (!l.kind.is_proxy()).then(|| self.uid(l));
        self.outlet.sink.log(&TunnelRow {
            ts,
            uid,
            orig_h: addr(&l.ends.orig),
            orig_p: l.ends.orig_port,
            resp_h: addr(&l.ends.resp),
            resp_p: l.ends.resp_port,
            tunnel_type: l.kind.name(),
            action,
        });
    }
}

impl<S: Sink> Core<'_, S> {
    /// A proxy of this kind is asked for another connection. All connections to the proxy are one tunnel: the originator's
    /// port says nothing (Zeek: http_reply, socks_request).
    pub fn proxies(&mut self, kind: TunnelKind) {
        let ends = TunnelEnds {
            orig_port: 0,
            proto: self.conn.key.proto,
            ..self.udp_ends()
        };
        self.sh.discover(&[Layer { kind, ends, n: 0 }], self.ts);
    }

    /// A packet's sender and receiver.
    fn ends(&self, dir: u8) -> ([u8; 16], [u8; 16]) {
        let k = &self.conn.key;
        if dir == 0 { (k.a, k.b) } else { (k.b, k.a) }
    }

    fn udp_ends(&self) -> TunnelEnds {
        let (orig, resp) = self.ends(self.conn.orig_dir);
        let realm = self.conn.key.realm;
        tunnels::udp_ends(
            (orig, self.conn.orig_port()),
            (resp, self.conn.resp_port()),
            realm,
        )
    }
}

impl<S: Sink> Run<'_, S> {
    /// The connection's first packet came out of tunnels.
    pub fn enter(&mut self, tunnel: u32) {
        let Some(stack) = self.sh.cfg.tunnels.get(tunnel) else {
            return;
        };
        self.add_parent(&stack);
        self.core.sh.discover(&stack.layers, self.core.ts);
        self.conn.extra().encap = Some(stack);
    }

    /// The uid of the innermost tunnel goes to conn.log.
    fn add_parent(&mut self, stack: &Stack) {
        let Some(uid) = stack.layers.last().map(|l| self.sh.uid(l)) else {
            return;
        };
        let parents = &mut self.conn.extra().tunnel_parents;
        if !parents.contains(&uid) {
            parents.push(uid);
        }
    }

    /// A later packet came out of these tunnels (0: none): others than before?
    #[inline]
    pub fn check_encap(&mut self, tunnel: u32) {
        let before = self.conn.extra.as_ref().and_then(|e| e.encap.as_ref());
        if before.map_or(0, |s| s.id) != tunnel {
            self.encap_differs(tunnel);
        }
    }

    #[cold]
    fn encap_differs(&mut self, tunnel: u32) {
        let stack = self.sh.cfg.tunnels.get(tunnel);
        let extra = self.conn.extra();
        let same = match (&extra.encap, &stack) {
            (Some(a), Some(b)) => a.same(b),
            (None, None) => true,
            _ => false,
        };
        extra.encap.clone_from(&stack);
        if same {
            return;
        }
        if extra.tunnel_changes >= MAX_CHANGES {
            let limit = MAX_CHANGES.to_string();
            self.weird("tunnel_max_changes_per_connection_exceeded", &limit);
            self.gave_up();
            return;
        }
        extra.tunnel_changes += 1;
        if let Some(s) = &stack {
            self.add_parent(s);
        }
        if self.sh.subs.wants(event::TunnelChanged::KIND) {
            let layers = stack.as_ref().map_or(&[][..], |s| &s.layers);
            let e: Vec<Encap<'_>> = layers
                .iter()
                .map(|l| Encap {
                    orig_h: addr(&l.ends.orig),
                    orig_p: l.ends.orig_port,
                    resp_h: addr(&l.ends.resp),
                    resp_p: l.ends.resp_port,
                    proto: proto(l.ends.proto),
                    tunnel_type: l.kind.name(),
                    uid: self.sh.uid(l),
                })
                .collect();
            super::shared::raise!(self, TunnelChanged, e: &e);
        }
        if let Some(s) = &stack {
            self.core.sh.discover(&s.layers, self.core.ts);
        }
    }

    /// Whether packets were taken out of this connection, and more may be.
    pub fn is_tunnel(&self) -> bool {
        self.conn.key.proto == IPPROTO_UDP
            && (by_port(self.conn.resp_port()).is_some_and(|k| self.may_be(k))
                || self.conn.extra.as_ref().is_some_and(|e| {
                    let t = &e.tunnel;
                    t.used && t.violated & (bit(TunnelKind::Teredo) | bit(TunnelKind::Ayiya)) == 0
                }))
    }

    /// Whether the analyzer has not been refuted; GTP's goes on all the same, as Zeek's does.
    fn may_be(&self, k: TunnelKind) -> bool {
        k == TunnelKind::Gtpv1
            || self
                .conn
                .extra
                .as_ref()
                .is_none_or(|e| e.tunnel.violated & bit(k) == 0)
    }

    /// The kernel's program takes packets out of the connection, under this number.
    pub fn numbered(&mut self, number: u32) {
        self.conn.extra().tunnel.number = number;
    }

    /// The kernel's program has taken the packet out of a datagram.
    fn opened(&mut self) {
        if let Some(kind) = by_port(self.conn.resp_port()).filter(|k| self.may_be(*k)) {
            self.confirmed(kind);
            self.conn.extra().tunnel.used = true;
        }
    }

    /// A UDP datagram: the packet in it, if it is a tunnel's.
    pub fn tunnelled(&mut self, rec: &RecordHeader, frame: &[u8], first: bool) -> Option<InnerPacket> {
        if rec.why & why::OPENED != 0 {
            self.opened();
            return None;
        }
        let p = &rec.pkt;
        let payload = packet::payload(p, frame);
        let start = p.data as usize;
        let end = start + payload.len();
        if payload.is_empty() && p.payload_len > 0 {
            // Its payload was not forwarded.
            return None;
        }
        let kind = by_port(self.conn.resp_port()).or_else(|| {
            if tunnel::looks_like_ayiya(payload) {
                Some(TunnelKind::Ayiya)
            } else {
                tunnel::looks_like_teredo(payload).then_some(TunnelKind::Teredo)
            }
        })?;
        if !self.may_be(kind) {
            return None;
        }
        let outer = self.conn.extra.as_ref().and_then(|e| e.encap.clone());
        let outer = outer.as_deref();
        let (src, dst) = self.ends(p.dir);
        let too_deep = outer.is_some_and(|s| s.layers.len() >= MAX_DEPTH);
        if too_deep && !matches!(kind, TunnelKind::Gtpv1 | TunnelKind::Gre) {
            self.gave_up();
            self.packet_weird(Weird::ExceededTunnelMaxDepth, outer, Some((&src, &dst)));
            return None;
        }
        let found = match kind {
            TunnelKind::Vxlan => tunnel::vxlan(payload),
            TunnelKind::VxlanGpe => tunnel::vxlan_gpe(payload),
            TunnelKind::L2tp => tunnel::l2tp(payload),
            TunnelKind::Geneve => tunnel::geneve(payload),
            TunnelKind::Ayiya => tunnel::ayiya(payload),
            TunnelKind::Teredo => self.teredo(payload, self.conn.dir(p.dir as usize)),
            TunnelKind::Gtpv1 => self.gtpv1(payload, outer, too_deep),
            TunnelKind::Gre | TunnelKind::Ip | TunnelKind::Http | TunnelKind::Socks => {
                let (at, link, stack) = self.gre(payload, outer, (&src, &dst), too_deep)?;
                self.used(&stack, first);
                return Some(self.inner(start + at, end, link, stack));
            }
        };
        let (at, link) = match found {
            Found::Packet { at, link } => (at, link),
            Found::Nothing => return None,
            Found::Weird(w) => {
                self.packet_weird(w, outer, Some((&src, &dst)));
                return None;
            }
            Found::Violation(reason) => {
                self.violated(kind, reason);
                return None;
            }
        };
        // Teredo is sure when both sides have sent it (Zeek: Tunnel::delay_teredo_confirmation).
        let sure = kind != TunnelKind::Teredo
            || self
                .conn
                .extra
                .as_ref()
                .is_some_and(|e| e.tunnel.teredo == [true; 2]);
        if sure {
            self.confirmed(kind);
        }
        if at >= payload.len() {
            let w = match kind {
                TunnelKind::Geneve => Weird::GeneveEmpty,
                TunnelKind::Ayiya => Weird::AyiyaEmpty,
                _ => Weird::VxlanEmpty,
            };
            self.packet_weird(w, outer, Some((&src, &dst)));
            return None;
        }
        let layer = Layer {
            kind,
            ends: self.udp_ends(),
            n: self.conn.uid_hi,
        };
        let stack = self.sh.cfg.tunnels.conn(outer, layer);
        self.used(&stack, first);
        let mut inner = self.inner(start + at, end, link?, stack);
        if kind.has_vni() && self.sh.cfg.realms & policy::VNI_AWARE != 0 {
            inner.realm = Realm::of_number(tunnel::vni(payload));
        }
        Some(inner)
    }

    /// A packet was taken out of the connection, its first or a later one.
    fn used(&mut self, stack: &Arc<Stack>, first: bool) {
        let extra = self.conn.extra();
        extra.tunnel.used = true;
        if first && extra.encap.is_some() {
            // Zeek's connection shares its first packet's stack, to which the tunnel in it is added; the
            // next packet then comes through other tunnels.
            extra.encap = Some(stack.clone());
        }
    }

    /// A packet that was found in the connection's.
    fn inner(&self, at: usize, end: usize, link: LinkType, tunnel: Arc<Stack>) -> InnerPacket {
        InnerPacket {
            at,
            end,
            link,
            cut: 0,
            tunnel,
            realm: self.conn.key.realm,
        }
    }

    fn teredo(&mut self, payload: &[u8], side: usize) -> Found {
        let known = |e: &UdpTunnel| e.confirmed & bit(TunnelKind::Teredo) != 0;
        let at = match tunnel::teredo(payload) {
            Teredo::Ipv6(at) => at,
            Teredo::BubbleWithBytes(at) => {
                self.weird_from("Teredo_bubble_with_payload", "", "TEREDO");
                at
            }
            Teredo::Bad(reason, name) => {
                if let Some(name) = name
                    && self.conn.extra.as_ref().is_some_and(|e| known(&e.tunnel))
                {
                    self.weird_from(name, "", "TEREDO");
                }
                return Found::Violation(reason);
            }
        };
        self.conn.extra().tunnel.teredo[side] = true;
        Found::Packet {
            at,
            link: Some(LinkType::RAW),
        }
    }

    fn gtpv1(&mut self, payload: &[u8], outer: Option<&Stack>, too_deep: bool) -> Found {
        let found = tunnel::gtpv1(payload);
        if found == Gtp::Bad(tunnel::GTP_CUT) {
            return Found::Violation(tunnel::GTP_CUT);
        }
        if too_deep {
            self.core
                .sh
                .net_weird(self.core.ts, Weird::TunnelDepth.name(), "", None);
            return Found::Nothing;
        }
        if outer.and_then(Stack::last) == Some(TunnelKind::Gtpv1) {
            return Found::Violation("GTP-in-GTP");
        }
        match found {
            Gtp::Packet(at) => Found::Packet {
                at,
                link: Some(LinkType::RAW),
            },
            Gtp::Other => Found::Nothing,
            Gtp::Bad(reason) => Found::Violation(reason),
        }
    }

    /// GRE in UDP (RFC 8086): a tunnel between two addresses, like GRE in IP.
    fn gre(
        &mut self,
        payload: &[u8],
        outer: Option<&Stack>,
        ends: (&[u8; 16], &[u8; 16]),
        too_deep: bool,
    ) -> Option<(usize, LinkType, Arc<Stack>)> {
        let found = tunnel::gre(payload).and_then(|g| {
            if too_deep {
                return Err(Weird::ExceededTunnelMaxDepth);
            }
            match g.inner {
                tunnel::InnerType::Link(link) => Ok((g.at, link)),
                tunnel::InnerType::Ip(proto) => {
                    match tunnel::check_ip(proto, payload.get(g.at..).unwrap_or(&[])).weird() {
                        None => Ok((g.at, LinkType::RAW)),
                        Some(w) => Err(w),
                    }
                }
            }
        });
        match found {
            Ok((at, link)) => {
                let tunnels = &self.sh.cfg.tunnels;
                let ends = (ends.0, ends.1, self.conn.key.realm);
                let stack = tunnels.ip(outer, TunnelKind::Gre, ends, IPPROTO_UDP, self.ts);
                Some((at, link, stack))
            }
            Err(w) => {
                self.packet_weird(w, outer, Some(ends));
                None
            }
        }
    }

    /// A weird of the packet as such.
    fn packet_weird(&mut self, w: Weird, outer: Option<&Stack>, ends: Option<(&[u8; 16], &[u8; 16])>) {
        let name = if outer.is_some() {
            w.name_in_tunnel()
        } else {
            w.name()
        };
        self.core.sh.net_weird(self.core.ts, name, "", ends);
    }

    fn confirmed(&mut self, kind: TunnelKind) {
        let t = &mut self.conn.extra().tunnel;
        if (t.confirmed | t.violated) & bit(kind) != 0 {
            return;
        }
        t.confirmed |= bit(kind);
        if let Some(id) = id(kind) {
            self.app_confirm(id);
        }
    }

    fn violated(&mut self, kind: TunnelKind, reason: &str) {
        let t = &mut self.conn.extra().tunnel;
        if t.violated & bit(kind) != 0 {
            return;
        }
        t.violated |= bit(kind);
        t.confirmed &= !bit(kind);
        if let Some(id) = id(kind) {
            self.app_violation(id, reason);
        }
    }

    /// The connection is over, and with it the tunnel that it was.
    pub fn leave(&mut self) {
        let Some(t) = self.conn.extra.as_ref().map(|e| e.tunnel) else {
            return;
        };
        if t.number != 0 {
            self.sh.cfg.tunnels.let_go(t.number);
        }
        if !t.used {
            return;
        }
        let ends = self.udp_ends();
        if let Some(l) = self.sh.cfg.tunnels.close(&ends) {
            self.core.sh.tunnel_row(&l, "Tunnel::CLOSE", self.core.ts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel program spreads tunnels over the rings by these ports. L2TP's two directions are one flow.
    #[test]
    fn the_ports_are_those_that_choose_a_ring() {
        for port in 0..=u16::MAX {
            assert_eq!(
                by_port(port).is_some(),
                sensor_common::key::is_tunnel_port(port) || port == L2TP_PORT,
                "{port}"
            );
        }
    }
}
