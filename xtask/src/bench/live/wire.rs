//! A link between two namespaces, and a sender that puts frames on it.
#![allow(unsafe_code, reason = "signals, clocks and raw sockets are system calls")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sensor_tests::link;
use sensor_tests::netns::Namespace;

use super::frames::Frames;
use super::usage::thread_cpu;

/// The listeners' interface.
pub const IFACE: &str = "v1";
/// The sender's.
const SENDER: &str = "v0";
/// What XDP programs without multi-buffer support take on a veth as well, for the sake of other listeners.
const MTU: usize = 3400;
/// Longest frame that fits.
pub const LONGEST: usize = MTU + 14;
/// Frames that one system call hands over.
const BATCH: usize = 256;
/// The sender gives up when the link takes nothing for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Two namespaces and the pair of interfaces. Dropping it removes them.
pub struct Wire {
    pub listener: Namespace,
    /// Only keeps its end there.
    _sender: Namespace,
    /// One for each queue, with its CPU if there are several.
    sockets: Vec<OwnedFd>,
}

/// How sending went.
pub struct Sent {
    pub took: Duration,
    /// CPU seconds of the sending threads. What an XDP program does for a packet is in them.
    pub cpu: f64,
}

impl Wire {
    /// With several queues each has a sender of its own, on a CPU of its own.
    pub fn new(queues: u32) -> Result<Self> {
        let sender = Namespace::new("sender")?;
        let listener = Namespace::new("listener")?;
        for ns in [&sender, &listener] {
            for which in ["all", "default"] {
                // Nothing but the frames under test is to be on the link.
                ns.sysctl(&format!("net/ipv6/conf/{which}/disable_ipv6"), "1")?;
            }
        }
        let both = format!("numrxqueues {queues} numtxqueues {queues}");
        listener.ip(&format!(
            "link add {IFACE} mtu {MTU} {both} type veth peer name {SENDER} mtu {MTU} {both} netns {}
             link set {IFACE} arp off up",
            sender.name()
        ))?;
        sender.ip(&format!("link set {SENDER} arp off up"))?;
        sender.run(|| link::set_offloads(SENDER, false))??;
        listener.run(|| link::set_offloads(IFACE, false))??;
        let open = || -> Result<Vec<OwnedFd>> { (0..queues).map(|_| open(SENDER, queues > 1)).collect() };
        let sockets = sender.run(open)??;
        Ok(Wire {
            listener,
            _sender: sender,
            sockets,
        })
    }

    /// Frames that the listeners' end has received so far.
    pub fn received(&self) -> Result<u64> {
        self.listener.run(|| anyhow::Ok(link::stats(IFACE)?.rx_packets))?
    }

    /// Sends all frames once, at top speed or so many a second.
    pub fn send(&self, frames: &Frames, rate: Option<u32>) -> Result<Sent> {
        let lanes = self.sockets.len();
        let ready = Barrier::new(lanes);
        let lane = |n: usize| {
            let pinned = if lanes > 1 { pin(n) } else { Ok(()) };
            let mut parts: Vec<libc::iovec> = frames
                .of_lane(n, lanes)
                .map(|f| libc::iovec {
                    iov_base: f.as_ptr().cast_mut().cast(),
                    iov_len: f.len(),
                })
                .collect();
            let share = parts.len() as f64 / frames.len() as f64;
            // Each comes here, or the others would wait.
            ready.wait();
            pinned?;
            send(&self.sockets[n], &mut parts, rate.map(|r| r as f64 * share))
        };
        let lane = &lane;
        let sent: Vec<Result<Sent>> = std::thread::scope(|s| {
            let threads: Vec<_> = (0..lanes).map(|n| s.spawn(move || lane(n))).collect();
            let joined = threads.into_iter().map(|t| t.join());
            joined
                .map(|t| t.unwrap_or_else(|_| bail!("a sender panicked")))
                .collect()
        });
        let mut all = Sent {
            took: Duration::ZERO,
            cpu: 0.0,
        };
        for sent in sent {
            let sent = sent?;
            all.took = all.took.max(sent.took);
            all.cpu += sent.cpu;
        }
        Ok(all)
    }
}

/// Sends frames once, at top speed or so many a second.
fn send(socket: &OwnedFd, parts: &mut [libc::iovec], rate: Option<f64>) -> Result<Sent> {
    let message = |part: &mut libc::iovec| {
        // SAFETY: all zeroes is a valid mmsghdr: no address, no control data.
        let mut m: libc::mmsghdr = unsafe { std::mem::zeroed() };
        m.msg_hdr.msg_iov = part;
        m.msg_hdr.msg_iovlen = 1;
        m
    };
    let mut messages: Vec<libc::mmsghdr> = parts.iter_mut().map(message).collect();
    // With a rate, some thousand sleeps a second: what comes at once is to be small beside a ring.
    let batch = rate.map_or(BATCH, |r| (r as usize / 1000).clamp(1, BATCH));
    let mut at = 0;
    let cpu = thread_cpu();
    let started = Instant::now();
    let mut moved = started;
    while at < messages.len() {
        let end = messages.len().min(at + batch);
        match send_batch(socket, &mut messages[at..end]) {
            Ok(n) => {
                at += n;
                moved = Instant::now();
            }
            Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
            // No room in the receiver's ring: who empties it needs the CPU.
            Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) && moved.elapsed() < PATIENCE => {
                std::thread::yield_now();
            }
            Err(e) => return Err(e).with_context(|| format!("frame {at} not sent")),
        }
        if let Some(rate) = rate {
            let due = started + Duration::from_secs_f64(at as f64 / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
    Ok(Sent {
        took: started.elapsed(),
        cpu: thread_cpu() - cpu,
    })
}

/// Keeps this thread on a CPU.
fn pin(cpu: usize) -> Result<()> {
    // SAFETY: a zeroed set is an empty one; it lives through the call, with its true size.
    let r = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    ensure!(r == 0, "CPU {cpu}: {}", std::io::Error::last_os_error());
    Ok(())
}

/// Opens a packet socket that sends on an interface of this namespace; `by_cpu` on the queue with the number of its
/// CPU, else on the one that the kernel picks by the flow.
fn open(ifname: &str, by_cpu: bool) -> Result<OwnedFd> {
    let index = link::index(ifname)?;
    // SAFETY: plain socket creation, protocol 0: it receives nothing. The result is checked.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    ensure!(fd >= 0, "packet socket: {}", std::io::Error::last_os_error());
    // SAFETY: a descriptor that was just made and that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all zeroes is a valid sockaddr_ll.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_ifindex = index as i32;
    // SAFETY: the address lives through the call, with its true length.
    let bound = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const to).cast(),
            size_of::<libc::sockaddr_ll>() as u32,
        )
    };
    ensure!(
        bound == 0,
        "bind to {ifname}: {}",
        std::io::Error::last_os_error()
    );
    let patience = libc::timeval {
        tv_sec: PATIENCE.as_secs() as libc::time_t,
        tv_usec: 0,
    };
    set(&fd, libc::SOL_SOCKET, libc::SO_SNDTIMEO, &patience).context("send timeout")?;
    if by_cpu {
        // A veth has no queue to go round, but who goes round it is put on his CPU's queue.
        set(&fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &1i32).context("queue by CPU")?;
    }
    Ok(fd)
}

fn set<T>(fd: &OwnedFd, level: i32, name: i32, value: &T) -> std::io::Result<()> {
    let (value, size) = ((&raw const *value).cast(), size_of::<T>() as u32);
    // SAFETY: the value lives through the call, with its true size.
    match unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value, size) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Hands frames to the kernel; how many it took.
fn send_batch(fd: &OwnedFd, messages: &mut [libc::mmsghdr]) -> std::io::Result<usize> {
    // SAFETY: each message points to one part, and that to a frame; all of them live through the call.
    let n = unsafe { libc::sendmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), messages.len() as u32, 0) };
    usize::try_from(n).map_err(|_| std::io::Error::last_os_error())
}
