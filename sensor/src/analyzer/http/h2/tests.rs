//! Conversations in HTTP/2, made by hand: frames, and headers without HPACK's tables.

use super::super::memory::{MOST, Memory};
use super::super::tests::{Heard, Orig, OrigLost, Resp, RespLost, Run, fuid, gzip, talk};
use super::super::unpack::INFLATER;
use super::*;
use crate::event::Subscriptions;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const LAST: u8 = END_STREAM | END_HEADERS;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block: each header literally, without an index.
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in headers {
        out.push(0);
        for text in [name, value] {
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

fn headers(flags: u8, stream: u32, list: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags, stream, &block(list))
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    let list = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "h"),
    ];
    headers(LAST, stream, &list)
}

fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])
}

/// What a client begins with, and then these frames.
fn client(frames: &[Vec<u8>]) -> Vec<u8> {
    [PREFACE.to_vec(), settings(), frames.concat()].concat()
}

/// What a server begins with, and then these frames.
fn server(frames: &[Vec<u8>]) -> Vec<u8> {
    [settings(), frame(SETTINGS, 1, 0, &[]), frames.concat()].concat()
}

fn ok(stream: u32, body: &str) -> Vec<u8> {
    let len = body.len().to_string();
    let head = headers(
        END_HEADERS,
        stream,
        &[(":status", "200"), ("content-length", &len)],
    );
    [head, frame(DATA, END_STREAM, stream, body.as_bytes())].concat()
}

/// The weirds of a client that says this behind its settings.
fn weirds(frames: &[Vec<u8>]) -> Vec<String> {
    let h = talk(&[Orig(&client(frames)), Resp(&server(&[]))]);
    h.weirds().iter().map(|w| (*w).to_owned()).collect()
}

fn has(h: &Heard, line: &str) -> bool {
    h.said.iter().any(|l| l == line)
}

#[test]
fn a_request_and_its_reply_are_one_row() {
    let request = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/a%20b?c"),
        (":authority", "h:80"),
        ("referer", "r"),
        ("user-agent", "me"),
        ("origin", "o"),
        ("via", "2 x"),
        ("authorization", "Basic YTpi"),
    ];
    let c = client(&[headers(LAST, 1, &request)]);
    let s = server(&[ok(1, "hello")]);
    let h = talk(&[Orig(&c), Resp(&s)]);
    let row = "trans_depth=1 method=GET host=h:80 uri=/a b?c referrer=r version=2 user_agent=me origin=o \
        request_body_len=0 response_body_len=5 status_code=200 username=a password=b proxied=[VIA -> 2 x] \
        resp_fuids=[F0] resp_mime_types=[text/x]";
    assert_eq!(h.rows, [row.replace("F0", &fuid(0).to_string())]);
    assert_eq!(h.contents(), ["hello"]);
    assert_eq!(h.files[0].said, " size 5");
    assert!(h.files[0].over && h.weirds().is_empty());
    let expected = [
        "confirm",
        r#"http_request {"method":"GET","original_URI":"/a%20b?c","unescaped_URI":"/a b?c","version":"2"}"#,
        r#"http_begin_entity {"is_orig":true}"#,
        r#"http_header {"is_orig":true,"original_name":"host","name":"HOST","value":"h:80"}"#,
        r#"http_header {"is_orig":true,"original_name":"referer","name":"REFERER","value":"r"}"#,
    ];
    assert_eq!(h.said[..5], expected);
    let reply = r#"http_reply {"version":"2","code":200,"reason":"<empty>"}"#;
    let header = r#"http_header {"is_orig":false,"original_name":"content-length","name":"CONTENT-LENGTH","value":"5"}"#;
    let data = r#"http_entity_data {"is_orig":false,"length":5,"data":"68656c6c6f"}"#;
    let done = r#"http_message_done {"is_orig":false,"stat":{"start":7.000000,"interrupted":false,"finish_msg":"message ends normally","body_length":5,"content_gap_length":0,"header_length":15}}"#;
    let stats = r#"http_stats {"stats":{"num_requests":1,"num_replies":1,"request_version":2.000000,"reply_version":2.000000}}"#;
    for line in [reply, header, data, done, stats] {
        assert!(has(&h, line), "{line}: {:#?}", h.said);
    }
}

#[test]
fn streams_are_read_side_by_side() {
    let post = [
        (":method", "POST"),
        (":path", "/up"),
        (":authority", "h"),
        ("content-encoding", "gzip"),
    ];
    let packed = gzip(b"what is sent up");
    let (a, b) = packed.split_at(9);
    let text = block(&post);
    let (first, more) = text.split_at(11);
    let padded = [&[3, 0x80, 0, 0, 0, 7][..], first, &[0; 3]].concat();
    let c = client(&[
        // With a priority and padding, in two frames.
        frame(HEADERS, PADDED | PRIORITY, 1, &padded),
        frame(CONTINUATION, END_HEADERS, 1, more),
        get(3, "/down"),
        frame(DATA, 0, 1, a),
        frame(PING, 0, 0, &[0; 8]),
        frame(0x77, 0xff, 9, b"unknown"),
        frame(DATA, PADDED, 1, &[&[2], b, &[0; 2]].concat()),
        // Trailers end it.
        headers(LAST, 1, &[("host", "other"), ("x-sum", "1")]),
    ]);
    let s = server(&[
        headers(END_HEADERS, 1, &[(":status", "100")]),
        headers(END_HEADERS, 3, &[(":status", "200"), ("content-type", "a/b")]),
        frame(DATA, 0, 3, b"one "),
        headers(LAST, 1, &[(":status", "204"), ("server", "s")]),
        frame(DATA, 0, 3, b""),
        frame(DATA, PADDED, 3, b"\x04two0000"),
        headers(LAST, 3, &[("x-sum", "2")]),
    ]);
    let h = talk(&[Orig(&c), Resp(&s)]);
    let rows = [
        "trans_depth=1 method=POST host=h uri=/up version=2 request_body_len=15 response_body_len=0 status_code=204 \
         info_code=100 orig_fuids=[F0] orig_mime_types=[text/x]",
        "trans_depth=2 method=GET host=h uri=/down version=2 request_body_len=0 response_body_len=7 status_code=200 \
         resp_fuids=[F1] resp_mime_types=[text/x]",
    ];
    let named = |at: usize| rows[at].replace(&format!("F{at}"), &fuid(at).to_string());
    assert_eq!(h.rows, [named(0), named(1)]);
    assert_eq!(h.contents(), ["what is sent up", "one two"]);
    assert!(h.files.iter().all(|f| f.over && f.said.is_empty()));
    assert!(h.weirds().is_empty());
}

#[test]
fn a_promise_is_a_request() {
    let promised = block(&[(":method", "GET"), (":path", "/style"), (":authority", "h")]);
    let push = [&2u32.to_be_bytes()[..], &promised].concat();
    let s = server(&[
        frame(PUSH_PROMISE, END_HEADERS, 1, &push),
        ok(1, "page"),
        ok(2, "style"),
    ]);
    let h = talk(&[Orig(&client(&[get(1, "/")])), Resp(&s)]);
    assert!(h.rows[0].starts_with("trans_depth=1 method=GET host=h uri=/ version=2"));
    assert!(h.rows[1].starts_with("trans_depth=2 method=GET host=h uri=/style version=2"));
    assert_eq!(h.contents(), ["page", "style"]);
    // A client makes none.
    let promise = frame(PUSH_PROMISE, END_HEADERS, 1, &push);
    assert_eq!(weirds(&[promise]), ["HTTP2_bad_frame promise by a client"]);
}

#[test]
fn what_is_cut_off_has_its_row() {
    let c = client(&[get(1, "/a"), get(3, "/b"), get(5, "/c")]);
    let begun = headers(END_HEADERS, 1, &[(":status", "200"), ("content-length", "9")]);
    let reset = frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    let late = frame(DATA, END_STREAM, 1, b"late");
    let s = server(&[
        begun,
        frame(DATA, 0, 1, b"some"),
        reset,
        late,
        headers(END_HEADERS, 3, &[(":status", "200")]),
        frame(DATA, 0, 3, b"more"),
    ]);
    let h = talk(&[Orig(&c), Resp(&s)]);
    assert!(h.rows[0].contains("uri=/a") && h.rows[0].contains("response_body_len=4 status_code=200"));
    assert!(h.rows[1].contains("uri=/b") && h.rows[1].contains("response_body_len=4 status_code=200"));
    assert!(h.rows[2].contains("uri=/c") && !h.rows[2].contains("status_code"));
    assert_eq!(h.rows.len(), 3);
    assert_eq!(h.contents(), ["some", "more"]);
    assert!(h.files.iter().all(|f| f.over));
}

#[test]
fn parts_are_of_one_file() {
    let ask = |stream| {
        let list = [
            (":method", "GET"),
            (":path", "/f"),
            (":authority", "h"),
            ("range", "bytes=x"),
        ];
        headers(LAST, stream, &list)
    };
    let part = |stream, range: &str, body: &[u8]| {
        let list = [
            (":status", "206"),
            ("content-range", range),
            ("content-disposition", "x; filename=\"n\""),
        ];
        [
            headers(END_HEADERS, stream, &list),
            frame(DATA, END_STREAM, stream, body),
        ]
        .concat()
    };
    let s = server(&[part(1, "bytes 2-3/6", b"cd"), part(3, "bytes 4-5/6", b"ef")]);
    let h = talk(&[Orig(&client(&[ask(1), ask(3)])), Resp(&s)]);
    assert_eq!(h.contents(), ["cdef"]);
    assert_eq!(h.files[0].said, " size 6 at 2 size 6");
    assert!(!h.files[0].over && h.files[0].name == "n");
}

#[test]
fn a_server_may_begin() {
    // Its settings come before the client's preface, or in the middle of it.
    let c = client(&[get(1, "/")]);
    let s = server(&[]);
    for cut in 0..c.len() {
        let h = talk(&[Orig(&c[..cut]), Resp(&s), Orig(&c[cut..]), Resp(&ok(1, "x"))]);
        assert_eq!(h.rows.len(), 1, "cut at {cut}");
        assert!(h.rows[0].contains("version=2") && h.rows[0].contains("status_code=200"));
        assert!(h.weirds().is_empty() && has(&h, "confirm"));
    }
}

#[test]
fn what_is_not_the_whole_preface_is_http1() {
    let bad = |h: &Heard| h.said.iter().any(|l| l.starts_with("weird HTTP2"));
    let h = talk(&[Orig(b"PRI * HTTP/2.0\r\n\r\n"), Resp(b"HTTP/1.1 400 Bad\r\n\r\n")]);
    assert!(h.rows[0].contains("method=PRI host=") || h.rows[0].contains("method=PRI uri=*"));
    assert!(h.rows[0].contains("status_code=400") && !bad(&h));
    let h = talk(&[Orig(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX")]);
    assert!(h.rows[0].contains("method=PRI"));
    let h = talk(&[Orig(b"P"), Resp(b"H"), Orig(b"UT /a HTTP/1.1\r\n\r\n")]);
    assert!(h.rows[0].contains("method=PUT"));
    // The server speaks, but no HTTP/2.
    let h = talk(&[Resp(b"\0\0\x06\x04\0"), Orig(b"GET / HTTP/1.1\r\n\r\n")]);
    assert!(h.rows[0].contains("method=GET"));
    let long = [settings(), vec![0; MAX_EARLY]].concat();
    assert!(talk(&[Resp(&long), Orig(PREFACE)]).rows[0].contains("method=PRI"));
}

#[test]
fn what_turns_out_to_be_http1_is_read_as_it_came() {
    // The server's bytes came first, and wait as long as the client's may be the preface.
    let s = b"\0\0\0\x04\0\0\0\0\0Content-Disposition: x; filename=\"n\"\r\n";
    let c = b"PRI * HTTP/2.0\r\n\r\nGET /a%20b HTTP/1.1\r\n";
    let h = talk(&[Resp(s), Orig(c)]);
    let at = |what| h.said.iter().position(|l| l.contains(what)).unwrap();
    assert!(at("bad_HTTP_reply") < at("confirm"));
    // They come between two pieces of what the client asks.
    let h = talk(&[Orig(&c[..18]), Resp(s), Orig(&c[18..])]);
    let at = |what| h.said.iter().position(|l| l.contains(what)).unwrap();
    assert!(at("confirm") < at("bad_HTTP_reply"));
}

#[test]
fn http1_may_go_over_to_it() {
    let ask = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABk\r\n\r\n";
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let s = [&switch[..], &server(&[ok(1, "hello")])].concat();
    let h = talk(&[
        Orig(ask),
        Resp(&s),
        Orig(&client(&[get(3, "/b")])),
        Resp(&ok(3, "more")),
    ]);
    assert!(h.rows[0].starts_with(
        "trans_depth=1 method=GET host=h uri=/a version=2 request_body_len=0 response_body_len=5 status_code=200 \
         info_code=101 info_msg=Switching Protocols"
    ));
    assert!(h.rows[1].starts_with("trans_depth=2 method=GET host=h uri=/b version=2"));
    assert_eq!(h.rows.len(), 2);
    assert_eq!(h.contents(), ["hello", "more"]);
    assert!(has(&h, r#"http_connection_upgrade {"protocol":"h2c"}"#) && h.weirds().is_empty());
}

#[test]
fn gaps_in_bodies_are_gaps_of_files() {
    let c = client(&[get(1, "/a"), get(3, "/b")]);
    let head = headers(END_HEADERS, 1, &[(":status", "200"), ("content-length", "10")]);
    let data = frame(DATA, END_STREAM, 1, b"0123456789");
    let s = server(&[head, data[..9 + 4].to_vec()]);
    // The rest of the frame, or some of it.
    for rest in ["", "9"] {
        let lost = RespLost(6 - rest.len() as u64);
        let h = talk(&[
            Orig(&c),
            Resp(&s),
            lost,
            Resp(rest.as_bytes()),
            Resp(&ok(3, "more")),
        ]);
        assert!(h.rows[0].contains("response_body_len=10") && h.rows[1].contains("response_body_len=4"));
        assert_eq!(
            h.files[0].said,
            format!(" size 10 gap Some(4) {}", 6 - rest.len())
        );
    }
    // More than the frame: nothing behind it makes sense.
    let h = talk(&[Orig(&c), Resp(&s), RespLost(7), Resp(&ok(3, "more"))]);
    assert!(h.rows[0].contains("response_body_len=4") && !h.rows[1].contains("status_code"));
    assert!(h.weirds().is_empty());
    let h = talk(&[Orig(&c), OrigLost(1), Resp(&ok(1, "x"))]);
    assert_eq!(h.rows.len(), 2);
}

#[test]
fn frames_that_make_no_sense_end_reading() {
    let bad = |frames: &[Vec<u8>], why: &str| {
        assert_eq!(weirds(frames), [format!("HTTP2_bad_frame {why}")], "{frames:?}");
    };
    bad(&[frame(DATA, 0, 0, b"x")], "stream");
    bad(&[frame(HEADERS, 0, 0, b"x")], "stream");
    bad(&[frame(SETTINGS, 0, 1, &[])], "stream");
    bad(&[frame(SETTINGS, 0, 0, &[0; 5])], "size");
    bad(&[frame(PING, 0, 0, &[0; 7])], "size");
    bad(&[frame(RST_STREAM, 0, 1, &[0; 3])], "size");
    bad(&[frame(HEADERS, PADDED | PRIORITY, 1, &[0; 5])], "size");
    bad(&[frame(DATA, PADDED, 1, &[3, 0, 0])], "padding");
    bad(
        &[frame(CONTINUATION, END_HEADERS, 1, b"")],
        "continuation of nothing",
    );
    bad(
        &[
            frame(HEADERS, 0, 1, b""),
            frame(CONTINUATION, END_HEADERS, 3, b""),
        ],
        "between headers",
    );
    bad(
        &[frame(HEADERS, 0, 1, b""), frame(DATA, 0, 1, b"")],
        "between headers",
    );
    assert_eq!(
        weirds(&[frame(HEADERS, LAST, 1, b"\x80")]),
        ["HTTP2_bad_header_block"]
    );
    // Before anything made sense it is another protocol.
    let h = talk(&[Orig(&[PREFACE, &[1; 20]].concat())]);
    assert!(has(&h, "violation not HTTP/2") && !has(&h, "confirm"));
    // What was open has its row, and no more is wanted.
    let mut run = Run::new(Subscriptions::ALL);
    run.give(Orig(&client(&[get(1, "/")])));
    assert_eq!(run.http.interest(true), Interest::Everything);
    run.give(Resp(&server(&[frame(DATA, 0, 0, b"")])));
    assert_eq!(run.http.interest(true), Interest::Nothing);
    assert_eq!(run.http.interest(false), Interest::Nothing);
    run.give(Resp(&ok(1, "x")));
    assert_eq!(run.end().rows.len(), 1);
}

#[test]
fn memory_has_bounds() {
    let mut run = Run::new(Subscriptions::NONE);
    run.give(Orig(&client(&[])));
    for n in 0..MAX_STREAMS as u32 + 50 {
        run.give(Orig(&get(2 * n + 1, "/")));
    }
    assert_eq!(run.heard.rows.len(), 50);
    let depths = run.heard.rows.iter().zip(1..);
    assert!(
        depths
            .into_iter()
            .all(|(row, n)| row.starts_with(&format!("trans_depth={n} ")))
    );
    assert_eq!(run.end().weirds(), ["HTTP2_excessive_streams"]);
    // Headers without an end.
    let mut run = Run::new(Subscriptions::NONE);
    run.give(Orig(&client(&[frame(HEADERS, 0, 1, &[0; 1000])])));
    for _ in 0..300 {
        run.give(Orig(&frame(CONTINUATION, 0, 1, &[0; 1000])));
    }
    let h = run.end();
    assert_eq!(h.said[1..], ["gave up", "weird HTTP2_excessive_headers"]);
    // Long paths.
    let mut run = Run::new(Subscriptions::NONE);
    run.give(Orig(&client(&[])));
    let path = "x".repeat(60_000);
    let len = (path.len() - 127) as u32;
    let number = [
        127,
        0x80 | (len & 0x7f) as u8,
        0x80 | (len >> 7 & 0x7f) as u8,
        (len >> 14) as u8,
    ];
    for n in 0..200 {
        let literal = [&[4][..], &number, path.as_bytes()].concat();
        run.give(Orig(&frame(HEADERS, LAST, 2 * n + 1, &literal)));
    }
    assert!(run.heard.rows.len() > 50, "{}", run.heard.rows.len());
    assert_eq!(run.end().rows.len(), 200);
}

#[test]
fn tunnels_are_no_files() {
    let list = [(":method", "CONNECT"), (":authority", "h:1")];
    let c = client(&[headers(END_HEADERS, 1, &list), frame(DATA, END_STREAM, 1, b"up")]);
    let s = server(&[
        headers(END_HEADERS, 1, &[(":status", "200")]),
        frame(DATA, END_STREAM, 1, b"down"),
    ]);
    let h = talk(&[Orig(&c), Resp(&s)]);
    assert!(h.rows[0].contains("method=CONNECT host=h:1 uri=h:1 version=2 request_body_len=0"));
    assert!(h.files.is_empty());
}

#[test]
fn a_reply_may_be_seen_first() {
    let h = talk(&[
        Orig(&client(&[])),
        Resp(&server(&[ok(3, "x")])),
        Orig(&[get(1, "/a"), get(3, "/b")].concat()),
        Resp(&ok(1, "y")),
    ]);
    assert!(h.rows[0].contains("uri=/b") && h.rows[0].contains("status_code=200"));
    assert!(h.rows[1].contains("uri=/a") && h.rows[1].contains("status_code=200"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1000))]
    #[test]
    fn any_frames_are_read_alike_however_they_are_cut(
        frames in proptest::collection::vec((proptest::bool::ANY, 0u8..10, 0u8..64, 0u32..6, 0usize..6), 0..30),
        cut in 1usize..20,
    ) {
        let payloads = [
            block(&[(":method", "POST"), (":path", "/"), ("content-length", "3")]),
            block(&[(":status", "200")]),
            block(&[(":status", "100"), ("x", "y")]),
            vec![2, b'a', b'b', b'c'],
            vec![0; 6],
            vec![0, 0, 0, 2],
        ];
        let mut turns: Vec<(bool, Vec<u8>)> = vec![(true, client(&[])), (false, server(&[]))];
        for (is_orig, kind, flags, stream, payload) in frames {
            turns.push((is_orig, frame(kind, flags, stream, &payloads[payload])));
        }
        let hear = |size: usize| {
            let mut run = Run::new(Subscriptions::ALL);
            for (is_orig, bytes) in &turns {
                for piece in bytes.chunks(size) {
                    run.give(if *is_orig { Orig(piece) } else { Resp(piece) });
                }
            }
            run.end().whole()
        };
        proptest::prop_assert_eq!(hear(usize::MAX), hear(cut));
    }
}

#[test]
fn what_there_is_no_memory_for_is_not_decompressed() {
    let memory = Memory::default();
    let other = memory.take(MOST - INFLATER, MOST);
    let mut run = Run::with_memory(Subscriptions::NONE, memory.clone());
    run.give(Orig(&client(&[get(1, "/a"), get(3, "/b"), get(5, "/c")])));
    let packed = gzip(b"text");
    let head = |stream| {
        let list = [(":status", "200"), ("content-encoding", "gzip")];
        headers(END_HEADERS, stream, &list)
    };
    let begun = |stream| [head(stream), frame(DATA, 0, stream, &packed[..12])].concat();
    // Three bodies are under way, of which one is read.
    run.give(Resp(&server(&[begun(1), begun(3), begun(5)])));
    assert_eq!(memory.taken(), MOST);
    run.give(Resp(&frame(DATA, END_STREAM, 3, &packed[12..])));
    run.give(Resp(&frame(RST_STREAM, 0, 1, &[0; 4])));
    assert_eq!(memory.taken(), MOST - INFLATER);
    drop(other);
    let h = run.end();
    assert_eq!(h.weirds(), ["exceeded_http_decompression_memory"]);
    assert!(h.contents().contains(&packed.escape_ascii().to_string()));
    assert_eq!(memory.taken(), 0);
}
