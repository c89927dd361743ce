//! The files that connections carry: where what becomes of them goes, and when they end by themselves.

use std::sync::Arc;

use super::row::{WeirdRow, Whose};
use super::shared::{Outlet, Shared};
use super::sink::Sink;
use super::timer::{self, Timer};
use crate::event::log::LogRow;
use crate::event::{Event, Fuid, Ts};
use crate::file::Files;
use crate::file::api::{self, Cx, FileWish, Out, Target};
use crate::profile::place::{Part, enter};

impl<S: Sink> Out for Outlet<S> {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.emit(ts, ev);
    }

    fn log(&mut self, row: &dyn LogRow) {
        self.sink.log(row);
    }

    fn weird(&mut self, ts: Ts, name: &'static str, fuid: &str, addl: &str) {
        let addl = match addl {
            "" => fuid,
            addl => &format!("{fuid}: {addl}"),
        };
        self.log_weird(&WeirdRow::new(ts, Whose::Nobody, name, addl, ""));
    }

    fn wishes(&mut self, fuid: Fuid) -> Vec<FileWish> {
        self.sink.file_wishes(fuid)
    }

    fn handle(&mut self) -> Option<Vec<u8>> {
        self.sink.file_handle()
    }

    fn extract(&mut self, target: &Arc<Target>, part: api::Part<'_>) -> bool {
        self.sink.extract(target, part)
    }
}

impl<S: Sink> Shared<S> {
    /// Lets the files room work.
    pub fn with_files<R>(&mut self, now: Ts, work: impl FnOnce(&mut Files, &mut Cx<'_>) -> R) -> R {
        let _inside = enter(Part::Files);
        let mut cx = Cx {
            ts: now,
            subs: &self.subs,
            is_local: &self.cfg.is_local,
            magic: self.magic.as_deref_mut().map(|m| m as _),
            out: &mut self.outlet,
        };
        let result = work(&mut self.files, &mut cx);
        self.arm_files(now);
        result
    }

    fn arm_files(&mut self, now: Ts) {
        if let Some(at) = self.files.next().filter(|_| !self.files_armed) {
            self.files_armed = true;
            let timer = Timer::new(at.max(now), timer::FILES, 0, timer::Kind::Status, 0);
            self.wheel.arm(timer);
        }
    }

    /// The timer for files of which nothing was heard for long.
    pub fn expire_files(&mut self, now: Ts) {
        self.files_armed = false;
        self.with_files(now, Files::expire);
    }

    /// The input is over.
    pub fn finish_files(&mut self, now: Ts) {
        self.with_files(now, Files::finish);
    }
}
