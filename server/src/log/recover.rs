//! What a start finds: the end of the log, checked before anything is appended to it.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use tapline_witness::{
    body::{Body, Genesis},
    hash::{Hash, ZERO, witness},
    keyset::KeySet,
    leaf::{self, Kind},
    tile::{TILE_WIDTH, TileId},
    tree::{Edge, empty_root, leaf_hash, read_tile, root_at},
};

use super::{AnchorState, LogError};
use crate::store::tiles::SqlTiles;

/// What was found at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Leaves in the database, all under one checkpoint; 0 for a new log.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

/// The end of the log, ready to be continued.
pub(super) struct LogEnd {
    pub(super) recovered: Recovered,
    pub(super) edge: Edge,
    pub(super) last_witness: Hash,
    pub(super) note: Option<String>,
    pub(super) signed_time_s: u64,
    /// Who signs, by GENESIS and KEY leaves; none in an empty log.
    pub(super) keys: Option<(Genesis, KeySet)>,
}

/// Reads the end of the log and checks it: the last checkpoint covers every leaf and is signed by the keys
/// that GENESIS and the KEY leaves put in force, the tiles give its root, and the leaves of the last tile are the ones hashed in it.
pub(super) fn read_end(db: &Connection) -> Result<LogEnd, LogError> {
    let size = leaf_count(db)?;
    let checkpoint: Option<(i64, String)> = db
        .query_row(
            "SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let signed_size = checkpoint.as_ref().map_or(0, |(size, _)| *size as u64);
    if signed_size != size {
        return Err(LogError::damaged(
            "the last checkpoint",
            format!("it covers {signed_size} of {size} leaves"),
        ));
    }
    let Some((_, note)) = checkpoint else {
        return Ok(LogEnd {
            recovered: Recovered {
                size: 0,
                root: empty_root(),
            },
            edge: Edge::new(),
            last_witness: ZERO,
            note: None,
            signed_time_s: 0,
            keys: None,
        });
    };

    let keys = read_key_set(db)?;
    let signed = keys.1.open(note.as_bytes())?;
    let edge = Edge::restore(size, &SqlTiles(db))?;
    let root = edge.root();
    if signed.checkpoint.size != size || signed.checkpoint.root != root {
        return Err(LogError::damaged(
            "the last checkpoint",
            format!(
                "it signs size {} with another root than the tiles give",
                signed.checkpoint.size
            ),
        ));
    }
    let last_witness = check_last_tile(db, size)?;
    Ok(LogEnd {
        recovered: Recovered { size, root },
        edge,
        last_witness,
        note: Some(note),
        signed_time_s: signed.time_s.unwrap_or(0),
        keys: Some(keys),
    })
}

/// GENESIS, and the keys that it and the KEY leaves name. Pruning keeps all of them.
pub(super) fn read_key_set(db: &Connection) -> Result<(Genesis, KeySet), LogError> {
    let (genesis, _) = read_genesis(db)?;
    let mut keys = KeySet::of(&genesis).map_err(|error| LogError::damaged("leaf 0", error))?;
    // `kind <> 1` is what the index asks for.
    let mut statement = db.prepare("SELECT seq, body FROM leaf WHERE kind <> 1 AND kind = ?1 ORDER BY seq")?;
    let mut rows = statement.query([Kind::Key as u8])?;
    while let Some(row) = rows.next()? {
        let (seq, bytes): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let place = || format!("leaf {seq}");
        let Body::Key(key) = leaf::decode(&bytes)?.body else {
            return Err(LogError::damaged(place(), "it is no KEY leaf"));
        };
        keys.apply(seq.cast_unsigned(), &key)
            .map_err(|error| LogError::damaged(place(), error))?;
    }
    Ok((genesis, keys))
}

/// Policy text (C2SP tlog-policy) that trusts the log of a database and asks for no outside witness.
///
/// # Errors
/// When GENESIS or a KEY leaf cannot be read.
pub fn policy_of(db: &Connection) -> Result<String, LogError> {
    Ok(read_key_set(db)?.1.policy())
}

/// Refuses a database that holds less than the anchor says was published, or something else.
pub(super) fn check_anchor(
    db: &Connection,
    path: &Path,
    anchor: &AnchorState,
    log_id: &Hash,
    found: &Recovered,
) -> Result<(), LogError> {
    let rolled_back = |expected: String, found: String| LogError::RolledBack {
        anchor: path.into(),
        expected,
        found,
    };
    if anchor.log_id != *log_id {
        return Err(rolled_back(
            format!("log {}", hex::encode(&anchor.log_id[..8])),
            format!("log {}", hex::encode(&log_id[..8])),
        ));
    }
    if anchor.size > found.size {
        return Err(rolled_back(
            format!("size {}", anchor.size),
            format!("size {}", found.size),
        ));
    }
    let root = root_at(&SqlTiles(db), anchor.size)?;
    if root != anchor.root {
        return Err(rolled_back(
            format!("root {} at size {}", hex::encode(anchor.root), anchor.size),
            format!("root {}", hex::encode(root)),
        ));
    }
    Ok(())
}

fn leaf_count(db: &Connection) -> Result<u64, LogError> {
    let size: i64 = db.query_row("SELECT coalesce(max(seq) + 1, 0) FROM leaf", [], |row| row.get(0))?;
    Ok(size as u64)
}

/// The GENESIS leaf is leaf 0; pruning keeps it.
pub(super) fn read_genesis(db: &Connection) -> Result<(Genesis, Hash), LogError> {
    let bytes: Vec<u8> = db.query_row("SELECT body FROM leaf WHERE seq = 0", [], |row| row.get(0))?;
    let leaf = leaf::decode(&bytes)?;
    match leaf.body {
        Body::Genesis(genesis) => Ok((genesis, leaf.header.log_id)),
        _ => Err(LogError::damaged("leaf 0", "it is no GENESIS")),
    }
}

/// Compares the leaves of the last tile with their hashes in it; returns the witness of the last leaf.
fn check_last_tile(db: &Connection, size: u64) -> Result<Hash, LogError> {
    let index = (size - 1) / TILE_WIDTH as u64;
    let first = index * TILE_WIDTH as u64;
    let hashes = read_tile(
        &SqlTiles(db),
        TileId {
            level: 0,
            index,
            width: (size - first) as u16,
        },
    )?;
    let mut statement = db.prepare("SELECT body FROM leaf WHERE seq >= ?1 ORDER BY seq")?;
    let mut rows = statement.query([first as i64])?;
    let mut last_witness = ZERO;
    for (offset, hash) in hashes.chunks_exact(32).enumerate() {
        let place = || format!("leaf {}", first + offset as u64);
        let row = rows
            .next()?
            .ok_or_else(|| LogError::damaged(place(), "it is missing"))?;
        let bytes = row
            .get_ref(0)?
            .as_blob()
            .map_err(|error| LogError::damaged(place(), error))?;
        if leaf_hash(bytes) != *hash {
            return Err(LogError::damaged(place(), "its bytes are not those hashed in the tile"));
        }
        last_witness = witness(bytes);
    }
    Ok(last_witness)
}
