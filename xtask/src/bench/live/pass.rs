//! An XDP program that passes every packet: what any program costs on a veth before it does anything.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context as _, Result};
use sensor_tests::link;

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
/// `enum bpf_attach_type`.
const BPF_XDP: u32 = 37;
/// The program takes packets in several buffers, as the sensor's does.
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// `r0 = XDP_PASS; exit`, as struct bpf_insn lays it out: code, registers, offset, immediate value.
const PROGRAM: [(u8, u8, i16, i32); 2] = [(0xb7, 0, 0, 2), (0x95, 0, 0, 0)];

/// The head of `union bpf_attr` for BPF_PROG_LOAD (linux/bpf.h).
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

/// The same for BPF_LINK_CREATE.
#[repr(C)]
struct LinkCreate {
    prog: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

/// Attaches the program to an interface of this namespace, for as long as what is returned lives.
pub fn attach(ifname: &str) -> Result<OwnedFd> {
    let target = link::index(ifname)?;
    let program: Vec<u8> = PROGRAM
        .iter()
        .flat_map(|(code, registers, offset, value)| {
            let [o, p] = offset.to_ne_bytes();
            let [a, b, c, d] = value.to_ne_bytes();
            [*code, *registers, o, p, a, b, c, d]
        })
        .collect();
    let mut load = ProgLoad {
        prog_type: BPF_PROG_TYPE_XDP,
        insn_cnt: PROGRAM.len() as u32,
        insns: program.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        prog_flags: BPF_F_XDP_HAS_FRAGS,
        expected_attach_type: BPF_XDP,
        ..ProgLoad::default()
    };
    // SAFETY: the instructions and the licence live through the call, with their true lengths.
    let prog = unsafe { bpf(BPF_PROG_LOAD, &mut load) }.context("cannot load the passing program")?;
    let mut link = LinkCreate {
        prog: prog.as_raw_fd() as u32,
        target,
        attach_type: BPF_XDP,
        flags: XDP_FLAGS_DRV_MODE,
    };
    // SAFETY: the attribute is complete and points nowhere.
    unsafe { bpf(BPF_LINK_CREATE, &mut link) }.context("cannot attach the passing program")
}

/// A command that gives a descriptor.
///
/// # Safety
/// `attr` is what `cmd` wants, and the addresses in it are valid for it.
unsafe fn bpf<T>(cmd: libc::c_long, attr: &mut T) -> std::io::Result<OwnedFd> {
    // SAFETY: the caller's word.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, cmd, attr as *mut T, size_of::<T>()) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: a descriptor that was just made and that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
