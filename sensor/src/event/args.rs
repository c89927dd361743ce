//! The kinds of arguments: the Rust type of each, Zeek's type, and how it looks in JSON.
//!
//! A kind is a line of each macro below. What an event's arguments are at run time is an [`Arg`].

use super::ids::Ts;
use super::json::{self, Object};
use super::log;
use super::model::{Arg, Event, Visitor};
use super::own_kinds::{DnsMapping, Encap, EventPeer, FaFile};

/// The Rust type of an event's field.
macro_rules! arg_type {
    (conn) => { &'a $crate::event::ConnId };
    (count) => { u64 };
    (int) => { i64 };
    (double) => { f64 };
    (bool) => { bool };
    (time) => { $crate::event::Ts };
    (nanoseconds) => { i64 };
    (interval) => { i64 };
    (addr) => { std::net::IpAddr };
    (text) => { &'a str };
    (bytes) => { &'a [u8] };
    (index_vec) => { &'a [u64] };
    (count_set) => { &'a [u64] };
    (string_vec) => { &'a [&'a [u8]] };
    (x509_vec) => { &'a [&'a [u8]] };
    (addr_set) => { &'a [std::net::IpAddr] };
    (addr_vec) => { &'a [std::net::IpAddr] };
    (tag) => { $crate::event::AnalyzerTag };
    (fa_file) => { &'a $crate::event::FaFile<'a> };
    (file) => { &'a str };
    (any) => { &'a str };
    (pkt_hdr) => { $crate::event::PktHdr<'a> };
    (raw_pkt_hdr) => { $crate::event::RawPktHdr<'a> };
    (dns_mapping) => { &'a $crate::event::DnsMapping<'a> };
    (event_peer) => { &'a $crate::event::EventPeer<'a> };
    (load_sample) => { &'a [&'a str] };
    (encap) => { &'a [$crate::event::Encap<'a>] };
    (event) => { &'a dyn $crate::event::Event };
    (row) => { &'a dyn $crate::event::LogRow };
    (record $own:ident $(<$life:lifetime>)?) => { $own $(<$life>)? };
}

/// An argument's type as the seeds write it.
macro_rules! zeek_type {
    (conn) => {
        "connection"
    };
    (text) => {
        "string"
    };
    (bytes) => {
        "string"
    };
    (tag) => {
        "Analyzer::Tag"
    };
    (nanoseconds) => {
        "time"
    };
    (x509_vec) => {
        "x509_opaque_vector"
    };
    (load_sample) => {
        "load_sample_info"
    };
    (encap) => {
        "EncapsulatingConnVector"
    };
    (event) => {
        "call_argument_vector"
    };
    (row) => {
        "Conn::Info"
    };
    (record $own:ident) => {
        $own::NAME
    };
    ($kind:ident) => {
        stringify!($kind)
    };
}

/// A field as an argument.
macro_rules! arg {
    (conn $v:expr) => {
        $crate::event::Arg::Conn($v)
    };
    (count $v:expr) => {
        $crate::event::Arg::Count($v)
    };
    (int $v:expr) => {
        $crate::event::Arg::Int($v)
    };
    (double $v:expr) => {
        $crate::event::Arg::Double($v)
    };
    (bool $v:expr) => {
        $crate::event::Arg::Bool($v)
    };
    (time $v:expr) => {
        $crate::event::Arg::Time($v)
    };
    (nanoseconds $v:expr) => {
        $crate::event::Arg::Nanoseconds($v)
    };
    (interval $v:expr) => {
        $crate::event::Arg::Interval($v)
    };
    (addr $v:expr) => {
        $crate::event::Arg::Addr($v)
    };
    (text $v:expr) => {
        $crate::event::Arg::Text($v)
    };
    (bytes $v:expr) => {
        $crate::event::Arg::Bytes($v)
    };
    (index_vec $v:expr) => {
        $crate::event::Arg::Counts($v)
    };
    (count_set $v:expr) => {
        $crate::event::Arg::Counts($v)
    };
    (string_vec $v:expr) => {
        $crate::event::Arg::Strings($v)
    };
    (x509_vec $v:expr) => {
        $crate::event::Arg::Strings($v)
    };
    (addr_set $v:expr) => {
        $crate::event::Arg::Addrs($v)
    };
    (addr_vec $v:expr) => {
        $crate::event::Arg::Addrs($v)
    };
    (tag $v:expr) => {
        $crate::event::Arg::Tag($v)
    };
    (fa_file $v:expr) => {
        $crate::event::Arg::FaFile($v)
    };
    (file $v:expr) => {
        $crate::event::Arg::Text($v)
    };
    (any $v:expr) => {
        $crate::event::Arg::Text($v)
    };
    (pkt_hdr $v:expr) => {
        $crate::event::Arg::PktHdr(&$v)
    };
    (raw_pkt_hdr $v:expr) => {
        $crate::event::Arg::RawPktHdr(&$v)
    };
    (dns_mapping $v:expr) => {
        $crate::event::Arg::DnsMapping($v)
    };
    (event_peer $v:expr) => {
        $crate::event::Arg::EventPeer($v)
    };
    (load_sample $v:expr) => {
        $crate::event::Arg::Texts($v)
    };
    (encap $v:expr) => {
        $crate::event::Arg::Encap($v)
    };
    (event $v:expr) => {
        $crate::event::Arg::Event($v)
    };
    (row $v:expr) => {
        $crate::event::Arg::Row($v)
    };
    (record $own:ident $v:expr) => {
        $crate::event::Arg::Record(&$v)
    };
}

/// An argument as the field that it is of.
macro_rules! take {
    (conn $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Conn(v), v, $arg) };
    (count $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Count(v), v, $arg) };
    (int $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Int(v), v, $arg) };
    (double $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Double(v), v, $arg) };
    (bool $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Bool(v), v, $arg) };
    (time $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Time(v), v, $arg) };
    (nanoseconds $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Nanoseconds(v), v, $arg) };
    (interval $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Interval(v), v, $arg) };
    (addr $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Addr(v), v, $arg) };
    (text $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Text(v), v, $arg) };
    (bytes $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Bytes(v), v, $arg) };
    (index_vec $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Counts(v), v, $arg) };
    (count_set $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Counts(v), v, $arg) };
    (string_vec $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Strings(v), v, $arg) };
    (x509_vec $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Strings(v), v, $arg) };
    (addr_set $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Addrs(v), v, $arg) };
    (addr_vec $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Addrs(v), v, $arg) };
    (tag $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Tag(v), v, $arg) };
    (fa_file $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::FaFile(v), v, $arg) };
    (file $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Text(v), v, $arg) };
    (any $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Text(v), v, $arg) };
    (pkt_hdr $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::PktHdr(v), *v, $arg) };
    (raw_pkt_hdr $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::RawPktHdr(v), *v, $arg) };
    (dns_mapping $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::DnsMapping(v), v, $arg) };
    (event_peer $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::EventPeer(v), v, $arg) };
    (load_sample $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Texts(v), v, $arg) };
    (encap $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Encap(v), v, $arg) };
    (event $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Event(v), v, $arg) };
    (row $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Row(v), v, $arg) };
    (record $own:ident $arg:expr) => { $crate::event::args::take!(@ $crate::event::Arg::Record(v), $own::of(v)?, $arg) };
    (@ $is:pat, $v:expr, $arg:expr) => {
        match $arg {
            $is => $v,
            _ => return None,
        }
    };
}

/// The connection that a field names, if that is its kind.
macro_rules! conn_of {
    (conn $v:expr) => {
        Some($v)
    };
    (fa_file $v:expr) => {
        $v.conn
    };
    (record $own:ident $v:expr) => {
        None
    };
    ($kind:ident $v:expr) => {
        None
    };
}

pub(crate) use {arg, arg_type, conn_of, take, zeek_type};

impl Arg<'_> {
    /// Appends it as JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match *self {
            Arg::Conn(v) => json::conn(out, v),
            Arg::Count(v) => json::count(out, v),
            Arg::Int(v) => json::int(out, v),
            Arg::Double(v) => json::double(out, v),
            Arg::Bool(v) => json::bool(out, v),
            Arg::Time(v) => json::time(out, v),
            Arg::Nanoseconds(v) | Arg::Interval(v) => json::interval(out, v),
            Arg::Addr(v) => json::addr(out, v),
            Arg::Text(v) => json::text(out, v),
            Arg::Bytes(v) => json::bytes(out, v),
            Arg::Counts(v) => json::array(out, v, |o, x| json::count(o, *x)),
            Arg::Strings(v) => json::array(out, v, |o, x| json::wire_text(o, x)),
            Arg::Addrs(v) => json::array(out, v, |o, x| json::addr(o, *x)),
            Arg::Tag(v) => json::text(out, v.as_str()),
            Arg::FaFile(v) => fa_file(out, v),
            Arg::PktHdr(v) => v.write(out),
            Arg::RawPktHdr(v) => v.write(out),
            Arg::DnsMapping(v) => dns_mapping(out, v),
            Arg::EventPeer(v) => event_peer(out, v),
            Arg::Texts(v) => json::array(out, v, |o, x| json::text(o, x)),
            Arg::Encap(v) => encap(out, v),
            Arg::Event(v) => v.write_params(out),
            Arg::Row(v) => log::write_json(out, v, &mut Vec::new()),
            Arg::Record(v) => {
                let mut fields = InRecord(Object::new(out));
                v.visit(&mut fields);
                fields.0.end();
            }
        }
    }
}

/// Writes the `args` object: a connection is not one of them but the event's own `c`.
struct InObject<'o>(Object<'o>);

impl<'e> Visitor<'e> for InObject<'_> {
    fn arg(&mut self, name: &'static str, _: &'static str, arg: Arg<'e>) {
        if !matches!(arg, Arg::Conn(_)) {
            arg.write_json(self.0.key(name));
        }
    }
}

/// Writes a record's fields.
struct InRecord<'o>(Object<'o>);

impl<'e> Visitor<'e> for InRecord<'_> {
    fn arg(&mut self, name: &'static str, _: &'static str, arg: Arg<'e>) {
        arg.write_json(self.0.key(name));
    }
}

/// Writes arguments as `new_event` shows them: an array of name, type and value, connections included.
struct InArray<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'e> Visitor<'e> for InArray<'_> {
    fn arg(&mut self, name: &'static str, typ: &'static str, arg: Arg<'e>) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        let mut o = Object::new(self.out);
        o.text("name", name).text("type", typ);
        arg.write_json(o.key("value"));
        o.end();
    }
}

impl dyn Event + '_ {
    /// Writes the event as one JSON object, without a line end.
    pub fn write_json(&self, ts: Ts, out: &mut Vec<u8>) {
        let info = self.info();
        out.extend_from_slice(b"{\"event\":\"");
        out.extend_from_slice(info.name.as_bytes());
        out.extend_from_slice(b"\",\"ts\":");
        json::time(out, ts);
        if let Some(c) = self.conn() {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(info.conn_key.as_bytes());
            out.extend_from_slice(b"\":");
            json::conn(out, c);
        }
        out.extend_from_slice(b",\"args\":");
        let mut args = InObject(Object::new(out));
        self.visit(&mut args);
        args.0.end();
        out.push(b'}');
    }

    /// Writes the arguments as `new_event` shows them.
    fn write_params(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        self.visit(&mut InArray { out, first: true });
        out.push(b']');
    }
}

fn fa_file(out: &mut Vec<u8>, v: &FaFile<'_>) {
    let mut o = Object::new(out);
    o.text("id", v.id);
    if let Some(p) = v.parent_id {
        o.text("parent_id", p);
    }
    o.text("source", v.source);
    if let Some(b) = v.is_orig {
        o.bool("is_orig", b);
    }
    o.count("seen_bytes", v.seen_bytes);
    if let Some(n) = v.total_bytes {
        o.count("total_bytes", n);
    }
    o.count("missing_bytes", v.missing_bytes)
        .count("overflow_bytes", v.overflow_bytes);
    o.end();
}

fn encap(out: &mut Vec<u8>, v: &[Encap<'_>]) {
    json::array(out, v, |out, e| {
        let mut o = Object::new(out);
        let mut cid = Object::new(o.key("cid"));
        cid.addr("orig_h", e.orig_h)
            .count("orig_p", e.orig_p)
            .addr("resp_h", e.resp_h)
            .count("resp_p", e.resp_p)
            .text("proto", e.proto.as_str());
        cid.end();
        o.text("tunnel_type", e.tunnel_type)
            .text("uid", &e.uid.to_string());
        o.end();
    });
}

fn dns_mapping(out: &mut Vec<u8>, v: &DnsMapping<'_>) {
    let mut o = Object::new(out);
    json::time(o.key("creation_time"), v.creation_time);
    if let Some(h) = v.req_host {
        o.text("req_host", h);
    }
    if let Some(a) = v.req_addr {
        o.addr("req_addr", a);
    }
    o.bool("valid", v.valid);
    if let Some(h) = v.hostname {
        o.text("hostname", h);
    }
    json::array(o.key("addrs"), v.addrs, |o, a| json::addr(o, *a));
    o.end();
}

fn event_peer(out: &mut Vec<u8>, v: &EventPeer<'_>) {
    let mut o = Object::new(out);
    o.count("id", v.id).addr("host", v.host).count("p", v.p);
    o.bool("is_local", v.is_local).text("descr", v.descr);
    o.end();
}
