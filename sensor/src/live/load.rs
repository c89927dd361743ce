//! The kernel's program as settings ask for it: loaded, and attached to interfaces.

use sensor_common::{Policy, policy};

use super::interfaces::Hooks;
use super::netns::Netns;
use super::watchlist::Watchlist;
use crate::conn::Config;
use crate::datapath::xdp::{self, Kernel};
use crate::settings::{LiveDatapath, RingBy, Settings};

/// How many workers, and rings, there are.
pub fn workers(settings: &Settings) -> u32 {
    if settings.interfaces.datapath == LiveDatapath::Packet {
        return 1;
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    settings.rings.workers.unwrap_or(cores.clamp(1, 8))
}

/// The loaded program and what it is attached with.
pub struct Program {
    pub kernel: Kernel,
    netns: Netns,
    rx_only: bool,
    /// The engines'.
    realms: u32,
}

impl Program {
    /// Loads it. `bits`: its policy; `cfg`: the engines'.
    pub fn load(
        settings: &Settings,
        cfg: &Config,
        bits: u32,
        rings: u32,
        netns: Netns,
    ) -> Result<Self, xdp::KernelError> {
        Ok(Program {
            kernel: load(settings, cfg, bits, rings, &netns)?,
            netns,
            rx_only: settings.interfaces.rx_only,
            realms: cfg.realms,
        })
    }

    /// Takes it off all interfaces.
    pub fn detach(&mut self) {
        let _inside = self.netns.enter();
        self.kernel.detach();
    }
}

impl Hooks for Program {
    fn netns(&self) -> &Netns {
        &self.netns
    }

    fn attach(&mut self, iface: &str) -> Result<u32, xdp::KernelError> {
        let inside = self.netns.enter();
        let _inside = inside.map_err(|source| xdp::KernelError::Sys {
            what: "cannot enter the network namespace",
            source,
        })?;
        let at = self.kernel.attach(iface, self.rx_only)?;
        tracing::info!("{iface}: attached, {:?}, egress {:?}", at.mode, at.egress);
        if self.realms & policy::VLAN_AWARE != 0 && xdp::strips_vlan_tags(iface) {
            tracing::warn!(
                "{iface}: the driver takes VLAN tags off what it receives, so they are not seen: `ethtool -K {iface} rxvlan off`"
            );
        }
        Ok(at.ifindex)
    }

    fn release(&mut self, ifindex: u32) {
        let _inside = self.netns.enter();
        self.kernel.release(Some(ifindex));
    }
}

fn load(
    settings: &Settings,
    cfg: &Config,
    bits: u32,
    rings: u32,
    netns: &Netns,
) -> Result<Kernel, xdp::KernelError> {
    Kernel::load(&xdp::KernelConfig {
        flows: settings.flows.entries,
        rings,
        policy: Policy {
            bits,
            snaplen: settings.rings.snaplen,
            ring_by_cpu: rings_by_cpu(settings, rings, netns).into(),
            seed: [cfg.seed as u32, (cfg.seed >> 32) as u32],
            ..Policy::default()
        },
        ring_bytes: settings.rings.mib << 20,
        skb_mode: settings.interfaces.skb_mode,
        half_open_share: settings.flows.half_open_share,
    })
}

/// Whether a flow's ring is that of its CPU.
fn rings_by_cpu(settings: &Settings, rings: u32, netns: &Netns) -> bool {
    let i = &settings.interfaces;
    // Of interfaces that may come nothing is known.
    let known = || !Watchlist::new(i).has_patterns();
    let symmetric = || {
        let _inside = netns.enter();
        i.names.iter().all(|name| xdp::is_symmetric(name))
    };
    let by_cpu = match settings.rings.by {
        RingBy::Cpu => true,
        RingBy::Flow => false,
        RingBy::Auto => i.rx_only && rings > 1 && known() && symmetric(),
    };
    if by_cpu {
        tracing::info!("rings are chosen by CPU");
    }
    by_cpu
}
