//! TLS over a stream (SSLv2 hellos to TLS 1.3), over datagrams and in QUIC: events, ssl.log and x509.log.
//!
//! [`Tls`] and [`Dtls`] are the record layers. Both feed a [`session`](self), which keeps what was negotiated,
//! raises events and owns the log row. Meaning is Zeek's: names, order of events, when the row is written.

mod detect;
mod dtls;
pub mod events;
mod extension;
mod fingerprint;
mod fragments;
mod handshake;
mod info;
mod log;
pub mod names;
mod offer;
pub mod offer_events;
mod reader;
mod registry;
mod session;
mod shared;
mod stream;
#[cfg(test)]
mod tests;

pub use detect::{client_hello_begins, looks_like_dtls, looks_like_tls, server_hello_begins};
pub use dtls::Dtls;
pub use fingerprint::Hello;
pub use log::SslRow;
pub use shared::{Extras, Heard, MAX_CERTS, MAX_MESSAGE, SharedTls, TlsConfig, TlsShared, Transport};
pub use stream::Tls;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Tls;

/// Record content types (RFC 8446 section 5.1, RFC 6520).
mod content {
    pub(super) const CHANGE_CIPHER_SPEC: u16 = 20;
    pub(super) const ALERT: u16 = 21;
    pub(super) const HANDSHAKE: u16 = 22;
    pub(super) const APPLICATION_DATA: u16 = 23;
    pub(super) const HEARTBEAT: u16 = 24;
    /// Of DTLS 1.2, protected, with a connection id (RFC 9146).
    pub(super) const TLS12_CID: u16 = 25;
    /// SSLv2's messages as Zeek numbers them: 300 and the message type.
    pub(super) const V2: u16 = 300;
    pub(super) const V2_ERROR: u16 = V2;
    pub(super) const V2_CLIENT_HELLO: u16 = V2 + 1;
    pub(super) const V2_CLIENT_MASTER_KEY: u16 = V2 + 2;
    pub(super) const V2_SERVER_HELLO: u16 = V2 + 4;
}

/// Handshake message types (RFC 8446 section 4, RFC 5246 section 7.4, RFC 5077, RFC 6066, RFC 6347).
mod hs {
    pub(super) const HELLO_REQUEST: u8 = 0;
    pub(super) const CLIENT_HELLO: u8 = 1;
    pub(super) const SERVER_HELLO: u8 = 2;
    pub(super) const HELLO_VERIFY_REQUEST: u8 = 3;
    pub(super) const SESSION_TICKET: u8 = 4;
    pub(super) const CERTIFICATE: u8 = 11;
    pub(super) const SERVER_KEY_EXCHANGE: u8 = 12;
    pub(super) const CERTIFICATE_REQUEST: u8 = 13;
    pub(super) const SERVER_HELLO_DONE: u8 = 14;
    pub(super) const CERTIFICATE_VERIFY: u8 = 15;
    pub(super) const CLIENT_KEY_EXCHANGE: u8 = 16;
    pub(super) const FINISHED: u8 = 20;
    pub(super) const CERTIFICATE_URL: u8 = 21;
    pub(super) const CERTIFICATE_STATUS: u8 = 22;
}

/// Certificate types (IANA TLS Certificate Types).
mod certificate_type {
    pub(super) const X509: u8 = 0;
    pub(super) const RAW_PUBLIC_KEY: u8 = 2;
}

/// Extension types that are read (IANA TLS ExtensionType Values).
mod ext {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const ELLIPTIC_CURVES: u16 = 10;
    pub(super) const EC_POINT_FORMATS: u16 = 11;
    pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(super) const ALPN: u16 = 16;
    pub(super) const SIGNED_CERTIFICATE_TIMESTAMP: u16 = 18;
    /// What a Certificate message is (RFC 7250).
    pub(super) const CLIENT_CERTIFICATE_TYPE: u16 = 19;
    pub(super) const SERVER_CERTIFICATE_TYPE: u16 = 20;
    pub(super) const SESSION_TICKET: u16 = 35;
    /// Key share of drafts up to 22.
    pub(super) const KEY_SHARE_OLD: u16 = 40;
    pub(super) const PRE_SHARED_KEY: u16 = 41;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
    pub(super) const PSK_KEY_EXCHANGE_MODES: u16 = 45;
    pub(super) const SIGNATURE_ALGORITHMS_CERT: u16 = 50;
    pub(super) const KEY_SHARE: u16 = 51;
    pub(super) const CONNECTION_ID: u16 = 54;
    /// RFC 9849.
    pub(super) const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
}
