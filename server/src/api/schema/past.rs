//! The past: stored cycles, the world, the witness log.

use crate::api::access::{Bar, Leaves::*, Rule, Scope::Read, rule};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What the fields give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule(
        "Leaf",
        Read,
        Anyway,
        "at base64 bodyBytes bootId degradedClock demoted durable hex inclusionProof keyframe kind logId monoNs prev seq simulated tick witness",
    ),
    rule("InclusionProof", Read, Anyway, "checkpoint hashes index size text"),
    rule("Checkpoint", Read, Anyway, "note size"),
    rule("TrackPoint", Read, Anyway, "at bootId cycle durable simulated tMs tick"),
    rule("TrackPoint", Read, People, "person"),
    // Nodes and edges that the class does not let out are left out as a whole (`world_class`).
    rule("World", Read, Anyway, "cycle edges nodes"),
    rule(
        "WorldUpdate",
        Read,
        Anyway,
        "cycle edges goneEdges goneNodes nodes snapshot",
    ),
    rule("WorldEdge", Read, Anyway, "attributes from kind sinceCycle to"),
    rule(
        "WorldNode",
        Read,
        Anyway,
        "attributes id kind name sigmaM sinceCycle x y z",
    ),
];

use async_graphql::{ComplexObject, Context, ID, Json, SimpleObject};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tapline_witness::{
    hash,
    leaf::{self, flags},
    outcome_codec::decode_outcome,
};

use super::{
    api,
    cycle::Snapshot,
    person::{Person, everybody},
    scalars::{Long, Timestamp, hex},
};
use crate::{
    api::{
        Api,
        error::Failure,
        history::{self, CyclePage, StoredCycle},
        log::Inclusion,
        then::Then,
    },
    live,
};

/// Reads cycles from the store; those whose outcome retention has taken are not there.
pub(crate) async fn cycles(api: &Api, page: CyclePage) -> Result<Vec<Snapshot>, Failure> {
    let durable = api.hub.durable().borrow().size;
    let (hub, thens) = (Arc::clone(&api.hub), Arc::clone(&api.thens));
    let read = api.read(move |history| {
        let stored = history.cycles(page)?.into_iter();
        // Here, and not where requests are answered: a page of them takes a while.
        let told = stored.map(|s| {
            let then = thens.of(&hub.facts, history, &s.config_hash)?;
            Ok(snapshot(s, then, durable))
        });
        told.collect::<Result<Vec<_>, _>>()
    });
    read.await?.into_iter().collect()
}

fn snapshot(stored: StoredCycle, then: Option<Arc<Then>>, durable: u64) -> Result<Snapshot, Failure> {
    let outcome = decode_outcome(&stored.outcome_bytes).map_err(|e| Failure::Internal {
        detail: format!("the stored outcome of cycle {} cannot be read: {e}", stored.cycle),
    })?;
    let cycle = live::Cycle {
        cycle: stored.cycle,
        witness: stored.witness,
        wall_ns: stored.wall_ns,
        outcome,
        outcome_bytes: stored.outcome_bytes,
        stages: Default::default(),
    };
    Ok(Snapshot {
        durable: stored.cycle < durable,
        cycle: Arc::new(cycle),
        boot_id: stored.boot_id,
        live: false,
        then,
        skipped: 0,
        resumed: None,
    })
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
    pub(crate) fn all(api: &Api, snapshots: &[Snapshot], id: Option<&str>) -> Vec<Self> {
        let bar = Bar::of(api);
        let points = snapshots.iter().flat_map(|s| {
            let o = &s.cycle.outcome;
            everybody(api, bar, o).into_iter().map(move |person| Self {
                cycle: s.cycle.cycle.into(),
                boot_id: hex(&s.boot_id).into(),
                tick: o.tick.into(),
                t_ms: o.t_ms.into(),
                at: Timestamp {
                    wall_ns: s.cycle.wall_ns,
                },
                simulated: o.simulated,
                durable: s.durable,
                person,
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

/// The WorldGraph, or what changed in it.
#[derive(SimpleObject)]
pub(crate) struct WorldUpdate {
    /// Cycle after which it stood so.
    cycle: Long,
    /// True for the first message, which has everything; false for what changed since the message before.
    snapshot: bool,
    /// Nodes that are new or other than before, ascending id.
    nodes: Vec<WorldNode>,
    /// Edges that are new, ascending by both ends.
    edges: Vec<WorldEdge>,
    /// Ids of nodes that are gone.
    gone_nodes: Vec<ID>,
    /// Edges that are gone.
    gone_edges: Vec<WorldEdge>,
}

impl WorldUpdate {
    /// What tells a client that knows `before`; none when nothing changed.
    pub(crate) fn between(before: Option<&history::World>, now: &history::World) -> Option<Self> {
        let none = history::World::default();
        let known = before.unwrap_or(&none);
        let nodes: BTreeMap<_, _> = known.nodes.iter().map(|n| (&n.id, n)).collect();
        let edge = |e: &history::WorldEdge| (e.from.clone(), e.to.clone(), e.kind.clone());
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = (
            known.edges.iter().map(edge).collect(),
            now.edges.iter().map(edge).collect(),
        );
        let still: BTreeSet<_> = now.nodes.iter().map(|n| &n.id).collect();
        let update = Self {
            cycle: now.cycle.into(),
            snapshot: before.is_none(),
            nodes: now
                .nodes
                .iter()
                .filter(|n| nodes.get(&n.id).is_none_or(|was| was != n))
                .cloned()
                .map(Into::into)
                .collect(),
            edges: now
                .edges
                .iter()
                .filter(|e| !old.contains(&edge(e)))
                .cloned()
                .map(Into::into)
                .collect(),
            gone_nodes: known
                .nodes
                .iter()
                .filter(|n| !still.contains(&n.id))
                .map(|n| n.id.as_str().into())
                .collect(),
            gone_edges: known
                .edges
                .iter()
                .filter(|e| !new.contains(&edge(e)))
                .cloned()
                .map(Into::into)
                .collect(),
        };
        let silent = update.nodes.is_empty()
            && update.edges.is_empty()
            && update.gone_nodes.is_empty()
            && update.gone_edges.is_empty();
        (update.snapshot || !silent).then_some(update)
    }
}

/// A node of the WorldGraph.
#[derive(SimpleObject)]
struct WorldNode {
    /// Stable within the log, for example `room:0`.
    id: ID,
    /// What it stands for: `Room`, `Zone`, `Wall`, `Doorway`, `ObjectAnchor`, `Sensor`, `RfLink`, `PersonTrack`,
    /// `SemanticState` (of the site, of an area, or what privacy lets out) or `Event`.
    kind: String,
    /// Name for people; null when it has none.
    name: Option<String>,
    /// Position x, metres; null when unknown.
    x: Option<f64>,
    /// Position y, metres; null when unknown.
    y: Option<f64>,
    /// Position z, metres; null when unknown.
    z: Option<f64>,
    /// Standard deviation of the position, metres; null without a position.
    sigma_m: Option<f64>,
    /// Everything that is known of it.
    attributes: Json<serde_json::Value>,
    /// First cycle with it as it is.
    since_cycle: Long,
}

impl From<history::WorldNode> for WorldNode {
    fn from(n: history::WorldNode) -> Self {
        let attributes: serde_json::Value = serde_json::from_str(&n.attributes).unwrap_or_default();
        let axis = |i: usize| attributes["position_m"][i].as_f64();
        Self {
            id: n.id.into(),
            kind: n.kind,
            name: attributes["name"].as_str().map(str::to_owned),
            x: axis(0),
            y: axis(1),
            z: axis(2),
            sigma_m: attributes["sigma_m"].as_f64(),
            since_cycle: n.since_cycle.into(),
            attributes: Json(attributes),
        }
    }
}

/// An edge of the WorldGraph. Its ends are the nodes as they were when it began: an id may be used again for a later
/// belief, whose `sinceCycle` is later than the edge's.
#[derive(SimpleObject)]
struct WorldEdge {
    /// Id of the node it starts at.
    from: ID,
    /// Id of the node it ends at.
    to: ID,
    /// What it says: `Observes`, `LocatedIn`, `AdjacentTo`, `Supports` and `Contradicts` (a link that moves, or a person
    /// who is followed, speaks for or against the state of a room), `DerivedFrom` or `PrivacyLimitedBy` (people, zones or
    /// the lasting identity of a person are withheld).
    kind: String,
    /// Everything that is known of it.
    attributes: Json<serde_json::Value>,
    /// First cycle with it.
    since_cycle: Long,
}

impl From<history::WorldEdge> for WorldEdge {
    fn from(e: history::WorldEdge) -> Self {
        Self {
            from: e.from.into(),
            to: e.to.into(),
            kind: e.kind,
            attributes: Json(serde_json::from_str(&e.attributes).unwrap_or_default()),
            since_cycle: e.since_cycle.into(),
        }
    }
}

/// A leaf of the witness log (docs/witness-format.md).
#[derive(SimpleObject)]
#[graphql(complex)]
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

impl Leaf {
    /// Shows the header of a stored leaf.
    pub(crate) fn new(seq: u64, bytes: &[u8], durable: u64) -> Result<Self, Failure> {
        let broken = |what: String| Failure::Internal {
            detail: format!("stored leaf {seq}: {what}"),
        };
        let (header, body) = leaf::split(bytes).map_err(|e| broken(e.to_string()))?;
        if header.seq != seq {
            return Err(broken(format!("holds leaf {}", header.seq)));
        }
        let flag = |bit: u8| header.flags & bit != 0;
        Ok(Self {
            seq: seq.into(),
            kind: header.kind.name(),
            witness: hex(&hash::witness(bytes)),
            prev: hex(&header.prev),
            log_id: hex(&header.log_id),
            boot_id: hex(&header.boot_id).into(),
            tick: header.tick.into(),
            mono_ns: header.mono_ns.to_string(),
            at: Timestamp {
                wall_ns: header.wall_ns,
            },
            keyframe: flag(flags::KEYFRAME),
            demoted: flag(flags::DEMOTED),
            degraded_clock: flag(flags::DEGRADED_CLOCK),
            simulated: flag(flags::SIMULATED),
            body_bytes: body.len() as u32,
            durable: seq < durable,
            hex: hex(bytes),
            base64: BASE64.encode(bytes),
        })
    }
}

#[ComplexObject]
impl Leaf {
    /// Proof that the newest published checkpoint covers it (RFC 9162, 2.1.3); null when none does yet.
    #[graphql(complexity = "20 + child_complexity")]
    async fn inclusion_proof(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<InclusionProof>> {
        let api = api(ctx);
        let head = api.hub.durable().borrow().clone();
        let Some(index) = self.seq.unsigned().filter(|seq| *seq < head.size) else {
            return Ok(None);
        };
        let proof = Inclusion::prove(api, index, head).await?;
        Ok(Some(InclusionProof {
            index: proof.index.into(),
            size: proof.head.size.into(),
            hashes: proof.path.iter().map(|hash| BASE64.encode(hash)).collect(),
            text: proof.text(),
            checkpoint: proof.head.note,
        }))
    }
}

/// Proof that a leaf is in the tree of a published checkpoint.
#[derive(SimpleObject)]
struct InclusionProof {
    /// Number of the leaf.
    index: Long,
    /// Leaves of the tree.
    size: Long,
    /// Hashes from the leaf's sibling up to the root's child (SHA-256), base64.
    hashes: Vec<String>,
    /// The signed note of the tree, verbatim.
    checkpoint: String,
    /// All of it as one text (C2SP tlog-proof), as `GET /proof` gives it.
    text: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_makes_the_old_graph_the_new_one() {
        let node = |id: &str, attributes: &str| history::WorldNode {
            id: id.to_owned(),
            kind: "PersonTrack".to_owned(),
            attributes: attributes.to_owned(),
            since_cycle: 1,
        };
        let edge = |from: &str, to: &str| history::WorldEdge {
            from: from.to_owned(),
            to: to.to_owned(),
            kind: "LocatedIn".to_owned(),
            attributes: "{}".to_owned(),
            since_cycle: 1,
        };
        let before = history::World {
            cycle: 7,
            nodes: vec![node("person:1", "{}"), node("person:2", "{}"), node("room:0", "{}")],
            edges: vec![edge("person:1", "room:0"), edge("person:2", "room:0")],
        };
        let now = history::World {
            cycle: 9,
            nodes: vec![
                node("person:2", r#"{"sigma_m":1}"#),
                node("person:3", "{}"),
                node("room:0", "{}"),
            ],
            edges: vec![edge("person:2", "room:0"), edge("person:3", "room:0")],
        };
        let ids = |nodes: &[WorldNode]| nodes.iter().map(|n| n.id.to_string()).collect::<Vec<_>>();
        let first = WorldUpdate::between(None, &before).unwrap();
        assert!(first.snapshot && ids(&first.nodes).len() == 3 && first.edges.len() == 2);
        let change = WorldUpdate::between(Some(&before), &now).unwrap();
        assert_eq!(ids(&change.nodes), ["person:2", "person:3"]);
        assert_eq!(change.gone_nodes, ["person:1"]);
        assert_eq!(
            (change.edges[0].from.as_str(), change.gone_edges[0].from.as_str()),
            ("person:3", "person:1")
        );
        assert!(!change.snapshot && WorldUpdate::between(Some(&now), &now).is_none());
        // An empty graph is said, too.
        assert!(WorldUpdate::between(None, &history::World::default()).is_some());
    }
}
