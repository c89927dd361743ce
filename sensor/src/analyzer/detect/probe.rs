//! The first bytes of a connection, kept until signatures have told which protocols it may be.

use super::sig::{self, Verdict};
use crate::event::AnalyzerTag;

/// Bytes kept per direction; signatures look no further (Zeek's `dpd_buffer_size`).
const DEPTH: usize = 1024;

/// A protocol that signatures find, and the verdicts on it: of the originator's bytes and the responder's.
struct Rule {
    tag: AnalyzerTag,
    orig: fn(&[u8]) -> Verdict,
    resp: fn(&[u8]) -> Verdict,
    need: Need,
}

/// What it takes to match.
enum Need {
    /// One direction is enough.
    Either,
    /// Both directions.
    Both,
    /// Both; the originator's pattern may come on any line, so that alone it never refuses.
    BothAnywhere,
}

const RULES: [Rule; 4] = [
    Rule {
        tag: AnalyzerTag::Http,
        orig: sig::http_client,
        resp: sig::http_server,
        need: Need::Either,
    },
    Rule {
        tag: AnalyzerTag::Ssh,
        orig: sig::ssh,
        resp: sig::ssh,
        need: Need::Both,
    },
    Rule {
        tag: AnalyzerTag::Smtp,
        orig: sig::smtp_client,
        resp: sig::smtp_server,
        need: Need::BothAnywhere,
    },
    Rule {
        tag: AnalyzerTag::Ftp,
        orig: sig::ftp_client,
        resp: sig::ftp_server,
        need: Need::BothAnywhere,
    },
];

/// The bytes so far and what was made of them.
#[derive(Debug, Default)]
pub struct Probe {
    kept: [Vec<u8>; 2],
    /// Whose bytes came when: direction (0 orig) and how many, neighbours of one direction joined.
    order: Vec<(u8, u16)>,
    /// By index into `RULES`.
    decided: [bool; 4],
    full: bool,
}

impl Probe {
    /// Keeps what there is room for; how many bytes that were.
    pub fn push(&mut self, is_orig: bool, bytes: &[u8]) -> usize {
        let dir = usize::from(!is_orig);
        let room = DEPTH.saturating_sub(self.kept[dir].len());
        let part = bytes.get(..room).unwrap_or(bytes);
        self.kept[dir].extend_from_slice(part);
        let n = part.len() as u16;
        match self.order.last_mut() {
            Some((last, count)) if usize::from(*last) == dir => *count += n,
            _ if n > 0 => self.order.push((dir as u8, n)),
            _ => {}
        }
        self.full |= self.kept[dir].len() == DEPTH;
        part.len()
    }

    /// A protocol that has become possible with the last bytes. Each is told once.
    pub fn next_match(&mut self) -> Option<AnalyzerTag> {
        for (rule, decided) in RULES.iter().zip(&mut self.decided) {
            if *decided {
                continue;
            }
            let orig = || (rule.orig)(&self.kept[0]);
            let verdict = match ((rule.resp)(&self.kept[1]), &rule.need) {
                (Verdict::Yes, Need::Either) => Verdict::Yes,
                (Verdict::Yes, _) => orig(),
                (Verdict::No, Need::Either) => orig(),
                (Verdict::No, _) => Verdict::No,
                // Looking for it all over again is of no use yet.
                (Verdict::More, Need::BothAnywhere) => Verdict::More,
                (Verdict::More, need) => match (orig(), need) {
                    (Verdict::Yes, Need::Either) => Verdict::Yes,
                    (Verdict::No, Need::Both) => Verdict::No,
                    _ => Verdict::More,
                },
            };
            *decided = verdict != Verdict::More;
            if verdict == Verdict::Yes {
                return Some(rule.tag);
            }
        }
        None
    }

    /// The kept bytes in the order in which they came.
    pub fn replay(&self) -> impl Iterator<Item = (bool, &[u8])> {
        let mut at = [0usize; 2];
        self.order.iter().map(move |&(dir, n)| {
            let dir = usize::from(dir);
            let start = at[dir];
            at[dir] += usize::from(n);
            (dir == 0, self.kept[dir].get(start..at[dir]).unwrap_or(&[]))
        })
    }

    /// Nothing more can match.
    pub fn is_over(&self) -> bool {
        self.full || self.decided.iter().all(|d| *d)
    }

    pub fn flip(&mut self) {
        self.kept.swap(0, 1);
        for (dir, _) in &mut self.order {
            *dir ^= 1;
        }
    }
}
