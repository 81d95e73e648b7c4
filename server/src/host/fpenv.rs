//! The floating-point environment of the calling thread: rounding, exception masks, flush-to-zero.
//!
//! Numeric profile `ieee-strict-1` wants round-to-nearest, all exceptions masked, subnormals kept. A library
//! can change that for its thread by a single instruction, or merely by being loaded (`-ffast-math`
//! start-up code), and every later result of the thread silently differs.

#![allow(unsafe_code, reason = "control registers are reached by assembly only")]

/// The control bits that the profile prescribes: MXCSR 0x1F80 without its sticky flags, FPCR 0.
#[cfg(target_arch = "x86_64")]
const STRICT: u32 = 0x1F80;
#[cfg(target_arch = "aarch64")]
const STRICT: u32 = 0;

/// Bits of the register that are sticky exception flags, not control.
#[cfg(target_arch = "x86_64")]
const FLAGS: u32 = 0x3F;
#[cfg(target_arch = "aarch64")]
const FLAGS: u32 = 0;

/// The control bits as they are now, sticky flags left out.
#[cfg(target_arch = "x86_64")]
pub fn control() -> u32 {
    let mut value = 0_u32;
    // SAFETY: stores 4 bytes to the address of `value`, which lives on the stack; changes no other state.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
    value & !FLAGS
}

#[cfg(target_arch = "x86_64")]
fn set(value: u32) {
    // SAFETY: loads 4 bytes from the address of `value`; STRICT is the state that Rust itself assumes.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, readonly, preserves_flags)) };
}

/// The control bits as they are now.
#[cfg(target_arch = "aarch64")]
pub fn control() -> u32 {
    let value: u64;
    // SAFETY: reads FPCR into a register; changes no state.
    unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) value, options(nomem, nostack, preserves_flags)) };
    (value as u32) & !FLAGS
}

#[cfg(target_arch = "aarch64")]
fn set(value: u32) {
    // SAFETY: writes FPCR; STRICT is the state that Rust itself assumes.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) u64::from(value), options(nomem, nostack, preserves_flags)) };
}

/// Whether the control bits are those of the profile.
pub fn is_strict() -> bool {
    control() == STRICT
}

/// Restores the control bits of the profile; says what was found instead, if anything.
pub fn restore() -> Option<u32> {
    let found = control();
    (found != STRICT).then(|| {
        set(STRICT);
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not inlined, so that the product is made where the mode is set and not moved before or after it.
    #[inline(never)]
    fn half_of_the_smallest() -> f32 {
        std::hint::black_box(std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5))
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn flush_to_zero_is_seen_and_undone() {
        assert!(is_strict());
        set(0x9FC0);
        let tiny = half_of_the_smallest();
        assert_eq!(restore(), Some(0x9FC0));
        let kept = half_of_the_smallest();
        assert_eq!((tiny, kept > 0.0), (0.0, true));
        assert_eq!(restore(), None);
    }
}
