//! SOCKS between curl and Dante in namespaces, with nginx behind it: what socks.log says of each connection against what the
//! proxy and the server have logged.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use sensor_tests::daemon::{Daemon, apart, nginx};
use sensor_tests::openssl::Pki;
use sensor_tests::sensor::TempDir;
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time, root_or_say_so};
use serde_json::Value;

const PORT: u16 = 1080;
const NAME: &str = "web.test";
const PASSWORD: &str = "correct horse";

/// Dante, which knows the server by a name, and root by a password. The machine's own files stay as they are.
fn danted(lab: &Lab, dir: &Path) -> Result<Daemon> {
    let server = lab::server_ip(false);
    let hash = Command::new("openssl")
        .args(["passwd", "-6", PASSWORD])
        .output()?;
    let hash = String::from_utf8(hash.stdout)?;
    std::fs::write(
        dir.join("shadow"),
        format!("root:{}:19000:0:99999:7:::\n", hash.trim()),
    )?;
    std::fs::write(
        dir.join("hosts"),
        format!("127.0.0.1 localhost\n{server} {NAME}\n"),
    )?;
    let conf = format!(
        "logoutput: stderr\ninternal: {server} port = {PORT}\nexternal: {server}\n\
         socksmethod: username none\nclientmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\n\
         client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: error }}\n\
         socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: connect error }}\n"
    );
    std::fs::write(dir.join("danted.conf"), conf)?;
    let script = format!(
        "mount --bind {dir}/shadow /etc/shadow && mount --bind {dir}/hosts /etc/hosts && \
         exec $(command -v danted) -f {dir}/danted.conf -p {dir}/danted.pid",
        dir = dir.display()
    );
    let log = dir.join("danted.log");
    Daemon::start(&lab.server, apart(&lab.server, &script), (server, PORT), &log)
}

/// Fetches a page through the proxy.
fn curl(lab: &Lab, url: &str, options: &[&str]) -> Result<()> {
    let mut curl = lab.client.command("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--max-time", "60"])
        .args(options)
        .arg(url);
    let out = curl.output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    ensure!(out.stdout == b"hello\n");
    Ok(())
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_goes_through_a_proxy_is_told_with_where_it_goes() {
    if !root_or_say_so("socks") {
        return;
    }
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).unwrap();
    let (dir, logs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let pki = Pki::new(dir.path()).unwrap();
    let server = lab::server_ip(false);
    let tls = format!(
        "listen {server}:443 ssl; ssl_certificate {}; ssl_certificate_key {};",
        pki.file("rsa.pem"),
        pki.file("rsa.key")
    );
    let _web = nginx(&lab.server, dir.path(), (server, 80), &tls).unwrap();
    std::fs::write(dir.path().join("www/index.html"), "hello\n").unwrap();
    let proxy = danted(&lab, dir.path()).unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &["--rx-only"]).unwrap();

    let at = format!("{server}:{PORT}");
    let (plain, named) = (format!("http://{server}/"), format!("http://{NAME}/"));
    let secret = format!("https://{NAME}/");
    let user = format!("root:{PASSWORD}");
    curl(&lab, &plain, &["--socks4", &at]).unwrap();
    // Dante does not know the names of version 4a.
    curl(&lab, &named, &["--socks4a", &at]).unwrap_err();
    curl(&lab, &plain, &["--socks5", &at]).unwrap();
    curl(&lab, &named, &["--socks5-hostname", &at]).unwrap();
    curl(&lab, &secret, &["--socks5-hostname", &at]).unwrap();
    curl(&lab, &secret, &["--socks5-hostname", &at, "--proxy-user", &user]).unwrap();
    // Nobody listens there.
    curl(&lab, &format!("http://{server}:9/"), &["--socks5", &at]).unwrap_err();
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();

    let mut rows = done.log("socks.log").unwrap();
    rows.sort_by(|a, b| a["ts"].as_f64().partial_cmp(&b["ts"].as_f64()).unwrap());
    let versions: Vec<_> = rows.iter().filter_map(|r| r["version"].as_u64()).collect();
    assert_eq!(versions, [4, 4, 5, 5, 5, 5, 5], "{rows:#?}");
    let said = proxy.text();
    for (n, name, port) in [
        (0, None, 80),
        (2, None, 80),
        (3, Some(NAME), 80),
        (4, Some(NAME), 443),
        (5, Some(NAME), 443),
    ] {
        let row = &rows[n];
        assert_eq!(row["status"], "succeeded", "{row:#}");
        assert_eq!(row.get("request.name").and_then(Value::as_str), name);
        assert_eq!(row["request_p"], port);
        // From where the proxy has connected to where.
        let line = format!(
            "{}.{} {server}.{PORT} -> {}.{} {server}.{port}",
            row["id.orig_h"].as_str().unwrap(),
            row["id.orig_p"],
            row["bound.host"].as_str().unwrap(),
            row["bound_p"],
        );
        assert!(said.contains(&line), "{line}\n{said}");
    }
    assert_eq!(rows[0]["request.host"], server.to_string());
    assert_eq!(
        (&rows[1]["request.host"], &rows[1]["request.name"]),
        (&"0.0.0.1".into(), &NAME.into())
    );
    assert_eq!(rows[1]["status"], "general SOCKS server failure");
    assert_eq!(rows[5]["user"], "root");
    assert_eq!(rows[5].get("password"), None);
    assert_eq!(rows[6]["status"], "Connection refused");

    // All of it is one tunnel, and read as if there were none.
    let tunnels = done.log("tunnel.log").unwrap();
    let is_found = |t: &&Value| t["action"] == "Tunnel::DISCOVER";
    let found: Vec<_> = tunnels.iter().filter(is_found).collect();
    assert_eq!(found.len(), 1, "{tunnels:#?}");
    assert_eq!(found[0]["tunnel_type"], "Tunnel::SOCKS");
    assert_eq!(
        (&found[0]["id.orig_p"], &found[0]["id.resp_p"]),
        (&0.into(), &PORT.into())
    );
    let conns = done.conns().unwrap();
    let services = |service: &str| conns.iter().filter(|c| c["service"] == service).count();
    assert_eq!(
        (services("socks,http"), services("socks,ssl")),
        (3, 2),
        "{conns:#?}"
    );
    assert_eq!(done.log("http.log").unwrap().len(), 3);
    assert!(
        done.log("ssl.log")
            .unwrap()
            .iter()
            .all(|r| r["server_name"] == NAME)
    );
}
