//! What is done with logs besides writing rows: they are rotated and made durable.

use std::fmt;
use std::str::FromStr;
use std::sync::mpsc::{SyncSender, TrySendError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::output::log_dir::Rotated;
use crate::output::now_and_then::NowAndThen;
use crate::output::rotation::{Every, Rotation};

/// What is done with logs besides writing rows.
#[derive(Debug, Default)]
pub struct Upkeep {
    /// When they are rotated.
    pub rotation: Rotation,
    /// When they are made durable.
    pub sync: LogSync,
    /// Who takes care of logs that are over.
    pub archive: Option<ToArchive>,
}

/// When what is in logs is made to outlive a machine that fails (fsync).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogSync {
    /// As soon as the system sees fit.
    #[default]
    Never,
    /// When they are rotated, and at the end.
    Rotate,
    /// Then, and so often.
    Every(Every),
}

/// Text that says no [`LogSync`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("logs are made durable never, at each rotate, or each so many seconds, such as 30")]
pub struct NoLogSync;

impl FromStr for LogSync {
    type Err = NoLogSync;

    fn from_str(s: &str) -> Result<LogSync, NoLogSync> {
        match s {
            "never" => Ok(LogSync::Never),
            "rotate" => Ok(LogSync::Rotate),
            _ => s.parse().map(LogSync::Every).map_err(|_| NoLogSync),
        }
    }
}

impl fmt::Display for LogSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogSync::Never => f.write_str("never"),
            LogSync::Rotate => f.write_str("rotate"),
            LogSync::Every(every) => every.fmt(f),
        }
    }
}

impl Serialize for LogSync {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogSync {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<LogSync, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Seconds(u64),
            Text(String),
        }
        let no = serde::de::Error::custom(NoLogSync);
        match Said::deserialize(d) {
            Ok(Said::Seconds(n)) => Every::seconds(n).map(LogSync::Every).map_err(|_| no),
            Ok(Said::Text(s)) => s.parse().map_err(|_| no),
            Err(_) => Err(no),
        }
    }
}

/// The way of logs that are over to the thread that packs them and the like.
#[derive(Debug)]
pub struct ToArchive {
    queue: SyncSender<Rotated>,
    /// Logs that are over do not stay in the directory of the logs as they are.
    pub(super) takes_all: bool,
    /// Some found no room in the queue: they are looked for in the directory.
    pub(super) behind: bool,
    said: NowAndThen,
}

impl ToArchive {
    /// Into this queue, which must be bounded. `takes_all`: logs that are over do not stay in the directory of the logs as
    /// they are, so that one that is there has not been taken care of.
    pub fn new(queue: SyncSender<Rotated>, takes_all: bool) -> ToArchive {
        ToArchive {
            queue,
            takes_all,
            behind: false,
            said: NowAndThen::default(),
        }
    }

    pub(super) fn send(&mut self, rotated: Rotated) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(rotated) {
            self.behind = true;
            if !self.takes_all && self.said.is_due() {
                tracing::warn!("--log-hook is not told of some logs: too many wait for it");
            }
        }
    }
}
