//! The records that events of no protocol carry, each with Zeek's field names in its JSON. A protocol declares its own
//! ones in its folder (`record.rs`).

use std::net::IpAddr;

use super::{ConnId, Proto, Ts, Uid, record};

record! {
    /// What a SYN or SYN-ACK says (Zeek's `SYN_packet`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SynPacket is "SYN_packet" {
        /// Sent by the originator.
        is_orig: bool,
        /// IP's don't-fragment bit (`DF`); false for IPv6.
        df = "DF": bool,
        /// Time to live or hop limit.
        ttl: count,
        /// IP packet's length, bytes, header included.
        size: count,
        /// Window as on the wire, bytes; a SYN's window is never scaled.
        win_size: count,
        /// Window scale option's shift, -1 without one.
        win_scale: int,
        /// Maximum segment size option, bytes, 0 without one.
        mss = "MSS": count,
        /// Selective acknowledgement permitted.
        sack_ok = "SACK_OK": bool,
        /// Timestamp option's value.
        tsval = "TSval": opt count,
        /// Timestamp option's echo.
        tsecr = "TSecr": opt count,
    }
}

record! {
    /// One endpoint's figures at the end of a TCP connection (Zeek's `endpoint_stats`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct EndpointStats is "endpoint_stats" {
        /// Packets sent.
        num_pkts: count,
        /// Packets with payload at or below the highest sequence already seen.
        num_rxmit: count,
        /// Payload bytes in those.
        num_rxmit_bytes: count,
        /// Payload packets that continue the stream where it stood.
        num_in_order: count,
        /// Payload packets beyond a hole, or filling one.
        num_oo = "num_OO": count,
        /// Packets seen again: same IP id, sequence and length.
        num_repl: count,
        /// Zeek's ENDIAN_UNKNOWN 0, LITTLE 1, BIG 2, CONFUSED 3, of the host's IP ids.
        endian_type: count,
    }
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

record! {
    /// What a file's first bytes say of it (Zeek's `fa_metadata`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct FaMetadata<'a> is "fa_metadata" {
        /// Strongest match, such as `application/x-x509-user-cert`.
        mime_type: opt text,
    }
}

/// One layer of encapsulation (Zeek's `Tunnel::EncapsulatingConn`), outermost first in a slice of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encap<'a> {
    /// The outer connection's ends; for tunnels that are not connections the outer addresses, with
    /// ports 0, as its first packet had them.
    pub orig_h: IpAddr,
    /// Host byte order.
    pub orig_p: u16,
    /// The responder's address, in the same way.
    pub resp_h: IpAddr,
    /// Host byte order.
    pub resp_p: u16,
    /// Transport protocol of the outer connection.
    pub proto: Proto,
    /// Zeek's name, such as `Tunnel::VXLAN`.
    pub tunnel_type: &'a str,
    /// The outer connection's, if there is one.
    pub uid: Uid,
}

record! {
    /// A fingerprinted operating system (Zeek's `OS_version`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OsVersion<'a> is "OS_version" {
        /// Family, such as `Linux`.
        genre: text,
        /// Version and other detail.
        detail: text,
        /// Hops away, from the TTL.
        dist: count,
    }
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

record! {
    /// Where a signature matched (Zeek's `signature_state`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SignatureState<'a> is "signature_state" {
        /// The signature's name.
        sig_id: text,
        /// Matched on the originator's side.
        is_orig: bool,
        /// Payload bytes seen so far in that direction.
        payload_size: count,
    }
}

record! {
    /// A piece of software and its version (Zeek's old `software`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Software<'a> is "software" {
        /// Its name.
        name: text,
        /// Its version as text.
        version: text,
    }
}
