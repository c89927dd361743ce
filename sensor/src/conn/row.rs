//! The rows of conn.log, weird.log and tunnel.log.

use std::borrow::Cow;
use std::net::IpAddr;

use sensor_common::key::Realm;
use sensor_common::policy;

use crate::event::log::{Column, LogRow, Value};
use crate::event::{ConnId, Ts, Uid};

/// One row of conn.log: a connection that has ended.
#[derive(Clone, Debug)]
pub struct ConnRow<'a> {
    pub c: &'a ConnId,
    /// Confirmed protocols, in Zeek's form: joined by commas.
    pub service: String,
    /// First to last packet, ns; zero is unset, and so are the byte counts then.
    pub duration: i64,
    pub orig_bytes: u64,
    pub resp_bytes: u64,
    pub conn_state: &'static str,
    pub local_orig: bool,
    pub local_resp: bool,
    pub missed_bytes: u64,
    pub history: &'a str,
    pub orig_pkts: u64,
    pub orig_ip_bytes: u64,
    pub resp_pkts: u64,
    pub resp_ip_bytes: u64,
    pub tunnel_parents: &'a [Uid],
    /// IP protocol number.
    pub ip_proto: u8,
    /// What it is in, where keys know that: only then there are such columns.
    pub networks: Option<Networks>,
}

/// Networks that a connection is in; VLANs as Zeek's vlan-logging script names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    pub vlan: Option<u16>,
    pub inner_vlan: Option<u16>,
    pub vni: Option<u32>,
}

impl Networks {
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

/// conn.log's columns, with those of [`Networks`].
const CONN: &[Column] = &[
    Column::new("ts", "time"),
    Column::new("uid", "string"),
    Column::new("id.orig_h", "addr"),
    Column::new("id.orig_p", "port"),
    Column::new("id.resp_h", "addr"),
    Column::new("id.resp_p", "port"),
    Column::new("proto", "enum"),
    Column::new("service", "string"),
    Column::new("duration", "interval"),
    Column::new("orig_bytes", "count"),
    Column::new("resp_bytes", "count"),
    Column::new("conn_state", "string"),
    Column::new("local_orig", "bool"),
    Column::new("local_resp", "bool"),
    Column::new("missed_bytes", "count"),
    Column::new("history", "string"),
    Column::new("orig_pkts", "count"),
    Column::new("orig_ip_bytes", "count"),
    Column::new("resp_pkts", "count"),
    Column::new("resp_ip_bytes", "count"),
    Column::new("tunnel_parents", "set[string]"),
    Column::new("ip_proto", "count"),
    Column::new("vlan", "int"),
    Column::new("inner_vlan", "int"),
    Column::new("vni", "count"),
];

/// conn.log's columns; `with_networks`: with those of [`Networks`].
pub fn conn_columns(with_networks: bool) -> &'static [Column] {
    let n = if with_networks { CONN.len() } else { CONN.len() - 3 };
    CONN.get(..n).unwrap_or(CONN)
}

fn text(s: &str) -> Value<'_> {
    if s.is_empty() {
        Value::Unset
    } else {
        Value::Str(Cow::Borrowed(s))
    }
}

fn uid(u: Uid) -> Value<'static> {
    Value::Str(Cow::Owned(u.to_string()))
}

impl LogRow for ConnRow<'_> {
    fn path(&self) -> &'static str {
        "conn"
    }

    fn columns(&self) -> &'static [Column] {
        conn_columns(self.networks.is_some())
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        let lasted = self.duration > 0;
        let only_if = |v: Value<'a>| if lasted { v } else { Value::Unset };
        out.extend([
            Value::Time(self.c.start),
            uid(self.c.uid),
            Value::Addr(self.c.orig_h),
            Value::Port(self.c.orig_p),
            Value::Addr(self.c.resp_h),
            Value::Port(self.c.resp_p),
            Value::Str(Cow::Borrowed(self.c.proto.as_str())),
            text(&self.service),
            only_if(Value::Interval(self.duration)),
            only_if(Value::Count(self.orig_bytes)),
            only_if(Value::Count(self.resp_bytes)),
            Value::Str(Cow::Borrowed(self.conn_state)),
            Value::Bool(self.local_orig),
            Value::Bool(self.local_resp),
            Value::Count(self.missed_bytes),
            text(self.history),
            Value::Count(self.orig_pkts),
            Value::Count(self.orig_ip_bytes),
            Value::Count(self.resp_pkts),
            Value::Count(self.resp_ip_bytes),
            match self.tunnel_parents {
                [] => Value::Unset,
                uids => Value::List(uids.iter().map(|u| uid(*u)).collect()),
            },
            Value::Count(self.ip_proto as u64),
        ]);
        if let Some(s) = self.networks {
            let number = |n: Option<u32>| n.map_or(Value::Unset, |n| Value::Count(n.into()));
            out.extend([s.vlan.map(Into::into), s.inner_vlan.map(Into::into), s.vni].map(number));
        }
    }
}

/// Whose oddity it is.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    Conn(&'a ConnId),
    /// Sender and receiver, where there is no connection.
    Hosts(IpAddr, IpAddr),
    Nobody,
}

/// One row of weird.log.
#[derive(Clone, Debug)]
pub struct WeirdRow<'a> {
    pub ts: Ts,
    pub whose: Whose<'a>,
    pub name: &'static str,
    pub addl: &'a str,
    /// The analyzer that met it, such as `TCP`.
    pub source: &'a str,
}

const WEIRD: &[Column] = &[
    Column::new("ts", "time"),
    Column::new("uid", "string"),
    Column::new("id.orig_h", "addr"),
    Column::new("id.orig_p", "port"),
    Column::new("id.resp_h", "addr"),
    Column::new("id.resp_p", "port"),
    Column::new("name", "string"),
    Column::new("addl", "string"),
    Column::new("notice", "bool"),
    Column::new("peer", "string"),
    Column::new("source", "string"),
];

impl LogRow for WeirdRow<'_> {
    fn path(&self) -> &'static str {
        "weird"
    }

    fn columns(&self) -> &'static [Column] {
        WEIRD
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        out.push(Value::Time(self.ts));
        match self.whose {
            Whose::Conn(c) => out.extend([
                uid(c.uid),
                Value::Addr(c.orig_h),
                Value::Port(c.orig_p),
                Value::Addr(c.resp_h),
                Value::Port(c.resp_p),
            ]),
            Whose::Hosts(src, dst) => out.extend([
                Value::Unset,
                Value::Addr(src),
                Value::Port(0),
                Value::Addr(dst),
                Value::Port(0),
            ]),
            Whose::Nobody => out.extend([
                Value::Unset,
                Value::Unset,
                Value::Unset,
                Value::Unset,
                Value::Unset,
            ]),
        }
        out.extend([
            text(self.name),
            text(self.addl),
            Value::Bool(false),
            Value::Str(Cow::Borrowed("sensor")),
            text(self.source),
        ]);
    }
}

/// One row of tunnel.log.
#[derive(Clone, Debug)]
pub struct TunnelRow {
    pub ts: Ts,
    /// The connection's, if the tunnel is one; its own, if it is none. A proxy has none.
    pub uid: Option<Uid>,
    pub orig_h: IpAddr,
    /// Host byte order; 0 where there is no connection.
    pub orig_p: u16,
    pub resp_h: IpAddr,
    pub resp_p: u16,
    /// Zeek's name, such as `Tunnel::VXLAN`.
    pub tunnel_type: &'static str,
    /// `Tunnel::DISCOVER`, `Tunnel::CLOSE` or `Tunnel::EXPIRE`.
    pub action: &'static str,
}

const TUNNEL: &[Column] = &[
    Column::new("ts", "time"),
    Column::new("uid", "string"),
    Column::new("id.orig_h", "addr"),
    Column::new("id.orig_p", "port"),
    Column::new("id.resp_h", "addr"),
    Column::new("id.resp_p", "port"),
    Column::new("tunnel_type", "enum"),
    Column::new("action", "enum"),
];

impl LogRow for TunnelRow {
    fn path(&self) -> &'static str {
        "tunnel"
    }

    fn columns(&self) -> &'static [Column] {
        TUNNEL
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        out.extend([
            Value::Time(self.ts),
            self.uid.map_or(Value::Unset, uid),
            Value::Addr(self.orig_h),
            Value::Port(self.orig_p),
            Value::Addr(self.resp_h),
            Value::Port(self.resp_p),
            Value::Str(Cow::Borrowed(self.tunnel_type)),
            Value::Str(Cow::Borrowed(self.action)),
        ]);
    }
}
