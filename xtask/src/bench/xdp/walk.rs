//! A small program that runs before the one under test and makes each frame another flow's: BPF_PROG_TEST_RUN repeats
//! one frame, and over the same flow again and again all memory would be in the nearest cache.
//!
//! The frame itself says where the walk stands, for each run finds it as the last one left it. The program moves the
//! client's address, and TCP's sequence number after each round, and then goes over into the program under test.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Context as _, Result, ensure};

use super::frames::Frame;
use crate::bench::bpf::{self, EXIT, Instruction};

/// Which flows to go over, and how.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The first client's address, or the last four bytes of it.
    pub first: u32,
    pub flows: u32,
    /// From one to the next, modulo `flows`. Far, and with no divisor in common: then all flows have their turn,
    /// and neither caches nor translations of addresses can foresee it.
    pub step: u32,
    /// Added to the sequence number when a round begins.
    pub advance: u32,
}

impl Route {
    /// All flows from `first` on, by leaps.
    pub fn over(first: u32, flows: u32, advance: u32) -> Self {
        let common = |mut a: u32, mut b: u32| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        // The golden ratio's part comes back near none of its last places for long.
        let mut step = (flows as u64 * 618 / 1000) as u32;
        while flows > 1 && common(flows, step) != 1 {
            step += 1;
        }
        Route {
            first,
            flows,
            step: step % flows,
            advance,
        }
    }
}

/// The walker with what it goes over into.
pub struct Walk {
    program: OwnedFd,
    /// Must live as long as the program runs.
    _target: OwnedFd,
}

impl Walk {
    pub fn new(target: BorrowedFd<'_>, route: &Route, frame: &Frame) -> Result<Self> {
        let array = bpf::program_array(target).context("cannot make a program array")?;
        let program =
            bpf::load(&program(array.as_raw_fd(), route, frame)).context("cannot load the walker")?;
        Ok(Walk {
            program,
            _target: array,
        })
    }

    /// Goes `n` steps on; ns for each.
    pub fn run(&self, frame: &mut Frame, n: u32) -> Result<f64> {
        let (verdict, ns) =
            bpf::test_run(self.program.as_fd(), &mut frame.bytes, n).context("cannot run a frame")?;
        ensure!(verdict == bpf::PASS, "the program under test was not reached");
        Ok(ns as f64)
    }
}

/// Registers: 1 context, 2 frame, 3 its end, 4 and 6 scratch, 5 address.
fn program(array: i32, route: &Route, frame: &Frame) -> Vec<Instruction> {
    const LOAD: u8 = 0x61;
    const STORE: u8 = 0x63;
    const TO_BIG_ENDIAN: u8 = 0xdc;
    const ADD: u8 = 0x07;
    let regs = |dst: u8, src: u8| src << 4 | dst;
    let (address, seq) = (frame.address as i16, frame.seq as i16);
    let end = (route.first + route.flows) as i32;
    let mut p = vec![
        // The frame has all that is touched here, or the run ends with XDP_ABORTED.
        (LOAD, regs(2, 1), 0, 0),
        (LOAD, regs(3, 1), 4, 0),
        (0xbf, regs(4, 2), 0, 0),
        (ADD, 4, 0, frame.bytes.len() as i32),
        (0xb7, 0, 0, 0),
        // if r4 <= r3 goto +1
        (0xbd, regs(4, 3), 1, 0),
        EXIT,
        // The next address.
        (LOAD, regs(5, 2), address, 0),
        (TO_BIG_ENDIAN, 5, 0, 32),
        (ADD, 5, 0, route.step as i32),
        // if r5 < end goto +1
        (0xa5, 5, 1, end),
        (ADD, 5, 0, -(route.flows as i32)),
        (0xbf, regs(6, 5), 0, 0),
        (TO_BIG_ENDIAN, 6, 0, 32),
        (STORE, regs(2, 6), address, 0),
    ];
    if route.advance != 0 {
        p.extend([
            // if r5 != first goto +5
            (0x55, 5, 5, route.first as i32),
            (LOAD, regs(6, 2), seq, 0),
            (TO_BIG_ENDIAN, 6, 0, 32),
            (ADD, 6, 0, route.advance as i32),
            (TO_BIG_ENDIAN, 6, 0, 32),
            (STORE, regs(2, 6), seq, 0),
        ]);
    }
    p.extend([
        // r2 = the array, in two instructions; r3 = 0; tail call; not reached.
        (0x18, regs(2, 1), 0, array),
        (0, 0, 0, 0),
        (0xb7, 3, 0, 0),
        (0x85, 0, 0, 12),
        (0xb7, 0, 0, 0),
        EXIT,
    ]);
    p
}

#[cfg(test)]
mod tests {
    use super::super::frames::{FIRST, Shape};
    use super::*;

    #[test]
    fn a_route_comes_to_every_flow_once_a_round() {
        for flows in [1, 2, 3, 10, 618, 1000, 10_000] {
            let r = Route::over(7, flows, 0);
            let mut at: Vec<_> = (0..flows as u64)
                .map(|i| i * r.step as u64 % flows as u64)
                .collect();
            at.sort_unstable();
            assert!(at.into_iter().eq(0..flows as u64), "{r:?}");
        }
    }

    #[test]
    fn the_walker_moves_address_and_sequence_number() {
        if !sensor_tests::root_or_say_so("the_walker_moves_address_and_sequence_number") {
            return;
        }
        let passing = bpf::load(&bpf::PASSING).expect("root may load a program");
        for shape in [Shape::Tcp4, Shape::Tcp6] {
            let route = Route::over(FIRST, 10, 64);
            let mut frame = shape.payload(1000, 64);
            frame.before(&route);
            let walk = Walk::new(passing.as_fd(), &route, &frame).expect("it loads");
            let mut seen = Vec::new();
            for n in 0..30 {
                walk.run(&mut frame, 1).expect("it runs");
                let (address, seq) = frame.place();
                assert_eq!(seq, 1000 + 64 * (n / 10), "step {n}");
                seen.push(address);
            }
            seen[..10].sort_unstable();
            assert!(seen[..10].iter().copied().eq(FIRST..FIRST + 10));
            assert_eq!(seen[10..20], seen[20..]);
        }
    }
}
