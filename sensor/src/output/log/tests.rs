//! Log files written for real, on a disk with space and on full ones.

use super::*;
use crate::event::log::Value;
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

/// A directory that goes away with the value.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let d = std::env::temp_dir().join(format!("sensor-log-{}-{name}", std::process::id()));
        fs::create_dir_all(&d).expect("directory");
        Dir(d)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(dir: &Path) -> String {
    fs::read_to_string(dir.join("test.log")).expect("log")
}

#[test]
fn stamps() {
    assert_eq!(stamp(Some(0)), "1970-01-01-00-00-00");
    assert_eq!(stamp(Some(951_782_399_000_000_000)), "2000-02-28-23-59-59");
    assert_eq!(stamp(Some(951_827_696_000_000_000)), "2000-02-29-12-34-56");
    assert_eq!(stamp(Some(1_767_225_599_000_000_000)), "2025-12-31-23-59-59");
}

#[test]
fn tsv_and_json() {
    let dir = Dir::new("formats");
    let mut w = LogWriter::create(&dir.0, Format::Tsv).expect("writer");
    w.set_clock(0);
    w.open("test", COLUMNS).expect("open");
    w.row(&Row(7));
    assert_eq!(w.close(), 0);
    assert_eq!(
        read(&dir.0),
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\ttest\n\
         #open\t1970-01-01-00-00-00\n#fields\tts\tn\ts\n#types\ttime\tcount\tstring\n\
         1.500000\t7\t-\n#close\t1970-01-01-00-00-00\n"
    );
    let mut w = LogWriter::create(&dir.0, Format::Json).expect("writer");
    w.row(&Row(8));
    w.close();
    assert_eq!(read(&dir.0), "{\"ts\":1.500000,\"n\":8}\n");
}

#[test]
fn a_run_without_rows_has_a_log_all_the_same() {
    let dir = Dir::new("empty");
    let mut w = LogWriter::create(&dir.0, Format::Tsv).expect("writer");
    w.open("test", COLUMNS).expect("open");
    w.close();
    let s = read(&dir.0);
    assert!(
        s.contains("#fields\tts\tn\ts\n") && s.contains("\n#close\t"),
        "{s}"
    );
}

#[test]
fn a_directory_that_cannot_be_is_an_error_that_names_it() {
    let dir = Dir::new("file");
    let file = dir.0.join("file");
    fs::write(&file, "").expect("file");
    let e = LogWriter::create(&file.join("logs"), Format::Tsv).expect_err("a file is no directory");
    assert!(
        e.to_string()
            .starts_with(&format!("cannot create log directory {}", file.display())),
        "{e}"
    );
    fs::create_dir(dir.0.join("test.log")).expect("directory");
    let mut w = LogWriter::create(&dir.0, Format::Tsv).expect("writer");
    let e = w.open("test", COLUMNS).expect_err("a directory is no log");
    assert!(e.to_string().starts_with("cannot write "), "{e}");
}

#[test]
fn a_device_that_is_full_loses_rows_and_nothing_else() {
    let dir = Dir::new("devfull");
    std::os::unix::fs::symlink("/dev/full", dir.0.join("test.log")).expect("link");
    let mut w = LogWriter::create(&dir.0, Format::Tsv).expect("writer");
    for n in 0..10_000 {
        w.row(&Row(n));
    }
    w.flush();
    assert_eq!((w.lost(), w.rows()), (10_000, 10_000));
    assert_eq!(w.close(), 10_000);
}

#[test]
fn a_disk_that_fills_up_and_has_space_again_leaves_whole_lines() {
    let dir = Dir::new("tmpfs");
    let path = dir.0.clone();
    // A thread of its own, as the mount namespace is the thread's.
    let test = std::thread::spawn(move || {
        if !small_disk(&path) {
            eprintln!("skipped: mounting a tmpfs needs root");
            return;
        }
        let ballast = path.join("ballast");
        fs::write(&ballast, vec![0; 64 * 1024]).expect("space");
        let mut w = LogWriter::create(&path, Format::Tsv).expect("writer");
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
    let dir = Dir::new("late");
    let path = dir.0.clone();
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
        let mut w = LogWriter::create(&path, Format::Tsv).expect("writer");
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
