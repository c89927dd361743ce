//! Captures through the program in the kernel, one frame at a time: for `sensor read --datapath xdp`.

use sensor_common::{Counter, Policy, policy};

use super::drain::Drain;
use super::recorder::Recorder;
use super::slow::SlowPath;
use super::turn::Turn;
use crate::conn::{Engine, Sink};
use crate::datapath::soft;
use crate::datapath::tunnels::Tunnels;
use crate::datapath::xdp;
use crate::filter::Filter;
use crate::packet::capture::Frame;
use crate::packet::link::LinkType;

/// Shortest frame that the kernel runs a program over, bytes: an Ethernet header.
const MIN_FRAME_BYTES: usize = 14;
/// Longest frame that fits a record, bytes.
const MAX_FRAME_BYTES: usize = 66_048;

/// Why a frame was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is none of Ethernet; its link type.
    #[error("link type {0} cannot go through the kernel, which takes Ethernet; use --datapath user")]
    Link(u32),
    /// The kernel does not take it.
    #[error("frame refused by the kernel: {0}")]
    Kernel(#[from] xdp::KernelError),
    /// The kernel does not take a packet that was found in it.
    #[error("{0:#}")]
    Found(anyhow::Error),
}

/// The loaded program and the way back from it.
pub struct Replay {
    table: xdp::KernelTable,
    injector: xdp::Injector,
    ring: xdp::Ring,
    drain: Drain,
    checksums: bool,
    kernel: xdp::Kernel,
    /// Frames that it counted as duplicates, when it was asked last.
    duplicates: u64,
}

impl Replay {
    /// Loads the program. `policy`: what it forwards; `tunnels`: the engine's; `checksums`: verify them; `filter`: what
    /// becomes of flows.
    pub fn load(
        mut policy: Policy,
        tunnels: Tunnels,
        checksums: bool,
        filter: &Filter,
    ) -> Result<Self, xdp::KernelError> {
        // Frames that are not IP may raise weirds, too.
        policy.bits |= policy::ALL_FRAMES;
        if !filter.is_empty() || policy.sample > 1 {
            policy.bits |= policy::FILTER;
        }
        let mut kernel = xdp::Kernel::load(&xdp::KernelConfig {
            policy,
            rings: 1,
            flows: 1 << 20,
            ring_bytes: 4 << 20,
            half_open_share: 100,
            ..xdp::KernelConfig::default()
        })?;
        if policy.bits & policy::FILTER != 0 {
            kernel.set_filter(&filter.tables(|_| 0))?;
        }
        Ok(Replay {
            table: kernel.table()?,
            injector: kernel.injector()?,
            ring: kernel.ring(0)?,
            drain: Drain::new(SlowPath::new(tunnels, checksums, &policy), Recorder::default()),
            checksums,
            kernel,
            duplicates: 0,
        })
    }

    /// Takes a frame, and its records to the engine.
    pub fn frame<S: Sink>(&mut self, f: &Frame<'_>, engine: &mut Engine<S>) -> Result<(), ReplayError> {
        if f.link != LinkType::ETHERNET {
            return Err(ReplayError::Link(f.link.0));
        }
        engine.advance(f.ts, &mut self.table);
        let mut turn = Turn {
            ring: &mut self.ring,
            table: &mut self.table,
            injector: &mut self.injector,
            engine,
            shift: 0,
            alone: true,
        };
        let found = |e: xdp::KernelError| ReplayError::Found(e.into());
        let runs = (MIN_FRAME_BYTES..=MAX_FRAME_BYTES).contains(&f.data.len()) && f.wire_len != 0;
        // The kernel verifies nothing: what is wrong is kept from it.
        if !runs || (self.checksums && !soft::verifies(f)) {
            return self.drain.slow().frame(f, &mut turn).map_err(found);
        }
        let how = xdp::Inject {
            ts: f.ts,
            wire_len: f.wire_len,
            ..Default::default()
        };
        turn.injector.run(f.data, &how)?;
        while self.drain.drain(&mut turn).map_err(found)? {}
        Ok(())
    }

    /// The datagram that the last frame completed. See [`soft::Soft::take_reassembled`].
    pub fn take_reassembled(&mut self) -> Option<&[u8]> {
        self.drain.slow().take_reassembled()
    }

    /// Whether copies of packets are left out.
    pub fn dedups(&self) -> bool {
        self.kernel.config().policy.dedup != 0
    }

    /// Whether a frame since the last call was left out because its packet had come before.
    pub fn take_duplicate(&mut self) -> Result<bool, xdp::KernelError> {
        let duplicates = self.kernel.counters()?.get(Counter::Duplicate);
        let more = std::mem::replace(&mut self.duplicates, duplicates) != duplicates;
        Ok(self.drain.slow().take_duplicate() || more)
    }

    /// The program's flow table.
    pub fn table(&mut self) -> &mut xdp::KernelTable {
        &mut self.table
    }
}
