//! Echo request and reply by an unprivileged ICMP socket.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Protocol, Socket, Type};

/// Pings `to` once with `bytes` bytes of data, from the current namespace.
pub fn ping(to: IpAddr, bytes: usize) -> Result<()> {
    // Type, code, checksum and identifier (both filled in by the kernel), sequence number 1.
    let (domain, protocol, request, reply) = if to.is_ipv6() {
        (Domain::IPV6, Protocol::ICMPV6, 128, 129)
    } else {
        (Domain::IPV4, Protocol::ICMPV4, 8, 0)
    };
    let mut socket = Socket::new(domain, Type::DGRAM, Some(protocol)).context("ping socket")?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.connect(&SocketAddr::new(to, 0).into())?;
    let mut message = vec![request, 0, 0, 0, 0, 0, 0, 1];
    message.resize(8 + bytes, b'p');
    socket.write_all(&message)?;
    let mut buf = vec![0; message.len() + 64];
    let n = socket.read(&mut buf).context("no echo reply")?;
    ensure!(
        n == message.len() && buf.first() == Some(&reply),
        "an odd echo reply"
    );
    Ok(())
}
