//! DTLS over UDP. Its records are its own; the rest it has in common with TLS, and so it is there: [`super::tls`].

pub use super::tls::Dtls as Analyzer;
