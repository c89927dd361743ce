//! Banners, and what is told of them.

use std::net::IpAddr;

use super::*;
use crate::base::known::Known;
use crate::base::time::{DAY, SECOND};
use crate::event::log::{LogRow, Value};
use crate::event::{ConnId, Event, Proto, Subscriptions, Ts, Uid};

/// What came out, one line each.
#[derive(Default)]
struct Told(Vec<String>);

impl Out for Told {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut json = Vec::new();
        ev.write_json(ts, &mut json);
        let json = String::from_utf8(json).unwrap();
        let args = json.split_once("\"args\":").unwrap().1;
        self.0
            .push(format!("{} {}", ev.info().name, args.strip_suffix('}').unwrap()));
    }

    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut values = Vec::new();
        row.values(&mut values);
        let shown = values.iter().skip(1).map(|v| match v {
            Value::Wire(s) => version::shown(s).into_owned(),
            Value::Str(s) => s.clone().into_owned(),
            Value::Addr(a) => a.to_string(),
            Value::Count(n) => n.to_string(),
            Value::Port(p) => p.to_string(),
            _ => "-".to_owned(),
        });
        self.0.push(format!(
            "{}.log {}",
            row.path(),
            shown.collect::<Vec<_>>().join(" | ")
        ));
    }
}

/// A client of this network and one outside of it; the server is inside.
const INSIDE: [u8; 4] = [10, 0, 0, 1];
const OUTSIDE: [u8; 4] = [192, 0, 2, 1];

fn conn(client: [u8; 4]) -> ConnId {
    ConnId {
        uid: Uid::new(0, 1),
        orig_h: client.into(),
        resp_h: [10, 0, 0, 2].into(),
        orig_p: 1000,
        resp_p: 80,
        proto: Proto::Tcp,
        start: 0,
    }
}

/// An inventory, and what was told of it so far.
struct Bench {
    inventory: Inventory,
    told: Told,
    subs: Subscriptions,
    now: Ts,
}

impl Bench {
    fn new(subs: Subscriptions) -> Bench {
        Bench {
            inventory: Inventory::new(Known::default()),
            told: Told::default(),
            subs,
            now: SECOND,
        }
    }

    fn found(&mut self, found: &Found<'_>) -> Vec<String> {
        let inside = |addr: IpAddr| addr.to_string().starts_with("10.");
        let mut cx = Cx {
            ts: self.now,
            subs: &self.subs,
            is_local: &inside,
            out: &mut self.told,
        };
        self.inventory.found(found, &mut cx);
        std::mem::take(&mut self.told.0)
    }

    fn browser(&mut self, client: [u8; 4], banner: &[u8]) -> Vec<String> {
        self.found(&Found::client(&conn(client), Kind::HttpBrowser, banner))
    }

    fn server(&mut self, banner: &[u8]) -> Vec<String> {
        self.found(&Found::server(&conn(INSIDE), Kind::HttpServer, banner))
    }
}

#[test]
fn a_banner_is_told_each_time_and_logged_once_a_day() {
    let mut b = Bench::new(Subscriptions::ALL);
    let unparsed = r#"software_unparsed_version_found {"host":"10.0.0.2","str":"nginx/1.22.1"}"#;
    let version = r#"software_version_found {"host":"10.0.0.2","s":{"name":"nginx","version":{"major":1,"minor":22,"minor2":1}},"descr":"nginx/1.22.1"}"#;
    let row = "software.log 10.0.0.2 | 80 | HTTP::SERVER | nginx | 1 | 22 | 1 | - | - | nginx/1.22.1";
    assert_eq!(b.server(b"nginx/1.22.1"), [unparsed, version, row]);
    assert_eq!(b.server(b"nginx/1.22.1"), [unparsed, version]);
    b.now += DAY - 1;
    assert_eq!(b.server(b"nginx/1.22.1"), [unparsed, version]);
    b.now += 1;
    assert_eq!(b.server(b"nginx/1.22.1"), [unparsed, version, row]);
}

#[test]
fn a_banner_without_a_version_is_an_error_and_still_logged() {
    let mut b = Bench::new(Subscriptions::ALL);
    assert_eq!(
        b.server(b"ASP.NET"),
        [
            r#"software_unparsed_version_found {"host":"10.0.0.2","str":"ASP.NET"}"#,
            r#"software_parse_error {"host":"10.0.0.2","descr":"ASP.NET"}"#,
            "software.log 10.0.0.2 | 80 | HTTP::SERVER | ASP.NET | - | - | - | - | - | ASP.NET",
        ]
    );
    assert_eq!(
        b.server(b"\xff/1.0 (x)"),
        [
            r#"software_unparsed_version_found {"host":"10.0.0.2","str":"\\xff/1.0 (x)"}"#,
            r#"software_version_found {"host":"10.0.0.2","s":{"name":"\\xff","version":{"major":1,"minor":0,"addl":"x"}},"descr":"\\xff/1.0 (x)"}"#,
            r"software.log 10.0.0.2 | 80 | HTTP::SERVER | \xff | 1 | 0 | - | - | x | \xff/1.0 (x)",
        ]
    );
}

#[test]
fn the_log_has_local_hosts_and_each_version() {
    let mut b = Bench::new(Subscriptions::NONE);
    let row = |host: &str, version: &str| {
        vec![format!(
            "software.log {host} | - | HTTP::BROWSER | curl | 7 | {version} | - | - | - | curl/7.{version}"
        )]
    };
    let other = [10, 0, 0, 9];
    assert_eq!(b.browser(OUTSIDE, b"curl/7.64"), [""; 0]);
    assert_eq!(b.browser(INSIDE, b"curl/7.64"), row("10.0.0.1", "64"));
    assert_eq!(b.browser(INSIDE, b"curl/7.64"), [""; 0]);
    assert_eq!(b.browser(INSIDE, b"curl/7.88"), row("10.0.0.1", "88"));
    // Both are in use.
    assert_eq!(b.browser(INSIDE, b"curl/7.64"), [""; 0]);
    assert_eq!(b.browser(other, b"curl/7.64"), row("10.0.0.9", "64"));
}

#[test]
fn the_memory_of_what_was_logged_is_bounded() {
    let mut b = Bench::new(Subscriptions::NONE);
    let most = 100;
    b.inventory = Inventory::new(Known::with_room(most));
    for n in 0..most {
        assert_eq!(b.browser(INSIDE, format!("x/1.{n}").as_bytes()).len(), 1);
    }
    // There is no room: what is new is logged each time, what is known is not.
    assert_eq!(b.server(b"new/1.0").len(), 1);
    assert_eq!(b.server(b"new/1.0").len(), 1);
    assert_eq!(b.browser(INSIDE, b"x/1.0").len(), 0);
    assert_eq!(b.inventory.known().remembered(), most);
    // A day later the old ones make room.
    b.now += DAY;
    assert_eq!(b.server(b"new/1.0").len(), 1);
    assert_eq!(b.server(b"new/1.0").len(), 0);
    assert_eq!(b.inventory.known().remembered(), 1);
}

#[test]
fn what_one_engine_has_logged_another_one_does_not() {
    let known = Known::default();
    let mut two = [0, 1].map(|_| {
        let mut b = Bench::new(Subscriptions::NONE);
        b.inventory = Inventory::new(known.clone());
        b
    });
    let (nginx, curl) = (b"nginx/1.22.1", b"curl/7.64");
    assert_eq!(two[0].server(nginx).len(), 1);
    assert_eq!(two[1].browser(INSIDE, curl).len(), 1);
    for b in &mut two {
        for _ in 0..2 {
            assert_eq!(b.server(nginx).len() + b.browser(INSIDE, curl).len(), 0);
        }
    }
    // The day counts from when it was logged, whoever did that and whenever the other one met it.
    let logged = two[0].now;
    for (after, rows) in [(DAY - 1, [0, 0]), (DAY, [1, 0]), (2 * DAY - 1, [0, 0])] {
        two.reverse();
        let found = two.each_mut().map(|b| {
            b.now = logged + after;
            b.server(nginx).len()
        });
        assert_eq!(found, rows, "{after}");
    }
}

#[test]
fn what_an_engine_has_at_hand_is_bounded_and_forgetting_it_changes_nothing() {
    let mut b = Bench::new(Subscriptions::NONE);
    let banner = |n: usize| format!("x/1.{n}");
    for n in 0..10_000 {
        assert_eq!(b.browser(INSIDE, banner(n).as_bytes()).len(), 1);
        assert_eq!(b.browser(INSIDE, banner(n).as_bytes()).len(), 0);
    }
    assert!(b.inventory.known().at_hand() <= 4096);
    for n in 0..10_000 {
        assert_eq!(b.browser(INSIDE, banner(n).as_bytes()).len(), 0);
    }
}
