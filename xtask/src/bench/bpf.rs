//! bpf(2), as far as the benches need it. Struct layouts are the heads of those in `union bpf_attr`, in the kernel's
//! `include/uapi/linux/bpf.h`.
#![allow(unsafe_code, reason = "bpf(2) takes pointers")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_TEST_RUN: libc::c_long = 10;
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
const BPF_LINK_CREATE: libc::c_long = 28;

const BPF_MAP_TYPE_PROG_ARRAY: u32 = 3;
const BPF_PROG_TYPE_XDP: u32 = 6;
/// `enum bpf_attach_type`.
const BPF_XDP: u32 = 37;
/// The program takes packets in several buffers, as the sensor's does.
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// `XDP_PASS`.
pub const PASS: u32 = 2;
/// `r0 = XDP_PASS; exit`.
pub const PASSING: [Instruction; 2] = [(0xb7, 0, 0, PASS as i32), EXIT];
pub const EXIT: Instruction = (0x95, 0, 0, 0);

/// struct bpf_insn: code, registers (the source in the upper half), offset, immediate value.
pub type Instruction = (u8, u8, i16, i32);

#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

#[repr(C)]
struct LinkCreate {
    prog: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[repr(C)]
struct Elem {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct Batch {
    from: u64,
    to: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    elem_flags: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    pad: u32,
}

/// # Safety
/// `attr` is what `cmd` wants, and the addresses in it are valid for it.
unsafe fn bpf<T>(cmd: libc::c_long, attr: &mut T) -> io::Result<i32> {
    // SAFETY: the caller's word.
    let r = unsafe { libc::syscall(libc::SYS_bpf, cmd, attr as *mut T, size_of::<T>()) };
    if r < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(r as i32)
}

/// A command that gives a descriptor.
///
/// # Safety
/// As for [`bpf`].
unsafe fn descriptor<T>(cmd: libc::c_long, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's word; a descriptor that was just made and that nobody else owns.
    unsafe { Ok(OwnedFd::from_raw_fd(bpf(cmd, attr)?)) }
}

/// Loads an XDP program.
pub fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let bytes: Vec<u8> = program
        .iter()
        .flat_map(|(code, registers, offset, value)| {
            let [o, p] = offset.to_ne_bytes();
            let [a, b, c, d] = value.to_ne_bytes();
            [*code, *registers, o, p, a, b, c, d]
        })
        .collect();
    let mut attr = ProgLoad {
        prog_type: BPF_PROG_TYPE_XDP,
        insn_cnt: program.len() as u32,
        insns: bytes.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        prog_flags: BPF_F_XDP_HAS_FRAGS,
        expected_attach_type: BPF_XDP,
        ..ProgLoad::default()
    };
    // SAFETY: the instructions and the licence live through the call, with their true lengths.
    unsafe { descriptor(BPF_PROG_LOAD, &mut attr) }
}

/// Attaches an XDP program to an interface in native mode, for as long as what is returned lives.
pub fn attach(prog: BorrowedFd<'_>, ifindex: u32) -> io::Result<OwnedFd> {
    let mut attr = LinkCreate {
        prog: prog.as_raw_fd() as u32,
        target: ifindex,
        attach_type: BPF_XDP,
        flags: XDP_FLAGS_DRV_MODE,
    };
    // SAFETY: the attribute is complete and points nowhere.
    unsafe { descriptor(BPF_LINK_CREATE, &mut attr) }
}

/// An array with one program, to be called at its end by another one. Who drops it ends that.
pub fn program_array(prog: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = MapCreate {
        map_type: BPF_MAP_TYPE_PROG_ARRAY,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
    };
    // SAFETY: the attribute is complete and points nowhere.
    let map = unsafe { descriptor(BPF_MAP_CREATE, &mut attr)? };
    let (key, value) = (0u32, prog.as_raw_fd());
    let mut attr = Elem {
        map: map.as_raw_fd() as u32,
        pad: 0,
        key: &raw const key as u64,
        value: &raw const value as u64,
        flags: 0,
    };
    // SAFETY: key and value are of the map's sizes and live through the call.
    unsafe { bpf(BPF_MAP_UPDATE_ELEM, &mut attr)? };
    Ok(map)
}

/// Runs an XDP program `repeat` times over `frame`, which each run finds as the last one left it, and which is then as
/// the last one left it. What the last one returned, and ns per run.
pub fn test_run(prog: BorrowedFd<'_>, frame: &mut [u8], repeat: u32) -> io::Result<(u32, u32)> {
    let mut attr = TestRun {
        prog: prog.as_raw_fd() as u32,
        data_size_in: frame.len() as u32,
        data_size_out: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        data_out: frame.as_mut_ptr() as u64,
        repeat,
        ..TestRun::default()
    };
    // SAFETY: the buffer lives through the call, and as many bytes are written to it as it has.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr)? };
    Ok((attr.retval, attr.duration))
}

/// Has an XDP program send `n` frames, copies of one, on as its verdict says, as if they came in on an interface of
/// this namespace.
pub fn live_frames(prog: BorrowedFd<'_>, frame: &[u8], ifindex: u32, n: u32) -> io::Result<()> {
    const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;
    // struct xdp_md: data, its end, metadata, interface, queue, egress interface.
    let md = [0, frame.len() as u32, 0, ifindex, 0, 0];
    let mut attr = TestRun {
        prog: prog.as_raw_fd() as u32,
        data_size_in: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        repeat: n,
        ctx_size_in: size_of_val(&md) as u32,
        ctx_in: md.as_ptr() as u64,
        flags: BPF_F_TEST_XDP_LIVE_FRAMES,
        batch_size: 64,
        ..TestRun::default()
    };
    // SAFETY: both buffers live through the call, with their true lengths; nothing is written to them.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr).map(drop) }
}

/// The keys of a hash map whose keys and values have these sizes, one behind the other. Nothing may change the map
/// meanwhile.
pub fn keys(map: BorrowedFd<'_>, key_size: usize, value_size: usize) -> io::Result<Vec<u8>> {
    const AT_ONCE: usize = 4096;
    let mut all = Vec::new();
    let (mut keys, mut values) = (vec![0; AT_ONCE * key_size], vec![0; AT_ONCE * value_size]);
    let mut cursor = None;
    loop {
        let mut next = 0u32;
        let mut attr = Batch {
            from: cursor.as_ref().map_or(0, |c: &u32| &raw const *c as u64),
            to: &raw mut next as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: AT_ONCE as u32,
            map: map.as_raw_fd() as u32,
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: both buffers have room for so many, and live through the call, as the cursors do.
        let r = unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &mut attr) };
        let end = match r {
            Ok(_) => false,
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => true,
            Err(e) => return Err(e),
        };
        all.extend_from_slice(&keys[..attr.count as usize * key_size]);
        if end {
            return Ok(all);
        }
        cursor = Some(next);
    }
}
