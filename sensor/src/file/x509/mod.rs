//! X.509 certificates and what is said of them by OCSP, as x509.log and ocsp.log show them, and what connections share.
//!
//! Knows nothing of TLS: a certificate comes in as DER, from whatever carried it.

mod cache;
mod cert;
mod host;
mod log;
mod name;
pub mod ocsp;
pub mod ocsp_events;
mod ocsp_log;
mod oid;
mod validate;

pub use cache::CertCache;
pub use cert::Certificate;
pub use log::X509Row;
pub use ocsp_log::OcspRow;
pub use validate::{BadRoots, Validator};
