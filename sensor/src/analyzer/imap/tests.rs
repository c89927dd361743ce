//! Lines in, events and what is said of them out.

use super::*;
use crate::analyzer::api::{Call, Out, Solo};
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Subscriptions, Ts};

#[derive(Default)]
struct Heard(Vec<String>);

impl Out for Heard {
    fn event(&mut self, _: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(0, &mut line);
        let line = String::from_utf8(line).expect("text");
        let (_, args) = line.split_once("\"args\":").expect("arguments");
        self.0
            .push(format!("{} {}", ev.info().name, args.trim_end_matches('}')));
    }
    fn log(&mut self, _: &dyn LogRow) {}
    fn confirm(&mut self, _: &'static Spec, _: u64) {
        self.0.push("confirm".into());
    }
    fn violation(&mut self, _: &'static Spec, _: u64, reason: &str) {
        self.0.push(reason.into());
    }
    fn weird(&mut self, name: &'static str, _: &str) {
        self.0.push(name.into());
    }
    fn gave_up(&mut self) {}
}

/// What is said of a conversation, each piece with its sender, and what came of the last piece.
fn heard(talk: &[(bool, &str)]) -> (Vec<String>, Next) {
    let c = ConnId::sample(143);
    let mut out = Heard::default();
    let mut solo = Solo::new(Imap::new(&Start::default(), &()));
    let mut next = Next::More;
    for (is_orig, bytes) in talk {
        let call = Call {
            ts: 0,
            c: &c,
            subs: &Subscriptions::ALL,
            out: &mut out,
        };
        next = solo.with(call, |a, ctx| a.data(*is_orig, bytes.as_bytes(), ctx));
    }
    (out.0, next)
}

#[test]
fn tls_may_begin() {
    let talk = [
        (false, "* OK ready\r\n"),
        (true, "a CAPABILITY\r\n"),
        (false, "* CAPABILITY IMAP4rev1  STARTTLS\r\na ok done\r\n"),
        (true, "b STARTTLS\r\n"),
        (false, "b OK go on\r\n\x16\x03\x01"),
    ];
    let (said, next) = heard(&talk);
    let capabilities = "imap_capabilities {\"capabilities\":[\"IMAP4rev1\",\"STARTTLS\"]";
    assert_eq!(said, ["confirm", capabilities, "imap_starttls {"]);
    assert_eq!(next, Next::HandOver(HandOver::new(Inside::Tls, &[0; 3])));
    // However it is cut.
    let bytes: Vec<_> = talk
        .iter()
        .flat_map(|(is_orig, text)| text.split_inclusive(|_| true).map(move |b| (*is_orig, b)))
        .collect();
    assert_eq!(heard(&bytes[..bytes.len() - 3]).0, said);
}

#[test]
fn tls_may_be_refused() {
    let (said, next) = heard(&[
        (true, "a starttls\r\nb starttls\r\n"),
        (false, "a OK\r\nb NO\r\n"),
    ]);
    let want = [
        "confirm",
        "IMAP: client sent duplicate StartTLS",
        "IMAP: server refused StartTLS",
    ];
    assert_eq!(said, want);
    assert_eq!(next, Next::More);
}

#[test]
fn who_logs_in_is_not_followed() {
    assert_eq!(
        heard(&[(true, "a login me secret\r\n")]),
        (vec!["confirm".into()], Next::Stop)
    );
    // In capitals nobody notices.
    assert_eq!(heard(&[(true, "a LOGIN me secret\r\n")]), (vec![], Next::More));
}

#[test]
fn a_line_has_a_tag_and_a_command() {
    for line in ["a\r\n", " a b\r\n", "a \r\n", "\x01 b\r\n", "a\tb\r\n"] {
        assert_eq!(heard(&[(true, line)]).0, [NO_COMMAND], "{line}");
    }
    assert_eq!(heard(&[(true, "\r\n\r\n")]).0, [""; 0]);
}
