//! Servers of Debian's packages as peers: nginx, nghttpx, OpenSSH's sshd, vsftpd, dnsmasq, chronyd, each configured by its test, in a namespace.

use std::net::{IpAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cleanup::{self, Leftover};
use crate::netns::Namespace;

/// How long a server may take until it accepts.
const PATIENCE: Duration = Duration::from_secs(15);

/// A server. Dropping it ends it.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`, which must stay in the foreground; it accepts at `port` when this returns. What it says goes
    /// to the file `log`.
    pub fn start(ns: &Namespace, command: Command, at: (IpAddr, u16), log: &Path) -> Result<Daemon> {
        // From its own namespace, so that nothing of this is on the wires between them.
        Daemon::start_until(command, log, || ns.run(|| TcpStream::connect(at).is_ok()))
    }

    /// The same for a server that has a UDP socket on `port` when this returns.
    pub fn start_udp(ns: &Namespace, command: Command, port: u16, log: &Path) -> Result<Daemon> {
        let local = format!(":{port:04X} ");
        Daemon::start_until(command, log, || {
            let sockets = ns.run(|| std::fs::read_to_string("/proc/thread-self/net/udp"))??;
            Ok(sockets.contains(&local))
        })
    }

    fn start_until(mut command: Command, log: &Path, is_up: impl Fn() -> Result<bool>) -> Result<Daemon> {
        let said = std::fs::File::create(log)?;
        command
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said);
        let child = command.spawn().context("cannot start a server")?;
        cleanup::register(Leftover::Child(child.id()));
        let daemon = Daemon {
            child,
            log: log.to_owned(),
        };
        let deadline = Instant::now() + PATIENCE;
        while !is_up()? {
            if Instant::now() > deadline {
                bail!("a server does not accept:\n{}", daemon.text());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(daemon)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        cleanup::forget(&Leftover::Child(self.child.id()));
    }
}

/// nginx at `at`, with its files in `dir` and these lines in its `server` block. Each request is a line of JSON in
/// `dir/access.log`.
pub fn nginx(ns: &Namespace, dir: &Path, at: (IpAddr, u16), server: &str) -> Result<Daemon> {
    let conf = format!(
        r#"daemon off; master_process off; pid {dir}/nginx.pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    types {{ text/html html; text/plain txt; application/octet-stream bin; image/png png; }}
    log_format rows escape=json '{{"port":$remote_port,"depth":$connection_requests,"method":"$request_method",'
        '"uri":"$request_uri","host":"$http_host","status":$status,"sent":$body_bytes_sent,"agent":"$http_user_agent",'
        '"referrer":"$http_referer","user":"$remote_user","received":"$content_length"}}';
    access_log {dir}/access.log rows;
    server {{
        listen {host}:{port};
        root {dir}/www;
        {server}
    }}
}}
"#,
        dir = dir.display(),
        host = match at.0 {
            IpAddr::V4(a) => a.to_string(),
            IpAddr::V6(a) => format!("[{a}]"),
        },
        port = at.1,
    );
    std::fs::create_dir_all(dir.join("www"))?;
    let file = dir.join("nginx.conf");
    std::fs::write(&file, conf)?;
    let mut command = ns.command("nginx");
    command.arg("-p").arg(dir).arg("-c").arg(&file);
    Daemon::start(ns, command, at, &dir.join("nginx.log"))
}

/// Where a server that is run as root keeps away from the machine's own files: `script` in a mount namespace.
pub fn apart(ns: &Namespace, script: &str) -> Command {
    let mut command = ns.command("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    command
}
