//! Signatures on a live wire: what matches, and what the kernel forwards for it.

use std::net::UdpSocket;

use sensor_tests::sensor::{Finished, TempDir, read_log};
use sensor_tests::{lab, one_at_a_time, root_or_say_so, traffic};
use serde_json::Value;

use super::Web;

const SIGNATURES: &str = r#"
signature get { ip-proto == tcp  dst-port == 80  payload /^GET \/secret/  event "somebody asks" }
signature answer {
  ip-proto == tcp  tcp-state established,responder
  payload /^HTTP\/1\.[01] 200/  requires-reverse-signature get  event "and is answered"
}
signature body { http-reply-body /.*the word/  event "it is told" }
signature agent { http-request-header /^user-agent: curl/i  event "curl" }
signature syn { header tcp[13:1] & 255 == 2  header ip[9:1] == 6  event "a SYN" }
signature ping { ip-proto == icmp  header icmp[0:1] == 8  event "an echo" }
signature datagram { ip-proto == udp  payload /.{3}x/  payload-size == 4  event "a datagram" }
signature never { ip-proto == tcp  payload /^POST/  event "nobody does" }
"#;

/// A file of signatures.
fn file(dir: &TempDir, text: &str) -> String {
    let path = dir.path().join("some.sig");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn signatures_match_live() {
    if !root_or_say_so("signatures") {
        return;
    }
    let _turn = one_at_a_time();
    let dir = TempDir::new().unwrap();
    let (sig, events) = (file(&dir, SIGNATURES), dir.path().join("events"));
    let options = [
        "--signatures",
        &sig,
        "--workers",
        "2",
        "--events",
        events.to_str().unwrap(),
        "--event",
        "signature_match",
    ];
    let mut web = Web::new("", &options).unwrap();
    web.file("secret.txt", b"here comes the word, at last").unwrap();
    web.fetch(&[&Web::url("/secret.txt")]).unwrap();
    let send = || -> std::io::Result<()> {
        let socket = UdpSocket::bind(("0.0.0.0", 0))?;
        socket.send_to(b"abcx", (lab::server_ip(false), 9))?;
        socket.send_to(b"abcdx", (lab::server_ip(false), 9)).map(|_| ())
    };
    web.lab.client.run(send).unwrap().unwrap();
    let ping = || traffic::ping(lab::server_ip(false), 56);
    web.lab.client.run(ping).unwrap().unwrap();
    let done = web.stop().unwrap();
    let rows = done.log("signatures.log").unwrap();
    let mut ids: Vec<_> = rows.iter().map(|r| r["sig_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["agent", "answer", "body", "datagram", "get", "ping", "syn"]);
    let of = |id: &str| rows.iter().find(|r| r["sig_id"] == id).expect(id);
    let client = lab::client_ip(false).to_string();
    assert_eq!(of("get")["event_msg"], format!("{client}: somebody asks"));
    assert_eq!(of("answer")["dst_addr"], client.as_str());
    assert_eq!(of("datagram")["sub_msg"], "abcx");
    let told = read_log(&events).unwrap();
    let uids = |all: &[Value], of: fn(&Value) -> &Value| {
        let mut all: Vec<_> = all.iter().map(|v| of(v).to_string()).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(
        uids(&told, |e| &e["args"]["state"]["conn"]["uid"]),
        uids(&rows, |r| &r["uid"])
    );
}

/// The share of the wire's bytes that went to userspace, of a download of 20 MB over a port that tells nothing.
fn share(signatures: &str, more: &[&str]) -> (f64, Finished) {
    let dir = TempDir::new().unwrap();
    let sig = file(&dir, signatures);
    let options = [&["--signatures", &sig], more].concat();
    let mut web = Web::new("", &options).unwrap();
    let long = std::fs::File::create(web.dir.path().join("www/long.bin")).unwrap();
    long.set_len(20_000_000).unwrap();
    let url = Web::url("/long.bin");
    web.fetch(&["--output", "/dev/null", "--limit-rate", "40M", &url])
        .unwrap();
    let done = web.stop().unwrap();
    let conns = done.conns().unwrap();
    let row = conns
        .iter()
        .find(|r| r["service"] == "http")
        .expect("a connection");
    let wire = row["orig_ip_bytes"].as_u64().unwrap() + row["resp_ip_bytes"].as_u64().unwrap();
    (done.copied().unwrap() as f64 / wire as f64, done)
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn the_kernel_keeps_what_no_signature_can_match() {
    if !root_or_say_so("signatures and the kernel") {
        return;
    }
    let _turn = one_at_a_time();
    let floating = "signature s { payload /.*never/  event \"m\" }";
    let (few, _) = share(floating, &[]);
    assert!(few < 0.1, "{few}");
    let (all, _) = share(floating, &["--signature-bytes", "0"]);
    assert!(all > 0.9, "{all}");
    let (few, _) = share(
        "signature s { payload /^never/  event \"m\" }",
        &["--signature-bytes", "0"],
    );
    assert!(few < 0.1, "{few}");
    let (all, _) = share("signature s { http-reply-body /.*never/  event \"m\" }", &[]);
    assert!(all > 0.9, "{all}");
}
