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
    /// Of the packet that is looked at.
    before: Option<Before>,
}

/// How things stood before a packet.
#[derive(Debug)]
struct Before {
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
        PacketSampler {
            every,
            left: every,
            before: None,
        }
    }

    /// A packet comes.
    pub fn begin(&mut self) {
        self.left -= 1;
        if self.left > 0 {
            return;
        }
        self.left = self.every;
        place::take_seen();
        self.before = Some(Before {
            cpu: clock::of_this_thread(),
            memory: clock::allocated(),
        });
    }

    /// It was worked on. None: it is none of those that are looked at.
    pub fn end(&mut self) -> Option<After> {
        self.before.take().map(Before::after)
    }
}

impl Before {
    fn after(self) -> After {
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
