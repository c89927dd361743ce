//! The row of x509.log.

use std::net::IpAddr;

use super::Certificate;
use crate::event::{Ts, row};

row! {
    /// One row of x509.log: a certificate and how it was used.
    #[derive(Clone, Debug)]
    pub struct X509Row<'a> in "x509" {
        /// When it was sent.
        ts: time,
        /// SHA-256 of its DER, lower-case hex.
        fingerprint: text (&'a str),
        /// Version, 3 for X.509 v3.
        version = "certificate.version": count,
        /// Serial number, hex.
        serial = "certificate.serial": text (&'a str),
        /// Who it is made out for.
        subject = "certificate.subject": text (&'a str),
        /// Who signed it.
        issuer = "certificate.issuer": text (&'a str),
        /// From when on it is valid, seconds since the epoch.
        not_valid_before = "certificate.not_valid_before": seconds,
        /// Until when it is valid, seconds since the epoch.
        not_valid_after = "certificate.not_valid_after": seconds,
        /// Algorithm of its key.
        key_alg = "certificate.key_alg": text (&'a str),
        /// Algorithm of its signature.
        sig_alg = "certificate.sig_alg": text (&'a str),
        /// `rsa`, `ecdsa` and so on.
        key_type = "certificate.key_type": opt text (&'a str),
        /// The key's length, bits.
        key_length = "certificate.key_length": opt count,
        /// RSA's public exponent.
        exponent = "certificate.exponent": opt text (&'a str),
        /// The key's curve.
        curve = "certificate.curve": opt text (&'a str),
        /// Alternative names. A kind of name that does not occur is unset, not empty.
        dns = "san.dns": opt vector wire (&'a [Vec<u8>]),
        /// The same.
        uri = "san.uri": opt vector wire (&'a [Vec<u8>]),
        /// The same.
        email = "san.email": opt vector wire (&'a [Vec<u8>]),
        /// The same; empty is what addresses of no address's length leave.
        ip = "san.ip": opt vector addr (&'a [IpAddr]),
        /// It may sign others.
        ca = "basic_constraints.ca": opt bool,
        /// Most certificates of others below it in a chain.
        path_len = "basic_constraints.path_len": opt count,
        /// The first of its chain.
        host_cert: bool,
        /// Sent by a client.
        client_cert: bool,
    }
}

impl<'a> X509Row<'a> {
    /// The row of `cert`, sent at `ts`; `host_cert`: the first of its chain; `client_cert`: by a client.
    pub fn new(ts: Ts, cert: &'a Certificate, host_cert: bool, client_cert: bool) -> X509Row<'a> {
        let names = |all: &'a [Vec<u8>]| Some(all).filter(|n| !n.is_empty());
        X509Row {
            ts,
            fingerprint: &cert.fingerprint,
            version: cert.version,
            serial: &cert.serial,
            subject: &cert.subject,
            issuer: &cert.issuer,
            not_valid_before: cert.not_before,
            not_valid_after: cert.not_after,
            key_alg: &cert.key_alg,
            sig_alg: &cert.sig_alg,
            key_type: cert.key_type.as_deref(),
            key_length: cert.key_length,
            exponent: cert.exponent.as_deref(),
            curve: cert.curve.as_deref(),
            dns: names(&cert.dns),
            uri: names(&cert.uri),
            email: names(&cert.email),
            ip: cert.ip.as_deref(),
            ca: cert.ca,
            path_len: cert.path_len,
            host_cert,
            client_cert,
        }
    }
}
