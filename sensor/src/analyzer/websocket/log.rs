//! The row of websocket.log.

use crate::event::{ConnId, row};

row! {
    /// One row of websocket.log: a connection that became a WebSocket.
    #[derive(Clone, Debug)]
    pub struct WebsocketRow<'a> in "websocket" {
        /// When the server agreed.
        ts: time,
        /// Whose it is.
        c: conn (&'a ConnId),
        /// Header Host of the request.
        host: opt wire (&'a [u8]),
        /// The request's URI, decoded.
        uri: opt wire (&'a [u8]),
        /// Header User-Agent.
        user_agent: opt wire (&'a [u8]),
        /// The protocol that the server chose.
        subprotocol: opt wire (&'a [u8]),
        /// Protocols that the client offered.
        client_protocols: opt vector wire (&'a [Vec<u8>]),
        /// Extensions that the server chose.
        server_extensions: opt vector wire (&'a [Vec<u8>]),
        /// Extensions that the client offered.
        client_extensions: opt vector wire (&'a [Vec<u8>]),
    }
}
