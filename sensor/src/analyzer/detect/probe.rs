//! The first bytes of a connection, kept until signatures have told which protocols it may be.

use super::sig::{self, Verdict};
use crate::event::AnalyzerTag;

/// Bytes of both directions, and pieces in which they come, after which signatures look no further (Zeek's
/// `dpd_buffer_size` and `dpd_max_packets`). The piece that goes beyond is still looked at.
const DEPTH: u64 = 1024;
const MOST_PIECES: u32 = 100;
/// Bytes kept per direction.
const MOST_KEPT: usize = 2048;

/// A protocol that signatures find, and the verdicts on it: of the originator's bytes and the responder's.
struct Rule {
    tag: AnalyzerTag,
    orig: fn(&[u8]) -> Verdict,
    resp: fn(&[u8]) -> Verdict,
    need: Need,
}

/// What it takes to match.
enum Need {
    /// One direction alone tells.
    Orig,
    Resp,
    /// Both directions.
    Both,
    /// Both; the originator's pattern may come on any line, so that alone it never refuses.
    BothAnywhere,
}

const RULES: [Rule; 5] = [
    // Two rules, and each of them puts HTTP on the connection anew if it was taken off meanwhile.
    Rule {
        tag: AnalyzerTag::Http,
        orig: sig::http_client,
        resp: sig::http_server,
        need: Need::Orig,
    },
    Rule {
        tag: AnalyzerTag::Http,
        orig: sig::http_client,
        resp: sig::http_server,
        need: Need::Resp,
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
    /// What came when, neighbours of one direction joined.
    order: Vec<Piece>,
    /// Bytes and pieces so far, kept or not.
    size: u64,
    pieces: u32,
    /// By index into `RULES`.
    decided: [bool; RULES.len()],
}

/// Direction (0 orig) and how many bytes; a gap has none.
type Piece = (u8, u16);

impl Probe {
    /// Keeps what there is room for; how many bytes that were.
    pub fn push(&mut self, is_orig: bool, bytes: &[u8]) -> usize {
        let dir = usize::from(!is_orig);
        let room = MOST_KEPT.saturating_sub(self.kept[dir].len());
        let part = bytes.get(..room).unwrap_or(bytes);
        self.kept[dir].extend_from_slice(part);
        let n = part.len() as u16;
        match self.order.last_mut() {
            Some((last, count)) if usize::from(*last) == dir && *count > 0 => *count += n,
            _ if n > 0 => self.order.push((dir as u8, n)),
            _ => {}
        }
        self.size += bytes.len() as u64;
        self.pieces += u32::from(!bytes.is_empty());
        part.len()
    }

    /// Bytes are missing here. At the very beginning nobody would notice.
    pub fn gap(&mut self, is_orig: bool) {
        if !self.order.is_empty() {
            self.order.push((u8::from(!is_orig), 0));
            self.pieces += 1;
        }
    }

    /// A protocol that has become possible with the last bytes. Each is told once.
    pub fn next_match(&mut self) -> Option<AnalyzerTag> {
        for (rule, decided) in RULES.iter().zip(&mut self.decided) {
            if *decided {
                continue;
            }
            let orig = || (rule.orig)(&self.kept[0]);
            let resp = || (rule.resp)(&self.kept[1]);
            let verdict = match &rule.need {
                Need::Orig => orig(),
                Need::Resp => resp(),
                // Looking on any line all over again is of no use before the other has matched.
                Need::BothAnywhere => match resp() {
                    Verdict::Yes => orig(),
                    other => other,
                },
                Need::Both => match (orig(), resp()) {
                    (Verdict::No, _) | (_, Verdict::No) => Verdict::No,
                    (Verdict::Yes, Verdict::Yes) => Verdict::Yes,
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

    /// The kept bytes in the order in which they came; `None` is a gap.
    pub fn replay(&self) -> impl Iterator<Item = (bool, Option<&[u8]>)> {
        let mut at = [0usize; 2];
        self.order.iter().map(move |&(dir, n)| {
            let is_orig = dir == 0;
            if n == 0 {
                return (is_orig, None);
            }
            let dir = usize::from(dir);
            let start = at[dir];
            at[dir] += usize::from(n);
            (is_orig, Some(self.kept[dir].get(start..at[dir]).unwrap_or(&[])))
        })
    }

    /// Nothing more can match.
    pub fn is_over(&self) -> bool {
        self.size > DEPTH || self.pieces > MOST_PIECES || self.decided.iter().all(|d| *d)
    }

    pub fn flip(&mut self) {
        self.kept.swap(0, 1);
        for (dir, _) in &mut self.order {
            *dir ^= 1;
        }
    }
}
