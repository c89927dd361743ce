//! What somebody who is told of a connection may want of it.

use sensor_common::FlowKey;
use sensor_common::key::{IPPROTO_TCP, IPPROTO_UDP};

use super::ends::octets;
use super::engine::Engine;
use super::order::{Order, Wish};
use super::sink::Sink;
use crate::datapath::{FlowTable, hash_key};
use crate::event::{ConnId, Fuid, Proto, Ts};
use crate::file::api::FileWish;

/// The key of a connection's flow, where it follows from its ends: of TCP or UDP, in no VLAN and no virtual network.
pub fn key_of(c: &ConnId) -> Option<FlowKey> {
    let proto = match c.proto {
        Proto::Tcp => IPPROTO_TCP,
        Proto::Udp => IPPROTO_UDP,
        Proto::Icmp | Proto::Unknown => return None,
    };
    let (orig, resp) = (octets(c.orig_h), octets(c.resp_h));
    Some(FlowKey::new(&orig, &resp, c.orig_p, c.resp_p, proto, false).0)
}

impl<S: Sink> Engine<S> {
    /// Carries out what those want at network time `now` who were told of events.
    #[inline]
    pub fn obey(&mut self, now: Ts, flows: &mut impl FlowTable) {
        if self.sink().has_orders() {
            for order in self.sink().take_orders() {
                self.carry_out(order, now, flows);
            }
        }
    }

    /// Carries out an order at network time `now`, if it is about something that this engine has.
    pub fn carry_out(&mut self, order: Order, now: Ts, flows: &mut impl FlowTable) {
        match order {
            Order::Conn(c, wish) => {
                self.wish(&c, wish, now, flows);
            }
            Order::File(fuid, wish) => {
                self.wish_of_file(fuid, wish, now);
            }
        }
    }

    /// Does what is wanted of an open connection at network time `now`. False: this engine has none with this id.
    pub fn wish(&mut self, c: &ConnId, wish: Wish, now: Ts, flows: &mut impl FlowTable) -> bool {
        let Some(i) = self.slot_of(c) else { return false };
        let Some((mut run, _)) = self.run(now, i) else {
            return false;
        };
        match wish {
            Wish::Inactivity(ns) => run.set_inactivity(ns),
            Wish::Contents(sides) => run.conn.extra().contents |= sides,
            Wish::Shed => {
                run.app_never();
                run.conn.shed = 3;
                let key = run.conn.key;
                flows.shed(&key, 3);
            }
        }
        true
    }

    /// Does what is wanted of a file under way at network time `now`. False: this engine has none with this id.
    pub fn wish_of_file(&mut self, fuid: Fuid, wish: FileWish, now: Ts) -> bool {
        self.sh.with_files(now, |files, cx| files.wish(fuid, wish, cx))
    }

    fn slot_of(&self, c: &ConnId) -> Option<u32> {
        let Some(key) = key_of(c) else {
            return self.scan(c);
        };
        let found = self.find(hash_key(&self.hasher, &key), &key);
        let found = found.filter(|i| self.slots.get(*i).is_some_and(|e| e.uid_hi == c.uid.upper_half()));
        // An id does not say in which VLAN or virtual network.
        match self.sh.cfg.realms {
            0 => found,
            _ => found.or_else(|| self.scan(c)),
        }
    }

    fn scan(&self, c: &ConnId) -> Option<u32> {
        let all = 0..self.slots.places();
        self.slot_among(c.uid, all).map(|(i, _)| i)
    }
}
