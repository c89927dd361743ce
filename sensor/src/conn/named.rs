//! Connections by their unique ids, for who asks now and then: there is no table of these.

use std::ops::Range;

use sensor_common::FlowKey;

use super::engine::Engine;
use super::entry::Entry;
use super::sink::Sink;
use crate::datapath::hash_key;
use crate::event::{Ts, Uid};
use crate::file::api::IsLocal;

/// An open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its flow.
    pub key: FlowKey,
    /// When the flow's entry was made.
    pub flow_start: Ts,
    /// When the connection began.
    pub start: Ts,
}

impl<S: Sink> Engine<S> {
    /// Looks for an open connection among some places of all that there may be. An error: it is not among them, and from this
    /// place on there are more.
    pub fn open_among(&self, uid: Uid, places: Range<u32>) -> Result<Option<Open>, u32> {
        let end = places.end.min(self.slots.places());
        match self.slot_among(uid, places.start..end) {
            Some((_, c)) => Ok(Some(Open {
                key: c.key,
                flow_start: c.flow_start(),
                start: c.start,
            })),
            None if end < places.end => Ok(None),
            None => Err(end),
        }
    }

    /// The place among these that a connection with this id has.
    pub(super) fn slot_among(&self, uid: Uid, mut places: Range<u32>) -> Option<(u32, &Entry)> {
        places.find_map(|i| {
            let conn = self.slots.get(i)?;
            (conn.uid_hi == uid.upper_half() && conn.id().uid == uid).then_some((i, conn))
        })
    }

    /// Whether the connection of this flow that is open now is the one with this id.
    pub fn is_open(&self, key: &FlowKey, uid: Uid) -> bool {
        let slot = self.find(hash_key(&self.hasher, key), key);
        slot.and_then(|i| self.slots.get(i))
            .is_some_and(|c| c.id().uid == uid)
    }

    /// Files that are under way.
    pub fn files_under_way(&self) -> usize {
        self.sh.files.under_way()
    }

    /// Other networks are local from here on.
    pub fn set_local(&mut self, is_local: IsLocal) {
        self.sh.cfg.is_local = is_local;
    }
}
