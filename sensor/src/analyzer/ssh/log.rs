//! The row of ssh.log.

use crate::event::{ConnId, Ts, columns, row};

row! {
    /// One row of ssh.log: a connection of which a side's version is known.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SshRow in "ssh" {
        /// When the first version came.
        ts: time,
        /// Whose it is.
        c: conn,
        /// Version that both sides speak, 1 or 2.
        version: opt count,
        /// Whether the client is authenticated, if that is known.
        auth_success: opt bool,
        /// How often it tried to be.
        auth_attempts: count,
        /// `OUTBOUND` from a local address to one that is not, `INBOUND` the other way; unset for all others.
        direction: opt enumeration,
        /// The client's identification string.
        client: opt wire,
        /// The server's identification string.
        server: opt wire,
        /// Cipher.
        cipher_alg: opt wire,
        /// Message authentication code; of no meaning where the cipher has one of its own.
        mac_alg: opt wire,
        /// Compression.
        compression_alg: opt wire,
        /// Key exchange.
        kex_alg: opt wire,
        /// Kind of the server's key.
        host_key_alg: opt wire,
        /// MD5 of the server's key, in hex with colons.
        host_key: opt text (String),
        /// Hashes of what both sides offer.
        hassh: group (Option<Hassh>),
    }
}

columns! {
    /// Hashes of what both sides offer (hassh; Salesforce, 2018).
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Hassh {
        /// Of the client's offer.
        hassh: opt text (String),
        /// Of the server's offer.
        hassh_server: opt text (String),
    }
}

impl SshRow {
    /// Of a connection of which nothing is known yet.
    pub fn new(ts: Ts, c: &ConnId, direction: Option<&'static str>, hassh: bool) -> SshRow {
        SshRow {
            ts,
            c: *c,
            version: None,
            auth_success: None,
            auth_attempts: 0,
            direction,
            client: None,
            server: None,
            cipher_alg: None,
            mac_alg: None,
            compression_alg: None,
            kex_alg: None,
            host_key_alg: None,
            host_key: None,
            hassh: hassh.then(Hassh::default),
        }
    }

    /// Whether lengths say nothing because what is sent is compressed (Zeek: SSH::compression_algorithms).
    pub fn is_compressed(&self) -> bool {
        let algorithm = self.compression_alg.as_deref();
        matches!(algorithm, Some(b"zlib" | b"zlib@openssh.com"))
    }
}
