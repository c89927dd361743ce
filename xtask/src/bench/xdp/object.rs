//! A BPF object of the sensor's: loading it, its programs, its rings and its orders. It may be another build's with
//! other keys, so of its maps this knows the names alone, and of its other types what is said here.
#![allow(unsafe_code, reason = "bpf(2) and maps")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Map, MapData};
use aya::programs::{SchedClassifier, Xdp};
use aya::{Ebpf, EbpfLoader};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::bench::bpf;
use crate::bench::live::usage::thread_cpu;

/// Rings that are in use: as on a machine with two CPUs.
const RINGS: [&str; 2] = ["RING_0", "RING_1"];
/// Size of each, bytes: the sensor's default.
const RING_BYTES: u32 = 16 << 20;
/// Bytes of it after which payload stays out, and after which SYNs do, as the sensor has it.
const PAYLOAD_ROOM: u32 = RING_BYTES / 8 * 7;
const SYN_ROOM: u32 = RING_BYTES / 2;
/// Of what is free for payload one asks only once in so much, as with eight CPUs.
const SHARES: u32 = 5;

/// What part of the flow table half-open flows may take: the sensor's default.
pub const HALF_OPEN_PART: u32 = 2;

/// Orders to `control`: what stands before them, how many fit, and `OP_SHED` for both directions, behind the key.
const ORDERS_HEAD: usize = 16;
const MAX_ORDERS: usize = 32;
const SHED_BOTH: [u32; 4] = [0, 3, 0, 0];

/// The bytes of an object, and the programs in the kernel when it is loaded.
pub struct Object {
    pub name: String,
    bytes: Vec<u8>,
    /// Whether packets are looked at for having come twice.
    dedup: bool,
}

impl Object {
    /// Takes it from an object file, or out of a sensor's binary, which has one in it.
    pub fn read(name: &str, path: &Path) -> Result<Self> {
        let file = std::fs::read(path).with_context(|| format!("cannot open {}", path.display()))?;
        let at = find(&file).with_context(|| format!("{}: has no BPF object in it", path.display()))?;
        Ok(Object {
            name: name.to_owned(),
            bytes: file[at..].to_vec(),
            dedup: false,
        })
    }

    /// The same with `--dedup`.
    pub fn with_dedup(&self) -> Object {
        Object {
            name: "--dedup".to_owned(),
            bytes: self.bytes.clone(),
            dedup: true,
        }
    }

    /// Loads what the sensor loads, and `floor_rx` if it has one. `flows` is the size of the flow table.
    pub fn load(&self, flows: u32) -> Result<Loaded> {
        let half_open = flows / HALF_OPEN_PART;
        let mut bytes = self.bytes.clone();
        set_policy(&mut bytes, half_open, self.dedup).with_context(|| self.name.clone())?;
        let mut watch = Watch::start();
        let mut loader = EbpfLoader::new();
        // Objects without it pay no heed.
        loader.map_max_entries("QUEUE", half_open);
        loader.map_max_entries("FLOWS", flows);
        for ring in RINGS {
            loader.map_max_entries(ring, RING_BYTES);
        }
        let mut ebpf = loader.load(&bytes)?;
        watch.lap("maps");
        let rx = load_xdp(&mut ebpf, "sensor_rx")?;
        watch.lap("sensor_rx");
        let tx: &mut SchedClassifier = ebpf
            .program_mut("sensor_tx")
            .context("no sensor_tx")?
            .try_into()?;
        tx.load()?;
        watch.lap("sensor_tx");
        load_xdp(&mut ebpf, "inject")?;
        watch.lap("inject");
        load_xdp(&mut ebpf, "fetch")?;
        let control = load_xdp(&mut ebpf, "control")?;
        watch.lap("the others");
        let watch = watch.finish();
        let floor = ebpf
            .program("floor_rx")
            .is_some()
            .then(|| load_xdp(&mut ebpf, "floor_rx"));
        let rings = RINGS.map(|r| Ring::new(map(&ebpf, r)?.fd().as_fd()));
        let [a, b] = rings;
        Ok(Loaded {
            rx,
            floor: floor.transpose()?,
            control,
            rings: [a?, b?],
            watch,
            ebpf,
        })
    }
}

/// An object in the kernel.
pub struct Loaded {
    pub rx: OwnedFd,
    pub floor: Option<OwnedFd>,
    control: OwnedFd,
    rings: [Ring; RINGS.len()],
    /// How long that took.
    pub watch: Watch,
    ebpf: Ebpf,
}

impl Loaded {
    /// Bytes of records that came since the last call, which are thereby read.
    pub fn drain(&self) -> u64 {
        self.rings.iter().map(Ring::drain).sum()
    }

    /// Orders the kernel to keep the payload of all flows in the table, as userspace does: by `control`.
    pub fn shed_all(&self) -> Result<()> {
        let flows = map(&self.ebpf, "FLOWS")?;
        let info = flows.info()?;
        let key_size = info.key_size() as usize;
        let keys = bpf::keys(flows.fd().as_fd(), key_size, info.value_size() as usize)?;
        for keys in keys.chunks(MAX_ORDERS * key_size) {
            let mut frame = vec![0; ORDERS_HEAD];
            for key in keys.chunks(key_size) {
                frame.extend_from_slice(key);
                frame.extend(SHED_BOTH.iter().flat_map(|w| w.to_ne_bytes()));
            }
            bpf::test_run(self.control.as_fd(), &mut frame, 1)?;
        }
        Ok(())
    }
}

/// How long loading took: all of it, and CPU seconds of each step.
pub struct Watch {
    started: Instant,
    cpu: f64,
    pub took: Duration,
    pub steps: Vec<(&'static str, f64)>,
}

impl Watch {
    fn start() -> Self {
        Watch {
            started: Instant::now(),
            cpu: thread_cpu(),
            took: Duration::ZERO,
            steps: Vec::new(),
        }
    }

    fn lap(&mut self, name: &'static str) {
        let cpu = thread_cpu();
        self.steps.push((name, cpu - self.cpu));
        self.cpu = cpu;
    }

    fn finish(mut self) -> Self {
        self.took = self.started.elapsed();
        self
    }
}

/// Where an ELF file for BPF begins.
fn find(file: &[u8]) -> Option<usize> {
    // 64 bits, little-endian; e_type 1 (relocatable), e_machine 247.
    let is_one = |at: usize| {
        let head = file.get(at..at + 20);
        head.is_some_and(|h| h.starts_with(b"\x7fELF\x02\x01") && h[16..] == [1, 0, 247, 0])
    };
    (0..file.len()).find(|&at| is_one(at))
}

/// Writes what the sensor's loader would write to the start of `POLICY`: payload is forwarded, whole; rings and room; how
/// many flows may be half-open, shares of the room, and whether copies are looked for: within a nanosecond, in which none comes.
/// Older objects do not have all of them.
fn set_policy(bytes: &mut [u8], half_open: u32, dedup: bool) -> Result<()> {
    const PAYLOAD: u32 = 2;
    /// Of the first objects.
    const LEAST: usize = 4;
    let policy = [
        PAYLOAD,
        0,
        RINGS.len() as u32,
        PAYLOAD_ROOM,
        SYN_ROOM,
        half_open,
        0,
        0,
        0,
        SHARES,
        0,
        dedup.into(),
    ];
    let elf = object::File::parse(&*bytes)?;
    let symbol = elf.symbol_by_name("POLICY").context("no POLICY in it")?;
    let section = elf.section_by_index(symbol.section_index().context("POLICY is not in it")?)?;
    let (start, _) = section.file_range().context("POLICY is nowhere")?;
    let at = (start + symbol.address()) as usize;
    let words = symbol.size() as usize / 4;
    ensure!(words >= LEAST, "POLICY is smaller than it was");
    for (i, word) in policy.iter().take(words).enumerate() {
        let place = bytes
            .get_mut(at + 4 * i..at + 4 * i + 4)
            .context("POLICY is nowhere")?;
        place.copy_from_slice(&word.to_ne_bytes());
    }
    Ok(())
}

fn load_xdp(ebpf: &mut Ebpf, name: &str) -> Result<OwnedFd> {
    let prog: &mut Xdp = ebpf
        .program_mut(name)
        .with_context(|| format!("no program {name}"))?
        .try_into()?;
    if prog.fd().is_err() {
        prog.load().with_context(|| name.to_owned())?;
    }
    Ok(prog.fd()?.as_fd().try_clone_to_owned()?)
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a MapData> {
    match ebpf.map(name) {
        Some(Map::HashMap(d) | Map::RingBuf(d)) => Ok(d),
        _ => anyhow::bail!("no map {name}"),
    }
}

/// The positions of a ring (kernel/bpf/ringbuf.c): a page with the consumer's, one with the producer's.
struct Ring {
    consumer: NonNull<AtomicU64>,
    producer: NonNull<AtomicU64>,
}

impl Ring {
    fn new(map: BorrowedFd<'_>) -> Result<Self> {
        // SAFETY: no memory involved.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let mapped = |prot, offset| {
            // SAFETY: a new mapping of a descriptor that is open.
            let p = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    page as usize,
                    prot,
                    libc::MAP_SHARED,
                    map.as_raw_fd(),
                    offset,
                )
            };
            ensure!(
                p != libc::MAP_FAILED,
                "cannot map a ring: {}",
                std::io::Error::last_os_error()
            );
            NonNull::new(p.cast()).context("no memory")
        };
        Ok(Ring {
            consumer: mapped(libc::PROT_READ | libc::PROT_WRITE, 0)?,
            producer: mapped(libc::PROT_READ, page)?,
        })
    }

    /// Takes all records, unread. Bytes of them.
    fn drain(&self) -> u64 {
        // SAFETY: both pages are mapped as long as `self` lives; each begins with a position.
        let (consumer, producer) = unsafe { (self.consumer.as_ref(), self.producer.as_ref()) };
        let end = producer.load(Ordering::Acquire);
        end - consumer.swap(end, Ordering::Release)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        for page in [self.consumer, self.producer] {
            // SAFETY: mapped by `new`, a page each, and no reference is left.
            unsafe { libc::munmap(page.as_ptr().cast(), libc::sysconf(libc::_SC_PAGESIZE) as usize) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_in_a_binary_and_gets_its_policy() {
        let object = crate::shell::workspace().join("sensor/src/bpf/sensor.bpf.o");
        let object = std::fs::read(object).expect("the committed object");
        let before = b"\x7fELF\x02\x01 something else";
        let binary = [before, &*object].concat();
        assert_eq!(find(&binary), Some(before.len()));
        assert_eq!(find(&binary[..before.len() + 10]), None);
        let mut bytes = object.clone();
        set_policy(&mut bytes, 0x0101_0101, true).expect("it has a policy");
        let changed: Vec<_> = (0..bytes.len()).filter(|&i| bytes[i] != object[i]).collect();
        // The number of rings, room for payload and for SYNs, half-open flows, shares, copies: the rest was so.
        let at = changed[0];
        assert_eq!(
            changed,
            [vec![at], (at + 4..at + 16).collect(), vec![at + 28, at + 36]].concat()
        );
    }
}
