//! The tables of rules in the kernel: see [`sensor_common::filter`].
#![allow(unsafe_code, reason = "map values are written from plain memory")]

use std::io;
use std::os::fd::BorrowedFd;

use aya::Ebpf;
use sensor_common::filter::{Filter, HALVES, Net, PORTS, PROTOCOLS, VLANS};

use super::error::KernelError;
use super::fds::map_fd;
use super::sys;
use crate::filter::Tables;

/// Most networks that rules speak of, in both halves.
const MAX_NETS: u32 = 1 << 12;
/// Most interfaces.
const MAX_INTERFACES: u32 = 1 << 10;
const BOTH: u32 = HALVES as u32;

/// The tables' entries.
pub(super) const SIZES: [(&str, u32); 5] = [
    ("FILTER_NETS", MAX_NETS),
    ("FILTER_PORTS", BOTH * PORTS),
    ("FILTER_PROTOCOLS", BOTH * PROTOCOLS),
    ("FILTER_VLANS", BOTH * VLANS),
    ("FILTER_INTERFACES", MAX_INTERFACES),
];

/// A network as a key: how many bits count, the half's included.
#[repr(C)]
#[derive(Clone, Copy)]
struct NetKey {
    bits: u32,
    net: Net,
}

/// What is in the tables.
#[derive(Default)]
pub(super) struct Filled {
    filter: Filter,
    nets: [Vec<NetKey>; HALVES],
    interfaces: [Vec<u64>; HALVES],
}

impl Filled {
    /// Fills in the half that does not count, and has it count.
    pub fn put(&mut self, ebpf: &Ebpf, tables: &Tables) -> Result<(), KernelError> {
        self.fill(ebpf, tables).map_err(|e| match e {
            Failed::Map(e) => e,
            Failed::Sys(source) => KernelError::Sys {
                what: "cannot put the filter into the kernel",
                source,
            },
        })
    }

    fn fill(&mut self, ebpf: &Ebpf, t: &Tables) -> Result<(), Failed> {
        let map = |name: &'static str| -> Result<BorrowedFd<'_>, Failed> {
            let map = ebpf.map(name).ok_or(KernelError::Missing(name));
            map.and_then(map_fd).map_err(Failed::Map)
        };
        let half = self.filter.active ^ 1;
        let h = half as usize & 1;
        let (nets, ports) = (map("FILTER_NETS")?, map("FILTER_PORTS")?);
        let (protocols, vlans) = (map("FILTER_PROTOCOLS")?, map("FILTER_VLANS")?);
        let interfaces = map("FILTER_INTERFACES")?;
        for old in self.nets[h].drain(..) {
            // SAFETY: the map's key.
            unsafe { sys::delete(nets, &old) }?;
        }
        for old in self.interfaces[h].drain(..) {
            // SAFETY: the map's key.
            unsafe { sys::delete(interfaces, &old) }?;
        }
        for (addr, bits, sides) in &t.nets {
            let key = NetKey {
                bits: Net::HALF_BITS + bits,
                net: Net::new(half, *addr),
            };
            // SAFETY: the map's key and value.
            unsafe { sys::update(nets, &key, (sides as *const sensor_common::filter::Sides).cast()) }?;
            self.nets[h].push(key);
        }
        for (i, set) in &t.interfaces {
            let key = u64::from(half) << 32 | u64::from(*i);
            // SAFETY: the map's key and value.
            unsafe { sys::update(interfaces, &key, (set as *const u64).cast()) }?;
            self.interfaces[h].push(key);
        }
        for (at, sides) in (half * PORTS..).zip(&t.ports) {
            // SAFETY: the map's key and value.
            unsafe { sys::update(ports, &at, (sides as *const sensor_common::filter::Sides).cast()) }?;
        }
        for (at, set) in (half * PROTOCOLS..).zip(&t.protocols) {
            // SAFETY: the map's key and value.
            unsafe { sys::update(protocols, &at, (set as *const u64).cast()) }?;
        }
        for (at, set) in (half * VLANS..).zip(&t.vlans) {
            // SAFETY: the map's key and value.
            unsafe { sys::update(vlans, &at, (set as *const u64).cast()) }?;
        }
        let mut new = self.filter;
        new.active = half;
        new.rules[h] = t.rules;
        // The other half's rules stay as they are, and the word that chooses is written with them.
        // SAFETY: an array of one such value.
        unsafe { sys::update(map("FILTER")?, &0u32, (&raw const new).cast()) }?;
        self.filter = new;
        Ok(())
    }
}

enum Failed {
    Map(KernelError),
    Sys(io::Error),
}

impl From<io::Error> for Failed {
    fn from(e: io::Error) -> Self {
        Failed::Sys(e)
    }
}
