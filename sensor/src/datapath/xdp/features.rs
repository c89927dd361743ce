//! What a driver can do for XDP: asked of the kernel by generic netlink, family `netdev` (`include/uapi/linux/netdev.h`, since
//! Linux 6.3).
#![allow(unsafe_code, reason = "a socket is made by system calls")]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{FromRawFd, OwnedFd};

use super::sys;

/// `NETDEV_XDP_ACT_BASIC`: native XDP.
const BASIC: u64 = 1 << 0;
/// `NETDEV_XDP_ACT_RX_SG`: frames of several buffers.
const RX_SG: u64 = 1 << 5;

const NETLINK_GENERIC: libc::c_int = 16;
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
/// Lengths of `struct nlmsghdr` with `struct genlmsghdr`, and of `struct nlattr`, bytes.
const HEAD: usize = 20;
const ATTR: usize = 4;
/// Bit of an attribute's type that says nothing about what it is (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
const TYPE: u16 = 0x3fff;

/// What a driver can do for XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpFeatures {
    /// It runs programs itself.
    pub native: bool,
    /// Also on frames that take more than one buffer.
    pub buffers: bool,
}

/// What the driver of the interface with this index can do; None: the kernel does not tell.
pub fn xdp_features(ifindex: u32) -> Option<XdpFeatures> {
    let mut socket = socket().ok()?;
    let answer = ask(
        &mut socket,
        GENL_ID_CTRL,
        CTRL_CMD_GETFAMILY,
        CTRL_ATTR_FAMILY_NAME,
        b"netdev\0",
    )
    .ok()?;
    let family = u16::from_ne_bytes(attribute(&answer, CTRL_ATTR_FAMILY_ID)?.try_into().ok()?);
    let index = ifindex.to_ne_bytes();
    let answer = ask(
        &mut socket,
        family,
        NETDEV_CMD_DEV_GET,
        NETDEV_A_DEV_IFINDEX,
        &index,
    )
    .ok()?;
    let bits = u64::from_ne_bytes(attribute(&answer, NETDEV_A_DEV_XDP_FEATURES)?.try_into().ok()?);
    Some(XdpFeatures {
        native: bits & BASIC != 0,
        buffers: bits & RX_SG != 0,
    })
}

/// How many TC programs are on the interface with this index, for what it receives and what is sent; None: it cannot be found
/// out, as before Linux 6.6.
pub fn tc_programs(ifindex: u32) -> Option<[u32; 2]> {
    let at = |hook| sys::attached(ifindex, hook).ok();
    Some([at(sys::BPF_TCX_INGRESS)?, at(sys::BPF_TCX_EGRESS)?])
}

fn socket() -> io::Result<File> {
    // SAFETY: no memory involved; the descriptor is ours alone.
    unsafe {
        let fd = libc::socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            NETLINK_GENERIC,
        );
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from(OwnedFd::from_raw_fd(fd)))
    }
}

/// Asks with one attribute; the answer's attributes.
fn ask(socket: &mut File, family: u16, command: u8, kind: u16, value: &[u8]) -> io::Result<Vec<u8>> {
    let padded = value.len().next_multiple_of(4);
    let mut message = Vec::with_capacity(HEAD + ATTR + padded);
    message.extend(((HEAD + ATTR + padded) as u32).to_ne_bytes());
    message.extend(family.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    // The number of the question and the port, of which there is one.
    message.extend([0; 8]);
    message.extend([command, 1, 0, 0]);
    message.extend(((ATTR + value.len()) as u16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(HEAD + ATTR + padded, 0);
    socket.write_all(&message)?;
    let mut answer = vec![0; 16384];
    let n = socket.read(&mut answer)?;
    answer.truncate(n);
    let kind = answer
        .get(4..6)
        .and_then(|b| b.try_into().ok())
        .map(u16::from_ne_bytes);
    match kind {
        Some(kind) if kind != NLMSG_ERROR && n >= HEAD => Ok(answer.split_off(HEAD)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// The value of an attribute.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let head = attributes.first_chunk::<ATTR>()?;
        let len = u16::from_ne_bytes([head[0], head[1]]) as usize;
        let kind = u16::from_ne_bytes([head[2], head[3]]);
        let value = attributes.get(ATTR..len)?;
        if kind & TYPE == wanted {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_and_nothing_beyond_them() {
        let of = |kind: u16, value: &[u8]| {
            let mut a = ((ATTR + value.len()) as u16).to_ne_bytes().to_vec();
            a.extend(kind.to_ne_bytes());
            a.extend(value);
            a.resize(a.len().next_multiple_of(4), 0);
            a
        };
        let all = [of(1, b"abc"), of(3 | 1 << 15, b"defg")].concat();
        assert_eq!(attribute(&all, 1), Some(&b"abc"[..]));
        assert_eq!(attribute(&all, 3), Some(&b"defg"[..]));
        assert_eq!(attribute(&all, 2), None);
        for cut in 0..all.len() {
            assert_eq!(attribute(&all[..cut], 3), None);
        }
        // A length that leads nowhere.
        assert_eq!(attribute(&[0; 16], 3), None);
        assert_eq!(attribute(&[0xff; 16], 3), None);
    }

    #[test]
    fn there_is_no_such_interface() {
        assert_eq!(xdp_features(u32::MAX), None);
    }
}
