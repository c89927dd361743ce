//! TLS 1.2 and 1.3 with a certificate made on the spot.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, Stream};

use super::{client, port};

/// The name in the certificate, and in the client's hello.
pub const SERVER_NAME: &str = "testbed.example";

/// A protocol version to insist on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    V12,
    V13,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A server that speaks both versions, and its certificate.
pub(super) fn server_config() -> Result<(Arc<ServerConfig>, CertificateDer<'static>)> {
    let made = rcgen::generate_simple_self_signed(vec![SERVER_NAME.into()])?;
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)?;
    Ok((Arc::new(config), certificate))
}

/// One connection: echoes one message, says good-bye and closes.
pub(super) fn serve(mut stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    let mut tls = ServerConnection::new(config)?;
    let mut io = Stream::new(&mut tls, &mut stream);
    let mut buf = [0; 4096];
    let n = io.read(&mut buf)?;
    io.write_all(&buf[..n])?;
    io.flush()?;
    // Until the client is done.
    while matches!(io.read(&mut buf), Ok(n) if n > 0) {}
    tls.send_close_notify();
    tls.complete_io(&mut stream)?;
    Ok(())
}

/// A client that trusts one certificate. It keeps session tickets, as a browser does.
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

impl TlsClient {
    pub fn new(certificate: &CertificateDer<'static>, version: TlsVersion) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone())?;
        let version = match version {
            TlsVersion::V12 => &rustls::version::TLS12,
            TlsVersion::V13 => &rustls::version::TLS13,
        };
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsClient {
            config: Arc::new(config),
        })
    }

    /// Connects from the current namespace, exchanges one message and closes; the client's port.
    pub fn exchange(&self, server: IpAddr) -> Result<u16> {
        let mut stream = client::connect(server, port::TLS)?;
        let me = stream.local_addr()?.port();
        let mut tls = ClientConnection::new(self.config.clone(), ServerName::try_from(SERVER_NAME)?)?;
        let mut io = Stream::new(&mut tls, &mut stream);
        let message = b"as secret as it gets";
        io.write_all(message)?;
        let mut buf = [0; 64];
        let n = io.read(&mut buf).context("no TLS answer")?;
        ensure!(&buf[..n] == message, "an odd TLS answer");
        tls.send_close_notify();
        tls.complete_io(&mut stream)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        // The server's close_notify and its end of stream.
        std::io::copy(&mut stream, &mut std::io::sink())?;
        Ok(me)
    }
}
