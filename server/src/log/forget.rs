//! Forgetting on request: what the cycles of a range took in, published and were committed under is erased.
//!
//! The order is a leaf, AUDIT `forget FROM TO`; the writer thread obeys it once that leaf is committed, a batch of cycles an
//! idle slot, and notes the leaf when nothing is left. A kill in between is made up for after the next start. Leaves and
//! tree stay, so every proof does. Of what the cycles added up to (rollups) the way of people goes: their rows by the second and
//! the minute, heat and flows by the second. The rest stays; recordings and captures are files of their own.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tapline_witness::{
    body::{AuditResult, Body},
    leaf::{self, Kind},
    tile::TILE_WIDTH,
};

use super::LogError;
use crate::store::{clock, rollup::forget_ways};

/// Cycles erased in one idle slot.
const BATCH: i64 = 2_000;
const WORD: &str = "forget";

/// An order to forget the cycles `from..to`, widened to whole tiles: a tile has one secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forget {
    /// First cycle.
    pub from: u64,
    /// One past the last.
    pub to: u64,
}

impl Forget {
    /// The order in the action of an AUDIT leaf; none when it is another.
    pub fn parse(action: &str) -> Option<Self> {
        let mut words = action.split(' ');
        (words.next() == Some(WORD)).then_some(())?;
        let (from, to) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let order = Self { from, to };
        (words.next().is_none() && from < to && order.to_string() == action).then_some(order)
    }

    /// First and last (exclusive) leaf that an order in leaf `seq` erases. What is written after it is under another
    /// secret, so a tile that was being filled is erased as far as it went.
    fn erased(self, seq: u64) -> (u64, u64) {
        let width = TILE_WIDTH as u64;
        let end = self.to.min(seq).next_multiple_of(width);
        (self.from - self.from % width, end.min(seq))
    }
}

impl fmt::Display for Forget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WORD} {} {}", self.from, self.to)
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forgotten {
    /// There is no order that is not obeyed.
    Nothing,
    /// A batch; there is more.
    Some,
    /// An order was obeyed to its end.
    Whole,
}

/// Obeys the oldest order that is not obeyed yet, a batch of it.
pub(super) fn step(db: &mut Connection) -> Result<Forgotten, LogError> {
    let Some((seq, order)) = waiting(db)? else {
        return Ok(Forgotten::Nothing);
    };
    let (start, end) = order.erased(seq);
    let (start, end) = (start.cast_signed(), end.cast_signed());
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.prepare_cached("DELETE FROM salt WHERE first_seq >= ?1 AND first_seq < ?2")?
        .execute([start, end])?;
    let oldest: Option<i64> = tx.query_row(
        "SELECT min(seq) FROM (SELECT min(seq) AS seq FROM cycle_data WHERE seq >= ?1 AND seq < ?2
         UNION ALL SELECT min(seq) FROM cycle WHERE seq >= ?1 AND seq < ?2)",
        [start, end],
        |row| row.get(0),
    )?;
    let forgotten = match oldest {
        Some(oldest) => {
            let until = end.min(oldest + BATCH);
            let cycles: Vec<(i64, i64)> = tx
                .prepare_cached("SELECT seq, wall_ns FROM cycle WHERE seq >= ?1 AND seq < ?2 ORDER BY seq")?
                .query_map([oldest, until], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            // The times at which they were added up.
            let times_ns = clock::believed(&tx, cycles.into_iter())?;
            forget_ways(&tx, &times_ns)?;
            for (table, column) in [("cycle_data", "seq"), ("track", "cycle"), ("cycle", "seq")] {
                let sql = format!("DELETE FROM {table} WHERE {column} >= ?1 AND {column} < ?2");
                tx.prepare_cached(&sql)?.execute([oldest, until])?;
            }
            Forgotten::Some
        }
        None => {
            for table in ["world_node", "world_edge"] {
                tx.execute(
                    &format!("DELETE FROM {table} WHERE to_seq > ?1 AND from_seq < ?2 AND to_seq IS NOT NULL"),
                    [start, end],
                )?;
            }
            tx.execute(
                "INSERT INTO meta (k, v) VALUES ('forgotten', ?1) ON CONFLICT (k) DO UPDATE SET v = ?1",
                [seq.cast_signed()],
            )?;
            Forgotten::Whole
        }
    };
    tx.commit()?;
    Ok(forgotten)
}

/// The oldest order in the log that is not noted as obeyed, and its place.
fn waiting(db: &Connection) -> Result<Option<(u64, Forget)>, LogError> {
    let obeyed: Option<i64> = db
        .prepare_cached("SELECT v FROM meta WHERE k = 'forgotten'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let mut statement =
        db.prepare_cached("SELECT seq, body FROM leaf WHERE kind <> 1 AND kind = ?1 AND seq > ?2 ORDER BY seq")?;
    let mut rows = statement.query(params![Kind::Audit as u8, obeyed.unwrap_or(-1)])?;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(1)?;
        if let Body::Audit(audit) = leaf::decode(&bytes)?.body
            && audit.result == AuditResult::Done
            && let Some(order) = Forget::parse(audit.action.as_str())
        {
            return Ok(Some((row.get::<_, i64>(0)?.cast_unsigned(), order)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_one_spelling() {
        let order = Forget { from: 7, to: 900 };
        assert_eq!(Forget::parse("forget 7 900"), Some(order));
        for other in [
            "forget 7",
            "forget 7 7",
            "forget 9 7",
            "forget 07 900",
            "forget 7 900 ",
            "forget  7 900",
            "forget -1 5",
            "forgets 7 900",
            "zone.outline forget 7 900",
        ] {
            assert_eq!(Forget::parse(other), None, "{other}");
        }
        assert_eq!(order.erased(5_000), (0, 1_024));
        assert_eq!(order.erased(950), (0, 950), "the tile was being filled");
        assert_eq!(order.erased(600), (0, 600), "what comes after the order stays");
    }
}
