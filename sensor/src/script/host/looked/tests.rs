//! Lookups of scripts, with answers that tests give.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::super::super::out::Out;
use super::super::super::state::{Limits, Places, Plan, Role};
use super::*;
use crate::event::{BroInit, NetWeird};
use crate::resolver::{Answer, Asker, Change, Found, Got, Question};

/// Questions that were asked and not answered yet.
type Asked = Arc<Mutex<Vec<Question>>>;

/// A script in a folder of its own, which goes with it.
struct Script(PathBuf);

impl Drop for Script {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn host(name: &str, text: &str, asker: Option<Asker>) -> (Script, Host) {
    host_of(Role::All, name, text, asker)
}

fn host_of(role: Role, name: &str, text: &str, asker: Option<Asker>) -> (Script, Host) {
    let dir = std::env::temp_dir().join(format!("sensor-lookups-{name}-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder");
    let text = format!(
        "local said = log.stream{{path = 'lookup_test_{name}', columns = {{'ts: time', 'what: string'}}}}\n\
         local function say(...) said:write{{what = table.concat({{...}}, ' ')}} end\n{text}"
    );
    fs::write(dir.join("main.lua"), text).expect("a script");
    let host = Host::load(&Plan {
        scripts: vec![dir.join("main.lua")],
        dir: dir.join("out"),
        limits: Limits::default(),
        to_stderr: true,
        asker,
        role,
        places: Places::default(),
    });
    (Script(dir), host.expect("a host"))
}

fn collecting() -> (Asked, Asker) {
    let asked = Asked::default();
    let to = asked.clone();
    let asker = Asker::new(move |q| {
        to.lock().expect("no panic").push(q);
        true
    });
    (asked, asker)
}

/// Answers what was asked, the last first.
fn answer(asked: &Asked, got: impl Fn(&str) -> (Got, Option<Change>)) {
    let mut asked = asked.lock().expect("no panic");
    while let Some(q) = asked.pop() {
        let (ticket, (got, change)) = (q.ticket, got(&q.query.to_string()));
        q.to.send(Answer { ticket, got, change }).expect("somebody waits");
    }
}

/// What was said and which events were caused.
fn given(host: &mut Host) -> Vec<String> {
    let mut out = Vec::new();
    host.take(&mut out);
    let text = |one: &Out| match one {
        Out::Event(own) => own.with(1, |ev| {
            crate::event::seen::note(ev);
            ev.info().name.to_owned()
        }),
        Out::Row(row) => {
            let mut json = Vec::new();
            crate::event::log::write_json(&mut json, row, &mut Vec::new());
            let row: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
            format!("{} {}", row["ts"], row["what"].as_str().unwrap_or_default())
        }
        other => format!("{other:?}"),
    };
    let all = out.iter().map(text);
    all.filter(|t| t != "bro_script_loaded").collect()
}

fn found(addrs: &[&str]) -> Found {
    let addrs = addrs.iter().map(|a| a.parse().expect("an address")).collect();
    Found::addrs(addrs).expect("addresses")
}

#[test]
fn each_lookup_has_its_answer_once() {
    let (asked, asker) = collecting();
    let (_s, mut host) = host(
        "once",
        r#"
        local function told(what) return function(got, why)
            say((what:gsub("\xff", "?")), type(got) == "table" and table.concat(got, ",") or got or "nil", why or "-")
        end end
        on("zeek_init", function()
            for _, what in ipairs { "A.example", "192.0.2.7", "none.example", "dead.example", "busy.example", "no name", "\xff", "" } do
                assert(lookup(what, told(what:lower())))
            end
            lookup("a.example", function() error("as it may") end)
        end)
        "#,
        Some(asker),
    );
    host.event(1_000_000_000, &BroInit {});
    assert_eq!(host.next_due(), 0, "it is asked at each packet");
    assert_eq!(
        asked.lock().expect("no panic").len(),
        6,
        "what is no name is not asked"
    );
    host.advance(2_000_000_000);
    let mut said = given(&mut host);
    said.sort();
    let nothing = |what: &str| format!("2.0 {what} nil none");
    assert_eq!(said, [nothing(""), nothing("?"), nothing("no name")]);
    answer(&asked, |what| {
        let got = match what {
            "a.example" => Got::Found(found(&["2001:db8::1", "192.0.2.1"])),
            "192.0.2.7" => Got::Found(Found::Name("b.example".to_owned())),
            "none.example" => Got::Empty,
            "dead.example" => Got::Unanswered(Some(found(&["192.0.2.9"]))),
            _ => Got::NotAsked,
        };
        (got, None)
    });
    host.advance(3_000_000_000);
    let said = given(&mut host);
    assert_eq!(
        said,
        [
            "reporter_error",
            "3.0 busy.example nil busy",
            "3.0 dead.example nil unanswered",
            "3.0 none.example nil none",
            "3.0 192.0.2.7 b.example -",
            "3.0 a.example 192.0.2.1,2001:db8::1 -",
        ]
    );
    assert!(host.next_due() > 0);
    host.finish();
    assert!(given(&mut host).is_empty());
}

#[test]
fn what_an_answer_changes_is_an_event_for_handlers() {
    let (asked, asker) = collecting();
    let (_s, mut host) = host(
        "change",
        r#"
        on("zeek_init", function() lookup("a.example", function() say("told") end) end)
        on("dns_mapping_altered", function(dm, old, new)
            say(dm.req_host, tostring(dm.valid), dm.addrs[1], #old, new[1], dm.creation_time)
            lookup("b.example", function() end)
        end)
        "#,
        Some(asker),
    );
    host.event(1_000_000_000, &BroInit {});
    answer(&asked, |_| {
        let change = crate::resolver::Change::sample();
        (Got::Found(found(&["192.0.2.1"])), Some(change))
    });
    host.advance(2_000_000_000);
    let said = given(&mut host);
    assert_eq!(
        said,
        [
            "dns_mapping_altered",
            "2.0 told",
            "2.0 a.example true 192.0.2.1 0 192.0.2.1 5.0"
        ]
    );
    assert_eq!(asked.lock().expect("no panic").len(), 1, "handlers look up, too");
}

#[test]
fn lookups_are_bounded_and_end() {
    let (asked, asker) = collecting();
    let (_s, mut host) = host(
        "bounded",
        r#"
        local called, refused = 0, 0
        on("net_weird", function(name)
            for i = 1, 5000 do
                if not lookup(i .. ".example", function() called = called + 1 end) then refused = refused + 1 end
            end
        end)
        on("zeek_init", function() say(called, refused) end)
        "#,
        Some(asker),
    );
    host.event(1, &NetWeird { name: "x" });
    assert_eq!(asked.lock().expect("no panic").len(), 4096);
    answer(&asked, |_| (Got::Empty, None));
    while host.await_lookups(Duration::ZERO) {}
    host.event(2_000_000_000, &BroInit {});
    assert_eq!(given(&mut host), ["2.0 4096 904"]);
    // Those that wait at the end are told that there is no answer, and no more are asked.
    host.event(3_000_000_000, &NetWeird { name: "x" });
    host.finish();
    host.event(4_000_000_000, &BroInit {});
    assert_eq!(given(&mut host), ["4.0 8192 1808"]);
    host.event(5_000_000_000, &NetWeird { name: "x" });
    host.event(6_000_000_000, &BroInit {});
    assert_eq!(given(&mut host), ["6.0 8192 6808"]);
}

#[test]
fn a_host_among_addresses_is_known_by_its_addresses() {
    let (asked, asker) = collecting();
    let (_s, mut host) = host(
        "intel",
        r#"
        intel.add { indicator = "evil.example", indicator_type = "Intel::ADDR", source = "a" }
        intel.add { indicator = "evil.example", indicator_type = "Intel::ADDR", source = "b" }
        intel.add { indicator = "192.0.2.200", indicator_type = "Intel::ADDR", source = "c" }
        intel.add { indicator = "2001:db8::c", indicator_type = "Intel::ADDR", source = "c" }
        intel.on_match = function(seen, sources) say(seen.indicator, table.concat(sources, ",")) end
        on("net_weird", function(addr) intel.seen { indicator = addr, indicator_type = "Intel::ADDR" } end)
        "#,
        Some(asker),
    );
    let seen = |host: &mut Host, at: u64| {
        for name in ["192.0.2.1", "192.0.2.2", "192.0.2.200"] {
            host.event(at * 1_000_000_000, &NetWeird { name });
        }
        let told = given(host);
        let matches = told.iter().filter(|l| l.contains(" 192."));
        matches
            .map(|l| l.split_once(' ').expect("a time").1.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(seen(&mut host, 10), ["192.0.2.200 c"]);
    assert_eq!(
        asked.lock().expect("no panic").len(),
        1,
        "the name alone is asked, once"
    );
    let addr = |a: &'static str| move |_: &str| (Got::Found(found(&[a])), None);
    answer(&asked, addr("192.0.2.1"));
    host.advance(11_000_000_000);
    assert_eq!(seen(&mut host, 12), ["192.0.2.1 a,b", "192.0.2.200 c"]);
    assert!(asked.lock().expect("no panic").is_empty());
    // It moves, and is known by both for a while.
    host.advance(3_700_000_000_000);
    answer(&asked, addr("192.0.2.2"));
    host.advance(3_701_000_000_000);
    assert_eq!(
        seen(&mut host, 3702),
        ["192.0.2.1 a,b", "192.0.2.2 a,b", "192.0.2.200 c"]
    );
    host.advance(7_400_000_000_000);
    assert_eq!(seen(&mut host, 7401), ["192.0.2.2 a,b", "192.0.2.200 c"]);
}

#[test]
fn nothing_is_looked_up_at_once() {
    let (asked, asker) = collecting();
    let (_s, mut host) = host_of(
        Role::AtOnce,
        "at_once",
        r#"
        assert(lookup("a.example", function() end))
        on("zeek_init", function() lookup("a.example", function() end) end, { at_once = true })
        "#,
        Some(asker),
    );
    host.event(1, &BroInit {});
    assert!(asked.lock().expect("no panic").is_empty());
    let mut out = Vec::new();
    host.take(&mut out);
    let Some(Out::Event(own)) = out.first() else {
        panic!("an error: {out:?}")
    };
    let said = own.said().expect("an error");
    assert!(
        said.ends_with("a lookup is not there in handlers that are called at once"),
        "{said}"
    );
}

#[test]
fn who_asks_again_and_again_holds_nothing_up() {
    let (_s, mut host) = host(
        "again",
        r#"
        local n = 0
        local function again() n = n + 1 lookup("no name", again) end
        on("net_weird", again)
        on("zeek_init", function() say(n) end)
        "#,
        None,
    );
    host.event(1, &NetWeird { name: "x" });
    assert!(host.await_lookups(Duration::ZERO));
    host.finish();
    host.event(1_000_000_000, &BroInit {});
    // Once by the event, then so often at a time; the last one is refused.
    assert_eq!(given(&mut host), ["1.0 2050"]);
}

#[test]
fn without_anybody_to_ask_there_is_no_answer() {
    let (_s, mut host) = host(
        "alone",
        "on('zeek_init', function() lookup('a.example', function(got, why) say(got or 'nil', why) end) end)",
        None,
    );
    host.event(1_000_000_000, &BroInit {});
    host.advance(1_000_000_000);
    assert_eq!(given(&mut host), ["1.0 nil unanswered"]);
}
