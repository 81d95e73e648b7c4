//! The past: stored cycles, the world, the witness log.

use std::sync::Arc;

use async_graphql::{Context, ID, SimpleObject};
use base64::Engine as _;
use tapline_witness::outcome::Outcome;

use super::{
    api,
    cycle::Snapshot,
    person::Person,
    scalars::{Long, Timestamp, decimal, hex},
};
use crate::{
    api::{
        error::Failure,
        history::{self, CyclePage, StoredCycle},
    },
    live,
};

/// Reads cycles from the store; those whose outcome retention has taken are left out.
pub(crate) async fn cycles(ctx: &Context<'_>, page: CyclePage) -> Result<Vec<Snapshot>, Failure> {
    let durable = api(ctx).hub.durable().borrow().size;
    let stored = api(ctx).read(move |history| history.cycles(page)).await?;
    stored
        .into_iter()
        .filter_map(|s| snapshot(s, durable).transpose())
        .collect()
}

fn snapshot(stored: StoredCycle, durable: u64) -> Result<Option<Snapshot>, Failure> {
    let Some(outcome_bytes) = stored.outcome_bytes else {
        return Ok(None);
    };
    let outcome: Outcome = borsh::from_slice(&outcome_bytes).map_err(|e| Failure::Internal {
        detail: format!("the stored outcome of cycle {} cannot be read: {e}", stored.cycle),
    })?;
    let cycle = live::Cycle {
        cycle: stored.cycle,
        witness: stored.witness,
        wall_ns: stored.wall_ns,
        outcome,
        outcome_bytes,
        stages: Default::default(),
    };
    Ok(Some(Snapshot {
        durable: stored.cycle < durable,
        cycle: Arc::new(cycle),
        boot_id: stored.boot_id,
        live: false,
        skipped: 0,
    }))
}

/// Where a person was in one cycle.
#[derive(SimpleObject)]
pub(crate) struct TrackPoint {
    /// Number of the cycle.
    cycle: Long,
    /// Process start: 32 hex digits.
    boot_id: ID,
    /// 50 ms slot since the process started.
    tick: Long,
    /// End of the slot in milliseconds of the input's time base.
    t_ms: Long,
    /// End of the slot by the server's clock.
    at: Timestamp,
    /// True when any frame of the cycle came from a generator.
    simulated: bool,
    /// True when a published checkpoint covers the cycle.
    durable: bool,
    /// The person.
    person: Person,
}

impl TrackPoint {
    pub(crate) fn all(snapshots: &[Snapshot], id: Option<&str>) -> Vec<Self> {
        let points = snapshots.iter().flat_map(|s| {
            let o = &s.cycle.outcome;
            o.tracks.iter().map(move |p| Self {
                cycle: s.cycle.cycle.into(),
                boot_id: hex(&s.boot_id).into(),
                tick: o.tick.into(),
                t_ms: o.t_ms.into(),
                at: Timestamp {
                    wall_ns: s.cycle.wall_ns,
                },
                simulated: o.simulated,
                durable: s.durable,
                person: Person::from(p),
            })
        });
        points
            .filter(|p| id.is_none_or(|id| p.person.id.as_str() == id))
            .collect()
    }
}

/// The WorldGraph: rooms, zones, doors, radios and people, and how they relate.
#[derive(SimpleObject)]
pub(crate) struct World {
    /// Cycle after which it stood so.
    cycle: Long,
    /// Nodes, ascending id.
    nodes: Vec<WorldNode>,
    /// Edges, ascending by both ends.
    edges: Vec<WorldEdge>,
}

impl From<history::World> for World {
    fn from(w: history::World) -> Self {
        Self {
            cycle: w.cycle.into(),
            nodes: w.nodes.into_iter().map(Into::into).collect(),
            edges: w.edges.into_iter().map(Into::into).collect(),
        }
    }
}

/// A node of the WorldGraph.
#[derive(SimpleObject)]
struct WorldNode {
    /// Stable within the log.
    id: ID,
    /// What it stands for, for example `room`, `zone`, `person`, `node`.
    kind: String,
    /// Name for people.
    label: String,
    /// Position x, metres; null when unknown.
    x: Option<f64>,
    /// Position y, metres; null when unknown.
    y: Option<f64>,
    /// Position z, metres; null when unknown.
    z: Option<f64>,
    /// Cycle in which it appeared.
    since_cycle: Long,
    /// Last cycle in which it changed.
    changed_cycle: Long,
}

impl From<history::WorldNode> for WorldNode {
    fn from(n: history::WorldNode) -> Self {
        let [x, y, z] = n.position_m.map(|v| v.map(decimal));
        Self {
            id: n.id.into(),
            kind: n.kind,
            label: n.label,
            x,
            y,
            z,
            since_cycle: n.since_cycle.into(),
            changed_cycle: n.changed_cycle.into(),
        }
    }
}

/// An edge of the WorldGraph.
#[derive(SimpleObject)]
struct WorldEdge {
    /// Id of the node it starts at.
    from: ID,
    /// Id of the node it ends at.
    to: ID,
    /// What it says.
    kind: String,
    /// How sure, 0 to 1; null when it is configured rather than observed.
    weight: Option<f64>,
    /// Cycle in which it appeared.
    since_cycle: Long,
}

impl From<history::WorldEdge> for WorldEdge {
    fn from(e: history::WorldEdge) -> Self {
        Self {
            from: e.from.into(),
            to: e.to.into(),
            kind: e.kind,
            weight: e.weight.map(decimal),
            since_cycle: e.since_cycle.into(),
        }
    }
}

/// A leaf of the witness log (docs/witness-format.md).
#[derive(SimpleObject)]
pub(crate) struct Leaf {
    /// Its number, which is its index in the tree.
    seq: Long,
    /// What it records, for example `CYCLE`.
    kind: &'static str,
    /// BLAKE3 witness W, 64 hex digits.
    witness: String,
    /// W of the leaf before it, 64 hex digits.
    prev: String,
    /// Which log it belongs to, 64 hex digits.
    log_id: String,
    /// Process start, 32 hex digits.
    boot_id: ID,
    /// 50 ms slot since the process started.
    tick: Long,
    /// Monotonic clock of the process, nanoseconds, as decimal text (it exceeds what JSON keeps exact).
    mono_ns: String,
    /// Wall clock.
    at: Timestamp,
    /// True when it carries the commitment of the whole cycle state.
    keyframe: bool,
    /// True when the privacy class is stricter than the mode's.
    demoted: bool,
    /// True when the clock was degraded.
    degraded_clock: bool,
    /// True when the input was simulated.
    simulated: bool,
    /// Length of the body, bytes.
    body_bytes: u32,
    /// True when a published checkpoint covers it.
    durable: bool,
    /// The canonical bytes, hex.
    hex: String,
    /// The canonical bytes, base64.
    base64: String,
}

/// Kinds of leaves by their byte (docs/witness-format.md).
const KINDS: [&str; 14] = [
    "GENESIS",
    "CYCLE",
    "BOOT",
    "SWAP",
    "ROLLUP",
    "CONFIG",
    "CALIBRATION",
    "KEY",
    "PRIVACY_MODE",
    "GAP",
    "CLOCK_STEP",
    "RETENTION_POLICY",
    "SHUTDOWN",
    "AUDIT",
];

impl Leaf {
    /// Shows the header of a stored leaf.
    pub(crate) fn new(seq: u64, stored: &history::StoredLeaf, durable: u64) -> Result<Self, Failure> {
        let bytes = stored.bytes.as_slice();
        let broken = |what: &str| Failure::Internal {
            detail: format!("stored leaf {seq}: {what}"),
        };
        let header: &[u8; 124] = bytes.first_chunk().ok_or_else(|| broken("shorter than its header"))?;
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        if header[..4] != *b"CWR1" || u64_at(40) != seq {
            return Err(broken("not a leaf, or of another number"));
        }
        let flag = |bit: u8| header[5] >> bit & 1 == 1;
        Ok(Self {
            seq: seq.into(),
            kind: KINDS
                .get(usize::from(header[4]))
                .copied()
                .ok_or_else(|| broken("unknown kind"))?,
            witness: hex(&stored.witness),
            prev: hex(&header[48..80]),
            log_id: hex(&header[8..40]),
            boot_id: hex(&header[80..96]).into(),
            tick: u64_at(96).into(),
            mono_ns: u64_at(104).to_string(),
            at: Timestamp {
                wall_ns: u64_at(112).cast_signed(),
            },
            keyframe: flag(0),
            demoted: flag(1),
            degraded_clock: flag(2),
            simulated: flag(3),
            body_bytes: (bytes.len() - header.len()) as u32,
            durable: seq < durable,
            hex: hex(bytes),
            base64: base64::engine::general_purpose::STANDARD.encode(bytes),
        })
    }
}

/// A signed checkpoint of the witness log (C2SP tlog-checkpoint).
#[derive(SimpleObject)]
pub(crate) struct Checkpoint {
    /// Leaves covered.
    size: Long,
    /// The signed note, verbatim.
    note: String,
}

impl From<history::StoredCheckpoint> for Checkpoint {
    fn from(c: history::StoredCheckpoint) -> Self {
        Self {
            size: c.size.into(),
            note: c.note,
        }
    }
}
