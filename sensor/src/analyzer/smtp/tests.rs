//! Mails on a connection and the files that come of them: whole, and cut at every byte.

mod rows;

use super::*;
use crate::analyzer::api::{Call, Out, Solo};
use crate::event::log::{LogRow, Value};
use crate::event::{ConnId, Event, Fuid, Subscriptions, Ts};
use crate::file::{self, Carrier, Handle, News};

/// What is heard of a connection.
#[derive(Debug, Default)]
struct Heard {
    files: Vec<File>,
    /// Weirds and violations.
    odd: Vec<String>,
    /// Events, without the connection.
    told: Vec<String>,
    /// What is set in rows, without time and connection.
    rows: Vec<String>,
    /// Software and its kind.
    software: Vec<String>,
}

/// A file as the files room would have it.
#[derive(Debug)]
struct File {
    handle: Handle,
    depth: u64,
    name: Option<String>,
    bytes: Vec<u8>,
    gaps: Vec<(Option<u64>, u64)>,
    over: bool,
}

impl Out for Heard {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        let line = String::from_utf8(line).expect("text");
        let (_, args) = line.split_once("\"args\":").expect("arguments");
        let args = args.strip_suffix('}').expect("an end");
        self.told.push(format!("{} {args}", ev.info().name));
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut values = Vec::new();
        row.values(&mut values);
        let columns = row.columns().iter().zip(&values).skip(6);
        let shown = columns.filter(|(_, v)| **v != Value::Unset);
        let shown: Vec<_> = shown.map(|(c, v)| format!("{}={}", c.name, show(v))).collect();
        self.rows.push(shown.join(" "));
    }
    fn software(&mut self, found: &Found<'_>) {
        let banner = found.banner.escape_ascii();
        self.software
            .push(format!("{} {} {banner}", found.kind.as_str(), found.host));
    }
    fn is_local(&self, _: std::net::IpAddr) -> bool {
        true
    }
    fn confirm(&mut self, _: &'static Spec, _: u64) {}
    fn violation(&mut self, _: &'static Spec, _: u64, reason: &str) {
        self.odd.push(reason.to_owned());
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.odd.push(format!("{name} {addl}").trim_end().to_owned());
    }
    fn gave_up(&mut self) {
        self.odd.push("gave up".to_owned());
    }
    fn file(&mut self, carrier: &Carrier<'_>, piece: file::Piece<'_>) -> News {
        assert!(carrier.source == "SMTP");
        let is_it = |f: &File| f.handle == carrier.handle && !f.over;
        let at = self.files.iter().position(is_it).unwrap_or(self.files.len());
        let joined = at == self.files.len();
        if at == self.files.len() {
            let name = carrier.name.map(|n| n.escape_ascii().to_string());
            self.files.push(File {
                handle: carrier.handle,
                depth: carrier.depth,
                name,
                bytes: Vec::new(),
                gaps: Vec::new(),
                over: false,
            });
        }
        let f = &mut self.files[at];
        match piece {
            file::Piece::Bytes { at: None, bytes } => f.bytes.extend_from_slice(bytes),
            file::Piece::Gap { at, len } => f.gaps.push((at, len)),
            file::Piece::End => f.over = true,
            other => panic!("{other:?}"),
        }
        News {
            fuid: Some(Fuid::of(0, [at as u8; 16])),
            joined,
            ..News::default()
        }
    }
}

impl Heard {
    /// Each file's depth, name and content. All have ended.
    fn files(&self) -> Vec<(u64, Option<&str>, String)> {
        assert!(self.files.iter().all(|f| f.over), "{:?}", self.files);
        let files = self.files.iter();
        files
            .map(|f| {
                let content = f.bytes.escape_ascii().to_string();
                (f.depth, f.name.as_deref(), content)
            })
            .collect()
    }
}

fn show(v: &Value<'_>) -> String {
    match v {
        Value::Str(s) => s.to_string(),
        Value::Wire(s) => s.escape_ascii().to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Count(n) => n.to_string(),
        Value::Addr(a) => a.to_string(),
        Value::List(l) => format!("[{}]", l.iter().map(show).collect::<Vec<_>>().join(",")),
        other => format!("{other:?}"),
    }
}

/// What a side sends, or what of it is lost.
#[derive(Clone, Copy, Debug)]
enum Sent<'t> {
    Client(&'t [u8]),
    Server(&'t [u8]),
    ClientLost(u64),
    ServerLost(u64),
}
use Sent::*;

struct Conversation {
    solo: Solo<Smtp>,
    heard: Heard,
    subs: Subscriptions,
    ts: Ts,
    over: bool,
}

impl Conversation {
    fn new() -> Conversation {
        Conversation {
            solo: Solo::new(Smtp::new(&Start::default(), &())),
            heard: Heard::default(),
            subs: Subscriptions::NONE,
            ts: 7_000_000_000,
            over: false,
        }
    }

    fn give(&mut self, sent: Sent<'_>) {
        let c = ConnId::sample(25);
        let call = Call {
            ts: self.ts,
            c: &c,
            subs: &self.subs,
            out: &mut self.heard,
        };
        let next = self.solo.with(call, |smtp, ctx| match sent {
            _ if self.over => Next::Stop,
            Client(bytes) => smtp.data(true, bytes, ctx),
            Server(bytes) => smtp.data(false, bytes, ctx),
            ClientLost(n) => smtp.gap(true, n, ctx),
            ServerLost(n) => smtp.gap(false, n, ctx),
        });
        self.over |= next != Next::More;
    }

    fn all(mut self, sent: &[Sent<'_>]) -> Conversation {
        sent.iter().for_each(|s| self.give(*s));
        self
    }

    fn end(mut self) -> Heard {
        let c = ConnId::sample(25);
        self.solo.close(Call {
            ts: 9_000_000_000,
            c: &c,
            subs: &self.subs,
            out: &mut self.heard,
        });
        assert!(self.solo.analyzer.is_settled());
        self.heard
    }
}

/// What is heard of a conversation, which does not depend on how it is cut.
fn talk(sent: &[Sent<'_>]) -> Heard {
    let heard = Conversation::new().all(sent).end();
    let whole = format!("{heard:?}");
    for (n, one) in sent.iter().enumerate() {
        let (Client(bytes) | Server(bytes)) = *one else {
            continue;
        };
        let piece = |bytes| {
            if matches!(one, Client(_)) {
                Client(bytes)
            } else {
                Server(bytes)
            }
        };
        for at in 1..bytes.len() {
            let cut = [piece(&bytes[..at]), piece(&bytes[at..])];
            let talk = Conversation::new().all(&sent[..n]).all(&cut).all(&sent[n + 1..]);
            assert_eq!(format!("{:?}", talk.end()), whole, "cut at {at} of {n}");
        }
    }
    heard
}

const BEGIN: [Sent<'static>; 6] = [
    Server(b"220 mx.example.com ESMTP\r\n"),
    Client(b"EHLO me\r\n"),
    Server(b"250-mx.example.com\r\n250 CHUNKING\r\n"),
    Client(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n"),
    Server(b"250 ok\r\n"),
    Server(b"250 ok\r\n"),
];

/// What is heard when this follows the envelope.
fn after_begin(sent: &[Sent<'_>]) -> Heard {
    talk(&[&BEGIN, sent].concat())
}

/// What is heard of a mail after DATA, given without its last line.
fn data(mail: &[u8]) -> Heard {
    let mail = [mail, b".\r\n"].concat();
    after_begin(&[
        Client(b"DATA\r\n"),
        Server(b"354 go on\r\n"),
        Client(&mail),
        Server(b"250 ok\r\n"),
        Client(b"QUIT\r\n"),
        Server(b"221 bye\r\n"),
    ])
}

#[test]
fn a_body_is_a_file() {
    let heard = data(b"From: a\r\nSubject: s\r\n\r\nHello.\r\n\r\nBye.\r\n");
    assert_eq!(heard.files(), [(1, None, r"Hello.\r\n\r\nBye.\r\n".into())]);
    assert_eq!(heard.odd, [""; 0]);
}

#[test]
fn a_mail_without_a_body_has_no_file() {
    assert_eq!(data(b"From: a\r\nnot a header\r\n").files(), []);
    assert_eq!(data(b"From: a\r\n\r\n").files(), []);
    assert_eq!(data(b"").files(), []);
}

#[test]
fn a_dot_before_a_line_is_not_of_the_mail() {
    let heard = data(b"A: b\r\n\r\n..\r\n...a\r\n.b\r\na.\r\n");
    assert_eq!(heard.files(), [(1, None, r".\r\n..a\r\nb\r\na.\r\n".into())]);
}

#[test]
fn parts_are_files_with_names() {
    let heard = data(
        b"Content-Type: multipart/mixed;\r\n boundary=\"=x=\"\r\n\r\nignored\r\n\
          --=x=\r\nContent-Type: text/plain\r\n\r\none\r\ntwo\r\n\
          --=x=\r\nContent-Type: application/octet-stream; name=\"wrong\"\r\n\
          Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"a.bin\"\r\n\r\n\
          AAEC\r\nAwQF\r\nBg==\r\n\
          --=x=\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\na=3Db=\r\nc  \r\n\
          --=x=--\r\nignored\r\n",
    );
    let want = [
        (2, None, r"one\r\ntwo".into()),
        (3, Some("a.bin"), r"\x00\x01\x02\x03\x04\x05\x06".into()),
        (4, None, r"a=bc\r\n".into()),
    ];
    assert_eq!(heard.files(), want);
    assert_eq!(heard.odd, [""; 0]);
}

#[test]
fn base64_that_is_none_is_odd() {
    let heard = data(b"Content-Transfer-Encoding: base64\r\n\r\nAA*\r\nE\r\n");
    assert_eq!(heard.files(), [(1, None, r"\x00\x01".into())]);
    let odd = [
        "base64_illegal_encoding character 42 ignored by Base64 decoding",
        "base64_illegal_encoding incomplete base64 group, padding with 6 bits of 0",
    ];
    assert_eq!(heard.odd, odd);
}

#[test]
fn a_mail_may_be_in_a_mail() {
    let heard = data(
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: message/rfc822; name=in.eml\r\n\r\n\
          Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ninner\r\n--a\r\n\r\nouter\r\n--a--\r\n",
    );
    let want = [(4, None, "inner".into()), (5, None, "outer".into())];
    assert_eq!(heard.files(), want);
}

#[test]
fn entities_in_entities_come_to_an_end() {
    let inside = b"Content-Type: message/rfc822\r\n\r\n".repeat(150);
    let mut talk = Conversation::new()
        .all(&BEGIN)
        .all(&[Client(b"DATA\r\n"), Client(&inside)]);
    talk.give(Client(b"\r\nnobody's\r\n.\r\n"));
    let heard = talk.end();
    assert_eq!(heard.files(), []);
    assert_eq!(heard.odd, ["exceeded_mime_max_depth 100"]);
}

#[test]
fn a_header_takes_so_many_lines() {
    let line = [b" ".as_slice(), &[b'x'; 1023], b"\r\n"].concat();
    let header = [b"A:".as_slice(), &[b'x'; 1022], b"\r\n", &line.repeat(65)].concat();
    let rest = b"B: c\r\n\r\nbody\r\n.\r\n";
    let heard = Conversation::new()
        .all(&BEGIN)
        .all(&[Client(b"DATA\r\n"), Client(&header), Client(rest)]);
    let heard = heard.end();
    assert_eq!(heard.files(), [(1, None, r"body\r\n".into())]);
    let once = ["gave up", "exceeded_mime_max_header_bytes 65536"];
    assert_eq!(heard.odd, [once, once].concat());
}

/// A line of any length counts with all its bytes, and a dot in the middle of it is of the mail.
#[test]
fn long_lines_are_whole() {
    for len in [10_000, 300_000] {
        let line = vec![b'.'; len];
        let mut talk = Conversation::new()
            .all(&BEGIN)
            .all(&[Client(b"DATA\r\n"), Client(b"A: b\r\n\r\n")]);
        line.chunks(1000).for_each(|c| talk.give(Client(c)));
        talk.give(Client(b"\r\n.\r\n"));
        assert_eq!(talk.end().files[0].bytes.len(), len - 1 + 2);
    }
}

#[test]
fn a_mail_may_come_in_chunks() {
    let first: &[u8] = b"Subject: s\r\n\r\nHel";
    let second: &[u8] = b"lo.\r\n.\r\nBye";
    let heard = after_begin(&[
        Client(format!("BDAT {}\r\n", first.len()).as_bytes()),
        Client(first),
        Server(b"250 ok\r\n"),
        Client(format!("BDAT {} LAST\r\n", second.len()).as_bytes()),
        Client(second),
        Server(b"250 ok\r\n"),
        Client(b"MAIL FROM:<c@example.com>\r\nRCPT TO:<b@example.com>\r\nBDAT 5\r\n\r\nabc"),
        Client(b"BDAT 0 LAST\r\nQUIT\r\n"),
    ]);
    let want = [(1, None, r"Hello.\r\n.\r\nBye".into()), (2, None, "abc".into())];
    assert_eq!(heard.files(), want);
    assert_eq!(heard.odd, ["smtp_bdat_undelivered_at_done"]);
}

#[test]
fn lines_of_chunks_are_cut() {
    let long = [b"\r\n".as_slice(), &[b'x'; 5000], b"\r\nb\nc"].concat();
    let bdat = format!("BDAT {} LAST\r\n", long.len());
    let heard = Conversation::new()
        .all(&BEGIN)
        .all(&[Client(bdat.as_bytes()), Client(&long)]);
    let heard = heard.end();
    assert_eq!(heard.files[0].bytes.len(), long.len() - 2);
    assert_eq!(
        heard.odd,
        ["smtp_bdat_line_too_long 4096", "smtp_bdat_line_lf_only"]
    );
}

#[test]
fn chunks_that_do_not_come_are_odd() {
    let odd = |sent: &[Sent<'_>]| after_begin(sent).odd;
    assert_eq!(
        odd(&[Client(b"BDAT 3\r\n\r\naQUIT\r\n")]),
        ["smtp_missing_bdat_last_chunk", "smtp_bdat_undelivered_at_done"]
    );
    assert_eq!(
        odd(&[Client(b"BDAT x\r\n")]),
        ["smtp_invalid_bdat_command BDAT not followed by a valid chunk-size"]
    );
    assert_eq!(
        odd(&[Client(b"BDAT 9223372036854775808\r\n")]),
        ["smtp_huge_bdat_chunk 9223372036854775808"]
    );
    assert_eq!(
        odd(&[Client(b"BDAT 9223372036854775807\r\nabc")]),
        ["smtp_bdat_remaining_at_end_data", "smtp_bdat_undelivered_at_done"]
    );
}

#[test]
fn a_gap_ends_the_mail() {
    let heard = after_begin(&[
        Client(b"DATA\r\n"),
        Client(b"A: b\r\n\r\n0123\r\n"),
        ClientLost(1000),
        Client(b"of the first\r\n.\r\n"),
        Server(b"250 ok\r\n"),
        Client(b"DATA\r\n\r\nsecond\r\n.\r\n"),
    ]);
    let want = [(1, None, r"0123\r\n".into()), (2, None, r"second\r\n".into())];
    assert_eq!(heard.files(), want);
    assert_eq!(heard.files[0].gaps, [(Some(6), 1000)]);
}

#[test]
fn a_gap_behind_the_last_part_is_a_file() {
    let heard = after_begin(&[
        Client(b"DATA\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n--a--\r\n"),
        ClientLost(10),
        Server(b"250 ok\r\n"),
    ]);
    assert_eq!(heard.files(), [(2, None, "one".into()), (2, None, String::new())]);
    assert_eq!(heard.files[1].gaps, [(Some(3), 10)]);
}

#[test]
fn a_gap_in_a_chunk_ends_it() {
    let heard = after_begin(&[
        Client(b"BDAT 1000\r\nA: b\r\n\r\n0123\r\n"),
        ClientLost(980),
        Server(b"250 ok\r\n"),
        Client(b"DATA\r\n"),
        Client(b"\r\nsecond\r\n.\r\n"),
    ]);
    assert_eq!(heard.files[0].gaps, [(Some(6), 980)]);
    assert_eq!(heard.files()[1], (2, None, r"second\r\n".into()));
    assert_eq!(heard.odd, ["smtp_bdat_remaining_at_end_data"]);
}

/// The command is in the gap; the reply tells of it.
#[test]
fn a_mail_begins_behind_a_gap() {
    let heard = after_begin(&[
        ServerLost(10),
        ClientLost(6),
        Server(b"354 go on\r\n"),
        Client(b"A: b\r\n\r\nbody\r\n.\r\n"),
    ]);
    assert_eq!(heard.files(), [(1, None, r"body\r\n".into())]);
}

#[test]
fn a_mail_that_is_refused_is_none() {
    let heard = after_begin(&[
        Client(b"DATA\r\n"),
        Server(b"554 no\r\n"),
        Client(b"A: b\r\n\r\nbody\r\n.\r\n"),
        // It is over, and so another one may begin.
        Client(b"DATA\r\n"),
    ]);
    assert_eq!(heard.files(), []);
    assert_eq!(heard.odd, [""; 0]);
}

#[test]
fn tls_may_begin_behind_a_mail() {
    let sent = [
        Client(b"DATA\r\n"),
        Server(b"354 go on\r\n"),
        Client(b"\r\nbody\r\n.\r\n"),
        Server(b"250 ok\r\n"),
        Client(b"STARTTLS\r\n"),
        Server(b"220 go on\r\n"),
    ];
    let talk = Conversation::new().all(&BEGIN).all(&sent);
    assert!(talk.over);
    assert_eq!(talk.end().files(), [(1, None, r"body\r\n".into())]);
}

/// The reply to one mail comes when the next one has begun.
#[test]
fn mails_may_be_pipelined() {
    let heard = after_begin(&[
        Client(b"DATA\r\n"),
        Server(b"354 go on\r\n"),
        Client(b"\r\none\r\n.\r\nMAIL FROM:<c@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"),
        Server(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
        Client(b"\r\ntwo\r\n.\r\nQUIT\r\n"),
    ]);
    let want = [(1, None, r"one\r\n".into()), (2, None, r"two\r\n".into())];
    assert_eq!(heard.files(), want);
}

#[test]
fn mail_is_wanted_once_it_is_smtp() {
    let wants = |confirmed| {
        let seen = Seen {
            bytes: 1 << 30,
            confirmed,
        };
        let smtp = Smtp::new(&Start::default(), &());
        [true, false].map(|is_orig| smtp.interest(is_orig, seen))
    };
    assert_eq!(wants(true), [Interest::Everything; 2]);
    assert_eq!(wants(false), [Interest::Nothing; 2]);
}
