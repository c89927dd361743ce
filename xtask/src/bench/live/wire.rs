//! A link between two namespaces, and a sender that puts frames on it.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sensor_tests::link;
use sensor_tests::netns::Namespace;

use super::frames::Frames;

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
    socket: OwnedFd,
}

/// How sending went.
pub struct Sent {
    pub took: Duration,
    /// CPU seconds of the sending thread. What an XDP program does for a packet is in them.
    pub cpu: f64,
}

impl Wire {
    pub fn new() -> Result<Self> {
        let sender = Namespace::new("sender")?;
        let listener = Namespace::new("listener")?;
        for ns in [&sender, &listener] {
            for which in ["all", "default"] {
                // Nothing but the frames under test is to be on the link.
                ns.sysctl(&format!("net/ipv6/conf/{which}/disable_ipv6"), "1")?;
            }
        }
        listener.ip(&format!(
            "link add {IFACE} mtu {MTU} type veth peer name {SENDER} mtu {MTU} netns {}
             link set {IFACE} arp off up",
            sender.name()
        ))?;
        sender.ip(&format!("link set {SENDER} arp off up"))?;
        sender.run(|| link::set_offloads(SENDER, false))??;
        listener.run(|| link::set_offloads(IFACE, false))??;
        let socket = sender.run(|| open(SENDER))??;
        Ok(Wire {
            listener,
            _sender: sender,
            socket,
        })
    }

    /// Frames that the listeners' end has received so far.
    pub fn received(&self) -> Result<u64> {
        self.listener.run(|| anyhow::Ok(link::stats(IFACE)?.rx_packets))?
    }

    /// Sends all frames once, at top speed or so many a second.
    pub fn send(&self, frames: &Frames, rate: Option<u32>) -> Result<Sent> {
        let mut parts: Vec<libc::iovec> = frames
            .iter()
            .map(|f| libc::iovec {
                iov_base: f.as_ptr().cast_mut().cast(),
                iov_len: f.len(),
            })
            .collect();
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
            match send_batch(&self.socket, &mut messages[at..end]) {
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
                let due = started + Duration::from_secs_f64(at as f64 / rate as f64);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
        Ok(Sent {
            took: started.elapsed(),
            cpu: thread_cpu() - cpu,
        })
    }
}

/// Opens a packet socket that sends on an interface of this namespace.
fn open(ifname: &str) -> Result<OwnedFd> {
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
    // PACKET_QDISC_BYPASS would change nothing: a veth has no queue to go round.
    // SAFETY: the time lives through the call, with its true size.
    let r = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDTIMEO,
            (&raw const patience).cast(),
            size_of::<libc::timeval>() as u32,
        )
    };
    ensure!(r == 0, "send timeout: {}", std::io::Error::last_os_error());
    Ok(fd)
}

/// CPU seconds of this thread.
fn thread_cpu() -> f64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time lives through the call, which cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut t) };
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// Hands frames to the kernel; how many it took.
fn send_batch(fd: &OwnedFd, messages: &mut [libc::mmsghdr]) -> std::io::Result<usize> {
    // SAFETY: each message points to one part, and that to a frame; all of them live through the call.
    let n = unsafe { libc::sendmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), messages.len() as u32, 0) };
    usize::try_from(n).map_err(|_| std::io::Error::last_os_error())
}
