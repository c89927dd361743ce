//! OpenSSL's command line as TLS peers: `s_server` and `s_client` as processes, what the client says of a
//! session, and certificates.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cleanup::{self, Leftover};
use crate::netns::Namespace;
use crate::sensor::Lines;

/// How long a peer may take for one step.
const PATIENCE: Duration = Duration::from_secs(15);

/// The name in the server's certificates.
pub const SERVER_NAME: &str = "peer.example";

/// A program with its standard streams at hand. Dropping it ends it.
struct Peer {
    child: Child,
    out: Arc<Lines>,
    err: Arc<Lines>,
}

impl Peer {
    fn spawn(mut command: Command) -> Result<Peer> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot run openssl")?;
        cleanup::register(Leftover::Child(child.id()));
        let (out, err) = (Arc::new(Lines::default()), Arc::new(Lines::default()));
        // The collectors end with their pipes.
        if let Some(from) = child.stdout.take() {
            out.collect(from, false);
        }
        if let Some(from) = child.stderr.take() {
            err.collect(from, false);
        }
        Ok(Peer { child, out, err })
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("no standard input")?;
        match writeln!(stdin, "{line}").and_then(|()| stdin.flush()) {
            // It has ended already; what it said before is what counts.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            done => Ok(done?),
        }
    }

    /// Waits for the end of the program, by itself.
    fn end(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                // What it wrote last is still on its way through the pipes.
                self.out.wait_for("\0", PATIENCE);
                self.err.wait_for("\0", PATIENCE);
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "openssl does not end:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    fn text(&self) -> String {
        format!("{}\n{}", self.out.text(), self.err.text())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        cleanup::forget(&Leftover::Child(self.child.id()));
    }
}

/// `openssl s_server` in a namespace. It sends back what it reads, each line turned around, unless it speaks DTLS.
pub struct Server {
    peer: Peer,
    datagrams: bool,
}

impl Server {
    /// Starts it on `port`; it accepts when this returns. `args` are options of s_server.
    pub fn start(ns: &Namespace, port: u16, args: &[&str]) -> Result<Server> {
        let datagrams = args.iter().any(|a| a.starts_with("-dtls"));
        let mut command = ns.command("openssl");
        command.args(["s_server", "-accept", &port.to_string()]);
        if !datagrams {
            command.arg("-rev");
        }
        command.args(args);
        let peer = Peer::spawn(command)?;
        if !peer.out.wait_for("ACCEPT", PATIENCE) {
            bail!("s_server {args:?} does not accept:\n{}", peer.text());
        }
        Ok(Server { peer, datagrams })
    }

    /// What it has written so far.
    pub fn text(&self) -> String {
        self.peer.text()
    }
}

/// What a client does once it is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Exchanges a message and says good-bye.
    Talk,
    /// Exchanges one, negotiates anew, exchanges another and says good-bye.
    Renegotiate,
    /// Nothing: the handshake is to fail.
    Fail,
}

/// What s_client says of its session; columns of ssl.log are named after what they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// `TLSv1.2`.
    pub version: Option<String>,
    /// OpenSSL's own name; see [`Ciphers`].
    pub cipher: Option<String>,
    /// `X25519`, `ECDH, prime256v1` or `DH`.
    pub temp_key: Option<String>,
    pub alpn: Option<String>,
    pub resumed: bool,
    pub established: bool,
    /// Number of the alert that the client received, or sent by itself.
    pub alert: Option<u16>,
    /// The chain that the server sent, each certificate as PEM.
    pub chain: Vec<String>,
    /// All that it wrote, for who looks for more.
    pub text: String,
}

/// Connects from `ns` to `at` and does `then`; `args` are options of s_client. `server` is who listens there; nobody
/// when it is no s_server, but something that sends lines back turned around.
pub fn connect(
    ns: &Namespace,
    at: (IpAddr, u16),
    mut server: Option<&mut Server>,
    args: &[&str],
    then: Then,
) -> Result<Report> {
    let mut command = ns.command("openssl");
    let at = match at {
        (IpAddr::V6(ip), port) => format!("[{ip}]:{port}"),
        (ip, port) => format!("{ip}:{port}"),
    };
    command
        .args(["s_client", "-connect", &at, "-showcerts"])
        .args(args);
    if then == Then::Fail {
        let mut client = Peer::spawn(command)?;
        let status = client.end()?;
        ensure!(
            !status.success(),
            "s_client {args:?} connected:\n{}",
            client.text()
        );
        let mut report = parse(&client.text());
        if let (None, Some(server)) = (report.alert, server) {
            // The client's own alert is what the server complains of, in its own time.
            server.peer.err.wait_for(ALERT, PATIENCE);
            report.alert = alert_number(&server.text());
        }
        return Ok(report);
    }
    let mut client = Peer::spawn(command)?;
    let mut exchange = |client: &mut Peer, word: &str| -> Result<()> {
        let turned: String = word.chars().rev().collect();
        client.say(&turned)?;
        let mut heard = true;
        if let Some(server) = server.as_deref_mut().filter(|s| s.datagrams) {
            heard = server.peer.out.wait_for(&turned, PATIENCE);
            server.peer.say(word)?;
        }
        ensure!(
            heard && client.out.wait_for(word, PATIENCE),
            "s_client {args:?} hears no answer:\n{}\nand s_server says:\n{}",
            client.text(),
            server.as_ref().map(|s| s.text()).unwrap_or_default()
        );
        Ok(())
    };
    exchange(&mut client, "answer")?;
    if then == Then::Renegotiate {
        client.say("R")?;
        ensure!(
            client.err.wait_for("RENEGOTIATING", PATIENCE),
            "no renegotiation:\n{}",
            client.text()
        );
        exchange(&mut client, "another")?;
    }
    client.say("Q")?;
    client.end()?;
    let mut report = parse(&client.text());
    report.established = true;
    Ok(report)
}

fn after<'t>(text: &'t str, what: &str) -> Option<&'t str> {
    text.lines().find_map(|l| l.trim().strip_prefix(what))
}

/// What comes before an alert's number in OpenSSL's errors.
const ALERT: &str = "SSL alert number ";

fn alert_number(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once(ALERT)?;
    rest.split_whitespace().next()?.parse().ok()
}

fn parse(text: &str) -> Report {
    let session = ["New, ", "Reused, "].map(|k| after(text, k));
    let known = session.into_iter().flatten().find(|l| !l.contains("(NONE)"));
    // The version in that line is the oldest that has the suite.
    let version = match known {
        Some(l) if l.starts_with("TLSv1.3") => Some("TLSv1.3"),
        Some(_) => after(text, "Protocol  : "),
        None => None,
    };
    let mut chain: Vec<String> = Vec::new();
    let mut inside = false;
    // An OCSP response before it has certificates of its own.
    let sent = text.split_once("Certificate chain").map_or("", |(_, rest)| rest);
    for line in sent.lines() {
        if line.starts_with("-----BEGIN CERTIFICATE") {
            inside = true;
            chain.push(String::new());
        }
        if let (true, Some(pem)) = (inside, chain.last_mut()) {
            pem.push_str(line);
            pem.push('\n');
        }
        inside &= !line.starts_with("-----END CERTIFICATE");
    }
    Report {
        version: version.map(str::to_owned),
        cipher: known.and_then(|l| Some(l.split_once("Cipher is ")?.1.to_owned())),
        temp_key: after(text, "Server Temp Key: ").map(str::to_owned),
        alpn: after(text, "ALPN protocol: ").map(str::to_owned),
        resumed: session[1].is_some(),
        established: false,
        alert: alert_number(text),
        chain,
        text: text.to_owned(),
    }
}

/// Runs `openssl` to its end, with `input` on standard input, and gives what it wrote.
pub fn run(args: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run openssl; `cargo xtask setup` installs it")?;
    if let Some(mut stdin) = child.stdin.take() {
        // Some commands do not read it.
        let _ = stdin.write_all(input.as_bytes());
    }
    let out = child.wait_with_output()?;
    ensure!(
        out.status.success(),
        "openssl {args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// SHA-256 of a certificate in PEM, lower-case hex.
pub fn fingerprint(pem: &str) -> Result<String> {
    let said = run(&["x509", "-noout", "-fingerprint", "-sha256"], pem)?;
    let digits = said.trim().split('=').nth(1).context("no fingerprint")?;
    Ok(digits.replace(':', "").to_ascii_lowercase())
}

/// The names of cipher suites in the standard, by OpenSSL's own.
pub struct Ciphers(Vec<(String, String)>);

impl Ciphers {
    pub fn new() -> Result<Ciphers> {
        let list = run(
            &["ciphers", "-stdname", "-psk", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
            "",
        )?;
        let row = |l: &str| {
            let mut words = l.split_whitespace();
            let standard = words.next()?.to_owned();
            Some((words.nth(1)?.to_owned(), standard))
        };
        Ok(Ciphers(list.lines().filter_map(row).collect()))
    }

    /// `None` for what is no suite.
    pub fn standard(&self, own: &str) -> Option<&str> {
        self.0.iter().find(|(o, _)| o == own).map(|(_, s)| &**s)
    }
}

/// Certificates of a made-up authority, in files.
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Makes an authority, a server's certificates with RSA and EC keys, and a client's; all in `dir`.
    pub fn new(dir: &Path) -> Result<Pki> {
        let pki = Pki { dir: dir.to_owned() };
        run(
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "30",
                "-subj",
                "/O=Testbed/CN=Testbed CA",
                "-keyout",
                &pki.file("ca.key"),
                "-out",
                &pki.file("ca.pem"),
            ],
            "",
        )?;
        pki.issue("rsa", &["rsa:2048"], SERVER_NAME)?;
        let p256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        pki.issue("ec", &p256, SERVER_NAME)?;
        pki.issue("client", &p256, "client.example")?;
        // The authority's certificate is part of the chain that the server sends.
        std::fs::copy(pki.file("ca.pem"), pki.file("chain.pem"))?;
        Ok(pki)
    }

    /// Makes a certificate with an EC key and so many alternative names.
    pub fn issue_with_names(&self, name: &str, count: usize) -> Result<()> {
        let names: Vec<_> = (0..count)
            .map(|n| format!("DNS:host-{n:04}.peer.example"))
            .collect();
        let key = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        self.issue_for(name, &key, SERVER_NAME, &names.join(","))
    }

    fn issue(&self, name: &str, key: &[&str], host: &str) -> Result<()> {
        self.issue_for(name, key, host, &format!("DNS:{host}"))
    }

    fn issue_for(&self, name: &str, key: &[&str], host: &str, names: &str) -> Result<()> {
        let (key_file, cert_file) = (
            self.file(&format!("{name}.key")),
            self.file(&format!("{name}.pem")),
        );
        let subject = format!("/O=Peers, Inc./CN={host}");
        let names = format!("subjectAltName={names}");
        let (ca, ca_key) = (self.file("ca.pem"), self.file("ca.key"));
        let mut args = vec!["req", "-x509", "-newkey"];
        args.extend(key);
        let constraints = "basicConstraints=critical,CA:FALSE";
        args.extend([
            "-nodes",
            "-days",
            "20",
            "-subj",
            &subject,
            "-addext",
            &names,
            "-addext",
            constraints,
        ]);
        args.extend([
            "-CA", &ca, "-CAkey", &ca_key, "-keyout", &key_file, "-out", &cert_file,
        ]);
        run(&args, "").map(drop)
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    /// What is in one.
    pub fn read(&self, name: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.file(name))?)
    }

    /// Has the authority say that the certificate `name` is good; the path of the OCSP response.
    pub fn ocsp_response(&self, name: &str) -> Result<String> {
        let cert = self.file(&format!("{name}.pem"));
        let (ca, key) = (self.file("ca.pem"), self.file("ca.key"));
        let (request, response) = (self.file("ocsp.req"), self.file("ocsp.resp"));
        let serial = run(&["x509", "-noout", "-serial", "-in", &cert], "")?;
        let serial = serial.trim().trim_start_matches("serial=");
        let index = self.file("index.txt");
        std::fs::write(
            &index,
            format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN={name}\n"),
        )?;
        run(&["ocsp", "-issuer", &ca, "-cert", &cert, "-reqout", &request], "")?;
        run(
            &[
                "ocsp", "-index", &index, "-rsigner", &ca, "-rkey", &key, "-CA", &ca, "-reqin", &request,
                "-respout", &response, "-ndays", "5",
            ],
            "",
        )?;
        Ok(response)
    }
}
