//! `cargo xtask audit`: what an auditor has to see and what is too long for the tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    bench::machine,
    build,
    golden::MASKED,
    run::{output, program, root},
};

/// Verification and replay run at least this many times as fast as the recorded time.
const TIMES_REAL_TIME: f64 = 20.0;
/// The recording, in the directory that TAPLINE_DATA names: two minutes.
const RECORDING: &str = "esp32-two-node/pretrain-1775182186.csi.jsonl";
/// How often it is gone through.
const PASSES: &str = "5";

/// What to audit.
#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Cut a bundle of ten minutes, verify it twice over, replay it three ways
    TenMinutes(TenMinutes),
}

/// How.
#[derive(Args)]
pub(crate) struct TenMinutes {
    /// Audit this program, its plugins in `plugins/` beside it, instead of building one
    #[arg(long, value_name = "FILE")]
    tapline: Option<PathBuf>,
}

pub(crate) fn audit(audit: &Audit) -> Result<(), String> {
    match audit {
        Audit::TenMinutes(options) => ten_minutes(options),
    }
}

fn ten_minutes(options: &TenMinutes) -> Result<(), String> {
    let tapline = match &options.tapline {
        Some(path) => path.clone(),
        None => build::build(true)?.tapline,
    };
    let plugins = tapline.with_file_name("plugins");
    let recordings = std::env::var_os("TAPLINE_DATA").ok_or("TAPLINE_DATA does not say where the recordings are")?;
    let directory = tempfile::tempdir().map_err(|e| format!("cannot make a temporary directory: {e}"))?;
    let at = |name: &str| directory.path().join(name);
    let (data, bundle, policy) = (at("data"), at("ten.wbundle"), at("policy.txt"));
    let tapline = |arguments: &[&str]| {
        let mut command = program(&tapline);
        command.args(arguments);
        command
    };

    println!("==> {}", machine());
    let mut replay = tapline(&["replay", "--loop", PASSES, "--calibrate-first", "30s", "--json"]);
    replay.arg(Path::new(&recordings).join(RECORDING));
    replay.args(["--manifest".as_ref(), plugins.join("manifest.toml").as_os_str()]);
    output("replay of the recording", replay.arg("--data-dir").arg(&data))?;
    let text = output("policy", tapline(&["bundle", "policy", "--data-dir"]).arg(&data))?;
    fs::write(&policy, text).map_err(|e| format!("cannot write the policy: {e}"))?;
    let mut make = tapline(&["bundle", "make", "--inputs", "--data-dir"]);
    output("bundle", make.arg(&data).arg("--out").arg(&bundle))?;
    let bytes = fs::metadata(&bundle).map_err(|e| e.to_string())?.len();
    println!("    bundle: {bytes} bytes");

    let (report, took_s) = verified(
        "verify",
        tapline(&["verify", "--json"]).arg(&bundle).arg("--policy").arg(&policy),
    )?;
    let cycles = report["cycles_opened"].as_u64().unwrap_or_default();
    let recorded_s = cycles as f64 * 0.05;
    let mut speeds = vec![("verify".to_owned(), recorded_s / took_s)];
    println!("    verify: {cycles} cycles, {recorded_s:.0} s, in {took_s:.2} s");
    for (how, more, masked) in [
        ("replay", &[][..], false),
        ("replay, AVX2 and FMA hidden", &[], true),
        ("replay, --cpu baseline", &["--cpu", "baseline"], false),
    ] {
        let mut command = tapline(&["verify", "--json", "--replay", "--plugins"]);
        command
            .arg(&plugins)
            .arg(&bundle)
            .arg("--policy")
            .arg(&policy)
            .args(more);
        if masked {
            command.env(MASKED.0, MASKED.1);
        }
        let (report, _) = verified(how, &mut command)?;
        let rerun = &report["replay"];
        let number = |key: &str| rerun[key].as_f64().unwrap_or_default();
        println!(
            "    {how}: {} cycles and {} states bit for bit, builds for {}, {:.0} s in {:.2} s",
            rerun["count"],
            rerun["states"],
            rerun["cpu"],
            number("recorded_s"),
            number("took_s")
        );
        speeds.push((how.to_owned(), number("recorded_s") / number("took_s")));
    }
    let mut python = Command::new("python3");
    python
        .arg(root().join("tools/verify.py"))
        .arg(&bundle)
        .arg("--policy")
        .arg(&policy)
        .arg("--json");
    let (theirs, took_s) = verified("Python verifier", &mut python)?;
    for field in ["root", "size", "leaves", "cycles_opened"] {
        if theirs[field] != report[field] {
            return Err(format!(
                "{field}: tapline says {}, Python {}",
                report[field], theirs[field]
            ));
        }
    }
    println!(
        "    Python verifier: agrees, in {took_s:.1} s ({:.1} times real time)",
        recorded_s / took_s
    );
    let mut slow = Vec::new();
    for (how, speed) in speeds {
        println!("    {how}: {speed:.0} times real time");
        if speed < TIMES_REAL_TIME {
            slow.push(how);
        }
    }
    if slow.is_empty() {
        return Ok(());
    }
    Err(format!("below {TIMES_REAL_TIME} times real time: {}", slow.join("; ")))
}

/// The report of a verifier that accepts, and how long it took, seconds.
fn verified(what: &str, command: &mut Command) -> Result<(Value, f64), String> {
    let begun = Instant::now();
    let out = command.output().map_err(|e| format!("cannot start {what}: {e}"))?;
    let took_s = begun.elapsed().as_secs_f64();
    let report: Value = serde_json::from_slice(&out.stdout)
        .map_err(|e| format!("{what}: {e}: {}", String::from_utf8_lossy(&out.stderr)))?;
    if out.status.success() && report["accepted"] == true {
        return Ok((report, took_s));
    }
    Err(format!("{what}: not accepted: {}", report["levels"]))
}
