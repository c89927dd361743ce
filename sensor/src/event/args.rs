//! How an argument of each kind looks in JSON; a function per kind, named as the table names it.

use std::net::IpAddr;

use super::json::{self, Object};
use super::log::LogRow;
use super::*;

pub(super) fn connection(out: &mut Vec<u8>, v: &&ConnId) {
    json::conn(out, v);
}
pub(super) fn count(out: &mut Vec<u8>, v: &u64) {
    json::count(out, *v);
}
pub(super) fn int(out: &mut Vec<u8>, v: &i64) {
    json::int(out, *v);
}
pub(super) fn bool(out: &mut Vec<u8>, v: &bool) {
    json::bool(out, *v);
}
pub(super) fn time(out: &mut Vec<u8>, v: &Ts) {
    json::time(out, *v);
}
pub(super) fn interval(out: &mut Vec<u8>, v: &i64) {
    json::interval(out, *v);
}
pub(super) fn addr(out: &mut Vec<u8>, v: &IpAddr) {
    json::addr(out, *v);
}
pub(super) fn text(out: &mut Vec<u8>, v: &str) {
    json::text(out, v);
}
pub(super) fn bytes(out: &mut Vec<u8>, v: &[u8]) {
    json::bytes(out, v);
}
pub(super) fn index_vec(out: &mut Vec<u8>, v: &[u64]) {
    json::array(out, v, |o, x| json::count(o, *x));
}
pub(super) fn string_vec(out: &mut Vec<u8>, v: &[&[u8]]) {
    json::array(out, v, |o, x| json::wire_text(o, x));
}
pub(super) fn addr_set(out: &mut Vec<u8>, v: &[IpAddr]) {
    json::array(out, v, |o, x| json::addr(o, *x));
}
pub(super) fn tag(out: &mut Vec<u8>, v: &AnalyzerTag) {
    json::text(out, v.as_str());
}
pub(super) fn file(out: &mut Vec<u8>, v: &str) {
    json::text(out, v);
}
pub(super) fn any(out: &mut Vec<u8>, v: &str) {
    json::text(out, v);
}
pub(super) fn load_sample(out: &mut Vec<u8>, v: &[&str]) {
    json::array(out, v, |o, x| json::text(o, x));
}
pub(super) fn pkt_hdr(out: &mut Vec<u8>, v: &PktHdr<'_>) {
    v.write(out);
}
pub(super) fn raw_pkt_hdr(out: &mut Vec<u8>, v: &RawPktHdr<'_>) {
    v.write(out);
}
pub(super) fn call_args(out: &mut Vec<u8>, v: &Event<'_>) {
    v.write_params(out);
}

pub(super) fn syn_packet(out: &mut Vec<u8>, v: &SynPacket) {
    let mut o = Object::new(out);
    o.bool("is_orig", v.is_orig)
        .bool("DF", v.df)
        .count("ttl", v.ttl)
        .count("size", v.size);
    o.count("win_size", v.win_size).int("win_scale", v.win_scale);
    o.count("MSS", v.mss).bool("SACK_OK", v.sack_ok);
    if let Some(t) = v.tsval {
        o.count("TSval", t);
    }
    if let Some(t) = v.tsecr {
        o.count("TSecr", t);
    }
    o.end();
}

pub(super) fn endpoint_stats(out: &mut Vec<u8>, v: &EndpointStats) {
    let mut o = Object::new(out);
    o.count("num_pkts", v.num_pkts).count("num_rxmit", v.num_rxmit);
    o.count("num_rxmit_bytes", v.num_rxmit_bytes)
        .count("num_in_order", v.num_in_order);
    o.count("num_OO", v.num_oo)
        .count("num_repl", v.num_repl)
        .count("endian_type", v.endian_type);
    o.end();
}

pub(super) fn fa_file(out: &mut Vec<u8>, v: &FaFile<'_>) {
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

pub(super) fn fa_metadata(out: &mut Vec<u8>, v: &FaMetadata<'_>) {
    let mut o = Object::new(out);
    if let Some(m) = v.mime_type {
        o.text("mime_type", m);
    }
    o.end();
}

pub(super) fn encap(out: &mut Vec<u8>, v: &[Encap<'_>]) {
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

pub(super) fn os_version(out: &mut Vec<u8>, v: &OsVersion<'_>) {
    let mut o = Object::new(out);
    o.text("genre", v.genre)
        .text("detail", v.detail)
        .count("dist", v.dist);
    o.end();
}

pub(super) fn dns_mapping(out: &mut Vec<u8>, v: &DnsMapping<'_>) {
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
    addr_set(o.key("addrs"), v.addrs);
    o.end();
}

pub(super) fn event_peer(out: &mut Vec<u8>, v: &EventPeer<'_>) {
    let mut o = Object::new(out);
    o.count("id", v.id).addr("host", v.host).count("p", v.p);
    o.bool("is_local", v.is_local).text("descr", v.descr);
    o.end();
}

pub(super) fn signature_state(out: &mut Vec<u8>, v: &SignatureState<'_>) {
    let mut o = Object::new(out);
    o.text("sig_id", v.sig_id)
        .bool("is_orig", v.is_orig)
        .count("payload_size", v.payload_size);
    o.end();
}

pub(super) fn software(out: &mut Vec<u8>, v: &Software<'_>) {
    let mut o = Object::new(out);
    o.text("name", v.name).text("version", v.version);
    o.end();
}

pub(super) fn log_row(out: &mut Vec<u8>, v: &&dyn LogRow) {
    log::write_json(out, *v, &mut Vec::new());
}

/// One element of `new_event`'s parameters.
pub(super) fn param(
    out: &mut Vec<u8>,
    first: &mut bool,
    name: &str,
    typ: &str,
    value: impl FnOnce(&mut Vec<u8>),
) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    let mut o = Object::new(out);
    o.text("name", name).text("type", typ);
    value(o.key("value"));
    o.end();
}
