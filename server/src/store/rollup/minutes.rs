//! What a ROLLUP leaf says of the rows by the minute: one digest over those that were closed in its window.

use rusqlite::{Connection, OptionalExtension, params};
use tapline_witness::hash::{Domain, Hash};

use super::{roller::cursor, series};
use crate::{
    rollup::{Kind, Level, Series},
    store::StoreError,
};

const MINUTE_NS: i64 = 60_000_000_000;

/// The minute rows of a window of time, as one digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Minutes {
    /// Not all of them are closed yet.
    Open,
    /// Some of them are forgotten, or there never were any.
    Gone,
    /// All are there.
    Digest(Hash),
}

/// Digests the rows of the minutes that end after `after_ns` and until `until_ns`, wall clock (docs/witness-format.md).
/// Latencies are left out, which are not in the log, and so are people, who may be forgotten by themselves.
pub(crate) fn minutes(db: &Connection, after_ns: i64, until_ns: i64) -> Result<Minutes, StoreError> {
    // The first and one past the last minute, by their numbers since 1970: minute n ends at (n + 1) minutes.
    let first = after_ns.div_euclid(MINUTE_NS);
    let end = until_ns.div_euclid(MINUTE_NS).max(first);
    if cursor(db, Level::Minute)? < end * 60 {
        return Ok(Minutes::Open);
    }
    let Some(clock) = series::known(db, &Series::cycles())? else {
        return Ok(Minutes::Gone);
    };
    let oldest: Option<i64> = db
        .prepare_cached("SELECT min(start_s) FROM rollup WHERE level = ?1 AND series = ?2")?
        .query_row(params![Level::Minute as u8, clock], |row| row.get(0))
        .optional()?
        .flatten();
    if oldest.is_none_or(|oldest| oldest > first * 60) {
        return Ok(Minutes::Gone);
    }
    let mut named: Vec<(u8, String, i64)> = series::all(db)?
        .into_iter()
        .filter(|(_, series)| !matches!(series.kind, Kind::Stages | Kind::Person))
        .map(|(number, series)| (series.kind as u8, series.key, number))
        .collect();
    named.sort_unstable();
    let mut hasher = Domain::Minutes.hasher();
    let mut rows = db.prepare_cached(
        "SELECT start_s, body FROM rollup WHERE level = ?1 AND series = ?2 AND start_s >= ?3 AND start_s < ?4
         ORDER BY start_s",
    )?;
    for (kind, key, number) in named {
        let mut rows = rows.query(params![Level::Minute as u8, number, first * 60, end * 60])?;
        while let Some(row) = rows.next()? {
            let (start_s, body): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            hasher.update(&[kind]);
            hasher.update(&(key.len() as u32).to_le_bytes());
            hasher.update(key.as_bytes());
            hasher.update(&start_s.to_le_bytes());
            hasher.update(&(body.len() as u32).to_le_bytes());
            hasher.update(&body);
        }
    }
    Ok(Minutes::Digest(*hasher.finalize().as_bytes()))
}
