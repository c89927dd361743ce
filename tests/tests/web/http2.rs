//! HTTP/2 in the clear, on a port that is HTTP's and on one that is not.

use std::io::{Read, Write};
use std::net::TcpStream;

use sensor_tests::{one_at_a_time, root_or_say_so};
use serde_json::Value;

use super::{Web, check_request, logged, noise, server};

/// Ports on which nginx speaks HTTP/2 without TLS.
const PORTS: [u16; 2] = [8080, 9333];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Asks for a file so many times at once, on one connection (curl 7.88 cannot, with prior knowledge); bytes of bodies that
/// came.
fn side_by_side(web: &Web, port: u16, times: u32) -> u64 {
    // All may be sent at once: windows as large as they can be.
    let window = frame(8, 0, 0, &0x7fff_0000u32.to_be_bytes());
    let mut talk = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]),
        &window,
    ]
    .concat();
    // GET, http, :path and :authority with an index: later ones are in the table.
    let text = |s: &str| [&[s.len() as u8], s.as_bytes()].concat();
    let host = format!("{}:{port}", server());
    let first = [
        &[0x82, 0x86, 0x44][..],
        &text("/noise.bin"),
        &[0x41],
        &text(&host),
    ]
    .concat();
    for n in 0..times {
        let block = if n == 0 {
            &first[..]
        } else {
            &[0x82, 0x86, 0xbf, 0xbe]
        };
        talk.extend(frame(1, 5, 2 * n + 1, block));
    }
    let ran = web.lab.client.run(|| {
        let mut stream = TcpStream::connect((server(), port))?;
        stream.write_all(&talk)?;
        let (mut ended, mut received) = (0, 0);
        while ended < times {
            let mut head = [0; 9];
            stream.read_exact(&mut head)?;
            let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            std::io::copy(
                &mut Read::by_ref(&mut stream).take(len.into()),
                &mut std::io::sink(),
            )?;
            if head[3] == 0 {
                received += u64::from(len);
                ended += u32::from(head[4] & 1);
            }
        }
        Ok::<_, std::io::Error>(received)
    });
    ran.unwrap().unwrap()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn streams_are_logged_as_the_server_logs_them() {
    if !root_or_say_so("http2") {
        return;
    }
    let _turn = one_at_a_time();
    let listen = PORTS.map(|port| format!("listen {}:{port} http2;", server()));
    let lines = format!(
        "{} client_max_body_size 100m; gzip on; gzip_types text/plain; \
         location /put/ {{ dav_methods PUT; create_full_put_path on; }} \
         location /secret {{ auth_basic x; auth_basic_user_file users; }} \
         location /none {{ return 204; }}",
        listen.concat()
    );
    let mut web = Web::new(&lines, &["--workers", "2"]).unwrap();
    let text = "Some plain text.\n".repeat(5000);
    let bulk = noise(1, 300_000);
    web.file("plain.txt", text.as_bytes()).unwrap();
    web.file("noise.bin", &bulk).unwrap();
    let upload = web.dir.path().join("upload");
    std::fs::write(&upload, noise(2, 200_000)).unwrap();
    let upload = upload.to_str().unwrap();

    for port in PORTS {
        let url = |path: &str| format!("http://{}:{port}{path}", server());
        let (plain, bin) = (url("/plain.txt"), url("/noise.bin"));
        let fetch = |args: &[&str]| web.fetch(&[&["--http2-prior-knowledge"], args].concat());
        fetch(&[&plain, "-A", "tester/1.0", "-e", "http://from.example/"]).unwrap();
        assert_eq!(side_by_side(&web, port, 20), 20 * bulk.len() as u64);
        fetch(&["-I", &plain]).unwrap();
        fetch(&["--compressed", &plain]).unwrap();
        fetch(&["-r", "100-199", &bin]).unwrap();
        fetch(&[&url("/missing?a=%20b")]).unwrap();
        fetch(&["-T", upload, &url("/put/a")]).unwrap();
        fetch(&[&url("/none")]).unwrap();
        fetch(&["-u", "alice:secret", &url("/secret")]).unwrap();
    }
    let done = web.stop().unwrap();
    let (served, logged) = (web.served().unwrap(), logged(&done).unwrap());
    assert_eq!(served.len(), 2 * 28);
    assert_eq!(
        served.keys().collect::<Vec<_>>(),
        logged.keys().collect::<Vec<_>>(),
        "{logged:#?}"
    );
    let said = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    for (key, s) in &served {
        let l = &logged[key];
        check_request(l, s);
        assert_eq!(l["version"], "2", "{l:#}");
        let received = said(&s["received"]).parse::<u64>().unwrap_or(0);
        assert_eq!(l["request_body_len"].as_u64(), Some(received), "{s} {l:#}");
        let sent = match (&*said(&l["method"]), &*said(&l["uri"]), s["status"].as_u64()) {
            ("GET", "/plain.txt", _) => text.len(),
            ("GET", "/noise.bin", Some(200)) => bulk.len(),
            ("GET", "/noise.bin", _) => 100,
            ("HEAD", ..) | (_, _, Some(201 | 204)) => 0,
            _ => continue,
        };
        assert_eq!(l["response_body_len"].as_u64(), Some(sent as u64), "{s} {l:#}");
        assert_eq!(l["resp_fuids"].is_array(), sent > 0, "{l:#}");
    }
    let user = |l: &&Value| l["username"] == "alice";
    assert_eq!(logged.values().filter(user).count(), 2);
    // Each body is a file, whole.
    let files = done.log("files.log").unwrap();
    let of = |size: usize| {
        let is_it = |f: &&Value| f["seen_bytes"].as_u64() == Some(size as u64);
        files.iter().filter(is_it).count()
    };
    assert_eq!((of(bulk.len()), of(text.len()), of(200_000)), (2 * 20, 2 * 2, 2));
    // The part that was asked for is one of a file that goes on.
    for file in files.iter().filter(|f| f["seen_bytes"] != 100) {
        assert_eq!(file["source"], "HTTP", "{file:#}");
        assert_eq!(file["missing_bytes"].as_u64(), Some(0), "{file:#}");
    }
    for conn in done.log("conn.log").unwrap() {
        if conn["service"].is_string() {
            assert_eq!(conn["service"], "http", "{conn:#}");
        }
    }
    let weirds = done.log("weird.log").unwrap_or_default();
    let ours = |w: &&Value| said(&w["name"]).starts_with("HTTP");
    assert_eq!(weirds.iter().filter(ours).count(), 0, "{weirds:#?}");
}
