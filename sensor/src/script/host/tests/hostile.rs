//! Scripts that are given all events of traffic that is made to hurt, for a moment, or for as many seconds as SOAK_SECONDS says.

use std::time::{Duration, Instant};

use super::*;
use crate::event::Handler;
use crate::offline::Offline;
use crate::packet::capture::Frame;
use crate::packet::link::LinkType;
use crate::settings::Settings;

/// What connections begin with before it is spoilt: originators' and responders' bytes, and the port.
const TALK: &[(u16, &[u8], &[u8])] = &[
    (
        80,
        b"POST /a%20b?x=y HTTP/1.1\r\nHost: www.example.com:8080\r\nUser-Agent: curl/8.0\r\nAuthorization: Basic YTpi\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 60\r\n\r\n--x\r\nContent-Disposition: form-data; filename=\"a.pdf\"\r\n\r\n%PDF-1.4\r\n--x--\r\n",
        b"HTTP/1.1 200 OK\r\nServer: nginx/1.2.3\r\nContent-Type: text/html; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        22,
        b"SSH-2.0-OpenSSH_9.6 Debian\r\n\x00\x00\x00\x0c\x0a\x14abcdefghij",
        b"SSH-2.0-dropbear_2022.83\r\n",
    ),
    (21, b"USER anonymous\r\nPASS x@y\r\nPORT 10,0,0,1,4,5\r\n", b"220 ProFTPD 1.3.5 Server\r\n331 ok\r\n"),
    (
        443,
        b"\x16\x03\x01\x00\x45\x01\x00\x00\x41\x03\x03ABCDEFGHIJKLMNOPQRSTUVWXYZ012345\x00\x00\x04\x13\x01\xc0\x2f\x01\x00\x00\x14\x00\x00\x00\x10\x00\x0e\x00\x00\x0bexample.com",
        b"\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03ABCDEFGHIJKLMNOPQRSTUVWXYZ012345\x00\xc0\x2f\x00\x15\x03\x03\x00\x02\x02\x28",
    ),
    (25, b"EHLO client.example\r\nMAIL FROM:<a@b>\r\n", b"220 mx.example ESMTP Postfix\r\n250 ok\r\n"),
];
/// A DNS query.
const QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01";

/// Handles every event, and remembers what is in it.
fn script() -> String {
    let names: Vec<_> = crate::catalog::events()
        .filter(|e| e.raised)
        .map(|e| format!("{:?}", e.name))
        .collect();
    format!(
        r##"
        local strings = expiring {{ write = 3, max = 200 }}
        local once = expiring {{ create = 2, max = 50, on_expire = function(k, v) assert(k and v) end }}
        local counts = expiring {{ read = 2, max = 100 }}
        local seen = log.stream {{ path = "hostile_test", columns = {{ "name: string", "value: string", "n: count" }} }}
        local function walk(v, depth)
            local kind = type(v)
            if kind == "string" then
                strings:set(v, entropy(v))
                if once:add(md5(v)) then counts:increment(#v) end
                from_json(json({{ v, [2] = {{ text = v }} }}))
                subnet("10.0.0.0/8"):has(v)
            elseif kind == "table" and depth < 8 then
                for k, w in pairs(v) do walk(k, depth + 1) walk(w, depth + 1) end
                json(v)
            elseif kind == "userdata" then
                counts:increment(v.uid)
                community_id(v)
                assert(tostring(v):find(v.uid, 1, true) and v == v)
            end
        end
        for _, name in ipairs {{ {} }} do
            on(name, function(...)
                for i = 1, select("#", ...) do walk((select(i, ...)), 0) end
                seen:write {{ name = name, value = tostring((...)), n = strings:size() }}
                assert(strings:size() <= 200 and #once <= 50 and #counts <= 100)
            end)
        end
        "##,
        names.join(", ")
    )
}

struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }

    /// Some of its bytes are others, and perhaps some are missing or twice.
    fn spoil(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..self.next(6) {
            let at = self.next(out.len());
            match self.next(4) {
                0 => out.truncate(at),
                1 => out.extend_from_within(at..),
                _ => {
                    if let Some(b) = out.get_mut(at) {
                        *b = self.next(256) as u8;
                    }
                }
            }
            out.truncate(1400);
        }
        out
    }
}

/// An IPv4 packet from one host to another.
fn packet(proto: u8, to_server: bool, transport: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend((20 + transport.len() as u16).to_be_bytes());
    ip.extend([0, 1, 0x40, 0, 64, proto, 0, 0]);
    let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let ends = if to_server {
        [client, server]
    } else {
        [server, client]
    };
    ip.extend(ends.concat());
    ip.extend(transport);
    ip
}

fn tcp(ports: (u16, u16), to_server: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = if to_server { ports } else { (ports.1, ports.0) };
    let mut t = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    t.extend(seq.to_be_bytes());
    t.extend(ack.to_be_bytes());
    t.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    t.extend(payload);
    packet(6, to_server, &t)
}

fn udp(src: u16, payload: &[u8]) -> Vec<u8> {
    let mut u = [src.to_be_bytes(), 53_u16.to_be_bytes()].concat();
    u.extend((8 + payload.len() as u16).to_be_bytes());
    u.extend([0, 0]);
    u.extend(payload);
    packet(17, true, &u)
}

/// Gives a host all events.
struct All {
    host: Host,
    events: u64,
    out: Vec<Out>,
}

impl Handler for All {
    fn wants(&self) -> Subscriptions {
        self.host.wants()
    }

    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.events += 1;
        self.host.event(ts, ev);
        self.out.clear();
        self.host.take(&mut self.out);
        for one in &self.out {
            if let Out::Event(own) = one {
                assert_eq!(own.said(), None, "{}", ev.info().name);
            }
        }
    }
}

#[test]
fn no_traffic_makes_handlers_fail_or_tables_grow() {
    let scripts = Scripts::new("hostile", &[("main.lua", &script())]);
    let limits = Limits {
        memory: 24 << 20,
        ..Limits::default()
    };
    let host = scripts.load(limits).expect("a host");
    let cfg = Settings::default().engine(1).expect("settings");
    let handler = All {
        host,
        events: 0,
        out: Vec::new(),
    };
    let mut offline = Offline::new(cfg, handler);
    let seconds = std::env::var("SOAK_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(1);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut random = Random(7);
    let (mut now, mut port) = (1_700_000_000_000_000_000, 1024_u16);
    // A busy machine reads few of them in a second.
    let mut talks = 0;
    while talks < 80 || Instant::now() < until {
        talks += 1;
        port = port.wrapping_add(1).max(1024);
        let (server, orig, resp) = TALK[random.next(TALK.len())];
        let (orig, resp) = (random.spoil(orig), random.spoil(resp));
        let (o, r) = (1 + orig.len() as u32, 1 + resp.len() as u32);
        let ports = (port, server);
        let query = random.spoil(QUERY);
        let frames = [
            tcp(ports, true, 2, 0, 0, &[]),
            tcp(ports, false, 0x12, 0, 1, &[]),
            tcp(ports, true, 0x18, 1, 1, &orig),
            udp(port, &query),
            tcp(ports, false, 0x18, 1, o, &resp),
            tcp(ports, true, 0x11, o, r, &[]),
            tcp(ports, false, 0x11, r, o + 1, &[]),
        ];
        for mut data in frames {
            now += 1_000_000 * random.next(20) as u64;
            if random.next(20) == 0 {
                data = random.spoil(&data);
            }
            offline.frame(&Frame {
                ts: now,
                link: LinkType::RAW,
                wire_len: data.len() as u32,
                data: &data,
                iface: 0,
            });
        }
    }
    let all = offline.finish();
    let (calls, failed) = all.host.calls();
    assert!(
        all.events > 1000 && calls >= all.events && failed == 0,
        "{calls} calls, {failed} failed"
    );
    eprintln!("{calls} calls");
}
