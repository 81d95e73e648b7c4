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
        if self.raw_s != u64::MAX
            && let Some(last) = last_past(db, WITH_INPUTS, (newest_ns, raw, i64::MIN), batch)?
        {
            touched += db
                .prepare_cached("UPDATE cycle_data SET inputs = NULL WHERE inputs IS NOT NULL AND seq <= ?1")?
                .execute([last])?;
        }
        if self.cycles_s == u64::MAX && self.cycles_max == u64::MAX {
            return Ok(touched);
        }
        let last = last_past(db, ADDED_UP, (newest_ns, cycles, first_seq), batch)?;
        let Some(last) = last else { return Ok(touched) };
        for table in ["cycle_data WHERE seq", "track WHERE cycle", "cycle WHERE seq"] {
            touched += db
                .prepare_cached(&format!("DELETE FROM {table} <= ?1"))?
                .execute([last])?;
        }
        // What opens their commitments goes with them.
        touched += salts::erase_below(db, last.cast_unsigned() + 1)?;
        for sql in [NODES_ENDED, EDGES_ENDED] {
            db.prepare_cached(sql)?.execute([last])?;
        }
        Ok(touched)
    }
}

/// Cycles with raw input.
const WITH_INPUTS: &str =
    "SELECT d.seq, wall_ns FROM cycle_data d CROSS JOIN cycle c ON c.seq = d.seq WHERE d.inputs IS NOT NULL";
/// Cycles that may go: what is not added up yet stays until it is.
const ADDED_UP: &str = "SELECT d.seq, wall_ns FROM cycle d WHERE d.seq < (SELECT seq FROM rollup_next)";
pub(super) const NODES_ENDED: &str = "DELETE FROM world_node WHERE to_seq <= ?1";
pub(super) const EDGES_ENDED: &str = "DELETE FROM world_edge WHERE to_seq <= ?1";

/// The last one that goes of the first `batch` rows of `cycles`: a cycle from before `oldest_ns` or `oldest_seq`; none when all
/// stay. Where the oldest are of a clock that was ahead of `newest_ns`, the whole batch goes once the first later one that is not
/// is past its time: by their own time they would hold up all others until it has come.
fn last_past(
    db: &Connection,
    cycles: &str,
    (newest_ns, oldest_ns, oldest_seq): (i64, i64, i64),
    batch: u32,
) -> Result<Option<i64>, StoreError> {
    // `+`: by sequence number, not by the index on time.
    let (last, first_ns, end): (Option<i64>, Option<i64>, Option<i64>) = db
        .prepare_cached(&format!(
            "WITH first AS MATERIALIZED ({cycles} ORDER BY d.seq LIMIT ?3)
             SELECT max(seq) FILTER (WHERE wall_ns < ?1 OR seq < ?2),
                    (SELECT wall_ns FROM first ORDER BY seq LIMIT 1), max(seq) FROM first"
        ))?
        .query_row(params![oldest_ns, oldest_seq, batch], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    if last.is_some() || first_ns.is_none_or(|first_ns| first_ns <= newest_ns) {
        return Ok(last);
    }
    let later: Option<(i64, i64)> = db
        .prepare_cached(&format!("{cycles} AND +wall_ns <= ?1 ORDER BY d.seq LIMIT 1"))?
        .query_row([newest_ns], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match later {
        Some((later, wall_ns)) if wall_ns < oldest_ns => end.map(|end| end.min(later)),
        _ => None,
    })
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

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::store::{
        DATABASE_FILE,
        schema::{StoreKind, open_writer},
    };

    const SECOND_NS: i64 = 1_000_000_000;

    /// One cycle a second with raw input; those of `ahead` are stamped a day ahead.
    fn store(cycles: i64, ahead: std::ops::Range<i64>) -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let db = open_writer(&dir.path().join(DATABASE_FILE), StoreKind::Live).unwrap();
        let tx = db.unchecked_transaction().unwrap();
        for seq in 0..cycles {
            let day_ns = if ahead.contains(&seq) { 86_400 * SECOND_NS } else { 0 };
            tx.prepare_cached(
                "INSERT INTO cycle (seq, tick, t_ms, wall_ns, outcome_code, privacy_class, gate, presence_state, simulated)
                 VALUES (?1, ?1, 0, ?2, 0, 0, '', '', 0)",
            )
            .unwrap()
            .execute([seq, seq * SECOND_NS + day_ns])
            .unwrap();
            tx.prepare_cached("INSERT INTO cycle_data (seq, inputs, stages, outcome) VALUES (?1, x'01', x'', x'')")
                .unwrap()
                .execute([seq])
                .unwrap();
        }
        tx.commit().unwrap();
        (dir, db)
    }

    /// An idle slot in which nothing is past its time read every cycle with raw input: its limit was one of what goes, not of what
    /// is looked at.
    #[test]
    fn a_slot_looks_at_a_batch_however_much_is_kept() {
        let (_dir, db) = store(20_000, 0..0);
        let sql = format!("{WITH_INPUTS} ORDER BY d.seq LIMIT 200");
        let mut statement = db.prepare(&sql).unwrap();
        assert_eq!(statement.query_map([], |_| Ok(())).unwrap().count(), 200);
        let steps = statement.get_status(StatementStatus::VmStep);
        assert!(steps < 10_000, "{steps} for 200 of 20,000");
        let all = last_past(&db, WITH_INPUTS, (20_000 * SECOND_NS, 0, i64::MIN), 200).unwrap();
        assert_eq!(all, None);
    }

    #[test]
    fn raw_input_stamped_ahead_holds_up_no_other() {
        let (_dir, db) = store(2_000, 100..700);
        let retention = Retention {
            raw_s: 900,
            ..Retention::FOREVER
        };
        while retention.forget(&db, 200).unwrap() > 0 {}
        let oldest: i64 = db
            .query_row("SELECT min(seq) FROM cycle_data WHERE inputs IS NOT NULL", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(oldest, 1_999 - 900);
    }
}
