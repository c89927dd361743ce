//! The rows of conn.log, weird.log and tunnel.log.

use std::net::IpAddr;

use sensor_common::key::Realm;
use sensor_common::policy;

use crate::event::log::{Column, Log, LogRow, Value};
use crate::event::row::Ends;
use crate::event::{ConnId, Ts, Uid, columns, row};

row! {
    /// One row of conn.log: a connection that has ended.
    #[derive(Clone, Debug)]
    pub struct ConnRow<'a> in "conn" {
        /// When it began.
        ts: time,
        /// Who it is.
        c: conn (&'a ConnId),
        /// Transport.
        proto: enumeration,
        /// Confirmed protocols, in Zeek's form: joined by commas.
        service: opt text (String),
        /// First to last packet, ns; unset if there was no time between them, and so are the byte counts then.
        duration: opt interval,
        /// Payload bytes that the originator sent.
        orig_bytes: opt count,
        /// Payload bytes that the responder sent.
        resp_bytes: opt count,
        /// Zeek's state, such as `SF`.
        conn_state: text (&'static str),
        /// The originator's address is local.
        local_orig: bool,
        /// The responder's address is local.
        local_resp: bool,
        /// Payload bytes that never came.
        missed_bytes: count,
        /// Zeek's letters, such as `ShADadFf`.
        history: opt text (&'a str),
        /// Packets that the originator sent.
        orig_pkts: count,
        /// IP bytes that the originator sent.
        orig_ip_bytes: count,
        /// Packets that the responder sent.
        resp_pkts: count,
        /// IP bytes that the responder sent.
        resp_ip_bytes: count,
        /// The connections of the tunnels that it is in.
        tunnel_parents: opt set uid (&'a [Uid]),
        /// IP protocol number.
        ip_proto: count (u8),
        /// What it is in, where keys know that: only then there are such columns.
        networks: group (Option<Networks>),
        /// On request.
        community: group (Option<Community>),
        /// On request.
        l2: group (Option<L2Addrs>),
        /// On request.
        tcp_stats: group (Option<TcpStats>),
    }
}

/// A row of conn_long.log: of a connection that is open, as far as it has come. The columns are those of conn.log.
#[derive(Clone, Debug)]
pub struct LongRow<'a>(pub ConnRow<'a>);

impl LongRow<'_> {
    /// The log, for the list of all logs.
    pub const LOG: Log = Log {
        path: "conn_long",
        columns: ConnRow::LOG.columns,
    };
}

impl LogRow for LongRow<'_> {
    fn path(&self) -> &'static str {
        Self::LOG.path
    }

    fn columns(&self) -> &'static [Column] {
        self.0.columns()
    }

    fn values<'v>(&'v self, out: &mut Vec<Value<'v>>) {
        self.0.values(out);
    }
}

columns! {
    /// A name that other tools give the same connection.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Community {
        /// Community ID, version 1, seed 0.
        community_id: opt text (String),
    }
}

columns! {
    /// Link-layer addresses, as Zeek's mac-logging script names them.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct L2Addrs {
        /// The originator's.
        orig_l2_addr: opt text (String),
        /// The responder's.
        resp_l2_addr: opt text (String),
    }
}

columns! {
    /// How well TCP went.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct TcpStats {
        /// From here to the originator and back: from the SYN-ACK to the first acknowledgement, ns.
        orig_rtt: opt interval,
        /// From here to the responder and back: from the SYN to the SYN-ACK, ns.
        resp_rtt: opt interval,
        /// The originator's packets with payload that it had sent before.
        orig_rexmit_pkts: opt count,
        /// Bytes of such payload.
        orig_rexmit_bytes: opt count,
        /// The originator's packets with payload beyond a hole, or filling one.
        orig_out_of_order: opt count,
        /// The originator's packets that announced a window of zero.
        orig_zero_windows: opt count,
        /// As of the originator.
        resp_rexmit_pkts: opt count,
        /// As of the originator.
        resp_rexmit_bytes: opt count,
        /// As of the originator.
        resp_out_of_order: opt count,
        /// As of the originator.
        resp_zero_windows: opt count,
    }
}

columns! {
    /// Networks that a connection is in; VLANs as Zeek's vlan-logging script names them.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Networks {
        /// The outer VLAN id.
        vlan: opt int (u16),
        /// The inner VLAN id.
        inner_vlan: opt int (u16),
        /// The VXLAN or Geneve network.
        vni: opt count (u32),
    }
}

impl Networks {
    /// Those that a frame's tags say.
    pub fn of_vlans((vlan, inner_vlan): (Option<u16>, Option<u16>)) -> Networks {
        Networks {
            vlan,
            inner_vlan,
            vni: None,
        }
    }

    /// None: keys do not know it. `realms`: see [`super::Config::realms`]; `in_vni`: a tunnel said the realm's number.
    pub fn of(realm: Realm, realms: u32, in_vni: bool) -> Option<Networks> {
        if realms == 0 {
            return None;
        }
        let named = |id: u16| (id != 0).then_some(id);
        Some(if in_vni && realms & policy::VNI_AWARE != 0 {
            let vni = Some(realm.number());
            Networks {
                vni,
                ..Networks::default()
            }
        } else {
            let (outer, inner) = realm.vlans();
            Networks {
                vlan: named(outer),
                inner_vlan: named(inner),
                vni: None,
            }
        })
    }
}

/// conn.log's columns; `with_networks`: with those of [`Networks`].
pub fn conn_columns(with_networks: bool) -> &'static [Column] {
    ConnRow::columns_of([with_networks, false, false, false])
}

/// Whose weird it is.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// A connection's.
    Conn(&'a ConnId),
    /// Sender and receiver, where there is no connection.
    Hosts(IpAddr, IpAddr),
    /// Of what has no addresses that mean anything.
    Nobody,
}

impl Ends for Whose<'_> {
    const COLUMNS: &'static [Column] = row::CONN_OR_UNSET;

    fn ends(&self, out: &mut Vec<Value<'_>>) {
        match self {
            Whose::Conn(c) => c.ends(out),
            Whose::Hosts(src, dst) => out.extend([
                Value::Unset,
                Value::Addr(*src),
                Value::Port(0),
                Value::Addr(*dst),
                Value::Port(0),
            ]),
            Whose::Nobody => out.extend([const { Value::Unset }; 5]),
        }
    }
}

row! {
    /// One row of weird.log.
    #[derive(Clone, Debug)]
    pub struct WeirdRow<'a> in "weird" {
        /// When it was met.
        ts: time,
        /// Whose it is.
        whose: conn (Whose<'a>),
        /// Its name.
        name: text (&'static str),
        /// What more there is to say.
        addl: opt text (&'a str),
        /// Whether there was a notice: never.
        notice: bool,
        /// Who writes it: always `sensor`.
        peer: text (&'static str),
        /// The analyzer that met it, such as `TCP`.
        source: opt text (&'a str),
    }
}

impl<'a> WeirdRow<'a> {
    /// A row; `addl` and `source` may be empty.
    pub fn new(ts: Ts, whose: Whose<'a>, name: &'static str, addl: &'a str, source: &'a str) -> WeirdRow<'a> {
        let said = |text: &'a str| Some(text).filter(|t| !t.is_empty());
        WeirdRow {
            ts,
            whose,
            name,
            addl: said(addl),
            notice: false,
            peer: "sensor",
            source: said(source),
        }
    }
}

row! {
    /// One row of tunnel.log.
    #[derive(Clone, Debug)]
    pub struct TunnelRow in "tunnel" {
        /// When it was found, or ended.
        ts: time,
        /// The connection's, if the tunnel is one; its own, if it is none. A proxy has none.
        uid: opt uid,
        /// Originator's address.
        orig_h = "id.orig_h": addr,
        /// Host byte order; 0 where there is no connection.
        orig_p = "id.orig_p": port,
        /// Responder's address.
        resp_h = "id.resp_h": addr,
        /// Host byte order; 0 where there is no connection.
        resp_p = "id.resp_p": port,
        /// Zeek's name, such as `Tunnel::VXLAN`.
        tunnel_type: enumeration,
        /// `Tunnel::DISCOVER`, `Tunnel::CLOSE` or `Tunnel::EXPIRE`.
        action: enumeration,
    }
}
