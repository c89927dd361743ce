//! stats.log: the sensor's own accounting. At each interval a row of sums, and one for each interface and each worker,
//! which have values where there is something to be said of them alone.

use crate::event::row;

row! {
    /// One row of stats.log; all counts since the start of the run.
    #[derive(Clone, Debug, Default)]
    pub struct StatsRow<'a> in "stats" {
        /// When it was written.
        ts: time,
        /// Of this interface alone: its frames and bytes are the kernel's own count.
        iface: opt text (&'a str),
        /// Of this worker alone.
        worker: opt count,
        /// Frames that arrived.
        frames: opt count,
        /// Bytes of frames.
        bytes: opt count,
        /// Frames counted in a flow.
        tracked: opt count,
        /// Frames not tracked, each reason that was met as `reason=frames`.
        untracked: opt vector text (&'a [String]),
        /// Packets with payload.
        payload: opt count,
        /// Of these, forwarded to userspace.
        forwarded: opt count,
        /// Of these, shed because nobody wants that stream's payload.
        shed: opt count,
        /// Of these, lost because the ring had no room.
        lost: opt count,
        /// Headers of tracked packets and untracked frames for which the ring had no room; of a worker, all records.
        records_lost: opt count,
        /// Frames of flows for which the table had no room.
        table_full: opt count,
        /// Half-open flows that gave way to newer ones in the table.
        half_open_gone: opt count,
        /// Half-open flows that have no row.
        half_open_untold: opt count,
        /// Connections open.
        open_conns: opt count,
        /// Events dropped for a slow reader of the stream.
        events_dropped: opt count,
        /// Log rows that the disk did not take.
        rows_lost: opt count,
        /// Holes in streams given up early because reassembly had no room.
        no_room: opt count,
        /// Connections whose entry was not in the flow table at their end.
        no_entry: opt count,
        /// TCP connections over which data went and that have ended.
        data_conns: opt count,
        /// Of these, those of which packets of one side only were seen.
        one_sided: opt count,
        /// Packets that came twice within a millisecond, of those that userspace has compared.
        twice: opt count,
        /// Frames that an interface or its driver dropped before the sensor saw them.
        dropped: opt count,
        /// Times that an interface disappeared.
        gone: opt count,
        /// Most bytes that were taken of a worker's ring when it came to look, since the last row.
        ring_peak: opt count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::{LogRow, Value};

    #[test]
    fn a_value_per_column() {
        let untracked = ["arp=2".to_owned()];
        let row = StatsRow {
            worker: Some(1),
            frames: Some(7),
            untracked: Some(&untracked),
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
