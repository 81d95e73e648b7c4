//! Starts a thread in every call: refused by the gate.

use bad_base::{Plain, Spoil};
use tapline_plugin_api::{cir::CirOutput, export_plugin};

export_plugin!(cir: Plain<StartsThreads>);

struct StartsThreads;

impl Spoil for StartsThreads {
    const NAME: &'static str = "bad-starts-threads";

    fn every_call(_: &mut CirOutput<'_>) {
        let _ = std::thread::spawn(|| {}).join();
    }
}
