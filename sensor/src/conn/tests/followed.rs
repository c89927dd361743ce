//! Established TLS of which only the records' headers come up: what is said of it must be what is said when every
//! packet does.

use proptest::prelude::*;
use sensor_common::Counter;

use super::secure::{DTLS, pieces, udp_frame};
use super::*;

const TLS: &[u8] = include_bytes!("../../analyzer/tls/samples/tls13.bin");

/// What happens to the stream behind the handshake, which goes from the server to the client.
#[derive(Clone, Debug)]
struct Stream {
    /// Lengths of records.
    records: Vec<u16>,
    /// Lengths of segments; after the last the first comes again.
    segments: Vec<u16>,
    /// Segment number, and what happens to it: it comes so many later, is doubled or is lost.
    mishaps: Vec<(u8, u8)>,
    /// Every so many segments the client acknowledges all that it has.
    ack_every: usize,
}

/// What was said, and the datapath's counters.
struct Said {
    events: Vec<serde_json::Value>,
    row: Vec<(&'static str, String)>,
    forwarded: u64,
    payload: u64,
}

impl Stream {
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for n in &self.records {
            out.extend([23, 3, 3]);
            out.extend(n.to_be_bytes());
            // Looks like headers, too.
            out.extend([23, 3, 3, 0].iter().cycle().take(*n as usize));
        }
        out
    }

    fn run(&self, events: &str) -> Said {
        let mut lab = Lab::new(events);
        lab.resp_port = 443;
        lab.handshake();
        let mut at = [1, 1];
        for (side, piece) in pieces(TLS) {
            lab.data(side, at[side], at[side ^ 1], piece);
            at[side] += piece.len() as u32;
        }
        let before = lab.soft.counts().get(Counter::Forwarded);
        let bytes = self.bytes();
        let (mut have, mut came) = (0, Vec::new());
        let order = mishaps::order(&self.segments, &self.mishaps, bytes.len());
        for (i, s) in order.iter().enumerate() {
            lab.data(1, at[1] + s.start as u32, at[0], &bytes[s.clone()]);
            came.push(s.clone());
            while let Some(j) = came.iter().position(|c| c.contains(&have)) {
                have = came.swap_remove(j).end;
            }
            if i % self.ack_every == 0 {
                lab.ack(0, at[0], at[1] + have as u32);
            }
        }
        // The client had all that the sensor did not see.
        lab.ack(0, at[0], at[1] + bytes.len() as u32);
        lab.tcp(1, tf::FIN | tf::ACK, at[1] + bytes.len() as u32, at[0], b"");
        let counts = *lab.soft.counts();
        let mut seen = lab.finish();
        seen.events.retain(|e| e["event"] != "tcp_packet");
        // Uids aside, which are the same in any case.
        let row = seen.rows.iter().find(|r| r.0 == "conn").expect("a row").1.clone();
        Said {
            events: seen.events,
            row,
            forwarded: counts.get(Counter::Forwarded) - before,
            payload: order.len() as u64,
        }
    }
}

const WANTED: &str = "ssl_encrypted_data,ssl_established,content_gap,connection_EOF";

/// Runs it both ways; what was forwarded when only headers were wanted.
fn alike(s: &Stream) -> Said {
    let some = s.run(WANTED);
    let every = s.run(&format!("{WANTED},tcp_packet"));
    assert_eq!(some.events, every.events);
    assert_eq!(some.row, every.row);
    some
}

#[test]
fn of_a_long_transfer_the_headers_come_up_and_all_is_said() {
    for segments in [
        vec![1460],
        vec![1448, 100],
        vec![61_000],
        vec![5],
        vec![3],
        vec![1],
    ] {
        let few = segments[0] < 10;
        let stream = Stream {
            records: if few { vec![100; 20] } else { vec![16_406; 40] },
            segments,
            mishaps: vec![],
            ack_every: 2,
        };
        let said = alike(&stream);
        let records = said.events.iter().filter(|e| e["event"] == "ssl_encrypted_data");
        assert!(records.count() >= stream.records.len());
        // The first of them are for finding out that nobody wants them; and following cannot begin within a header.
        assert!(said.forwarded <= 16, "{} of {}", said.forwarded, said.payload);
    }
}

#[test]
fn after_a_loss_it_goes_on_being_followed() {
    // One that comes after the two behind it, in the middle of a record and where one begins.
    for at in [30, 33, 34] {
        let stream = Stream {
            records: vec![16_406; 200],
            segments: vec![1460],
            mishaps: vec![(at, 2)],
            ack_every: 1,
        };
        let said = alike(&stream);
        assert!(
            said.forwarded < said.payload / 20,
            "{} of {}",
            said.forwarded,
            said.payload
        );
    }
}

#[test]
fn a_header_of_which_a_part_stayed_below_is_read() {
    // Headers begin two bytes before a segment ends; the rest comes after what is behind it.
    let mut records = vec![993];
    records.extend([995; 60]);
    for at in [40, 41, 42, 43] {
        let stream = Stream {
            records: records.clone(),
            segments: vec![500],
            mishaps: vec![(at, 1)],
            ack_every: 3,
        };
        let said = alike(&stream);
        assert!(said.events.len() > records.len());
    }
}

/// A segment that ends in the middle of a header comes again when it is acknowledged.
#[test]
fn what_ends_following_may_be_old() {
    alike(&Stream {
        records: vec![31, 2328, 16406, 2552, 1153, 1],
        segments: vec![3, 380, 1460],
        mishaps: vec![(37, 1)],
        ack_every: 1,
    });
}

#[test]
fn packets_of_more_records_than_have_marks_are_forwarded() {
    let stream = Stream {
        records: vec![10; 3000],
        segments: vec![1460],
        mishaps: vec![],
        ack_every: 2,
    };
    let said = alike(&stream);
    assert!(said.events.len() > 3000);
    assert!(
        said.forwarded > said.payload / 2,
        "{} of {}",
        said.forwarded,
        said.payload
    );
}

/// A record of DTLS 1.2.
fn dtls_record(content_type: u8, epoch: u8, length: u16) -> Vec<u8> {
    let mut r = vec![content_type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9];
    r.extend(length.to_be_bytes());
    r.resize(13 + length as usize, content_type);
    r
}

/// Datagrams of the server after a handshake; what was said, and how many were forwarded whole.
fn dtls_run(events: &str, datagrams: &[Vec<u8>]) -> (Vec<serde_json::Value>, u64) {
    let mut lab = Lab::new(events);
    for (side, piece) in pieces(DTLS) {
        lab.frame(&udp_frame(side, piece));
    }
    let before = lab.soft.counts().get(Counter::Forwarded);
    for d in datagrams {
        lab.frame(&udp_frame(1, d));
    }
    let forwarded = lab.soft.counts().get(Counter::Forwarded) - before;
    let mut seen = lab.finish();
    seen.events.retain(|e| e["event"] != "new_packet");
    (seen.events, forwarded)
}

#[test]
fn datagrams_are_followed_each_by_itself() {
    let wanted = "ssl_encrypted_data,ssl_established,ssl_alert,ssl_handshake_message,protocol_violation";
    let bulk = dtls_record(23, 1, 1200);
    let mut odd = vec![
        [
            dtls_record(23, 1, 30),
            dtls_record(21, 1, 40),
            dtls_record(23, 2, 0),
        ]
        .concat(),
        // Too many, in the clear, another version, cut short, something behind it, no DTLS.
        dtls_record(23, 1, 3).repeat(20),
        [dtls_record(23, 1, 30), dtls_record(22, 0, 12)].concat(),
        [
            dtls_record(23, 1, 30),
            vec![23, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat(),
        dtls_record(23, 1, 90)[..50].to_vec(),
        [dtls_record(23, 1, 30), vec![7; 5]].concat(),
        vec![0; 40],
        vec![23],
    ];
    let mut datagrams = vec![bulk.clone(); 40];
    let (some, forwarded) = dtls_run(wanted, &datagrams);
    let (every, _) = dtls_run(&format!("{wanted},new_packet"), &datagrams);
    assert_eq!(some, every);
    assert!(some.iter().filter(|e| e["event"] == "ssl_encrypted_data").count() >= 40);
    assert!(forwarded <= 4, "{forwarded}");
    for d in odd.drain(..) {
        datagrams.push(d);
        datagrams.extend(vec![bulk.clone(); 2]);
        let (some, _) = dtls_run(wanted, &datagrams);
        let (every, _) = dtls_run(&format!("{wanted},new_packet"), &datagrams);
        assert_eq!(some, every, "{:02x?}", datagrams[datagrams.len() - 3]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_happens_the_same_is_said(
        records in prop::collection::vec(prop_oneof![0u16..40, 0u16..3000, Just(16_406u16)], 1..30),
        segments in prop::collection::vec(prop_oneof![1u16..20, 100u16..1500, Just(1460u16)], 1..8),
        mishaps in prop::collection::vec((any::<u8>(), 0u8..6), 0..4),
        ack_every in 1usize..5,
    ) {
        // No more segments than a test has time for.
        let total: usize = records.iter().map(|n| *n as usize + 5).sum();
        let each = segments.iter().map(|n| *n as usize).sum::<usize>() / segments.len();
        prop_assume!(total / each.max(1) < 2000);
        alike(&Stream { records, segments, mishaps, ack_every });
    }
}
