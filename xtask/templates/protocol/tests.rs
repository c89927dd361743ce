//! Bytes in, events and rows out.

use proptest::prelude::*;

use super::*;
use crate::analyzer::api::{Call, Out, Solo};
use crate::event::log::{LogRow, write_json};
use crate::event::{ConnId, Event, Subscriptions, Ts};

/// What came out, a line each.
#[derive(Default)]
struct Heard(Vec<String>);

impl Out for Heard {
    fn event(&mut self, _: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let hello = ExampleHello::of(ev).expect("the only event");
        assert!(hello.is_orig);
        self.0.push(ev.info().name.to_owned());
    }
    fn log(&mut self, row: &dyn LogRow) {
        let mut line = Vec::new();
        write_json(&mut line, row, &mut Vec::new());
        let line = String::from_utf8(line).expect("text");
        let (_, last) = line.split_once("\"id.resp_p\":4000,").expect("a connection");
        self.0.push(format!("row {}", last.trim_end_matches('}')));
    }
    fn confirm(&mut self, spec: &'static Spec, _: u64) {
        self.0.push(format!("confirm {}", spec.tag.service()));
    }
    fn violation(&mut self, _: &'static Spec, _: u64, reason: &str) {
        self.0.push(format!("violation {reason}"));
    }
    fn weird(&mut self, name: &'static str, _: &str) {
        self.0.push(format!("weird {name}"));
    }
    fn gave_up(&mut self) {
        self.0.push("gave up".to_owned());
    }
}

/// What the originator's bytes give, in these pieces.
fn heard(pieces: &[&[u8]]) -> Vec<String> {
    let c = ConnId::sample(4000);
    let mut heard = Heard::default();
    let mut solo = Solo::new(Analyzer::new(&Start::default(), &()));
    for bytes in pieces {
        let call = Call {
            ts: 0,
            c: &c,
            subs: &Subscriptions::ALL,
            out: &mut heard,
        };
        if solo.with(call, |a, ctx| a.data(true, bytes, ctx)) == Next::Stop {
            break;
        }
    }
    heard.0
}

#[test]
fn a_greeting_is_an_event_and_a_row() {
    let all = ["confirm example", "example_hello", "row \"name\":\"me\""];
    assert_eq!(heard(&[b"example me\nmore"]), all);
    let (first, second) = b"example me\n".split_at(3);
    assert_eq!(heard(&[first, second]), all);
    assert_eq!(heard(&[b"example me"]), [""; 0]);
}

#[test]
fn what_is_none_is_a_violation() {
    assert_eq!(heard(&[b"no such word\n"]), ["violation example: not a greeting"]);
    assert_eq!(heard(&[b"example\n"]), ["violation example: not a greeting"]);
    let long = [&b"example "[..], &[b'x'; wire::MAX_LINE]].concat();
    assert_eq!(heard(&[&long]), ["violation example: line too long"]);
}

proptest! {
    #[test]
    fn noise_never_panics(
        begins: bool,
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..5),
    ) {
        let begin: &[u8] = if begins { b"example " } else { b"" };
        let pieces: Vec<&[u8]> = std::iter::once(begin).chain(noise.iter().map(Vec::as_slice)).collect();
        prop_assert!(heard(&pieces).len() <= 3);
    }
}
