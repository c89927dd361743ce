//! Memory as it is asked for: what an input may cost is bounded by its length.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Bytes that are in use, and all that ever were.
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static EVER: Cell<u64> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    // A thread that ends has none of them any more.
    let _ = LIVE.try_with(|n| n.set(n.get() + more as i64 - less as i64));
    let _ = EVER.try_with(|n| n.set(n.get().wrapping_add(more as u64)));
}

// SAFETY: all is done by the system's allocator, by the same contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        count(new, layout.size());
        unsafe { System.realloc(ptr, layout, new) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What something has cost since it began.
pub struct Spent {
    live: i64,
    ever: u64,
}

/// Bytes that a connection may keep beside what it was sent: tables, decompressors.
const KEPT: u64 = 4 << 20;
/// Bytes that may be asked for, one after the other, for each one sent: time goes with them.
const MOVED: u64 = 4096;

impl Spent {
    pub fn begin() -> Spent {
        Spent {
            live: LIVE.get(),
            ever: EVER.get(),
        }
    }

    /// Nothing of it is beyond what so many bytes may cost.
    pub fn check(&self, sent: usize) {
        let sent = sent as u64;
        let live = u64::try_from(LIVE.get() - self.live).unwrap_or(0);
        let ever = EVER.get() - self.ever;
        assert!(live <= KEPT + 16 * sent, "{sent} bytes keep {live}");
        assert!(ever <= 4 * KEPT + MOVED * sent, "{sent} bytes took {ever}");
    }
}
