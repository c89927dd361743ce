//! Userspace asks for the entries of several flows, or takes them out, in one run.

use aya_ebpf::programs::XdpContext;
use sensor_common::FlowState;

use crate::abi::{END_AND_TELL, Fetch, MAX_FETCHES, ORDERS_HEAD, TELL_SLOT};
use crate::half;
use crate::maps::{FLOWS, Scratch, keep};

const WORDS: usize = size_of::<FlowState>() / 8;
const _: () = assert!(size_of::<FlowState>().is_multiple_of(8));

/// Answers the questions in the frame, in their places; the frame may end behind the last one.
#[inline(always)]
pub fn run(ctx: &XdpContext) {
    let Some(w) = Scratch::get(TELL_SLOT) else {
        return;
    };
    let (data, end) = (ctx.data(), ctx.data_end());
    for i in 0..MAX_FETCHES {
        let at = data + ORDERS_HEAD + i * size_of::<Fetch>();
        if at + size_of::<Fetch>() > end {
            break;
        }
        // SAFETY: compared above; as with orders, all of it is aligned.
        unsafe { answer(w, at as *mut Fetch) };
    }
}

/// # Safety
/// `q` is memory of the frame.
#[inline(always)]
unsafe fn answer(w: *mut Scratch, q: *mut Fetch) {
    // SAFETY: the caller's word; a live map value, whose parts are read one by one as others add to them.
    unsafe {
        let Some(flow) = FLOWS.get_ptr_mut(&(*q).ended.flow) else {
            (*q).found = 0;
            return;
        };
        let (from, to) = (flow.cast::<u64>(), (&raw mut (*q).state).cast::<u64>());
        for i in 0..WORDS {
            to.add(i).write_volatile(from.add(i).read_volatile());
        }
        (*q).found = 1;
        if (*q).end == END_AND_TELL {
            half::end_and_tell(w, &(*q).ended.flow, TELL_SLOT);
        } else if (*q).end != 0 {
            half::closed(flow);
            (*q).ended.start = (*flow).start;
            keep(&(*q).ended, flow);
            let _ = FLOWS.remove(&(*q).ended.flow);
        }
    }
}
