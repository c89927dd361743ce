//! The header fields of one packet, as a parser hands them to [`crate::flow::update`].

use crate::key::FlowKey;

/// TCP flag bits, as in the header's 14th byte (RFC 9293, 3.1).
pub mod tcp_flags {
    /// The sender has no more to send.
    pub const FIN: u8 = 0x01;
    /// The sequence number is the initial one.
    pub const SYN: u8 = 0x02;
    /// The connection is reset.
    pub const RST: u8 = 0x04;
    /// Payload is to be delivered at once.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u8 = 0x20;
}

/// What the flow state needs to know of a packet. All numbers in host byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// The flow that it is counted in.
    pub key: FlowKey,
    /// Arrival, nanoseconds (capture's clock or CLOCK_BOOTTIME, per datapath).
    pub ts: u64,
    /// IP bytes on the wire, headers included (IPv4 total length; IPv6 payload length + 40). For
    /// an skb that stands for several wire packets: the sum.
    pub ip_len: u32,
    /// Transport payload bytes on the wire, by the IP and transport lengths.
    pub payload_len: u32,
    /// TCP sequence number; 0 for other protocols.
    pub seq: u32,
    /// TCP acknowledgement number; 0 for other protocols.
    pub ack: u32,
    /// TCP window, unscaled; 0 for other protocols.
    pub window: u16,
    /// TCP flags, [`tcp_flags`].
    pub flags: u8,
    /// Sender: 0 = `key.a`, 1 = `key.b`.
    pub dir: u8,
    /// Wire packets that this one stands for: 1 but for segmentation offload.
    pub segs: u32,
    /// Where the IP header lies, bytes from the start of the frame.
    pub l3: u16,
    /// Where the transport header lies, bytes from the start of the frame.
    pub l4: u16,
    /// Where the transport payload lies, bytes from the start of the frame.
    pub data: u16,
    /// TCP payload bytes that the capture cut off, 65,535 if they are more. What was received is never cut.
    pub cut: u16,
    /// Number of the tunnels that the packet was taken out of, in userspace's own table; 0 = none.
    pub tunnel: u32,
    /// Number of the tunnel that the packet's own flow is, if the kernel's program is to take packets out of it;
    /// 0 = none. See [`crate::decap`].
    pub carries: u32,
}
