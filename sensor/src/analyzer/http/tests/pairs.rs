//! Requests and replies, and the rows that they make.

use super::*;

#[test]
fn a_request_and_its_reply_are_one_row() {
    let request = b"GET /a%20b?c HTTP/1.1\r\nHost: h:8080 \r\nreferer:r\r\nUser-Agent: \tme\r\nOrigin: o\r\n\
        Via: 1.1 x\r\nX-Forwarded-For: 192.0.2.9\r\nCookie: c\r\n\r\n";
    let h = talk(&[
        Orig(request),
        Resp(&reply("Content-Length: 5\r\nServer: s\r\n", b"hello")),
    ]);
    assert_eq!(
        h.rows,
        [
            "trans_depth=1 method=GET host=h:8080  uri=/a b?c referrer=r version=1.1 user_agent=me origin=o \
          request_body_len=0 response_body_len=5 status_code=200 status_msg=OK \
          proxied=[VIA -> 1.1 x,X-FORWARDED-FOR -> 192.0.2.9] resp_fuids=[F0] resp_mime_types=[text/x]"
                .replace("F0", &fuid(0).to_string())
        ]
    );
    assert_eq!(h.contents(), ["hello"]);
    assert_eq!(h.files[0].said, " size 5");
    assert!(h.files[0].over && h.weirds().is_empty());
}

#[test]
fn events_have_zeeks_names_and_arguments() {
    let request = b"POST /%41 HTTP/1.0\r\nA: b\r\nContent-Length: 2\r\nContent-Type: text/x; y\r\n\r\nhi";
    let h = talk(&[Orig(request), Resp(b"HTTP/1.1 204 No Content\r\n\r\n")]);
    let stat = |is_orig, body, header| {
        format!(
            "http_message_done {{\"is_orig\":{is_orig},\"stat\":{{\"start\":7.000000,\"interrupted\":false,\
             \"finish_msg\":\"message ends normally\",\"body_length\":{body},\"content_gap_length\":0,\
             \"header_length\":{header}}}}}"
        )
    };
    let expected = [
        "confirm",
        r#"http_request {"method":"POST","original_URI":"/%41","unescaped_URI":"/A","version":"1.0"}"#,
        r#"http_begin_entity {"is_orig":true}"#,
        r#"http_header {"is_orig":true,"original_name":"A","name":"A","value":"b"}"#,
        r#"http_header {"is_orig":true,"original_name":"Content-Length","name":"CONTENT-LENGTH","value":"2"}"#,
        r#"http_header {"is_orig":true,"original_name":"Content-Type","name":"CONTENT-TYPE","value":"text/x; y"}"#,
        r#"http_all_headers {"is_orig":true,"hlist":{"1":{"original_name":"A","name":"A","value":"b"},"2":{"original_name":"Content-Length","name":"CONTENT-LENGTH","value":"2"},"3":{"original_name":"Content-Type","name":"CONTENT-TYPE","value":"text/x; y"}}}"#,
        r#"http_content_type {"is_orig":true,"ty":"TEXT","subty":"X"}"#,
        r#"http_entity_data {"is_orig":true,"length":2,"data":"6869"}"#,
        r#"http_end_entity {"is_orig":true}"#,
        &stat(true, 2, 62),
        r#"http_reply {"version":"1.1","code":204,"reason":"No Content"}"#,
        r#"http_begin_entity {"is_orig":false}"#,
        r#"http_all_headers {"is_orig":false,"hlist":{}}"#,
        r#"http_content_type {"is_orig":false,"ty":"TEXT","subty":"PLAIN"}"#,
        r#"http_end_entity {"is_orig":false}"#,
        &stat(false, 0, 23),
        r#"http_stats {"stats":{"num_requests":1,"num_replies":1,"request_version":1.000000,"reply_version":1.100000}}"#,
    ];
    assert_eq!(h.said, expected);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let requests = [GET, &GET.replace_a(b'b'), &GET.replace_a(b'c')].concat();
    let replies = [
        reply("Content-Length: 1\r\n", b"1"),
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".to_vec(),
        reply(
            "Transfer-Encoding: chunked\r\n",
            b"2\r\n12\r\n1;x=y\r\n3\r\n0\r\nTrailer: t\r\n\r\n",
        ),
    ]
    .concat();
    let h = talk(&[Orig(&requests), Resp(&replies)]);
    let short: Vec<_> = h
        .rows
        .iter()
        .map(|r| column(r, &["trans_depth", "uri", "response_body_len", "status_code"]))
        .collect();
    assert_eq!(short, ["1 /a 1 200", "2 /b 0 304", "3 /c 3 200"]);
    assert_eq!(h.contents(), ["1", "123"]);
}

#[test]
fn an_interim_reply_does_not_answer() {
    let h = talk(&[
        Orig(b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
        Resp(b"HTTP/1.1 100 Continue\r\n\r\n"),
        Orig(b"abc"),
        Resp(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n"),
    ]);
    let row = &h.rows[0];
    assert_eq!(h.rows.len(), 1);
    assert_eq!(
        column(row, &["request_body_len", "status_code", "info_code", "info_msg"]),
        "3 201 100 Continue"
    );
    assert_eq!(h.contents(), ["abc"]);
}

#[test]
fn a_head_request_gets_no_body() {
    let h = talk(&[
        Orig(b"HEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"),
        Resp(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ]);
    assert_eq!(h.rows.len(), 2);
    assert_eq!(h.contents(), ["ok"]);
}

#[test]
fn what_is_not_answered_is_written_at_the_end() {
    let mut run = Run::new(Subscriptions::NONE);
    run.give(Orig(GET));
    run.give(Orig(GET));
    assert!(!run.http.analyzer.is_settled());
    assert!(run.heard.rows.is_empty());
    let h = run.end();
    assert_eq!(h.rows.len(), 2);
    assert_eq!(
        column(&h.rows[1], &["trans_depth", "method", "status_code"]),
        "2 GET -"
    );
}

#[test]
fn a_reply_without_a_request_has_a_row() {
    let h = talk(&[Resp(&reply("Content-Length: 2\r\n", b"ab")), Orig(GET)]);
    assert_eq!(
        column(&h.rows[0], &["trans_depth", "method", "response_body_len"]),
        "1 - 2"
    );
    // The request that comes late is the next one's.
    assert_eq!(h.weirds(), ["HTTP_response_before_request"]);
    assert_eq!(
        column(&h.rows[1], &["trans_depth", "method", "status_code"]),
        "2 GET -"
    );
}

#[test]
fn too_many_requests_without_a_reply_are_written_as_they_are() {
    let mut run = Run::new(Subscriptions::NONE);
    for _ in 0..150 {
        run.give(Orig(GET));
        assert!(run.heard.rows.len() <= 100);
    }
    assert_eq!(run.heard.rows.len(), 100);
    assert_eq!(run.heard.weirds(), ["HTTP_excessive_pipelining"]);
    run.give(Resp(b"HTTP/1.1 204 x\r\n\r\n"));
    assert_eq!(
        column(run.heard.rows.last().unwrap(), &["trans_depth", "status_code"]),
        "101 204"
    );
    assert_eq!(run.end().rows.len(), 150);
}

#[test]
fn long_names_of_files_count_for_requests_without_a_reply() {
    let mut run = Run::new(Subscriptions::NONE);
    let part = format!(
        "--b\r\nContent-Disposition: x; filename=\"{}\"\r\n\r\nabc\r\n",
        "n".repeat(50_000)
    );
    let body = part.repeat(10) + "--b--\r\n";
    let post = format!(
        "POST / HTTP/1.1\r\nContent-Type: multipart/x; boundary=b\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..5 {
        run.give(Orig(post.as_bytes()));
    }
    // Half a megabyte each: the fourth finds too much, and all but the latest are written.
    assert_eq!(run.heard.rows.len(), 2);
    assert_eq!(run.heard.weirds(), ["HTTP_excessive_pipelining"]);
}

#[test]
fn few_but_huge_requests_are_written_early() {
    let mut run = Run::new(Subscriptions::NONE);
    let uri = vec![b'x'; 60_000];
    for _ in 0..40 {
        run.give(Orig(&[b"GET /", &uri[..], b" HTTP/1.1\r\n\r\n"].concat()));
    }
    assert!(run.heard.rows.len() >= 17);
    assert_eq!(run.end().rows.len(), 40);
}

#[test]
fn users_are_named_and_passwords_if_asked_for() {
    let with = |value: &str| {
        let request = format!("GET / HTTP/1.1\r\nAuthorization: {value}\r\n\r\n");
        let h = talk(&[Orig(request.as_bytes())]);
        let weirds = h.weirds().join(",");
        (column(&h.rows[0], &["username", "password"]), weirds)
    };
    let none = String::new;
    assert_eq!(with("Basic dXNlcjpwYTpzcw=="), ("user pa:ss".into(), none()));
    assert_eq!(with("bAsIc   dTo="), ("u ".into(), none()));
    assert_eq!(
        with("Basic dXNlcg=="),
        ("<problem-decoding> (Basic dXNlcg==) user".into(), none())
    );
    assert_eq!(with("Bearer dXNlcjpwYTpzcw=="), ("- -".into(), none()));
    assert_eq!(
        with("Basic dX%l"),
        (
            "<problem-decoding> (Basic dX%l) ".into(),
            "base64_illegal_encoding character 37 ignored by Base64 decoding".into()
        )
    );
    let mut run = Run::new(Subscriptions::NONE);
    run.http = Solo::new(Http::new(&Start::default(), &HttpShared::default()));
    run.give(Orig(
        b"GET / HTTP/1.1\r\nAuthorization: Basic dXNlcjpwYTpzcw==\r\n\r\n",
    ));
    assert_eq!(column(&run.end().rows[0], &["username", "password"]), "user -");
}

#[test]
fn a_tunnel_begins_behind_the_reply_to_connect() {
    let mut run = Run::new(Subscriptions::ALL);
    run.give(Orig(
        b"CONNECT h:443 HTTP/1.1\r\nProxy-Connection: keep-alive\r\n\r\n",
    ));
    run.give(Resp(b"HTTP/1.1 200 Connected\r\nX: y\r\n\r\ninner"));
    assert_eq!(
        run.over,
        Some(HandOver {
            to: Inside::Tunnel,
            framed: None,
            len: 5
        })
    );
    assert_eq!(run.http.interest(true), Interest::Nothing);
    assert!(!run.http.analyzer.is_settled());
    let h = run.end();
    assert_eq!(h.weirds(), ["protocol_data_with_HTTP_CONNECT_reply 5"]);
    assert_eq!(
        column(&h.rows[0], &["method", "uri", "status_code", "proxied"]),
        "CONNECT h:443 200 [PROXY-CONNECTION -> keep-alive]"
    );
    // Who says no goes on as HTTP.
    let h = talk(&[
        Orig(b"CONNECT h:443 HTTP/1.1\r\n\r\n"),
        Resp(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
        Orig(GET),
    ]);
    assert_eq!(h.rows.len(), 2);
}

#[test]
fn another_protocol_begins_behind_a_reply_that_switches() {
    let request = b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut run = Run::new(Subscriptions::ALL);
    run.give(Orig(request));
    run.give(Resp(
        b"HTTP/1.1 101 Switch\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\r\n\x81\x00",
    ));
    assert_eq!(
        run.over,
        Some(HandOver {
            to: Inside::Upgrade,
            framed: Some(super::super::super::websocket::Analyzer::SPEC.tag),
            len: 2
        })
    );
    let h = run.end();
    assert!(
        h.said
            .contains(&r#"http_connection_upgrade {"protocol":"WebSocket"}"#.to_owned())
    );
    assert_eq!(column(&h.rows[1], &["status_code", "info_code"]), "101 101");
    assert_eq!(column(&h.rows[0], &["uri", "subprotocol"]), "/ws -");
    // It is not, if the reply does not say so.
    let mut run = Run::new(Subscriptions::ALL);
    run.give(Orig(request));
    run.give(Resp(b"HTTP/1.1 101 Switch\r\nUpgrade: websocket\r\n\r\n"));
    assert_eq!(run.over, None);
}

#[test]
fn a_websocket_is_logged_with_what_both_sides_said_of_it() {
    let h = talk(&[
        Orig(
            b"GET /ws HTTP/1.1\r\nHost: h\r\nUser-Agent: u\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
              Sec-WebSocket-Protocol: chat , talk\r\nSec-WebSocket-Extensions: x; y=1,z\r\n\r\n",
        ),
        Resp(
            b"HTTP/1.1 101 Switch\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Protocol: chat\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        ),
    ]);
    let row = "host=h uri=/ws user_agent=u subprotocol=chat client_protocols=[chat,talk] client_extensions=[x; y=1,z]";
    assert!(h.rows[0].ends_with(row), "{}", h.rows[0]);
    assert!(h.said.iter().any(|s| s.starts_with("websocket_established")));
    assert!(
        !h.said.iter().any(|s| s.contains("weird websocket")),
        "{:?}",
        h.said
    );
    // A key that nobody made, an answer that fits none.
    let h = talk(&[
        Orig(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: a\r\nSec-WebSocket-Key: b\r\n\r\n"),
        Resp(
            b"HTTP/1.1 101 Switch\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: c\r\n\r\n",
        ),
    ]);
    for weird in ["websocket_multiple_key_headers", "websocket_wrong_accept_header"] {
        assert!(h.said.iter().any(|s| s.contains(weird)), "{:?}", h.said);
    }
}

#[test]
fn what_is_inside_a_tunnel_is_counted_on() {
    let mut outer = Run::new(Subscriptions::NONE);
    outer.give(Orig(b"CONNECT h:80 HTTP/1.1\r\n\r\n"));
    outer.give(Resp(b"HTTP/1.1 200 Connected\r\n\r\n"));
    let mut inner = Run::new(Subscriptions::NONE);
    inner.http.analyzer.inherit(&mut outer.http.analyzer);
    inner.give(Orig(GET));
    inner.give(Resp(b"HTTP/1.1 204 x\r\n\r\n"));
    assert_eq!(
        column(&inner.heard.rows[0], &["trans_depth", "method", "status_code"]),
        "2 GET 204"
    );
    assert!(outer.http.analyzer.is_settled());
    assert!(outer.end().rows.is_empty());
    let rows = inner.end().rows;
    // What the tunnel's reply comes to is nobody's, and has a row all the same, as in Zeek.
    assert_eq!(
        column(&rows[1], &["trans_depth", "method", "status_code"]),
        "3 - -"
    );
    assert_eq!(
        column(&rows[2], &["trans_depth", "method", "status_code"]),
        "1 CONNECT 200"
    );
}

#[test]
fn versions_before_one_have_raw_replies() {
    let h = talk(&[
        Orig(b"GET /a\r\n"),
        Resp(b"<html>\r\nHTTP/1.1 200 OK\r\n"),
        RespEnd,
        OrigEnd,
    ]);
    assert_eq!(
        column(
            &h.rows[0],
            &["uri", "version", "response_body_len", "status_code", "status_msg"]
        ),
        "/a 0.9 25 0 <empty>"
    );
    // The request is over later than its pair; Zeek has a row of that, too.
    assert_eq!(column(&h.rows[1], &["trans_depth", "method"]), "2 -");
    assert_eq!(h.contents(), ["<html>\\r\\nHTTP/1.1 200 OK\\r\\n"]);
    let h = talk(&[Orig(b"POST /a\r\n"), Resp(b"x")]);
    assert_eq!(h.weirds(), ["invalid_http_09_request_method POST"]);
    // Too short for a request without a version.
    for line in [&b"GE /a\r\n"[..], b"GET \r\n"] {
        let h = talk(&[Orig(line)]);
        assert_eq!(
            h.said,
            [
                "weird bad_HTTP_request",
                "violation not a http request line",
                STATS_09
            ]
        );
    }
    let h = talk(&[Resp(b"HTTP/1.1 204 x\r\n\r\n"), Orig(b"GET /a\r\n"), Resp(b"raw")]);
    assert!(h.weirds().contains(&"http_09_reply_before_request"));
    assert_eq!(h.contents(), ["raw"]);
}

const STATS_09: &str = r#"http_stats {"stats":{"num_requests":0,"num_replies":0,"request_version":0.900000,"reply_version":0.000000}}"#;

/// Some columns of a row, `-` for one that is unset.
pub fn column(row: &str, names: &[&str]) -> String {
    let all: Vec<&str> = super::COLUMNS.to_vec();
    let one = |name: &&str| {
        let Some(from) = format!(" {row}").find(&format!(" {name}=")) else {
            return "-".to_owned();
        };
        let value = row.get(from + name.len() + 1..).unwrap_or("");
        let end = all.iter().filter_map(|c| value.find(&format!(" {c}="))).min();
        value[..end.unwrap_or(value.len())].to_owned()
    };
    names.iter().map(one).collect::<Vec<_>>().join(" ")
}

trait ReplaceA {
    fn replace_a(&self, b: u8) -> Vec<u8>;
}

impl ReplaceA for [u8] {
    /// With another name of what is asked for.
    fn replace_a(&self, b: u8) -> Vec<u8> {
        self.iter().map(|x| if *x == b'a' { b } else { *x }).collect()
    }
}
