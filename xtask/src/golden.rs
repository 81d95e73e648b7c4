//! Golden digests and the GraphQL schema: files that follow from the code and are committed.

use std::{fs, path::Path};

use crate::{
    build,
    run::{output, program, root},
};

/// `golden/digests.txt`: per stage and for the whole cycle on a built-in scene.
pub(crate) fn golden(update: bool) -> Result<(), String> {
    let built = build::build(false)?;
    let text = output(
        "golden digests",
        program(&built.tapline).args(["plugin", "prove", "--golden"]),
    )?;
    settle(
        &root().join("golden/digests.txt"),
        &text,
        update,
        "cargo xtask golden --update",
        "float bits changed",
    )
}

/// `schema.graphql`.
pub(crate) fn schema(update: bool) -> Result<(), String> {
    let built = build::build(false)?;
    let text = output("schema", program(&built.tapline).args(["schema"]))?;
    settle(
        &root().join("schema.graphql"),
        &text,
        update,
        "cargo xtask schema --update",
        "the API changed",
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
