//! The software that connections name: where what is found of it goes.

use super::shared::{Outlet, Shared};
use super::sink::Sink;
use crate::event::log::LogRow;
use crate::event::{Event, Ts};
use crate::software::{Cx, Found, Out};

impl<S: Sink> Out for Outlet<S> {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.emit(ts, ev);
    }

    fn log(&mut self, row: &dyn LogRow) {
        self.sink.log(row);
    }
}

impl<S: Sink> Shared<S> {
    /// Software named itself.
    pub fn found_software(&mut self, now: Ts, found: &Found<'_>) {
        let mut cx = Cx {
            ts: now,
            subs: &self.subs,
            is_local: &*self.cfg.is_local,
            out: &mut self.outlet,
        };
        self.software.found(found, &mut cx);
    }
}
