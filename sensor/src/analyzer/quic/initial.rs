//! Initial packets in any order: which keys they are read with, and which wait for keys (RFC 9001, section 5.2).
//!
//! Keys are made of the destination of the client's first Initial. A capture may have others before it.

use std::ops::Range;

use super::keys::Keys;
use super::names::Family;

/// Packets that wait, and their bytes.
const MAX_WAITING: usize = 8;
const MAX_WAITING_BYTES: usize = 12 * 1024;
/// Longest packet that is read, bytes: more than a jumbo frame has.
const MAX_PACKET: usize = 10_000;

/// An Initial packet.
#[derive(Debug)]
pub struct Initial<'a> {
    /// The originator sent it.
    pub is_orig: bool,
    pub family: Family,
    /// The client's destination, if the client sent it.
    pub dcid: &'a [u8],
    /// The whole packet.
    pub packet: &'a [u8],
    /// Where in it its number begins, and its payload ends.
    pub at: Range<usize>,
}

/// One that could not be read yet.
#[derive(Debug)]
struct Waiting {
    is_orig: bool,
    packet: Vec<u8>,
    at: Range<usize>,
}

/// What Initial packets of a connection are read with.
#[derive(Debug, Default)]
pub struct Initials {
    /// Of the originator and of the responder. They have opened a packet.
    keys: Option<Box<[Keys; 2]>>,
    waiting: Vec<Waiting>,
}

/// What became of a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// Its payload.
    Payload(Vec<u8>),
    /// Its payload; and the client is the one who was taken for the server.
    Turned(Vec<u8>),
    /// It waits.
    Waits,
    /// Nobody can read it.
    Failed,
}

impl Initials {
    /// Reads a packet, or keeps it until another tells how.
    pub fn read(&mut self, i: Initial<'_>) -> Read {
        if i.packet.len() > MAX_PACKET {
            return Read::Failed;
        }
        let keys = self.keys.as_deref_mut();
        if let Some(payload) = keys.and_then(|keys| side(keys, i.is_orig).open(i.packet, &i.at)) {
            return Read::Payload(payload);
        }
        // The client's own destination makes the keys, if it has not heard of the server yet.
        if self.keys.is_none()
            && let Some(mut keys) = Keys::pair(i.family, i.dcid)
            && let Some(payload) = keys[0].open(i.packet, &i.at)
        {
            if !i.is_orig {
                keys.swap(0, 1);
            }
            self.keys = Some(Box::new(keys));
            return match i.is_orig {
                true => Read::Payload(payload),
                false => Read::Turned(payload),
            };
        }
        let bytes: usize = self.waiting.iter().map(|w| w.packet.len()).sum();
        if self.keys.is_some()
            || self.waiting.len() == MAX_WAITING
            || bytes + i.packet.len() > MAX_WAITING_BYTES
        {
            return Read::Failed;
        }
        self.waiting.push(Waiting {
            is_orig: i.is_orig,
            packet: i.packet.to_vec(),
            at: i.at,
        });
        Read::Waits
    }

    /// The payloads of packets that waited, and whose they are, now that there is something to read them with.
    pub fn read_waiting(&mut self) -> Vec<(bool, Vec<u8>)> {
        let Some(keys) = self.keys.as_deref_mut() else {
            return Vec::new();
        };
        let waiting = std::mem::take(&mut self.waiting);
        waiting
            .iter()
            .filter_map(|w| Some((w.is_orig, side(keys, w.is_orig).open(&w.packet, &w.at)?)))
            .collect()
    }

    /// Whether a packet that may be the client's could not be read.
    pub fn has_failed(&self) -> bool {
        self.waiting.iter().any(|w| w.is_orig)
    }

    /// Originator and responder change places.
    pub fn flip(&mut self) {
        for w in &mut self.waiting {
            w.is_orig = !w.is_orig;
        }
        if let Some(keys) = &mut self.keys {
            keys.swap(0, 1);
        }
    }
}

fn side(keys: &mut [Keys; 2], is_orig: bool) -> &mut Keys {
    let [orig, resp] = keys;
    if is_orig { orig } else { resp }
}
