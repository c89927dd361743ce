//! What browsers and servers say of themselves, over several workers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use sensor_tests::{one_at_a_time, root_or_say_so};

use super::{PORT, Web, server};

/// More connections than could all be of one worker.
const CONNECTIONS: usize = 40;

/// Asks on a connection of its own, with these names.
fn ask(names: &[&str]) -> std::io::Result<()> {
    let requests = names
        .iter()
        .map(|name| format!("GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: {name}\r\n\r\n"));
    let mut stream = TcpStream::connect((server(), PORT))?;
    // In one segment: where the client moves from one processor to another, two may be on their way side by side.
    stream.write_all(requests.collect::<String>().as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn software_is_logged_once_whichever_worker_meets_it() {
    if !root_or_say_so("software") {
        return;
    }
    let _turn = one_at_a_time();
    let names = ["tester/1.0", "tester/1.1", "other/7.64.1"];
    let events = sensor_tests::sensor::TempDir::new().unwrap();
    let stream = events.path().join("events");
    let (stream_arg, event) = (stream.to_str().unwrap(), "software_version_found");
    let options = ["--workers", "4", "--events", stream_arg, "--event", event];
    let mut web = Web::new("", &options).unwrap();
    for _ in 0..CONNECTIONS {
        web.lab.client.run(|| ask(&names)).unwrap().unwrap();
    }
    let done = web.stop().unwrap();
    // Events are told each time.
    let told = sensor_tests::sensor::read_log(&stream).unwrap();
    assert_eq!(told.len(), CONNECTIONS * 2 * names.len());
    let mut rows = BTreeMap::new();
    for row in done.log("software.log").unwrap() {
        let said = row["unparsed_version"].as_str().unwrap_or_default();
        let kind = row["software_type"].as_str().unwrap_or_default();
        let said = said.split_once("nginx").map_or(said, |_| "nginx");
        *rows.entry((kind.to_owned(), said.to_owned())).or_insert(0) += 1;
    }
    let browsers = names.map(|name| ("HTTP::BROWSER", name));
    let all = browsers.into_iter().chain([("HTTP::SERVER", "nginx")]);
    let want = all.map(|(kind, said)| ((kind.to_owned(), said.to_owned()), 1));
    assert_eq!(rows, want.collect());
}
