//! Settings of the engine.

use std::sync::Arc;

use super::asked::ConnColumns;
use super::expected::Expected;
use crate::analyzer::{dhcp, http, ssh, tls};
use crate::base::known::Known;
use crate::base::time::SECOND;
use crate::datapath::tunnels::Tunnels;
use crate::file::FileConfig;
use crate::file::api::IsLocal;
use crate::os::Fingerprints;
use crate::signature::Signatures;

/// How much of a connection's payload signatures are matched with, unless something else is said (Zeek: dpd_buffer_size).
pub const SIGNATURE_BYTES: u64 = 1024;

/// Delays and timeouts, ns; the names are Zeek's.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// How long an originator's SYN may go unanswered.
    pub tcp_attempt_delay: u64,
    /// How long a closed connection stays in the table.
    pub tcp_close_delay: u64,
    /// How long a connection stays in the table after a RST, if the other side does not close.
    pub tcp_reset_delay: u64,
    /// How long a connection stays in the table that one side closed which had sent nothing before.
    pub tcp_partial_close_delay: u64,
    /// When the engine looks for the first time whether a TCP connection is over: so long after its first packet.
    pub tcp_syn_timeout: u64,
    /// How long after each such look the next one is due.
    pub tcp_session_timer: u64,
    /// How long after its last packet a connection that one side closed is over.
    pub tcp_connection_linger: u64,
    /// How long an established TCP connection may be silent.
    pub tcp_inactivity: u64,
    /// The same for SSH, FTP, telnet and rlogin.
    pub interactive_inactivity: u64,
    /// The same for UDP, and for TCP before its handshake is over.
    pub udp_inactivity: u64,
    /// The same for ICMP and all other protocols.
    pub icmp_inactivity: u64,
    /// A DNS flow that is silent so long, less a second, is over.
    pub dns_session: u64,
    /// connection_status_update; 0 = never.
    pub status_interval: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            tcp_attempt_delay: 5 * SECOND,
            tcp_close_delay: 5 * SECOND,
            tcp_reset_delay: 5 * SECOND,
            tcp_partial_close_delay: 3 * SECOND,
            tcp_syn_timeout: 5 * SECOND,
            tcp_session_timer: 6 * SECOND,
            tcp_connection_linger: 5 * SECOND,
            tcp_inactivity: 300 * SECOND,
            interactive_inactivity: 3600 * SECOND,
            udp_inactivity: 60 * SECOND,
            icmp_inactivity: 60 * SECOND,
            dns_session: 10 * SECOND,
            status_interval: 0,
        }
    }
}

/// Whose payload is delivered as tcp_contents.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The originators'.
    pub orig: bool,
    /// The responders'.
    pub resp: bool,
    /// Responder ports; empty = all.
    pub ports: Vec<u16>,
}

impl Contents {
    /// Whether anybody's is.
    pub fn any(&self) -> bool {
        self.orig || self.resp
    }

    /// Whether that of this direction is, on a connection to this port.
    pub fn wants(&self, is_orig: bool, resp_port: u16) -> bool {
        (if is_orig { self.orig } else { self.resp })
            && (self.ports.is_empty() || self.ports.contains(&resp_port))
    }
}

/// Whose payload is written to contents files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentsOf {
    /// Nobody's.
    #[default]
    None,
    /// That of all TCP connections.
    All,
    /// That of those of which somebody wants it, see [`super::Wish::Contents`].
    Request,
}

/// Settings of the engine.
#[derive(Clone)]
pub struct Config {
    /// Delays and timeouts.
    pub timeouts: Timeouts,
    /// Whose payload is delivered as tcp_contents.
    pub contents: Contents,
    /// Whether analyzers look into payload.
    pub analyzers: bool,
    /// Which TCP directions' payload is handed to [`super::Sink::contents`].
    pub contents_files: ContentsOf,
    /// Unique ids derive from it.
    pub seed: u64,
    /// Bytes of memory that what waits for holes may take, per direction.
    pub reassembly_limit: u64,
    /// The same, all connections together.
    pub reassembly_total: u64,
    /// With so many in the table, a damaged packet makes no connection. What makes all others is the
    /// datapath, whose flow table has a bound of its own.
    pub max_connections: usize,
    /// Settings of the TLS and DTLS analyzers.
    pub tls: tls::TlsConfig,
    /// Settings of the HTTP analyzers.
    pub http: http::HttpConfig,
    /// Settings of the files that connections carry.
    pub files: FileConfig,
    /// Settings of the SSH analyzers.
    pub ssh: ssh::SshConfig,
    /// What DHCP transactions say; one table for all engines.
    pub dhcp: dhcp::Transactions,
    /// Whether an address is local, for conn.log.
    pub is_local: IsLocal,
    /// The tunnels that packets come through; one table for all engines.
    pub tunnels: Tunnels,
    /// Connections that others announced; one table for all engines.
    pub expected: Expected,
    /// Signatures to match; None: none.
    pub signatures: Option<Arc<Signatures>>,
    /// How much of a connection's payload they are matched with, both directions together, bytes; 0: all of it.
    pub signature_bytes: u64,
    /// The software that was logged; one memory for all engines.
    pub software: Known,
    /// load_sample of one of so many packets; 0: of none.
    pub load_sample: u32,
    /// Signatures of operating systems; None: none are told.
    pub os: Option<Arc<Fingerprints>>,
    /// What os.log has, of all engines together.
    pub os_known: Known,
    /// What keys know beside the five-tuple: [`sensor_common::policy::VLAN_AWARE`] and `VNI_AWARE`.
    pub realms: u32,
    /// Columns of conn.log that are there on request.
    pub columns: ConnColumns,
    /// How long a connection is open when it has a row of conn_long.log, ns; in ascending order, each a row.
    pub long: Arc<[u64]>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            timeouts: Timeouts::default(),
            contents: Contents::default(),
            analyzers: true,
            contents_files: ContentsOf::None,
            seed: 0,
            reassembly_limit: 1 << 20,
            reassembly_total: 512 << 20,
            max_connections: 1 << 23,
            tls: tls::TlsConfig::default(),
            http: http::HttpConfig::default(),
            files: FileConfig::default(),
            ssh: ssh::SshConfig::default(),
            dhcp: dhcp::Transactions::default(),
            is_local: Arc::new(|_| false),
            tunnels: Tunnels::default(),
            expected: Expected::default(),
            signatures: None,
            signature_bytes: SIGNATURE_BYTES,
            software: Known::default(),
            load_sample: 0,
            os: None,
            os_known: Known::default(),
            realms: 0,
            columns: ConnColumns::default(),
            long: Arc::default(),
        }
    }
}
