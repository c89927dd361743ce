//! What a run on interfaces is asked for: where frames come from, how records come to the workers, who may ask and order.

use std::path::PathBuf;
use std::time::Duration;

use sensor_common::policy;
use serde::{Deserialize, Serialize};

use super::Listen;
use crate::profile::Profile;

/// The interfaces to watch, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InterfaceSettings {
    /// Names of the interfaces, or patterns with `*` and `?`; `any`: all that can be watched.
    pub names: Vec<String>,
    /// What takes the frames.
    pub datapath: LiveDatapath,
    /// The network namespace that they are in, by its name or path; None: the sensor's.
    pub netns: Option<String>,
    /// Watch only what is received (taps, mirror ports).
    pub rx_only: bool,
    /// End when an interface disappears.
    pub exit_when_gone: bool,
    /// Do not try native XDP.
    pub skb_mode: bool,
    /// Tunnels that the kernel takes packets out of.
    pub decap: Vec<Decap>,
    /// Whether the kernel goes on counting when the sensor ends.
    pub persist: Persist,
    /// Where in the BPF file system is what it needs for that.
    pub persist_dir: PathBuf,
}

/// Whether the kernel goes on counting when the sensor ends, for the next one to take over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Persist {
    /// It ends with the sensor.
    #[default]
    Off,
    /// It goes on.
    Keep,
    /// It goes on, and what an earlier run left that does not fit is ended, with rows for what was open.
    Replace,
}

impl InterfaceSettings {
    /// Where pins are unless something else is said.
    pub const PERSIST_DIR: &str = "/sys/fs/bpf/sensor";
}

impl Default for InterfaceSettings {
    fn default() -> Self {
        InterfaceSettings {
            names: Vec::new(),
            netns: None,
            datapath: LiveDatapath::default(),
            rx_only: false,
            exit_when_gone: false,
            skb_mode: false,
            decap: Vec::new(),
            persist: Persist::Off,
            persist_dir: Self::PERSIST_DIR.into(),
        }
    }
}

/// How records come to the workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RingSettings {
    /// Worker threads, each with a ring; None: one per core, at most 8.
    pub workers: Option<u32>,
    /// What chooses a flow's ring.
    pub by: RingBy,
    /// Size of each ring, MiB.
    pub mib: u32,
    /// Most bytes of a frame to look at, from its start; 0: all.
    pub snaplen: u32,
    /// Memory of each worker for the packets that came to it last, MiB; 0: they are not kept.
    pub history_mib: u32,
}

impl Default for RingSettings {
    fn default() -> Self {
        RingSettings {
            workers: None,
            by: RingBy::Auto,
            mib: 16,
            snaplen: 0,
            history_mib: 0,
        }
    }
}

/// The flow table and its keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowSettings {
    /// Entries of the flow table.
    pub entries: u32,
    /// Share of the flow table that half-open TCP flows may take, percent. With 100 none of them gives way.
    pub half_open_share: u32,
    /// The same ends in two VLANs are two connections.
    pub vlan_aware: bool,
    /// The same ends in two virtual networks of VXLAN or Geneve are two connections.
    pub vni_aware: bool,
}

impl Default for FlowSettings {
    fn default() -> Self {
        FlowSettings {
            entries: 262_144,
            half_open_share: 50,
            vlan_aware: false,
            vni_aware: false,
        }
    }
}

impl FlowSettings {
    /// The policy bits for what keys have beside the five-tuple.
    pub fn realms(&self) -> u32 {
        let bit = |on, bit| if on { bit } else { 0 };
        bit(self.vlan_aware, policy::VLAN_AWARE) | bit(self.vni_aware, policy::VNI_AWARE)
    }
}

/// Numbers for who watches over the sensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSettings {
    /// Where Prometheus may ask for them; None: nowhere.
    pub listen: Option<Listen>,
}

/// Where the time goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileSettings {
    /// Time between two rounds of prof.log's rows, seconds; None: there is no profile.
    pub every: Option<f64>,
    /// Every so many rounds there is more in it.
    pub expensive_every: u64,
    /// load_sample is raised for one of so many packets, if somebody wants it.
    pub load_sample: u32,
}

impl Default for ProfileSettings {
    fn default() -> Self {
        ProfileSettings {
            every: None,
            expensive_every: 20,
            load_sample: 20,
        }
    }
}

impl ProfileSettings {
    /// Begins the profile, if there is to be one.
    pub fn begin(&self) -> std::io::Result<Option<Profile>> {
        let begin = |every: f64| {
            let every = Duration::from_secs_f64(every.clamp(0.1, 1e9));
            Profile::begin(every, self.expensive_every)
        };
        self.every.map(begin).transpose()
    }
}

/// Orders while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlSettings {
    /// The socket at which they are taken; [`ControlSettings::NONE`]: none are.
    pub socket: PathBuf,
}

impl ControlSettings {
    /// Instead of a path: there is no socket.
    pub const NONE: &str = "none";
    /// Where it is unless something else is said.
    pub const SOCKET: &str = "/run/sensor/control.sock";
}

impl Default for ControlSettings {
    fn default() -> Self {
        ControlSettings {
            socket: Self::SOCKET.into(),
        }
    }
}

/// What takes the frames of interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LiveDatapath {
    /// The program in the kernel.
    #[default]
    Xdp,
    /// A packet socket, and the program's double in userspace.
    Packet,
}

/// Tunnels that the kernel's program can take apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decap {
    /// VXLAN.
    Vxlan,
    /// Geneve.
    Geneve,
    /// GRE.
    Gre,
    /// IPv4 and IPv6 in IP.
    Ipip,
}

impl Decap {
    /// The policy bits that ask for these.
    pub fn bits(of: &[Decap]) -> u32 {
        of.iter().fold(0, |bits, d| {
            bits | match d {
                Decap::Vxlan => policy::DECAP_VXLAN,
                Decap::Geneve => policy::DECAP_GENEVE,
                Decap::Gre => policy::DECAP_GRE,
                Decap::Ipip => policy::DECAP_IP,
            }
        })
    }
}

/// What chooses a flow's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RingBy {
    /// The CPU on which the flow begins.
    Cpu,
    /// The flow's hash.
    Flow,
    /// The CPU, where all interfaces are known to bring both directions of a flow to one; else the hash.
    Auto,
}
