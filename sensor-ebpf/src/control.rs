//! Orders from userspace. It cannot write a flow entry itself: writing a map value means writing
//! all of it, over counters that packets are adding to at that moment.

use aya_ebpf::programs::XdpContext;
use sensor_common::FlowKey;
use sensor_common::atomic::{and32, or32};

use crate::abi::{MAX_ORDERS, OP_SHED, ORDERS_HEAD, Order};
use crate::maps::FLOWS;

/// Carries out the orders in the frame, which may end behind the last one.
#[inline(always)]
pub fn run(ctx: &XdpContext) {
    let (data, end) = (ctx.data(), ctx.data_end());
    for i in 0..MAX_ORDERS {
        let at = data + ORDERS_HEAD + i * size_of::<Order>();
        if at + size_of::<Order>() > end {
            break;
        }
        // SAFETY: compared above; read as one of unknown alignment.
        let order = unsafe { (at as *const Order).read_unaligned() };
        carry_out(&order.key, order.op, order.dirs & 3);
    }
}

#[inline(always)]
fn carry_out(key: &FlowKey, op: u32, dirs: u32) {
    let Some(flow) = FLOWS.get_ptr_mut(key) else {
        return;
    };
    // SAFETY: a live map value, aligned; all writers of the field are here and atomic.
    unsafe {
        let shed = &raw mut (*flow).shed;
        if op == OP_SHED {
            or32(shed, dirs);
        } else {
            and32(shed, !dirs);
        }
    }
}
