//! The sensor as a process: started in a namespace, stopped by a signal, its logs read.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cleanup::{self, Leftover};
use crate::events;
use crate::netns::Namespace;

/// What the sensor says on standard error once it is attached.
const READY: &str = "sensor: ready";
/// Long enough for an emulated machine with other work, whose verifier takes half a minute.
const SAY_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(120);

/// The sensor's binary: `SENSOR_BIN`, or built here once, in the profile of the caller.
pub fn binary() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(bin) = named() {
        return Ok(bin);
    }
    BUILT
        .get_or_init(|| build(cfg!(not(debug_assertions))).map_err(|e| format!("{e:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}

/// The sensor's binary: `SENSOR_BIN`, or built here with optimization.
pub fn release() -> Result<PathBuf> {
    named().map_or_else(|| build(true), Ok)
}

fn named() -> Option<PathBuf> {
    std::env::var_os("SENSOR_BIN").map(PathBuf::from)
}

/// Builds the sensor with cargo; the path of its binary.
fn build(release: bool) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut c = Command::new(cargo);
    c.args([
        "build",
        "-p",
        "sensor",
        "--bin",
        "sensor",
        "--message-format=json-render-diagnostics",
    ]);
    // Who builds for a release waits for minutes and wants to see that; a test's own output stays clean.
    c.arg(if release { "--release" } else { "--quiet" });
    let out = c
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(out.status.success(), "the sensor does not build");
    String::from_utf8_lossy(&out.stdout)
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok())
        .filter(|m| m["target"]["name"] == "sensor")
        .find_map(|m| m["executable"].as_str().map(PathBuf::from))
        .context("cargo names no sensor binary")
}

/// A directory below the temporary one, removed when dropped and on signals.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Result<Self> {
        static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("sensorlab-{}-{n}", std::process::id()));
        cleanup::register(Leftover::Dir(dir.clone()));
        std::fs::create_dir_all(&dir)?;
        Ok(TempDir(dir))
    }
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        cleanup::forget(&Leftover::Dir(self.0.clone()));
    }
}

/// Lines that a thread collects, and a bell for who waits for one.
#[derive(Default)]
pub(crate) struct Lines {
    state: Mutex<(Vec<String>, bool)>,
    bell: Condvar,
}

impl Lines {
    pub(crate) fn collect(self: &Arc<Self>, from: impl Read + Send + 'static, echo: bool) -> JoinHandle<()> {
        let me = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                if echo {
                    eprintln!("{line}");
                }
                me.state
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
                    .push(line);
                me.bell.notify_all();
            }
            me.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
            me.bell.notify_all();
        })
    }

    /// Waits for a line with `text` in it; false: it ended or took too long.
    pub(crate) fn wait_for(&self, text: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.0.iter().any(|l| l.contains(text)) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.1 || left.is_zero() {
                return false;
            }
            state = self
                .bell
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    pub(crate) fn text(&self) -> String {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .join("\n")
    }
}

/// A running sensor. Dropping it without [`Sensor::stop`] kills it.
pub struct Sensor {
    child: Child,
    stderr: Arc<Lines>,
    threads: Vec<JoinHandle<()>>,
    log_dir: PathBuf,
    finished: bool,
}

/// What a sensor left.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stderr: String,
    pub log_dir: PathBuf,
}

impl Sensor {
    /// Starts `sensor run` in `ns` on the interfaces and waits until it is attached. JSON logs.
    pub fn start(ns: &Namespace, ifaces: &[&str], log_dir: &Path, extra: &[&str]) -> Result<Self> {
        let mut c = ns.command(binary()?);
        c.args(run_args(ifaces, log_dir)).args(extra).arg("--quiet");
        c.stdout(Stdio::null());
        Self::spawn(c, log_dir, false)
    }

    /// Starts a prepared command and waits until it is attached; `echo` repeats its standard error.
    pub fn spawn(mut command: Command, log_dir: &Path, echo: bool) -> Result<Self> {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start the sensor")?;
        cleanup::register(Leftover::Child(child.id()));
        let stderr = Arc::new(Lines::default());
        let mut threads = Vec::new();
        if let Some(from) = child.stderr.take() {
            threads.push(stderr.collect(from, echo));
        }
        let sensor = Sensor {
            child,
            stderr,
            threads,
            log_dir: log_dir.to_owned(),
            finished: false,
        };
        if !sensor.stderr.wait_for(READY, SAY_PATIENCE) {
            bail!("the sensor did not get ready:\n{}", sensor.stderr.text());
        }
        Ok(sensor)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for a line with `text` in it on standard error; false: it ended or took too long.
    pub fn says(&self, text: &str) -> bool {
        self.stderr.wait_for(text, SAY_PATIENCE)
    }

    /// Sends `signal` and waits for the end.
    pub fn end_by(mut self, signal: i32) -> Result<Finished> {
        // SAFETY: kill has no memory preconditions; the child has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
        let deadline = Instant::now() + STOP_PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(
                Instant::now() < deadline,
                "the sensor does not end:\n{}",
                self.stderr.text()
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        self.finished = true;
        cleanup::forget(&Leftover::Child(self.child.id()));
        for t in self.threads.drain(..) {
            let _ = t.join();
        }
        Ok(Finished {
            status,
            stderr: self.stderr.text(),
            log_dir: self.log_dir.clone(),
        })
    }

    /// SIGTERM; fails unless it exits 0.
    pub fn stop(self) -> Result<Finished> {
        let done = self.end_by(libc::SIGTERM)?;
        ensure!(
            done.status.success(),
            "the sensor ended with {}:\n{}",
            done.status,
            done.stderr
        );
        Ok(done)
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.child.kill();
            let _ = self.child.wait();
            cleanup::forget(&Leftover::Child(self.child.id()));
        }
    }
}

/// The arguments of `sensor run`.
pub fn run_args(ifaces: &[&str], log_dir: &Path) -> Vec<std::ffi::OsString> {
    let mut args: Vec<std::ffi::OsString> = vec!["run".into()];
    for i in ifaces {
        args.push("--iface".into());
        args.push(i.into());
    }
    args.push("--log-dir".into());
    args.push(log_dir.into());
    args.push("--log-format".into());
    args.push("json".into());
    args
}

impl Finished {
    /// The rows of a JSON log; an unreadable line is an error.
    pub fn log(&self, name: &str) -> Result<Vec<Value>> {
        read_log(&self.log_dir.join(name))
    }

    /// conn.log.
    pub fn conns(&self) -> Result<Vec<Value>> {
        self.log("conn.log")
    }

    /// Bytes that went through the rings to userspace, as the sensor says at its end.
    pub fn copied(&self) -> Result<u64> {
        self.copied_line()?.first().copied().context("no number in it")
    }

    /// Bytes of all frames that the kernel's program saw, from the same line.
    pub fn frame_bytes(&self) -> Result<u64> {
        self.copied_line()?
            .get(1)
            .copied()
            .context("no second number in it")
    }

    /// The numbers of the line that says how much was copied to userspace.
    fn copied_line(&self) -> Result<Vec<u64>> {
        let line = self.stderr.lines().find(|l| l.starts_with("copied "));
        let line = line.with_context(|| format!("no line of copied bytes:\n{}", self.stderr))?;
        Ok(numbers(line))
    }

    /// Packets whose payload was lost in a full ring, as the second of the two sums says.
    pub fn lost(&self) -> Result<u64> {
        let line = self.stderr.lines().find(|l| l.ends_with(" lost"));
        let line = line.with_context(|| format!("no line of lost payload:\n{}", self.stderr))?;
        numbers(line).last().copied().context("no number in it")
    }

    /// Half-open flows that gave way to newer ones, and those among them that have no row.
    pub fn half_open(&self) -> Result<(u64, u64)> {
        let line = self.stderr.lines().find(|l| l.starts_with("half-open flows: "));
        match line.map(numbers).as_deref() {
            Some(&[gave_way, untold]) => Ok((gave_way, untold)),
            _ => anyhow::bail!("no line of half-open flows:\n{}", self.stderr),
        }
    }

    /// Checks the two conservation sums that the sensor prints at its end. Each is a line of the form
    /// `NAME TOTAL = A + B ...`, where words may stand between the numbers.
    pub fn check_sums(&self) -> Result<Sums> {
        let sums = Sums {
            frames: sum_line(&self.stderr, "frames")?,
            payload: sum_line(&self.stderr, "payload")?,
        };
        Ok(sums)
    }
}

/// Left sides of the two sums: frames seen, payload-bearing packets.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    pub frames: u64,
    pub payload: u64,
}

/// Reads `name N = ...` and checks that the right side adds up to the left one.
fn sum_line(text: &str, name: &str) -> Result<u64> {
    let line = text
        .lines()
        .find(|l| l.trim_start().starts_with(name))
        .with_context(|| format!("no line `{name}` at the end:\n{text}"))?;
    let (left, right) = line
        .split_once('=')
        .with_context(|| format!("no sum in: {line}"))?;
    // A part in parentheses explains a number and is no summand.
    let mut depth = 0;
    let right: String = right
        .chars()
        .filter(|c| match c {
            '(' => {
                depth += 1;
                false
            }
            ')' => {
                depth -= 1;
                false
            }
            _ => depth == 0,
        })
        .collect();
    let left: u64 = numbers(left).iter().sum();
    let right: u64 = numbers(&right).iter().sum();
    ensure!(left == right, "the sum is wrong ({left} and {right}): {line}");
    Ok(left)
}

/// The numbers that stand alone as words, thousands separators taken out.
fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace()
        .filter_map(|w| w.replace([',', '_'], "").parse().ok())
        .collect()
}

/// Reads a log or a stream of events, of JSON lines.
pub fn read_log(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("no log {}", path.display()))?;
    events::note(&text);
    text.lines()
        .map(|l| serde_json::from_str(l).with_context(|| format!("not JSON: {l}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_added_up() {
        let ok = "x\nframes 10 = 7 tracked + 3 untracked (2 not IP, 1 fragment)\n";
        assert_eq!(sum_line(ok, "frames").unwrap(), 10);
        assert!(sum_line("frames 10 = 7 + 2", "frames").is_err());
        assert!(sum_line("nothing", "frames").is_err());
    }
}
