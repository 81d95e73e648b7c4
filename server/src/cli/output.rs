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

/// Reads `30s`, `500ms`, `2min`, `1h`, or a bare number of seconds.
pub(super) fn duration(text: &str) -> std::result::Result<std::time::Duration, String> {
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("found the unit {unit:?}; allowed: ms, s, min, h")),
    };
    let seconds = number
        .parse::<f64>()
        .map_err(|_| format!("found {text:?}; a time looks like 30s or 2min"))?
        * scale;
    std::time::Duration::try_from_secs_f64(seconds).map_err(|_| format!("found {text:?}: too long"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1.5min"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("soon").is_err() && duration("3days").is_err() && duration("").is_err());
    }
}
