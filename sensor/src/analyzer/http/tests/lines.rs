//! First lines and headers, as they are not meant to be.

use super::*;

fn weirds(line: &str) -> String {
    let request = format!("{line}\r\n\r\n");
    talk(&[Orig(request.as_bytes())]).weirds().join(",")
}

fn uri(line: &str) -> String {
    let request = format!("{line}\r\n\r\n");
    let h = talk(&[Orig(request.as_bytes())]);
    super::pairs::column(&h.rows[0], &["uri"])
}

#[test]
fn request_lines_are_read_kindly() {
    assert_eq!(uri("GET  /a\tHTTP/1.1"), "/a");
    assert_eq!(uri("GET /a b c HTTP/1.1"), "/a b c");
    assert_eq!(uri("GET http://h/a HTTP/1.1 crud"), "http://h/a");
    // Without a version the last byte goes, as in Zeek, if blanks are in it.
    assert_eq!(uri("GET /a b"), "/a");
    assert_eq!(uri("GET /HTTP/1.1 HTTP/1.0"), "/HTTP/1.1");
    assert_eq!(weirds("GET HTTP/1.1"), "missing_HTTP_uri");
    assert_eq!(weirds("GET / http/1.1"), "lowercase_HTTP_keyword");
    assert_eq!(weirds("get / HTTP/1.1"), "unknown_HTTP_method get");
    assert_eq!(weirds("\"x\" / HTTP/1.1"), "bad_HTTP_request_with_version");
    assert_eq!(weirds("GET"), "bad_HTTP_request");
    let h = talk(&[Orig(
        b"GET / HTTP/1.1 crud\r\n\r\nGET / HTTP/x\r\n\r\nGET / HTTP/x.yy\r\n\r\n",
    )]);
    assert!(h.events()[0].contains("crud after HTTP version is ignored"));
    assert!(h.events()[1].contains("bad_HTTP_version") && h.events()[2].contains("bad_HTTP_version"));
    assert_eq!(h.rows.len(), 3);
}

#[test]
fn uris_are_decoded() {
    let cases = [
        ("/%41%zz", "/A%zz", "unescaped_%_in_URI"),
        ("/a%", "/a%", "illegal_%_at_end_of_URI"),
        ("/a%4", "/a%4", "partial_escape_at_end_of_URI"),
        ("/%%41", "/A", "double_%_in_URI"),
        ("/%u0041%u4142x", "/AABx", ""),
        ("/%00", "/\\x00", ""),
    ];
    for (sent, decoded, weird) in cases {
        let line = format!("GET {sent} HTTP/1.1");
        assert_eq!((uri(&line).as_str(), weirds(&line).as_str()), (decoded, weird));
    }
}

#[test]
fn versions_may_change() {
    let h = talk(&[Orig(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.0\r\n\r\n")]);
    assert_eq!(h.weirds(), ["HTTP_version_mismatch"]);
    let h = talk(&[Orig(b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n")]);
    assert_eq!(h.weirds(), ["unexpected_multiple_HTTP_requests"]);
}

#[test]
fn what_is_no_request_is_a_violation() {
    let h = talk(&[Orig(b"GET / HTTP/1.1\r\n\r\n\r\n@@@\r\nGET / HTTP/1.1\r\n\r\n")]);
    let [a, b, c, d] = &h.said[h.said.len() - 5..h.said.len() - 1] else {
        panic!()
    };
    assert_eq!(
        [a, b, c, d],
        [
            "weird bad_HTTP_request",
            "weird empty_http_request",
            "weird bad_HTTP_request",
            "violation not a http request line",
        ]
    );
    assert_eq!(h.rows.len(), 1);
    // Behind the last request, anything may come.
    let h = talk(&[Orig(b"GET / HTTP/1.0\r\n\r\n\r\n@@@\r\n")]);
    assert!(!h.said.iter().any(|l| l.starts_with("violation")));
    assert_eq!(h.events().len(), 2);
}

#[test]
fn what_is_no_reply_is_a_violation() {
    for (line, why) in [
        ("<html>", "bad_HTTP_reply"),
        ("HTTP/1.1", "HTTP_reply_code_missing"),
        ("HTTP/1.1 20", "HTTP_reply_code_missing"),
    ] {
        let line = format!("\r\n{line}\r\nHTTP/1.1 200 OK\r\n\r\n");
        let h = talk(&[Orig(GET), Resp(line.as_bytes())]);
        assert!(
            h.said.contains(&"violation not a http reply line".to_owned()),
            "{line}"
        );
        assert!(h.events().iter().any(|e| e.contains(why)), "{line}");
        assert_eq!(h.rows.len(), 1);
    }
    let h = talk(&[Orig(GET), Resp(b"http/1.1 abc\r\n\r\n"), RespEnd]);
    assert_eq!(h.weirds(), ["lowercase_HTTP_keyword"]);
    assert_eq!(
        super::pairs::column(&h.rows[0], &["status_code", "status_msg"]),
        "0 <empty>"
    );
    let h = talk(&[Orig(GET), Resp(b"HTTP/1.1 404\t Not  here \r\n\r\n"), RespEnd]);
    assert_eq!(
        super::pairs::column(&h.rows[0], &["status_code", "status_msg"]),
        "404 Not  here "
    );
}

#[test]
fn headers_may_go_on_and_end_in_any_way() {
    let h = talk(&[Orig(b"GET / HTTP/1.1\nHost: a\n b\r\nX\r\n: y\rUser-Agent (c (d)\\)) : z\r\n\0rest\r\nGET /2 HTTP/1.1\r\n\r\n")]);
    assert_eq!(super::pairs::column(&h.rows[0], &["host", "user_agent"]), "a b z");
    assert_eq!(
        h.weirds(),
        [
            "HTTP_obsolete_line_folding Host",
            "line_terminated_with_single_CR"
        ]
    );
    assert_eq!(h.rows.len(), 2);
    // A CR alone is told once.
    let h = talk(&[
        Orig(b"GET / HTTP/1.1\rA: b\rC: d\r\r"),
        Resp(b"HTTP/1.1 200 OK\rA: b\r\r"),
    ]);
    assert_eq!(h.weirds(), ["line_terminated_with_single_CR"]);
    let h = talk(&[Orig(b"GET / HTTP/1.1\r\n first\r\n\r\n")]);
    assert!(h.events()[0].contains("first header line starts with linear whitespace"));
}

#[test]
fn lines_and_headers_without_an_end_are_kept_short() {
    let mut run = Run::new(Subscriptions::NONE);
    run.give(Orig(b"GET /"));
    let long = vec![b'x'; 1 << 20];
    for _ in 0..15 {
        run.give(Orig(&long));
    }
    assert_eq!(run.heard.weirds(), [""; 0]);
    for _ in 0..15 {
        run.give(Orig(&long));
    }
    run.give(Orig(b" HTTP/1.1\r\nHost: "));
    assert_eq!(run.heard.weirds(), ["contentline_size_exceeded"]);
    for _ in 0..20 {
        run.give(Orig(&[b'y'; 10_000]));
        run.give(Orig(b"\r\n "));
    }
    run.give(Orig(b"\r\n\r\n"));
    let h = run.end();
    assert!(
        h.weirds()
            .iter()
            .any(|w| w.starts_with("exceeded_mime_max_header_bytes"))
    );
    assert!(h.said.contains(&"gave up".to_owned()));
    assert!(h.rows[0].len() < 150_000);
}

#[test]
fn lines_of_a_body_may_be_as_long_as_they_like() {
    let long = vec![b'x'; 200_000];
    let mut run = Run::new(Subscriptions::NONE);
    run.give(Orig(GET));
    run.give(Resp(b"HTTP/1.1 200 OK\r\n\r\n"));
    long.chunks(1460).for_each(|piece| run.give(Resp(piece)));
    run.give(Resp(b"\r\nend\r\n"));
    run.give(RespEnd);
    let h = run.end();
    assert_eq!(h.files[0].bytes, [&long[..], b"\r\nend\r\n"].concat());
    // Also in a part, whose delimiters are found behind them and not in them.
    let mut run = Run::new(Subscriptions::NONE);
    run.give(Orig(
        b"POST / HTTP/1.1\r\nContent-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\n",
    ));
    let body = [&long[..65_536], b"--b", &long[..], b"\r\n--b--\r\n"].concat();
    body.chunks(65_536).for_each(|piece| run.give(Orig(piece)));
    let h = run.end();
    assert_eq!(h.files[0].bytes, [&long[..65_536], b"--b", &long[..]].concat());
    assert!(h.files[0].over);
}

#[test]
fn names_of_files_are_taken_out_of_headers() {
    let cases: [(&str, &str, Option<&str>); 9] = [
        ("Content-Disposition", "attachment; filename=a.b", Some("a.b")),
        (
            "content-disposition",
            "attachment; FileName = \"a b\"; x=y",
            Some("a b"),
        ),
        ("Content-Disposition", "x; filename*=UTF-8''a%20b", Some("a b")),
        (
            "Content-Disposition",
            "x; filename=\"a\"; filename*=utf-8'en'b'c",
            Some("c"),
        ),
        ("Content-Disposition", "form-data; name=\"x\"", None),
        ("Content-Type", "text/plain; name=\"n\"", Some("n")),
        ("Content-Type", "text/plain; charset=x", None),
        ("Content-Type", "text/plain; name*=x", None),
        ("Host", "filename=x", None),
    ];
    for (header, value, name) in cases {
        let found = mime::file_name(header.as_bytes(), value.as_bytes());
        assert_eq!(found.as_deref(), name.map(str::as_bytes), "{value}");
    }
}

#[test]
fn boundaries_are_taken_out_of_content_types() {
    let boundary = |value: &str| {
        let mut illegal = Vec::new();
        let (_, _, rest) = mime::media_type(value.as_bytes()).unwrap();
        let found = mime::boundary(rest, &mut |what| illegal.push(what));
        (found.map(|b| String::from_utf8(b).unwrap()), illegal.len())
    };
    let found = |b: &str| (Some(b.to_owned()), 0);
    assert_eq!(boundary("multipart/x; boundary=a:b/c;d"), found("a:b/c;d"));
    assert_eq!(
        boundary("multipart/x; a=b; Boundary=\"a \\\" b\" ; c=d"),
        found("a \" b")
    );
    assert_eq!(boundary("multipart / x ; boundary= a"), found("a"));
    assert_eq!(boundary("multipart/x"), (None, 0));
    assert_eq!(boundary("multipart/x; boundary=\"a"), (None, 1));
    assert_eq!(
        boundary(&format!("multipart/x; boundary={}", "a".repeat(2000))),
        (None, 0)
    );
    assert!(mime::media_type(b"multipart").is_none());
}

#[test]
fn sides_may_change_places_before_the_first_line() {
    let mut run = Run::new(Subscriptions::NONE);
    run.http.analyzer.flip();
    run.give(Orig(GET));
    run.http.analyzer.flip();
    assert_eq!(run.http.interest(true), Interest::Nothing);
    run.give(Orig(GET));
    assert_eq!(run.end().rows.len(), 1);
}
