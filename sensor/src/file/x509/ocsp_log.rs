//! The row of ocsp.log.

use crate::event::row;

row! {
    /// One row of ocsp.log: what a response says of one certificate.
    #[derive(Clone, Debug)]
    pub struct OcspRow<'a> in "ocsp" {
        /// When the response came.
        ts: time,
        /// The file that it is.
        id: text (&'a str),
        /// Algorithm of both hashes.
        hash_algorithm = "hashAlgorithm": text (&'a str),
        /// Hash of the issuer's name, hex.
        issuer_name_hash = "issuerNameHash": text (&'a str),
        /// Hash of the issuer's key, hex.
        issuer_key_hash = "issuerKeyHash": text (&'a str),
        /// The certificate's serial number, hex.
        serial_number = "serialNumber": text (&'a str),
        /// `good`, `revoked` or `unknown`.
        cert_status = "certStatus": text (&'static str),
        /// When it was revoked, seconds since the epoch.
        revoketime: opt seconds,
        /// Why it was revoked.
        revokereason: opt text (&'static str),
        /// When that was so, seconds since the epoch.
        this_update = "thisUpdate": seconds,
        /// Until when it is good to know, seconds since the epoch.
        next_update = "nextUpdate": opt seconds,
    }
}
