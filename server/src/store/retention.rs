//! Forgetting what is past its time, in small batches, so that no commit waits for it.
//!
//! Leaves and tiles are not touched here: they are pruned only after a rollup ([`crate::log`]).

use rusqlite::{Connection, OptionalExtension, params};
use tapline_witness::body::RetentionPolicy;

use super::{StoreError, clock, salts};

/// How long what is kept, measured on `wall_ns` of the cycles, as far as that clock is believed ([`clock`]): what is erased
/// because a clock was set ahead by mistake does not come back when it is set right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Raw input behind the commitments, seconds.
    pub raw_s: u64,
    /// Cycles, tracks and what else commitments open to, seconds.
    pub cycles_s: u64,
    /// Most cycles kept whatever their age.
    pub cycles_max: u64,
    /// Leaves and their hashes, once they are rolled up, seconds.
    pub leaves_s: u64,
}

impl Default for Retention {
    /// A quarter of an hour of raw input; a day of cycles and of leaves.
    fn default() -> Self {
        Self {
            raw_s: 15 * 60,
            cycles_s: 24 * 3600,
            cycles_max: 2_000_000,
            leaves_s: 24 * 3600,
        }
    }
}

impl Retention {
    /// Keeps everything: for replays, whose stores are thrown away whole.
    pub const FOREVER: Self = Self {
        raw_s: u64::MAX,
        cycles_s: u64::MAX,
        cycles_max: u64::MAX,
        leaves_s: u64::MAX,
    };

    /// What the log says of it. Rollups are kept for ever, by the day at least.
    pub const fn policy(&self) -> RetentionPolicy {
        RetentionPolicy {
            raw_s: self.raw_s,
            cycles_s: self.cycles_s,
            leaves_s: self.leaves_s,
            rollups_s: u64::MAX,
        }
    }

    /// Forgets at most `batch` cycles and the raw input of at most `batch` cycles, oldest first. Returns how
    /// many rows it touched; call again while that is not zero.
    pub(crate) fn forget(&self, db: &Connection, batch: u32) -> Result<usize, StoreError> {
        if *self == Self::FOREVER {
            return Ok(0);
        }
        let Some((newest_seq, newest_ns)) = clock::newest(db)? else {
            return Ok(0);
        };
        let raw = oldest_kept(newest_ns, self.raw_s);
        let cycles = oldest_kept(newest_ns, self.cycles_s);
        let first_seq = newest_seq.saturating_add(1).saturating_sub_unsigned(self.cycles_max);

        // Both walk from the oldest sequence number, so a batch costs no more than itself. Where the wall
        // clock was set back, a cycle goes with the first later one that is past its time.
        let mut touched = 0;
        if self.raw_s != u64::MAX {
            touched += db
                .prepare_cached(
                    "UPDATE cycle_data SET inputs = NULL WHERE seq IN (
                         SELECT d.seq FROM cycle_data d JOIN cycle c ON c.seq = d.seq
                         WHERE d.inputs IS NOT NULL AND c.wall_ns < ?1 ORDER BY d.seq LIMIT ?2)",
                )?
                .execute(params![raw, batch])?;
        }
        if self.cycles_s == u64::MAX && self.cycles_max == u64::MAX {
            return Ok(touched);
        }
        let last: Option<i64> = db
            .prepare_cached(
                // What is not added up yet stays until it is.
                "SELECT max(seq) FROM (SELECT seq, wall_ns FROM cycle ORDER BY seq LIMIT ?3)
                 WHERE (wall_ns < ?1 OR seq < ?2) AND seq < (SELECT seq FROM rollup_next)",
            )?
            .query_row(params![cycles, first_seq, batch], |row| row.get(0))?;
        let last = match last {
            Some(last) => Some(last),
            None => ahead(db, newest_ns, cycles, batch)?,
        };
        let Some(last) = last else { return Ok(touched) };
        for table in ["cycle_data WHERE seq", "track WHERE cycle", "cycle WHERE seq"] {
            touched += db
                .prepare_cached(&format!("DELETE FROM {table} <= ?1"))?
                .execute([last])?;
        }
        // What opens their commitments goes with them.
        touched += salts::erase_below(db, last.cast_unsigned() + 1)?;
        db.prepare_cached("DELETE FROM world_node WHERE to_seq <= ?1")?
            .execute([last])?;
        db.prepare_cached("DELETE FROM world_edge WHERE to_seq <= ?1")?
            .execute([last])?;
        Ok(touched)
    }
}

/// Where the oldest cycles are of a clock that was ahead of `newest_ns`: the last of a batch of them, once the first later cycle is
/// past its time. By their own time they would hold up all others until it has come.
fn ahead(db: &Connection, newest_ns: i64, oldest_kept_ns: i64, batch: u32) -> Result<Option<i64>, StoreError> {
    let later: Option<(i64, i64)> = db
        // `+`: by sequence number, not by the index on time.
        .prepare_cached("SELECT seq, wall_ns FROM cycle WHERE +wall_ns <= ?1 ORDER BY seq LIMIT 1")?
        .query_row([newest_ns], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((later, _)) = later.filter(|(_, wall_ns)| *wall_ns < oldest_kept_ns) else {
        return Ok(None);
    };
    let last = db
        .prepare_cached(
            "SELECT max(seq) FROM (SELECT seq FROM cycle ORDER BY seq LIMIT ?2)
             WHERE seq < ?1 AND seq < (SELECT seq FROM rollup_next)",
        )?
        .query_row(params![later, batch], |row| row.get(0))?;
    Ok(last)
}

/// Gives at most `most` free pages back to the file system.
pub(crate) fn free_pages(db: &Connection, most: u32) -> Result<(), StoreError> {
    let mut statement = db.prepare(&format!("PRAGMA incremental_vacuum({most})"))?;
    let mut rows = statement.query([])?;
    // It frees one page a row.
    while rows.next()?.is_some() {}
    Ok(())
}

fn oldest_kept(newest_ns: i64, keep_s: u64) -> i64 {
    let keep_ns = i64::try_from(keep_s).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    newest_ns.saturating_sub(keep_ns)
}
