//! Calls the platform's sine, whose bits differ from CPU to CPU: refused by the gate, before it runs.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::{cir::CirOutput, export_plugin};

export_plugin!(cir: Plain<PlatformMaths>);

struct PlatformMaths;

impl Spoil for PlatformMaths {
    const NAME: &'static str = "bad-platform-maths";

    fn every_call(output: &mut CirOutput<'_>) {
        if let Some(tap) = output.taps.first_mut() {
            tap.im = (f64::from(tap.re) + 0.5).sin() as f32;
        }
    }
}
