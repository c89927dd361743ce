//! Who listens: nobody, a program that only passes, the sensor, or another program.
#![allow(unsafe_code, reason = "signals, clocks and raw sockets are system calls")]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sensor_tests::Sensor;
use sensor_tests::cleanup::{self, Leftover};
use sensor_tests::link;
use sensor_tests::sensor::{Finished, TempDir};

use super::pass;
use super::wire::{IFACE, Wire};

/// How long another program may take until it listens, and until it ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a program may go on doing after it has opened its socket, or the sensor after it is ready.
const WARM_UP: Duration = Duration::from_secs(1);

/// What is to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Nobody,
    Pass,
    /// Its binary, and further options.
    Sensor(PathBuf, Vec<String>),
    /// A command line for the shell, in which `{iface}` stands for the interface.
    Program(String),
}

/// One that listens now. Dropping it ends it.
pub enum Listener {
    Nobody,
    /// The program is attached as long as this lives.
    Pass(#[expect(dead_code)] OwnedFd),
    Sensor(Sensor, TempDir),
    Program(Program),
}

/// Starts a sensor and waits until it is attached; also where its logs go.
pub fn sensor(binary: &Path, options: &[String], wire: &Wire) -> Result<(Sensor, TempDir)> {
    let dir = TempDir::new()?;
    let mut c = wire.listener.command(binary);
    c.args(["run", "--iface", IFACE, "--rx-only", "--quiet", "--log-dir"])
        .arg(dir.path())
        .args(options)
        .stdout(Stdio::null());
    Ok((Sensor::spawn(c, dir.path(), false)?, dir))
}

impl Listener {
    /// Starts it and waits until it listens.
    pub fn start(kind: &Kind, wire: &Wire) -> Result<Self> {
        let listener = match kind {
            Kind::Nobody => return Ok(Listener::Nobody),
            Kind::Pass => return Ok(Listener::Pass(wire.listener.run(|| pass::attach(IFACE))??)),
            Kind::Sensor(binary, options) => {
                let (sensor, dir) = sensor(binary, options, wire)?;
                Listener::Sensor(sensor, dir)
            }
            Kind::Program(line) => Listener::Program(Program::start(line, wire)?),
        };
        std::thread::sleep(WARM_UP);
        Ok(listener)
    }

    /// Its process, if it has one.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Listener::Nobody | Listener::Pass(_) => None,
            Listener::Sensor(s, _) => Some(s.pid()),
            Listener::Program(p) => Some(p.child.id()),
        }
    }

    /// Ends it; what it says it saw.
    pub fn stop(self) -> Result<Said> {
        match self {
            Listener::Nobody | Listener::Pass(_) => Ok(Said::default()),
            Listener::Sensor(s, dir) => {
                let said = Said::by_sensor(&s.stop()?);
                drop(dir);
                said
            }
            Listener::Program(p) => p.stop(),
        }
    }
}

/// What a listener says at its end.
#[derive(Debug, Default)]
pub struct Said {
    pub sensor: Option<Totals>,
    /// Lines about what it dropped.
    pub drops: Vec<String>,
}

/// What the sensor says at its end.
#[derive(Debug)]
pub struct Totals {
    /// Rows of conn.log.
    pub rows: u64,
    /// Bytes that went to userspace.
    pub copied: u64,
    /// Bytes of all frames.
    pub bytes: u64,
    /// Packets whose payload was lost in a full ring.
    pub lost: u64,
    /// Frames, if the two sums agree; else what is wrong.
    pub sums: Result<u64, String>,
}

impl Said {
    fn by_sensor(done: &Finished) -> Result<Said> {
        let log = done.log_dir.join("conn.log");
        let log = std::fs::read_to_string(&log).with_context(|| format!("no log {}", log.display()))?;
        let sums = done.check_sums();
        Ok(Said {
            sensor: Some(Totals {
                rows: log.lines().filter(|l| !l.starts_with('#')).count() as u64,
                copied: done.copied()?,
                bytes: done.frame_bytes()?,
                lost: done.lost()?,
                sums: sums.map(|s| s.frames).map_err(|e| format!("{e:#}")),
            }),
            drops: Vec::new(),
        })
    }
}

/// Another program that listens by packet sockets, with a directory of its own to write to.
pub struct Program {
    child: Child,
    dir: TempDir,
}

/// Where its output goes, in that directory.
const OUTPUT: &str = "bench-output";

impl Program {
    fn start(line: &str, wire: &Wire) -> Result<Self> {
        let dir = TempDir::new()?;
        let output = File::create(dir.path().join(OUTPUT))?;
        let mut c: Command = wire.listener.command("sh");
        // The shell becomes the program, whose process id is known then.
        c.args(["-c", &format!("exec {}", line.replace("{iface}", IFACE))])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = c.spawn().with_context(|| format!("cannot run {line}"))?;
        cleanup::register(Leftover::Child(child.id()));
        let mut program = Program { child, dir };
        let deadline = Instant::now() + PATIENCE;
        while !wire.listener.run(socket_is_open)?? {
            if program.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!(
                    "{line}: opens no packet socket on {{iface}}\n{}",
                    program.output()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(program)
    }

    fn output(&self) -> String {
        let bytes = std::fs::read(self.dir.path().join(OUTPUT)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// By SIGTERM, or killed if it does not end.
    fn stop(mut self) -> Result<Said> {
        // SAFETY: kill has no memory preconditions; the child has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        // tcpdump, Suricata and Zeek all say it so; "dropped privileges" is something else.
        let of_drops = |l: &&str| l.contains("drop") && l.contains("packets");
        let drops = self
            .output()
            .lines()
            .filter(of_drops)
            .map(str::to_owned)
            .collect();
        Ok(Said { sensor: None, drops })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already, and been waited for: then these do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        cleanup::forget(&Leftover::Child(self.child.id()));
    }
}

/// Whether somebody has a packet socket on the interface, in this thread's namespace.
fn socket_is_open() -> Result<bool> {
    let index = link::index(IFACE)?.to_string();
    let sockets = std::fs::read_to_string("/proc/thread-self/net/packet")?;
    // sk RefCnt Type Proto Iface ...
    let on_it = |l: &str| l.split_whitespace().nth(4) == Some(&index);
    Ok(sockets.lines().skip(1).any(on_it))
}
