//! How far the wall clock of the cycles is believed.
//!
//! A clock that was set ahead by mistake is mostly set right soon. What cannot be undone, forgetting and moving on in time,
//! must not follow from it before it has lasted. Between two steps (CLOCK_STEP leaves) and two processes (BOOT leaves) lies
//! a stretch of cycles; one that was entered by a step ahead is believed once it has lasted for an hour, and until then its
//! clock counts as the one before that runs on.

use rusqlite::{Connection, OptionalExtension, params};
use tapline_witness::leaf::Kind;

use super::StoreError;

/// How long a clock has to go on before it is believed.
const LASTING_NS: i64 = 3_600_000_000_000;
/// A step ahead that is believed at once: nothing is kept so exactly that it would matter.
const SMALL_NS: i64 = 60_000_000_000;
/// A process that begins later than this after the last one: its clock is likelier wrong than that it was off for so long.
const LONG_OFF_NS: i64 = 30 * 24 * LASTING_NS;
/// Steps that are looked back at; what lies before is believed.
const MOST_STEPS: usize = 64;

/// A stretch of cycles in which the clock was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The leaf that ends it; none while it lasts.
    pub(crate) end: Option<i64>,
    /// By how much its wall clock is ahead of what is believed, nanoseconds; 0 when it is believed.
    pub(crate) ahead_ns: i64,
}

/// The stretch in which a leaf lies.
pub(crate) fn stretch_of(db: &Connection, seq: i64) -> Result<Stretch, StoreError> {
    let end = next_step(db, seq)?;
    // Backwards to a stretch that is believed for itself.
    let mut steps = Vec::new();
    let (mut until, mut below) = (end.unwrap_or(i64::MAX), seq);
    let mut believed = None;
    while steps.len() < MOST_STEPS {
        let Some((begin, kind)) = last_step(db, below)? else {
            believed = clocks(db, -1, until)?;
            break;
        };
        let clocks = clocks(db, begin, until)?;
        if clocks.is_some_and(|(first, last)| last.saturating_sub(first) >= LASTING_NS) {
            believed = clocks;
            break;
        }
        steps.push((kind, clocks));
        (until, below) = (begin, begin - 1);
    }
    // And forwards again.
    let (mut ahead_ns, mut before_ns) = (0_i64, believed.map(|(_, last)| last));
    for (kind, clocks) in steps.into_iter().rev() {
        let Some((first, last)) = clocks else { continue };
        let step_ns = before_ns.map_or(0, |before| first.saturating_sub(before));
        // A process that begins later was switched off for so long; one that begins earlier has another clock.
        let step_ns = match kind {
            Kind::Boot if step_ns < LONG_OFF_NS => step_ns.min(0),
            _ => step_ns,
        };
        ahead_ns = ahead_ns.saturating_add(step_ns);
        if ahead_ns <= SMALL_NS {
            ahead_ns = 0;
        }
        before_ns = Some(last);
    }
    Ok(Stretch { end, ahead_ns })
}

/// What the wall clock of the newest cycle is believed to be, and that cycle; none without cycles.
pub(crate) fn newest(db: &Connection) -> Result<Option<(i64, i64)>, StoreError> {
    let newest: Option<(i64, i64)> = db
        .prepare_cached("SELECT seq, wall_ns FROM cycle ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, wall_ns)) = newest else { return Ok(None) };
    Ok(Some((seq, wall_ns.saturating_sub(stretch_of(db, seq)?.ahead_ns))))
}

/// The times of cycles, ascending, as their clock is believed; fewer than there are when the rest has to wait until that is
/// known.
pub(crate) fn believed(db: &Connection, cycles: impl Iterator<Item = (i64, i64)>) -> Result<Vec<i64>, StoreError> {
    let mut times = Vec::with_capacity(cycles.size_hint().0);
    let mut stretch: Option<Stretch> = None;
    for (seq, wall_ns) in cycles {
        let now = match stretch.filter(|s| s.end.is_none_or(|end| seq < end)) {
            Some(now) => now,
            None => *stretch.insert(stretch_of(db, seq)?),
        };
        if now.ahead_ns > 0 && now.end.is_none() {
            break;
        }
        times.push(wall_ns.saturating_sub(now.ahead_ns));
    }
    Ok(times)
}

/// True when a wall clock lies far ahead of what the newest cycle's is believed to be; none while that is not known.
pub(crate) fn is_ahead(db: &Connection, wall_ns: i64) -> Result<Option<bool>, StoreError> {
    let Some((seq, newest_ns)) = newest(db)? else {
        return Ok(Some(false));
    };
    let ahead = wall_ns.saturating_sub(newest_ns) > LASTING_NS;
    Ok((!ahead || stretch_of(db, seq)?.ahead_ns == 0).then_some(ahead))
}

const KINDS: [Kind; 2] = [Kind::Boot, Kind::ClockStep];

/// The last step at or before a leaf.
fn last_step(db: &Connection, seq: i64) -> Result<Option<(i64, Kind)>, StoreError> {
    // `kind <> 1` is what the index asks for.
    let mut statement = db.prepare_cached("SELECT max(seq) FROM leaf WHERE kind <> 1 AND kind = ?1 AND seq <= ?2")?;
    let mut last = None;
    for kind in KINDS {
        let found: Option<i64> = statement.query_row(params![kind as u8, seq], |row| row.get(0))?;
        last = last.max(found.map(|seq| (seq, kind as u8)));
    }
    Ok(last.map(|(seq, kind)| {
        (
            seq,
            if kind == Kind::Boot as u8 {
                Kind::Boot
            } else {
                Kind::ClockStep
            },
        )
    }))
}

/// The first step after a leaf.
fn next_step(db: &Connection, seq: i64) -> Result<Option<i64>, StoreError> {
    let mut statement = db.prepare_cached("SELECT min(seq) FROM leaf WHERE kind <> 1 AND kind = ?1 AND seq > ?2")?;
    let mut next: Option<i64> = None;
    for kind in KINDS {
        let found: Option<i64> = statement.query_row(params![kind as u8, seq], |row| row.get(0))?;
        next = next.into_iter().chain(found).min();
    }
    Ok(next)
}

/// Wall clock of the first and of the last cycle that is kept between two leaves.
fn clocks(db: &Connection, after: i64, before: i64) -> Result<Option<(i64, i64)>, StoreError> {
    let of = |order: &str| {
        db.prepare_cached(&format!(
            "SELECT wall_ns FROM cycle WHERE seq > ?1 AND seq < ?2 ORDER BY seq {order} LIMIT 1"
        ))?
        .query_row([after, before], |row| row.get(0))
        .optional()
    };
    let (first, last): (Option<i64>, Option<i64>) = (of("ASC")?, of("DESC")?);
    Ok(first.zip(last))
}
