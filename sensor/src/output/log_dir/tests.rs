//! Old logs, other people's files, and a second sensor in the same directory.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::output::scratch::Scratch;

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("directory");
    let mut names: Vec<String> = entries
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A file that was last written at `secs`.
fn old(path: &Path, text: &str, secs: u64) {
    fs::write(path, text).expect("file");
    let at = UNIX_EPOCH + Duration::from_secs(secs);
    let file = File::options().append(true).open(path).expect("file");
    file.set_modified(at).expect("time");
}

#[test]
fn half_a_line_is_cut_off() {
    let dir = Scratch::new("half-line");
    let log = dir.path().join("conn.log");
    let long = "x".repeat(200_000);
    for (text, whole) in [
        ("a\nb\nhal".to_owned(), "a\nb\n".to_owned()),
        ("a\nb\n".to_owned(), "a\nb\n".to_owned()),
        (format!("a\n{long}"), "a\n".to_owned()),
        (format!("{long}\nb"), format!("{long}\n")),
        ("none".to_owned(), String::new()),
    ] {
        fs::write(&log, text).expect("written");
        cut_half_line(&log).expect("cut");
        assert_eq!(fs::read_to_string(&log).expect("read"), whole);
    }
}

#[test]
fn old_logs_are_renamed_to_when_they_were_opened() {
    let dir = Scratch::new("aside");
    let at = |name: &str| dir.path().join(name);
    let header = "#separator \\x09\n#path\tconn\n#open\t2025-12-31-23-59-59\n#fields\tts\n1.0\n";
    old(&at("conn.log"), header, 1_000_000_000);
    old(&at("dns.log"), "{\"ts\":5.0}\n", 951_827_696);
    old(&at("ssl.log"), "#open\t../../etc/passwd\n", 951_827_696);
    old(&at("weird.log"), "", 5);
    old(&at("foreign.log"), "theirs", 5);
    old(&at("conn.2025-12-31-23-59-58.log"), "older", 5);
    let logs = LogDir::claim(dir.path()).expect("ours");
    logs.put_aside(&["conn.log", "dns.log", "ssl.log", "weird.log", "x509.log"])
        .expect("space");
    assert_eq!(
        names(dir.path()),
        [
            "conn.2025-12-31-23-59-58.log",
            "conn.2025-12-31-23-59-59.log",
            "dns.2000-02-29-12-34-56.log",
            "foreign.log",
            "ssl.2000-02-29-12-34-56.log",
            "weird.log",
        ]
    );
    let kept = fs::read_to_string(at("conn.2025-12-31-23-59-59.log")).expect("log");
    assert_eq!(kept, header);
    // The same second again, and again: nothing is written over.
    for _ in 0..2 {
        old(&at("conn.log"), header, 5);
        logs.put_aside(&["conn.log"]).expect("space");
    }
    assert_eq!(
        names(dir.path())[..4],
        [
            "conn.2025-12-31-23-59-58.log",
            "conn.2025-12-31-23-59-59-1.log",
            "conn.2025-12-31-23-59-59-2.log",
            "conn.2025-12-31-23-59-59.log",
        ]
    );
}

#[test]
fn a_new_log_is_for_owner_and_group_and_puts_an_old_one_aside() {
    let dir = Scratch::new("create");
    let logs = LogDir::claim(dir.path()).expect("ours");
    // SAFETY: sets this process's mask and touches no memory.
    let mask = unsafe { libc::umask(0o022) };
    let file = logs.create("conn.log").expect("file");
    // SAFETY: as above.
    unsafe { libc::umask(mask) };
    assert_eq!(
        file.metadata().expect("metadata").permissions().mode() & 0o777,
        MODE
    );
    old(&logs.file("conn.log"), "x", 951_827_696);
    let file = logs.create("conn.log").expect("file");
    assert_eq!(file.metadata().expect("metadata").len(), 0);
    assert_eq!(names(dir.path()), ["conn.2000-02-29-12-34-56.log", "conn.log"]);
}

#[test]
fn a_directory_is_one_sensors() {
    let dir = Scratch::new("lock");
    let first = LogDir::claim(dir.path()).expect("ours");
    let e = LogDir::claim(dir.path()).expect_err("taken");
    assert!(matches!(&e, LogError::Locked(_)), "{e}");
    assert!(e.to_string().contains(&*dir.path().to_string_lossy()), "{e}");
    drop(first);
    LogDir::claim(dir.path()).expect("free again");
    assert_eq!(
        names(dir.path()),
        <[String; 0]>::default(),
        "the lock leaves nothing"
    );
    // Where a directory cannot be locked, a file in it is.
    let at = dir.path().join(LOCK_FILE);
    let first = DirLock(lock_file(&at).expect("ours"));
    let e = lock_file(&at).expect_err("taken");
    assert_eq!(e.raw_os_error(), Some(libc::EWOULDBLOCK));
    drop(first);
    lock_file(&at).expect("free again");
}
