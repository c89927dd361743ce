//! stats.log: the sensor's own accounting. At each interval a row of sums, and one for each interface and each worker,
//! which have values where there is something to be said of them alone.

use std::borrow::Cow;

use crate::event::Ts;
use crate::event::log::{Column, LogRow, Value};

/// One row of stats.log; all counts since the start of the run.
#[derive(Clone, Debug, Default)]
pub struct StatsRow<'a> {
    pub ts: Ts,
    /// Of this interface alone: its frames and bytes are the kernel's own count.
    pub iface: Option<&'a str>,
    /// Of this worker alone.
    pub worker: Option<u64>,
    pub frames: Option<u64>,
    /// Bytes of frames.
    pub bytes: Option<u64>,
    /// Frames counted in a flow.
    pub tracked: Option<u64>,
    /// Frames not tracked, by reason, those that were met.
    pub untracked: Option<&'a [(&'a str, u64)]>,
    /// Packets with payload.
    pub payload: Option<u64>,
    /// Of these, forwarded to userspace.
    pub forwarded: Option<u64>,
    /// Of these, shed because nobody wants that stream's payload.
    pub shed: Option<u64>,
    /// Of these, lost because the ring had no room.
    pub lost: Option<u64>,
    /// Headers of tracked packets and untracked frames for which the ring had no room; of a worker, all records.
    pub records_lost: Option<u64>,
    /// Frames of flows for which the table had no room.
    pub table_full: Option<u64>,
    /// Half-open flows that gave way to newer ones in the table, and half-open ones that have no row.
    pub half_open_gone: Option<u64>,
    pub half_open_untold: Option<u64>,
    /// Connections open.
    pub open_conns: Option<u64>,
    /// Events dropped for a slow reader of the stream.
    pub events_dropped: Option<u64>,
    /// Log rows that the disk did not take.
    pub rows_lost: Option<u64>,
    /// Holes in streams given up early because reassembly had no room.
    pub no_room: Option<u64>,
    /// Connections whose entry was not in the flow table at their end.
    pub no_entry: Option<u64>,
    /// Frames that an interface or its driver dropped before the sensor saw them.
    pub dropped: Option<u64>,
    /// Times that an interface disappeared.
    pub gone: Option<u64>,
    /// Most bytes that were taken of a worker's ring when it came to look, since the last row.
    pub ring_peak: Option<u64>,
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
    Column::new("no_entry", "count"),
    Column::new("dropped", "count"),
    Column::new("gone", "count"),
    Column::new("ring_peak", "count"),
];

impl LogRow for StatsRow<'_> {
    fn path(&self) -> &'static str {
        "stats"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        let count = |n: Option<u64>| n.map_or(Value::Unset, Value::Count);
        let reasons = |all: &[(&str, u64)]| {
            let text = |(r, n): &(&str, u64)| Value::Str(Cow::Owned(format!("{r}={n}")));
            Value::List(all.iter().map(text).collect())
        };
        out.extend([
            Value::Time(self.ts),
            self.iface.map_or(Value::Unset, |s| Value::Str(Cow::Borrowed(s))),
            count(self.worker),
            count(self.frames),
            count(self.bytes),
            count(self.tracked),
            self.untracked.map_or(Value::Unset, reasons),
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
            self.no_entry,
            self.dropped,
            self.gone,
            self.ring_peak,
        ];
        out.extend(rest.map(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_per_column() {
        let row = StatsRow {
            worker: Some(1),
            frames: Some(7),
            untracked: Some(&[("arp", 2)]),
            ring_peak: Some(9),
            ..StatsRow::default()
        };
        let mut v = Vec::new();
        row.values(&mut v);
        assert_eq!(v.len(), row.columns().len());
        assert_eq!(v[3], Value::Count(7));
        assert_eq!(v[4], Value::Unset);
        assert_eq!(v[6], Value::List(vec![Value::Str("arp=2".into())]));
        assert_eq!(v.last(), Some(&Value::Count(9)));
    }
}
