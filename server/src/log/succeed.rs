//! The end of a log whose key was lost or stolen, and the beginning of the one after it (docs/witness-format.md, "Keys").
//!
//! The old log is frozen: a file beside its database says at which size and root, and it is never opened for appending again.
//! The new one has another origin and other keys, and its GENESIS names that end. Each step can be done again.

use std::{fs, io, path::Path};

use tapline_witness::{
    body::Predecessor,
    codec::Text,
    hash::Hash,
    keyset::KeySet,
    policy::{Policy, RETIRED},
};

use super::{Log, LogError, LogOptions, Recovered, Stamp, anchor::replace_durably};
use crate::store::DATABASE_FILE;

/// What says, beside the database, that a log is frozen.
pub const FROZEN_FILE: &str = "frozen";

/// How a log ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// What the next log's GENESIS says of it.
    pub predecessor: Predecessor,
    /// The policy under which what it said until then can be checked, and nothing that its keys sign beyond.
    pub policy: String,
}

/// Ends a log for good, at the size it has.
///
/// # Errors
/// There is no log, it is in use, damaged, rolled back, or was frozen at another end.
pub fn freeze(options: LogOptions) -> Result<Frozen, LogError> {
    let data_dir = options.data_dir.clone();
    let database = data_dir.join(DATABASE_FILE);
    if !database.exists() {
        return Err(LogError::Misuse {
            field: "log to be frozen",
            expected: format!("a data directory with {DATABASE_FILE} in it"),
            found: data_dir.display().to_string(),
        });
    }
    // As if to go on: all that a start checks has to hold.
    let log = Log::open_even_frozen(options)?;
    let Recovered { size, root } = log.recovered;
    if size == 0 {
        return Err(LogError::Misuse {
            field: "log to be frozen",
            expected: "one with leaves".into(),
            found: "an empty one".into(),
        });
    }
    let text = end_text(log.chain.origin(), size, &root);
    let path = data_dir.join(FROZEN_FILE);
    match fs::read_to_string(&path) {
        Ok(found) if found == text => {}
        Ok(found) => {
            return Err(LogError::damaged(
                path.display().to_string(),
                format!("it says {:?}, the log says {:?}", found.trim(), text.trim()),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace_durably(&path, text.as_bytes())?,
        Err(error) => return Err(LogError::io(&path)(error)),
    }
    let frozen = Frozen {
        predecessor: Predecessor {
            origin: Text::new(log.chain.origin()),
            size,
            root,
        },
        policy: policy(log.chain.keys(), size)?,
    };
    log.writer.close()?;
    Ok(frozen)
}

/// Begins the log after a frozen one: new keys, a new origin, and a GENESIS that names the old end.
///
/// # Errors
/// There is another log already, or it cannot be written.
pub fn succeed(options: LogOptions, predecessor: Predecessor, stamp: Stamp) -> Result<Log, LogError> {
    let mut log = Log::open(LogOptions {
        predecessor: Some(predecessor.clone()),
        ..options
    })?;
    if log.recovered.size == 0 {
        if log.chain.origin() == predecessor.origin.as_str() {
            return Err(LogError::Misuse {
                field: "origin of the log after a frozen one",
                expected: "another one: an origin is never used again".into(),
                found: predecessor.origin.as_str().to_owned(),
            });
        }
        log.chain.begin(stamp, &log.writer)?;
        log.writer.flush()?;
    } else if log.chain.predecessor() != Some(&predecessor) {
        return Err(LogError::Misuse {
            field: "data directory of the log after a frozen one",
            expected: "an empty one".into(),
            found: format!("a log of {} leaves", log.recovered.size),
        });
    }
    Ok(log)
}

/// Refuses to append to a frozen log.
pub(super) fn check(data_dir: &Path) -> Result<(), LogError> {
    let path = data_dir.join(FROZEN_FILE);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LogError::io(&path)(error)),
        Ok(end) => Err(LogError::Frozen {
            data_dir: data_dir.into(),
            end: end.trim().replace('\n', " "),
        }),
    }
}

fn end_text(origin: &str, size: u64, root: &Hash) -> String {
    format!("{origin}\n{size}\n{}\n", hex::encode(root))
}

/// The log's own policy, in which each key that still signs is bounded by the end as if it had been retired there.
fn policy(keys: &KeySet, size: u64) -> Result<String, LogError> {
    let mut text = String::new();
    for line in keys.policy().lines() {
        text += line;
        text.push('\n');
        let in_force = keys.keys().iter().filter(|key| key.retired.is_none());
        for key in in_force.filter(|key| line.ends_with(&key.verifier.to_vkey())) {
            text += &format!("{RETIRED} {:08x} {size}\n", key.verifier.key_id());
        }
    }
    Policy::parse(&text).map_err(|error| LogError::damaged("the policy of the frozen log", error))?;
    Ok(text)
}
