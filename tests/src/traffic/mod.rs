//! Real traffic by real sockets: a server with one port per habit, and the clients that use them.

mod client;
mod ping;
mod server;
mod tls;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;

pub use client::{
    download, half_close, http_get, opened_then_closed, refused, reset_by_client, reset_by_server,
    server_closes_first, udp_exchange, udp_exchange_from, unanswered_syn, upload,
};
pub use ping::ping;
pub use server::Server;
pub use tls::{TlsClient, TlsVersion};

/// Traffic of many kinds with `server`, fragments among it; so many bytes each way, and nobody answers at `dark`.
pub fn of_many_kinds(server: IpAddr, dark: IpAddr, bytes: u64) -> Result<()> {
    http_get(server)?;
    udp_exchange(server, 500)?;
    refused(server)?;
    reset_by_client(server)?;
    half_close(server)?;
    upload(server, bytes)?;
    download(server, bytes)?;
    ping(server, 56)?;
    // In fragments.
    ping(server, 4000)?;
    unanswered_syn(dark, 4711, Duration::from_millis(100))
}

/// The server's ports, TCP unless said otherwise.
pub mod port {
    /// HTTP/1.1, one request a connection, the server closes.
    pub const HTTP: u16 = 80;
    /// TLS 1.2 and 1.3, echoes one message.
    pub const TLS: u16 = 443;
    /// UDP: sends back what came.
    pub const UDP_ECHO: u16 = 7007;
    /// Nobody listens.
    pub const REFUSED: u16 = 7008;
    /// Reads a request, answers with some bytes and resets.
    pub const RESET: u16 = 7009;
    /// Reads to the end of the stream, then answers with 4,000 bytes and closes.
    pub const HALF_CLOSE: u16 = 7010;
    /// Reads to the end of the stream, then answers with the number of bytes, 8, big endian.
    pub const SINK: u16 = 7011;
    /// Reads a number of bytes, 8, big endian, and sends that many, then closes.
    pub const SOURCE: u16 = 7012;
    /// Accepts and holds the connection until the server object is dropped.
    pub const HOLD: u16 = 7013;
    /// Closes its own direction at once, and holds the connection.
    pub const CLOSES_FIRST: u16 = 7014;
}
