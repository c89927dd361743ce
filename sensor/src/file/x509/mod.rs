//! X.509 certificates as x509.log shows them, and what connections share of them.
//!
//! Knows nothing of TLS: a certificate comes in as DER, from whatever carried it.

mod cache;
mod cert;
mod host;
mod log;
mod name;
mod oid;
mod validate;

pub use cache::CertCache;
pub use cert::Certificate;
pub use log::X509Row;
pub use validate::{BadRoots, Validator};
