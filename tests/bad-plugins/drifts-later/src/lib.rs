//! Keeps the contract as long as golden vectors look, and then answers with where it lies in memory, which is another place
//! in every process: no check before the first cycle finds it, and a replay does.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::{cir::CirOutput, export_plugin};

export_plugin!(cir: Plain<DriftsLater>);

struct DriftsLater;

impl Spoil for DriftsLater {
    const NAME: &'static str = "bad-drifts-later";

    fn spoil(output: &mut CirOutput<'_>) {
        static HERE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let page = std::ptr::from_ref(&HERE).addr() >> 12;
        if let Some(tap) = output.taps.first_mut() {
            (tap.re, tap.im) = ((page & 0xff_ffff) as f32, (page >> 24 & 0xff_ffff) as f32);
        }
    }
}
