//! OpenSSH between namespaces: what ssh.log says of each connection against what sshd said of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sensor_tests::daemon::{Daemon, apart};
use sensor_tests::sensor::TempDir;
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time, root_or_say_so};
use serde_json::Value;

const PORT: u16 = 22;
const PASSWORD: &str = "correct horse";

/// Makes a key without a passphrase.
fn key(file: &Path) -> Result<()> {
    let done = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file)
        .status()?;
    ensure!(done.success(), "ssh-keygen");
    Ok(())
}

/// sshd that knows root by a password and a key. The machine's own files stay as they are: it sees others.
fn sshd(lab: &Lab, dir: &Path) -> Result<Daemon> {
    key(&dir.join("host"))?;
    key(&dir.join("user"))?;
    std::fs::copy(dir.join("user.pub"), dir.join("authorized"))?;
    let hash = Command::new("openssl")
        .args(["passwd", "-6", PASSWORD])
        .output()?;
    let hash = String::from_utf8(hash.stdout)?;
    let shadow = std::fs::read_to_string("/etc/shadow")?;
    let others = shadow.lines().filter(|l| !l.starts_with("root:"));
    let root = format!("root:{}:19000:0:99999:7:::", hash.trim());
    let shadow: Vec<_> = [root.as_str()].into_iter().chain(others).collect();
    std::fs::write(dir.join("shadow"), shadow.join("\n") + "\n")?;
    std::fs::create_dir_all("/run/sshd")?;
    let script = format!(
        "mount --bind {dir}/shadow /etc/shadow && exec $(command -v sshd) -D -e -f /dev/null -p {PORT} \
         -o HostKey={dir}/host -o PermitRootLogin=yes -o UsePAM=no -o StrictModes=no -o PidFile=none \
         -o AuthorizedKeysFile={dir}/authorized -o MaxAuthTries=6 -o LogLevel=VERBOSE",
        dir = dir.display()
    );
    let at = (lab::server_ip(false), PORT);
    Daemon::start(
        &lab.server,
        apart(&lab.server, &script),
        at,
        &dir.join("sshd.log"),
    )
}

/// ssh at the client with these options before the host; what the command printed.
fn ssh(lab: &Lab, password: Option<&str>, options: &[&str]) -> Result<String> {
    let mut command = match password {
        Some(word) => {
            let mut c = lab.client.command("sshpass");
            c.args(["-p", word, "ssh"]);
            c
        }
        None => lab.client.command("ssh"),
    };
    command
        .args([
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args([
            "-o",
            "NumberOfPasswordPrompts=1",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "IdentityAgent=none",
        ])
        .args(options)
        .arg(format!("root@{}", lab::server_ip(false)))
        .arg("echo hello; head -c 3000000 /dev/zero");
    let out = command.output().context("ssh")?;
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn logins_are_told_from_failures_by_the_lengths_of_what_cannot_be_read() {
    if !root_or_say_so("ssh") {
        return;
    }
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).unwrap();
    let (dir, logs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let server = sshd(&lab, dir.path()).unwrap();
    let sensor = Sensor::start(
        &lab.middle,
        &lab.taps(),
        logs.path(),
        &["--rx-only", "--ssh-hassh"],
    )
    .unwrap();

    let by_password = ["-o", "PreferredAuthentications=password"];
    let user = dir.path().join("user");
    let by_key = [
        "-o",
        "PreferredAuthentications=publickey",
        "-i",
        user.to_str().unwrap(),
    ];
    assert!(
        ssh(&lab, Some(PASSWORD), &by_password)
            .unwrap()
            .starts_with("hello")
    );
    assert!(ssh(&lab, None, &by_key).unwrap().starts_with("hello"));
    assert_eq!(ssh(&lab, Some("wrong"), &by_password).unwrap(), "");
    let old = [
        "-c",
        "aes128-ctr",
        "-m",
        "hmac-sha2-256",
        "-o",
        "KexAlgorithms=ecdh-sha2-nistp256",
    ];
    assert!(
        ssh(&lab, None, &[&by_key[..], &old].concat())
            .unwrap()
            .starts_with("hello")
    );
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();

    let said = server.text();
    let mut rows = done.log("ssh.log").unwrap();
    rows.sort_by(|a, b| a["ts"].as_f64().partial_cmp(&b["ts"].as_f64()).unwrap());
    assert_eq!(rows.len(), 4, "{rows:#?}");
    for row in &rows {
        let port = format!(" port {} ", row["id.orig_p"]);
        let accepted = said.lines().any(|l| l.contains("Accepted") && l.contains(&port));
        assert_eq!(row["auth_success"], accepted, "{row:#}\n{said}");
        assert_eq!(row["version"], 2);
        for version in ["client", "server"] {
            assert!(
                row[version].as_str().unwrap().starts_with("SSH-2.0-OpenSSH"),
                "{row:#}"
            );
        }
        for hassh in ["hassh", "hasshServer", "hassh_server"] {
            let Some(hash) = row[hassh].as_str() else { continue };
            assert_eq!(hash.len(), 32);
        }
        assert_ne!(row["hassh"], Value::Null);
        assert_ne!(row["host_key"], Value::Null);
    }
    let last = &rows[3];
    assert_eq!(last["cipher_alg"], "aes128-ctr");
    assert_eq!(last["mac_alg"], "hmac-sha2-256");
    assert_eq!(last["kex_alg"], "ecdh-sha2-nistp256");
    assert_eq!(last["host_key_alg"], "ssh-ed25519");

    // What comes after the login is not copied.
    let conns = done.conns().unwrap();
    let wire: u64 = conns.iter().map(|c| c["resp_ip_bytes"].as_u64().unwrap()).sum();
    let share = done.copied().unwrap() as f64 / wire as f64;
    assert!(wire > 9_000_000 && share < 0.1, "{share} of {wire}");
}
