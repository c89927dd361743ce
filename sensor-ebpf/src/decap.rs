//! Tunnels that are taken apart here: VXLAN, Geneve, GRE and IP in IP, as far as the policy asks for it. One level of
//! them is taken apart. A tunnel whose inner packet would raise a weird, is a fragment or is a tunnel itself goes up whole, as
//! if it were not asked for; then userspace takes it apart (`packet/tunnel.rs`, `conn/tunnel.rs`), whose rules these here
//! are a part of.
//!
//! A UDP flow is a tunnel by the port to which its first packet goes, until a packet in it has no such header; GRE and
//! IP in IP are one tunnel between two addresses.

use aya_ebpf::bindings::BPF_NOEXIST;
use sensor_common::atomic::fetch_add64;
use sensor_common::decap::{GENEVE_PORT, Number, PREFIX_LEN, VXLAN_PORT};
use sensor_common::flow::why;
use sensor_common::key::{IPPROTO_UDP, Realm};
use sensor_common::policy::{
    DECAP_GENEVE, DECAP_GRE, DECAP_HOSTS, DECAP_IP, DECAP_UDP, DECAP_VXLAN, VLAN_AWARE, VNI_AWARE,
};
use sensor_common::proto::{self, ERSPAN, ERSPAN_III, TEB};
use sensor_common::{Counter, FlowKey, FlowState, Packet};

use crate::abi::INNER_SLOTS;
use crate::dedup;
use crate::half;
use crate::hook::Hook;
use crate::maps::{Found, HOSTS, HostTunnel, NUMBERED, Scratch, Stats, opaque, policy};
use crate::parse::{Frame, Link, PARSED, Reason, TYPE_IPV4, TYPE_IPV6, field16, field32, link, network};
use crate::{find, track, untracked};

const UDP_LEN: u32 = 8;
const VXLAN_LEN: u32 = 8;
/// RFC 7348, 5: the VNI is valid.
const VXLAN_I: u8 = 0x08;
/// GRE's flag bits (RFC 2784, 2890).
const GRE_CHECKSUM: u16 = 0x8000;
const GRE_KEY: u16 = 0x2000;
const GRE_SEQUENCE: u16 = 0x1000;
/// What follows is an Ethernet frame; no EtherType.
const ETHERNET: u16 = 0;
/// Shortest IP packet, bytes.
const MIN_IP_LEN: u32 = 20;
/// Largest offset of a tunnel's header in its frame, bytes. Tunnels further behind are left to userspace, because the
/// verifier adds up how far offsets may go.
const MAX_HEADER_AT: u32 = 0x200;
const AT: usize = 0x3ff;
/// A tunnel between two addresses that comes back after this much silence is a new one, ns (Zeek:
/// Tunnel::ip_tunnel_timeout; Zeek also looks this often).
const HOSTS_TIMEOUT_NS: u64 = 24 * 3600 * 1_000_000_000;
/// Resolution of the time of a tunnel's last packet, ns. It is coarse because all CPUs share that time.
const LAST_GRAIN_NS: u64 = 100_000_000;

/// Places of this module's programs, see [`Hook::go_on`].
pub const OUTER: u32 = 0;
pub const INNER: u32 = 1;

/// Whether it is the port of a tunnel that is asked for.
#[inline(always)]
fn is_asked(port: u16, bits: u32) -> bool {
    port == VXLAN_PORT && bits & DECAP_VXLAN != 0 || port == GENEVE_PORT && bits & DECAP_GENEVE != 0
}

/// Whether the frame may be of a tunnel that is asked for; `reason` is why it is not tracked, or [`PARSED`].
#[inline(always)]
pub fn may_be(pkt: &Packet, reason: Reason, bits: u32) -> bool {
    let may = if reason == PARSED {
        let (k, udp) = (&pkt.key, pkt.key.proto == IPPROTO_UDP);
        bits & DECAP_UDP != 0 && udp && (is_asked(k.a_port, bits) || is_asked(k.b_port, bits))
    } else {
        bits & DECAP_HOSTS != 0 && reason == Counter::Tunnel as Reason
    };
    may && pkt.segs == 1
}

/// Goes on where [`may_be`] said so.
#[inline(always)]
pub fn outer<H: Hook>(hook: &H) {
    let slot = hook.slot();
    let (Some(stats), Some(w), Some(inner)) = (
        Stats::get(slot),
        Scratch::get(slot),
        Scratch::get(slot + INNER_SLOTS),
    ) else {
        return;
    };
    let bits = policy!(bits);
    // SAFETY: this CPU's scratch, where the program before has left the packet; a live map value.
    unsafe {
        if (*w).ip.proto == IPPROTO_UDP {
            let Some(flow) = find(hook, stats, w) else {
                return stats.add_reason(Scratch::reason(w), 1);
            };
            stats.add(Counter::Tracked, 1);
            udp(hook, w, flow, bits);
            open(hook, w, inner, bits);
            track(hook, stats, Scratch::forget(w), flow);
        } else {
            hosts(hook, w, bits);
            open(hook, w, inner, bits);
        }
        let w = Scratch::forget(w);
        if (*w).found.at != 0 {
            hook.go_on(INNER);
        }
        if (*w).ip.proto != IPPROTO_UDP {
            untracked(hook, stats, w);
        }
    }
}

/// Counts the packet that [`outer`] has found.
#[inline(always)]
pub fn inner<H: Hook>(hook: &H) {
    let slot = hook.slot() + INNER_SLOTS;
    let (Some(stats), Some(outer), Some(w)) =
        (Stats::get(slot), Scratch::get(hook.slot()), Scratch::get(slot))
    else {
        return;
    };
    // SAFETY: this CPU's scratch, where the program before has left the packet.
    unsafe {
        let inside = Inside::new(hook, outer);
        let in_udp = (*outer).ip.proto == IPPROTO_UDP;
        // What is mirrored twice has another header around it each time.
        if policy!(dedup) != 0 && dedup::is_again(&inside, w) {
            return stats.add(
                if in_udp {
                    Counter::InnerDuplicate
                } else {
                    Counter::Duplicate
                },
                1,
            );
        }
        let w = Scratch::forget(w);
        let Some(flow) = find(&inside, stats, w) else {
            return if !in_udp {
                stats.add_reason(Scratch::reason(w), 1);
            } else if Scratch::reason(w) == Counter::TableFull as Reason {
                stats.add(Counter::InnerTableFull, 1);
            };
        };
        if !in_udp {
            stats.add(Counter::Tracked, 1);
        }
        stats.add(Counter::Decapsulated, 1);
        track(&inside, stats, w, flow);
        half::begun(w, slot);
    }
}

/// What [`FlowState::carries`] is for a flow that begins with `pkt`.
#[inline(always)]
pub fn starting(pkt: &Packet, bits: u32) -> u32 {
    if bits & DECAP_UDP == 0 || pkt.key.proto != IPPROTO_UDP || pkt.tunnel != 0 {
        return 0;
    }
    let to = if pkt.dir == 0 {
        pkt.key.b_port
    } else {
        pkt.key.a_port
    };
    if is_asked(to, bits) {
        number(IPPROTO_UDP, pkt.dir)
    } else {
        0
    }
}

#[inline(always)]
fn number(proto: u8, from: u8) -> u32 {
    let Some(count) = NUMBERED.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: a live map value, which all add to in this way.
    Number { proto, from }.of(unsafe { fetch_add64(count, 1) })
}

/// Looks where the packet in a UDP flow's packet lies: [`Scratch::found`].
///
/// # Safety
/// `w` is this CPU's scratch, `flow` a live map value.
#[inline(always)]
unsafe fn udp<H: Hook>(hook: &H, w: *mut Scratch, flow: *mut FlowState, bits: u32) {
    // SAFETY: the caller's word; what `at` returns is readable.
    unsafe {
        let number = (*flow).carries;
        let (pkt, ip) = (&(*w).pkt, &(*w).ip);
        if number == 0 || pkt.l4 as u32 > MAX_HEADER_AT {
            return;
        }
        let port = if number & 1 == 0 {
            pkt.key.b_port
        } else {
            pkt.key.a_port
        };
        let f = hook.frame();
        let l4 = pkt.l4 as usize & AT;
        // As much of the payload as userspace would see.
        let end = pkt.l3 as u32 + pkt.ip_len;
        let end = if end < f.len as u32 { end } else { f.len as u32 };
        let data = pkt.data as u32;
        let there = if end > data { end - data } else { 0 };
        let there = if there < pkt.payload_len {
            there
        } else {
            pkt.payload_len
        };
        if there < VXLAN_LEN {
            // Too short for either header.
            if there != 0 || pkt.payload_len == 0 {
                (*flow).carries = 0;
            }
            return;
        }
        let Ok(p) = f.at::<16>(l4) else { return };
        let first = *p.add(8);
        let (header, typ);
        if port == VXLAN_PORT {
            if first & VXLAN_I == 0 {
                (*flow).carries = 0;
                return;
            }
            (header, typ) = (VXLAN_LEN, ETHERNET);
        } else {
            if first >> 6 != 0 {
                return;
            }
            header = 8 + (first & 0x3f) as u32 * 4;
            if header > there {
                (*flow).carries = 0;
                return;
            }
            typ = match field16(p, 10) {
                TEB => ETHERNET,
                t @ (TYPE_IPV4 | TYPE_IPV6) => t,
                _ => return,
            };
        }
        // Userspace raises a weird for lengths that contradict each other.
        if field16(p, 4) as u32 != ip.rest || header > pkt.payload_len {
            return;
        }
        (*w).found = Found {
            at: pkt.l4 as u32 + UDP_LEN + header,
            wire: pkt.payload_len - header,
            number,
            typ: typ as u32,
            len: 0,
            // In the same place of both headers (RFC 7348, 5; RFC 8926, 3.4), 24 bits.
            realm: if bits & VNI_AWARE != 0 {
                field32(p, 8 + 4) >> 8
            } else {
                Found::SAYS_NONE
            },
        };
    }
}

/// A packet that userspace found and takes apart itself: notes if it shows that its flow is no tunnel.
///
/// # Safety
/// As for [`udp`].
#[inline(always)]
pub unsafe fn refute<H: Hook>(hook: &H, w: *mut Scratch, flow: *mut FlowState) {
    // SAFETY: the caller's word.
    unsafe {
        udp(hook, w, flow, 0);
        (*Scratch::forget(w)).found.at = 0;
    }
}

/// As [`udp`], of GRE and IP in IP, of which the IP header was parsed.
///
/// # Safety
/// `w` is this CPU's scratch.
#[inline(always)]
unsafe fn hosts<H: Hook>(hook: &H, w: *mut Scratch, bits: u32) {
    // SAFETY: the caller's word; what `at` returns is readable.
    unsafe {
        let ip = &(*w).ip;
        if ip.next > MAX_HEADER_AT {
            return;
        }
        let f = hook.frame();
        let (mut header, mut typ) = (0, TYPE_IPV6);
        if ip.proto == proto::GRE {
            if bits & DECAP_GRE == 0 {
                return;
            }
            let Some(found) = gre(f, ip.next) else { return };
            (header, typ) = found;
        } else if bits & DECAP_IP == 0 {
            return;
        } else if ip.proto == proto::IPV4 {
            typ = TYPE_IPV4;
        }
        if header > ip.rest {
            return;
        }
        (*w).found = Found {
            at: ip.next + header,
            wire: ip.rest - header,
            // Given when it is known to carry something.
            number: 0,
            typ: typ as u32,
            len: 0,
            realm: Found::SAYS_NONE,
        };
    }
}

/// The length of the GRE header at `at` and of what belongs to it, and the EtherType of what follows.
///
/// # Safety
/// None but the frame's own.
#[inline(always)]
unsafe fn gre(f: Frame, at: u32) -> Option<(u32, u16)> {
    let at = at as usize & AT;
    let p = f.at::<4>(at).ok()?;
    // SAFETY: 4 bytes are there.
    let (flags, typ) = unsafe { (field16(p, 0), field16(p, 2)) };
    // Routing, acknowledgements, what is reserved, other versions.
    if flags & !(GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE) != 0 {
        return None;
    }
    let field = |bit: u16| if flags & bit != 0 { 4 } else { 0 };
    let header = 4 + field(GRE_CHECKSUM) + field(GRE_KEY) + field(GRE_SEQUENCE);
    match typ {
        TYPE_IPV4 | TYPE_IPV6 => Some((header, typ)),
        TEB => Some((header, ETHERNET)),
        // With a sequence number it is type II and has a header.
        ERSPAN if flags & GRE_SEQUENCE != 0 => Some((header + 8, ETHERNET)),
        ERSPAN => Some((header, ETHERNET)),
        ERSPAN_III => {
            // Its last bit tells of eight bytes more.
            let p = f.at::<12>(at + header as usize).ok()?;
            // SAFETY: 12 bytes are there.
            let more = unsafe { *p.add(11) } & 1 != 0;
            Some((header + if more { 20 } else { 12 }, ETHERNET))
        }
        _ => None,
    }
}

/// Parses the packet that [`udp`] or [`hosts`] found into the inner scratch. If it is not one to be counted here,
/// [`Found::at`] is 0 from here on.
///
/// # Safety
/// `w` is this CPU's scratch.
#[inline(always)]
unsafe fn open<H: Hook>(hook: &H, w: *mut Scratch, inner: *mut Scratch, bits: u32) {
    // SAFETY: the caller's word.
    unsafe {
        let w = Scratch::forget(w);
        let Found { at, wire, typ, .. } = (*w).found;
        if at == 0 {
            return;
        }
        (*w).found.at = 0;
        let f = hook.frame();
        if at as usize >= f.len || wire < MIN_IP_LEN || at as usize > AT {
            return;
        }
        let there = f.len as u32 - at;
        (*w).found.len = if there < wire { there } else { wire };
        (*inner).pkt = Packet {
            ts: (*w).pkt.ts,
            segs: 1,
            ..Default::default()
        };
        let f = Frame {
            // Opaque: or the compiler, which knows better, leaves out what the verifier needs.
            data: f.data + (opaque(at as u64) as usize & AT),
            end: f.end,
            len: (*w).found.len as usize,
            wire: wire as usize,
        };
        let way = if typ == ETHERNET as u32 {
            link(f)
        } else {
            let (typ, realm) = (typ as u16, Realm::NONE);
            Ok(Link { l3: 0, typ, realm })
        };
        let Ok(Link { l3, typ, realm }) = way else { return };
        let said = (*w).found.realm;
        (*inner).ip.realm = if said != Found::SAYS_NONE {
            said
        } else if bits & VLAN_AWARE != 0 && realm != Realm::NONE {
            realm.number()
        } else {
            (*w).ip.realm
        };
        if network(f, l3, typ, inner).is_err() {
            return;
        }
        let (w, inner) = (Scratch::forget(w), Scratch::forget(inner));
        let mut number = (*w).found.number;
        if number == 0 {
            let ip = &(*w).ip;
            // Userspace raises a weird for an inner packet that does not fill IP in IP.
            if ip.proto != proto::GRE && (*inner).pkt.ip_len != ip.rest {
                return;
            }
            number = between_hosts(w);
            if number == 0 {
                return;
            }
        }
        (*inner).pkt.tunnel = number;
        (*w).found.at = at;
    }
}

/// The number of the tunnel between the addresses in `w`, where the key becomes that of the tunnel.
///
/// # Safety
/// `w` is this CPU's scratch.
#[inline(always)]
unsafe fn between_hosts(w: *mut Scratch) -> u32 {
    // SAFETY: the caller's word; live map values.
    unsafe {
        let (ip, pkt) = (&(*w).ip, &mut (*w).pkt);
        let from;
        (pkt.key, from) = ip.hosts();
        let now = pkt.ts;
        if let Some(t) = HOSTS.get_ptr_mut(&pkt.key) {
            let (since, last) = ((*t).since, (*t).last);
            if now > last && now - last >= LAST_GRAIN_NS {
                let looked = since + (now - since) / HOSTS_TIMEOUT_NS * HOSTS_TIMEOUT_NS;
                if looked > last && looked - last >= HOSTS_TIMEOUT_NS {
                    (*t).number = number(ip.proto, from);
                    (*t).since = now;
                }
                (*t).last = now;
            }
            return (*t).number;
        }
        let new = HostTunnel {
            number: number(ip.proto, from),
            pad: 0,
            since: now,
            last: now,
        };
        // Of two CPUs that come here at once, one makes the entry and both use it.
        let _ = HOSTS.insert(&pkt.key, &new, BPF_NOEXIST as u64);
        HOSTS.get_ptr_mut(&pkt.key).map_or(0, |t| (*t).number)
    }
}

/// A packet of a flow that may be a tunnel: what is to be done with it beside what its flow says.
///
/// # Safety
/// `w` is this CPU's scratch, `flow` a live map value.
#[inline(always)]
pub unsafe fn of_tunnel(w: *mut Scratch, flow: *const FlowState) {
    // SAFETY: the caller's word.
    unsafe {
        (*w).pkt.carries = (*flow).carries;
        if (*w).found.at == 0 {
            return;
        }
        let mut why = (*w).out.why | why::OPENED;
        if (*flow).taken == 0 {
            why |= why::TAKEN;
        }
        if why & why::ALL == 0 {
            why = why & !why::PAYLOAD | why::SHED;
        }
        (*w).out.why = why;
    }
}

/// The packet that was found in a hook's frame, as a hook sees one; its offsets include the prefix.
struct Inside<'h, H> {
    hook: &'h H,
    at: u32,
    len: u32,
    wire: u32,
    outer: *const FlowKey,
}

impl<'h, H: Hook> Inside<'h, H> {
    /// What [`open`] left in [`Scratch::found`].
    ///
    /// # Safety
    /// `w` is this CPU's scratch.
    #[inline(always)]
    unsafe fn new(hook: &'h H, w: *const Scratch) -> Self {
        // SAFETY: the caller's word.
        unsafe {
            let Found { at, len, wire, .. } = (*w).found;
            Inside {
                hook,
                at,
                len: len + PREFIX_LEN as u32,
                wire: wire + PREFIX_LEN as u32,
                outer: &raw const (*w).pkt.key,
            }
        }
    }
}

impl<H: Hook> Hook for Inside<'_, H> {
    const PREFIX: usize = PREFIX_LEN;
    type Ctx = H::Ctx;
    #[inline(always)]
    fn ctx(&self) -> &H::Ctx {
        self.hook.ctx()
    }
    #[inline(always)]
    fn frame(&self) -> Frame {
        // For its length alone.
        Frame {
            data: 0,
            end: 0,
            len: self.len as usize,
            wire: self.wire as usize,
        }
    }
    #[inline(always)]
    fn more(&self, _: Reason) -> bool {
        false
    }
    #[inline(always)]
    unsafe fn load(&self, _: u32, dst: *mut u8, n: u32) -> bool {
        const PREFIX: u32 = PREFIX_LEN as u32;
        if n <= PREFIX {
            return false;
        }
        // SAFETY: the caller's word for `dst`.
        unsafe {
            self.prefix(dst);
            self.hook.load(self.at, dst.add(PREFIX_LEN), n - PREFIX)
        }
    }
    #[inline(always)]
    unsafe fn prefix(&self, dst: *mut u8) {
        // SAFETY: the caller's word for `dst`; a key is whole words.
        unsafe {
            for i in 0..PREFIX_LEN / 8 {
                let word = self.outer.cast::<u64>().add(i).read_unaligned();
                dst.cast::<u64>().add(i).write(word);
            }
        }
    }
    #[inline(always)]
    unsafe fn load_few<const MOST: u32>(&self, from: u32, dst: *mut u8, n: u32) -> bool {
        // SAFETY: the caller's word for `dst`.
        unsafe {
            self.hook
                .load_few::<MOST>(from + self.at - PREFIX_LEN as u32, dst, n)
        }
    }
    #[inline(always)]
    fn wire_len(&self) -> u32 {
        self.wire
    }
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        self.hook.ifindex()
    }
    #[inline(always)]
    fn segs(&self) -> u32 {
        1
    }
    #[inline(always)]
    fn time(&self) -> u64 {
        self.hook.time()
    }
    #[inline(always)]
    fn slot(&self) -> u32 {
        self.hook.slot() + INNER_SLOTS
    }
    #[inline(always)]
    fn go_on(&self, _: u32) {}
    #[inline(always)]
    unsafe fn tunnel(&self, w: *mut Scratch, _: *const FlowState) {
        const PREFIX: u16 = PREFIX_LEN as u16;
        // SAFETY: the caller's word.
        unsafe {
            (*w).out.why |= why::INSIDE;
            let pkt = &mut (*w).pkt;
            pkt.l3 += PREFIX;
            pkt.l4 += PREFIX;
            pkt.data += PREFIX;
        }
    }
}
