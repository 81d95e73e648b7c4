//! What was: rows of a series over a stretch of time, at the finest level that answers within a number of points.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    roller::{decode, people_in, rows_in},
    series,
};
use crate::{
    rollup::{Calendar, Kind, Level, Occupancy, Row, Series, Window, fields::cycles, levels},
    store::StoreError,
};

/// Most points one question gets.
pub const MAX_POINTS: u32 = 10_000;

/// One window of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The window.
    pub window: Window,
    /// Cycles the site ran in it.
    pub cycles: u64,
    /// What was counted.
    pub row: Row,
}

/// A series over a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Points {
    /// The level that answered.
    pub level: Level,
    /// Windows with at least one cycle, ascending.
    pub points: Vec<Point>,
    /// Up to where the level knows, Unix seconds: later windows are not closed yet.
    pub known_to_s: i64,
}

/// A change of occupancy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OccupancyChange {
    /// Unix milliseconds.
    pub t_ms: i64,
    /// The cycle that says so.
    pub seq: u64,
    /// `site`, `room:ID` or `zone:ID`.
    pub area: String,
    /// From then on.
    pub to: Occupancy,
}

/// Where a page of changes ends: strictly older than this.
pub type Before = (i64, u64, i64);

/// How far a level is, and the oldest second it still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Start of the oldest window kept; none when there is none.
    pub from_s: Option<i64>,
    /// End of the last window.
    pub to_s: i64,
    /// Bytes of the rows.
    pub bytes: u64,
}

/// How far a level is.
pub fn extent(db: &Connection, level: Level) -> Result<Extent, StoreError> {
    let (to_s, bytes): (i64, i64) = db
        .prepare_cached("SELECT end_s, bytes FROM rollup_cursor WHERE level = ?1")?
        .query_row([level as u8], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let from_s = match series::known(db, &Series::cycles())? {
        Some(clock) => db
            .prepare_cached("SELECT min(start_s) FROM rollup WHERE level = ?1 AND series = ?2")?
            .query_row(params![level as u8, clock], |row| row.get(0))?,
        None => None,
    };
    Ok(Extent {
        from_s,
        to_s,
        bytes: bytes.cast_unsigned(),
    })
}

/// The finest level whose windows between two times are not more than `points`, and that still has the beginning
/// (or, where none has, the one that reaches back furthest).
pub fn finest(db: &Connection, from_s: i64, to_s: i64, points: u32) -> Result<Level, StoreError> {
    let span_s = to_s.saturating_sub(from_s).max(0);
    let fits = |level: Level| span_s / level.usual_s() < i64::from(points);
    let reach_s = reach(db)?;
    let mut best: Option<(Level, i64)> = None;
    for level in Level::ALL {
        if !fits(level) && level != Level::Day {
            continue;
        }
        let Some(reach_s) = reach_s[level as usize] else {
            continue;
        };
        let reaches_s = reach_s.max(from_s);
        if best.is_none_or(|(_, best_s)| reaches_s < best_s) {
            best = Some((level, reaches_s));
        }
        if reaches_s <= from_s {
            break;
        }
    }
    Ok(best.map_or(Level::Second, |(level, _)| level))
}

/// How far back each level knows. A level whose first row lies in the first window of the next one knows as much as that:
/// rows go by whole windows of the next level.
fn reach(db: &Connection) -> Result<[Option<i64>; 4], StoreError> {
    let mut reach_s = [None; 4];
    let mut above: Option<(i64, i64)> = None;
    for level in Level::ALL.into_iter().rev() {
        let extent = extent(db, level)?;
        let Some(from_s) = extent.from_s else { continue };
        let known_s = match above {
            Some((known_s, first_end_s)) if from_s < first_end_s => known_s.min(from_s),
            _ => from_s,
        };
        reach_s[level as usize] = Some(known_s);
        let second: Option<i64> = match series::known(db, &Series::cycles())? {
            Some(clock) => db
                .prepare_cached("SELECT min(start_s) FROM rollup WHERE level = ?1 AND series = ?2 AND start_s > ?3")?
                .query_row(params![level as u8, clock, from_s], |row| row.get(0))?,
            None => None,
        };
        above = Some((known_s, second.unwrap_or(extent.to_s)));
    }
    Ok(reach_s)
}

/// A series between two times, `from_s` inclusive, at a level. `points`: most windows; the first ones are given.
pub fn points(
    db: &Connection,
    calendar: &Calendar,
    series: &Series,
    level: Level,
    (from_s, to_s): (i64, i64),
    points: u32,
) -> Result<Points, StoreError> {
    let known_to_s = extent(db, level)?.to_s;
    let empty = Points {
        level,
        points: Vec::new(),
        known_to_s,
    };
    let Some(clock) = series::known(db, &Series::cycles())? else {
        return Ok(empty);
    };
    let mut statement = db.prepare_cached(
        "SELECT start_s, body FROM rollup WHERE level = ?1 AND series = ?2 AND start_s >= ?3 AND start_s < ?4
         ORDER BY start_s LIMIT ?5",
    )?;
    let rows = statement.query_map(
        params![level as u8, clock, from_s, to_s, points.min(MAX_POINTS)],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
    )?;
    let mut windows = Vec::new();
    for row in rows {
        let (start_s, body) = row?;
        windows.push((start_s, decode(&body)?.sum[cycles::CYCLES]));
    }
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else {
        return Ok(empty);
    };
    let outer = |start_s: i64| calendar.window(level.above().unwrap_or(level), start_s);
    // Rows that were not written repeat one of the same window of the next level.
    let stretch = Window {
        start_s: outer(first.0).start_s,
        end_s: last.0 + 1,
    };
    let written = match series.kind {
        Kind::Person => {
            let person = series.key.parse::<u64>().unwrap_or(u64::MAX);
            person_rows(db, level, person, stretch)?
        }
        _ => match series::known(db, series)? {
            Some(number) => rows_in(db, level, number, stretch)?,
            None => Vec::new(),
        },
    };
    let rows = levels::read(series.kind, &windows, &written, outer);
    let points = rows
        .into_iter()
        .zip(&windows)
        .map(|((start_s, row), (_, cycles))| Point {
            window: calendar.window(level, start_s),
            cycles: *cycles,
            row,
        })
        .collect();
    Ok(Points {
        level,
        points,
        known_to_s,
    })
}

fn person_rows(db: &Connection, level: Level, person: u64, window: Window) -> Result<Vec<(i64, Row)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT start_s, body FROM rollup_person WHERE person = ?1 AND level = ?2 AND start_s >= ?3 AND start_s < ?4
         ORDER BY start_s",
    )?;
    let rows = statement.query_map(
        params![person.cast_signed(), level as u8, window.start_s, window.end_s],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
    )?;
    rows.map(|row| {
        let (start_s, body) = row?;
        Ok((start_s, decode(&body)?))
    })
    .collect()
}

/// The stretches of time that add up to the one between two times, as far as the seconds know: the longest windows within it,
/// shorter ones before the first and after the last of them, and so on down to seconds.
pub fn cover(
    db: &Connection,
    calendar: &Calendar,
    (from_s, to_s): (i64, i64),
) -> Result<Vec<(Level, Window)>, StoreError> {
    let mut stretches = Vec::new();
    let mut open = vec![(from_s, to_s.min(extent(db, Level::Second)?.to_s))];
    for level in Level::ALL.into_iter().rev() {
        let known_to_s = extent(db, level)?.to_s;
        for (from_s, to_s) in std::mem::take(&mut open) {
            let first = calendar.window(level, from_s);
            let start_s = if first.start_s < from_s { first.end_s } else { from_s };
            let end_s = calendar.window(level, to_s.min(known_to_s)).start_s;
            if start_s < end_s {
                stretches.push((level, Window { start_s, end_s }));
                open.extend([(from_s, start_s), (end_s, to_s)]);
            } else {
                open.push((from_s, to_s));
            }
        }
        open.retain(|(from_s, to_s)| from_s < to_s);
    }
    Ok(stretches)
}

/// The sum of a series over stretches of time ([`cover`]): heat maps and flows.
pub fn total(db: &Connection, series: &Series, stretches: &[(Level, Window)]) -> Result<Row, StoreError> {
    let mut total = Row::default();
    if let Some(number) = series::known(db, series)? {
        for (level, window) in stretches {
            for (_, row) in rows_in(db, *level, number, *window)? {
                total.merge(&row);
            }
        }
    }
    Ok(total)
}

/// The rows of a series that were written, ascending: all that there is of heat maps and flows.
pub fn written(
    db: &Connection,
    series: &Series,
    level: Level,
    (start_s, end_s): (i64, i64),
) -> Result<Vec<(i64, Row)>, StoreError> {
    match series::known(db, series)? {
        Some(number) => rows_in(db, level, number, Window { start_s, end_s }),
        None => Ok(Vec::new()),
    }
}

/// The rows of people, ascending by time, then person.
pub fn people_rows(
    db: &Connection,
    level: Level,
    (start_s, end_s): (i64, i64),
) -> Result<Vec<(i64, u64, Row)>, StoreError> {
    people_in(db, level, Window { start_s, end_s })
}

/// The calendar the store was rolled up by; UTC before that.
///
/// # Errors
/// When the store cannot be read, or names a zone that this program does not know.
pub fn calendar(db: &Connection) -> Result<Calendar, StoreError> {
    let name: Option<String> = db
        .prepare_cached("SELECT v FROM meta WHERE k = 'timezone'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(name) = name else {
        return Ok(Calendar::default());
    };
    Calendar::of(&name).ok_or_else(|| StoreError::Corrupt {
        what: "the store's time zone".to_owned(),
        problem: format!("{name:?} is none that this program knows; use the newer program"),
    })
}

/// Names of the series of a kind, ascending.
pub fn keys(db: &Connection, kind: Kind) -> Result<Vec<String>, StoreError> {
    let mut statement = db.prepare_cached("SELECT key FROM rollup_series WHERE kind = ?1 ORDER BY key")?;
    let rows = statement.query_map([kind as u8], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// People of stretches of time ([`cover`]), with the sums of their rows, by number.
pub fn people(db: &Connection, stretches: &[(Level, Window)]) -> Result<Vec<(u64, Row)>, StoreError> {
    let mut people = std::collections::BTreeMap::<u64, Row>::new();
    for (level, window) in stretches {
        for (_, person, row) in people_in(db, *level, *window)? {
            people.entry(person).or_default().merge(&row);
        }
    }
    Ok(people.into_iter().collect())
}

/// Changes of occupancy, newest first, older than `before`; of one area or of all.
pub fn changes(
    db: &Connection,
    area: Option<&str>,
    before: Option<Before>,
    from_ms: i64,
    limit: u32,
) -> Result<Vec<(OccupancyChange, i64)>, StoreError> {
    let (t_ms, seq, number) = before.unwrap_or((i64::MAX, i64::MAX.cast_unsigned(), i64::MAX));
    let rows: Vec<_> = match area {
        Some(area) => {
            let Some(of) = series::known(db, &Series::new(Kind::Area, area))? else {
                return Ok(Vec::new());
            };
            db.prepare_cached(CHANGES_OF_ONE)?
                .query_map(params![of, t_ms, seq.cast_signed(), from_ms, limit], change_columns)?
                .collect::<Result<_, _>>()?
        }
        None => db
            .prepare_cached(CHANGES_OF_ALL)?
            .query_map(params![t_ms, seq.cast_signed(), number, from_ms, limit], change_columns)?
            .collect::<Result<_, _>>()?,
    };
    Ok(rows.into_iter().map(change).collect())
}

/// Changes of occupancy of all areas, oldest first, `from_ms` inclusive, later than `after`.
pub fn changes_after(
    db: &Connection,
    after: Option<Before>,
    (from_ms, to_ms): (i64, i64),
    limit: u32,
) -> Result<Vec<(OccupancyChange, i64)>, StoreError> {
    let (t_ms, seq, number) = after.unwrap_or((from_ms, 0, -1));
    let rows: Vec<_> = db
        .prepare_cached(CHANGES_AFTER)?
        .query_map(params![t_ms, seq.cast_signed(), number, to_ms, limit], change_columns)?
        .collect::<Result<_, _>>()?;
    Ok(rows.into_iter().map(change).collect())
}

type ChangeColumns = (i64, i64, i64, u8, String);

fn change_columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<ChangeColumns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn change((t_ms, seq, number, state, area): ChangeColumns) -> (OccupancyChange, i64) {
    let to = match state {
        1 => Occupancy::Empty,
        2 => Occupancy::Occupied,
        _ => Occupancy::Unknown,
    };
    let change = OccupancyChange {
        t_ms,
        seq: seq.cast_unsigned(),
        area,
        to,
    };
    (change, number)
}

pub(super) const CHANGES_OF_ONE: &str =
    "SELECT t_ms, seq, series, state, key FROM rollup_event JOIN rollup_series ON id = series
     WHERE series = ?1 AND (t_ms, seq) < (?2, ?3) AND t_ms >= ?4 ORDER BY t_ms DESC, seq DESC LIMIT ?5";
pub(super) const CHANGES_OF_ALL: &str =
    "SELECT t_ms, seq, series, state, key FROM rollup_event JOIN rollup_series ON id = series
     WHERE (t_ms, seq, series) < (?1, ?2, ?3) AND t_ms >= ?4 ORDER BY t_ms DESC, seq DESC, series DESC LIMIT ?5";
pub(super) const CHANGES_AFTER: &str =
    "SELECT t_ms, seq, series, state, key FROM rollup_event JOIN rollup_series ON id = series
     WHERE (t_ms, seq, series) > (?1, ?2, ?3) AND t_ms < ?4 ORDER BY t_ms, seq, series LIMIT ?5";

/// When an area was last occupied: the end of its last stay, or none when it never was, as far as is remembered. The
/// second is true while it still is.
pub fn last_occupied(db: &Connection, area: &str) -> Result<Option<(i64, bool)>, StoreError> {
    let Some(number) = series::known(db, &Series::new(Kind::Area, area))? else {
        return Ok(None);
    };
    let mut statement = db.prepare_cached(
        "SELECT t_ms, state FROM rollup_event WHERE series = ?1 ORDER BY t_ms DESC, seq DESC LIMIT 1000",
    )?;
    let rows = statement.query_map([number], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u8>(1)?)))?;
    let mut after: Option<i64> = None;
    for row in rows {
        let (t_ms, state) = row?;
        if state == 2 {
            return Ok(Some(after.map_or((t_ms, true), |end_ms| (end_ms, false))));
        }
        after = Some(t_ms);
    }
    Ok(None)
}
