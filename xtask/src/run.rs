//! Running programs, with a line for the reader and an error that says what to do.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the root")
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A built program, without the library path that cargo sets for what it runs: the server refuses it.
pub fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.current_dir(root()).env_remove("LD_LIBRARY_PATH");
    command
}

/// Runs to the end; output goes to the terminal.
pub fn run(what: &str, command: &mut Command) -> Result<(), String> {
    println!("==> {what}");
    let start = Instant::now();
    let status = command
        .status()
        .map_err(|e| format!("cannot start {}: {e}", name(command)))?;
    if status.success() {
        println!("    {what}: {:.1} s", start.elapsed().as_secs_f64());
        return Ok(());
    }
    Err(format!("{what} failed ({status}); the command was: {}", name(command)))
}

/// Runs to the end and gives what it printed.
pub fn output(what: &str, command: &mut Command) -> Result<String, String> {
    let out = command
        .output()
        .map_err(|e| format!("cannot start {}: {e}", name(command)))?;
    if out.status.success() {
        return String::from_utf8(out.stdout).map_err(|e| format!("{what}: {e}"));
    }
    Err(format!(
        "{what} failed ({}): {}",
        out.status,
        String::from_utf8_lossy(&out.stderr)
    ))
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|w| w.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
