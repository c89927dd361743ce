//! What must not outlive the process: namespaces and children, removed on SIGINT and SIGTERM too.
//!
//! Guards remove their own things when dropped, which covers return and panic. A signal ends the
//! process without dropping anything, so every guard also registers here.

use std::process::Command;
use std::sync::{Mutex, Once, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Something to undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// A named network namespace.
    Namespace(String),
    /// A child process that has not been waited for, so its id cannot be another's.
    Child(u32),
    /// A directory of our own making.
    Dir(std::path::PathBuf),
}

static LEFTOVERS: Mutex<Vec<Leftover>> = Mutex::new(Vec::new());
static HANDLER: Once = Once::new();

/// Registers `what`; from now on a signal undoes it before the process ends.
pub fn register(what: Leftover) {
    HANDLER.call_once(install);
    LEFTOVERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(what);
}

/// Takes `what` off the list, because its guard is about to undo it.
pub fn forget(what: &Leftover) {
    LEFTOVERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|l| l != what);
}

fn install() {
    match signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) {
        Ok(mut signals) => {
            std::thread::spawn(move || {
                if let Some(signal) = signals.forever().next() {
                    undo_all();
                    std::process::exit(128 + signal);
                }
            });
        }
        Err(e) => eprintln!("cannot catch signals, an interrupted run may leave namespaces behind: {e}"),
    }
}

/// Undoes everything, children first: a namespace lives on while a process is in it.
fn undo_all() {
    let mut all = LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner);
    all.sort_by_key(|l| !matches!(l, Leftover::Child(_)));
    for l in all.drain(..) {
        match l {
            Leftover::Child(pid) => {
                // SAFETY: kill has no memory preconditions; the child is still ours to wait for.
                unsafe { libc::kill(pid as i32, libc::SIGKILL) };
            }
            Leftover::Namespace(name) => delete_namespace(&name),
            Leftover::Dir(dir) => {
                let _ = std::fs::remove_dir_all(dir);
            }
        }
    }
}

/// Removes a named namespace, with whatever still runs in it.
pub(crate) fn delete_namespace(name: &str) {
    if let Ok(out) = Command::new("ip").args(["netns", "pids", name]).output() {
        let me = std::process::id() as i32;
        for pid in String::from_utf8_lossy(&out.stdout)
            .split_whitespace()
            .filter_map(|p| p.parse::<i32>().ok())
        {
            if pid != me && pid > 1 {
                // SAFETY: as above; the process is in a namespace that only we use.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
    }
    let _ = Command::new("ip").args(["netns", "del", name]).output();
}
