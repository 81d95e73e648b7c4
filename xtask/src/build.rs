//! Server and plugins together: a cdylib is not built by depending on it.

use std::{fs, path::PathBuf};

use crate::{
    run::{cargo, program, root, run, target},
    web,
};

/// The shipped plugins.
pub(crate) const PLUGINS: [&str; 4] = ["cir-dense", "cir-fft", "tomography", "tracker"];

/// What a build leaves.
pub(crate) struct Built {
    /// The program; its plugins lie in `plugins/` beside it.
    pub(crate) tapline: PathBuf,
}

/// Builds server and plugins, copies the plugins beside the program, writes the manifest.
pub(crate) fn build(release: bool) -> Result<Built, String> {
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
        let from = directory.join(format!("lib{}.so", plugin.replace('-', "_")));
        let to = plugins.join(format!("{plugin}.so"));
        // A running server has the old file's bytes sealed in memory: replacing the file is safe.
        let _ = fs::remove_file(&to);
        fs::copy(&from, &to).map_err(|e| format!("cannot copy {} to {}: {e}", from.display(), to.display()))?;
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
