//! WebSockets between Python's websockets and itself, with nginx between them as it often is.

use anyhow::{Context, Result, ensure};
use sensor_tests::daemon::Daemon;
use sensor_tests::rows::{check, row};
use sensor_tests::{one_at_a_time, root_or_say_so};
use serde_json::{Value, json};

use super::{Web, check_request, logged, server};

/// Both ends; where the server listens, nginx alone asks it.
const ENDS: &str = include_str!("websocket.py");
const PORT: u16 = 9001;
/// The one that Debian's packages are for, whatever comes first in the path.
const PYTHON: &str = "/usr/bin/python3";
/// nginx's part.
const PROXY: &str = "location /chat { proxy_pass http://10.77.0.2:9001; proxy_http_version 1.1; \
                     proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; \
                     proxy_set_header Connection upgrade; }";

/// A web server with a WebSocket's server behind it.
struct Chat {
    web: Web,
    _server: Daemon,
}

impl Chat {
    fn new() -> Result<Chat> {
        let web = Web::new(PROXY, &["--workers", "2"])?;
        let mut command = web.lab.server.command(PYTHON);
        command.args(["-c", ENDS, "serve", &server().to_string(), &PORT.to_string()]);
        let log = web.dir.path().join("websockets.log");
        let at = (server(), PORT);
        let _server = Daemon::start(&web.lab.server, command, at, &log)?;
        Ok(Chat { web, _server })
    }

    /// Talks at this path; what the client says of it.
    fn talk(&self, path: &str, protocols: &str, compression: &str, messages: &[&str]) -> Result<Value> {
        let mut client = self.web.lab.client.command(PYTHON);
        let url = format!("ws://{}{path}", server());
        client.args(["-c", ENDS, "talk", &url, protocols, compression]);
        let out = client.args(messages).output().context(PYTHON)?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Ok(serde_json::from_slice(&out.stdout)?)
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn websockets_are_logged_as_both_ends_see_them() {
    if !root_or_say_so("websocket") {
        return;
    }
    let _turn = one_at_a_time();
    let mut chat = Chat::new().unwrap();
    let long = "And so on. ".repeat(10_000);
    let talks = [
        ("/chat", "", "deflate", &["hello", "there"][..]),
        ("/chat/room?n=1", "chat.v1,chat.v2", "deflate", &[&*long]),
        ("/chat/plain", "chat.v1,other", "", &["hello", &long]),
        ("/chat/silent", "chat.v2", "", &[]),
    ];
    let seen = talks.map(|(path, protocols, compression, messages)| {
        let seen = chat.talk(path, protocols, compression, messages).unwrap();
        let sent: usize = messages.iter().map(|m| m.len()).sum();
        assert_eq!(seen["received"], sent, "{path}");
        seen
    });
    // What is no WebSocket to the server is none in the logs.
    let refused = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket"];
    let get = |path: &str| chat.web.fetch(&[&refused[..], &[&Web::url(path)]].concat());
    get("/chat/refused").unwrap();
    get("/missing").unwrap();
    let done = chat.web.stop().unwrap();

    let (served, logged) = (chat.web.served().unwrap(), logged(&done).unwrap());
    assert_eq!(
        served.keys().collect::<Vec<_>>(),
        logged.keys().collect::<Vec<_>>(),
        "{logged:#?}"
    );
    for (key, s) in &served {
        check_request(&logged[key], s);
    }
    let (sockets, conns) = (done.log("websocket.log").unwrap(), done.conns().unwrap());
    assert_eq!(sockets.len(), talks.len(), "{sockets:#?}");
    for ((path, protocols, compression, _), seen) in talks.iter().zip(&seen) {
        let port = seen["port"].as_u64().unwrap();
        let (s, l) = (&served[&(port, 1)], &logged[&(port, 1)]);
        assert_eq!((&s["status"], &l["uri"]), (&101.into(), &(*path).into()));
        assert_eq!(l["status_msg"], "Switching Protocols");
        let socket = row(&sockets, server(), port as u16);
        check(
            socket,
            &[
                ("uid", l["uid"].clone()),
                ("uri", (*path).into()),
                ("host", s["host"].clone()),
                ("user_agent", s["agent"].clone()),
                ("subprotocol", seen["subprotocol"].clone()),
            ],
        );
        let offered: Vec<_> = protocols.split(',').filter(|p| !p.is_empty()).collect();
        let offered = if offered.is_empty() {
            Value::Null
        } else {
            json!(offered)
        };
        assert_eq!(socket["client_protocols"], offered, "{socket:#}");
        for side in ["client_extensions", "server_extensions"] {
            let first = socket[side][0].as_str().unwrap_or_default();
            assert_eq!(
                first.starts_with("permessage-deflate"),
                !compression.is_empty(),
                "{socket:#}"
            );
        }
        let conn = row(&conns, server(), port as u16);
        let whole = [("service", "http,websocket".into()), ("conn_state", "SF".into())];
        check(conn, &whole);
        assert_eq!((&conn["uid"], &conn["missed_bytes"]), (&l["uid"], &0.into()));
    }
}

/// The share of the wire's bytes that went to userspace.
fn bulk() -> f64 {
    const SIZE: u64 = 20_000_000;
    let mut chat = Chat::new().unwrap();
    let seen = chat
        .talk("/chat/bulk", "", "", &[&format!("bulk {SIZE}")])
        .unwrap();
    assert_eq!(seen["received"], SIZE + 4);
    let done = chat.web.stop().unwrap();
    let conns = done.conns().unwrap();
    let conn = row(&conns, server(), seen["port"].as_u64().unwrap() as u16);
    let whole = [("service", "http,websocket".into()), ("missed_bytes", 0.into())];
    check(conn, &whole);
    assert!(conn["resp_bytes"].as_u64().unwrap() > SIZE);
    let wire = conn["orig_ip_bytes"].as_u64().unwrap() + conn["resp_ip_bytes"].as_u64().unwrap();
    let share = done.copied().unwrap() as f64 / wire as f64;
    eprintln!("{:.4} % of {wire} bytes copied", 100.0 * share);
    share
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_a_websocket_carries_stays_in_the_kernel() {
    if !root_or_say_so("a WebSocket's bulk") {
        return;
    }
    let _turn = one_at_a_time();
    // What comes before the order to keep the payload arrives is what comes in one nap of a worker, half a millisecond: up to 6 %
    // at the speed of this wire.
    let best = (0..3).map(|_| bulk()).find(|share| *share < 0.1);
    assert!(best.is_some());
}
