//! Measurements, written down with machine and command.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use clap::{Args, ValueEnum};

mod trust;

use crate::{
    build,
    run::{cargo, output, program, root, run, target},
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
    /// Measure this program, its plugins in `plugins/` beside it, instead of building one (`cycle`, `trust`, `history`)
    #[arg(long, value_name = "FILE")]
    tapline: Option<PathBuf>,
    #[command(flatten)]
    trust: trust::Options,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The whole cycle, back to back and at 20 Hz
    Cycle,
    /// What witnessing, swaps and a large bundle cost a live server (some eight minutes)
    Trust,
    /// CIR against the public crate `wifi-densepose-signal` (its own workspace; builds for some minutes)
    Cir,
    /// Imaging and tracking, imaging also against the public crate `wifi-densepose-signal`
    Sensing,
    /// Questions about a year of a made-up site, from a cold file (writes some hundred megabytes below target/)
    History,
    /// CIR on synthetic multipath against the Cramér-Rao bound; also draws the curves
    CirAccuracy,
}

/// Runs the measurement on an optimised build.
pub(crate) fn bench(options: &Options) -> Result<(), String> {
    let (file, text) = match options.what {
        What::Cycle => ("docs/benchmarks/cycle.md", cycle(options)?),
        What::Trust => (trust::FILE, trust::document(&tapline(options)?, &options.trust)?),
        What::Cir => ("docs/benchmarks/cir.md", cir()?),
        What::History => ("docs/benchmarks/history.md", history(options)?),
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

fn tapline(options: &Options) -> Result<PathBuf, String> {
    match &options.tapline {
        Some(path) => Ok(path.clone()),
        None => Ok(build::build(true)?.tapline),
    }
}

fn cycle(options: &Options) -> Result<String, String> {
    output(
        "bench-cycle",
        program(&tapline(options)?).args(["bench-cycle", "--markdown"]),
    )
}

fn history(options: &Options) -> Result<String, String> {
    let tapline = tapline(options)?;
    let directory = target().join("bench-history");
    let mut command = program(&tapline);
    command.args(["bench-history", "--dir"]).arg(&directory);
    // Exit code 1: it measured, and a limit was not kept; the document says so.
    let out = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start bench-history: {e}"))?;
    if out.status.code().is_none_or(|code| code > 1) {
        return Err(format!("bench-history failed ({})", out.status));
    }
    Ok(format!(
        "# History\n\n\
         `cargo xtask bench history`, on {}. The site is made up (`server/src/cli/bench_history/year.rs`), its rows are written by the\n\
         roller's own writer in the order of time. For every question the file is opened anew and its pages are dropped before\n\
         (`posix_fadvise`); the time holds opening it. Series and days differ from round to round. What the levels are:\n\
         [docs/memory.md](../memory.md).\n\n{}",
        machine(),
        String::from_utf8_lossy(&out.stdout)
    ))
}

/// Builds and runs one program of the workspace that has the public crate: what it printed, for which processor, and the
/// version of the public crate.
fn side_by_side(name: &str) -> Result<(String, &'static str, String), String> {
    let directory = root().join("benches/side-by-side");
    let cpu = build::best_cpu();
    let mut command = cargo();
    command
        .current_dir(&directory)
        .args([
            "build",
            "--release",
            "--locked",
            "--target-dir",
            "target",
            "--bin",
            name,
        ])
        .env("RUSTFLAGS", format!("-C target-cpu={cpu}"));
    run(&format!("build the side-by-side bench ({cpu})"), &mut command)?;
    let measured = output(
        "side by side",
        &mut program(&directory.join("target/release").join(name)),
    )?;
    Ok((measured, cpu, locked_version(&directory, "wifi-densepose-signal")?))
}

fn cir() -> Result<String, String> {
    let (measured, cpu, version) = side_by_side("tapline-side-by-side")?;
    Ok(format!(
        "# CIR, side by side\n\n\
         `cargo xtask bench cir`, on {}, built for {cpu}.\n\n\
         The same tones of the same 12 links through this project and through `wifi-densepose-signal` {}, in turns in one\n\
         process, on its own grids (contiguous tones from +-1, true HE20 and HE40). One link's paths: the direct one, three\n\
         walls and a person who walks; noise is new in every cycle. Times are medians over cycles. Two cores: groups of 8 and\n\
         4 links on a thread each. Objective and gap of both are judged by one f64 routine from tones and taps alone. What\n\
         the methods are: [docs/cir.md](../cir.md).\n\n{measured}",
        machine(),
        version
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
    let (beside, cpu, version) = side_by_side("imaging")?;
    Ok(format!(
        "# Imaging and tracking\n\n`cargo xtask bench sensing`, on {}. 2,000 cycles each, one core.\n\n{measured}\n\
         ## Tomography, side by side\n\n\
         The same losses of the same links through this project and through `wifi-densepose-signal` {version}, in turns in one\n\
         process, built for {cpu}. Each has its own link weights, so objectives do not compare; the public crate's images are judged by\n\
         its own limit, the image it comes to after 100,000 iterations.\n\n{beside}",
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
