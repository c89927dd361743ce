//! Between the engine and what takes its results.

use std::sync::Arc;

use bumpalo::Bump;

use super::anonymizer::Anonymizer;
use super::event::event;
use super::row::{row as shown, text};
use crate::conn::{Order, Piece, Sink};
use crate::event::log::{LogRow, Value};
use crate::event::{AnonymizationMapping, ConnId, Event, Fuid, SignatureState, Ts};
use crate::file::api::{FileWish, Part, Target};

/// Results with stand-ins for addresses, or, if nobody asked for that, as they are.
pub struct Anonymized<S> {
    /// Where they go.
    pub to: S,
    with: Option<With>,
}

struct With {
    by: Anonymizer,
    /// Memory for the arguments of an event.
    bump: Bump,
    /// Time of what came last.
    now: Ts,
}

impl<S: Sink> Anonymized<S> {
    /// Results that go to `to`.
    pub fn new(to: S, by: Option<Anonymizer>) -> Anonymized<S> {
        let with = |by| With {
            by,
            bump: Bump::new(),
            now: 0,
        };
        Anonymized {
            to,
            with: by.map(with),
        }
    }
}

impl With {
    fn event(&mut self, ts: Ts, ev: &dyn Event, to: &mut impl Sink) {
        self.now = self.now.max(ts);
        to.event(ts, event(ev, &self.bump, &self.by));
        self.bump.reset();
        self.tell(to);
    }

    fn log(&mut self, row: &dyn LogRow, to: &mut impl Sink) {
        to.log(&shown(row, &self.by));
        if self.by.has_new() {
            // A row does not say when it is written. All are of something that was before.
            let mut values = Vec::new();
            row.values(&mut values);
            if let Some(Value::Time(ts)) = values.first() {
                self.now = self.now.max(*ts);
            }
        }
        self.tell(to);
    }

    /// Tells which addresses are new.
    fn tell(&self, to: &mut impl Sink) {
        for (orig, mapped) in self.by.take_new() {
            to.event(self.now, &AnonymizationMapping { orig, mapped });
        }
    }
}

impl<S: Sink> Sink for Anonymized<S> {
    #[inline]
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        match &mut self.with {
            None => self.to.event(ts, ev),
            Some(with) => with.event(ts, ev, &mut self.to),
        }
    }

    #[inline]
    fn log(&mut self, row: &dyn LogRow) {
        match &mut self.with {
            None => self.to.log(row),
            Some(with) => with.log(row, &mut self.to),
        }
    }

    fn contents(&mut self, c: &ConnId, is_orig: bool, piece: Piece<'_>) -> Option<String> {
        self.to.contents(c, is_orig, piece)
    }

    fn evaluate(&mut self, function: &str, state: &SignatureState<'_>, data: &[u8]) -> bool {
        let Some(With { by, .. }) = &self.with else {
            return self.to.evaluate(function, state, data);
        };
        let (c, sig_id) = (by.conn(state.conn), text(state.sig_id, by));
        let state = SignatureState {
            sig_id: sig_id.as_deref().unwrap_or(state.sig_id),
            conn: &c,
            ..*state
        };
        self.to.evaluate(function, &state, data)
    }

    #[inline]
    fn has_orders(&self) -> bool {
        self.to.has_orders()
    }

    fn take_orders(&mut self) -> Vec<Order> {
        let orders = self.to.take_orders();
        match &self.with {
            None => orders,
            Some(with) => orders.into_iter().map(|o| with.by.order(o)).collect(),
        }
    }

    fn file_wishes(&mut self, fuid: Fuid) -> Vec<FileWish> {
        self.to.file_wishes(fuid)
    }

    fn file_handle(&mut self) -> Option<Vec<u8>> {
        self.to.file_handle()
    }

    fn extract(&mut self, target: &Arc<Target>, part: Part<'_>) -> bool {
        self.to.extract(target, part)
    }
}
