//! Scripts that are given the events of live traffic.

use std::net::IpAddr;
use std::process::Command;

use sensor_tests::lab::SERVER_V4;
use sensor_tests::sensor::{TempDir, binary, run_args};
use sensor_tests::traffic::{self, Server, port};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};

const SERVER: IpAddr = IpAddr::V4(SERVER_V4);

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn scripts_hear_of_all_workers_in_order_and_give_orders() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("servers");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let script = files.path().join("main.lua");
    std::fs::write(
        files.path().join("more.lua"),
        "on('bro_done', function() print(out, 'done') end)",
    )
    .unwrap();
    let text = format!(
        r#"
        out = open("seen.txt")
        load "more.lua"
        local seen = log.stream{{path = "seen", columns = {{"ts: time", "uid: string", "what: string", "in_order: bool"}}}}
        local last = 0
        local function note(c, what)
            seen:write{{uid = c.uid, what = what, in_order = now() >= last}}
            last = now()
        end
        on("new_connection", function(c)
            note(c, "new")
            if c.resp_p == {} then c:shed() end
        end)
        on("connection_state_remove", function(c) note(c, "gone") end)
        log.filter("conn", {{path = "conn_small", include = {{"uid", "id.resp_p"}}, where = function(r) return r.conn_state == "SF" end}})
        on("zeek_init", function() print(out, "begun") end)
        local ticks = 0
        local id
        id = every(0.05, function() ticks = ticks + 1 if ticks == 3 then print(out, "ticks") cancel(id) end end)
        on("print_hook", function(f, s) if s == "ticks" then error("as it must be") end end)
        "#,
        port::HTTP
    );
    std::fs::write(&script, text).unwrap();
    let events = files.path().join("events");
    let args = [
        "--script",
        &script.display().to_string(),
        "--workers",
        "2",
        "--tcp-close-delay",
        "0.2",
        "--events",
        &events.display().to_string(),
        "--event",
        "print_hook,file_opened,bro_script_loaded,reporter_error",
    ];
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    let status = std::fs::read_dir(format!("/proc/{}/task", sensor.pid())).unwrap();
    let status = status.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("status")).ok());
    let script_thread = status
        .filter(|s| s.starts_with("Name:\tscripts"))
        .collect::<Vec<_>>();
    assert_eq!(script_thread.len(), 1);
    assert!(
        script_thread[0].contains("Seccomp:\t2"),
        "it reads what attackers send: {}",
        script_thread[0]
    );
    let shed = lab.client.run(|| traffic::http_get(SERVER)).unwrap().unwrap();
    for _ in 0..20 {
        lab.client
            .run(|| traffic::upload(SERVER, 100_000))
            .unwrap()
            .unwrap();
    }
    assert!(sensor.says("as it must be"), "{}", sensor.stderr());
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();

    let conns = done.conns().unwrap();
    let seen = done.log("seen.log").unwrap();
    for row in &conns {
        let of = |what: &str| {
            seen.iter()
                .filter(|s| s["uid"] == row["uid"] && s["what"] == what)
                .count()
        };
        assert_eq!((of("new"), of("gone")), (1, 1), "{row:#}");
    }
    assert!(seen.iter().all(|s| s["in_order"] == true), "{seen:#?}");
    let small = done.log("conn_small.log").unwrap();
    assert_eq!(small.len(), conns.len(), "{small:#?}");
    for row in &small {
        let whole = conns.iter().find(|c| c["uid"] == row["uid"]).expect("a row");
        assert_eq!(row["id.resp_p"], whole["id.resp_p"]);
        assert_eq!(row.as_object().unwrap().len(), 2, "{row:#}");
    }
    let first = conns.iter().find(|r| r["id.orig_p"] == shed).expect("a row");
    assert_eq!(first["conn_state"], "SF", "{first:#}");
    let text = std::fs::read_to_string(logs.path().join("scripts/seen.txt")).unwrap();
    assert_eq!(text, "begun\nticks\ndone\n");
    let events = std::fs::read_to_string(events).unwrap();
    for (name, times) in [
        ("bro_script_loaded", 2),
        ("file_opened", 1),
        ("print_hook", 3),
        ("reporter_error", 1),
    ] {
        assert_eq!(
            events.matches(&format!("\"event\":\"{name}\"")).count(),
            times,
            "{name}: {events}"
        );
    }
    assert!(events.contains("\"level\":1"), "{events}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_script_that_is_too_slow_costs_events_and_no_packet() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("servers");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let script = files.path().join("slow.lua");
    let text = "on('new_packet', function(c, p) for i = 1, 300000 do end end)";
    std::fs::write(&script, text).unwrap();
    // Room for all of it, however slow the machine is.
    let args = ["--script", &script.display().to_string(), "--ring-mib", "64"];
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    for _ in 0..8 {
        lab.client
            .run(|| traffic::upload(SERVER, 1_000_000))
            .unwrap()
            .unwrap();
    }
    lab.settle().unwrap();
    let done = sensor.end_by(libc::SIGTERM).unwrap();
    done.check_sums().unwrap();
    assert_eq!(done.lost().unwrap(), 0, "{}", done.stderr);
    assert_eq!(done.conns().unwrap().len(), 8);
    assert!(
        done.stderr.contains("new_packet did not come to the scripts")
            || done.stderr.contains("take too long"),
        "{}",
        done.stderr
    );
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_is_called_at_once_comes_in_time_for_a_file_in_one_packet() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("servers");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let at = |name: &str| files.path().join(name).display().to_string();
    let text = format!(
        r#"
        local at_once = {{ at_once = true }}
        on("file_new", function(f)
            file.analyze(f, "sha256")
            file.analyze(f, "extract")
            weird("script_saw_a_file", {{ c = f.c }})
        end, at_once)
        on("new_connection", function(c)
            if c.resp_p == {} then c:contents("resp") end
        end, at_once)
        on("get_file_handle", function(tag, c, is_orig) set_file_handle("the only one") end)
        function is_get(state, data) return data:sub(1, 4) == "GET " end
        function never(state, data) return false end
        -- Handlers of the other interpreter.
        on("conn_weird", function(name) if name == "script_saw_a_file" then print(open("late.txt"), name) end end)
        "#,
        port::HTTP
    );
    std::fs::write(at("main.lua"), text).unwrap();
    let signatures = "signature asked { ip-proto == tcp payload /GET / eval is_get event \"asked\" }
        signature refused { ip-proto == tcp payload /GET / eval never event \"refused\" }";
    std::fs::write(at("asked.sig"), signatures).unwrap();
    let options = [
        ("--script", at("main.lua")),
        ("--signatures", at("asked.sig")),
        ("--extract-files", at("extracted")),
        ("--contents-file", at("contents")),
    ];
    let mut args: Vec<&str> = options.iter().flat_map(|(o, v)| [*o, v]).collect();
    args.extend(["--extract-on-request", "--contents-on-request", "--workers", "2"]);
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    lab.client.run(|| traffic::http_get(SERVER)).unwrap().unwrap();
    lab.client.run(|| traffic::upload(SERVER, 1000)).unwrap().unwrap();
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();

    let rows = done.log("files.log").unwrap();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    let row = &rows[0];
    assert_eq!(row["sha256"].as_str().map(str::len), Some(64), "{row:#}");
    let extracted = files
        .path()
        .join("extracted")
        .join(row["extracted"].as_str().expect("a name"));
    let body = std::fs::read(extracted).unwrap();
    assert_eq!(Some(body.len() as u64), row["seen_bytes"].as_u64(), "{row:#}");
    let contents: Vec<_> = std::fs::read_dir(at("contents"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(
        contents.len(),
        1,
        "of one direction of one connection: {contents:?}"
    );
    let stream = std::fs::read(&contents[0]).unwrap();
    assert!(stream.starts_with(b"HTTP/1.1 200 OK") && stream.ends_with(&body));
    let weirds = done.log("weird.log").unwrap();
    assert!(
        weirds.iter().any(|w| w["name"] == "script_saw_a_file"),
        "{weirds:#?}"
    );
    let late = std::fs::read_to_string(logs.path().join("scripts/late.txt")).unwrap();
    assert_eq!(late, "script_saw_a_file\n");
    let matches = done.log("signatures.log").unwrap();
    let names: Vec<_> = matches.iter().map(|m| &m["sig_id"]).collect();
    assert_eq!(names, ["asked"]);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_script_that_cannot_be_is_one_clear_line_before_anything_is_attached() {
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let script = files.path().join("wrong.lua");
    std::fs::write(&script, "\non('new_conection', function() end)").unwrap();
    let mut c: Command = lab.middle.command(binary().unwrap());
    c.args(run_args(&["m0"], logs.path()))
        .arg("--script")
        .arg(&script);
    let out = c.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(
        said.contains("wrong.lua:2: ") && said.contains("new_connection"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}
