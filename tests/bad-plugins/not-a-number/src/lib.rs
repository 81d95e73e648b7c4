//! Answers a NaN in its forty-first call: NONFINITE.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::{cir::CirOutput, export_plugin};

export_plugin!(cir: Plain<NotANumber>);

struct NotANumber;

impl Spoil for NotANumber {
    const NAME: &'static str = "bad-not-a-number";

    fn spoil(output: &mut CirOutput<'_>) {
        output.taps[0].re = f32::NAN;
    }
}
