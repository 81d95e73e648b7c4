//! Forgetting rollups: by age and by bytes, never what the next level has not taken yet; and on an order what tells the way of
//! people.

use rusqlite::{Connection, ToSql, Transaction, params};

use super::{RollupOptions, series};
use crate::{
    rollup::{Kind, Level, Series},
    store::StoreError,
};

/// Rows of a level forgotten in one step at least.
const STEP_ROWS: u64 = 2_000;

/// How long the rows of each level are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Seconds that rows of a level are kept, finest first; none for ever.
    pub seconds: [Option<u64>; 4],
    /// Bytes that rows of a level may take, finest first; none for any number.
    pub bytes: [Option<u64>; 4],
}

impl Default for Keep {
    /// A day of seconds, 60 days of minutes, three years of hours, days for ever.
    fn default() -> Self {
        const DAY_S: u64 = 86_400;
        Self {
            seconds: [Some(DAY_S), Some(60 * DAY_S), Some(3 * 366 * DAY_S), None],
            bytes: [Some(256 << 20), Some(512 << 20), Some(512 << 20), None],
        }
    }
}

/// Forgets some of what is past its time. True when there is more. `written`: rows that were written since the last time; of
/// each level as many may go twice over, so that no site writes more than it forgets.
pub(super) fn prune(tx: &Transaction<'_>, options: &RollupOptions, written: u64) -> Result<bool, StoreError> {
    let most = STEP_ROWS.max(written.saturating_mul(2));
    let keep = &options.keep;
    let mut more = false;
    let cursors: Vec<(i64, i64)> = tx
        .prepare_cached("SELECT end_s, bytes FROM rollup_cursor ORDER BY level")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let Some(clock) = series::known(tx, &Series::cycles())? else {
        return Ok(false);
    };
    for level in Level::ALL {
        let (end_s, bytes) = cursors[level as usize];
        let taken_s = level.above().map_or(end_s, |above| cursors[above as usize].0);
        let by_age = keep.seconds[level as usize]
            .map(|s| end_s.saturating_sub(i64::try_from(s).unwrap_or(i64::MAX)))
            .unwrap_or(i64::MIN);
        let too_many = keep.bytes[level as usize].is_some_and(|most| bytes > i64::try_from(most).unwrap_or(i64::MAX));
        let by_bytes = if too_many {
            end_of_oldest(tx, options, level)?
        } else {
            i64::MIN
        };
        let before_s = by_age.max(by_bytes).min(taken_s);
        // Whole windows of the next level: a row that was not written repeats an earlier one of the same.
        let before_s = match level.above() {
            Some(above) if before_s > i64::MIN => options.calendar.window(above, before_s).start_s,
            _ => before_s,
        };
        if before_s > i64::MIN {
            more |= forget(tx, level, before_s, clock, most)?;
        }
    }
    // Events are as fine as seconds and as few as hours: kept as long as these.
    if let Some(hours_s) = keep.seconds[Level::Hour as usize] {
        let before_ms = cursors[Level::Hour as usize]
            .0
            .saturating_sub(i64::try_from(hours_s).unwrap_or(i64::MAX))
            .saturating_mul(1_000);
        tx.prepare_cached("DELETE FROM rollup_event WHERE t_ms < ?1")?
            .execute([before_ms])?;
    }
    Ok(more)
}

/// The end of the oldest window of the next level that has rows at this one, of whatever series: what goes when the bytes are used
/// up, and only when nothing of it is left the next one.
fn end_of_oldest(tx: &Connection, options: &RollupOptions, level: Level) -> Result<i64, StoreError> {
    let oldest: Option<i64> = tx
        .prepare_cached(
            "SELECT min(start_s) FROM (
                 SELECT (SELECT min(start_s) FROM rollup WHERE level = ?1 AND series = id) AS start_s FROM rollup_series
                 UNION ALL SELECT min(start_s) FROM rollup_person WHERE level = ?1)",
        )?
        .query_row([level as u8], |row| row.get(0))?;
    let above = level.above().unwrap_or(level);
    Ok(oldest.map_or(i64::MIN, |s| options.calendar.window(above, s).end_s))
}

/// Deletes rows of a level that begin before a time, at most so many, and as many of people; true when some may be left. Those of
/// the cycles (`clock`) go first: without its cycles a window is asked for no more, so none is ever read with a part of its rows.
fn forget(tx: &Transaction<'_>, level: Level, before_s: i64, clock: i64, most: u64) -> Result<bool, StoreError> {
    let (mut rows, mut bytes) = (0, 0);
    let others = series::all(tx)?.into_keys().filter(|number| *number != clock);
    for number in std::iter::once(clock).chain(others) {
        if rows >= most {
            break;
        }
        let (old, old_bytes, last): (i64, i64, Option<i64>) = tx
            .prepare_cached(
                "SELECT count(*), coalesce(sum(bytes), 0), max(start_s) FROM (
                     SELECT start_s, length(body) + 16 AS bytes FROM rollup
                     WHERE level = ?1 AND series = ?2 AND start_s < ?3 ORDER BY start_s LIMIT ?4)",
            )?
            .query_row(
                params![level as u8, number, before_s, (most - rows).cast_signed()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
        let Some(last) = last else { continue };
        rows += old.cast_unsigned();
        bytes += old_bytes;
        tx.prepare_cached("DELETE FROM rollup WHERE level = ?1 AND series = ?2 AND start_s <= ?3")?
            .execute(params![level as u8, number, last])?;
    }
    let last: Option<i64> = tx
        .prepare_cached(
            "SELECT max(start_s) FROM (SELECT start_s FROM rollup_person
             WHERE level = ?1 AND start_s < ?2 ORDER BY start_s LIMIT ?3)",
        )?
        .query_row(params![level as u8, before_s, most.cast_signed()], |row| row.get(0))?;
    let mut people = 0;
    if let Some(last) = last {
        let whole = params![level as u8, last];
        bytes += tx
            .prepare_cached("SELECT sum(length(body) + 16) FROM rollup_person WHERE level = ?1 AND start_s <= ?2")?
            .query_row(whole, |row| row.get::<_, i64>(0))?;
        people = tx
            .prepare_cached("DELETE FROM rollup_person WHERE level = ?1 AND start_s <= ?2")?
            .execute(whole)?;
    }
    take_off(tx, level, bytes)?;
    Ok(rows >= most || people as u64 >= most)
}

/// Deletes what follows people through the seconds of these times (Unix nanoseconds, ascending where the clock was not set): rows
/// of people by the second and by the minute, heat and flows by the second. Heat and flows by the minute stay: a ROLLUP leaf is
/// over them.
pub(crate) fn forget_ways(tx: &Connection, times_ns: &[i64]) -> Result<(), StoreError> {
    // Stretches of seconds, the end exclusive.
    let mut stretches: Vec<(i64, i64)> = Vec::new();
    for second in times_ns.iter().map(|ns| ns.div_euclid(1_000_000_000)) {
        match stretches.last_mut() {
            Some((start_s, end_s)) if (*start_s..=*end_s).contains(&second) => *end_s = second.max(*end_s - 1) + 1,
            _ => stretches.push((second, second + 1)),
        }
    }
    let numbers: Vec<i64> = series::all(tx)?
        .into_iter()
        .filter(|(_, series)| matches!(series.kind, Kind::Heat | Kind::Flow))
        .map(|(number, _)| number)
        .collect();
    for (start_s, end_s) in stretches {
        let minute_s = start_s - start_s.rem_euclid(60);
        for (level, start_s) in [(Level::Second, start_s), (Level::Minute, minute_s)] {
            let range = params![level as u8, start_s, end_s];
            let rows = "FROM rollup_person WHERE level = ?1 AND start_s >= ?2 AND start_s < ?3";
            delete_counted(tx, level, rows, range)?;
        }
        for number in &numbers {
            let range = params![Level::Second as u8, start_s, end_s, number];
            let rows = "FROM rollup WHERE level = ?1 AND series = ?4 AND start_s >= ?2 AND start_s < ?3";
            delete_counted(tx, Level::Second, rows, range)?;
        }
    }
    Ok(())
}

/// Deletes `rows` of a level (`FROM ... WHERE ...`) and takes their bytes off its cursor.
fn delete_counted(tx: &Connection, level: Level, rows: &str, range: &[&dyn ToSql]) -> Result<(), StoreError> {
    let bytes: i64 = tx
        .prepare_cached(&format!("SELECT coalesce(sum(length(body) + 16), 0) {rows}"))?
        .query_row(range, |row| row.get(0))?;
    if bytes > 0 {
        tx.prepare_cached(&format!("DELETE {rows}"))?.execute(range)?;
        take_off(tx, level, bytes)?;
    }
    Ok(())
}

fn take_off(tx: &Connection, level: Level, bytes: i64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE rollup_cursor SET bytes = max(bytes - ?2, 0) WHERE level = ?1")?
        .execute(params![level as u8, bytes])?;
    Ok(())
}
