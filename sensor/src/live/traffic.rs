//! What the kernel counts of an interface.

use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage, Stats64};

/// What an interface has counted while it was watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub frames: u64,
    pub bytes: u64,
    /// Received frames that the kernel or the driver had no room for, or dropped before anybody saw them.
    pub dropped: u64,
}

impl Traffic {
    /// What the kernel says of an interface.
    pub fn of_link(link: &LinkMessage, rx_only: bool) -> Self {
        let stats = link.attributes.iter().find_map(|a| match a {
            LinkAttribute::Stats64(s) => Some(s),
            _ => None,
        });
        stats.map_or_else(Traffic::default, |s| Traffic::of(s, rx_only))
    }

    /// The kernel's counts since the interface was made; with `rx_only` without what is sent.
    fn of(s: &Stats64, rx_only: bool) -> Self {
        let mut t = Traffic {
            frames: s.rx_packets,
            bytes: s.rx_bytes,
            dropped: s.rx_dropped + s.rx_missed_errors + s.rx_fifo_errors,
        };
        if !rx_only {
            t.frames += s.tx_packets;
            t.bytes += s.tx_bytes;
        }
        t
    }

    fn each(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Traffic {
            frames: f(self.frames, other.frames),
            bytes: f(self.bytes, other.bytes),
            dropped: f(self.dropped, other.dropped),
        }
    }

    /// The counts since `before`. A driver whose counts went down has begun anew at 0.
    pub fn since(self, before: Self) -> Self {
        self.each(before, |now, then| if now < then { now } else { now - then })
    }

    pub fn and(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }
}
