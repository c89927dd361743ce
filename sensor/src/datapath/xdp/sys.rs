//! bpf(2), the few commands that are needed beyond what aya offers. Struct layouts are those of
//! `union bpf_attr` in the kernel's `include/uapi/linux/bpf.h`.
#![allow(unsafe_code, reason = "bpf(2) takes pointers")]

use std::ffi::{CString, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const BPF_MAP_CREATE: i64 = 0;
const BPF_MAP_LOOKUP_ELEM: i64 = 1;
const BPF_MAP_UPDATE_ELEM: i64 = 2;
const BPF_MAP_DELETE_ELEM: i64 = 3;
const BPF_OBJ_PIN: i64 = 6;
const BPF_OBJ_GET: i64 = 7;
const BPF_PROG_TEST_RUN: i64 = 10;
const BPF_OBJ_GET_INFO_BY_FD: i64 = 15;
const BPF_PROG_QUERY: i64 = 16;
const BPF_MAP_LOOKUP_AND_DELETE_ELEM: i64 = 21;
const BPF_MAP_LOOKUP_BATCH: i64 = 24;
const BPF_LINK_CREATE: i64 = 28;
const BPF_LINK_UPDATE: i64 = 29;

/// `enum bpf_map_type`.
pub const HASH_MAP: u32 = 1;
pub const ARRAY_MAP: u32 = 2;
/// `enum bpf_attach_type`.
pub const BPF_XDP: u32 = 37;
pub const BPF_TCX_INGRESS: u32 = 46;
pub const BPF_TCX_EGRESS: u32 = 47;
/// `XDP_FLAGS_*` of if_link.h.
pub const XDP_SKB_MODE: u32 = 1 << 1;
pub const XDP_DRV_MODE: u32 = 1 << 2;

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
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; 16],
    pad: u32,
}

#[repr(C)]
struct Pin {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
struct LinkUpdate {
    link: u32,
    prog: u32,
    flags: u32,
    old_prog: u32,
}

#[repr(C)]
struct GetInfo {
    fd: u32,
    len: u32,
    info: u64,
}

/// `struct bpf_link_info` of links to interfaces, as far as it is needed.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    prog_id: u32,
    pad: u32,
    ifindex: u32,
    attach_type: u32,
}

#[repr(C)]
struct LinkCreate {
    prog: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct ProgQuery {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_count: u32,
    pad: u32,
    prog_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
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
}

/// `struct xdp_md`, as test runs take it.
#[repr(C)]
#[derive(Default)]
struct XdpMd {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

/// # Safety
/// `attr` is what `cmd` wants, and the addresses in it are valid for it.
unsafe fn bpf<T>(cmd: i64, attr: &mut T) -> io::Result<i64> {
    // SAFETY: the contract above, which the caller keeps.
    let r = unsafe { libc::syscall(libc::SYS_bpf, cmd, attr as *mut T, size_of::<T>()) };
    if r < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(r)
    }
}

fn present(r: io::Result<i64>) -> io::Result<bool> {
    match r {
        Ok(_) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(e) => Err(e),
    }
}

fn elem(map: BorrowedFd<'_>, key: *const c_void, value: *mut c_void) -> Elem {
    Elem {
        map: map.as_raw_fd() as u32,
        pad: 0,
        key: key as u64,
        value: value as u64,
        flags: 0,
    }
}

/// Copies the value of `key` to `value`; false if there is none.
///
/// # Safety
/// `K` is the map's key and `value` has room for its value (for a per-CPU map: for all of them).
pub unsafe fn lookup<K>(map: BorrowedFd<'_>, key: &K, value: *mut c_void) -> io::Result<bool> {
    let mut attr = elem(map, (key as *const K).cast(), value);
    // SAFETY: the contract above, which the caller keeps.
    present(unsafe { bpf(BPF_MAP_LOOKUP_ELEM, &mut attr) })
}

/// Sets the value of `key`.
///
/// # Safety
/// `K` is the map's key and `value` points to one of its values.
pub unsafe fn update<K>(map: BorrowedFd<'_>, key: &K, value: *const c_void) -> io::Result<()> {
    let mut attr = elem(map, (key as *const K).cast(), value.cast_mut());
    // SAFETY: the contract above, which the caller keeps.
    unsafe { bpf(BPF_MAP_UPDATE_ELEM, &mut attr) }.map(drop)
}

/// As [`lookup`], and removes the entry in the same step.
///
/// # Safety
/// As for [`lookup`].
pub unsafe fn lookup_and_delete<K>(map: BorrowedFd<'_>, key: &K, value: *mut c_void) -> io::Result<bool> {
    let mut attr = elem(map, (key as *const K).cast(), value);
    // SAFETY: the contract above, which the caller keeps.
    present(unsafe { bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &mut attr) })
}

/// Removes the entry of `key`; false if there is none.
///
/// # Safety
/// `K` is the map's key.
pub unsafe fn delete<K>(map: BorrowedFd<'_>, key: &K) -> io::Result<bool> {
    let mut attr = elem(map, (key as *const K).cast(), std::ptr::null_mut());
    // SAFETY: the contract above, which the caller keeps.
    present(unsafe { bpf(BPF_MAP_DELETE_ELEM, &mut attr) })
}

/// Makes a map: its type, the sizes of a key and a value, bytes, and its entries.
pub fn create_map(kind: u32, key: usize, value: usize, entries: u32) -> io::Result<OwnedFd> {
    let mut attr = MapCreate {
        kind,
        key_size: key as u32,
        value_size: value as u32,
        max_entries: entries,
        ..MapCreate::default()
    };
    // SAFETY: the attribute is complete; the kernel returns a descriptor that is ours.
    unsafe {
        let fd = bpf(BPF_MAP_CREATE, &mut attr)?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

fn path_of(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Gives a map, program or link a name in the BPF file system, under which it outlives this process.
pub fn pin(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = path_of(path)?;
    let mut attr = Pin {
        path: path.as_ptr() as u64,
        fd: fd.as_raw_fd() as u32,
        flags: 0,
    };
    // SAFETY: the attribute is complete, and the path outlives the call.
    unsafe { bpf(BPF_OBJ_PIN, &mut attr) }.map(drop)
}

/// What has this name; None: nothing.
pub fn pinned(path: &Path) -> io::Result<Option<OwnedFd>> {
    let path = path_of(path)?;
    let mut attr = Pin {
        path: path.as_ptr() as u64,
        fd: 0,
        flags: 0,
    };
    // SAFETY: the attribute is complete, and the path outlives the call; the kernel returns a descriptor that is ours.
    unsafe {
        match bpf(BPF_OBJ_GET, &mut attr) {
            Ok(fd) => Ok(Some(OwnedFd::from_raw_fd(fd as i32))),
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Has a link run another program from here on: no packet is met by none or by both.
pub fn update_link(link: BorrowedFd<'_>, prog: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkUpdate {
        link: link.as_raw_fd() as u32,
        prog: prog.as_raw_fd() as u32,
        flags: 0,
        old_prog: 0,
    };
    // SAFETY: the attribute is complete.
    unsafe { bpf(BPF_LINK_UPDATE, &mut attr) }.map(drop)
}

/// The interface that a link is attached to; 0: it is gone.
pub fn link_ifindex(link: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = LinkInfo::default();
    let mut attr = GetInfo {
        fd: link.as_raw_fd() as u32,
        len: size_of::<LinkInfo>() as u32,
        info: &raw mut info as u64,
    };
    // SAFETY: the attribute is complete, and `info` has room for as many bytes as it says.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr) }?;
    Ok(info.ifindex)
}

/// Copies up to `keys.len()` entries of a hash map, from `cursor` on (None: from its start), and moves `cursor` behind
/// them (None: that was the end). How many there were.
///
/// # Safety
/// `K` is the map's key and `V` its value.
pub unsafe fn lookup_batch<K, V>(
    map: BorrowedFd<'_>,
    cursor: &mut Option<u32>,
    keys: &mut [MaybeUninit<K>],
    values: &mut [MaybeUninit<V>],
) -> io::Result<usize> {
    let (from, mut to) = (*cursor, 0u32);
    let mut attr = Batch {
        from: from.as_ref().map_or(0, |f| f as *const u32 as u64),
        to: &raw mut to as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: keys.len().min(values.len()) as u32,
        map: map.as_raw_fd() as u32,
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: the contract above, which the caller keeps. The kernel writes at most as many keys and values as `count`
    // says, and the slices have room for those; both outlive the call.
    let more = present(unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &mut attr) })?;
    *cursor = more.then_some(to);
    Ok(attr.count as usize)
}

/// Attaches a program to an interface by a link, which lasts as long as the descriptor.
pub fn link(prog: BorrowedFd<'_>, ifindex: u32, attach_type: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attr = LinkCreate {
        prog: prog.as_raw_fd() as u32,
        target: ifindex,
        attach_type,
        flags,
    };
    // SAFETY: the attribute is complete; the kernel returns a descriptor that is ours.
    unsafe {
        let fd = bpf(BPF_LINK_CREATE, &mut attr)?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

/// How many programs are at one of an interface's hooks.
pub fn attached(ifindex: u32, attach_type: u32) -> io::Result<u32> {
    let mut attr = ProgQuery {
        target: ifindex,
        attach_type,
        ..ProgQuery::default()
    };
    // SAFETY: the attribute is complete, and has no room for the programs' numbers, so that they are only counted.
    let there = present(unsafe { bpf(BPF_PROG_QUERY, &mut attr) })?;
    Ok(if there { attr.prog_count } else { 0 })
}

/// Runs an XDP program over `data`, which is then as the program left it.
pub fn test_run_in_place(prog: BorrowedFd<'_>, data: &mut [u8]) -> io::Result<()> {
    let mut attr = TestRun {
        prog: prog.as_raw_fd() as u32,
        data_size_in: data.len() as u32,
        data_size_out: data.len() as u32,
        data_in: data.as_ptr() as u64,
        data_out: data.as_mut_ptr() as u64,
        repeat: 1,
        ..Default::default()
    };
    // SAFETY: the buffer outlives the call, and as many bytes are written to it as it has.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr) }.map(drop)
}

/// Runs an XDP program `repeat` times over `data`, of which the first `meta` bytes are metadata.
/// Returns what the program returned and ns per run.
pub fn test_run(prog: BorrowedFd<'_>, data: &[u8], meta: u32, repeat: u32) -> io::Result<(u32, u32)> {
    let md = XdpMd {
        data: meta,
        data_end: data.len() as u32,
        ..Default::default()
    };
    let mut attr = TestRun {
        prog: prog.as_raw_fd() as u32,
        data_size_in: data.len() as u32,
        data_in: data.as_ptr() as u64,
        repeat,
        ctx_size_in: size_of::<XdpMd>() as u32,
        ctx_in: &raw const md as u64,
        ..Default::default()
    };
    // SAFETY: both buffers outlive the call; nothing is written back but to the attribute.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr)? };
    Ok((attr.retval, attr.duration))
}
