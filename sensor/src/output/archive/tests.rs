//! Logs that are over, on their way to the archive and back from a crash.

use std::io::Read as _;
use std::time::UNIX_EPOCH;

use super::pack::{partial, unpack};
use super::*;
use crate::output::archived::is_day;
use crate::output::log::{LogFormat, LogWriter, Upkeep};
use crate::output::rotation::Rotation;
use crate::output::scratch::Scratch;
use crate::output::small_disk::small_disk;

const NAME: &str = "conn.2026-01-02-03-04-05.log";

fn names(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for dir in folders(dir) {
        let prefix = if is_day(&dir.file_name().unwrap_or_default().to_string_lossy()) {
            "day/"
        } else {
            ""
        };
        for_each_name(&dir, |n| {
            if !is_day(n) {
                all.push(format!("{prefix}{n}"));
            }
        });
    }
    all.sort();
    all
}

fn text(log: &Path) -> String {
    let mut text = String::new();
    unpack(log)
        .expect("a log")
        .read_to_string(&mut text)
        .expect("text");
    text
}

fn lines(n: usize) -> String {
    (0..n)
        .map(|i| format!("1.5\t10.0.0.{}\trow {i}\n", i % 250))
        .collect()
}

fn plan(packed: Packed) -> ArchivePlan {
    ArchivePlan {
        packed,
        ..ArchivePlan::default()
    }
}

/// A run that finds what is in `dir`, and ends.
fn run(dir: &Path, plan: ArchivePlan) {
    let logs = LogDir::claim(dir).expect("ours");
    let archive = Archive::claim(plan, &logs)
        .expect("ours")
        .expect("something to do");
    let (thread, to) = ArchiveThread::start(archive).expect("a thread");
    let mut writer = LogWriter::new(logs, LogFormat::Tsv).with_upkeep(Upkeep {
        archive: Some(to),
        ..Upkeep::default()
    });
    let aside = writer.dir().put_aside(&["conn.log"]).expect("space");
    writer.archive_old(aside);
    writer.close();
    drop(writer);
    thread.finish_all();
}

#[test]
fn logs_are_packed_and_are_as_they_were() {
    for (packed, ending) in [(Packed::Gzip, "gz"), (Packed::Zstd, "zst")] {
        let dir = Scratch::new(&format!("pack-{ending}"));
        let log = dir.path().join(NAME);
        let written = lines(20_000);
        fs::write(&log, &written).expect("log");
        let old = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let file = fs::File::options().append(true).open(&log).expect("log");
        file.set_modified(old).expect("time");
        fs::write(dir.path().join("mine.log"), "mine").expect("file");
        run(dir.path(), plan(packed));
        let goal = format!("{NAME}.{ending}");
        assert_eq!(names(dir.path()), [goal.as_str(), "mine.log"]);
        let goal = dir.path().join(goal);
        assert_eq!(text(&goal), written);
        let known = fs::metadata(&goal).expect("metadata");
        assert_eq!(known.modified().expect("a time"), old);
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&known.permissions()) & 0o137,
            0
        );
        assert!(known.len() < written.len() as u64 / 4);
        // Packed is packed.
        run(dir.path(), plan(Packed::Zstd));
        assert!(goal.exists());
    }
}

#[test]
fn logs_go_to_the_archive_in_folders_of_days() {
    let (dir, archive) = (Scratch::new("archive-from"), Scratch::new("archive-to"));
    fs::write(dir.path().join(NAME), "one\n").expect("log");
    fs::write(dir.path().join("conn.log"), "#open\t2026-01-02-05-00-00\n").expect("log");
    // There is one of that name, and another text.
    fs::create_dir(archive.path().join("2026-01-02")).expect("folder");
    fs::write(archive.path().join("2026-01-02").join(NAME), "other\n").expect("log");
    let plan = ArchivePlan {
        dir: Some(archive.path().join(".")),
        by_day: true,
        ..plan(Packed::Gzip)
    };
    run(dir.path(), plan);
    assert_eq!(names(dir.path()), <[String; 0]>::default());
    assert_eq!(
        names(archive.path()),
        [
            "day/conn.2026-01-02-03-04-05-1.log.gz",
            "day/conn.2026-01-02-03-04-05.log",
            "day/conn.2026-01-02-05-00-00.log.gz"
        ]
    );
    let moved = archive
        .path()
        .join("2026-01-02/conn.2026-01-02-03-04-05-1.log.gz");
    assert_eq!(text(&moved), "one\n");
}

#[test]
fn an_archive_is_one_sensors() {
    let (one, two, archive) = (Scratch::new("one"), Scratch::new("two"), Scratch::new("both"));
    let plan = |dir: &Path| ArchivePlan {
        dir: Some(dir.to_owned()),
        ..ArchivePlan::default()
    };
    let logs = [&one, &two].map(|d| LogDir::claim(d.path()).expect("ours"));
    let first = Archive::claim(plan(archive.path()), &logs[0]).expect("ours");
    let second = Archive::claim(plan(archive.path()), &logs[1]);
    assert!(matches!(second, Err(LogError::Locked(_))), "{second:?}");
    drop(first);
    // The directory of the logs itself is locked already.
    assert!(
        Archive::claim(plan(one.path()), &logs[0])
            .expect("ours")
            .is_some()
    );
    assert!(
        Archive::claim(ArchivePlan::default(), &logs[0])
            .expect("ours")
            .is_none()
    );
}

#[test]
fn a_run_that_was_killed_while_it_packed_leaves_each_log_once() {
    let written = lines(1000);
    // Killed while it wrote: the log is whole.
    let dir = Scratch::new("killed-writing");
    let (log, goal) = (dir.path().join(NAME), dir.path().join(format!("{NAME}.zst")));
    fs::write(&log, &written).expect("log");
    fs::write(partial(&goal), "half").expect("file");
    let foreign = dir.path().join("mine.partial");
    fs::write(&foreign, "mine").expect("file");
    run(dir.path(), plan(Packed::Zstd));
    assert_eq!(names(dir.path()), [format!("{NAME}.zst"), "mine.partial".into()]);
    assert_eq!(text(&goal), written);
    // Killed before it removed the log, and packed otherwise the next time.
    fs::write(&log, &written).expect("log");
    run(dir.path(), plan(Packed::Gzip));
    assert_eq!(names(dir.path()), [format!("{NAME}.zst"), "mine.partial".into()]);
    // Not the same: both are kept.
    fs::write(&log, lines(999)).expect("log");
    run(dir.path(), plan(Packed::Gzip));
    assert_eq!(
        names(dir.path()),
        [
            "conn.2026-01-02-03-04-05-1.log.gz".to_owned(),
            format!("{NAME}.zst"),
            "mine.partial".into()
        ]
    );
    // Nor is a damaged one a copy.
    let bytes = fs::read(&goal).expect("log");
    fs::write(&goal, &bytes[..bytes.len() / 2]).expect("log");
    fs::write(&log, &written).expect("log");
    run(dir.path(), plan(Packed::Zstd));
    assert_eq!(
        text(&dir.path().join("conn.2026-01-02-03-04-05-2.log.zst")),
        written
    );
}

#[test]
fn a_run_that_ends_leaves_the_log_whole() {
    let dir = Scratch::new("given-up");
    let log = dir.path().join(NAME);
    fs::write(&log, lines(100_000)).expect("log");
    let goal = dir.path().join(format!("{NAME}.gz"));
    let mut chunks = 0;
    let go_on = || {
        chunks += 1;
        chunks < 3
    };
    assert_eq!(
        pack(&log, &goal, Packed::Gzip, go_on).expect("no error"),
        Wrote::GivenUp
    );
    assert_eq!(names(dir.path()), [NAME]);
    assert_eq!(text(&log), lines(100_000));
}

#[test]
fn a_full_disk_leaves_the_log_whole() {
    let dir = Scratch::new("pack-full");
    let path = dir.path().to_owned();
    let test = std::thread::spawn(move || {
        if !small_disk(&path) {
            eprintln!("skipped: mounting a tmpfs needs root");
            return;
        }
        let written = lines(1000);
        let (log, goal) = (path.join(NAME), path.join(format!("{NAME}.gz")));
        fs::write(&log, &written).expect("space");
        let ballast = path.join("ballast");
        assert!(
            fs::write(&ballast, vec![0; 256 << 10]).is_err(),
            "the disk is small"
        );
        pack(&log, &goal, Packed::Gzip, || true).expect_err("no room");
        assert_eq!(names(&path), ["ballast", NAME]);
        assert_eq!(text(&log), written);
        fs::remove_file(&ballast).expect("ballast");
        assert_eq!(
            pack(&log, &goal, Packed::Gzip, || true).expect("room"),
            Wrote::All
        );
        assert_eq!(names(&path), [format!("{NAME}.gz")]);
        assert_eq!(text(&goal), written);
    });
    test.join().expect("the test");
}

/// Each of many logs goes through the queue while others are written.
#[test]
fn what_is_rotated_is_packed_and_said() {
    let dir = Scratch::new("rotated-packed");
    let said = dir.path().join("said");
    let plan = ArchivePlan {
        hook: Some(format!(
            "printf '%s %s\\n' \"$SENSOR_LOG_NAME\" >> '{}' #",
            said.display()
        )),
        ..plan(Packed::Zstd)
    };
    let logs = LogDir::claim(dir.path()).expect("ours");
    let archive = Archive::claim(plan, &logs)
        .expect("ours")
        .expect("something to do");
    let (thread, to) = ArchiveThread::start(archive).expect("a thread");
    let mut writer = LogWriter::new(logs, LogFormat::Tsv).with_upkeep(Upkeep {
        rotation: Rotation {
            every: None,
            bytes: Some(4000),
        },
        archive: Some(to),
        ..Upkeep::default()
    });
    let columns = crate::conn::row::conn_columns(false);
    for n in 0..2000 {
        writer.append(
            "conn",
            columns,
            LogFormat::Tsv,
            format!("row {n}\n").as_bytes(),
            1,
        );
        if n % 100 == 0 {
            writer.flush();
        }
    }
    writer.close();
    drop(writer);
    thread.finish_all();
    let all = names(dir.path());
    let packed: Vec<_> = all.iter().filter(|n| n.ends_with(".log.zst")).collect();
    assert!((2..=6).contains(&packed.len()), "{all:?}");
    assert_eq!(all.len(), packed.len() + 2, "{all:?}");
    let mut rows: Vec<u32> = Vec::new();
    for name in packed.iter().map(|n| n.as_str()).chain(["conn.log"]) {
        let text = text(&dir.path().join(name));
        assert!(
            text.lines().last().is_some_and(|l| l.starts_with("#close\t")),
            "{text}"
        );
        let numbers = text.lines().filter_map(|l| l.strip_prefix("row "));
        rows.extend(numbers.map(|n| n.parse::<u32>().expect("a number")));
    }
    rows.sort_unstable();
    assert_eq!(rows, (0..2000).collect::<Vec<_>>());
    assert_eq!(
        fs::read_to_string(said).expect("a file").lines().count(),
        packed.len()
    );
}
