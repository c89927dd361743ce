//! Files in pieces, and what is said of them.

use std::sync::Arc;

use super::api::{Cx, FileWish, IsLocal, Out, Part, Target};
use super::{Carrier, FileConfig, Files, Handle, Hashes, News, Piece};
use crate::base::time::{MINUTE, SECOND};
use crate::event::log::{LogRow, Value};
use crate::event::{AnalyzerTag, ConnId, Event, Fuid, Subscriptions, Ts, Uid};

mod extracted;
mod wishes;

/// What came out.
struct Told {
    /// One line each: of events where in the file they are about, rows by some columns.
    lines: Vec<String>,
    /// The files that were extracted.
    disk: Vec<OnDisk>,
    /// How many bytes are still taken.
    room: usize,
    /// Where writing fails.
    fails_at: Option<u64>,
    /// What is wanted at the next event of a name.
    wishes: Vec<(&'static str, Vec<FileWish>)>,
    /// What is said that tells files apart, one after the other.
    handles: Vec<Vec<u8>>,
}

/// A file that was extracted; a dot stands for a byte of a hole.
struct OnDisk {
    name: String,
    bytes: Vec<u8>,
    is_over: bool,
}

impl Out for Told {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut json = Vec::new();
        ev.write_json(ts, &mut json);
        let json = String::from_utf8(json).unwrap();
        let args = json.split_once("}").and_then(|(_, rest)| rest.split_once("},"));
        let args = args.map_or("", |(_, args)| args.trim_end_matches('}'));
        let args = if args.contains("offset") { args } else { "" };
        let line = format!("{} {args}", ev.info().name);
        self.lines.push(line.trim().to_owned());
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut values = Vec::new();
        row.values(&mut values);
        let shown = row.columns().iter().zip(&values).filter_map(|(c, v)| match v {
            Value::Count(n) if *n > 0 => Some(format!("{}={n}", c.name)),
            Value::Bool(true) => Some(c.name.to_owned()),
            Value::Str(_) if c.name == "extracted" => Some(c.name.to_owned()),
            Value::List(names) if names.contains(&Value::Str("EXTRACT".into())) => Some("EXTRACT".to_owned()),
            Value::List(names) if names.contains(&Value::Str("ENTROPY".into())) => Some("ENTROPY".to_owned()),
            Value::Double(d) => Some(format!("{}={d}", c.name)),
            Value::Str(s) if matches!(c.name, "mime_type" | "md5") => Some(format!("{}={s}", c.name)),
            _ => None,
        });
        self.lines.push(format!(
            "{}.log {}",
            row.path(),
            shown.collect::<Vec<_>>().join(" ")
        ));
    }
    fn weird(&mut self, _: Ts, name: &'static str, _: &str, addl: &str) {
        self.lines.push(format!("weird {name} {addl}"));
    }
    fn wishes(&mut self, _: Fuid) -> Vec<FileWish> {
        let of_last = |w: &(&str, _)| self.lines.last().is_some_and(|l| l.starts_with(w.0));
        let wanted = self.wishes.iter().position(of_last);
        wanted.map_or_else(Vec::new, |i| self.wishes.remove(i).1)
    }
    fn handle(&mut self) -> Option<Vec<u8>> {
        (!self.handles.is_empty()).then(|| self.handles.remove(0))
    }
    fn extract(&mut self, target: &Arc<Target>, part: Part<'_>) -> bool {
        let known = self
            .disk
            .iter()
            .position(|f| f.name == target.name() && !f.is_over);
        let (at, bytes) = match part {
            Part::Bytes { at, bytes } => (at as usize, bytes),
            Part::End => {
                self.disk[known.expect("it began")].is_over = true;
                return true;
            }
        };
        if bytes.len() > self.room {
            return false;
        }
        self.room -= bytes.len();
        if let Some(at) = self.fails_at {
            target.fail(at);
        }
        let i = known.unwrap_or_else(|| {
            self.disk.push(OnDisk {
                name: target.name().to_owned(),
                bytes: Vec::new(),
                is_over: false,
            });
            self.disk.len() - 1
        });
        let file = &mut self.disk[i].bytes;
        assert!(at >= file.len(), "in order");
        file.resize(at, b'.');
        file.extend_from_slice(bytes);
        true
    }
}

const TAG: AnalyzerTag = AnalyzerTag::new("Analyzer::ANALYZER_HTTP", "http");

fn conn(n: u64) -> ConnId {
    ConnId {
        uid: Uid::new(0, n),
        ..ConnId::sample(80)
    }
}

fn carrier(handle: Handle, c: &ConnId) -> Carrier<'_> {
    Carrier {
        handle,
        tag: TAG,
        source: "HTTP",
        c,
        is_orig: false,
        depth: 0,
        name: None,
        mime: None,
    }
}

/// Files, and what was told of them so far.
struct Bench {
    files: Files,
    told: Told,
    subs: Subscriptions,
    now: Ts,
}

impl Bench {
    fn new(cfg: FileConfig) -> Bench {
        Bench {
            files: Files::new(cfg, 7),
            told: Told {
                lines: Vec::new(),
                disk: Vec::new(),
                room: usize::MAX,
                fails_at: None,
                wishes: Vec::new(),
                handles: Vec::new(),
            },
            subs: Subscriptions::ALL,
            now: SECOND,
        }
    }

    fn with<R>(&mut self, work: impl FnOnce(&mut Files, &mut Cx<'_>) -> R) -> R {
        let is_local: IsLocal = Arc::new(|_| false);
        let mut cx = Cx {
            ts: self.now,
            subs: &self.subs,
            is_local: &is_local,
            out: &mut self.told,
        };
        work(&mut self.files, &mut cx)
    }

    fn piece(&mut self, on: u64, handle: Handle, piece: Piece<'_>) -> News {
        let c = conn(on);
        let carrier = carrier(handle, &c);
        self.with(|files, cx| files.piece(&carrier, piece, cx))
    }

    /// Of the file `a`.
    fn a(&mut self, piece: Piece<'_>) -> News {
        self.piece(1, Handle::of(&[b"a"]), piece)
    }

    /// What was told since the last time.
    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told.lines)
    }
}

fn next(bytes: &[u8]) -> Piece<'_> {
    Piece::Bytes { at: None, bytes }
}

fn at(at: u64, bytes: &[u8]) -> Piece<'_> {
    Piece::Bytes { at: Some(at), bytes }
}

#[test]
fn a_file_is_told_from_its_first_piece_to_its_last() {
    let mut b = Bench::new(FileConfig {
        hashes: Hashes {
            md5: true,
            ..Hashes::default()
        },
        ..FileConfig::default()
    });
    let first = b.a(next(b"%PDF-1.4 "));
    assert!(first.joined && first.reads && first.fuid.is_some());
    assert_eq!(
        b.told(),
        ["get_file_handle", "file_new", "file_over_new_connection",]
    );
    assert!(!b.a(next(b"more")).joined);
    let last = b.a(Piece::End);
    assert_eq!(last.fuid, first.fuid);
    assert_eq!(
        b.told(),
        [
            "file_sniff",
            "file_state_remove",
            "files.log mime_type=application/pdf seen_bytes=13 md5=575f5c37ae3c5fc2073e263015417f6a"
        ]
    );
    assert_eq!(b.a(Piece::End), News::default());
}

#[test]
fn pieces_come_in_any_order() {
    let mut b = Bench::new(FileConfig::default());
    b.a(at(4, b"efgh"));
    b.a(at(2, b"cdef"));
    b.a(Piece::Size(10));
    b.told();
    b.a(at(0, b"ab"));
    assert_eq!(b.told(), Vec::<String>::new(), "eight of ten");
    // The last bytes, some of them a second time.
    b.a(at(6, b"ghij"));
    assert_eq!(
        b.told(),
        [
            "file_sniff",
            "file_state_remove",
            "files.log mime_type=text/plain seen_bytes=10 total_bytes=10",
        ]
    );
}

#[test]
fn a_file_with_a_known_size_ends_by_itself() {
    let mut b = Bench::new(FileConfig::default());
    b.a(Piece::Size(5));
    let last = b.a(next(b"hello"));
    assert!(last.fuid.is_some() && !last.reads);
    assert!(
        b.told()
            .contains(&"files.log seen_bytes=5 total_bytes=5".to_owned())
    );
    // More of it is another file of the same name.
    let again = b.a(next(b"!"));
    assert!(again.joined && again.fuid == last.fuid);
    b.a(Piece::End);
    b.told();
    // One of nothing.
    b.a(Piece::Size(0));
    assert_eq!(b.told().last().map(String::as_str), Some("files.log "));
}

#[test]
fn what_never_came_is_a_gap() {
    let mut b = Bench::new(FileConfig::default());
    b.a(next(b"ab"));
    b.a(Piece::Gap { at: None, len: 8 });
    b.a(next(b"cd"));
    b.a(Piece::End);
    assert_eq!(
        b.told()[3..],
        [
            "file_sniff",
            r#"file_gap "offset":2,"len":8"#,
            "file_state_remove",
            "files.log seen_bytes=4 missing_bytes=8",
        ]
    );
    // Out of order, the hole before what waits is known only at the end.
    b.a(at(5, b"fg"));
    b.a(at(0, b"a"));
    b.a(Piece::End);
    assert_eq!(
        b.told()[3..],
        [
            "file_sniff",
            r#"file_gap "offset":1,"len":4"#,
            "file_state_remove",
            "files.log seen_bytes=3 missing_bytes=4",
        ]
    );
}

#[test]
fn bytes_that_nobody_reads_count_as_seen() {
    let mut b = Bench::new(FileConfig::default());
    assert!(b.a(next(&[0; 100])).reads, "its beginning is still looked at");
    assert!(!b.a(next(&[0; 4000])).reads);
    b.a(Piece::Unseen {
        at: None,
        len: 1 << 30,
    });
    b.a(Piece::Unseen {
        at: Some((1 << 30) + 4200),
        len: 1000,
    });
    b.a(Piece::Unseen {
        at: Some((1 << 30) + 4100),
        len: 100,
    });
    b.a(Piece::End);
    let row = format!("files.log seen_bytes={}", (1 << 30) + 5200);
    assert_eq!(b.told().last(), Some(&row));
}

#[test]
fn too_much_that_waits_is_given_up() {
    let mut b = Bench::new(FileConfig {
        waiting_limit: 1000,
        ..FileConfig::default()
    });
    b.a(at(0, b"a"));
    b.a(at(101, &[b'b'; 500]));
    b.a(at(701, &[b'c'; 500]));
    b.told();
    b.a(at(2000, b"d"));
    assert_eq!(
        b.told(),
        [
            "file_sniff",
            r#"file_gap "offset":1,"len":100"#,
            r#"file_gap "offset":601,"len":100"#,
            r#"file_reassembly_overflow "offset":1,"skipped":200"#,
        ]
    );
    b.a(Piece::End);
    let row = "files.log seen_bytes=1002 missing_bytes=999 overflow_bytes=200";
    assert_eq!(b.told().last().map(String::as_str), Some(row));
}

#[test]
fn what_is_kept_in_order_is_bounded_in_all_files_together() {
    let mut b = Bench::new(FileConfig {
        kept_total: 20_000,
        ..FileConfig::default()
    });
    // Answers of OCSP that do not end, by their beginning.
    let head =
        b"0\x82\x01\xd3\x0a\x01\0\xa0\x82\x01\xcc0\x82\x01\xc8\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01";
    let answer = [&head[..], &vec![0; 5000 - head.len()]].concat();
    for n in 0..100u8 {
        b.piece(1, Handle::of(&[&[n]]), next(&answer));
        assert!(b.files.kept() <= 25_000);
    }
    assert_eq!(
        b.files.kept(),
        25_000,
        "it was not more than 20000 before the fifth"
    );
    // Beginnings, and a long name.
    assert!(!b.a(next(b"%PDF-1.4 ")).reads, "it was looked at early");
    assert!(b.told().contains(&"file_sniff".to_owned()));
    let (c, name) = (conn(1), [b'n'; 1000]);
    let carrier = Carrier {
        name: Some(&name),
        ..carrier(Handle::of(&[b"named"]), &c)
    };
    b.with(|files, cx| files.piece(&carrier, Piece::Size(10), cx));
    assert_eq!(b.files.kept(), 25_000);
    assert!(!b.piece(1, Handle::of(&[&[4]]), next(b"more")).reads);
    assert_eq!(b.files.kept(), 20_000);
    // An executable with many sections.
    let mut exe = [&b"MZ"[..], &[0; 58], &[64, 0, 0, 0], b"PE\0\0", &[0xff; 20]].concat();
    exe.resize(30_000, 0);
    b.piece(1, Handle::of(&[b"exe"]), next(&exe));
    assert_eq!(
        b.files.kept(),
        20_000 + 30_000,
        "also the header for DOS, to be told"
    );
    b.piece(1, Handle::of(&[b"exe"]), next(&exe));
    assert_eq!(b.files.kept(), 20_000);
    b.with(|files, cx| files.finish(cx));
    assert_eq!(b.files.kept(), 0);
}

#[test]
fn files_that_are_over_are_forgotten_while_an_older_one_goes_on() {
    let mut b = Bench::new(FileConfig::default());
    b.a(next(b"a"));
    for n in 0..10_000u64 {
        b.now += 1;
        b.piece(1, Handle::of(&[&n.to_be_bytes()]), next(b"b"));
        b.piece(1, Handle::of(&[&n.to_be_bytes()]), Piece::End);
        b.told();
        assert!(b.files.queued() < 1100);
    }
}

#[test]
fn what_waits_in_all_files_together_is_bounded() {
    let mut b = Bench::new(FileConfig {
        waiting_total: 10_000,
        ..FileConfig::default()
    });
    for n in 0..100u64 {
        for i in 0..4 {
            b.piece(n, Handle::of(&[&n.to_be_bytes()]), at(10 + 2000 * i, &[0; 1000]));
        }
        let held = b.with(|files, _| files.held());
        assert!(held < 12_000, "{held}");
    }
}

#[test]
fn a_file_of_several_connections_has_a_row_for_each() {
    let mut b = Bench::new(FileConfig::default());
    let a = Handle::of(&[b"a"]);
    b.piece(1, a, at(0, b"abc"));
    let second = b.piece(2, a, at(3, b"def"));
    assert!(second.joined);
    assert!(!b.piece(2, a, at(6, b"ghi")).joined);
    b.piece(2, a, Piece::End);
    let told = b.told();
    assert_eq!(
        told.iter().filter(|l| *l == "file_over_new_connection").count(),
        2
    );
    assert_eq!(told.iter().filter(|l| *l == "files.log seen_bytes=9").count(), 2);
}

#[test]
fn a_silent_file_times_out() {
    let mut b = Bench::new(FileConfig::default());
    b.a(next(b"a"));
    b.now += MINUTE;
    b.a(next(b"b"));
    b.told();
    b.now = SECOND + 2 * MINUTE;
    assert_eq!(b.with(|files, _| files.next()), Some(b.now));
    b.with(Files::expire);
    assert_eq!(b.told(), Vec::<String>::new(), "silent for a minute");
    b.now += 2 * MINUTE;
    b.with(Files::expire);
    assert_eq!(
        b.told(),
        [
            "file_timeout",
            "file_sniff",
            "file_state_remove",
            "files.log seen_bytes=2 timedout",
        ]
    );
    assert_eq!(b.with(|files, _| files.next()), None);
}

#[test]
fn what_is_open_at_the_end_of_input_has_timed_out() {
    let mut b = Bench::new(FileConfig::default());
    b.a(next(b"a"));
    b.piece(1, Handle::of(&[b"b"]), next(b"b"));
    b.piece(1, Handle::of(&[b"b"]), Piece::End);
    b.told();
    b.with(Files::finish);
    assert_eq!(b.told()[0], "file_timeout");
    b.with(Files::finish);
    assert_eq!(b.told(), Vec::<String>::new());
}

#[test]
fn there_are_so_many_files_and_no_more() {
    let mut b = Bench::new(FileConfig {
        most_files: 10,
        ..FileConfig::default()
    });
    for n in 0..20u64 {
        let news = b.piece(n, Handle::of(&[&n.to_be_bytes()]), next(b"x"));
        assert_eq!(news.fuid.is_some(), n < 10);
    }
    assert_eq!(b.with(|files, _| files.no_room()), 10);
    let weird = |l: &&String| l.starts_with("weird too_many_files");
    assert_eq!(b.told().iter().filter(weird).count(), 10);
}

#[test]
fn digests_are_of_whole_files_only() {
    let mut b = Bench::new(FileConfig {
        hashes: Hashes {
            md5: true,
            sha1: true,
            sha256: true,
        },
        ..FileConfig::default()
    });
    b.a(next(b"ab"));
    b.a(next(b"c"));
    b.a(Piece::End);
    assert!(
        b.told()
            .last()
            .is_some_and(|l| l.ends_with("md5=900150983cd24fb0d6963f7d28e17f72"))
    );
    b.a(next(b"ab"));
    b.a(Piece::Gap { at: None, len: 1 });
    b.a(Piece::End);
    assert!(b.told().last().is_some_and(|l| !l.contains("md5")));
}

#[test]
fn executables_are_told_of_while_they_come() {
    let mut file = vec![0; 64 + 24];
    file[..2].copy_from_slice(b"MZ");
    file[60] = 64;
    file[64..68].copy_from_slice(b"PE\0\0");
    let mut b = Bench::new(FileConfig::default());
    b.a(next(&file));
    b.a(next(&[0xcc; 5000]));
    let told = b.told();
    let own: Vec<_> = told
        .iter()
        .filter(|l| l.starts_with("pe_") || *l == "file_sniff")
        .collect();
    assert_eq!(
        own,
        ["file_sniff", "pe_dos_header", "pe_dos_code", "pe_file_header"]
    );
    b.a(Piece::End);
}

#[test]
fn ocsp_is_told_when_all_of_it_has_come() {
    let response = super::x509::ocsp::tests::response(&[0x80, 0]);
    let mut b = Bench::new(FileConfig::default());
    b.a(next(&response[..50]));
    b.a(next(&response[50..]));
    let own = |b: &mut Bench| {
        let told = b.told();
        told.iter()
            .map(|l| l.split(' ').next().unwrap_or_default().to_owned())
            .filter(|l| l.starts_with("ocsp"))
            .collect::<Vec<_>>()
    };
    assert_eq!(own(&mut b), [""; 0]);
    b.a(Piece::End);
    let expected = [
        "ocsp_response_status",
        "ocsp_response_certificate",
        "ocsp.log",
        "ocsp_response_bytes",
        "ocsp_extension",
    ];
    assert_eq!(own(&mut b), expected);
    // A request for the certificate 7.
    let request = b"\x30\x1a\x30\x18\x30\x16\x30\x14\x30\x12\x30\x07\x06\x05\x2b\x0e\x03\x02\x1a\x04\x01\x01\
        \x04\x01\x02\x02\x01\x07";
    b.a(next(request));
    b.a(Piece::End);
    assert_eq!(own(&mut b), ["ocsp_request", "ocsp_request_certificate"]);
    b.subs = Subscriptions::NONE;
    b.a(next(request));
    b.a(Piece::End);
    let row = b.told().concat();
    assert!(
        row.starts_with("files.log mime_type=application/ocsp-request"),
        "{row}"
    );
}

#[test]
fn entropy_is_of_whole_files_only() {
    let mut b = Bench::new(FileConfig {
        entropy: true,
        ..FileConfig::default()
    });
    b.a(next(b"ab"));
    b.a(next(b"cd"));
    b.a(Piece::End);
    let told = b.told();
    let [.., entropy, "file_state_remove", row] = told.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(entropy, "file_entropy");
    assert!(row.ends_with("ENTROPY seen_bytes=4 entropy=2"), "{row}");
    // A file with a gap has none, nor has one of no bytes.
    b.a(next(b"ab"));
    b.a(Piece::Gap { at: None, len: 1 });
    b.a(Piece::End);
    b.a(Piece::Size(3));
    b.a(Piece::End);
    assert!(b.told().iter().all(|l| !l.contains("entropy")));
}

#[test]
fn an_offset_beyond_all_files_is_a_weird() {
    let mut b = Bench::new(FileConfig::default());
    b.a(at(u64::MAX - 2, b"abcdef"));
    assert!(
        b.told()
            .contains(&"weird file_offset_overflow offset=fffffffffffffffd len=6".to_owned())
    );
    b.a(Piece::Gap {
        at: Some(5),
        len: u64::MAX,
    });
    b.a(Piece::End);
}
