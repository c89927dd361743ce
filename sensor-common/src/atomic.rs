//! Atomic adds and ors on shared memory, relaxed, results unused; and an exchange and a barrier for BPF.
//!
//! Rust's `core` gives the BPF targets no read-modify-write atomics, though the machine has them
//! (`lock` instructions; or since cpu v3): there they are written out.
//!
//! On the host nothing is shared: the soft datapath has its entries to itself, and plain adds cost it a
//! fraction.
#![allow(unsafe_code, reason = "atomics on memory that is shared by pointer")]

/// Adds `v` to `*p`.
///
/// # Safety
/// `p` is valid and aligned. For BPF all its writers are atomic, on the host there is no other.
#[inline(always)]
pub unsafe fn add64(p: *mut u64, v: u64) {
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        *p = (*p).wrapping_add(v)
    };
    #[cfg(target_arch = "bpf")]
    // SAFETY: the contract above, which the caller keeps.
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
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        *p = (*p).wrapping_add(v)
    };
    #[cfg(target_arch = "bpf")]
    // SAFETY: the contract above, which the caller keeps.
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
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        *p |= v
    };
    #[cfg(target_arch = "bpf")]
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        core::arch::asm!("lock *(u32 *)({p} + 0) |= {v}", p = in(reg) p, v = in(wreg) v, options(nostack))
    };
}

/// As [`or32`]; what was written before is seen by whoever sees the bits.
///
/// # Safety
/// As for [`add64`].
#[inline(always)]
pub unsafe fn or32_after(p: *mut u32, v: u32) {
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        *p |= v
    };
    #[cfg(target_arch = "bpf")]
    // With a result it is a barrier to the kernel, without one it is none.
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        core::arch::asm!(
            "{v} = atomic_fetch_or((u32 *)({p} + 0), {v})",
            p = in(reg) p, v = inout(wreg) v => _, options(nostack)
        )
    };
}

/// Leaves in `*p` only the bits `v`.
///
/// # Safety
/// As for [`add64`].
#[inline(always)]
pub unsafe fn and32(p: *mut u32, v: u32) {
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        *p &= v
    };
    #[cfg(target_arch = "bpf")]
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        core::arch::asm!("lock *(u32 *)({p} + 0) &= {v}", p = in(reg) p, v = in(wreg) v, options(nostack))
    };
}

/// Sets `*p` and returns what was there; nothing passes it in memory.
///
/// # Safety
/// As for [`add64`].
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub unsafe fn swap32(p: *mut u32, mut v: u32) -> u32 {
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        core::arch::asm!("{v} = xchg32_32({p} + 0, {v})", p = in(reg) p, v = inout(wreg) v, options(nostack))
    };
    v
}

/// Adds `v` to `*p` and returns what was there.
///
/// # Safety
/// As for [`add64`].
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub unsafe fn fetch_add64(p: *mut u64, mut v: u64) -> u64 {
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        core::arch::asm!(
            "{v} = atomic_fetch_add((u64 *)({p} + 0), {v})",
            p = in(reg) p, v = inout(reg) v, options(nostack)
        )
    };
    v
}

/// What was written before is seen by others before anything is read after it. `p` is memory that nobody else is
/// interested in; a read-modify-write with a result is such a barrier to the kernel.
///
/// # Safety
/// As for [`add64`].
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub unsafe fn fence(p: *mut u64) {
    // SAFETY: the contract above, which the caller keeps.
    unsafe { fetch_add64(p, 0) };
}
