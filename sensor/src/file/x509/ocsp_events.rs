//! Events of OCSP's requests and responses, under Zeek's names. Hashes and serial numbers are hex.

use crate::event::page::events;
use crate::event::record;

record! {
    /// An extension of a response (Zeek's `X509::Extension`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Extension<'a> is "X509::Extension" {
        /// Its name, or its object identifier where it has none.
        name: text,
        /// Its short name.
        short_name: opt text,
        /// Its object identifier.
        oid: text,
        /// Who does not know it has no use for the rest.
        critical: bool,
        /// A nonce as hex, anything else as text with dots for what is none.
        value: text,
    }
}

events! {
    /// Events of OCSP's requests and responses.
    page 27 "ocsp" of "ocsp";

    /// A request.
    /// `f`: the file; `version`: 0 is version 1.
    OcspRequest "ocsp_request" (f: fa_file, version: count);

    /// A certificate that a request asks for.
    /// `f`: the file; `hashAlgorithm`: of both hashes; `issuerNameHash`, `issuerKeyHash`: who issued it;
    /// `serialNumber`: its own.
    OcspRequestCertificate "ocsp_request_certificate" (
        f: fa_file, hash_algorithm = "hashAlgorithm": text, issuer_name_hash = "issuerNameHash": text,
        issuer_key_hash = "issuerKeyHash": text, serial_number = "serialNumber": text
    );

    /// A response.
    /// `f`: the file; `status`: whether the request could be answered.
    OcspResponseStatus "ocsp_response_status" (f: fa_file, status: text);

    /// A response that has answers.
    /// `f`: the file; `status`: as in the event before; `version`: 0 is version 1; `responderId`: name or hash of the key
    /// of who answers; `producedAt`: when; `signatureAlgorithm`: how it is signed; `certs`: certificates beside it, DER.
    OcspResponseBytes "ocsp_response_bytes" (
        f: fa_file, status: text, version: count, responder_id = "responderId": text, produced_at = "producedAt": time,
        signature_algorithm = "signatureAlgorithm": text, certs: x509_vec
    );

    /// What a response says of a certificate.
    /// `f`: the file; `hashAlgorithm`, `issuerNameHash`, `issuerKeyHash`, `serialNumber`: which certificate;
    /// `certStatus`: `good`, `revoked` or `unknown`; `revokeTime`, `revokeReason`: when and why it was revoked, else 0 and
    /// empty; `thisUpdate`: when that was so; `nextUpdate`: until when it is good to know, 0 if that is not said.
    OcspResponseCertificate "ocsp_response_certificate" (
        f: fa_file, hash_algorithm = "hashAlgorithm": text, issuer_name_hash = "issuerNameHash": text,
        issuer_key_hash = "issuerKeyHash": text, serial_number = "serialNumber": text, cert_status = "certStatus": text,
        revoke_time = "revokeTime": time, revoke_reason = "revokeReason": text, this_update = "thisUpdate": time,
        next_update = "nextUpdate": time
    );

    /// An extension of a response.
    /// `f`: the file; `ext`: the extension; `global_resp`: it is of the response, not of one answer in it.
    OcspExtension "ocsp_extension" (f: fa_file, ext: record Extension<'a>, global_resp: bool);
}
