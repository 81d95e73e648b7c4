//! The figures as a document.

use std::fmt::Write as _;

use super::{
    Options,
    drive::{Measured, peak_rss_kb},
    sketch::Found,
};
use crate::cycle::clock::{STAGE_BUDGET_MS, STAGE_NAMES};

pub(super) fn document(options: &Options, burst: &Measured, paced: &Measured, sketch: &Found) -> String {
    let mut text = String::from("# The cycle\n\n");
    let _ = writeln!(
        text,
        "Scene `{}` of the simulator, {} link paths, {:.1} frames a cycle, a calibration in force, manifest `{}`. All ten stages \
         run as in `serve`,\nwith a live log on disk and one subscriber; the datagrams are made beforehand. Machine: {}, {} \
         processors; build: {}.\n\nCommand: `cargo xtask bench cycle` (it runs `tapline bench-cycle --cycles {} --paced {} \
         --scene {}`). Times in microseconds.\n",
        options.scene,
        burst.links,
        burst.frames as f64 / options.cycles.max(1) as f64,
        options.manifest.display(),
        cpu(),
        std::thread::available_parallelism().map_or(1, usize::from),
        if cfg!(debug_assertions) { "debug" } else { "release" },
        options.cycles,
        options.paced,
        options.scene,
    );
    text.push_str(
        "\"20 Hz\" is a cycle every 50 ms in real time, with the cold caches and the sleeping processor that this brings; \
         \"back to\nback\" is one after another.\n\n\
         | stage | 20 Hz p50 | p99 | max | back to back p50 | p99 | max | budget |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (index, (name, budget_ms)) in STAGE_NAMES.iter().zip(STAGE_BUDGET_MS).enumerate() {
        let row = [&paced.stages[index], &burst.stages[index]].map(columns);
        let _ = writeln!(text, "| {name} | {} | {} | {} |", row[0], row[1], budget_ms * 1_000);
    }
    let row = [&paced.witness.whole, &burst.witness.whole].map(columns);
    let _ = writeln!(text, "| of decide: witnessing | {} | {} | 300 |", row[0], row[1]);
    let row = [&paced.whole, &burst.whole].map(columns);
    let _ = writeln!(text, "| **whole cycle** | {} | {} | 50000 |\n", row[0], row[1]);
    let _ = writeln!(
        text,
        "- stage 1, one frame (each fits the 10 ms between the frames of a 100 Hz node): {:.1} us at 20 Hz, {:.1} us back to back",
        paced.ingest_frame_us(),
        burst.ingest_frame_us()
    );
    let _ = writeln!(
        text,
        "- peak resident set of the whole process, simulator included: {:.1} MB",
        peak_rss_kb() as f64 / 1e3
    );
    let _ = writeln!(
        text,
        "- sketch search, 128 bits, top 8 of 1,024 random vectors of 128 numbers: {:.2} us, finds {:.1} % of the true top 8",
        sketch.micros,
        sketch.recall * 100.0
    );
    text
}

fn columns(h: &crate::run::histogram::Histogram) -> String {
    format!("{} | {} | {}", h.quantile(0.5), h.quantile(0.99), h.largest())
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|l| l.strip_prefix("model name"));
    line.and_then(|l| l.split_once(':'))
        .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}
