//! Whether an interface brings both directions of every flow to one CPU: asked of its driver.
#![allow(unsafe_code, reason = "ethtool's answers have lengths of their own")]

use std::io;
use std::mem::size_of;

use super::ethtool::Ethtool;

const ETHTOOL_GRXFH: u32 = 0x29;
const ETHTOOL_GRXRINGS: u32 = 0x2d;
const ETHTOOL_GRSSH: u32 = 0x46;
/// `enum` of flow types, those whose ports may be hashed.
const TCP_UDP: [u32; 4] = [1, 2, 5, 6];
/// Both addresses, both ports: pairs of bits of `RXH_*`.
const PAIRS: [u64; 2] = [0b11 << 4, 0b11 << 6];
/// `ETH_RSS_HASH_TOP`: Toeplitz.
const TOEPLITZ: u8 = 1;
/// `RXH_XFRM_SYM_XOR` and `RXH_XFRM_SYM_OR_XOR`: the driver folds the two ends before it hashes.
const SYMMETRIC: u8 = 0b11;
/// Longest hash key and largest indirection table that are believed, bytes.
const MAX_ETHTOOL_BYTES: usize = 1 << 16;

/// How an interface spreads what it receives.
#[derive(Debug, Default, PartialEq, Eq)]
struct Spread {
    queues: u64,
    /// `ETH_RSS_HASH_*`.
    function: u8,
    /// `RXH_XFRM_*`.
    transform: u8,
    key: Vec<u8>,
    /// What is hashed of TCP and UDP over IPv4 and IPv6: `RXH_*`.
    fields: Vec<u64>,
}

impl Spread {
    /// Proven to be symmetric, and over more than one queue.
    fn is_symmetric(&self) -> bool {
        let both = |fields: &u64| PAIRS.iter().all(|p| fields & p == 0 || fields & p == *p);
        // Toeplitz by a key that repeats every 16 bits: all that is hashed is as long, or a multiple.
        let folded = self.function == TOEPLITZ
            && self.key.len() >= 2
            && self.key.iter().enumerate().all(|(i, b)| *b == self.key[i % 2]);
        self.queues > 1
            && self.fields.len() == TCP_UDP.len()
            && self.fields.iter().all(both)
            && (folded || self.transform & SYMMETRIC != 0)
    }
}

/// Whether both directions of a flow come to one CPU, and flows to more than one. False also where it cannot be
/// found out.
pub fn is_symmetric(iface: &str) -> bool {
    ask(iface).is_ok_and(|s| s.is_symmetric())
}

/// `struct ethtool_rxnfc`, as far as it is asked for.
#[repr(C)]
#[derive(Default)]
struct RxNfc {
    cmd: u32,
    flow_type: u32,
    data: u64,
    rest: [u64; 24],
}

/// The fixed part of `struct ethtool_rxfh`; the indirection table and the key follow.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RxFh {
    cmd: u32,
    context: u32,
    indirections: u32,
    key_len: u32,
    function: u8,
    transform: u8,
    reserved: [u8; 2],
    reserved32: u32,
}

fn ask(iface: &str) -> io::Result<Spread> {
    let ethtool = Ethtool::of(iface)?;
    let rxnfc = |cmd, flow_type| {
        let mut q = RxNfc {
            cmd,
            flow_type,
            ..RxNfc::default()
        };
        // SAFETY: `q` is laid out like `struct ethtool_rxnfc` and outlives the call.
        unsafe { ethtool.ask(&raw mut q) }.map(|()| q.data)
    };
    let mut head = RxFh {
        cmd: ETHTOOL_GRSSH,
        ..RxFh::default()
    };
    // SAFETY: without room for a table or a key their lengths are all that is written.
    unsafe { ethtool.ask(&raw mut head)? };
    let table = head.indirections as usize * 4;
    let len = size_of::<RxFh>() + table + head.key_len as usize;
    if table > MAX_ETHTOOL_BYTES || head.key_len as usize > MAX_ETHTOOL_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0u64; len.div_ceil(8)];
    // SAFETY: as long as the head says, which is copied with the lengths that the kernel has just told.
    let head = unsafe {
        answer.as_mut_ptr().cast::<RxFh>().write(head);
        ethtool.ask(answer.as_mut_ptr())?;
        answer.as_ptr().cast::<RxFh>().read()
    };
    // SAFETY: `answer` has `len` bytes at least, all of them initialized, and the copy is made before it goes.
    let key = unsafe {
        let at = answer.as_ptr().cast::<u8>().add(size_of::<RxFh>() + table);
        std::slice::from_raw_parts(at, len - size_of::<RxFh>() - table).to_vec()
    };
    Ok(Spread {
        queues: rxnfc(ETHTOOL_GRXRINGS, 0)?,
        function: head.function,
        transform: head.transform,
        key,
        fields: TCP_UDP
            .iter()
            .map(|t| rxnfc(ETHTOOL_GRXFH, *t))
            .collect::<io::Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread() -> Spread {
        Spread {
            queues: 4,
            function: TOEPLITZ,
            transform: 0,
            key: [0x6d, 0x5a].repeat(20),
            fields: vec![0xf0, 0x30, 0xf0, 0x30],
        }
    }

    #[test]
    fn what_is_not_proven_is_not_symmetric() {
        assert!(spread().is_symmetric());
        let by_driver = Spread {
            transform: 1,
            key: (0..40).collect(),
            ..spread()
        };
        assert!(by_driver.is_symmetric());
        let not = [
            Spread {
                queues: 1,
                ..spread()
            },
            Spread {
                key: (0..40).collect(),
                ..spread()
            },
            Spread {
                key: Vec::new(),
                ..spread()
            },
            Spread {
                function: 2,
                ..spread()
            },
            // The source's port without the destination's.
            Spread {
                fields: vec![0x70, 0x30, 0xf0, 0x30],
                ..spread()
            },
            Spread {
                fields: Vec::new(),
                ..spread()
            },
        ];
        assert!(not.iter().all(|s| !s.is_symmetric()));
        assert!(!is_symmetric("no-such-interface"));
    }
}
