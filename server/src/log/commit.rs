//! One group commit, in the order everything else relies on:
//! `BEGIN IMMEDIATE`, leaves, tiles, data, sign, checkpoint, `COMMIT`, anchor.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, TransactionBehavior, params};
use tapline_witness::{
    body::{Body, KeyAction, KeyRole},
    checkpoint::Checkpoint,
    hash::Hash,
    keyset::KeySet,
    leaf::{self, Kind},
    note::{Name, Signer, Verifier},
    tree::{Edge, leaf_hash},
};

use super::{
    AnchorState, LogError, Record,
    anchor::Anchor,
    keys::{remove_key, take_key},
};
use crate::store::{rows, salts, tiles};

/// A step of the commit or of pruning, for fault injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// `BEGIN IMMEDIATE`.
    Begin,
    /// The leaves of the batch and the tiles they fill.
    Leaves,
    /// The tiles that are not full.
    Tiles,
    /// What the leaves commit to, and query rows.
    Data,
    /// Signing and storing the checkpoint.
    Checkpoint,
    /// `COMMIT`.
    Commit,
    /// Moving the anchor on.
    Anchor,
    /// Telling everyone.
    Publish,
    /// Reading and checking a tile that will be rolled up.
    Check,
    /// Handing a ROLLUP leaf to the cycle thread.
    Propose,
    /// Deleting leaves and raising the minimum index.
    Prune,
    /// `COMMIT` of that.
    PruneCommit,
    /// Erasing secrets and data below the minimum index.
    Erase,
}

impl Step {
    /// The steps of pruning, in order.
    pub const PRUNING: [Self; 5] = [Self::Check, Self::Propose, Self::Prune, Self::PruneCommit, Self::Erase];

    /// The steps of a commit, in order.
    pub const COMMIT: [Self; 8] = [
        Self::Begin,
        Self::Leaves,
        Self::Tiles,
        Self::Data,
        Self::Checkpoint,
        Self::Commit,
        Self::Anchor,
        Self::Publish,
    ];
}

/// Makes steps fail: before they did anything, or after they did all. The live log uses [`NoFaults`].
pub trait Faults: Send {
    /// Called before a step; an error is taken for the step's own.
    fn before(&mut self, step: Step) -> io::Result<()>;
    /// Called after a step succeeded; an error is taken for the step's own, though it took effect.
    fn after(&mut self, step: Step) -> io::Result<()>;
}

/// Nothing fails that does not fail by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn before(&mut self, _: Step) -> io::Result<()> {
        Ok(())
    }
    fn after(&mut self, _: Step) -> io::Result<()> {
        Ok(())
    }
}

/// What a commit leaves behind.
pub(super) struct Committed {
    pub(super) size: u64,
    pub(super) root: Hash,
    pub(super) note: String,
    pub(super) time_s: u64,
}

/// Owns the writing connection, the tree's right edge, the keys and the anchor.
pub(super) struct Committer {
    pub(super) db: Connection,
    pub(super) edge: Edge,
    pub(super) origin: Name,
    pub(super) log_id: Hash,
    /// Every key the log had.
    pub(super) keys: KeySet,
    /// Those that sign now.
    pub(super) signers: Vec<Signer>,
    /// Where the private half of a key that takes over lies.
    pub(super) key_dir: PathBuf,
    /// None in a replay store.
    pub(super) anchor: Option<Anchor>,
    /// Time of the last cosignature; it never goes back.
    pub(super) signed_time_s: u64,
    pub(super) faults: Box<dyn Faults>,
    /// Keeps other processes out of the data directory until the writer is gone.
    pub(super) _dir_lock: File,
}

impl Committer {
    /// Makes a batch durable. After an error the committer must be dropped: the edge in memory is ahead of
    /// the database, and what an fsync that failed left on the disk is unknown.
    pub(super) fn commit(&mut self, batch: &[Record]) -> Result<Committed, LogError> {
        let faults = &mut *self.faults;
        let edge = &mut self.edge;
        let tx = step(faults, Step::Begin, || {
            Ok(self.db.transaction_with_behavior(TransactionBehavior::Immediate)?)
        })?;
        step(faults, Step::Leaves, || insert_leaves(&tx, edge, batch))?;
        step(faults, Step::Tiles, || {
            edge.open_tiles()
                .try_for_each(|(id, data)| Ok(tiles::put_tile(&tx, id, data)?))
        })?;
        step(faults, Step::Data, || insert_data(&tx, batch))?;
        let turned = turn(batch, &mut self.keys, &mut self.signers, &self.key_dir)?;
        let committed = step(faults, Step::Checkpoint, || {
            let checkpoint = Checkpoint {
                origin: self.origin.clone(),
                size: edge.size(),
                root: edge.root(),
            };
            let last_s = batch
                .last()
                .map_or(0, |record| record.wall_ns.div_euclid(1_000_000_000));
            let time_s = u64::try_from(last_s).unwrap_or(0).max(self.signed_time_s);
            let signers: Vec<&Signer> = self.signers.iter().collect();
            let note = checkpoint.sign(&signers, time_s);
            tx.prepare_cached("INSERT INTO checkpoint (size, note) VALUES (?1, ?2)")?
                .execute(params![checkpoint.size as i64, note])?;
            Ok(Committed {
                size: checkpoint.size,
                root: checkpoint.root,
                note,
                time_s,
            })
        })?;
        step(faults, Step::Commit, || Ok(tx.commit()?))?;
        step(faults, Step::Anchor, || match &mut self.anchor {
            Some(anchor) => anchor.advance(AnchorState {
                log_id: self.log_id,
                size: committed.size,
                root: committed.root,
            }),
            None => Ok(()),
        })?;
        self.signed_time_s = committed.time_s;
        // Gone for good, now that the leaf that retires it is durable: what can be stolen no more signs no fork.
        for (role, key) in turned {
            remove_key(&self.key_dir, role, &key)?;
        }
        Ok(committed)
    }

    /// Runs the last step, publishing.
    pub(super) fn publish(&mut self, publish: impl FnOnce()) -> Result<(), LogError> {
        step(&mut *self.faults, Step::Publish, || {
            publish();
            Ok(())
        })
    }
}

pub(super) fn step<T>(
    faults: &mut dyn Faults,
    step: Step,
    run: impl FnOnce() -> Result<T, LogError>,
) -> Result<T, LogError> {
    let injected = |source| LogError::Io {
        path: format!("{step:?}").into(),
        source,
    };
    faults.before(step).map_err(injected)?;
    let value = run()?;
    faults.after(step).map_err(injected)?;
    Ok(value)
}

/// Takes in the KEY leaves of a batch: from the checkpoint that covers them on, their keys sign, or do no more. Gives the
/// keys that were retired.
fn turn(
    batch: &[Record],
    keys: &mut KeySet,
    signers: &mut Vec<Signer>,
    key_dir: &Path,
) -> Result<Vec<(KeyRole, Verifier)>, LogError> {
    let mut retired = Vec::new();
    for record in batch.iter().filter(|record| record.kind == Some(Kind::Key)) {
        let Body::Key(key) = leaf::decode(&record.leaf)?.body else {
            continue;
        };
        let refused = |error| LogError::damaged(format!("leaf {}", record.seq), error);
        keys.apply(record.seq, &key).map_err(refused)?;
        let known = keys.keys().iter().find(|k| k.verifier.public_key() == key.public_key);
        let Some(verifier) = known.map(|k| k.verifier.clone()) else {
            continue;
        };
        match key.action {
            KeyAction::Added => signers.push(take_key(key_dir, key.role, &verifier)?),
            KeyAction::Retired => {
                signers.retain(|signer| signer.verifier() != verifier);
                retired.push((key.role, verifier));
            }
        }
    }
    Ok(retired)
}

fn insert_leaves(db: &Connection, edge: &mut Edge, batch: &[Record]) -> Result<(), LogError> {
    let mut insert = db.prepare_cached("INSERT INTO leaf (seq, kind, body) VALUES (?1, ?2, ?3)")?;
    for record in batch {
        let Some(kind) = record.kind else {
            return Err(LogError::Misuse {
                field: "record",
                expected: "one with a leaf appended to it".into(),
                found: "an empty one".into(),
            });
        };
        if record.seq != edge.size() {
            return Err(LogError::Misuse {
                field: "sequence number of a record",
                expected: edge.size().to_string(),
                found: record.seq.to_string(),
            });
        }
        insert.execute(params![record.seq as i64, kind as u8, record.leaf])?;
        let mut written = Ok(());
        edge.append(leaf_hash(&record.leaf), |id, data| {
            if written.is_ok() {
                written = tiles::put_tile(db, id, data);
            }
        });
        written?;
    }
    Ok(())
}

fn insert_data(db: &Connection, batch: &[Record]) -> Result<(), LogError> {
    let mut insert_blob =
        db.prepare_cached("INSERT INTO blob (hash, kind, bytes) VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO NOTHING")?;
    let mut insert_data =
        db.prepare_cached("INSERT INTO cycle_data (seq, inputs, stages, outcome, state) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for record in batch {
        for blob in &record.blobs {
            insert_blob.execute(params![blob.hash, blob.kind, blob.bytes])?;
        }
        if let Some(key) = &record.blind_key {
            salts::insert(db, record.seq, key)?;
        }
        if record.kind == Some(Kind::Cycle) {
            let state = (!record.state.is_empty()).then_some(&record.state);
            insert_data.execute(params![
                record.seq as i64,
                record.inputs,
                record.stages,
                record.outcome,
                state
            ])?;
            rows::insert_cycle(
                db,
                record.seq,
                record.wall_ns,
                record.outcome_code,
                &record.outcome,
                record.stage_us.as_ref(),
            )?;
        }
        for change in &record.world {
            rows::apply_world_change(db, record.seq, change)?;
        }
    }
    Ok(())
}
