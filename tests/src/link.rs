//! Settings and counters of one interface. To be called inside its namespace.

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Packets and bytes, as the interface counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
}

/// Reads the counters. /sys/class/net shows the namespace in which it was mounted, so they are taken
/// from this thread's /proc, where the same numbers stand.
pub fn stats(ifname: &str) -> Result<Stats> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else {
            continue;
        };
        if name.trim() != ifname {
            continue;
        }
        let n: Vec<u64> = rest.split_whitespace().filter_map(|v| v.parse().ok()).collect();
        let at = |i: usize| n.get(i).copied().context("short line in /proc/net/dev");
        return Ok(Stats {
            rx_bytes: at(0)?,
            rx_packets: at(1)?,
            rx_dropped: at(3)?,
            tx_bytes: at(8)?,
            tx_packets: at(9)?,
        });
    }
    bail!("no interface {ifname}")
}

/// Packets and bytes that have left the interface, counted by its queue, to which a packet to be
/// segmented is the many that leave for it: what [`stats`] counts are packets of the host.
pub fn sent(ifname: &str) -> Result<(u64, u64)> {
    let out = Command::new("tc")
        .args(["-s", "-j", "qdisc", "show", "dev", ifname, "root"])
        .output()
        .context("cannot run `tc` (package iproute2)")?;
    ensure!(
        out.status.success(),
        "tc: {}",
        String::from_utf8_lossy(&out.stderr).trim()
    );
    let queues: serde_json::Value = serde_json::from_slice(&out.stdout).context("tc's JSON")?;
    let of = |what: &str| {
        queues[0][what]
            .as_u64()
            .with_context(|| format!("no {what} of {ifname}'s queue"))
    };
    Ok((of("packets")?, of("bytes")?))
}

/// The interface's index.
pub fn index(ifname: &str) -> Result<u32> {
    let name = CString::new(ifname)?;
    // SAFETY: a NUL-terminated string that outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => bail!("no interface {ifname}"),
        i => Ok(i),
    }
}

/// A segmentation offload, by the ethtool command that sets it (linux/ethtool.h).
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Offload {
    TxChecksum = 0x17,
    Tso = 0x1f,
    Gso = 0x24,
    Gro = 0x2c,
}

#[repr(C)]
struct EthtoolValue {
    cmd: u32,
    data: u32,
}

const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// Switches an offload on or off.
pub fn set_offload(ifname: &str, what: Offload, on: bool) -> Result<()> {
    ethtool(ifname, what as u32, on as u32).with_context(|| format!("cannot set {what:?} of {ifname}"))?;
    Ok(())
}

/// Gives the kernel a command with a value; what stands in the value afterwards.
fn ethtool(ifname: &str, cmd: u32, data: u32) -> Result<u32> {
    // SAFETY: plain socket creation; the result is checked.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error()).context("socket");
    }
    // SAFETY: a descriptor that was just made and that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut value = EthtoolValue { cmd, data };
    // SAFETY: all zeroes is a valid ifreq.
    let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in req
        .ifr_name
        .iter_mut()
        .zip(ifname.bytes().take(libc::IFNAMSIZ - 1))
    {
        *to = from as libc::c_char;
    }
    req.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request and the value it points to live through the call.
    if unsafe { libc::ioctl(fd.as_raw_fd(), SIOCETHTOOL as _, &raw mut req) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(value.data)
}

/// Whether a VLAN device hands its tag to the interface beside the frame, where an XDP program at the other end of
/// a veth does not see it, or writes it into the frame. To be set before the VLAN device is made.
pub fn set_vlan_offload(ifname: &str, on: bool) -> Result<()> {
    const ETHTOOL_GFLAGS: u32 = 0x25;
    const ETHTOOL_SFLAGS: u32 = 0x26;
    const ETH_FLAG_TXVLAN: u32 = 1 << 7;
    let flags = ethtool(ifname, ETHTOOL_GFLAGS, 0).with_context(|| format!("no flags of {ifname}"))?;
    let flags = if on {
        flags | ETH_FLAG_TXVLAN
    } else {
        flags & !ETH_FLAG_TXVLAN
    };
    ethtool(ifname, ETHTOOL_SFLAGS, flags).with_context(|| format!("cannot set the flags of {ifname}"))?;
    Ok(())
}

/// Segmentation offloads all on or all off.
pub fn set_offloads(ifname: &str, on: bool) -> Result<()> {
    for what in [Offload::Tso, Offload::Gso, Offload::Gro] {
        set_offload(ifname, what, on)?;
    }
    Ok(())
}

/// A TCX hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Tcx {
    // enum bpf_attach_type, linux/bpf.h
    Ingress = 46,
    Egress = 47,
}

/// The head of `union bpf_attr` for BPF_PROG_QUERY (linux/bpf.h).
#[repr(C, align(8))]
#[derive(Default)]
struct ProgQuery {
    target_ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    pad: u32,
    prog_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
}

/// How many filters by BPF programs there are on what the interface sends.
pub fn egress_filters(ifname: &str) -> Result<usize> {
    let out = Command::new("tc")
        .args(["filter", "show", "dev", ifname, "egress"])
        .output()
        .context("cannot run `tc` (package iproute2)")?;
    let text = String::from_utf8_lossy(&out.stdout);
    Ok(text
        .lines()
        .filter(|l| l.contains(" bpf ") && l.contains(" handle "))
        .count())
}

/// How many programs hang at a TCX hook of the interface; none where the kernel knows no TCX.
pub fn tcx_programs(ifname: &str, at: Tcx) -> Result<u32> {
    const BPF_PROG_QUERY: libc::c_long = 16;
    let mut attr = ProgQuery {
        target_ifindex: index(ifname)?,
        attach_type: at as u32,
        ..Default::default()
    };
    // SAFETY: the attribute lives through the call, with its true size; no array is asked for.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_QUERY,
            &raw mut attr,
            std::mem::size_of::<ProgQuery>(),
        )
    };
    if rc < 0 {
        let e = std::io::Error::last_os_error();
        return match e.raw_os_error() {
            // No such hook, or nothing at it.
            Some(libc::EINVAL | libc::ENOENT) => Ok(0),
            _ => Err(e).context("BPF_PROG_QUERY"),
        };
    }
    Ok(attr.prog_cnt)
}
