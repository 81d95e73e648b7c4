//! Queries over read-only connections. Readers see a snapshot each and never block the writer.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, Row, params};
use tapline_witness::{
    body::Body,
    hash::Hash,
    leaf::{self, Kind},
    tile::TileId,
};

use super::{DATABASE_FILE, StoreError, schema::open_reader};

/// Most rows one query gives.
pub const MAX_PAGE: u32 = 1000;
/// Most connections kept open between queries.
const MAX_IDLE: usize = 8;

/// The columns of [`CycleRow`] in order.
macro_rules! cycle_columns {
    () => {
        "seq, tick, t_ms, wall_ns, outcome_code, privacy_class, gate, quality, people, presence_state, presence_p, simulated"
    };
}

/// The columns of [`TrackRow`] in order.
macro_rules! track_columns {
    () => {
        "cycle, id, active, existence, x, y, z, vx, vy, vz, sigma_m"
    };
}

/// The columns of [`NodeRow`] and its table.
macro_rules! nodes {
    () => {
        "SELECT id, kind, label, from_seq, to_seq FROM world_node"
    };
}

/// The columns of [`EdgeRow`] and its table.
macro_rules! edges {
    () => {
        "SELECT src, dst, kind, label, from_seq, to_seq FROM world_edge"
    };
}

/// What stood after cycle `?1`.
macro_rules! stood {
    () => {
        " WHERE from_seq <= ?1 AND (to_seq IS NULL OR to_seq > ?1)"
    };
}

// What stands now has statements of its own: every commit asks, and only so the index on it is used.
const NODES_NOW: &str = concat!(nodes!(), " WHERE to_seq IS NULL ORDER BY id");
const NODES_AT: &str = concat!(nodes!(), stood!(), " ORDER BY id");
const EDGES_NOW: &str = concat!(edges!(), " WHERE to_seq IS NULL ORDER BY src, dst, kind");
const EDGES_AT: &str = concat!(edges!(), stood!(), " ORDER BY src, dst, kind");

// The kinds are written out. `kind <> 1` is what the index asks for: SQLite does not see that it follows.
const CALIBRATIONS: &str = "SELECT body FROM leaf WHERE kind <> 1 AND kind = 6 ORDER BY seq DESC";
const CONFIG_BEFORE: [&str; 2] = [
    "SELECT seq, body FROM leaf WHERE kind <> 1 AND kind = 2 AND seq < ?1 ORDER BY seq DESC LIMIT 1",
    "SELECT seq, body FROM leaf WHERE kind <> 1 AND kind = 5 AND seq < ?1 ORDER BY seq DESC LIMIT 1",
];

/// A calibration that was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCalibration {
    /// When it was put in force first, wall clock, nanoseconds since 1970.
    pub since_ns: i64,
    /// The witnessed configuration it was put in force under first.
    pub config: String,
    /// The artefact's bytes.
    pub artefact: Vec<u8>,
}

/// A summary of one cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleRow {
    /// Index of its leaf.
    pub seq: u64,
    /// 50 ms slot since boot.
    pub tick: u64,
    /// End of the slot in the time base of the input, milliseconds.
    pub t_ms: i64,
    /// Unix nanoseconds.
    pub wall_ns: i64,
    /// [`tapline_witness::body::OutcomeCode`] as a byte.
    pub outcome_code: u8,
    /// Privacy class after demotion, 0 to 3.
    pub privacy_class: u8,
    /// The gate's decision.
    pub gate: String,
    /// 0 to 1.
    pub quality: Option<f32>,
    /// Number of people, when known.
    pub people: Option<u16>,
    /// Presence of the site.
    pub presence_state: String,
    /// Probability that anybody is there.
    pub presence_p: Option<f32>,
    /// True when any frame was simulated.
    pub simulated: bool,
}

/// One person in one cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackRow {
    /// Index of the cycle's leaf.
    pub cycle: u64,
    /// Published identity.
    pub id: u64,
    /// True while measurements support it.
    pub active: bool,
    /// Probability that this person exists.
    pub existence: f32,
    /// Metres; an axis the radio cannot give is none.
    pub position_m: [Option<f32>; 3],
    /// Metres a second.
    pub velocity_m_s: [Option<f32>; 3],
    /// Standard deviation of the position, metres.
    pub sigma_m: f32,
}

/// What a cycle committed to, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleData {
    /// `inputs_list`; none once forgotten.
    pub inputs: Option<Vec<u8>>,
    /// `stages_list`.
    pub stages: Vec<u8>,
    /// `outcome_bytes`.
    pub outcome: Vec<u8>,
    /// The state after this cycle, on keyframes.
    pub state: Option<Vec<u8>>,
}

/// A leaf and whether it is under a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRow {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// True when the latest checkpoint covers it.
    pub durable: bool,
}

/// A checkpoint as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Leaves under it.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

/// A node of the world graph over an interval of cycles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: String,
    /// Attributes, JSON.
    pub label: String,
    /// First cycle with it.
    pub from_seq: u64,
    /// First cycle without it; none while it lasts.
    pub to_seq: Option<u64>,
}

/// An edge of the world graph over an interval of cycles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeRow {
    /// Source node.
    pub src: String,
    /// Target node.
    pub dst: String,
    /// What it says.
    pub kind: String,
    /// Attributes, JSON.
    pub label: String,
    /// First cycle with it.
    pub from_seq: u64,
    /// First cycle without it; none while it lasts.
    pub to_seq: Option<u64>,
}

/// The world graph as of one cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorldRows {
    /// The cycle.
    pub cycle: u64,
    /// Ascending id.
    pub nodes: Vec<NodeRow>,
    /// Ascending (source, target, kind).
    pub edges: Vec<EdgeRow>,
}

/// How much the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Leaves of the log.
    pub leaves: u64,
    /// Leaves under the latest checkpoint.
    pub durable: u64,
    /// Cycles that can be queried.
    pub cycles: u64,
    /// Database file, bytes.
    pub database_bytes: u64,
    /// Write-ahead log, bytes.
    pub wal_bytes: u64,
}

/// Reads the store from any thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Reader {
    /// A reader of the store in this data directory, which must exist.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(DATABASE_FILE);
        let first = open_reader(&path)?;
        Ok(Self {
            path: Arc::new(path),
            idle: Arc::new(Mutex::new(vec![first])),
        })
    }

    /// Runs `query` over one snapshot of the store.
    pub fn snapshot<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.snapshot_or(query)
    }

    /// Runs a query that may fail in a way of its own over one snapshot of the store.
    pub fn snapshot_or<T, E: From<StoreError>>(&self, query: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let idle = self.lock().pop();
        let db = match idle {
            Some(db) => db,
            None => open_reader(&self.path)?,
        };
        // Every statement of the query sees the same commit.
        let tx = db.unchecked_transaction().map_err(StoreError::from)?;
        let result = query(&tx);
        tx.finish().map_err(StoreError::from)?;
        let mut idle = self.lock();
        if idle.len() < MAX_IDLE {
            idle.push(db);
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A panic elsewhere cannot leave a list of connections half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cycles below leaf index `before` (none: from the newest), newest first, at most `limit`.
    pub fn cycles(&self, before: Option<u64>, limit: u32) -> Result<Vec<CycleRow>, StoreError> {
        self.snapshot(|db| {
            let sql = concat!(
                "SELECT ",
                cycle_columns!(),
                " FROM cycle WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2"
            );
            all(
                db,
                sql,
                params![sql_int(before.unwrap_or(u64::MAX)), limit.min(MAX_PAGE)],
                cycle_row,
            )
        })
    }

    /// Cycles whose wall time lies in `from_ns..to_ns`, oldest first, at most `limit`.
    pub fn cycles_in(&self, from_ns: i64, to_ns: i64, limit: u32) -> Result<Vec<CycleRow>, StoreError> {
        self.snapshot(|db| {
            let sql = concat!(
                "SELECT ",
                cycle_columns!(),
                " FROM cycle WHERE wall_ns >= ?1 AND wall_ns < ?2 ORDER BY wall_ns, seq LIMIT ?3"
            );
            all(db, sql, params![from_ns, to_ns, limit.min(MAX_PAGE)], cycle_row)
        })
    }

    /// One cycle.
    pub fn cycle(&self, seq: u64) -> Result<Option<CycleRow>, StoreError> {
        self.snapshot(|db| {
            one(
                db,
                concat!("SELECT ", cycle_columns!(), " FROM cycle WHERE seq = ?1"),
                params![sql_int(seq)],
                cycle_row,
            )
        })
    }

    /// What a cycle committed to.
    pub fn cycle_data(&self, seq: u64) -> Result<Option<CycleData>, StoreError> {
        self.snapshot(|db| {
            let sql = "SELECT inputs, stages, outcome, state FROM cycle_data WHERE seq = ?1";
            one(db, sql, params![sql_int(seq)], |row| {
                Ok(CycleData {
                    inputs: row.get(0)?,
                    stages: row.get(1)?,
                    outcome: row.get(2)?,
                    state: row.get(3)?,
                })
            })
        })
    }

    /// People of the cycles in `from..to`, ascending (cycle, id), at most `limit` rows; of one identity when
    /// `id` is given.
    pub fn tracks(&self, from: u64, to: u64, id: Option<u64>, limit: u32) -> Result<Vec<TrackRow>, StoreError> {
        self.snapshot(|db| {
            let (from, to, limit) = (sql_int(from), sql_int(to), limit.min(MAX_PAGE));
            match id {
                Some(id) => {
                    let sql = concat!(
                        "SELECT ",
                        track_columns!(),
                        " FROM track WHERE id = ?4 AND cycle >= ?1 AND cycle < ?2 ORDER BY cycle LIMIT ?3"
                    );
                    all(db, sql, params![from, to, limit, id as i64], track_row)
                }
                None => {
                    let sql = concat!(
                        "SELECT ",
                        track_columns!(),
                        " FROM track WHERE cycle >= ?1 AND cycle < ?2 ORDER BY cycle, id LIMIT ?3"
                    );
                    all(db, sql, params![from, to, limit], track_row)
                }
            }
        })
    }

    /// One leaf.
    pub fn leaf(&self, seq: u64) -> Result<Option<LeafRow>, StoreError> {
        self.snapshot(|db| {
            let durable = latest_checkpoint(db)?.is_some_and(|checkpoint| seq < checkpoint.size);
            let sql = "SELECT body FROM leaf WHERE seq = ?1";
            one(db, sql, params![sql_int(seq)], |row| {
                Ok(LeafRow {
                    bytes: row.get(0)?,
                    durable,
                })
            })
        })
    }

    /// Leaves `from..to` in order, at most [`MAX_PAGE`].
    pub fn leaves(&self, from: u64, to: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.snapshot(|db| {
            let sql = "SELECT body FROM leaf WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3";
            all(db, sql, params![sql_int(from), sql_int(to), MAX_PAGE], |row| row.get(0))
        })
    }

    /// A tile, cut to the width asked for; none when the store holds fewer hashes of it.
    pub fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot(|db| {
            let sql = "SELECT data FROM tile WHERE level = ?1 AND idx = ?2 AND width >= ?3";
            let found = one(db, sql, params![id.level, sql_int(id.index), id.width], |row| {
                row.get::<_, Vec<u8>>(0)
            })?;
            Ok(found.map(|mut data| {
                data.truncate(32 * usize::from(id.width));
                data
            }))
        })
    }

    /// The latest checkpoint; none while the log is empty.
    pub fn latest_checkpoint(&self) -> Result<Option<CheckpointRow>, StoreError> {
        self.snapshot(latest_checkpoint)
    }

    /// The checkpoint of exactly this size.
    pub fn checkpoint(&self, size: u64) -> Result<Option<CheckpointRow>, StoreError> {
        self.snapshot(|db| {
            one(
                db,
                "SELECT size, note FROM checkpoint WHERE size = ?1",
                params![sql_int(size)],
                checkpoint_row,
            )
        })
    }

    /// An artefact by its hash: its kind and bytes.
    pub fn blob(&self, hash: &Hash) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        self.snapshot(|db| {
            let sql = "SELECT kind, bytes FROM blob WHERE hash = ?1";
            one(db, sql, params![hash], |row| Ok((row.get(0)?, row.get(1)?)))
        })
    }

    /// The calibration that the latest CALIBRATION leaf put in force, as it was when the first such leaf did.
    pub fn last_calibration(&self) -> Result<Option<KeptCalibration>, StoreError> {
        self.snapshot(|db| {
            const { assert!(Kind::Calibration as u8 == 6) };
            let mut first = None;
            let mut statement = db.prepare_cached(CALIBRATIONS)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                // What the log holds was checked when it was opened.
                let Ok(decoded) = leaf::decode(&row.get::<_, Vec<u8>>(0)?) else {
                    break;
                };
                let Body::Calibration(body) = decoded.body else {
                    break;
                };
                if first.is_some_and(|(id, _)| id != body.new_calibration_id) {
                    break;
                }
                first = Some((body.new_calibration_id, decoded.header));
            }
            let Some((id, header)) = first else {
                return Ok(None);
            };
            let blob = |hash: Hash| {
                let sql = "SELECT bytes FROM blob WHERE hash = ?1";
                one(db, sql, params![hash], |row| row.get::<_, Vec<u8>>(0))
            };
            let Some(artefact) = blob(id)? else {
                return Ok(None);
            };
            let config = match config_before(db, header.seq)? {
                Some(hash) => blob(hash)?,
                None => None,
            };
            Ok(Some(KeptCalibration {
                since_ns: header.wall_ns,
                artefact,
                config: config.map_or_else(String::new, |c| String::from_utf8_lossy(&c).into_owned()),
            }))
        })
    }

    /// The whole world graph as of cycle `at` (none: now).
    pub fn world(&self, at: Option<u64>) -> Result<WorldRows, StoreError> {
        self.snapshot(|db| {
            let cycle = match at {
                Some(at) => at,
                None => one(db, "SELECT max(seq) FROM cycle", [], |row| optional_unsigned(row, 0))?
                    .flatten()
                    .unwrap_or(0),
            };
            let (nodes, edges) = match at.map(sql_int) {
                Some(at) => (all(db, NODES_AT, [at], node_row)?, all(db, EDGES_AT, [at], edge_row)?),
                None => (all(db, NODES_NOW, [], node_row)?, all(db, EDGES_NOW, [], edge_row)?),
            };
            Ok(WorldRows { cycle, nodes, edges })
        })
    }

    /// How much the store holds.
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        let (leaves, durable, cycles) = self.snapshot(|db| {
            let number =
                |sql: &str| -> rusqlite::Result<i64> { db.prepare_cached(sql)?.query_row([], |row| row.get(0)) };
            Ok((
                number("SELECT coalesce(max(seq) + 1, 0) FROM leaf")?,
                number("SELECT coalesce(max(size), 0) FROM checkpoint")?,
                number("SELECT count(*) FROM cycle")?,
            ))
        })?;
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let mut wal = self.path.as_os_str().to_owned();
        wal.push("-wal");
        Ok(StoreStats {
            leaves: leaves as u64,
            durable: durable as u64,
            cycles: cycles as u64,
            database_bytes: bytes(&self.path),
            wal_bytes: bytes(Path::new(&wal)),
        })
    }
}

/// SQLite integers are signed; no index of ours comes near 2^63, and a client's may mean "after all".
pub(crate) fn sql_int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Hash of the configuration in force at a leaf: the last BOOT or CONFIG before it names it.
fn config_before(db: &Connection, seq: u64) -> Result<Option<Hash>, StoreError> {
    const { assert!(Kind::Boot as u8 == 2 && Kind::Config as u8 == 5) };
    let mut newest = None;
    for sql in CONFIG_BEFORE {
        let found = one(db, sql, params![sql_int(seq)], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        newest = newest.max(found);
    }
    Ok(newest.and_then(|(_, bytes)| match leaf::decode(&bytes).ok()?.body {
        Body::Boot(boot) => Some(boot.config_hash),
        Body::Config(config) => Some(config.new_config_hash),
        _ => None,
    }))
}

fn one<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    Ok(db.prepare_cached(sql)?.query_row(params, map).optional()?)
}

fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    Ok(db
        .prepare_cached(sql)?
        .query_map(params, map)?
        .collect::<rusqlite::Result<_>>()?)
}

fn latest_checkpoint(db: &Connection) -> Result<Option<CheckpointRow>, StoreError> {
    one(
        db,
        "SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1",
        [],
        checkpoint_row,
    )
}

fn checkpoint_row(row: &Row<'_>) -> rusqlite::Result<CheckpointRow> {
    Ok(CheckpointRow {
        size: unsigned(row, 0)?,
        note: row.get(1)?,
    })
}

fn cycle_row(row: &Row<'_>) -> rusqlite::Result<CycleRow> {
    Ok(CycleRow {
        seq: unsigned(row, 0)?,
        tick: unsigned(row, 1)?,
        t_ms: row.get(2)?,
        wall_ns: row.get(3)?,
        outcome_code: row.get(4)?,
        privacy_class: row.get(5)?,
        gate: row.get(6)?,
        quality: row.get(7)?,
        people: row.get(8)?,
        presence_state: row.get(9)?,
        presence_p: row.get(10)?,
        simulated: row.get(11)?,
    })
}

fn track_row(row: &Row<'_>) -> rusqlite::Result<TrackRow> {
    Ok(TrackRow {
        cycle: unsigned(row, 0)?,
        id: unsigned(row, 1)?,
        active: row.get(2)?,
        existence: row.get(3)?,
        position_m: [row.get(4)?, row.get(5)?, row.get(6)?],
        velocity_m_s: [row.get(7)?, row.get(8)?, row.get(9)?],
        sigma_m: row.get(10)?,
    })
}

fn node_row(row: &Row<'_>) -> rusqlite::Result<NodeRow> {
    Ok(NodeRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        label: row.get(2)?,
        from_seq: unsigned(row, 3)?,
        to_seq: optional_unsigned(row, 4)?,
    })
}

fn edge_row(row: &Row<'_>) -> rusqlite::Result<EdgeRow> {
    Ok(EdgeRow {
        src: row.get(0)?,
        dst: row.get(1)?,
        kind: row.get(2)?,
        label: row.get(3)?,
        from_seq: unsigned(row, 4)?,
        to_seq: optional_unsigned(row, 5)?,
    })
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)? as u64)
}

fn optional_unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|value| value as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        calibrations, manifests, retention,
        schema::{StoreKind, open_writer},
    };

    /// What is asked at every start, at every commit and in every idle slot walked through whole tables: the index on leaves that
    /// are no cycles was not used, since SQLite does not see that `kind = 6` says `kind <> 1`.
    #[test]
    fn what_is_asked_often_is_found_by_its_index() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_writer(&dir.path().join(DATABASE_FILE), StoreKind::Live).unwrap();
        let of_kinds = [CALIBRATIONS, calibrations::LEAVES]
            .into_iter()
            .chain(CONFIG_BEFORE)
            .chain(manifests::LEAVES)
            .map(|sql| (sql, "leaf_other_than_cycle"));
        let others = [
            (NODES_NOW, "world_node_live"),
            (EDGES_NOW, "world_edge_live"),
            (retention::NODES_ENDED, "world_node_ended"),
            (retention::EDGES_ENDED, "world_edge_ended"),
        ];
        for (sql, index) in of_kinds.chain(others) {
            let arguments = vec![1; sql.matches('?').count()];
            let plan: Vec<String> = db
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap()
                .query_map(rusqlite::params_from_iter(arguments), |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert!(
                plan.len() == 1 && plan[0].contains(&format!(" INDEX {index}")),
                "{sql}: {plan:?}"
            );
        }
    }

    /// More than a thousand edges were cut off, and those that were survived every restart.
    #[test]
    fn the_world_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_writer(&dir.path().join(DATABASE_FILE), StoreKind::Live).unwrap();
        db.execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
             INSERT INTO world_edge SELECT 'link:' || i, 'room:a', 'Observes', '{}', i, iif(i > 2400, 2600, NULL) FROM n;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
             INSERT INTO world_node SELECT 'link:' || i, 'RfLink', '{}', i, NULL FROM n;",
        )
        .unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let sizes = |at| {
            let world = reader.world(at).unwrap();
            (world.nodes.len(), world.edges.len())
        };
        assert_eq!(sizes(None), (1_500, 2_400));
        assert_eq!(sizes(Some(2_599)), (1_500, 2_500));
        assert_eq!(sizes(Some(2_600)), (1_500, 2_400));
        assert_eq!(sizes(Some(1_200)), (1_200, 1_200));
    }
}
