//! What is wrong with a fleet file, so that the user can mend it.

use std::{fmt, path::PathBuf};

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1; none when the key is missing altogether.
    pub line: Option<usize>,
    /// Key path, for example `site[0].node[2].position_m`.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: found {}; allowed: {}", self.key, self.found, self.allowed)
    }
}

/// Why a fleet file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "cannot read the configuration {path}: {source}. Name one with --config FILE; config.example.toml is a start."
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any fleet needs.
    #[error("{path} has {found} bytes; a fleet file may have {allowed}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The limit.
        allowed: usize,
    },
    /// The text is not TOML, or a key or type is wrong.
    #[error("{path}:{line}:{column}: {key}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Key path; `.` at the top.
        key: String,
        /// What was found and what is allowed.
        message: String,
    },
    /// The document reads well but does not make sense.
    #[error("{path} has {} problem(s):\n{}", problems.len(), list(problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Vec<Problem>,
    },
    /// The site to run is not clear.
    #[error("which site? {found}. The file has: {}. Use --site ID, or put this machine's name into one site's `hosts`.", sites.join(", "))]
    WhichSite {
        /// What was asked for.
        found: String,
        /// What there is.
        sites: Vec<String>,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n")
}
