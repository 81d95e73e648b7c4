//! `cargo xtask fuzz`: the targets in `fuzz/`, one after the other, at the lowest priority.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

use crate::run::{root, run};

/// Targets, and whether they need the server (its build takes some minutes).
const TARGETS: [(&str, bool); 10] = [
    ("datagram", false),
    ("leaf", false),
    ("note", false),
    ("outcome", false),
    ("proof", false),
    ("recording", false),
    ("tar", false),
    ("tile", false),
    ("fleet", true),
    ("manifest", true),
];

/// What to fuzz.
#[derive(Args)]
pub(crate) struct Options {
    /// Minutes a target
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Only this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Replace the kept corpora by what this run found, minimised: at most 40 small files a target
    #[arg(long)]
    keep: bool,
}

/// Files kept of a corpus, and the bytes of one.
const KEPT_FILES: usize = 40;
const KEPT_BYTES: u64 = 8 << 10;

/// Builds and runs the targets.
pub(crate) fn fuzz(options: &Options) -> Result<(), String> {
    let chosen: Vec<_> = TARGETS
        .iter()
        .filter(|(name, _)| options.target.as_deref().is_none_or(|wanted| wanted == *name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no such target; there are {}", names.join(", ")));
    }
    let mut version = Command::new("cargo");
    version.args(["+nightly", "fuzz", "--version"]);
    if !version.output().is_ok_and(|output| output.status.success()) {
        return Err(
            "needs nightly Rust and cargo-fuzz: `rustup toolchain install nightly`, `cargo install cargo-fuzz`".into(),
        );
    }
    for (name, server) in chosen {
        // Our code has no unsafe in it (the host has, and is not fuzzed here): no sanitizer, which is twice as fast.
        // Overflow and debug assertions are on.
        let mut build = tool("build", *server);
        run(&format!("build {name}"), build.arg(name))?;
        let corpus = root().join("fuzz/corpus").join(name);
        // What is found goes beside, not into the repository.
        let work = root().join("fuzz/target/work").join(name);
        fs::create_dir_all(&work).map_err(|e| format!("cannot make {}: {e}", work.display()))?;
        let mut command = Command::new("nice");
        command
            .current_dir(root().join("fuzz"))
            .args(["-n", "19", "cargo", "+nightly", "fuzz", "run", "-s", "none"]);
        if *server {
            command.args(["--features", "server"]);
        }
        command.arg(name).args([&work, &corpus]).args([
            "--",
            "-rss_limit_mb=3000",
            "-timeout=20",
            "-max_len=65536",
            "-print_final_stats=1",
        ]);
        run(name, command.arg(format!("-max_total_time={}", 60 * options.minutes)))?;
        if options.keep {
            keep(name, *server, &work, &corpus)?;
        }
    }
    Ok(())
}

fn tool(verb: &str, server: bool) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(root().join("fuzz"))
        .args(["+nightly", "fuzz", verb, "-s", "none"]);
    if server {
        command.args(["--features", "server"]);
    }
    command
}

/// Minimises what was found and keeps the smallest files of it beside the seeds.
fn keep(name: &str, server: bool, work: &Path, corpus: &Path) -> Result<(), String> {
    let mut minimise = tool("cmin", server);
    run(&format!("minimise {name}"), minimise.arg(name).arg(work))?;
    let files = |directory: &Path| -> Result<Vec<(u64, PathBuf)>, String> {
        let entries = fs::read_dir(directory).map_err(|e| format!("cannot read {}: {e}", directory.display()))?;
        let mut files: Vec<_> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.len(), entry.path())))
            .collect();
        files.sort();
        Ok(files)
    };
    let is_seed = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("seed-"))
    };
    for (_, old) in files(corpus)?.into_iter().filter(|(_, path)| !is_seed(path)) {
        fs::remove_file(&old).map_err(|e| format!("cannot remove {}: {e}", old.display()))?;
    }
    let small: Vec<_> = files(work)?
        .into_iter()
        .filter(|(len, path)| *len <= KEPT_BYTES && !is_seed(path))
        .collect();
    // Spread over all sizes: the smallest alone are the dullest.
    for index in 0..small.len().min(KEPT_FILES) {
        let (_, from) = &small[index * small.len() / small.len().min(KEPT_FILES)];
        let Some(file) = from.file_name() else { continue };
        fs::copy(from, corpus.join(file)).map_err(|e| format!("cannot copy {}: {e}", from.display()))?;
    }
    Ok(())
}
