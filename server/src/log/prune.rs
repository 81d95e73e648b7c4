//! Pruning: the oldest whole tiles go, and a ROLLUP leaf says what they added up to (docs/witness-format.md).
//!
//! The steps, of which each can be repeated or begun again after a kill:
//!
//! 1. **check** a window of whole tiles, one tile an idle slot: leaves, hashes, commitments. What is damaged is never pruned.
//! 2. **propose** the ROLLUP leaf, once the minutes in its window are closed; the cycle thread appends it, for only it knows the
//!    end of the chain.
//! 3. **wait** until a checkpoint over that leaf is committed, anchored and published.
//! 4. **wait** out the time of the latest RETENTION_POLICY leaf.
//! 5. **prune** in a transaction of its own: the minimum index rises, and below it leaves, their hashes and old checkpoints go.
//! 6. **erase** the secrets behind the salts, and whatever else is left below.
//!
//! Where it stands is read from the log every time: the last ROLLUP leaf, the minimum index. Hashes of level 1 and above
//! stay. So do tiles that hold a leaf which later cycles refer to (a bundle of those carries the whole tile), and
//! of other tiles the leaves that are no cycles, with their hashes.

use std::sync::mpsc::{SyncSender, TrySendError};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tapline_witness::{
    body::{Body, RetentionPolicy, Rollup},
    hash::{Field, commit, salt},
    leaf::{self, Kind},
    rollup::Counter,
    tile::{TILE_WIDTH, TileId},
    tree::{leaf_hash, read_tile, subtree},
    verify::commitment,
    walk::{Walk, is_context},
};

use super::{
    LogError, Step,
    commit::{Committer, step},
};
use crate::store::{
    clock,
    rollup::{Minutes, minutes},
    salts,
    tiles::SqlTiles,
};

const WIDTH: u64 = TILE_WIDTH as u64;
/// Most tiles that go in one idle slot.
const TILES_A_STEP: u64 = 4;

/// The writer thread's part of pruning.
#[derive(Debug)]
pub(super) struct Pruner {
    /// Leaves a ROLLUP leaf is over: whole tiles.
    window: u64,
    /// Hands ROLLUP leaves to the cycle thread.
    to_cycle: SyncSender<Box<Rollup>>,
    /// The window that is being checked.
    checking: Option<Checking>,
    /// A window that was checked, while its last minutes are not closed.
    checked: Option<Box<Rollup>>,
    /// True when the store is rolled up by the minute.
    rolls: bool,
    /// End of the window that was proposed by this process.
    proposed: u64,
    /// Nothing is rolled up any more: something is damaged.
    stopped: bool,
}

#[derive(Debug)]
struct Checking {
    counter: Counter,
    walk: Walk,
    raw_kept: bool,
}

/// Where pruning stands, as the log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    /// First leaf that no ROLLUP leaf covers.
    rolled: u64,
    /// First leaf that is kept whatever its kind.
    minimum: u64,
}

impl Pruner {
    pub(super) const fn new(window_tiles: u64, to_cycle: SyncSender<Box<Rollup>>, rolls: bool) -> Self {
        Self {
            window: window_tiles * WIDTH,
            to_cycle,
            checking: None,
            checked: None,
            rolls,
            proposed: 0,
            stopped: false,
        }
    }

    /// One idle slot's worth: at most one tile is checked and at most four go. True when something went.
    pub(super) fn step(&mut self, committer: &mut Committer) -> Result<bool, LogError> {
        if !self.stopped {
            self.check(committer)?;
        }
        prune(committer)
    }

    /// Steps 1 and 2.
    fn check(&mut self, committer: &mut Committer) -> Result<(), LogError> {
        let rolled = standing(&committer.db)?.rolled;
        if rolled < self.proposed {
            // The cycle thread has it, or it is on its way to the disk.
            return Ok(());
        }
        if let Some(rollup) = self.checked.take() {
            return self.propose(committer, rollup);
        }
        let next = self
            .checking
            .as_ref()
            .map_or(rolled, |checking| checking.counter.next());
        if next + WIDTH > committer.edge.size() {
            return Ok(());
        }
        let db = &committer.db;
        let checking = match &mut self.checking {
            Some(checking) => checking,
            none => none.insert(Checking {
                counter: Counter::new(rolled).map_err(|error| LogError::damaged("the last ROLLUP leaf", error))?,
                walk: Walk::new(committer.log_id),
                raw_kept: false,
            }),
        };
        match step(&mut *committer.faults, Step::Check, || checking.tile(db)) {
            Err(LogError::Damaged { place, problem }) => {
                tracing::error!(%place, %problem, "nothing is pruned any more: run `tapline fsck`");
                self.stopped = true;
                return Ok(());
            }
            checked => checked?,
        }
        if checking.counter.next() - checking.counter.start() < self.window {
            return Ok(());
        }
        let Some(Checking { counter, raw_kept, .. }) = self.checking.take() else {
            return Ok(());
        };
        let mut rollup = counter
            .finish()
            .map_err(|error| LogError::damaged("a window to be rolled up", error))?;
        rollup.raw_kept = raw_kept;
        self.propose(committer, Box::new(rollup))
    }

    /// Hands a checked window to the cycle thread, once the minutes in it are closed.
    fn propose(&mut self, committer: &mut Committer, mut rollup: Box<Rollup>) -> Result<(), LogError> {
        if self.rolls {
            // Minutes follow each other without a gap, whatever the windows.
            let after_ns = match latest(&committer.db, Kind::Rollup)? {
                Some(Body::Rollup(before)) => before.last_wall_ns,
                _ => rollup.first_wall_ns,
            };
            let found = match clock::is_ahead(&committer.db, after_ns.max(rollup.last_wall_ns))? {
                // The clock was ahead there, and those minutes have not come yet.
                Some(true) => Minutes::Gone,
                // It may turn out to be right.
                None => Minutes::Open,
                Some(false) => minutes(&committer.db, after_ns, rollup.last_wall_ns)?,
            };
            match found {
                Minutes::Open => {
                    self.checked = Some(rollup);
                    return Ok(());
                }
                Minutes::Gone => {}
                Minutes::Digest(digest) => rollup.minute_rows = digest,
            }
        }
        let end = rollup.end;
        step(&mut *committer.faults, Step::Propose, || {
            match self.to_cycle.try_send(rollup) {
                // One at a time is on its way; one whose receiver is gone belongs to a process that ends.
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Ok(()),
            }
        })?;
        self.proposed = end;
        Ok(())
    }
}

impl Checking {
    /// Checks the next tile against the tree and the commitments, and adds it up.
    fn tile(&mut self, db: &Connection) -> Result<(), LogError> {
        let first = self.counter.next();
        let index = first / WIDTH;
        let hashes = full_tile(db, index)?;
        let above = read_tile(
            &SqlTiles(db),
            TileId {
                level: 1,
                index: index / WIDTH,
                width: (index % WIDTH) as u16 + 1,
            },
        )?;
        if above[above.len() - 32..] != subtree(&hashes) {
            return Err(LogError::damaged(
                format!("tile {index}"),
                "not the hashes its parent stands for",
            ));
        }
        let mut statement = db.prepare_cached(
            "SELECT l.body, d.inputs, d.stages, d.outcome, d.state FROM leaf l LEFT JOIN cycle_data d ON d.seq = l.seq
             WHERE l.seq >= ?1 AND l.seq < ?2 ORDER BY l.seq",
        )?;
        let mut rows = statement.query(params![first.cast_signed(), (first + WIDTH).cast_signed()])?;
        for (seq, hash) in (first..).zip(hashes.chunks_exact(32)) {
            let damaged = |problem: &dyn std::fmt::Display| LogError::damaged(format!("leaf {seq}"), problem);
            let row = rows.next()?.ok_or_else(|| damaged(&"it is missing"))?;
            let bytes = row.get_ref(0)?.as_blob().map_err(|error| damaged(&error))?;
            if leaf_hash(bytes) != *hash {
                return Err(damaged(&"its bytes are not those hashed in the tile"));
            }
            let leaf = self.walk.step(seq, bytes).map_err(|error| damaged(&error))?;
            let key = salts::blind_key(db, seq)?;
            let mut opened = [None; 4];
            if let (Body::Cycle(cycle), Some(key)) = (&leaf.body, key) {
                for ((slot, field), column) in opened.iter_mut().zip(Field::ALL).zip(1..) {
                    let Some(bytes) = row
                        .get_ref(column)?
                        .as_blob_or_null()
                        .map_err(|error| damaged(&error))?
                    else {
                        continue;
                    };
                    let salt = salt(&key, &leaf.header.log_id, seq, field);
                    if commit(field, &salt, bytes) != commitment(cycle, field) {
                        return Err(damaged(&format!("its {} are not what it commits to", field.name())));
                    }
                    *slot = Some(bytes);
                }
            }
            self.raw_kept |= opened[0].is_some();
            self.counter
                .add(bytes, opened[1].zip(opened[2]))
                .map_err(|error| damaged(&error))?;
        }
        Ok(())
    }
}

/// Steps 3 to 6. True when something went.
fn prune(committer: &mut Committer) -> Result<bool, LogError> {
    let Standing { minimum, rolled } = standing(&committer.db)?;
    let went = is_left(&committer.db, minimum)?;
    if went {
        // The process ended between the two, or a leaf's data was written late.
        erase(committer, minimum)?;
    }
    if minimum >= rolled {
        return Ok(went);
    }
    let Some((seq, rollup)) = rollup_of(&committer.db, minimum)? else {
        return Ok(went);
    };
    let anchored = committer
        .anchor
        .as_ref()
        .map_or(committer.edge.size(), |anchor| anchor.size());
    if seq >= anchored || !past_its_time(&committer.db, seq, &rollup)? {
        return Ok(went);
    }
    let end = rollup.end.min(minimum + TILES_A_STEP * WIDTH);
    let data_from: Option<i64> = committer
        .db
        .query_row("SELECT min(seq) FROM cycle", [], |row| row.get(0))?;
    if data_from.is_some_and(|from| from.cast_unsigned() < end) {
        // What its cycles published is kept still.
        return Ok(went);
    }
    let faults = &mut *committer.faults;
    let tx = committer.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    step(faults, Step::Prune, || delete(&tx, minimum, end))?;
    step(faults, Step::PruneCommit, || Ok(tx.commit()?))?;
    erase(committer, end)?;
    Ok(true)
}

/// Step 5: what is below `end` goes, but for what has to stay.
fn delete(tx: &Connection, minimum: u64, end: u64) -> Result<(), LogError> {
    tx.prepare_cached("UPDATE meta SET v = ?1 WHERE k = 'minimum_index'")?
        .execute([end.cast_signed()])?;
    for index in minimum / WIDTH..end / WIDTH {
        let range = params![(index * WIDTH).cast_signed(), ((index + 1) * WIDTH).cast_signed()];
        let kinds: Vec<u8> = tx
            .prepare_cached("SELECT kind FROM leaf WHERE kind <> 1 AND seq >= ?1 AND seq < ?2")?
            .query_map(range, |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        if kinds.iter().any(|kind| Kind::from_byte(*kind).is_none_or(is_context)) {
            continue;
        }
        tx.prepare_cached("DELETE FROM leaf WHERE kind = 1 AND seq >= ?1 AND seq < ?2")?
            .execute(range)?;
        if kinds.is_empty() {
            tx.prepare_cached("DELETE FROM tile WHERE level = 0 AND idx = ?1")?
                .execute([index.cast_signed()])?;
        }
    }
    // Their roots cannot be computed any more, but at whole tiles.
    tx.prepare_cached("DELETE FROM checkpoint WHERE size < ?1")?
        .execute([end.cast_signed()])?;
    Ok(())
}

/// Step 6: nothing below `end` can be opened any more.
fn erase(committer: &mut Committer, end: u64) -> Result<(), LogError> {
    let db = &committer.db;
    step(&mut *committer.faults, Step::Erase, || {
        salts::erase_below(db, end)?;
        db.prepare_cached("DELETE FROM cycle_data WHERE seq < ?1")?
            .execute([end.cast_signed()])?;
        Ok(())
    })
}

/// True when something below `end` is not erased.
fn is_left(db: &Connection, end: u64) -> Result<bool, LogError> {
    let left = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM salt WHERE first_seq < ?1) OR EXISTS (SELECT 1 FROM cycle_data WHERE seq < ?1)",
        )?
        .query_row([end.cast_signed()], |row| row.get(0))?;
    Ok(left)
}

fn standing(db: &Connection) -> Result<Standing, LogError> {
    let minimum: i64 = db
        .prepare_cached("SELECT v FROM meta WHERE k = 'minimum_index'")?
        .query_row([], |row| row.get(0))?;
    let rolled = latest(db, Kind::Rollup)?.map_or(Ok(0), |body| match body {
        Body::Rollup(rollup) => Ok(rollup.end),
        _ => Err(LogError::damaged("the last ROLLUP leaf", "it is another leaf")),
    })?;
    Ok(Standing {
        rolled,
        minimum: minimum.cast_unsigned(),
    })
}

/// The latest RETENTION_POLICY leaf.
pub(super) fn policy(db: &Connection) -> Result<Option<RetentionPolicy>, LogError> {
    match latest(db, Kind::RetentionPolicy)? {
        None => Ok(None),
        Some(Body::RetentionPolicy(policy)) => Ok(Some(policy)),
        Some(_) => Err(LogError::damaged(
            "the last RETENTION_POLICY leaf",
            "it is another leaf",
        )),
    }
}

fn latest(db: &Connection, kind: Kind) -> Result<Option<Body>, LogError> {
    let bytes: Option<Vec<u8>> = db
        .prepare_cached("SELECT body FROM leaf WHERE kind <> 1 AND kind = ?1 ORDER BY seq DESC LIMIT 1")?
        .query_row([kind as u8], |row| row.get(0))
        .optional()?;
    Ok(bytes
        .map(|bytes| leaf::decode(&bytes))
        .transpose()?
        .map(|leaf| leaf.body))
}

/// The ROLLUP leaf whose window holds leaf `minimum`, and its place.
fn rollup_of(db: &Connection, minimum: u64) -> Result<Option<(u64, Rollup)>, LogError> {
    // It stands behind its window, and so does the one before, which may be found first.
    let mut statement = db
        .prepare_cached("SELECT seq, body FROM leaf WHERE kind <> 1 AND kind = ?1 AND seq > ?2 ORDER BY seq LIMIT 8")?;
    let mut rows = statement.query(params![Kind::Rollup as u8, minimum.cast_signed()])?;
    while let Some(row) = rows.next()? {
        let seq = row.get::<_, i64>(0)?.cast_unsigned();
        let bytes: Vec<u8> = row.get(1)?;
        if let Body::Rollup(rollup) = leaf::decode(&bytes)?.body
            && (rollup.start..rollup.end).contains(&minimum)
        {
            return Ok(Some((seq, rollup)));
        }
    }
    Ok(None)
}

/// Step 4, for the window whose ROLLUP leaf is leaf `seq`. One of a clock that was ahead goes with the first later one that is
/// past its time: by its own time it would hold up all others until that has come.
fn past_its_time(db: &Connection, seq: u64, rollup: &Rollup) -> Result<bool, LogError> {
    let Some(keep_s) = policy(db)?.map(|policy| policy.leaves_s).filter(|s| *s != u64::MAX) else {
        return Ok(false);
    };
    let Some((_, newest_ns)) = clock::newest(db)? else {
        return Ok(false);
    };
    let past =
        |last_wall_ns: i64| i128::from(newest_ns) - i128::from(last_wall_ns) > i128::from(keep_s) * 1_000_000_000;
    if rollup.last_wall_ns <= newest_ns {
        return Ok(past(rollup.last_wall_ns));
    }
    let mut statement =
        db.prepare_cached("SELECT body FROM leaf WHERE kind <> 1 AND kind = ?1 AND seq > ?2 ORDER BY seq")?;
    let mut rows = statement.query(params![Kind::Rollup as u8, seq.cast_signed()])?;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(0)?;
        if let Body::Rollup(later) = leaf::decode(&bytes)?.body
            && later.last_wall_ns <= newest_ns
        {
            return Ok(past(later.last_wall_ns));
        }
    }
    Ok(false)
}

fn full_tile(db: &Connection, index: u64) -> Result<Vec<u8>, LogError> {
    let id = TileId {
        level: 0,
        index,
        width: TILE_WIDTH as u16,
    };
    Ok(read_tile(&SqlTiles(db), id)?)
}
