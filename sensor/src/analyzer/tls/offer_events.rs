//! Events of what hellos offer and choose, that Zeek has and the seeds have not.

use crate::event::page::events;
use crate::event::record::{InVec, RecordVec, record};

record! {
    /// How something is signed (RFC 5246 section 7.4.1.4.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SignatureAndHashAlgorithm is "SSL::SignatureAndHashAlgorithm" {
        /// Hash algorithm. From TLS 1.3 on the first byte of a scheme.
        hash_algorithm = "HashAlgorithm": count,
        /// Signature algorithm. From TLS 1.3 on the second byte of a scheme.
        signature_algorithm = "SignatureAlgorithm": count,
    }
}

impl SignatureAndHashAlgorithm {
    /// Of the number that stands for both.
    pub fn from_scheme(scheme: u64) -> SignatureAndHashAlgorithm {
        SignatureAndHashAlgorithm {
            hash_algorithm: scheme >> 8,
            signature_algorithm: scheme & 0xff,
        }
    }
}

impl InVec for SignatureAndHashAlgorithm {
    const ONE: &'static str = SignatureAndHashAlgorithm::NAME;
    const ALL: &'static str = "signature_and_hashalgorithm_vec";
}

/// A list of them.
pub type SignatureAlgorithms<'a> = RecordVec<'a, SignatureAndHashAlgorithm>;

record! {
    /// A key that a client says both sides have (RFC 8446 section 4.2.11).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PskIdentity<'a> is "SSL::PSKIdentity" {
        /// Its name, such as a session ticket.
        identity: bytes,
        /// How old the ticket is, ms, and a number of the server's.
        obfuscated_ticket_age: count,
    }
}

impl InVec for PskIdentity<'_> {
    const ONE: &'static str = PskIdentity::NAME;
    const ALL: &'static str = "psk_identity_vec";
}

/// A list of them.
pub type PskIdentities<'a> = RecordVec<'a, PskIdentity<'a>>;

events! {
    /// Events of what TLS hellos offer and choose.
    page 26 "tls" of "tls";

    /// The signature algorithms extension (RFC 5246, RFC 8446).
    /// `is_client`: from the client; `signature_algorithms`: each under its place, the first one is 1; no more than 200.
    SslExtensionSignatureAlgorithm "ssl_extension_signature_algorithm" (
        c: conn, is_client: bool, signature_algorithms: record SignatureAlgorithms<'a>
    );

    /// The signature algorithms for certificates (RFC 8446); Zeek has the event from version 9 on.
    /// `is_client`: from the client; `signature_schemes`: code points in order.
    SslExtensionSignatureAlgorithmsCert "ssl_extension_signature_algorithms_cert" (
        c: conn, is_client: bool, signature_schemes: index_vec
    );

    /// The key share extension (RFC 8446).
    /// `is_client`: from the client; `curves`: code points of the groups that it has keys for; the server's is one.
    SslExtensionKeyShare "ssl_extension_key_share" (c: conn, is_client: bool, curves: index_vec);

    /// The supported versions extension (RFC 8446).
    /// `is_client`: from the client; `versions`: in order; the server's is one.
    SslExtensionSupportedVersions "ssl_extension_supported_versions" (c: conn, is_client: bool, versions: index_vec);

    /// How pre-shared keys may be used (RFC 8446).
    /// `is_client`: from the client; `modes`: 0 alone, 1 with Diffie-Hellman.
    SslExtensionPskKeyExchangeModes "ssl_extension_psk_key_exchange_modes" (c: conn, is_client: bool, modes: index_vec);

    /// The pre-shared keys that a client offers (RFC 8446).
    /// `is_client`: from the client; `identities`: each under its place, the first one is 1, no more than 200; `binders`: what
    /// shows that the client has the key, in the same order.
    SslExtensionPreSharedKeyClientHello "ssl_extension_pre_shared_key_client_hello" (
        c: conn, is_client: bool, identities: record PskIdentities<'a>, binders: string_vec
    );

    /// The pre-shared key that a server takes (RFC 8446).
    /// `is_client`: from the client; `selected_identity`: its place in the client's list, the first one is 0.
    SslExtensionPreSharedKeyServerHello "ssl_extension_pre_shared_key_server_hello" (
        c: conn, is_client: bool, selected_identity: count
    );

    /// A signed certificate timestamp in a hello (RFC 6962).
    /// `is_client`: from the client; `version`: 0 is version 1; `logid`: of the log; `timestamp`: ms since the epoch;
    /// `signature_and_hashalgorithm`, `signature`: the log's.
    SslExtensionSignedCertificateTimestamp "ssl_extension_signed_certificate_timestamp" (
        c: conn, is_client: bool, version: count, logid: bytes, timestamp: count,
        signature_and_hashalgorithm: record SignatureAndHashAlgorithm, signature: bytes
    );

    /// The connection id that a side wants in what it receives (RFC 9146).
    /// `is_client`: from the client; `cid`: the id.
    SslExtensionConnectionId "ssl_extension_connection_id" (c: conn, is_client: bool, cid: bytes);

    /// A client's hello in a hello, encrypted (RFC 9849); Zeek has the event from version 9 on.
    /// `is_client`: from the client; `kdf_id`, `aead_id`: HPKE's algorithms; `config_id`: of the server's key; `enc`: the
    /// client's key; `payload_length`: bytes that are encrypted. Clients that have no key of the server's send the like of it.
    SslExtensionEncryptedClientHello "ssl_extension_encrypted_client_hello" (
        c: conn, is_client: bool, kdf_id: count, aead_id: count, config_id: count, enc: bytes, payload_length: count
    );
}
