//! Opening a log: lock, keys, database, recovery, anchor, writer thread.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use tapline_witness::{
    body::{Predecessor, RetentionPolicy},
    hash::{Hash, log_id},
    keyset::KeySet,
    note::Name,
};

use super::{
    AnchorState, Chain, Durable, Faults, Identity, LogError, NoFaults, Recovered, Writer, WriterOptions,
    anchor::{self, Anchor},
    chain::genesis_of,
    commit::Committer,
    keys::{BlindKeys, into_signers, remove_key},
    prune,
    recover::{check_anchor, read_end},
    succeed,
};
use crate::store::{
    DATABASE_FILE,
    retention::Retention,
    rollup::{Roller, RollupOptions},
    schema::{StoreKind, open_writer},
};

/// Directory of the key files inside the data directory.
pub const KEY_DIR: &str = "keys";
/// Lock file inside the data directory.
const LOCK_FILE: &str = "lock";

/// What to open.
pub struct LogOptions {
    /// The data directory; made if missing.
    pub data_dir: PathBuf,
    /// What the store is for, with the recording's digest for a replay.
    pub replay_of: Option<Hash>,
    /// Name of a new live log; random when none.
    pub origin: Option<Name>,
    /// The frozen log that a new one takes over from.
    pub predecessor: Option<Predecessor>,
    /// The anchor file; [`anchor::default_anchor_path`] when none.
    pub anchor: Option<PathBuf>,
    /// How the writer works.
    pub writer: WriterOptions,
    /// How what happened is added up; none when this process leaves that to another.
    pub rollup: Option<RollupOptions>,
    /// Fault injection for tests.
    pub faults: Box<dyn Faults>,
}

impl LogOptions {
    /// A live log in this directory, with what is the default elsewhere.
    pub fn live(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            replay_of: None,
            origin: None,
            predecessor: None,
            anchor: None,
            writer: WriterOptions::live(Retention::default()),
            rollup: Some(RollupOptions::default()),
            faults: Box::new(NoFaults),
        }
    }

    /// The fresh store of a replay of the recording with this digest.
    pub fn replay(data_dir: impl Into<PathBuf>, recording: Hash) -> Self {
        Self {
            replay_of: Some(recording),
            writer: WriterOptions::replay(),
            ..Self::live(data_dir)
        }
    }
}

impl std::fmt::Debug for LogOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogOptions")
            .field("data_dir", &self.data_dir)
            .field("replay_of", &self.replay_of.map(hex::encode))
            .field("anchor", &self.anchor)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

/// An open log.
#[derive(Debug)]
pub struct Log {
    /// Appends leaves; belongs to the cycle thread.
    pub chain: Chain,
    /// Takes records to the disk; belongs to the cycle thread.
    pub writer: Writer,
    /// What was found at start.
    pub recovered: Recovered,
    /// What the log says last of how long what is kept.
    pub policy: Option<RetentionPolicy>,
}

impl Log {
    /// Opens a log for appending, or starts one.
    ///
    /// A live log is refused when another process has it, when it contradicts itself at its end, or when
    /// its anchor says that more (or something else) was published than the database holds. A replay
    /// needs an empty store.
    pub fn open(options: LogOptions) -> Result<Self, LogError> {
        succeed::check(&options.data_dir)?;
        Self::open_even_frozen(options)
    }

    pub(super) fn open_even_frozen(options: LogOptions) -> Result<Self, LogError> {
        let data_dir = &options.data_dir;
        make_private_dir(data_dir)?;
        let dir_lock = anchor::lock(&data_dir.join(LOCK_FILE))?;
        let (identity, kind) = match &options.replay_of {
            Some(recording) => (Identity::replay(recording)?, StoreKind::Replay),
            None => (
                Identity::live(&data_dir.join(KEY_DIR), options.origin.as_ref())?,
                StoreKind::Live,
            ),
        };
        let db = open_writer(&data_dir.join(DATABASE_FILE), kind)?;
        let end = read_end(&db)?;
        let recovered = end.recovered;
        let (genesis, keys) = match end.keys {
            Some(known) => known,
            None => {
                let genesis = genesis_of(&identity, options.predecessor.clone());
                let keys = KeySet::of(&genesis).map_err(|error| LogError::damaged("the key files", error))?;
                (genesis, keys)
            }
        };
        let log_id = log_id(genesis.origin.as_str(), &genesis.log_key);
        let key_dir = data_dir.join(KEY_DIR);
        if kind == StoreKind::Live {
            // Retired in the log, and the process did not live to remove the file.
            for key in keys.keys().iter().filter(|key| key.retired.is_some()) {
                remove_key(&key_dir, key.role, &key.verifier)?;
            }
        }
        let policy = prune::policy(&db)?;

        let anchor = match kind {
            StoreKind::Replay if recovered.size > 0 => {
                return Err(LogError::Misuse {
                    field: "store of a replay",
                    expected: "an empty directory".into(),
                    found: format!("a log of {} leaves in {}", recovered.size, data_dir.display()),
                });
            }
            StoreKind::Replay => None,
            StoreKind::Live => {
                let path = options
                    .anchor
                    .clone()
                    .unwrap_or_else(|| anchor::default_anchor_path(data_dir));
                Some(open_anchor(&db, data_dir, path, log_id, &recovered)?)
            }
        };

        let Identity {
            log,
            cosigner,
            boot_id,
            blind,
        } = identity;
        let signers = into_signers(log.into_iter().chain(cosigner).collect(), &keys, recovered.size)?;
        let chain = Chain::new(
            genesis,
            keys.clone(),
            log_id,
            boot_id,
            (recovered.size, recovered.root),
            end.last_witness,
            BlindKeys::new(blind),
        );
        let durable = Durable {
            size: recovered.size,
            root: recovered.root,
            note: end.note.unwrap_or_default().into(),
            time_s: end.signed_time_s,
        };
        let committer = Committer {
            db,
            edge: end.edge,
            origin: keys.origin().clone(),
            log_id,
            keys,
            signers,
            key_dir,
            anchor,
            signed_time_s: end.signed_time_s,
            faults: options.faults,
            _dir_lock: dir_lock,
        };
        let writer = Writer::spawn(committer, durable, options.writer, options.rollup.map(Roller::new))?;
        Ok(Self {
            chain,
            writer,
            recovered,
            policy,
        })
    }
}

fn open_anchor(
    db: &rusqlite::Connection,
    data_dir: &Path,
    path: PathBuf,
    log_id: Hash,
    recovered: &Recovered,
) -> Result<Anchor, LogError> {
    let (found, lock) = Anchor::open(&path)?;
    match found {
        Some(state) => {
            check_anchor(db, &path, &state, &log_id, recovered)?;
            Ok(Anchor::resume(path, state, lock))
        }
        None if recovered.size == 0 => Anchor::create(
            path,
            AnchorState {
                log_id,
                size: 0,
                root: recovered.root,
            },
            lock,
        ),
        None => Err(LogError::AnchorMissing {
            data_dir: data_dir.into(),
            anchor: path,
            size: recovered.size,
        }),
    }
}

/// Makes the data directory readable by its owner only: it holds keys and raw input.
fn make_private_dir(path: &Path) -> Result<(), LogError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(LogError::io(path))
}
