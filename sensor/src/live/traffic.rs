//! What the kernel counts of an interface.

use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage, Stats64};

/// What an interface has counted while it was watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub frames: u64,
    pub bytes: u64,
    /// Received frames that the kernel or the driver had no room for, or dropped before anybody saw them.
    pub dropped: u64,
    /// Of these, those for which the device had no room (`rx_missed_errors`, `rx_fifo_errors`): they never came to the host.
    pub missed: u64,
    /// Received frames that were damaged (`rx_errors`); they are not among the dropped ones.
    pub errors: u64,
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
        let missed = s.rx_missed_errors + s.rx_fifo_errors;
        let mut t = Traffic {
            frames: s.rx_packets,
            bytes: s.rx_bytes,
            dropped: s.rx_dropped + missed,
            missed,
            errors: s.rx_errors,
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
            missed: f(self.missed, other.missed),
            errors: f(self.errors, other.errors),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_had_no_room_for_is_among_the_dropped() {
        let mut s = Stats64::default();
        (s.rx_packets, s.tx_packets, s.rx_bytes, s.tx_bytes) = (10, 20, 1000, 3000);
        (s.rx_dropped, s.rx_missed_errors, s.rx_fifo_errors, s.rx_errors) = (1, 20, 300, 4000);
        let expected = Traffic {
            frames: 30,
            bytes: 4000,
            dropped: 321,
            missed: 320,
            errors: 4000,
        };
        assert_eq!(Traffic::of(&s, false), expected);
        let received = Traffic::of(&s, true);
        assert_eq!(
            (received.frames, received.bytes, received.errors),
            (10, 1000, 4000)
        );
        // Counts that went down began anew.
        let twice = expected.and(received.since(expected));
        assert_eq!((twice.frames, twice.missed, twice.errors), (40, 320, 4000));
    }
}
