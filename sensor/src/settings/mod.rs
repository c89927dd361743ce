//! What a run is asked for, in sections, however it was asked: the command line fills [`Settings`], and so can a file.
//!
//! Plain values in the units of the options; [`Settings::engine`] makes the engine's configuration of them. Knows
//! nothing of a command line, except the names of its options in messages.

mod anonymity;
pub mod bounds;
mod contents;
mod dns_server;
mod engine;
pub mod file;
mod listen;
pub mod names;
mod on_interfaces;
mod resolver;
mod results;
mod traffic;
mod useless;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use bounds::OutOfBounds;
pub use contents::{ContentsError, WantedContents};
pub use dns_server::{DnsServer, DnsServerError};
pub use engine::SettingsError;
pub use listen::{Listen, ListenError};
pub use on_interfaces::*;
pub use resolver::ResolverSettings;
pub use results::*;
pub use traffic::*;
pub use useless::Useless;

use crate::base::time::MILLISECOND;
use crate::filter::{Filter, FilterError};

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
    /// Where the time goes.
    pub profile: ProfileSettings,
    /// Orders while it runs.
    pub control: ControlSettings,
    /// Logs that are over.
    pub archive: ArchiveSettings,
    /// The event stream.
    pub events: EventSettings,
    /// Scripts.
    pub scripts: ScriptSettings,
    /// Lookups of the sensor's own.
    pub resolver: ResolverSettings,
    /// Files that traffic carries.
    pub files: FileSettings,
    /// Signatures.
    pub signatures: SignatureSettings,
    /// Operating systems.
    pub os: OsSettings,
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
    /// The file with the key by which addresses are replaced by others; None: they are not.
    pub anonymize: Option<PathBuf>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::log::LogFormats;

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
        s.resolver.servers = vec!["[::1]:5353".parse().expect("a server")];
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
        assert_eq!(refused, 22);
        assert!(serde_json::from_str::<Settings>(r#"{"no_such_key": 1}"#).is_err());
    }
}
