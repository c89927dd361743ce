//! How rows become lines of text.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::json::text;
use crate::event::log::{LogRow, write_json_after};
use crate::output::tsv;

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Zeek's tab-separated values with header lines.
    Tsv,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    const ALL: [LogFormat; 2] = [LogFormat::Tsv, LogFormat::Json];

    /// What it is called, and what the names of its files end with where there are others.
    fn name(self) -> &'static str {
        match self {
            LogFormat::Tsv => "tsv",
            LogFormat::Json => "json",
        }
    }
}

/// The formats of a run's logs, at least one and each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormats {
    /// In one format, `conn.log`.
    One(LogFormat),
    /// Zeek's values in `conn.log`, JSON in `conn.json`.
    Both,
}

/// Text that names no formats.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("logs are written as `tsv`, `json` or both: `tsv,json`")]
pub struct NoFormats;

impl LogFormats {
    /// Each of them.
    pub fn all(self) -> &'static [LogFormat] {
        match self {
            LogFormats::One(LogFormat::Tsv) => &[LogFormat::Tsv],
            LogFormats::One(LogFormat::Json) => &[LogFormat::Json],
            LogFormats::Both => &LogFormat::ALL,
        }
    }

    /// The name of a log's file.
    pub fn file(self, path: &str, format: LogFormat) -> String {
        match (self, format) {
            (LogFormats::Both, LogFormat::Json) => format!("{path}.json"),
            _ => format!("{path}.log"),
        }
    }
}

impl FromStr for LogFormats {
    type Err = NoFormats;

    fn from_str(s: &str) -> Result<LogFormats, NoFormats> {
        match s {
            "tsv" => Ok(LogFormats::One(LogFormat::Tsv)),
            "json" => Ok(LogFormats::One(LogFormat::Json)),
            "tsv,json" | "json,tsv" => Ok(LogFormats::Both),
            _ => Err(NoFormats),
        }
    }
}

impl fmt::Display for LogFormats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.all().iter().map(|f| f.name()).collect();
        f.write_str(&names.join(","))
    }
}

impl Serialize for LogFormats {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogFormats {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<LogFormats, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What rows in JSON say besides their columns, so that one stream can carry all logs of many sensors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTags {
    /// The log's name, as `_path`.
    pub path: bool,
    /// The sensor's name, as `_system_name`.
    pub system: Option<Arc<str>>,
}

/// How the logs of a run are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStyle {
    /// The formats.
    pub formats: LogFormats,
    /// What JSON has more.
    pub tags: LogTags,
}

impl From<LogFormat> for LogStyle {
    fn from(format: LogFormat) -> LogStyle {
        LogStyle {
            formats: LogFormats::One(format),
            tags: LogTags::default(),
        }
    }
}

/// Appends a row's line to `out`.
pub fn write_row(format: LogFormat, tags: &LogTags, row: &dyn LogRow, out: &mut Vec<u8>) {
    let mut values = Vec::with_capacity(row.columns().len());
    match format {
        LogFormat::Tsv => {
            row.values(&mut values);
            tsv::row(out, &values);
        }
        LogFormat::Json => {
            write_json_after(out, row, &mut values, |o| {
                if tags.path {
                    text(o.key("_path"), row.path());
                }
                if let Some(system) = &tags.system {
                    text(o.key("_system_name"), system);
                }
            });
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named() {
        for text in ["tsv", "json", "tsv,json"] {
            let formats: LogFormats = text.parse().expect(text);
            assert_eq!(formats.to_string(), text);
            let json = serde_json::to_string(&formats).expect("JSON");
            assert_eq!(serde_json::from_str::<LogFormats>(&json).expect(&json), formats);
        }
        for bad in ["", "xml", "tsv,", "tsv,tsv", "json, tsv"] {
            assert_eq!(bad.parse::<LogFormats>(), Err(NoFormats), "{bad}");
        }
    }
}
