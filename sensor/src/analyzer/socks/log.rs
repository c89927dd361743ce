//! The row of socks.log.

use crate::event::{ConnId, Ts, row};

row! {
    /// One row of socks.log: a connection to a proxy that has replied.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SocksRow in "socks" {
        /// When the client asked for a connection, or logged in.
        ts: time,
        /// Whose it is.
        c: conn,
        /// Version of the first message, 4 or 5.
        version: count (u8),
        /// The user's name, if the client has logged in with a password.
        user: opt wire,
        /// The password; always unset.
        password: opt wire,
        /// What the proxy said last.
        status: opt text,
        /// The address that the client asks for.
        request_host = "request.host": opt addr,
        /// The name that the client asks for.
        request_name = "request.name": opt wire,
        /// And the port.
        request_p: opt port,
        /// The address at which the proxy has a connection.
        bound_host = "bound.host": opt addr,
        /// Its name, where the proxy says one.
        bound_name = "bound.name": opt wire,
        /// And the port.
        bound_p: opt port,
    }
}

impl SocksRow {
    /// Of a connection of which nothing is known yet.
    pub fn new(ts: Ts, c: &ConnId, version: u8) -> SocksRow {
        SocksRow {
            ts,
            c: *c,
            version,
            user: None,
            password: None,
            status: None,
            request_host: None,
            request_name: None,
            request_p: None,
            bound_host: None,
            bound_name: None,
            bound_p: None,
        }
    }
}
