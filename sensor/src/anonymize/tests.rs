//! Traffic whose addresses stand wherever protocols put them, through the engine.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use sensor_common::Policy;

use super::{Anonymized, Anonymizer, Key};
use crate::base::time::SECOND;
use crate::catalog::{NAMED_ONLY, policy_bits};
use crate::conn::{Config, Engine, EngineSink, Order, Sink, Wish};
use crate::datapath::soft::{Soft, SoftConfig};
use crate::event::log::{Column, LogRow, Value};
use crate::event::{self, AnonymizationMapping, ConnId, Event, NewConnection, Subscriptions, Ts};
use crate::output::log::{LogFormat, LogTags, write_row};
use crate::packet::capture::Frame;
use crate::packet::link::LinkType;

/// Everything that came out, as text.
#[derive(Default)]
struct Seen {
    text: String,
    mapped: Vec<(IpAddr, IpAddr)>,
    conns: Vec<ConnId>,
    /// What is to be wanted of the connections seen.
    wish: Option<Wish>,
    orders: Vec<Order>,
}

impl Sink for Seen {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        event::seen::note(ev);
        if let Some(AnonymizationMapping { orig, mapped }) = AnonymizationMapping::of(ev) {
            assert!(ts > 0);
            self.mapped.push((orig, mapped));
            return;
        }
        if let Some(NewConnection { c }) = NewConnection::of(ev) {
            self.conns.push(*c);
            self.orders.extend(self.wish.map(|wish| Order::Conn(*c, wish)));
        }
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        self.text.push_str(std::str::from_utf8(&line).expect("text"));
        self.text.push_str(&format!("\n{ev:?}\n"));
    }

    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        for format in [LogFormat::Tsv, LogFormat::Json] {
            let mut line = row.path().as_bytes().to_vec();
            line.push(b' ');
            write_row(format, &LogTags::default(), row, &mut line);
            self.text.push_str(&String::from_utf8_lossy(&line));
        }
    }

    fn has_orders(&self) -> bool {
        !self.orders.is_empty()
    }

    fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }
}

/// A run over made packets.
struct Lab {
    soft: Soft,
    engine: Engine<Anonymized<Seen>>,
    now: Ts,
}

const CLIENT: &str = "10.1.2.3";
const SERVER: &str = "192.0.2.80";
const ANSWER: &str = "198.51.100.7";
const CLIENT6: &str = "2001:db8::a:1";
const SERVER6: &str = "2001:db8::b:2";

impl Lab {
    fn new(by: Option<Anonymizer>, wish: Option<Wish>) -> Lab {
        let refused = |e: &&event::Info| !super::tells_addresses(e) && e.kind != event::NewEvent::KIND;
        let subs: Subscriptions = Subscriptions::ALL
            .iter()
            .filter(refused)
            .map(|e| e.kind)
            .collect();
        assert!(subs.wants(NAMED_ONLY[1]));
        let cfg = Config {
            seed: by.as_ref().map_or(1, |a| a.seed(None)),
            ..Config::default()
        };
        let config = SoftConfig {
            policy: Policy {
                bits: policy_bits(&subs, false),
                ..Policy::default()
            },
            ..SoftConfig::default()
        };
        let sink = Seen {
            wish,
            ..Seen::default()
        };
        Lab {
            soft: Soft::with_tunnels(config, cfg.tunnels.clone()),
            engine: Engine::new(cfg, subs, Anonymized::new(sink, by)),
            now: 1_000_000 * SECOND,
        }
    }

    fn ip(&mut self, proto: u8, from: &str, to: &str, payload: &[u8]) {
        let [from, to] = [from, to].map(|a| a.parse::<IpAddr>().expect("an address"));
        let len = payload.len() as u16;
        let mut p = match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let mut p = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0];
                p[2..4].copy_from_slice(&(20 + len).to_be_bytes());
                p.extend(from.octets());
                p.extend(to.octets());
                p
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let mut p = vec![0x60, 0, 0, 0, 0, 0, proto, 64];
                p[4..6].copy_from_slice(&len.to_be_bytes());
                p.extend(from.octets());
                p.extend(to.octets());
                p
            }
            _ => panic!("two kinds of addresses"),
        };
        p.extend_from_slice(payload);
        self.now += SECOND / 1000;
        let frame = Frame {
            ts: self.now,
            link: LinkType::RAW,
            data: &p,
            wire_len: p.len() as u32,
            iface: 0,
        };
        self.soft
            .frame(&frame, &mut EngineSink(&mut self.engine))
            .expect("an IP packet");
        self.engine.obey(self.now, self.soft.flows());
    }

    fn udp(&mut self, from: (&str, u16), to: (&str, u16), payload: &[u8]) {
        let mut u: Vec<u8> = [from.1, to.1].iter().flat_map(|p| p.to_be_bytes()).collect();
        u.extend((8 + payload.len() as u16).to_be_bytes());
        u.extend([0, 0]);
        u.extend_from_slice(payload);
        self.ip(17, from.0, to.0, &u);
    }

    /// A TCP connection in which both sides say something, the first line by the side that `said` names.
    fn tcp(&mut self, client: (&str, u16), server: (&str, u16), said: &[(usize, &str)]) {
        let ends = [client, server];
        let mut next = [1000_u32, 2000];
        let mut send = |lab: &mut Lab, side: usize, flags: u8, payload: &str| {
            let (from, to) = (ends[side], ends[side ^ 1]);
            let mut t: Vec<u8> = [from.1, to.1].iter().flat_map(|p| p.to_be_bytes()).collect();
            t.extend(next[side].to_be_bytes());
            t.extend(if flags == 2 { 0 } else { next[side ^ 1] }.to_be_bytes());
            t.extend([0x50, flags, 255, 255, 0, 0, 0, 0]);
            t.extend(payload.as_bytes());
            next[side] += payload.len() as u32 + u32::from(flags & 3 != 0);
            lab.ip(6, from.0, to.0, &t);
        };
        send(self, 0, 2, "");
        send(self, 1, 0x12, "");
        send(self, 0, 0x10, "");
        for (side, text) in said {
            send(self, *side, 0x18, text);
        }
        send(self, 0, 0x11, "");
        send(self, 1, 0x11, "");
        send(self, 0, 0x10, "");
    }

    /// Traffic with addresses in all places that are known.
    fn traffic(&mut self) {
        let request = format!(
            "GET http://{SERVER}/from/{CLIENT}?of=%5B{CLIENT6}%5D HTTP/1.1\r\nHost: {SERVER}:80\r\nReferer: \
             http://[{SERVER6}]/\r\nX-Forwarded-For: {CLIENT}\r\nUser-Agent: probe of {CLIENT} (192,0,2,80,4,1)\r\n\r\n"
        );
        let reply = format!(
            "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"{SERVER}-{CLIENT}.txt\"\r\nContent-Length: \
             4\r\n\r\nabcd"
        );
        self.tcp((CLIENT, 40000), (SERVER, 80), &[(0, &request), (1, &reply)]);
        self.tcp(
            (CLIENT, 40001),
            (SERVER, 21),
            &[
                (1, "220 192.0.2.80 FTP server ready\r\n"),
                (0, "USER anonymous\r\n"),
                (1, "331 Please\r\n"),
                (0, "PASS me@10.1.2.3\r\n"),
                (1, "230 Welcome\r\n"),
                (0, "PASV\r\n"),
                (1, "227 Entering Passive Mode (192,0,2,80,4,1)\r\n"),
                (0, "PORT 10,1,2,3,4,1\r\n"),
                (1, "200 Fine\r\n"),
                (0, "EPRT |2|2001:db8::a:1|1025|\r\n"),
                (1, "200 Fine\r\n"),
                (0, "RETR 198.51.100.7.txt\r\n"),
                (1, "550 No 198-51-100-7\r\n"),
            ],
        );
        self.tcp(
            (CLIENT6, 40002),
            (SERVER6, 25),
            &[
                (1, "220 [192.0.2.80] ESMTP\r\n"),
                (0, "EHLO [10.1.2.3]\r\n"),
                (1, "250 ok\r\n"),
                (0, "MAIL FROM:<a@[198.51.100.7]>\r\n"),
                (1, "250 ok\r\n"),
            ],
        );
        for (name, qtype, answer) in [
            ("www.example.org", 1, Some(&[198, 51, 100, 7][..])),
            ("3.2.1.10.in-addr.arpa", 12, None),
            ("ip-198-51-100-7.example.org", 1, None),
            (
                "1.0.0.0.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
                12,
                None,
            ),
        ] {
            let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            for label in name.split('.') {
                query.push(label.len() as u8);
                query.extend(label.as_bytes());
            }
            query.extend([0, 0, qtype, 0, 1]);
            let mut response = query.clone();
            response[2] = 0x81;
            if let Some(addr) = answer {
                response[7] = 1;
                response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
                response.extend(addr);
            }
            self.udp((CLIENT, 5353), (SERVER, 53), &query);
            self.udp((SERVER, 53), (CLIENT, 5353), &response);
        }
        self.udp(
            (CLIENT6, 4000),
            (SERVER6, 514),
            b"<13>Jan  1 00:00:00 h p: from 10.1.2.3",
        );
    }

    fn finish(mut self) -> Seen {
        self.engine.finish(self.now, self.soft.flows());
        self.engine.into_sink().to
    }
}

fn made(key: u8) -> Anonymizer {
    Anonymizer::new(&Key::new([key; 32])).another(true)
}

fn run(by: Option<Anonymizer>) -> Seen {
    let mut lab = Lab::new(by, None);
    lab.traffic();
    lab.finish()
}

/// The forms in which the addresses of the traffic stand.
fn originals() -> Vec<String> {
    let mut all = vec![
        "1.0.0.0.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2".to_owned(),
        CLIENT6.into(),
        SERVER6.into(),
        "3.2.1.10.in-addr".into(),
        "198-51-100-7".into(),
        "192,0,2,80".into(),
    ];
    all.extend([CLIENT, SERVER, ANSWER].map(String::from));
    all
}

#[test]
fn no_address_of_the_traffic_is_left() {
    let (plain, seen) = (run(None), run(Some(made(7))));
    for original in originals() {
        assert!(plain.text.contains(&original), "{original} is in no result");
        let left = seen.text.lines().find(|l| l.contains(&original));
        assert_eq!(left, None, "{original} is left");
    }
    // The same results but for that.
    assert_eq!(seen.text.lines().count(), plain.text.lines().count());
    let by = made(7);
    for original in [CLIENT, SERVER, ANSWER, CLIENT6, SERVER6] {
        let mapped = by.addr(original.parse().expect("an address")).to_string();
        let count = |seen: &Seen, text: &str| seen.text.matches(text).count();
        assert!(
            count(&seen, &mapped) >= count(&plain, original) / 2,
            "{original} {mapped}"
        );
    }
}

#[test]
fn the_same_key_gives_the_same_results_and_another_one_others() {
    let seen = run(Some(made(7)));
    assert_eq!(seen.text, run(Some(made(7))).text);
    let other = run(Some(made(8)));
    assert!(
        seen.conns
            .iter()
            .zip(&other.conns)
            .all(|(a, b)| { a.orig_h != b.orig_h && a.resp_h != b.resp_h && a.uid != b.uid })
    );
    let uids: HashSet<_> = seen.conns.iter().map(|c| c.uid).collect();
    assert_eq!(uids.len(), seen.conns.len());
    assert!(uids.iter().all(|uid| seen.text.contains(&uid.to_string())));
}

#[test]
fn each_address_is_told_once() {
    let mut seen = run(Some(made(7)));
    let by = made(7);
    let told: HashSet<_> = seen.mapped.iter().map(|m| m.0).collect();
    assert_eq!(told.len(), seen.mapped.len());
    for original in [CLIENT, SERVER, ANSWER, CLIENT6, SERVER6] {
        assert!(
            told.contains(&original.parse().expect("an address")),
            "{original}"
        );
    }
    assert!(
        seen.mapped
            .drain(..)
            .all(|(orig, mapped)| by.addr(orig) == mapped)
    );
    // Also by two threads.
    let (one, two) = (by.another(true), by.another(true));
    let addr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
    assert_eq!(one.addr(addr), two.addr(addr));
    assert_eq!((one.take_new().len(), two.take_new().len()), (1, 0));
    // Nobody asks, nobody is told.
    let silent = by.another(false);
    silent.addr(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)));
    assert!(silent.take_new().is_empty());
}

#[test]
fn scripts_reach_the_connections_that_they_know_by_other_names() {
    for by in [None, Some(made(7))] {
        let mut lab = Lab::new(by, Some(Wish::Shed));
        lab.tcp(
            (CLIENT, 40000),
            (SERVER, 80),
            &[(0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
        );
        let seen = lab.finish();
        assert!(
            !seen.text.contains("http "),
            "it was shed before its first request"
        );
    }
}

#[test]
fn a_seed_follows_from_the_key() {
    let (a, b) = (made(1), made(2));
    assert_eq!(a.seed(None), made(1).seed(None));
    assert_ne!(a.seed(None), b.seed(None));
    assert_ne!(a.seed(None), a.seed(Some(0)));
    assert_ne!(a.seed(Some(1)), a.seed(Some(0)));
}

/// A row with payload.
struct Matched;

impl LogRow for Matched {
    fn path(&self) -> &'static str {
        "signatures"
    }

    fn columns(&self) -> &'static [Column] {
        const {
            &[
                Column::new("src_addr", "addr"),
                Column::new("sub_msg", "string").or_unset(),
            ]
        }
    }

    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        out.extend([
            Value::Addr(CLIENT.parse().expect("an address")),
            Value::Wire(b"\x0a\x01\x02\x03".into()),
        ]);
    }
}

#[test]
fn what_signatures_matched_is_left_out() {
    let (by, mut values) = (made(7), Vec::new());
    let row = super::row::row(&Matched, &by);
    row.values(&mut values);
    let mapped = by.addr(CLIENT.parse().expect("an address"));
    assert_eq!(values, [Value::Addr(mapped), Value::Unset]);
}
