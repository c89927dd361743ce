//! Conversations and what is said of them: events, weirds, rows, files; whole, and cut at every byte.

use std::io::Write;

use super::*;
use crate::analyzer::api::{Call, Out, Solo};
use crate::event::log::{LogRow, Value};
use crate::event::{ConnId, Event, Fuid, Subscriptions, Ts};
use crate::file::{self, Carrier, Handle, News};

mod bodies;
mod brotli;
mod lines;
mod pairs;

/// Everything that came out.
#[derive(Default)]
pub struct Heard {
    /// Events and what else was said, one line each.
    pub said: Vec<String>,
    pub rows: Vec<String>,
    pub files: Vec<File>,
    /// Nobody reads files.
    unread: bool,
}

/// A file as the files room would have it.
pub struct File {
    handle: Handle,
    pub name: String,
    bytes: Vec<u8>,
    /// What was said of it besides.
    pub said: String,
    pub over: bool,
}

impl Out for Heard {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        let line = String::from_utf8(line).unwrap();
        let (_, args) = line.split_once("\"args\":").unwrap();
        let args = args.strip_suffix('}').unwrap();
        self.said.push(format!("{} {args}", ev.info().name));
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut values = Vec::new();
        row.values(&mut values);
        assert_eq!(values.len(), row.columns().len());
        let columns = row.columns().iter().zip(&values).skip(6);
        let shown = columns.filter(|(c, v)| c.name != "tags" && **v != Value::Unset);
        let shown: Vec<_> = shown.map(|(c, v)| format!("{}={}", c.name, show(v))).collect();
        self.rows.push(shown.join(" "));
    }
    fn confirm(&mut self, _: &'static Spec, _: u64) {
        self.said.push("confirm".into());
    }
    fn violation(&mut self, _: &'static Spec, _: u64, reason: &str) {
        self.said.push(format!("violation {reason}"));
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.said.push(format!("weird {name} {addl}").trim_end().into());
    }
    fn gave_up(&mut self) {
        self.said.push("gave up".into());
    }
    fn file(&mut self, carrier: &Carrier<'_>, piece: file::Piece<'_>) -> News {
        let known = self
            .files
            .iter()
            .position(|f| f.handle == carrier.handle && !f.over);
        let joined = known.is_none();
        if joined && piece == file::Piece::End {
            return News::default();
        }
        let at = known.unwrap_or_else(|| {
            self.files.push(File {
                handle: carrier.handle,
                name: carrier
                    .name
                    .map_or(String::new(), |n| n.escape_ascii().to_string()),
                bytes: Vec::new(),
                said: String::new(),
                over: false,
            });
            self.files.len() - 1
        });
        let f = &mut self.files[at];
        match piece {
            file::Piece::Bytes { at, bytes } => {
                if let Some(at) = at.filter(|_| f.bytes.is_empty()) {
                    f.said += &format!(" at {at}");
                }
                f.bytes.extend_from_slice(bytes);
            }
            file::Piece::Unseen { at, len } => f.said += &format!(" unseen {at:?} {len}"),
            file::Piece::Gap { at, len } => f.said += &format!(" gap {at:?} {len}"),
            file::Piece::Size(n) => f.said += &format!(" size {n}"),
            file::Piece::Coming => {}
            file::Piece::End => f.over = true,
        }
        let sniffed = joined.then_some("text/x");
        News {
            fuid: Some(fuid(at)),
            joined,
            sniffed,
            reads: !self.unread,
            ..News::default()
        }
    }
}

fn show(v: &Value<'_>) -> String {
    match v {
        Value::Str(s) => s.to_string(),
        Value::Wire(s) => s.escape_ascii().to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Count(n) | Value::Time(n) => n.to_string(),
        Value::List(l) => format!("[{}]", l.iter().map(show).collect::<Vec<_>>().join(",")),
        other => format!("{other:?}"),
    }
}

/// What a side sends, or what of it is lost.
#[derive(Clone, Copy, Debug)]
pub enum Sent<'t> {
    Orig(&'t [u8]),
    Resp(&'t [u8]),
    OrigLost(u64),
    RespLost(u64),
    OrigEnd,
    RespEnd,
}
pub use Sent::*;

/// An analyzer at work on a connection.
pub struct Run {
    pub http: Solo<Http>,
    pub heard: Heard,
    subs: Subscriptions,
    over: Option<HandOver>,
}

impl Run {
    pub fn new(subs: Subscriptions) -> Run {
        Run::with_memory(subs, Memory::default())
    }

    /// Of a worker whose compressed bodies take that.
    pub fn with_memory(subs: Subscriptions, memory: Memory) -> Run {
        let config = HttpConfig {
            capture_password: true,
        };
        let shared = HttpShared { config, memory };
        Run {
            http: Solo::new(Http::new(&Start::default(), &shared)),
            heard: Heard::default(),
            subs,
            over: None,
        }
    }

    fn with<R>(&mut self, work: impl FnOnce(&mut Http, &mut Ctx<'_>) -> R) -> R {
        let c = ConnId::sample(80);
        let call = Call {
            ts: 7_000_000_000,
            c: &c,
            subs: &self.subs,
            out: &mut self.heard,
        };
        self.http.with(call, work)
    }

    pub fn give(&mut self, sent: Sent<'_>) {
        if self.over.is_some() {
            return;
        }
        let next = self.with(|http, ctx| match sent {
            Orig(bytes) => http.data(true, bytes, ctx),
            Resp(bytes) => http.data(false, bytes, ctx),
            OrigLost(n) => http.gap(true, n, ctx),
            RespLost(n) => http.gap(false, n, ctx),
            OrigEnd => http.eof(true, ctx),
            RespEnd => http.eof(false, ctx),
        });
        if let Next::HandOver(over) = next {
            self.over = Some(over);
        }
    }

    pub fn end(mut self) -> Heard {
        let c = ConnId::sample(80);
        let call = Call {
            ts: 9_000_000_000,
            c: &c,
            subs: &self.subs,
            out: &mut self.heard,
        };
        self.http.close(call);
        assert!(self.http.analyzer.is_settled());
        self.heard
    }
}

impl Heard {
    /// What does not depend on how a conversation is cut: pieces of a body count together, and what is behind a reply in its
    /// packet does not count.
    pub fn whole(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        // Of each direction.
        let mut data = [String::new(), String::new()];
        for line in &self.said {
            if line.contains("protocol_data_with") {
                continue;
            }
            let piece = line.strip_prefix("http_entity_data ");
            match piece.and_then(|piece| piece.split_once("\"data\":\"")) {
                Some((head, piece)) => {
                    data[usize::from(head.contains("false"))] += piece.trim_end_matches("\"}");
                }
                None => out.push(line.clone()),
            }
        }
        out.extend(data);
        out.extend(self.rows.iter().cloned());
        for f in &self.files {
            out.push(format!(
                "{} {} {} {}",
                f.name,
                f.bytes.escape_ascii(),
                f.said,
                f.over
            ));
        }
        out
    }

    pub fn weirds(&self) -> Vec<&str> {
        self.said
            .iter()
            .filter_map(|l| l.strip_prefix("weird "))
            .collect()
    }

    /// Files' contents, as text.
    pub fn contents(&self) -> Vec<String> {
        self.files
            .iter()
            .map(|f| f.bytes.escape_ascii().to_string())
            .collect()
    }

    /// The details of what http_event said.
    fn events(&self) -> Vec<String> {
        let detail = |l: &String| Some(l.strip_prefix("http_event ")?.to_owned());
        self.said.iter().filter_map(detail).collect()
    }
}

fn hear(talk: &[Sent<'_>]) -> Heard {
    let mut run = Run::new(Subscriptions::ALL);
    talk.iter().for_each(|sent| run.give(*sent));
    run.end()
}

/// What is heard of a conversation, which does not depend on how it is cut, nor on who wants events.
pub fn talk(talk: &[Sent<'_>]) -> Heard {
    let heard = hear(talk);
    let whole = heard.whole();
    for (n, sent) in talk.iter().enumerate() {
        let (bytes, is_orig) = match *sent {
            Orig(b) => (b, true),
            Resp(b) => (b, false),
            _ => continue,
        };
        let piece = |bytes| if is_orig { Orig(bytes) } else { Resp(bytes) };
        for at in 1..bytes.len() {
            let mut run = Run::new(Subscriptions::ALL);
            talk[..n].iter().for_each(|sent| run.give(*sent));
            run.give(piece(&bytes[..at]));
            run.give(piece(&bytes[at..]));
            talk[n + 1..].iter().for_each(|sent| run.give(*sent));
            assert_eq!(run.end().whole(), whole, "cut at {at} of {n}");
        }
    }
    let mut run = Run::new(Subscriptions::ALL);
    let mut quiet = Run::new(Subscriptions::NONE);
    for sent in talk {
        quiet.give(*sent);
        match *sent {
            Orig(b) => b.chunks(1).for_each(|b| run.give(Orig(b))),
            Resp(b) => b.chunks(1).for_each(|b| run.give(Resp(b))),
            other => run.give(other),
        }
    }
    assert_eq!(run.end().whole(), whole, "byte by byte");
    assert_eq!(quiet.end().rows, heard.rows);
    heard
}

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut z = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    z.write_all(text).unwrap();
    z.finish().unwrap()
}

/// A reply with these headers, each with its end, and this body.
fn reply(headers: &str, body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\n", headers.as_bytes(), b"\r\n", body].concat()
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/// The row's columns behind those of the connection.
const COLUMNS: [&str; 25] = [
    "trans_depth",
    "method",
    "host",
    "uri",
    "referrer",
    "version",
    "user_agent",
    "origin",
    "request_body_len",
    "response_body_len",
    "status_code",
    "status_msg",
    "info_code",
    "info_msg",
    "username",
    "password",
    "proxied",
    "orig_fuids",
    "orig_filenames",
    "orig_mime_types",
    "resp_fuids",
    "resp_filenames",
    "resp_mime_types",
    "tags",
    "ts",
];

/// The id of the file that came so many others later.
pub fn fuid(at: usize) -> Fuid {
    Fuid::of(0, [at as u8; 16])
}

/// What conversations are made of; the parts that go together stand together.
const SCRAPS: &[&[u8]] = &[
    b"GET /a%20b HTTP/1.1\r\n",
    b"POST /c HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\n",
    b"GET /09\r\n",
    b"CONNECT h:1 HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 206 Part\r\n",
    b"HTTP/1.1 100 Go on\r\n",
    b"HTTP/1.0 304 No\r",
    b"\r\n",
    b"\n",
    b"\r",
    b"Content-Length: 10\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 40\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Type: multipart/x; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"--b\r\n",
    b"--b--\r\n",
    b"--b--",
    b"Content-Range: bytes 3-9/20\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"YWJj",
    b"Connection: close\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"=41=\r\n",
    b"Upgrade: x\r\nConnection: upgrade\r\n",
    b"Host: h\r\n",
    b"a\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n",
    b" folded\r\n",
    b"0123456789",
    b"\0",
    b"Expect: 100-continue\r\n",
    b"\r\n\r\n",
    b"Content-Disposition: x; filename=\"n\"\r\n",
    b"HTTP/1.1 101 Switch\r\n",
    b"Authorization: Basic YTpi\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\n",
    b"Upgrade: h2c\r\nConnection: upgrade\r\n",
    b"\0\0\0\x04\0\0\0\0\0",
    b"\0\0\x07\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01h\x88",
    b"\0\0\x03\0\x01\0\0\0\x01abc",
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]
    #[test]
    fn any_scraps_are_read_alike_however_they_are_cut(
        scraps in proptest::collection::vec((0..SCRAPS.len(), 0u8..16), 0..40),
        cuts in proptest::collection::vec(1usize..30, 1..20),
    ) {
        let mut turns: Vec<(bool, Vec<u8>)> = Vec::new();
        let mut is_orig = true;
        for (scrap, turn) in &scraps {
            is_orig ^= *turn == 0;
            match turns.last_mut().filter(|t| t.0 == is_orig) {
                Some((_, bytes)) => bytes.extend_from_slice(SCRAPS[*scrap]),
                None => turns.push((is_orig, SCRAPS[*scrap].to_vec())),
            }
        }
        let sent = |is_orig, bytes| if is_orig { Orig(bytes) } else { Resp(bytes) };
        let mut whole: Vec<_> = turns.iter().map(|(is_orig, bytes)| sent(*is_orig, bytes)).collect();
        let mut cut = Vec::new();
        let mut sizes = cuts.iter().cycle();
        for (is_orig, bytes) in &turns {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                cut.push(sent(*is_orig, piece));
                rest = more;
            }
        }
        whole.extend([OrigEnd, RespEnd]);
        cut.extend([OrigEnd, RespEnd]);
        let (whole, cut) = (hear(&whole).whole(), hear(&cut).whole());
        let differs = whole.iter().zip(&cut).position(|(a, b)| a != b);
        proptest::prop_assert_eq!(differs.map(|at| (&whole[at], &cut[at])), None);
        proptest::prop_assert_eq!(whole.len(), cut.len());
    }
}
