//! The front door: `cargo xtask demo | build | test | tidy | clients | e2e | golden | schema | accuracy | bench | load | fault | fuzz | soak | audit`.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program talks to its user"
)]

mod accuracy;
mod audit;
mod bench;
mod clients;
mod demo;
mod e2e;
mod fault;
mod fuzz;
mod golden;
mod load;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{build, run, web};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, test and try Tapline")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything and start the server with a simulated room that streams into it
    Demo(demo::Options),
    /// Build server and plugins together and write the manifest
    Build {
        /// Optimised build (slower to make)
        #[arg(long)]
        release: bool,
    },
    /// Format, lints, tidy, dependency rules, all tests, golden digests, schema
    Test,
    /// House rules only: a search of the sources, in a second
    Tidy,
    /// Run the client examples in curl, TypeScript and Python against a demo
    Clients,
    /// Test the live page in a browser, on the real server and its simulated room
    E2e(e2e::Options),
    /// Compare the golden digests, or write them anew
    Golden {
        /// Write them: a deliberate act that belongs into the changelog
        #[arg(long)]
        update: bool,
        /// Of the optimised build
        #[arg(long)]
        release: bool,
    },
    /// Compare schema.graphql with the server, or write it anew
    Schema {
        /// Write it
        #[arg(long)]
        update: bool,
    },
    /// Score sensing on recordings with ground truth, and write docs/accuracy.md
    #[command(disable_help_flag = true)]
    Accuracy(accuracy::Options),
    /// Measure, and write docs/benchmarks/
    Bench(bench::Options),
    /// Hurt the log: failing system calls, torn writes, kills, a full disk, an old copy (docs/audit.md 5)
    Fault(fault::Options),
    /// Fuzz what reads bytes from outside (docs/audit.md 12); needs nightly Rust and cargo-fuzz
    Fuzz(fuzz::Options),
    /// Days of cycles in virtual time: what must not grow, measured
    Soak(soak::Options),
    /// Many clients, slow clients, garbage: measure, and write docs/benchmarks/load.md
    Load(load::Options),
    /// What an auditor has to see and what is too long for the tests
    #[command(subcommand)]
    Audit(audit::Audit),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::demo(&options),
        Command::Build { release } => build::build(release).map(|_| ()),
        Command::Test => test::test(),
        Command::Tidy => tidy::tidy(),
        Command::Clients => clients::clients(),
        Command::E2e(options) => e2e::e2e(&options),
        Command::Golden { update, release } => golden::golden(update, release),
        Command::Schema { update } => golden::schema(update),
        Command::Accuracy(options) => accuracy::accuracy(&options),
        Command::Bench(options) => bench::bench(&options),
        Command::Fault(options) => fault::fault(&options),
        Command::Fuzz(options) => fuzz::fuzz(&options),
        Command::Load(options) => load::load(&options),
        Command::Soak(options) => soak::soak(&options),
        Command::Audit(options) => audit::audit(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
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
