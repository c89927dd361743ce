//! The row of ssl.log.

use crate::event::{columns, row};

row! {
    /// One row of ssl.log.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SslRow in "ssl" {
        /// When its first message came.
        ts: time,
        /// Whose it is.
        c: conn,
        /// Version that the server chose, such as `TLSv13`.
        version: opt text,
        /// Cipher suite that the server chose.
        cipher: opt text,
        /// Curve of the key exchange.
        curve: opt text,
        /// As its bytes are, and so the protocol.
        server_name: opt wire,
        /// An earlier session went on.
        resumed: bool,
        /// Description of the last alert.
        last_alert: opt text,
        /// Protocol that the server chose (ALPN).
        next_protocol: opt wire,
        /// The handshake came to its end.
        established: bool,
        /// A letter for each message.
        ssl_history: text (String),
        /// SHA-256 of each certificate's DER, lower-case hex, leaf first; unset when no side sent any.
        cert_chain_fps: opt vector text (Vec<String>),
        /// The same of the client's chain.
        client_cert_chain_fps: opt vector text (Vec<String>),
        /// Who the certificates are made out for, and by whom.
        subjects: group (Option<Subjects>),
        /// Whether the server's certificate is made out for `server_name`.
        sni_matches_cert: opt bool,
        /// What the server's chain is worth.
        validation: group (Option<Validation>),
        /// Hashes of both hellos.
        fingerprints: group (Option<Fingerprints>),
        /// What both hellos say.
        offers: group (Option<Offers>),
    }
}

columns! {
    /// Subject and issuer of the server's certificate and of the client's.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Subjects {
        /// The server's subject.
        subject: opt text (String),
        /// The server's issuer.
        issuer: opt text (String),
        /// The client's subject.
        client_subject: opt text (String),
        /// The client's issuer.
        client_issuer: opt text (String),
    }
}

columns! {
    /// Whether the server's chain is to be believed.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Validation {
        /// `ok`, or why not.
        validation_status: opt text,
    }
}

columns! {
    /// Hashes of both hellos.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Fingerprints {
        /// Of the ClientHello.
        ja3: opt text (String),
        /// Of the ServerHello.
        ja3s: opt text (String),
        /// Of the ClientHello, in the newer form.
        ja4: opt text (String),
    }
}

columns! {
    /// What hellos offer and choose, by code points (Zeek: policy/protocols/ssl/ssl-log-ext).
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Offers {
        /// Version in the ServerHello itself.
        server_version: opt count,
        /// Version in the ClientHello itself.
        client_version: opt count,
        /// Cipher suites that the client offers.
        client_ciphers: opt vector count,
        /// Extensions that the client sends, in all its hellos.
        ssl_client_exts: opt vector count,
        /// Extensions that the server sends, in all its hellos.
        ssl_server_exts: opt vector count,
        /// For how long the server's ticket is good, seconds.
        ticket_lifetime_hint: opt count,
        /// Bits of the server's finite-field Diffie-Hellman value.
        dh_param_size: opt count,
        /// Point formats that the client knows.
        point_formats: opt vector count,
        /// Groups that the client knows.
        client_curves: opt vector count,
        /// Protocols that the client offers (ALPN).
        orig_alpn: opt vector wire,
        /// Versions that the client offers in its extension.
        client_supported_versions: opt vector count,
        /// Version that the server chooses in its extension.
        server_supported_version: opt count,
        /// How the client would use pre-shared keys.
        psk_key_exchange_modes: opt vector count,
        /// Groups that the client has keys for.
        client_key_share_groups: opt vector count,
        /// Group that the server has a key for, or wants one for.
        server_key_share_group: opt count,
        /// Compression methods that the client offers.
        client_comp_methods: opt vector count,
        /// Signature algorithms that the client knows; from TLS 1.3 on their second bytes.
        sigalgs: opt vector count,
        /// Hash algorithms beside them; from TLS 1.3 on the first bytes.
        hashalgs: opt vector count,
        /// How the client derives keys for its encrypted hello.
        ech_kdf_id: opt count,
        /// How it encrypts it.
        ech_aead_id: opt count,
    }
}
