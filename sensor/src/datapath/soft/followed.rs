//! TLS records of directions that are followed: see [`sensor_common::follow`].
#![allow(
    unsafe_code,
    reason = "the flow state's functions take pointers, as in the BPF program"
)]

use sensor_common::flow::Outcome;
use sensor_common::follow::{Marks, follow};
use sensor_common::{FlowState, Packet};

/// What was read of the last packet for which that was to be done.
#[derive(Default)]
pub(super) struct Followed {
    pub marks: Marks,
    /// The marks as they stand in a record.
    pub bytes: Vec<u8>,
}

impl Followed {
    #[cold]
    pub fn read(&mut self, flow: &mut FlowState, p: &Packet, out: &mut Outcome, frame: &[u8]) {
        let payload = frame.get(p.data as usize..).unwrap_or_default();
        let load = |from: u32, to: *mut u8, n: u32| {
            let from = from as usize;
            let Some(bytes) = payload.get(from..from + n as usize) else {
                return false;
            };
            // SAFETY: `follow` asks for at most as many bytes as it has room for at `to`, in its marks, which no frame
            // overlaps.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
            true
        };
        // SAFETY: exclusive references to a live entry and to the outcome; the marks are ours alone.
        unsafe { follow(flow, p, out, &mut self.marks, load) };
        self.bytes.clear();
        for m in self.marks.marks.iter().take(self.marks.n as usize) {
            self.bytes.extend_from_slice(&m.to_bytes());
        }
    }
}
