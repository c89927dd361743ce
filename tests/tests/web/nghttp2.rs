//! HTTP/2 in the clear between nghttp and nghttpx, which HTTP/1 goes over to when it is asked to; nginx is behind it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use sensor_tests::daemon::Daemon;
use sensor_tests::rows::row;
use sensor_tests::sensor::read_log;
use sensor_tests::{Lab, one_at_a_time, root_or_say_so};
use serde_json::Value;

use super::{Web, check_request, noise, server};

/// Ports on which nghttpx listens: one is HTTP's.
const PORTS: [u16; 2] = [8080, 9444];

/// nghttpx before nginx, with its files in `dir`. Each request is a line of JSON in `dir/nghttpx.json`.
fn nghttpx(lab: &Lab, dir: &Path) -> Result<Daemon> {
    let mut command = lab.server.command("nghttpx");
    command.args(["--conf=/dev/null", "--single-process"]);
    for port in PORTS {
        command.arg(format!("--frontend={},{port};no-tls", server()));
    }
    command
        .arg(format!("--backend={},{}", server(), super::PORT))
        .arg(format!("--accesslog-file={}/nghttpx.json", dir.display()))
        .arg(concat!(
            r#"--accesslog-format={"port":$remote_port,"method":"$method","uri":"$path","status":$status,"#,
            r#""sent":$body_bytes_sent,"agent":"$http_user_agent","host":"$http_host"}"#
        ));
    Daemon::start(
        &lab.server,
        command,
        (server(), PORTS[1]),
        &dir.join("nghttpx.log"),
    )
}

/// Asks for these on one connection.
fn nghttp(web: &Web, options: &[&str], port: u16, paths: &[&str]) -> Result<()> {
    let mut command = web.lab.client.command("nghttp");
    command.args(["--null-out", "--timeout=60"]).args(options);
    let url = |path: &&str| format!("http://{}:{port}{path}", server());
    let out = command.args(paths.iter().map(url)).output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}

/// Rows by the client's port, method and URI. Nothing is asked for twice on a connection.
fn keyed(rows: Vec<Value>, port: &str) -> BTreeMap<(u64, String, String), Value> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let key = |r: &Value| (r[port].as_u64().unwrap(), text(&r["method"]), text(&r["uri"]));
    rows.into_iter().map(|r| (key(&r), r)).collect()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn http1_goes_over_to_http2_as_the_server_logs_it() {
    if !root_or_say_so("nghttp2") {
        return;
    }
    let _turn = one_at_a_time();
    let lines = "client_max_body_size 100m; location /none { return 204; } \
                 location /put/ { dav_methods PUT; create_full_put_path on; }";
    let mut web = Web::new(lines, &["--workers", "2"]).unwrap();
    let _front = nghttpx(&web.lab, web.dir.path()).unwrap();
    let bulk = noise(1, 300_000);
    web.file("plain.txt", b"Some plain text.\n").unwrap();
    web.file("noise.bin", &bulk).unwrap();
    let upload = web.dir.path().join("upload");
    std::fs::write(&upload, noise(2, 200_000)).unwrap();
    let put = "--header=:method: PUT";
    let data = format!("--data={}", upload.display());

    for port in PORTS {
        let gets = ["/noise.bin?1", "/plain.txt", "/missing", "/noise.bin?2", "/none"];
        let upgrade = ["--upgrade"];
        nghttp(&web, &upgrade, port, &gets).unwrap();
        nghttp(&web, &[], port, &gets).unwrap();
        nghttp(
            &web,
            &["--upgrade", "--padding=200", "--no-dep"],
            port,
            &gets[..1],
        )
        .unwrap();
        // Who has something to send asks with OPTIONS first.
        nghttp(&web, &["--upgrade", put, &data], port, &["/put/b"]).unwrap();
        nghttp(&web, &[put, &data, "--trailer=end: here"], port, &["/put/c"]).unwrap();
    }
    let done = web.stop().unwrap();

    let served = read_log(&web.dir.path().join("nghttpx.json")).unwrap();
    assert_eq!(served.len(), 2 * (5 + 5 + 1 + 2 + 1));
    let (served, rows) = (keyed(served, "port"), done.log("http.log").unwrap());
    let switched = rows.iter().filter(|r| r["info_code"] == 101).count();
    assert_eq!(switched, 2 * 3);
    let logged = keyed(rows, "id.orig_p");
    assert_eq!(
        served.keys().collect::<Vec<_>>(),
        logged.keys().collect::<Vec<_>>(),
        "{logged:#?}"
    );
    for (key, s) in &served {
        let l = &logged[key];
        check_request(l, s);
        assert_eq!(l["version"], "2", "{l:#}");
        assert_eq!(l["response_body_len"], s["sent"], "{s} {l:#}");
        let sent = if s["method"] == "PUT" { 200_000 } else { 0 };
        assert_eq!(l["request_body_len"], sent, "{l:#}");
    }
    let files = done.log("files.log").unwrap();
    let of = |size: usize| {
        let is_it = |f: &&Value| f["seen_bytes"] == size && f["missing_bytes"] == 0;
        files.iter().filter(is_it).count()
    };
    assert_eq!((of(bulk.len()), of(200_000)), (2 * 5, 2 * 2), "{files:#?}");
    let conns = done.conns().unwrap();
    for (port, ..) in served.keys() {
        assert_eq!(row(&conns, server(), *port as u16)["service"], "http");
    }
    let weirds = done.log("weird.log").unwrap_or_default();
    assert!(weirds.is_empty(), "{weirds:#?}");
}
