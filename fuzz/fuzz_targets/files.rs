//! Files in pieces, at any places and in any order, and who reads files behind them.
#![no_main]

use std::collections::HashMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sensor::event::log::{LogRow, Value, write_json};
use sensor::event::{AnalyzerTag, Event, Proto, Subscriptions, Ts, Uid};
use sensor::file::api::{Cx, IsLocal, Out, Part, Target};
use sensor::file::{Carrier, ExtractConfig, FileConfig, Files, Handle, Hashes, Piece};
use sensor_fuzz::analyzers::conn;

const TAG: AnalyzerTag = AnalyzerTag::new("Analyzer::ANALYZER_HTTP", "http");
const TYPES: [&str; 4] = [
    "application/x-x509-user-cert",
    "application/ocsp-response",
    "application/x-dosexec",
    "text/plain",
];
/// Most bytes that wait in one file, and in all.
const WAITING: [u64; 2] = [4096, 8192];
/// Most files at a time.
const MOST: usize = 3;
/// Bytes of a script that make one piece.
const STEP: usize = 6;

/// What came out.
#[derive(Default)]
struct Told {
    /// Rows of files.log, as their columns that are numbers.
    files: Vec<HashMap<&'static str, u64>>,
    digests: Vec<Option<String>>,
    /// Other rows.
    rows: Vec<String>,
    /// Parts of files that are being extracted, and of those that were.
    written: HashMap<String, Vec<(u64, Vec<u8>)>>,
    extracted: Vec<(u64, Vec<u8>)>,
    began: usize,
    ended: usize,
}

impl Out for Told {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.began += usize::from(ev.info().name == "file_new");
        self.ended += usize::from(ev.info().name == "file_state_remove");
        let mut text = Vec::new();
        ev.write_json(ts, &mut text);
        assert!(text.ends_with(b"}"));
    }
    fn log(&mut self, row: &dyn LogRow) {
        let mut values = Vec::new();
        row.values(&mut values);
        assert_eq!(values.len(), row.columns().len());
        if row.path() != "files" {
            let mut text = Vec::new();
            write_json(&mut text, row, &mut Vec::new());
            return self.rows.push(String::from_utf8(text).expect("JSON is UTF-8"));
        }
        let columns = row.columns().iter().zip(&values);
        let digest = columns.clone().find(|(c, _)| c.name == "sha256");
        self.digests.push(match digest {
            Some((_, Value::Str(s))) => Some(s.to_string()),
            _ => None,
        });
        self.files.push(
            columns
                .filter_map(|(c, v)| match v {
                    Value::Count(n) => Some((c.name, *n)),
                    _ => None,
                })
                .collect(),
        );
    }
    fn weird(&mut self, _: Ts, _: &'static str, _: &str, _: &str) {}
    fn extract(&mut self, target: &Arc<Target>, part: Part<'_>) -> bool {
        match part {
            Part::Bytes { at, bytes } => {
                let parts = self.written.entry(target.name().to_owned()).or_default();
                let stands = parts.last().map_or(0, |(at, bytes)| at + bytes.len() as u64);
                assert!(at >= stands, "bytes of a file twice: {at} after {stands}");
                parts.push((at, bytes.to_vec()));
            }
            // Its handle may be used again.
            Part::End => self
                .extracted
                .extend(self.written.remove(target.name()).expect("it began")),
        }
        true
    }
}

/// Lets a script run over files with this content.
///
/// Steps: which file (2 bits), what (3), joins by another connection (1), its type is said (2); place and length, little-endian;
/// tenths of a second.
fn run(script: &[u8], content: &[u8], subs: Subscriptions, total: u64) -> Told {
    let mut told = Told::default();
    let cfg = FileConfig {
        waiting_limit: WAITING[0],
        waiting_total: WAITING[1],
        most_files: MOST,
        hashes: Hashes {
            sha256: true,
            ..Hashes::default()
        },
        extract: Some(Arc::new(ExtractConfig::new(Vec::new(), 1 << 20, total))),
        ..FileConfig::default()
    };
    let mut files = Files::new(cfg, 1);
    let is_local: IsLocal = Arc::new(|a| a.is_ipv4());
    let conns = [1, 2].map(|n| sensor::event::ConnId {
        uid: Uid::new(0, n),
        ..conn(Proto::Tcp, 80)
    });
    let mut ts = 1_700_000_000_000_000_000;
    for step in script.chunks_exact(STEP) {
        let [what, at_lo, at_hi, len_lo, len_hi, time] = *step else {
            continue;
        };
        ts += u64::from(time) * 100_000_000;
        let at = usize::from(u16::from_le_bytes([at_lo, at_hi])).min(content.len());
        let len = usize::from(u16::from_le_bytes([len_lo, len_hi]));
        let bytes = &content[at..content.len().min(at.saturating_add(len))];
        // In the middle of a file everything is in its place.
        let at = Some(at as u64);
        let piece = match what >> 2 & 7 {
            0..=3 => Piece::Bytes { at, bytes },
            4 => Piece::Unseen {
                at,
                len: bytes.len() as u64,
            },
            5 => Piece::Gap {
                at: None,
                len: bytes.len() as u64,
            },
            6 => Piece::Size(len as u64),
            _ => Piece::End,
        };
        let carrier = Carrier {
            handle: Handle::of(&[&[what & 3]]),
            tag: TAG,
            source: "HTTP",
            c: &conns[usize::from(what >> 5 & 1)],
            is_orig: false,
            depth: 0,
            name: None,
            mime: (what >> 6 != 0).then(|| TYPES[usize::from(what >> 6)]),
        };
        let mut cx = Cx {
            ts,
            subs: &subs,
            is_local: &is_local,
            magic: None,
            out: &mut told,
        };
        let news = files.piece(&carrier, piece, &mut cx);
        assert!(news.fuid.is_some() || news == sensor::file::News::default());
        files.expire(&mut cx);
        // One more piece may wait than there is room for.
        assert!(files.held() <= WAITING[1] + (MOST + 1) as u64 * (content.len() as u64 + 64));
    }
    let mut cx = Cx {
        ts,
        subs: &subs,
        is_local: &is_local,
        magic: None,
        out: &mut told,
    };
    files.finish(&mut cx);
    assert_eq!(files.held(), 0);
    told
}

/// One file, its pieces cut at places that the script chooses, and given in an order that it chooses, some of them twice.
fn pieces(cuts: &[u8], content: &[u8]) -> Vec<u8> {
    let mut script = Vec::new();
    let mut step = |from: usize, to: usize| {
        let (at, len) = ((from as u16).to_le_bytes(), ((to - from) as u16).to_le_bytes());
        script.push([0, at[0], at[1], len[0], len[1], 0]);
    };
    let (mut at, mut n) = (0, 0);
    while at < content.len() {
        let cut = cuts.get(n).copied().unwrap_or(0xff);
        let end = content.len().min(at + 1 + usize::from(cut) * 3);
        step(at, end);
        if cut & 1 != 0 {
            step(at.saturating_sub(usize::from(cut)), end);
        }
        (at, n) = (end, n + 1);
    }
    // A few trade places, in so far as what waits finds room.
    for (n, cut) in cuts.iter().enumerate() {
        let other = n + usize::from(cut >> 6);
        if other < script.len() {
            script.swap(n, other);
        }
    }
    script.concat()
}

fuzz_target!(|data: &[u8]| {
    let [settings, n, rest @ ..] = data else {
        return;
    };
    let subs = match settings & 1 {
        0 => Subscriptions::ALL,
        _ => Subscriptions::NONE,
    };
    let script = usize::from(*n).min(rest.len());
    let (script, content) = rest.split_at(script);
    let content = &content[..content.len().min(0xffff)];
    let in_pieces = settings & 2 != 0;
    let told = match in_pieces {
        true => run(&pieces(script, content), content, subs, u64::MAX),
        false => run(script, content, subs, 1 << (settings >> 2 & 31)),
    };
    assert_eq!(told.began, told.ended);
    assert!(told.written.is_empty());
    for (at, bytes) in &told.extracted {
        let want = content.get(*at as usize..*at as usize + bytes.len());
        // A gap's length says how far a file stands, whatever its place.
        if in_pieces {
            assert_eq!(want, Some(&bytes[..]), "at {at}");
        }
    }
    if !in_pieces || content.is_empty() {
        return;
    }
    let len = content.len() as u16;
    let [lo, hi] = len.to_le_bytes();
    let whole = run(&[0, 0, 0, lo, hi, 0], content, subs, u64::MAX);
    let [file] = &told.files[..] else {
        panic!("one file: {:?}", told.files);
    };
    assert_eq!(file["seen_bytes"] + file["missing_bytes"], u64::from(len));
    if file["missing_bytes"] == 0 {
        assert_eq!((&told.files, &told.digests), (&whole.files, &whole.digests));
        assert_eq!(told.rows, whole.rows);
        let concat = |t: &Told| {
            t.extracted
                .iter()
                .flat_map(|(_, b)| b.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(concat(&told), content);
        assert_eq!(concat(&whole), content);
    }
});
