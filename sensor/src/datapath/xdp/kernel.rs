//! The loaded program.
#![allow(
    unsafe_code,
    reason = "map values are read into and written from plain memory"
)]

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::BuildHasher as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use aya::programs::{ProgramError, ProgramType, SchedClassifier, Xdp};
use aya::sys::{BpfHelper, is_helper_supported};
use aya::{Ebpf, EbpfLoader};
use sensor_common::dedup::KEY_PAIRS;
use sensor_common::policy::MAX_RINGS;
use sensor_common::{FlowKey, FlowState, Policy, dedup, policy};
use sha2::{Digest as _, Sha256};

use super::abi::{ALL_SLOTS, CpuStats, TELL_SLOT};
use super::attach::{self, Attached, EGRESS_PROGRAM, Egress, Link};
use super::config::KernelConfig;
use super::counters::Counters;
use super::error::KernelError;
use super::fds::{dup, map_fd};
use super::filter::{self, Filled};
use super::keeping::Keeping;
use super::pins::{ENDED, PARTS};
use super::ring::Ring;
use super::run::Injector;
use super::sys;
use super::table::KernelTable;
use crate::base::time::SECOND;
use crate::filter::Tables;

/// The committed object; see `sensor.bpf.toml` beside it.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/sensor.bpf.o");
/// Names a file to load instead: for tests of a rebuilt object.
const OBJECT_ENV: &str = "SENSOR_BPF_OBJECT";

const RINGS: [&str; MAX_RINGS as usize] = [
    "RING_0", "RING_1", "RING_2", "RING_3", "RING_4", "RING_5", "RING_6", "RING_7",
];
/// Names of the programs that take over packets in tunnels, by tail call, received and sent, by their places in the maps.
const STEPS: [[&str; 2]; 2] = [["decap_rx", "decap_tx"], ["inside_rx", "inside_tx"]];
/// Features of the kernel that the programs need: a helper that came with it, its name, and the first Linux that has it.
const NEEDED: [(BpfHelper, &str, &str); 1] =
    [(BpfHelper::BPF_FUNC_xdp_load_bytes, "multi-buffer XDP", "5.18")];

/// The program in the kernel, its maps and what it is attached to. Dropping it detaches.
pub struct Kernel {
    pub(super) ebpf: Ebpf,
    config: KernelConfig,
    flows: OwnedFd,
    stats: OwnedFd,
    pub(super) rx: OwnedFd,
    pub(super) tx: OwnedFd,
    inject: OwnedFd,
    control: OwnedFd,
    fetch: OwnedFd,
    /// What is attached, with the interfaces' indices.
    pub(super) links: Vec<(u32, Link)>,
    /// What outlives the process.
    pub(super) kept: Option<Keeping>,
    filter: Filled,
    /// Number of slots that were given to [`Injector`]s.
    injectors: AtomicU32,
}

impl Kernel {
    /// Loads the program; nothing is attached yet.
    pub fn load(config: &KernelConfig) -> Result<Self, KernelError> {
        Self::load_with(config, None)
    }

    pub(super) fn load_with(config: &KernelConfig, kept: Option<Keeping>) -> Result<Self, KernelError> {
        check_capabilities()?;
        check_kernel()?;
        let config = config.completed()?;
        let mut ebpf = load_object(&config, kept.as_ref())?;
        let fd = |e: &Ebpf, name: &'static str| -> Result<OwnedFd, KernelError> {
            map_fd(e.map(name).ok_or(KernelError::Missing(name))?)?
                .try_clone_to_owned()
                .map_err(dup)
        };
        let (flows, stats) = (fd(&ebpf, "FLOWS")?, fd(&ebpf, "STATS")?);
        let rx = load_xdp(&mut ebpf, "sensor_rx")?;
        let inject = load_xdp(&mut ebpf, "inject")?;
        let control = load_xdp(&mut ebpf, "control")?;
        let fetch = load_xdp(&mut ebpf, "fetch")?;
        if config.policy.bits & policy::DECAP != 0 {
            for (i, [rx, tx]) in STEPS.into_iter().enumerate() {
                let rx = load_xdp(&mut ebpf, rx)?;
                put(&mut ebpf, "RX_PROGRAMS", i, rx)?;
                let tx = load_tx(&mut ebpf, tx)?;
                put(&mut ebpf, "TX_PROGRAMS", i, tx)?;
            }
        }
        let tx = load_tx(&mut ebpf, EGRESS_PROGRAM)?;
        Ok(Kernel {
            ebpf,
            config,
            flows,
            stats,
            rx,
            tx,
            inject,
            control,
            fetch,
            links: Vec::new(),
            kept,
            filter: Filled::default(),
            injectors: AtomicU32::new(0),
        })
    }

    /// Attaches to an interface: what it receives and, unless `rx_only`, what is sent on it.
    pub fn attach(&mut self, iface: &str, rx_only: bool) -> Result<Attached, KernelError> {
        let ifindex = attach::ethernet(iface)?.ifindex;
        let (link, mode) = match self.left_rx(ifindex)? {
            Some(left) => left,
            None => {
                let (link, mode) = attach::xdp(self.rx.as_fd(), iface, ifindex, self.config.skb_mode)?;
                self.keep_link(&link, ifindex, Some(mode))?;
                (link, mode)
            }
        };
        let mut egress = Egress::Off;
        if !rx_only {
            let (link, kind) = match self.left_tx(ifindex)? {
                Some(left) => (Link::Fd(left), Egress::Tcx),
                None => {
                    let in_place = self.takes_over();
                    let prog = tx_program(&mut self.ebpf)?;
                    let (link, kind) = attach::egress(self.tx.as_fd(), prog, iface, ifindex, in_place)?;
                    if let Link::Fd(link) = &link {
                        self.keep_link(link, ifindex, None)?;
                    }
                    (link, kind)
                }
            };
            self.links.push((ifindex, link));
            egress = kind;
        }
        self.links.push((ifindex, Link::Fd(link)));
        Ok(Attached {
            iface: iface.to_owned(),
            ifindex,
            mode,
            egress,
        })
    }

    /// Detaches from an interface that has disappeared; does nothing if it was not attached.
    pub fn release(&mut self, ifindex: Option<u32>) {
        if let (Some(kept), Some(ifindex)) = (&self.kept, ifindex) {
            kept.pins.forget_links(ifindex);
        }
        let gone = self.links.extract_if(.., |(i, _)| Some(*i) == ifindex);
        for (_, link) in gone {
            if let Link::Filter(id) = link
                && let Ok(prog) = tx_program(&mut self.ebpf)
            {
                // It went with the interface, most often.
                let _ = prog.detach(id);
            }
        }
    }

    /// Detaches from all interfaces; maps and rings stay.
    pub fn detach(&mut self) {
        for (_, link) in self.links.drain(..) {
            if let Link::Filter(id) = link
                && let Ok(prog) = tx_program(&mut self.ebpf)
                && let Err(e) = prog.detach(id)
            {
                tracing::warn!("cannot remove the egress filter: {e}");
            }
        }
        self.forget_all_links();
    }

    /// Reader of ring `i`, one per worker. A ring must have one reader only.
    pub fn ring(&self, i: u32) -> Result<Ring, KernelError> {
        let name = *RINGS
            .get(i as usize)
            .filter(|_| i < self.config.rings)
            .ok_or(KernelError::Config("no such ring"))?;
        let map = self.ebpf.map(name).ok_or(KernelError::Missing(name))?;
        let bells = self.ebpf.map("BELLS").ok_or(KernelError::Missing("BELLS"))?;
        Ring::new(
            map_fd(map)?.try_clone_to_owned().map_err(dup)?,
            self.config.ring_bytes,
            map_fd(bells)?,
            i,
        )
    }

    /// A handle to the flow table, one per thread.
    pub fn table(&self) -> Result<KernelTable, KernelError> {
        let clone = |fd: &OwnedFd| fd.try_clone().map_err(dup);
        let table = KernelTable::new(clone(&self.flows)?, clone(&self.control)?, clone(&self.fetch)?);
        Ok(match &self.kept {
            Some(kept) => table.keeping(kept.pins.map(ENDED)?, kept.pins.map(PARTS)?),
            None => table,
        })
    }

    /// Runs frames through the program, one per thread; at most [`MAX_RINGS`] of them.
    pub fn injector(&self) -> Result<Injector, KernelError> {
        let slot = 1 + self.injectors.fetch_add(1, Ordering::Relaxed);
        if slot >= TELL_SLOT {
            return Err(KernelError::Config("no more than 8 threads may run frames"));
        }
        Ok(Injector {
            prog: self.rx.try_clone().map_err(dup)?,
            inject: self.inject.try_clone().map_err(dup)?,
            slot,
            buf: Vec::new(),
        })
    }

    /// The accounting so far, summed over the CPUs.
    pub fn counters(&self) -> Result<Counters, KernelError> {
        Ok(self.counters_by_cpu()?.iter().copied().sum())
    }

    /// The accounting so far, of each possible CPU.
    pub fn counters_by_cpu(&self) -> Result<Vec<Counters>, KernelError> {
        let sys = |source| KernelError::Sys {
            what: "cannot read the counters",
            source,
        };
        let cpus = aya::util::nr_cpus().map_err(|(_, e)| sys(e))?;
        let zero = CpuStats {
            counters: [0; _],
            ring_lost: [0; _],
            said_full: 0,
            fence: 0,
        };
        let mut all = vec![zero; cpus];
        let mut sums = vec![Counters::default(); cpus];
        for slot in 0..ALL_SLOTS {
            // SAFETY: a u32 key; a per-CPU map's value is one element per possible CPU, each a multiple
            // of 8 bytes.
            unsafe { sys::lookup(self.stats.as_fd(), &slot, all.as_mut_ptr().cast()) }.map_err(sys)?;
            sums.iter_mut().zip(&all).for_each(|(sum, cpu)| sum.add(cpu));
        }
        Ok(sums)
    }

    /// Has these rules decide of flows that begin from here on; the policy must have [`policy::FILTER`]. Flows that there are
    /// go on.
    pub fn set_filter(&mut self, tables: &Tables) -> Result<(), KernelError> {
        self.filter.put(&self.ebpf, tables)
    }

    /// Passes on what the program itself has to say, when [`aya_log::EbpfLogger::flush`] is called
    /// (now and then; it says little). May be asked for once.
    pub fn logger(&mut self) -> Result<aya_log::EbpfLogger<&'static dyn log::Log>, KernelError> {
        aya_log::EbpfLogger::init(&mut self.ebpf).map_err(|e| KernelError::Load(chain(&e)))
    }

    /// The commit that this was built from, if the build said so (`SENSOR_COMMIT`).
    pub const COMMIT: &str = match option_env!("SENSOR_COMMIT") {
        Some(commit) => commit,
        None => "unknown",
    };

    /// The SHA-256 of the object that programs are loaded from, in hexadecimal.
    pub fn object_hash() -> Result<String, KernelError> {
        let bytes = match std::env::var_os(OBJECT_ENV) {
            Some(path) => Cow::Owned(object_of(&path)?),
            None => Cow::Borrowed(OBJECT),
        };
        let digest = Sha256::digest(&bytes);
        Ok(data_encoding::HEXLOWER.encode(&digest))
    }

    /// The configuration in force.
    pub fn config(&self) -> &KernelConfig {
        &self.config
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // A start that failed, over what an earlier run left: the next one may do better.
        match self.takes_over() {
            true => self.let_be(),
            false => self.detach(),
        }
    }
}

/// A clock of the system, ns.
fn read(clock: libc::clockid_t) -> i64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes to the timespec that it is given, which outlives it. The clocks asked for always exist.
    unsafe { libc::clock_gettime(clock, &raw mut t) };
    t.tv_sec * SECOND as i64 + t.tv_nsec
}

/// The clock of records' times (CLOCK_BOOTTIME): now, ns since boot.
pub fn boot_now() -> u64 {
    read(libc::CLOCK_BOOTTIME) as u64
}

/// What to add to a record's time (CLOCK_BOOTTIME) to have ns since the epoch.
pub fn boot_to_epoch() -> i64 {
    // The real time between two readings of the other clock; the closest pair of several.
    (0..8)
        .map(|_| {
            let (a, real, b) = (
                read(libc::CLOCK_BOOTTIME),
                read(libc::CLOCK_REALTIME),
                read(libc::CLOCK_BOOTTIME),
            );
            (b - a, real - (a + (b - a) / 2))
        })
        .min_by_key(|&(gap, _)| gap)
        .map_or(0, |(_, offset)| offset)
}

fn load_object(config: &KernelConfig, kept: Option<&Keeping>) -> Result<Ebpf, KernelError> {
    let p = config.policy;
    let policy: [u32; 12] = [
        p.bits,
        p.snaplen,
        p.rings,
        p.payload_room,
        p.syn_room,
        p.half_open,
        p.ring_by_cpu,
        p.seed[0],
        p.seed[1],
        p.shares,
        p.sample,
        p.dedup,
    ];
    const { assert!(size_of::<[u32; 12]>() == size_of::<Policy>()) };
    let mut loader = EbpfLoader::new();
    loader.override_global("POLICY", &policy[..], true);
    let (key, sets, slots) = match p.dedup {
        0 => ([0; KEY_PAIRS], 1, 1),
        _ => (dedup_key(), dedup::SETS, ALL_SLOTS),
    };
    loader.override_global("DEDUP_KEY", &key[..], true);
    loader.map_max_entries("DEDUP", sets);
    loader.map_max_entries("BYTES", slots);
    loader.map_max_entries("FLOWS", config.flows);
    loader.map_max_entries("QUEUE", p.half_open.max(1));
    loader.map_max_entries("HOSTS", config.hosts());
    if p.bits & policy::FILTER != 0 {
        for (name, entries) in filter::SIZES {
            loader.map_max_entries(name, entries);
        }
    }
    for name in &RINGS[..config.rings as usize] {
        loader.map_max_entries(name, config.ring_bytes);
    }
    if let Some(kept) = kept {
        kept.name_maps(&mut loader, &RINGS[..config.rings as usize]);
    }
    let ebpf = match std::env::var_os(OBJECT_ENV) {
        Some(path) => loader.load(&object_of(&path)?),
        None => loader.load(OBJECT),
    };
    ebpf.map_err(|e| KernelError::Load(chain(&e)))
}

/// A key that nobody knows: with it a sender could make two packets look alike.
fn dedup_key() -> [u64; KEY_PAIRS] {
    let random = RandomState::new();
    std::array::from_fn(|i| random.hash_one(i))
}

fn object_of(path: &OsStr) -> Result<Vec<u8>, KernelError> {
    std::fs::read(path).map_err(|source| KernelError::Object {
        path: path.to_string_lossy().into_owned(),
        source,
    })
}

fn load_xdp(ebpf: &mut Ebpf, name: &'static str) -> Result<OwnedFd, KernelError> {
    let prog: &mut Xdp = ebpf
        .program_mut(name)
        .ok_or(KernelError::Missing(name))?
        .try_into()
        .map_err(|_| KernelError::Missing(name))?;
    prog.load().map_err(|e| not_loaded(name, e))?;
    let fd = prog.fd().map_err(|e| KernelError::Load(chain(&e)))?.as_fd();
    fd.try_clone_to_owned().map_err(dup)
}

fn load_tx(ebpf: &mut Ebpf, name: &'static str) -> Result<OwnedFd, KernelError> {
    let prog = classifier(ebpf, name)?;
    prog.load().map_err(|e| not_loaded(name, e))?;
    let fd = prog.fd().map_err(|e| KernelError::Load(chain(&e)))?.as_fd();
    fd.try_clone_to_owned().map_err(dup)
}

/// Makes a program reachable for others, at a place of a map.
fn put(ebpf: &mut Ebpf, map: &'static str, at: usize, program: OwnedFd) -> Result<(), KernelError> {
    let map = map_fd(ebpf.map(map).ok_or(KernelError::Missing(map))?)?;
    let (key, value) = (at as u32, program.as_raw_fd());
    // SAFETY: such a map's types.
    unsafe { sys::update(map, &key, (&raw const value).cast()) }.map_err(|source| KernelError::Sys {
        what: "cannot link two programs",
        source,
    })
}

pub(super) fn tx_program(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier, KernelError> {
    classifier(ebpf, EGRESS_PROGRAM)
}

fn classifier<'e>(ebpf: &'e mut Ebpf, name: &'static str) -> Result<&'e mut SchedClassifier, KernelError> {
    ebpf.program_mut(name)
        .ok_or(KernelError::Missing(name))?
        .try_into()
        .map_err(|_| KernelError::Missing(name))
}

/// Why a program was not loaded. The verifier's log can be a megabyte: the error has its verdict, the line before the
/// statistics; all of it is logged at debug level.
fn not_loaded(program: &'static str, e: ProgramError) -> KernelError {
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = e
    else {
        return KernelError::Load(chain(&e));
    };
    let log = verifier_log.to_string();
    let statistics = ["verification time", "stack depth", "processed "];
    let verdict = log
        .lines()
        .rfind(|l| !l.trim().is_empty() && !statistics.iter().any(|s| l.starts_with(s)));
    match verdict {
        Some(verdict) => {
            tracing::debug!("the verifier on {program}:\n{log}");
            KernelError::Refused {
                program,
                release: release(),
                verdict: verdict.trim().to_owned(),
            }
        }
        None => KernelError::Load(io_error.to_string()),
    }
}

/// An error with its causes in one line.
fn chain(e: &dyn std::error::Error) -> String {
    let mut s = e.to_string();
    let mut cause = e.source();
    while let Some(c) = cause {
        s = format!("{s}: {c}");
        cause = c.source();
    }
    s
}

/// The capabilities that this process needs and does not have; None: it cannot be found out. CAP_SYS_ADMIN stands for the
/// two newer ones.
pub fn missing_capabilities() -> Option<Vec<&'static str>> {
    const NET_ADMIN: u32 = 12;
    const SYS_ADMIN: u32 = 21;
    const PERFMON: u32 = 38;
    const BPF: u32 = 39;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"))?;
    let have = u64::from_str_radix(line.trim(), 16).ok()?;
    let has = |bit: u32| have >> bit & 1 == 1;
    let needed = [
        ("CAP_BPF", has(BPF) || has(SYS_ADMIN)),
        ("CAP_NET_ADMIN", has(NET_ADMIN)),
        ("CAP_PERFMON", has(PERFMON) || has(SYS_ADMIN)),
    ];
    let missing = needed.iter().filter(|(_, ok)| !ok);
    Some(missing.map(|&(name, _)| name).collect())
}

fn check_capabilities() -> Result<(), KernelError> {
    match missing_capabilities() {
        Some(missing) if !missing.is_empty() => Err(KernelError::Capabilities { missing }),
        _ => Ok(()),
    }
}

/// Memory of a flow table for so many flows, bytes: all of it is taken when the program is loaded. The kernel has some 48 bytes
/// of its own for each element (`struct htab_elem`), and buckets of 16 bytes, a power of two of them.
pub fn table_bytes(flows: u32) -> u64 {
    let element = 48 + size_of::<FlowKey>().next_multiple_of(8) + size_of::<FlowState>().next_multiple_of(8);
    let flows = u64::from(flows);
    flows * element as u64 + flows.next_power_of_two() * 16
}

/// What the programs need of the kernel: its name, the first Linux that has it, and whether this one does; None: it cannot
/// be found out, as without privileges.
pub fn features() -> Vec<(&'static str, &'static str, Option<bool>)> {
    let ring = (BpfHelper::BPF_FUNC_ringbuf_reserve, "the BPF ring buffer", "5.8");
    let all = std::iter::once(ring).chain(NEEDED);
    let asked =
        all.map(|(helper, name, since)| (name, since, is_helper_supported(ProgramType::Xdp, helper).ok()));
    asked.collect()
}

/// Asks for the feature, not for a version: distributions bring features to older kernels.
fn check_kernel() -> Result<(), KernelError> {
    for (helper, feature, since) in NEEDED {
        // Where it cannot be found out, loading tells.
        if let Ok(false) = is_helper_supported(ProgramType::Xdp, helper) {
            return Err(KernelError::Kernel {
                feature,
                since,
                has: release(),
            });
        }
    }
    Ok(())
}

/// The running kernel's, as `uname -r` says it.
pub fn release() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}
