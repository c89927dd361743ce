//! Conservation: every frame and every payload-bearing packet is counted under exactly one name.

/// Index into the per-CPU counter array.
///
/// `Frames = Tracked + the sum of the untracked reasons`;
/// `Payload = Forwarded + Shed + Lost`. Both hold at all times on every CPU.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Frames (wire packets) seen.
    Frames = 0,
    /// Bytes of those, link layer included.
    FrameBytes = 1,
    /// Frames counted in a flow.
    Tracked = 2,
    // Reasons why a frame is not tracked.
    /// No link layer that is known.
    NotIp = 3,
    /// An EtherType other than IP's.
    OtherEthertype = 4,
    /// A fragment of an IP datagram.
    Fragment = 5,
    /// A packet in IP or GRE, for userspace to take out.
    Tunnel = 6,
    /// An IP protocol other than TCP, UDP and ICMP.
    OtherProtocol = 7,
    /// Shorter than its headers say.
    Truncated = 8,
    /// Header lengths that contradict each other.
    Malformed = 9,
    /// The flow table had no room for a new flow.
    TableFull = 10,
    // Payload-bearing tracked packets.
    /// All of them: the sum of the next three.
    Payload = 11,
    /// Payload that went to userspace.
    Forwarded = 12,
    /// Payload that nobody wanted.
    Shed = 13,
    /// Payload that was wanted and for which there was no room in a ring.
    Lost = 14,
    // Of no sum.
    /// Records of tracked packets without payload: state changes, acks that matter, the headers of payload that
    /// was shed or lost.
    HeaderRecords = 15,
    /// Such records that found the ring full.
    HeaderLost = 16,
    /// Untracked frames forwarded whole.
    FrameRecords = 17,
    /// Untracked frames for which a ring had no room.
    FrameLost = 18,
    /// Packets that userspace put together (fragments, inner packets) and ran through the program.
    Injected = 19,
    /// Flow entries made.
    FlowsCreated = 20,
    /// Half-open flows that gave way to newer ones.
    HalfOpenEvicted = 21,
    /// Those of them of which userspace learnt nothing.
    HalfOpenUntold = 22,
    /// SYNs and answers to them that stayed below because a ring was crowded.
    SynsHeld = 23,
    /// Packets that the program took out of tunnels and counted in flows of their own. Of tunnels over UDP the frame
    /// is [`Counter::Tracked`] in the outer flow, and the payloads of both packets are in the second sum, the outer
    /// one as shed; of the other tunnels it is tracked in the inner flow alone.
    Decapsulated = 24,
    /// Such packets in tunnels over UDP for whose flow the table had no room.
    InnerTableFull = 25,
    // Three more reasons why a frame is not tracked.
    /// Its flow is to be ignored: see [`crate::filter`].
    Filtered = 26,
    /// Its flow is not in the sample: see [`crate::policy::Policy::sample`].
    Unsampled = 27,
    /// Its packet came before: see [`crate::policy::Policy::dedup`].
    Duplicate = 28,
    // Of no sum.
    /// Packets out of tunnels that had come before, where the frame is counted by what was around it: those in tunnels over UDP,
    /// and those that userspace took out.
    InnerDuplicate = 29,
}

/// Number of counters.
pub const COUNTERS: u32 = 30;

/// The reasons why a frame is not tracked.
pub const UNTRACKED: [Counter; 11] = [
    Counter::NotIp,
    Counter::OtherEthertype,
    Counter::Fragment,
    Counter::Tunnel,
    Counter::OtherProtocol,
    Counter::Truncated,
    Counter::Malformed,
    Counter::TableFull,
    Counter::Filtered,
    Counter::Unsampled,
    Counter::Duplicate,
];
