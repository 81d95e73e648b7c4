//! Golden digests and the GraphQL schema: files that follow from the code and are committed.

use std::{fs, path::Path, process::Command};

use crate::{
    build,
    run::{output, program, root},
};

/// Hides AVX2 and FMA from glibc, whose mathematics picks other code without them.
pub(crate) const MASKED: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-FMA");

/// `golden/digests.txt`: per stage and for the whole cycle on a built-in scene. The digests must also be those of a
/// run without AVX2 and FMA, of one on a single processor, and, when asked for, of the optimised build.
pub(crate) fn golden(update: bool, release: bool) -> Result<(), String> {
    let built = build::build(release)?;
    let prove = ["plugin", "prove", "--golden"];
    let text = output("golden digests", program(&built.tapline).args(prove))?;
    let mut masked = program(&built.tapline);
    same(
        "without AVX2 and FMA",
        &text,
        masked.args(prove).env(MASKED.0, MASKED.1),
    )?;
    if Command::new("taskset").arg("--version").output().is_ok() {
        let mut alone = program(Path::new("taskset"));
        same(
            "on one processor",
            &text,
            alone.args(["-c", "0"]).arg(&built.tapline).args(prove),
        )?;
    } else {
        println!("    on one processor: SKIPPED: there is no taskset (Debian: util-linux)");
    }
    settle(
        &root().join("golden/digests.txt"),
        &text,
        update,
        "cargo xtask golden --update",
        "float bits changed",
    )
}

/// The same digests come out another way.
fn same(how: &str, text: &str, command: &mut Command) -> Result<(), String> {
    let other = output(&format!("golden digests {how}"), command)?;
    match text.lines().zip(other.lines()).find(|(a, b)| a != b) {
        None if text.len() == other.len() => Ok(()),
        first => {
            let (usual, found) = first.unwrap_or(("(end)", "(end)"));
            Err(format!(
                "{how} other bits come out: expected `{usual}`, found `{found}`"
            ))
        }
    }
}

/// `schema.graphql` and `openapi.json`.
pub(crate) fn schema(update: bool) -> Result<(), String> {
    let built = build::build(false)?;
    let text = output("schema", program(&built.tapline).args(["schema"]))?;
    settle(
        &root().join("schema.graphql"),
        &text,
        update,
        "cargo xtask schema --update",
        "the API changed",
    )?;
    let text = output(
        "OpenAPI document",
        program(&built.tapline).args(["schema", "--openapi"]),
    )?;
    settle(
        &root().join("openapi.json"),
        &text,
        update,
        "cargo xtask schema --update",
        "the routes changed",
    )
}

fn settle(path: &Path, text: &str, update: bool, command: &str, meaning: &str) -> Result<(), String> {
    let shown = path.strip_prefix(root()).unwrap_or(path).display();
    if update {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| format!("cannot make {}: {e}", parent.display()))?;
        }
        fs::write(path, text).map_err(|e| format!("cannot write {shown}: {e}"))?;
        println!("    wrote {shown}; say why in CHANGELOG.md");
        return Ok(());
    }
    let committed =
        fs::read_to_string(path).map_err(|e| format!("cannot read {shown}: {e}; make it with `{command}`"))?;
    if committed == text {
        println!("    {shown} holds");
        return Ok(());
    }
    let first = committed.lines().zip(text.lines()).find(|(a, b)| a != b);
    let (was, is) = first.unwrap_or(("(end)", "(end)"));
    Err(format!(
        "{shown} differs from the program: {meaning}. Was `{was}`, is `{is}`. If that is meant: `{command}`, and say why in CHANGELOG.md"
    ))
}
