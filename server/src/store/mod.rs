//! The store: one SQLite file, one writing connection (owned by [`crate::log`]), any number of readers.
//!
//! - [`schema`] opens the file: pragmas set and read back, migrations applied, a newer file refused.
//! - [`rows`] writes the rows queries read, derived from committed bytes.
//! - [`reader`] answers queries over read-only connections; readers never block the writer.
//! - [`backup`] copies a store in use and says what takes the space.
//! - [`manifests`] are the leaves that name a manifest, with its text.
//! - [`tiles`] are the tree's hashes.
//! - [`log_source`] is a snapshot as the log that bundles and proofs are cut from.
//! - [`rollup`] adds up what happened by second, minute, hour and day, and answers from it.
//! - [`retention`] forgets what is past its time, a small batch at a time; `salts` are the secrets that go with it.

pub mod backup;
pub mod calibrations;
pub(crate) mod clock;
pub mod log_source;
pub mod manifests;
pub mod reader;
pub mod retention;
pub mod rollup;
pub mod rows;
pub(crate) mod salts;
pub mod schema;
pub mod tiles;

use std::path::PathBuf;

use thiserror::Error;

/// Name of the database inside the data directory.
pub const DATABASE_FILE: &str = "tapline.db";

/// Why the store could not be opened, read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite said no.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A migration failed.
    #[error("database migration: {0}")]
    Migration(#[from] rusqlite_migration::Error),
    /// The linked SQLite has a known corruption bug.
    #[error("SQLite {expected} or later is needed (older ones can corrupt a WAL file), found {found}")]
    SqliteTooOld {
        /// The least version.
        expected: &'static str,
        /// The version linked.
        found: &'static str,
    },
    /// The file is a database of something else.
    #[error("{path} is no Tapline store: application id {expected:#010x} expected, found {found:#010x}")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Ours.
        expected: i32,
        /// Its own.
        found: i32,
    },
    /// The file was written by a newer Tapline.
    #[error("{path} has schema version {found}, this program knows {expected}: use the newer program")]
    Newer {
        /// The file.
        path: PathBuf,
        /// What this program knows.
        expected: usize,
        /// What the file has.
        found: i64,
    },
    /// The file belongs to a replay, or to a live log, and the other was asked for.
    #[error("{path} is the store of a {found} log, a {expected} one was asked for")]
    Kind {
        /// The file.
        path: PathBuf,
        /// Asked for.
        expected: &'static str,
        /// Found.
        found: String,
    },
    /// A pragma did not take.
    #[error("PRAGMA {pragma} is {found}, {expected} was set: this SQLite or file system cannot hold the log safely")]
    Pragma {
        /// Which.
        pragma: &'static str,
        /// As set.
        expected: String,
        /// As read back.
        found: String,
    },
    /// A row does not hold what it must.
    #[error("{what}: {problem}")]
    Corrupt {
        /// Which row.
        what: String,
        /// What is wrong.
        problem: String,
    },
    /// A file operation failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
