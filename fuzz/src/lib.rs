//! What the targets share: the engine behind the soft datapath, and what must hold at its end.

pub mod analyzers;
pub mod datagrams;
pub mod memory;
pub mod segments;
pub mod talk;

use std::collections::HashMap;
use std::net::IpAddr;

use sensor::analyzer::tls::events::SslEncryptedData;
use sensor::catalog::policy_bits;
use sensor::conn::{self, Config, Contents, Engine, EngineSink, Timeouts};
use sensor::datapath::FlowTable;
use sensor::datapath::soft::{self, Addrs, Flows, InnerPacket, Soft, Untracked};
use sensor::event::log::{LogRow, Value, write_json};
use sensor::event::{Event, Subscriptions, TcpContents, Ts};
use sensor::packet::defrag::Limits;
use sensor::packet::{Frame, Weird};
use sensor_common::policy::ALL_PACKETS;
use sensor_common::{Counter, Packet, Policy, RecordHeader};

const SECOND: u64 = 1_000_000_000;

/// How the engine and the datapath are set up; chosen by an input's first byte.
#[derive(Clone, Copy)]
pub struct Setup {
    /// Every event is wanted, or none.
    pub events: bool,
    /// Else those are for which TLS is followed in the datapath.
    pub records: bool,
    pub contents: bool,
    pub checksums: bool,
    /// A flow table of three entries, fragments of 2000 bytes, 600 bytes beyond holes.
    pub tight: bool,
    /// Every packet is forwarded.
    pub all: bool,
    /// Some records are lost.
    pub lossy: bool,
    /// Payload byte n of a stream has the low bits of its sequence number, so contents can be checked.
    pub counting: bool,
}

impl Setup {
    pub fn new(bits: u8) -> Setup {
        Setup {
            events: bits & 1 != 0,
            records: bits & 32 != 0,
            contents: bits & 2 != 0,
            checksums: bits & 4 != 0,
            tight: bits & 8 != 0,
            all: bits & 16 != 0,
            lossy: false,
            counting: false,
        }
    }

    fn subs(&self) -> Subscriptions {
        if self.events {
            Subscriptions::ALL
        } else if self.records {
            Subscriptions::NONE.with(SslEncryptedData::KIND)
        } else {
            Subscriptions::NONE
        }
    }
}

/// A row of conn.log.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    pub uid: String,
    pub json: String,
    pub pkts: u64,
    pub ip_bytes: u64,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.json)
    }
}

/// Takes events and rows, and looks at each.
pub struct Checks {
    pub rows: Vec<Row>,
    pub logged: u64,
    events: u64,
    subs: Subscriptions,
    counting: bool,
    /// Next byte of each stream that is delivered.
    streams: HashMap<(String, u16), u64>,
    text: Vec<u8>,
}

impl conn::Sink for Checks {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        assert!(self.subs.wants(ev.kind()), "{} was not asked for", ev.info().name);
        self.events += 1;
        // Text takes longer than all else, and the first of each thing is soon among these.
        if self.events < 200 && self.events.is_multiple_of(3) {
            self.text.clear();
            ev.write_json(ts, &mut self.text);
            assert!(self.text.ends_with(b"}"));
        }
        if let Some(TcpContents {
            c,
            is_orig,
            seq,
            contents,
        }) = TcpContents::of(ev)
        {
            assert!(!contents.is_empty());
            // By port, because originator and responder may change places.
            let sender = if is_orig { c.orig_p } else { c.resp_p };
            let next = self.streams.entry((c.uid.to_string(), sender)).or_default();
            if self.counting {
                assert!(seq >= *next, "bytes delivered twice: {seq} after {next}");
                for two in contents.windows(2) {
                    assert_eq!(two[0].wrapping_add(1), two[1]);
                }
            }
            *next = seq.wrapping_add(contents.len() as u64);
        }
    }

    fn log(&mut self, row: &dyn LogRow) {
        self.logged += 1;
        let mut values = Vec::new();
        row.values(&mut values);
        assert_eq!(values.len(), row.columns().len());
        let column = |name: &str| {
            row.columns()
                .iter()
                .position(|c| c.name == name)
                .map(|i| &values[i])
        };
        let count = |name: &str| match column(name) {
            Some(Value::Count(n)) => *n,
            _ => 0,
        };
        self.text.clear();
        if row.path() != "conn" {
            return write_json(&mut self.text, row, &mut Vec::new());
        }
        let Some(Value::Str(uid)) = column("uid") else {
            panic!("a row without a uid");
        };
        let (uid, pkts) = (uid.to_string(), count("orig_pkts") + count("resp_pkts"));
        let ip_bytes = count("orig_ip_bytes") + count("resp_ip_bytes");
        if let Some(Value::Interval(d)) = column("duration") {
            assert!(*d >= 0, "{row:?}");
        }
        if let Some(Value::Str(h)) = column("history") {
            assert!(h.len() < 10_000, "a history of {} letters", h.len());
        }
        write_json(&mut self.text, row, &mut Vec::new());
        let json = String::from_utf8(self.text.clone()).expect("JSON is UTF-8");
        self.rows.push(Row {
            uid,
            json,
            pkts,
            ip_bytes,
        });
    }
}

/// Between datapath and engine, as `sensor read` has it; counts what goes by.
struct Between {
    engine: Engine<Checks>,
    now: Ts,
    records: u64,
    lossy: bool,
}

impl soft::PacketSink for Between {
    fn advance(&mut self, ts: u64, flows: &mut Flows) {
        assert!(ts >= self.now);
        self.now = ts;
        self.engine.advance(ts, flows);
        assert!(self.engine.next_deadline() > ts);
    }
    fn record(&mut self, h: &RecordHeader, frame: &[u8], flows: &mut Flows) -> Option<InnerPacket> {
        assert_eq!(h.body_len(), frame.len());
        self.records += 1;
        if self.lossy && self.records % 5 == 3 {
            return None;
        }
        let inner = self.engine.record(h, frame, flows);
        assert!(flows.get(h.key()).is_some());
        inner
    }
    fn packet_weird(&mut self, p: &Packet, w: Weird, frame: &[u8], _: &mut Flows) {
        self.engine.packet_weird(p, w.name(), frame);
    }
    fn untracked(&mut self, u: &Untracked<'_>, flows: &mut Flows) {
        EngineSink(&mut self.engine).untracked(u, flows);
    }
    fn weird(&mut self, ts: u64, name: &'static str, addl: &str, a: Option<&Addrs>, _: &mut Flows) {
        self.engine.net_weird(ts, name, addl, a.map(|(s, d)| (s, d)));
    }
}

/// The whole sensor but its files.
pub struct Machine {
    soft: Soft,
    between: Between,
}

impl Machine {
    pub fn new(s: Setup) -> Machine {
        let subs = s.subs();
        let cfg = Config {
            timeouts: Timeouts {
                status_interval: if s.events { 60 * SECOND } else { 0 },
                ..Timeouts::default()
            },
            contents: Contents {
                orig: s.contents,
                resp: s.contents,
                ports: Vec::new(),
            },
            seed: 1,
            reassembly_limit: if s.tight { 600 } else { 1 << 20 },
            max_connections: if s.tight { 8 } else { 100_000 },
            is_local: std::sync::Arc::new(|a: IpAddr| a.is_ipv4()),
            ..Config::default()
        };
        let bits = policy_bits(&subs, s.contents) | if s.all { ALL_PACKETS } else { 0 };
        let checks = Checks {
            rows: Vec::new(),
            logged: 0,
            events: 0,
            subs,
            counting: s.counting,
            streams: HashMap::new(),
            text: Vec::new(),
        };
        let tunnels = cfg.tunnels.clone();
        Machine {
            soft: Soft::with_tunnels(
                soft::SoftConfig {
                    policy: Policy {
                        bits,
                        ..Policy::default()
                    },
                    checksums: s.checksums,
                    max_flows: if s.tight { 3 } else { 100_000 },
                    fragments: Limits {
                        total: if s.tight { 2000 } else { 1 << 20 },
                        ..Limits::default()
                    },
                },
                tunnels,
            ),
            between: Between {
                engine: Engine::new(cfg, subs, checks),
                now: 0,
                records: 0,
                lossy: s.lossy,
            },
        }
    }

    /// Takes a frame. Time never goes back, and is cut to microseconds, as `sensor read` does.
    pub fn frame(&mut self, f: &Frame<'_>) {
        let f = Frame {
            ts: (f.ts - f.ts % 1000).max(self.between.now),
            ..*f
        };
        let _ = self.soft.frame(&f, &mut self.between);
        assert!(self.soft.counts().conserved());
        assert!(self.between.lossy || self.soft.flows().len() <= self.between.engine.len());
    }

    /// Ends everything; what must hold then does, or this panics.
    pub fn finish(mut self) -> Vec<Row> {
        let packets = self.soft.counts().get(Counter::Tracked) + self.soft.counts().get(Counter::Injected);
        let now = self.between.now;
        self.between.engine.finish(now, self.soft.flows());
        assert!(self.between.engine.is_empty());
        assert!(self.between.lossy || self.soft.flows().is_empty());
        let checks = self.between.engine.into_sink();
        let mut uids: Vec<&str> = checks.rows.iter().map(|r| r.uid.as_str()).collect();
        uids.sort_unstable();
        assert!(uids.windows(2).all(|two| two[0] != two[1]), "a uid has two rows");
        if self.between.lossy {
            return checks.rows;
        }
        let told: u64 = checks.rows.iter().map(|r| r.pkts).sum();
        assert_eq!(
            told, packets,
            "packets in rows and packets tracked: {:#?}",
            checks.rows
        );
        checks.rows
    }
}

impl Row {
    /// Letters behind one for sides that changed places: as in Zeek each side then does for the first time, once more,
    /// what the datapath has forwarded for the first time before. They depend on what else was forwarded.
    fn forget_turned(&mut self) {
        const HISTORY: &str = "\"history\":\"";
        let Some(at) = self.json.find(HISTORY) else { return };
        let at = at + HISTORY.len();
        let end = self.json[at..].find('"').map_or(self.json.len(), |n| at + n);
        if let Some(turned) = self.json[at..end].rfind('^') {
            self.json.replace_range(at + turned + 1..end, "");
        }
    }
}

/// Runs the same input by the default policy and with every packet forwarded: the rows must be the same.
pub fn both_ways(setup: Setup, mut run: impl FnMut(&mut Machine)) {
    let mut rows = [false, true].map(|all| {
        let mut m = Machine::new(Setup { all, ..setup });
        run(&mut m);
        m.finish()
    });
    // Uids follow the order in which connections were made, and that is the same.
    rows.iter_mut().for_each(|r| r.sort_by(|a, b| a.uid.cmp(&b.uid)));
    for row in rows.iter_mut().flatten() {
        row.forget_turned();
    }
    assert_eq!(rows[0], rows[1], "default policy and all packets");
}
