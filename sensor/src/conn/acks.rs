//! Acknowledgements are counted; see [`super::sight`].

use super::entry::Tcp;
use super::shared::Run;
use super::sight::{Standing, acks_of};
use super::sink::Sink;
use crate::tcp::endpoint::State;

impl<S: Sink> Run<'_, S> {
    /// Whether what side `s` sends and its peer acknowledges is counted (Zeek: test_active).
    pub(super) fn counts_acks(&self, tcp: &Tcp, s: usize) -> bool {
        tcp.ep.iter().all(|e| e.state == State::Established) && !tcp.reasm[s].is_over()
    }

    /// The datapath kept acknowledgements of direction `dir`, of so many bytes.
    pub(super) fn acked_below(&mut self, bytes: u64, at: &Standing, dir: usize) {
        self.sh.sight.acks_below += acks_of(bytes, at, dir);
    }

    /// An acknowledgement has been looked at; so many holes had been given up before.
    pub(super) fn acked_above(&mut self, holes: u64) {
        self.sh.sight.acks += 1;
        self.sh.sight.gaps += u64::from(self.sh.holes > holes);
    }
}
