//! Signatures on connections: events, rows, analyzers that are put on, and what the datapath may keep.

use std::sync::Arc;

use super::*;
use crate::signature::{Known, Signatures};

const LEGACY: &str = include_str!("../../../../signatures/legacy.sig");
const EVENTS: &str = "signature_match,gaobot_signature_found,kazaa_signature_found,napster_signature_found,\
                      root_backdoor_signature_found,protocol_confirmation";

fn with(text: &str, bytes: u64) -> Config {
    let known = Known {
        function: &|_| false,
        analyzer: &|_| true,
    };
    let signatures = Signatures::of_text(text.as_bytes(), &known).expect(text);
    Config {
        signatures: Some(Arc::new(signatures)),
        signature_bytes: bytes,
        ..Config::default()
    }
}

fn lab(text: &str) -> Lab {
    let mut lab = Lab::with(EVENTS, with(text, 1024));
    lab.handshake();
    lab
}

/// What is said of signatures by a connection of these pieces, each with its side.
fn told(text: &str, pieces: &[(usize, &[u8])]) -> Vec<String> {
    let mut lab = lab(text);
    lab.resp_port = 4000;
    lab.handshake();
    let mut at = [1; 2];
    for (side, piece) in pieces {
        lab.data(*side, at[*side], at[*side ^ 1], piece);
        at[*side] += piece.len() as u32;
    }
    let seen = lab.finish();
    let names = seen.names().into_iter();
    names
        .filter(|n| n.contains("signature"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_match_is_an_event_and_a_row() {
    let mut lab =
        lab("signature s { ip-proto == tcp  dst-port == 80  payload /.*secret/  event \"found it\" }");
    lab.data(0, 1, 1, b"GET /a HTTP/1.0\r\nX: sec");
    lab.data(0, 24, 1, b"ret\r\n\r\n");
    let seen = lab.finish();
    let args = seen.args("signature_match");
    assert_eq!(args.len(), 1);
    let state = &args[0]["state"];
    assert_eq!(
        (&state["sig_id"], &state["is_orig"], &state["payload_size"]),
        (&"s".into(), &true.into(), &23.into())
    );
    assert_eq!(state["conn"]["resp_h"], "10.0.0.2");
    assert_eq!(args[0]["msg"], "found it");
    assert_eq!(args[0]["data"], hex(b"ret\r\n\r\n"));
    let rows: Vec<_> = seen.rows.iter().filter(|r| r.0 == "signatures").collect();
    assert_eq!(rows.len(), 1);
    let column = |name: &str| &rows[0].1.iter().find(|v| v.0 == name).expect(name).1;
    assert_eq!(column("src_addr"), "Addr(10.0.0.1)");
    assert_eq!(column("dst_port"), "Port(80)");
    assert_eq!(column("note"), "Signatures::Sensitive_Signature");
    assert_eq!(column("event_msg"), "10.0.0.1: found it");
    assert_eq!(column("sub_msg"), r"ret\r\n\r\n");
}

#[test]
fn headers_are_those_of_the_first_packet_of_a_direction() {
    let syn = "signature syn { header tcp[13:1] & 255 == 2  event \"m\" }\n\
               signature ttl { header ip[8:1] == 64  src-ip == 10.0.0.2  event \"m\" }\n\
               signature fin { header tcp[13:1] & 1 == 1  event \"m\" }\n\
               signature late { src-port == 4096  requires-reverse-signature ttl  event \"m\" }";
    let mut lab = lab(syn);
    lab.tcp(0, tf::FIN | tf::ACK, 1, 1, b"");
    let seen = lab.finish();
    let ids: Vec<_> = seen
        .args("signature_match")
        .iter()
        .map(|a| a["state"]["sig_id"].clone())
        .collect();
    assert_eq!(ids, ["syn", "ttl", "late"]);
}

#[test]
fn what_http_carries_is_matched_as_it_is_meant() {
    let mut lab = lab("signature uri { http-request /^\\/a b$/  event \"m\" }\n\
         signature head { http-request-header /^x-thing: 1$/i  event \"m\" }\n\
         signature reply { http-reply-header /.*nginx/  event \"m\" }\n\
         signature body { http-reply-body /.*end$/  event \"m\" }\n\
         signature form { http-request-body /^q=/  requires-signature uri  event \"m\" }");
    let request = b"POST /a%20b HTTP/1.1\r\nX-Thing: 1\r\nContent-Length: 3\r\n\r\nq=1";
    lab.data(0, 1, 1, request);
    let reply = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nx e\r\n2\r\nnd\r\n0\r\n\r\n";
    lab.data(1, 1, 1 + request.len() as u32, reply);
    let seen = lab.finish();
    let matched = seen.args("signature_match");
    let ids: Vec<_> = matched.iter().map(|a| a["state"]["sig_id"].clone()).collect();
    assert_eq!(ids, ["uri", "head", "form", "reply", "body"]);
}

#[test]
fn files_are_of_the_types_that_signatures_know() {
    let types = |text: &str| {
        let mut lab = Lab::with("file_sniff", with(text, 1024));
        lab.handshake();
        lab.data(0, 1, 1, b"GET /a HTTP/1.1\r\n\r\n");
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n%PDF-1.4 own";
        lab.data(1, 1, 20, reply);
        let seen = lab.finish();
        let sniffed = seen.args("file_sniff")[0]["meta"]["mime_type"].clone();
        let row = seen.rows.iter().find(|r| r.0 == "files").expect("a file");
        let logged = row.1.iter().find(|v| v.0 == "mime_type").expect("a type");
        assert_eq!(logged.1, sniffed.as_str().expect("text"));
        logged.1.clone()
    };
    let own = |strength: i32| {
        types(&format!(
            "signature s {{ file-mime \"application/x-own\", {strength}  file-magic /^%PDF.* own/ }}"
        ))
    };
    assert_eq!(own(1000), "application/x-own");
    assert_eq!(own(-1000), "application/pdf");
    assert_eq!(
        types("signature s { file-mime \"x/y\", 1000  file-magic /^PDF/ }"),
        "application/pdf"
    );
}

#[test]
fn ftp_commands_are_matched_whole() {
    let mut lab = Lab::with(
        EVENTS,
        with("signature u { ftp /^USER root$/  event \"m\" }", 1024),
    );
    lab.resp_port = 21;
    lab.handshake();
    lab.data(0, 1, 1, b"USER rooted\r\n");
    lab.data(0, 14, 1, b"  USER root\r\n");
    assert_eq!(lab.finish().args("signature_match").len(), 1);
}

#[test]
fn a_signature_puts_an_analyzer_on_a_connection() {
    let text = "signature s { payload /.*Open sesame/  enable \"ssh\" }";
    let confirmed = |text: &str| {
        let mut lab = lab(text);
        lab.data(1, 1, 1, b"SSH-2.0-Open sesame\r\n");
        lab.data(0, 1, 22, b"SSH-2.0-x\r\n");
        lab.data(0, 12, 22, b"more");
        lab.finish().conn("service").to_owned()
    };
    // It would be found by itself.
    assert_eq!(confirmed("signature s { payload /x/ }"), confirmed(text));
    let mut lab = lab("signature s { payload /^OPEN/  enable \"smtp\" }");
    lab.data(0, 1, 1, b"OPEN\r\n");
    assert!(lab.engine.sh.to_enable.is_empty());
    lab.data(0, 7, 1, b"EHLO x\r\n");
    lab.data(1, 1, 15, b"250 y\r\n");
    lab.data(0, 15, 8, b"MAIL FROM:<a@b>\r\n");
    lab.data(1, 8, 32, b"250 ok\r\n");
    let seen = lab.finish();
    assert!(
        seen.names().contains(&"protocol_confirmation"),
        "{:?}",
        seen.names()
    );
}

#[test]
fn old_protocols_are_known_again() {
    for (pieces, expected) in [
        (
            &[(1, &b"220 Bot Server (Win32)\r\n"[..])][..],
            "gaobot_signature_found",
        ),
        (
            &[(0, b"GET /.hash=0123456789abcdef HTTP/1.1\r\n")],
            "kazaa_signature_found",
        ),
        (&[(0, b"GIVE 12345\r\n")], "kazaa_signature_found"),
        (
            &[
                (0, b"GET /x HTTP/1.1\r\n"),
                (1, b"HTTP/1.1 200 OK\r\nX-Kazaa-Username: me\r\n"),
            ],
            "kazaa_signature_found",
        ),
        (
            &[(1, b"1"), (0, b"GET"), (0, b"nick \"file\" 0")],
            "napster_signature_found",
        ),
        (
            &[(1, b"1"), (0, b"SENDnick \"file\" 7")],
            "napster_signature_found",
        ),
        (&[(1, b"# ")], "root_backdoor_signature_found"),
        (&[(0, b"\n"), (1, b"\r\n# ")], "root_backdoor_signature_found"),
    ] {
        assert_eq!(told(LEGACY, pieces), [expected], "{pieces:?}");
    }
    for pieces in [
        &[(0, &b"220 Bot Server (Win32)\r\n"[..])][..],
        &[
            (0, b"GET /index.html HTTP/1.1\r\n"),
            (1, b"HTTP/1.1 200 OK\r\nX: 1\r\n"),
        ],
        &[(1, b"1"), (0, b"GET / HTTP/1.1\r\n")],
        &[(0, b"# ")],
        &[(1, b"$ ")],
    ] {
        assert!(told(LEGACY, pieces).is_empty(), "{pieces:?}");
    }
}

/// Packets of a direction that the datapath forwarded, of a download of a hundred that nothing else reads.
fn forwarded(cfg: Config) -> u64 {
    let mut lab = Lab::with(EVENTS, cfg);
    lab.resp_port = 4000;
    lab.handshake();
    for i in 0..100u32 {
        lab.data(1, 1 + 1000 * i, 1, &[b'a'; 1000]);
        lab.ack(0, 1, 1 + 1000 * (i + 1));
    }
    lab.soft.counts().get(sensor_common::Counter::Forwarded)
}

#[test]
fn payload_is_forwarded_as_long_as_it_may_match() {
    let nothing = Config {
        analyzers: false,
        ..Config::default()
    };
    let with = |text: &str, bytes| Config {
        analyzers: false,
        ..with(text, bytes)
    };
    let none = forwarded(nothing);
    let floating = "signature s { payload /.*x/  event \"m\" }";
    let few = forwarded(with(floating, 1024));
    assert!(few <= none + 3, "{few} of {none}");
    assert_eq!(forwarded(with(floating, 0)), 100);
    // It cannot be any more.
    assert_eq!(
        forwarded(with("signature s { payload /b/  event \"m\" }", 0)),
        few - 1
    );
    // Not this port.
    assert_eq!(
        forwarded(with(
            "signature s { dst-port == 1  payload /.*x/  event \"m\" }",
            0
        )),
        none
    );
    // It was found.
    assert_eq!(
        forwarded(with("signature s { payload /.*a/  event \"m\" }", 0)),
        few - 1
    );
}

/// Packets that the datapath forwarded of a download over HTTP.
fn forwarded_body(cfg: Config) -> u64 {
    let mut lab = Lab::with(EVENTS, cfg);
    lab.handshake();
    lab.data(0, 1, 1, b"GET /a HTTP/1.1\r\n\r\n");
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n";
    lab.data(1, 1, 20, head);
    let at = 1 + head.len() as u32;
    for i in 0..400u32 {
        lab.data(1, at + 1000 * i, 20, &[b'a'; 1000]);
        lab.ack(0, 20, at + 1000 * (i + 1));
    }
    lab.soft.counts().get(sensor_common::Counter::Forwarded)
}

#[test]
fn bodies_are_forwarded_as_long_as_something_may_match_in_them() {
    let with = |text: &str| forwarded_body(with(text, 1024));
    let none = forwarded_body(Config::default());
    assert!(with("signature s { http-reply-body /.*x/  event \"m\" }") > 400);
    for text in [
        // It was found.
        "signature s { http-reply-body /.*a/  event \"m\" }",
        // It cannot be in this body any more.
        "signature s { http-reply-body /b/  event \"m\" }",
        // Nor in this direction.
        "signature s { http-request-body /.*x/  event \"m\" }",
    ] {
        let few = with(text);
        assert!(few <= none + 3, "{few} of {none} with {text}");
    }
}

#[test]
fn what_is_inside_a_proxys_tunnel_is_matched_by_itself() {
    let mut lab = lab("signature in { dst-port == 80  payload /^INNER/  event \"m\" }\n\
         signature out { payload /^CONNECT .*INNER/  event \"m\" }\n\
         signature any { tcp-state responder  payload /./  event \"m\" }");
    let request = b"CONNECT a:1 HTTP/1.1\r\n\r\n";
    let reply = b"HTTP/1.1 200 OK\r\n\r\n";
    lab.data(0, 1, 1, request);
    let at = 1 + request.len() as u32;
    lab.data(1, 1, at, reply);
    lab.data(0, at, 1 + reply.len() as u32, b"INN");
    lab.data(0, at + 3, 1 + reply.len() as u32, b"ER");
    lab.data(1, 1 + reply.len() as u32, at + 5, b"x");
    let seen = lab.finish();
    let matched = seen.args("signature_match");
    let ids: Vec<_> = matched.iter().map(|a| a["state"]["sig_id"].clone()).collect();
    assert_eq!(ids, ["any", "out", "in", "any"]);
}

#[test]
fn bodies_of_http2_are_matched_each_by_itself() {
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        [
            &[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream],
            payload,
        ]
        .concat()
    };
    // Headers out of HPACK's table (RFC 7541, appendix A): GET / of http; 200.
    let get = |stream| frame(1, END_STREAM | END_HEADERS, stream, &[0x82, 0x86, 0x84]);
    let ok = |stream| frame(1, END_HEADERS, stream, &[0x88]);
    let data = |stream, flags, body: &[u8]| frame(0, flags, stream, body);
    let client = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        get(1),
        get(3),
    ];
    let server = [
        frame(4, 0, 0, &[]),
        ok(1),
        ok(3),
        data(1, 0, b"a"),
        data(3, 0, b"ac"),
        data(1, END_STREAM, b"b"),
        data(3, END_STREAM, b"d"),
    ];
    let mut lab = lab("signature mixed { http-reply-body /^aa/  event \"m\" }\n\
         signature one { http-reply-body /^ab$/  event \"m\" }\n\
         signature other { http-reply-body /.*cd$/  event \"m\" }");
    let client = client.concat();
    lab.data(0, 1, 1, &client);
    lab.data(1, 1, 1 + client.len() as u32, &server.concat());
    let seen = lab.finish();
    let matched = seen.args("signature_match");
    let ids: Vec<_> = matched.iter().map(|a| a["state"]["sig_id"].clone()).collect();
    assert_eq!(ids, ["one", "other"]);
}
