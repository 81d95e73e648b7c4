//! `cargo xtask soak`: days of cycles in virtual time; fails when something grows that must not.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

use crate::{
    bench::machine,
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
    /// Learn the empty room from the first seconds; 0: do not
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    learn: f64,
    /// Write what came of it into docs/benchmarks/soak.md: the two-node recording for so many hours, and one of a room with 12 link paths
    #[arg(long, conflicts_with_all = ["scene", "compare", "report"])]
    document: bool,
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
    if let Some(files) = &options.compare {
        let files = files.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>();
        let mut command = program(&tapline);
        command
            .args(["soak", "--compare"])
            .args(files.map_err(|e| e.to_string())?);
        return run("compare two soaks", &mut command);
    }
    if !options.document {
        return run(
            "soak",
            &mut prepared(options, &tapline, options.scene.as_deref(), options.hours)?,
        );
    }
    let (mut sections, mut held) = (String::new(), true);
    for (title, scene, hours) in [
        ("Two nodes, a recording again and again", None, options.hours),
        (
            "Four nodes, the simulated room `four-nodes-ht20`",
            Some("four-nodes-ht20"),
            1.0,
        ),
    ] {
        let mut command = prepared(options, &tapline, scene, hours)?;
        command.stderr(std::process::Stdio::inherit());
        // What did not hold is part of the document, too.
        let out = command.output().map_err(|e| format!("cannot start the soak: {e}"))?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        print!("{text}");
        held &= out.status.success();
        let (head, tables) = text.split_once("\n\n").unwrap_or((&text, ""));
        sections.push_str(&format!("## {title}\n\n{}\n\n{tables}\n", head.replace('\n', "  \n")));
    }
    let path = root().join("docs/benchmarks/soak.md");
    let text = format!(
        "# Soak\n\n`cargo xtask soak --hours {} --keep-minutes {} --document`, {} build, on {}. Virtual time: cycles as fast as they go,\nthrough the log and store of a server that forgets and prunes. Outcomes, leaves and rows by the second are kept {} minutes (a quarter of the run at most), raw input {},\nso that what time bounds is full early; other levels of the rollups as by default.\n\n{sections}",
        options.hours,
        options.keep_minutes,
        if options.debug { "unoptimised" } else { "optimised" },
        machine(),
        options.keep_minutes,
        options.keep_minutes.min(15),
    );
    std::fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    if held {
        Ok(())
    } else {
        Err("something that was to hold does not: see what is said above".to_owned())
    }
}

/// The command of one soak.
fn prepared(options: &Options, tapline: &Path, scene: Option<&str>, hours: f64) -> Result<Command, String> {
    let mut command = program(tapline);
    command.arg("soak");
    let work = target().join("soak");
    std::fs::create_dir_all(&work).map_err(|e| format!("cannot make {}: {e}", work.display()))?;
    let (config, site, recording) = match scene {
        Some(scene) => {
            let (config, recording) = (work.join("fleet.toml"), work.join("room.jsonl"));
            let mut simulate = program(tapline);
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
    command.arg(format!("--hours={hours}"));
    command.arg(format!("--learn={}", options.learn));
    // So that what is bounded by time fills up early on.
    let keep_minutes = options.keep_minutes.min((hours * 60.0 / 4.0).max(5.0) as u64);
    command.arg(format!("--keep-minutes={keep_minutes}"));
    command.arg(format!("--raw-minutes={}", keep_minutes.min(15)));
    if let Some(report) = &options.report {
        command
            .arg("--report")
            .arg(std::path::absolute(report).map_err(|e| e.to_string())?);
    }
    Ok(command)
}
