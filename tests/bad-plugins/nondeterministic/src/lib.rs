//! Counts its calls across instances, so a second run gives other bits: refused by the golden vectors.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::{cir::CirOutput, export_plugin};

export_plugin!(cir: Plain<Drifts>);

struct Drifts;

impl Spoil for Drifts {
    const NAME: &'static str = "bad-nondeterministic";

    fn every_call(output: &mut CirOutput<'_>) {
        static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let calls = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if let Some(tap) = output.taps.first_mut() {
            tap.re = calls as f32;
        }
    }
}
