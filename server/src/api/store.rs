//! The store of the log as the API's history.

use rusqlite::params;
use tapline_witness::{body::Body, hash, leaf};

use super::history::{CyclePage, History, HistoryError, StoredCheckpoint, StoredCycle, World, WorldEdge, WorldNode};
use crate::store::{
    StoreError,
    reader::{CheckpointRow, EdgeRow, NodeRow, Reader},
};

impl From<StoreError> for HistoryError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// `seq` as SQLite has it; no index comes near 2^63, and a client's may mean "after all".
fn sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

impl History for Reader {
    fn log(&self) -> Option<&Reader> {
        Some(self)
    }

    fn cycles(&self, page: CyclePage) -> Result<Vec<StoredCycle>, HistoryError> {
        let order = if page.newest_first { "DESC" } else { "ASC" };
        let query = format!(
            "SELECT leaf.body, cycle_data.outcome FROM cycle_data JOIN leaf USING (seq) \
             WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq {order} LIMIT ?3"
        );
        let rows: Vec<(Vec<u8>, Vec<u8>)> = self.snapshot(|db| {
            let mut statement = db.prepare_cached(&query)?;
            let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![sql(page.first), sql(page.last), limit], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        rows.into_iter()
            .map(|(bytes, outcome_bytes)| {
                let leaf::Leaf { header, body } = leaf::decode(&bytes).map_err(|e| HistoryError(e.to_string()))?;
                let Body::Cycle(body) = body else {
                    return Err(HistoryError(format!(
                        "leaf {} has an outcome and is no cycle",
                        header.seq
                    )));
                };
                Ok(StoredCycle {
                    cycle: header.seq,
                    wall_ns: header.wall_ns,
                    boot_id: header.boot_id,
                    witness: hash::witness(&bytes),
                    config_hash: body.config_hash,
                    outcome_bytes,
                })
            })
            .collect()
    }

    fn config(&self, hash: &[u8; 32]) -> Result<Option<String>, HistoryError> {
        let text = |(_, bytes): (String, Vec<u8>)| String::from_utf8_lossy(&bytes).into_owned();
        Ok(self.blob(hash)?.map(text))
    }

    fn leaf(&self, seq: u64) -> Result<Option<Vec<u8>>, HistoryError> {
        Ok(Self::leaf(self, seq)?.map(|row| row.bytes))
    }

    fn checkpoint(&self, size: Option<u64>) -> Result<Option<StoredCheckpoint>, HistoryError> {
        let row = match size {
            Some(size) => Self::checkpoint(self, size)?,
            None => self.latest_checkpoint()?,
        };
        Ok(row.map(|CheckpointRow { size, note }| StoredCheckpoint { size, note }))
    }

    fn world(&self, at: Option<u64>) -> Result<World, HistoryError> {
        let world = Self::world(self, at)?;
        Ok(World {
            cycle: world.cycle,
            nodes: world.nodes.into_iter().map(WorldNode::from).collect(),
            edges: world.edges.into_iter().map(WorldEdge::from).collect(),
        })
    }
}

impl From<NodeRow> for WorldNode {
    fn from(row: NodeRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            attributes: row.label,
            since_cycle: row.from_seq,
        }
    }
}

impl From<EdgeRow> for WorldEdge {
    fn from(row: EdgeRow) -> Self {
        Self {
            from: row.src,
            to: row.dst,
            kind: row.kind,
            attributes: row.label,
            since_cycle: row.from_seq,
        }
    }
}
