//! What single packets cost (load_sample).

use super::names::name;
use super::{clock, place};
use crate::event::LoadSample;

/// Takes samples.
#[derive(Debug)]
pub struct PacketSampler {
    /// One of so many packets.
    every: u32,
    left: u32,
}

/// How things stood before a packet.
pub struct Before {
    cpu: u64,
    memory: u64,
}

/// What a packet has cost.
pub struct After {
    names: Vec<&'static str>,
    cpu: i64,
    memory: i64,
}

impl PacketSampler {
    /// One that takes one of so many packets.
    pub fn new(every: u32) -> PacketSampler {
        let every = every.max(1);
        PacketSampler { every, left: every }
    }

    /// A packet comes. None: this one is none of those that are looked at.
    pub fn begin(&mut self) -> Option<Before> {
        self.left -= 1;
        if self.left > 0 {
            return None;
        }
        self.left = self.every;
        place::take_seen();
        Some(Before {
            cpu: clock::of_this_thread(),
            memory: clock::allocated(),
        })
    }
}

impl Before {
    /// It was worked on.
    pub fn after(self) -> After {
        let cpu = clock::of_this_thread().saturating_sub(self.cpu) as i64;
        let memory = clock::allocated() as i64 - self.memory as i64;
        let seen = place::take_seen();
        let names = (0..place::MOST)
            .filter(|p| seen >> p & 1 != 0)
            .map(name)
            .collect();
        After { names, cpu, memory }
    }
}

impl After {
    /// As the event has it.
    pub fn event(&self) -> LoadSample<'_> {
        LoadSample {
            samples: &self.names,
            cpu: self.cpu,
            dmem: self.memory,
        }
    }
}
