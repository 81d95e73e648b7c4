//! `cargo xtask fault`: everything that `server/tests/fault` can do to a log. `cargo test` runs a short form of it.

use clap::Args;

use crate::run::{cargo, run};

/// How much of it.
#[derive(Args)]
pub(crate) struct Options {
    /// Random kills under load
    #[arg(long, default_value_t = 1000)]
    kills: u32,
    /// Most torn images of each write to the WAL (default: every sector in every way, some 20 minutes)
    #[arg(long, value_name = "N")]
    images: Option<u32>,
    /// Most injections into each victim (default: every system call three times, some 15 minutes)
    #[arg(long, value_name = "N")]
    injections: Option<u32>,
    /// Only some of `syscalls`, `torn`, `torn-checkpoint`, `kills`, `full`, `copied`
    only: Vec<String>,
}

/// Builds and runs it.
pub(crate) fn fault(options: &Options) -> Result<(), String> {
    let mut command = cargo();
    command.args(["test", "--package", "tapline-server", "--test", "fault", "--", "--full"]);
    command.arg(format!("--kills={}", options.kills));
    for (flag, value) in [("images", options.images), ("injections", options.injections)] {
        command.args(value.map(|value| format!("--{flag}={value}")));
    }
    run("fault", command.args(&options.only))
}
