//! Orders from userspace. It cannot write a flow entry itself: writing a map value means writing
//! all of it, over counters that packets are adding to at that moment.

use aya_ebpf::programs::XdpContext;
use sensor_common::key::IPPROTO_UDP;
use sensor_common::{follow, skip};

use crate::abi::{MAX_ORDERS, OP_FOLLOW, OP_SHED, OP_SKIP, ORDERS_HEAD, Order};
use crate::maps::FLOWS;

/// Carries out the orders in the frame, which may end behind the last one. Returns how many were refused.
#[inline(always)]
pub fn run(ctx: &XdpContext) -> u32 {
    let mut refused = 0;
    let (data, end) = (ctx.data(), ctx.data_end());
    for i in 0..MAX_ORDERS {
        let at = data + ORDERS_HEAD + i * size_of::<Order>();
        if at + size_of::<Order>() > end {
            break;
        }
        // Not copied: of a copy on the stack the verifier would keep each byte for each of the rounds.
        // SAFETY: compared above; ORDERS_HEAD and orders are multiples of 8, as the frame's start is.
        let order = unsafe { &*(at as *const Order) };
        refused += !carry_out(order) as u32;
    }
    refused
}

#[inline(always)]
fn carry_out(order: &Order) -> bool {
    let Some(flow) = FLOWS.get_ptr_mut(&order.key) else {
        return !matches!(order.op, OP_FOLLOW | OP_SKIP);
    };
    let dirs = order.dirs & 3;
    // SAFETY: a live map value, aligned.
    unsafe {
        match order.op {
            OP_SHED => follow::shed(flow, dirs),
            OP_FOLLOW if order.key.proto == IPPROTO_UDP => follow::order_datagrams(flow, (dirs == 2) as u8),
            OP_FOLLOW => return follow::order(flow, (dirs == 2) as u8, order.at),
            OP_SKIP => return skip::order(flow, (dirs == 2) as u8, order.at),
            _ => follow::unshed(flow, dirs),
        }
    }
    true
}
