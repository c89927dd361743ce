//! A VLAN for real sockets, on kernels without VLAN devices too: a TAP at each end whose frames go
//! out of the veth with a tag, as bytes of the frame.
//!
//! A kernel VLAN device would hand its tag to the veth beside the frame, where XDP does not see it;
//! on a wire it is in the frame.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result, ensure};

use crate::lab::{CLIENT_MAC, Lab, SERVER_MAC, mac};
use crate::link;
use crate::netns::Namespace;
use crate::raw::PacketSocket;

/// The VLAN's id.
pub const VLAN_ID: u16 = 7;
const TAP: &str = "vlan7";
/// How often the threads look whether they are to end, ms.
const TICK: i32 = 50;

/// VLAN 7 between client and server. Dropping it ends it.
pub struct Vlan {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Vlan {
    /// Makes the two ends; 10.77.7.1 and fd77:7::1 at the client, .2 and ::2 at the server.
    pub fn new(lab: &Lab) -> Result<Self> {
        let mut vlan = Vlan {
            stop: Arc::default(),
            threads: Vec::new(),
        };
        vlan.end(&lab.client, "c0", 1, CLIENT_MAC, 2, SERVER_MAC)?;
        vlan.end(&lab.server, "s0", 2, SERVER_MAC, 1, CLIENT_MAC)?;
        Ok(vlan)
    }

    fn end(
        &mut self,
        ns: &Namespace,
        veth: &'static str,
        me: u8,
        my_mac: [u8; 6],
        peer: u8,
        peer_mac: [u8; 6],
    ) -> Result<()> {
        let (tap, out, tagged) = ns.run(|| {
            anyhow::Ok((
                open_tap()?,
                PacketSocket::open(veth)?,
                TaggedReceiver::open(veth)?,
            ))
        })??;
        let peer_mac = mac(peer_mac);
        ns.ip(&format!(
            "link set {TAP} address {} mtu 1496 arp off up
             addr add 10.77.7.{me}/24 dev {TAP}
             addr add fd77:7::{me}/64 dev {TAP} nodad
             neigh add 10.77.7.{peer} lladdr {peer_mac} dev {TAP} nud permanent
             neigh add fd77:7::{peer} lladdr {peer_mac} dev {TAP} nud permanent",
            mac(my_mac)
        ))?;
        let mut tap_in = tap.try_clone()?;
        let mut tap_out = tap;
        let stop = self.stop.clone();
        self.threads.push(std::thread::spawn(move || {
            let mut frame = vec![0; 65_536];
            while !stop.load(Ordering::Relaxed) {
                if !readable(&tap_in) {
                    continue;
                }
                match tap_in.read(&mut frame) {
                    Ok(n) if n >= 14 => {
                        let mut with_tag = frame[..12].to_vec();
                        with_tag.extend_from_slice(&[0x81, 0x00]);
                        with_tag.extend_from_slice(&VLAN_ID.to_be_bytes());
                        with_tag.extend_from_slice(&frame[12..n]);
                        let _ = out.send(&with_tag);
                    }
                    _ => {}
                }
            }
        }));
        let stop = self.stop.clone();
        self.threads.push(std::thread::spawn(move || {
            let mut frame = vec![0; 65_536];
            while !stop.load(Ordering::Relaxed) {
                if readable(&tagged.0)
                    && let Some(n) = tagged.receive(&mut frame)
                {
                    let _ = tap_out.write(&frame[..n]);
                }
            }
        }));
        Ok(())
    }
}

impl Drop for Vlan {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for t in self.threads.drain(..) {
            let _ = t.join();
        }
    }
}

/// Waits a tick for something to read.
fn readable(fd: &impl AsRawFd) -> bool {
    let mut p = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one pollfd, alive through the call.
    unsafe { libc::poll(&raw mut p, 1, TICK) > 0 }
}

fn open_tap() -> Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .context("no TAP devices here")?;
    // SAFETY: all zeroes is a valid ifreq.
    let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in req.ifr_name.iter_mut().zip(TAP.bytes()) {
        *to = from as libc::c_char;
    }
    req.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as i16;
    // SAFETY: the request lives through the call.
    let rc = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut req) };
    ensure!(rc == 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
    Ok(file)
}

/// Receives the frames of VLAN 7 that arrive at an interface. The kernel takes the tag out of the
/// frame on receipt and tells it beside.
struct TaggedReceiver(OwnedFd);

impl TaggedReceiver {
    fn open(ifname: &str) -> Result<Self> {
        let all = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: plain socket creation; the result is checked.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, all as i32) };
        ensure!(fd >= 0, "packet socket: {}", std::io::Error::last_os_error());
        // SAFETY: a descriptor that was just made and that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all zeroes is a valid sockaddr_ll.
        let mut at: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        at.sll_family = libc::AF_PACKET as u16;
        at.sll_protocol = all;
        at.sll_ifindex = link::index(ifname)? as i32;
        let on: i32 = 1;
        // SAFETY: the address and the option value live through the calls, with their true lengths.
        let ok = unsafe {
            libc::bind(
                fd.as_raw_fd(),
                (&raw const at).cast(),
                std::mem::size_of_val(&at) as u32,
            ) == 0
                && libc::setsockopt(
                    fd.as_raw_fd(),
                    libc::SOL_PACKET,
                    libc::PACKET_AUXDATA,
                    (&raw const on).cast(),
                    4,
                ) == 0
        };
        ensure!(ok, "packet socket: {}", std::io::Error::last_os_error());
        Ok(TaggedReceiver(fd))
    }

    /// The length of the next frame, if it is one of ours.
    fn receive(&self, frame: &mut [u8]) -> Option<usize> {
        // SAFETY: all zeroes is valid for these plain structures.
        let (mut from, mut msg): (libc::sockaddr_ll, libc::msghdr) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let mut control = [0u64; 16];
        let mut iov = libc::iovec {
            iov_base: frame.as_mut_ptr().cast(),
            iov_len: frame.len(),
        };
        msg.msg_name = (&raw mut from).cast();
        msg.msg_namelen = std::mem::size_of_val(&from) as u32;
        msg.msg_iov = &raw mut iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control.as_mut_ptr().cast();
        msg.msg_controllen = std::mem::size_of_val(&control);
        // SAFETY: all buffers live through the call, with their true lengths.
        let n = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut msg, libc::MSG_DONTWAIT) };
        if n < 0 || from.sll_pkttype == libc::PACKET_OUTGOING {
            return None;
        }
        // SAFETY: the kernel filled the control buffer; CMSG_* stay within msg_controllen, and the
        // data of PACKET_AUXDATA is a tpacket_auxdata.
        unsafe {
            let mut c = libc::CMSG_FIRSTHDR(&raw const msg);
            while !c.is_null() {
                if (*c).cmsg_level == libc::SOL_PACKET && (*c).cmsg_type == libc::PACKET_AUXDATA {
                    let aux: libc::tpacket_auxdata = std::ptr::read_unaligned(libc::CMSG_DATA(c).cast());
                    let tagged = aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
                    return (tagged && aux.tp_vlan_tci & 0x0fff == VLAN_ID).then_some(n as usize);
                }
                c = libc::CMSG_NXTHDR(&raw const msg, c);
            }
        }
        None
    }
}
