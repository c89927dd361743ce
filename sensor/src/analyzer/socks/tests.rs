//! Conversations with a proxy; rows, events and what is odd out.

use proptest::prelude::*;

use super::*;
use crate::analyzer::WorkerShared;
use crate::analyzer::api::{Call, Out, Solo};
use crate::analyzer::tree::Tree;
use crate::event::log::{LogRow, write_json};
use crate::event::{ConnId, Subscriptions, Ts};

/// Who speaks: the client, which is the originator, or the proxy.
const C: bool = true;
const S: bool = false;

/// What came out.
#[derive(Default)]
struct Heard {
    /// Behind the connection.
    rows: Vec<String>,
    /// Names and arguments.
    events: Vec<String>,
    /// What the connection is, violations and weirds.
    odd: Vec<String>,
}

impl Out for Heard {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        let line = String::from_utf8(line).expect("text");
        let (_, args) = line.split_once("\"args\":").expect("arguments");
        let args = args.strip_suffix('}').expect("closed").replace('"', "");
        self.events.push(format!("{} {args}", ev.info().name));
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut line = Vec::new();
        write_json(&mut line, row, &mut Vec::new());
        let line = String::from_utf8(line).expect("text");
        let (_, line) = line.split_once("\"id.resp_p\":1080,").expect("a connection");
        if row.path() != "socks" {
            return;
        }
        self.rows.push(line.trim_end_matches('}').replace('"', ""));
    }
    fn confirm(&mut self, spec: &'static Spec, _: u64) {
        self.odd.push(format!("+{}", spec.tag.service()));
    }
    fn violation(&mut self, spec: &'static Spec, _: u64, reason: &str) {
        self.odd.push(format!("-{}: {reason}", spec.tag.service()));
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.odd.push(format!("{name} {addl}").trim_end().to_owned());
    }
    fn gave_up(&mut self) {}
    fn proxies(&mut self, kind: TunnelKind) {
        self.odd.push(kind.name().to_owned());
    }
}

/// A conversation with one analyzer, in parts of so many bytes. The bytes of the last packet that are inside the tunnel, if
/// it begins.
fn talk(size: usize, said: &[(bool, &[u8])]) -> (Heard, Option<usize>) {
    let (c, mut heard) = (ConnId::sample(1080), Heard::default());
    let mut solo = Solo::new(Socks::new(&Start::default(), &()));
    let mut ts = 0;
    let mut next = Next::More;
    for (is_orig, bytes) in said {
        ts += 1;
        for part in bytes.chunks(size) {
            let call = Call {
                ts,
                c: &c,
                subs: &Subscriptions::ALL,
                out: &mut heard,
            };
            if next == Next::More {
                next = solo.with(call, |a, ctx| a.data(*is_orig, part, ctx));
            }
        }
    }
    solo.close(Call {
        ts,
        c: &c,
        subs: &Subscriptions::ALL,
        out: &mut heard,
    });
    assert!(solo.analyzer.is_settled());
    match next {
        Next::HandOver(over) => (heard, Some(over.len)),
        _ => (heard, None),
    }
}

/// The same in one piece, and in parts alike.
fn heard(said: &[(bool, &[u8])]) -> (Heard, Option<usize>) {
    let whole = talk(usize::MAX, said);
    for size in [1, 2, 5] {
        let parts = talk(size, said);
        assert_eq!(
            (&parts.0.rows, &parts.0.events),
            (&whole.0.rows, &whole.0.events),
            "{size}"
        );
        assert_eq!(parts.0.odd, whole.0.odd, "{size}");
    }
    whole
}

const OFFER: (bool, &[u8]) = (C, b"\x05\x02\x00\x02");
const FREE: (bool, &[u8]) = (S, b"\x05\x00");
const TO_NAME: (bool, &[u8]) = (C, b"\x05\x01\x00\x03\x0bexample.org\x01\xbb");
const DONE: (bool, &[u8]) = (S, b"\x05\x00\x00\x01\xc0\x00\x02\x09\x1f\x90");

#[test]
fn version_5_asks_for_a_name() {
    let (h, inside) = heard(&[OFFER, FREE, TO_NAME, DONE]);
    assert_eq!(inside, Some(0));
    assert_eq!(
        h.rows,
        [
            "version:5,status:succeeded,request.name:example.org,request_p:443,bound.host:192.0.2.9,bound_p:8080"
        ]
    );
    assert_eq!(
        h.events,
        [
            "socks_request {version:5,request_type:1,sa:{name:example.org},p:443,user:}",
            "socks_reply {version:5,reply:0,sa:{host:192.0.2.9},p:8080}",
        ]
    );
    assert_eq!(h.odd, ["Tunnel::SOCKS", "+socks"]);
    // What the proxy sends behind its reply is inside.
    let (_, inside) = talk(
        usize::MAX,
        &[OFFER, FREE, TO_NAME, (S, &[DONE.1, b"220 hi"].concat())],
    );
    assert_eq!(inside, Some(6));
    // Nobody has to wait for the method.
    let (h, _) = heard(&[(C, &[OFFER.1, TO_NAME.1].concat()), FREE, DONE]);
    assert!(h.rows[0].contains("request.name:example.org"), "{:?}", h.rows);
}

#[test]
fn version_5_has_three_kinds_of_addresses() {
    let four: &[u8] = b"\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x50";
    let six = [
        &b"\x05\x03\x00\x04\x20\x01\x0d\xb8"[..],
        &[0; 11],
        b"\x01\x00\x35",
    ]
    .concat();
    let named: &[u8] = b"\x05\x05\x00\x03\x01x\x00\x00";
    let (h, _) = heard(&[OFFER, FREE, (C, four), (S, named)]);
    assert_eq!(
        h.rows,
        ["version:5,status:Connection refused,request.host:10.0.0.1,request_p:80,bound.name:x,bound_p:0"]
    );
    let (h, _) = heard(&[OFFER, FREE, (C, &six), DONE]);
    assert!(h.rows[0].contains("request.host:2001:db8::1,request_p:53"));
    for (request, reason) in [
        (&b"\x05\x01\x00\x02"[..], "invalid SOCKSv5 addr type: 2"),
        (b"\x05\x04\x00\x01", "undefined value in command field: 4"),
        (b"\x05\x01\x07\x01", "invalid value in reserved field: 7"),
        (b"\x07", "unsupported/unknown SOCKS version 7"),
    ] {
        let (h, inside) = heard(&[OFFER, FREE, (C, request), DONE]);
        assert_eq!((h.odd, inside), (vec![format!("-socks: {reason}")], None));
        assert!(h.rows.is_empty());
    }
}

#[test]
fn a_user_logs_in() {
    let login: (bool, &[u8]) = (C, b"\x01\x03joe\x06secret");
    let (h, inside) = heard(&[OFFER, (S, b"\x05\x02"), login, (S, b"\x01\x00"), TO_NAME, DONE]);
    assert_eq!(inside, Some(0));
    assert!(h.rows[0].starts_with("version:5,user:joe,status:succeeded,request.name"));
    assert_eq!(
        h.events[..2],
        [
            "socks_login_userpass_request {user:joe,password:secret}",
            "socks_login_userpass_reply {code:0}",
        ]
    );
    // Who is not let in has no row: nothing shows it to be SOCKS.
    let (h, _) = heard(&[OFFER, (S, b"\x05\x02"), login, (S, b"\x01\x01")]);
    assert!(h.rows.is_empty());
    let (h, _) = talk(usize::MAX, &[OFFER, (S, b"\x05\x01"), (C, b"\x01\x01\x00\x02ab")]);
    assert_eq!(h.odd, ["socks5_unsupported_authentication_method 1"]);
    let (h, _) = talk(usize::MAX, &[OFFER, (S, b"\x05\x02"), (C, b"\x02\x01")]);
    assert_eq!(h.odd, ["socks5_unsupported_authentication method 2, version 2"]);
}

#[test]
fn version_4_asks_for_an_address_or_a_name() {
    let done: (bool, &[u8]) = (S, b"\x00\x5a\x1f\x90\xc0\x00\x02\x09");
    let (h, inside) = heard(&[(C, b"\x04\x01\x00\x50\x0a\x00\x00\x01joe\x00"), done]);
    assert_eq!(inside, Some(0));
    assert_eq!(
        h.rows,
        ["version:4,status:succeeded,request.host:10.0.0.1,request_p:80,bound.host:192.0.2.9,bound_p:8080"]
    );
    assert_eq!(
        h.events[0],
        "socks_request {version:4,request_type:1,sa:{host:10.0.0.1},p:80,user:joe}"
    );
    let (h, _) = heard(&[(C, b"\x04\x01\x00\x50\x00\x00\x00\x01\x00example.org\x00"), done]);
    assert!(h.rows[0].contains("request.host:0.0.0.1,request.name:example.org,request_p:80"));
    // Without a request there is no version 0.
    let (h, _) = heard(&[done]);
    assert_eq!(h.odd, ["-socks: unsupported/unknown SOCKS version 0"]);
}

#[test]
fn names_do_not_grow() {
    let long = [&b"\x04\x01\x00\x50\x0a\x00\x00\x01"[..], &[b'x'; 2000]].concat();
    let (h, _) = heard(&[(C, &long)]);
    assert_eq!(h.odd, ["-socks: message is too long"]);
    // Nor does what waits for the proxy.
    let (h, _) = heard(&[(C, &[OFFER.1, &[5; 2000]].concat())]);
    assert_eq!(h.odd, ["-socks: message is too long"]);
}

/// What a connection to a port is, by all its analyzers.
fn services(port: u16, said: &[(bool, &[u8])]) -> (String, Heard) {
    let (c, mut heard) = (ConnId::sample(1080), Heard::default());
    let shared = WorkerShared::default();
    let mut tree = Tree::new(true, 4000, port, &shared);
    let mut ts = 0;
    for (is_orig, bytes) in said {
        ts += 1;
        let call = &mut Call {
            ts,
            c: &c,
            subs: &Subscriptions::NONE,
            out: &mut heard,
        };
        tree.stream(*is_orig, bytes, &shared, call);
    }
    let call = &mut Call {
        ts,
        c: &c,
        subs: &Subscriptions::NONE,
        out: &mut heard,
    };
    tree.close(call);
    (tree.services().collect::<Vec<_>>().join(","), heard)
}

#[test]
fn any_protocol_is_found_inside_on_any_port() {
    let get: (bool, &[u8]) = (C, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let ok: (bool, &[u8]) = (S, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let ssh: (bool, &[u8]) = (S, b"220 hi\r\n");
    for port in [1080, 9050] {
        let (services, _) = services(port, &[OFFER, FREE, TO_NAME, DONE, get, ok]);
        assert_eq!(services, "socks,http", "{port}");
    }
    let (found, _) = services(9050, &[OFFER, FREE, TO_NAME, DONE, ssh, (C, b"EHLO x\r\n")]);
    assert!(found.starts_with("socks"), "{found}");
    // A proxy of the other kind may be on the same port.
    let (found, heard) = services(1080, &[get, ok]);
    assert_eq!(found, "http");
    assert!(heard.rows.is_empty());
}

/// What a side may send: messages, and noise.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let known: &[&[u8]] = &[
        OFFER.1,
        FREE.1,
        TO_NAME.1,
        DONE.1,
        b"\x05\x02",
        b"\x01\x03joe\x06secret",
        b"\x01\x00",
        b"\x04\x01\x00\x50\x00\x00\x00\x01joe\x00x\x00",
        b"\x00\x5a\x1f\x90\xc0\x00\x02\x09",
    ];
    prop_oneof![
        6 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..20),
    ]
}

proptest! {
    #[test]
    fn noise_is_read_alike_however_it_is_cut(
        said in prop::collection::vec((any::<bool>(), noise()), 0..12),
        size in 1usize..9,
    ) {
        let said: Vec<_> = said.iter().map(|(is_orig, bytes)| (*is_orig, &bytes[..])).collect();
        let ((whole, _), (parts, _)) = (talk(usize::MAX, &said), talk(size, &said));
        // Where such a message ends is not known.
        let is_open = |h: &Heard| {
            // And of two sides that say nonsense the one that is read first ends it.
            let odd = |odd: &String| odd.starts_with("socks5_unsupported") || odd.starts_with('-');
            h.odd.iter().any(odd)
        };
        if !is_open(&whole) && !is_open(&parts) {
            prop_assert_eq!(whole.rows, parts.rows);
            prop_assert_eq!(whole.events, parts.events);
            prop_assert_eq!(whole.odd, parts.odd);
        }
    }
}
