//! The stream to a slow reader, a fast one and one that leaves.

use super::*;
use crate::event;
use crate::output::gate::Gate;
use crate::output::scratch::Scratch;

fn weird(s: &mut EventStream, n: u64) {
    s.event(
        n * 1_000_000_000,
        &event::NetWeird {
            name: &format!("weird_{n}"),
        },
    );
}

fn opened(target: &str, rotation: Rotation) -> EventStream {
    let patience = Patience::default();
    EventStream::open(target, Subscriptions::ALL, rotation, WhenFull::Drop, patience).expect("stream")
}

#[test]
fn only_what_was_asked_for_in_order() {
    let gate = Gate::default();
    gate.open();
    let subs = Subscriptions::NONE.with(event::NetWeird::KIND);
    let mut s = EventStream::new(gate.clone(), subs, WhenFull::Wait).expect("stream");
    s.event(0, &event::BroInit {});
    for n in 0..20_000 {
        weird(&mut s, n);
    }
    assert_eq!(
        s.finish().expect("whole"),
        StreamTotals {
            written: 20_000,
            dropped: 0
        }
    );
    let text = gate.text();
    assert_eq!(text.lines().count(), 20_000);
    for (n, l) in text.lines().enumerate() {
        assert_eq!(
            l,
            format!("{{\"event\":\"net_weird\",\"ts\":{n}.000000,\"args\":{{\"name\":\"weird_{n}\"}}}}")
        );
    }
}

#[test]
fn a_slow_reader_live_is_told_what_it_missed() {
    let gate = Gate::default();
    let mut s = EventStream::new(gate.clone(), Subscriptions::ALL, WhenFull::Drop).expect("stream");
    let total = 200_000;
    for n in 0..total {
        weird(&mut s, n);
    }
    // Nobody has read a byte and the engine is here all the same.
    assert!(s.totals().dropped > 0);
    gate.open();
    let t = s.finish().expect("whole");
    assert_eq!(t.written + t.dropped, total);
    let (mut seen, mut missed, mut next) = (0, 0, 0);
    for l in gate.text().lines() {
        let v: serde_json::Value = serde_json::from_str(l).expect("valid JSON");
        if v["event"] == "events_dropped" {
            missed += v["args"]["count"].as_u64().expect("number");
        } else {
            let n = v["ts"].as_f64().expect("time") as u64;
            assert!(n >= next);
            next = n + 1;
            seen += 1;
        }
    }
    assert_eq!((seen, missed), (t.written, t.dropped));
}

#[test]
fn a_slow_reader_offline_misses_nothing() {
    let gate = Gate::default();
    let mut s = EventStream::new(gate.clone(), Subscriptions::ALL, WhenFull::Wait).expect("stream");
    let opener = gate.clone();
    let t = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        opener.open();
    });
    for n in 0..200_000 {
        weird(&mut s, n);
    }
    assert_eq!(
        s.finish().expect("whole"),
        StreamTotals {
            written: 200_000,
            dropped: 0
        }
    );
    t.join().expect("opener");
    assert_eq!(gate.text().lines().count(), 200_000);
}

#[test]
fn a_reader_that_leaves_ends_the_stream_and_not_the_sensor() {
    let (reader, writer) = io::pipe().expect("pipe");
    let mut s = EventStream::new(writer, Subscriptions::ALL, WhenFull::Wait).expect("stream");
    drop(reader);
    for n in 0..200_000 {
        weird(&mut s, n);
    }
    assert!(s.ended());
    assert!(matches!(s.finish(), Err(StreamError::ReaderGone)));
    let full = File::options().write(true).open("/dev/full").expect("device");
    let mut s = EventStream::new(full, Subscriptions::ALL, WhenFull::Wait).expect("stream");
    weird(&mut s, 1);
    assert!(matches!(s.finish(), Err(StreamError::Write(_))));
}

#[test]
fn a_reader_that_never_reads_does_not_keep_a_live_sensor_from_ending() {
    let gate = Gate::default();
    let mut s = EventStream::new(gate.clone(), Subscriptions::ALL, WhenFull::Drop).expect("stream");
    for n in 0..200_000 {
        weird(&mut s, n);
    }
    let ledger = s.ledger.clone();
    let Err(StreamError::ReaderStuck(lost)) = s.finish() else {
        panic!("nobody reads");
    };
    let dropped = ledger.dropped.load(Ordering::Relaxed);
    assert_eq!(dropped + lost, 200_000, "{dropped} dropped before");
    gate.open();
}

/// Handed over often, a queue of buffers holds little; a short pause of the reader is no reason to drop events.
#[test]
fn a_short_pause_of_the_reader_costs_nothing_however_small_the_buffers_are() {
    let gate = Gate::default();
    let subs = Subscriptions::NONE.with(event::NetWeird::KIND);
    let mut s = EventStream::new(gate.clone(), subs, WhenFull::Drop).expect("stream");
    for n in 0..1000 {
        weird(&mut s, n);
        s.flush();
    }
    assert_eq!(s.dropped(), 0);
    gate.open();
    let totals = s.finish().expect("whole");
    assert_eq!((totals.written, totals.dropped), (1000, 0));
    assert_eq!(gate.text().lines().count(), 1000);
}

/// A directory entry that is a pipe without a reader.
fn pipe(path: &Path) {
    let name = std::ffi::CString::new(path.to_str().expect("text")).expect("no NUL");
    // SAFETY: a terminated string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

#[test]
fn a_pipe_that_nobody_reads_yet_is_not_waited_for() {
    let dir = Scratch::new("pipe");
    let path = dir.path().join("events");
    pipe(&path);
    let target = path.to_str().expect("text");
    let mut s = opened(target, Rotation::default());
    for n in 0..1000 {
        weird(&mut s, n);
        s.flush();
    }
    let reader = std::thread::spawn(move || fs::read_to_string(path).expect("text"));
    let totals = s.finish().expect("whole");
    assert_eq!((totals.written, totals.dropped), (1000, 0));
    assert_eq!(reader.join().expect("reader").lines().count(), 1000);
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew_between_lines() {
    let dir = Scratch::new("moved-events");
    let (path, moved) = (dir.path().join("events"), dir.path().join("moved"));
    fs::write(&path, "of an earlier run").expect("file");
    let target = path.to_str().expect("text");
    let mut s = opened(target, Rotation::default());
    weird(&mut s, 0);
    s.flush();
    while fs::metadata(&path).expect("file").len() == 0 {
        std::thread::sleep(LOOK_EVERY);
    }
    fs::rename(&path, &moved).expect("moved");
    s.reopen();
    weird(&mut s, 1);
    s.finish().expect("whole");
    for (file, name) in [(moved, "weird_0"), (path, "weird_1")] {
        let text = fs::read_to_string(file).expect("text");
        assert!(text.contains(name) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn kinds_are_counted_on_request_and_by_all_fronts() {
    let gate = Gate::default();
    gate.open();
    let mut s = EventStream::new(gate.clone(), Subscriptions::ALL, WhenFull::Wait).expect("stream");
    weird(&mut s, 0);
    assert!(s.kinds().is_empty(), "nobody asked");
    s.count_kinds();
    let mut front = s.another().expect("another front");
    for n in 1..4 {
        weird(&mut front, n);
    }
    weird(&mut s, 4);
    s.event(5, &event::BroInit {});
    assert!(s.kinds().is_empty(), "a front counts for itself");
    front.flush();
    assert_eq!(s.kinds(), [(event::NetWeird::KIND, 3)]);
    s.flush();
    let mut kinds = s.kinds();
    kinds.sort();
    let mut expected = [(event::NetWeird::KIND, 4), (event::BroInit::KIND, 1)];
    expected.sort();
    assert_eq!(kinds, expected);
    front.finish().expect("whole");
    s.finish().expect("whole");
}

/// The names of the files in a directory, and their texts.
fn files(dir: &Path) -> Vec<(String, String)> {
    let read = |e: io::Result<fs::DirEntry>| {
        let path = e.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("text"))
    };
    let mut all: Vec<_> = fs::read_dir(dir).expect("a directory").map(read).collect();
    all.sort();
    all
}

fn wait_until(mut is: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come");
        std::thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn a_file_is_rotated_when_that_is_asked_for_and_has_events() {
    let dir = Scratch::new("rotated-events");
    let path = dir.path().join("events.json");
    let mut s = opened(path.to_str().expect("text"), Rotation::default());
    // Without events it goes on.
    s.rotate();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(files(dir.path()).len(), 1);
    for n in 0..2 {
        weird(&mut s, n);
        s.flush();
        wait_until(|| fs::metadata(&path).is_ok_and(|m| m.len() > 0));
        // Nothing more need be written for it.
        s.rotate();
        wait_until(|| files(dir.path()).len() > n as usize + 1);
    }
    weird(&mut s, 2);
    s.finish().expect("whole");
    let files = files(dir.path());
    let texts: String = files.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(files.len(), 3);
    assert!(
        files.iter().all(|(_, text)| text.lines().count() == 1),
        "{files:?}"
    );
    for n in 0..3 {
        assert!(texts.contains(&format!("weird_{n}")));
    }
    let (current, old): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| name == "events.json");
    assert!(current[0].1.contains("weird_2"));
    for (name, _) in old {
        let time = name
            .strip_prefix("events.")
            .and_then(|rest| rest.strip_suffix(".json"));
        let time = time.map(|t| t.strip_suffix("-1").unwrap_or(t)).expect("a name");
        assert!(super::super::stamp::is_stamp(time), "{name}");
    }
}

#[test]
fn a_file_is_rotated_by_size_and_by_the_clock_and_no_event_is_lost() {
    let dir = Scratch::new("large-events");
    let path = dir.path().join("events");
    let rotation = Rotation {
        every: Some("1".parse().expect("an interval")),
        bytes: Some(100_000),
    };
    let mut s = opened(path.to_str().expect("text"), rotation);
    for n in 0..20_000 {
        weird(&mut s, n);
    }
    s.flush();
    // Its last rows are rotated by the clock.
    wait_until(|| s.queued() == 0);
    wait_until(|| fs::metadata(&path).is_ok_and(|m| m.len() == 0));
    s.finish().expect("whole");
    let files = files(dir.path());
    let mut seen = vec![false; 20_000];
    for line in files.iter().flat_map(|(_, text)| text.lines()) {
        let event: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        let name = event["args"]["name"].as_str().expect("a name");
        let n: usize = name.trim_start_matches("weird_").parse().expect("a number");
        assert!(!std::mem::replace(&mut seen[n], true), "{n} is there once");
    }
    assert!(seen.iter().all(|s| *s));
    assert!(files.len() > 10, "{}", files.len());
    assert!(
        files
            .iter()
            .all(|(_, text)| text.len() < 100_000 + 2 * BATCH_BYTES)
    );
}
