//! Which events somebody wants, and what the kernel must forward for them.

use std::str::FromStr;

use sensor_common::policy;

use super::EventKind;

/// A set of event kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions(u128);

/// A name in a list of events that is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown event '{0}'")]
pub struct UnknownEvent(pub String);

// One bit per kind.
const _: () = assert!(EventKind::ALL.len() <= 128);

impl Subscriptions {
    /// Nobody wants anything.
    pub const NONE: Subscriptions = Subscriptions(0);

    /// Every event there is.
    pub const ALL: Subscriptions = Subscriptions(u128::MAX >> (128 - EventKind::ALL.len()));

    /// Whether somebody wants `kind`.
    #[inline]
    pub const fn wants(&self, kind: EventKind) -> bool {
        self.0 >> (kind as u8) & 1 != 0
    }

    /// Whether somebody wants anything.
    #[inline]
    pub const fn any(&self) -> bool {
        self.0 != 0
    }

    /// Whether somebody wants any of `other`.
    #[inline]
    pub const fn any_of(&self, other: Subscriptions) -> bool {
        self.0 & other.0 != 0
    }

    /// This and `kind`.
    #[must_use]
    pub const fn with(self, kind: EventKind) -> Subscriptions {
        Subscriptions(self.0 | 1 << (kind as u8))
    }

    /// This and `other`.
    #[must_use]
    pub const fn union(self, other: Subscriptions) -> Subscriptions {
        Subscriptions(self.0 | other.0)
    }

    /// This without `kind`.
    #[must_use]
    pub const fn without(self, kind: EventKind) -> Subscriptions {
        Subscriptions(self.0 & !(1 << (kind as u8)))
    }

    /// The kinds in the set, in the table's order.
    pub fn iter(self) -> impl Iterator<Item = EventKind> {
        EventKind::ALL.iter().copied().filter(move |k| self.wants(*k))
    }
}

impl FromIterator<EventKind> for Subscriptions {
    fn from_iter<I: IntoIterator<Item = EventKind>>(kinds: I) -> Subscriptions {
        kinds.into_iter().fold(Subscriptions::NONE, Subscriptions::with)
    }
}

/// Names separated by commas; blanks around them do not matter.
impl FromStr for Subscriptions {
    type Err = UnknownEvent;

    fn from_str(list: &str) -> Result<Subscriptions, UnknownEvent> {
        list.split(',')
            .map(str::trim)
            .filter(|n| !n.is_empty())
            .map(|n| EventKind::from_name(n).ok_or_else(|| UnknownEvent(n.to_owned())))
            .collect()
    }
}

/// Events that need more than the default forwarding, and why. All others live on what is forwarded
/// anyway: headers that change a connection's state, payload, and the counters in each record.
const NEEDS: &[(EventKind, u32)] = &[
    // Bare ACKs and repeats count as packets too.
    (EventKind::TcpPacket, policy::ALL_PACKETS),
    // Options are on every packet, not only on the handshake's.
    (EventKind::TcpOption, policy::ALL_PACKETS),
    (EventKind::NewPacket, policy::ALL_PACKETS),
    // Shedding a bulk flow's payload would leave packets out.
    (EventKind::PacketContents, policy::ALL_PACKETS),
    // A flow label may change on a bare ACK.
    (EventKind::ConnectionFlowLabelChanged, policy::ALL_PACKETS),
    // Extension headers may be on any packet.
    (EventKind::Ipv6ExtHeaders, policy::ALL_PACKETS),
    // Frames that are not IP as well.
    (EventKind::RawPacket, policy::ALL_PACKETS | policy::ALL_FRAMES),
    // An established session's records are of interest, their contents are not.
    (EventKind::SslEncryptedData, policy::RECORDS),
    // Payload, which is the default; named here so that a change of the default cannot lose it.
    (EventKind::TcpContents, policy::PAYLOAD),
    (EventKind::RexmitInconsistency, policy::PAYLOAD),
    (EventKind::ContentGap, policy::PAYLOAD),
];

/// The forwarding bits ([`sensor_common::policy`]) that `subs` needs; `contents`: streams are to be delivered.
pub fn policy_bits(subs: &Subscriptions, contents: bool) -> u32 {
    let needed = NEEDS
        .iter()
        .filter(|(k, _)| subs.wants(*k))
        .fold(0, |bits, (_, b)| bits | b);
    // Analyzers need payload whoever listens.
    let base = policy::PAYLOAD;
    base | needed | if contents { policy::PAYLOAD } else { 0 }
}
