//! Datagrams of made-up clients and servers in, rows and events out.

mod generated;
mod peer;

use super::*;
use crate::analyzer::api::{Call, Out, Solo};
use crate::event::log::{LogRow, write_json};
use crate::event::{ConnId, Event, Proto, Subscriptions, Ts, Uid};
use peer::{Peers, Side, client_hello, hex, retry_request, server_hello};

/// What came out.
#[derive(Default)]
struct Heard {
    /// quic.log, without times and connections.
    quic: Vec<String>,
    /// The same of ssl.log.
    ssl: Vec<String>,
    /// Names and arguments.
    events: Vec<String>,
    said: Vec<String>,
}

impl Out for Heard {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        let line = String::from_utf8(line).expect("text");
        let (_, args) = line.split_once("\"args\":").expect("arguments");
        let name = line.split('"').nth(3).expect("a name");
        let args = args.strip_suffix("}").expect("its end");
        self.events.push(format!("{name} {args}"));
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut line = Vec::new();
        write_json(&mut line, row, &mut Vec::new());
        let line = String::from_utf8(line).expect("text");
        let (_, line) = line.split_once("\"id.resp_p\":443,").expect("a connection");
        match row.path() {
            "quic" => self.quic.push(format!("{{{}", line.trim_end())),
            _ => self.ssl.push(format!("{{{}", line.trim_end())),
        }
    }
    fn confirm(&mut self, spec: &'static Spec, _: u64) {
        self.said.push(format!("{} confirmed", spec.tag.service()));
    }
    fn violation(&mut self, spec: &'static Spec, _: u64, reason: &str) {
        self.said.push(format!("{}: {reason}", spec.tag.service()));
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.said.push(format!("weird {name} {addl}"));
    }
    fn gave_up(&mut self) {}
}

/// An analyzer on a connection to port 443, or found by content.
struct Flow {
    solo: Solo<Quic>,
    c: ConnId,
    out: Heard,
    /// Who sends first is the originator; that has been turned.
    turned: bool,
    orig: Option<Side>,
    ts: Ts,
    next: Next,
}

impl Flow {
    fn new(port: u16) -> Flow {
        let start = Start {
            ports: [50_000, port],
            strangers: 0,
        };
        let shared = super::super::tls::TlsShared::new(super::super::tls::TlsConfig {
            extras: super::super::tls::Extras {
                fingerprints: true,
                ..Default::default()
            },
            ..Default::default()
        });
        Flow {
            solo: Solo::new(Quic::new(&start, &shared)),
            c: ConnId {
                uid: Uid::new(1, 1),
                orig_h: [192, 0, 2, 1].into(),
                resp_h: [192, 0, 2, 2].into(),
                orig_p: 50_000,
                resp_p: 443,
                proto: Proto::Udp,
                start: 0,
            },
            out: Heard::default(),
            turned: false,
            orig: None,
            ts: 0,
            next: Next::More,
        }
    }

    /// A side sends a datagram.
    fn sends(&mut self, side: Side, datagram: &[u8]) {
        let orig = *self.orig.get_or_insert(side);
        let is_orig = (side == orig) != self.turned;
        self.ts += 1;
        if self.next == Next::More {
            let call = Call {
                ts: self.ts,
                c: &self.c,
                subs: &Subscriptions::ALL,
                out: &mut self.out,
            };
            self.next = self.solo.with(call, |a, ctx| a.datagram(is_orig, datagram, ctx));
        }
        if self.solo.take_turned() {
            self.turned = !self.turned;
            self.solo.analyzer.flip();
        }
    }

    /// The connection is over.
    fn over(mut self) -> Heard {
        let how = Closing {
            ended: true,
            reads: self.next == Next::More,
        };
        let call = Call {
            ts: self.ts,
            c: &self.c,
            subs: &Subscriptions::ALL,
            out: &mut self.out,
        };
        self.solo.with(call, |a, ctx| a.close(how, ctx));
        assert!(self.solo.analyzer.is_settled());
        self.out
    }
}

const SHORT: &[u8] = b"\x40 more than an id and some payload";

fn hellos(name: &str) -> [Vec<u8>; 2] {
    [client_hello(name, &["h3"], 32), server_hello()]
}

#[test]
fn a_handshake_is_a_row_of_quic_log_and_one_of_ssl_log() {
    let mut peers = Peers::new(names::V1, b"\x01\x02\x03\x04\x05\x06\x07\x08", b"", b"\xaa\xbb");
    let [client, server] = hellos("example.org");
    let mut flow = Flow::new(443);
    flow.sends(Side::Client, &peers.initial(Side::Client, &[(0, &client)]));
    assert_eq!(flow.solo.interest(true), Interest::Everything);
    let mut flight = peers.initial(Side::Server, &[(0, &server)]);
    flight.extend(peers.handshake(Side::Server));
    flight.extend(SHORT);
    flow.sends(Side::Server, &flight);
    let mut flight = peers.initial(Side::Client, &[]);
    flight.extend(peers.handshake(Side::Client));
    // What fills up a datagram behind its packets is none.
    flight.extend([0; 100]);
    flow.sends(Side::Client, &flight);
    for _ in 0..3 {
        flow.sends(Side::Client, SHORT);
    }
    let out = flow.over();
    assert_eq!(
        out.quic,
        [concat!(
            r#"{"version":"1","client_initial_dcid":"0102030405060708","client_scid":"","server_scid":"aabb","#,
            r#""server_name":"example.org","client_protocol":"h3","history":"ISishIH"}"#
        )]
    );
    assert_eq!(out.said, ["quic confirmed", "ssl confirmed"]);
    let [ssl] = &out.ssl[..] else {
        panic!("{:?}", out.ssl)
    };
    assert!(
        ssl.starts_with(concat!(
            r#"{"version":"TLSv13","cipher":"TLS_AES_128_GCM_SHA256","curve":"x25519","server_name":"example.org","#,
            r#""resumed":false,"established":false,"ssl_history":"Cs""#
        )),
        "{ssl}"
    );
    assert!(ssl.contains(r#""ja4":"q13d0205h3_"#), "{ssl}");
    let quic: Vec<_> = out
        .events
        .iter()
        .filter(|e| e.starts_with("QUIC"))
        .cloned()
        .collect();
    assert_eq!(
        quic[0],
        r#"QUIC::initial_packet {"is_orig":true,"version":1,"dcid":"0102030405060708","scid":""}"#
    );
    assert_eq!(
        quic[4],
        r#"QUIC::handshake_packet {"is_orig":true,"version":1,"dcid":"aabb","scid":""}"#
    );
    assert_eq!(quic.len(), 5);
}

#[test]
fn after_the_handshake_both_directions_are_only_counted() {
    let mut peers = Peers::new(names::V2, b"client's destination", b"c", b"s");
    let mut flow = Flow::new(443);
    flow.sends(
        Side::Client,
        &peers.initial(Side::Client, &[(0, &hellos("a.example")[0])]),
    );
    for n in 1..=LOOKED_AT_DARK {
        assert_eq!(flow.solo.interest(true), Interest::Everything);
        // Some hide the bit that tells their packets from others' (RFC 9287).
        flow.sends(Side::Client, if n % 2 == 0 { SHORT } else { b"\x07 hidden" });
        flow.sends(Side::Server, SHORT);
        assert_eq!(flow.solo.interest(true) == Interest::Nothing, n == LOOKED_AT_DARK);
    }
    assert_eq!(flow.solo.interest(false), Interest::Nothing);
    assert!(flow.over().quic[0].ends_with(r#""history":"IS"}"#));
}

#[test]
fn a_retry_and_a_negotiation_begin_anew() {
    let [client, server] = hellos("retry.example");
    let mut flow = Flow::new(443);
    let mut draft = Peers::new(0xff00_001d, b"first id", b"", b"");
    flow.sends(Side::Client, &draft.initial(Side::Client, &[(0, &client)]));
    flow.sends(Side::Server, b"\xc0\0\0\0\0\0\x08first id\0\0\0\x01");
    let mut first = Peers::new(names::V1, b"second id", b"", b"");
    flow.sends(Side::Client, &first.initial(Side::Client, &[(0, &client)]));
    flow.sends(Side::Server, b"\xf0\0\0\0\x01\0\x03newtoken0123456789abcdef");
    let mut second = Peers::new(names::V1, b"new", b"", b"srv");
    flow.sends(Side::Client, &second.initial(Side::Client, &[(0, &client)]));
    flow.sends(Side::Server, &second.initial(Side::Server, &[(0, &server)]));
    let out = flow.over();
    let rows: Vec<_> = out
        .quic
        .iter()
        .map(|r| r.replace(r#""server_name":"retry.example","client_protocol":"h3","#, ""))
        .collect();
    assert_eq!(
        rows,
        [
            r#"{"version":"draft-29","client_initial_dcid":"6669727374206964","client_scid":"","history":"ISu"}"#,
            r#"{"version":"1","client_initial_dcid":"7365636f6e64206964","client_scid":"","history":"ISr"}"#,
            r#"{"version":"1","client_initial_dcid":"6e6577","client_scid":"","server_scid":"737276","history":"ISis"}"#,
        ]
    );
    assert_eq!(out.ssl.len(), 1);
    assert!(out.ssl[0].contains(r#""ssl_history":"CCCs""#), "{}", out.ssl[0]);
    let retry = out
        .events
        .iter()
        .find(|e| e.starts_with("QUIC::retry_packet"))
        .expect("a retry");
    assert!(retry.ends_with(&format!(
        r#""retry_token":"{}","integrity_tag":"{}"}}"#,
        hex(b"token"),
        hex(b"0123456789abcdef")
    )));
    assert!(
        out.events
            .iter()
            .any(|e| e.starts_with("QUIC::unhandled_version") && e.contains(r#""version":0,"#))
    );
    assert!(!out.said.iter().any(|s| s.contains(':')), "{:?}", out.said);
}

#[test]
fn a_hello_that_is_asked_for_again_is_read_again() {
    let [client, server] = hellos("again.example");
    let mut peers = Peers::new(names::V1, b"id of first", b"", b"s");
    let mut flow = Flow::new(443);
    flow.sends(Side::Client, &peers.initial(Side::Client, &[(0, &client)]));
    let retry = retry_request();
    flow.sends(Side::Server, &peers.initial(Side::Server, &[(0, &retry)]));
    flow.sends(
        Side::Client,
        &peers.initial(Side::Client, &[(client.len() as u64, &client)]),
    );
    flow.sends(
        Side::Server,
        &peers.initial(Side::Server, &[(retry.len() as u64, &server)]),
    );
    let out = flow.over();
    assert!(out.quic[0].contains(r#""history":"ISisISis""#), "{:?}", out.quic);
    assert!(out.ssl[0].contains(r#""curve":"x25519""#) && out.ssl[0].contains(r#""ssl_history":"CjCs""#));
}

#[test]
fn a_close_in_the_clear_ends_a_row() {
    let mut peers = Peers::new(names::V1, b"some id", b"", b"s");
    let mut flow = Flow::new(443);
    flow.sends(
        Side::Client,
        &peers.initial(Side::Client, &[(0, &hellos("x.example")[0])]),
    );
    // Error 0x128, TLS's alert 40, from frame 6, with a reason.
    flow.sends(
        Side::Server,
        &peers.sealed(Side::Server, b"\x1c\x41\x28\x06\x02no"),
    );
    flow.sends(Side::Client, &peers.handshake(Side::Client));
    let out = flow.over();
    let histories: Vec<_> = out.quic.iter().map(|r| r.split("history").nth(1)).collect();
    assert_eq!(histories, [Some(r#"":"ISic"}"#), Some(r#"":"H"}"#)]);
    let close = out
        .events
        .iter()
        .find(|e| e.starts_with("QUIC::connection_close"))
        .expect("a close");
    assert!(
        close.ends_with(r#""error_code":296,"reason_phrase":"no"}"#),
        "{close}"
    );
}

#[test]
fn zero_rtt_is_a_letter() {
    let mut peers = Peers::new(names::V2, b"some id", b"", b"s");
    let mut flow = Flow::new(443);
    let mut datagram = peers.initial(Side::Client, &[(0, &hellos("z.example")[0])]);
    datagram.extend(peers.zero_rtt());
    flow.sends(Side::Client, &datagram);
    let out = flow.over();
    assert!(out.quic[0].contains(r#""history":"ISZ""#), "{:?}", out.quic);
    assert!(out.events.iter().any(|e| e.starts_with("QUIC::zero_rtt_packet")));
}

#[test]
fn what_cannot_be_read_is_no_quic() {
    // Nobody ever sees what these keys were made of.
    let mut other = Peers::new(names::V1, b"elsewhere", b"", b"");
    other.id = b"changed".to_vec();
    let mut flow = Flow::new(443);
    flow.sends(Side::Client, &other.initial(Side::Client, &[(0, b"x")]));
    let out = flow.over();
    assert_eq!(out.said, ["quic: decryption failed"]);
    let mut flow = Flow::new(443);
    for _ in 0..9 {
        flow.sends(Side::Client, &other.initial(Side::Client, &[(0, b"x")]));
    }
    assert_eq!(flow.next, Next::Stop);
    assert_eq!(flow.over().said, ["quic: decryption failed"]);

    let said = |datagram: &[u8]| {
        let mut flow = Flow::new(443);
        flow.sends(Side::Client, datagram);
        let out = flow.over();
        (out.said, out.quic)
    };
    let (reason, rows) = said(b"\xc0\x10\x01\0\0\x01\0\0");
    assert_eq!(reason, ["quic: unhandled QUIC version 0x10010000"]);
    assert_eq!(
        rows,
        [r#"{"version":"unknown-10010000","client_initial_dcid":"00","client_scid":"","history":"U"}"#]
    );
    assert_eq!(said(b"\xc0\0\0\0\x01\x15").0, ["quic: connection id is cut off"]);
    assert!(said(SHORT).0.is_empty());
    let mut peers = Peers::new(names::V1, b"some id", b"", b"");
    let stream = peers.sealed(Side::Client, b"\x01\x08");
    assert_eq!(
        said(&stream).0[1..],
        ["quic: unhandled frame type 8 in Initial packet"]
    );
    let much = peers.sealed(Side::Client, b"\x06\x80\x01\x00\x00\x01x");
    assert_eq!(said(&much).0[1..], ["quic: too much crypto data"]);
}

#[test]
fn on_other_ports_it_is_looked_for_in_the_first_bytes() {
    let [client, _] = hellos("port.example");
    for (version, before, found) in [
        (names::V1, 500, true),
        (0xff00_0020, 1023, true),
        (names::V2, 1024, false),
    ] {
        let mut peers = Peers::new(version, b"some id", b"", b"");
        let mut flow = Flow::new(8443);
        flow.sends(Side::Client, &vec![b'x'; before]);
        flow.sends(Side::Client, &peers.initial(Side::Client, &[(0, &client)]));
        assert_eq!(flow.over().quic.len(), usize::from(found), "{version:x}");
    }
}

#[test]
fn many_protocols_are_weird_and_so_is_a_long_history() {
    let mut peers = Peers::new(names::V1, b"some id", b"", b"");
    let hello = client_hello("m.example", &["h3", "h3-29"], 32);
    let mut flow = Flow::new(443);
    for _ in 0..101 {
        flow.sends(Side::Client, &peers.initial(Side::Client, &[(0, &hello)]));
    }
    let out = flow.over();
    assert_eq!(
        out.said[2..],
        [
            "weird QUIC_many_protocols [h3, h3-29]",
            "weird QUIC_max_history_length_reached "
        ]
    );
}
