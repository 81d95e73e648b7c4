//! The store as the API's history.

use rusqlite::params;
use tapline_witness::{hash::witness, leaf};

use super::history::{
    CyclePage, History, HistoryError, StoredCheckpoint, StoredCycle, StoredLeaf, World, WorldEdge, WorldNode,
};
use crate::store::{StoreError, reader::Reader};

/// Nodes or edges of the graph in one answer.
const WORLD_LIMIT: u32 = 10_000;

impl From<StoreError> for HistoryError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl History for Reader {
    fn cycles(&self, page: CyclePage) -> Result<Vec<StoredCycle>, HistoryError> {
        let order = if page.newest_first { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT c.seq, c.wall_ns, l.body, d.outcome FROM cycle c JOIN leaf l ON l.seq = c.seq
             LEFT JOIN cycle_data d ON d.seq = c.seq WHERE c.seq BETWEEN ?1 AND ?2 ORDER BY c.seq {order} LIMIT ?3"
        );
        let bound = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let rows = self.snapshot(|db| {
            let mut select = db.prepare_cached(&sql)?;
            let found = select.query_map(
                params![bound(page.first), bound(page.last), bound(page.limit as u64)],
                |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get(1)?,
                        row.get::<_, Vec<u8>>(2)?,
                        row.get(3)?,
                    ))
                },
            )?;
            Ok(found.collect::<Result<Vec<_>, _>>()?)
        })?;
        rows.into_iter()
            .map(|(seq, wall_ns, body, outcome_bytes)| {
                let (header, _) = leaf::split(&body).map_err(|e| HistoryError(format!("leaf {seq}: {e}")))?;
                Ok(StoredCycle {
                    cycle: header.seq,
                    wall_ns,
                    boot_id: header.boot_id,
                    witness: witness(&body),
                    outcome_bytes,
                })
            })
            .collect()
    }

    fn leaf(&self, seq: u64) -> Result<Option<StoredLeaf>, HistoryError> {
        let row = Self::leaf(self, seq)?;
        Ok(row.map(|row| StoredLeaf {
            witness: witness(&row.bytes),
            bytes: row.bytes,
        }))
    }

    fn checkpoint(&self, size: Option<u64>) -> Result<Option<StoredCheckpoint>, HistoryError> {
        let row = match size {
            Some(size) => Self::checkpoint(self, size)?,
            None => self.latest_checkpoint()?,
        };
        Ok(row.map(|row| StoredCheckpoint {
            size: row.size,
            note: row.note,
        }))
    }

    fn world(&self) -> Result<World, HistoryError> {
        let nodes = self.world_nodes(None, "", WORLD_LIMIT)?.into_iter().map(|row| {
            let attributes: serde_json::Value = serde_json::from_str(&row.label).unwrap_or_default();
            let mut position_m = [None; 3];
            for (axis, value) in position_m
                .iter_mut()
                .zip(attributes["position_m"].as_array().into_iter().flatten())
            {
                *axis = value.as_f64().map(|v| v as f32);
            }
            WorldNode {
                label: attributes["name"]
                    .as_str()
                    .map_or_else(|| row.label.clone(), str::to_owned),
                id: row.id,
                kind: row.kind,
                position_m,
                since_cycle: row.from_seq,
                changed_cycle: row.from_seq,
            }
        });
        let edges = self.world_edges(None, WORLD_LIMIT)?.into_iter().map(|row| WorldEdge {
            from: row.src,
            to: row.dst,
            kind: row.kind,
            weight: None,
            since_cycle: row.from_seq,
        });
        let cycle = Self::cycles(self, None, 1)?.first().map_or(0, |row| row.seq);
        Ok(World {
            cycle,
            nodes: nodes.collect(),
            edges: edges.collect(),
        })
    }
}
