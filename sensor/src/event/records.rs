//! The records that events carry, each with Zeek's field names in its JSON.

use std::net::IpAddr;

use super::{ConnId, Proto, Ts, Uid};

/// What a SYN or SYN-ACK says (Zeek's `SYN_packet`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynPacket {
    /// Sent by the originator.
    pub is_orig: bool,
    /// IP's don't-fragment bit (`DF`); false for IPv6.
    pub df: bool,
    /// Time to live or hop limit.
    pub ttl: u64,
    /// IP packet's length, bytes, header included.
    pub size: u64,
    /// Window as on the wire, bytes; a SYN's window is never scaled.
    pub win_size: u64,
    /// Window scale option's shift, -1 without one.
    pub win_scale: i64,
    /// Maximum segment size option, bytes, 0 without one (`MSS`).
    pub mss: u64,
    /// Selective acknowledgement permitted (`SACK_OK`).
    pub sack_ok: bool,
    /// Timestamp option's value (`TSval`).
    pub tsval: Option<u64>,
    /// Timestamp option's echo (`TSecr`).
    pub tsecr: Option<u64>,
}

/// One endpoint's figures at the end of a TCP connection (Zeek's `endpoint_stats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Packets sent.
    pub num_pkts: u64,
    /// Packets with payload at or below the highest sequence already seen.
    pub num_rxmit: u64,
    /// Payload bytes in those.
    pub num_rxmit_bytes: u64,
    /// Payload packets that continue the stream where it stood.
    pub num_in_order: u64,
    /// Payload packets beyond a hole, or filling one (`num_OO`).
    pub num_oo: u64,
    /// Packets seen again: same IP id, sequence and length.
    pub num_repl: u64,
    /// Zeek's ENDIAN_UNKNOWN 0, LITTLE 1, BIG 2, CONFUSED 3, of the host's IP ids.
    pub endian_type: u64,
}

/// A file under analysis (Zeek's `fa_file`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaFile<'a> {
    /// Unique id of the file.
    pub id: &'a str,
    /// The file whose content this was found in.
    pub parent_id: Option<&'a str>,
    /// What carried it, such as `SSL`.
    pub source: &'a str,
    /// The connection that carries it; the event's `c`.
    pub conn: Option<&'a ConnId>,
    /// Sent by the originator.
    pub is_orig: Option<bool>,
    /// Bytes handed to the file's analyzers.
    pub seen_bytes: u64,
    /// Its full size where the carrier says so, bytes.
    pub total_bytes: Option<u64>,
    /// Bytes that never came.
    pub missing_bytes: u64,
    /// Bytes not given to analyzers for want of reassembly space.
    pub overflow_bytes: u64,
}

/// What a file's first bytes say of it (Zeek's `fa_metadata`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaMetadata<'a> {
    /// Strongest match, such as `application/x-x509-user-cert`.
    pub mime_type: Option<&'a str>,
}

/// One layer of encapsulation (Zeek's `Tunnel::EncapsulatingConn`), outermost first in a slice of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encap<'a> {
    /// The outer connection's ends; for tunnels that are not connections the outer addresses, with
    /// ports 0, as its first packet had them.
    pub orig_h: IpAddr,
    /// Host byte order.
    pub orig_p: u16,
    pub resp_h: IpAddr,
    /// Host byte order.
    pub resp_p: u16,
    pub proto: Proto,
    /// Zeek's name, such as `Tunnel::VXLAN`.
    pub tunnel_type: &'a str,
    /// The outer connection's, if there is one.
    pub uid: Uid,
}

/// A fingerprinted operating system (Zeek's `OS_version`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OsVersion<'a> {
    /// Family, such as `Linux`.
    pub genre: &'a str,
    /// Version and other detail.
    pub detail: &'a str,
    /// Hops away, from the TTL.
    pub dist: u64,
}

/// A name or address lookup of the sensor's own (Zeek's `dns_mapping`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsMapping<'a> {
    /// When it was looked up.
    pub creation_time: Ts,
    /// The name asked for.
    pub req_host: Option<&'a str>,
    /// The address asked for.
    pub req_addr: Option<IpAddr>,
    /// Whether the answer holds.
    pub valid: bool,
    /// The name found.
    pub hostname: Option<&'a str>,
    /// The addresses found.
    pub addrs: &'a [IpAddr],
}

/// Another instance (Zeek's `event_peer`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPeer<'a> {
    /// Its number here.
    pub id: u64,
    /// Its address.
    pub host: IpAddr,
    /// Its port, host byte order.
    pub p: u16,
    /// Whether it is this very process.
    pub is_local: bool,
    /// Its own description.
    pub descr: &'a str,
}

/// Where a signature matched (Zeek's `signature_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureState<'a> {
    /// The signature's name.
    pub sig_id: &'a str,
    /// Matched on the originator's side.
    pub is_orig: bool,
    /// Payload bytes seen so far in that direction.
    pub payload_size: u64,
}

/// A piece of software and its version (Zeek's old `software`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Software<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version as text.
    pub version: &'a str,
}
