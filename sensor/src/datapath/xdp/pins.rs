//! What outlives the process: names in the BPF file system for maps and links (`--persist`).
//!
//! With them the kernel goes on counting and forwarding when the sensor ends, however it ends. The next one takes over the
//! maps, loads programs of its own that use them, and has the links run these: no packet is met by none or by both. What
//! is not named belongs to the programs of one process: their scratch memory, read-only data and rules.
#![allow(
    unsafe_code,
    reason = "statfs is a system call; map values are read into plain memory"
)]

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sensor_common::{FlowKey, FlowState};

use super::abi::{CpuStats, EndedKey, HalfOpen};
use super::attach::Mode;
use super::error::KernelError;
use super::sys;

/// The folder in it: what is in the maps, and what they are called. Another layout of the values has another number.
const LAYOUT: &str = "v2";
const _: () = assert!(
    size_of::<FlowKey>() == 40
        && size_of::<FlowState>() == 264
        && size_of::<EndedKey>() == 56
        && size_of::<HalfOpen>() == 128
        && size_of::<CpuStats>() == 320,
    "another layout: give LAYOUT another number"
);
/// `BPF_FS_MAGIC` of the kernel's `include/uapi/linux/magic.h`.
const BPF_FS: i64 = 0xcafe_4a11;
/// Maps that are kept, beside the rings.
pub const MAPS: [&str; 8] = [
    "FLOWS", "STATS", "HALF", "QUEUE", "BELLS", ENDED, "HOSTS", "NUMBERED",
];
/// Tables of programs; each load has its own, under names that end with its number.
pub const PROGRAM_TABLES: [&str; 2] = ["RX_PROGRAMS", "TX_PROGRAMS"];
const FACTS: &str = "FACTS";
/// Ended flows whose rows are not known to be written.
pub(super) const ENDED: &str = "ENDED";
/// Connections that are not their flows' first.
pub(super) const PARTS: &str = "PARTS";
/// Most connections that are remembered as not their flows' first.
const MAX_PARTS: u32 = 1 << 16;
/// Entries read at a time.
const AT_A_TIME: usize = 1024;

/// What a run was made with, which the next one has to know or to be equal in.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Seed of uids, and of the hash that chooses rings.
    pub seed: u64,
    /// What is added to the kernel's times to get the engine's, ns.
    pub shift: i64,
    /// Entries of the flow table.
    pub flows: u32,
    /// Number of rings.
    pub rings: u32,
    /// Size of each, bytes.
    pub ring_bytes: u32,
    /// See [`super::KernelConfig::half_open_share`].
    pub half_open_share: u32,
    /// Entries of the table of tunnels between hosts.
    pub hosts: u32,
    /// Always 0.
    pub pad: u32,
}

/// The value of a connection that is not its flow's first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct KeptPart {
    /// See [`crate::datapath::Part`].
    pub uid_hi: u64,
    /// When it began, ns since boot.
    pub start: u64,
    /// The originator's direction.
    pub orig: u64,
    /// The flow's totals before it.
    pub base: FlowState,
}

/// A directory of pins that is this process's.
pub struct Pins {
    dir: PathBuf,
    /// Locked as long as this lives.
    _lock: File,
    facts: Option<Facts>,
}

/// A link that an earlier run left.
pub struct PinnedLink {
    /// The interface's number.
    pub ifindex: u32,
    /// How the XDP program runs; None: it is the link of the program that sees what is sent.
    pub mode: Option<Mode>,
    path: PathBuf,
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> KernelError {
    move |source| KernelError::Sys { what, source }
}

impl Pins {
    /// Takes the directory, which is made if need be, in `base`.
    pub fn claim(base: &Path) -> Result<Pins, KernelError> {
        let dir = base.join(LAYOUT);
        let parent = base.parent().unwrap_or(base);
        if !is_bpf_fs(parent).map_err(|source| KernelError::BpfFs {
            dir: base.display().to_string(),
            source,
        })? {
            return Err(KernelError::NoBpfFs {
                dir: base.display().to_string(),
            });
        }
        let named = || dir.display().to_string();
        let unusable = failed("--persist: cannot use the directory in the BPF file system");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(&unusable)?;
        for other in fs::read_dir(base).map_err(&unusable)?.flatten() {
            let name = other.file_name();
            if name != LAYOUT && fs::read_dir(other.path()).is_ok_and(|mut d| d.next().is_some()) {
                return Err(KernelError::Misfit {
                    dir: base.display().to_string(),
                    what: format!(
                        "it is of another version of the sensor, whose `sensor detach` ends it ({})",
                        name.display()
                    ),
                });
            }
        }
        let lock = File::open(&dir).map_err(&unusable)?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => KernelError::PinsTaken { dir: named() },
            TryLockError::Error(e) => unusable(e),
        })?;
        let mut pins = Pins {
            dir,
            _lock: lock,
            facts: None,
        };
        pins.facts = pins.read_facts()?;
        if pins.facts.is_none() {
            // A start that did not come to its end: nothing was attached yet.
            pins.clear()?;
        }
        Ok(pins)
    }

    fn read_facts(&self) -> Result<Option<Facts>, KernelError> {
        let failed = failed("--persist: cannot read what the last run left");
        let Some(map) = sys::pinned(&self.path(FACTS)).map_err(&failed)? else {
            return Ok(None);
        };
        let mut facts = Facts::default();
        // SAFETY: an array of one such value.
        let found = unsafe { sys::lookup(map.as_fd(), &0u32, (&raw mut facts).cast()) };
        Ok(found.map_err(&failed)?.then_some(facts))
    }

    /// What the last run was made with; None: there was none.
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name of a map.
    pub fn path(&self, map: &str) -> PathBuf {
        self.dir.join(map)
    }

    /// An error, if what the last run left is not as `new` needs it.
    pub fn check(&self, new: &Facts) -> Result<(), KernelError> {
        let Some(old) = &self.facts else { return Ok(()) };
        let all = [
            ("--flows", old.flows, new.flows),
            ("--workers", old.rings, new.rings),
            ("--ring-mib", old.ring_bytes >> 20, new.ring_bytes >> 20),
            ("--half-open-share", old.half_open_share, new.half_open_share),
            ("tunnels between hosts", old.hosts, new.hosts),
        ];
        match all.into_iter().find(|(_, old, new)| old != new) {
            None => Ok(()),
            Some((what, old, new)) => Err(KernelError::Misfit {
                dir: self.dir.display().to_string(),
                what: format!("{what} was {old} and is to be {new}"),
            }),
        }
    }

    /// The maps are there: from here on another run can take over.
    pub(super) fn begin(&mut self, facts: &Facts) -> Result<(), KernelError> {
        let failed = failed("--persist: cannot keep what a restart needs");
        if self.facts.is_none() {
            let parts = sys::create_map(
                sys::HASH_MAP,
                size_of::<EndedKey>(),
                size_of::<KeptPart>(),
                MAX_PARTS,
            );
            let parts = parts.map_err(&failed)?;
            sys::pin(parts.as_fd(), &self.path(PARTS)).map_err(&failed)?;
            let map = sys::create_map(sys::ARRAY_MAP, size_of::<u32>(), size_of::<Facts>(), 1);
            let map = map.map_err(&failed)?;
            // SAFETY: an array of one such value.
            unsafe { sys::update(map.as_fd(), &0u32, (facts as *const Facts).cast()) }.map_err(&failed)?;
            sys::pin(map.as_fd(), &self.path(FACTS)).map_err(&failed)?;
            self.facts = Some(*facts);
        }
        Ok(())
    }

    /// A map, by its name.
    pub(super) fn map(&self, name: &'static str) -> Result<OwnedFd, KernelError> {
        let found = sys::pinned(&self.path(name)).map_err(failed("--persist: cannot open a map"))?;
        found.ok_or(KernelError::Missing(name))
    }

    /// The links that there are.
    pub fn links(&self) -> io::Result<Vec<PinnedLink>> {
        let mut links = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let (ifindex, mode) = match name.split('-').collect::<Vec<_>>()[..] {
                ["rx", ifindex, "native"] => (ifindex, Some(Mode::Native)),
                ["rx", ifindex, "skb"] => (ifindex, Some(Mode::Skb)),
                ["tx", ifindex] => (ifindex, None),
                _ => continue,
            };
            if let Ok(ifindex) = ifindex.parse() {
                links.push(PinnedLink { ifindex, mode, path });
            }
        }
        Ok(links)
    }

    /// The name of a link.
    fn link_path(&self, ifindex: u32, mode: Option<Mode>) -> PathBuf {
        self.dir.join(match mode {
            Some(Mode::Native) => format!("rx-{ifindex}-native"),
            Some(Mode::Skb) => format!("rx-{ifindex}-skb"),
            None => format!("tx-{ifindex}"),
        })
    }

    /// Has a link outlive this process.
    pub(super) fn keep_link(
        &self,
        link: BorrowedFd<'_>,
        ifindex: u32,
        mode: Option<Mode>,
    ) -> Result<(), KernelError> {
        let path = self.link_path(ifindex, mode);
        // Of an interface that had the same number and is gone.
        let _ = fs::remove_file(&path);
        sys::pin(link, &path).map_err(failed("--persist: cannot keep what is attached"))
    }

    /// Takes away the names of an interface's links.
    pub(super) fn forget_links(&self, ifindex: u32) {
        for mode in [Some(Mode::Native), Some(Mode::Skb), None] {
            let _ = fs::remove_file(self.link_path(ifindex, mode));
        }
    }

    /// Takes away the tables of programs of other loads than number `now`.
    pub(super) fn forget_programs(&self, now: u64) {
        let own: Vec<_> = PROGRAM_TABLES.iter().map(|t| format!("{t}-{now}")).collect();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_table = PROGRAM_TABLES.iter().any(|t| name.starts_with(&format!("{t}-")));
            if is_table && !own.iter().any(|o| *o == name) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Takes all names away: what nobody else has ends.
    pub fn clear(&mut self) -> Result<(), KernelError> {
        let failed = failed("--persist: cannot take away what is kept");
        // Who would take over sees first that there is nothing.
        let _ = fs::remove_file(self.path(FACTS));
        for entry in fs::read_dir(&self.dir).map_err(&failed)? {
            fs::remove_file(entry.map_err(&failed)?.path()).map_err(&failed)?;
        }
        self.facts = None;
        Ok(())
    }

    /// [`Pins::clear`], and the directory is gone.
    pub fn remove(mut self) -> Result<(), KernelError> {
        self.clear()?;
        let _ = fs::remove_dir(&self.dir);
        let _ = self.dir.parent().map(fs::remove_dir);
        Ok(())
    }
}

impl PinnedLink {
    /// The link, if it is still attached to its interface; otherwise its name is taken away.
    pub(super) fn open(&self) -> Option<OwnedFd> {
        let link = sys::pinned(&self.path).ok().flatten();
        let link = link.filter(|l| sys::link_ifindex(l.as_fd()).is_ok_and(|i| i == self.ifindex));
        if link.is_none() {
            self.forget();
        }
        link
    }

    /// Takes its name away: it ends.
    pub(super) fn forget(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// False also where nothing is; an error where it cannot be told, most often as the user may not look.
fn is_bpf_fs(dir: &Path) -> io::Result<bool> {
    let dir = match File::open(dir) {
        Ok(dir) => dir,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    let mut fs = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the call fills in the structure when it returns 0.
    Ok(unsafe { libc::fstatfs(dir.as_raw_fd(), fs.as_mut_ptr()) == 0 && fs.assume_init().f_type == BPF_FS })
}

/// All entries of a hash map that does not change meanwhile.
///
/// # Safety
/// `K` is the map's key and `V` its value, and any bytes are one of each.
pub(super) unsafe fn entries<K: Copy, V: Copy>(map: BorrowedFd<'_>) -> io::Result<Vec<(K, V)>> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let mut keys = vec![MaybeUninit::<K>::uninit(); AT_A_TIME];
        let mut values = vec![MaybeUninit::<V>::uninit(); AT_A_TIME];
        // SAFETY: the caller's word; the kernel filled the first `n` of both.
        unsafe {
            let n = sys::lookup_batch(map, &mut cursor, &mut keys, &mut values)?;
            let found = keys.iter().zip(&values).take(n);
            all.extend(found.map(|(k, v)| (k.assume_init(), v.assume_init())));
        }
        if cursor.is_none() {
            return Ok(all);
        }
    }
}
