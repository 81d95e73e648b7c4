//! Series by number: the names of what is counted are stored once.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    rollup::{Kind, Series},
    store::StoreError,
};

/// The number of a series, given at its first use.
pub(super) fn number(db: &Connection, series: &Series) -> Result<i64, StoreError> {
    if let Some(known) = known(db, series)? {
        return Ok(known);
    }
    db.prepare_cached("INSERT INTO rollup_series (kind, key) VALUES (?1, ?2)")?
        .execute(params![series.kind as u8, series.key])?;
    Ok(db.last_insert_rowid())
}

/// The number of a series that has rows.
pub(super) fn known(db: &Connection, series: &Series) -> Result<Option<i64>, StoreError> {
    let found = db
        .prepare_cached("SELECT id FROM rollup_series WHERE kind = ?1 AND key = ?2")?
        .query_row(params![series.kind as u8, series.key], |row| row.get(0))
        .optional()?;
    Ok(found)
}

/// Every series by number.
pub(super) fn all(db: &Connection) -> Result<BTreeMap<i64, Series>, StoreError> {
    let mut statement = db.prepare_cached("SELECT id, kind, key FROM rollup_series ORDER BY id")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, u8>(1)?, row.get::<_, String>(2)?))
    })?;
    let mut all = BTreeMap::new();
    for row in rows {
        let (id, kind, key) = row?;
        let kind = Kind::from_byte(kind).ok_or_else(|| StoreError::Corrupt {
            what: format!("rollup series {id}"),
            problem: format!("kind {kind}; expected 0 to {}", Kind::ALL.len() - 1),
        })?;
        all.insert(id, Series { kind, key });
    }
    Ok(all)
}
