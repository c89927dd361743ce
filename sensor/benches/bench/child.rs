//! What is measured in processes of their own: the loop that only reads and parses, and the connection
//! table's memory.
#![allow(unsafe_code, reason = "signals, pipes and the like are system calls")]

use std::net::IpAddr;
use std::path::Path;

use anyhow::Context as _;
use sensor::conn::{Config, Engine, Sink};
use sensor::datapath::FlowTable;
use sensor::datapath::soft::{self, Flows, Soft, Untracked};
use sensor::event::log::LogRow;
use sensor::event::{Event, Subscriptions, Ts};
use sensor::packet::ip::{self, Input, Ip};
use sensor::packet::{Capture, Frame, LinkType, Weird, link};
use sensor_common::{FlowKey, FlowState, Packet, Policy, RecordHeader, policy};

use crate::mix;

/// Reads and parses a capture as `sensor read` does, and nothing more.
pub fn parse(path: &Path) -> anyhow::Result<()> {
    let mut capture = Capture::open(path)?;
    let mut out = Ip::default();
    let (mut packets, mut payload) = (0u64, 0u64);
    while let Some(frame) = capture.next() {
        let f = frame?;
        packets += 1;
        let Ok(l) = link::parse(f.link, f.data) else {
            continue;
        };
        let input = Input {
            frame: f.data,
            l3: l.l3 as usize,
            end: l.end as usize,
            wire_len: f.wire_len,
            ts: f.ts,
            checksums: false,
            reassembled: false,
        };
        if ip::parse(&input, &mut out) == ip::Verdict::Flow {
            payload += out.pkt.payload_len as u64;
        }
    }
    println!("{packets} {payload}");
    Ok(())
}

/// Nobody listens.
struct Nobody;

impl Sink for Nobody {
    fn event(&mut self, _: Ts, _: &dyn Event) {}
    fn log(&mut self, _: &dyn LogRow) {}
}

/// The flow table is the kernel's: it takes no memory here.
struct Elsewhere;

impl FlowTable for Elsewhere {
    fn get(&mut self, _: &FlowKey) -> Option<FlowState> {
        None
    }
    fn remove(&mut self, _: &FlowKey) -> Option<FlowState> {
        None
    }
    fn shed(&mut self, _: &FlowKey, _: u32) {}
    fn follow(&mut self, _: &FlowKey, _: u8, _: u32) -> bool {
        false
    }
    fn skip(&mut self, _: &FlowKey, _: u8, _: u32) -> bool {
        false
    }
}

/// Takes records from the soft datapath to the engine and remembers whose they were.
struct Feed<'e> {
    engine: &'e mut Engine<Nobody>,
    key: FlowKey,
}

impl soft::PacketSink for Feed<'_> {
    fn advance(&mut self, ts: u64, _: &mut Flows) {
        self.engine.advance_some(ts, TIMERS, &mut Elsewhere);
    }

    fn record(&mut self, header: &RecordHeader, frame: &[u8], _: &mut Flows) -> Option<soft::InnerPacket> {
        self.key = header.pkt.key;
        self.engine.record(header, frame, &mut Elsewhere)
    }

    fn packet_weird(&mut self, _: &Packet, _: Weird, _: &[u8], _: &mut Flows) {}
    fn untracked(&mut self, _: &Untracked<'_>, _: &mut Flows) {}
    fn weird(&mut self, _: u64, _: &'static str, _: &str, _: Option<&soft::Addrs>, _: &mut Flows) {}
}

fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"));
    let kb = line.and_then(|l| l.split_whitespace().nth(1)).context("VmRSS")?;
    Ok(kb.parse::<u64>()? << 10)
}

/// Between the beginnings of two connections, ns.
const APART: u64 = 20_000;
/// When all that were opened have been looked at once more, ns later.
const LATER: u64 = 10_000_000_000;
/// Timers that fire at a time, as live.
const TIMERS: u32 = 1024;

/// The longest of several things, in this thread's CPU time: others on the machine are not to count.
#[derive(Default)]
struct Longest(u64);

impl Longest {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = cpu_time();
        let result = work();
        self.0 = self.0.max(cpu_time() - before);
        result
    }

    fn micros(&self) -> u64 {
        self.0 / 1000
    }
}

/// ns.
fn cpu_time() -> u64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to `t`.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// Opens `n` connections of a kind and lets them expire. Prints how many bytes of memory each takes (all of the
/// engine, with table, timers and what the allocator adds, by the process's resident size), and for how many
/// microseconds packets had to wait at most, for another packet and for timers.
pub fn memory(kind: &str, n: u32) -> anyhow::Result<()> {
    let cfg = Config {
        is_local: std::sync::Arc::new(|_: IpAddr| false),
        ..Config::default()
    };
    let mut engine = Engine::new(cfg, Subscriptions::NONE, Nobody);
    let mut soft = Soft::new(soft::SoftConfig {
        policy: Policy {
            bits: policy::PAYLOAD,
            ..Policy::default()
        },
        ..soft::SoftConfig::default()
    });
    let talk = mix::open_connection(kind);
    let mut frames: Vec<Vec<u8>> = talk.iter().map(|p| p.1.clone()).collect();
    let mut before = 0;
    let (mut opening, mut expiring) = (Longest::default(), Longest::default());
    let begin = 1_700_000_000_000_000_000;
    for i in 0..=n {
        if i == 1 {
            // After the first, what is there once is there.
            before = resident()?;
        }
        let mut feed = Feed {
            engine: &mut engine,
            key: FlowKey::default(),
        };
        for (frame, (_, template)) in frames.iter_mut().zip(&talk) {
            frame.copy_from_slice(template);
            mix::moved(frame, (i % 65_000) as u16 + 1);
            // Beyond 65,000, other client networks.
            for at in [26, 30] {
                if frame[at] == 10 {
                    frame[at + 1] = (i / 65_000) as u8;
                }
            }
            let f = Frame {
                ts: begin + i as u64 * APART,
                link: LinkType::ETHERNET,
                data: frame,
                wire_len: frame.len() as u32,
                iface: 0,
            };
            let _ = opening.time(|| soft.frame(&f, &mut feed));
        }
        let key = feed.key;
        soft.flows().remove(&key);
    }
    anyhow::ensure!(
        engine.len() as u32 == n + 1,
        "{} connections are open",
        engine.len()
    );
    let mut advance = |engine: &mut Engine<Nobody>, now| {
        while expiring.time(|| engine.advance_some(now, TIMERS, &mut Elsewhere)) {}
    };
    let mut now = begin + n as u64 * APART;
    // In small steps, as time passes; what is silent for long expires all at once.
    for _ in 0..LATER / 10_000_000 {
        now += 10_000_000;
        advance(&mut engine, now);
    }
    anyhow::ensure!(engine.len() as u32 == n + 1, "{} are open", engine.len());
    let each = (resident()? - before) / n as u64;
    while !engine.is_empty() {
        now += 3_600_000_000_000;
        advance(&mut engine, now);
    }
    println!("{each} {} {}", opening.micros(), expiring.micros());
    Ok(())
}
