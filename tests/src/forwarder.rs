//! A forwarder in userspace between the two ends of a lab, which drops, doubles and reorders by a seed, and
//! shows a tap what it wants the tap to see.
//!
//! ```text
//!  c0 ── m0 ═ forwarder ═ m1 ── s0
//!                 ║
//!                 t0 ── t1   the tap: both directions, as a mirror port gives them
//! ```
//! What happens to a frame on its way and what the tap sees of it are two throws of the dice: so the tap
//! sees packets that never arrived, and misses packets that did. All that the tap was shown is in the log.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::lab::Lab;
use crate::link::{self, Offload};
use crate::raw::{FIN, PacketSocket, RST, SYN};

/// Where the sensor listens.
pub const TAP: &str = "t1";

/// Frames are held back at most so long.
const PATIENCE: Duration = Duration::from_millis(5);
/// Longest frame.
const LONGEST: usize = 9216;

/// How many of 1000 frames it hits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Odds {
    pub drop: u32,
    pub double: u32,
    /// Held back until some others have passed.
    pub delay: u32,
}

/// What a forwarder does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub seed: u64,
    /// On the way from one end to the other.
    pub path: Odds,
    /// What the tap sees.
    pub tap: Odds,
}

/// A forwarder at work; see [`Forwarder::stop`].
#[derive(Debug)]
pub struct Forwarder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Vec<u8>>>>,
}

/// Makes a lab ready for forwarders: no bridge, a tap, whole checksums.
pub fn prepare(lab: &Lab) -> Result<()> {
    lab.middle.ip("link set m0 nomaster
         link set m1 nomaster
         link add t0 mtu 1500 type veth peer name t1 mtu 1500
         link set t0 up
         link set t1 up")?;
    // A frame out of a packet socket gets no checksum on its way.
    lab.client
        .run(|| link::set_offload("c0", Offload::TxChecksum, false))??;
    lab.server
        .run(|| link::set_offload("s0", Offload::TxChecksum, false))??;
    lab.middle.run(|| link::set_offloads("t0", false))??;
    Ok(())
}

impl Forwarder {
    /// Starts one in a lab made ready by [`prepare`].
    pub fn start(lab: &Lab, faults: Faults) -> Result<Self> {
        let (ends, tap) = lab
            .middle
            .run(|| anyhow::Ok(([End::open("m0")?, End::open("m1")?], PacketSocket::open("t0")?)))??;
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let mut work = Work {
            dice: Dice(faults.seed | 1),
            faults,
            ends,
            tap,
            held: Vec::new(),
            log: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("forwarder".into())
            .spawn(move || {
                while !told.load(Ordering::Acquire) {
                    work.turn()?;
                }
                work.release(true)?;
                Ok(work.log)
            })?;
        Ok(Forwarder { stop, thread })
    }

    /// Ends it; the frames that the tap was shown, in order.
    pub fn stop(self) -> Result<Vec<Vec<u8>>> {
        self.stop.store(true, Ordering::Release);
        match self.thread.join() {
            Ok(log) => log,
            Err(_) => bail!("the forwarder died"),
        }
    }
}

/// Random numbers that the seed decides (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32 % n
    }

    fn hits(&mut self, of_1000: u32) -> bool {
        self.below(1000) < of_1000
    }
}

/// A packet socket on one of the two ends' interfaces.
struct End {
    out: PacketSocket,
    input: OwnedFd,
}

impl End {
    fn open(ifname: &str) -> Result<End> {
        const EVERYTHING: u16 = libc::ETH_P_ALL as u16;
        const IGNORE_OUTGOING: libc::c_int = 23; // linux/if_packet.h
        let failed = |what: &str| Err(std::io::Error::last_os_error()).context(what.to_owned());
        // SAFETY: plain socket creation; the result is checked.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                0,
            )
        };
        if fd < 0 {
            return failed("packet socket");
        }
        // SAFETY: a descriptor that was just made and that nobody else owns.
        let input = unsafe { OwnedFd::from_raw_fd(fd) };
        for (level, name, value) in [
            (libc::SOL_PACKET, IGNORE_OUTGOING, 1),
            (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20),
        ] {
            let value: libc::c_int = value;
            // SAFETY: the value lives through the call, with its true size.
            let rc = unsafe {
                libc::setsockopt(
                    fd,
                    level,
                    name,
                    (&raw const value).cast(),
                    std::mem::size_of::<libc::c_int>() as u32,
                )
            };
            if rc != 0 {
                return failed("packet socket's options");
            }
        }
        // SAFETY: all zeroes is a valid sockaddr_ll.
        let mut at: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        at.sll_family = libc::AF_PACKET as u16;
        at.sll_protocol = EVERYTHING.to_be();
        at.sll_ifindex = link::index(ifname)? as i32;
        // SAFETY: the address lives through the call, with its true size.
        let rc = unsafe {
            libc::bind(
                fd,
                (&raw const at).cast(),
                std::mem::size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if rc != 0 {
            return failed("binding a packet socket");
        }
        Ok(End {
            out: PacketSocket::open(ifname)?,
            input,
        })
    }

    /// The next frame that came in, if there is one.
    fn next(&self) -> Result<Option<Vec<u8>>> {
        let mut frame = vec![0; LONGEST];
        // SAFETY: the buffer lives through the call, with its true length.
        let n = unsafe { libc::recv(self.input.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
        if n < 0 {
            let e = std::io::Error::last_os_error();
            return match e.kind() {
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted => Ok(None),
                _ => Err(e).context("receiving"),
            };
        }
        frame.truncate(n as usize);
        Ok(Some(frame))
    }
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug)]
enum To {
    /// Out of this end's interface.
    End(usize),
    Tap,
}

struct Held {
    to: To,
    frame: Vec<u8>,
    /// So many frames are to pass first.
    behind: u32,
    since: Instant,
}

struct Work {
    dice: Dice,
    faults: Faults,
    ends: [End; 2],
    tap: PacketSocket,
    held: Vec<Held>,
    log: Vec<Vec<u8>>,
}

impl Work {
    /// Waits for frames, passes them on, and lets go what was held back long enough.
    fn turn(&mut self) -> Result<()> {
        let mut fds = [0, 1].map(|i: usize| libc::pollfd {
            fd: self.ends[i].input.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        });
        // SAFETY: the array lives through the call, with its true length.
        if unsafe { libc::poll(fds.as_mut_ptr(), 2, 2) } < 0 {
            let e = std::io::Error::last_os_error();
            if e.kind() != std::io::ErrorKind::Interrupted {
                return Err(e).context("poll");
            }
        }
        loop {
            let mut idle = true;
            for i in 0..2 {
                if let Some(frame) = self.ends[i].next()? {
                    idle = false;
                    self.frame(i, &frame)?;
                }
            }
            if idle {
                break;
            }
        }
        self.release(false)
    }

    fn frame(&mut self, from: usize, frame: &[u8]) -> Result<()> {
        for h in &mut self.held {
            h.behind = h.behind.saturating_sub(1);
        }
        // How a connection begins and ends is not what is tested with this.
        let steady = tcp_flags(frame).is_some_and(|f| f & (SYN | FIN | RST) == 0);
        let (path, tap) = if steady {
            (self.faults.path, self.faults.tap)
        } else {
            (Odds::default(), Odds::default())
        };
        // The tap first: it may see what is lost on the way.
        self.throw(To::Tap, tap, frame)?;
        self.throw(To::End(from ^ 1), path, frame)?;
        self.release(false)
    }

    fn throw(&mut self, to: To, odds: Odds, frame: &[u8]) -> Result<()> {
        if self.dice.hits(odds.drop) {
            return Ok(());
        }
        if self.dice.hits(odds.delay) {
            let behind = 1 + self.dice.below(6);
            self.held.push(Held {
                to,
                frame: frame.to_owned(),
                behind,
                since: Instant::now(),
            });
            return Ok(());
        }
        self.send(to, frame)?;
        if self.dice.hits(odds.double) {
            self.send(to, frame)?;
        }
        Ok(())
    }

    /// Lets go what has been held back long enough, or everything.
    fn release(&mut self, all: bool) -> Result<()> {
        let mut i = 0;
        while i < self.held.len() {
            let h = &self.held[i];
            if all || h.behind == 0 || h.since.elapsed() > PATIENCE {
                let h = self.held.remove(i);
                self.send(h.to, &h.frame)?;
            } else {
                i += 1;
            }
        }
        Ok(())
    }

    fn send(&mut self, to: To, frame: &[u8]) -> Result<()> {
        match to {
            To::End(i) => self.ends[i].out.send(frame),
            To::Tap => {
                self.tap.send(frame)?;
                self.log.push(frame.to_owned());
                Ok(())
            }
        }
    }
}

/// The flags, if it is TCP over IPv4 over Ethernet.
fn tcp_flags(frame: &[u8]) -> Option<u8> {
    let ip = frame.get(14..)?;
    let header = usize::from(ip.first()? & 15) * 4;
    let is_tcp = frame[12..14] == [8, 0] && *ip.get(9)? == libc::IPPROTO_TCP as u8;
    let flags = *ip.get(header + 13)?;
    is_tcp.then_some(flags)
}
