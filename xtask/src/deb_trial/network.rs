//! An interface of this system with a server behind it, and traffic over it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, ensure};
use sensor_tests::link::{self, Tcx};
use sensor_tests::netns::Namespace;
use sensor_tests::traffic::{self, Server};

use super::system::{said, says};

/// The interface to watch.
pub const IFACE: &str = "tap0";
const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 2));
const MAC: &str = "02:00:00:00:00:01";
const SERVER_MAC: &str = "02:00:00:00:00:02";
/// Of each download.
const BYTES: u64 = 200_000;

/// The interface, whose other end is the server's.
pub struct Network {
    _server: Server,
    _namespace: Namespace,
}

/// Connections that were made, one after the other.
pub struct Load {
    /// The client's ports, in order of time.
    pub ports: Vec<u16>,
}

/// Traffic that goes on until it is ended.
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Load>>,
}

impl Network {
    /// Makes it. Nothing but the traffic of [`Network::load`] goes over it: neighbours are known, and no address makes
    /// the kernel talk.
    pub fn new() -> Result<Self> {
        let namespace = Namespace::new("server")?;
        let server_ns = namespace.name();
        for setting in ["accept_dad=0", "router_solicitations=0", "addr_gen_mode=1"] {
            let setting = format!("net.ipv6.conf.default.{setting}");
            says("sysctl", &["-qw", &setting])?;
            says("ip", &["netns", "exec", server_ns, "sysctl", "-qw", &setting])?;
        }
        let commands = format!(
            "link add {IFACE} address {MAC} type veth peer name s0 address {SERVER_MAC} netns {server_ns}
             link set {IFACE} arp off up
             addr add 10.77.0.1/24 dev {IFACE}
             neigh add 10.77.0.2 lladdr {SERVER_MAC} dev {IFACE} nud permanent"
        );
        for line in commands.lines() {
            says("ip", &Vec::from_iter(line.split_whitespace()))?;
        }
        namespace.ip(&format!(
            "link set s0 arp off up
             addr add 10.77.0.2/24 dev s0
             neigh add 10.77.0.1 lladdr {MAC} dev s0 nud permanent"
        ))?;
        // One packet of the interface is one on the wire.
        link::set_offloads(IFACE, false)?;
        namespace.run(|| link::set_offloads("s0", false))??;
        Ok(Network {
            _server: Server::start(&namespace)?,
            _namespace: namespace,
        })
    }

    /// Whether a program is at the interface, in either direction.
    pub fn is_watched(&self) -> Result<bool> {
        let shown = said("ip", &["-d", "link", "show", "dev", IFACE]);
        ensure!(shown.contains(IFACE), "no interface {IFACE}");
        let egress = link::egress_filters(IFACE)? > 0 || link::tcx_programs(IFACE, Tcx::Egress)? > 0;
        let ingress = shown.contains("xdp");
        ensure!(
            ingress == egress,
            "a program at one direction of {IFACE} only (received: {ingress}, sent: {egress})"
        );
        Ok(ingress)
    }

    /// Packets of both directions so far.
    pub fn counted(&self) -> Result<u64> {
        let stats = link::stats(IFACE)?;
        Ok(stats.rx_packets + stats.tx_packets)
    }

    /// The same when nothing more comes.
    pub fn settled(&self) -> Result<u64> {
        let mut last = self.counted()?;
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = self.counted()?;
            if now == last {
                return Ok(now);
            }
            last = now;
        }
    }

    /// Begins to make one connection after the other.
    pub fn load(&self) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut ports = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                ports.push(traffic::http_get(SERVER)?);
                ports.push(traffic::download(SERVER, BYTES)?);
            }
            Ok(Load { ports })
        });
        Running { stop, thread }
    }
}

impl Running {
    /// Lets the last connection come to its end.
    pub fn end(self) -> Result<Load> {
        self.stop.store(true, Ordering::Relaxed);
        let load = self
            .thread
            .join()
            .unwrap_or_else(|p| std::panic::resume_unwind(p))?;
        ensure!(!load.ports.is_empty(), "no connection was made");
        Ok(load)
    }
}
