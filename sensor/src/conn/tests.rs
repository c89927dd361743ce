//! The engine fed with frames made by hand, through the soft datapath.

use sensor_common::key::IPPROTO_TCP;
use sensor_common::packet::tcp_flags as tf;
use sensor_common::{Packet, Policy, RecordHeader};

use super::*;
use crate::base::time::SECOND;
use crate::catalog::policy_bits;
use crate::datapath::soft::{self, Soft};
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Subscriptions, Ts, Value};
use crate::packet::{Frame, LinkType};

mod adopt;
mod asked;
mod batched;
mod bounds;
mod contents;
mod early;
mod events;
mod followed;
mod hostile;
mod load;
mod mishaps;
mod os;
mod packets;
mod rexmit;
mod secure;
mod sight;
mod signatures;
mod skipped;
mod software;
mod stats;
mod tunnels;
mod uids;
mod unusual;
mod wish;

const CLIENT_PORT: u16 = 4096;
/// Initial sequence numbers of the two sides.
const ISN: [u32; 2] = [1000, 5000];

/// Events as JSON, rows by their path.
#[derive(Default)]
struct Seen {
    events: Vec<serde_json::Value>,
    rows: Vec<(String, Vec<(&'static str, String)>)>,
    /// Contents files of originator and responder, and whether they ended.
    files: [(Vec<u8>, bool); 2],
    /// After so many pieces files cannot be written.
    files_fail: Option<usize>,
}

impl Sink for Seen {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        self.events
            .push(serde_json::from_slice(&line).expect("valid JSON"));
    }

    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut values = Vec::new();
        row.values(&mut values);
        let named = row.columns().iter().zip(&values).map(|(c, v)| {
            let text = match v {
                Value::Str(s) => s.to_string(),
                Value::Uid(u) => u.to_string(),
                Value::Count(n) => n.to_string(),
                Value::Wire(b) => b.escape_ascii().to_string(),
                other => format!("{other:?}"),
            };
            (c.name, text)
        });
        self.rows.push((row.path().to_owned(), named.collect()));
    }

    fn contents(&mut self, _: &ConnId, is_orig: bool, piece: Piece<'_>) -> Option<String> {
        let (bytes, ended) = &mut self.files[!is_orig as usize];
        assert!(!*ended, "nothing after the end");
        match piece {
            Piece::Data(b) => bytes.extend(b),
            Piece::Missing(n) => bytes.extend(format!("<{n}>").bytes()),
            Piece::End => *ended = true,
        }
        self.files_fail.as_mut().and_then(|left| {
            *left = left.wrapping_sub(1);
            (*left == 0).then(|| "no space".to_owned())
        })
    }
}

impl Seen {
    /// The `args` of every event of this name.
    fn args(&self, name: &str) -> Vec<&serde_json::Value> {
        let named = self.events.iter().filter(|e| e["event"] == name);
        named.map(|e| &e["args"]).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.events.iter().filter_map(|e| e["event"].as_str()).collect()
    }

    /// A column of the only conn.log row.
    fn conn(&self, column: &str) -> &str {
        let mut rows = self.rows.iter().filter(|r| r.0 == "conn");
        let row = rows.next().expect("a row");
        assert!(rows.next().is_none(), "one row");
        let value = row.1.iter().find(|v| v.0 == column);
        &value.expect("column").1
    }
}

/// An engine, its datapath and a clock.
struct Lab {
    soft: Soft,
    engine: Engine<Seen>,
    now: Ts,
    /// IP id of the next packet.
    id: u16,
    /// The originator's port.
    client_port: u16,
    resp_port: u16,
}

impl Lab {
    /// With these events wanted, names separated by commas.
    fn new(events: &str) -> Lab {
        Lab::with(events, Config::default())
    }

    fn with(events: &str, cfg: Config) -> Lab {
        let subs: Subscriptions = events.parse().expect("known events");
        let policy = Policy {
            bits: policy_bits(&subs, cfg.contents.any()),
            ..Policy::default()
        };
        let config = soft::SoftConfig {
            policy,
            ..soft::SoftConfig::default()
        };
        Lab {
            soft: Soft::with_tunnels(config, cfg.tunnels.clone()),
            engine: Engine::new(cfg, subs, Seen::default()),
            now: 1_000_000 * SECOND,
            id: 1,
            client_port: CLIENT_PORT,
            resp_port: 80,
        }
    }

    /// An Ethernet frame, a millisecond after the last one.
    fn frame(&mut self, data: &[u8]) {
        self.now += SECOND / 1000;
        let frame = Frame {
            ts: self.now,
            link: LinkType::ETHERNET,
            data,
            wire_len: data.len() as u32,
            iface: 0,
        };
        let _ = self.soft.frame(&frame, &mut EngineSink(&mut self.engine));
    }

    /// A TCP packet of a side (0 originator); `seq` and `ack` count from the sides' initial numbers.
    fn tcp(&mut self, side: usize, flags: u8, seq: u32, ack: u32, payload: &[u8]) {
        self.id += 1;
        let mut frame = tcp_frame(side, self.id, flags, [seq, ack], payload);
        let at = 34 + 2 * side;
        frame[at..at + 2].copy_from_slice(&self.client_port.to_be_bytes());
        let at = 36 - 2 * side;
        frame[at..at + 2].copy_from_slice(&self.resp_port.to_be_bytes());
        self.frame(&frame);
    }

    /// SYN, SYN-ACK, ACK.
    fn handshake(&mut self) {
        self.tcp(0, tf::SYN, 0, 0, b"");
        self.tcp(1, tf::SYN | tf::ACK, 0, 1, b"");
        self.tcp(0, tf::ACK, 1, 1, b"");
    }

    fn data(&mut self, side: usize, seq: u32, ack: u32, payload: &[u8]) {
        self.tcp(side, tf::ACK | tf::PSH, seq, ack, payload);
    }

    fn ack(&mut self, side: usize, seq: u32, ack: u32) {
        self.tcp(side, tf::ACK, seq, ack, b"");
    }

    /// The end of the input; what was seen.
    fn finish(mut self) -> Seen {
        self.engine.finish(self.now, self.soft.flows());
        self.engine.into_sink()
    }
}

/// 10.0.0.1:4096 to 10.0.0.2:80 or back.
fn tcp_frame(side: usize, id: u16, flags: u8, [seq, ack]: [u32; 2], payload: &[u8]) -> Vec<u8> {
    let (hosts, ports) = ([[10, 0, 0, 1], [10, 0, 0, 2]], [CLIENT_PORT, 80]);
    let mut f = vec![0; 12];
    f.extend([8, 0, 0x45, 0]);
    f.extend((40 + payload.len() as u16).to_be_bytes());
    f.extend(id.to_be_bytes());
    f.extend([0, 0, 64, 6, 0, 0]);
    f.extend(hosts[side]);
    f.extend(hosts[side ^ 1]);
    f.extend(ports[side].to_be_bytes());
    f.extend(ports[side ^ 1].to_be_bytes());
    f.extend(ISN[side].wrapping_add(seq).to_be_bytes());
    let ack = if flags & tf::ACK == 0 {
        0
    } else {
        ISN[side ^ 1].wrapping_add(ack)
    };
    f.extend(ack.to_be_bytes());
    f.extend([0x50, flags, 0x40, 0, 0, 0, 0, 0]);
    f.extend_from_slice(payload);
    f
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_lab_makes_a_connection() {
    let mut lab = Lab::new("connection_established,connection_finished");
    lab.handshake();
    lab.data(0, 1, 1, b"GET / HTTP/1.0\r\n\r\n");
    lab.ack(1, 1, 19);
    lab.tcp(1, tf::FIN | tf::ACK, 1, 19, b"");
    lab.tcp(0, tf::FIN | tf::ACK, 19, 2, b"");
    lab.ack(1, 2, 20);
    let seen = lab.finish();
    assert_eq!(seen.names(), ["connection_established", "connection_finished"]);
    assert_eq!((seen.conn("conn_state"), seen.conn("history")), ("SF", "ShADafF"));
}
