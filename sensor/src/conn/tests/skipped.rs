//! Bodies of HTTP of which nobody needs a byte: what is said of the connection must be what is said when every packet
//! comes up.

use std::collections::VecDeque;

use proptest::prelude::*;
use sensor_common::Counter;

use super::*;
use crate::datapath::soft::{Addrs, Flows, InnerPacket, PacketSink, Untracked};
use crate::packet::Weird;

/// Where userspace is so many records behind the datapath, which then has its orders late.
#[derive(Default)]
pub(super) struct Behind {
    pub(super) records: VecDeque<(RecordHeader, Vec<u8>)>,
}

impl PacketSink for Behind {
    fn advance(&mut self, _: Ts, _: &mut Flows) {}
    fn record(&mut self, header: &RecordHeader, frame: &[u8], _: &mut Flows) -> Option<InnerPacket> {
        self.records.push_back((*header, frame.to_vec()));
        None
    }
    fn packet_weird(&mut self, _: &Packet, _: Weird, _: &[u8], _: &mut Flows) {}
    fn untracked(&mut self, _: &Untracked<'_>, _: &mut Flows) {}
    fn weird(&mut self, _: Ts, _: &'static str, _: &str, _: Option<&Addrs>, _: &mut Flows) {}
}

/// A lab whose engine takes a record when so many others wait behind it.
struct LateLab {
    lab: Lab,
    behind: Behind,
    late: usize,
}

impl LateLab {
    fn tcp(&mut self, side: usize, flags: u8, seq: u32, ack: u32, payload: &[u8]) {
        self.cut(side, flags, [seq, ack], payload, 0);
    }

    /// The capture has not the last `off` bytes of it.
    fn cut(&mut self, side: usize, flags: u8, [seq, ack]: [u32; 2], payload: &[u8], off: usize) {
        let lab = &mut self.lab;
        lab.id = lab.id.wrapping_add(1);
        lab.now += SECOND / 1000;
        let data = tcp_frame(side, lab.id, flags, [seq, ack], payload);
        let frame = Frame {
            ts: lab.now,
            link: LinkType::ETHERNET,
            data: &data[..data.len() - off],
            wire_len: data.len() as u32,
            iface: 0,
        };
        let _ = lab.soft.frame(&frame, &mut self.behind);
        self.take(self.late);
    }

    /// The engine takes the records that came, but for the last `but`.
    fn take(&mut self, but: usize) {
        while self.behind.records.len() > but {
            let (header, frame) = self.behind.records.pop_front().expect("more than none");
            let flows = self.lab.soft.flows();
            self.lab.engine.advance(header.pkt.ts, flows);
            self.lab.engine.record(&header, &frame, flows);
        }
    }
}

/// A message's body.
#[derive(Clone, Copy, Debug)]
enum Body {
    Length(u32),
    /// Two chunks, of this length each.
    Chunks(u32),
}

/// What happens on a connection of HTTP: requests and replies, then a CONNECT to SMTP, or what is not HTTP at all.
#[derive(Clone, Debug)]
struct Stream {
    bodies: Vec<Body>,
    /// They belong to requests.
    upload: bool,
    /// Lengths of segments; after the last the first comes again.
    segments: Vec<u16>,
    /// Segment number, and what happens to it: it comes so many later, is doubled or is lost.
    mishaps: Vec<(u8, u8)>,
    /// A segment that the capture cut.
    cut: Option<u8>,
    /// Every so many segments the receiver acknowledges all that it has.
    ack_every: usize,
    /// Records that the engine is behind.
    late: usize,
    /// It ends with what is not HTTP.
    nonsense: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Stream {
            bodies: vec![],
            upload: false,
            segments: vec![1460],
            mishaps: vec![],
            cut: None,
            ack_every: 2,
            late: 0,
            nonsense: false,
        }
    }
}

/// What was said, and the datapath's counters.
struct Said {
    events: Vec<serde_json::Value>,
    row: Vec<(&'static str, String)>,
    forwarded: u64,
    payload: u64,
}

impl Said {
    fn service(&self) -> &str {
        &self.row.iter().find(|c| c.0 == "service").expect("a column").1
    }
}

impl Stream {
    /// The messages with bodies.
    fn bytes(&self) -> Vec<u8> {
        let first: &[u8] = match self.upload {
            true => b"PUT /there HTTP/1.1\r\n",
            false => b"HTTP/1.1 200 OK\r\n",
        };
        let mut out = Vec::new();
        for body in &self.bodies {
            out.extend(first);
            // Looks like messages, too.
            let like = |n: u32| first.iter().chain(b"\r\n").cycle().take(n as usize);
            match *body {
                Body::Length(n) => {
                    out.extend(format!("Content-Length: {n}\r\n\r\n").bytes());
                    out.extend(like(n));
                }
                Body::Chunks(n) => {
                    out.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                    for _ in 0..2 {
                        out.extend(format!("{n:x}\r\n").bytes());
                        out.extend(like(n));
                        out.extend(b"\r\n");
                    }
                    out.extend(b"0\r\n\r\n");
                }
            }
        }
        out
    }

    fn run(&self, events: &str) -> Said {
        let mut l = LateLab {
            lab: Lab::new(events),
            behind: Behind::default(),
            late: self.late,
        };
        l.tcp(0, tf::SYN, 0, 0, b"");
        l.tcp(1, tf::SYN | tf::ACK, 0, 1, b"");
        l.tcp(0, tf::ACK, 1, 1, b"");
        let mut at = [1, 1];
        let mut say = |l: &mut LateLab, side: usize, bytes: &[u8]| {
            let data = tf::ACK | tf::PSH;
            l.tcp(side, data, at[side], at[side ^ 1], bytes);
            at[side] += bytes.len() as u32;
            l.tcp(side ^ 1, tf::ACK, at[side ^ 1], at[side], b"");
            at
        };
        let sender = usize::from(!self.upload);
        let mut from = say(&mut l, 0, b"GET / HTTP/1.1\r\n\r\n");
        if self.upload {
            from = say(&mut l, 1, b"HTTP/1.1 204 None\r\n\r\n");
        } else {
            for _ in 1..self.bodies.len() {
                from = say(&mut l, 0, b"GET /more HTTP/1.1\r\n\r\n");
            }
        }
        let bytes = self.bytes();
        let (mut have, mut came) = (0, Vec::new());
        let order = mishaps::order(&self.segments, &self.mishaps, bytes.len());
        let [mine, theirs] = [from[sender], from[sender ^ 1]];
        for (i, s) in order.iter().enumerate() {
            let data = tf::ACK | tf::PSH;
            let off = if self.cut.map(usize::from) == Some(i) {
                1
            } else {
                0
            };
            let place = [mine + s.start as u32, theirs];
            l.cut(sender, data, place, &bytes[s.clone()], off);
            came.push(s.clone());
            while let Some(j) = came.iter().position(|c| c.contains(&have)) {
                have = came.swap_remove(j).end;
            }
            if i % self.ack_every == 0 {
                l.tcp(sender ^ 1, tf::ACK, theirs, mine + have as u32, b"");
            }
        }
        // The receiver had all that the sensor did not see.
        l.tcp(sender ^ 1, tf::ACK, theirs, mine + bytes.len() as u32, b"");
        let mut at = from;
        at[sender] += bytes.len() as u32;
        let mut say = |l: &mut LateLab, side: usize, bytes: &[u8]| {
            l.tcp(side, tf::ACK | tf::PSH, at[side], at[side ^ 1], bytes);
            at[side] += bytes.len() as u32;
            l.tcp(side ^ 1, tf::ACK, at[side ^ 1], at[side], b"");
        };
        if self.upload {
            for _ in &self.bodies {
                say(&mut l, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        }
        if self.nonsense {
            say(&mut l, sender, b"??? no message\r\n");
        } else {
            say(&mut l, 0, b"CONNECT there:25 HTTP/1.1\r\n\r\n");
            say(&mut l, 1, b"HTTP/1.1 200 OK\r\n\r\n");
            say(&mut l, 1, b"220 there\r\n");
            say(&mut l, 0, b"EHLO here\r\n");
        }
        l.tcp(sender, tf::FIN | tf::ACK, at[sender], at[sender ^ 1], b"");
        l.take(0);
        let counts = *l.lab.soft.counts();
        let mut seen = l.lab.finish();
        seen.events.retain(|e| e["event"] != "tcp_packet");
        let row = seen.rows.iter().find(|r| r.0 == "conn").expect("a row").1.clone();
        Said {
            events: seen.events,
            row,
            forwarded: counts.get(Counter::Forwarded),
            payload: counts.get(Counter::Payload),
        }
    }
}

const WANTED: &str = "protocol_confirmation,protocol_violation,content_gap,connection_EOF";

/// Runs it both ways; what was forwarded when bodies were skipped.
fn alike(s: &Stream) -> Said {
    let mut some = s.run(WANTED);
    let mut every = Stream { late: 0, ..s.clone() }.run(&format!("{WANTED},tcp_packet"));
    // What the capture cut off did come, so the acknowledgement that decides of it is boring.
    let gaps = [&mut some, &mut every]
        .into_iter()
        .flat_map(|said| &mut said.events);
    for gap in gaps.filter(|e| s.cut.is_some() && e["event"] == "content_gap") {
        gap["ts"] = 0.into();
    }
    assert_eq!(some.events, every.events);
    assert_eq!(some.row, every.row);
    some
}

fn has(said: &Said, event: &str) -> bool {
    said.events.iter().any(|e| e["event"] == event)
}

#[test]
fn bodies_stay_below_and_what_follows_them_is_read() {
    for (upload, body) in [
        (false, Body::Length(400_000)),
        (true, Body::Length(400_000)),
        (false, Body::Chunks(200_000)),
        (true, Body::Chunks(200_000)),
    ] {
        for segments in [vec![1460], vec![1448, 100], vec![60_000]] {
            let said = alike(&Stream {
                bodies: vec![body; 3],
                upload,
                segments,
                ..Stream::default()
            });
            assert_eq!(said.service(), "http,smtp");
            // Of each body, or chunk, the packets with its ends; and the other side's.
            assert!(said.forwarded <= 40, "{} of {}", said.forwarded, said.payload);
        }
    }
}

#[test]
fn the_first_byte_behind_a_body_is_read_as_the_first() {
    for body in [Body::Length(50_000), Body::Chunks(50_000)] {
        for upload in [false, true] {
            // Segments that end with the body, and on both sides of its end.
            for n in 997..1003 {
                let said = alike(&Stream {
                    bodies: vec![body; 2],
                    upload,
                    segments: vec![n],
                    nonsense: true,
                    ..Stream::default()
                });
                assert!(has(&said, "protocol_violation"));
            }
        }
    }
}

#[test]
fn a_loss_within_a_body_is_a_gap_there() {
    let said = alike(&Stream {
        bodies: vec![Body::Length(400_000)],
        mishaps: vec![(100, 0)],
        ..Stream::default()
    });
    let missed = said.row.iter().find(|c| c.0 == "missed_bytes");
    assert_eq!(missed.expect("a column").1, "1460");
    assert!(has(&said, "content_gap"));
}

#[test]
fn what_a_capture_cuts_off_of_a_body_is_told_of() {
    for cut in [5, 100, 255] {
        let said = alike(&Stream {
            bodies: vec![Body::Length(400_000)],
            cut: Some(cut),
            ..Stream::default()
        });
        assert!(has(&said, "content_gap"));
    }
}

#[test]
fn orders_that_come_late_skip_what_is_left() {
    for late in [3, 30, 100, 500] {
        let said = alike(&Stream {
            bodies: vec![Body::Length(400_000); 3],
            late,
            ..Stream::default()
        });
        assert_eq!(said.service(), "http,smtp");
        assert_eq!(said.forwarded < said.payload / 2, late <= 100, "{late}");
    }
}

/// The files of a body whose pieces come each so long after the one before it, and how many timed out.
fn files_of_a_slow_body(pauses: &[Ts]) -> (Vec<(String, String)>, usize) {
    const PIECE: u32 = 1000;
    let mut lab = Lab::new("file_timeout");
    lab.handshake();
    lab.data(0, 1, 1, b"GET / HTTP/1.1\r\n\r\n");
    let len = PIECE * pauses.len() as u32;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n");
    lab.data(1, 1, 19, head.as_bytes());
    let mut at = 1 + head.len() as u32;
    for pause in pauses {
        lab.now += pause;
        lab.data(1, at, 19, &[b'x'; PIECE as usize]);
        at += PIECE;
        lab.ack(0, 19, at);
    }
    assert_eq!(lab.engine.sh.stretches, 1);
    let seen = lab.finish();
    let files = seen.rows.iter().filter(|r| r.0 == "files").map(|r| {
        let column = |name| {
            let value = r.1.iter().find(|v| v.0 == name);
            value.map(|v| v.1.clone()).unwrap_or_default()
        };
        (column("seen_bytes"), column("timedout"))
    });
    (files.collect(), seen.args("file_timeout").len())
}

#[test]
fn a_body_that_stays_below_is_not_silent() {
    // Five minutes, in which no record comes up.
    let (files, timed_out) = files_of_a_slow_body(&[SECOND; 300]);
    assert_eq!(files, [("300000".into(), "Bool(false)".into())]);
    assert_eq!(timed_out, 0);
}

#[test]
fn a_body_that_stays_below_and_stalls_times_out() {
    for (silence, times) in [(100, 0), (250, 1)] {
        let mut pauses = [SECOND; 100];
        pauses[60] = silence * SECOND;
        let (files, timed_out) = files_of_a_slow_body(&pauses);
        assert_eq!((timed_out, files.len()), (times, times + 1), "{files:?}");
    }
}

#[test]
fn short_bodies_are_not_worth_an_order() {
    let said = alike(&Stream {
        bodies: vec![Body::Length(10_000); 20],
        ..Stream::default()
    });
    assert_eq!(said.forwarded, said.payload);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_happens_the_same_is_said(
        bodies in prop::collection::vec(prop_oneof![
            (0u32..300).prop_map(Body::Length),
            (16_000u32..80_000).prop_map(Body::Length),
            (1u32..300).prop_map(Body::Chunks),
            (16_000u32..40_000).prop_map(Body::Chunks),
        ], 1..6),
        segments in prop::collection::vec(prop_oneof![1u16..20, 100u16..1500, Just(1460u16)], 1..8),
        mishaps in prop::collection::vec((any::<u8>(), 0u8..6), 0..4),
        cut in prop_oneof![4 => Just(None), 1 => any::<u8>().prop_map(Some)],
        ack_every in 1usize..5,
        late in prop_oneof![Just(0usize), 0usize..100],
        (upload, nonsense) in any::<(bool, bool)>(),
    ) {
        // No more segments than a test has time for.
        let each = segments.iter().map(|n| *n as usize).sum::<usize>() / segments.len();
        let stream = Stream { bodies, upload, segments, mishaps, cut, ack_every, late, nonsense };
        prop_assume!(stream.bytes().len() / each.max(1) < 1000);
        alike(&stream);
    }
}
