//! What a run is asked for, in sections, however it was asked: the command line fills [`Settings`], and so can a file.
//!
//! Plain values in the units of the options; [`Settings::engine`] makes the engine's configuration of them. Knows
//! nothing of a command line, except the names of its options in messages.

pub mod bounds;
mod contents;
mod engine;
pub mod file;
mod listen;
pub mod names;
mod useless;

use std::path::PathBuf;

use sensor_common::policy;
use serde::{Deserialize, Serialize};

pub use bounds::OutOfBounds;
pub use contents::{ContentsError, WantedContents};
pub use engine::SettingsError;
pub use listen::{Listen, ListenError};
pub use useless::Useless;

use crate::base::time::MILLISECOND;
use crate::catalog::UnknownEvent;
use crate::conn::SIGNATURE_BYTES;
use crate::event::{self, Subscriptions};
use crate::file::{Hashes, MimePattern};
use crate::filter::{Filter, FilterError};
#[cfg(feature = "live")]
use crate::output::archive::{ArchivePlan, Keep};
use crate::output::archived::Packed;
use crate::output::feed::FeedTarget;
use crate::output::log::{LogFormat, LogFormats, LogStyle, LogSync, LogTags};
use crate::output::rotation::{Every, Rotation};

/// All settings of a run, live or over captures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The interfaces that a live run watches.
    pub interfaces: InterfaceSettings,
    /// How records come to the workers in a live run.
    pub rings: RingSettings,
    /// The flow table and its keys.
    pub flows: FlowSettings,
    /// Which flows are ignored, or counted alone.
    pub filter: FilterSettings,
    /// Log files and the terminal.
    pub logs: LogSettings,
    /// Numbers for who watches over the sensor.
    pub metrics: MetricsSettings,
    /// Orders while it runs.
    pub control: ControlSettings,
    /// Logs that are over.
    pub archive: ArchiveSettings,
    /// The event stream.
    pub events: EventSettings,
    /// Scripts.
    pub scripts: ScriptSettings,
    /// Files that traffic carries.
    pub files: FileSettings,
    /// Signatures.
    pub signatures: SignatureSettings,
    /// Columns of conn.log on request.
    pub conn: ConnSettings,
    /// TLS and certificates.
    pub tls: TlsSettings,
    /// HTTP.
    pub http: HttpSettings,
    /// SSH.
    pub ssh: SshSettings,
    /// Timeouts of connections.
    pub timeouts: TimeoutSettings,
    /// Memory for segments that wait behind holes.
    pub reassembly: ReassemblySettings,
    /// How captures are read.
    pub reading: ReadSettings,
    /// Seed of unique ids and everything else that is random. None: a random seed for a live run, 0 for captures.
    pub seed: Option<u64>,
    /// Whether checksums are verified; captures only.
    pub checksums: bool,
    /// Packets that come again within so many milliseconds are counted once; 0: none are looked for.
    pub dedup_ms: u64,
}

/// Which flows are ignored, or counted alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterSettings {
    /// Rules, of which the first that matches a flow decides: see [`Filter::new`].
    pub rules: Vec<String>,
    /// One of so many flows is tracked.
    pub sample: u32,
}

impl Default for FilterSettings {
    fn default() -> Self {
        FilterSettings {
            rules: Vec::new(),
            sample: 1,
        }
    }
}

impl Settings {
    /// The rules that decide of flows that begin.
    pub fn filter(&self) -> Result<Filter, FilterError> {
        let filter = Filter::new(self.filter.rules.iter().map(String::as_str))?;
        if filter.asks_for_vlans() && !self.flows.vlan_aware {
            return Err(FilterError::new(
                "`vlan` needs --vlan-aware on: flows know no VLANs",
            ));
        }
        Ok(filter)
    }

    /// The time in which packets that come again are counted once, ns. The bounds of `dedup_ms` keep it in range.
    pub fn dedup_ns(&self) -> u32 {
        let ns = self.dedup_ms.saturating_mul(MILLISECOND);
        u32::try_from(ns).unwrap_or(u32::MAX)
    }

    /// The same, for captures.
    pub fn filter_of_captures(&self) -> Result<Filter, FilterError> {
        let filter = self.filter()?;
        match filter.interfaces().first() {
            Some(_) => Err(FilterError::new(
                "`ifname` is for `sensor run`: captures have no interfaces",
            )),
            None => Ok(filter),
        }
    }
}

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

/// Log files and the terminal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// Where the logs go.
    pub dir: PathBuf,
    /// How they are written.
    pub format: LogFormats,
    /// Rows in JSON name their log, as `_path`.
    pub json_path: bool,
    /// The sensor's name, which rows in JSON have as `_system_name`.
    pub sensor_name: Option<String>,
    /// Where their rows go besides, as JSON lines that name their log.
    pub to: Vec<FeedTarget>,
    /// They are rotated at each turn of this; None: at none.
    pub rotate: Option<Every>,
    /// Size at which a log is rotated, MiB; 0: at none.
    pub rotate_mib: u64,
    /// When they are made durable.
    pub sync: LogSync,
    /// Time from one row of capture_loss.log to the next, seconds; 0: there is none; None: a quarter of an hour for a live
    /// run, none for captures.
    pub capture_loss: Option<f64>,
    /// Directory for contents files, one for each direction of each TCP connection; None: no such files.
    pub contents_dir: Option<PathBuf>,
    /// Networks that are local, separated by commas; None: the private ones.
    pub local_nets: Option<String>,
    /// No rows and no status line on the terminal.
    pub quiet: bool,
    /// How much is said of what happens: 0, 1 or 2 for details.
    pub verbose: u8,
}

impl LogSettings {
    /// Where the logs go unless something else is said.
    pub const DIR: &str = "logs";
    /// Time from one row of capture_loss.log to the next in a live run, unless something else is said, seconds (Zeek:
    /// watch_interval).
    pub const CAPTURE_LOSS: f64 = 900.0;

    /// How logs are written.
    pub fn style(&self) -> LogStyle {
        let tags = LogTags {
            path: self.json_path,
            system: self.sensor_name.as_deref().map(Into::into),
        };
        LogStyle {
            formats: self.format,
            tags,
        }
    }

    /// When logs are rotated.
    pub fn rotation(&self) -> Rotation {
        Rotation {
            every: self.rotate,
            bytes: (self.rotate_mib > 0).then_some(self.rotate_mib << 20),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            dir: Self::DIR.into(),
            format: LogFormats::One(LogFormat::Tsv),
            json_path: false,
            sensor_name: None,
            to: Vec::new(),
            rotate: None,
            rotate_mib: 0,
            sync: LogSync::Never,
            capture_loss: None,
            contents_dir: None,
            local_nets: None,
            quiet: false,
            verbose: 0,
        }
    }
}

/// Numbers for who watches over the sensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSettings {
    /// Where Prometheus may ask for them; None: nowhere.
    pub listen: Option<Listen>,
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

/// What becomes of logs that are over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveSettings {
    /// Where they go; None: they stay in the directory of the logs.
    pub dir: Option<PathBuf>,
    /// Each goes to a folder of its day.
    pub by_day: bool,
    /// How they are packed.
    pub compress: Packed,
    /// Those that are older, days, are deleted; 0: none is too old.
    pub keep_days: u64,
    /// So much of them is kept, MiB, and older ones are deleted; 0: all.
    pub keep_mib: u64,
    /// So much of the disk is to be free, MiB, and old logs are deleted for that; 0: it does not matter.
    pub min_free_mib: u64,
    /// The shell's command that is told of each.
    pub hook: Option<String>,
}

#[cfg(feature = "live")]
impl ArchiveSettings {
    /// What is to become of logs that are over.
    pub fn plan(&self) -> ArchivePlan {
        ArchivePlan {
            dir: self.dir.clone(),
            by_day: self.by_day,
            packed: self.compress,
            keep: self.keep(),
            hook: self.hook.clone(),
        }
    }

    /// How many of them are kept.
    pub fn keep(&self) -> Keep {
        Keep {
            days: self.keep_days,
            mib: self.keep_mib,
            min_free_mib: self.min_free_mib,
        }
    }

    /// What is to become of them where captures are read: they are put in their place.
    pub fn plan_reading(&self) -> ArchivePlan {
        ArchivePlan {
            keep: Keep::default(),
            hook: None,
            ..self.plan()
        }
    }
}

/// The event stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventSettings {
    /// The file that events go to as JSON lines, `-` for standard output; None: there is no stream.
    pub to: Option<String>,
    /// Names of the events that are wanted, with `*` and `?`; empty: all.
    pub only: Vec<String>,
    /// Whose payload is delivered as tcp_contents.
    pub contents: Option<WantedContents>,
    /// Time from one connection_status_update to the next, seconds; 0: there is none.
    pub status_interval: f64,
}

impl EventSettings {
    /// The events that these settings want.
    pub fn subscriptions(&self) -> Result<Subscriptions, UnknownEvent> {
        if self.to.is_none() {
            return Ok(Subscriptions::NONE);
        }
        let mut subs = if self.only.is_empty() {
            // The event about events would double the stream; who wants it names it.
            Subscriptions::ALL.without(event::NewEvent::KIND)
        } else {
            self.only.join(",").parse()?
        };
        if self.contents.is_none() {
            subs = subs.without(event::TcpContents::KIND);
        }
        Ok(subs)
    }
}

/// Scripts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptSettings {
    /// The scripts.
    pub files: Vec<PathBuf>,
    /// They may use the system, and files anywhere.
    #[serde(rename = "unsafe")]
    pub is_unsafe: bool,
    /// Memory of all of them, MiB.
    pub memory_mib: u32,
    /// Instructions that a call of a handler may take.
    pub steps: u64,
    /// Failures of a handler after which it is not called any more.
    pub failures: u32,
}

impl Default for ScriptSettings {
    fn default() -> Self {
        ScriptSettings {
            files: Vec::new(),
            is_unsafe: false,
            memory_mib: 256,
            steps: 10_000_000,
            failures: 100,
        }
    }
}

/// Files that traffic carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileSettings {
    /// The digests that are made of every file, for files.log.
    pub hashes: Vec<Digest>,
    /// How random its bytes are is counted of every file, for files.log and the event `file_entropy`.
    pub entropy: bool,
    /// Directory for the files themselves; None: they are not written.
    pub extract_dir: Option<PathBuf>,
    /// Types of those that are written; empty: all, also of unknown type.
    pub extract_types: Vec<MimePattern>,
    /// Largest part of a file that is written, from its beginning, MiB.
    pub extract_limit_mib: u64,
    /// Most that is written in a run, all files together, MiB.
    pub extract_total_mib: u64,
    /// Silence after which a file is over, seconds.
    pub timeout: f64,
}

impl Default for FileSettings {
    fn default() -> Self {
        FileSettings {
            hashes: Vec::new(),
            entropy: false,
            extract_dir: None,
            extract_types: Vec::new(),
            extract_limit_mib: 100,
            extract_total_mib: 10 << 10,
            timeout: 120.0,
        }
    }
}

/// Signatures to match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureSettings {
    /// Files of them, in Zeek's language.
    pub files: Vec<PathBuf>,
    /// How much of a connection's payload they are matched with, both directions together, bytes; 0: all of it.
    pub bytes: u64,
}

impl Default for SignatureSettings {
    fn default() -> Self {
        SignatureSettings {
            files: Vec::new(),
            bytes: SIGNATURE_BYTES,
        }
    }
}

/// Digests of whole files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Digest {
    /// Those of a list, for the engine.
    pub fn all(of: &[Digest]) -> Hashes {
        Hashes {
            md5: of.contains(&Digest::Md5),
            sha1: of.contains(&Digest::Sha1),
            sha256: of.contains(&Digest::Sha256),
        }
    }
}

/// Columns of conn.log on request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnSettings {
    /// Community ID, version 1.
    pub community_id: bool,
    /// Link-layer addresses of the first packet.
    pub l2_columns: bool,
    /// VLANs of the first packet.
    pub vlan_columns: bool,
    /// Round-trip times, retransmissions, packets out of order, zero windows.
    pub tcp_stats: bool,
    /// How long a connection is open when it has a row of conn_long.log, seconds.
    pub long: Vec<f64>,
}

/// TLS and certificates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// JA3, JA3S and JA4 of the hellos as columns of ssl.log.
    pub fingerprints: bool,
    /// Subjects and issuers of certificates as columns of ssl.log.
    pub subjects: bool,
    /// Whether servers' certificate chains are validated.
    pub validate_certs: bool,
    /// Authorities to trust, as PEM; None: Mozilla's.
    pub ca_file: Option<PathBuf>,
    /// Longest handshake message to read, KiB.
    pub max_message_kib: u32,
    /// Most certificates to read of one message.
    pub max_certs: u32,
}

impl Default for TlsSettings {
    fn default() -> Self {
        TlsSettings {
            fingerprints: false,
            subjects: false,
            validate_certs: false,
            ca_file: None,
            max_message_kib: 64,
            max_certs: 16,
        }
    }
}

/// HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Passwords of the basic scheme go into http.log.
    pub passwords: bool,
}

/// SSH.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SshSettings {
    /// hassh of both sides as columns of ssh.log.
    pub hassh: bool,
}

/// Timeouts of connections, seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutSettings {
    /// Silence after which an established TCP connection is over, seconds.
    pub tcp_inactivity: f64,
    /// Silence after which a UDP connection is over, seconds.
    pub udp_inactivity: f64,
    /// Silence after which an ICMP connection is over, seconds.
    pub icmp_inactivity: f64,
    /// How long a SYN may go unanswered, seconds.
    pub tcp_attempt_delay: f64,
    /// How long a closed connection lingers, seconds.
    pub tcp_close_delay: f64,
    /// How long a connection that was reset lingers, seconds.
    pub tcp_reset_delay: f64,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        TimeoutSettings {
            tcp_inactivity: 300.0,
            udp_inactivity: 60.0,
            icmp_inactivity: 60.0,
            tcp_attempt_delay: 5.0,
            tcp_close_delay: 5.0,
            tcp_reset_delay: 5.0,
        }
    }
}

/// Memory for segments that wait behind holes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReassemblySettings {
    /// Most memory per direction of a connection, KiB.
    pub limit_kib: u64,
    /// Most memory for all connections together, MiB.
    pub total_mib: u64,
}

impl Default for ReassemblySettings {
    fn default() -> Self {
        ReassemblySettings {
            limit_kib: 1024,
            total_mib: 512,
        }
    }
}

/// How captures are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadSettings {
    /// Where frames are parsed and counted.
    pub datapath: Datapath,
    /// Forward every packet to the engine, not only those that teach it something.
    pub forward_all: bool,
    /// Whether analyzers look into payload.
    pub analyzers: bool,
}

impl Default for ReadSettings {
    fn default() -> Self {
        ReadSettings {
            datapath: Datapath::User,
            forward_all: false,
            analyzers: true,
        }
    }
}

/// Where the frames of captures are parsed and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datapath {
    /// The program's double in userspace.
    User,
    /// The program in the kernel.
    Xdp,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_from_json_as_they_were() {
        let mut s = Settings {
            seed: Some(7),
            ..Settings::default()
        };
        s.interfaces.names = vec!["tap0".into(), "tap1".into()];
        s.interfaces.decap = vec![Decap::Vxlan, Decap::Ipip];
        s.rings.workers = Some(2);
        s.rings.by = RingBy::Cpu;
        s.logs.format = LogFormats::Both;
        s.metrics.listen = Some("[::1]:9477".parse().expect("an address"));
        s.events.to = Some("-".into());
        s.events.contents = Some("both:80,8080".parse().expect("contents"));
        s.files.hashes = vec![Digest::Md5, Digest::Sha256];
        s.files.extract_types = vec!["image/*".parse().expect("types")];
        s.timeouts.tcp_inactivity = 0.5;
        s.reading.datapath = Datapath::Xdp;
        for s in [Settings::default(), s] {
            let text = serde_json::to_string(&s).expect("JSON");
            let back: Settings = serde_json::from_str(&text).expect("settings");
            assert_eq!(back, s, "{text}");
        }
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let s: Settings = serde_json::from_str(r#"{"logs": {"dir": "/var/log/x"}}"#).expect("settings");
        let mut expected = Settings::default();
        expected.logs.dir = "/var/log/x".into();
        assert_eq!(s, expected);
    }

    #[test]
    fn an_unknown_key_is_refused_in_every_section() {
        let all = serde_json::to_value(Settings::default()).expect("JSON");
        let sections = all.as_object().expect("an object").iter();
        let mut refused = 0;
        for (name, _) in sections.filter(|(_, v)| v.is_object()) {
            let mut one = all.clone();
            one[name]["no_such_key"] = true.into();
            let error = serde_json::from_value::<Settings>(one).expect_err(name);
            assert!(error.to_string().contains("no_such_key"), "{error}");
            refused += 1;
        }
        assert_eq!(refused, 19);
        assert!(serde_json::from_str::<Settings>(r#"{"no_such_key": 1}"#).is_err());
    }
}
