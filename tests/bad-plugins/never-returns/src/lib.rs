//! Never returns from its forty-first call: TIMEOUT, and its thread is given up.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::{cir::CirOutput, export_plugin};

export_plugin!(cir: Plain<NeverReturns>);

struct NeverReturns;

impl Spoil for NeverReturns {
    const NAME: &'static str = "bad-never-returns";

    fn spoil(_: &mut CirOutput<'_>) {
        loop {
            std::hint::spin_loop();
        }
    }
}
