//! Extracted files written for real, on a disk with space and on a full one, and what waits for the disk.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::output::scratch::Scratch;
use crate::output::small_disk::small_disk;

fn target(name: &str) -> Arc<Target> {
    Arc::new(Target::new(name.to_owned()))
}

fn bytes(at: u64, bytes: &[u8]) -> Part<'_> {
    Part::Bytes { at, bytes }
}

fn started(dir: &Path) -> (ExtractOutbox, ExtractThread) {
    let thread = ExtractThread::start(dir, WhenFull::Wait, Patience::default()).expect("thread");
    (thread.outbox(), thread)
}

/// An outbox whose parts nobody takes until the writer runs.
fn idle(dir: &Path, when_full: WhenFull) -> (ExtractOutbox, Writer, Receiver<Batch>) {
    let (queue, batches) = channel();
    let writer = Writer::new(dir, 2, Arc::default());
    let outbox = ExtractOutbox {
        queue,
        account: writer.account.clone(),
        when_full,
        patience: Patience::default(),
        batch: Batch::default(),
    };
    (outbox, writer, batches)
}

#[test]
fn a_file_has_its_bytes_where_they_belong() {
    let dir = Scratch::new("extract-plain");
    let inside = dir.path().join("new");
    let (mut outbox, thread) = started(&inside);
    let (a, b) = (target("a"), target("b"));
    assert!(outbox.part(&a, bytes(0, b"be")));
    assert!(outbox.part(&a, bytes(2, b"gin")));
    assert!(outbox.part(&b, bytes(100_000, b"late")));
    assert!(outbox.part(&a, bytes(8, b"end")));
    assert!(outbox.part(&a, Part::End) && outbox.part(&b, Part::End));
    drop(outbox);
    assert_eq!(thread.finish(), ExtractEnd::Failed(0));
    assert_eq!(fs::read(inside.join("a")).expect("file"), b"begin\0\0\0end");
    let b = fs::metadata(inside.join("b")).expect("file");
    assert_eq!((b.len(), b.permissions().mode() & 0o777), (100_004, 0o600));
    // What was not there is not written: a hole.
    assert!(std::os::unix::fs::MetadataExt::blocks(&b) < 100);
}

#[test]
fn nothing_is_written_over_nor_through_a_link() {
    let dir = Scratch::new("extract-there");
    let at = |name: &str| dir.path().join(name);
    fs::write(at("old"), "old").expect("file");
    std::os::unix::fs::symlink(at("elsewhere"), at("link")).expect("link");
    let (mut outbox, thread) = started(dir.path());
    let targets = ["old", "link", "new"].map(target);
    for t in &targets {
        assert!(outbox.part(t, bytes(0, b"new")));
        outbox.flush();
    }
    while targets[1].failed_at().is_none() {
        std::thread::sleep(LOOK_EVERY);
    }
    // Once it is known, no more is taken.
    assert!(!outbox.part(&targets[0], bytes(3, b"er")));
    assert!(outbox.part(&targets[2], bytes(3, b"er")));
    drop(outbox);
    assert_eq!(thread.finish(), ExtractEnd::Failed(2));
    assert_eq!(targets.map(|t| t.failed_at()), [Some(0), Some(0), None]);
    assert_eq!(fs::read(at("old")).expect("file"), b"old");
    assert_eq!(fs::read(at("new")).expect("file"), b"newer");
    assert!(!at("elsewhere").exists());
}

#[test]
fn many_files_share_few_that_are_open() {
    const FILES: usize = 20;
    let dir = Scratch::new("extract-many");
    let (mut outbox, mut writer, batches) = idle(dir.path(), WhenFull::Drop);
    let targets: Vec<_> = (0..FILES).map(|n| target(&n.to_string())).collect();
    for round in 0..10 {
        for t in &targets {
            assert!(outbox.part(t, bytes(round * 3, format!("{round:02},").as_bytes())));
        }
    }
    outbox.flush();
    while let Ok(batch) = batches.try_recv() {
        writer.batch(&batch);
        assert!(writer.files.values().filter(|f| f.file.is_some()).count() <= 2);
    }
    for t in &targets {
        outbox.part(t, Part::End);
    }
    drop(outbox);
    while let Ok(batch) = batches.try_recv() {
        writer.batch(&batch);
    }
    assert!(writer.files.is_empty() && writer.open.is_empty());
    for t in &targets {
        let text = fs::read_to_string(dir.path().join(t.name())).expect("file");
        assert_eq!(text, "00,01,02,03,04,05,06,07,08,09,");
    }
}

#[test]
fn what_finds_no_room_live_is_cut_off() {
    let dir = Scratch::new("extract-full");
    let (mut outbox, writer, batches) = idle(dir.path(), WhenFull::Drop);
    let (a, piece) = (target("a"), vec![7; 1 << 20]);
    let taken = (0..).find(|n| !outbox.part(&a, bytes(n << 20, &piece)));
    let taken = taken.expect("a bound");
    assert!(taken >= 60 && taken << 20 <= MAX_WAITING, "{taken}");
    assert_eq!(outbox.account.refused.load(Ordering::Relaxed), 1);
    outbox.part(&a, Part::End);
    let account = outbox.account.clone();
    drop(outbox);
    writer.run(&batches);
    assert_eq!(account.waiting.load(Ordering::Relaxed), 0);
    let written = fs::metadata(dir.path().join("a")).expect("file");
    assert_eq!(written.len(), taken << 20);
}

#[test]
fn offline_who_has_more_waits() {
    let dir = Scratch::new("extract-wait");
    let (mut outbox, writer, batches) = idle(dir.path(), WhenFull::Wait);
    let giver = std::thread::spawn(move || {
        let (a, piece) = (target("a"), vec![7; 1 << 20]);
        assert!((0..80).all(|n| outbox.part(&a, bytes(n << 20, &piece))));
        outbox.part(&a, Part::End);
    });
    std::thread::sleep(Duration::from_millis(100));
    assert!(!giver.is_finished());
    writer.run(&batches);
    giver.join().expect("all was taken");
    let written = fs::metadata(dir.path().join("a")).expect("file");
    assert_eq!(written.len(), 80 << 20);
}

#[test]
fn a_full_disk_ends_its_file_and_no_other() {
    let dir = Scratch::new("extract-disk");
    let path = dir.path().to_owned();
    // A thread of its own, as the mount namespace is the thread's.
    let test = std::thread::spawn(move || {
        if !small_disk(&path) {
            eprintln!("skipped: mounting a tmpfs needs root");
            return;
        }
        let (mut outbox, thread) = started(&path);
        let (large, small) = (target("large"), target("small"));
        for n in 0..100 {
            outbox.part(&large, bytes(n * 4096, &[7; 4096]));
        }
        outbox.part(&large, Part::End);
        outbox.flush();
        while large.failed_at().is_none() {
            std::thread::sleep(LOOK_EVERY);
        }
        let left = fs::metadata(path.join("large")).expect("file").len();
        assert_eq!(large.failed_at(), Some(left));
        fs::remove_file(path.join("large")).expect("file");
        outbox.part(&small, bytes(0, b"after"));
        outbox.part(&small, Part::End);
        drop(outbox);
        assert_eq!(thread.finish(), ExtractEnd::Failed(1));
        assert_eq!(fs::read(path.join("small")).expect("file"), b"after");
    });
    test.join().expect("the test");
}

#[test]
fn a_place_that_takes_no_files_is_refused() {
    let dir = Scratch::new("extract-no-place");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("file");
    for place in [&file, &file.join("below")] {
        let started = ExtractThread::start(place, WhenFull::Wait, Patience::default());
        assert!(started.is_err(), "{}", place.display());
    }
}
