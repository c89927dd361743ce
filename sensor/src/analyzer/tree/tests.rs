use super::*;
use crate::analyzer::api::{Out, Spec};
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Proto, Subscriptions, Uid};
use proptest::prelude::*;

#[derive(Default)]
struct Heard(Vec<String>);

impl Out for Heard {
    fn event(&mut self, _: Ts, _: &dyn Event) {}
    fn log(&mut self, _: &dyn LogRow) {}
    fn confirm(&mut self, spec: &'static Spec, _: u64) {
        self.0.push(format!("+{}", spec.tag.service()));
    }
    fn violation(&mut self, spec: &'static Spec, _: u64, reason: &str) {
        // TLS is on its port, and another test's.
        if spec.tag.service() != "ssl" {
            self.0.push(format!("-{}: {reason}", spec.tag.service()));
        }
    }
    fn weird(&mut self, _: &'static str, _: &str) {}
    fn gave_up(&mut self) {
        self.0.push("gave up".into());
    }
}

/// A conversation: who speaks (`true` the originator) and what.
type Talk<'a> = [(bool, &'a [u8])];

fn tcp_tree(orig_port: u16, resp_port: u16) -> Tree {
    Tree::new(true, orig_port, resp_port, &WorkerShared::default())
}

fn udp_tree(orig_port: u16, resp_port: u16) -> Tree {
    Tree::new(false, orig_port, resp_port, &WorkerShared::default())
}

struct Outcome {
    heard: Vec<String>,
    services: String,
    inner: [Vec<u8>; 2],
}

fn conn(proto: Proto) -> ConnId {
    let host = std::net::Ipv4Addr::LOCALHOST.into();
    ConnId {
        uid: Uid::new(1, 1),
        orig_h: host,
        resp_h: host,
        orig_p: 1,
        resp_p: 2,
        proto,
        start: 0,
    }
}

/// For what is told of a tree, not of what it says.
fn in_context(proto: Proto, test: impl FnOnce(&WorkerShared, &mut Call<'_>)) {
    let c = conn(proto);
    let (mut out, subs) = (Heard::default(), Subscriptions::default());
    test(
        &WorkerShared::default(),
        &mut Call {
            ts: 0,
            c: &c,
            subs: &subs,
            out: &mut out,
        },
    );
}

fn run(mut d: Tree, talk: &Talk<'_>, chunk: usize, udp: bool) -> Outcome {
    let c = conn(if udp { Proto::Udp } else { Proto::Tcp });
    let (mut out, subs) = (Heard::default(), Subscriptions::default());
    let shared = WorkerShared::default();
    let mut inner = [vec![], vec![]];
    for (ts, (is_orig, bytes)) in talk.iter().enumerate() {
        let mut call = Call {
            ts: ts as Ts,
            c: &c,
            subs: &subs,
            out: &mut out,
        };
        if udp {
            d.datagram(*is_orig, bytes, &shared, &mut call);
            continue;
        }
        for part in bytes.chunks(chunk) {
            inner[usize::from(!is_orig)].extend_from_slice(&d.read(*is_orig, part, &shared, &mut call));
        }
    }
    let mut call = Call {
        ts: talk.len() as Ts,
        c: &c,
        subs: &subs,
        out: &mut out,
    };
    if !udp {
        d.eof(true, &mut call);
        d.eof(false, &mut call);
    }
    d.close(&mut call);
    let services = d.services().collect::<Vec<_>>().join(",");
    Outcome {
        heard: out.0,
        services,
        inner,
    }
}

/// What is heard of a TCP conversation, which must not depend on its chunks. When several matchers read the
/// same chunk, who speaks first is not said; and of an inner stream found to have begun in an earlier chunk,
/// that chunk's part is missing.
fn tcp(port: u16, talk: &Talk<'_>) -> Outcome {
    let whole = run(tcp_tree(40_000, port), talk, usize::MAX, false);
    let sorted = |o: &Outcome| {
        let (mut heard, mut services) = (
            o.heard.clone(),
            o.services.split(',').map(String::from).collect::<Vec<_>>(),
        );
        heard.sort();
        // An analyzer that has failed reads on to the packet's end, and the LF that an inner stream swallows is missing to it.
        heard.dedup();
        services.sort();
        (heard, services)
    };
    for chunk in [1, 2, 7, 100] {
        // Of more pieces signatures do not look at all.
        let pieces: usize = talk.iter().map(|(_, bytes)| bytes.len().div_ceil(chunk)).sum();
        if pieces > 100 {
            continue;
        }
        let cut = run(tcp_tree(40_000, port), talk, chunk, false);
        assert_eq!(sorted(&whole), sorted(&cut));
        for (whole, cut) in whole.inner.iter().zip(&cut.inner) {
            assert!(whole.ends_with(cut));
        }
    }
    whole
}

const O: bool = true;
const R: bool = false;

#[test]
fn http_is_told_by_the_request_on_any_port() {
    for port in [80, 12345] {
        let o = tcp(
            port,
            &[
                (O, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                (R, b"HTTP/1.1 200 OK\r\n\r\n"),
            ],
        );
        assert_eq!(
            (o.heard.as_slice(), o.services.as_str()),
            (&["+http".to_string()][..], "http")
        );
    }
}

#[test]
fn later_messages_are_judged_behind_their_bodies() {
    let post: (bool, &[u8]) = (
        O,
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nx\ny\nzGET / HTTP/1.1\r\n\r\n",
    );
    let chunks: (bool, &[u8]) =
        (R, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a\r\n\nx\n\r\n0\r\n\r\nHTTP/1.1 304 no\r\n\r\n");
    assert_eq!(tcp(80, &[post, chunks]).heard, ["+http"]);
    let o = tcp(80, &[post, chunks, (R, b"rubbish\n")]);
    assert_eq!(
        (o.heard.last().map(String::as_str), o.services.as_str()),
        (Some("-http: not a http reply line"), "")
    );
    let o = tcp(80, &[post, (O, b"??? ???\n")]);
    assert_eq!(
        o.heard.last().map(String::as_str),
        Some("-http: not a http request line")
    );
    // Until the connection ends, without a length.
    let o = tcp(80, &[post, (R, b"HTTP/1.1 200 OK\r\n\r\nrubbish\n")]);
    assert_eq!(o.heard, ["+http"]);
}

#[test]
fn what_is_no_http_on_its_port_is_a_violation() {
    let o = tcp(80, &[(R, b"SSH-2.0-x\r\n"), (O, b"SSH-2.0-y\r\n")]);
    assert_eq!(o.heard, ["-http: not a http reply line"]);
    assert_eq!(
        tcp(80, &[(O, b"\n\nGET\n")]).heard,
        ["-http: not a http request line"]
    );
    assert_eq!(tcp(80, &[(O, b"GET /"), (R, b"hi")]).heard, ["+http"]);
}

#[test]
fn a_violation_takes_the_service_away() {
    let o = tcp(
        21,
        &[
            (R, b"220 hi\r\n"),
            (O, b"USER a\r\n"),
            (R, b"what?\r\n331 x\r\n"),
            (R, b"again\r\n"),
        ],
    );
    assert_eq!(o.heard, ["+ftp", "-ftp: non-numeric reply code"]);
    assert_eq!(o.services, "");
}

#[test]
fn ftp_elsewhere_needs_greeting_user_and_answer() {
    let talk: &Talk<'_> = &[(R, b"220 hi\r\n"), (O, b"USER a\r\n"), (R, b"331 pw\r\n")];
    assert_eq!(tcp(2121, talk).heard, ["+ftp"]);
    assert!(tcp(2121, talk.get(..2).unwrap_or(&[])).heard.is_empty());
}

#[test]
fn tls_after_auth_and_starttls_is_given_back() {
    let talk: &Talk<'_> = &[
        (R, b"220 a\r\n"),
        (O, b"AUTH TLS\r\n"),
        (R, b"234 go\r\n"),
        (O, b"\x16\x03"),
        (R, b"\x16"),
    ];
    let o = tcp(21, talk);
    assert_eq!(
        (o.inner[0].as_slice(), o.inner[1].as_slice()),
        (&b"\x16\x03"[..], &b"\x16"[..])
    );
    let o = tcp(
        25,
        &[
            (R, b"220 a\r\n"),
            (O, b"STARTTLS\r\n"),
            (R, b"220 go\r\n"),
            (O, b"\x16\x03"),
        ],
    );
    assert_eq!(
        (o.inner[0].as_slice(), o.services.as_str()),
        (&b"\x16\x03"[..], "smtp")
    );
}

#[test]
fn a_starttls_is_answered_in_turn() {
    let ehlo: (bool, &[u8]) = (O, b"EHLO me\r\nSTARTTLS\r\n");
    for (reply, accepted) in [
        // The reply to EHLO comes first, and replies may have several lines.
        (&b"250-a\r\n250 b\r\n220-go\r\n220 on\r\n"[..], true),
        // What is sent in the exchange after AUTH is no command.
        (b"220 a\r\n454 no\r\n", false),
    ] {
        let auth: (bool, &[u8]) = (O, b"AUTH X\r\n");
        let o = tcp(
            25,
            &[
                (R, b"220 a\r\n"),
                ehlo,
                (R, reply),
                auth,
                (R, b"334 x\r\n"),
                (O, b"STARTTLS\r\n"),
                (R, b"220 x\r\n"),
                (O, b"\x16\x03"),
            ],
        );
        assert_eq!(o.inner[0].is_empty(), !accepted);
        assert_eq!(o.services, "smtp");
    }
}

#[test]
fn a_connect_tunnel_is_looked_into() {
    let connect: (bool, &[u8]) = (O, b"CONNECT a:25 HTTP/1.1\r\n\r\n");
    let ok: (bool, &[u8]) = (R, b"HTTP/1.1 200 OK\r\nVia: b\r\n\r\n");
    let o = tcp(8080, &[connect, ok, (R, b"220 m\r\n"), (O, b"EHLO me\r\n")]);
    assert_eq!(o.services, "http,smtp");
    assert_eq!(o.inner[1], b"220 m\r\n");
    let refused = tcp(
        8080,
        &[
            connect,
            (R, b"HTTP/1.1 403 no\r\n\r\n"),
            (R, b"220 m\r\n"),
            (O, b"EHLO me\r\n"),
        ],
    );
    assert_eq!((refused.services.as_str(), refused.inner[1].len()), ("http", 0));
}

#[test]
fn a_connect_that_is_refused_may_be_tried_again() {
    let o = tcp(
        8080,
        &[
            (O, b"CONNECT a:25 HTTP/1.1\r\n\r\n"),
            (R, b"HTTP/1.1 407 who\r\nContent-Length: 2\r\n\r\nno"),
            (O, b"CONNECT a:25 HTTP/1.1\r\nProxy-Authorization: x\r\n\r\n"),
            (R, b"HTTP/1.1 200 OK\r\n\r\n220 m\r\n"),
        ],
    );
    assert_eq!(o.inner[1], b"220 m\r\n");
}

#[test]
fn an_upgrade_is_looked_into() {
    let get: (bool, &[u8]) = (O, b"GET / HTTP/1.1\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    let switch: (bool, &[u8]) = (
        R,
        b"HTTP/1.1 101 so be it\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    );
    let o = tcp(80, &[get, switch, (R, b"220 m\r\n"), (O, b"EHLO me\r\n")]);
    assert_eq!(
        (o.services.as_str(), o.inner[0].as_slice()),
        ("http,smtp", &b"EHLO me\r\n"[..])
    );
    // A 101 alone switches to nothing.
    let o = tcp(80, &[get, (R, b"HTTP/1.1 101 no\r\n\r\n220 m\r\n")]);
    assert_eq!(o.heard, ["+http", "-http: not a http reply line"]);
    let web: (bool, &[u8]) = (
        R,
        b"HTTP/1.1 101 so be it\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\r\n\x82\x07220 m\r\n",
    );
    let o = tcp(80, &[get, web, (O, b"\x82\x89\0\0\0\0EHLO me\r\n")]);
    assert_eq!(
        (o.services.as_str(), o.inner[1].as_slice()),
        ("http,websocket,smtp", &b"220 m\r\n"[..])
    );
}

#[test]
fn what_ends_a_message_is_in_its_headers() {
    let next: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nthe end\r\n";
    for (request, headers, body) in [
        // The last length counts, and what is no number is none.
        ("1.1", "Content-Length: 7\r\nContent-Length: 3\r\n", "abc"),
        ("1.1", "Content-Length: many\r\n", ""),
        (
            "1.1",
            "Content-Type: multipart/x; boundary=b\r\nContent-Length: 2\r\n",
            "--",
        ),
        // A line may continue the one before.
        (
            "1.1",
            "Content-Length: 0\r\nVia: a\r\n Content-Length: 99\r\n",
            "",
        ),
        (
            "1.1",
            "Transfer-Encoding:\r\n\tchunked\r\n",
            "1\r\na\r\n0\r\n\r\n",
        ),
        (
            "1.1",
            "Transfer-Encoding: x, chunked\r\nContent-Length: 3\r\n",
            "abc",
        ),
        (
            "1.1",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        (
            "1.0",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "abc",
        ),
    ] {
        let first = format!("HTTP/{request} 200 OK\r\n{headers}\r\n{body}");
        let o = tcp(
            80,
            &[
                (O, b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
                (R, first.as_bytes()),
                (R, next),
            ],
        );
        assert_eq!(o.heard, ["+http", "-http: not a http reply line"], "{headers}");
    }
    let part = b"HTTP/1.1 206 part\r\nContent-Length: 3\r\nContent-Range: bytes 0-4/9\r\n\r\n12345";
    let o = tcp(80, &[(O, b"GET / HTTP/1.1\r\n\r\n"), (R, part), (R, next)]);
    assert_eq!(o.heard, ["+http", "-http: not a http reply line"]);
}

#[test]
fn a_version_is_not_looked_for_in_the_uri() {
    let crud: (bool, &[u8]) = (O, b"crud\r\n");
    for (line, judged) in [
        ("GET /http/1.0 HTTP/1.1", true),
        ("GET /a HTTP/1.0", false),
        ("GET /http/1.1", false),
        ("GET HTTP/1.1", true),
    ] {
        let request = format!("{line}\r\n\r\n");
        let o = tcp(80, &[(O, request.as_bytes()), crud]);
        let want: &[&str] = match judged {
            true => &["+http", "-http: not a http request line"],
            false => &["+http"],
        };
        assert_eq!(o.heard, want, "{line}");
    }
    // The reply to 0.9 has no first line.
    for line in ["GET /", "GET / HTTP/0.9"] {
        let request = format!("{line}\r\n\r\n");
        let o = tcp(80, &[(O, request.as_bytes()), (R, b"<html>\r\n")]);
        assert_eq!(o.heard, ["+http"], "{line}");
    }
}

#[test]
fn http_that_was_taken_off_comes_back_with_a_reply() {
    let o = tcp(80, &[(O, b"what?\r\n"), (R, b"HTTP/1.0 400 Bad Request\r\n\r\n")]);
    let no = "-http: not a http request line";
    assert_eq!((o.heard, o.services.as_str()), (vec![no.into(), no.into()], ""));
}

#[test]
fn signatures_look_behind_a_gap_and_not_beyond_the_first_kilobyte() {
    in_context(Proto::Tcp, |shared, call| {
        let mut d = tcp_tree(40_000, 9999);
        d.gap(R, 10, shared, call);
        d.stream(R, b"what\r\n", shared, call);
        d.gap(R, 10, shared, call);
        d.stream(O, b"GET / HTTP/1.0\r\n\r\n", shared, call);
        assert_eq!(d.services().collect::<Vec<_>>(), ["http"]);
        let mut d = tcp_tree(40_000, 9999);
        d.stream(R, &[b'x'; 600], shared, call);
        d.stream(R, &[b'x'; 600], shared, call);
        d.stream(O, b"GET / HTTP/1.0\r\n\r\n", shared, call);
        assert_eq!(d.services().count(), 0);
    });
}

#[test]
fn an_ssh_packet_that_is_too_long_is_given_up_at_its_length() {
    let versions = [(R, &b"SSH-2.0-a\r\n"[..]), (O, b"SSH-2.0-b\r\n")];
    let with = |length: &'static [u8]| tcp(22, &[&versions[..], &[(O, length)]].concat()).heard;
    assert_eq!(with(b"\x00\x80\x00\x01"), ["gave up"]);
    assert!(with(b"\x00\x80\x00\x00").is_empty());
}

#[test]
fn ssh_is_sure_at_newkeys_and_wants_both_versions() {
    let newkeys = b"\0\0\0\x0c\x0a\x15\0\0\0\0\0\0\0\0\0\0";
    let o = tcp(
        2222,
        &[(R, b"SSH-2.0-a\r\n"), (O, b"SSH-2.0-b\r\n"), (O, newkeys)],
    );
    assert_eq!(o.heard, ["+ssh"]);
    let o = tcp(22, &[(O, b"SSH-2.0-b\r\n"), (O, newkeys)]);
    assert_eq!(
        o.heard,
        [format!(
            "-ssh: {}",
            "Binpac exception: binpac exception: invalid index for case: SSH_Key_Exchange: 3"
        )]
    );
    let session_key = b"\0\0\0\x0a......\x03.........";
    let o = tcp(22, &[(R, b"SSH-1.99-a\n"), (O, b"SSH-1.5-b\n"), (O, session_key)]);
    assert_eq!(o.heard, ["+ssh"]);
}

const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x02de\0\0\x01\0\x01";

#[test]
fn dns_is_a_sound_message() {
    assert_eq!(run(udp_tree(1, 53), &[(O, QUERY)], 1, true).services, "dns");
    assert_eq!(
        run(udp_tree(1, 53), &[(O, &QUERY[..QUERY.len() - 1])], 1, true).services,
        ""
    );
    let framed = [&[0, QUERY.len() as u8], QUERY].concat();
    assert_eq!(tcp(53, &[(O, &framed)]).services, "dns");
    let mut many = QUERY.to_vec();
    many[5] = 26;
    assert_eq!(
        run(udp_tree(1, 53), &[(O, &many)], 1, true).heard,
        ["-dns: DNS_Conn_count_too_large"]
    );
}

#[test]
fn a_dns_message_under_way_is_judged_only_when_its_sender_ended() {
    let mut message = QUERY.to_vec();
    // An operation that DNS does not have: the analyzer gives up.
    message[2] = 0x48;
    let framed = [&[3, 0x84], &message[..]].concat();
    for ended in [false, true] {
        let c = conn(Proto::Tcp);
        let (mut out, subs) = (Heard::default(), Subscriptions::default());
        let mut call = Call {
            ts: 0,
            c: &c,
            subs: &subs,
            out: &mut out,
        };
        let mut d = tcp_tree(40_000, 53);
        d.stream(true, &framed, &WorkerShared::default(), &mut call);
        if ended {
            d.eof(true, &mut call);
        }
        d.close(&mut call);
        assert_eq!(out.0.contains(&"gave up".to_owned()), ended);
    }
}

#[test]
fn a_response_from_the_originator_is_backwards() {
    let mut msg = QUERY.to_vec();
    msg[2] |= 0x80;
    in_context(Proto::Udp, |shared, call| {
        let mut d = udp_tree(1, 53);
        d.datagram(true, &msg, shared, call);
        assert!(d.take_turned());
        assert!(!d.take_turned());
    });
}

#[test]
fn ntp_extension_fields_have_to_fit() {
    let mut msg = vec![0u8; 48];
    msg[0] = 0x23;
    assert_eq!(run(udp_tree(1, 123), &[(O, &msg)], 1, true).services, "ntp");
    assert_eq!(run(udp_tree(1, 123), &[(O, &msg[..47])], 1, true).services, "");
    msg.extend([0, 0, 0, 16]);
    msg.resize(48 + 28, 0xff);
    let o = run(udp_tree(1, 123), &[(O, &msg)], 1, true);
    assert_eq!(
        o.heard,
        ["-ntp: Binpac exception: binpac exception: &enforce violation : Extension_Field:value_len"]
    );
}

#[test]
fn unknown_protocols_are_let_go_soon() {
    in_context(Proto::Tcp, |shared, call| {
        let mut d = tcp_tree(1, 2);
        let wants = |d: &Tree| [true, false].map(|is_orig| d.interest(is_orig));
        assert_eq!(wants(&d), [Interest::Everything; 2]);
        // TLS may still begin, behind what opens the way for it.
        for _ in 0..500 {
            d.stream(false, &[0x16; 10], shared, call);
            d.stream(true, &[0x16; 10], shared, call);
        }
        assert_eq!(wants(&d), [Interest::Nothing; 2]);
        let size = size_of::<Tree>();
        assert!(size <= 104, "{size}");
    });
}

#[test]
fn of_two_the_one_who_needs_more_decides() {
    use Interest::{Everything, Marks, Nothing, Skip};
    for (a, b, both) in [
        (Nothing, Nothing, Nothing),
        (Nothing, Skip(7), Skip(7)),
        (Skip(9), Skip(7), Skip(7)),
        (Nothing, Marks, Marks),
        (Marks, Marks, Marks),
        (Skip(7), Marks, Everything),
        (Skip(7), Everything, Everything),
        (Marks, Everything, Everything),
        (Nothing, Everything, Everything),
    ] {
        assert_eq!((a.and(b), b.and(a)), (both, both));
    }
}

#[test]
fn what_nobody_needs_is_no_gap() {
    in_context(Proto::Tcp, |shared, call| {
        let mut d = tcp_tree(1, 80);
        d.stream(O, b"GET / HTTP/1.1\r\n\r\n", shared, call);
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        d.stream(R, reply, shared, call);
        assert_eq!(d.interest(R), Interest::Everything, "it is still being looked at");
        d.stream(R, &[0; 10_000], shared, call);
        assert_eq!(d.interest(R), Interest::Skip(90_000));
        d.unseen(R, 60_000, shared, call);
        assert_eq!(d.interest(R), Interest::Skip(30_000));
        d.unseen(R, 30_000, shared, call);
        assert_eq!((d.interest(R), d.gap), (Interest::Everything, false));
        // As many are not at hand as nobody needs, and one more.
        d.stream(R, reply, shared, call);
        d.stream(R, &[0; 10_000], shared, call);
        assert_eq!(d.interest(R), Interest::Skip(90_000));
        d.unseen(R, 90_001, shared, call);
        assert_eq!((d.interest(R), d.gap), (Interest::Nothing, true));
    });
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    let bits: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"CONNECT a HTTP/1.0\n\n",
        b"SSH-2.0-x\r\n",
        b"220 hi\r\n",
        b"EHLO x\r\n",
        b"USER a\r\n",
        b"331 b\r\n",
        b"AUTH TLS\r\n",
        b"234 \r\n",
        b"STARTTLS\r\n",
        b"\xff\xfb\x01",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"2\r\n",
        b"\r",
        b"\n",
        b"\0\0\0\x0c\x0a\x15",
        QUERY,
    ];
    let known = proptest::sample::select(bits).prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![3 => known, 1 => proptest::collection::vec(any::<u8>(), 0..40)];
    proptest::collection::vec(piece, 0..6).prop_map(|v| v.concat())
}

proptest! {
    #[test]
    fn chunks_change_nothing(
        talk in proptest::collection::vec((any::<bool>(), noise()), 0..12),
        port in proptest::sample::select(&[80u16, 22, 25, 21, 53, 9999][..]),
    ) {
        let talk: Vec<(bool, &[u8])> = talk.iter().map(|(o, b)| (*o, b.as_slice())).collect();
        // Of more bytes signatures look at the last piece, whatever its size.
        prop_assume!(talk.iter().map(|(_, b)| b.len()).sum::<usize>() <= 1024);
        tcp(port, &talk);
    }

    #[test]
    fn any_datagram_is_survived(
        talk in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..100)), 0..8),
        port in proptest::sample::select(&[53u16, 123, 137, 514, 443][..]),
    ) {
        let talk: Vec<(bool, &[u8])> = talk.iter().map(|(o, b)| (*o, b.as_slice())).collect();
        run(udp_tree(1, port), &talk, 1, true);
    }
}

#[test]
fn a_websocket_is_read_to_its_end_if_somebody_wants_its_frames() {
    use crate::analyzer::websocket::events::{WebsocketEstablished, WebsocketMessage};

    let request = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let reply = b"HTTP/1.1 101 so be it\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let frames = [&b"\x82\x7e\x20\x00"[..], &[0; 8192]].concat();
    let c = conn(Proto::Tcp);
    let shared = WorkerShared::default();
    for (kind, expected) in [
        (WebsocketEstablished::KIND, Interest::Nothing),
        (WebsocketMessage::KIND, Interest::Everything),
    ] {
        let (mut out, subs) = (Heard::default(), Subscriptions::NONE.with(kind));
        let mut call = Call {
            ts: 0,
            c: &c,
            subs: &subs,
            out: &mut out,
        };
        let mut tree = tcp_tree(40_000, 80);
        tree.stream(true, request, &shared, &mut call);
        for part in [&reply[..], &frames, &frames] {
            tree.stream(false, part, &shared, &mut call);
        }
        tree.stream(true, &frames, &shared, &mut call);
        assert_eq!([tree.interest(false), tree.interest(true)], [expected; 2]);
        // Behind a gap nobody knows where a frame begins.
        tree.gap(false, 10, &shared, &mut call);
        assert_eq!(
            [tree.interest(false), tree.interest(true)],
            [Interest::Nothing; 2]
        );
    }
}
