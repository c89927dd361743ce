//! The script for what signatures match.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Packets, SCRIPTS, TempDir, Told, changed, log_with};

/// A signature for each of these words.
const WORDS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

/// A log of a run with a signature for each of [`WORDS`].
#[track_caller]
fn log_of(script: &Path, log: &str, put: impl FnOnce(&mut Packets)) -> Told {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("words.sig");
    let signature = |w| format!("signature {w} {{ payload /.*<{w}>/  event \"{w} is said\" }}\n");
    fs::write(&file, WORDS.map(signature).concat()).unwrap();
    let mut packets = Packets::default();
    put(&mut packets);
    log_with(script, log, &packets, &["--signatures", file.to_str().unwrap()])
}

fn notices(put: impl FnOnce(&mut Packets)) -> Told {
    log_of(&Path::new(SCRIPTS).join("signatures.lua"), "notice.log", put)
}

/// With actions of one's own.
fn notices_with(actions: &str, log: &str, put: impl FnOnce(&mut Packets)) -> Told {
    let (_dir, script) = changed(
        "signatures.lua",
        "  -- [\"http-shell\"] = \"SIG_ALARM_PER_ORIG\",\n",
        actions,
    );
    log_of(&script, log, put)
}

/// A connection in which a side says words.
fn says(p: &mut Packets, secs: f64, victim: u16, side: usize, words: &[&str]) {
    let said: String = words.iter().map(|w| format!("<{w}>")).collect();
    let talk = p.tcp(secs, (1, 10_000 + secs as u16), (victim, 7777)).begins();
    talk.says(side, said.as_bytes()).ends();
}

fn of<'t>(told: &'t Told, note: &str) -> Vec<&'t Value> {
    let note = format!("Signatures::{note}");
    told.0.iter().filter(|r| r["note"] == note.as_str()).collect()
}

#[test]
fn each_match_is_a_notice() {
    let told = notices(|p| says(p, 0.0, 2, 1, &["one"]));
    assert_eq!(told.notes(), ["Signatures::Sensitive_Signature"]);
    let row = &told.0[0];
    assert_eq!(row["msg"], "10.0.0.2: one is said");
    assert_eq!(row["sub"], "<one>");
    assert_eq!(
        [&row["src"], &row["dst"], &row["id.orig_h"]],
        ["10.0.0.2", "10.0.0.1", "10.0.0.1"]
    );
}

#[test]
fn a_signature_on_many_hosts_is_told() {
    let hosts = |n: u16| {
        notices(|p| {
            for i in 0..n {
                says(p, f64::from(i), 100 + i, 0, &["one"]);
                // The same host once more, and another signature there.
                says(p, 1000.0 + f64::from(i), 100 + i, 0, &["one"]);
                says(p, 2000.0 + f64::from(i), 100 + i % 4, 0, &["two"]);
            }
        })
    };
    assert!(of(&hosts(4), "Multiple_Sig_Responders").is_empty());
    let told = hosts(9);
    let rows = of(&told, "Multiple_Sig_Responders");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["n"], 5);
    assert_eq!(rows[0]["sub"], "10.0.0.1 has triggered signature one on 5 hosts");
    assert_eq!(of(&hosts(10), "Multiple_Sig_Responders")[1]["n"], 10);
    // After an hour a host is a new one, and the ones before count no more.
    let slow = notices(|p| (0..8).for_each(|i| says(p, 1500.0 * f64::from(i), 100 + i, 0, &["one"])));
    assert!(of(&slow, "Multiple_Sig_Responders").is_empty(), "{:#?}", slow.0);
}

#[test]
fn many_signatures_of_two_hosts_are_told() {
    let said = |n: usize| notices(|p| says(p, 0.0, 2, 0, &WORDS[..n]));
    assert!(of(&said(4), "Multiple_Signatures").is_empty());
    let told = said(6);
    let rows = of(&told, "Multiple_Signatures");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["msg"], "5 different signatures triggered");
    assert_eq!(
        rows[0]["sub"],
        "10.0.0.1 has triggered 5 different signatures on host 10.0.0.2"
    );
}

#[test]
fn actions_decide_what_becomes_of_a_match() {
    let actions = "one = 'SIG_COUNT_PER_RESP', two = 'SIG_ALARM_PER_ORIG', three = 'SIG_ALARM_ONCE',\n\
                   four = 'SIG_IGNORE', five = 'SIG_LOG', six = 'SIG_SUMMARY',\n";
    let all = |p: &mut Packets| {
        for i in 0..6 {
            says(p, f64::from(i), 2, 0, &WORDS);
        }
        p.udp(90_000.0, (1, 9), (2, 9), b"a day later");
    };
    let told = notices_with(actions, "notice.log", all);
    let counted = of(&told, "Count_Signature");
    assert_eq!(counted.len(), 1, "{:#?}", told.0);
    assert_eq!(counted[0]["sub"], "5 matches of signature one on host 10.0.0.2");
    let mut alarms: Vec<_> = of(&told, "Sensitive_Signature")
        .iter()
        .map(|r| r["sub"].to_string())
        .collect();
    alarms.sort_unstable();
    let said: String = WORDS.map(|w| format!("<{w}>")).concat();
    assert_eq!(alarms, [format!("\"{said}\""), format!("\"{said}\"")]);
    let summary = of(&told, "Signature_Summary");
    assert_eq!(summary.len(), 1);
    assert_eq!(
        (&summary[0]["n"], &summary[0]["msg"]),
        (&6.into(), &"10.0.0.1: six is said".into())
    );
    // Of six signatures one is ignored and one is for its summary.
    assert!(of(&told, "Multiple_Signatures").is_empty());
    let rows = notices_with(actions, "signatures.log", all);
    let with = |id: &str| rows.0.iter().filter(|r| r["sig_id"] == id).count();
    assert_eq!(WORDS.map(with), [0, 6, 6, 0, 6, 6]);
}
