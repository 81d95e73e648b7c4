//! Switches subnormals off in its forty-first call: FPENV, and the thread is put right again.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::{cir::CirOutput, export_plugin};

export_plugin!(cir: Plain<FlushToZero>);

struct FlushToZero;

impl Spoil for FlushToZero {
    const NAME: &'static str = "bad-flush-to-zero";

    fn spoil(_: &mut CirOutput<'_>) {
        flush_to_zero();
    }
}

#[cfg(target_arch = "x86_64")]
fn flush_to_zero() {
    let mxcsr = 0x9FC0_u32;
    // SAFETY: loads MXCSR from the stack. That the setting breaks the rules of the language is what is tested.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, readonly)) };
}

#[cfg(target_arch = "aarch64")]
fn flush_to_zero() {
    // SAFETY: sets FPCR.FZ. That the setting breaks the rules of the language is what is tested.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) 1_u64 << 24, options(nomem, nostack)) };
}
