//! How the sensor looks names up itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::DnsServer;

/// Lookups of the sensor's own, for scripts and local networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResolverSettings {
    /// The servers to ask; empty: those of /etc/resolv.conf.
    pub servers: Vec<DnsServer>,
    /// How long an answer is waited for, seconds.
    pub timeout: f64,
    /// The file that has what names were in earlier runs; None: see [`ResolverSettings::file`].
    pub cache: Option<PathBuf>,
    /// Names and addresses that are known at most.
    pub entries: u32,
    /// Lookups at a time.
    pub lookups: u32,
    /// Shortest time for which an answer holds, seconds, whatever it says itself.
    pub ttl_min: u32,
    /// Longest time, seconds.
    pub ttl_max: u32,
}

impl ResolverSettings {
    /// The folder in the log directory with the file, unless something else is said.
    pub const DIR: &str = "resolver";
    /// The file's name.
    pub const FILE: &str = "dns_cache";
    /// Instead of a path: there is no file.
    pub const NONE: &str = "none";
    /// The folder for what a service has to remember, which systemd names.
    const STATE: &str = "STATE_DIRECTORY";

    /// The file that has what names were: the one that is set, or else that in the state directory of a service, or else that in the log
    /// directory. None: there is to be none.
    pub fn file(&self, log_dir: &std::path::Path) -> Option<PathBuf> {
        self.file_of(std::env::var(Self::STATE).ok().as_deref(), log_dir)
    }

    fn file_of(&self, state: Option<&str>, log_dir: &std::path::Path) -> Option<PathBuf> {
        match &self.cache {
            Some(file) if file.as_os_str() == Self::NONE => None,
            Some(file) => Some(file.clone()),
            None => {
                // There may be several, with colons between them.
                let state = state.and_then(|s| s.split(':').find(|d| d.starts_with('/')));
                let dir = state.map_or(log_dir, std::path::Path::new);
                Some(dir.join(Self::DIR).join(Self::FILE))
            }
        }
    }
}

impl Default for ResolverSettings {
    fn default() -> Self {
        ResolverSettings {
            servers: Vec::new(),
            timeout: 5.0,
            cache: None,
            entries: 65_536,
            lookups: 64,
            ttl_min: 10,
            ttl_max: 86_400,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_file_is_where_state_is_kept() {
        let file = |cache: Option<&str>, state| {
            let settings = ResolverSettings {
                cache: cache.map(Into::into),
                ..ResolverSettings::default()
            };
            settings.file_of(state, Path::new("/logs"))
        };
        let is = |path: &str| Some(path.into());
        assert_eq!(file(None, None), is("/logs/resolver/dns_cache"));
        assert_eq!(
            file(None, Some("/var/lib/sensor:/var/lib/x")),
            is("/var/lib/sensor/resolver/dns_cache")
        );
        assert_eq!(file(None, Some("")), is("/logs/resolver/dns_cache"));
        assert_eq!(file(Some("/x/y"), Some("/var/lib/sensor")), is("/x/y"));
        assert_eq!(file(Some("none"), None), None);
    }
}
