//! What the program says, and its exit code.

use std::{io::Write, process::ExitCode};

/// How a command ended when nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or the answer is yes.
    Yes,
    /// The answer is no.
    No,
}

/// Why a command could not be done: bad usage, bad input, or the machine.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl Failure {
    /// From anything that can be shown.
    pub fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A command's result.
pub(super) type Result = std::result::Result<Outcome, Failure>;

/// Prints to standard output. A reader that went away (`| head`) ends the output, not the program.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Says something on standard error.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The exit code of a result; a failure is said.
pub(super) fn exit(result: Result) -> ExitCode {
    match result {
        Ok(Outcome::Yes) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(failure) => {
            say(&format!("tapline: {failure}"));
            ExitCode::from(2)
        }
    }
}
