//! Measurements, written down with machine and command.

use std::{fs, path::Path};

use clap::{Args, ValueEnum};

use crate::{
    build,
    run::{cargo, output, program, root, run},
};

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// The measurement
    #[arg(default_value = "cycle")]
    what: What,
    /// Print, do not write
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The whole cycle, back to back and at 20 Hz
    Cycle,
    /// CIR against the public crate `wifi-densepose-signal` (its own workspace; builds for some minutes)
    Cir,
    /// Imaging and tracking
    Sensing,
    /// CIR on synthetic multipath against the Cramér-Rao bound; also draws the curves
    CirAccuracy,
}

/// Runs the measurement on an optimised build.
pub(crate) fn bench(options: &Options) -> Result<(), String> {
    let (file, text) = match options.what {
        What::Cycle => ("docs/benchmarks/cycle.md", cycle()?),
        What::Cir => ("docs/benchmarks/cir.md", cir()?),
        What::Sensing => ("docs/benchmarks/sensing.md", sensing()?),
        What::CirAccuracy => ("docs/benchmarks/cir-accuracy.md", cir_accuracy()?),
    };
    println!("{text}");
    if options.dry_run {
        return Ok(());
    }
    let path = root().join(file);
    fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

fn cycle() -> Result<String, String> {
    let built = build::build(true)?;
    output(
        "bench-cycle",
        program(&built.tapline).args(["bench-cycle", "--markdown"]),
    )
}

fn cir() -> Result<String, String> {
    let directory = root().join("benches/side-by-side");
    let cpu = build::best_cpu();
    let mut command = cargo();
    command
        .current_dir(&directory)
        .args(["build", "--release", "--locked", "--target-dir", "target"])
        .env("RUSTFLAGS", format!("-C target-cpu={cpu}"));
    run(&format!("build the side-by-side bench ({cpu})"), &mut command)?;
    let measured = output(
        "side by side",
        &mut program(&directory.join("target/release/tapline-side-by-side")),
    )?;
    Ok(format!(
        "# CIR, side by side\n\n\
         `cargo xtask bench cir`, on {}, built for {cpu}.\n\n\
         The same tones of the same 12 links through this project and through `wifi-densepose-signal` {}, in turns in one\n\
         process, on its own grids (contiguous tones from +-1, true HE20 and HE40). One link's paths: the direct one, three\n\
         walls and a person who walks; noise is new in every cycle. Times are medians over cycles. Two cores: groups of 8 and\n\
         4 links on a thread each. Objective and gap of both are judged by one f64 routine from tones and taps alone. What\n\
         the methods are: [docs/cir.md](../cir.md).\n\n{measured}",
        machine(),
        locked_version(&directory, "wifi-densepose-signal")?
    ))
}

fn sensing() -> Result<String, String> {
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "tapline-benches",
        "--bin",
        "sensing",
    ]);
    let measured = output("imaging and tracking", &mut command)?;
    Ok(format!(
        "# Imaging and tracking\n\n`cargo xtask bench sensing`, on {}. 2,000 cycles each, one core.\n\n{measured}",
        machine()
    ))
}

fn cir_accuracy() -> Result<String, String> {
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "tapline-benches",
        "--bin",
        "cir-accuracy",
        "--",
        "docs/images",
    ]);
    let measured = output("accuracy of the CIR", &mut command)?;
    Ok(format!(
        "# CIR, accuracy on synthetic multipath\n\n\
         `cargo xtask bench cir-accuracy`; the same numbers on every machine.\n\n{measured}"
    ))
}

/// Processor and number of cores.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{} with {cores} cores",
        model.map_or("an unknown processor", |(_, m)| m)
    )
}

fn locked_version(workspace: &Path, package: &str) -> Result<String, String> {
    let path = workspace.join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let after = lock.split_once(&format!("name = \"{package}\"\nversion = \""));
    let version = after.and_then(|(_, rest)| rest.split_once('"'));
    version
        .map(|(version, _)| version.to_owned())
        .ok_or_else(|| format!("{} does not name {package}", path.display()))
}
