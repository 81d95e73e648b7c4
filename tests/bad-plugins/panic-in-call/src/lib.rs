//! Panics in its forty-first call: PANIC, and the cycle goes on.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::{cir::CirOutput, export_plugin};

export_plugin!(cir: Plain<Panics>);

struct Panics;

impl Spoil for Panics {
    const NAME: &'static str = "bad-panic-in-call";

    fn spoil(_: &mut CirOutput<'_>) {
        panic!("this plugin panics in call 40");
    }
}
