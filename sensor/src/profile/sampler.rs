//! The thread that looks where the others are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::clock::ThreadClock;
use super::place::{self, Here};

/// Time between two looks. No round number: what happens a thousand times a second is not always met at the same place.
const EVERY: Duration = Duration::from_micros(487);

/// CPU time of one thread, ns.
#[derive(Clone, Debug)]
pub struct Used {
    pub name: String,
    /// By places.
    pub by: [u64; place::MOST],
}

struct One {
    here: &'static Here,
    clock: ThreadClock,
    last: u64,
}

/// The thread.
pub struct Sampler {
    used: Arc<Mutex<Vec<Used>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts it. Threads are watched that begin from here on.
    pub fn start() -> std::io::Result<Sampler> {
        place::switch_on();
        let (used, stop) = (Arc::<Mutex<Vec<Used>>>::default(), Arc::<AtomicBool>::default());
        let (to, until) = (used.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("profile".into())
            .spawn(move || {
                let mut all = Vec::new();
                while !until.load(Ordering::Acquire) {
                    look(&mut all, &to);
                    std::thread::sleep(EVERY);
                }
            })?;
        Ok(Sampler {
            used,
            stop,
            thread: Some(thread),
        })
    }

    /// What each thread has used since the start.
    pub fn used(&self) -> Vec<Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn look(all: &mut Vec<One>, to: &Mutex<Vec<Used>>) {
    let mut used = to.lock().unwrap_or_else(PoisonError::into_inner);
    for new in place::take_new() {
        all.push(One {
            here: new.here,
            clock: new.clock,
            last: new.clock.read().unwrap_or(0),
        });
        used.push(Used {
            name: new.name,
            by: [0; place::MOST],
        });
    }
    for (one, used) in all.iter_mut().zip(used.iter_mut()) {
        // What is over has no clock any more.
        let Some(now) = one.clock.read() else { continue };
        let passed = now.saturating_sub(one.last);
        one.last = now;
        if let Some(sum) = used.by.get_mut(one.here.place()) {
            *sum += passed;
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
