//! What is measured in processes of their own: the loop that only reads and parses, and the connection
//! table's memory.

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
    fn event(&mut self, _: Ts, _: &Event<'_>) {}
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
}

/// Takes records from the soft datapath to the engine and remembers whose they were.
struct Feed<'e> {
    engine: &'e mut Engine<Nobody>,
    key: FlowKey,
}

impl soft::Sink for Feed<'_> {
    fn advance(&mut self, ts: u64, _: &mut Flows) {
        self.engine.advance(ts, &mut Elsewhere);
    }

    fn record(&mut self, header: &RecordHeader, frame: &[u8], _: &mut Flows) -> Option<soft::Inner> {
        self.key = header.pkt.key;
        self.engine.record(header, frame, &mut Elsewhere)
    }

    fn fault(&mut self, _: &Packet, _: Weird, _: &[u8], _: &mut Flows) {}
    fn untracked(&mut self, _: &Untracked<'_>, _: &mut Flows) {}
    fn weird(&mut self, _: u64, _: &'static str, _: Option<&soft::Addrs>, _: &mut Flows) {}
}

fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"));
    let kb = line.and_then(|l| l.split_whitespace().nth(1)).context("VmRSS")?;
    Ok(kb.parse::<u64>()? << 10)
}

/// Opens `n` connections of a kind and prints how many bytes of memory each takes: all of the engine,
/// with table, timers and what the allocator adds, by the process's resident size.
pub fn memory(kind: &str, n: u32) -> anyhow::Result<()> {
    let cfg = Config {
        is_local: std::sync::Arc::new(|_: IpAddr| false),
        ..Config::default()
    };
    let mut engine = Engine::new(cfg, Subscriptions::NONE, Nobody);
    let mut soft = Soft::new(soft::Config {
        policy: Policy {
            bits: policy::PAYLOAD,
            ..Policy::default()
        },
        ..soft::Config::default()
    });
    let talk = mix::open_connection(kind);
    let mut frames: Vec<Vec<u8>> = talk.iter().map(|p| p.1.clone()).collect();
    let mut before = 0;
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
                ts: 1_700_000_000_000_000_000 + i as u64 * 1000,
                link: LinkType::ETHERNET,
                data: frame,
                wire_len: frame.len() as u32,
                iface: 0,
            };
            let _ = soft.frame(&f, &mut feed);
        }
        let key = feed.key;
        soft.flows().remove(&key);
    }
    anyhow::ensure!(
        engine.len() as u32 == n + 1,
        "{} connections are open",
        engine.len()
    );
    println!("{}", (resident()? - before) / n as u64);
    Ok(())
}
