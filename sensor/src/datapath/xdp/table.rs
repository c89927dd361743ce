//! The kernel's flow table from a worker's side.
#![allow(unsafe_code, reason = "map values are read into plain memory")]

use std::collections::HashSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use sensor_common::{FlowKey, FlowState};

use super::abi::{
    END_AND_TELL, EndedKey, Fetch, MAX_FETCHES, MAX_ORDERS, OP_FOLLOW, OP_SHED, OP_SKIP, OP_UNSHED,
    ORDERS_HEAD, Order,
};
use super::pins::KeptPart;
use super::sys;
use crate::datapath::{FlowTable, Part};

/// A handle to the flow table; each thread has its own.
pub struct KernelTable {
    pub(super) flows: OwnedFd,
    /// The program that changes entries: see [`KernelTable::order`].
    pub(super) control: OwnedFd,
    /// The program that reads and ends many of them.
    pub(super) fetch: OwnedFd,
    pub(super) failures: u64,
    /// How many orders to shed wait for each other.
    patience: usize,
    /// Those that wait.
    waiting: Vec<Order>,
    frame: Vec<u8>,
    kept: Option<Kept>,
}

/// What is kept of ended flows until their rows are written.
struct Kept {
    /// The kernel's maps.
    ended: OwnedFd,
    parts: OwnedFd,
    /// Flows that ended, and whose rows are about to be written.
    told: Vec<EndedKey>,
    /// Flows with connections that are not their first.
    divided: HashSet<EndedKey>,
}

/// Orders to shed are carried out when this many wait, or at the end of a worker's turn.
const MAX_WAITING_ORDERS: usize = 16;
/// Most orders kept for the next time when they could not be carried out.
const MAX_KEPT_ORDERS: usize = 1024;

impl KernelTable {
    pub(super) fn new(flows: OwnedFd, control: OwnedFd, fetch: OwnedFd) -> Self {
        KernelTable {
            flows,
            control,
            fetch,
            failures: 0,
            patience: 1,
            waiting: Vec::new(),
            frame: Vec::new(),
            kept: None,
        }
    }

    /// The states of flows that end are kept in the map `ended`, until [`KernelTable::release`].
    pub(super) fn keeping(mut self, ended: OwnedFd, parts: OwnedFd) -> Self {
        self.kept = Some(Kept {
            ended,
            parts,
            told: Vec::new(),
            divided: HashSet::new(),
        });
        self
    }

    /// Flows that ended since the last call, whose rows have been made; empty unless their states are kept.
    pub fn take_told(&mut self) -> Vec<EndedKey> {
        self.kept
            .as_mut()
            .map_or_else(Vec::new, |k| std::mem::take(&mut k.told))
    }

    /// The rows of these, whose flows have ended before, are about to be written.
    pub fn add_told(&mut self, flows: &mut Vec<EndedKey>) {
        if let Some(kept) = &mut self.kept {
            kept.told.append(flows);
        }
    }

    /// The rows of these flows are written.
    pub fn release(&mut self, flows: &[EndedKey]) {
        let Some(kept) = &mut self.kept else { return };
        for key in flows {
            // SAFETY: the keys of both maps.
            let gone = unsafe { sys::delete(kept.ended.as_fd(), key) };
            if let Err(e) = gone {
                self.failures += 1;
                tracing::debug!("ended flows: {e}");
            }
            if key.part == 0 && kept.divided.remove(key) {
                // SAFETY: as above.
                let _ = unsafe { sys::delete(kept.parts.as_fd(), key) };
            }
        }
    }

    /// A flow that another run left with a connection that is not its first.
    pub fn is_divided(&mut self, key: EndedKey) {
        if let Some(kept) = &mut self.kept {
            kept.divided.insert(key);
        }
    }

    /// From here on orders, questions and ends of flows are put off and done for many flows at once. Where nothing
    /// but the caller causes records, each takes effect before the next one: that is for whom time matters more.
    pub fn in_batches(mut self) -> Self {
        self.patience = MAX_WAITING_ORDERS;
        self
    }

    /// The entry of `key`.
    pub fn lookup(&self, key: &FlowKey) -> io::Result<Option<FlowState>> {
        let mut value = MaybeUninit::<FlowState>::uninit();
        // SAFETY: the flow table's keys are `FlowKey`s and its values `FlowState`s, for one of which `value` has room. It is
        // read only when the kernel says that it filled it; any bytes are one, as all its fields are numbers.
        unsafe {
            Ok(sys::lookup(self.flows.as_fd(), key, value.as_mut_ptr().cast())?.then(|| value.assume_init()))
        }
    }

    /// The entry of `key`, removed.
    pub fn take(&self, key: &FlowKey) -> io::Result<Option<FlowState>> {
        let mut value = MaybeUninit::<FlowState>::uninit();
        // SAFETY: as for `lookup`.
        unsafe {
            Ok(
                sys::lookup_and_delete(self.flows.as_fd(), key, value.as_mut_ptr().cast())?
                    .then(|| value.assume_init()),
            )
        }
    }

    /// Looks at some `n` entries from `cursor` on, for the slow sweep; `cursor` is None again when the table's end was
    /// reached.
    pub fn walk(
        &self,
        cursor: &mut Option<u32>,
        n: usize,
        mut f: impl FnMut(&FlowKey, &FlowState),
    ) -> io::Result<()> {
        let mut keys = vec![MaybeUninit::<FlowKey>::uninit(); n];
        let mut values = vec![MaybeUninit::<FlowState>::uninit(); n];
        // SAFETY: the flow table's keys are `FlowKey`s and its values `FlowState`s, and both vectors have room for `n`.
        let got = unsafe { sys::lookup_batch(self.flows.as_fd(), cursor, &mut keys, &mut values)? };
        for (key, value) in keys.iter().zip(&values).take(got) {
            // SAFETY: the kernel filled the first `got` of both.
            unsafe { f(key.assume_init_ref(), value.assume_init_ref()) };
        }
        Ok(())
    }

    /// Sets (`shed`) or clears bits of entries' `shed`; (key, bits) each. Unknown keys are passed over.
    pub fn order(&self, shed: bool, orders: &[(FlowKey, u32)]) -> io::Result<()> {
        let op = if shed { OP_SHED } else { OP_UNSHED };
        let order = |&(key, dirs): &(FlowKey, u32)| Order {
            key,
            op,
            dirs,
            at: 0,
            pad: 0,
        };
        self.carry_out(orders.iter().map(order)).map(drop)
    }

    /// Has the program `control` carry out orders; how many of them it refused.
    fn carry_out(&self, mut orders: impl Iterator<Item = Order>) -> io::Result<u32> {
        let mut refused = 0;
        loop {
            let mut frame = [0u8; ORDERS_HEAD + MAX_ORDERS * size_of::<Order>()];
            let mut end = ORDERS_HEAD;
            for order in orders.by_ref().take(MAX_ORDERS) {
                // SAFETY: `end` counts the orders before it, of which there are less than MAX_ORDERS: so there is room for one
                // more in the frame, which is ours. An order has no padding; its bytes need no alignment.
                unsafe { frame.as_mut_ptr().add(end).cast::<Order>().write_unaligned(order) };
                end += size_of::<Order>();
            }
            if end == ORDERS_HEAD {
                return Ok(refused);
            }
            refused += sys::test_run(self.control.as_fd(), &frame[..end], 0, 1)?.0;
        }
    }

    /// Up to [`MAX_FETCHES`] entries in one run of the program `fetch`, and ends them as [`Fetch::end`] says; an error
    /// adds none of them.
    fn fetch(&mut self, keys: &[FlowKey], end: u32, states: &mut Vec<Option<FlowState>>) -> io::Result<()> {
        const SIZE: usize = size_of::<Fetch>();
        self.frame.clear();
        self.frame.resize(ORDERS_HEAD + keys.len() * SIZE, 0);
        let places = self.frame[ORDERS_HEAD..].chunks_exact_mut(SIZE);
        for (place, key) in places.zip(keys) {
            let question = Fetch {
                ended: EndedKey {
                    flow: *key,
                    ..EndedKey::default()
                },
                end,
                found: 0,
                state: FlowState::default(),
            };
            // SAFETY: a place is as long as a `Fetch` and exclusively borrowed; it needs no alignment.
            unsafe { place.as_mut_ptr().cast::<Fetch>().write_unaligned(question) };
        }
        sys::test_run_in_place(self.fetch.as_fd(), &mut self.frame)?;
        for place in self.frame[ORDERS_HEAD..].chunks_exact(SIZE) {
            // SAFETY: a place is as long as a `Fetch`; any bytes are one, as all its fields are numbers.
            let answer = unsafe { place.as_ptr().cast::<Fetch>().read_unaligned() };
            states.push((answer.found != 0).then_some(answer.state));
            if let Some(kept) = self.kept.as_mut().filter(|_| end == 1 && answer.found != 0) {
                kept.told.push(answer.ended);
            }
        }
        Ok(())
    }

    /// Ends flows of which their workers were told nothing, and tells them, as far as there is room in their rings: see
    /// [`sensor_common::record::KIND_GONE`].
    pub fn end_and_tell(&mut self, keys: &[FlowKey]) -> io::Result<()> {
        let mut states = Vec::new();
        keys.chunks(MAX_FETCHES)
            .try_for_each(|keys| self.fetch(keys, END_AND_TELL, &mut states))
    }

    fn carry_out_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut orders = std::mem::take(&mut self.waiting);
        let r = self.carry_out(orders.iter().copied()).map(drop);
        // An order may be carried out twice; without memory for a run they wait for the next time.
        if r.is_ok() || orders.len() >= MAX_KEPT_ORDERS {
            orders.clear();
        }
        self.said(r);
        self.waiting = orders;
    }

    /// An order about one direction that may be refused.
    fn order_one(&mut self, key: &FlowKey, op: u32, dir: u8, at: u32) -> bool {
        // In their order.
        self.carry_out_waiting();
        let order = Order {
            key: *key,
            op,
            dirs: 1 << dir,
            at,
            pad: 0,
        };
        let r = self.carry_out(std::iter::once(order)).map(|refused| refused == 0);
        self.said(r)
    }

    /// System calls that failed behind the infallible [`FlowTable`] functions.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    fn said<T: Default>(&mut self, r: io::Result<T>) -> T {
        r.unwrap_or_else(|e| {
            self.failures += 1;
            tracing::debug!("flow table: {e}");
            T::default()
        })
    }
}

impl FlowTable for KernelTable {
    fn get(&mut self, key: &FlowKey) -> Option<FlowState> {
        let r = self.lookup(key);
        self.said(r)
    }
    // Orders about a flow that ends must not come to the one that follows it.
    fn forget(&mut self, key: &FlowKey) {
        self.waiting.retain(|o| o.key != *key);
    }
    fn remove(&mut self, key: &FlowKey) -> Option<FlowState> {
        self.forget(key);
        let r = self.take(key);
        self.said(r)
    }
    fn shed(&mut self, key: &FlowKey, dirs: u32) {
        self.waiting.push(Order {
            key: *key,
            op: OP_SHED,
            dirs,
            at: 0,
            pad: 0,
        });
        if self.waiting.len() >= self.patience {
            self.carry_out_waiting();
        }
    }
    fn at_once(&self) -> usize {
        if self.patience > 1 { MAX_FETCHES } else { 1 }
    }
    fn ask(&mut self, keys: &[FlowKey], end: bool, states: &mut Vec<Option<FlowState>>) {
        for keys in keys.chunks(MAX_FETCHES) {
            if end {
                keys.iter().for_each(|k| self.forget(k));
            }
            // A run is dearer than one question, and takes memory that may not be there. Where packets come in
            // meanwhile, half-open flows are counted right only if the program ends them.
            if keys.len() > 1 || end && self.patience > 1 {
                match self.fetch(keys, end.into(), states) {
                    Ok(()) => continue,
                    Err(e) => tracing::debug!("flow table: {e}"),
                }
            }
            for key in keys {
                // Memory for one may be there.
                if end && self.patience > 1 && self.fetch(std::slice::from_ref(key), 1, states).is_ok() {
                    continue;
                }
                let r = if end { self.take(key) } else { self.lookup(key) };
                let state = self.said(r);
                states.push(state);
            }
        }
    }
    fn settle(&mut self) {
        self.carry_out_waiting();
    }
    fn part_begins(&mut self, key: &FlowKey, part: &Part) {
        let Some(kept) = &mut self.kept else { return };
        let whole = EndedKey {
            flow: *key,
            start: part.flow_start,
            part: 0,
        };
        let value = KeptPart {
            uid_hi: part.uid_hi,
            start: part.start,
            orig: part.orig.into(),
            base: part.base,
        };
        kept.divided.insert(whole);
        // SAFETY: the map's key and value.
        let r = unsafe { sys::update(kept.parts.as_fd(), &whole, (&raw const value).cast()) };
        self.said(r);
    }
    fn part_ends(&mut self, key: &FlowKey, uid_hi: u64, state: &FlowState) {
        let Some(kept) = &mut self.kept else { return };
        let part = EndedKey {
            flow: *key,
            start: state.start,
            part: uid_hi.max(1),
        };
        kept.told.push(part);
        // SAFETY: the map's key and value.
        let r = unsafe { sys::update(kept.ended.as_fd(), &part, (state as *const FlowState).cast()) };
        self.said(r);
    }
    fn told(&mut self, key: &FlowKey, start: u64) {
        if let Some(kept) = &mut self.kept {
            kept.told.push(EndedKey {
                flow: *key,
                start,
                part: 0,
            });
        }
    }
    fn follow(&mut self, key: &FlowKey, dir: u8, at: u32) -> bool {
        self.order_one(key, OP_FOLLOW, dir, at)
    }
    fn skip(&mut self, key: &FlowKey, dir: u8, end: u32) -> bool {
        self.order_one(key, OP_SKIP, dir, end)
    }
}
