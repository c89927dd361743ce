//! What all connections share while one of them is at work.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sensor_common::FlowState;
use sensor_common::key::IPPROTO_TCP;

use super::app::App;
use super::asked::Notes;
use super::config::Config;
use super::ends::addr;
use super::entry::{Conn, Entry, letter};
use super::late::Places;
use super::row::{WeirdRow, Whose};
use super::sight::Sight;
use super::sink::Sink;
use super::timer::{Kind, Wheel};
use super::weird::{Logged, NetSampler, source};
use crate::analyzer;
use crate::base::time::MILLISECOND;
use crate::event::{self, ConnId, Event, Subscriptions, Ts};
use crate::file::Files;
use crate::os::Hosts;
use crate::packet::duplicate::Recent;
use crate::profile::PacketSampler;
use crate::signature::{FileMagic, Matching};
use crate::software::Inventory;

/// Everything of the engine but the table.
pub struct Shared<S> {
    pub cfg: Config,
    pub subs: Subscriptions,
    pub outlet: Outlet<S>,
    pub wheel: Wheel,
    /// Files that connections carry.
    pub files: Files,
    /// The signatures at work, if there are any.
    pub signatures: Option<Box<Matching>>,
    /// Types of files that signatures know, if there are any.
    pub magic: Option<Box<FileMagic>>,
    /// Analyzers that signatures have named for the connection at work.
    pub to_enable: Vec<Arc<str>>,
    /// For connections that may be announced yet.
    pub late: Places,
    /// Software that was found.
    pub software: Inventory,
    /// Takes samples of what packets cost, if somebody asks.
    pub load: Option<PacketSampler>,
    /// Finds hosts' operating systems.
    pub os: Option<Box<Hosts>>,
    /// How often weirds of no connection were told.
    pub net_weirds: NetSampler,
    /// The timer [`super::timer::TUNNELS`] is armed.
    pub tunnels_armed: bool,
    /// The timer [`super::timer::FILES`] is armed.
    pub files_armed: bool,
    /// What conn.log calls connections whose analyzers were done before they were.
    pub services: Vec<String>,
    /// For columns on request.
    pub notes: Notes,
    /// Times that connections may be silent, milliseconds; few different ones. The first is 0: for ever.
    pub silences: Vec<u32>,
    /// Set while the input is over and connections are being flushed.
    pub terminating: bool,
    /// Bytes of memory that reassembly takes, all connections together.
    pub held: u64,
    /// Stretches of streams that the datapath was told to keep.
    pub stretches: u64,
    /// Holes given up for want of room.
    pub no_room: u64,
    /// Holes that became gaps.
    pub holes: u64,
    /// How well all is seen.
    pub sight: Sight,
    /// To find packets that came twice.
    pub recent: Recent,
    /// See [`super::Engine::no_entry`].
    pub no_entry: u64,
}

/// Where events and rows go, apart from all else that is shared: what raises them may be another part of that.
pub struct Outlet<S> {
    pub sink: S,
    /// new_event is wanted.
    new_event: bool,
    /// What weird.log does not repeat.
    logged: Logged,
    /// Of the last event.
    network_time: Ts,
    /// Events were raised since the last event_queue_flush_point.
    pub unflushed: bool,
}

/// What does not change while the engine works, and what analyzers are called with, while all else is at hand to what they
/// say.
pub struct Fixed {
    /// As in [`Shared::subs`].
    pub subs: Subscriptions,
    pub analyzers: analyzer::WorkerShared,
}

/// Raises an event about the connection at work, if somebody wants it.
macro_rules! raise {
    ($run:expr, $kind:ident $(, $field:ident : $value:expr)*) => {
        if $run.sh.subs.wants($crate::event::$kind::KIND) {
            let (ts, id) = ($run.ts, $run.id());
            let ev = $crate::event::$kind { c: &id $(, $field: $value)* };
            $run.sh.emit(ts, &ev);
        }
    };
}
pub(super) use raise;

impl<S: Sink> Outlet<S> {
    pub fn new(sink: S, subs: &Subscriptions) -> Outlet<S> {
        Outlet {
            sink,
            new_event: subs.wants(event::NewEvent::KIND),
            logged: Logged::default(),
            network_time: 0,
            unflushed: false,
        }
    }

    pub fn emit(&mut self, ts: Ts, ev: &dyn Event) {
        // Packets may be captured out of order; network time does not go back.
        self.network_time = self.network_time.max(ts);
        let ts = self.network_time;
        if self.new_event {
            self.sink.event(
                ts,
                &event::NewEvent {
                    name: ev.info().name,
                    params: ev,
                },
            );
        }
        self.sink.event(ts, ev);
        self.unflushed = true;
    }

    /// weird.log has less than the events, see [`Logged`].
    pub fn log_weird(&mut self, row: &WeirdRow<'_>) {
        if self.logged.permit(row.name, row.whose.into(), row.ts) {
            self.sink.log(row);
        }
    }
}

impl<S: Sink> Shared<S> {
    /// See [`Outlet::emit`].
    pub fn emit(&mut self, ts: Ts, ev: &dyn Event) {
        self.outlet.emit(ts, ev);
    }

    /// A weird of no connection; `ends` as in [`super::Engine::net_weird`].
    pub fn net_weird(
        &mut self,
        ts: Ts,
        name: &'static str,
        addl: &str,
        ends: Option<(&[u8; 16], &[u8; 16])>,
    ) {
        if !self.net_weirds.permit(name, ends, ts) {
            return;
        }
        match ends {
            Some((s, d)) => {
                if self.subs.wants(event::FlowWeird::KIND) {
                    self.emit(
                        ts,
                        &event::FlowWeird {
                            name,
                            src: addr(s),
                            dst: addr(d),
                        },
                    );
                }
            }
            None => {
                if self.subs.wants(event::NetWeird::KIND) {
                    self.emit(ts, &event::NetWeird { name });
                }
            }
        }
        let whose = ends.map_or(Whose::Nobody, |(s, d)| Whose::Hosts(addr(s), addr(d)));
        self.outlet
            .log_weird(&WeirdRow::new(ts, whose, name, addl, source(name, false)));
    }

    /// What reassembly takes changed.
    pub fn account(&mut self, before: u64, after: u64) {
        self.held = (self.held + after).saturating_sub(before);
    }

    /// How long the connection may be silent, milliseconds; 0: for ever.
    pub fn silence(&self, conn: &Conn) -> u32 {
        self.silences.get(conn.silence as usize).copied().unwrap_or(0)
    }

    /// The index of such a time.
    fn silence_of(&mut self, ms: u32) -> u8 {
        let known = self.silences.iter().position(|s| *s == ms);
        let i = known.unwrap_or_else(|| {
            self.silences.push(ms);
            self.silences.len() - 1
        });
        i.min(u8::MAX as usize) as u8
    }

    pub fn arm(&mut self, conn: &Conn, slot: u32, kind: Kind, at: Ts) {
        self.wheel.arm(conn.timer(slot, kind, at));
    }
}

/// A connection at work, without its analyzers: what they may speak of and change.
pub struct Core<'e, S> {
    pub ts: Ts,
    pub slot: u32,
    pub conn: &'e mut Conn,
    pub sh: &'e mut Shared<S>,
    pub fixed: &'e Fixed,
    /// The connection is to leave the table.
    pub remove: bool,
}

/// A connection at work: it, its analyzers, the time, and what all share. Its TCP part is passed beside it.
pub struct Run<'e, S> {
    pub core: Core<'e, S>,
    pub app: &'e mut Option<Box<App>>,
}

impl<'e, S> Deref for Run<'e, S> {
    type Target = Core<'e, S>;

    fn deref(&self) -> &Core<'e, S> {
        &self.core
    }
}

impl<S> DerefMut for Run<'_, S> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.core
    }
}

impl<'e, S: Sink> Run<'e, S> {
    pub fn new(ts: Ts, slot: u32, entry: &'e mut Entry, sh: &'e mut Shared<S>, fixed: &'e Fixed) -> Self {
        Run {
            core: Core {
                ts,
                slot,
                conn: &mut entry.conn,
                sh,
                fixed,
                remove: false,
            },
            app: &mut entry.app,
        }
    }

    /// See [`Core::arm`].
    pub fn arm(&mut self, kind: Kind, at: Ts) {
        self.core.arm(kind, at);
    }

    /// See [`Core::set_inactivity`].
    pub fn set_inactivity(&mut self, timeout_ns: u64) {
        self.core.set_inactivity(timeout_ns);
    }

    /// See [`Core::look_for_silence`].
    pub fn look_for_silence(&mut self, at: Ts) {
        self.core.look_for_silence(at);
    }
}

impl<S: Sink> Core<'_, S> {
    pub fn id(&self) -> ConnId {
        self.conn.id()
    }

    /// A weird of this connection.
    pub fn weird(&mut self, name: &'static str, addl: &str) {
        self.tell_weird(name, addl, None);
    }

    /// One whose analyzer does not follow from its name.
    pub fn weird_from(&mut self, name: &'static str, addl: &str, source: &'static str) {
        self.tell_weird(name, addl, Some(source));
    }

    fn tell_weird(&mut self, name: &'static str, addl: &str, from: Option<&'static str>) {
        self.conn.weird = true;
        let now = self.ts;
        if !self.conn.extra().weirds.permit(name, now) {
            return;
        }
        let id = self.id();
        if self.sh.subs.wants(event::ConnWeird::KIND) {
            self.sh.emit(now, &event::ConnWeird { name, c: &id, addl });
        }
        let source = from.unwrap_or_else(|| source(name, self.conn.key.proto == IPPROTO_TCP));
        self.sh
            .outlet
            .log_weird(&WeirdRow::new(now, Whose::Conn(&id), name, addl, source));
    }

    /// An analyzer of the connection would not read on.
    pub fn gave_up(&mut self) {
        self.conn.check_history(0, letter::GAVE_UP, 'X');
    }

    /// Arms a timer of the connection.
    pub fn arm(&mut self, kind: Kind, at: Ts) {
        self.conn.expires |= kind == Kind::Expire;
        self.sh.arm(self.conn, self.slot, kind, at);
    }

    /// Changes how long the connection may be silent (Zeek: SetInactivityTimeout).
    pub fn set_inactivity(&mut self, timeout_ns: u64) {
        let ms = (timeout_ns / MILLISECOND).min(u32::MAX as u64) as u32;
        let old = self.sh.silence(self.conn);
        if ms == old {
            return;
        }
        self.conn.silence = self.sh.silence_of(ms);
        if ms > old && old != 0 {
            // The timer that is pending comes too early, finds that out and goes on.
            return;
        }
        if ms == 0 {
            self.conn.inactive_at = Ts::MAX;
        } else {
            self.look_for_silence(self.conn.last + timeout_ns);
        }
    }

    /// Sees to it that at `at` it is looked whether the connection has been silent for long. That needs no timer as
    /// long as a timer of the kind `Expire` is sure to come before: that one calls this again.
    pub fn look_for_silence(&mut self, at: Ts) {
        self.conn.inactive_at = at;
        let t = &self.sh.cfg.timeouts;
        let next = self.ts + t.tcp_syn_timeout.max(t.tcp_session_timer);
        if at != Ts::MAX && !(self.conn.expires && next <= at) {
            self.arm(Kind::Inactivity, at);
        }
    }

    /// The time of the connection's last packet, also of those that were not forwarded.
    pub fn last_time(&self, flow: Option<&FlowState>) -> Ts {
        match flow {
            Some(f) if !self.conn.frozen && f.start == self.conn.flow_start() => self.conn.last.max(f.last()),
            _ => self.conn.last,
        }
    }
}
