//! The signals of a live run: what ends it, and what has its files opened anew.
#![allow(unsafe_code, reason = "sigaction is a system call")]

use std::fs::File;
use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Interval;

/// The signals that are handled.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    /// A file-size limit is an error like a full disk, not the end.
    _file_size: Signal,
    terminal: Terminal,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// SIGINT, SIGTERM, or SIGHUP because the terminal is gone.
    End,
    /// SIGUSR1.
    Reopen,
    /// SIGHUP otherwise.
    Reload,
    /// SIGUSR2.
    Rotate,
    /// Nothing: the clock ticked.
    Tick,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        // Before SIGHUP has a handler.
        let terminal = Terminal::at_start();
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            _file_size: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
            terminal,
        })
    }

    /// Until a signal or the clock's next tick.
    pub async fn next(&mut self, clock: &mut Interval) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::End,
            _ = self.terminate.recv() => Told::End,
            _ = self.hangup.recv() => match self.terminal.is_gone() {
                true => Told::End,
                false => Told::Reload,
            },
            _ = self.user1.recv() => Told::Reopen,
            _ = self.user2.recv() => Told::Rotate,
            _ = clock.tick() => Told::Tick,
        }
    }

    /// Until SIGINT or SIGTERM.
    pub async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Which of the standard streams was the controlling terminal when the sensor started.
enum Terminal {
    /// None, or SIGHUP was ignored (nohup): then SIGHUP says nothing of a terminal.
    None,
    Stdin,
    Stderr,
}

impl Terminal {
    fn at_start() -> Self {
        // A terminal of somebody else's session sends no signal.
        if is_ignored(libc::SIGHUP) || File::open("/dev/tty").is_err() {
            return Terminal::None;
        }
        match (io::stdin().is_terminal(), io::stderr().is_terminal()) {
            (true, _) => Terminal::Stdin,
            (_, true) => Terminal::Stderr,
            _ => Terminal::None,
        }
    }

    /// Whether it was there and has hung up.
    fn is_gone(&self) -> bool {
        match self {
            Terminal::None => false,
            Terminal::Stdin => !io::stdin().is_terminal(),
            Terminal::Stderr => !io::stderr().is_terminal(),
        }
    }
}

fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: all zeros is a valid sigaction; the call writes to it and changes nothing.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}
