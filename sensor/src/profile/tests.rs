//! Threads that burn CPU time in known places.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::place::{Part, begin_thread, enter, enter_analyzer};
use super::*;
use crate::analyzer::Id;

fn burn(time: Duration) {
    let began = Instant::now();
    let mut n = 0_u64;
    while began.elapsed() < time {
        n = std::hint::black_box(n.wrapping_mul(31).wrapping_add(7));
    }
}

#[test]
fn time_is_put_where_it_was_spent() {
    let mut profile = Profile::begin(Duration::from_secs(60), 1000).expect("a profile");
    let worker = std::thread::spawn(|| {
        begin_thread("burner", Part::Input);
        for _ in 0..40 {
            let _engine = enter(Part::Engine);
            burn(Duration::from_millis(5));
            let _analyzer = enter_analyzer(Id::ALL[0].number());
            burn(Duration::from_millis(10));
        }
    });
    worker.join().expect("a thread");
    let mut seen: HashMap<(&str, String), (u64, u64)> = HashMap::new();
    let costs = || {
        vec![Cost {
            kind: "map",
            name: "flows".into(),
            memory: Some(7),
            ..Cost::default()
        }]
    };
    let expensive = profile.tell(1, true, costs, |row| {
        crate::catalog::held::hold(row);
        let cpu = row.cpu.unwrap_or(0) as u64;
        seen.insert((row.kind, row.name.to_owned()), (cpu, row.memory.unwrap_or(0)));
    });
    assert!(expensive, "at the end all is told");
    let cpu = |kind, name: &str| seen.get(&(kind, name.to_owned())).map_or(0, |s| s.0) as f64;
    let (thread, engine) = (cpu("thread", "burner"), cpu("part", "engine"));
    let analyzer = cpu("analyzer", Id::ALL[0].spec().tag.short());
    assert!(thread > 0.0 && cpu("process", "cpu") >= thread, "{seen:?}");
    // Other tests' threads say where they are, too, but those that began before do not.
    assert!(engine >= thread * 0.2 && analyzer >= thread * 0.5, "{seen:?}");
    assert_eq!(seen.get(&("map", "flows".to_owned())), Some(&(0, 7)));
    // Nothing has happened since.
    let mut again = 0;
    profile.tell(2, false, Vec::new, |row| {
        again += u64::from(row.kind == "thread" && row.name == "burner") * row.cpu.unwrap_or(1) as u64;
    });
    assert_eq!(again, 0);
}
