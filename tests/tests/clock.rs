//! The wall clock is set while the sensor runs: libfaketime shows it another time of day than all others see.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sensor_tests::sensor::{TempDir, binary, run_args};
use sensor_tests::{Lab, LabOptions, Sensor, lab, lacks, one_at_a_time};
use serde_json::Value;

/// What is sent of the flow that goes on all the while, and the time between.
const PACKETS: u64 = 60;
const GAP: Duration = Duration::from_millis(100);
const PORT: u16 = 4242;
const HOUR: f64 = 3600.0;

/// libfaketime, for programs with threads.
fn library() -> anyhow::Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib")?.flatten().map(|e| e.path());
    folders
        .map(|f| f.join("faketime/libfaketimeMT.so.1"))
        .find(|f| f.exists())
        .ok_or_else(|| anyhow::anyhow!("no faketime/libfaketimeMT.so.1 in /usr/lib/*"))
}

/// From now on the sensor's clock is `by` seconds ahead. It may look at any moment.
fn set(file: &Path, by: i64) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{by:+}\n")).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_step_of_the_wall_clock_breaks_no_flow() {
    let found = library();
    let Ok(library) = &found else {
        lacks("libfaketime", found.map(drop));
        return;
    };
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let file = logs.path().join("offset");
    set(&file, 0);
    let events = logs.path().join("events.json");
    let mut c = lab.middle.command(binary().unwrap());
    c.args(run_args(&["m0"], logs.path()))
        .args(["--quiet", "--event", "reporter_warning", "--events"])
        .arg(&events)
        .stdout(Stdio::null())
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &file)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    let sensor = Sensor::spawn(c, logs.path(), false).expect("a sensor");

    let server = lab::server_ip(false);
    let socket = || {
        lab.client
            .run(move || {
                let s = UdpSocket::bind("0.0.0.0:0")?;
                s.connect((server, PORT))?;
                Ok::<_, std::io::Error>(s)
            })
            .unwrap()
            .unwrap()
    };
    let long = socket();
    let begun = now();
    let (mut others, mut sent) = (Vec::new(), 0);
    for n in 0..PACKETS {
        // Nobody listens there; a socket that was told so sends nothing that time.
        sent += long.send(b"once more").is_ok() as u64;
        match n {
            15 => set(&file, 3600),
            35 => set(&file, -3600),
            // The sensor looks each second.
            30 | 50 => {
                let s = socket();
                let _ = s.send(b"a flow of its own");
                others.push((s.local_addr().unwrap().port(), now()));
            }
            _ => {}
        }
        std::thread::sleep(GAP);
    }
    let done = sensor.stop().unwrap();

    let rows = done.conns().unwrap();
    let of = |port: u16| -> Vec<&Value> { rows.iter().filter(|r| r["id.orig_p"] == port).collect() };
    let rows_of_long = of(long.local_addr().unwrap().port());
    assert_eq!(rows_of_long.len(), 1, "{rows_of_long:?}");
    let row = rows_of_long[0];
    assert_eq!(row["orig_pkts"], sent, "{row}");
    let ts = |row: &Value| row["ts"].as_f64().unwrap();
    assert!((ts(row) - begun).abs() < 5.0, "{row} {begun}");
    let lasted = row["duration"].as_f64().unwrap();
    assert!((5.0..60.0).contains(&lasted), "{row}");
    for ((port, at), ahead) in others.into_iter().zip([HOUR, -HOUR]) {
        let rows = of(port);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert!((ts(rows[0]) - at - ahead).abs() < 5.0, "{:?} {at}", rows[0]);
    }
    let said: Vec<_> = done
        .stderr
        .lines()
        .filter(|l| l.contains("the wall clock was set"))
        .collect();
    assert_eq!(said.len(), 2, "{}", done.stderr);
    assert!(
        said[0].contains("forward by 3600") && said[1].contains("back by 72"),
        "{said:?}"
    );
    let told = std::fs::read_to_string(&events).unwrap();
    assert_eq!(told.matches("the wall clock was set").count(), 2, "{told}");
}
