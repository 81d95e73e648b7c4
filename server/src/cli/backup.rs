//! `tapline backup` and `tapline doctor`: a copy of a store in use, and what takes the space in one.

use std::{fmt::Write, path::PathBuf};

use clap::Args;

use super::output::{Failure, Outcome, Result, print};
use crate::store::{backup, reader::Reader};

/// What to copy where.
#[derive(Args)]
pub(super) struct BackupOptions {
    /// File to write; it must not exist
    to: PathBuf,
    /// Data directory; its server may run
    #[arg(long, default_value = "tapline-data", value_name = "DIR")]
    data_dir: PathBuf,
}

/// Which store.
#[derive(Args)]
pub(super) struct DoctorOptions {
    /// Data directory; its server may run
    #[arg(default_value = "tapline-data")]
    data_dir: PathBuf,
}

pub(super) fn run(options: &BackupOptions) -> Result {
    let report = backup::backup(&options.data_dir, &options.to).map_err(Failure::of)?;
    print(&format!(
        "{}: {} leaves, {} of them under a checkpoint, {} bytes",
        options.to.display(),
        report.leaves,
        report.durable,
        report.bytes
    ));
    Ok(Outcome::Yes)
}

pub(super) fn doctor(options: &DoctorOptions) -> Result {
    let sizes = backup::space(&options.data_dir).map_err(Failure::of)?;
    let stats = Reader::open(&options.data_dir)
        .and_then(|reader| reader.stats())
        .map_err(Failure::of)?;
    let mut text = format!(
        "{} leaves ({} under a checkpoint), {} cycles that can be queried\n",
        stats.leaves, stats.durable, stats.cycles
    );
    let total: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    for (name, bytes) in &sizes {
        let share = 100.0 * *bytes as f64 / total.max(1) as f64;
        let _ = writeln!(text, "{bytes:>14} bytes {share:>5.1} %  {name}");
    }
    let _ = writeln!(text, "{:>14} bytes          write-ahead log", stats.wal_bytes);
    print(&text);
    Ok(Outcome::Yes)
}
