//! The secrets behind the salts: one a tile of 256 leaves, another where a process began or something was forgotten in
//! its middle. Without it, what a cycle of the tile commits to cannot be opened, nor guessed at.

use rusqlite::{Connection, OptionalExtension, params};
use tapline_witness::{hash::Hash, tile::TILE_WIDTH};

/// The secret that leaf `seq` was committed under; none once it is erased.
pub(crate) fn blind_key(db: &Connection, seq: u64) -> rusqlite::Result<Option<Hash>> {
    let tile_start = seq - seq % TILE_WIDTH as u64;
    db.prepare_cached("SELECT key FROM salt WHERE first_seq BETWEEN ?1 AND ?2 ORDER BY first_seq DESC LIMIT 1")?
        .query_row(params![tile_start.cast_signed(), seq.cast_signed()], |row| row.get(0))
        .optional()
}

/// Keeps the secret that holds from leaf `first_seq` on.
pub(crate) fn insert(db: &Connection, first_seq: u64, key: &Hash) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO salt (first_seq, key) VALUES (?1, ?2)")?
        .execute(params![first_seq.cast_signed(), key])?;
    Ok(())
}

/// Erases the secrets of the whole tiles below leaf `end`. Returns how many.
pub(crate) fn erase_below(db: &Connection, end: u64) -> rusqlite::Result<usize> {
    let whole = end - end % TILE_WIDTH as u64;
    db.prepare_cached("DELETE FROM salt WHERE first_seq < ?1")?
        .execute([whole.cast_signed()])
}
