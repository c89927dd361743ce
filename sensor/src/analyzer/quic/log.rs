//! The row of quic.log.

use std::borrow::Cow;

use crate::event::row;

row! {
    /// One row of quic.log: a connection, or what came of one up to a packet that begins another.
    #[derive(Clone, Debug, PartialEq)]
    pub struct QuicRow in "quic" {
        /// When its first packet came.
        ts: time,
        /// Whose it is.
        c: conn,
        /// Version of the first packet, such as `1` and `quicv2`.
        version: text (Cow<'static, str>),
        /// Destination of the client's first packet, in hex; keys of Initial packets are made of it.
        client_initial_dcid: opt text (String),
        /// The client's connection id, in hex.
        client_scid: opt text (String),
        /// The server's connection id, in hex.
        server_scid: opt text (String),
        /// Server that the client's hello names.
        server_name: opt wire,
        /// First protocol that the client's hello offers (ALPN).
        client_protocol: opt wire,
        /// A letter for each packet, upper case for the client's: I Initial, H Handshake, Z 0-RTT, R Retry, C close, S hello, U
        /// unknown version.
        history: text (String),
    }
}
