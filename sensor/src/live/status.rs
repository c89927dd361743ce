//! What a person sees of a live run: rows as connections end, a status line, the two sums at the end.

use std::fmt::Write as _;
use std::time::Duration;

use sensor_common::Counter;
use sensor_common::counters::UNTRACKED;

use super::metrics::Snapshot;
use crate::event::log::{LogRow, Value};

/// Columns of conn.log that a terminal's line has room for.
const SHOWN: [&str; 11] = [
    "id.orig_h",
    "id.orig_p",
    "id.resp_h",
    "id.resp_p",
    "proto",
    "service",
    "conn_state",
    "history",
    "duration",
    "orig_bytes",
    "resp_bytes",
];

fn text(v: &Value<'_>) -> String {
    match v {
        Value::Str(s) => s.to_string(),
        Value::Uid(u) => u.to_string(),
        Value::Addr(a) => a.to_string(),
        Value::Port(p) => p.to_string(),
        Value::Count(n) => n.to_string(),
        Value::Interval(ns) => format!("{:.3}s", *ns as f64 / 1e9),
        _ => "-".into(),
    }
}

/// A row of conn.log in short.
pub fn row(row: &dyn LogRow) -> String {
    let mut values = Vec::new();
    row.values(&mut values);
    let fields: Vec<String> = SHOWN
        .iter()
        .filter_map(|name| row.columns().iter().position(|c| c.name == *name))
        .filter_map(|i| values.get(i).map(text))
        .collect();
    fields.join(" ")
}

/// The status line: rates are of the time `every` from one snapshot to the other.
pub fn line(now: &Snapshot, before: &Snapshot, every: Duration) -> String {
    let rate = |of: fn(&Snapshot) -> u64| (of(now) - of(before)) as f64 / every.as_secs_f64();
    format!(
        "{} packets/s  {}bit/s  {} connections  forwarded {}  shed {}  lost {}",
        rate(|s| s.frames) as u64,
        scaled(rate(|s| s.frame_bytes) * 8.0),
        now.open_conns,
        now.forwarded,
        now.shed,
        now.lost,
    )
}

fn scaled(v: f64) -> String {
    match v {
        v if v >= 1e9 => format!("{:.2} G", v / 1e9),
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e3 => format!("{:.2} k", v / 1e3),
        v => format!("{v:.0} "),
    }
}

/// The two sums that hold at all times, and what else happened in the kernel, if it did.
pub fn sums(s: &Snapshot) -> String {
    let mut text = format!("frames {} = {} tracked", s.frames, s.tracked);
    for (reason, n) in UNTRACKED.into_iter().zip(s.untracked) {
        let _ = write!(text, " + {n} {}", name(reason));
    }
    if s.missed > 0 {
        let _ = write!(text, " + {} missed", s.missed);
    }
    let _ = writeln!(
        text,
        "\npayload {} = {} forwarded + {} shed + {} lost",
        s.payload, s.forwarded, s.shed, s.lost,
    );
    if s.decapsulated > 0 {
        let _ = writeln!(
            text,
            "{} packets taken out of tunnels in the kernel",
            s.decapsulated
        );
    }
    if s.inner_duplicates > 0 {
        let _ = writeln!(
            text,
            "{} packets out of tunnels had come before and were not counted again",
            s.inner_duplicates
        );
    }
    let (gave_way, untold) = (s.half_open_gone, s.half_open_untold);
    if gave_way + untold > 0 {
        let _ = writeln!(
            text,
            "half-open flows: {gave_way} gave way to newer ones, {untold} of all have no row"
        );
    }
    text
}

fn name(r: Counter) -> &'static str {
    match r {
        Counter::NotIp => "not IP",
        Counter::OtherEthertype => "other ethertype",
        Counter::Fragment => "fragment",
        Counter::Tunnel => "tunnel",
        Counter::OtherProtocol => "other protocol",
        Counter::Truncated => "truncated",
        Counter::Malformed => "malformed",
        Counter::Filtered => "ignored",
        Counter::Unsampled => "not in the sample",
        Counter::Duplicate => "duplicates",
        _ => "table full",
    }
}

#[cfg(test)]
mod tests {
    use super::super::interfaces::List;
    use super::super::metrics::{Metrics, OutputLosses};
    use super::*;
    use crate::datapath::xdp::Counters;

    #[test]
    fn sums_name_every_part() {
        let mut c = Counters::default();
        for (i, n) in c.counts.iter_mut().enumerate() {
            *n = i as u64;
        }
        let mut now = Metrics::new(1).snapshot(&c, &List::default(), OutputLosses::default());
        assert!(!sums(&now).contains("missed"));
        now.miss(15);
        let s = sums(&now);
        assert!(s.starts_with("frames 15 = 2 tracked + 3 not IP + "), "{s}");
        assert!(s.contains(" + 15 missed\n"), "{s}");
        assert!(
            s.contains("\npayload 11 = 12 forwarded + 13 shed + 14 lost\n"),
            "{s}"
        );
    }
}
