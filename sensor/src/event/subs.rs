//! Which events somebody wants, and what the kernel must forward for them.

use std::str::FromStr;

use sensor_common::policy;

use super::EventKind;

/// A set of event kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions(u128);

/// A name in a list of events that is no event, or a pattern that no event matches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown event '{name}'{}", suggestion(.near))]
pub struct UnknownEvent {
    pub name: String,
    /// Names that are much like it, the likest first.
    pub near: Vec<&'static str>,
}

fn suggestion(near: &[&str]) -> String {
    match near {
        [] => String::new(),
        [one] => format!("; did you mean {one}?"),
        [more @ .., last] => format!("; did you mean {} or {last}?", more.join(", ")),
    }
}

impl UnknownEvent {
    /// Likeness from which on a name is suggested: 0 nothing in common, 1 the same.
    const NEAR: f64 = 0.6;
    /// Most names that are suggested.
    const MOST: usize = 3;

    fn new(name: &str) -> Self {
        let wanted = name.to_lowercase();
        let like = |n: &str| strsim::normalized_damerau_levenshtein(&n.to_lowercase(), &wanted);
        let mut near: Vec<(f64, &'static str)> = EventKind::ALL
            .iter()
            .map(|k| (like(k.name()), k.name()))
            .filter(|(likeness, _)| *likeness >= Self::NEAR)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        UnknownEvent {
            name: name.to_owned(),
            near: near.into_iter().take(Self::MOST).map(|(_, n)| n).collect(),
        }
    }
}

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

/// Whether `name` matches `pattern`, in which `*` stands for any text and `?` for any character.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Behind the last `*`, and where in the name what it stands for ends.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p + 1, n));
                p += 1;
            }
            (Some(c), _) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            (_, Some((after, end))) => {
                star = Some((after, end + 1));
                (p, n) = (after, end + 1);
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// The kinds that a pattern stands for, by either of their names. It does not stand for the event about events, which
/// would double what it stands for: who wants that one names it.
fn matched(pattern: &str) -> Subscriptions {
    let is = |name: &str| matches(pattern.as_bytes(), name.as_bytes());
    let all = EventKind::ALL.iter().copied();
    all.filter(|k| *k != EventKind::NewEvent)
        .filter(|k| is(k.name()) || k.newer_name().is_some_and(|n| is(&n)))
        .collect()
}

/// Names and patterns separated by commas; blanks around them do not matter.
impl FromStr for Subscriptions {
    type Err = UnknownEvent;

    fn from_str(list: &str) -> Result<Subscriptions, UnknownEvent> {
        let mut all = Subscriptions::NONE;
        for name in list.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let found = match EventKind::from_name(name) {
                Some(kind) => Subscriptions::NONE.with(kind),
                None if name.contains(['*', '?']) => matched(name),
                None => Subscriptions::NONE,
            };
            if !found.any() {
                return Err(UnknownEvent::new(name));
            }
            all = all.union(found);
        }
        Ok(all)
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
