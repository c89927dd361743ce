//! What scripts give: it is put down while a handler runs and carried out when it has returned.

use crate::conn::Wish;
use crate::event::log_stream::StreamRow;
use crate::event::{
    BroScriptLoaded, Column, ConnId, Event, FileOpened, LogRow, PrintHook, ReporterError, RotateInterval,
    RotateSize, Ts, Value,
};
use crate::resolver::Change;

/// One thing that a script gave.
#[derive(Debug)]
pub enum Out {
    /// A row of a log that a script defined.
    Row(StreamRow<'static>),
    /// A row that a filter of scripts let through, or made.
    Filtered(FilteredRow),
    /// An event of the scripts' own.
    Event(OwnEvent),
    /// What is to become of a connection.
    Order(Order),
}

/// A row that a filter made.
#[derive(Clone, Debug)]
pub struct FilteredRow {
    pub path: &'static str,
    pub columns: &'static [Column],
    pub values: Vec<Value<'static>>,
}

impl LogRow for FilteredRow {
    fn path(&self) -> &'static str {
        self.path
    }

    fn columns(&self) -> &'static [Column] {
        self.columns
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        out.extend(self.values.iter().map(Value::borrowed));
    }
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    /// Which one.
    pub conn: ConnId,
    /// What of it.
    pub what: Wish,
}

/// An event that the scripts themselves cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnEvent {
    /// bro_script_loaded
    Loaded { path: String, level: u64 },
    /// file_opened
    FileOpened { f: String },
    /// print_hook
    Print { f: String, s: String },
    /// rotate_interval
    RotateInterval { f: String },
    /// rotate_size
    RotateSize { f: String },
    /// reporter_error
    Error { msg: String, location: String },
    /// dns_mapping_*
    Lookup(Box<Change>),
}

impl OwnEvent {
    /// Of an error: the place, if it is known, and what is wrong.
    pub fn said(&self) -> Option<String> {
        match self {
            OwnEvent::Error { msg, location } if location.is_empty() => Some(msg.clone()),
            OwnEvent::Error { msg, location } => Some(format!("{location}: {msg}")),
            _ => None,
        }
    }

    /// Shows the event, at the time `t`.
    pub fn with<R>(&self, t: Ts, then: impl FnOnce(&dyn Event) -> R) -> R {
        match self {
            OwnEvent::Loaded { path, level } => then(&BroScriptLoaded { path, level: *level }),
            OwnEvent::FileOpened { f } => then(&FileOpened { f }),
            OwnEvent::Print { f, s } => then(&PrintHook { f, s }),
            OwnEvent::RotateInterval { f } => then(&RotateInterval { f }),
            OwnEvent::RotateSize { f } => then(&RotateSize { f }),
            OwnEvent::Error { msg, location } => then(&ReporterError { t, msg, location }),
            OwnEvent::Lookup(change) => change.with(then),
        }
    }
}
