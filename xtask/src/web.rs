//! The live page: built when Node is there; without it everything else still builds, and the server says so at `/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use crate::run::{root, run};

/// Oldest Node that builds the page (web/package.json, `engines`).
const NODE: [u32; 2] = [20, 19];

/// Builds the page if it can be built and has changed; true when it is there.
pub fn build() -> Result<bool, String> {
    let directory = root().join("web");
    let built = directory.join("page/dist/index.html");
    if let Err(why) = node() {
        println!("==> live page: SKIPPED: {why}; the server says at / how to get it");
        return Ok(built.is_file());
    }
    if let Err(why) = install(&directory) {
        // Without the npm registry everything but the page can still be built.
        println!("==> live page: SKIPPED: {why}; the server says at / how to get it");
        return Ok(built.is_file());
    }
    let changed = sources(&directory).iter().filter_map(|p| modified(p)).max();
    if modified(&built) >= changed && built.is_file() {
        return Ok(true);
    }
    run(
        "build the live page",
        npm(&directory).args(["run", "--silent", "build"]),
    )?;
    Ok(true)
}

/// Installs what package-lock.json names, when that changed.
fn install(directory: &Path) -> Result<(), String> {
    let installed = directory.join("node_modules/.package-lock.json");
    if modified(&installed) >= modified(&directory.join("package-lock.json")) {
        return Ok(());
    }
    run(
        "install what builds the live page",
        npm(directory).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]),
    )
}

/// npm in the page's directory.
pub fn npm(directory: &Path) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(directory);
    command
}

/// Whether Node is there and new enough; if not, why.
pub fn node() -> Result<(), String> {
    let version = |program: &str| {
        let out = Command::new(program).arg("--version").output().ok()?;
        String::from_utf8(out.stdout).ok()
    };
    let wanted = format!("Node {}.{} or newer with npm builds it", NODE[0], NODE[1]);
    let found = version("node").ok_or_else(|| format!("there is no Node here; {wanted}"))?;
    version("npm").ok_or_else(|| format!("there is no npm here; {wanted}"))?;
    let mut numbers = found
        .trim()
        .trim_start_matches('v')
        .split('.')
        .map(|n| n.parse().unwrap_or(0));
    let found_version = [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)];
    if found_version < NODE {
        return Err(format!("found Node {}; {wanted}", found.trim()));
    }
    Ok(())
}

/// Everything the page is made of.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut all = vec![root().join("schema.graphql")];
    for name in [
        "index.html",
        "package-lock.json",
        "vite.config.ts",
        "tsconfig.json",
        "codegen.mjs",
    ] {
        all.push(directory.join(name));
    }
    let mut waiting = vec![directory.join("src"), directory.join("public")];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("generated") {
                waiting.push(path);
            } else if path.is_file() {
                all.push(path);
            }
        }
    }
    all
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|m| m.modified()).ok()
}
