//! Conversations on a control connection; rows, events, announcements and what is odd out.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::analyzer::WorkerShared;
use crate::analyzer::api::{Call, Out, Solo};
use crate::analyzer::carried::Carried;
use crate::analyzer::tree::Tree;
use crate::event::log::{LogRow, write_json};
use crate::event::{ConnId, Fuid, Subscriptions, Ts};

/// Who speaks: the client, which is the originator, or the server.
const C: bool = true;
const S: bool = false;

/// What came out.
#[derive(Default)]
struct Heard {
    /// Behind the connection.
    rows: Vec<String>,
    /// Names and arguments.
    events: Vec<String>,
    /// Violations, weirds and limits.
    odd: Vec<String>,
    /// Data connections.
    announced: Vec<String>,
    files: Option<Arc<Carried>>,
}

impl Out for Heard {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        let line = String::from_utf8(line).expect("text");
        let (_, args) = line.split_once("\"args\":").expect("arguments");
        let args = args.strip_suffix('}').expect("closed");
        self.events.push(format!("{} {args}", ev.info().name));
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut line = Vec::new();
        write_json(&mut line, row, &mut Vec::new());
        let line = String::from_utf8(line).expect("text");
        let (_, line) = line.split_once("\"id.resp_p\":21,").expect("a connection");
        self.rows.push(line.trim_end_matches('}').replace('"', ""));
    }
    fn confirm(&mut self, spec: &'static Spec, _: u64) {
        self.odd.push(format!("+{}", spec.tag.service()));
    }
    fn violation(&mut self, spec: &'static Spec, _: u64, reason: &str) {
        self.odd.push(format!("-{}: {reason}", spec.tag.service()));
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.odd.push(format!("{name} {addl}").trim_end().to_owned());
    }
    fn gave_up(&mut self) {
        self.odd.push("gave up".to_owned());
    }
    fn announce_file(&mut self, orig: IpAddr, resp: (IpAddr, u16), tag: AnalyzerTag, files: &Arc<Carried>) {
        assert_eq!(tag.service(), "ftp-data");
        self.announced.push(format!("{orig} {} {}", resp.0, resp.1));
        self.files = Some(files.clone());
    }
}

fn conn() -> ConnId {
    ConnId {
        orig_h: [10, 0, 0, 1].into(),
        resp_h: [10, 0, 0, 2].into(),
        ..ConnId::sample(21)
    }
}

/// A connection under test.
struct Talk {
    solo: Solo<Ftp>,
    heard: Heard,
    ts: Ts,
    size: usize,
    next: Next,
}

impl Talk {
    /// In parts of so many bytes.
    fn in_parts(size: usize) -> Talk {
        Talk {
            solo: Solo::new(Ftp::new(&Start::default(), &SharedTls::default())),
            heard: Heard::default(),
            ts: 0,
            size,
            next: Next::More,
        }
    }

    fn new() -> Talk {
        Talk::in_parts(usize::MAX)
    }

    fn call<R>(&mut self, work: impl FnOnce(&mut Ftp, &mut Ctx<'_>) -> R) -> R {
        let call = Call {
            ts: self.ts,
            c: &conn(),
            subs: &Subscriptions::ALL,
            out: &mut self.heard,
        };
        self.solo.with(call, work)
    }

    fn bytes(&mut self, is_orig: bool, bytes: &[u8]) -> &mut Talk {
        self.ts += 1_000_000_000;
        for part in bytes.chunks(self.size) {
            if self.next == Next::More {
                self.next = self.call(|a, ctx| a.data(is_orig, part, ctx));
            }
        }
        self
    }

    /// Lines of a side.
    fn says(&mut self, is_orig: bool, lines: &[&str]) -> &mut Talk {
        for line in lines {
            self.bytes(is_orig, format!("{line}\r\n").as_bytes());
        }
        self
    }

    /// Commands, each with its reply.
    fn asks(&mut self, both: &[(&str, &str)]) -> &mut Talk {
        for (command, reply) in both {
            self.says(C, &[command]).says(S, &[reply]);
        }
        self
    }

    fn ends(&mut self) -> Heard {
        self.solo.close(Call {
            ts: self.ts,
            c: &conn(),
            subs: &Subscriptions::ALL,
            out: &mut self.heard,
        });
        assert!(self.solo.analyzer.is_settled());
        std::mem::take(&mut self.heard)
    }
}

/// What a whole conversation gives, in one piece and in parts.
fn heard(work: impl Fn(&mut Talk)) -> Heard {
    let all = |size| {
        let mut talk = Talk::in_parts(size);
        work(&mut talk);
        talk.ends()
    };
    let whole = all(usize::MAX);
    for size in [1, 2, 7] {
        let parts = all(size);
        assert_eq!(
            (&parts.rows, &parts.events),
            (&whole.rows, &whole.events),
            "{size}"
        );
        assert_eq!(
            (&parts.odd, &parts.announced),
            (&whole.odd, &whole.announced),
            "{size}"
        );
    }
    whole
}

const LOGIN: &[(&str, &str)] = &[
    ("USER joe", "331 Password please"),
    ("PASS secret", "230 Welcome"),
];

#[test]
fn a_transfer_is_a_row_for_its_channel_and_one_for_its_file() {
    let heard = heard(|talk| {
        talk.says(S, &["220 ready"]).asks(LOGIN).asks(&[
            ("CWD pub", "250 ok"),
            ("SIZE a.txt", "213 17"),
            ("pasv", "227 Entering Passive Mode (10,0,0,2,4,1)."),
            (
                "RETR a.txt",
                "150 Opening BINARY connection for a.txt (18 bytes).",
            ),
        ]);
        let files = talk.heard.files.clone().expect("announced");
        files.begins(Fuid::of(0, [1; 16]));
        files.is_of("text/plain");
        talk.says(S, &["226 Done"]).asks(&[("QUIT", "221 Bye")]);
    });
    assert_eq!(
        heard.rows,
        [
            "user:joe,password:<hidden>,command:PASV,reply_code:227,reply_msg:Entering Passive Mode \
             (10,0,0,2,4,1).,data_channel.passive:true,data_channel.orig_h:10.0.0.1,data_channel.resp_h:10.0.0.2,\
             data_channel.resp_p:1025"
                .to_owned(),
            format!(
                "user:joe,password:<hidden>,command:RETR,arg:ftp://10.0.0.2/./pub/a.txt,mime_type:text/plain,\
                 file_size:18,reply_code:226,reply_msg:Done,fuid:{}",
                Fuid::of(0, [1; 16])
            ),
        ]
    );
    assert_eq!(heard.announced, ["10.0.0.1 10.0.0.2 1025"]);
    assert_eq!(heard.odd, ["+ftp"]);
    assert_eq!(
        heard.events[..3],
        [
            "ftp_reply {\"code\":220,\"msg\":\"ready\",\"cont_resp\":false}",
            "ftp_request {\"command\":\"USER\",\"arg\":\"joe\"}",
            "ftp_reply {\"code\":331,\"msg\":\"Password please\",\"cont_resp\":false}",
        ]
    );
}

#[test]
fn a_session_without_such_a_command_has_no_row() {
    let heard = heard(|talk| {
        talk.says(S, &["220 ready"])
            .asks(LOGIN)
            .asks(&[("QUIT", "221 Bye")]);
    });
    assert_eq!(heard.rows, [""; 0]);
}

#[test]
fn what_guests_say_for_a_password_is_shown() {
    let of = |login: &[(&str, &str)]| {
        let talk = |talk: &mut Talk| {
            talk.says(S, &["220 ready"]).asks(login).says(C, &["ACCT x"]);
        };
        heard(talk).rows
    };
    let acct = "command:ACCT,arg:x";
    let welcome = "reply_code:230,reply_msg:Welcome";
    assert_eq!(
        of(LOGIN),
        [format!("user:joe,password:<hidden>,{acct},{welcome}")]
    );
    let guest = [("USER Anonymous", "331 Who?"), ("PASS me@here", "230 Welcome")];
    assert_eq!(
        of(&guest),
        [format!("user:Anonymous,password:me@here,{acct},{welcome}")]
    );
    let nobody = format!("user:<unknown>,{acct},reply_code:220,reply_msg:ready");
    assert_eq!(of(&[]), [nobody]);
}

#[test]
fn paths_are_where_the_user_stands() {
    let heard = heard(|talk| {
        talk.says(S, &["220 ready"]).asks(&[
            ("CWD a", "250 ok"),
            ("DELE x", "250 gone"),
            ("CWD b", "550 no"),
            ("DELE x", "250 gone"),
            ("PWD", "257 \"/home/joe\" is it"),
            ("DELE ../y", "250 gone"),
            ("DELE /z", "250 gone"),
            ("CDUP", "200 ok"),
            ("DELE x", "250 gone"),
        ]);
    });
    let arg = |row: &String| row.split_once("arg:").map(|(_, row)| row.to_owned());
    let args: Vec<_> = heard.rows.iter().filter_map(arg).collect();
    let args: Vec<_> = args
        .iter()
        .filter_map(|a| a.split_once(','))
        .map(|a| a.0)
        .collect();
    assert_eq!(
        args,
        [
            "ftp://10.0.0.2/./a/x",
            "ftp://10.0.0.2/./a/x",
            "ftp://10.0.0.2/home/y",
            "ftp://10.0.0.2/z",
            "ftp://10.0.0.2/../x",
        ]
    );
}

#[test]
fn replies_find_the_command_that_they_answer() {
    // All at once; the server answers the second one first.
    let heard = heard(|talk| {
        talk.asks(&[("NOOP", "220 ready")])
            .says(C, &["DELE one", "DELE two", "STOR three"])
            .says(
                S,
                &["200 ok", "250 two is away", "226 stored", "550 one is not there"],
            );
    });
    let short: Vec<_> = heard
        .rows
        .iter()
        .filter_map(|r| r.split_once("command:"))
        .collect();
    let short: Vec<_> = short.iter().map(|r| r.1).collect();
    assert_eq!(
        short,
        [
            "DELE,arg:ftp://10.0.0.2/./two,reply_code:250,reply_msg:two is away",
            "STOR,arg:ftp://10.0.0.2/./three,reply_code:226,reply_msg:stored",
            "DELE,arg:ftp://10.0.0.2/./one,reply_code:550,reply_msg:one is not there",
        ]
    );
}

#[test]
fn of_two_commands_alike_the_older_one_is_answered() {
    let heard = heard(|talk| {
        talk.asks(&[("NOOP", "220 ready")])
            .says(C, &["DELE a1", "DELE b2"])
            .says(S, &["200 ok", "250 ok", "550 no"]);
    });
    assert!(
        heard.rows[0].ends_with("/a1,reply_code:250,reply_msg:ok"),
        "{:?}",
        heard.rows
    );
    assert!(heard.rows[1].ends_with("/b2,reply_code:550,reply_msg:no"));
}

#[test]
fn a_reply_may_have_many_lines() {
    let heard = heard(|talk| {
        talk.says(S, &["220-Hello", "220-there", "  you", "220 all"])
            .says(C, &["DELE x"])
            .says(S, &["250-going", " 250 inside", "251 more inside", "250  gone"]);
    });
    assert_eq!(
        heard.events.iter().filter(|e| e.contains("true")).count(),
        6,
        "{:?}",
        heard.events
    );
    assert!(heard.rows[0].ends_with("command:DELE,arg:ftp://10.0.0.2/./x,reply_code:250,reply_msg:gone"));
    // One that never ends is over when a line looks like another reply.
    let mut talk = Talk::new();
    talk.says(S, &["220 ready"])
        .asks(&[("STOR x", "150 go")])
        .says(S, &["230- WARNING!", "   no", "226 Transfer complete."]);
    let row = &talk.ends().rows[0];
    assert!(
        row.ends_with("reply_code:0,reply_msg:226 Transfer complete."),
        "{row}"
    );
}

#[test]
fn data_connections_are_announced_in_four_ways() {
    let heard = heard(|talk| {
        talk.says(S, &["220 ready"]).asks(&[
            ("PORT 10,0,0,1,4,1", "200 ok"),
            ("EPRT |2|2001:db8::7|1026|", "200 ok"),
            ("EPSV", "229 Entering Extended Passive Mode (|||1027|)"),
            ("PASV", "227 Entering Passive Mode (10,0,0,9,4,4)"),
            // Neither of these is.
            ("PORT 10,0,0,1,4", "501 what?"),
            ("PASV", "227 Somewhere"),
            ("NOOP", "227 Entering Passive Mode (10,0,0,9,4,5)"),
        ]);
    });
    assert_eq!(
        heard.announced,
        [
            "10.0.0.2 10.0.0.1 1025",
            "10.0.0.2 2001:db8::7 1026",
            "10.0.0.1 10.0.0.2 1027",
            "10.0.0.1 10.0.0.9 1028",
        ]
    );
    let passive = |row: &String| row.split_once("passive:").map(|r| r.1.starts_with("true"));
    let rows: Vec<_> = heard.rows.iter().map(passive).collect();
    assert_eq!(
        rows,
        [Some(false), Some(false), Some(true), Some(true), None, None]
    );
    assert!(heard.rows[0].contains("command:PORT,arg:10,0,0,1,4,1,reply_code:200"));
}

#[test]
fn what_is_too_long_is_cut_and_odd() {
    let long = "x".repeat(5000);
    let heard = heard(|talk| {
        talk.says(S, &["220 ready"]).asks(&[
            (&format!("USER {long}"), "331 and?"),
            (&format!("PASS {long}"), "230 ok"),
            (&format!("DELE {long}"), &format!("250 {long}")),
            (&format!("ACCT {long}"), "230 ok"),
            (&long, "500 what?"),
            ("\u{1}\u{2}\u{3}", "500 what?"),
            ("ab", "500 what?"),
        ]);
    });
    assert_eq!(
        heard.odd,
        [
            "+ftp",
            "FTP_user_too_long 5000",
            "FTP_arg_too_long 5000",
            "FTP_password_too_long 5000",
            "FTP_arg_too_long 5000",
            "FTP_arg_too_long 5017",
            "FTP_reply_msg_too_long 5000",
            "FTP_max_command_length_exceeded 5000",
            "FTP_invalid_command",
            "FTP_invalid_command",
            "FTP_arg_too_long 5000",
        ]
    );
    let row = &heard.rows[0];
    let user = format!("user:{},password:<hidden>", &long[..128]);
    assert!(row.starts_with(&user), "{row}");
    assert_eq!(row.matches("xx").count(), (128 + 4096 - 17 + 4096) / 2);
    // What was not kept counts.
    let mut talk = Talk::new();
    talk.says(C, &[&format!("STAT {}", "x".repeat(100_000)), "NOOP"]);
    assert_eq!(talk.ends().odd, ["+ftp", "FTP_arg_too_long 100000"]);
}

#[test]
fn only_so_many_commands_wait() {
    let heard = heard(|talk| {
        talk.says(S, &["220 ready"]);
        for n in 0..22 {
            talk.says(C, &[&format!("DELE {n}")]);
        }
    });
    let weird = "FTP_too_many_pending_commands 20";
    assert_eq!(heard.odd, ["+ftp", weird, weird]);
    assert_eq!(heard.rows.len(), 20);
}

#[test]
fn behind_auth_tls_there_is_tls() {
    let mut talk = Talk::new();
    talk.says(S, &["220 ready"]).says(C, &["auth TLS"]);
    talk.bytes(S, b"234 go on\r\n\x16\x03");
    assert_eq!(talk.next, Next::HandOver(HandOver::new(Inside::Tls, b"\x16\x03")));
    let heard = talk.ends();
    assert_eq!(
        heard.events[2..],
        [
            "ftp_starttls {}",
            "ftp_reply {\"code\":234,\"msg\":\"go on\",\"cont_resp\":false}"
        ]
    );
    // The server refuses; or something else was asked for.
    for both in [
        ("AUTH TLS", "534 no"),
        ("AUTH SSL", "234 go on"),
        ("AUTH tls", "234 go on"),
    ] {
        let mut talk = Talk::new();
        talk.asks(&[both]);
        assert_eq!(talk.next, Next::More, "{both:?}");
    }
}

#[test]
fn replies_have_codes() {
    for (line, reason) in [
        ("hello", "non-numeric reply code"),
        ("042 hello", "invalid reply code"),
        ("220hello", "invalid reply line"),
    ] {
        let mut talk = Talk::new();
        talk.says(S, &["220 ready"]).says(C, &["DELE x"]).says(S, &[line]);
        let heard = talk.ends();
        assert_eq!(heard.odd, ["+ftp".to_owned(), format!("-ftp: {reason}")]);
        assert_eq!(heard.rows.len(), 1, "what was there is told");
    }
}

#[test]
fn lines_are_telnets() {
    let heard = heard(|talk| {
        talk.bytes(C, b"\xff\xf4\xff\xf2ABOR\r\nNO\0OP\r\nSTAT a\rb\r\n");
    });
    let commands: Vec<_> = heard.events.iter().map(|e| e.split('"').nth(3)).collect();
    assert_eq!(commands, [Some("ABOR"), Some("NOOP"), Some("STAT")]);
    assert_eq!(
        heard.odd,
        ["+ftp", "NUL_in_line", "line_terminated_with_single_CR"]
    );
}

/// A recorded handshake with certificates of both sides, each message a direction (0 client) and its bytes.
fn handshake() -> Vec<(bool, Vec<u8>)> {
    let mut sample = &include_bytes!("../tls/samples/tls12-client-cert.bin")[..];
    let mut out = vec![];
    while let [dir, a, b, c, d, rest @ ..] = sample {
        let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        out.push((*dir == 0, rest[..len].to_vec()));
        sample = &rest[len..];
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let n = three.iter().fold(0usize, |n, b| n << 8 | usize::from(*b)) << (8 * (3 - three.len()));
        let digit = |at: usize| match at <= three.len() {
            true => char::from(DIGITS[n >> (18 - 6 * at) & 63]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// The services of a connection on which `first` is the client's first token.
fn gssapi(first: &[u8]) -> (String, Heard) {
    let shared = WorkerShared::default();
    let mut tree = Tree::new(true, 4000, 21, &shared);
    let mut heard = Heard::default();
    let mut ts = 0;
    let mut say = |is_orig: bool, line: &str| {
        ts += 1;
        let call = &mut Call {
            ts,
            c: &conn(),
            subs: &Subscriptions::NONE,
            out: &mut heard,
        };
        tree.stream(is_orig, format!("{line}\r\n").as_bytes(), &shared, call);
    };
    say(S, "220 ready");
    say(C, "AUTH GSSAPI");
    say(S, "334 Using AUTH type GSSAPI; ADAT must follow");
    say(C, &format!("ADAT {}", base64(first)));
    for (is_orig, bytes) in handshake().iter().skip(1) {
        match is_orig {
            true => say(C, &format!("ADAT {}", base64(bytes))),
            false => say(S, &format!("335 ADAT={}", base64(bytes))),
        }
    }
    say(S, "235 GSSAPI Authentication succeeded");
    let call = &mut Call {
        ts: 100,
        c: &conn(),
        subs: &Subscriptions::NONE,
        out: &mut heard,
    };
    tree.close(call);
    (tree.services().collect::<Vec<_>>().join(","), heard)
}

#[test]
fn a_handshake_in_security_data_is_gridftps() {
    let (is_orig, hello) = handshake().remove(0);
    assert!(is_orig);
    let (services, heard) = gssapi(&hello);
    assert_eq!(services, "ftp,ssl,gridftp");
    assert!(
        heard.rows.iter().any(|row| row.contains("established:true")),
        "{:?}",
        heard.rows
    );
    // What is no record of TLS, or not all of one, is none.
    for first in [&hello[..hello.len() - 1], b"krb5"] {
        let (services, heard) = gssapi(first);
        assert_eq!(services, "ftp", "{:?}", heard.odd);
    }
}

/// What a side may send: lines, parts of lines, noise.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let known: &[&[u8]] = &[
        b"USER joe\r\n",
        b"PASS x\n",
        b"CWD ../a/./b\r\n",
        b"PWD\r\n",
        b"DELE x\r\n",
        b"PASV\r\n",
        b"EPRT |1|10.0.0.1|9|\r\n",
        b"AUTH GSSAPI\r\n",
        b"ADAT FgMBAAUBAAABAA==\r\n",
        b"220 ready\r\n",
        b"250-goes on\r\n",
        b"250 \"/a\" 17\r\n",
        b"227 (10,0,0,2,4,1)\r\n",
        b"229 (|||9|)\r\n",
        b"334 ADAT=\r\n",
        b"335 ADAT=FgMDAAQOAAAA\r\n",
        b"\r",
        b"\n",
        b"\xff\xfa",
        b"\xff\xf0",
    ];
    prop_oneof![
        8 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #[test]
    fn noise_is_read_alike_however_it_is_cut(
        said in prop::collection::vec((any::<bool>(), noise()), 0..60),
        size in 1usize..9,
    ) {
        let all = |size| {
            let mut talk = Talk::in_parts(size);
            for (is_orig, bytes) in &said {
                talk.bytes(*is_orig, bytes);
            }
            talk.ends()
        };
        let (whole, parts) = (all(usize::MAX), all(size));
        prop_assert_eq!(whole.rows, parts.rows);
        prop_assert_eq!(whole.events, parts.events);
        prop_assert_eq!(whole.odd, parts.odd);
        prop_assert_eq!(whole.announced, parts.announced);
    }
}
