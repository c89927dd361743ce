//! The analyzers at work on a connection, and what they are told by the datapath instead of payload.

use sensor_common::follow::{HEADER, MARK_LEN, Mark};

use super::late::Late;
use crate::analyzer::api::Call;
use crate::analyzer::tree::Tree;

/// Each time that following a direction fails, it waits twice as long for the next attempt, up to so many times.
const MOST_DOUBLINGS: u8 = 4;

/// The analyzers at work on a connection, and which directions the datapath reads for them.
pub struct App {
    pub(super) tree: Tree,
    pub(super) followed: [Followed; 2],
    /// What came so far, if the connection may be announced yet.
    pub(super) late: Option<Late>,
}

/// How a direction is followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Followed {
    /// Place in the stream, relative, that the analyzer has come to; set once the direction is or was followed. Of
    /// datagrams 0.
    pub at: Option<u64>,
    /// Attempts that failed or came to an end.
    pub failures: u8,
    /// Sequence number before which the direction is skipped, if that is why it is shed.
    pub skipped_to: Option<u32>,
}

impl App {
    /// What of `bytes` at `seq` the analyzers have not had. In a direction that was followed they may have had some
    /// from the datapath, or have been told nothing of what came before.
    pub fn unread<'b>(&mut self, is_orig: bool, seq: u64, bytes: &'b [u8], call: &mut Call<'_>) -> &'b [u8] {
        let Some(at) = &mut self.followed[usize::from(!is_orig)].at else {
            return bytes;
        };
        let missing = seq.saturating_sub(*at);
        self.tree.mark(call, |a, ctx| a.unseen(is_orig, missing, ctx));
        let known = at.saturating_sub(seq).min(bytes.len() as u64);
        *at = (*at).max(seq + bytes.len() as u64);
        &bytes[known as usize..]
    }

    /// Marks of a packet whose payload is at `seq` and `len` bytes long; a datagram's if not `is_tcp`.
    pub fn marks(&mut self, is_tcp: bool, is_orig: bool, seg: (u64, u64, &[u8]), call: &mut Call<'_>) {
        let (seq, len, marks) = seg;
        let Some(at) = &mut self.followed[usize::from(!is_orig)].at else {
            return;
        };
        let (marks, _) = marks.as_chunks::<MARK_LEN>();
        let mut marks = marks.iter().map(|m| Mark::from_bytes(*m));
        if !is_tcp {
            let headers = &mut marks.map(|m| m.header);
            return self
                .tree
                .mark(call, |a, ctx| a.headers(is_orig, len as usize, headers, ctx));
        }
        for mark in &mut marks {
            let end = seq + u64::from(mark.end);
            let Some(before) = (end.saturating_sub(HEADER.into())).checked_sub(*at) else {
                continue;
            };
            self.tree.mark(call, |a, ctx| {
                if a.to_header(is_orig) == Some(before) {
                    a.unseen(is_orig, before, ctx);
                } else {
                    // A record of the datapath was lost, and with it what was to be said of the stream's.
                    a.record_begins(is_orig);
                }
            });
            self.tree.marked_bytes(is_orig, &mark.header, call);
            *at = end;
        }
        // The rest belongs to one record, or to a header that the datapath has not seen all of.
        let rest = (seq + len).saturating_sub(*at);
        let n = self.tree.to_header(is_orig).map_or(0, |n| n.min(rest));
        self.tree.mark(call, |a, ctx| a.unseen(is_orig, n, ctx));
        *at += n;
    }
}

impl Followed {
    /// Following it failed, or ended.
    pub fn failed(&mut self) {
        self.failures = (self.failures + 1).min(MOST_DOUBLINGS);
    }
}
