//! Ends the whole process in its forty-first call: no guard can catch that. The log must survive it.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::{cir::CirOutput, export_plugin};

export_plugin!(cir: Plain<Aborts>);

struct Aborts;

impl Spoil for Aborts {
    const NAME: &'static str = "bad-abort-in-call";

    fn spoil(_: &mut CirOutput<'_>) {
        std::process::abort();
    }
}
