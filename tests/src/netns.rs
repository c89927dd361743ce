//! Named network namespaces that remove themselves.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use crate::cleanup::{self, Leftover};

/// All names begin with this and the process id of their owner.
const PREFIX: &str = "sensorlab";
static COUNTER: AtomicU32 = AtomicU32::new(0);
static SWEEP: Once = Once::new();

/// A network namespace, `ip netns` style; removed when dropped, on panic and on signals.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one, with its loopback up. `role` becomes the end of its name.
    pub fn new(role: &str) -> Result<Self> {
        SWEEP.call_once(sweep);
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{n}-{role}", std::process::id());
        cleanup::register(Leftover::Namespace(name.clone()));
        let ns = Namespace { name };
        let out = Command::new("ip")
            .args(["netns", "add", &ns.name])
            .output()
            .context("cannot run `ip` (package iproute2)")?;
        if !out.status.success() {
            bail!("ip netns add: {}", String::from_utf8_lossy(&out.stderr).trim());
        }
        ns.ip("link set lo up")?;
        Ok(ns)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` commands in the namespace, one a line.
    pub fn ip(&self, commands: &str) -> Result<()> {
        self.batch("ip", commands)
    }

    /// Runs `tc` commands in the namespace, one a line.
    pub fn tc(&self, commands: &str) -> Result<()> {
        self.batch("tc", commands)
    }

    fn batch(&self, program: &str, commands: &str) -> Result<()> {
        let mut child = Command::new(program)
            .args(["-n", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run `{program}` (package iproute2)"))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(commands.as_bytes())?;
            stdin.write_all(b"\n")?;
        }
        let out = child.wait_with_output()?;
        if !out.status.success() {
            bail!(
                "{program} in {}: {}\n{commands}",
                self.name,
                String::from_utf8_lossy(&out.stderr).trim()
            );
        }
        Ok(())
    }

    /// A command that will run inside. Its process id is the command's own (`ip` replaces itself).
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut c = Command::new("ip");
        c.args(["netns", "exec", &self.name]).arg(program);
        c
    }

    /// Sets a `net.` sysctl, given as a path below /proc/sys.
    pub fn sysctl(&self, path: &str, value: &str) -> Result<()> {
        self.run(|| {
            std::fs::write(Path::new("/proc/sys").join(path), value)
                .with_context(|| format!("cannot set {path} to {value}"))
        })?
    }

    /// Runs `f` on a thread of its own inside the namespace. Sockets made there stay there, and may
    /// be used anywhere. A panic of `f` goes on in the caller.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T> {
        in_netns(&self.name, f)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        cleanup::delete_namespace(&self.name);
        cleanup::forget(&Leftover::Namespace(self.name.clone()));
    }
}

/// See [`Namespace::run`].
pub fn in_netns<T: Send>(name: &str, f: impl FnOnce() -> T + Send) -> Result<T> {
    let path = Path::new("/run/netns").join(name);
    let file = File::open(&path).with_context(|| format!("no network namespace {}", path.display()))?;
    let ran = std::thread::scope(|s| {
        s.spawn(|| {
            // SAFETY: the descriptor is open; only this thread changes its namespace.
            if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(f())
        })
        .join()
    });
    match ran {
        Ok(r) => r.with_context(|| format!("cannot enter {name}")),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Removes what processes that were killed left behind.
fn sweep() {
    let Ok(dir) = std::fs::read_dir("/run/netns") else {
        return;
    };
    for entry in dir.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('-');
        if parts.next() != Some(PREFIX) {
            continue;
        }
        let owner = parts.next().and_then(|p| p.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            cleanup::delete_namespace(&name);
        }
    }
}
