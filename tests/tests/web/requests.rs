//! Requests of all shapes.

use std::io::{Read, Write};
use std::net::TcpStream;

use sensor_tests::{one_at_a_time, root_or_say_so};
use serde_json::Value;

use super::{PORT, Web, check_request, logged, noise, server};

/// Sends all of `requests` on one connection at the client, before any reply; reads to the end.
fn pipeline(web: &Web, requests: &str) -> String {
    let ran = web.lab.client.run(|| {
        let mut stream = TcpStream::connect((server(), PORT))?;
        stream.write_all(requests.as_bytes())?;
        let mut replies = Vec::new();
        stream.read_to_end(&mut replies)?;
        Ok::<_, std::io::Error>(replies)
    });
    String::from_utf8_lossy(&ran.unwrap().unwrap()).into_owned()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn every_request_is_logged_as_the_server_logs_it() {
    if !root_or_say_so("requests") {
        return;
    }
    let _turn = one_at_a_time();
    let server = "client_max_body_size 100m; \
                  location /put/ { dav_methods PUT DELETE; create_full_put_path on; } \
                  location /secret { auth_basic x; auth_basic_user_file users; } \
                  location /old { return 301 /plain.txt; } \
                  location /none { return 204; }";
    let mut web = Web::new(server, &["--workers", "2"]).unwrap();
    web.file("plain.txt", "Some plain text.\n".repeat(100).as_bytes())
        .unwrap();
    web.file("page.html", b"<!DOCTYPE html><html><body>Hello</body></html>")
        .unwrap();
    web.file("noise.bin", &noise(1, 300_000)).unwrap();

    let url = Web::url;
    let (plain, page, bin) = (url("/plain.txt"), url("/page.html"), url("/noise.bin"));
    // One connection, three requests; a HEAD; what is not there; another place; nothing.
    web.fetch(&[
        &plain,
        &page,
        &bin,
        "-A",
        "tester/1.0",
        "-e",
        "http://from.example/",
    ])
    .unwrap();
    web.fetch(&["-I", &plain, &bin]).unwrap();
    web.fetch(&[&url("/missing?a=%20b")]).unwrap();
    web.fetch(&["-L", &url("/old")]).unwrap();
    web.fetch(&[&url("/none")]).unwrap();
    // Uploads: with a length, of which the client asks first, and in chunks.
    let upload = web.dir.path().join("upload");
    std::fs::write(&upload, noise(2, 2_000_000)).unwrap();
    let upload = upload.to_str().unwrap();
    web.fetch(&["-T", upload, "-H", "Expect: 100-continue", &url("/put/a")])
        .unwrap();
    web.fetch(&["-T", upload, "-H", "Transfer-Encoding: chunked", &url("/put/b")])
        .unwrap();
    web.fetch(&["-d", "a=1&b=2", &url("/none")]).unwrap();
    // Parts of a file, in one reply and in several.
    web.fetch(&["-r", "100-199", &bin]).unwrap();
    web.fetch(&["-r", "0-9,100-109", &bin]).unwrap();
    // Who asks.
    let _ = web.fetch(&["-u", "alice:secret", &url("/secret")]);
    // Many at once, the last of them to end it.
    let host = format!("Host: {}\r\n", super::server());
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\n{host}{more}\r\n");
    let requests = [
        get("/plain.txt", ""),
        get("/missing", ""),
        get("/noise.bin", ""),
        get("/page.html", "Connection: close\r\n"),
    ];
    let replies = pipeline(&web, &requests.concat());
    assert_eq!(replies.matches("HTTP/1.1 ").count(), 4);
    pipeline(&web, "GET /page.html HTTP/1.0\r\n\r\n");

    let done = web.stop().unwrap();
    let (served, logged) = (web.served().unwrap(), logged(&done).unwrap());
    assert_eq!(
        served.keys().collect::<Vec<_>>(),
        logged.keys().collect::<Vec<_>>(),
        "{logged:#?}"
    );
    for (key, s) in &served {
        let l = &logged[key];
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        check_request(l, s);
        // nginx counts its `HTTP/1.1 100 Continue` with the body.
        let asked = if l["info_code"] == 100 { 25 } else { 0 };
        let sent = if s["method"] == "HEAD" {
            0
        } else {
            s["sent"].as_u64().unwrap() - asked
        };
        // The body of several parts is counted by its parts.
        if !text(&l["uri"]).contains("noise.bin") || s["status"] != 206 || sent == 100 {
            assert_eq!(l["response_body_len"].as_u64(), Some(sent), "{s} {l:#}");
        }
        if let Ok(received) = text(&s["received"]).parse::<u64>() {
            assert_eq!(l["request_body_len"].as_u64(), Some(received), "{s} {l:#}");
        }
    }
    let by = |method: &str, path: &str| {
        let found = logged
            .values()
            .find(|l| l["method"] == method && l["uri"] == path);
        found.unwrap_or_else(|| panic!("no {method} {path}"))
    };
    assert_eq!(by("PUT", "/put/a")["info_code"], 100);
    assert_eq!(by("PUT", "/put/b")["request_body_len"], 2_000_000);
    assert_eq!(by("GET", "/secret")["username"], "alice");
    assert_eq!(by("GET", "/secret")["password"], Value::Null);
    assert_eq!(by("GET", "/page.html")["resp_mime_types"][0], "text/html");

    let files = done.log("files.log").unwrap();
    let sizes: Vec<_> = files
        .iter()
        .filter(|f| f["is_orig"] == true)
        .map(|f| f["seen_bytes"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes.iter().filter(|n| **n == 2_000_000).count(), 2, "{sizes:?}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn compressed_bodies_are_read_and_their_digests_are_of_what_was_in_them() {
    if !root_or_say_so("compressed") {
        return;
    }
    let _turn = one_at_a_time();
    let server = "gzip on; gzip_types *; gzip_min_length 1; gzip_http_version 1.0;";
    let mut web = Web::new(server, &["--file-hashes", "sha256"]).unwrap();
    let content = "All work and no play makes Jack a dull boy.\n".repeat(10_000);
    web.file("book.txt", content.as_bytes()).unwrap();
    web.fetch(&["--compressed", &Web::url("/book.txt")]).unwrap();
    // Without chunks: to the connection's end.
    web.fetch(&["--compressed", "--http1.0", &Web::url("/book.txt")])
        .unwrap();
    web.fetch(&[&Web::url("/book.txt")]).unwrap();
    let done = web.stop().unwrap();
    let files = done.log("files.log").unwrap();
    let want = {
        use sha2::Digest;
        let digest = sha2::Sha256::digest(content.as_bytes());
        digest.iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    assert_eq!(files.len(), 3);
    for f in files {
        assert_eq!(f["sha256"], want.as_str(), "{f:#}");
        assert_eq!(f["seen_bytes"].as_u64(), Some(content.len() as u64));
        assert_eq!(f["mime_type"], "text/plain");
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_file_fetched_in_parts_over_several_connections_is_one_file() {
    if !root_or_say_so("ranges") {
        return;
    }
    let _turn = one_at_a_time();
    let events = sensor_tests::sensor::TempDir::new().unwrap();
    let stream = events.path().join("events");
    let options = [
        "--workers",
        "1",
        "--events",
        stream.to_str().unwrap(),
        "--event",
        "file_*,get_file_handle,software_*",
    ];
    let mut web = Web::new("", &options).unwrap();
    web.file("whole.bin", &noise(3, 100_000)).unwrap();
    let url = Web::url("/whole.bin");
    web.fetch(&["-r", "0-39999", &url]).unwrap();
    // Out of order, in part a second time.
    web.fetch(&["-r", "70000-99999", &url]).unwrap();
    web.fetch(&["-r", "30000-69999", &url]).unwrap();
    // Of another file only the far end, more than may wait for what is before it.
    web.file("far.bin", &noise(4, 3_000_000)).unwrap();
    web.fetch(&["-r", "1000000-2999999", &Web::url("/far.bin"), "-A", "nobody"])
        .unwrap();
    let done = web.stop().unwrap();
    let mut files = done.log("files.log").unwrap();
    let far = files
        .pop_if(|f| f["seen_bytes"] == 2_000_000)
        .expect("the other file");
    assert_eq!(far["missing_bytes"], 1_000_000);
    let ids: std::collections::BTreeSet<_> = files.iter().map(|f| f["fuid"].as_str().unwrap()).collect();
    assert_eq!((files.len(), ids.len()), (3, 1), "{files:#?}");
    for f in &files {
        assert_eq!(f["seen_bytes"], 100_000);
        assert_eq!(f["missing_bytes"], 0);
    }
    let told = sensor_tests::sensor::read_log(&stream).unwrap();
    let count = |name: &str| told.iter().filter(|e| e["event"] == name).count();
    assert_eq!(count("file_new"), 2);
    assert_eq!(count("file_over_new_connection"), 4);
    assert_eq!(count("file_state_remove"), 2);
    for name in [
        "file_gap",
        "file_reassembly_overflow",
        "file_sniff",
        "get_file_handle",
    ] {
        assert!(count(name) > 0, "{name}");
    }
    // curl says what it is, unless it is told to say something else; nginx always does.
    for name in [
        "software_unparsed_version_found",
        "software_version_found",
        "software_parse_error",
    ] {
        assert!(count(name) > 0, "{name}");
    }
}
