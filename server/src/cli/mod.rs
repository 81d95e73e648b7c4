//! The command line. Exit code 0: done, or yes; 1: the answer is no; 2: bad usage or input.

mod backup;
mod bench_cycle;
mod bench_history;
mod bundle;
mod calibrate;
mod config;
mod demo;
mod export;
mod fetch;
mod forget;
mod fsck;
mod key;
mod manifest;
mod output;
mod plugin;
mod progress;
mod prove;
mod remote;
mod replay;
mod rerun;
mod send;
mod serve;
mod simulate;
mod soak;
mod swap;
mod token;
mod verify;

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
    /// Run the server
    Serve(serve::Options),
    /// Run the server with a simulated room and show both on the live page
    Demo(demo::Options),
    /// Run a recording through the pipeline of `serve`, in recorded time
    Replay(replay::Options),
    /// Learn the empty room from a recording and write the calibration file
    Calibrate(calibrate::Options),
    /// Play a recording as real datagrams
    Send(send::Options),
    /// Stream a simulated room as real datagrams, or write its configuration, recording and truth
    Simulate(simulate::Options),
    /// Say what a witness bundle proves, or whether two checkpoints prove a fork
    Verify(verify::Options),
    /// Work with witness bundles
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Check the log and everything it commits to
    Fsck(fsck::Options),
    /// Copy the store of a server that runs
    Backup(backup::BackupOptions),
    /// Write a table of what was: occupancy, people, links, latencies
    Export(export::Options),
    /// Say what takes the space in a store
    Doctor(backup::DoctorOptions),
    /// Erase what the cycles of a time range took in and published; the log's proofs stay
    Forget(forget::Options),
    /// Work with the fleet file
    #[command(subcommand)]
    Config(config::Command),
    /// Work with plugin manifests
    #[command(subcommand)]
    Manifest(manifest::Command),
    /// Show and exchange the keys that sign the log of a running server
    #[command(subcommand)]
    Key(key::Command),
    /// Work with plugins
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Make, list and revoke the tokens that API callers show
    #[command(subcommand)]
    Token(token::Command),
    /// Print the GraphQL schema
    Schema {
        /// Print the OpenAPI document instead
        #[arg(long)]
        openapi: bool,
    },
    /// Run a bundle or a store again: what `verify --replay` starts as a process of its own
    #[command(hide = true)]
    Rerun(rerun::Options),
    /// Time the cycle and its parts against their budgets
    BenchCycle(bench_cycle::Options),
    /// Time questions about a year of a made-up site
    BenchHistory(bench_history::Options),
    /// Run a recording over and over in virtual time, and check that nothing grows that must not
    Soak(soak::Options),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(options) => serve::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Calibrate(options) => calibrate::run(&options),
        Command::Send(options) => send::run(&options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Bundle(command) => bundle::run(&command),
        Command::Fsck(options) => fsck::run(&options),
        Command::Backup(options) => backup::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Doctor(options) => backup::doctor(&options),
        Command::Forget(options) => forget::run(&options),
        Command::Config(command) => config::run(&command),
        Command::Manifest(command) => manifest::run(&command),
        Command::Plugin(command) => plugin::run(&command),
        Command::Key(command) => key::run(&command),
        Command::Token(command) => token::run(&command),
        Command::Schema { openapi } => {
            let text = if openapi {
                crate::api::openapi()
            } else {
                crate::api::sdl()
            };
            output::print(text.trim_end_matches('\n'));
            Ok(Outcome::Yes)
        }
        Command::Rerun(options) => rerun::run(&options),
        Command::BenchCycle(options) => bench_cycle::run(&options),
        Command::BenchHistory(options) => bench_history::run(&options),
        Command::Soak(options) => soak::run(&options),
    };
    output::exit(outcome)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    /// What clap only finds when a command is used, in all of them.
    #[test]
    fn every_command_can_be_used() {
        super::Arguments::command().debug_assert();
    }
}
