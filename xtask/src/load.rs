//! `cargo xtask load`: what many clients, slow clients and garbage cost, held against the limits of docs/benchmarks/load.md.

use std::{fs, path::PathBuf};

use clap::Args;

use crate::{
    bench::machine,
    build,
    run::{cargo, program, root, run, target},
};

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Seconds of each measurement
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Only some of `poses`, `slow`, `garbage`; nothing is written then
    #[arg(long, value_name = "NAMES")]
    only: Option<String>,
    /// Niceness of the many clients of `slow`: 0 is the server's own. Nothing is written but for 19
    #[arg(long, default_value_t = 19, value_parser = clap::value_parser!(u8).range(0..20))]
    niceness: u8,
    /// Load this server instead of building one
    #[arg(long, value_name = "FILE")]
    tapline: Option<PathBuf>,
}

/// Runs the load generator against an optimised server and writes what it found.
pub(crate) fn load(options: &Options) -> Result<(), String> {
    let tapline = match &options.tapline {
        Some(path) => path.clone(),
        None => build::build(true)?.tapline,
    };
    let mut build = cargo();
    build.args(["build", "--release", "--package", "tapline-benches", "--bin", "load"]);
    run("build the load generator", &mut build)?;
    let mut command = program(&target().join("release/load"));
    command
        .arg(&tapline)
        .arg(format!("--seconds={}", options.seconds))
        .arg(format!("--niceness={}", options.niceness));
    if let Some(only) = &options.only {
        command.arg(format!("--only={only}"));
    }
    println!("==> load");
    let out = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start the load generator: {e}"))?;
    let measured = String::from_utf8_lossy(&out.stdout);
    println!("{measured}");
    // Exit code 1: it measured, and a limit was not kept; that is written down too.
    if out.status.code().is_none_or(|code| code > 1) {
        return Err(format!("the load generator failed ({})", out.status));
    }
    if options.only.is_none() && options.niceness == 19 {
        let path = root().join("docs/benchmarks/load.md");
        let text = format!(
            "# Load\n\n`cargo xtask load`, on {}; server (optimised build) and load generator on the same machine.\n\n\
             The room is `four-nodes-ht20` with radios of 100 frames a second each, one person walking, the empty room\n\
             learned. Delivery is counted from the end of the 50 ms slot to the subscriber's clock, so it holds the cycle\n\
             itself. A subscriber asks for whole poses with 17 keypoints each. Slow clients take one message in 4 s from a\n\
             receive buffer of 4 KiB; all 2,000 clients run at niceness 19, since clients have machines of their own, and half\n\
             of the cycles without them are measured before and half after them. Garbage is random bytes of 1 to 511, half of it behind the first bytes of real frames.\n\n\
             {}\n",
            machine(),
            measured.trim()
        );
        fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    if out.status.success() {
        Ok(())
    } else {
        Err("a limit was not kept".to_owned())
    }
}
