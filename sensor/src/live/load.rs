//! The kernel's program as settings ask for it: loaded, and attached to the interfaces.

use sensor_common::{Policy, policy};

use crate::conn::Config;
use crate::datapath::xdp::{self, Attached, Kernel};
use crate::settings::{RingBy, Settings};

/// How many workers, and rings, there are.
pub fn workers(settings: &Settings) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    settings.rings.workers.unwrap_or(cores.clamp(1, 8))
}

/// Loads the program. `bits`: its policy; `cfg`: the engines'.
pub fn load(settings: &Settings, cfg: &Config, bits: u32, rings: u32) -> Result<Kernel, xdp::KernelError> {
    Kernel::load(&config(settings, cfg, bits, rings))
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
pub fn config(settings: &Settings, cfg: &Config, bits: u32, rings: u32) -> xdp::KernelConfig {
    xdp::KernelConfig {
        rings,
        policy: Policy {
            bits: bits | policy::FILTER,
            sample: settings.filter.sample,
            snaplen: settings.rings.snaplen,
            ring_by_cpu: rings_by_cpu(settings, rings).into(),
            seed: [cfg.seed as u32, (cfg.seed >> 32) as u32],
            ..Policy::default()
        },
        skb_mode: settings.interfaces.skb_mode,
        ..sizes(settings)
    }
}

/// Attaches it to all interfaces. `realms`: the engines'.
pub fn attach(
    kernel: &mut Kernel,
    settings: &Settings,
    realms: u32,
) -> Result<Vec<Attached>, xdp::KernelError> {
    let mut attached = Vec::new();
    for iface in &settings.interfaces.names {
        let at = kernel.attach(iface, settings.interfaces.rx_only)?;
        tracing::info!("{iface}: attached, {:?}, egress {:?}", at.mode, at.egress);
        if realms & policy::VLAN_AWARE != 0 && xdp::strips_vlan_tags(iface) {
            tracing::warn!(
                "{iface}: the driver takes VLAN tags off what it receives, so they are not seen: `ethtool -K {iface} rxvlan off`"
            );
        }
        attached.push(at);
    }
    Ok(attached)
}

/// Whether a flow's ring is that of its CPU.
fn rings_by_cpu(settings: &Settings, rings: u32) -> bool {
    let i = &settings.interfaces;
    let by_cpu = match settings.rings.by {
        RingBy::Cpu => true,
        RingBy::Flow => false,
        RingBy::Auto => i.rx_only && rings > 1 && i.names.iter().all(|name| xdp::is_symmetric(name)),
    };
    if by_cpu {
        tracing::info!("rings are chosen by CPU");
    }
    by_cpu
}
