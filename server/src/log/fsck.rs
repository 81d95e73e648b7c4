//! `fsck`: reads a whole log and says what is wrong with it. It trusts nothing it can compute.

use std::{collections::BTreeMap, fmt, path::Path};

use rusqlite::Connection;
use serde::Serialize;
use tapline_witness::{
    body::{Body, Cycle, Rollup},
    hash::{Domain, Field, Hash, ZERO, commit, salt},
    leaf::Kind,
    outcome_codec::decode_outcome,
    rollup::{Counter, RollupError, compare},
    tile::{TILE_WIDTH, TileId},
    tree::{Edge, TileSource as _, leaf_hash, read_tile, subtree},
    walk::Walk,
};

use super::{
    LogError,
    anchor::{self, AnchorState, default_anchor_path},
    recover::{check_anchor, read_genesis, read_key_set},
};
use crate::{
    log::Recovered,
    store::{
        DATABASE_FILE,
        rollup::{Minutes, minutes},
        salts,
        schema::open_reader,
        tiles::SqlTiles,
    },
};

const WIDTH: u64 = TILE_WIDTH as u64;
/// Most problems named a check; the rest are counted.
const MAX_NAMED: usize = 20;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FsckReport {
    /// Leaves of the log.
    pub leaves: u64,
    /// First leaf that is kept whatever its kind; those before it were rolled up and pruned.
    pub minimum_index: u64,
    /// ROLLUP leaves whose range was compared with the tree.
    pub rollups: u64,
    /// Those of them whose rows by the minute are there, and are the ones they name.
    pub minutes: u64,
    /// Root over them, hexadecimal.
    pub root: String,
    /// Checkpoints whose signatures and root were verified.
    pub checkpoints: u64,
    /// Cycles whose commitments were opened.
    pub opened: u64,
    /// Cycles whose data or blind key is forgotten: their commitments stay closed.
    pub forgotten: u64,
    /// The checks, in the order they ran.
    pub checks: Vec<FsckCheck>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FsckCheck {
    /// What was checked.
    pub name: &'static str,
    /// What is wrong; empty when nothing is. At most 20, then a count of the others.
    pub problems: Vec<String>,
    /// Problems beyond those named.
    pub more: u64,
}

impl FsckCheck {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            problems: Vec::new(),
            more: 0,
        }
    }

    fn problem(&mut self, problem: impl ToString) {
        if self.problems.len() < MAX_NAMED {
            self.problems.push(problem.to_string());
        } else {
            self.more += 1;
        }
    }
}

impl FsckReport {
    /// True when every check ran and found nothing.
    pub fn is_clean(&self) -> bool {
        self.checks.iter().all(|check| check.problems.is_empty())
    }
}

impl fmt::Display for FsckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(
                f,
                "{:<5} {}",
                if check.problems.is_empty() { "ok" } else { "BAD" },
                check.name
            )?;
            for problem in &check.problems {
                writeln!(f, "      {problem}")?;
            }
            if check.more > 0 {
                writeln!(f, "      and {} more", check.more)?;
            }
        }
        let Self {
            leaves,
            minimum_index,
            rollups,
            minutes,
            checkpoints,
            opened,
            forgotten,
            root,
            ..
        } = self;
        writeln!(
            f,
            "{leaves} leaves, {checkpoints} checkpoints, {opened} cycles opened, {forgotten} forgotten"
        )?;
        if *minimum_index > 0 || *rollups > 0 {
            writeln!(
                f,
                "pruned below leaf {minimum_index}, {rollups} rollups, of {minutes} the rows by the minute are there"
            )?;
        }
        write!(f, "root {root}")
    }
}

/// Checks the log in a data directory; `anchor` is its anchor file when it is not in the default place.
///
/// It reads one snapshot, so it can run beside a server. A problem of the log is in the report; an error
/// means that the log could not be read at all.
pub fn fsck(data_dir: &Path, anchor: Option<&Path>) -> Result<FsckReport, LogError> {
    // Before the snapshot: a server beside us moves it on, and it is never ahead of the database.
    let default = default_anchor_path(data_dir);
    let path = anchor.unwrap_or(&default);
    let anchored = anchor::read(path);
    let db = open_reader(&data_dir.join(DATABASE_FILE))?;
    // One snapshot for all checks.
    db.execute_batch("BEGIN")?;
    let replay: bool = db.query_row("SELECT v = 'replay' FROM meta WHERE k = 'kind'", [], |row| row.get(0))?;
    let mut fsck = Fsck {
        db: &db,
        report: FsckReport::default(),
        edge: Edge::new(),
        tiles: BTreeMap::new(),
        minimum: 0,
        rollups: Vec::new(),
    };
    fsck.database()?;
    fsck.pruned()?;
    fsck.leaves()?;
    fsck.tiles()?;
    fsck.checkpoints()?;
    fsck.rollups()?;
    fsck.commitments()?;
    fsck.blobs()?;
    if !replay {
        fsck.anchor(path, anchored);
    }
    Ok(fsck.report)
}

struct Fsck<'db> {
    db: &'db Connection,
    report: FsckReport,
    /// The tree over the leaves, recomputed.
    edge: Edge,
    /// The tiles that fell out of it.
    tiles: BTreeMap<(u8, u64), (u16, Vec<u8>)>,
    /// First leaf that is kept whatever its kind.
    minimum: u64,
    /// The ROLLUP leaves with their places.
    rollups: Vec<(u64, Rollup)>,
}

impl Fsck<'_> {
    fn database(&mut self) -> Result<(), LogError> {
        let mut check = FsckCheck::new("database pages and indices");
        let mut statement = self.db.prepare("PRAGMA integrity_check")?;
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            let line = line?;
            if line != "ok" {
                check.problem(line);
            }
        }
        self.report.checks.push(check);
        Ok(())
    }

    /// Grows the tree over what is pruned from the hashes of level 1, which stay; the checkpoints over it are checked
    /// with the leaves that follow.
    fn pruned(&mut self) -> Result<(), LogError> {
        let mut check = FsckCheck::new("pruned tiles: their hashes are there");
        let minimum: i64 = self
            .db
            .query_row("SELECT v FROM meta WHERE k = 'minimum_index'", [], |row| row.get(0))?;
        self.minimum = minimum.cast_unsigned();
        self.report.minimum_index = self.minimum;
        if !self.minimum.is_multiple_of(WIDTH) {
            check.problem(format!("the minimum index {minimum} is no multiple of 256"));
        }
        for index in 0..self.minimum / WIDTH {
            let level_1 = TileId {
                level: 1,
                index: index / WIDTH,
                width: (index % WIDTH) as u16 + 1,
            };
            let hashes = match read_tile(&SqlTiles(self.db), level_1) {
                Ok(hashes) => hashes,
                Err(error) => {
                    check.problem(error);
                    break;
                }
            };
            let mut hash = ZERO;
            hash.copy_from_slice(&hashes[hashes.len() - 32..]);
            let tiles = &mut self.tiles;
            self.edge.append_tile(hash, |id, data| {
                tiles.insert((id.level, id.index), (id.width, data.to_vec()));
            });
            // Some tiles of leaves stay whole or in part.
            if let Ok(hashes) = SqlTiles(self.db).tile(TileId {
                level: 0,
                index,
                width: TILE_WIDTH as u16,
            }) {
                if hashes.len() != 32 * TILE_WIDTH || subtree(&hashes) != hash {
                    check.problem(format!("tile {index}: not the hashes its parent stands for"));
                }
                self.tiles.insert((0, index), (TILE_WIDTH as u16, hashes));
            }
        }
        self.report.checks.push(check);
        Ok(())
    }

    /// A leaf below the minimum index that is kept: its hash is kept too.
    fn is_hashed(&self, seq: u64, bytes: &[u8]) -> bool {
        let at = 32 * (seq % WIDTH) as usize;
        self.tiles
            .get(&(0, seq / WIDTH))
            .is_some_and(|(_, hashes)| hashes.get(at..at + 32) == Some(&leaf_hash(bytes)[..]))
    }

    /// ROLLUP leaves follow each other without a gap, cover what is pruned, and are over the tree's own hashes; where
    /// the leaves are all there, they say what these add up to.
    fn rollups(&mut self) -> Result<(), LogError> {
        let mut check =
            FsckCheck::new("rollups: their ranges, what the leaves left add up to, and their rows by the minute");
        let mut end = 0;
        let mut before_ns = None;
        for (seq, rollup) in std::mem::take(&mut self.rollups) {
            if rollup.start != end || rollup.end > seq || rollup.end <= rollup.start {
                check.problem(format!(
                    "leaf {seq}: it is over {} to {}, after {end} and before itself was expected",
                    rollup.start, rollup.end
                ));
                break;
            }
            end = rollup.end;
            let digest = self.range_digest(&rollup)?;
            if digest != Some(rollup.range_digest) {
                check.problem(format!(
                    "leaf {seq}: its range_digest is not that of leaves {} to {end}",
                    rollup.start
                ));
            }
            if rollup.start >= self.minimum {
                match self.recomputed(&rollup) {
                    Ok(recomputed) => {
                        for differs in compare(&rollup, &recomputed) {
                            check.problem(format!("leaf {seq}: {differs}"));
                        }
                    }
                    Err(error) => check.problem(format!("leaf {seq}: {error}")),
                }
            }
            // Zero: there were no such rows. Rows by the minute outlive the leaves by weeks, and then go, too.
            if rollup.minute_rows != ZERO {
                let after_ns = before_ns.unwrap_or(rollup.first_wall_ns);
                match minutes(self.db, after_ns, rollup.last_wall_ns)? {
                    Minutes::Digest(digest) if digest != rollup.minute_rows => check.problem(format!(
                        "leaf {seq}: the rows by the minute that ended in its window are not those it names"
                    )),
                    Minutes::Digest(_) => self.report.minutes += 1,
                    Minutes::Open | Minutes::Gone => {}
                }
            }
            before_ns = Some(rollup.last_wall_ns);
            self.report.rollups += 1;
        }
        if end < self.minimum {
            check.problem(format!(
                "leaves before {} are pruned, but only those before {end} are rolled up",
                self.minimum
            ));
        }
        self.report.checks.push(check);
        Ok(())
    }

    fn range_digest(&self, rollup: &Rollup) -> Result<Option<Hash>, LogError> {
        if rollup.end > self.edge.size() {
            return Ok(None);
        }
        let mut hasher = Domain::Range.hasher();
        for index in rollup.start / WIDTH..rollup.end / WIDTH {
            let id = TileId {
                level: 1,
                index: index / WIDTH,
                width: (index % WIDTH) as u16 + 1,
            };
            // That the stored tile is the one of this tree is checked with the tiles.
            let hashes = read_tile(&SqlTiles(self.db), id)?;
            hasher.update(&hashes[hashes.len() - 32..]);
        }
        Ok(Some(*hasher.finalize().as_bytes()))
    }

    fn recomputed(&self, rollup: &Rollup) -> Result<Rollup, LogError> {
        let damaged = |error: RollupError| LogError::damaged("a rolled-up range", error);
        let mut counter = Counter::new(rollup.start).map_err(damaged)?;
        let mut statement = self.db.prepare_cached(
            "SELECT l.body, d.stages, d.outcome FROM leaf l LEFT JOIN cycle_data d ON d.seq = l.seq
             WHERE l.seq >= ?1 AND l.seq < ?2 ORDER BY l.seq",
        )?;
        let mut rows = statement.query([rollup.start.cast_signed(), rollup.end.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let (body, stages, outcome): (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            counter
                .add(&body, stages.as_deref().zip(outcome.as_deref()))
                .map_err(damaged)?;
        }
        counter.finish().map_err(damaged)
    }

    fn leaves(&mut self) -> Result<(), LogError> {
        let mut check = FsckCheck::new("leaves: codec, sequence, prev, time, what was in force");
        let mut signed_sizes = self.checkpoint_sizes()?.into_iter().peekable();
        let mut roots = FsckCheck::new("checkpoints: signatures and roots");
        let keys = match read_key_set(self.db) {
            Ok((_, keys)) => Some(keys),
            // A log that was opened and never written to.
            Err(_)
                if self
                    .db
                    .query_row("SELECT count(*) FROM leaf", [], |row| row.get::<_, i64>(0))?
                    == 0 =>
            {
                None
            }
            Err(error) => {
                roots.problem(format!("who signs cannot be told: {error}"));
                None
            }
        };
        let mut walk = Walk::default();
        let mut heads = |edge: &Edge| {
            let mut checked = 0;
            while let Some((size, note)) = signed_sizes.next_if(|(size, _)| *size <= edge.size()) {
                checked += 1;
                if let Some(keys) = &keys {
                    match keys.open(note.as_bytes()) {
                        Ok(signed) if signed.checkpoint.size != size => {
                            roots.problem(format!("checkpoint {size} signs size {}", signed.checkpoint.size));
                        }
                        Ok(signed) if signed.checkpoint.root != edge.root() => {
                            roots.problem(format!("checkpoint {size} signs another root"));
                        }
                        Ok(_) => {}
                        Err(error) => roots.problem(format!("checkpoint {size}: {error}")),
                    }
                }
            }
            checked
        };
        if self.minimum > 0 {
            // One over the pruned tiles and no more.
            self.report.checkpoints += heads(&self.edge);
        }
        let mut statement = self.db.prepare("SELECT seq, kind, body FROM leaf ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)? as u64;
            let bytes = row
                .get_ref(2)?
                .as_blob()
                .map_err(|error| LogError::damaged(format!("leaf {seq}"), error))?;
            let kept_alone = seq < self.minimum;
            if kept_alone && !self.is_hashed(seq, bytes) {
                check.problem(format!(
                    "leaf {seq}: kept, but its bytes are not those hashed in the tree"
                ));
                continue;
            }
            if !kept_alone && seq != self.edge.size() {
                check.problem(format!("leaf {} is missing", self.edge.size()));
                break;
            }
            match walk.step(seq, bytes) {
                Ok(leaf) if leaf.header.kind as i64 != row.get::<_, i64>(1)? => {
                    check.problem(format!(
                        "leaf {seq}: the kind column does not say {}",
                        leaf.header.kind.name()
                    ));
                }
                Ok(leaf) if leaf.header.kind == Kind::Cycle && !walk.in_force_known() => {
                    check.problem(format!("leaf {seq}: no BOOT leaf says under which manifest it ran"));
                }
                Ok(leaf) => {
                    if let Body::Rollup(rollup) = leaf.body {
                        self.rollups.push((seq, rollup));
                    }
                }
                Err(error) => check.problem(error),
            }
            if kept_alone {
                continue;
            }
            let tiles = &mut self.tiles;
            self.edge.append(leaf_hash(bytes), |id, data| {
                tiles.insert((id.level, id.index), (id.width, data.to_vec()));
            });
            self.report.checkpoints += heads(&self.edge);
        }
        for (size, _) in signed_sizes {
            roots.problem(format!("checkpoint {size} covers leaves that are not there"));
        }
        let tiles = &mut self.tiles;
        for (id, data) in self.edge.open_tiles() {
            tiles.insert((id.level, id.index), (id.width, data.to_vec()));
        }
        (self.report.leaves, self.report.root) = (self.edge.size(), hex::encode(self.edge.root()));
        self.report.checks.extend([check, roots]);
        Ok(())
    }

    fn checkpoint_sizes(&self) -> Result<Vec<(u64, String)>, LogError> {
        let mut statement = self.db.prepare("SELECT size, note FROM checkpoint ORDER BY size")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn checkpoints(&mut self) -> Result<(), LogError> {
        let mut check = FsckCheck::new("the last checkpoint covers every leaf");
        let last: i64 = self
            .db
            .query_row("SELECT coalesce(max(size), 0) FROM checkpoint", [], |row| row.get(0))?;
        if last as u64 != self.edge.size() {
            check.problem(format!("it covers {last} of {} leaves", self.edge.size()));
        }
        self.report.checks.push(check);
        Ok(())
    }

    fn tiles(&mut self) -> Result<(), LogError> {
        let mut check = FsckCheck::new("tiles: the hashes of these leaves and no others");
        let mut statement = self
            .db
            .prepare("SELECT level, idx, width, data FROM tile ORDER BY level, idx")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = TileId {
                level: row.get(0)?,
                index: row.get::<_, i64>(1)? as u64,
                width: row.get(2)?,
            };
            let stored = row
                .get_ref(3)?
                .as_blob()
                .map_err(|error| LogError::damaged(id.to_string(), error))?;
            match self.tiles.remove(&(id.level, id.index)) {
                None => check.problem(format!("{id}: no such tile in this tree")),
                Some((width, data)) if width != id.width || data != stored => {
                    check.problem(format!("{id}: not the hashes of these leaves"));
                }
                Some(_) => {}
            }
        }
        for ((level, index), (width, _)) in &self.tiles {
            check.problem(format!(
                "{} is missing",
                TileId {
                    level: *level,
                    index: *index,
                    width: *width
                }
            ));
        }
        self.report.checks.push(check);
        Ok(())
    }

    fn commitments(&mut self) -> Result<(), LogError> {
        let mut check = FsckCheck::new("commitments open, and query rows follow from them");
        let mut statement = self.db.prepare(
            "SELECT l.seq, l.body, d.inputs, d.stages, d.outcome, d.state, d.seq IS NOT NULL, c.tick, c.t_ms
             FROM leaf l LEFT JOIN cycle_data d ON d.seq = l.seq LEFT JOIN cycle c ON c.seq = l.seq
             WHERE l.kind = 1 ORDER BY l.seq",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)? as u64;
            let bytes = row
                .get_ref(1)?
                .as_blob()
                .map_err(|error| LogError::damaged(format!("leaf {seq}"), error))?;
            let Ok(leaf) = tapline_witness::leaf::decode(bytes) else {
                continue;
            };
            let Body::Cycle(cycle) = leaf.body else { continue };
            let blind_key = salts::blind_key(self.db, seq)?;
            let (Some(blind_key), true) = (blind_key, row.get::<_, bool>(6)?) else {
                self.report.forgotten += 1;
                continue;
            };
            let opened = Opened {
                log_id: leaf.header.log_id,
                seq,
                blind_key,
                cycle,
            };
            let blob = |column: usize| -> Result<Option<Vec<u8>>, LogError> { Ok(row.get(column)?) };
            for (field, column) in Field::ALL.into_iter().zip(2..) {
                opened.check(field, blob(column)?.as_deref(), &mut check);
            }
            match decode_outcome(&blob(4)?.unwrap_or_default()) {
                Ok(outcome) => {
                    let row: (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
                    if row != (Some(outcome.tick as i64), Some(outcome.t_ms)) {
                        check.problem(format!("cycle {seq}: its query row is missing or says something else"));
                    }
                    if outcome.tick != leaf.header.tick {
                        check.problem(format!("cycle {seq}: outcome of tick {}", outcome.tick));
                    }
                }
                Err(error) => check.problem(format!("cycle {seq}: {error}")),
            }
            self.report.opened += 1;
        }
        self.report.checks.push(check);
        Ok(())
    }

    fn blobs(&mut self) -> Result<(), LogError> {
        let mut check = FsckCheck::new("artefacts hash to their names");
        let mut statement = self.db.prepare("SELECT hash, kind, bytes FROM blob")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (hash, kind): (Hash, String) = (row.get(0)?, row.get(1)?);
            let bytes = row
                .get_ref(2)?
                .as_blob()
                .map_err(|error| LogError::damaged("blob", error))?;
            if blob_domain(&kind).hash(bytes) != hash {
                check.problem(format!("{kind} {}: other bytes", hex::encode(hash)));
            }
        }
        self.report.checks.push(check);
        Ok(())
    }

    fn anchor(&mut self, path: &Path, anchored: Result<Option<AnchorState>, LogError>) {
        let mut check = FsckCheck::new("anchor: nothing published is missing");
        let log_id = read_genesis(self.db).map_or(ZERO, |(_, log_id)| log_id);
        match anchored {
            Ok(None) if self.edge.size() == 0 => {}
            Ok(None) => check.problem(format!("{} is missing", path.display())),
            // Before the first commit there is no GENESIS to compare the log id with.
            Ok(Some(state)) if state.size == 0 && self.edge.size() == 0 => {}
            Ok(Some(state)) => {
                let found = Recovered {
                    size: self.edge.size(),
                    root: self.edge.root(),
                };
                if let Err(error) = check_anchor(self.db, path, &state, &log_id, &found) {
                    check.problem(error);
                }
            }
            Err(error) => check.problem(error),
        }
        self.report.checks.push(check);
    }
}

/// The domain a stored artefact is hashed in.
pub(crate) fn blob_domain(kind: &str) -> Domain {
    match kind {
        "manifest" => Domain::Manifest,
        "config" => Domain::Config,
        "calibration" => Domain::Calibration,
        _ => Domain::Blob,
    }
}

struct Opened {
    log_id: Hash,
    seq: u64,
    blind_key: Hash,
    cycle: Cycle,
}

impl Opened {
    fn check(&self, field: Field, bytes: Option<&[u8]>, check: &mut FsckCheck) {
        let expected = match field {
            Field::Inputs => self.cycle.inputs,
            Field::Stages => self.cycle.stages,
            Field::Outcome => self.cycle.outcome,
            Field::State => self.cycle.state,
        };
        let Some(bytes) = bytes else {
            // Raw input is forgotten before the rest; only keyframes have a state.
            if field == Field::State && expected != ZERO {
                check.problem(format!("cycle {}: the state of a keyframe is missing", self.seq));
            }
            return;
        };
        let salt = salt(&self.blind_key, &self.log_id, self.seq, field);
        if commit(field, &salt, bytes) != expected {
            check.problem(format!(
                "cycle {}: {} are not what the leaf commits to",
                self.seq,
                field.name()
            ));
        }
    }
}
