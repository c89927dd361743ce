//! What the kernel forwards: set once, from what somebody subscribed to.

/// Every tracked packet goes to userspace, whole.
pub const ALL_PACKETS: u32 = 1 << 0;
/// Payload-bearing packets are forwarded while their direction is not shed.
pub const PAYLOAD: u32 = 1 << 1;
/// Frames that are not IP are forwarded too (`raw_packet`).
pub const ALL_FRAMES: u32 = 1 << 2;
/// Shed directions may be followed through TLS's records: see [`crate::follow`].
pub const RECORDS: u32 = 1 << 3;
/// The kernel's program itself takes packets out of VXLAN: see [`crate::decap`].
pub const DECAP_VXLAN: u32 = 1 << 4;
/// As [`DECAP_VXLAN`], of Geneve.
pub const DECAP_GENEVE: u32 = 1 << 5;
/// As [`DECAP_VXLAN`], of GRE.
pub const DECAP_GRE: u32 = 1 << 6;
/// As [`DECAP_VXLAN`], of IP in IP.
pub const DECAP_IP: u32 = 1 << 7;
/// Keys know VLANs: see [`crate::key::Realm`].
pub const VLAN_AWARE: u32 = 1 << 8;
/// Keys know the virtual networks of VXLAN and Geneve.
pub const VNI_AWARE: u32 = 1 << 9;
/// Flows are looked at when they begin, whether they are to be ignored, or counted alone: see [`crate::filter`].
pub const FILTER: u32 = 1 << 10;
/// The state of an ended flow is kept until userspace says that its row was written.
pub const KEEP_ENDED: u32 = 1 << 11;
/// What keys know beside the five-tuple.
pub const REALMS: u32 = VLAN_AWARE | VNI_AWARE;
/// Tunnels that are UDP connections.
pub const DECAP_UDP: u32 = DECAP_VXLAN | DECAP_GENEVE;
/// Tunnels between two addresses.
pub const DECAP_HOSTS: u32 = DECAP_GRE | DECAP_IP;
/// All tunnels that the kernel's program can take packets out of.
pub const DECAP: u32 = DECAP_UDP | DECAP_HOSTS;

/// Part of the BPF program's read-only data; the verifier removes what it switches off.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// [`ALL_PACKETS`] and the like.
    pub bits: u32,
    /// Longest part of a frame to forward, bytes from its start; 0 = all of it.
    pub snaplen: u32,
    /// Number of rings, 1 to [`MAX_RINGS`].
    pub rings: u32,
    /// Fill of a ring, bytes, from which on payload and untracked frames stay out of it. The rest of the ring is for
    /// headers: a reader that cannot keep up still learns how connections begin and end.
    pub payload_room: u32,
    /// Fill of a ring, bytes, from which on SYNs and answers to them stay out of it.
    pub syn_room: u32,
    /// Most half-open flows; beyond, the oldest give way. 0: no bound.
    pub half_open: u32,
    /// 1: a flow's ring is that of the CPU on which it began; 0: its key's hash chooses.
    pub ring_by_cpu: u32,
    /// Key of the hash that chooses a flow's ring.
    pub seed: [u32; 2],
    /// Binary logarithm of the number of parts that a ring's free room for payload is split into. A CPU takes one part at a
    /// time, and asks for the ring's fill again only when its part is used up. There must be at least as many parts as CPUs.
    pub shares: u32,
    /// With [`FILTER`]: one of so many flows is tracked, chosen by its key's hash. 0 and 1: all are.
    pub sample: u32,
    /// Packets that come again within so many ns are counted once, see [`crate::dedup`]. 0: none are looked for.
    pub dedup: u32,
}

/// Most rings (workers) there can be.
pub const MAX_RINGS: u32 = 8;

impl Default for Policy {
    fn default() -> Self {
        Policy {
            bits: PAYLOAD,
            snaplen: 0,
            rings: 1,
            payload_room: u32::MAX,
            syn_room: u32::MAX,
            half_open: 0,
            ring_by_cpu: 0,
            seed: [0; 2],
            shares: 31,
            sample: 0,
            dedup: 0,
        }
    }
}
