//! What a file of fingerprints says.

use std::collections::HashMap;

use super::sight::Layout;

/// A window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Any.
    Any,
    /// This one.
    Is(u16),
    /// A multiple of that.
    Multiple(u16),
    /// So many times the MSS.
    Mss(u16),
    /// So many times the MTU.
    Mtu(u16),
}

/// A signature. What is None is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    pub is_v6: Option<bool>,
    /// As it is sent.
    pub ttl: u8,
    /// That is only the largest one: it is chosen by chance.
    pub any_ttl: bool,
    pub ip_options: u8,
    pub mss: Option<u16>,
    pub window: Window,
    pub scale: Option<u8>,
    pub padding: u8,
    pub quirks: u32,
    pub has_payload: Option<bool>,
    /// What it is a signature of: a place in [`Fingerprints::labels`].
    pub label: u32,
}

/// A system, or a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Holds for many of its kind: others come first.
    pub is_generic: bool,
    /// `win`, `unix`, `other`; None: it is a tool, and says nothing of the system that it runs on.
    pub class: Option<String>,
    /// Such as `Linux`.
    pub name: String,
    /// Such as `3.11 and newer`.
    pub detail: String,
}

/// All of a file.
#[derive(Debug, Default)]
pub struct Fingerprints {
    /// Of SYNs, and of SYN-ACKs, by their options.
    pub(super) signatures: [HashMap<Layout, Vec<Signature>>; 2],
    pub(super) labels: Vec<Label>,
    /// What links have such an MTU.
    pub(super) links: HashMap<u16, String>,
}

impl Fingerprints {
    /// How many signatures there are.
    pub fn len(&self) -> usize {
        let of = |all: &HashMap<Layout, Vec<Signature>>| all.values().map(Vec::len).sum::<usize>();
        self.signatures.iter().map(of).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it is.
    pub(super) fn label(&self, n: u32) -> Option<&Label> {
        self.labels.get(n as usize)
    }
}
