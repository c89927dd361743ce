//! The kernel's program as settings ask for it: loaded, and attached to interfaces.

use sensor_common::{Policy, policy};

use super::interfaces::Hooks;
use super::netns::Netns;
use super::watchlist::Watchlist;
use crate::conn::Config;
use crate::datapath::xdp::{self, Facts, Kernel, Pins};
use crate::settings::{LiveDatapath, RingBy, Settings};

/// How many workers, and rings, there are.
pub fn workers(settings: &Settings) -> u32 {
    if settings.interfaces.datapath == LiveDatapath::Packet {
        return 1;
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    settings.rings.workers.unwrap_or(cores.clamp(1, 8))
}

/// What the run before left, and how it moved times.
#[derive(Default)]
pub struct Before {
    /// What outlives the process, if anything is to.
    pub pins: Option<Pins>,
    /// What is added to the kernel's times, ns.
    pub shift: i64,
}

/// The loaded program and what it is attached with.
pub struct Program {
    pub kernel: Kernel,
    /// What the next run has to know, if it is to take over.
    pub facts: Facts,
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
        before: Before,
    ) -> Result<Self, xdp::KernelError> {
        let config = config(settings, cfg, bits, rings, &netns);
        let facts = xdp::facts(&config, cfg.seed, before.shift)?;
        let kernel = match before.pins {
            Some(pins) => Kernel::load_kept(&config, pins, &facts)?,
            None => Kernel::load(&config)?,
        };
        Ok(Program {
            kernel,
            facts,
            netns,
            rx_only: settings.interfaces.rx_only,
            realms: cfg.realms,
        })
    }

    /// Lets what it is attached to be as it is, for the next run.
    pub fn leave(self) {
        self.kernel.leave();
    }

    /// All that is to be watched is attached: takes it off what an earlier run watched beyond that.
    pub fn forget_others(&self) {
        let _inside = self.netns.enter();
        self.kernel.forget_others();
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

/// What of the program's configuration says how large its maps are.
pub fn sizes(settings: &Settings) -> xdp::KernelConfig {
    xdp::KernelConfig {
        flows: settings.flows.entries,
        rings: workers(settings),
        ring_bytes: settings.rings.mib << 20,
        half_open_share: settings.flows.half_open_share,
        ..xdp::KernelConfig::default()
    }
}

/// The program's configuration.
fn config(settings: &Settings, cfg: &Config, bits: u32, rings: u32, netns: &Netns) -> xdp::KernelConfig {
    xdp::KernelConfig {
        rings,
        policy: Policy {
            bits: bits | policy::FILTER,
            sample: settings.filter.sample,
            dedup: settings.dedup_ns(),
            snaplen: settings.rings.snaplen,
            ring_by_cpu: rings_by_cpu(settings, rings, netns).into(),
            seed: [cfg.seed as u32, (cfg.seed >> 32) as u32],
            ..Policy::default()
        },
        skb_mode: settings.interfaces.skb_mode,
        ..sizes(settings)
    }
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
