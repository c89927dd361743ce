//! Mail between curl, Postfix and Dovecot in namespaces: smtp.log against what Postfix said of each mail, and what POP3 and IMAP
//! are up to where TLS begins.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sensor_tests::daemon::Daemon;
use sensor_tests::sensor::{Finished, TempDir, read_log};
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time, root_or_say_so};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Makes a certificate for a server, in `dir`, into which everybody may look.
fn certificate(dir: &Path) -> Result<()> {
    let done = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "cd {} && chmod 755 . && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem \
             -out cert.pem -days 2 -subj /CN=mx.example.net 2>/dev/null",
            dir.display()
        ))
        .status()?;
    ensure!(done.success(), "openssl");
    Ok(())
}

/// A server with all its processes: they go with it.
fn server(lab: &Lab, script: &str, port: u16, log: &Path) -> Result<Daemon> {
    let mut command = lab.server.command("unshare");
    command
        .args(["--mount-proc", "--pid", "--fork", "--kill-child", "sh", "-c"])
        .arg(script);
    Daemon::start(&lab.server, command, (lab::server_ip(false), port), log)
}

/// Postfix that takes all mail for example.com and throws it away.
fn postfix(lab: &Lab, dir: &Path) -> Result<Daemon> {
    certificate(dir)?;
    let at = dir.display();
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {at}/queue\ndata_directory = {at}/data\n\
         daemon_directory = /usr/lib/postfix/sbin\ncommand_directory = /usr/sbin\nmail_owner = postfix\n\
         setgid_group = postdrop\ninet_interfaces = all\ninet_protocols = all\nmyhostname = mx.example.net\n\
         mydestination =\nmynetworks = 10.77.0.0/16\nrelay_domains = example.com\nrelay_transport = discard:\n\
         default_transport = discard:\nlocal_recipient_maps =\nalias_maps =\nmaillog_file = /dev/stdout\n\
         disable_dns_lookups = yes\nsmtpd_peername_lookup = no\nsmtpd_tls_cert_file = {at}/cert.pem\n\
         smtpd_tls_key_file = {at}/key.pem\nsmtpd_tls_security_level = may\n"
    );
    let mut master = "25 inet n - n - - smtpd\npostlog unix-dgram n - n - 1 postlogd\n".to_owned();
    for (name, program) in [
        ("cleanup", "cleanup"),
        ("qmgr", "qmgr"),
        ("tlsmgr", "tlsmgr"),
        ("rewrite", "trivial-rewrite"),
        ("bounce", "bounce"),
        ("defer", "bounce"),
        ("trace", "bounce"),
        ("discard", "discard"),
        ("error", "error"),
        ("anvil", "anvil"),
        ("proxymap", "proxymap"),
    ] {
        let public = if matches!(name, "cleanup" | "qmgr") {
            "n"
        } else {
            "-"
        };
        // Of some there may be one only, of others any number.
        let most = match name {
            "qmgr" | "tlsmgr" | "anvil" => "1",
            "cleanup" | "bounce" | "defer" | "trace" => "0",
            _ => "-",
        };
        writeln!(master, "{name} unix {public} - n - {most} {program}")?;
    }
    std::fs::write(dir.join("main.cf"), main)?;
    std::fs::write(dir.join("master.cf"), master)?;
    let script =
        format!("mkdir {at}/queue {at}/data && chown postfix {at}/data && exec postfix -c {at} start-fg",);
    server(lab, &script, 25, &dir.join("postfix.log"))
}

/// Dovecot with one mail for everybody who says `secret`.
fn dovecot(lab: &Lab, dir: &Path) -> Result<Daemon> {
    certificate(dir)?;
    let at = dir.display();
    let conf = format!(
        "protocols = pop3 imap\nbase_dir = {at}/run\nlog_path = /dev/stderr\nssl = yes\nssl_cert = <{at}/cert.pem\n\
         ssl_key = <{at}/key.pem\ndisable_plaintext_auth = no\npassdb {{\n  driver = static\n  args = password=secret\n}}\n\
         userdb {{\n  driver = static\n  args = uid=mail gid=mail home={at}/home\n}}\nfirst_valid_uid = 1\n\
         mail_location = maildir:{at}/home/Maildir\n"
    );
    std::fs::write(dir.join("dovecot.conf"), conf)?;
    let script = format!(
        "cd {at} && mkdir -p run home/Maildir/cur home/Maildir/new home/Maildir/tmp && \
         printf 'Subject: hi\\n\\nbody\\n' > home/Maildir/new/1 && chown -R mail:mail home && \
         exec dovecot -F -c {at}/dovecot.conf"
    );
    server(lab, &script, 110, &dir.join("dovecot.log"))
}

/// curl at the client with these options.
fn curl(lab: &Lab, options: &[&str]) -> Result<String> {
    let mut command = lab.client.command("curl");
    let out = command
        .args(["--silent", "--show-error", "--insecure", "--max-time", "20"])
        .args(options)
        .output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8(out.stdout)?)
}

/// A client of SMTP that sends what it is told to, at once.
struct Client {
    lines: BufReader<TcpStream>,
}

impl Client {
    fn new(lab: &Lab, to: IpAddr) -> Result<Client> {
        let stream = lab.client.run(|| TcpStream::connect((to, 25)))??;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut client = Client {
            lines: BufReader::new(stream),
        };
        client.replies(1)?;
        Ok(client)
    }

    /// Sends and waits for so many replies; the last one.
    fn say(&mut self, text: &str, replies: usize) -> Result<String> {
        self.lines.get_mut().write_all(text.as_bytes())?;
        self.replies(replies)
    }

    fn replies(&mut self, n: usize) -> Result<String> {
        let mut line = String::new();
        for _ in 0..n {
            loop {
                line.clear();
                ensure!(self.lines.read_line(&mut line)? > 0, "the server hung up");
                if line.as_bytes().get(3) != Some(&b'-') {
                    break;
                }
            }
        }
        Ok(line.trim_end().to_owned())
    }
}

/// What Postfix said of the mail with that queue id.
fn lines_of<'s>(said: &'s str, id: &str) -> Vec<&'s str> {
    let name = format!("{id}: ");
    said.lines().filter(|l| l.contains(&name)).collect()
}

/// Rows by their order in time.
fn rows(done: &Finished, log: &str) -> Result<Vec<Value>> {
    let mut rows = done.log(log)?;
    rows.sort_by(|a, b| a["ts"].as_f64().partial_cmp(&b["ts"].as_f64()).expect("times"));
    Ok(rows)
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn rows_of_mails_are_what_postfix_says() {
    if !root_or_say_so("mail") {
        return;
    }
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).unwrap();
    let (dir, logs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let server = postfix(&lab, dir.path()).unwrap();
    let options = ["--rx-only", "--file-hashes", "sha256"];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).unwrap();
    send(&lab, dir.path()).unwrap_or_else(|e| panic!("{e}\n{}", server.text()));
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();

    let rows = rows(&done, "smtp.log").unwrap();
    let said = server.text();
    assert_eq!(rows.len(), 7, "{rows:#?}");
    for (n, (row, (mailfrom, rcptto))) in rows.iter().zip(WANT).enumerate() {
        assert_eq!(row["tls"], n == 2, "{row:#}");
        if n == 2 {
            continue;
        }
        let reply = row["last_reply"].as_str().unwrap();
        let id = reply.rsplit(' ').next().unwrap();
        let told = lines_of(&said, id);
        let is_told = |what: &str| {
            assert!(
                told.iter().any(|l| l.contains(what)),
                "{what}: {told:#?}\n{row:#}"
            )
        };
        is_told(&format!("from=<{mailfrom}>, size="));
        is_told(&format!("nrcpt={} ", rcptto.len()));
        for to in rcptto {
            is_told(&format!("to=<{to}>"));
        }
        if let Some(msg_id) = row["msg_id"].as_str() {
            is_told(&format!("message-id={msg_id}"));
        }
        assert_eq!(row["mailfrom"], *mailfrom);
        assert_eq!(row["rcptto"], json!(rcptto));
        assert_eq!(row["path"], json!(["10.77.0.2", "10.77.0.1"]));
    }
    let column = |name: &str| rows.iter().map(|r| r[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("trans_depth"), [1, 1, 1, 1, 2, 3, 4].map(Value::from));
    let helo = ["plain", "parts", "tls", "many", "many", "many", "many"];
    assert_eq!(column("helo"), helo.map(Value::from));
    let subjects = ["first", "parts", "", "one", "two", "three", "chunks"];
    let got = column("subject");
    let got: Vec<_> = got.iter().map(|s| s.as_str().unwrap_or("")).collect();
    assert_eq!(got, subjects);
    assert_eq!(rows[0]["msg_id"], "<1@example.org>");
    assert_eq!(rows[2]["last_reply"], "220 2.0.0 Ready to start TLS");

    // The parts are files, and known by their row.
    let files = done.log("files.log").unwrap();
    let fuids = rows[1]["fuids"].as_array().unwrap();
    let picture = files.iter().find(|f| f["filename"] == "noise.bin").unwrap();
    assert!(fuids.len() == 2 && fuids.contains(&picture["fuid"]), "{fuids:?}");
    let digest = Sha256::digest(std::fs::read(dir.path().join("noise.bin")).unwrap());
    let want: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(picture["sha256"], want.as_str());

    let conns = done.conns().unwrap();
    let services: Vec<_> = conns
        .iter()
        .map(|c| c["service"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(
        services.iter().filter(|s| **s == "smtp").count(),
        3,
        "{services:?}"
    );
    let both = |s: &str| s.split(',').any(|s| s == "ssl") && s.split(',').any(|s| s == "smtp");
    assert_eq!(services.iter().filter(|s| both(s)).count(), 1, "{services:?}");
    assert_eq!(done.log("ssl.log").unwrap()[0]["established"], true);
}

/// Senders and recipients, by row; what TLS hides is not known.
const WANT: [(&str, &[&str]); 7] = [
    ("a@example.org", &["b@example.com", "c@example.com"]),
    ("parts@example.org", &["b@example.com"]),
    ("", &[]),
    ("one@example.org", &["b@example.com"]),
    (
        "two@example.org",
        &["b@example.com", "c@example.com", "d@example.com"],
    ),
    ("three@example.org", &["b@example.com"]),
    ("four@example.org", &["b@example.com"]),
];

/// Sends mails in all ways there are.
fn send(lab: &Lab, dir: &Path) -> Result<()> {
    let host = lab::server_ip(false);
    let url = |helo: &str| format!("smtp://{host}/{helo}");
    let mail = dir.join("mail");
    std::fs::write(
        &mail,
        "Message-ID: <1@example.org>\r\nSubject: first\r\n\r\n.\r\nbody\r\n",
    )?;
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let file = dir.join("noise.bin");
    std::fs::write(&file, noise)?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path");
    let (mail, file) = (text(&mail)?, text(&file)?);
    let (to, from) = ("--mail-rcpt", "--mail-from");
    let plain = url("plain");
    let two = [to, "c@example.com", to, "b@example.com"];
    curl(
        lab,
        &[&[&plain, "-T", &mail, from, "a@example.org"][..], &two].concat(),
    )?;
    let attached = format!("file=@{file};encoder=base64");
    let parts = [
        &url("parts"),
        from,
        "parts@example.org",
        to,
        "b@example.com",
        "-H",
        "Subject: parts",
        "-F",
        "=text",
        "-F",
        &attached,
    ];
    curl(lab, &parts)?;
    let secret = [
        &url("tls"),
        "-T",
        &mail,
        "--ssl-reqd",
        from,
        "hidden@example.org",
        to,
        "b@example.com",
    ];
    curl(lab, &secret)?;

    let mut client = Client::new(lab, host)?;
    client.say("EHLO many\r\n", 1)?;
    // One command at a time, then all together, then a mail that is begun and taken back.
    client.say("MAIL FROM:<one@example.org>\r\n", 1)?;
    client.say("RCPT TO:<b@example.com>\r\n", 1)?;
    client.say("DATA\r\n", 1)?;
    client.say("Subject: one\r\n\r\nbody\r\n.\r\n", 1)?;
    client.say(
        "MAIL FROM:<two@example.org> SIZE=100\r\nRCPT TO:<c@example.com>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<d@example.com>\r\n\
         DATA\r\n",
        5,
    )?;
    client.say("Subject: two\r\n\r\nbody\r\n.\r\n", 1)?;
    let last = client.say(
        "MAIL FROM:<three@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n",
        3,
    )?;
    ensure!(last.starts_with("354"), "{last}");
    client.say("Subject: three\r\n\r\nbody\r\n.\r\n", 1)?;
    // In chunks.
    client.say("MAIL FROM:<four@example.org>\r\nRCPT TO:<b@example.com>\r\n", 2)?;
    client.say("BDAT 19\r\nSubject: chunks\r\n\r\n", 1)?;
    let last = client.say("BDAT 6 LAST\r\nbody\r\n", 1)?;
    ensure!(last.contains("queued as"), "{last}");
    client.say("QUIT\r\n", 1)?;
    Ok(())
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn mailboxes_are_read_past_the_sensor() {
    if !root_or_say_so("mail") {
        return;
    }
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).unwrap();
    let (dir, logs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let server = dovecot(&lab, dir.path()).unwrap();
    let stream = logs.path().join("events");
    let options = [
        "--rx-only",
        "--events",
        stream.to_str().unwrap(),
        "--event",
        "pop3_*,imap_*,mime_one_header",
    ];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).unwrap();
    let host = lab::server_ip(false);
    let (pop3, imap) = (
        format!("pop3://me:secret@{host}/1"),
        format!("imap://me:secret@{host}/INBOX;UID=1"),
    );
    for (options, user) in [
        (&[pop3.as_str()][..], "pop3-login: Info: Login: user=<me>"),
        (&[&pop3, "--ssl-reqd"], "TLS"),
        (&[&imap, "--ssl-reqd"], "imap-login: Info: Login: user=<me>"),
    ] {
        let mail = curl(&lab, options).unwrap();
        assert!(mail.contains("Subject: hi"), "{mail}");
        assert!(server.text().contains(user), "{}", server.text());
    }
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();

    let told = read_log(&stream).unwrap();
    let of = |name: &str| told.iter().filter(|e| e["event"] == name).collect::<Vec<_>>();
    let login = &of("pop3_login_success")[0]["args"];
    assert_eq!(
        (&login["user"], &login["password"]),
        (&json!("me"), &json!("secret"))
    );
    let headers: Vec<_> = of("mime_one_header")
        .iter()
        .map(|e| e["args"]["h"]["value"].clone())
        .collect();
    assert_eq!(headers, ["hi"]);
    let count = ["pop3_login_success", "pop3_starttls", "imap_starttls"].map(|name| of(name).len());
    assert_eq!(count, [1, 1, 1]);
    let capabilities = of("imap_capabilities");
    assert!(
        capabilities.iter().any(|e| e["args"]["capabilities"]
            .as_array()
            .is_some_and(|c| c.contains(&json!("STARTTLS")))),
        "{capabilities:?}"
    );

    let conns = done.conns().unwrap();
    let mut services: Vec<_> = conns
        .iter()
        .map(|c| c["service"].as_str().unwrap_or("").to_owned())
        .collect();
    services.sort();
    assert_eq!(services, ["imap,ssl", "pop3", "pop3,ssl"]);
}
