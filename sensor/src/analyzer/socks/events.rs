//! Events of SOCKS, and the record that they carry.

use crate::event::page::events;
use crate::event::record;

events! {
    /// Events of SOCKS.
    page 14 "socks" of "socks";

    /// The client asks the proxy for a connection.
    /// `version`: 4 or 5; `request_type`: 1 to connect, 2 to be connected to, 3 for datagrams; `sa`, `p`: where to; `user`: the
    /// user's name, in version 4.
    SocksRequest "socks_request" (c: conn, version: count, request_type: count, sa: record AddressRecord<'a>, p: count,
        user: text);
    /// The proxy's answer.
    /// `version`: 4 or 5; `reply`: its code; `sa`, `p`: where the proxy has the connection.
    SocksReply "socks_reply" (c: conn, version: count, reply: count, sa: record AddressRecord<'a>, p: count);
    /// The client logs in (RFC 1929).
    /// `user`, `password`: what it says.
    SocksLoginUserpassRequest "socks_login_userpass_request" (c: conn, user: text, password: text);
    /// Whether that was accepted.
    /// `code`: 0 if it was.
    SocksLoginUserpassReply "socks_login_userpass_reply" (c: conn, code: count);
}

record! {
    /// An address, a name or both.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AddressRecord<'a> is "SOCKS::Address" {
        /// The address.
        host: opt addr,
        /// The name.
        name: opt text,
    }
}
