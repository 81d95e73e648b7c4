//! `tapline bench-cycle`: the cycle and its parts, against their budgets.
//!
//! All ten stages run as in `serve`: the same engine, a live log that commits to disk once a second, and a reader
//! that takes every message. Only the socket is missing: datagrams are made beforehand.

mod document;
mod drive;
mod room;
mod sketch;

use std::path::PathBuf;

use clap::Args;

use super::output::{Outcome, Result, print};
use crate::{
    cycle::{
        WITNESS_PARTS,
        clock::{BUDGET, STAGE_NAMES},
    },
    run::histogram::Histogram,
};

/// What to measure.
#[derive(Args)]
pub(super) struct Options {
    /// Cycles that count back to back, after 200 that do not
    #[arg(long, default_value_t = 4_000)]
    cycles: u64,
    /// Cycles that count at 20 Hz, in real time
    #[arg(long, default_value_t = 600)]
    paced: u64,
    /// Scene of the simulator
    #[arg(long, default_value = "four-nodes-ht20")]
    scene: String,
    /// Manifest; `linked` for the stages built into the program
    #[arg(long, default_value = "plugins/manifest.toml")]
    manifest: PathBuf,
    /// Leave the store of the run back to back in this directory, with its fleet file; it ends now
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// As a document
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result {
    let burst = drive::drive(options, drive::Pace::BackToBack, options.cycles)?;
    let paced = drive::drive(options, drive::Pace::RealTime, options.paced)?;
    let sketch = sketch::measure();
    if options.json {
        print(
            &serde_json::json!({
                "links": burst.links, "rss_kb": drive::peak_rss_kb(),
                "back_to_back": figures(&burst), "real_time": figures(&paced),
                "sketch_us": sketch.micros, "sketch_recall": sketch.recall,
            })
            .to_string(),
        );
    } else {
        print(&document::document(options, &burst, &paced, &sketch));
    }
    let slowest = u128::from(burst.whole.quantile(0.99).max(paced.whole.quantile(0.99)));
    Ok(if slowest <= BUDGET.as_micros() {
        Outcome::Yes
    } else {
        Outcome::No
    })
}

fn witnessing(witness: &drive::Witnessing) -> serde_json::Value {
    let row = |h: &Histogram, unit: f64| {
        let micros = |value: u64| value as f64 / unit;
        serde_json::json!({ "count": h.count(), "p50_us": micros(h.quantile(0.5)), "p99_us": micros(h.quantile(0.99)),
            "max_us": micros(u64::from(h.largest())) })
    };
    let parts = WITNESS_PARTS.iter().zip(&witness.parts_ns);
    let parts: serde_json::Map<String, serde_json::Value> =
        parts.map(|(name, h)| ((*name).to_owned(), row(h, 1e3))).collect();
    serde_json::json!({ "whole": row(&witness.whole, 1.0), "keyframes": row(&witness.keyframes, 1.0), "parts": parts })
}

fn figures(measured: &drive::Measured) -> serde_json::Value {
    let stages: serde_json::Map<String, serde_json::Value> = STAGE_NAMES
        .iter()
        .zip(&measured.stages)
        .map(|(name, h)| {
            let figures = serde_json::json!({ "p50_us": h.quantile(0.5), "p99_us": h.quantile(0.99) });
            ((*name).to_owned(), figures)
        })
        .collect();
    serde_json::json!({
        "cycles": measured.whole.count(), "p50_us": measured.whole.quantile(0.5),
        "p99_us": measured.whole.quantile(0.99), "ingest_frame_us": measured.ingest_frame_us(), "stages": stages,
        "witness": witnessing(&measured.witness),
    })
}
