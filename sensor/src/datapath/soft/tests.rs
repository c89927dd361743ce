use super::*;
use crate::datapath::FlowTable;
use proptest::prelude::*;
use sensor_common::Packet;
use sensor_common::policy::{ALL_PACKETS, PAYLOAD};

/// What came, one line each.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    records: Vec<(RecordHeader, Vec<u8>)>,
    /// Ends each flow as soon as it is seen.
    remove: bool,
}

impl PacketSink for Log {
    fn advance(&mut self, ts: u64, _: &mut Flows) {
        self.lines.push(format!("t {ts}"));
    }
    fn record(&mut self, h: &RecordHeader, frame: &[u8], flows: &mut Flows) -> Option<InnerPacket> {
        assert_eq!(h.cap_len as usize, frame.len());
        self.lines.push(format!("record {}", frame.len()));
        self.records.push((*h, frame.to_vec()));
        if self.remove {
            assert!(flows.remove(h.key()).is_some());
        }
        None
    }
    fn packet_weird(&mut self, _: &Packet, w: Weird, _: &[u8], _: &mut Flows) {
        self.lines.push(format!("weird of {}", w.name()));
    }
    fn untracked(&mut self, u: &Untracked<'_>, _: &mut Flows) {
        self.lines.push(format!("untracked {:?}", u.reason));
    }
    fn weird(&mut self, _: u64, name: &'static str, _: &str, addrs: Option<&Addrs>, _: &mut Flows) {
        let kind = if addrs.is_some() { "flow" } else { "net" };
        self.lines.push(format!("{kind} {name}"));
    }
}

/// A bare IPv4 packet; `field` is the flags and fragment offset.
fn ipv4(proto: u8, field: u16, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![
        0x45, 0, 0, 0, 0, 1, 0, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    p[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    p[6..8].copy_from_slice(&field.to_be_bytes());
    p.extend_from_slice(payload);
    p
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut u = vec![0x10, 0, 0, 53, 0, 0, 0, 0];
    u[4..6].copy_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    u.extend_from_slice(payload);
    u
}

fn tcp(seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut t = vec![0x10, 0, 0, 80];
    t.extend(seq.to_be_bytes());
    t.extend([0, 0, 0, 0, 0x50, flags, 0x10, 0, 0, 0, 0, 0]);
    t.extend_from_slice(payload);
    t
}

fn ether(ip: &[u8]) -> Vec<u8> {
    let mut f = vec![0; 12];
    f.extend([8, 0]);
    f.extend_from_slice(ip);
    f
}

fn frame(ts: u64, link: LinkType, data: &[u8]) -> Frame<'_> {
    Frame {
        ts,
        link,
        data,
        wire_len: data.len() as u32,
        iface: 0,
    }
}

fn give(soft: &mut Soft, log: &mut Log, ts: u64, ip: &[u8]) {
    let _ = soft.frame(&frame(ts, LinkType::ETHERNET, &ether(ip)), log);
}

fn with_policy(bits: u32) -> Soft {
    let config = SoftConfig {
        policy: Policy {
            bits,
            ..Policy::default()
        },
        ..SoftConfig::default()
    };
    Soft::new(config)
}

#[test]
fn what_is_forwarded_and_how_much() {
    let (mut soft, mut log) = (with_policy(PAYLOAD), Log::default());
    let mut padded = ipv4(6, 0, &tcp(1, 2, &[]));
    padded.extend([0; 6]);
    give(&mut soft, &mut log, 1, &padded);
    give(&mut soft, &mut log, 2, &ipv4(6, 0, &tcp(2, 0x08, b"hello")));
    let key = *log.records[0].0.key();
    let dir = log.records[0].0.pkt.dir;
    soft.flows().shed(&key, 1 << dir);
    give(&mut soft, &mut log, 3, &ipv4(6, 0, &tcp(7, 0x08, b"hello")));
    // In order, shed, nothing new: stays below. Then a hole: its headers come up.
    give(&mut soft, &mut log, 4, &ipv4(6, 0, &tcp(100, 0x08, b"hello")));
    assert_eq!(
        log.lines,
        ["t 1", "record 54", "t 2", "record 59", "t 3", "t 4", "record 54"]
    );
    let last = &log.records[2].0;
    assert_eq!(last.totals[dir as usize].pkts, 4);
    assert_eq!(last.totals[dir as usize].payload, 15);
    assert_eq!((last.pkt.l3, last.pkt.l4, last.pkt.data), (14, 34, 54));
    let c = soft.counts();
    assert_eq!((c.get(Counter::Payload), c.get(Counter::Forwarded)), (3, 1));
    assert_eq!((c.get(Counter::Shed), c.get(Counter::HeaderRecords)), (2, 2));
    assert!(c.conserved());
}

#[test]
fn the_sink_may_end_a_flow() {
    let (mut soft, mut log) = (with_policy(ALL_PACKETS), Log::default());
    log.remove = true;
    for ts in 1..=3 {
        give(&mut soft, &mut log, ts, &ipv4(17, 0, &udp(b"x")));
        assert!(soft.flows().is_empty());
    }
    let starts: Vec<u64> = log.records.iter().map(|(h, _)| h.flow_start).collect();
    assert_eq!(starts, [1, 2, 3]);
    assert_eq!(soft.counts().get(Counter::FlowsCreated), 3);
}

#[test]
fn fragments_become_one_packet() {
    let (mut soft, mut log) = (with_policy(PAYLOAD), Log::default());
    let whole = udp(&[9; 100]);
    give(&mut soft, &mut log, 1, &ipv4(17, 0x2000, &whole[..64]));
    give(&mut soft, &mut log, 2, &ipv4(17, 8, &whole[64..]));
    assert_eq!(
        log.lines,
        [
            "t 1",
            "untracked Fragment",
            "t 2",
            "untracked Fragment",
            "record 128"
        ]
    );
    let (h, bytes) = &log.records[0];
    assert_eq!((h.pkt.l3, h.pkt.l4, h.pkt.data), (0, 20, 28));
    assert_eq!((h.pkt.ip_len, h.pkt.payload_len, h.wire_len), (128, 100, 128));
    assert_eq!(bytes[28..], [9; 100]);
    let c = soft.counts();
    assert_eq!((c.get(Counter::Fragment), c.get(Counter::Injected)), (2, 1));
    assert!(c.conserved());
}

#[test]
fn what_is_not_tracked() {
    let (mut soft, mut log) = (with_policy(PAYLOAD), Log::default());
    let mut arp = ether(&[0; 28]);
    arp[13] = 6;
    let _ = soft.frame(&frame(1, LinkType::ETHERNET, &arp), &mut log);
    give(&mut soft, &mut log, 2, &ipv4(47, 0, &[0; 8]));
    give(&mut soft, &mut log, 3, &ipv4(17, 0, &[0; 4]));
    give(&mut soft, &mut log, 4, &[0x35; 24]);
    let mut bad = tcp(0, 0, &[]);
    bad[12] = 0;
    give(&mut soft, &mut log, 5, &ipv4(6, 0, &bad));
    // Another protocol is a flow, though the frame counts as one that the kernel does not track.
    give(&mut soft, &mut log, 6, &ipv4(132, 0, &[0; 8]));
    assert_eq!(
        log.lines,
        [
            "t 1",
            "untracked NotIp",
            "t 2",
            "untracked Tunnel",
            "net truncated_IP_in_tunnel",
            "untracked Truncated",
            "t 3",
            "flow truncated_header",
            "untracked Malformed",
            "t 4",
            "net unknown_ip_version",
            "untracked Malformed",
            "t 5",
            "weird of bad_TCP_header_len",
            "t 6",
            "record 42"
        ]
    );
    assert!(soft.counts().conserved());
    assert_eq!(soft.counts().get(Counter::Tracked), 0);
}

#[test]
fn checksums() {
    let (mut soft, mut log) = (with_policy(PAYLOAD), Log::default());
    soft.config.checksums = true;
    let mut p = ipv4(17, 0, &udp(b"x"));
    give(&mut soft, &mut log, 1, &p);
    // 4500+001d+0001+4011+0a00+0001+0a00+0002 = 0x9932, complement 0x66cd.
    (p[10], p[11]) = (0x66, 0xcd);
    give(&mut soft, &mut log, 2, &p);
    p[26] = 1;
    give(&mut soft, &mut log, 3, &p);
    assert_eq!(
        log.lines,
        [
            "t 1",
            "flow bad_IP_checksum",
            "untracked Malformed",
            "t 2",
            "record 43",
            "t 3",
            "weird of bad_UDP_checksum"
        ]
    );
    assert!(soft.counts().conserved());
}

#[test]
fn a_full_table() {
    let config = SoftConfig {
        max_flows: 1,
        ..SoftConfig::default()
    };
    let mut soft = Soft::new(config);
    let mut log = Log::default();
    give(&mut soft, &mut log, 1, &ipv4(17, 0, &udp(b"x")));
    give(&mut soft, &mut log, 2, &ipv4(6, 0, &tcp(0, 2, b"")));
    give(&mut soft, &mut log, 3, &ipv4(17, 0, &udp(b"x")));
    assert_eq!(
        log.lines,
        [
            "t 1",
            "record 43",
            "t 2",
            "untracked TableFull",
            "t 3",
            "record 43"
        ]
    );
    assert_eq!(soft.counts().get(Counter::Tracked), 2);
    assert!(soft.counts().conserved());
}

/// With SENSOR_TRACES naming a directory of captures: every frame of every one goes through, the sums
/// hold, and both policies come to the same totals.
#[test]
fn captures_of_a_directory() {
    let Some(dir) = std::env::var_os("SENSOR_TRACES") else {
        return;
    };
    let mut dirs = vec![std::path::PathBuf::from(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let Ok(mut capture) = crate::packet::Capture::open(&path) else {
                continue;
            };
            let (mut all, mut few) = (with_policy(ALL_PACKETS), with_policy(PAYLOAD));
            let (mut a, mut b) = (Log::default(), Log::default());
            while let Some(Ok(f)) = capture.next() {
                let _ = all.frame(&f, &mut a);
                let _ = few.frame(&f, &mut b);
                assert!(all.counts().conserved() && few.counts().conserved(), "{path:?}");
            }
            for (h, _) in &a.records {
                assert_eq!(all.flows.get(h.key()), few.flows.get(h.key()), "{path:?}");
            }
        }
    }
}

proptest! {
    /// Both sums hold after every frame, whatever the frames; totals do not depend on the policy.
    #[test]
    fn conservation(frames in proptest::collection::vec((0u8..8, proptest::collection::vec(any::<u8>(), 0..80), any::<u16>(), 0usize..200), 1..40),
                    checksums: bool) {
        let mut all = with_policy(ALL_PACKETS);
        let mut few = with_policy(PAYLOAD);
        all.config.checksums = checksums;
        few.config.checksums = checksums;
        let (mut a, mut b) = (Log::default(), Log::default());
        for (n, (kind, bytes, field, cut)) in frames.iter().enumerate() {
            let data = match kind {
                0 => bytes.clone(),
                1 => ether(bytes),
                2 => ether(&ipv4(17, field & 0x200f, &udp(bytes))),
                3 => ether(&ipv4(*field as u8, 0, bytes)),
                4 => ether(&ipv4(17, 0, &udp(bytes))),
                5 => ether(&ipv4(1, 0, bytes)),
                _ => ether(&ipv4(6, 0, &tcp(*field as u32, bytes.first().copied().unwrap_or(16), bytes))),
            };
            let f = Frame {
                ts: n as u64,
                link: LinkType::ETHERNET,
                data: data.get(..*cut).unwrap_or(&data),
                wire_len: data.len() as u32,
                iface: 0,
            };
            let _ = all.frame(&f, &mut a);
            let _ = few.frame(&f, &mut b);
            prop_assert!(all.counts().conserved());
            prop_assert!(few.counts().conserved());
        }
        prop_assert_eq!(all.flows.len(), few.flows.len());
        for (h, bytes) in a.records.iter().chain(&b.records) {
            prop_assert!(h.pkt.data as usize <= bytes.len());
            let (x, y) = (all.flows.get(h.key()), few.flows.get(h.key()));
            prop_assert!(x.is_some());
            prop_assert_eq!(x, y);
        }
    }
}

mod tunnels;
