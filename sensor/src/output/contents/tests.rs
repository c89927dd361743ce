//! Contents files written for real, on a disk with space and on a full one.

use super::*;
use crate::event::Proto;
use crate::output::small_disk::small_disk;

/// A directory that goes away with the value.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let d = std::env::temp_dir().join(format!("sensor-contents-{}-{name}", std::process::id()));
        fs::create_dir_all(&d).expect("directory");
        Dir(d)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn conn(n: u64) -> ConnId {
    ConnId {
        uid: Uid::new(7, n),
        orig_h: "10.0.0.1".parse().expect("address"),
        resp_h: "2001:db8::2".parse().expect("address"),
        orig_p: 4000,
        resp_p: 80,
        proto: Proto::Tcp,
        start: 0,
    }
}

fn read(dir: &Path, n: u64, is_orig: bool) -> Vec<u8> {
    fs::read(dir.join(file_name(&conn(n), is_orig))).expect("file")
}

#[test]
fn a_file_a_direction_and_marks_for_gaps() {
    let dir = Dir::new("plain");
    let mut files = ContentsFiles::create(&dir.0.join("new"), 10).expect("writer");
    for (is_orig, piece) in [
        (true, Piece::Data(b"GET")),
        (false, Piece::Data(b"200")),
        (true, Piece::Missing(12)),
        (true, Piece::Data(b"end")),
        (true, Piece::End),
        (false, Piece::End),
    ] {
        assert_eq!(files.piece(&conn(1), is_orig, piece), None);
    }
    // A connection without payload leaves no file.
    assert_eq!(files.piece(&conn(2), true, Piece::End), None);
    let dir = dir.0.join("new");
    assert_eq!(read(&dir, 1, true), b"GET\n<<gap 12>>\nend");
    assert_eq!(read(&dir, 1, false), b"200");
    let mut names: Vec<_> = fs::read_dir(&dir)
        .expect("directory")
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let base = format!("contents_{}_10.0.0.1:4000-2001:db8::2:80", conn(1).uid);
    assert_eq!(names, [format!("{base}_orig.dat"), format!("{base}_resp.dat")]);
}

/// Descriptors of this process that lead into `dir`.
fn descriptors(dir: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").expect("proc").flatten();
    let targets = links.filter_map(|l| fs::read_link(l.path()).ok());
    targets.filter(|t| t.starts_with(dir)).count()
}

#[test]
fn many_connections_share_few_open_files() {
    const CONNS: u64 = 40;
    const ROUNDS: u64 = 25;
    let dir = Dir::new("many");
    let mut files = ContentsFiles::create(&dir.0, 4).expect("writer");
    for round in 0..ROUNDS {
        for n in 0..CONNS {
            // One of them is busier than the others.
            for who in [n, 0] {
                let line = format!("{round} {n} {}\n", "x".repeat(300));
                assert_eq!(files.piece(&conn(who), true, Piece::Data(line.as_bytes())), None);
            }
            assert!(descriptors(&dir.0) <= 4);
        }
    }
    for n in 0..CONNS {
        assert_eq!(files.piece(&conn(n), true, Piece::End), None);
    }
    assert!(files.files.is_empty() && files.open.is_empty());
    let line = |round, n| format!("{round} {n} {}\n", "x".repeat(300));
    for n in 1..CONNS {
        let want: String = (0..ROUNDS).map(|r| line(r, n)).collect();
        assert!(read(&dir.0, n, true) == want.as_bytes(), "connection {n}");
    }
    let want = (0..ROUNDS).flat_map(|r| (0..CONNS).map(move |n| (r, n)));
    let want: String = want
        .map(|(r, n)| line(r, n).repeat(if n == 0 { 2 } else { 1 }))
        .collect();
    assert!(read(&dir.0, 0, true) == want.as_bytes());
}

#[test]
fn a_full_disk_is_said_once_a_file_and_other_files_go_on() {
    let dir = Dir::new("full");
    let path = dir.0.clone();
    // A thread of its own, as the mount namespace is the thread's.
    let test = std::thread::spawn(move || {
        if !small_disk(&path) {
            eprintln!("skipped: mounting a tmpfs needs root");
            return;
        }
        let mut files = ContentsFiles::create(&path, 2).expect("writer");
        assert_eq!(files.piece(&conn(1), true, Piece::Data(b"before")), None);
        let mut told = Vec::new();
        for _ in 0..100 {
            told.extend(files.piece(&conn(2), false, Piece::Data(&[b'x'; 4096])));
        }
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("No space"), "{told:?}");
        // The first connection's bytes find no room either; that is told at its end.
        let told = files.piece(&conn(1), true, Piece::End);
        assert!(told.is_some_and(|t| t.contains("No space")));
        assert_eq!(files.piece(&conn(2), false, Piece::End), None);
        assert_eq!(files.failed(), 2);
        fs::remove_file(path.join(file_name(&conn(2), false))).expect("the large file");
        assert_eq!(files.piece(&conn(3), true, Piece::Data(b"after")), None);
        assert_eq!(files.piece(&conn(3), true, Piece::End), None);
        assert_eq!(read(&path, 3, true), b"after");
    });
    test.join().expect("the test");
}

#[test]
fn what_fails_while_another_connection_needs_room_is_told_later() {
    let dir = Dir::new("later");
    let full = dir.0.join(file_name(&conn(1), true));
    std::os::unix::fs::symlink("/dev/full", full).expect("link");
    let mut files = ContentsFiles::create(&dir.0, 1).expect("writer");
    assert_eq!(files.piece(&conn(1), true, Piece::Data(b"lost")), None);
    assert_eq!(files.piece(&conn(2), true, Piece::Data(b"kept")), None);
    assert!(files.piece(&conn(1), true, Piece::Data(b"lost")).is_some());
    assert_eq!(files.piece(&conn(1), true, Piece::Data(b"lost")), None);
    assert_eq!(files.piece(&conn(1), true, Piece::End), None);
    assert_eq!(files.piece(&conn(2), true, Piece::End), None);
    assert_eq!(read(&dir.0, 2, true), b"kept");
}
