//! `cargo xtask accuracy`: a program of its own (`accuracy/`), so that who builds or tests does not build it first.

use clap::Args;

use crate::run::{cargo, run};

/// Everything is handed over, `--help` too.
#[derive(Args)]
pub(crate) struct Options {
    /// Families of recordings, and options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds the program and hands over.
pub(crate) fn accuracy(options: &Options) -> Result<(), String> {
    let mut command = cargo();
    command
        .args(["run", "--quiet", "--package", "tapline-accuracy", "--"])
        .args(&options.arguments);
    run("accuracy", &mut command)
}
