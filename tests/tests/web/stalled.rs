//! Bodies of which nothing more comes for a while.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use sensor_tests::sensor::{TempDir, read_log};
use sensor_tests::{one_at_a_time, root_or_say_so};
use serde_json::Value;

use super::{PORT, Web, noise, server};

/// Seconds after which a file is over.
const TIMEOUT: &str = "1";
/// How long that may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the stream of events has so many of this name.
fn wait_for(stream: &Path, name: &str, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    let name = format!("{{\"event\":\"{name}\"");
    let seen = || {
        std::fs::read_to_string(stream)
            .unwrap_or_default()
            .matches(&name)
            .count()
    };
    while seen() < count {
        assert!(Instant::now() < deadline, "{} of {count} {name}", seen());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_body_that_stalls_is_a_file_that_timed_out() {
    if !root_or_say_so("stalled") {
        return;
    }
    let _turn = one_at_a_time();
    let events = TempDir::new().unwrap();
    let stream = events.path().join("events");
    let options = [
        "--workers",
        "1",
        "--file-timeout",
        TIMEOUT,
        "--events",
        stream.to_str().unwrap(),
        "--event",
        "file_*",
    ];
    let put = "client_max_body_size 100m; location /put/ { dav_methods PUT; create_full_put_path on; }";
    let mut web = Web::new(put, &options).unwrap();
    // More than what may be on its way to who does not read.
    const LONG: u64 = 30_000_000;
    let long = std::fs::File::create(web.dir.path().join("www/long.bin")).unwrap();
    long.set_len(LONG).unwrap();
    let connect = || {
        web.lab
            .client
            .run(|| TcpStream::connect((server(), PORT)))
            .unwrap()
            .unwrap()
    };

    // An upload of which half comes, and after a while the rest.
    let mut upload = connect();
    let body = noise(1, 20_000);
    write!(
        upload,
        "PUT /put/a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .unwrap();
    upload.write_all(&body[..10_000]).unwrap();
    // A download that its client does not read on.
    let mut download = connect();
    download
        .write_all(b"GET /long.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut first = [0; 1000];
    download.read_exact(&mut first).unwrap();
    wait_for(&stream, "file_timeout", 2);

    upload.write_all(&body[10_000..]).unwrap();
    upload.read_to_end(&mut Vec::new()).unwrap();
    let rest = std::io::copy(&mut download, &mut std::io::sink()).unwrap();
    assert!(rest > LONG - 1000);
    // What goes on meanwhile is none.
    web.file("short.txt", b"short").unwrap();
    web.fetch(&[&Web::url("/short.txt")]).unwrap();
    let done = web.stop().unwrap();

    let told = read_log(&stream).unwrap();
    let count = |name: &str| told.iter().filter(|e| e["event"] == name).count();
    // On a busy machine perhaps more of them.
    assert!(count("file_timeout") >= 2);
    assert_eq!(count("file_new"), count("file_state_remove"));
    let files = done.log("files.log").unwrap();
    let timed_out: Vec<_> = files.iter().filter(|f| f["timedout"] == true).collect();
    assert_eq!(timed_out.len(), count("file_timeout"), "{files:#?}");
    let of = |is_orig: bool| -> &Value {
        timed_out
            .iter()
            .find(|f| f["is_orig"] == is_orig)
            .expect("a file")
    };
    assert_eq!(
        (&of(true)["seen_bytes"], &of(true)["total_bytes"]),
        (&10_000.into(), &20_000.into())
    );
    assert!(of(false)["seen_bytes"].as_u64().unwrap() < LONG);
    assert!(
        files
            .iter()
            .any(|f| f["seen_bytes"] == 5 && f["timedout"] == false)
    );
    let rows = done.log("http.log").unwrap();
    assert_eq!(rows.len(), 3, "{rows:#?}");
}
