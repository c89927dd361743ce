//! Outputs that take nothing, and what that costs whom.
#![allow(unsafe_code, reason = "mkfifo is a system call")]

use std::path::Path;

use super::*;
use crate::event::log::Value;
use crate::event::log_stream::LogStream;
use crate::output::gate::Gate;
use crate::output::log_dir::LogDir;
use crate::output::scratch::Scratch;

struct Row(u64);

impl LogRow for Row {
    fn path(&self) -> &'static str {
        "numbers"
    }
    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[Column::new("n", "count"), Column::new("filler", "string")];
        COLUMNS
    }
    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        out.extend([Value::Count(self.0), Value::Str("x".repeat(1000).into())]);
    }
}

fn start(dir: &Path, patience: &Patience) -> LogThread {
    LogStream::define("numbers", &[("n", "count"), ("filler", "string")]).expect("a stream");
    let writer = LogWriter::new(LogDir::claim(dir).unwrap(), LogFormat::Json);
    LogThread::start(writer, Duration::from_millis(5), patience.clone(), |_| Ok(())).unwrap()
}

#[test]
fn rows_of_two_threads_come_into_one_log_whole() {
    let dir = Scratch::new("outbox-");
    let logs = start(dir.path(), &Patience::default());
    std::thread::scope(|s| {
        for start in [0, 1000] {
            let mut outbox = logs.outbox();
            s.spawn(move || {
                for n in start..start + 1000 {
                    outbox.row(&Row(n));
                }
                outbox.flush();
            });
        }
    });
    assert_eq!(logs.finish(), OutputEnd::Lost(0));
    let text = std::fs::read_to_string(dir.path().join("numbers.log")).unwrap();
    let mut numbers: Vec<u64> = text
        .lines()
        .map(|l| {
            serde_json::from_str::<serde_json::Value>(l).unwrap()["n"]
                .as_u64()
                .unwrap()
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2000).collect::<Vec<_>>());
}

/// A log file that is a pipe which nobody reads: what a stuck file system does to a write.
#[test]
fn a_stuck_log_costs_rows_and_holds_up_nobody() {
    let dir = Scratch::new("outbox-stuck");
    let file = dir.path().join("numbers.log");
    let name = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
    // SAFETY: a terminated string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let patience = Patience::default();
    let logs = start(dir.path(), &patience);
    let mut outbox = logs.outbox();
    // Opening the pipe waits for a reader for ever. 200 MB are more than the queue holds.
    for n in 0..200_000 {
        outbox.row(&Row(n));
    }
    outbox.flush();
    let lost = logs.lost();
    assert!(lost > 50_000 && lost < 200_000, "{lost}");
    // At the end rows wait for room, and all that were not written are counted.
    let ended = Instant::now();
    patience.begin();
    std::thread::spawn({
        let patience = patience.clone();
        move || {
            std::thread::sleep(Duration::from_millis(300));
            patience.end();
        }
    });
    outbox.row(&Row(200_000));
    drop(outbox);
    assert_eq!(logs.finish(), OutputEnd::Stuck(200_001));
    let took = ended.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < FILES_LIMIT.stuck,
        "{took:?}"
    );
}

#[test]
fn a_terminal_that_takes_nothing_costs_lines() {
    let (gate, patience) = (Gate::default(), Patience::default());
    let print = PrintThread::start(gate.clone(), patience.clone()).unwrap();
    let mut outbox = print.outbox();
    let line = "x".repeat(100_000);
    for _ in 0..300 {
        outbox.line(&line);
    }
    print.status("below".into());
    gate.open();
    patience.begin();
    outbox.line("last");
    outbox.flush();
    drop(outbox);
    let OutputEnd::Lost(lost) = print.finish() else {
        panic!("an end")
    };
    // The queue's, and one or two in the thread's hands.
    assert!((300 - 258..=300 - 256).contains(&lost), "{lost}");
    let text = gate.text();
    assert!(text.contains("last\n"), "{}", &text[text.len() - 100..]);
    assert_eq!(text.matches('\n').count() as u64, 301 - lost);
}

#[test]
fn lines_go_above_the_status_line() {
    let (gate, patience) = (Gate::default(), Patience::default());
    gate.open();
    let print = PrintThread::start(gate.clone(), patience.clone()).unwrap();
    let mut outbox = print.outbox();
    print.status("status".into());
    outbox.line("row");
    outbox.flush();
    print.status(String::new());
    drop(outbox);
    assert_eq!(print.finish(), OutputEnd::Lost(0));
    assert_eq!(gate.text(), "\r\x1b[Kstatus\r\x1b[Krow\nstatus\r\x1b[K");
}

#[test]
fn what_a_thread_that_failed_had_is_written() {
    let dir = Scratch::new("outbox-dropped");
    let logs = start(dir.path(), &Patience::default());
    let mut outbox = logs.outbox();
    outbox.row(&Row(1));
    drop(outbox);
    assert_eq!(logs.finish(), OutputEnd::Lost(0));
    let text = std::fs::read_to_string(dir.path().join("numbers.log")).unwrap();
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn what_each_log_was_given_is_counted() {
    let dir = Scratch::new("outbox-counted");
    let logs = start(dir.path(), &Patience::default());
    let (mut one, mut other) = (logs.outbox(), logs.outbox());
    assert!(logs.counts().is_empty());
    one.row(&Row(1));
    other.row(&Row(2));
    other.row(&Row(3));
    assert_eq!(logs.counts()[0].rows(), 0, "they are not handed over yet");
    drop((one, other));
    let counts = logs.counts();
    assert_eq!(counts.len(), 1, "one log, whoever has rows of it");
    assert_eq!(
        (counts[0].path, counts[0].rows(), counts[0].refused()),
        ("numbers", 3, 0)
    );
    assert_eq!(logs.finish(), OutputEnd::Lost(0));
    let text = std::fs::read_to_string(dir.path().join("numbers.log")).unwrap();
    assert_eq!(text.len() as u64, counts[0].bytes());
}
