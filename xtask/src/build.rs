//! Server and plugins together: a cdylib is not built by depending on it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    run::{cargo, program, root, run, target},
    web,
};

/// The shipped plugins.
pub const PLUGINS: [&str; 4] = ["cir-dense", "cir-fft", "tomography", "tracker"];

/// Those with a build for a newer CPU beside the one for every x86-64: where wider vectors pay (docs/cir.md).
const WIDE_PLUGINS: [&str; 2] = ["cir-dense", "cir-fft"];

/// The highest level of x86-64 that pays and that this machine has, as the compiler names it.
pub fn best_cpu() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("bmi2") {
        return "x86-64-v3";
    }
    "x86-64"
}

/// What a build leaves.
pub struct Built {
    /// The program; its plugins lie in `plugins/` beside it.
    pub tapline: PathBuf,
}

/// Builds server and plugins, copies the plugins beside the program, writes the manifest.
pub fn build(release: bool) -> Result<Built, String> {
    // First, because an optimised server holds the page.
    web::build()?;
    let profile = if release { "release" } else { "debug" };
    let mut command = cargo();
    command.args(["build", "--package", "tapline-server"]);
    for plugin in PLUGINS {
        command.arg("--package").arg(format!("tapline-{plugin}"));
    }
    if release {
        command.arg("--release");
    }
    run(&format!("build server and plugins ({profile})"), &mut command)?;
    let directory = target().join(profile);
    let plugins = directory.join("plugins");
    fs::create_dir_all(&plugins).map_err(|e| format!("cannot make {}: {e}", plugins.display()))?;
    for plugin in PLUGINS {
        copy(&directory, plugin, &plugins.join(format!("{plugin}.so")))?;
    }
    for plugin in WIDE_PLUGINS {
        let _ = fs::remove_file(plugins.join(format!("{plugin}.v3.so")));
    }
    if release && best_cpu() == "x86-64-v3" {
        wide(&plugins)?;
    }
    let tapline = directory.join("tapline");
    let manifest = plugins.join("manifest.toml");
    let mut command = program(&tapline);
    command
        .args(["manifest", "build", "--dir"])
        .arg(&plugins)
        .arg("--out")
        .arg(&manifest);
    run("write the manifest", &mut command)?;
    let shown = tapline.strip_prefix(root()).unwrap_or(&tapline);
    println!("    {}", shown.display());
    Ok(Built { tapline })
}

/// Builds [`WIDE_PLUGINS`] for x86-64-v3 in a target directory of their own. No FMA is used even there: rustc never
/// contracts, and the golden digests of both builds must be equal for one manifest row to name them.
fn wide(plugins: &Path) -> Result<(), String> {
    let directory = target().join("v3");
    let mut command = cargo();
    command
        .arg("build")
        .arg("--release")
        .arg("--target-dir")
        .arg(&directory);
    for plugin in WIDE_PLUGINS {
        command.arg("--package").arg(format!("tapline-{plugin}"));
    }
    command.env("RUSTFLAGS", "-C target-cpu=x86-64-v3");
    run("build plugins for x86-64-v3", &mut command)?;
    for plugin in WIDE_PLUGINS {
        copy(
            &directory.join("release"),
            plugin,
            &plugins.join(format!("{plugin}.v3.so")),
        )?;
    }
    Ok(())
}

fn copy(directory: &Path, plugin: &str, to: &Path) -> Result<(), String> {
    let from = directory.join(format!("lib{}.so", plugin.replace('-', "_")));
    // A running server has the old file's bytes sealed in memory: replacing the file is safe.
    let _ = fs::remove_file(to);
    fs::copy(&from, to).map_err(|e| format!("cannot copy {} to {}: {e}", from.display(), to.display()))?;
    Ok(())
}
