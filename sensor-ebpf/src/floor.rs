//! The least that a program which counts flows does with a packet: what [`crate::sensor_rx`] is measured against. It
//! shares the parser, the key and the table, and so follows them.

use sensor_common::Packet;
use sensor_common::atomic::add64;

use crate::hook::Hook;
use crate::maps::{FLOWS, Scratch};
use crate::parse::parse;

/// Parses the frame, reads the clock, looks the flow up, and adds to its packets and bytes.
#[inline(always)]
pub fn run<H: Hook>(hook: &H) {
    let Some(w) = Scratch::get(hook.slot()) else {
        return;
    };
    // SAFETY: this CPU's scratch, which nothing else uses meanwhile.
    let parsed = unsafe {
        (*w).pkt = Packet {
            ts: hook.time(),
            segs: hook.segs(),
            ..Default::default()
        };
        parse(hook.frame(), w, false)
    };
    if parsed.is_err() {
        return;
    }
    let w = Scratch::forget(w);
    // SAFETY: as above.
    let pkt = unsafe { &(*w).pkt };
    let Some(flow) = FLOWS.get_ptr_mut(&pkt.key) else {
        return;
    };
    // SAFETY: a live map value, valid until the program returns.
    unsafe {
        let dir = if pkt.dir == 0 {
            &raw mut (*flow).dir[0]
        } else {
            &raw mut (*flow).dir[1]
        };
        add64(&raw mut (*dir).pkts, pkt.segs as u64);
        add64(&raw mut (*dir).bytes, pkt.ip_len as u64);
    }
}
