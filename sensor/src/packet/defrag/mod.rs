//! Reassembly of IP fragments, bounded in memory and time.
//!
//! What overlaps keeps what came first; sizes that contradict each other are a weird and the larger one
//! wins; the header is that of the first fragment to arrive (Zeek: FragReassembler, Reassembler).
//! RFC 5722 wants overlapping IPv6 fragments dropped: a sensor must rather see what some host may see.

use std::collections::{BTreeMap, HashMap};

use sensor_common::key::Realm;

use super::ip::Fragment;
use super::weird::{Weird, Weirds};
use crate::base::time::MINUTE;

/// Bounds of what is held.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest datagram, IPv4's header included and IPv6's not, bytes.
    pub datagram: usize,
    /// Most memory for all datagrams together, bytes. Beyond it the oldest datagrams are dropped.
    pub total: usize,
    /// Longest time from a datagram's first fragment to its last, ns (Zeek: frag_timeout, 5 min).
    pub timeout: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            datagram: 65_535,
            total: 16 << 20,
            timeout: 5 * MINUTE,
        }
    }
}

/// Least length of a fragment that is not the last, header included, bytes (Zeek: MIN_ACCEPTABLE_FRAG_SIZE).
const MIN_FRAGMENT_BYTES: u32 = 64;
/// Furthest end of a fragment's payload within the datagram, bytes (Zeek: MAX_ACCEPTABLE_FRAG_SIZE).
const MAX_PAYLOAD_END_BYTES: u32 = 64_000;
/// Memory that a block takes beside its bytes, roughly.
const BLOCK_COST_BYTES: usize = 64;
/// Memory that a datagram takes beside its blocks, roughly.
const DATAGRAM_COST_BYTES: usize = 256;

/// What fragments of one datagram have in common. As in Zeek the protocol is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    src: [u8; 16],
    dst: [u8; 16],
    realm: Realm,
    id: u32,
}

/// A datagram in the making.
struct Datagram {
    /// Its place in [`Defrag::order`].
    number: u64,
    deadline: u64,
    v6: bool,
    proto: u8,
    /// From the IP header on, up to the fragment header.
    header: Vec<u8>,
    next_at: u16,
    /// Payload size, once a last fragment said it; 0 = not known.
    size: u32,
    /// The payload's blocks by offset; they do not overlap.
    blocks: BTreeMap<u32, Box<[u8]>>,
    /// Offset up to which there is no hole.
    prefix: u32,
    /// Offset of the last block's end.
    upper: u32,
    /// Bytes of it that count in [`Defrag::held`].
    cost: usize,
}

/// All datagrams in the making.
pub struct Defrag {
    limits: Limits,
    datagrams: HashMap<Key, Datagram>,
    /// Numbers of the datagrams by age, oldest first.
    order: BTreeMap<u64, Key>,
    next_number: u64,
    held: usize,
}

impl Defrag {
    /// Without fragments yet.
    pub fn new(limits: Limits) -> Self {
        Defrag {
            limits,
            datagrams: HashMap::new(),
            order: BTreeMap::new(),
            next_number: 0,
            held: 0,
        }
    }

    /// Number of datagrams in the making.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Bytes held, roughly.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Drops the datagrams that took too long by time `now`, ns.
    #[inline]
    pub fn advance(&mut self, now: u64) {
        if !self.order.is_empty() {
            self.expire(now);
        }
    }

    #[cold]
    fn expire(&mut self, now: u64) {
        while let Some((_, key)) = self.order.first_key_value() {
            let key = *key;
            if self.datagrams.get(&key).is_some_and(|d| d.deadline > now) {
                return;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_first()
            && let Some(d) = self.datagrams.remove(&key)
        {
            self.held = self.held.saturating_sub(d.cost);
        }
    }

    /// Takes a fragment; `packet` is all of it, from its IP header on. True if the datagram is complete: then `whole` has it,
    /// from its IP header on. The header is the first fragment's with the datagram's length (and IPv6's next header); IPv4's
    /// fragment bits stay as they were, so the caller must say that it is whole ([`Input::reassembled`](super::ip::Input::reassembled)).
    pub fn add(
        &mut self,
        now: u64,
        (src, dst, realm): (&[u8; 16], &[u8; 16], Realm),
        f: &Fragment,
        packet: &[u8],
        whole: &mut Vec<u8>,
        weirds: &mut Weirds,
    ) -> bool {
        let header = packet.get(..f.header_len as usize);
        let data = packet.get(f.data_at as usize..f.total_len as usize);
        let (Some(header), Some(data)) = (header, data) else {
            return false;
        };
        if f.v6 && f.offset == 0 && !f.more {
            // RFC 6946, 4: an atomic fragment is a datagram, whatever others have its id; if there is anything in it.
            if data.is_empty() {
                return false;
            }
            let mut alone = Datagram::new(f, header, 0, 0);
            alone.insert(0, data.len() as u32, data, weirds);
            alone.assemble(whole);
            return true;
        }
        let key = Key {
            src: *src,
            dst: *dst,
            realm,
            id: f.id,
        };
        let d = self.datagrams.entry(key).or_insert_with(|| {
            let number = self.next_number;
            self.next_number += 1;
            self.order.insert(number, key);
            let d = Datagram::new(f, header, number, now.saturating_add(self.limits.timeout));
            self.held += d.cost;
            d
        });
        let before = d.cost;
        let complete = d.add(f, data, self.limits.datagram, weirds);
        self.held += d.cost - before;
        if complete {
            d.assemble(whole);
            let number = d.number;
            self.order.remove(&number);
            if let Some(d) = self.datagrams.remove(&key) {
                self.held = self.held.saturating_sub(d.cost);
            }
        }
        while self.held > self.limits.total && !self.order.is_empty() {
            self.drop_oldest();
        }
        complete
    }
}

impl Datagram {
    fn new(f: &Fragment, header: &[u8], number: u64, deadline: u64) -> Self {
        Datagram {
            number,
            deadline,
            v6: f.v6,
            proto: f.proto,
            header: header.to_vec(),
            next_at: f.next_at,
            size: 0,
            blocks: BTreeMap::new(),
            prefix: 0,
            upper: 0,
            cost: DATAGRAM_COST_BYTES + header.len(),
        }
    }

    /// Takes a fragment's payload; true if the datagram is complete.
    fn add(&mut self, f: &Fragment, data: &[u8], limit: usize, weirds: &mut Weirds) -> bool {
        if f.v6 != self.v6 || f.proto != self.proto || f.header_len as usize != self.header.len() {
            weirds.push(Weird::FragmentProtocolInconsistency);
        }
        if f.dont {
            weirds.push(Weird::FragmentWithDf);
        }
        if f.v6 && f.offset == 0 {
            // Only IPv6 says it behind the headers that are kept.
            self.proto = f.proto;
        }
        let start = f.offset as u32;
        let upper = start + data.len() as u32;
        if !f.more {
            if self.size == 0 {
                self.size = upper;
            } else if upper != self.size {
                weirds.push(Weird::FragmentSizeInconsistency);
                self.size = self.size.max(upper);
            }
        } else if f.total_len < MIN_FRAGMENT_BYTES {
            weirds.push(Weird::ExcessivelySmallFragment);
        }
        if upper > MAX_PAYLOAD_END_BYTES {
            weirds.push(Weird::ExcessivelyLargeFragment);
        }
        if self.size != 0 && upper > self.size {
            weirds.push(Weird::FragmentSizeInconsistency);
            self.size = upper;
        }
        // No IP length could say how long this is; IPv6's does not count the first header.
        let fixed = if f.v6 { 40 } else { 0 };
        if data.is_empty() || self.header.len() + upper as usize > limit + fixed {
            return false;
        }
        self.insert(start, upper, data, weirds);
        self.complete(weirds)
    }

    /// Puts the bytes of `data` into the holes; bytes that are there already stay.
    fn insert(&mut self, start: u32, upper: u32, data: &[u8], weirds: &mut Weirds) {
        let piece = |from: u32, to: u32| data.get((from - start) as usize..(to - start) as usize);
        let mut at = start;
        let mut gaps = Vec::new();
        if start < self.upper {
            // The block before may reach into this one.
            let first = self.blocks.range(..=start).next_back().map_or(start, |(&s, _)| s);
            for (&s, block) in self.blocks.range(first..upper) {
                let e = s + block.len() as u32;
                let (from, to) = (s.max(start), e.min(upper));
                if from >= to {
                    continue;
                }
                let old = block.get((from - s) as usize..(to - s) as usize);
                weirds.push(if old == piece(from, to) {
                    Weird::FragmentOverlap
                } else {
                    Weird::FragmentInconsistency
                });
                if at < from {
                    gaps.push((at, from));
                }
                at = to;
            }
        }
        if at < upper {
            gaps.push((at, upper));
        }
        for (from, to) in gaps {
            if let Some(bytes) = piece(from, to) {
                self.cost += bytes.len() + BLOCK_COST_BYTES;
                self.blocks.insert(from, bytes.into());
            }
        }
        self.upper = self.upper.max(upper);
        // Each block is passed once in its life.
        while let Some(block) = self.blocks.get(&self.prefix) {
            self.prefix += block.len() as u32;
        }
    }

    fn complete(&mut self, weirds: &mut Weirds) -> bool {
        if self.prefix == 0 || self.size == 0 || self.prefix < self.size {
            return false;
        }
        // More than the last fragment promised: what is contiguous is taken.
        if self.prefix < self.upper || self.upper > self.size {
            weirds.push(Weird::FragmentSizeInconsistency);
            self.size = self.prefix;
        }
        true
    }

    fn assemble(&self, whole: &mut Vec<u8>) {
        whole.clear();
        whole.extend_from_slice(&self.header);
        let mut at = 0;
        while let Some(block) = self.blocks.get(&at) {
            whole.extend_from_slice(block);
            at += block.len() as u32;
        }
        // At most 65535 by the limit in `add`.
        let len = if self.v6 {
            whole.len().saturating_sub(40)
        } else {
            whole.len()
        } as u16;
        let len_at = if self.v6 { 4 } else { 2 };
        if let Some(field) = whole.get_mut(len_at..len_at + 2) {
            field.copy_from_slice(&len.to_be_bytes());
        }
        if self.v6
            && let Some(next) = whole.get_mut(self.next_at as usize)
        {
            *next = self.proto;
        }
    }
}

#[cfg(test)]
mod tests;
