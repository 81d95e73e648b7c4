//! From cycles to rows: seconds from what was committed, every other level from the one below.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tapline_witness::{body::Body, hash::Hash, leaf, outcome::Outcome, outcome_codec::decode_outcome};

use super::{RollupOptions, prune, series};
use crate::{
    rollup::{Carry, CycleInput, End, Event, Fold, Kind, Level, Names, Row, Rows, Series, Window, levels},
    store::{StoreError, clock},
};

/// Cycles that one step takes: five seconds of them, some milliseconds of work.
const STEP_CYCLES: u32 = 100;
/// Windows of a coarser level that one step closes.
const STEP_WINDOWS: usize = 4;
/// Where a cursor stands before the first cycle.
const NEVER_S: i64 = -9_000_000_000;
/// What a row takes beside its body, bytes: key and cell headers.
const ROW_BYTES: usize = 16;

/// Rolls a store up. Belongs to the thread that writes it.
#[derive(Debug)]
pub(crate) struct Roller {
    options: RollupOptions,
    names: BTreeMap<Hash, Arc<Names>>,
    /// True once the store says which calendar its rows follow.
    named: bool,
}

/// A committed cycle as the store gives it back.
struct Committed {
    seq: u64,
    boot_id: [u8; 16],
    tick: u64,
    wall_ns: i64,
    outcome_code: u8,
    outcome: Outcome,
    stage_us: Option<[u32; 9]>,
    names: Arc<Names>,
}

impl Committed {
    fn input(&self, wall_ns: i64) -> CycleInput<'_> {
        CycleInput {
            seq: self.seq,
            boot_id: self.boot_id,
            tick: self.tick,
            wall_ns,
            outcome_code: self.outcome_code,
            outcome: &self.outcome,
            stage_us: self.stage_us,
            names: &self.names,
        }
    }
}

impl Roller {
    pub(crate) fn new(options: RollupOptions) -> Self {
        Self {
            options,
            names: BTreeMap::new(),
            named: false,
        }
    }

    /// Does a bounded piece of what is to be done, in one transaction; true while there is more. `settled`: also when fewer
    /// cycles than a step's wait.
    ///
    /// # Errors
    /// When the store cannot be read or written; nothing of the piece is then there.
    pub(crate) fn step(&mut self, db: &mut Connection, settled: bool) -> Result<bool, StoreError> {
        let (next, newest) = waiting(db)?;
        let least = if settled { 1 } else { u64::from(STEP_CYCLES) };
        if newest.is_none_or(|newest| newest + 1 < next + least) {
            return Ok(false);
        }
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !self.named {
            // Whoever reads the rows without the configuration needs it.
            tx.execute(
                "INSERT INTO meta (k, v) VALUES ('timezone', ?1) ON CONFLICT (k) DO UPDATE SET v = ?1",
                [self.options.calendar.name()],
            )?;
        }
        let before = tx.total_changes();
        let moved = self.seconds(&tx)?;
        let mut more = moved;
        for level in &Level::ALL[1..] {
            more |= self.fold_up(&tx, *level)?;
        }
        let written = tx.total_changes() - before;
        more |= prune::prune(&tx, &self.options, written)?;
        tx.commit()?;
        self.named = true;
        Ok(more)
    }

    /// Takes the next cycles; closes every second that a later cycle follows. True when it moved on.
    fn seconds(&mut self, tx: &Transaction<'_>) -> Result<bool, StoreError> {
        let (first, carry): (i64, Vec<u8>) = tx.query_row("SELECT seq, carry FROM rollup_next", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let mut carry = decode_carry(&carry)?;
        let mut cycles = self.cycles_from(tx, first)?;
        // What a clock says that was just set ahead waits: once it was added up there, it could not be taken back.
        let times = clock::believed(tx, cycles.iter().map(|c| (c.seq.cast_signed(), c.wall_ns)))?;
        cycles.truncate(times.len());
        let mut cursor_s = cursor(tx, Level::Second)?;
        // Where the wall clock was set back, time stands until it is reached again: nothing is counted twice.
        let mut seconds = Vec::with_capacity(cycles.len());
        let mut latest_ns = carry.latest_ns;
        for time in times {
            latest_ns = latest_ns.max(time);
            seconds.push(latest_ns);
        }
        let second_of = |ns: i64| ns.div_euclid(1_000_000_000);
        let mut at = 0;
        while at < cycles.len() {
            let second = second_of(seconds[at]);
            let count = seconds[at..].iter().take_while(|ns| second_of(**ns) == second).count();
            let Some(following) = seconds.get(at + count) else {
                break;
            };
            let mut fold = Fold::new(&mut carry);
            for (cycle, ns) in cycles[at..at + count].iter().zip(&seconds[at..]) {
                fold.add(&cycle.input(*ns));
            }
            let (mut rows, events) = fold.finish();
            if at == 0 {
                // Earlier steps may have counted cycles of this second without closing it.
                merge_open(tx, second, &mut rows)?;
            }
            self.write(tx, Level::Second, second, &rows, Which::News)?;
            write_events(tx, &events)?;
            cursor_s = second_of(*following);
            at += count;
        }
        if at == 0 {
            // One second with more cycles than a step takes cannot be: they are 50 ms apart, or time stands. Then they
            // are counted without closing it.
            if cycles.len() < STEP_CYCLES as usize {
                return Ok(false);
            }
            return self.count_into(tx, &cycles, &seconds, carry).map(|()| true);
        }
        set_cursor(tx, Level::Second, cursor_s)?;
        set_next(tx, cycles[at - 1].seq + 1, &carry)?;
        Ok(true)
    }

    /// Adds cycles to the rows of a second that stays open.
    fn count_into(
        &self,
        tx: &Transaction<'_>,
        cycles: &[Committed],
        seconds: &[i64],
        mut carry: Carry,
    ) -> Result<(), StoreError> {
        let second = seconds[0].div_euclid(1_000_000_000);
        let mut fold = Fold::new(&mut carry);
        for (cycle, ns) in cycles.iter().zip(seconds) {
            fold.add(&cycle.input(*ns));
        }
        let (mut rows, events) = fold.finish();
        merge_open(tx, second, &mut rows)?;
        self.write(tx, Level::Second, second, &rows, Which::All)?;
        write_events(tx, &events)?;
        set_next(tx, cycles.last().map_or(0, |c| c.seq + 1), &carry)
    }

    /// Closes windows of a level whose seconds are all known. True when more may be to do.
    fn fold_up(&self, tx: &Transaction<'_>, level: Level) -> Result<bool, StoreError> {
        let Some(below) = level.below() else { return Ok(false) };
        let Some(clock) = series::known(tx, &Series::cycles())? else {
            return Ok(false);
        };
        for _ in 0..STEP_WINDOWS {
            let (from_s, known_to_s) = (cursor(tx, level)?, cursor(tx, below)?);
            let first: Option<i64> = tx
                .prepare_cached("SELECT min(start_s) FROM rollup WHERE level = ?1 AND series = ?2 AND start_s >= ?3")?
                .query_row(params![below as u8, clock, from_s], |row| row.get(0))?;
            let window = first.map(|first| {
                let window = self.window(level, first);
                // After a change of the time zone a window may reach back into one that is closed.
                Window {
                    start_s: window.start_s.max(from_s),
                    ..window
                }
            });
            let Some(window) = window.filter(|w| w.end_s <= known_to_s) else {
                // Nobody ran in the windows up to here: they are closed, too.
                let idle_to_s = self.window(level, known_to_s).start_s;
                if known_to_s > NEVER_S && idle_to_s > from_s {
                    set_cursor(tx, level, idle_to_s)?;
                }
                return Ok(false);
            };
            let mut written: BTreeMap<Series, Vec<(i64, Row)>> = BTreeMap::new();
            for (number, series) in series::all(tx)? {
                let rows = rows_in(tx, below, number, window)?;
                if !rows.is_empty() {
                    written.insert(series, rows);
                }
            }
            for (start_s, person, row) in people_in(tx, below, window)? {
                let series = Series::new(Kind::Person, person.to_string());
                written.entry(series).or_default().push((start_s, row));
            }
            let rows = levels::fold(&written);
            self.write(tx, level, window.start_s, &rows, Which::News)?;
            set_cursor(tx, level, window.end_s)?;
        }
        Ok(true)
    }

    /// Writes a window's rows as if they had been added up, and the changes in it; for benches.
    pub(crate) fn put(
        &self,
        tx: &Transaction<'_>,
        level: Level,
        (start_s, end_s): (i64, i64),
        rows: &Rows,
        events: &[Event],
    ) -> Result<(), StoreError> {
        self.write(tx, level, start_s, rows, Which::News)?;
        write_events(tx, events)?;
        set_cursor(tx, level, end_s)
    }

    fn write(
        &self,
        tx: &Transaction<'_>,
        level: Level,
        start_s: i64,
        rows: &Rows,
        which: Which,
    ) -> Result<(), StoreError> {
        write_window(tx, level, start_s, rows, self.outer(level, start_s), which)
    }

    fn window(&self, level: Level, t_s: i64) -> Window {
        self.options.calendar.window(level, t_s)
    }

    /// Start of the window of the next level; a day stands alone.
    fn outer(&self, level: Level, start_s: i64) -> i64 {
        level
            .above()
            .map_or(start_s, |above| self.window(above, start_s).start_s)
    }

    fn cycles_from(&mut self, tx: &Transaction<'_>, first: i64) -> Result<Vec<Committed>, StoreError> {
        let mut statement = tx.prepare_cached(
            "SELECT leaf.body, cycle.outcome_code, cycle.stage_us, cycle_data.outcome
             FROM cycle JOIN leaf USING (seq) JOIN cycle_data USING (seq) WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
        )?;
        let rows = statement.query_map(params![first, STEP_CYCLES], |row| {
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, u8>(1)?,
                row.get::<_, Option<Vec<u8>>>(2)?,
                row.get::<_, Vec<u8>>(3)?,
            ))
        })?;
        let mut cycles = Vec::new();
        for row in rows {
            let (bytes, outcome_code, stage_us, outcome) = row?;
            let corrupt = |what: &str, problem: String| StoreError::Corrupt {
                what: what.to_owned(),
                problem,
            };
            let decoded = leaf::decode(&bytes).map_err(|e| corrupt("a leaf", e.to_string()))?;
            let seq = decoded.header.seq;
            let Body::Cycle(body) = decoded.body else {
                return Err(corrupt(
                    &format!("leaf {seq}"),
                    "no cycle, though a row says so".to_owned(),
                ));
            };
            cycles.push(Committed {
                seq,
                boot_id: decoded.header.boot_id,
                tick: decoded.header.tick,
                wall_ns: decoded.header.wall_ns,
                outcome_code,
                outcome: decode_outcome(&outcome)
                    .map_err(|e| corrupt(&format!("outcome of cycle {seq}"), e.to_string()))?,
                stage_us: stage_us.and_then(|bytes| times(&bytes)),
                names: self.names(tx, &body.config_hash)?,
            });
        }
        Ok(cycles)
    }

    fn names(&mut self, tx: &Transaction<'_>, config: &Hash) -> Result<Arc<Names>, StoreError> {
        if let Some(names) = self.names.get(config) {
            return Ok(Arc::clone(names));
        }
        let text: Option<Vec<u8>> = tx
            .prepare_cached("SELECT bytes FROM blob WHERE hash = ?1")?
            .query_row([config], |row| row.get(0))
            .optional()?;
        let names = Arc::new(Names::of(&String::from_utf8_lossy(&text.unwrap_or_default())));
        // A step spans few configurations.
        if self.names.len() >= 16 {
            self.names.clear();
        }
        self.names.insert(*config, Arc::clone(&names));
        Ok(names)
    }
}

/// The first cycle that is in no row, and the newest cycle.
fn waiting(db: &Connection) -> Result<(u64, Option<u64>), StoreError> {
    let next: i64 = db
        .prepare_cached("SELECT seq FROM rollup_next")?
        .query_row([], |row| row.get(0))?;
    let newest: Option<i64> = db
        .prepare_cached("SELECT max(seq) FROM cycle")?
        .query_row([], |row| row.get(0))?;
    Ok((next.cast_unsigned(), newest.map(i64::cast_unsigned)))
}

/// Which rows of a window are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// Those that say something ([`levels::is_news`]).
    News,
    /// All: the window is open, and what is counted so far must be found again.
    All,
}

/// Takes the rows of a second that is open out of the store and adds them to `rows`.
fn merge_open(tx: &Transaction<'_>, start_s: i64, rows: &mut Rows) -> Result<(), StoreError> {
    let mut bytes = 0;
    let mut add = |series: Series, before: &Row| {
        bytes += before.encode().len() + ROW_BYTES;
        rows.entry(series).or_default().merge(before);
    };
    let window = Window {
        start_s,
        end_s: start_s + 1,
    };
    for (number, series) in series::all(tx)? {
        for (_, before) in rows_in(tx, Level::Second, number, window)? {
            add(series.clone(), &before);
            tx.prepare_cached("DELETE FROM rollup WHERE level = 0 AND series = ?1 AND start_s = ?2")?
                .execute([number, start_s])?;
        }
    }
    for (_, person, before) in people_in(tx, Level::Second, window)? {
        add(Series::new(Kind::Person, person.to_string()), &before);
    }
    tx.prepare_cached("DELETE FROM rollup_person WHERE level = 0 AND start_s = ?1")?
        .execute([start_s])?;
    add_bytes(tx, Level::Second, -(bytes as i64))
}

/// Writes the rows of a window. `outer`: start of the window of the next level.
fn write_window(
    tx: &Transaction<'_>,
    level: Level,
    start_s: i64,
    rows: &Rows,
    outer: i64,
    which: Which,
) -> Result<(), StoreError> {
    let cycles = rows
        .get(&Series::cycles())
        .map_or(0, |row| row.sum[crate::rollup::fields::cycles::CYCLES]);
    let mut bytes = 0;
    for (series, row) in rows {
        if series.kind == Kind::Person {
            bytes += write_person(tx, level, start_s, &series.key, row)?;
            continue;
        }
        let number = series::number(tx, series)?;
        let before = match series.kind {
            Kind::Area => end_before(tx, level, number, outer, start_s)?,
            _ => None,
        };
        if which == Which::All || levels::is_news(series, row, before, cycles) {
            bytes += write_row(tx, level, number, start_s, row)?;
        }
    }
    // Areas that are reported no longer: said once.
    for (number, series) in series::all(tx)? {
        if series.kind == Kind::Area && !rows.contains_key(&series) {
            let before = end_before(tx, level, number, outer, start_s)?;
            let gone = Row::default();
            if before.is_some() && levels::is_news(&series, &gone, before, cycles) {
                bytes += write_row(tx, level, number, start_s, &gone)?;
            }
        }
    }
    add_bytes(tx, level, bytes as i64)
}

fn add_bytes(tx: &Connection, level: Level, bytes: i64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE rollup_cursor SET bytes = bytes + ?2 WHERE level = ?1")?
        .execute(params![level as u8, bytes])?;
    Ok(())
}

/// How an area stood at the end of its last written row within the same window of the next level.
fn end_before(
    tx: &Transaction<'_>,
    level: Level,
    series: i64,
    outer: i64,
    start_s: i64,
) -> Result<Option<End>, StoreError> {
    let body: Option<Vec<u8>> = tx
        .prepare_cached(
            "SELECT body FROM rollup WHERE level = ?1 AND series = ?2 AND start_s >= ?3 AND start_s < ?4
             ORDER BY start_s DESC LIMIT 1",
        )?
        .query_row(params![level as u8, series, outer, start_s], |row| row.get(0))
        .optional()?;
    body.map(|body| decode(&body).map(|row| row.end)).transpose()
}

fn write_row(tx: &Transaction<'_>, level: Level, series: i64, start_s: i64, row: &Row) -> Result<usize, StoreError> {
    let body = row.encode();
    tx.prepare_cached("INSERT INTO rollup (level, series, start_s, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![level as u8, series, start_s, body])?;
    Ok(body.len() + ROW_BYTES)
}

fn write_person(tx: &Transaction<'_>, level: Level, start_s: i64, key: &str, row: &Row) -> Result<usize, StoreError> {
    // SQLite integers are signed: the id's bits are kept.
    let person = key.parse::<u64>().map_err(|_| StoreError::Corrupt {
        what: "a person's series".to_owned(),
        problem: format!("{key:?} is no number"),
    })?;
    let body = row.encode();
    tx.prepare_cached("INSERT INTO rollup_person (level, start_s, person, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![level as u8, start_s, person.cast_signed(), body])?;
    Ok(body.len() + ROW_BYTES)
}

fn write_events(tx: &Transaction<'_>, events: &[Event]) -> Result<(), StoreError> {
    let mut insert =
        tx.prepare_cached("INSERT INTO rollup_event (t_ms, seq, series, state) VALUES (?1, ?2, ?3, ?4)")?;
    for event in events {
        let number = series::number(tx, &event.series)?;
        insert.execute(params![event.t_ms, event.seq.cast_signed(), number, event.to as u8])?;
    }
    Ok(())
}

pub(super) fn cursor(tx: &Connection, level: Level) -> Result<i64, StoreError> {
    let end = tx
        .prepare_cached("SELECT end_s FROM rollup_cursor WHERE level = ?1")?
        .query_row([level as u8], |row| row.get(0))?;
    Ok(end)
}

fn set_cursor(tx: &Connection, level: Level, end_s: i64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE rollup_cursor SET end_s = ?2 WHERE level = ?1")?
        .execute(params![level as u8, end_s])?;
    Ok(())
}

fn set_next(tx: &Connection, seq: u64, carry: &Carry) -> Result<(), StoreError> {
    let bytes = borsh::to_vec(carry).map_err(|e| StoreError::Corrupt {
        what: "the carry of the rollups".to_owned(),
        problem: e.to_string(),
    })?;
    tx.prepare_cached("UPDATE rollup_next SET seq = ?1, carry = ?2")?
        .execute(params![seq.cast_signed(), bytes])?;
    Ok(())
}

fn decode_carry(bytes: &[u8]) -> Result<Carry, StoreError> {
    if bytes.is_empty() {
        return Ok(Carry::default());
    }
    borsh::from_slice(bytes).map_err(|e| StoreError::Corrupt {
        what: "the carry of the rollups".to_owned(),
        problem: e.to_string(),
    })
}

fn times(bytes: &[u8]) -> Option<[u32; 9]> {
    let mut times = [0; 9];
    if bytes.len() != 4 * times.len() {
        return None;
    }
    for (time, four) in times.iter_mut().zip(bytes.chunks_exact(4)) {
        *time = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    }
    Some(times)
}

pub(super) fn decode(body: &[u8]) -> Result<Row, StoreError> {
    Row::decode(body).map_err(|e| StoreError::Corrupt {
        what: "a rollup row".to_owned(),
        problem: e.to_string(),
    })
}

/// Written rows of a series within a stretch of time.
pub(super) fn rows_in(
    db: &Connection,
    level: Level,
    series: i64,
    window: Window,
) -> Result<Vec<(i64, Row)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT start_s, body FROM rollup WHERE level = ?1 AND series = ?2 AND start_s >= ?3 AND start_s < ?4
         ORDER BY start_s",
    )?;
    let rows = statement.query_map(params![level as u8, series, window.start_s, window.end_s], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    rows.map(|row| {
        let (start_s, body) = row?;
        Ok((start_s, decode(&body)?))
    })
    .collect()
}

/// Rows of people within a stretch of time, ascending by time, then person.
pub(super) fn people_in(db: &Connection, level: Level, window: Window) -> Result<Vec<(i64, u64, Row)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT start_s, person, body FROM rollup_person WHERE level = ?1 AND start_s >= ?2 AND start_s < ?3
         ORDER BY start_s, person",
    )?;
    let rows = statement.query_map(params![level as u8, window.start_s, window.end_s], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    rows.map(|row| {
        let (start_s, person, body) = row?;
        Ok((start_s, person.cast_unsigned(), decode(&body)?))
    })
    .collect()
}
