//! Records that arguments have a kind of their own for, as what JSON shows of them is not simply their fields.

use std::net::IpAddr;

use super::ids::{ConnId, Proto, Ts, Uid};

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
