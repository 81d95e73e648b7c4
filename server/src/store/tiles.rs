//! Tiles in the database, as the tree wants them.

use rusqlite::{Connection, OptionalExtension, params};
use tapline_witness::{
    tile::TileId,
    tree::{TileSource, TreeError},
};

use super::StoreError;

/// The tiles of a database.
#[derive(Debug)]
pub struct SqlTiles<'db>(pub &'db Connection);

impl TileSource for SqlTiles<'_> {
    fn tile(&self, id: TileId) -> Result<Vec<u8>, TreeError> {
        let read = || -> rusqlite::Result<Option<Vec<u8>>> {
            self.0
                .prepare_cached("SELECT data FROM tile WHERE level = ?1 AND idx = ?2")?
                .query_row(params![id.level, id.index as i64], |row| row.get(0))
                .optional()
        };
        read()
            .map_err(|error| TreeError::Source {
                tile: id,
                message: error.to_string(),
            })?
            .ok_or(TreeError::MissingTile(id))
    }
}

/// Writes a tile, or the wider form of one.
pub(crate) fn put_tile(db: &Connection, id: TileId, data: &[u8]) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO tile (level, idx, width, data) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (level, idx) DO UPDATE SET width = ?3, data = ?4",
    )?
    .execute(params![id.level, id.index as i64, id.width, data])?;
    Ok(())
}
