//! The command that is told of logs that are over: one at a time, and none for ever.
#![allow(unsafe_code, reason = "kill is a system call")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::end::End;
use crate::output::archived::Archived;
use crate::output::patience::Progress;
use crate::output::stamp::stamp;

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Time between two looks whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A command, and how it went.
#[derive(Debug)]
pub struct Hook {
    command: String,
    limit: Duration,
    /// The last one failed, and that was said.
    failed: bool,
}

/// Why a log's command is no success.
#[derive(Debug, thiserror::Error)]
enum HookError {
    #[error("it cannot be started: {0}")]
    Start(#[from] io::Error),
    #[error("{0}")]
    Ended(ExitStatus),
    #[error("it took longer than {} s and was killed", .0.as_secs())]
    Killed(Duration),
    #[error("it was killed, as the run ends")]
    Over,
}

impl Hook {
    /// `command` is the shell's.
    pub fn new(command: &str) -> Hook {
        Hook {
            command: command.to_owned(),
            limit: LIMIT,
            failed: false,
        }
    }

    /// Runs the command for a log and waits for it.
    pub fn run(&mut self, log: &Path, name: &Archived, closed: SystemTime, end: &End, progress: &Progress) {
        match self.call(log, name, &stamp(closed), end, progress) {
            Ok(()) => self.failed = false,
            Err(e) if self.failed => tracing::debug!("--log-hook for {}: {e}", log.display()),
            Err(e) => {
                self.failed = true;
                tracing::warn!(
                    "--log-hook for {}: {e}; this is not said again until it succeeds",
                    log.display()
                );
            }
        }
    }

    fn call(
        &self,
        log: &Path,
        name: &Archived,
        closed: &str,
        end: &End,
        progress: &Progress,
    ) -> Result<(), HookError> {
        let mut c = Command::new("/bin/sh");
        // The log's path is an argument: nothing in it is the shell's.
        c.arg("-c").arg(format!("{} \"$@\"", self.command)).arg("sensor");
        c.arg(log).args([&name.log, &name.opened, closed]);
        c.env("SENSOR_LOG_PATH", log);
        c.env("SENSOR_LOG_NAME", &name.log);
        c.env("SENSOR_LOG_OPEN", &name.opened);
        c.env("SENSOR_LOG_CLOSE", closed);
        // Standard output may be a stream of the sensor's.
        c.stdin(Stdio::null()).stdout(Stdio::null());
        // With all that it starts, to be killed together, and not by the terminal's signals.
        let mut child = c.process_group(0).spawn()?;
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(HookError::Ended(status))
                };
            }
            if started.elapsed() >= self.limit {
                kill(&mut child);
                return Err(HookError::Killed(self.limit));
            }
            if end.is_over() {
                kill(&mut child);
                return Err(HookError::Over);
            }
            progress.made();
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Kills a command and all that it has started.
fn kill(child: &mut Child) {
    // SAFETY: no memory is involved. The child has not been waited for, so the group is still its own.
    unsafe { libc::kill(-(child.id() as libc::pid_t), libc::SIGKILL) };
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::output::scratch::Scratch;

    fn name() -> Archived {
        Archived::of("conn.2026-01-02-03-04-05.log.gz").expect("a name")
    }

    fn call(hook: &Hook, log: &Path) -> Result<(), HookError> {
        hook.call(
            log,
            &name(),
            "2026-01-02-04-00-00",
            &End::default(),
            &Progress::default(),
        )
    }

    #[test]
    fn a_command_is_told_what_is_over() {
        let dir = Scratch::new("hook it's $(odd) \"");
        let said = dir.path().join("said");
        let log = dir.path().join(name().to_string());
        let command = "told() { printf '%s\\n' \"$@\" $SENSOR_LOG_NAME $SENSOR_LOG_OPEN $SENSOR_LOG_CLOSE \
                       \"$SENSOR_LOG_PATH\" > \"${SENSOR_LOG_PATH%/*}/said\"; }; told";
        call(&Hook::new(command), &log).expect("success");
        let log = log.display().to_string();
        let (open, close) = ("2026-01-02-03-04-05", "2026-01-02-04-00-00");
        let want = [&log, "conn", open, close, "conn", open, close, &log].join("\n") + "\n";
        assert_eq!(fs::read_to_string(said).expect("a file"), want);
    }

    #[test]
    fn a_command_that_fails_or_does_not_end_is_an_error() {
        let dir = Scratch::new("hook-fails");
        let log = dir.path().join("log");
        let e = call(&Hook::new("exit 3 #"), &log).expect_err("status 3");
        assert!(e.to_string().contains('3'), "{e}");
        let mut hook = Hook::new("sleep 100 & sleep 100 #");
        hook.limit = Duration::from_millis(200);
        let started = Instant::now();
        let e = call(&hook, &log).expect_err("too long");
        assert!(matches!(e, HookError::Killed(_)), "{e}");
        assert!(started.elapsed() < Duration::from_secs(20));
        // The run's end is one for the command, too.
        let end = End::default();
        end.begin(Duration::ZERO);
        let e = Hook::new("sleep 100 #").call(&log, &name(), "", &end, &Progress::default());
        assert!(matches!(e, Err(HookError::Over)));
    }

    #[test]
    fn a_failure_is_said_once() {
        let mut hook = Hook::new("exit 1 #");
        let run = |hook: &mut Hook| {
            hook.run(
                Path::new("/x"),
                &name(),
                SystemTime::now(),
                &End::default(),
                &Progress::default(),
            );
            hook.failed
        };
        assert!(run(&mut hook) && run(&mut hook));
        hook.command = "true".into();
        assert!(!run(&mut hook));
    }
}
