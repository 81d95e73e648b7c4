//! What trust costs a live server: witnessing, swaps, a large bundle. Each is measured by itself; what is not measured this time
//! stays in the document as it is there.

use std::{fmt::Write as _, fs, path::Path, process::Stdio};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::machine;
use crate::run::{cargo, output, program, root, run, target};

/// Where the figures stand.
pub(super) const FILE: &str = "docs/benchmarks/trust.md";
/// The most that witnessing may cost a cycle at 20 Hz, p99, microseconds.
const WITNESS_US: f64 = 300.0;
/// Cycles at 20 Hz over which it is measured: two minutes.
const PACED: &str = "2400";

/// What of it, and how much.
#[derive(Args)]
#[group(id = "trust")]
pub(super) struct Options {
    /// Only these parts of `trust`; the others stay in the document as they are
    #[arg(long, value_delimiter = ',', default_values_t = [Part::Witness, Part::Swaps, Part::Bundle], value_enum)]
    part: Vec<Part>,
    /// Swaps of `trust`
    #[arg(long, default_value_t = 100)]
    swaps: usize,
    /// Cycles in the bundle of `trust`: 47 minutes of this scene are nearly the 512 MiB that a bundle may have
    #[arg(long, default_value_t = 57_000)]
    cycles: u64,
    /// Seconds without and with downloads
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Witnessing of a cycle (three minutes)
    Witness,
    /// Plugins exchanged under load (four minutes)
    Swaps,
    /// The largest bundle, downloaded beside the cycle (four minutes)
    Bundle,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Witness => "witness",
            Self::Swaps => "swaps",
            Self::Bundle => "bundle",
        })
    }
}

impl Part {
    const ALL: [Self; 3] = [Self::Witness, Self::Swaps, Self::Bundle];

    /// What a section's heading has in it.
    const fn mark(self) -> &'static str {
        match self {
            Self::Witness => "Witnessing",
            Self::Swaps => " swaps at 20 Hz",
            Self::Bundle => "A bundle of ",
        }
    }

    fn measure(self, tapline: &Path, options: &Options) -> Result<String, String> {
        println!("==> {self}");
        match self {
            Self::Witness => witnessing(tapline),
            Self::Swaps => Ok(format!(
                "{}\n\nA swap loads no bytes twice: a library that was mapped once is found by its hash and used again. One buffer for the\n\
                 state of keyframes, which each swap makes, is kept; all others are given back when they are on disk.\n",
                load(tapline, "swaps", options)?
            )),
            Self::Bundle => Ok(format!(
                "{}\n\nThe store is made beforehand, by the engine and scene of the first table.\n",
                load(tapline, "bundle", options)?
            )),
        }
    }
}

/// The document, with the parts that were asked for measured anew.
pub(super) fn document(tapline: &Path, options: &Options) -> Result<String, String> {
    let path = root().join(FILE);
    let before = fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let mut text = format!(
        "# What trust costs\n\n`cargo xtask bench trust`, optimised build, on {}; server and load generator on the same machine. Loads are those\n\
         of [load.md](load.md): four radios of 100 frames a second each.\n",
        machine()
    );
    for part in Part::ALL {
        let section = if options.part.contains(&part) {
            Some(part.measure(tapline, options)?)
        } else {
            section(&before, part)
        };
        if let Some(section) = section {
            let _ = write!(text, "\n{}\n", section.trim());
        }
    }
    Ok(text)
}

/// The section of a part as it stands.
fn section(text: &str, part: Part) -> Option<String> {
    let mut sections = text.split("\n## ").skip(1);
    let found = sections.find(|section| section.lines().next().is_some_and(|line| line.contains(part.mark())))?;
    Some(format!("## {found}"))
}

fn witnessing(tapline: &Path) -> Result<String, String> {
    let json = output(
        "bench-cycle",
        program(tapline).args(["bench-cycle", "--json", "--cycles", "4000", "--paced", PACED]),
    )?;
    let json: Value = serde_json::from_str(&json).map_err(|e| format!("bench-cycle: {e}: {json}"))?;
    let row = |pace: &str, path: &str| -> Result<[f64; 3], String> {
        let found = json[pace]["witness"].pointer(path);
        let figure = |name: &str| found?[name].as_f64();
        let all = || Some([figure("p50_us")?, figure("p99_us")?, figure("max_us")?]);
        all().ok_or_else(|| format!("bench-cycle says nothing of {pace} {path}: {json}"))
    };
    let whole = row("real_time", "/whole")?;
    let mut text = format!(
        "## Witnessing, a cycle\n\n\
         Of stage 9, microseconds; the limit is {WITNESS_US} for the p99 at 20 Hz, kept: {}. Scene and engine of [cycle.md](cycle.md), {PACED} \
         cycles at 20 Hz,\n4000 back to back.\n\n\
         | part | 20 Hz p50 | p99 | longest | back to back p50 | p99 | longest |\n|---|---:|---:|---:|---:|---:|---:|\n",
        if whole[1] <= WITNESS_US { "yes" } else { "**no**" }
    );
    for (name, path) in [
        ("lists and outcome copied into a record", "/parts/copies"),
        ("state of a keyframe, one cycle in 256", "/parts/state"),
        ("changes of the world graph", "/parts/changes"),
        ("commitments with their salts, leaf, witness", "/parts/leaf"),
        ("handed to the writer thread", "/parts/handover"),
        ("**all of it**", "/whole"),
        ("of keyframes alone", "/keyframes"),
    ] {
        let _ = write!(text, "| {name} |");
        for pace in ["real_time", "back_to_back"] {
            for value in row(pace, path)? {
                let _ = write!(text, " {value:.1} |");
            }
        }
        text.push('\n');
    }
    text.push_str(
        "\nThe writer thread commits once a second. It is not woken by the record but after the cycle, when nothing is urgent until\n\
         the next: a thread that is woken may run at once where its waker runs.\n",
    );
    Ok(text)
}

/// One measurement of the load generator, as a section.
fn load(tapline: &Path, what: &str, options: &Options) -> Result<String, String> {
    let mut build = cargo();
    build.args(["build", "--release", "--package", "tapline-benches", "--bin", "load"]);
    run("build the load generator", &mut build)?;
    let mut load = program(&target().join("release/load"));
    load.arg(tapline).arg(format!("--only={what}"));
    load.arg(format!("--seconds={}", options.seconds))
        .arg(format!("--swaps={}", options.swaps))
        .arg(format!("--cycles={}", options.cycles));
    let out = load
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start the load generator: {e}"))?;
    // Exit code 1: it measured, and a limit was not kept; that is written down too.
    if out.status.code().is_none_or(|code| code > 1) {
        return Err(format!("the load generator failed ({})", out.status));
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Part, section};

    #[test]
    fn a_section_is_found_by_its_heading() {
        let text = "# A\n\nWitnessing\n\n## Witnessing, a cycle\n\nfirst\n\n## 100 swaps at 20 Hz, x\n\nsecond\n";
        assert_eq!(
            section(text, Part::Witness).unwrap(),
            "## Witnessing, a cycle\n\nfirst\n"
        );
        assert_eq!(
            section(text, Part::Swaps).unwrap(),
            "## 100 swaps at 20 Hz, x\n\nsecond\n"
        );
        assert_eq!(section(text, Part::Bundle), None);
    }
}
