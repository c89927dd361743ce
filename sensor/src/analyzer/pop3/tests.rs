//! Sessions, and what is said of them: whole, and cut at every byte.

use super::*;
use crate::analyzer::api::{Call, Out, Solo};
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Subscriptions, Ts};
use crate::file::{self, Carrier, News};

#[derive(Default)]
struct Heard(Vec<String>);

impl Out for Heard {
    fn event(&mut self, _: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(0, &mut line);
        let line = String::from_utf8(line).expect("text");
        let (_, args) = line.split_once("\"args\":").expect("arguments");
        let args = args.strip_suffix('}').expect("an end");
        let args = args.replace(['"', '{', '}'], "").replace("is_orig:", "");
        self.0.push(format!("{} {args}", ev.info().name));
    }
    fn log(&mut self, _: &dyn LogRow) {}
    fn confirm(&mut self, _: &'static Spec, _: u64) {
        self.0.push("confirm".into());
    }
    fn violation(&mut self, _: &'static Spec, _: u64, reason: &str) {
        self.0.push(reason.into());
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.0.push(format!("{name} {addl}").trim_end().into());
    }
    fn weird_from(&mut self, name: &'static str, addl: &str, source: &'static str) {
        self.0.push(format!("{source}: {name} {addl}"));
    }
    fn gave_up(&mut self) {}
    fn file(&mut self, _: &Carrier<'_>, _: file::Piece<'_>) -> News {
        panic!("no file")
    }
}

#[derive(Clone, Copy, Debug)]
enum Sent<'t> {
    Client(&'t str),
    Server(&'t str),
}
use Sent::*;

fn call<'c>(c: &'c ConnId, out: &'c mut Heard) -> Call<'c> {
    Call {
        ts: 0,
        c,
        subs: &Subscriptions::ALL,
        out,
    }
}

fn give(sent: &[Sent<'_>]) -> (Vec<String>, Option<HandOver>) {
    let c = ConnId::sample(110);
    let mut out = Heard::default();
    let mut solo = Solo::new(Pop3::new(&Start::default(), &()));
    let mut over = None;
    for one in sent {
        let (is_orig, bytes) = match one {
            Client(text) => (true, text),
            Server(text) => (false, text),
        };
        let next = solo.with(call(&c, &mut out), |a, ctx| {
            a.data(is_orig, bytes.as_bytes(), ctx)
        });
        if let Next::HandOver(to) = next {
            over = Some(to);
            break;
        }
    }
    solo.close(call(&c, &mut out));
    assert!(solo.analyzer.is_settled());
    (out.0, over)
}

/// What is said, which does not depend on how it is cut.
fn said(sent: &[Sent<'_>]) -> Vec<String> {
    let whole = give(sent).0;
    for (n, one) in sent.iter().enumerate() {
        let (Client(text) | Server(text)) = *one;
        for at in (1..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let piece = |text| match one {
                Client(_) => Client(text),
                Server(_) => Server(text),
            };
            let cut = [
                &sent[..n],
                &[piece(&text[..at]), piece(&text[at..])],
                &sent[n + 1..],
            ]
            .concat();
            assert_eq!(give(&cut).0, whole, "cut at {at} of {n}");
        }
    }
    whole
}

const LOGIN: [Sent<'static>; 5] = [
    Server("+OK ready\r\n"),
    Client("USER  me \r\n"),
    Server("+OK\r\n"),
    Client("pass a b\r\n"),
    Server("+OK   in  \r\n"),
];

/// What is said behind a login.
fn after_login(sent: &[Sent<'_>]) -> Vec<String> {
    said(&[&LOGIN, sent].concat()).split_off(said(&LOGIN).len())
}

#[test]
fn a_client_is_let_in() {
    let want = [
        "pop3_reply false,cmd:OK,msg:ready",
        "pop3_request true,command:USER,arg:me",
        "confirm",
        "pop3_reply false,cmd:OK,msg:",
        "pop3_request true,command:PASS,arg:a b",
        "pop3_login_success false,user:me,password:a b",
        "pop3_reply false,cmd:OK,msg:in",
    ];
    assert_eq!(said(&LOGIN), want);
}

#[test]
fn a_client_is_not_let_in() {
    let got = said(&[&LOGIN[..4], &[Server("-ERR no\r\n"), Client("PASS again\r\n")]].concat());
    let want = [
        "pop3_login_failure false,user:me,password:a b",
        "pop3_reply false,cmd:ERR,msg:no",
        "pop3_unexpected true,msg:PASS,detail:pass must follow the command 'USER'",
    ];
    assert_eq!(got[got.len() - 3..], want);
}

#[test]
fn exchanges_say_who_the_client_is() {
    for (talk, want) in [
        // "\0me\0secret"
        (&["AUTH PLAIN", "AG1lAHNlY3JldA=="][..], "user:me,password:secret"),
        (&["AUTH LOGIN", "bWU=", "c2VjcmV0"], "user:me,password:secret"),
        (&["AUTH CRAM-MD5", "bWUgMDEyMw=="], "user:me,password:"),
        (&["APOP me 0123"], "user:me,password:"),
    ] {
        let mut sent = vec![Server("+OK ready\r\n")];
        let lines: Vec<_> = talk.iter().map(|t| format!("{t}\r\n")).collect();
        for (n, line) in lines.iter().enumerate() {
            let last = n + 1 == lines.len();
            sent.extend([Client(line), Server(if last { "+OK\r\n" } else { "+ \r\n" })]);
        }
        let got = said(&sent);
        let want = format!("pop3_login_success false,{want}");
        assert!(got.contains(&want), "{want}: {got:?}");
    }
    let got = said(&[
        Server("+OK\r\n"),
        Client("AUTH PLAIN\r\n*\r\nbWU=\r\n"),
        Server("-ERR\r\n"),
    ]);
    assert_eq!(
        got[2..5],
        [
            "base64_illegal_encoding character 42 ignored by Base64 decoding",
            "pop3_bad_base64_encoding",
            "pop3_malformed_auth_plain",
        ]
    );
}

#[test]
fn a_mail_is_read() {
    let got = after_login(&[
        Client("RETR 1\r\n"),
        Server("+OK 30 octets\r\nA: b\r\n\r\nx  y\r\n.\r\n"),
        Client("LIST\r\n"),
        Server("+OK\r\n1 30\r\n.\r\n"),
        Client("QUIT\r\n"),
        Server("+OK bye\r\n"),
    ]);
    let want = [
        "pop3_request true,command:RETR,arg:1",
        "pop3_reply false,cmd:OK,msg:30 octets",
        "mime_begin_entity ",
        "pop3_data false,data:A: b",
        "pop3_data false,data:",
        "mime_one_header h:original_name:A,name:A,value:b",
        "mime_all_headers hlist:1:original_name:A,name:A,value:b",
        "pop3_data false,data:x y",
        "mime_segment_data length:6,data:782020790d0a",
        "mime_end_entity ",
        "pop3_request true,command:LIST,arg:",
        "pop3_reply false,cmd:OK,msg:",
        "pop3_data false,data:1 30",
        "pop3_request true,command:QUIT,arg:",
        "pop3_reply false,cmd:OK,msg:bye",
    ];
    assert_eq!(got, want);
}

#[test]
fn a_mail_that_breaks_off_ends() {
    let got = after_login(&[Client("TOP 1 2\r\n"), Server("+OK\r\nA: b\r\n")]);
    assert_eq!(got.last().map(String::as_str), Some("mime_end_entity "));
}

#[test]
fn commands_are_pipelined() {
    let got = after_login(&[
        Client("STAT\r\nRETR 1\r\nNOOP\r\n"),
        Server("+OK 1 2\r\n+OK\r\n\r\n.\r\n+OK\r\n"),
    ]);
    let got: Vec<_> = got.iter().filter(|t| t.starts_with("pop3_re")).collect();
    let want = [
        "pop3_request true,command:STAT,arg:",
        "pop3_reply false,cmd:OK,msg:1 2",
        "pop3_request true,command:RETR,arg:1",
        "pop3_reply false,cmd:OK,msg:",
        "pop3_request true,command:NOOP,arg:",
        "pop3_reply false,cmd:OK,msg:",
    ];
    assert_eq!(got, want);
    let many = after_login(&[Client(&"NOOP\r\n".repeat(11))]);
    assert_eq!(many[1..], ["pop3_client_too_many_pending_commands"]);
}

#[test]
fn a_server_may_need_no_login() {
    let got = said(&[
        Server("+OK\r\n"),
        Client("RETR 1\r\n"),
        Server("+OK\r\nx\r\n.\r\n"),
    ]);
    let want = [
        "pop3_unexpected true,msg:RETR,detail:not allowed in other state than 'transaction'",
        "pop3_unexpected false,msg:OK,detail:no auth required -> state changed to 'transaction'",
        "pop3_reply false,cmd:OK,msg:",
        "mime_begin_entity ",
        "pop3_data false,data:x",
    ];
    assert_eq!(got[1..6], want);
}

#[test]
fn tls_may_begin() {
    let talk = [
        Server("+OK\r\n"),
        Client("CAPA\r\n"),
        Server("+OK\r\nSTLS\r\n.\r\n"),
        Client("STLS\r\n"),
        Server("+OK go on\r\n\x16\x03"),
    ];
    let (got, over) = give(&talk);
    let want = [
        "pop3_reply false,cmd:OK,msg:",
        "pop3_request true,command:CAPA,arg:",
        "confirm",
        "pop3_reply false,cmd:OK,msg:",
        "pop3_data false,data:STLS",
        "pop3_request true,command:STLS,arg:",
        "pop3_starttls ",
    ];
    assert_eq!(got, want);
    assert_eq!(over, Some(HandOver::new(Inside::Tls, &[0; 2])));
}

#[test]
fn what_is_no_pop3_is_told() {
    let got = said(&[
        Server("+OK\r\n"),
        Client("what\r\n"),
        Server("hello  you\r\n\r\nNOOP\r\n"),
    ]);
    let want = [
        "pop3_client_command_unknown what",
        "unknown server command (hello)",
        "pop3_server_command_unknown hello",
        "unknown server command (???)",
        "pop3_server_command_unknown ???",
        "pop3_server_sending_client_commands",
    ];
    assert_eq!(got[1..], want);
    let mut talk = [Client("x\r\n"), Server("-ERR\r\n")].repeat(11);
    talk.insert(0, Client("+OK\r\n"));
    talk.insert(1, Server("+OK\r\n"));
    let got = said(&talk);
    assert_eq!(got[0], "pop3_client_sending_server_commands");
    let violations = got.iter().filter(|t| *t == "too many unknown client commands");
    assert_eq!(violations.count(), 1);
}

/// Any bytes of both sides: nothing panics, and what is kept is bounded.
#[test]
fn anything_may_come() {
    let mut seed = 7_u32;
    let mut random = move |n: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % n
    };
    let lines = [
        "USER a\r\n",
        "PASS b\r\n",
        "RETR 1\r\n",
        "TOP 1 1\r\n",
        "LIST\r\n",
        "QUIT\r\n",
        "AUTH PLAIN\r\n",
        "AG1lAHNlY3JldA==\r\n",
        "AUTH\r\n",
        "CAPA\r\n",
        "+OK\r\n",
        "-ERR\r\n",
        "+ \r\n",
        ".\r\n",
        "\r\n",
        "\0\r",
        "Content-Type: multipart/mixed; boundary=a\r\n",
        "--a\r\n",
        "--a--\r\n",
        "++OK x\n",
        "  \r\n",
        "UIDL\r\n",
        "\u{fffd}",
        "NOOP",
    ];
    for _ in 0..300 {
        let sent: Vec<_> = (0..60)
            .map(|_| {
                let line = lines[random(lines.len())];
                if random(2) == 0 {
                    Client(line)
                } else {
                    Server(line)
                }
            })
            .collect();
        give(&sent);
    }
}

#[test]
fn a_limit_on_a_mail_is_pop3s() {
    let inside = "Content-Type: message/rfc822\r\n\r\n".repeat(150);
    let mail = format!("+OK\r\n{inside}.\r\n");
    let (heard, _) = give(&[&LOGIN[..], &[Client("RETR 1\r\n"), Server(&mail)]].concat());
    let limits = heard.iter().filter(|h| h.contains("exceeded"));
    assert_eq!(limits.collect::<Vec<_>>(), ["POP3: exceeded_mime_max_depth 100"]);
}
