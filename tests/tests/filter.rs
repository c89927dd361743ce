//! Flows that are ignored or counted alone, by the kernel's program.
#![allow(unsafe_code, reason = "kill is a system call")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use sensor_tests::lab::SERVER_V4;
use sensor_tests::sensor::{TempDir, binary, run_args};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};
use serde_json::Value;

/// Request and answer, as HTTP.
const QUESTION: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn serve(lab: &Lab, port: u16) {
    let listener = lab
        .server
        .run(|| TcpListener::bind((SERVER_V4, port)))
        .unwrap()
        .unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut question = [0; QUESTION.len()];
            let _ = stream.read_exact(&mut question);
            let _ = stream.write_all(ANSWER);
        }
    });
}

fn ask(lab: &Lab, port: u16) {
    let mut stream = lab
        .client
        .run(|| TcpStream::connect((SERVER_V4, port)))
        .unwrap()
        .unwrap();
    stream.write_all(QUESTION).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, ANSWER);
}

fn to(rows: &[Value], port: u16) -> Vec<&Value> {
    rows.iter().filter(|r| r["id.resp_p"] == port).collect()
}

/// The number before a word in the sum of frames.
fn frames(stderr: &str, name: &str) -> u64 {
    let line = stderr.lines().find(|l| l.starts_with("frames ")).expect("a sum");
    let part = line
        .split(['+', '='])
        .find(|p| p.trim().ends_with(name))
        .expect(name);
    part.trim().split(' ').next().unwrap().parse().unwrap()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn rules_decide_of_flows_and_change_while_it_runs() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let ports = [8001, 8002, 8003];
    ports.iter().for_each(|p| serve(&lab, *p));
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let config = files.path().join("sensor.toml");
    let settings = |rules: &str| std::fs::write(&config, format!("[filter]\nrules = {rules}\n")).unwrap();
    settings(r#"["ignore tcp port 8001", "count port 8002 and ifname m0", "ignore ifname nowhere0"]"#);
    let config_arg = config.display().to_string();
    let args = ["--config", &config_arg, "--tcp-close-delay", "0.2"];
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    ports.iter().for_each(|p| ask(&lab, *p));
    settings(r#"["ignore (tcp port 8003)", "port 8001 or 8003"]"#);
    // SAFETY: no memory involved; the child has not been waited for.
    assert_eq!(unsafe { libc::kill(sensor.pid() as i32, libc::SIGHUP) }, 0);
    assert!(sensor.says("the filter is another one"), "{}", sensor.stderr());
    ports.iter().for_each(|p| ask(&lab, *p));
    settings(r#"["ignore frobnicate"]"#);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::kill(sensor.pid() as i32, libc::SIGHUP) }, 0);
    assert!(
        sensor.says("the settings stay as they are"),
        "{}",
        sensor.stderr()
    );
    assert!(
        sensor.stderr().contains("`frobnicate` is not known"),
        "{}",
        sensor.stderr()
    );
    ask(&lab, 8003);
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    let rows = done.conns().unwrap();
    assert_eq!(rows.len(), 3, "{rows:#?}");
    let ignored = 4 * 10;
    let seen = frames(&done.stderr, "ignored");
    assert!((ignored - 8..=ignored + 8).contains(&seen), "{}", done.stderr);
    let counted = &to(&rows, 8002)[0];
    assert_eq!(counted.get("service"), None, "nothing is read of it: {counted:#}");
    let (watched, first) = (&to(&rows, 8003)[0], &to(&rows, 8001)[0]);
    for row in [watched, first] {
        assert_eq!(row["service"], "http", "{row:#}");
    }
    for column in ["orig_bytes", "resp_bytes", "conn_state", "orig_ip_bytes"] {
        assert_eq!(counted[column], watched[column], "{column}: {counted:#}");
    }
    assert_eq!(done.log("http.log").unwrap().len(), 2);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_sample_of_flows_is_whole_flows() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    serve(&lab, 8001);
    let logs = TempDir::new().unwrap();
    let args = ["--sample", "4", "--seed", "1"];
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    let all = 200;
    (0..all).for_each(|_| ask(&lab, 8001));
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    let rows = done.conns().unwrap();
    // Half to double of a quarter: nobody is as unlucky as that.
    assert!((all / 8..all / 2).contains(&rows.len()), "{}", rows.len());
    assert!(rows.iter().all(|r| r["conn_state"] == "SF"), "{rows:#?}");
    assert!(frames(&done.stderr, "not in the sample") > 0, "{}", done.stderr);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_filter_that_cannot_be_is_one_clear_line() {
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    for (rule, why) in [
        (
            "ignore port http",
            "filter \"ignore port http\": `http` is no port: names are not looked up",
        ),
        ("ignore vlan 7", "`vlan` needs --vlan-aware on"),
    ] {
        let mut c: Command = lab.middle.command(binary().unwrap());
        c.args(run_args(&["m0"], logs.path()))
            .args(["--filter", rule, "--quiet"]);
        let out = c.output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains(why) && said.lines().count() == 1, "{said}");
    }
}
