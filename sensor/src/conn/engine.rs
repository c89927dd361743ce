//! The engine of one worker: its connections, their table and timers.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use sensor_common::decap::outer_key;
use sensor_common::flow::why;
use sensor_common::key::IPPROTO_TCP;
use sensor_common::packet::tcp_flags;
use sensor_common::proto::{ESP, MOBILITY};
use sensor_common::{FlowKey, FlowState, Packet, RecordHeader};

use super::asked::Notes;
use super::config::Config;
use super::ending::{Ending, Missing, before};
use super::ends::proto;
use super::entry::{Conn, Entry, Numbers, Tcp};
use super::heritage::{Adoption, KeyedPart, own_state, part_of};
use super::index::Index;
use super::last::last_header;
use super::late::Places;
use super::segment::Segment;
use super::shared::{Fixed, Outlet, Run, Shared, raise};
use super::sight::Sight;
use super::sink::Sink;
use super::slab::Slab;
use super::stream::{IsEarly, before_packet};
use super::timer::{self, Kind, Wheel};
use super::twice::recent;
use super::uid;
use crate::analyzer;
use crate::datapath::soft::InnerPacket;
use crate::datapath::{FlowTable, hash_key};
use crate::event::{self, Event, PktHdr, Proto, Subscriptions, Ts};
use crate::file::Files;
use crate::os::Hosts;
use crate::profile::PacketSampler;
use crate::profile::place::{Part, enter};
use crate::signature::{FileMagic, Matching};
use crate::software::Inventory;

/// What a timer that fires costs beside those that are only put elsewhere in the wheel.
const FIRING: u64 = 16;

/// The engine of one worker.
pub struct Engine<S> {
    pub(super) sh: Shared<S>,
    fixed: Fixed,
    pub(super) slots: Slab<Entry>,
    /// Their TCP parts.
    pub(super) tcps: Slab<Tcp>,
    pub(super) table: Index,
    pub(super) hasher: FixedState,
    /// What it takes over from another engine.
    pub(super) adoption: Adoption,
    /// The upper half of the next connection's uid, if that is known.
    pub(super) uid_of_next: Option<u64>,
    /// Connections made, modulo 2^32.
    made: u32,
    /// Added to the datapath's times to get network time, ns.
    shift: i64,
    /// What uids of connections that began again must differ from.
    ended: uid::Ended,
    /// Connections that are over but for their final states.
    pub(super) ending: Vec<Ending>,
    /// Of them, those whose states did not come when they were asked for.
    pub(super) missing: Missing,
    /// Of them, those whose final states are known, and who are to be told one after the other.
    pub(super) telling: VecDeque<(Ending, Option<FlowState>)>,
    /// The one of these that is being told.
    pub(super) at_end: Option<(KeyedPart, FlowState)>,
    /// For asking the flow table about many.
    keys: Vec<FlowKey>,
    states: Vec<Option<FlowState>>,
    /// Timers at hand, and whether their flows' states were asked for.
    due: Vec<(timer::Timer, bool)>,
}

impl<S: Sink> Engine<S> {
    /// An engine without connections: its settings, the events that somebody wants, and where results go.
    pub fn new(cfg: Config, subs: Subscriptions, sink: S) -> Self {
        Engine {
            hasher: FixedState::with_seed(cfg.seed),
            fixed: Fixed {
                subs,
                analyzers: analyzers(&cfg),
            },
            sh: Shared {
                files: Files::new(cfg.files.clone(), cfg.seed),
                late: Places::default(),
                load: (cfg.load_sample > 0 && subs.wants(event::LoadSample::KIND))
                    .then(|| PacketSampler::new(cfg.load_sample)),
                software: Inventory::new(cfg.software.clone()),
                os: cfg
                    .os
                    .clone()
                    .map(|all| Box::new(Hosts::new(all, cfg.os_known.clone()))),
                signatures: matching(&cfg),
                magic: cfg.signatures.clone().and_then(FileMagic::new).map(Box::new),
                to_enable: Vec::new(),
                cfg,
                subs,
                outlet: Outlet::new(sink, &subs),
                wheel: Wheel::default(),
                services: Vec::new(),
                silences: vec![0],
                net_weirds: Default::default(),
                tunnels_armed: false,
                files_armed: false,
                terminating: false,
                held: 0,
                stretches: 0,
                no_room: 0,
                holes: 0,
                sight: Sight::default(),
                recent: recent(),
                notes: Notes::default(),
                no_entry: 0,
            },
            slots: Slab::default(),
            tcps: Slab::default(),
            table: Index::default(),
            adoption: Adoption::default(),
            uid_of_next: None,
            made: 0,
            shift: 0,
            ended: uid::Ended::default(),
            ending: Vec::new(),
            missing: Missing::default(),
            telling: VecDeque::new(),
            at_end: None,
            keys: Vec::new(),
            states: Vec::new(),
            due: Vec::new(),
        }
    }

    /// Where events and rows went.
    pub fn sink(&mut self) -> &mut S {
        &mut self.sh.outlet.sink
    }

    /// Gives the sink back.
    pub fn into_sink(self) -> S {
        self.sh.outlet.sink
    }

    /// Open connections.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no open connection.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Stretches of streams, such as long bodies, that the datapath was told to keep.
    pub fn stretches(&self) -> u64 {
        self.sh.stretches
    }

    /// Holes that were given up, and so became gaps, because reassembly had no room.
    pub fn no_room(&self) -> u64 {
        self.sh.no_room
    }

    /// How well it has seen so far.
    pub fn sight(&self) -> Sight {
        self.sh.sight
    }

    /// Connections whose entry was not in the flow table when they ended: their rows lack what it had counted.
    pub fn no_entry(&self) -> u64 {
        self.sh.no_entry
    }

    /// Timers that are armed, void ones as well.
    pub fn timers(&self) -> usize {
        self.sh.wheel.pending()
    }

    /// Memory of what waits in reassembly, of streams and of files, bytes.
    pub fn held(&self) -> u64 {
        self.sh.held + self.sh.files.held()
    }

    /// Files that are under way.
    pub fn files(&self) -> usize {
        self.sh.files.under_way()
    }

    /// Whether somebody wants this kind of event.
    pub fn wants(&self, kind: event::Kind) -> bool {
        self.sh.subs.wants(kind)
    }

    /// Says what was added to the times in the records: uids are made of the times as the datapath had them, which
    /// another setting of the clock does not change.
    pub fn shifted_by(&mut self, shift: i64) {
        self.shift = shift;
    }

    /// A time before which nothing can be due.
    pub fn next_deadline(&self) -> Ts {
        self.sh.wheel.next()
    }

    /// Network time moves to `now`: what is due happens.
    #[inline]
    pub fn advance(&mut self, now: Ts, flows: &mut impl FlowTable) {
        if now >= self.sh.wheel.next() {
            self.fire(now, &mut { u64::MAX }, flows);
        }
    }

    /// As [`Engine::advance`] for who has packets waiting: no more than about `most` timers. True: there may be
    /// more, and they are late.
    pub fn advance_some(&mut self, now: Ts, most: u32, flows: &mut impl FlowTable) -> bool {
        let due = now >= self.sh.wheel.next();
        if due {
            self.fire(now, &mut (most as u64 * FIRING), flows);
        }
        due && now >= self.sh.wheel.next()
    }

    /// Network time is known to be `now`, by a clock that is not the packets': connections that have closed end. Those that
    /// are silent may go on, with packets that are on their way.
    pub fn end_closed(&mut self, now: Ts, flows: &mut impl FlowTable) {
        for t in self.sh.wheel.due_of(&[Kind::Delete, Kind::Reset], now) {
            self.timer(t, t.at, flows, None);
        }
        self.settle(now, flows);
    }

    /// Takes a record of a tracked packet; `frame` is what was forwarded of it. If its connection is a
    /// tunnel, the packet in it is returned.
    pub fn record(
        &mut self,
        rec: &RecordHeader,
        frame: &[u8],
        flows: &mut impl FlowTable,
    ) -> Option<InnerPacket> {
        let hash = hash_key(&self.hasher, &rec.pkt.key);
        let slot = self.find(hash, &rec.pkt.key);
        self.record_of(hash, slot, rec, frame, flows)
    }

    /// The same, unless the record overtook another one: then nothing is done.
    pub(super) fn record_unless_early(
        &mut self,
        rec: &RecordHeader,
        frame: &[u8],
        flows: &mut impl FlowTable,
    ) -> Result<Option<InnerPacket>, IsEarly> {
        let hash = hash_key(&self.hasher, &rec.pkt.key);
        let slot = self.find(hash, &rec.pkt.key);
        if let Some(i) = slot
            && let Some(conn) = self.slots.get_mut(i)
            && let Some(tcp) = self.tcps.get_mut(conn.tcp)
            && conn.flow_start() == rec.flow_start
            && let Some(early) = Run::new(rec.pkt.ts, i, conn, &mut self.sh, &self.fixed).is_early(tcp, rec)
        {
            return Err(early);
        }
        Ok(self.record_of(hash, slot, rec, frame, flows))
    }

    #[inline]
    fn record_of(
        &mut self,
        hash: u64,
        slot: Option<u32>,
        rec: &RecordHeader,
        frame: &[u8],
        flows: &mut impl FlowTable,
    ) -> Option<InnerPacket> {
        if let Some(load) = &mut self.sh.load {
            load.begin();
        }
        let _inside = enter(Part::Engine);
        let inner = self.record_at(hash, slot, rec, frame, flows);
        self.obey(rec.pkt.ts, flows);
        if self.sh.load.is_some() {
            self.tell_load(rec.pkt.ts);
        }
        inner
    }

    /// Tells what the packet has cost, if it is one of those that are looked at.
    #[cold]
    fn tell_load(&mut self, ts: Ts) {
        if let Some(cost) = self.sh.load.as_mut().and_then(PacketSampler::end) {
            self.raise(ts, &cost.event());
        }
    }

    fn record_at(
        &mut self,
        hash: u64,
        mut slot: Option<u32>,
        rec: &RecordHeader,
        frame: &[u8],
        flows: &mut impl FlowTable,
    ) -> Option<InnerPacket> {
        let p = &rec.pkt;
        if rec.why & why::INSIDE != 0 {
            self.learn_tunnel(slot, rec, frame);
        }
        if rec.why & why::UNTOLD != 0 {
            self.end_older(slot, rec.flow_start, p.ts);
            if self.find(hash, &p.key).is_none() {
                self.catch_up_untold(rec, flows);
            }
            slot = self.find(hash, &p.key);
        }
        if slot.is_none() && self.is_anothers(rec) {
            self.adopt_before(rec, flows);
            slot = self.find(hash, &p.key);
        }
        // The uid of the connection before, in the same entry.
        let mut after = None;
        if let Some(i) = slot
            && p.key.proto == IPPROTO_TCP
            && p.flags & tcp_flags::SYN != 0
            && self.reused(i, rec, frame)
        {
            after = self.split(i, rec, flows);
            slot = None;
        }
        let (i, new) = match slot {
            Some(i) => (i, false),
            None => {
                // Of two connections on the same ports the first one ends first.
                if let Some(n) = self.ending.iter().position(|e| e.conn.key == p.key) {
                    after = self.end_before(n, rec, flows);
                }
                (self.create(hash, p, rec.flow_start, after), true)
            }
        };
        let conn = self.slots.get_mut(i)?;
        let mut tcp = self.tcps.get_mut(conn.tcp);
        if new {
            if rec.prev_last != 0 {
                let flow = flows.get(&p.key);
                if after.is_none() && flow.is_some_and(|f| f.start == rec.flow_start) {
                    // The flow's first records were lost, and no other connection has its counts.
                    conn.start = rec.flow_start;
                } else {
                    // The flow was there before this connection: its counts are not ours.
                    conn.extra().base = before(rec, flow);
                    flows.part_begins(&p.key, &part_of(conn).1);
                }
            }
            if let Some(tcp) = &mut tcp {
                let (next, ack) = before_packet(rec);
                (tcp.known_next, tcp.known_ack) = (Numbers::new(next), Numbers::new(ack));
            }
        } else if conn.flow_start() != rec.flow_start {
            // The datapath made a new entry for the same key.
            conn.set_flow_start(rec.flow_start);
            if let Some(e) = conn.extra.as_mut() {
                e.base = FlowState::default();
            }
        }
        let mut run = Run::new(p.ts, i, conn, &mut self.sh, &self.fixed);
        if !new {
            run.check_encap(p.tunnel);
        }
        run.packet(tcp, rec, frame, flows, new)
    }

    /// A packet that belongs to a connection but cannot be used: its header is damaged or its
    /// checksum wrong. The connection is made if need be (and if there is room: no flow table bounds
    /// these); the packet counts for nothing.
    pub fn packet_weird(&mut self, p: &Packet, weird: &'static str, frame: &[u8]) {
        let hash = hash_key(&self.hasher, &p.key);
        let (i, new) = match self.find(hash, &p.key) {
            Some(i) => (i, false),
            None if self.table.len() >= self.sh.cfg.max_connections => {
                let (src, dst) = if p.dir == 0 {
                    (&p.key.a, &p.key.b)
                } else {
                    (&p.key.b, &p.key.a)
                };
                return self.net_weird(p.ts, weird, "", Some((src, dst)));
            }
            None => (self.create(hash, p, 0, None), true),
        };
        let Some((mut run, tcp)) = self.run(p.ts, i) else {
            return;
        };
        if !new {
            run.check_encap(p.tunnel);
        }
        // Where a header ends that cannot be, nobody knows.
        let contents = !matches!(weird, "bad_TCP_header_len" | "truncated_header");
        run.packet_events(p, frame, contents);
        run.weird(weird, "");
        run.bad_checksum(tcp, p, weird);
    }

    /// A weird of no connection; `ends` are sender and receiver, if they are known.
    pub fn net_weird(
        &mut self,
        ts: Ts,
        name: &'static str,
        addl: &str,
        ends: Option<(&[u8; 16], &[u8; 16])>,
    ) {
        self.sh.net_weird(ts, name, addl, ends);
    }

    /// Raises an event of no connection.
    pub fn raise(&mut self, ts: Ts, ev: &dyn Event) {
        if self.sh.subs.wants(ev.kind()) {
            self.sh.emit(ts, ev);
        }
    }

    /// All that the packets so far gave rise to has been raised; for who gathers events and wants to know
    /// when to look at them.
    pub fn flush_point(&mut self, ts: Ts) {
        if self.sh.outlet.unflushed {
            self.raise(ts, &event::EventQueueFlushPoint {});
            self.sh.outlet.unflushed = false;
        }
    }

    /// A packet of no connection: ESP and Mobile IPv6 have events of their own. `ip`: from its IP header on.
    pub fn untracked(&mut self, ts: Ts, ip: &[u8]) {
        let (esp, mobile) = (event::EspPacket::KIND, event::MobileIpv6Message::KIND);
        if !self.sh.subs.wants(esp) && !self.sh.subs.wants(mobile) {
            return;
        }
        let p = PktHdr::new(ip);
        match last_header(ip) {
            Some(ESP) => self.raise(ts, &event::EspPacket { p }),
            Some(MOBILITY) => self.raise(ts, &event::MobileIpv6Message { p }),
            _ => {}
        }
    }

    /// The input is over: what is still pending is told and every connection ends.
    pub fn finish(&mut self, now: Ts, flows: &mut impl FlowTable) {
        self.sh.terminating = true;
        // Timers that want to know of the end (Zeek: do_expire).
        for t in self.sh.wheel.drain() {
            if matches!(t.kind(), Kind::Attempt | Kind::Reset | Kind::Session) {
                self.timer(t, now, flows, None);
            }
        }
        let mut open: Vec<u32> = self.table.iter().collect();
        // The oldest first: their numbers may have begun anew.
        open.sort_by_key(|i| self.slots.get(*i).map(|c| c.n.wrapping_sub(self.made)));
        for i in open {
            self.end(i, now, flows);
        }
        self.settle(now, flows);
        self.give_up_missing(now, true);
        self.sh.finish_files(now);
    }

    pub(super) fn find(&self, hash: u64, key: &FlowKey) -> Option<u32> {
        self.table
            .find(hash, |i| self.slots.get(*i).is_some_and(|c| c.key == *key))
    }

    /// A connection, to be worked on, and its TCP part.
    pub(super) fn run(&mut self, ts: Ts, i: u32) -> Option<(Run<'_, S>, Option<&mut Tcp>)> {
        let conn = self.slots.get_mut(i)?;
        let tcp = self.tcps.get_mut(conn.tcp);
        Some((Run::new(ts, i, conn, &mut self.sh, &self.fixed), tcp))
    }

    fn reused(&mut self, i: u32, rec: &RecordHeader, frame: &[u8]) -> bool {
        let linger = self.sh.cfg.timeouts.tcp_connection_linger;
        let Some((mut run, Some(tcp))) = self.run(rec.pkt.ts, i) else {
            return false;
        };
        let reuse = run.is_reuse(tcp, &Segment::new(rec, frame), linger);
        if reuse {
            raise!(run, ConnectionReused);
        }
        reuse
    }

    /// A packet that the kernel's program took out of a tunnel: the number that it gave the tunnel may be new.
    fn learn_tunnel(&mut self, slot: Option<u32>, rec: &RecordHeader, frame: &[u8]) {
        let conn = slot.and_then(|i| self.slots.get(i));
        let known = conn.and_then(|c| c.extra.as_ref()?.encap.as_ref());
        let id = rec.pkt.tunnel;
        if known.is_some_and(|s| s.id == id) {
            return;
        }
        if let Some(outer) = outer_key(frame) {
            let (seed, start) = (self.sh.cfg.seed, self.own_time(rec.pkt.ts));
            let uid = || self.ended.next(seed, None, || uid::first(seed, start, &outer));
            self.sh.cfg.tunnels.numbered(id, &outer, rec.pkt.ts, uid);
        }
    }

    /// A time as the datapath had it.
    fn own_time(&self, ts: Ts) -> Ts {
        ts.wrapping_sub(self.shift as u64)
    }

    /// `after`: in a flow's entry in which the connection with this uid was.
    fn create(&mut self, hash: u64, p: &Packet, flow_start: Ts, after: Option<u64>) -> u32 {
        let seed = self.sh.cfg.seed;
        // Of a packet that counts for nothing there is no flow.
        let start = self.own_time(if flow_start == 0 { p.ts } else { flow_start });
        let known = self.uid_of_next.take();
        let uid =
            || known.unwrap_or_else(|| self.ended.next(seed, after, || uid::first(seed, start, &p.key)));
        // Packets out of it may have come before, by another way.
        let tunnel = match (p.carries, p.tunnel) {
            (0, _) | (_, 1..) => None,
            (id, 0) => self.sh.cfg.tunnels.hold(id, &p.key, after.is_some(), uid),
        };
        let uid_hi = match tunnel.as_ref().and_then(|s| s.layers.last()) {
            Some(l) => l.n,
            None => uid(),
        };
        let mut conn = Conn::new(p, self.made, uid_hi, flow_start);
        self.made = self.made.wrapping_add(1);
        if proto(p.key.proto) == Proto::Tcp {
            conn.tcp = self.tcps.insert(Tcp::default());
        }
        let i = self.slots.insert(Entry { conn, app: None });
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.table
            .insert(hash, i, |i| slots.get(*i).map_or(0, |c| hash_key(hasher, &c.key)));
        if let Some((mut run, _)) = self.run(p.ts, i) {
            if let Some(s) = tunnel {
                run.numbered(s.id);
            }
            run.begin(p);
        }
        i
    }

    /// Takes a connection out of the table.
    pub(super) fn take(&mut self, i: u32) -> Option<Entry> {
        let conn = self.slots.take(i)?;
        self.ended.add(conn.uid_hi);
        self.table.remove(hash_key(&self.hasher, &conn.key), i);
        Some(conn)
    }

    /// Tells a connection's end, which is out of the table.
    pub(super) fn tell_end(&mut self, mut e: Ending, flow: Option<&FlowState>) {
        // What damaged packets alone made never had one.
        if flow.is_none() && e.conn.flow_start() != 0 {
            self.sh.no_entry += 1;
        }
        let tcp = e.conn.tcp;
        Run::new(e.now, e.slot, &mut e.conn, &mut self.sh, &self.fixed).finish(self.tcps.get_mut(tcp), flow);
        self.tcps.take(tcp);
    }

    /// A connection is over. Its final state is asked for together with those of others that are, where that is
    /// cheaper: then its row comes when there are enough of them, or with [`Engine::settle`].
    fn end(&mut self, i: u32, now: Ts, flows: &mut impl FlowTable) {
        let Some(conn) = self.take(i) else { return };
        self.ending.push(Ending { conn, slot: i, now });
        if self.ending.len() >= flows.at_once() {
            self.finish_ending(flows);
        }
    }

    fn finish_ending(&mut self, flows: &mut impl FlowTable) {
        if self.ending.is_empty() {
            return;
        }
        let mut ending = std::mem::take(&mut self.ending);
        self.keys.clear();
        self.keys.extend(ending.iter().map(|e| e.conn.key));
        self.states.clear();
        flows.ask(&self.keys, true, &mut self.states);
        let mut states = std::mem::take(&mut self.states);
        let known = ending.drain(..).zip(states.drain(..));
        self.telling.extend(known.map(|(e, flow)| {
            let flow = flow.filter(|f| f.start == e.conn.flow_start());
            (e, flow)
        }));
        (self.ending, self.states) = (ending, states);
        while let Some((e, flow)) = self.telling.pop_front() {
            match flow {
                Some(flow) => {
                    self.at_end = Some((part_of(&e.conn), flow));
                    self.tell_end(e, Some(&flow));
                    self.at_end = None;
                }
                None => self.end_without_state(e, flows),
            }
        }
    }

    /// Finishes a connection that waits for its end, as another one begins with `rec`. Its uid's upper half if that is in
    /// the same flow entry, which then goes on as the other's.
    fn end_before(&mut self, n: usize, rec: &RecordHeader, flows: &mut impl FlowTable) -> Option<u64> {
        if self.ending[n].conn.flow_start() != rec.flow_start {
            self.finish_ending(flows);
            return None;
        }
        let ending = self.ending.remove(n);
        let uid_hi = ending.conn.uid_hi;
        self.hand_on(ending, rec, flows);
        Some(uid_hi)
    }

    /// Ends a connection whose flow goes on, from `rec` on, as another one.
    fn hand_on(&mut self, e: Ending, rec: &RecordHeader, flows: &mut impl FlowTable) {
        let flow = before(rec, flows.get(&rec.pkt.key));
        flows.forget(&rec.pkt.key);
        flows.part_ends(&rec.pkt.key, e.conn.uid_hi, &own_state(&e.conn, &flow));
        self.tell_end(e, Some(&flow));
    }

    /// Finishes what was put off, here and in the flow table: to be called at the end of a batch of records.
    pub fn settle(&mut self, now: Ts, flows: &mut impl FlowTable) {
        self.finish_ending(flows);
        self.give_up_missing(now, false);
        flows.settle();
    }

    /// Ends a connection whose flow goes on as another one; its uid's upper half.
    fn split(&mut self, i: u32, rec: &RecordHeader, flows: &mut impl FlowTable) -> Option<u64> {
        let conn = self.take(i)?;
        let (uid_hi, now) = (conn.uid_hi, rec.pkt.ts);
        self.hand_on(Ending { conn, slot: i, now }, rec, flows);
        Some(uid_hi)
    }

    fn fire(&mut self, now: Ts, steps: &mut u64, flows: &mut impl FlowTable) {
        let _inside = enter(Part::Timers);
        if flows.at_once() > 1 {
            return self.fire_many(now, steps, flows);
        }
        while let Some(t) = self.sh.wheel.pop(now, steps) {
            *steps = steps.saturating_sub(FIRING);
            self.timer(t, now, flows, None);
        }
    }

    /// As [`Engine::fire`] with a flow table of which it is cheaper to ask the states of many flows at once.
    fn fire_many(&mut self, now: Ts, steps: &mut u64, flows: &mut impl FlowTable) {
        let mut due = std::mem::take(&mut self.due);
        loop {
            due.clear();
            self.keys.clear();
            while due.len() < flows.at_once()
                && let Some(t) = self.sh.wheel.pop(now, steps)
            {
                let Some(conn) = self.of(&t) else {
                    // Of a connection that is over, as most are in a flood; those of no connection are rare.
                    if matches!(t.slot, timer::TUNNELS | timer::FILES) {
                        due.push((t, false));
                    }
                    continue;
                };
                *steps = steps.saturating_sub(FIRING);
                let key = t.kind().asks().then_some(conn.key);
                self.keys.extend(key);
                due.push((t, key.is_some()));
            }
            if due.is_empty() {
                break;
            }
            self.states.clear();
            if !self.keys.is_empty() {
                flows.ask(&self.keys, false, &mut self.states);
            }
            // In the order in which they were asked for.
            let mut states = std::mem::take(&mut self.states);
            let mut known = states.drain(..);
            for (t, asked) in &due {
                let state = if *asked { known.next() } else { None };
                self.timer(*t, now, flows, state);
            }
            drop(known);
            self.states = states;
        }
        self.due = due;
    }

    /// The connection that a timer is for, if it was not cancelled.
    fn of(&self, t: &timer::Timer) -> Option<&Entry> {
        self.slots.get(t.slot).filter(|c| c.has(t))
    }

    /// A timer is due; `known` is its flow's state, if that was asked for already.
    fn timer(
        &mut self,
        t: timer::Timer,
        now: Ts,
        flows: &mut impl FlowTable,
        known: Option<Option<FlowState>>,
    ) {
        match t.slot {
            timer::TUNNELS => return self.sh.expire_tunnels(now),
            timer::FILES => return self.sh.expire_files(now),
            _ => {}
        }
        // Another timer may be of a connection that was here before, or cancelled.
        let Some((mut run, tcp)) = self.run(now, t.slot).filter(|(run, _)| run.conn.has(&t)) else {
            return;
        };
        run.on_timer(tcp, t.kind(), |key| known.unwrap_or_else(|| flows.get(key)));
        if run.remove {
            self.end(t.slot, now, flows);
        }
    }
}

fn matching(cfg: &Config) -> Option<Box<Matching>> {
    let signatures = cfg.signatures.clone()?;
    Some(Box::new(Matching::new(signatures, cfg.signature_bytes)))
}

/// What analyzers share, by the engine's settings.
fn analyzers(cfg: &Config) -> analyzer::WorkerShared {
    // TLS over streams and over datagrams know the same certificates.
    let tls = analyzer::tls::TlsShared::new(cfg.tls.clone());
    analyzer::WorkerShared {
        http: analyzer::http::HttpShared::new(cfg.http),
        dtls: tls.clone(),
        quic: tls.clone(),
        ftp: tls.clone(),
        tls,
        ssh: cfg.ssh,
        dhcp: cfg.dhcp.clone(),
        ..analyzer::WorkerShared::default()
    }
}
