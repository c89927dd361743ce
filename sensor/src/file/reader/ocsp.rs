//! OCSP: ocsp.log, and events of requests and responses.

use super::super::api::Cx;
use super::super::x509::OcspRow;
use super::super::x509::ocsp::{Answer, Basic, Extension, Status, request, response};
use super::super::x509::ocsp_events::{
    self, OcspExtension, OcspRequest, OcspRequestCertificate, OcspResponseBytes, OcspResponseCertificate,
    OcspResponseStatus,
};
use super::found::{About, Whole};
use crate::base::time::SECOND;
use crate::event::{FaFile, Subscriptions, Ts};

/// The type of files that are read as responses.
pub const TYPE: &str = "application/ocsp-response";
/// The type of files that are read as requests, if somebody wants their events.
pub const REQUEST: &str = "application/ocsp-request";

/// Whether somebody wants the events of requests.
pub fn wants_requests(subs: &Subscriptions) -> bool {
    subs.wants(OcspRequest::KIND) || subs.wants(OcspRequestCertificate::KIND)
}

/// A request is over, and all of it came.
pub fn end_request(whole: &Whole, about: About<'_>, cx: &mut Cx<'_>) {
    let Some((version, ids)) = request(whole.bytes()) else {
        return cx
            .out
            .weird(cx.ts, "openssl_ocsp_request_parse_error", about.fuid, "");
    };
    let f = about.f;
    cx.raise(&OcspRequest { f, version });
    for id in &ids {
        let asked = OcspRequestCertificate {
            f,
            hash_algorithm: &id.hash_algorithm,
            issuer_name_hash: &id.issuer_name_hash,
            issuer_key_hash: &id.issuer_key_hash,
            serial_number: &id.serial,
        };
        cx.raise(&asked);
    }
}

/// The file is over, and all of it came.
pub fn end(whole: &Whole, about: About<'_>, cx: &mut Cx<'_>) {
    let Some(response) = response(whole.bytes()) else {
        return cx
            .out
            .weird(cx.ts, "openssl_ocsp_response_parse_error", about.fuid, "");
    };
    let (f, status) = (about.f, response.status);
    cx.raise(&OcspResponseStatus { f, status });
    let Some(basic) = response.basic else { return };
    for a in &basic.answers {
        tell_answer(a, f, cx);
        log(a, about, cx);
        tell_extensions(&a.extensions, false, f, cx);
    }
    tell_basic(&basic, status, f, cx);
    tell_extensions(&basic.extensions, true, f, cx);
}

/// A time of seconds since the epoch.
fn ts(seconds: i64) -> Ts {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(SECOND)
}

fn tell_answer(a: &Answer, f: &FaFile<'_>, cx: &mut Cx<'_>) {
    let (cert_status, revoked, reason) = shown(a.status);
    let said = OcspResponseCertificate {
        f,
        hash_algorithm: &a.id.hash_algorithm,
        issuer_name_hash: &a.id.issuer_name_hash,
        issuer_key_hash: &a.id.issuer_key_hash,
        serial_number: &a.id.serial,
        cert_status,
        revoke_time: ts(revoked.unwrap_or(0)),
        revoke_reason: reason.unwrap_or(""),
        this_update: ts(a.this_update),
        next_update: ts(a.next_update.unwrap_or(0)),
    };
    cx.raise(&said);
}

fn tell_basic(basic: &Basic<'_>, status: &str, f: &FaFile<'_>, cx: &mut Cx<'_>) {
    let said = OcspResponseBytes {
        f,
        status,
        version: basic.version,
        responder_id: &basic.responder,
        produced_at: ts(basic.produced_at),
        signature_algorithm: &basic.signature_algorithm,
        certs: &basic.certificates,
    };
    cx.raise(&said);
}

fn tell_extensions(extensions: &[Extension], global_resp: bool, f: &FaFile<'_>, cx: &mut Cx<'_>) {
    for e in extensions {
        let names = e.names();
        let ext = ocsp_events::Extension {
            name: names.map_or(&e.oid, |names| names.0),
            short_name: names.map(|names| names.1),
            oid: &e.oid,
            critical: e.critical,
            value: &e.value,
        };
        cx.raise(&OcspExtension { f, ext, global_resp });
    }
}

/// A status in words, and of one that was revoked when and why.
fn shown(status: Status) -> (&'static str, Option<i64>, Option<&'static str>) {
    match status {
        Status::Good => ("good", None, None),
        Status::Revoked(at, why) => ("revoked", Some(at).filter(|at| *at != 0), why),
        Status::Unknown => ("unknown", None, None),
    }
}

/// The row of an answer.
fn log(a: &Answer, about: About<'_>, cx: &mut Cx<'_>) {
    let (cert_status, revoketime, revokereason) = shown(a.status);
    cx.out.log(&OcspRow {
        ts: about.started,
        id: about.fuid,
        hash_algorithm: &a.id.hash_algorithm,
        issuer_name_hash: &a.id.issuer_name_hash,
        issuer_key_hash: &a.id.issuer_key_hash,
        serial_number: &a.id.serial,
        cert_status,
        revoketime,
        revokereason,
        this_update: a.this_update,
        next_update: a.next_update,
    });
}
