//! Datagrams in, rows and events out.

use super::*;
use crate::analyzer::api::{Call, Out, Solo};
use crate::event::log::{LogRow, write_json};
use crate::event::{ConnId, Event, Proto, Subscriptions, Ts, Uid};

/// What came out.
#[derive(Default)]
struct Heard {
    /// From the column `proto` on.
    rows: Vec<String>,
    /// Arguments.
    events: Vec<String>,
    violations: Vec<String>,
    confirmed: bool,
}

impl Out for Heard {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        let line = String::from_utf8(line).expect("text");
        let (_, args) = line.split_once("\"args\":").expect("arguments");
        self.events.push(args.trim_end_matches('}').to_owned());
        assert!(SyslogMessage::of(ev).is_some(), "it comes back");
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut line = Vec::new();
        write_json(&mut line, row, &mut Vec::new());
        let line = String::from_utf8(line).expect("text");
        let (_, line) = line.split_once("\"proto\":").expect("a protocol");
        self.rows.push(line.to_owned());
    }
    fn confirm(&mut self, _: &'static Spec, _: u64) {
        self.confirmed = true;
    }
    fn violation(&mut self, _: &'static Spec, _: u64, reason: &str) {
        self.violations.push(reason.to_owned());
    }
    fn weird(&mut self, _: &'static str, _: &str) {}
    fn gave_up(&mut self) {}
}

/// One datagram.
fn said(bytes: &[u8], subs: &Subscriptions) -> Heard {
    let mut out = Heard::default();
    let c = &ConnId {
        uid: Uid::new(1, 1),
        orig_h: [192, 0, 2, 1].into(),
        resp_h: [192, 0, 2, 2].into(),
        orig_p: 4000,
        resp_p: 514,
        proto: Proto::Udp,
        start: 0,
    };
    let mut solo = Solo::new(Syslog::new(&Start::default(), &()));
    let call = Call {
        ts: 0,
        c,
        subs,
        out: &mut out,
    };
    solo.with(call, |a, ctx| a.datagram(true, bytes, ctx));
    out
}

#[test]
fn a_message_is_a_row_and_an_event() {
    let h = said(b"<165>Oct 11 host su: 'su root' failed\n\0", &Subscriptions::ALL);
    assert_eq!(
        h.rows,
        ["\"udp\",\"facility\":\"LOCAL4\",\"severity\":\"NOTICE\",\
          \"message\":\"Oct 11 host su: 'su root' failed\\n\\\\x00\"}"]
    );
    assert_eq!(h.events.len(), 1);
    assert!(
        h.events[0].starts_with("{\"facility\":20,\"severity\":5,\"msg\":\"4f6374"),
        "{:?}",
        h.events
    );
    assert!(h.confirmed && h.violations.is_empty());
    let silent = said(b"<165>x", &Subscriptions::NONE);
    assert_eq!((silent.rows.len(), silent.events.len()), (1, 0));
}

#[test]
fn priorities_have_names() {
    for (priority, facility, severity) in [
        ("0", "KERN", "EMERG"),
        ("9", "USER", "ALERT"),
        ("00034", "AUTH", "CRIT"),
        ("191", "LOCAL7", "DEBUG"),
        // Zeek masks what is too large, and has no names for it.
        ("195", "?-24", "ERR"),
        ("1023", "?-127", "DEBUG"),
        ("1024", "KERN", "EMERG"),
        ("18446744073709551615", "?-127", "DEBUG"),
    ] {
        let h = said(format!("<{priority}>x").as_bytes(), &Subscriptions::ALL);
        let wanted =
            format!("\"udp\",\"facility\":\"{facility}\",\"severity\":\"{severity}\",\"message\":\"x\"}}");
        assert_eq!(h.rows, [wanted], "{priority}");
        assert!(h.confirmed);
    }
}

#[test]
fn a_message_without_a_priority_is_logged_and_proves_nothing() {
    for bytes in [&b"not really a message"[..], b"34>x", b" <34>x", b""] {
        let h = said(bytes, &Subscriptions::ALL);
        assert_eq!(h.rows.len(), 1);
        assert!(h.rows[0].starts_with("\"udp\",\"facility\":\"UNSPECIFIED\",\"severity\":\"UNSPECIFIED\","));
        assert!(h.events[0].starts_with("{\"facility\":999,\"severity\":999,"));
        assert!(!h.confirmed && h.violations.is_empty());
    }
    assert!(said(b"<3>", &Subscriptions::ALL).rows[0].ends_with("\"message\":\"\"}"));
}

#[test]
fn a_priority_that_is_none_is_a_violation() {
    for (bytes, why) in [
        (&b"<"[..], "syslog priority without digits"),
        (b"<>x", "syslog priority without digits"),
        (b"<a>x", "syslog priority without digits"),
        (b"<34", "syslog priority without an end"),
        (b"<34 >x", "syslog priority without an end"),
        (b"<18446744073709551616>x", "syslog priority too large"),
    ] {
        let h = said(bytes, &Subscriptions::ALL);
        assert_eq!(h.violations, [why]);
        assert!(h.rows.is_empty() && h.events.is_empty() && !h.confirmed);
    }
}
