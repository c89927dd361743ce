//! What becomes of a flow that begins: rules that userspace has put into tables, see [`sensor_common::filter`].

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::{Key, LpmTrie};
use aya_ebpf::maps::{Array, HashMap};
use sensor_common::filter::{Filter, LEAVE_OUT, Net, PORTS, PROTOCOLS, Sides, VLANS, WATCH, in_sample};
use sensor_common::key::{IPPROTO_TCP, IPPROTO_UDP};

use crate::maps::{Scratch, policy};

/// The rules. Userspace sets the sizes of the tables; while they have no room nothing is asked of them.
#[map]
static FILTER: Array<Filter> = Array::with_max_entries(1, 0);

/// Networks.
#[map]
static FILTER_NETS: LpmTrie<Net, Sides> = LpmTrie::with_max_entries(1, BPF_F_NO_PREALLOC);

/// Ports of TCP and UDP, the first half before the second one.
#[map]
static FILTER_PORTS: Array<Sides> = Array::with_max_entries(1, 0);

/// IP protocols.
#[map]
static FILTER_PROTOCOLS: Array<u64> = Array::with_max_entries(1, 0);

/// Outer VLAN ids, where keys know them.
#[map]
static FILTER_VLANS: Array<u64> = Array::with_max_entries(1, 0);

/// Interfaces' numbers, the half in the upper 32 bits; 0 is for all others.
#[map]
static FILTER_INTERFACES: HashMap<u64, u64> = HashMap::with_max_entries(1, 0);

/// The rules for an address; without an answer, all of them.
#[inline(always)]
fn net(half: u32, addr: [u8; 16]) -> Sides {
    const ALL: Sides = Sides {
        src: u64::MAX,
        dst: u64::MAX,
    };
    FILTER_NETS
        .get(Key::new(Net::HALF_BITS + 128, Net::new(half, addr)))
        .copied()
        .unwrap_or(ALL)
}

#[inline(always)]
fn word(found: Option<&u64>) -> u64 {
    found.copied().unwrap_or(u64::MAX)
}

/// What becomes of the flow that the packet in the scratch memory of `slot` begins. A global function, see
/// [`crate::half`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn sensor_filter(slot: u32) -> u32 {
    let (Some(w), Some(filter)) = (Scratch::get(slot), FILTER.get(0)) else {
        return WATCH;
    };
    // SAFETY: this CPU's scratch.
    let (pkt, iface) = unsafe { (&(*w).pkt, (*w).iface) };
    let key = &pkt.key;
    let half = filter.active & 1;
    let rules = if half == 0 {
        filter.rules[0]
    } else {
        filter.rules[1]
    };
    let mut verdict = WATCH;
    if !rules.watch_all() {
        let (src, dst, sport, dport) = if pkt.dir == 0 {
            (key.a, key.b, key.a_port, key.b_port)
        } else {
            (key.b, key.a, key.b_port, key.a_port)
        };
        let mut rest = net(half, src).src & net(half, dst).dst;
        if key.proto == IPPROTO_TCP || key.proto == IPPROTO_UDP {
            let first = half * PORTS;
            rest &= FILTER_PORTS.get(first + sport as u32).map_or(u64::MAX, |s| s.src);
            rest &= FILTER_PORTS.get(first + dport as u32).map_or(u64::MAX, |s| s.dst);
        }
        rest &= word(FILTER_PROTOCOLS.get(half * PROTOCOLS + key.proto as u32));
        let (vlan, _) = key.realm.vlans();
        rest &= word(FILTER_VLANS.get(half * VLANS + vlan as u32 % VLANS));
        let of = |i: u32| (half as u64) << 32 | i as u64;
        // SAFETY: userspace changes the half that does not count.
        rest &= unsafe {
            match FILTER_INTERFACES.get(&of(iface)) {
                Some(found) => *found,
                None => word(FILTER_INTERFACES.get(&of(0))),
            }
        };
        verdict = rules.verdict(rest);
    }
    if verdict == WATCH && !in_sample(key.ring_hash(policy!(seed)), policy!(sample)) {
        return LEAVE_OUT;
    }
    verdict
}
