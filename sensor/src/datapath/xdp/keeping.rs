//! What of a loaded program outlives the process.

use aya::EbpfLoader;

use super::config::KernelConfig;
use super::error::KernelError;
use super::pins::{Facts, MAPS, PROGRAM_TABLES, Pins};

/// Most ended flows whose rows are not known to be written. A row is on its way for a second; of more flows in that time
/// some are not safe from a crash.
const MAX_ENDED: u32 = 1 << 17;

/// What outlives the process.
pub(super) struct Keeping {
    pub pins: Pins,
    /// Number of this load.
    pub number: u64,
    /// There was something to take over.
    pub takes_over: bool,
}

impl Keeping {
    /// Has the maps that outlive the process made under their names, or taken over.
    pub fn name_maps<'a>(&self, loader: &mut EbpfLoader<'a>, rings: &[&'static str]) {
        for name in MAPS.into_iter().chain(rings.iter().copied()) {
            loader.map_pin_path(name, self.pins.path(name));
        }
        for name in PROGRAM_TABLES {
            loader.map_pin_path(name, self.pins.path(&format!("{name}-{}", self.number)));
        }
        loader.map_max_entries("ENDED", MAX_ENDED);
    }
}

/// What a run with this configuration would be made with.
pub fn facts(config: &KernelConfig, seed: u64, shift: i64) -> Result<Facts, KernelError> {
    let c = config.completed()?;
    Ok(Facts {
        seed,
        shift,
        flows: c.flows,
        rings: c.rings,
        ring_bytes: c.ring_bytes,
        half_open_share: c.half_open_share,
        hosts: c.hosts(),
        pad: 0,
    })
}
