//! What handlers want of files, weirds of their own, and handlers that are called at once.

use super::*;
use crate::event::{AnalyzerTag, FaFile, FileNew, Fuid};
use crate::file::Hashes;
use crate::file::api::FileWish;

const TAG: AnalyzerTag = AnalyzerTag::new("Analyzer::ANALYZER_HTTP", "http");

fn new_file(host: &mut Host, id: &str) {
    let f = FaFile {
        id,
        parent_id: None,
        source: "HTTP",
        conn: None,
        is_orig: Some(false),
        seen_bytes: 0,
        total_bytes: None,
        missing_bytes: 0,
        overflow_bytes: 0,
    };
    host.event(1, &FileNew { f: &f });
}

fn all(host: &mut Host) -> Vec<Out> {
    let mut out = Vec::new();
    host.take(&mut out);
    out.retain(|o| !matches!(o, Out::Event(OwnEvent::Loaded { .. })));
    out
}

/// Of the errors among what was given: what they say.
fn errors(out: &[Out]) -> Vec<&str> {
    let of = |o| match o {
        &Out::Event(OwnEvent::Error { ref msg, .. }) => Some(msg.as_str()),
        _ => None,
    };
    out.iter().filter_map(of).collect()
}

#[test]
fn files_are_analyzed_as_scripts_want() {
    let (_s, mut host) = host(
        "files-analyze",
        r#"
        on("file_new", function(f)
            file.analyze(f, "sha256")
            file.analyze(f.id, "entropy")
            file.stop(f)
        end)
        on("file_new", function(f) file.analyze(f, "extract") end)
        on("file_new", function(f) file.analyze(f, "crc") end)
        on("file_new", function(f) file.analyze("Cx", "md5") end)
        on("file_new", function(f) set_file_handle("x") end)
        "#,
    );
    let fuid = Fuid::of(1, [7; 16]);
    new_file(&mut host, &fuid.to_string());
    let out = all(&mut host);
    let orders: Vec<_> = out
        .iter()
        .filter_map(|o| match o {
            Out::Order(Order::File(f, wish)) => Some((*f, *wish)),
            _ => None,
        })
        .collect();
    let sha256 = Hashes {
        sha256: true,
        ..Hashes::default()
    };
    let wishes = [FileWish::Digests(sha256), FileWish::Entropy, FileWish::Stop];
    assert_eq!(orders, wishes.map(|w| (fuid, w)));
    let said = errors(&out);
    for (n, what) in ["--extract-files", "\"crc\"", "no file's id", "get_file_handle"]
        .iter()
        .enumerate()
    {
        assert!(said[n].contains(what), "{what}: {said:#?}");
    }
}

#[test]
fn what_tells_a_file_from_others_is_asked_for() {
    let (_s, mut host) = host(
        "files-handle",
        r#"on("get_file_handle", function(tag, c, is_orig) set_file_handle(tag .. c.resp_p .. tostring(is_orig)) end)"#,
    );
    let c = ConnId::sample(80);
    let ev = GetFileHandle {
        tag: TAG,
        c: &c,
        is_orig: true,
    };
    host.event(1, &ev);
    let out = all(&mut host);
    let text = match &out[..] {
        [Out::Handle(h)] => String::from_utf8_lossy(h),
        other => panic!("{other:?}"),
    };
    assert_eq!(text, "Analyzer::ANALYZER_HTTP80true");
}

#[test]
fn a_weird_of_a_script_is_an_event_and_a_row() {
    let (_s, mut host) = host(
        "weird",
        r#"
        on("conn_weird", function(name, c)
            if name == "w" then
                weird("script_saw_it", { c = c, addl = "twice" })
                weird("script_net")
                weird("script_flow", { src = "10.0.0.1", dst = "10.0.0.2" })
            end
        end)
        on("conn_weird", function(name, c, addl) if name == "script_saw_it" then print(addl) end end)
        on("conn_weird", function(name) if name == "w" then weird("no name", {}) end end)
        "#,
    );
    let c = ConnId::sample(80);
    let (name, addl) = ("w", "");
    for _ in 0..2 {
        host.event(c.start, &ConnWeird { name, c: &c, addl });
    }
    #[derive(Default)]
    struct Seen {
        rows: usize,
        events: Vec<&'static str>,
    }
    impl crate::script::Carrier for Seen {
        fn row(&mut self, row: &dyn LogRow) {
            assert_eq!(row.path(), "weird");
            self.rows += 1;
        }
        fn tell(&mut self, _: Ts, ev: &dyn Event) {
            crate::event::seen::note(ev);
            self.events.push(ev.info().name);
        }
        fn order(&mut self, _: Order) {}
    }
    let out = all(&mut host);
    assert!(errors(&out)[0].contains("no name of a weird"), "{out:#?}");
    let mut seen = Seen::default();
    out.into_iter().for_each(|o| o.carry_out(1, &mut seen));
    let of = |name: &str| seen.events.iter().filter(|e| **e == name).count();
    let counts = [
        "conn_weird",
        "net_weird",
        "flow_weird",
        "print_hook",
        "reporter_error",
    ]
    .map(of);
    assert_eq!(counts, [2, 2, 2, 2, 2], "{:?}", seen.events);
    assert_eq!(seen.rows, 3, "each is logged once");
}

#[test]
fn handlers_that_are_called_at_once_wait_for_nothing() {
    let scripts = Scripts::new(
        "at-once",
        &[(
            "main.lua",
            r#"
            local out = open("seen.txt")
            print("loading")
            out:print("loading")
            every(1, function() end)
            log.filter("conn", {where = function() return false end})
            local seen = log.stream{path = "at_once_test", columns = {"name: string"}}
            on("net_weird", function(name) seen:write{name = name} end, {at_once = true})
            on("net_weird", function() print("x") end, {at_once = true})
            on("net_weird", function() out:print("x") end, {at_once = true})
            on("net_weird", function() schedule(1, print) end, {at_once = true})
            on("net_weird", function() while true do end end, {at_once = true})
            on("conn_weird", function() end)
            on("get_file_handle", function() end)
            "#,
        )],
    );
    let load = |role| Host::load(&scripts.plan(Limits::default()).with(role)).expect("a host");
    let wanted =
        |host: &Host| [NetWeird::KIND, ConnWeird::KIND, GetFileHandle::KIND].map(|k| host.wants().wants(k));
    assert_eq!(wanted(&load(Role::All)), [true; 3]);
    let later = load(Role::Later);
    assert_eq!(wanted(&later), [false, true, false]);
    let known = [NetWeird::KIND, ConnWeird::KIND, GetFileHandle::KIND].map(|k| later.at_once().wants(k));
    assert_eq!(known, [true, false, true]);
    let mut host = load(Role::AtOnce);
    assert_eq!(wanted(&host), [true, false, true]);
    assert!(!host.has_out() && host.filtered_logs().is_empty());
    weird(&mut host, 1, "odd");
    let out = all(&mut host);
    assert_eq!(out.iter().filter(|o| matches!(o, Out::Row(_))).count(), 1);
    let said = errors(&out);
    for (n, what) in [
        "print is not there",
        "a file is not there",
        "a timer is not there",
        "too long",
    ]
    .iter()
    .enumerate()
    {
        assert!(said[n].contains(what), "{what}: {said:#?}");
    }
}
