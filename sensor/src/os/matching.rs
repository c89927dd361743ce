//! Which system a packet is of, by p0f's rules: all of a signature holds, or all but what paths change.

use super::db::{Fingerprints, Signature, Window};
use super::sight::{Sight, quirk};

/// Most hops that packets are believed to have made.
const MAX_HOPS: u8 = 35;

/// How sure it is (Zeek's OS_version_inference).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A signature of this system holds.
    Direct,
    /// One of its kind does.
    Generic,
    /// One would hold, but for what paths change.
    Fuzzy,
}

impl How {
    /// Zeek's name.
    pub fn name(self) -> &'static str {
        match self {
            How::Direct => "direct_inference",
            How::Generic => "generic_inference",
            How::Fuzzy => "fuzzy_inference",
        }
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Of which system.
    pub label: u32,
    pub how: How,
    /// Hops between.
    pub distance: u8,
}

/// Whether all holds (true), or all but what paths change (false). None: it does not.
fn holds(sig: &Signature, s: &Sight, multiple: Option<(u16, bool)>) -> Option<bool> {
    if sig.is_v6.is_some_and(|v6| v6 != s.is_v6) {
        return None;
    }
    let mut is_exact = true;
    let mut wanted = sig.quirks;
    if sig.is_v6.is_none() {
        wanted &= match s.is_v6 {
            false => !quirk::FLOW,
            true => !(quirk::DF | quirk::ID | quirk::NO_ID),
        };
    }
    if wanted != s.quirks {
        let (gone, come) = (wanted & !s.quirks, s.quirks & !wanted);
        if gone & !(quirk::DF | quirk::ID) != 0 || come & !(quirk::NO_ID | quirk::ECN) != 0 {
            return None;
        }
        is_exact = false;
    }
    match sig.ttl.checked_sub(s.ttl) {
        None if sig.any_ttl => return None,
        Some(_) if sig.any_ttl => {}
        Some(0..=MAX_HOPS) => {}
        _ => is_exact = false,
    }
    let window = match sig.window {
        Window::Any => true,
        Window::Is(w) => s.window == w,
        Window::Multiple(of) => s.window.is_multiple_of(of),
        Window::Mss(n) => multiple == Some((n, false)),
        Window::Mtu(n) => multiple == Some((n, true)),
    };
    let all = window
        && sig.padding == s.padding
        && sig.ip_options == s.ip_options
        && sig.mss.is_none_or(|m| m == s.mss)
        && sig.scale.is_none_or(|w| w == s.scale)
        && sig.has_payload.is_none_or(|p| p == s.has_payload);
    all.then_some(is_exact)
}

impl Fingerprints {
    /// The system of whom a packet is of.
    pub(super) fn find(&self, s: &Sight) -> Option<Match> {
        let all = self.signatures[usize::from(s.is_answer)].get(&s.layout)?;
        let multiple = s.multiple();
        let (mut generic, mut fuzzy) = (None, None);
        let is_generic = |sig: &Signature| self.label(sig.label).is_some_and(|l| l.is_generic);
        for sig in all {
            match holds(sig, s, multiple) {
                Some(true) if !is_generic(sig) => return Some(found(sig, s, How::Direct)),
                Some(true) => generic = generic.or(Some(sig)),
                // What holds for many says nothing by half.
                Some(false) if is_generic(sig) => {}
                Some(false) => fuzzy = fuzzy.or(Some(sig)),
                None => {}
            }
        }
        if let Some(sig) = generic {
            return Some(found(sig, s, How::Generic));
        }
        // What a tool sends is not taken for it by half.
        let is_system = |sig: &&Signature| self.label(sig.label).is_some_and(|l| l.class.is_some());
        fuzzy.filter(is_system).map(|sig| found(sig, s, How::Fuzzy))
    }
}

fn found(sig: &Signature, s: &Sight, how: How) -> Match {
    let distance = match sig.ttl.checked_sub(s.ttl) {
        Some(far) if sig.any_ttl || far <= MAX_HOPS => far,
        _ => s.guessed_distance(),
    };
    Match {
        label: sig.label,
        how,
        distance,
    }
}
