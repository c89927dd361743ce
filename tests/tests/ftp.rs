//! FTP between curl and vsftpd in namespaces: data connections are files, whichever worker has them.

use std::path::Path;

use anyhow::{Result, ensure};
use sensor_tests::daemon::{Daemon, apart};
use sensor_tests::sensor::{TempDir, read_log};
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time, root_or_say_so};
use sha2::{Digest, Sha256};

const PORT: u16 = 21;

/// vsftpd that lets everybody read `dir/pub`.
fn vsftpd(lab: &Lab, dir: &Path) -> Result<Daemon> {
    std::fs::create_dir_all(dir.join("pub"))?;
    std::fs::create_dir_all(dir.join("empty"))?;
    let conf = format!(
        "listen=YES\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nanon_root={dir}/pub\n\
         secure_chroot_dir={dir}/empty\nrun_as_launching_user=NO\nxferlog_enable=NO\nseccomp_sandbox=NO\n\
         nopriv_user=nobody\nftp_username=daemon\nport_enable=YES\npasv_enable=YES\n",
        dir = dir.display()
    );
    std::fs::write(dir.join("vsftpd.conf"), conf)?;
    let script = format!(
        "chmod 755 {dir} {dir}/pub && exec vsftpd {dir}/vsftpd.conf",
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
