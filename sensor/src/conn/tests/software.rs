//! Software that names itself on connections of several protocols.

use std::sync::Arc;

use super::*;

/// With both ends local.
fn lab(resp_port: u16) -> Lab {
    let cfg = Config {
        is_local: Arc::new(|_| true),
        ..Config::default()
    };
    let mut lab = Lab::with("software_unparsed_version_found,software_version_found", cfg);
    lab.resp_port = resp_port;
    lab.handshake();
    lab
}

/// software.log, a line a row: host, port, type, name, what was said.
fn logged(seen: &Seen) -> Vec<String> {
    let columns = ["host", "host_p", "software_type", "name", "unparsed_version"];
    let row = |row: &[(&str, String)]| {
        let wanted = row.iter().filter(|(name, _)| columns.contains(name));
        let values: Vec<_> = wanted.map(|(_, value)| value.as_str()).collect();
        values.join(" ")
    };
    let rows = seen.rows.iter().filter(|r| r.0 == "software");
    rows.map(|r| row(&r.1)).collect()
}

#[test]
fn both_sides_of_ssh_name_theirs() {
    let mut lab = lab(22);
    lab.data(1, 1, 1, b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n");
    lab.data(0, 1, 41, b"SSH-2.0-libssh2_1.10.0\r\n");
    let seen = lab.finish();
    assert_eq!(
        logged(&seen),
        [
            "Addr(10.0.0.2) Port(22) SSH::SERVER OpenSSH OpenSSH_9.2p1 Debian-2+deb12u2",
            "Addr(10.0.0.1) Unset SSH::CLIENT libssh libssh2_1.10.0",
        ]
    );
    assert_eq!(seen.args("software_version_found").len(), 2);
    assert_eq!(
        seen.args("software_version_found")[0],
        &serde_json::json!({
            "host": "10.0.0.2",
            "s": {"name": "OpenSSH", "version": {"major": 9, "minor": 2, "addl": "p1"}},
            "descr": "OpenSSH_9.2p1 Debian-2+deb12u2",
        })
    );
}

#[test]
fn ftp_servers_greet_and_clients_say_clnt() {
    let mut lab = lab(21);
    lab.data(1, 1, 1, b"220 (vsFTPd 3.0.3)\r\n");
    lab.data(0, 1, 21, b"clnt NcFTP 3.2.6\r\nCLNT\r\n");
    // This greets nobody.
    lab.data(1, 21, 25, b"220 (vsFTPd 3.0.4)\r\n");
    assert_eq!(
        logged(&lab.finish()),
        [
            "Addr(10.0.0.2) Port(21) FTP::SERVER vsFTPd vsFTPd 3.0.3",
            "Addr(10.0.0.1) Unset FTP::CLIENT NcFTP NcFTP 3.2.6",
        ]
    );
}

#[test]
fn mail_servers_greet() {
    let mut lab = lab(25);
    lab.data(
        1,
        1,
        1,
        b"220-mx1.example.com ESMTP Exim 4.96 Sat\r\n220 and not Exim 4.97\r\n",
    );
    lab.data(0, 1, 66, b"EHLO me\r\n");
    assert_eq!(
        logged(&lab.finish()),
        ["Addr(10.0.0.2) Port(25) SMTP::MAIL_SERVER Exim Exim 4.96"]
    );
}

#[test]
fn a_greeting_without_a_version_names_nothing() {
    let mut lab = lab(25);
    lab.data(1, 1, 1, b"220 mx1.example.com ESMTP Postfix (Debian/GNU)\r\n");
    let seen = lab.finish();
    assert_eq!(logged(&seen), [""; 0]);
    assert!(seen.names().is_empty());
}
