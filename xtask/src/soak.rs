//! `cargo xtask soak`: days of cycles in virtual time; fails when something grows that must not.

use std::path::PathBuf;

use clap::Args;

use crate::{
    build,
    run::{program, root, run, target},
};

/// What to run, and what to compare.
#[derive(Args)]
pub(crate) struct Options {
    /// Virtual hours
    #[arg(long, default_value_t = 24.0)]
    hours: f64,
    /// A scene of the simulator instead of the two-node recording; `four-nodes-ht20` has 12 link paths
    #[arg(long, value_name = "NAME")]
    scene: Option<String>,
    /// Outcomes, leaves and rows by the second are kept this long, minutes
    #[arg(long, default_value_t = 240)]
    keep_minutes: u64,
    /// Not optimised: what CI has built anyway
    #[arg(long)]
    debug: bool,
    /// Write the report, one JSON object
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Compare two reports instead: fails with the first field that left its band
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"])]
    compare: Option<Vec<PathBuf>>,
}

/// Runs the soak, or compares.
pub(crate) fn soak(options: &Options) -> Result<(), String> {
    let tapline = build::build(!options.debug)?.tapline;
    let mut command = program(&tapline);
    command.arg("soak");
    if let Some(files) = &options.compare {
        let files = files.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>();
        command.arg("--compare").args(files.map_err(|e| e.to_string())?);
        return run("compare two soaks", &mut command);
    }
    let work = target().join("soak");
    std::fs::create_dir_all(&work).map_err(|e| format!("cannot make {}: {e}", work.display()))?;
    let (config, site, recording) = match &options.scene {
        Some(scene) => {
            let (config, recording) = (work.join("fleet.toml"), work.join("room.jsonl"));
            let mut simulate = program(&tapline);
            simulate
                .args(["simulate", "--scene", scene, "--write-config"])
                .arg(&config);
            simulate.arg("--record").arg(&recording);
            run("simulate the room", &mut simulate)?;
            (config, None, recording)
        }
        None => {
            let data = std::env::var_os("TAPLINE_DATA")
                .map_or_else(|| root().parent().unwrap_or(root()).join("shared/data"), PathBuf::from);
            let recording = data.join("esp32-two-node/pretrain-1775182186.csi.jsonl");
            if !recording.is_file() {
                return Err(format!(
                    "{} is not there: set TAPLINE_DATA (docs/data.md), or name a --scene",
                    recording.display()
                ));
            }
            (root().join("config.example.toml"), Some("two-node-room"), recording)
        }
    };
    command.arg("--config").arg(config).arg("--recording").arg(recording);
    if let Some(site) = site {
        command.args(["--site", site]);
    }
    command.args(["--manifest", "linked"]);
    command.arg(format!("--hours={}", options.hours));
    command.arg(format!("--keep-minutes={}", options.keep_minutes));
    command.arg(format!("--raw-minutes={}", options.keep_minutes.min(15)));
    if let Some(report) = &options.report {
        command
            .arg("--report")
            .arg(std::path::absolute(report).map_err(|e| e.to_string())?);
    }
    run("soak", &mut command)
}
