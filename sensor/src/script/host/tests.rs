//! Scripts with events that tests make.

mod hostile;
mod orders;

use super::super::state::Places;
use super::*;
use crate::conn::Order;
use crate::event::{BroInit, ConnId, ConnWeird, Kind, NetWeird, NewConnection};

/// A folder of scripts.
struct Scripts(PathBuf);

impl Drop for Scripts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Scripts {
    fn new(name: &str, files: &[(&str, &str)]) -> Scripts {
        let dir = std::env::temp_dir().join(format!("sensor-scripts-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        for (name, text) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a script");
        }
        Scripts(dir)
    }

    fn load(&self, limits: Limits) -> Result<Host, ScriptError> {
        Host::load(&self.plan(limits))
    }

    fn plan(&self, limits: Limits) -> Plan {
        Plan {
            scripts: vec![self.0.join("main.lua")],
            dir: self.0.join("out"),
            limits,
            to_stderr: true,
            asker: None,
            role: Role::All,
            places: Places {
                contents: true,
                extracted: false,
            },
        }
    }
}

fn host(name: &str, text: &str) -> (Scripts, Host) {
    let scripts = Scripts::new(name, &[("main.lua", text)]);
    let host = scripts.load(Limits::default()).expect("a host");
    (scripts, host)
}

/// What it gave, as text.
fn given(host: &mut Host) -> Vec<String> {
    let mut out = Vec::new();
    host.take(&mut out);
    for one in &out {
        if let Out::Event(own) = one {
            own.with(1, crate::event::seen::note);
        }
    }
    out.iter()
        .filter(|o| !matches!(o, Out::Event(OwnEvent::Loaded { .. })))
        .map(|o| match o {
            Out::Row(row) => {
                let mut json = Vec::new();
                crate::event::log::write_json(&mut json, row, &mut Vec::new());
                format!("{} {}", row.path(), String::from_utf8_lossy(&json))
            }
            other => format!("{other:?}"),
        })
        .collect()
}

fn weird(host: &mut Host, ts: Ts, name: &'static str) {
    host.event(ts, &NetWeird { name });
}

#[test]
fn what_has_handlers_is_wanted_and_handlers_are_called_by_priority() {
    let (_s, mut host) = host(
        "order",
        r#"
        local seen = log.stream{path = "order_test", columns = {"ts: time", "who: string", "name: string"}}
        on("net_weird", function(name) seen:write{who = "b", name = name} end)
        on("net_weird", function(name) seen:write{who = "a", name = name} end, {priority = 5})
        on("net_weird", function(name) seen:write{who = "c", name = name} end, {priority = -1})
        on("zeek_init", function() end)
        "#,
    );
    let wants = host.wants();
    for (kind, is) in [
        (NetWeird::KIND, true),
        (BroInit::KIND, true),
        (NewConnection::KIND, false),
    ] {
        assert_eq!(wants.wants(kind), is, "{kind:?}");
    }
    weird(&mut host, 1_500_000_000, "x");
    let rows = given(&mut host);
    let of = |who: &str| format!(r#"order_test {{"ts":1.500000,"who":"{who}","name":"x"}}"#);
    assert_eq!(rows, [of("a"), of("b"), of("c")]);
}

#[test]
fn a_connection_has_its_fields_and_takes_orders() {
    let (_s, mut host) = host(
        "conn",
        r#"
        local l = log.stream{path = "conn_test", columns = {"a: addr", "p: port", "uid: string", "t: time", "same: bool"}}
        local last
        on("conn_weird", function(name, c, addl)
            l:write{a = c.id.orig_h, p = c.resp_p, uid = c.uid, t = c.start_time, same = last == c}
            last = c
            c:shed()
            conn.set_inactivity(c, 2.5)
            conn.contents(c, "resp")
            assert(community_id(c):match("^1:.+=$"))
        end)
        "#,
    );
    let c = ConnId::sample(80);
    for _ in 0..2 {
        let weird = ConnWeird {
            name: "w",
            c: &c,
            addl: "",
        };
        host.event(c.start, &weird);
    }
    let mut out = Vec::new();
    host.take(&mut out);
    let orders: Vec<_> = out
        .iter()
        .filter_map(|o| match o {
            Out::Order(Order::Conn(_, wish)) => Some(*wish),
            _ => None,
        })
        .collect();
    use crate::conn::Wish::{Contents, Inactivity, Shed};
    assert_eq!(
        orders,
        [[Shed, Inactivity(2_500_000_000), Contents(2)]; 2].concat()
    );
    let rows: Vec<_> = out.iter().filter(|o| matches!(o, Out::Row(_))).collect();
    assert!(format!("{:?}", rows[1]).contains("Bool(true)"), "{rows:?}");
}

#[test]
fn a_handler_that_fails_is_reported_and_taken_off_in_the_end() {
    let scripts = Scripts::new(
        "fails",
        &[(
            "main.lua",
            "on('net_weird', function(name)\n  local x = nil\n  return x.y\nend)\non('net_weird', function() print('fine') end)",
        )],
    );
    let limits = Limits {
        failures: 2,
        ..Limits::default()
    };
    let mut host = scripts.load(limits).expect("a host");
    for n in 0..4 {
        weird(&mut host, n, "x");
    }
    let text = given(&mut host);
    let errors: Vec<_> = text.iter().filter(|t| t.contains("Error")).collect();
    assert_eq!(errors.len(), 3, "{text:#?}");
    assert!(
        errors[0].contains("main.lua:3") && errors[0].contains("nil value"),
        "{errors:?}"
    );
    assert!(errors[2].contains("is not called any more"), "{errors:?}");
    assert_eq!(
        text.iter().filter(|t| t.contains("fine")).count(),
        4,
        "the others go on"
    );
}

#[test]
fn what_takes_too_long_or_too_much_ends() {
    let (_s, mut host) = host(
        "limits",
        r#"
        on("net_weird", function(name)
            if name == "loop" then while true do end end
            if name == "caught" then while true do pcall(function() while true do end end) end end
            if name == "memory" then local s = "x" while true do s = s .. s end end
            if name == "rep" then local s = ("x"):rep(1 << 40) end
            if name == "deep" then local function f() return 1 + f() end f() end
            print(name)
        end)
        "#,
    );
    for (name, why) in [
        ("loop", "main.lua:3"),
        ("loop", "takes too long"),
        ("caught", "takes too long"),
        ("memory", "memory"),
        ("rep", "too large"),
        ("deep", "stack overflow"),
    ] {
        weird(&mut host, 1, name);
        let text = given(&mut host);
        assert!(text[0].contains(why), "{name}: {text:?}");
    }
    weird(&mut host, 1, "fine");
    assert!(given(&mut host)[0].contains("fine"));
}

#[test]
fn nothing_leads_out_of_the_interpreter() {
    let names = "io os debug package require dofile loadfile collectgarbage";
    let text = format!(
        "for name in ('{names}'):gmatch('%a+') do assert(not _G[name], name) end assert(not string.dump)\n\
         assert(not pcall(open, '/tmp/x')) assert(not pcall(open, '../x'))\n\
         assert(not pcall(read_file, '/etc/passwd')) assert(not pcall(read_file, '../x')) assert(not pcall(load, '/x.lua'))"
    );
    let (_s, _host) = host("sandbox", &text);
}

#[test]
fn scripts_load_others_once_each_with_its_level() {
    let scripts = Scripts::new(
        "loads",
        &[
            (
                "main.lua",
                "load 'lib/a.lua' load 'lib/a.lua'\non('bro_script_loaded', function(p, l) print(p, l) end)",
            ),
            ("lib/a.lua", "load 'b.lua' n = (n or 0) + 1 assert(n == 1)"),
            ("lib/b.lua", ""),
        ],
    );
    let mut host = scripts.load(Limits::default()).expect("a host");
    let mut out = Vec::new();
    host.take(&mut out);
    let levels: Vec<_> = out
        .iter()
        .filter_map(|o| match o {
            Out::Event(OwnEvent::Loaded { path, level }) => {
                Some((path.rsplit('/').next()?.to_owned(), *level))
            }
            _ => None,
        })
        .collect();
    let of = |name: &str, level| (name.to_owned(), level);
    assert_eq!(levels, [of("main.lua", 0), of("a.lua", 1), of("b.lua", 2)]);
    let printed = out
        .iter()
        .filter(|o| matches!(o, Out::Event(OwnEvent::Print { .. })))
        .count();
    assert_eq!(
        printed, 3,
        "a handler hears of those that were loaded before it was there, too"
    );
}

#[test]
fn mistakes_in_scripts_say_where() {
    for (text, why) in [
        ("on('ssl_client_helo', function() end)", "main.lua:1: "),
        ("\nlocal x = = 1", "main.lua:2: "),
        ("\n\nerror('no good')", "main.lua:3: no good"),
        ("on('remote_event_registered', function() end)", "not raised yet"),
        ("load 'none.lua'", "none.lua"),
        (
            "log.stream{path = 'conn', columns = {'a: count'}}",
            "conn.log is there already",
        ),
        ("log.stream{path = 'x', columns = {'a'}}", "a column is"),
        ("while true do end", "takes too long"),
    ] {
        let scripts = Scripts::new("mistakes", &[("main.lua", text)]);
        let why_not = scripts.load(Limits::default()).err().expect(text).to_string();
        assert!(
            why_not.contains(why) && why_not.lines().count() == 1,
            "{text}: {why_not}"
        );
    }
}

#[test]
fn timers_are_called_in_time_and_in_order() {
    let (_s, mut host) = host(
        "timers",
        r#"
        schedule(3, function() print("three", now()) end)
        schedule(2, function() print("two", now()) end)
        local gone = schedule(1, function() print("never") end)
        assert(cancel(gone) and not cancel(gone))
        local n = 0
        local id
        id = every(10, function() n = n + 1 print("turn", n) if n == 2 then cancel(id) end end)
        "#,
    );
    for s in [1, 2, 5, 9, 11, 45, 46, 60] {
        host.advance(s * 1_000_000_000);
    }
    let text = given(&mut host).join("\n");
    let said: Vec<_> = text
        .match_indices("s: \"")
        .map(|(at, _)| text[at + 4..].split('"').next().unwrap_or(""))
        .collect();
    assert_eq!(said, ["two\\t2.0", "three\\t5.0", "turn\\t1", "turn\\t2"]);
}

#[test]
fn tables_forget() {
    let (_s, mut host) = host(
        "tables",
        r#"
        local gone = {}
        local t = expiring{create = 10, on_expire = function(k) gone[#gone + 1] = k end}
        local r = expiring{read = 10}
        local w = expiring{write = 10, max = 2}
        t:set("a", 1) r:set("a", 1) w:set("a", 1) w:increment("n", 5)
        assert(w:increment("n") == 6 and #w == 2)
        assert(t:add("b") and not t:add("b"))
        schedule(6, function() t:set("a", 2) r:get("a") w:set("a", 2) end)
        schedule(12, function()
            assert(t:get("a") == nil and #t == 0 and gone[1] == "a" and gone[2] == "b", "create")
            assert(r:get("a") == 1, "read")
            assert(w:get("a") == 2 and not w:has("n"), "write")
            w:set("x", 1) w:set("y", 1)
            assert(#w == 2 and not w:has("a"), "the oldest made room")
            local keys = {}
            for k in w:each() do keys[#keys + 1] = k end
            assert(table.concat(keys) == "xy")
            w:delete("x")
            assert(#w == 1)
            print("done")
        end)
        "#,
    );
    for s in [6, 12] {
        host.advance(s * 1_000_000_000);
    }
    let text = given(&mut host);
    assert!(text.last().is_some_and(|t| t.contains("done")), "{text:?}");
}

#[test]
fn notices_are_suppressed_and_policies_have_their_say() {
    let (_s, mut host) = host(
        "notices",
        r#"
        notice_policy(function(n) if n.note == "T::Quiet" then return false end n.msg = n.msg .. "!" end)
        on("net_weird", function(name)
            notice{note = "T::Loud", msg = name, identifier = name, suppress_for = 60}
            notice{note = "T::Quiet", msg = name}
        end)
        "#,
    );
    for (s, name) in [(1, "a"), (2, "a"), (3, "b"), (62, "a")] {
        weird(&mut host, s * 1_000_000_000, name);
    }
    let rows = given(&mut host);
    let told: Vec<_> = rows
        .iter()
        .map(|r| r.split("\"msg\":\"").nth(1).unwrap_or("")[..2].to_owned())
        .collect();
    assert_eq!(told, ["a!", "b!", "a!"], "{rows:#?}");
    assert!(rows[0].contains(r#""note":"T::Loud""#) && rows[0].contains(r#""suppress_for":60.000000"#));
}

#[test]
fn intelligence_is_found_again() {
    let scripts = Scripts::new(
        "intel",
        &[
            (
                "main.lua",
                r#"
                assert(intel.load("i.dat") == 3)
                intel.add{indicator = "10.1.0.0/16", indicator_type = "Intel::SUBNET", source = "own"}
                on("net_weird", function(name)
                    for _, kind in ipairs{"Intel::ADDR", "Intel::DOMAIN"} do
                        print(name, kind, intel.seen{indicator = name, indicator_type = kind, where = "T::HERE"})
                    end
                end)
                "#,
            ),
            (
                "i.dat",
                "#fields\tindicator\tindicator_type\tmeta.source\n192.0.2.1\tIntel::ADDR\tone\n\
                 Evil.Example\tIntel::DOMAIN\tone\n192.0.2.1\tIntel::ADDR\ttwo\n",
            ),
        ],
    );
    let mut host = scripts.load(Limits::default()).expect("a host");
    for name in ["192.0.2.1", "evil.example", "10.1.2.3", "10.2.2.3"] {
        weird(&mut host, 1, name);
    }
    let text = given(&mut host);
    let rows: Vec<_> = text.iter().filter(|t| t.starts_with("intel ")).collect();
    assert_eq!(rows.len(), 3, "{text:#?}");
    assert!(
        rows[0].contains(r#""sources":["one","two"]"#) && rows[0].contains("T::HERE"),
        "{}",
        rows[0]
    );
    assert!(rows[2].contains(r#""matched":["Intel::SUBNET"]"#), "{}", rows[2]);
}

#[test]
fn files_are_written_and_rotated_and_that_is_told() {
    let (scripts, mut host) = host(
        "files",
        r#"
        local f = open("a.txt", {rotate_size = 8})
        local g = open("b.txt", {rotate_interval = 5})
        on("net_weird", function(name) print(f, name, 1) g:write(name, "\n") end)
        on("rotate_size", function(f) h = f end)
        "#,
    );
    for s in [10, 11, 12, 17, 18] {
        weird(&mut host, s * 1_000_000_000, "abc");
    }
    host.finish();
    let text = given(&mut host).join("\n");
    for (what, times) in [
        ("FileOpened", 2),
        ("Print", 5),
        ("RotateSize", 2),
        ("RotateInterval", 1),
    ] {
        assert_eq!(text.matches(what).count(), times, "{what}: {text}");
    }
    let names = fs::read_dir(scripts.0.join("out")).expect("a folder");
    let mut names: Vec<_> = names
        .map(|n| n.expect("a file").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    assert_eq!(names.len(), 5, "{names:?}");
    let read = |n: &str| fs::read_to_string(scripts.0.join("out").join(n)).expect(n);
    assert_eq!(read("a.txt"), "abc\t1\n");
    let all: String = names
        .iter()
        .filter(|n| n.starts_with("b"))
        .map(|n| read(n))
        .collect();
    assert_eq!(all.matches("abc\n").count(), 5);
}

#[test]
fn what_nobody_handles_costs_nothing() {
    let (_s, mut host) = host("nothing", "on('bro_init', function() end)");
    let before = host.calls();
    weird(&mut host, 1, "x");
    assert_eq!(host.calls(), before);
    assert!(!host.wants().wants(Kind::new(31, 63)));
}

/// A row of capture_loss.log, which has columns of several types.
struct Row(u64, &'static str);

const COLUMNS: &[crate::event::Column] = &[
    crate::event::Column::new("ts", "time"),
    crate::event::Column::new("peer", "string"),
    crate::event::Column::new("p", "port"),
    crate::event::Column::new("l", "vector[addr]"),
    crate::event::Column::new("n", "count"),
];

impl crate::event::LogRow for Row {
    fn path(&self) -> &'static str {
        "capture_loss"
    }

    fn columns(&self) -> &'static [crate::event::Column] {
        COLUMNS
    }

    fn values<'a>(&'a self, out: &mut Vec<crate::event::Value<'a>>) {
        use crate::event::Value;
        let list = vec![Value::Addr([192, 0, 2, 1].into())];
        out.extend([
            Value::Time(1_764_337_000_123_456_789),
            Value::Str(self.1.into()),
            Value::Port(53),
            Value::List(list),
            Value::Count(self.0),
        ]);
    }
}

#[test]
fn filters_leave_rows_out_and_make_others() {
    let (_s, mut host) = host(
        "filters",
        r#"
        log.filter("capture_loss", {where = function(r) return r.peer ~= "quiet" end})
        log.filter("capture_loss", {path = "loss_small", include = {"ts", "l", "n"}, rename = {n = "number"},
            add = {{"twice: count", function(r) return r.n * 2 end}}, where = function(r) return r.p == 53 and r.n > 1 end})
        "#,
    );
    assert_eq!(host.filtered_logs(), ["capture_loss"]);
    let mut rows = Vec::new();
    for row in [Row(1, "a"), Row(7, "quiet"), Row(u64::MAX, "b")] {
        host.row(1, &row);
        rows.extend(given_rows(&mut host));
    }
    let whole = |n: u64, peer: &str| {
        format!(r#"capture_loss {{"ts":1764337000.123457,"peer":"{peer}","p":53,"l":["192.0.2.1"],"n":{n}}}"#)
    };
    let small = |n: u64, twice: u64| {
        format!(r#"loss_small {{"ts":1764337000.123457,"l":["192.0.2.1"],"number":{n},"twice":{twice}}}"#)
    };
    assert_eq!(rows[..2], [whole(1, "a"), small(7, 14)]);
    assert!(
        rows[2].starts_with("loss_small ") && rows[2].contains(&format!("\"number\":{}", u64::MAX)),
        "{}",
        rows[2]
    );
    assert_eq!(
        rows[3..],
        [whole(u64::MAX, "b")],
        "what is not touched is as it was"
    );
}

#[test]
fn a_filter_may_replace_a_log_and_its_mistakes_cost_no_row() {
    let (_s, mut host) = host(
        "replace",
        r#"
        log.filter("capture_loss", {path = "loss_instead", exclude = {"l", "p"}, replace = true})
        log.filter("capture_loss", {where = function(r) return r.none.x end})
        "#,
    );
    host.row(1, &Row(1, "a"));
    let rows = given_rows(&mut host);
    assert_eq!(
        rows,
        [r#"loss_instead {"ts":1764337000.123457,"peer":"a","n":1}"#]
    );
    for wrong in [
        "log.filter('nothing', {})",
        "log.filter('conn', {exclude = {'a'}})",
        "log.filter('conn', {path = 'ssl'})",
        "log.filter('conn', {path = '../x'})",
    ] {
        let scripts = Scripts::new("replace-wrong", &[("main.lua", wrong)]);
        assert!(scripts.load(Limits::default()).is_err(), "{wrong}");
    }
}

/// Rows that filters let through or made.
fn given_rows(host: &mut Host) -> Vec<String> {
    let mut out = Vec::new();
    host.take(&mut out);
    out.iter()
        .filter_map(|o| match o {
            Out::Filtered(row) => {
                let mut json = Vec::new();
                crate::event::log::write_json(&mut json, row, &mut Vec::new());
                Some(format!("{} {}", row.path(), String::from_utf8_lossy(&json)))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn functions_have_their_say_of_signatures() {
    use crate::event::SignatureState;
    let (_s, mut host) = host(
        "eval",
        r#"
        function long(state, data) return state.sig_id == "s" and state.conn.resp_p == 80 and #data > state.payload_size end
        function fails(state, data) return state.none.x end
        "#,
    );
    assert!(host.has_function("long") && !host.has_function("short"));
    let c = ConnId::sample(80);
    let state = SignatureState {
        sig_id: "s",
        conn: &c,
        is_orig: true,
        payload_size: 3,
    };
    assert!(host.evaluate(1, "long", &state, b"four"));
    assert!(!host.evaluate(1, "long", &state, b"two"));
    assert!(!host.evaluate(1, "fails", &state, b"four"));
    assert!(given(&mut host).last().is_some_and(|t| t.contains("nil value")));
}

/// The hello is the one whose JA4 is published: https://github.com/FoxIO-LLC/ja4, technical details.
#[test]
fn a_hello_has_its_ja4() {
    let (_s, mut host) = host(
        "ja4",
        r#"
        local function hexes(list)
            local t = {}
            for n in list:gmatch("%x+") do t[#t + 1] = tonumber(n, 16) end
            return t
        end
        on("net_weird", function()
            print(ja4 { version = 0x0303, alpn = "h2",
                ciphers = hexes "9a9a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035",
                extensions = hexes "1a1a,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015",
                signature_algorithms = hexes "0403,0804,0401,0503,0805,0501,0806,0601",
                supported_versions = hexes "2a2a,0304,0303" })
        end)
        "#,
    );
    weird(&mut host, 1, "x");
    let text = given(&mut host).concat();
    assert!(text.contains("t13d1516h2_8daaf6152771_e5627efa2ab1"), "{text}");
}
