//! Where a thread is: a byte that it writes and others read.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::clock::ThreadClock;

/// A part of the sensor. Analyzers follow, each with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    /// What has no part of its own.
    Rest,
    /// Captures are read, or records taken off a ring.
    Input,
    /// The datapath in userspace: frames taken apart, flows counted.
    Datapath,
    /// The engine: connections, streams.
    Engine,
    /// Timers of connections.
    Timers,
    /// Which analyzer a connection gets.
    Detection,
    /// Files that traffic carries.
    Files,
    /// Signatures.
    Signatures,
    /// Rows.
    Logs,
    /// Events of the stream.
    Events,
    /// Handlers of scripts.
    Scripts,
}

/// The parts' names, by their numbers.
pub const PARTS: [&str; 11] = [
    "rest",
    "input",
    "datapath",
    "engine",
    "timers",
    "detection",
    "files",
    "signatures",
    "logs",
    "events",
    "scripts",
];
/// The first analyzer's number.
pub const ANALYZERS: u8 = PARTS.len() as u8;
/// How many places there are at most: a bit each of a word.
pub const MOST: usize = 64;

/// A thread's place.
#[derive(Debug)]
pub struct Here {
    place: AtomicU8,
    /// Places that it was in since somebody looked, a bit each.
    seen: AtomicU64,
}

/// A thread that is watched.
pub struct Watched {
    /// What it is called.
    pub name: String,
    /// Its place.
    pub here: &'static Here,
    /// Its CPU time.
    pub clock: ThreadClock,
}

static ON: AtomicBool = AtomicBool::new(false);
static THREADS: Mutex<Vec<Watched>> = Mutex::new(Vec::new());

thread_local! {
    static HERE: Cell<Option<&'static Here>> = const { Cell::new(None) };
}

impl Here {
    /// Where it is.
    pub fn place(&self) -> usize {
        usize::from(self.place.load(Relaxed))
    }
}

/// From here on threads say where they are: those that begin now.
pub fn switch_on() {
    ON.store(true, Relaxed);
}

/// Whether threads say where they are.
pub fn is_on() -> bool {
    ON.load(Relaxed)
}

/// This thread is watched from here on, if threads are; at first it is in `part`.
pub fn begin_thread(name: &str, part: Part) {
    if !ON.load(Relaxed) {
        return;
    }
    // There are as many as threads, and few of those.
    let here: &'static Here = Box::leak(Box::new(Here {
        place: AtomicU8::new(part as u8),
        seen: AtomicU64::new(0),
    }));
    HERE.set(Some(here));
    let watched = Watched {
        name: name.to_owned(),
        here,
        clock: ThreadClock::of_this(),
    };
    THREADS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(watched);
}

/// Threads that have begun since this was asked last.
pub fn take_new() -> Vec<Watched> {
    std::mem::take(&mut *THREADS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// This thread is in a part until what is returned goes.
#[inline]
pub fn enter(part: Part) -> Inside {
    enter_place(part as u8)
}

/// The same for an analyzer.
#[inline]
pub fn enter_analyzer(number: u8) -> Inside {
    enter_place(ANALYZERS + number)
}

#[inline]
fn enter_place(place: u8) -> Inside {
    match ON.load(Relaxed) {
        false => Inside(None),
        true => Inside::of(place),
    }
}

/// While it is there the thread is where it said.
pub struct Inside(Option<(&'static Here, u8)>);

impl Inside {
    fn of(place: u8) -> Inside {
        Inside(HERE.get().map(|here| {
            here.seen.store(here.seen.load(Relaxed) | 1 << place, Relaxed);
            let before = here.place.load(Relaxed);
            here.place.store(place, Relaxed);
            (here, before)
        }))
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        if let Some((here, before)) = self.0 {
            here.place.store(before, Relaxed);
        }
    }
}

/// The places that this thread was in since it asked last, a bit each.
pub fn take_seen() -> u64 {
    HERE.get().map_or(0, |here| {
        let seen = here.seen.load(Relaxed);
        here.seen.store(0, Relaxed);
        seen
    })
}
