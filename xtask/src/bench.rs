//! Measurements, written down with machine and command.

use std::fs;

use clap::Args;

use crate::{
    build,
    run::{output, program, root},
};

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// `cycle`
    #[arg(default_value = "cycle")]
    what: String,
    /// Print, do not write
    #[arg(long)]
    dry_run: bool,
}

/// Runs the measurement on an optimised build.
pub(crate) fn bench(options: &Options) -> Result<(), String> {
    if options.what != "cycle" {
        return Err(format!("found {:?}; there is: cycle", options.what));
    }
    let built = build::build(true)?;
    let text = output(
        "bench-cycle",
        program(&built.tapline).args(["bench-cycle", "--markdown"]),
    )?;
    println!("{text}");
    if options.dry_run {
        return Ok(());
    }
    let path = root().join("docs/benchmarks/cycle.md");
    fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
