//! Where results go: logs, what becomes of them later, and the event stream.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::WantedContents;
use crate::catalog::{NAMED_ONLY, UnknownEvent};
use crate::event::{self, Subscriptions};
#[cfg(feature = "live")]
use crate::output::archive::{ArchivePlan, Keep};
use crate::output::archived::Packed;
use crate::output::feed::FeedTarget;
use crate::output::log::{LogFormat, LogFormats, LogStyle, LogSync, LogTags};
use crate::output::rotation::{Every, Rotation};

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
    /// Only of the connections that a script names.
    pub contents_on_request: bool,
    /// Networks that are local, separated by commas; None: the private ones. The commands look names of hosts up and put their
    /// addresses in place ([`Settings::with_local_names`](super::Settings::with_local_names)).
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
            contents_on_request: false,
            local_nets: None,
            quiet: false,
            verbose: 0,
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
    /// The events that these settings want by themselves, see [`Settings::subscriptions`](super::Settings::subscriptions).
    pub(super) fn subscriptions(&self) -> Result<Subscriptions, UnknownEvent> {
        if self.to.is_none() {
            return Ok(Subscriptions::NONE);
        }
        let mut subs = if self.only.is_empty() {
            NAMED_ONLY
                .into_iter()
                .fold(Subscriptions::ALL, Subscriptions::without)
        } else {
            self.only.join(",").parse()?
        };
        if self.contents.is_none() {
            subs = subs.without(event::TcpContents::KIND);
        }
        Ok(subs)
    }
}
