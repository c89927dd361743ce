//! What several CPUs do to the same memory, in every order that the memory model allows (loom).
//!
//! The program itself is BPF and cannot run here. Each model has the same steps on the same words, with the orderings
//! that the instructions have in the kernel's memory model: an atomic add without a result orders nothing; a
//! read-modify-write with a result is a full barrier. Beside each stands the code that it is a model of. A model that
//! cannot fail proves nothing: so each is also run with a step weakened, and must then fail.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use loom::thread;

/// The shared words of a direction, as `sensor_common::flow::DirState` has them.
struct Direction {
    /// Added to atomically (`atomic::add64`).
    pkts: AtomicU64,
    payload: AtomicU64,
    /// Written plainly.
    last: AtomicU64,
    /// Bits are set by userspace's order and cleared by a packet (`atomic::or32`, `atomic::and32`).
    shed: AtomicU32,
}

/// As `flow::update` counts a packet of `len` bytes at time `ts`.
fn count(d: &Direction, len: u64, ts: u64) {
    let last = d.last.load(Ordering::Relaxed);
    d.pkts.fetch_add(1, Ordering::Relaxed);
    d.payload.fetch_add(len, Ordering::Relaxed);
    if ts > last {
        d.last.store(ts, Ordering::Relaxed);
    }
}

/// As [`count`], by loads and stores.
fn count_plainly(d: &Direction, len: u64, _ts: u64) {
    d.pkts
        .store(d.pkts.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    d.payload
        .store(d.payload.load(Ordering::Relaxed) + len, Ordering::Relaxed);
}

/// Two CPUs count packets of one direction, one and two of them.
fn two_cpus_count(count: fn(&Direction, u64, u64)) {
    loom::model(move || {
        let d = Arc::new(Direction {
            pkts: AtomicU64::new(0),
            payload: AtomicU64::new(0),
            last: AtomicU64::new(0),
            shed: AtomicU32::new(0),
        });
        let other = thread::spawn({
            let d = d.clone();
            move || count(&d, 100, 1)
        });
        count(&d, 10, 2);
        count(&d, 20, 3);
        other.join().expect("no panic");
        assert_eq!(d.pkts.load(Ordering::Relaxed), 3);
        assert_eq!(d.payload.load(Ordering::Relaxed), 130);
        // A plain write may be overtaken, but what stands there is the time of some packet.
        assert!((1..=3).contains(&d.last.load(Ordering::Relaxed)));
    });
}

#[test]
fn no_count_is_lost() {
    two_cpus_count(count);
}

#[test]
#[should_panic = "left"]
fn the_model_loses_counts_that_are_not_atomic() {
    two_cpus_count(count_plainly);
}

/// Userspace sheds one direction (`follow::shed`) while a packet gives up the other (`follow::give_up`).
#[test]
fn no_bit_of_shed_is_lost() {
    loom::model(|| {
        let d = Arc::new(Direction {
            pkts: AtomicU64::new(0),
            payload: AtomicU64::new(0),
            last: AtomicU64::new(0),
            shed: AtomicU32::new(2),
        });
        let order = thread::spawn({
            let d = d.clone();
            move || {
                d.shed.fetch_or(1, Ordering::Relaxed);
            }
        });
        d.shed.fetch_and(!2, Ordering::Relaxed);
        order.join().expect("no panic");
        assert_eq!(d.shed.load(Ordering::Relaxed), 1);
    });
}

/// A ring with its bell (`sensor/src/datapath/xdp/abi.rs`).
struct Bell {
    /// End of the last record that is reserved; the kernel writes it in the order of reservations.
    producer: AtomicU64,
    asleep: AtomicU32,
    /// Wake-ups that the kernel was asked for.
    woken: AtomicU32,
}

/// As the program's `Stats::wake` for a record that was just reserved. `barrier`: its `fence`.
fn forward(b: &Bell, barrier: bool) {
    b.producer.fetch_add(1, Ordering::Release);
    if barrier {
        fence(Ordering::SeqCst);
    }
    if b.asleep.load(Ordering::Relaxed) != 0 && b.asleep.swap(0, Ordering::SeqCst) != 0 {
        b.woken.fetch_add(1, Ordering::SeqCst);
    }
}

/// As the worker's `Ring::wait`, up to where it would lie down: whether it sees a record beyond `at`, and need not.
fn lie_down(b: &Bell, at: u64, barrier: bool) -> bool {
    b.asleep.store(1, Ordering::SeqCst);
    if barrier {
        fence(Ordering::SeqCst);
    }
    at < b.producer.load(Ordering::Acquire)
}

/// Two CPUs forward a record each while a worker lies down: if it sees neither, one of them wakes it.
fn a_worker_lies_down(worker_barrier: bool, program_barrier: bool) {
    loom::model(move || {
        let b = Arc::new(Bell {
            producer: AtomicU64::new(0),
            asleep: AtomicU32::new(0),
            woken: AtomicU32::new(0),
        });
        let other = thread::spawn({
            let b = b.clone();
            move || forward(&b, program_barrier)
        });
        let worker = thread::spawn({
            let b = b.clone();
            move || lie_down(&b, 0, worker_barrier)
        });
        forward(&b, program_barrier);
        other.join().expect("no panic");
        let up = worker.join().expect("no panic");
        let woken = b.woken.load(Ordering::SeqCst) > 0;
        assert!(up || woken, "a record waits and nobody wakes the worker");
    });
}

#[test]
fn no_wake_up_is_lost() {
    a_worker_lies_down(true, true);
}

#[test]
#[should_panic = "nobody wakes the worker"]
fn the_model_loses_wake_ups_without_the_workers_barrier() {
    a_worker_lies_down(false, true);
}

#[test]
#[should_panic = "nobody wakes the worker"]
fn the_model_loses_wake_ups_without_the_programs_barrier() {
    a_worker_lies_down(true, false);
}
