//! What unique ids are made of: a keyed hash of where and when a flow began. Reading the same capture again gives the same
//! ids, in whatever files it lies; another capture has others.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use sensor_common::FlowKey;
use sha2::{Digest as _, Sha256};

use crate::datapath::tunnels::TunnelEnds;
use crate::event::{Ts, Uid};

/// Connections of a generation that are remembered when they are over.
const GENERATION: usize = 4096;

/// The upper half of the id of the first connection in a flow that began at `start`, by the datapath's own clock (the
/// capture's; live the kernel's since boot, which nobody sets). SHA-256 with the key before a message of fixed length, for
/// realm 0 all in one block.
pub fn first(seed: u64, start: Ts, key: &FlowKey) -> u64 {
    let mut m = [0; 57];
    m[..8].copy_from_slice(&seed.to_le_bytes());
    m[8..16].copy_from_slice(&start.to_le_bytes());
    m[16..32].copy_from_slice(&key.a);
    m[32..48].copy_from_slice(&key.b);
    m[48..50].copy_from_slice(&key.a_port.to_be_bytes());
    m[50..52].copy_from_slice(&key.b_port.to_be_bytes());
    (m[52], m[53]) = (key.proto, key.one_way() as u8);
    let realm = key.realm.number();
    m[54..].copy_from_slice(&realm.to_be_bytes()[1..]);
    half(if realm == 0 { &m[..54] } else { &m })
}

/// The same for another connection of the same ends and start as the one that has `hi`.
fn repeated(seed: u64, hi: u64) -> u64 {
    let mut m = [0; 16];
    m[..8].copy_from_slice(&seed.to_le_bytes());
    m[8..].copy_from_slice(&hi.to_le_bytes());
    half(&m)
}

fn half(message: &[u8]) -> u64 {
    let digest = Sha256::digest(message);
    digest.first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}

/// The id of a tunnel between two hosts that is no connection.
pub fn of_hosts(seed: u64, start: Ts, ends: &TunnelEnds) -> Uid {
    let (mut key, _) = FlowKey::new(&ends.orig, &ends.resp, 0, 0, ends.proto, false);
    key.realm = ends.realm;
    of_ends(first(seed, start, &key), ends)
}

/// The id of a connection in a flow that began at `start`; `hi`: the upper half, of one that is not the flow's first.
pub fn of_flow(seed: u64, start: Ts, key: &FlowKey, hi: Option<u64>) -> Uid {
    let hi = hi.unwrap_or_else(|| first(seed, start, key));
    Uid::between(hi, (&key.a, key.a_port), (&key.b, key.b_port), key.proto)
}

/// The id with this upper half.
pub fn of_ends(hi: u64, e: &TunnelEnds) -> Uid {
    Uid::between(hi, (&e.orig, e.orig_port), (&e.resp, e.resp_port), e.proto)
}

/// Upper halves of connections that ended not long ago: coarse clocks let one begin at the very time at which another one
/// of the same ends had begun.
#[derive(Default)]
pub struct Ended {
    young: HashSet<u64, RandomState>,
    old: HashSet<u64, RandomState>,
}

impl Ended {
    /// The upper half of a new connection's id. `after`: that of the connection which was in the flow's entry before.
    pub fn next(&self, seed: u64, after: Option<u64>, first: impl FnOnce() -> u64) -> u64 {
        let mut hi = match after {
            Some(hi) => repeated(seed, hi),
            None => first(),
        };
        while self.young.contains(&hi) || self.old.contains(&hi) {
            hi = repeated(seed, hi);
        }
        hi
    }

    /// A connection is over.
    pub fn add(&mut self, hi: u64) {
        if self.young.len() >= GENERATION {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(hi);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sensor_common::key::Realm;

    fn key(port: u16) -> FlowKey {
        FlowKey::new(&[1; 16], &[2; 16], port, 80, 6, false).0
    }

    #[test]
    fn seed_start_and_ends_make_a_uid() {
        let of = |seed, start, port| first(seed, start, &key(port));
        assert_eq!(of(1, 2, 3), of(1, 2, 3));
        let all = [
            of(1, 2, 3),
            of(2, 2, 3),
            of(1, 3, 3),
            of(1, 2, 4),
            repeated(1, of(1, 2, 3)),
        ];
        let different: HashSet<u64> = all.into_iter().collect();
        assert_eq!(different.len(), all.len());
        let realm = Realm::of_vlans(5, 0);
        assert_ne!(first(1, 2, &key(3)), first(1, 2, &FlowKey { realm, ..key(3) }));
        // From version to version and machine to machine.
        assert_eq!(of(1, 2, 3), 0xaf18_28c4_03f4_2137);
    }

    #[test]
    fn repeats_differ_and_what_is_remembered_is_bounded() {
        let mut ended = Ended::default();
        let mut seen = HashSet::new();
        for _ in 0..100 {
            let hi = ended.next(1, None, || 7);
            assert!(seen.insert(hi));
            ended.add(hi);
        }
        let mut after = None;
        for n in 0..4 * GENERATION as u64 {
            let hi = ended.next(1, after, || 8);
            assert!(seen.insert(hi), "{n}");
            ended.add(hi);
            after = Some(hi);
        }
        assert!(ended.young.len() + ended.old.len() <= 2 * GENERATION);
    }
}
