//! Switches subnormals off from a static constructor, as libraries built with `-ffast-math` do.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::export_plugin;

export_plugin!(cir: Plain<Fast>);

struct Fast;

impl Spoil for Fast {
    const NAME: &'static str = "bad-flush-at-load";
}

#[cfg(target_arch = "x86_64")]
extern "C" fn flush_to_zero() {
    let mxcsr = 0x9FC0_u32;
    // SAFETY: loads MXCSR from the stack. That the setting breaks the rules of the language is what is tested.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, readonly)) };
}

#[cfg(target_arch = "aarch64")]
extern "C" fn flush_to_zero() {
    // SAFETY: sets FPCR.FZ. That the setting breaks the rules of the language is what is tested.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) 1_u64 << 24, options(nomem, nostack)) };
}

#[used]
// SAFETY: the section holds function pointers that the dynamic linker calls with arguments that are ignored.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = flush_to_zero;
