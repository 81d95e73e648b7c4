//! The command line. Exit code 0: done, or yes; 1: the answer is no; 2: bad usage or input.

mod config;
mod output;
mod progress;
mod replay;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

pub use output::{Failure, Outcome};

/// Arguments of the program.
#[derive(Parser)]
#[command(
    name = "tapline",
    version,
    about = "Wi-Fi sensing server: people, poses and presence from channel state information, with proof"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Which fleet file, which site.
#[derive(Args, Clone, Debug)]
pub struct ConfigArguments {
    /// Fleet file
    #[arg(long, default_value = "config.example.toml", value_name = "FILE")]
    config: PathBuf,
    /// Site of the file to run (default: the one that names this host, or the only one)
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// Manifest to use instead of the one the file names; `linked` for the built-in stages
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a recording through the pipeline of `serve`, in recorded time
    Replay(replay::Options),
    /// Work with the fleet file
    #[command(subcommand)]
    Config(config::Command),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Replay(options) => replay::run(&options),
        Command::Config(command) => config::run(&command),
    };
    output::exit(outcome)
}
