//! `tapline fsck`.

use std::path::PathBuf;

use clap::Args;

use super::output::{Failure, Outcome, Result, print};
use crate::log::fsck;

/// Which log.
#[derive(Args)]
pub(super) struct Options {
    /// Data directory
    #[arg(default_value = "tapline-data")]
    data_dir: PathBuf,
    /// Anchor file, when it is not beside the directory
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result {
    let report = fsck(&options.data_dir, options.anchor.as_deref()).map_err(Failure::of)?;
    if options.json {
        print(&serde_json::to_string(&report).map_err(Failure::of)?);
    } else {
        print(&report.to_string());
    }
    Ok(if report.is_clean() { Outcome::Yes } else { Outcome::No })
}
