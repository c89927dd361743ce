//! stats.log: the sensor's own accounting, a row per interface or worker and interval.

use std::borrow::Cow;

use crate::event::Ts;
use crate::event::log::{Column, LogRow, Value};

/// One row of stats.log; all counts since the start of the run.
#[derive(Clone, Debug, Default)]
pub struct StatsRow<'a> {
    /// When it was taken.
    pub ts: Ts,
    /// The interface or capture file, if it is about one.
    pub iface: Option<&'a str>,
    /// The worker, if it is about one.
    pub worker: Option<u64>,
    /// Frames seen.
    pub frames: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Frames counted in a flow.
    pub tracked: u64,
    /// Frames not tracked, by reason, those that were met.
    pub untracked: &'a [(&'a str, u64)],
    /// Packets with payload.
    pub payload: u64,
    /// Of these, forwarded to userspace.
    pub forwarded: u64,
    /// Of these, shed because nobody wants that stream's payload.
    pub shed: u64,
    /// Of these, lost because the ring had no room.
    pub lost: u64,
    /// Headers of tracked packets and untracked frames for which the ring had no room.
    pub records_lost: u64,
    /// Frames of flows for which the table had no room.
    pub table_full: u64,
    /// Half-open flows that gave way to newer ones in the table, and half-open ones that have no row.
    pub half_open_gone: u64,
    pub half_open_untold: u64,
    /// Connections open.
    pub open_conns: u64,
    /// Events dropped for a slow reader of the stream.
    pub events_dropped: u64,
    /// Log rows that the disk did not take.
    pub rows_lost: u64,
    /// Holes in streams given up early because reassembly had no room.
    pub no_room: u64,
}

const COLUMNS: &[Column] = &[
    Column::new("ts", "time"),
    Column::new("iface", "string"),
    Column::new("worker", "count"),
    Column::new("frames", "count"),
    Column::new("bytes", "count"),
    Column::new("tracked", "count"),
    Column::new("untracked", "vector[string]"),
    Column::new("payload", "count"),
    Column::new("forwarded", "count"),
    Column::new("shed", "count"),
    Column::new("lost", "count"),
    Column::new("records_lost", "count"),
    Column::new("table_full", "count"),
    Column::new("half_open_gone", "count"),
    Column::new("half_open_untold", "count"),
    Column::new("open_conns", "count"),
    Column::new("events_dropped", "count"),
    Column::new("rows_lost", "count"),
    Column::new("no_room", "count"),
];

impl LogRow for StatsRow<'_> {
    fn path(&self) -> &'static str {
        "stats"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        let reasons = self
            .untracked
            .iter()
            .map(|(r, n)| Value::Str(Cow::Owned(format!("{r}={n}"))));
        out.extend([
            Value::Time(self.ts),
            self.iface.map_or(Value::Unset, |s| Value::Str(Cow::Borrowed(s))),
            self.worker.map_or(Value::Unset, Value::Count),
            Value::Count(self.frames),
            Value::Count(self.bytes),
            Value::Count(self.tracked),
            Value::List(reasons.collect()),
        ]);
        let rest = [
            self.payload,
            self.forwarded,
            self.shed,
            self.lost,
            self.records_lost,
            self.table_full,
            self.half_open_gone,
            self.half_open_untold,
            self.open_conns,
            self.events_dropped,
            self.rows_lost,
            self.no_room,
        ];
        out.extend(rest.map(Value::Count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_per_column() {
        let row = StatsRow {
            worker: Some(1),
            frames: 7,
            untracked: &[("arp", 2)],
            no_room: 9,
            ..StatsRow::default()
        };
        let mut v = Vec::new();
        row.values(&mut v);
        assert_eq!(v.len(), row.columns().len());
        assert_eq!(v[3], Value::Count(7));
        assert_eq!(v[6], Value::List(vec![Value::Str("arp=2".into())]));
        assert_eq!(v.last(), Some(&Value::Count(9)));
    }
}
