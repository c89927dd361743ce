//! The server side: see [`super::port`] for what each port does.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::SockRef;

use super::{port, tls};
use crate::netns::Namespace;

/// How long a connection may stay silent before its thread gives up.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Connections that stay open.
    held: Mutex<Vec<TcpStream>>,
}

type Handler = fn(TcpStream, &Shared) -> std::io::Result<()>;

const SERVICES: [(u16, Handler); 7] = [
    (port::HTTP, http),
    (port::RESET, reset),
    (port::HALF_CLOSE, half_close),
    (port::SINK, sink),
    (port::SOURCE, source),
    (port::HOLD, hold),
    (port::CLOSES_FIRST, closes_first),
];

/// All services, over IPv4 and IPv6, each on a thread. Dropping it ends them and closes what is held.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<TcpListener>,
    threads: Vec<JoinHandle<()>>,
    /// The certificate that TLS clients are to trust.
    pub certificate: rustls::pki_types::CertificateDer<'static>,
}

impl Server {
    /// Starts them in `ns`; they accept when this returns.
    pub fn start(ns: &Namespace) -> Result<Self> {
        let (config, certificate) = tls::server_config()?;
        let mut server = Server {
            shared: Arc::new(Shared::default()),
            listeners: Vec::new(),
            threads: Vec::new(),
            certificate,
        };
        for (port, handler) in SERVICES {
            server.listen(ns, port, handler)?;
        }
        server.listen(ns, port::TLS, move |stream, _| {
            tls::serve(stream, config.clone()).map_err(std::io::Error::other)
        })?;
        let udp = ns.run(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port::UDP_ECHO)))??;
        udp.set_read_timeout(Some(Duration::from_millis(100)))?;
        let shared = server.shared.clone();
        server.threads.push(std::thread::spawn(move || {
            let mut buf = [0; 65_536];
            while !shared.stop.load(Ordering::Relaxed) {
                if let Ok((n, from)) = udp.recv_from(&mut buf) {
                    let _ = udp.send_to(&buf[..n], from);
                }
            }
        }));
        Ok(server)
    }

    fn listen(
        &mut self,
        ns: &Namespace,
        port: u16,
        handler: impl Fn(TcpStream, &Shared) -> std::io::Result<()> + Clone + Send + 'static,
    ) -> Result<()> {
        let listener = ns
            .run(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))?
            .with_context(|| format!("port {port}"))?;
        self.listeners.push(listener.try_clone()?);
        let shared = self.shared.clone();
        self.threads.push(std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if shared.stop.load(Ordering::Relaxed) {
                    break;
                }
                let (handler, shared) = (handler.clone(), shared.clone());
                // Not joined: a peer that says nothing ends it by its time-out.
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    let _ = handler(stream, &shared);
                });
            }
        }));
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for l in &self.listeners {
            // Wakes the thread that waits in accept.
            let _ = SockRef::from(l).shutdown(Shutdown::Both);
        }
        for t in self.threads.drain(..) {
            let _ = t.join();
        }
        self.shared
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

fn keep(stream: TcpStream, shared: &Shared) {
    shared
        .held
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(stream);
}

fn http(mut stream: TcpStream, _: &Shared) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buf = [0; 4096];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        let n = stream.read(&mut buf)?;
        if n == 0 || request.len() > 65_536 {
            return Ok(());
        }
        request.extend_from_slice(&buf[..n]);
    }
    let body = "<html><body>A page of the testbed.</body></html>\n".repeat(40);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nServer: testbed\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn reset(mut stream: TcpStream, _: &Shared) -> std::io::Result<()> {
    let mut buf = [0; 512];
    let _ = stream.read(&mut buf)?;
    stream.write_all(&[b'r'; 1000])?;
    // Until the bytes are acknowledged; a reset would discard them.
    std::thread::sleep(Duration::from_millis(30));
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}

fn half_close(mut stream: TcpStream, _: &Shared) -> std::io::Result<()> {
    std::io::copy(&mut stream, &mut std::io::sink())?;
    stream.write_all(&[b'h'; 4000])
}

fn sink(mut stream: TcpStream, _: &Shared) -> std::io::Result<()> {
    let mut buf = vec![0; 256 * 1024];
    let mut total = 0u64;
    loop {
        match stream.read(&mut buf)? {
            0 => break,
            n => total += n as u64,
        }
    }
    stream.write_all(&total.to_be_bytes())
}

fn source(mut stream: TcpStream, _: &Shared) -> std::io::Result<()> {
    let mut want = [0; 8];
    stream.read_exact(&mut want)?;
    super::client::send_bytes(&mut stream, u64::from_be_bytes(want))
}

fn hold(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    keep(stream, shared);
    Ok(())
}

fn closes_first(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    keep(stream, shared);
    Ok(())
}
