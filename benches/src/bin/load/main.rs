//! What many clients, slow clients and garbage cost: the load generator of `cargo xtask load`; and what swaps and large
//! bundles cost, for `cargo xtask bench trust`.
//!
//! It starts the given server, plays a room of four radios into it and holds the numbers of issue 7 against what it
//! measures. Generator and server share the machine, so what the generator costs is in the numbers.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

mod clients;
mod garbage;
mod report;
mod room;
mod server;
mod trust;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};

use self::{report::Report, room::Recorded};

#[derive(Parser)]
struct Options {
    /// The server's program
    tapline: PathBuf,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Only these
    #[arg(long, value_delimiter = ',', default_values_t = [What::Poses, What::Slow, What::Garbage], value_enum)]
    only: Vec<What>,
    /// Niceness of the many clients of `slow`: 0 is the server's own
    #[arg(long, default_value_t = 19, value_parser = clap::value_parser!(i32).range(0..20))]
    niceness: i32,
    /// Swaps of `swaps`
    #[arg(long, default_value_t = 100)]
    swaps: usize,
    /// Cycles in the store of `bundle`: an hour, which is the most that a bundle may hold
    #[arg(long, default_value_t = 72_000)]
    cycles: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// 500 subscribers that keep up
    Poses,
    /// 2,000 connections, most of them slow
    Slow,
    /// 50,000 datagrams a second that are none of ours
    Garbage,
    /// Plugins exchanged again and again
    Swaps,
    /// An hour's bundle downloaded beside the cycle
    Bundle,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Poses => "poses",
            Self::Slow => "slow",
            Self::Garbage => "garbage",
            Self::Swaps => "swaps",
            Self::Bundle => "bundle",
        })
    }
}

/// What goes wrong here is for the reader only.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("load: {e}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    // The slow clients and the bundle are run twice as long, without and with them; a swap takes some 3 s.
    let mut seconds = options.seconds * 2 + 90;
    if options.only.contains(&What::Swaps) {
        seconds = seconds.max(options.swaps as u64 * 5 + 40);
    }
    let recorded = Recorded::new(seconds)?;
    let mut report = Report::default();
    for what in &options.only {
        let part = match what {
            What::Poses => clients::poses(&options.tapline, &recorded, options.seconds)?,
            What::Slow => clients::slow(&options.tapline, &recorded, options.seconds, options.niceness)?,
            What::Garbage => garbage::garbage(&options.tapline, &recorded, options.seconds)?,
            What::Swaps => trust::swaps(&options.tapline, &recorded, options.swaps)?,
            What::Bundle => trust::bundle(&options.tapline, &recorded, options.seconds, options.cycles)?,
        };
        report.add(part);
    }
    println!("{}", report.markdown());
    Ok(report.met())
}
