//! What many clients, slow clients and garbage cost: the load generator of `cargo xtask load`.
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// 500 subscribers that keep up
    Poses,
    /// 2,000 connections, most of them slow
    Slow,
    /// 50,000 datagrams a second that are none of ours
    Garbage,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Poses => "poses",
            Self::Slow => "slow",
            Self::Garbage => "garbage",
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
    // The slow clients alone are run twice as long, before and with them.
    let recorded = Recorded::new(options.seconds * 2 + 40)?;
    let mut report = Report::default();
    for what in &options.only {
        let part = match what {
            What::Poses => clients::poses(&options.tapline, &recorded, options.seconds)?,
            What::Slow => clients::slow(&options.tapline, &recorded, options.seconds)?,
            What::Garbage => garbage::garbage(&options.tapline, &recorded, options.seconds)?,
        };
        report.add(part);
    }
    println!("{}", report.markdown());
    Ok(report.met())
}
