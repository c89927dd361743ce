//! What the TLS analyzers of one worker share.

use std::sync::Arc;

use super::hs;
use crate::file::x509::Validator;

/// Longest handshake message read by default, bytes after its header. Real ones stay far below.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// How many times longer a Certificate message may be: chains with thousands of names exist. Memory is taken for the
/// bytes that came, not for the length in the header.
const CERTIFICATE_MESSAGES: usize = 8;

/// Most certificates read of one message by default. Real chains have five or less.
pub const MAX_CERTS: usize = 16;

/// Columns of ssl.log that are there on request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Subjects and issuers of both sides' certificates.
    pub subjects: bool,
    /// JA3, JA3S and JA4.
    pub fingerprints: bool,
    /// What hellos offer.
    pub offers: bool,
}

/// What carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Records in a stream.
    Stream,
    /// Records in datagrams: DTLS.
    Datagrams,
    /// QUIC, whose handshake has no records.
    Quic,
}

/// What hellos said, for whoever carries them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub(super) client_hellos: u32,
    pub(super) server_hellos: u32,
    /// The last hello of the server asks for another one of the client.
    pub retries: bool,
    /// First server that the client's last hello names.
    pub server_name: Option<Vec<u8>>,
    /// Protocols that the client's last hello offers (ALPN).
    pub protocols: Vec<Vec<u8>>,
}

impl Heard {
    /// Hellos of the client and of the server so far.
    pub fn counts(&self) -> [u32; 2] {
        [self.client_hellos, self.server_hellos]
    }
}

/// TlsConfig of the analyzers.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Longest handshake message, bytes; Certificate messages may be eight times as long.
    pub max_message: usize,
    /// Most certificates read of one message.
    pub max_certs: usize,
    /// Columns of ssl.log that are there on request.
    pub extras: Extras,
    /// Says whether a server's chain is to be believed, for `validation_status`.
    pub validator: Option<Arc<Validator>>,
}

impl Default for TlsConfig {
    fn default() -> TlsConfig {
        TlsConfig {
            max_message: MAX_MESSAGE,
            max_certs: MAX_CERTS,
            extras: Extras::default(),
            validator: None,
        }
    }
}

/// What the TLS analyzers of one worker share.
#[derive(Debug, Default)]
pub struct TlsShared {
    /// As given to [`TlsShared::new`].
    pub settings: TlsConfig,
}

/// One for all connections of a worker.
pub type SharedTls = Arc<TlsShared>;

impl TlsShared {
    /// With these settings.
    pub fn new(settings: TlsConfig) -> SharedTls {
        Arc::new(TlsShared { settings })
    }

    /// Whether a handshake message of `msg_type` may be `length` bytes long.
    pub(super) fn fits(&self, msg_type: u8, length: usize) -> bool {
        let most = self.settings.max_message;
        match msg_type {
            hs::CERTIFICATE => length <= most.saturating_mul(CERTIFICATE_MESSAGES),
            _ => length <= most,
        }
    }
}
