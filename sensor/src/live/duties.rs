//! What a worker does beside packets: it is asked for their connections' packets, and told what is to become of connections.

use super::orders::{Mailbox, Order};
use super::recorder::Recorder;
use crate::conn::{Engine, Sink};
use crate::datapath::FlowTable;
use crate::event::Ts;

/// Once a turn: does what was ordered since, and goes on with answers.
#[inline]
pub fn see_to<S: Sink>(
    mailbox: &Mailbox,
    recorder: &mut Recorder,
    engine: &mut Engine<S>,
    now: Ts,
    flows: &mut impl FlowTable,
) {
    for order in mailbox.take() {
        match order {
            Order::Local(is_local) => engine.set_local(is_local),
            Order::Packets(ask) => recorder.begin(ask),
            Order::Engine(order) => engine.carry_out(order, now, flows),
        }
    }
    // What timers had scripts order.
    engine.obey(now, flows);
    recorder.turn(engine);
}
