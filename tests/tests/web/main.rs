//! HTTP between curl and nginx in namespaces: what http.log and files.log say against what nginx wrote of each request,
//! and what was copied for it.

mod bulk;
mod http2;
mod nghttp2;
mod requests;
mod signatures;
mod software;
mod stalled;
mod websocket;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sensor_tests::daemon::{self, Daemon};
use sensor_tests::sensor::{Finished, TempDir, read_log};
use sensor_tests::{Lab, LabOptions, Sensor, lab};
use serde_json::Value;

/// nginx's port.
const PORT: u16 = 80;

/// A client, a server with nginx on it, and a sensor between them.
struct Web {
    lab: Lab,
    dir: TempDir,
    _logs: TempDir,
    sensor: Option<Sensor>,
    _nginx: Daemon,
}

/// Whose request it was (the client's port, and its place on the connection), and what is known of it.
type Requests = BTreeMap<(u64, u64), Value>;

impl Web {
    /// `server`: lines for nginx's server block; `options`: the sensor's.
    fn new(server: &str, options: &[&str]) -> Result<Web> {
        let lab = Lab::new(LabOptions::default())?;
        let (dir, logs) = (TempDir::new()?, TempDir::new()?);
        let at = (lab::server_ip(false), PORT);
        let nginx = daemon::nginx(&lab.server, dir.path(), at, server)?;
        let options = [&["--rx-only"], options].concat();
        let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options)?;
        Ok(Web {
            lab,
            dir,
            _logs: logs,
            sensor: Some(sensor),
            _nginx: nginx,
        })
    }

    /// A file that nginx serves as `/name`.
    fn file(&self, name: &str, content: &[u8]) -> Result<()> {
        Ok(std::fs::write(self.dir.path().join("www").join(name), content)?)
    }

    fn url(path: &str) -> String {
        format!("http://{}{path}", lab::server_ip(false))
    }

    /// curl, at the client.
    fn curl(&self) -> Command {
        let mut curl = self.lab.client.command("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60"]);
        curl
    }

    /// Runs curl; what it wrote.
    fn fetch(&self, args: &[&str]) -> Result<Vec<u8>> {
        let out = self.curl().args(args).output().context("curl")?;
        ensure!(
            out.status.success(),
            "curl {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(out.stdout)
    }

    /// Ends the sensor.
    fn stop(&mut self) -> Result<Finished> {
        self.lab.settle()?;
        self.sensor.take().context("it has ended already")?.stop()
    }

    /// What nginx says of the requests.
    fn served(&self) -> Result<Requests> {
        let rows = read_log(&self.dir.path().join("access.log"))?;
        let key = |r: &Value| Some((r["port"].as_u64()?, r["depth"].as_u64()?));
        let keyed = rows.into_iter().map(|r| Ok((key(&r).context("a key")?, r)));
        keyed.collect()
    }
}

/// What http.log says of them.
fn logged(done: &Finished) -> Result<Requests> {
    let rows = done.log("http.log")?;
    let key = |r: &Value| Some((r["id.orig_p"].as_u64()?, r["trans_depth"].as_u64()?));
    let keyed = rows.into_iter().map(|r| Ok((key(&r).context("a key")?, r)));
    keyed.collect()
}

/// Column by column, what is logged of a request is what the server logged of it.
fn check_request(logged: &Value, served: &Value) {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    for (ours, theirs) in [
        ("method", "method"),
        ("uri", "uri"),
        ("host", "host"),
        ("user_agent", "agent"),
        ("referrer", "referrer"),
    ] {
        // URIs are logged decoded.
        let theirs = text(&served[theirs]).replace("%20", " ");
        assert_eq!(text(&logged[ours]), theirs, "{ours} of {served} in {logged:#}");
    }
    assert_eq!(logged["status_code"], served["status"], "{served}");
}

/// The server's address.
fn server() -> IpAddr {
    lab::server_ip(false)
}

/// Bytes that look like nothing, the same for each seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        })
        .collect()
}
