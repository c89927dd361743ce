//! Log files written for real, on a disk with space and on full ones.

use std::path::Path;

use super::*;
use crate::event::log::Value;
use crate::event::log_stream::LogStream;
use crate::output::archived::Archived;
use crate::output::rotation::Rotation;
use crate::output::scratch::Scratch;
use crate::output::small_disk::small_disk;

struct Row(u64);

const COLUMNS: &[Column] = &[
    Column::new("ts", "time"),
    Column::new("n", "count"),
    Column::new("s", "string"),
];

impl LogRow for Row {
    fn path(&self) -> &'static str {
        "test"
    }
    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }
    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        out.extend([Value::Time(1_500_000_000), Value::Count(self.0), Value::Unset]);
    }
}

fn writer(dir: &Path, format: LogFormat) -> LogWriter {
    let columns: Vec<_> = COLUMNS.iter().map(|c| (c.name, c.typ)).collect();
    LogStream::define("test", &columns).expect("a stream");
    LogWriter::new(LogDir::claim(dir).expect("ours"), format)
}

fn read(dir: &Path) -> String {
    fs::read_to_string(dir.join("test.log")).expect("log")
}

/// The text with `TIME` for the times of `#open` and `#close`, which are those of the test's run.
fn timeless(text: &str) -> String {
    let now = stamp(SystemTime::now());
    let line = |l: &str| match l.split_once('\t') {
        Some((name @ ("#open" | "#close"), at)) => {
            // Within the hour, or a little behind its turn.
            assert!(at.len() == now.len() && at <= &*now && at[..4] == now[..4], "{l}");
            format!("{name}\tTIME\n")
        }
        _ => format!("{l}\n"),
    };
    text.lines().map(line).collect()
}

const HEADER: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\ttest\n\
                      #open\tTIME\n#fields\tts\tn\ts\n#types\ttime\tcount\tstring\n";

#[test]
fn tsv_and_json() {
    let dir = Scratch::new("formats");
    let mut w = writer(dir.path(), LogFormat::Tsv);
    w.open("test", COLUMNS).expect("open");
    w.row(&Row(7));
    assert_eq!(w.close(), 0);
    assert_eq!(
        timeless(&read(dir.path())),
        format!("{HEADER}1.500000\t7\t-\n#close\tTIME\n")
    );
    drop(w);
    let mut w = writer(dir.path(), LogFormat::Json);
    w.row(&Row(8));
    w.close();
    assert_eq!(read(dir.path()), "{\"ts\":1.500000,\"n\":8}\n");
}

#[test]
fn a_run_without_rows_has_a_log_all_the_same() {
    let dir = Scratch::new("empty");
    let mut w = writer(dir.path(), LogFormat::Tsv);
    w.open("test", COLUMNS).expect("open");
    w.close();
    let s = read(dir.path());
    assert!(
        s.contains("#fields\tts\tn\ts\n") && s.contains("\n#close\t"),
        "{s}"
    );
}

#[test]
fn a_directory_that_cannot_be_is_an_error_that_names_it() {
    let dir = Scratch::new("file");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("file");
    let e = LogDir::claim(&file.join("logs")).expect_err("a file is no directory");
    assert!(
        e.to_string()
            .starts_with(&format!("cannot create log directory {}", file.display())),
        "{e}"
    );
    fs::create_dir(dir.path().join("test.log")).expect("directory");
    let mut w = writer(dir.path(), LogFormat::Tsv);
    let e = w.open("test", COLUMNS).expect_err("a directory is no log");
    assert!(e.to_string().starts_with("cannot write "), "{e}");
}

#[test]
fn a_device_that_is_full_loses_rows_and_nothing_else() {
    let dir = Scratch::new("devfull");
    std::os::unix::fs::symlink("/dev/full", dir.path().join("test.log")).expect("link");
    let mut w = writer(dir.path(), LogFormat::Tsv);
    for n in 0..10_000 {
        w.row(&Row(n));
    }
    w.flush();
    assert_eq!((w.lost(), w.rows()), (10_000, 10_000));
    assert_eq!(w.close(), 10_000);
}

#[test]
fn a_disk_that_fills_up_and_has_space_again_leaves_whole_lines() {
    let dir = Scratch::new("tmpfs");
    let path = dir.path().to_owned();
    // A thread of its own, as the mount namespace is the thread's.
    let test = std::thread::spawn(move || {
        if !small_disk(&path) {
            eprintln!("skipped: mounting a tmpfs needs root");
            return;
        }
        let ballast = path.join("ballast");
        fs::write(&ballast, vec![0; 64 * 1024]).expect("space");
        let mut w = writer(&path, LogFormat::Tsv);
        w.open("test", COLUMNS).expect("open");
        let mut n = 0;
        let mut rows = |w: &mut LogWriter, count: u64| {
            for _ in 0..count {
                w.row(&Row(1_000_000 + n));
                n += 1;
            }
            w.flush();
        };
        rows(&mut w, 10_000);
        let lost = w.lost();
        assert!(lost > 0 && lost < 10_000, "{lost}");
        rows(&mut w, 100);
        assert_eq!(w.lost(), lost + 100, "the disk is still full");
        fs::remove_file(&ballast).expect("ballast");
        rows(&mut w, 50);
        assert_eq!(w.lost(), lost + 100, "the disk has space again");
        let total = w.rows();
        let lost = w.close();
        let s = read(&path);
        let rows: Vec<u64> = s
            .lines()
            .filter(|l| !l.starts_with('#'))
            .map(|l| {
                let f: Vec<&str> = l.split('\t').collect();
                assert!(
                    f.len() == 3 && f[0] == "1.500000" && f[1].len() == 7 && f[2] == "-",
                    "half a line: {l}"
                );
                f[1].parse().expect("number")
            })
            .collect();
        assert_eq!(rows.len() as u64 + lost, total);
        assert!(rows.is_sorted());
        assert!(rows.ends_with(&[1_010_149]) && s.lines().last().is_some_and(|l| l.starts_with("#close")));
    });
    test.join().expect("the test");
}

#[test]
fn a_log_that_begins_on_a_full_disk_gets_its_header_later() {
    let dir = Scratch::new("late");
    let path = dir.path().to_owned();
    let test = std::thread::spawn(move || {
        if !small_disk(&path) {
            eprintln!("skipped: mounting a tmpfs needs root");
            return;
        }
        let ballast = path.join("ballast");
        assert!(
            fs::write(&ballast, vec![0; 256 * 1024]).is_err(),
            "the disk is small"
        );
        let mut w = writer(&path, LogFormat::Tsv);
        w.row(&Row(1));
        w.flush();
        assert_eq!(w.lost(), 1);
        fs::remove_file(&ballast).expect("ballast");
        w.row(&Row(2));
        w.close();
        let s = read(&path);
        assert!(
            s.starts_with("#separator") && s.contains("\n1.500000\t2\t-\n#close"),
            "{s}"
        );
    });
    test.join().expect("the test");
}

fn rows(text: &str) -> Vec<u64> {
    let numbers = text.lines().filter(|l| !l.starts_with('#'));
    numbers
        .map(|l| l.split('\t').nth(1).and_then(|n| n.parse().ok()).expect("a row"))
        .collect()
}

#[test]
fn a_log_that_was_moved_away_is_ended_and_begun_anew() {
    let dir = Scratch::new("reopen");
    let mut w = writer(dir.path(), LogFormat::Tsv);
    w.row(&Row(1));
    w.flush();
    let old = dir.path().join("moved");
    fs::rename(dir.path().join("test.log"), &old).expect("moved");
    w.row(&Row(2));
    w.flush();
    w.row(&Row(3));
    w.reopen();
    w.row(&Row(4));
    let old = fs::read_to_string(old).expect("log");
    assert_eq!(rows(&old), [1, 2, 3]);
    assert!(timeless(&old).ends_with("\t3\t-\n#close\tTIME\n"), "{old}");
    // The new one is there before a row is.
    assert_eq!(timeless(&read(dir.path())), HEADER);
    // Nobody has moved this one: it goes on as it is.
    w.reopen();
    assert_eq!((w.close(), w.written(), w.rows()), (0, 4, 4));
    assert_eq!(
        timeless(&read(dir.path())),
        format!("{HEADER}1.500000\t4\t-\n#close\tTIME\n")
    );
}

#[test]
fn what_somebody_put_in_the_place_of_a_moved_log_is_kept() {
    let dir = Scratch::new("replaced");
    let mut w = writer(dir.path(), LogFormat::Json);
    w.row(&Row(1));
    w.flush();
    let log = dir.path().join("test.log");
    fs::rename(&log, dir.path().join("moved")).expect("moved");
    fs::write(&log, "theirs\n").expect("file");
    w.reopen();
    w.row(&Row(2));
    w.close();
    assert_eq!(read(dir.path()), "{\"ts\":1.500000,\"n\":2}\n");
    let texts = fs::read_dir(dir.path()).expect("directory").map(|e| {
        let path = e.expect("entry").path();
        fs::read_to_string(path).expect("text")
    });
    assert!(texts.into_iter().any(|t| t == "theirs\n"), "nothing is lost");
}

/// logrotate's copytruncate.
#[test]
fn a_log_that_is_truncated_goes_on_from_its_begin() {
    let dir = Scratch::new("truncated");
    let mut w = writer(dir.path(), LogFormat::Tsv);
    w.row(&Row(1));
    w.flush();
    let file = File::options()
        .write(true)
        .open(dir.path().join("test.log"))
        .expect("log");
    file.set_len(0).expect("truncated");
    w.row(&Row(2));
    w.close();
    assert_eq!(
        timeless(&read(dir.path())),
        format!("{HEADER}1.500000\t2\t-\n#close\tTIME\n")
    );
}

#[test]
fn a_log_that_is_there_is_not_written_over() {
    let dir = Scratch::new("again");
    for n in 1..=3 {
        let mut w = writer(dir.path(), LogFormat::Tsv);
        w.row(&Row(n));
        w.close();
    }
    let mut all = Vec::new();
    for e in fs::read_dir(dir.path()).expect("directory") {
        all.extend(rows(&fs::read_to_string(e.expect("entry").path()).expect("text")));
    }
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3]);
    assert_eq!(rows(&read(dir.path())), [3]);
}

/// The rows of all logs in a directory, by the files' names.
fn all_rows(dir: &Path) -> Vec<(String, Vec<u64>)> {
    let files = fs::read_dir(dir).expect("directory").map(|e| e.expect("entry"));
    let mut all: Vec<_> = files
        .map(|e| {
            let text = fs::read_to_string(e.path()).expect("text");
            (e.file_name().into_string().expect("text"), rows(&text))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_log_that_is_rotated_has_its_rows_under_its_time() {
    let dir = Scratch::new("rotated");
    let mut w = writer(dir.path(), LogFormat::Tsv);
    w.open("test", COLUMNS).expect("open");
    // It has no rows: it goes on.
    w.rotate();
    assert_eq!(all_rows(dir.path()).len(), 1);
    w.row(&Row(1));
    w.rotate();
    w.row(&Row(2));
    w.rotate();
    w.rotate();
    w.row(&Row(3));
    let opened = w.files[0].opened;
    assert_eq!(w.close(), 0);
    let all = all_rows(dir.path());
    let [(first, one), (second, two), (now, three)] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!((now.as_str(), &three[..]), ("test.log", &[3][..]));
    // In one second or in two.
    let mut found: Vec<_> = [first, second]
        .into_iter()
        .filter_map(|n| Archived::of(n))
        .collect();
    found.sort();
    assert_eq!(found.len(), 2);
    assert!(found[0].opened <= stamp(opened), "{all:?}");
    let mut both = [one.clone(), two.clone()].concat();
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
    for name in [first, second, now] {
        let text = fs::read_to_string(dir.path().join(name)).expect("log");
        let text = timeless(&text);
        assert!(
            text.starts_with(HEADER) && text.ends_with("\n#close\tTIME\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), HEADER.lines().count() + 2, "{text}");
    }
}

#[test]
fn a_large_log_is_rotated() {
    let dir = Scratch::new("large");
    let rotation = Rotation {
        every: None,
        bytes: Some(1000),
    };
    let mut w = writer(dir.path(), LogFormat::Tsv).with_upkeep(Upkeep {
        rotation,
        sync: LogSync::Rotate,
        archive: None,
    });
    for n in 0..500 {
        w.row(&Row(n));
        if n % 10 == 9 {
            w.flush();
        }
    }
    w.close();
    let all = all_rows(dir.path());
    assert!((5..=20).contains(&all.len()), "{} logs", all.len());
    let mut seen: Vec<u64> = all.into_iter().flat_map(|(_, rows)| rows).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..500).collect::<Vec<_>>());
}

#[test]
fn a_moved_log_that_is_to_be_rotated_is_begun_anew() {
    let dir = Scratch::new("moved-rotated");
    let mut w = writer(dir.path(), LogFormat::Json);
    w.row(&Row(1));
    w.flush();
    fs::rename(dir.path().join("test.log"), dir.path().join("moved")).expect("moved");
    w.row(&Row(2));
    w.rotate();
    assert_eq!(read(dir.path()), "");
    assert_eq!(names_of(dir.path()), ["moved", "test.log"]);
}

fn names_of(dir: &Path) -> Vec<String> {
    let files = fs::read_dir(dir).expect("directory").map(|e| e.expect("entry"));
    let mut names: Vec<_> = files
        .map(|e| e.file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

/// Renaming fails: rows go on into the same log.
#[test]
fn a_log_that_cannot_be_rotated_goes_on() {
    let dir = Scratch::new("unrotated");
    let mut w = writer(dir.path(), LogFormat::Tsv);
    w.row(&Row(1));
    w.flush();
    let taken = |n: u32| {
        let again = if n == 0 { String::new() } else { format!("-{n}") };
        format!("test.{}{again}.log", stamp(w.files[0].opened))
    };
    let names: Vec<_> = (0..10_000).map(taken).collect();
    for name in &names {
        fs::write(dir.path().join(name), "").expect("file");
    }
    w.row(&Row(2));
    w.rotate();
    w.row(&Row(3));
    w.close();
    assert_eq!(rows(&read(dir.path())), [1, 2, 3]);
}

#[test]
fn when_logs_are_made_durable_is_said_in_words_or_seconds() {
    for text in ["never", "rotate", "30s"] {
        let sync: LogSync = text.parse().expect(text);
        assert_eq!(sync.to_string(), text);
        let json = serde_json::to_string(&sync).expect("JSON");
        assert_eq!(serde_json::from_str::<LogSync>(&json).expect(&json), sync);
    }
    let seconds: LogSync = serde_json::from_str("5").expect("seconds");
    assert_eq!(seconds.to_string(), "5s");
    for bad in ["\"always\"", "0", "true"] {
        assert!(serde_json::from_str::<LogSync>(bad).is_err(), "{bad}");
    }
}

#[test]
fn two_formats_are_two_files() {
    let dir = Scratch::new("both");
    LogStream::define("test", &[("ts", "time"), ("n", "count"), ("s", "string")]).expect("a stream");
    let style = LogStyle {
        formats: LogFormats::Both,
        tags: LogTags {
            path: true,
            system: Some("tap \"1\"".into()),
        },
    };
    let mut w = LogWriter::new(LogDir::claim(dir.path()).expect("ours"), style);
    w.open("test", COLUMNS).expect("open");
    w.row(&Row(7));
    w.flush();
    assert_eq!((w.lost(), w.rows()), (0, 2));
    assert_eq!(rows(&read(dir.path())), [7]);
    let json = fs::read_to_string(dir.path().join("test.json")).expect("log");
    let line = "{\"_path\":\"test\",\"_system_name\":\"tap \\\"1\\\"\",\"ts\":1.500000,\"n\":7}\n";
    assert_eq!(json, line);
    w.rotate();
    assert_eq!(
        names_of(dir.path())
            .iter()
            .filter(|n| Archived::of(n).is_some())
            .count(),
        2
    );
}
