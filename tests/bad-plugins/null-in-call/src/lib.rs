//! Writes into an object that is not there, in its forty-first call: SIGSEGV, from inside. The log must survive it.

#![allow(unsafe_code, reason = "this plugin exists to misbehave")]

use bad_base::{Plain, Spoil};
use tapline_plugin_api::{cir::CirOutput, export_plugin};

export_plugin!(cir: Plain<Scribbles>);

struct Scribbles;

impl Spoil for Scribbles {
    const NAME: &'static str = "bad-null-in-call";

    fn spoil(_: &mut CirOutput<'_>) {
        let object = std::hint::black_box(std::ptr::null_mut::<u32>());
        // A field 64 bytes into it: a debug build would stop at address 0 itself, in an orderly way.
        let field = object.wrapping_byte_add(64);
        // SAFETY: none. Nothing is mapped there, and that is the point.
        unsafe { field.write_volatile(1) };
    }
}
