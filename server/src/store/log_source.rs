//! A snapshot of the store as the log that bundles and proofs are cut from.

use rusqlite::{Connection, OptionalExtension, params};
use tapline_witness::{
    bundle::{
        BundleError,
        build::{KeptCycle, LogSource},
        data::FIELDS,
    },
    hash::{Field, Hash, salt},
    leaf::{self, Header, Kind},
    tile::{TILE_WIDTH, TileId},
    tree::{TileSource, TreeError},
    walk::is_context,
};
use thiserror::Error;

use super::{StoreError, reader::sql_int, salts, tiles::SqlTiles};
use crate::log::Forget;

const TILE: u64 = TILE_WIDTH as u64;

/// Why a log cannot give what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogSourceError {
    /// The bundle cannot be made.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The tree does not hold a hash it must.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Leaves that were asked for are pruned.
    #[error("leaf {asked} is pruned: the log keeps its leaves from {minimum} on")]
    Pruned {
        /// The leaf.
        asked: u64,
        /// The first one that is kept.
        minimum: u64,
    },
    /// Data changed between planning a bundle and writing it.
    #[error("leaf {seq} does not decode: {problem}")]
    Leaf {
        /// Which.
        seq: u64,
        /// Why.
        problem: String,
    },
}

impl From<rusqlite::Error> for LogSourceError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The log in a database connection that stands in a read transaction.
#[derive(Debug)]
pub struct SqlLog<'db>(pub &'db Connection);

impl SqlLog<'_> {
    /// First leaf that is kept.
    pub fn minimum_index(&self) -> Result<u64, LogSourceError> {
        let minimum: Option<i64> = self
            .0
            .prepare_cached("SELECT v FROM meta WHERE k = 'minimum_index'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(minimum.unwrap_or(0).cast_unsigned())
    }

    /// The first cycle at or after a time, by the wall clock of its leaf; none when the log ends before it. Only
    /// cycles that can still be queried are looked at: none older.
    pub fn first_cycle_from(&self, wall_ns: i64) -> Result<Option<u64>, LogSourceError> {
        let found: Option<i64> = self
            .0
            .prepare_cached("SELECT min(seq) FROM cycle WHERE wall_ns >= ?1")?
            .query_row([wall_ns], |row| row.get(0))?;
        Ok(found.map(i64::cast_unsigned))
    }

    /// The cycles whose wall clock is in `from_ns..to_ns`, as orders to forget them; none when none is kept. A clock that was set
    /// shows a time twice: what lies between is of another time, and stays.
    pub fn to_forget(&self, from_ns: i64, to_ns: i64) -> Result<Vec<Forget>, LogSourceError> {
        let mut found = self
            .0
            .prepare_cached("SELECT seq FROM cycle WHERE wall_ns >= ?1 AND wall_ns < ?2 ORDER BY seq")?;
        // Leaves of other kinds lie between cycles, too.
        let mut between = self
            .0
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM cycle WHERE seq > ?1 AND seq < ?2)")?;
        let mut orders: Vec<Forget> = Vec::new();
        let mut rows = found.query([from_ns, to_ns])?;
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)?;
            let next = seq.cast_unsigned();
            if let Some(order) = orders.last_mut()
                // In the same tile or the next one, both are erased whole anyway.
                && (next / TILE <= (order.to - 1) / TILE + 1
                    || !between.query_row([order.to.cast_signed() - 1, seq], |row| row.get::<_, bool>(0))?)
            {
                order.to = next + 1;
                continue;
            }
            orders.push(Forget {
                from: next,
                to: next + 1,
            });
        }
        Ok(orders)
    }

    /// Sequence number and wall clock of the oldest cycle that can be found by its time.
    pub fn oldest_cycle(&self) -> Result<Option<(u64, i64)>, LogSourceError> {
        Ok(self
            .0
            .prepare_cached("SELECT seq, wall_ns FROM cycle ORDER BY seq LIMIT 1")?
            .query_row([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?)))
            .optional()?)
    }

    /// The signed note of this size.
    pub fn note(&self, size: u64) -> Result<Option<String>, LogSourceError> {
        Ok(self
            .0
            .prepare_cached("SELECT note FROM checkpoint WHERE size = ?1")?
            .query_row([sql_int(size)], |row| row.get(0))
            .optional()?)
    }

    /// The sizes next to this one of which a note is kept: the largest below it, the smallest above it.
    pub fn sizes_beside(&self, size: u64) -> Result<[Option<u64>; 2], LogSourceError> {
        let found: [Option<i64>; 2] = self
            .0
            .prepare_cached(
                "SELECT (SELECT max(size) FROM checkpoint WHERE size < ?1), (SELECT min(size) FROM checkpoint WHERE size > ?1)",
            )?
            .query_row([sql_int(size)], |row| Ok([row.get(0)?, row.get(1)?]))?;
        Ok(found.map(|size| size.map(i64::cast_unsigned)))
    }

    /// The keyframe that a replay from leaf `from` begins with, after which all raw input is kept up to `to` (or the end), and
    /// one past the last cycle: the last at or before `from`, else the next one when no cycle lies between; without `from` the
    /// first there is. None when there is none.
    pub fn replayable(
        &self,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<Option<std::ops::Range<u64>>, LogSourceError> {
        let end = to.unwrap_or(i64::MAX.cast_unsigned());
        let keyframes = "state IS NOT NULL AND seq < ?2 AND seq >=
             coalesce((SELECT max(seq) FROM cycle_data WHERE inputs IS NULL AND seq < ?2), 0)";
        let (before, after, last): (Option<i64>, Option<i64>, Option<i64>) = self
            .0
            .prepare_cached(&format!(
                "SELECT (SELECT max(seq) FROM cycle_data WHERE {keyframes} AND seq <= ?1),
                 (SELECT min(seq) FROM cycle_data WHERE {keyframes} AND seq >= ?1),
                 (SELECT max(seq) FROM cycle_data WHERE seq < ?2)"
            ))?
            .query_row([sql_int(from.unwrap_or(0)), sql_int(end)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let [before, after, last] = [before, after, last].map(|seq| seq.map(i64::cast_unsigned));
        let first = match (from, before, after) {
            (None, _, after) => after,
            (Some(_), Some(before), _) => Some(before),
            (Some(from), None, Some(after)) if self.are_no_cycles(from, after)? => Some(after),
            _ => None,
        };
        Ok(match (first, last) {
            (Some(first), Some(last)) if last >= from.unwrap_or(0) => Some(first..last + 1),
            _ => None,
        })
    }

    /// True when the leaves `first..end` are all kept and none of them is a cycle.
    fn are_no_cycles(&self, first: u64, end: u64) -> Result<bool, LogSourceError> {
        // `kind <> 1` is what the index asks for.
        let others: i64 = self
            .0
            .prepare_cached("SELECT count(*) FROM leaf WHERE kind <> 1 AND seq >= ?1 AND seq < ?2")?
            .query_row([sql_int(first), sql_int(end)], |row| row.get(0))?;
        Ok(others.cast_unsigned() == end - first)
    }

    fn header(&self, seq: u64) -> Result<Header, LogSourceError> {
        let bytes: Option<Vec<u8>> = self
            .0
            .prepare_cached("SELECT body FROM leaf WHERE seq = ?1")?
            .query_row([sql_int(seq)], |row| row.get(0))
            .optional()?;
        let bytes = bytes.ok_or(LogSourceError::Pruned {
            asked: seq,
            minimum: self.minimum_index()?,
        })?;
        let split = leaf::split(&bytes).map_err(|error| LogSourceError::Leaf {
            seq,
            problem: error.to_string(),
        })?;
        Ok(split.0)
    }
}

impl TileSource for SqlLog<'_> {
    fn tile(&self, id: TileId) -> Result<Vec<u8>, TreeError> {
        SqlTiles(self.0).tile(id)
    }
}

impl LogSource for SqlLog<'_> {
    type Error = LogSourceError;

    fn leaves(&self, first: u64, end: u64) -> Result<Vec<Vec<u8>>, LogSourceError> {
        let leaves: Vec<Vec<u8>> = self
            .0
            .prepare_cached("SELECT body FROM leaf WHERE seq >= ?1 AND seq < ?2 ORDER BY seq")?
            .query_map(params![sql_int(first), sql_int(end)], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        if leaves.len() as u64 == end - first {
            return Ok(leaves);
        }
        // Pruning takes the oldest: what is missing is missing at the front.
        Err(LogSourceError::Pruned {
            asked: first,
            minimum: self.minimum_index()?,
        })
    }

    fn context(&self, seq: u64) -> Result<Vec<u64>, LogSourceError> {
        let boot_id = self.header(seq)?.boot_id;
        // `kind <> 1` is what the index asks for; backwards until another boot.
        let mut statement = self
            .0
            .prepare_cached("SELECT seq, body FROM leaf WHERE kind <> 1 AND seq <= ?1 ORDER BY seq DESC")?;
        let mut rows = statement.query([sql_int(seq)])?;
        let mut context = Vec::new();
        while let Some(row) = rows.next()? {
            let found = row.get::<_, i64>(0)?.cast_unsigned();
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let (header, _) = leaf::split(bytes).map_err(|error| LogSourceError::Leaf {
                seq: found,
                problem: error.to_string(),
            })?;
            if header.boot_id != boot_id {
                break;
            }
            if is_context(header.kind) {
                context.push(found);
            }
            if header.kind == Kind::Genesis {
                break;
            }
        }
        context.reverse();
        Ok(context)
    }

    fn key_leaves(&self, size: u64) -> Result<Vec<u64>, LogSourceError> {
        // `kind <> 1` is what the index asks for.
        let mut statement = self
            .0
            .prepare_cached("SELECT seq FROM leaf WHERE kind <> 1 AND kind = ?1 AND seq < ?2 ORDER BY seq")?;
        let found = statement.query_map(params![Kind::Key as u8, sql_int(size)], |row| row.get::<_, i64>(0))?;
        Ok(found
            .map(|seq| seq.map(i64::cast_unsigned))
            .collect::<rusqlite::Result<_>>()?)
    }

    fn kept(&self, seq: u64) -> Result<Option<KeptCycle>, LogSourceError> {
        let header = self.header(seq)?;
        let Some(blind_key) = salts::blind_key(self.0, seq)? else {
            return Ok(None);
        };
        let salted = |field: Field, bytes: Option<Vec<u8>>| {
            bytes.map(|bytes| (salt(&blind_key, &header.log_id, seq, field), bytes))
        };
        Ok(self
            .0
            .prepare_cached("SELECT inputs, stages, outcome, state FROM cycle_data WHERE seq = ?1")?
            .query_row([sql_int(seq)], |row| {
                Ok(KeptCycle {
                    fields: [
                        salted(FIELDS[0], row.get(0)?),
                        salted(FIELDS[1], row.get(1)?),
                        salted(FIELDS[2], row.get(2)?),
                    ],
                    state: salted(Field::State, row.get(3)?),
                })
            })
            .optional()?)
    }

    fn kept_lens(&self, seq: u64) -> Result<Option<[Option<u64>; 4]>, LogSourceError> {
        // Without its secret nothing can be opened any more.
        if salts::blind_key(self.0, seq)?.is_none() {
            return Ok(None);
        }
        let lens = self
            .0
            .prepare_cached(
                "SELECT length(inputs), length(stages), length(outcome), length(state) FROM cycle_data WHERE seq = ?1",
            )?
            .query_row([sql_int(seq)], |row| {
                let len = |column| row.get::<_, Option<i64>>(column).map(|len| len.map(i64::cast_unsigned));
                Ok([len(0)?, len(1)?, len(2)?, len(3)?])
            })
            .optional()?;
        Ok(lens)
    }

    fn blob(&self, hash: &Hash) -> Result<Option<Vec<u8>>, LogSourceError> {
        Ok(self
            .0
            .prepare_cached("SELECT bytes FROM blob WHERE hash = ?1")?
            .query_row([hash], |row| row.get(0))
            .optional()?)
    }
}
