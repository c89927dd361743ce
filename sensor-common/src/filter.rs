//! Which flows are ignored, counted alone, or watched: rules, of which the first that matches a flow decides.
//!
//! A rule is a number below [`MAX_RULES`], and a set of rules a word. For each thing that rules look at (addresses, ports,
//! protocol, VLAN, interface) there is a table from its value to the rules whose condition on it holds; a rule without such
//! a condition is in all of the table's sets. What all the sets of a flow have in common are the rules that match it. So
//! the kernel's program asks for a fixed number of sets, whatever the rules are.
//!
//! A flow is looked at by its first packet, which says what its source and destination are.
//!
//! Each table is there twice, and [`Filter::active`] says which half counts: userspace fills in the other half and turns
//! that word, and no packet is met by half of the old rules and half of the new ones.

/// Most rules.
pub const MAX_RULES: usize = 64;
/// Halves of each table.
pub const HALVES: usize = 2;

/// Sets of rules for one value, of what the source has and of what the destination has.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// Rules that take it for the source's.
    pub src: u64,
    /// Rules that take it for the destination's.
    pub dst: u64,
}

/// An address in the table of networks.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// The table's half, big-endian: a network's prefix begins with it.
    pub half: [u8; 4],
    /// As in [`crate::FlowKey`].
    pub addr: [u8; 16],
}

impl Net {
    /// Bits of it before the address.
    pub const HALF_BITS: u32 = 32;

    /// An address in a half of the table.
    #[inline(always)]
    pub fn new(half: u32, addr: [u8; 16]) -> Net {
        Net {
            half: half.to_be_bytes(),
            addr,
        }
    }
}

/// What the rules of a half do; those in neither set have their flows watched.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Rules whose flows are ignored.
    pub ignore: u64,
    /// Rules whose flows are counted alone.
    pub count: u64,
}

/// The rules.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Which half of the tables counts, 0 or 1.
    pub active: u32,
    /// Always 0.
    pub pad: u32,
    /// By half.
    pub rules: [Rules; HALVES],
}

/// The flow is tracked like any other.
pub const WATCH: u32 = 0;
/// It is not tracked.
pub const IGNORE: u32 = 1;
/// It is tracked, and its payload stays below.
pub const COUNT: u32 = 2;
/// It is not tracked, as it is not in the sample.
pub const LEAVE_OUT: u32 = 3;

impl Rules {
    /// Whether all flows are watched.
    #[inline(always)]
    pub fn watch_all(&self) -> bool {
        self.ignore | self.count == 0
    }

    /// What becomes of a flow that these rules match: [`WATCH`], [`IGNORE`] or [`COUNT`].
    #[inline(always)]
    pub fn verdict(&self, matching: u64) -> u32 {
        let first = matching & matching.wrapping_neg();
        if self.ignore & first != 0 {
            IGNORE
        } else if self.count & first != 0 {
            COUNT
        } else {
            WATCH
        }
    }
}

/// Whether the flow of this key's hash ([`crate::FlowKey::ring_hash`]) is in a sample of one in `n`. The bits that choose
/// its ring are not those that choose it.
#[inline(always)]
pub fn in_sample(hash: u32, n: u32) -> bool {
    n <= 1 || (hash >> 3).is_multiple_of(n)
}

/// Number of places of a half of the table of ports.
pub const PORTS: u32 = 1 << 16;
/// Of that of protocols.
pub const PROTOCOLS: u32 = 1 << 8;
/// Of that of VLANs; 0: none.
pub const VLANS: u32 = 1 << 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_decides() {
        let rules = Rules {
            ignore: 0b0010,
            count: 0b1000,
        };
        for (matching, verdict) in [
            (0, WATCH),
            (0b1010, IGNORE),
            (0b1000, COUNT),
            (0b1011, WATCH),
            (1 << 63, WATCH),
        ] {
            assert_eq!(rules.verdict(matching), verdict, "{matching:b}");
        }
        assert!(!rules.watch_all() && Rules::default().watch_all());
    }
}
