//! OCSP responses: ocsp.log.

use super::super::api::Cx;
use super::super::x509::OcspRow;
use super::super::x509::ocsp::{Status, answers};
use super::found::{About, Whole};

/// The type of files that are read as responses.
pub const TYPE: &str = "application/ocsp-response";

/// The file is over, and all of it came.
pub fn end(whole: &Whole, about: About<'_>, cx: &mut Cx<'_>) {
    let Some(answers) = answers(whole.bytes()) else {
        return cx
            .out
            .weird(cx.ts, "openssl_ocsp_response_parse_error", about.fuid, "");
    };
    for a in &answers {
        let (cert_status, revoketime, revokereason) = match a.status {
            Status::Good => ("good", None, None),
            Status::Revoked(at, why) => ("revoked", Some(at).filter(|at| *at != 0), why),
            Status::Unknown => ("unknown", None, None),
        };
        cx.out.log(&OcspRow {
            ts: about.started,
            id: about.fuid,
            hash_algorithm: &a.hash_algorithm,
            issuer_name_hash: &a.issuer_name_hash,
            issuer_key_hash: &a.issuer_key_hash,
            serial_number: &a.serial,
            cert_status,
            revoketime,
            revokereason,
            this_update: a.this_update,
            next_update: a.next_update,
        });
    }
}
