//! Why the log could not be opened, appended to or trusted.

use std::{io, path::PathBuf};

use tapline_witness::{checkpoint::CheckpointError, leaf::LeafError, note::NoteError, tree::TreeError};
use thiserror::Error;

use crate::store::StoreError;

/// Errors of the log.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A leaf that breaks the format: a mistake of the caller.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The tree in the database.
    #[error("tree in the database: {0}")]
    Tree(#[from] TreeError),
    /// The last checkpoint in the database.
    #[error("checkpoint in the database: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A key or name.
    #[error(transparent)]
    Key(#[from] NoteError),
    /// A file operation.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process holds the log.
    #[error("{path} is held by another process: one log has one writer")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The database holds less than was published, or something else.
    #[error(
        "the database was rolled back or replaced: {anchor} says {expected}, the database says {found}. \
         Put the right database back, or start a new log in an empty directory"
    )]
    RolledBack {
        /// The anchor file.
        anchor: PathBuf,
        /// What was published.
        expected: String,
        /// What is there.
        found: String,
    },
    /// There is a log but no anchor.
    #[error(
        "the log in {data_dir} has {size} leaves but {anchor} is missing, so a rollback could not be seen. \
         If you moved the log here, bring its anchor or point [store] anchor to it"
    )]
    AnchorMissing {
        /// The data directory.
        data_dir: PathBuf,
        /// Where the anchor should be.
        anchor: PathBuf,
        /// Size of the log.
        size: u64,
    },
    /// The anchor changed under us.
    #[error("{anchor} was changed by someone else: expected {expected}, found {found}. Two logs share one anchor")]
    AnchorChanged {
        /// The anchor file.
        anchor: PathBuf,
        /// What we wrote last.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The log was ended for good.
    #[error(
        "the log in {data_dir} is frozen ({end}): `tapline key succeed` ended it. Nothing is appended to it; give the server \
         the data directory of the log after it"
    )]
    Frozen {
        /// The data directory.
        data_dir: PathBuf,
        /// Origin, size and root.
        end: String,
    },
    /// The database contradicts itself.
    #[error("the log is damaged at {place}: {problem}; run `tapline fsck`")]
    Damaged {
        /// Where.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// No record became free in time: the writer is behind.
    #[error("the log is busy: {waiting} records wait to be written")]
    Busy {
        /// Records in flight.
        waiting: usize,
    },
    /// The caller's cycle does not follow the last one.
    #[error("{field}: expected {expected}, found {found}")]
    Misuse {
        /// What is wrong.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The writer ended earlier, for this reason.
    #[error("the log ended: {reason}")]
    Ended {
        /// The first error.
        reason: String,
    },
}

impl LogError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(super) fn damaged(place: impl Into<String>, problem: impl ToString) -> Self {
        Self::Damaged {
            place: place.into(),
            problem: problem.to_string(),
        }
    }
}

impl From<rusqlite::Error> for LogError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
