//! X.509 certificates: x509.log, and weirds of what is wrong with them.

use super::super::api::Cx;
use super::super::x509::{CertCache, X509Row};
use super::found::{About, Found, Whole};

/// The types of files that are read as certificates: the first of a chain, another one of it, and any.
pub const TYPES: [&str; 3] = [USER, "application/x-x509-ca-cert", "application/pkix-cert"];
const USER: &str = "application/x-x509-user-cert";

/// The file is over, and all of it came.
pub fn end(whole: &Whole, about: About<'_>, certs: &mut CertCache, found: &mut Found, cx: &mut Cx<'_>) {
    let Some(cert) = certs.get(whole.bytes()) else {
        return cx.out.weird(cx.ts, "x509_cert_parse_error", about.fuid, "");
    };
    for (name, addl) in &cert.weirds {
        cx.out.weird(cx.ts, name, about.fuid, addl);
    }
    let (host, client) = (about.mime == Some(USER), about.is_orig);
    if certs.is_new(&cert, host, client, cx.ts) {
        cx.out.log(&X509Row::new(about.started, &cert, host, client));
    }
    found.certificate = Some(cert);
}
