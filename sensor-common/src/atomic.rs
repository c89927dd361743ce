//! Atomic adds and ors on shared memory, relaxed, results unused.
//!
//! Rust's `core` gives the BPF targets no read-modify-write atomics, though the machine has them
//! (`lock` instructions; or since cpu v3): there they are written out.
//!
//! On the host nothing is shared: the soft datapath has its entries to itself, and plain adds cost it a
//! fraction.

/// Adds `v` to `*p`.
///
/// # Safety
/// `p` is valid and aligned. For BPF all its writers are atomic, on the host there is no other.
#[inline(always)]
pub unsafe fn add64(p: *mut u64, v: u64) {
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the caller's word.
    unsafe {
        *p = (*p).wrapping_add(v)
    };
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller's word.
    unsafe {
        core::arch::asm!("lock *(u64 *)({p} + 0) += {v}", p = in(reg) p, v = in(reg) v, options(nostack))
    };
}

/// As [`add64`], of 32 bits.
///
/// # Safety
/// As for [`add64`].
#[inline(always)]
pub unsafe fn add32(p: *mut u32, v: u32) {
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the caller's word.
    unsafe {
        *p = (*p).wrapping_add(v)
    };
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller's word.
    unsafe {
        core::arch::asm!("lock *(u32 *)({p} + 0) += {v}", p = in(reg) p, v = in(wreg) v, options(nostack))
    };
}

/// Sets the bits `v` in `*p`.
///
/// # Safety
/// As for [`add64`].
#[inline(always)]
pub unsafe fn or32(p: *mut u32, v: u32) {
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the caller's word.
    unsafe {
        *p |= v
    };
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller's word.
    unsafe {
        core::arch::asm!("lock *(u32 *)({p} + 0) |= {v}", p = in(reg) p, v = in(wreg) v, options(nostack))
    };
}

/// Leaves in `*p` only the bits `v`.
///
/// # Safety
/// As for [`add64`].
#[inline(always)]
pub unsafe fn and32(p: *mut u32, v: u32) {
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the caller's word.
    unsafe {
        *p &= v
    };
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller's word.
    unsafe {
        core::arch::asm!("lock *(u32 *)({p} + 0) &= {v}", p = in(reg) p, v = in(wreg) v, options(nostack))
    };
}
