//! Bodies: how long they are, what they are written in, what parts they have, and what of them is missing.

use super::super::memory::MOST;
use super::super::unpack::INFLATER;
use super::*;

/// What is heard when a reply with these headers and this body answers a request.
fn answer(headers: &str, body: &[u8]) -> Heard {
    talk(&[Orig(GET), Resp(&reply(headers, body))])
}

/// The lengths in a row.
fn lengths(h: &Heard) -> Vec<String> {
    let names = ["request_body_len", "response_body_len"];
    h.rows.iter().map(|r| super::pairs::column(r, &names)).collect()
}

#[test]
fn a_body_ends_where_its_length_says() {
    let h = answer("content-length:3\n", b"abcHTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(h.contents(), ["abc"]);
    // The last length counts; what is none is no body.
    for (headers, body) in [
        ("Content-Length: 9\r\nContent-Length: 2\r\n", "ab"),
        ("Content-Length: x\r\n", ""),
        ("Content-Length: -5\r\n", ""),
        ("Content-Length: 99999999999999999999\r\n", ""),
    ] {
        let h = answer(headers, b"abcd");
        assert_eq!(h.contents().concat(), body, "{headers}");
        let bad = h
            .weirds()
            .iter()
            .any(|w| w.starts_with("HTTP_bad_content_length"));
        assert_eq!(bad, body.is_empty(), "{headers}");
    }
    let h = answer("Content-Length: 9223372036854775807\r\n", b"abc");
    assert_eq!(
        (h.contents().concat(), h.files[0].said.as_str()),
        ("abc".into(), " size 9223372036854775807")
    );
    assert_eq!(
        answer("Content-Length: 003\r\n", b"abc").weirds(),
        ["HTTP_content_length_leading_zeros 003"]
    );
}

#[test]
fn a_body_without_a_length_goes_on_to_the_end() {
    // As lines; ends of them count for two, as in Zeek.
    let h = talk(&[Orig(GET), Resp(b"HTTP/1.1 200 OK\r\n\r\na\nbc\r\nd"), RespEnd]);
    assert_eq!(
        (h.contents().concat(), lengths(&h)),
        ("a\\r\\nbc\\r\\nd\\r\\n".into(), vec!["0 10".to_owned()])
    );
    // As it is, if the server said that it would close.
    let h = talk(&[
        Orig(GET),
        Resp(&reply("Connection: close\r\n", b"a\nbc\r\nd")),
        RespEnd,
    ]);
    assert_eq!(
        (h.contents().concat(), lengths(&h)),
        ("a\\nbc\\r\\nd".into(), vec!["0 7".to_owned()])
    );
    // A request without a length has no body.
    assert_eq!(
        talk(&[Orig(b"POST / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")])
            .rows
            .len(),
        2
    );
}

#[test]
fn chunks_are_put_together() {
    let headers = "Transfer-Encoding: chunked\r\n";
    let h = answer(
        headers,
        b"3\r\nabc\r\n0a ; x\r\n0123456789\r\n0\r\nT: x\r\n\r\nHTTP/1.1 204 n\r\n\r\n",
    );
    assert_eq!(h.contents(), ["abc0123456789"]);
    assert_eq!(h.rows.len(), 2);
    // Who lies about a chunk's size is not believed.
    let h = answer(headers, b"3\r\nabcd\r\n0\r\n\r\n");
    assert!(h.events().iter().any(|e| e.contains("inaccurate chunk size")));
    assert_eq!(
        answer(headers, b"xyz\r\n\r\n").weirds(),
        ["HTTP_bad_chunk_size xyz"]
    );
    assert_eq!(answer(headers, b"-3\r\n\r\n").weirds(), [""; 0]);
    assert_eq!(
        answer(headers, b"fffffffffffffffff\r\n\r\n").weirds(),
        ["HTTP_bad_chunk_size fffffffffffffffff"]
    );
    // Only HTTP/1.1 has them.
    let h = talk(&[
        Orig(b"GET / HTTP/1.0\r\n\r\n"),
        Resp(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"),
    ]);
    assert_eq!(h.contents(), ["1\\r\\na\\r\\n"]);
}

#[test]
fn what_may_hide_a_request_is_odd() {
    let cases = [
        (
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "HTTP_content_length_and_chunked",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "HTTP_content_length_and_chunked",
        ),
        (
            "Transfer-Encoding: chunked, identity\r\n",
            "HTTP_chunked_multi , identity",
        ),
        (
            "Transfer-Encoding:\r\n chunked\r\n",
            "HTTP_obsolete_line_folding Transfer-Encoding",
        ),
        (
            "Expect: x\r\nTransfer-Encoding: chunked\r\n",
            "HTTP_expect_not_100_continue x",
        ),
    ];
    for (headers, weird) in cases {
        let request = format!("POST / HTTP/1.1\r\n{headers}\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n");
        let h = talk(&[Orig(request.as_bytes())]);
        assert_eq!(h.weirds(), [weird]);
        assert_eq!(h.rows.len(), 2, "{headers}");
    }
    let h = talk(&[Orig(
        b"PUT / HTTP/1.1\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
    )]);
    assert_eq!(h.weirds(), ["HTTP_content_length_0_and_expect_100_cont"]);
}

#[test]
fn compressed_bodies_are_decompressed() {
    let text = b"a text, a text, a text".repeat(400);
    let zlib = {
        let mut z = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        z.write_all(&text).unwrap();
        z.finish().unwrap()
    };
    // Some servers leave the header out.
    let raw = &zlib[2..];
    for (coding, body) in [
        ("gzip", &gzip(&text)[..]),
        ("x-gzip", &gzip(&text)),
        ("deflate", &zlib),
        ("DEFLATE", raw),
    ] {
        let length = format!("Content-Encoding: {coding}\r\nContent-Length: {}\r\n", body.len());
        let h = answer(&length, body);
        assert_eq!(h.files[0].bytes, text, "{coding}");
        assert_eq!(
            (h.files[0].said.as_str(), lengths(&h)),
            ("", vec![format!("0 {}", text.len())])
        );
        let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
        let h = hear(&[
            Orig(GET),
            Resp(&reply(
                &format!("Content-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n"),
                &chunked,
            )),
        ]);
        assert_eq!(h.files[0].bytes, text, "{coding}");
    }
}

#[test]
fn what_is_no_gzip_is_odd_and_the_rest_goes_on() {
    let h = answer(
        "Content-Encoding: gzip\r\nContent-Length: 9\r\n",
        b"\xff\xffno gzip",
    );
    assert_eq!(h.weirds(), ["inflate_failed"]);
    assert_eq!((h.rows.len(), h.files.len()), (1, 0));
    // What follows the compressed data is not looked at.
    let mut body = gzip(b"text");
    body.extend(b"trailing");
    let h = answer(
        &format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", body.len()),
        &body,
    );
    assert_eq!((h.contents(), h.weirds().len()), (vec!["text".to_owned()], 0));
}

#[test]
fn a_bomb_is_not_blown_up() {
    let bomb = gzip(&vec![0; 6 << 20]);
    let headers = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", bomb.len());
    let mut run = Run::new(Subscriptions::NONE);
    run.give(Orig(GET));
    run.give(Resp(&reply(&headers, &bomb)));
    run.give(Resp(b"HTTP/1.1 204 x\r\n\r\n"));
    let h = run.end();
    assert_eq!(h.weirds(), ["exceeded_http_decompression_ratio"]);
    assert!(h.files[0].bytes.len() <= 4 << 20);
    assert_eq!(h.rows.len(), 2);
}

/// A reply whose body is in gzip, and only some of it has come.
fn begun(path: &str) -> Vec<u8> {
    let body = gzip(path.as_bytes());
    let headers = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", body.len());
    reply(&headers, &body[..body.len() - 4])
}

#[test]
fn bodies_of_all_connections_share_their_memory() {
    let memory = Memory::default();
    let other = memory.take(MOST - INFLATER, MOST).unwrap();
    let mut first = Run::with_memory(Subscriptions::NONE, memory.clone());
    first.give(Orig(GET));
    first.give(Resp(&begun("one")));
    assert_eq!(memory.taken(), MOST);
    // There is none left for another connection's bodies: they are taken for what they are, which is told once.
    let body = gzip(b"two");
    let headers = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", body.len());
    let mut second = Run::with_memory(Subscriptions::NONE, memory.clone());
    for _ in 0..2 {
        second.give(Orig(GET));
        second.give(Resp(&reply(&headers, &body)));
    }
    assert_eq!(second.heard.weirds(), ["exceeded_http_decompression_memory"]);
    assert_eq!(
        second.heard.contents(),
        [body.escape_ascii().to_string(), body.escape_ascii().to_string()]
    );
    assert_eq!(
        lengths(&second.heard),
        [format!("0 {}", body.len()), format!("0 {}", body.len())]
    );
    // The first one's body ends, and the next one has its memory.
    first.give(Resp(&gzip(b"one")[gzip(b"one").len() - 4..]));
    assert_eq!(
        (memory.taken(), first.heard.contents()),
        (MOST - INFLATER, vec!["one".into()])
    );
    second.give(Orig(GET));
    second.give(Resp(&reply(&headers, &body)));
    assert_eq!(second.heard.contents()[2], "two");
    assert_eq!(second.heard.weirds().len(), 1);
    // What is under way goes with its connection.
    second.give(Orig(GET));
    second.give(Resp(&begun("three")));
    assert_eq!(memory.taken(), MOST);
    drop((second.end(), other));
    assert_eq!(memory.taken(), 0);
}

#[test]
fn a_body_that_cannot_be_decompressed_takes_no_memory() {
    let memory = Memory::default();
    let mut run = Run::with_memory(Subscriptions::NONE, memory.clone());
    run.give(Orig(GET));
    run.give(Resp(&reply(
        "Content-Encoding: gzip\r\nContent-Length: 99\r\n",
        b"\xff\xffno gzip",
    )));
    assert_eq!((run.heard.weirds(), memory.taken()), (vec!["inflate_failed"], 0));
    // Nor does one behind whose end other bytes come.
    let mut run = Run::with_memory(Subscriptions::NONE, memory.clone());
    run.give(Orig(GET));
    run.give(Resp(&reply(
        "Content-Encoding: gzip\r\nContent-Length: 99\r\n",
        &gzip(b"a text"),
    )));
    assert_eq!(
        (run.heard.contents(), memory.taken()),
        (vec!["a text".to_owned()], 0)
    );
}

const PARTS: &[u8] = b"prologue\r\n--b\r\nContent-Disposition: form-data; name=\"x\"; filename=\"a%20b.txt\"\r\n\r\none\r\ntwo\r\n\
    --b\r\nContent-Type: text/x; name=c\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n--b\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc =\r\n\r\n--b--\r\n";

#[test]
fn parts_of_a_body_are_files_with_names() {
    let headers = format!(
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n",
        PARTS.len()
    );
    let request = [
        b"POST / HTTP/1.1\r\n",
        headers.as_bytes(),
        b"\r\n",
        PARTS,
        b"GET / HTTP/1.1\r\n\r\n",
    ]
    .concat();
    let h = talk(&[Orig(&request)]);
    assert_eq!(h.contents(), ["one\\r\\ntwo", "hello", "a=bc \\r\\n"]);
    assert!(h.files.iter().all(|f| f.over && f.said.is_empty()));
    let names: Vec<_> = h.files.iter().map(|f| &*f.name).collect();
    assert_eq!(names, ["a b.txt", "c", ""]);
    assert_eq!(
        super::pairs::column(&h.rows[0], &["orig_filenames", "orig_mime_types"]),
        "[a b.txt,c] [text/x,text/x,text/x]"
    );
    assert_eq!(lengths(&h), [format!("{} 0", PARTS.len()), "0 0".into()]);
}

#[test]
fn parts_that_end_without_a_line_end_are_ended() {
    let body = b"--b\r\n\r\nx\r\n--b--";
    let headers = format!(
        "Content-Type: multipart/x; boundary=\"b\"\r\nContent-Length: {}\r\n",
        body.len()
    );
    let request = [
        b"POST /1 HTTP/1.1\r\n",
        headers.as_bytes(),
        b"\r\n",
        body,
        b"GET /2 HTTP/1.1\r\n\r\n",
    ]
    .concat();
    let h = talk(&[Orig(&request)]);
    assert_eq!(h.weirds(), ["line_terminated_without_CRLF"]);
    assert_eq!((h.contents(), h.rows.len()), (vec!["x".to_owned()], 2));
    // The same without the closing delimiter.
    let headers = "Content-Type: multipart/x; boundary=b\r\nContent-Length: 11\r\n";
    let request = [
        b"POST /1 HTTP/1.1\r\n",
        headers.as_bytes(),
        b"\r\n--b\r\n\r\nx\r\nyGET /2 HTTP/1.1\r\n\r\n",
    ]
    .concat();
    let h = talk(&[Orig(&request)]);
    assert!(
        h.events()
            .iter()
            .any(|e| e.contains("closing boundary delimiter missing"))
    );
    assert_eq!(h.rows.len(), 2);
}

#[test]
fn parts_may_have_parts() {
    let body =
        b"--a\r\nContent-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--\r\n\
        --a\r\nContent-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\n3\r\n--a--\r\n";
    let request = [
        &b"POST / HTTP/1.1\r\nContent-Type: multipart/x; boundary=a\r\n\r\n"[..],
        body,
    ]
    .concat();
    let h = talk(&[Orig(&request)]);
    assert_eq!(h.contents(), ["1", "2", "3\\r\\n"]);
    assert!(h.said.iter().any(|l| l.contains("\"original_name\":\"Subject\"")));
    let begun = h
        .said
        .iter()
        .filter(|l| l.starts_with("http_begin_entity"))
        .count();
    let ended = h.said.iter().filter(|l| l.starts_with("http_end_entity")).count();
    assert_eq!((begun, ended), (6, 6));
}

#[test]
fn nesting_has_an_end() {
    let mut body = Vec::new();
    for _ in 0..300 {
        body.extend_from_slice(b"--a\r\nContent-Type: multipart/x; boundary=a\r\n\r\n");
    }
    // Each is the next one's part: the first of all sees the boundary first.
    let mut deep = Vec::new();
    for n in 0..300 {
        deep.extend_from_slice(
            format!("--{n}\r\nContent-Type: multipart/x; boundary={}\r\n\r\n", n + 1).as_bytes(),
        );
    }
    for (body, odd) in [(body, false), (deep, true)] {
        let mut run = Run::new(Subscriptions::NONE);
        let boundary = if odd { "0" } else { "a" };
        run.give(Orig(
            format!("POST / HTTP/1.1\r\nContent-Type: multipart/x; boundary={boundary}\r\n\r\n").as_bytes(),
        ));
        run.give(Orig(&body));
        let h = run.end();
        assert_eq!(h.weirds().contains(&"exceeded_mime_max_depth 100"), odd);
        assert_eq!(h.rows.len(), 1);
    }
}

#[test]
fn a_row_names_no_more_than_fifteen_files() {
    let part = b"--a\r\n\r\nx\r\n".repeat(20);
    let request = [
        &b"POST / HTTP/1.1\r\nContent-Type: multipart/x; boundary=a\r\n\r\n"[..],
        &part,
        b"--a--\r\n",
    ]
    .concat();
    let h = hear(&[Orig(&request)]);
    assert_eq!(h.files.len(), 20);
    let list = super::pairs::column(&h.rows[0], &["orig_fuids"]);
    assert_eq!(list.split(',').count(), 15);
}

#[test]
fn a_range_is_a_part_of_a_file() {
    let get = b"GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=5-9\r\n\r\n";
    let part = |range: &str, length: usize, body: &[u8]| {
        let headers =
            format!("HTTP/1.1 206 Part\r\nContent-Range: {range}\r\nContent-Length: {length}\r\n\r\n");
        [headers.as_bytes(), body].concat()
    };
    let h = talk(&[Orig(get), Resp(&part("bytes 5-9/100", 5, b"fghij"))]);
    assert_eq!(
        (h.contents(), h.files[0].said.as_str()),
        (vec!["fghij".to_owned()], " size 100 at 5")
    );
    // Another part may follow, on whatever connection.
    assert!(!h.files[0].over);
    let h = talk(&[
        Orig(get),
        Resp(&part("bytes 5-9/100", 5, b"fghij")),
        Orig(get),
        Resp(&part("bytes 10-11/*", 2, b"kl")),
    ]);
    assert_eq!(h.contents(), ["fghijkl"]);
    let weird = |range: &str, length| {
        let h = talk(&[Orig(get), Resp(&part(range, length, b"fghij"))]);
        h.weirds().join(",")
    };
    assert_eq!(weird("bytes 5-9/100", 3), "HTTP_range_not_matching_len");
    assert_eq!(weird("lines 5-9/100", 5), "HTTP_content_range_unknown_byte_unit");
    assert_eq!(weird("bytes 5-9", 5), "HTTP_content_range_cannot_parse");
    assert_eq!(weird("bytes x-9/1", 5), "HTTP_content_range_cannot_parse x-9/1");
    assert_eq!(weird("bytes 9-5/10", 5), "HTTP_non_positive_content_range 9-5/10");
    assert_eq!(weird("bytes 5--9/10", 5), "HTTP_content_range_invalid 5--9/10");
    assert_eq!(
        weird("bytes 0-9223372036854775807/10", 5),
        "HTTP_content_range_overflow 0-9223372036854775807/10"
    );
    assert_eq!(
        weird("bytes 5-9/x", 5),
        "HTTP_content_range_invalid_instance 5-9/x"
    );
    // The ranges of one reply are parts with a range each.
    let body = b"--b\r\nContent-Range: bytes 0-1/9\r\n\r\nab\r\n--b\r\nContent-Range: bytes 4-5/9\r\n\r\nef\r\n--b--\r\n";
    let headers = format!(
        "HTTP/1.1 206 Part\r\nContent-Type: multipart/byteranges; boundary=b\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let h = talk(&[Orig(get), Resp(&[headers.as_bytes(), body].concat())]);
    assert_eq!(h.contents(), ["abef"]);
}

#[test]
fn a_gap_in_a_body_is_a_gap_in_its_file() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab";
    let h = talk(&[
        Orig(GET),
        Resp(head),
        RespLost(5),
        Resp(b"hij"),
        Orig(GET),
        Resp(b"HTTP/1.1 204 n\r\n\r\n"),
    ]);
    assert_eq!(
        (h.contents(), h.files[0].said.as_str()),
        (vec!["abhij".to_owned()], " size 10 gap Some(2) 5")
    );
    assert_eq!(
        (lengths(&h), h.files[0].over),
        (vec!["0 10".to_owned(), "0 0".into()], true)
    );
    assert_eq!(
        h.events(),
        [r#"{"event_type":"content gap","detail":"seq=42, len=5"}"#]
    );
    // To its very end.
    let h = talk(&[
        Orig(GET),
        Resp(head),
        RespLost(8),
        Resp(b"HTTP/1.1 204 n\r\n\r\n"),
    ]);
    assert_eq!(h.rows.len(), 2);
    // And in a chunk.
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
    let h = talk(&[
        Orig(GET),
        Resp(head),
        RespLost(3),
        Resp(b"\r\n1\r\nc\r\n0\r\n\r\n"),
    ]);
    assert_eq!(
        (h.contents(), lengths(&h)),
        (vec!["abc".to_owned()], vec!["0 6".to_owned()])
    );
}

#[test]
fn behind_any_other_gap_nothing_is_read() {
    let more = reply("Content-Length: 1\r\n", b"x");
    for lost in [9, 1000] {
        // Longer than the body; in a body without a length.
        for headers in ["Content-Length: 8\r\n", ""] {
            let h = talk(&[
                Orig(GET),
                Resp(&reply(headers, b"ab\r\n")),
                RespLost(lost),
                Resp(&more),
            ]);
            assert_eq!(h.rows.len(), 1);
            assert!(
                h.said
                    .iter()
                    .any(|l| l.contains("message interrupted by a content gap"))
            );
        }
    }
    // In a head.
    let h = talk(&[
        Orig(GET),
        Resp(b"HTTP/1.1 200 OK\r\nX: "),
        RespLost(9),
        Resp(&more),
    ]);
    assert_eq!((h.rows.len(), h.files.len()), (1, 0));
    // Of a request: its reply is read, as long as it was not being read.
    let mut run = Run::new(Subscriptions::NONE);
    run.give(Orig(b"GET / HT"));
    run.give(OrigLost(3));
    assert_eq!(run.http.interest(true), Interest::Nothing);
    run.give(Resp(&more));
    assert_eq!(run.end().rows.len(), 1);
}

#[test]
fn bodies_that_nobody_reads_may_be_passed_over() {
    let mut run = Run::new(Subscriptions::NONE);
    run.heard.unread = true;
    run.give(Orig(GET));
    run.give(Resp(&reply("Content-Length: 1000\r\n", b"")));
    // The file is to be looked at first.
    assert_eq!(run.http.analyzer.skippable(false), 0);
    run.give(Resp(b"abc"));
    let http = &run.http.analyzer;
    assert_eq!((http.skippable(false), http.skippable(true)), (997, 0));
    run.with(|http, ctx| http.skip(false, 990, ctx));
    assert_eq!(run.http.analyzer.skippable(false), 7);
    run.give(Resp(b"1234567"));
    assert_eq!(lengths(&run.heard), ["0 1000"]);
    assert_eq!(run.heard.files[0].said, " size 1000 unseen None 990");
    // Who wants bodies reads them.
    let mut all = Run::new(Subscriptions::ALL);
    all.heard.unread = true;
    all.give(Orig(GET));
    all.give(Resp(&reply("Content-Length: 1000\r\n", b"abc")));
    assert_eq!(all.http.analyzer.skippable(false), 0);
    // To its end, and in chunks.
    run.give(Orig(GET));
    run.give(Resp(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nab",
    ));
    assert_eq!(run.http.analyzer.skippable(false), 14);
    run.with(|http, ctx| http.skip(false, 14, ctx));
    assert_eq!(run.http.analyzer.skippable(false), 0);
    run.give(Resp(b"\r\n2\r\ncd\r\n0\r\n\r\n"));
    run.give(Orig(GET));
    run.give(Resp(&reply("Content-Length: 3\r\n", b"a")));
    run.with(|http, ctx| http.skip(false, 2, ctx));
    assert_eq!(lengths(&run.heard), ["0 1000", "0 18", "0 3"]);
}

#[test]
fn what_is_to_be_decoded_is_not_passed_over() {
    for headers in [
        "Content-Encoding: gzip\r\nContent-Length: 1000\r\n",
        "Content-Type: multipart/x; boundary=b\r\nContent-Length: 1000\r\n",
        "Content-Transfer-Encoding: base64\r\nContent-Length: 1000\r\n",
    ] {
        let mut run = Run::new(Subscriptions::NONE);
        run.heard.unread = true;
        run.give(Orig(GET));
        run.give(Resp(&reply(headers, &gzip(b"abc")[..15])));
        assert_eq!(run.http.analyzer.skippable(false), 0, "{headers}");
    }
}
