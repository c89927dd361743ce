//! A loaded program of which maps and links outlive the process, and what an earlier one left of them.
#![allow(unsafe_code, reason = "map values are read into plain memory")]

use std::os::fd::{AsFd, OwnedFd};

use sensor_common::{FlowState, policy};

use super::abi::EndedKey;
use super::attach::{self, Link, Mode};
use super::config::KernelConfig;
use super::error::KernelError;
use super::keeping::Keeping;
use super::kernel::{Kernel, boot_now, tx_program};
use super::pins::{ENDED, Facts, KeptPart, PARTS, PinnedLink, Pins, entries};
use super::sys;

/// What an earlier run left of flows that had ended, or had more than one connection.
#[derive(Default)]
pub struct Left {
    /// Ended flows whose rows are not known to be written.
    pub ended: Vec<(EndedKey, FlowState)>,
    /// Connections that are not their flows' first.
    pub parts: Vec<(EndedKey, KeptPart)>,
}

impl Kernel {
    /// As [`Kernel::load`], of what outlives the process: what an earlier run left in `pins` is taken over.
    pub fn load_kept(config: &KernelConfig, pins: Pins, facts: &Facts) -> Result<Self, KernelError> {
        pins.check(facts)?;
        let takes_over = pins.facts().is_some();
        let mut config = *config;
        config.policy.bits |= policy::KEEP_ENDED;
        let keeping = Keeping {
            number: boot_now(),
            takes_over,
            pins,
        };
        let mut kernel = Self::load_with(&config, Some(keeping))?;
        if let Some(kept) = &mut kernel.kept {
            kept.pins.begin(facts)?;
        }
        Ok(kernel)
    }

    /// Whether anything outlives the process.
    pub fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Whether what an earlier run left was taken over.
    pub fn takes_over(&self) -> bool {
        self.kept.as_ref().is_some_and(|k| k.takes_over)
    }

    /// What an earlier run left of flows that had ended, or had more than one connection. To be asked before anything ends.
    pub fn left(&self) -> Result<Left, KernelError> {
        let Some(kept) = self.kept.as_ref().filter(|k| k.takes_over) else {
            return Ok(Left::default());
        };
        let failed = |source| KernelError::Sys {
            what: "--persist: cannot read what the last run left",
            source,
        };
        let (ended, parts) = (kept.pins.map(ENDED)?, kept.pins.map(PARTS)?);
        // SAFETY: the maps' keys and values, which are numbers throughout.
        unsafe {
            Ok(Left {
                ended: entries(ended.as_fd()).map_err(failed)?,
                parts: entries(parts.as_fd()).map_err(failed)?,
            })
        }
    }

    /// All that is to be watched is attached: takes away what an earlier run left beyond that. To be called in the network
    /// namespace of the interfaces.
    pub fn forget_others(&self) {
        let Some(kept) = &self.kept else { return };
        for link in kept.pins.links().into_iter().flatten() {
            let own = self.links.iter().filter(|(i, _)| *i == link.ifindex).count();
            if own == 0 {
                tracing::warn!(
                    "an interface that was watched by the last run, number {}, no longer is",
                    link.ifindex
                );
                forget(&link);
            } else if own == 1 && link.mode.is_none() {
                // What is sent is no longer looked at.
                link.forget();
            }
        }
        kept.pins.forget_programs(kept.number);
    }

    /// The process ends and what it has attached stays.
    pub fn leave(mut self) {
        self.let_be();
    }

    /// Everything stays as it is in the kernel, also when this is dropped.
    pub(super) fn let_be(&mut self) {
        for (_, link) in self.links.drain(..) {
            if let Link::Filter(id) = link
                && let Ok(prog) = tx_program(&mut self.ebpf)
                && let Ok(link) = prog.take_link(id)
            {
                // Otherwise it would be taken away.
                std::mem::forget(link);
            }
        }
        self.kept = None;
    }

    /// Detaches, and keeps nothing: the next run begins anew.
    pub fn end_keeping(&mut self) -> Result<(), KernelError> {
        self.detach();
        match self.kept.take() {
            Some(kept) => kept.pins.remove(),
            None => Ok(()),
        }
    }

    /// The link by which an earlier run saw what an interface receives: from here on it runs this program.
    pub(super) fn left_rx(&self, ifindex: u32) -> Result<Option<(OwnedFd, Mode)>, KernelError> {
        let found = self.left_link(ifindex, |mode| mode.is_some(), &self.rx);
        Ok(found.and_then(|(link, mode)| Some((link, mode?))))
    }

    /// As [`Kernel::left_rx`], of what is sent.
    pub(super) fn left_tx(&self, ifindex: u32) -> Result<Option<OwnedFd>, KernelError> {
        let found = self.left_link(ifindex, |mode| mode.is_none(), &self.tx);
        Ok(found.map(|(link, _)| link))
    }

    fn left_link(
        &self,
        ifindex: u32,
        is: impl Fn(Option<Mode>) -> bool,
        program: &OwnedFd,
    ) -> Option<(OwnedFd, Option<Mode>)> {
        let kept = self.kept.as_ref().filter(|k| k.takes_over)?;
        let links = kept.pins.links().ok()?;
        for left in links.iter().filter(|l| l.ifindex == ifindex && is(l.mode)) {
            let Some(link) = left.open() else { continue };
            match sys::update_link(link.as_fd(), program.as_fd()) {
                Ok(()) => return Some((link, left.mode)),
                Err(e) => {
                    tracing::warn!(
                        "what the last run attached cannot be taken over, and is attached anew: {e}"
                    );
                    left.forget();
                }
            }
        }
        None
    }

    pub(super) fn keep_link(
        &self,
        link: &OwnedFd,
        ifindex: u32,
        mode: Option<Mode>,
    ) -> Result<(), KernelError> {
        match &self.kept {
            Some(kept) => kept.pins.keep_link(link.as_fd(), ifindex, mode),
            None => Ok(()),
        }
    }

    pub(super) fn forget_all_links(&self) {
        let Some(kept) = &self.kept else { return };
        let links = kept.pins.links().unwrap_or_default();
        links.iter().for_each(forget);
    }
}

/// Takes a link away; with an XDP program's also the interface's egress filter, which has no name (before Linux 6.6).
fn forget(link: &PinnedLink) {
    link.forget();
    if link.mode.is_some() {
        attach::forget_egress(link.ifindex);
    }
}
