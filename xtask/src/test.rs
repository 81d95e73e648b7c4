//! Everything that must hold before a change lands.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    build, clients, e2e, golden,
    run::{cargo, output, run},
    tidy,
};

/// Runs it all; stops at the first failure.
pub(crate) fn test() -> Result<(), String> {
    run("format", cargo().args(["fmt", "--all", "--check"]))?;
    tidy::tidy()?;
    dependencies()?;
    run(
        "lints",
        cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    let built = build::build(false)?;
    // Shared libraries for the tests that load plugins: every cdylib of the workspace. Programs are built with the tests that run them.
    run(
        "build all libraries",
        cargo().args(["build", "--workspace", "--lib", "--quiet"]),
    )?;
    run(
        "tests",
        cargo().args(["test", "--workspace", "--quiet", "--no-fail-fast"]),
    )?;
    golden::golden(false, false)?;
    golden::schema(false)?;
    // Last: the build above has been rebuilt by nothing since, and the machine is quiet.
    clients::tests(&built.tapline)?;
    e2e::tests(&e2e::Options::default(), &built.tapline)
}

/// Dependency rules of ARCHITECTURE.md, held by `cargo tree`.
fn dependencies() -> Result<(), String> {
    println!("==> dependency rules");
    for (package, banned) in [
        (
            "tapline-dsp",
            &[
                "abi_stable",
                "tokio",
                "tapline-plugin-api",
                "tapline-wire",
                "tapline-witness",
            ][..],
        ),
        (
            "tapline-witness",
            &["tapline-server", "tapline-dsp", "tokio", "rusqlite"],
        ),
        ("tapline-wire", &["tokio", "tapline-server"]),
        (
            "tapline-plugin-api",
            &["libloading", "tapline-server", "tapline-stages"],
        ),
        ("tapline-stages", &["tapline-server", "libloading"]),
        ("tapline-sim", &["tapline-server", "tokio"]),
    ] {
        let tree = |depth: &[&str]| {
            let mut command = cargo();
            command
                .args(["tree", "--edges", "normal", "--prefix", "none", "--package", package])
                .args(depth);
            output("cargo tree", &mut command)
        };
        let (all, direct) = (tree(&[])?, tree(&["--depth", "1"])?);
        for name in banned {
            // abi_stable brings a libloading of its own; ours must not be asked for.
            let looked_at = if *name == "libloading" { &direct } else { &all };
            if looked_at.lines().any(|l| l.split(' ').next() == Some(name)) {
                return Err(format!(
                    "{package} depends on {name}: ARCHITECTURE.md forbids it (see `cargo tree -p {package} -i {name}`)"
                ));
            }
        }
    }
    one_build()?;
    let features = output(
        "cargo tree",
        cargo().args([
            "tree",
            "--edges",
            "features",
            "--invert",
            "libm@0.2.16",
            "--package",
            "tapline-stages",
        ]),
    )?;
    if features.contains("libm feature \"arch\"") {
        return Err(
            "a dependency switches on libm's `arch` feature: it picks FMA at run time (docs/numeric-profile.md)"
                .to_owned(),
        );
    }
    Ok(())
}

/// What the server is built from has the same features in the tests: with others cargo builds it, and all that rests on it, a second time.
fn one_build() -> Result<(), String> {
    let features = |arguments: &[&str]| -> Result<BTreeMap<String, BTreeSet<String>>, String> {
        let mut command = cargo();
        command
            .args(["tree", "--prefix", "none", "--format", "{p}|{f}"])
            .args(arguments);
        let mut all = BTreeMap::<_, BTreeSet<_>>::new();
        for line in output("cargo tree", &mut command)?.lines() {
            if let Some((package, features)) = line.trim_end_matches(" (*)").split_once('|') {
                let name: String = package.split(' ').take(2).collect::<Vec<_>>().join(" ");
                all.entry(name).or_default().insert(features.to_owned());
            }
        }
        Ok(all)
    };
    let server = features(&["--edges", "normal,build", "--package", "tapline-server"])?;
    let tests = features(&["--edges", "all", "--workspace"])?;
    match server.iter().find(|(name, with)| tests.get(*name) != Some(*with)) {
        None => Ok(()),
        Some((name, with)) => Err(format!(
            "{name}: the tests build it with features {:?}, the server with {with:?}, so it is built twice: ask for the same in Cargo.toml",
            tests.get(name)
        )),
    }
}
