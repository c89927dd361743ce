//! What analyzers need around them, and what comes out of them as text.

use sensor::analyzer::api::{Call, Out, Spec};
use sensor::event::log::{LogRow, write_json};
use sensor::event::{ConnId, Event, Proto, Subscriptions, Ts, Uid};

/// Collects all that an analyzer says.
#[derive(Default)]
pub struct Said {
    pub text: Vec<u8>,
}

impl Out for Said {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        ev.write_json(ts, &mut self.text);
        self.text.push(b'\n');
    }
    fn log(&mut self, row: &dyn LogRow) {
        write_json(&mut self.text, row, &mut Vec::new());
        self.text.push(b'\n');
    }
    fn confirm(&mut self, spec: &'static Spec, _: u64) {
        self.text.extend(format!("confirm {:?}\n", spec.tag).into_bytes());
    }
    fn violation(&mut self, spec: &'static Spec, _: u64, reason: &str) {
        self.text
            .extend(format!("violation {:?} {reason}\n", spec.tag).into_bytes());
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.text.extend(format!("weird {name} {addl}\n").into_bytes());
    }
    fn gave_up(&mut self) {
        self.text.extend(b"gave up\n");
    }
}

pub fn conn(proto: Proto, resp_p: u16) -> ConnId {
    ConnId {
        uid: Uid::new(0, 1),
        orig_h: [192, 0, 2, 1].into(),
        resp_h: [192, 0, 2, 2].into(),
        orig_p: 40000,
        resp_p,
        proto,
        start: 0,
    }
}

/// What the engine would call analyzers with.
pub fn call<'c>(c: &'c ConnId, subs: &'c Subscriptions, out: &'c mut Said) -> Call<'c> {
    Call {
        ts: 1_700_000_000_000_000_000,
        c,
        subs,
        out,
    }
}

/// Pieces of an input: a byte that says what, a little-endian length, the bytes.
pub fn pieces(mut data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [what, lo, hi, rest @ ..] = data else {
            return None;
        };
        let n = (u16::from_le_bytes([*lo, *hi]) as usize).min(rest.len());
        let (piece, rest) = rest.split_at(n);
        data = rest;
        Some((*what, piece))
    })
}
