//! The numbers as text, in Prometheus' format (version 0.0.4). The crate `prometheus` writes it: its escapes, its headers, its
//! cumulative buckets. Its own counters are not used: the numbers are kept where they arise, without a lock.

use std::sync::Arc;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use sensor_common::Counter as Counted;
use sensor_common::counters::UNTRACKED;

use super::process::Process;
use crate::base::time::SECOND;
use crate::datapath::xdp::{Counters, Kernel};
use crate::live::histogram;
use crate::live::metrics::{InterfaceSnapshot, Metrics, Snapshot, WorkerSnapshot};
use crate::live::outputs::OutputLoad;
use crate::live::sweep::Met;
use crate::output::outbox::LogCount;

/// What is said of the program itself.
pub struct Build {
    /// Hash of the BPF object, in hexadecimal.
    pub object: String,
}

/// All that is shown at one time.
pub struct Shown {
    /// The sums.
    pub snapshot: Snapshot,
    /// What turns are asked.
    pub metrics: Metrics,
    /// The kernel's counters of each CPU.
    pub by_cpu: Vec<Counters>,
    /// The outputs.
    pub load: OutputLoad,
    /// What the last walk over the flow table met.
    pub met: Met,
    /// Entries that the flow table has room for, and those of them that half-open flows may take; 0: all.
    pub flows: (u32, u32),
    /// Size of a ring, bytes.
    pub ring_bytes: u32,
}

type Labels<'l> = &'l [(&'l str, &'l str)];

fn labels(of: Labels<'_>) -> Vec<LabelPair> {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    of.iter().map(pair).collect()
}

fn counter(of: Labels<'_>, value: f64) -> Metric {
    let mut c = Counter::default();
    c.set_value(value);
    let mut m = Metric::from_label(labels(of));
    m.set_counter(c);
    m
}

fn gauge(of: Labels<'_>, value: f64) -> Metric {
    let mut g = Gauge::default();
    g.set_value(value);
    let mut m = Metric::from_label(labels(of));
    m.set_gauge(g);
    m
}

/// `unit`: what a value is divided by.
fn histogram(of: Labels<'_>, counted: &histogram::Counted, unit: f64) -> Metric {
    let bucket = |&(bound, n): &(u64, u64)| {
        let mut b = Bucket::default();
        b.set_upper_bound(bound as f64 / unit);
        b.set_cumulative_count(n);
        b
    };
    let mut h = Histogram::default();
    h.set_bucket(counted.up_to.iter().map(bucket).collect());
    h.set_sample_count(counted.count);
    h.set_sample_sum(counted.sum as f64 / unit);
    let mut m = Metric::from_label(labels(of));
    m.set_histogram(h);
    m
}

/// The families so far.
struct Page(Vec<MetricFamily>);

impl Page {
    fn add(&mut self, kind: MetricType, name: &str, help: &str, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }

    fn counters(&mut self, name: &str, help: &str, of: impl IntoIterator<Item = Metric>) {
        self.add(MetricType::COUNTER, name, help, of.into_iter().collect());
    }

    fn gauges(&mut self, name: &str, help: &str, of: impl IntoIterator<Item = Metric>) {
        self.add(MetricType::GAUGE, name, help, of.into_iter().collect());
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, [counter(&[], value as f64)]);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [gauge(&[], value)]);
    }
}

/// The page of what is shown.
pub fn page(shown: &Shown, build: &Build) -> String {
    let mut page = Page(Vec::new());
    sums(&mut page, shown);
    tables(&mut page, shown);
    interfaces(&mut page, &shown.snapshot);
    workers(&mut page, shown);
    outputs(&mut page, shown);
    process(&mut page, build);
    // It fails only for a family without metrics or without a name.
    let text = prometheus::TextEncoder::new().encode_to_string(&page.0);
    text.unwrap_or_default()
}

/// The accounting: both sums, and what each CPU has of them.
fn sums(page: &mut Page, shown: &Shown) {
    let s = &shown.snapshot;
    page.counter(
        "sensor_frames_total",
        "Frames seen: tracked and untracked ones.",
        s.frames,
    );
    page.counter(
        "sensor_frame_bytes_total",
        "Bytes of the frames seen.",
        s.frame_bytes,
    );
    page.counter(
        "sensor_frames_tracked_total",
        "Frames counted in a flow.",
        s.tracked,
    );
    let untracked = UNTRACKED.iter().zip(s.untracked).map(|(reason, n)| {
        // As in stats.log.
        let reason = format!("{reason:?}").to_lowercase();
        counter(&[("reason", &reason)], n as f64)
    });
    let missed = || counter(&[("reason", "missed")], s.missed as f64);
    let untracked = untracked.chain((s.missed > 0).then(missed));
    page.counters(
        "sensor_frames_untracked_total",
        "Frames that are in no flow, by the reason.",
        untracked,
    );
    page.counter(
        "sensor_payload_packets_total",
        "Packets with payload: forwarded, shed and lost ones.",
        s.payload,
    );
    page.counter(
        "sensor_payload_packets_forwarded_total",
        "Packets whose payload went to userspace.",
        s.forwarded,
    );
    page.counter(
        "sensor_payload_packets_shed_total",
        "Packets whose payload nobody wanted.",
        s.shed,
    );
    page.counter(
        "sensor_payload_packets_lost_total",
        "Packets whose payload was wanted and found no room in a ring.",
        s.lost,
    );
    page.counter(
        "sensor_records_lost_total",
        "Records without payload that found no room in a ring.",
        s.records_lost,
    );
    page.counter(
        "sensor_packets_decapsulated_total",
        "Packets taken out of tunnels in the kernel.",
        s.decapsulated,
    );
    page.counter(
        "sensor_packets_inner_duplicates_total",
        "Packets out of tunnels that had come before, of frames that are counted by what was around these packets.",
        s.inner_duplicates,
    );
    let by_cpu = |of: Counted| {
        let each = shown.by_cpu.iter().enumerate();
        let met = each.filter(|(_, c)| c.get(Counted::Frames) > 0);
        met.map(move |(cpu, c)| counter(&[("cpu", &cpu.to_string())], c.get(of) as f64))
            .collect::<Vec<_>>()
    };
    page.counters(
        "sensor_cpu_frames_total",
        "Frames seen, by the CPU that saw them.",
        by_cpu(Counted::Frames),
    );
    page.counters(
        "sensor_cpu_frame_bytes_total",
        "Bytes of the frames seen, by the CPU that saw them.",
        by_cpu(Counted::FrameBytes),
    );
    page.counters(
        "sensor_cpu_payload_packets_lost_total",
        "Packets whose payload found no room in a ring, by the CPU that saw them.",
        by_cpu(Counted::Lost),
    );
}

/// The flow table, and what has not the room that it wants.
fn tables(page: &mut Page, shown: &Shown) {
    let s = &shown.snapshot;
    let (flows, half_open) = shown.flows;
    page.counter(
        "sensor_flows_created_total",
        "Entries made in the flow table.",
        s.flows_created,
    );
    page.gauge(
        "sensor_flow_table_entries",
        "Entries of the flow table that the last walk over it met; a walk takes a second for each 1024.",
        shown.met.entries as f64,
    );
    page.gauge(
        "sensor_flow_table_half_open",
        "Entries of half-open flows that the last walk over the flow table met.",
        shown.met.half_open as f64,
    );
    page.gauge(
        "sensor_flow_table_limit",
        "Entries that the flow table has room for.",
        flows.into(),
    );
    let limit = if half_open == 0 { flows } else { half_open };
    page.gauge(
        "sensor_flow_table_half_open_limit",
        "Half-open flows that the flow table has room for.",
        limit.into(),
    );
    page.counter(
        "sensor_flow_table_full_total",
        "Packets of new flows for which the flow table had no room.",
        s.table_full + s.inner_table_full,
    );
    page.counter(
        "sensor_half_open_evicted_total",
        "Half-open flows that gave way to newer ones.",
        s.half_open_gone,
    );
    page.counter(
        "sensor_half_open_untold_total",
        "Half-open flows that have no row.",
        s.half_open_untold,
    );
    page.counter(
        "sensor_reassembly_no_room_total",
        "Holes in streams given up because reassembly had no room.",
        s.no_room,
    );
    page.counter(
        "sensor_connections_without_entry_total",
        "Connections that ended and were not in the flow table.",
        s.no_entry,
    );
    page.counter(
        "sensor_worker_failures_total",
        "Workers that failed by a defect of the sensor, and began anew.",
        s.failures,
    );
}

fn interfaces(page: &mut Page, s: &Snapshot) {
    let each = |of: fn(&InterfaceSnapshot) -> u64, make: fn(Labels<'_>, f64) -> Metric| {
        let metric = |i: &InterfaceSnapshot| make(&[("interface", &i.name)], of(i) as f64);
        s.interfaces.iter().map(metric).collect::<Vec<_>>()
    };
    page.counters(
        "sensor_interface_frames_total",
        "Frames while the interface was watched, received and, but for --rx-only, sent, by the kernel's own count.",
        each(|i| i.frames, counter),
    );
    page.counters(
        "sensor_interface_bytes_total",
        "Bytes of these frames, by the kernel's own count.",
        each(|i| i.bytes, counter),
    );
    page.counters(
        "sensor_interface_dropped_total",
        "Received frames that were lost before the sensor: the kernel or the driver dropped them, or the device had no room \
         (rx_dropped, rx_missed_errors, rx_fifo_errors).",
        each(|i| i.dropped, counter),
    );
    page.counters(
        "sensor_interface_missed_total",
        "Of the dropped ones, frames for which the device had no room (rx_missed_errors, rx_fifo_errors): its rings are too small, or \
         its CPUs too slow.",
        each(|i| i.missed, counter),
    );
    page.counters(
        "sensor_interface_receive_errors_total",
        "Received frames that were damaged, and lost before the sensor (rx_errors): a cable or a transceiver.",
        each(|i| i.errors, counter),
    );
    page.counters(
        "sensor_interface_gone_total",
        "Times that the interface disappeared.",
        each(|i| i.gone, counter),
    );
    page.gauges(
        "sensor_interface_watched",
        "Whether the program is attached to the interface.",
        each(|i| i.watched.into(), gauge),
    );
    page.gauges(
        "sensor_interface_up",
        "Whether the interface is up and has a carrier.",
        each(|i| i.is_up.into(), gauge),
    );
}

/// Each worker, and its ring, which has the same number.
fn workers(page: &mut Page, shown: &Shown) {
    let each = |label: &'static str, of: fn(&WorkerSnapshot) -> u64, make: fn(Labels<'_>, f64) -> Metric| {
        let all = shown.snapshot.workers.iter().enumerate();
        all.map(|(i, w)| make(&[(label, &i.to_string())], of(w) as f64))
            .collect::<Vec<_>>()
    };
    let size = shown.snapshot.workers.iter().enumerate();
    let size = size.map(|(i, _)| gauge(&[("ring", &i.to_string())], shown.ring_bytes.into()));
    page.gauges("sensor_ring_size_bytes", "Size of the ring.", size);
    page.gauges(
        "sensor_ring_taken_bytes",
        "Bytes that waited in the ring when its worker came to look last.",
        each("ring", |w| w.ring_taken, gauge),
    );
    page.gauges(
        "sensor_ring_taken_peak_bytes",
        "Most bytes that waited in the ring when its worker came to look, since the last row of stats.log.",
        each("ring", |w| w.ring_peak, gauge),
    );
    page.counters(
        "sensor_ring_read_bytes_total",
        "Bytes that the worker read from the ring.",
        each("ring", |w| w.ring_read, counter),
    );
    page.counters(
        "sensor_ring_records_lost_total",
        "Records that found no room in the ring, with and without payload.",
        each("ring", |w| w.records_lost, counter),
    );
    page.counters(
        "sensor_worker_turns_total",
        "Turns of the worker.",
        each("worker", |w| w.turns, counter),
    );
    page.gauges(
        "sensor_worker_connections",
        "Connections that are open.",
        each("worker", |w| w.open_conns, gauge),
    );
    page.gauges(
        "sensor_worker_timers",
        "Timers that are armed, void ones as well.",
        each("worker", |w| w.timers, gauge),
    );
    page.gauges(
        "sensor_worker_reassembly_bytes",
        "Memory of what waits behind holes, of streams and of files.",
        each("worker", |w| w.held, gauge),
    );
    page.gauges(
        "sensor_worker_files",
        "Files of the traffic that are under way.",
        each("worker", |w| w.files, gauge),
    );
    let turns = || {
        let all = shown.metrics.workers().iter().enumerate();
        all.filter_map(|(i, w)| Some((i.to_string(), w.turn()?)))
    };
    let records = turns().map(|(i, t)| histogram(&[("worker", &i)], &t.records.read(), 1.0));
    page.add(
        MetricType::HISTOGRAM,
        "sensor_worker_turn_records",
        "Records of a turn that had any.",
        records.collect(),
    );
    let waits = turns().map(|(i, t)| histogram(&[("worker", &i)], &t.waits.read(), SECOND as f64));
    page.add(
        MetricType::HISTOGRAM,
        "sensor_worker_wait_seconds",
        "Time from a packet to the turn that its record begins.",
        waits.collect(),
    );
}

fn outputs(page: &mut Page, shown: &Shown) {
    let load = &shown.load;
    let logs = |of: fn(&LogCount) -> u64| {
        let metric = |c: &Arc<LogCount>| counter(&[("log", c.path)], of(c) as f64);
        load.logs.iter().map(metric).collect::<Vec<_>>()
    };
    page.counters(
        "sensor_log_rows_total",
        "Rows that were handed over to be written to the log.",
        logs(LogCount::rows),
    );
    page.counters(
        "sensor_log_bytes_total",
        "Bytes that were handed over to be written to the log.",
        logs(LogCount::bytes),
    );
    page.counters(
        "sensor_log_rows_dropped_total",
        "Rows of the log that found no room in the queue of the log files.",
        logs(LogCount::refused),
    );
    page.counter(
        "sensor_log_rows_unwritten_total",
        "Rows of all logs that the disk did not take.",
        load.unwritten,
    );
    let lost = shown.snapshot.losses.traffic;
    page.counter(
        "sensor_conn_rows_lost_packets_total",
        "Packets of the connections whose rows of conn.log were lost.",
        lost.packets,
    );
    page.counter(
        "sensor_conn_rows_lost_ip_bytes_total",
        "IP bytes of the connections whose rows of conn.log were lost.",
        lost.bytes,
    );
    let kinds = load.kinds.iter().filter_map(|(kind, n)| {
        let name = kind.info()?.name;
        Some(counter(&[("event", name)], *n as f64))
    });
    page.counters(
        "sensor_events_total",
        "Events for the stream, by their names; those that were dropped as well.",
        kinds,
    );
    page.counter(
        "sensor_events_dropped_total",
        "Events dropped for a slow reader of the stream.",
        shown.snapshot.losses.events,
    );
    let unscripted = load.unscripted.iter().map(|(kind, n)| {
        let name = kind.info().map_or("log_row", |i| i.name);
        counter(&[("event", name)], *n as f64)
    });
    page.counters(
        "sensor_script_events_lost_total",
        "Events that scripts were too slow for, by their names; log_row: rows of logs that they filter.",
        unscripted,
    );
    let queue = |output: &str, n: Option<u64>| n.map(|n| gauge(&[("output", output)], n as f64));
    let queues = [
        queue("logs", Some(load.rows)),
        queue("events", load.events),
        queue("terminal", load.prints),
    ];
    page.gauges(
        "sensor_output_queued_items",
        "Rows or events that wait for the output.",
        queues.into_iter().flatten(),
    );
    if let Some(bytes) = load.extracted {
        page.gauge(
            "sensor_extract_queued_bytes",
            "Bytes of extracted files that wait to be written.",
            bytes as f64,
        );
    }
}

/// The process, by the names that all of Prometheus' libraries give these numbers.
fn process(page: &mut Page, build: &Build) {
    let p = Process::now();
    page.counters(
        "process_cpu_seconds_total",
        "Processor time of the process.",
        [counter(&[], p.cpu)],
    );
    page.gauge(
        "process_resident_memory_bytes",
        "Memory of the process in RAM.",
        p.resident as f64,
    );
    page.gauge(
        "process_virtual_memory_bytes",
        "Address space of the process.",
        p.virtual_memory as f64,
    );
    page.gauge("process_open_fds", "Descriptors that are open.", p.fds as f64);
    page.gauge(
        "process_start_time_seconds",
        "When the process started, since the epoch.",
        p.start,
    );
    let info = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("commit", Kernel::COMMIT),
        ("bpf_object", &build.object),
    ];
    page.gauges(
        "sensor_build_info",
        "Always 1: the version, the commit if it is known, and the SHA-256 of the BPF object.",
        [gauge(&info, 1.0)],
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::interfaces::List;
    use crate::live::metrics::OutputLosses;

    fn shown(kernel: Counters) -> Shown {
        let metrics = Metrics::of_turns(2);
        let losses = OutputLosses {
            rows: 1,
            events: 4,
            ..OutputLosses::default()
        };
        Shown {
            snapshot: metrics.snapshot(&kernel, &List::default(), losses),
            metrics,
            by_cpu: vec![kernel, Counters::default()],
            load: OutputLoad {
                rows: 3,
                unwritten: 1,
                events: Some(2),
                prints: None,
                extracted: None,
                logs: Vec::new(),
                kinds: vec![(crate::event::NewConnection::KIND, 7)],
                unscripted: vec![(crate::event::NewConnection::KIND, 2)],
            },
            met: Met {
                entries: 9,
                half_open: 1,
            },
            flows: (100, 50),
            ring_bytes: 1 << 20,
        }
    }

    /// The sum of a family's samples.
    fn sum(page: &str, name: &str) -> f64 {
        let samples = page.lines().filter_map(|l| {
            let (named, value) = l.rsplit_once(' ')?;
            let bare = named.split('{').next()?;
            (bare == name).then(|| value.parse::<f64>().expect("a number"))
        });
        samples.sum()
    }

    #[test]
    fn both_sums_add_up() {
        let mut kernel = Counters::default();
        let all = [Counted::Tracked].into_iter().chain(UNTRACKED);
        for (c, n) in all.zip(1..) {
            kernel.counts[c as usize] = n;
            kernel.counts[Counted::Frames as usize] += n;
        }
        for (c, n) in [(Counted::Forwarded, 10), (Counted::Shed, 20), (Counted::Lost, 30)] {
            kernel.counts[c as usize] = n;
            kernel.counts[Counted::Payload as usize] += n;
        }
        let build = Build {
            object: "ab".to_owned(),
        };
        let text = page(&shown(kernel), &build);
        let of = |name: &str| sum(&text, name);
        assert_eq!(of("sensor_frames_total"), 78.0);
        let parts = of("sensor_frames_tracked_total") + of("sensor_frames_untracked_total");
        assert_eq!(parts, 78.0);
        assert_eq!(of("sensor_cpu_frames_total"), 78.0);
        assert_eq!(of("sensor_payload_packets_total"), 60.0);
        assert_eq!(of("sensor_payload_packets_lost_total"), 30.0);
        assert!(
            text.contains("sensor_frames_untracked_total{reason=\"notip\"} 2\n"),
            "{text}"
        );
        assert!(
            text.contains("sensor_events_total{event=\"new_connection\"} 7\n"),
            "{text}"
        );
        assert!(text.contains("bpf_object=\"ab\"} 1\n"), "{text}");
    }

    #[test]
    fn a_histogram_has_buckets_in_seconds() {
        let shown = shown(Counters::default());
        shown.metrics.workers()[1].begins(|| Some(1_000_000), || 1_300_000);
        let build = Build {
            object: String::new(),
        };
        let text = page(&shown, &build);
        for line in [
            "# TYPE sensor_worker_wait_seconds histogram",
            "sensor_worker_wait_seconds_bucket{worker=\"1\",le=\"0.00025\"} 0",
            "sensor_worker_wait_seconds_bucket{worker=\"1\",le=\"0.0005\"} 1",
            "sensor_worker_wait_seconds_bucket{worker=\"1\",le=\"+Inf\"} 1",
            "sensor_worker_wait_seconds_sum{worker=\"1\"} 0.0003",
            "sensor_worker_wait_seconds_count{worker=\"0\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn every_family_says_what_it_is() {
        let build = Build {
            object: String::new(),
        };
        let text = page(&shown(Counters::default()), &build);
        let named = |prefix: &str| {
            let lines = text.lines().filter_map(|l| l.strip_prefix(prefix));
            lines
                .map(|l| l.split(' ').next().unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(named("# HELP "), named("# TYPE "));
        let counters = text
            .lines()
            .filter(|l| l.starts_with("# TYPE") && l.ends_with(" counter"));
        assert!(counters.clone().count() > 10);
        for line in counters {
            assert!(line.ends_with("_total counter"), "{line}");
        }
    }

    /// The families that a text of Prometheus' or Grafana's speaks of.
    fn spoken_of(text: &str) -> Vec<&str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let ours = words.filter(|w| w.starts_with("sensor_") || w.starts_with("process_"));
        ours.map(|w| w.strip_suffix("_bucket").unwrap_or(w)).collect()
    }

    #[test]
    fn alerts_and_dashboard_speak_of_families_that_there_are() {
        let mut shown = shown(Counters::default());
        shown.by_cpu[0].counts[Counted::Frames as usize] = 1;
        shown.snapshot.interfaces.push(InterfaceSnapshot::default());
        let build = Build {
            object: String::new(),
        };
        let text = page(&shown, &build);
        let there = |name: &str| text.contains(&format!("# TYPE {name} "));
        // Of logs, which have counts from their first rows on.
        let later = ["sensor_log_rows_total", "sensor_log_rows_dropped_total"];
        for file in ["alerts.yml", "grafana-dashboard.json"] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../deploy")
                .join(file);
            let text = std::fs::read_to_string(path).expect(file);
            let all = spoken_of(&text);
            assert!(all.len() > 15, "{all:?}");
            for name in all {
                assert!(there(name) || later.contains(&name), "{name} in {file}");
            }
        }
    }
}
