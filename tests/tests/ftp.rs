//! FTP between curl and vsftpd in namespaces: data connections are files, whichever worker has them.

use std::path::Path;

use anyhow::{Result, ensure};
use sensor_tests::daemon::{Daemon, apart};
use sensor_tests::openssl::Pki;
use sensor_tests::sensor::{TempDir, read_log};
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time, root_or_say_so};
use serde_json::Value;
use sha2::{Digest, Sha256};

const PORT: u16 = 21;

/// vsftpd that lets everybody read `dir/pub`, and write below it, in the clear or over TLS. What is said and transferred is in
/// `dir/transfers.log`.
fn vsftpd(lab: &Lab, dir: &Path) -> Result<Daemon> {
    std::fs::create_dir_all(dir.join("pub/incoming"))?;
    std::fs::create_dir_all(dir.join("empty"))?;
    let pki = Pki::new(dir)?;
    let conf = format!(
        "listen=YES\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nanon_root={dir}/pub\n\
         secure_chroot_dir={dir}/empty\nrun_as_launching_user=NO\nseccomp_sandbox=NO\n\
         nopriv_user=nobody\nftp_username=daemon\nport_enable=YES\npasv_enable=YES\n\
         write_enable=YES\nanon_upload_enable=YES\nanon_other_write_enable=YES\n\
         xferlog_enable=YES\nlog_ftp_protocol=YES\nvsftpd_log_file={dir}/transfers.log\n\
         ssl_enable=YES\nallow_anon_ssl=YES\nforce_local_data_ssl=NO\nforce_local_logins_ssl=NO\n\
         require_ssl_reuse=NO\nrsa_cert_file={cert}\nrsa_private_key_file={key}\n",
        dir = dir.display(),
        cert = pki.file("rsa.pem"),
        key = pki.file("rsa.key"),
    );
    std::fs::write(dir.join("vsftpd.conf"), conf)?;
    let script = format!(
        "chmod 755 {dir} {dir}/pub && chown daemon {dir}/pub/incoming && exec vsftpd {dir}/vsftpd.conf",
        dir = dir.display()
    );
    let at = (lab::server_ip(false), PORT);
    Daemon::start(
        &lab.server,
        apart(&lab.server, &script),
        at,
        &dir.join("vsftpd.log"),
    )
}

/// Fetches a file twelve times past a sensor with so many workers. How often the data connection was known for one, what
/// files.log has of them all being right.
fn fetch_past(workers: &str) -> usize {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).unwrap();
    let (dir, logs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let _server = vsftpd(&lab, dir.path()).unwrap();
    let content = "one line of many\n".repeat(20_000);
    std::fs::write(dir.path().join("pub/lines.txt"), &content).unwrap();
    let stream = logs.path().join("events");
    let options = [
        "--rx-only",
        "--workers",
        workers,
        "--file-hashes",
        "sha256",
        "--events",
        stream.to_str().unwrap(),
        "--event",
        "scheduled_analyzer_applied,file_state_remove",
    ];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).unwrap();
    // Passive and active, over both families, each several times: ports decide which worker has which connection.
    let fetch = |more: &[&str]| -> Result<()> {
        let mut curl = lab.client.command("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60"])
            .args(more);
        let out = curl
            .arg(format!("ftp://{}/lines.txt", lab::server_ip(false)))
            .output()?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        ensure!(out.stdout == content.as_bytes());
        Ok(())
    };
    for _ in 0..4 {
        fetch(&[]).unwrap();
        fetch(&["--disable-epsv"]).unwrap();
        fetch(&["--ftp-port", "-"]).unwrap();
    }
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();

    let files = done.log("files.log").unwrap();
    let digest = Sha256::digest(content.as_bytes());
    let want: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    for f in &files {
        assert_eq!(f["source"], "FTP_DATA");
        assert_eq!(f["sha256"], want.as_str(), "{f:#}");
        assert_eq!(f["mime_type"], "text/plain");
    }
    let conns = done.conns().unwrap();
    let data = conns.iter().filter(|c| c["service"] == "ftp-data").count();
    let told = read_log(&stream).unwrap();
    let applied = told
        .iter()
        .filter(|e| e["event"] == "scheduled_analyzer_applied")
        .count();
    assert_eq!((data, applied), (files.len(), files.len()));
    data
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn files_over_ftp_are_known_by_the_connection_that_announced_them() {
    if root_or_say_so("ftp") {
        assert_eq!(fetch_past("1"), 12);
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn another_worker_knows_what_was_announced() {
    if root_or_say_so("ftp") {
        // Here the first bytes come within a millisecond of the announcement, and are kept until its worker has got a
        // processor. But that one has to know by then that this is FTP.
        assert!(fetch_past("4") >= 11);
    }
}

/// The commands in vsftpd's log that it names in capitals, in order, with what follows each.
fn commands(said: &str) -> Vec<(String, String)> {
    let of = |line: &str| {
        let (_, command) = line.split_once("FTP command: ")?;
        let command = command.split_once(", \"")?.1.strip_suffix('"')?;
        let (name, arg) = command.split_once(' ').unwrap_or((command, ""));
        Some((name.to_owned(), arg.to_owned()))
    };
    said.lines().filter_map(of).collect()
}

/// How many bytes each transfer of a kind had, by vsftpd's log.
fn transferred(said: &str, kind: &str) -> Vec<u64> {
    let of = |line: &str| {
        let (_, line) = line.split_once(kind)?;
        line.split(", ").nth(2)?.strip_suffix(" bytes")?.parse().ok()
    };
    said.lines().filter_map(of).collect()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn rows_are_what_the_server_has_logged() {
    if !root_or_say_so("ftp") {
        return;
    }
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).unwrap();
    let (dir, logs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let _server = vsftpd(&lab, dir.path()).unwrap();
    let content = "one line of many\n".repeat(20_000);
    std::fs::write(dir.path().join("pub/lines.txt"), &content).unwrap();
    let options = ["--rx-only", "--workers", "1"];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).unwrap();
    let curl = |path: &str, more: &[&str]| {
        let mut curl = lab.client.command("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--output",
            "/dev/null",
        ]);
        curl.args(more);
        let out = curl
            .arg(format!("ftp://{}/{path}", lab::server_ip(false)))
            .output();
        let out = out.unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    let here = dir.path().join("pub/lines.txt");
    let here = here.to_str().unwrap();
    curl("lines.txt", &[]);
    curl("lines.txt", &["--disable-epsv"]);
    curl("lines.txt", &["--ftp-port", "-"]);
    curl("lines.txt", &["--ftp-port", "-", "--disable-eprt"]);
    curl("incoming/up.txt", &["--upload-file", here]);
    curl(
        "incoming/more.txt",
        &[
            "--upload-file",
            here,
            "--disable-epsv",
            "--quote",
            "DELE incoming/up.txt",
        ],
    );
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();

    let said = std::fs::read_to_string(dir.path().join("transfers.log")).unwrap();
    let mut rows = done.log("ftp.log").unwrap();
    rows.sort_by(|a, b| a["ts"].as_f64().partial_cmp(&b["ts"].as_f64()).unwrap());
    let logged = ["RETR", "STOR", "PASV", "EPSV", "PORT", "EPRT", "DELE"];
    let wanted = commands(&said)
        .into_iter()
        .filter(|c| logged.contains(&c.0.as_str()));
    let wanted: Vec<_> = wanted.map(|c| c.0).collect();
    let told: Vec<_> = rows.iter().map(|r| r["command"].as_str().unwrap()).collect();
    assert_eq!(told, wanted, "{said}");
    assert_eq!(told.len(), 13);

    let files = done.log("files.log").unwrap();
    let conns = done.conns().unwrap();
    let of_kind = |kind: &str| {
        rows.iter()
            .filter(move |r| r["command"] == kind)
            .collect::<Vec<_>>()
    };
    for row in &rows {
        assert_eq!(row["user"], "anonymous");
        assert!(row["password"].as_str().unwrap().contains('@'), "{row:#}");
        let channel = |name: &str| row.get(format!("data_channel.{name}"));
        let Some(port) = channel("resp_p") else { continue };
        let is_it = |c: &&Value| c["service"] == "ftp-data" && c["id.resp_p"] == *port;
        let conn = conns.iter().find(is_it).expect("its data connection");
        assert_eq!(Some(&conn["id.orig_h"]), channel("orig_h"), "{row:#}");
        assert_eq!(Some(&conn["id.resp_h"]), channel("resp_h"), "{row:#}");
        let passive = ["PASV", "EPSV"].contains(&row["command"].as_str().unwrap());
        assert_eq!(channel("passive"), Some(&passive.into()));
    }
    for (kind, log, path) in [
        ("RETR", "OK DOWNLOAD: ", "/lines.txt"),
        ("STOR", "OK UPLOAD: ", "/incoming/"),
    ] {
        let rows = of_kind(kind);
        let sizes = transferred(&said, log);
        assert_eq!(
            (rows.len(), rows.len()),
            (sizes.len(), if kind == "RETR" { 4 } else { 2 })
        );
        for (row, size) in rows.iter().zip(sizes) {
            let url = format!("ftp://{}{path}", lab::server_ip(false));
            assert!(row["arg"].as_str().unwrap().starts_with(&url), "{row:#}");
            assert_eq!(row["reply_code"], 226);
            assert_eq!(row["mime_type"], "text/plain");
            if kind == "RETR" {
                assert_eq!(row["file_size"], size);
            }
            let file = files.iter().find(|f| f["fuid"] == row["fuid"]).expect("its file");
            assert_eq!(file["seen_bytes"], size);
        }
    }
    let [gone] = of_kind("DELE")[..] else {
        panic!("{rows:#?}")
    };
    assert_eq!(gone["reply_code"], 250);
    assert!(gone["arg"].as_str().unwrap().ends_with("/incoming/up.txt"));
}

/// Logs in over TLS and fetches a file.
const OVER_TLS: &str = "
import ftplib, ssl, sys
s = ssl.create_default_context()
s.check_hostname, s.verify_mode = False, ssl.CERT_NONE
f = ftplib.FTP_TLS(context=s)
f.connect(sys.argv[1], 21)
f.login('anonymous', 'me@here')
f.prot_p()
n = []
f.retrbinary('RETR lines.txt', lambda b: n.append(len(b)))
print(sum(n))
f.quit()
";

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn behind_auth_tls_nothing_of_ftp_is_told() {
    if !root_or_say_so("ftp") {
        return;
    }
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).unwrap();
    let (dir, logs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let _server = vsftpd(&lab, dir.path()).unwrap();
    std::fs::write(dir.path().join("pub/lines.txt"), "a line\n".repeat(1000)).unwrap();
    let stream = logs.path().join("events");
    let options = [
        "--rx-only",
        "--events",
        stream.to_str().unwrap(),
        "--event",
        "ftp_request,ftp_reply,ftp_starttls",
    ];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).unwrap();
    let mut python = lab.client.command("python3");
    let server = lab::server_ip(false).to_string();
    let out = python.args(["-c", OVER_TLS, &server]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&out.stdout).trim(),
        "7000",
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();

    let told = read_log(&stream).unwrap();
    let names: Vec<_> = told.iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["ftp_reply", "ftp_request", "ftp_starttls", "ftp_reply"],
        "{told:#?}"
    );
    assert_eq!(told[1]["args"]["arg"], "TLS");
    let conns = done.conns().unwrap();
    let control = conns.iter().find(|c| c["id.resp_p"] == PORT).expect("a row");
    assert_eq!(control["service"], "ftp,ssl");
    assert!(done.log("ftp.log").unwrap_or_default().is_empty());
    // That of the data connection, too.
    let ssl = done.log("ssl.log").unwrap();
    assert_eq!(ssl.len(), 2, "{ssl:#?}");
    assert!(ssl.iter().all(|row| row["established"] == true));
}
