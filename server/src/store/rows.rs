//! Rows for queries, written in the transaction of the leaf they belong to.

use rusqlite::{Connection, params};
use tapline_witness::{outcome::Outcome, outcome_codec::decode_outcome};

use super::StoreError;

/// A change of the world graph, from the cycle whose record carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorldChange {
    /// A node appears, or its kind or label changes.
    Node {
        /// Its id.
        id: String,
        /// What it is.
        kind: String,
        /// Its attributes, JSON.
        label: String,
    },
    /// A node is gone.
    NodeGone {
        /// Its id.
        id: String,
    },
    /// An edge appears, or its label changes.
    Edge {
        /// Source node.
        src: String,
        /// Target node.
        dst: String,
        /// What it says.
        kind: String,
        /// Its attributes, JSON.
        label: String,
    },
    /// An edge is gone.
    EdgeGone {
        /// Source node.
        src: String,
        /// Target node.
        dst: String,
        /// What it said.
        kind: String,
    },
}

/// Writes the rows of a cycle from its committed outcome bytes.
///
/// # Errors
/// Bytes that are no outcome: the caller committed to something it should not have.
pub(crate) fn insert_cycle(
    db: &Connection,
    seq: u64,
    wall_ns: i64,
    outcome_code: u8,
    outcome_bytes: &[u8],
    stage_us: Option<&[u32; 9]>,
) -> Result<(), StoreError> {
    let outcome = decode_outcome(outcome_bytes).map_err(|error| StoreError::Corrupt {
        what: format!("outcome of cycle {seq}"),
        problem: error.to_string(),
    })?;
    insert_cycle_row(db, seq, wall_ns, outcome_code, &outcome, stage_us)?;
    insert_tracks(db, seq, &outcome)
}

fn insert_cycle_row(
    db: &Connection,
    seq: u64,
    wall_ns: i64,
    outcome_code: u8,
    outcome: &Outcome,
    stage_us: Option<&[u32; 9]>,
) -> Result<(), StoreError> {
    let stage_us = stage_us.map(|times| {
        let mut bytes = [0; 36];
        for (four, time) in bytes.chunks_exact_mut(4).zip(times) {
            four.copy_from_slice(&time.to_le_bytes());
        }
        bytes
    });
    db.prepare_cached(
        "INSERT INTO cycle (seq, tick, t_ms, wall_ns, outcome_code, privacy_class, gate, quality, people,
         presence_state, presence_p, simulated, stage_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        seq as i64,
        outcome.tick as i64,
        outcome.t_ms,
        wall_ns,
        outcome_code,
        outcome.privacy_class,
        outcome.gate.name(),
        outcome.quality.score,
        outcome.people,
        outcome.presence.state.name(),
        outcome.presence.probability,
        outcome.simulated,
        stage_us,
    ])?;
    Ok(())
}

fn insert_tracks(db: &Connection, seq: u64, outcome: &Outcome) -> Result<(), StoreError> {
    if outcome.tracks.is_empty() {
        return Ok(());
    }
    let mut insert = db.prepare_cached(
        "INSERT INTO track (cycle, id, active, existence, x, y, z, vx, vy, vz, sigma_m)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for track in &outcome.tracks {
        let [x, y, z] = track.position_m;
        let [vx, vy, vz] = track.velocity_m_s;
        // SQLite integers are signed: the id's bits are kept, and read back as they were.
        let id = track.id as i64;
        insert.execute(params![
            seq as i64,
            id,
            track.active,
            track.existence,
            x,
            y,
            z,
            vx,
            vy,
            vz,
            track.sigma_m
        ])?;
    }
    Ok(())
}

/// Writes a change of the world graph as of cycle `seq`.
pub(crate) fn apply_world_change(db: &Connection, seq: u64, change: &WorldChange) -> Result<(), StoreError> {
    let seq = seq as i64;
    match change {
        WorldChange::Node { id, kind, label } => {
            end_node(db, seq, id)?;
            db.prepare_cached(
                "INSERT INTO world_node (id, kind, label, from_seq) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id, from_seq) DO UPDATE SET kind = ?2, label = ?3, to_seq = NULL",
            )?
            .execute(params![id, kind, label, seq])?;
        }
        WorldChange::NodeGone { id } => end_node(db, seq, id)?,
        WorldChange::Edge { src, dst, kind, label } => {
            end_edge(db, seq, src, dst, kind)?;
            db.prepare_cached(
                "INSERT INTO world_edge (src, dst, kind, label, from_seq) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (src, dst, kind, from_seq) DO UPDATE SET label = ?4, to_seq = NULL",
            )?
            .execute(params![src, dst, kind, label, seq])?;
        }
        WorldChange::EdgeGone { src, dst, kind } => end_edge(db, seq, src, dst, kind)?,
    }
    Ok(())
}

fn end_node(db: &Connection, seq: i64, id: &str) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE world_node SET to_seq = ?2 WHERE id = ?1 AND to_seq IS NULL")?
        .execute(params![id, seq])?;
    Ok(())
}

fn end_edge(db: &Connection, seq: i64, src: &str, dst: &str, kind: &str) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE world_edge SET to_seq = ?4 WHERE src = ?1 AND dst = ?2 AND kind = ?3 AND to_seq IS NULL",
    )?
    .execute(params![src, dst, kind, seq])?;
    Ok(())
}
