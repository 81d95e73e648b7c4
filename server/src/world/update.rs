//! The graph itself and how an outcome changes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use borsh::{BorshDeserialize, BorshSerialize};
use tapline_witness::outcome::{AreaPresence, Outcome, Presence};

use super::graph::{Edge, EdgeKind, Interval, Node, NodeId, Provenance};
use crate::config::Site;

/// Events kept in the live graph; older ones are in the store.
const LIVE_EVENTS: usize = 256;
/// A person without an update for this many cycles leaves the live graph (2 s).
const PERSON_CYCLES: u64 = 40;

/// A change a subscriber or the store wants to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A node is new or another than before.
    Node(NodeId),
    /// A node left the live graph; its interval is closed.
    Gone(NodeId, Node, Interval),
    /// An edge is new.
    Edge(Edge),
    /// An edge ended.
    EdgeGone(Edge),
}

#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Belief {
    node: Node,
    interval: Interval,
    provenance: Provenance,
}

/// The live graph.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct World {
    nodes: BTreeMap<NodeId, Belief>,
    edges: BTreeSet<Edge>,
    events: VecDeque<u64>,
    next_event: u64,
    /// True once the configured part stood in [`Self::changes`].
    announced: bool,
    #[borsh(skip)]
    changes: Vec<Change>,
}

impl World {
    /// The static part of a site.
    pub fn of(site: &Site) -> Self {
        let mut world = Self::default();
        for (r, room) in site.rooms.iter().enumerate() {
            let id = NodeId::Room(r as u16);
            world.fix(id, &room.name, &room.id);
            for w in 0..room.outline_m.len() {
                let wall = NodeId::Wall(r as u16, w as u16);
                world.fix(wall, "", &format!("{} wall {w}", room.id));
                world.join(wall, EdgeKind::AdjacentTo, id);
            }
        }
        for (z, zone) in site.zones.iter().enumerate() {
            let id = NodeId::Zone(z as u16);
            world.fix(id, &zone.name, &zone.id);
            if let Some(room) = site.room(&zone.room) {
                world.join(id, EdgeKind::LocatedIn, NodeId::Room(room as u16));
            }
        }
        for (d, door) in site.doors.iter().enumerate() {
            let id = NodeId::Doorway(d as u16);
            world.fix(id, "", &door.id);
            if let Some(room) = site.room(&door.room) {
                world.join(id, EdgeKind::AdjacentTo, NodeId::Room(room as u16));
            }
        }
        for node in &site.nodes {
            world.fix(NodeId::Sensor(node.id), &node.name, &format!("node {}", node.id));
        }
        for path in &site.paths {
            let id = NodeId::RfLink(path.tx, path.rx);
            world.fix(id, "", &format!("{} to {}", path.tx, path.rx));
            world.join(NodeId::Sensor(path.rx), EdgeKind::Observes, id);
        }
        world.changes.clear();
        world
    }

    fn fix(&mut self, id: NodeId, name: &str, otherwise: &str) {
        let name = if name.is_empty() { otherwise } else { name }.to_owned();
        let belief = Belief {
            node: Node::Fixed { name },
            interval: Interval::default(),
            provenance: Provenance::Configuration,
        };
        self.nodes.insert(id, belief);
    }

    fn join(&mut self, from: NodeId, kind: EdgeKind, to: NodeId) {
        let edge = Edge { from, kind, to };
        if self.edges.insert(edge) {
            self.changes.push(Change::Edge(edge));
        }
    }

    fn part(&mut self, edge: Edge) {
        if self.edges.remove(&edge) {
            self.changes.push(Change::EdgeGone(edge));
        }
    }

    /// Takes a published outcome. Rooms and zones of the outcome are areas `0..rooms` and
    /// `rooms..rooms + zones`. What changed stands in [`Self::changes`] until the next call.
    pub fn update(&mut self, cycle: u64, outcome: &Outcome, rooms: u16) {
        self.changes.clear();
        if !self.announced {
            self.announced = true;
            self.changes.extend(self.nodes.keys().map(|id| Change::Node(*id)));
            self.changes.extend(self.edges.iter().map(|edge| Change::Edge(*edge)));
        }
        self.area(cycle, None, &outcome.presence);
        for AreaPresence { area, presence, .. } in &outcome.rooms {
            self.area(cycle, Some(*area), presence);
        }
        for AreaPresence { area, presence, .. } in &outcome.zones {
            self.area(cycle, Some(rooms + *area), presence);
        }
        for person in outcome.tracks.iter().filter(|p| p.active) {
            let id = NodeId::PersonTrack(person.id);
            let node = Node::Person {
                position_m: person.position_m,
                sigma_m: person.sigma_m,
            };
            if let Some(belief) = self.nodes.get_mut(&id) {
                // A position that moves on is the same belief; its history is in the track rows.
                belief.node = node;
                belief.interval.to_cycle = cycle;
            } else {
                self.begin(id, node, cycle);
                self.join(id, EdgeKind::DerivedFrom, NodeId::SemanticState(None));
            }
        }
        self.retire_persons(cycle);
    }

    fn begin(&mut self, id: NodeId, node: Node, cycle: u64) {
        let interval = Interval {
            from_cycle: cycle,
            to_cycle: cycle,
        };
        self.nodes.insert(
            id,
            Belief {
                node,
                interval,
                provenance: Provenance::Cycles,
            },
        );
        self.changes.push(Change::Node(id));
    }

    fn end(&mut self, id: NodeId) {
        if let Some(belief) = self.nodes.remove(&id) {
            self.changes.push(Change::Gone(id, belief.node, belief.interval));
        }
    }

    fn area(&mut self, cycle: u64, area: Option<u16>, presence: &Presence) {
        let id = NodeId::SemanticState(area);
        let before = match self.nodes.get_mut(&id) {
            Some(Belief {
                node: Node::State { presence: state, .. },
                interval,
                ..
            }) if *state == presence.state => {
                interval.to_cycle = cycle;
                return;
            }
            Some(Belief {
                node: Node::State { presence: state, .. },
                ..
            }) => Some(*state),
            _ => None,
        };
        self.end(id);
        self.begin(
            id,
            Node::State {
                presence: presence.state,
                reason: presence.reason,
            },
            cycle,
        );
        if let Some(from) = before {
            let event = NodeId::Event(self.next_event);
            self.events.push_back(self.next_event);
            self.next_event += 1;
            self.begin(
                event,
                Node::Event {
                    area,
                    from,
                    to: presence.state,
                },
                cycle,
            );
            self.join(event, EdgeKind::DerivedFrom, id);
            if self.events.len() > LIVE_EVENTS
                && let Some(oldest) = self.events.pop_front()
            {
                self.part(Edge {
                    from: NodeId::Event(oldest),
                    kind: EdgeKind::DerivedFrom,
                    to: id_of_event(&self.nodes, oldest),
                });
                self.end(NodeId::Event(oldest));
            }
        }
    }

    fn retire_persons(&mut self, cycle: u64) {
        let persons = NodeId::PersonTrack(0)..=NodeId::PersonTrack(u64::MAX);
        while let Some(id) = self
            .nodes
            .range(persons.clone())
            .find(|(_, b)| b.interval.to_cycle + PERSON_CYCLES < cycle)
            .map(|(id, _)| *id)
        {
            self.part(Edge {
                from: id,
                kind: EdgeKind::DerivedFrom,
                to: NodeId::SemanticState(None),
            });
            self.end(id);
        }
    }

    /// What the last update changed.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// All nodes, ascending id.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node, Interval, Provenance)> {
        self.nodes
            .iter()
            .map(|(id, b)| (*id, &b.node, b.interval, b.provenance))
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> Option<(&Node, Interval, Provenance)> {
        self.nodes.get(&id).map(|b| (&b.node, b.interval, b.provenance))
    }

    /// All edges, ascending.
    pub fn edges(&self) -> impl Iterator<Item = Edge> {
        self.edges.iter().copied()
    }
}

fn id_of_event(nodes: &BTreeMap<NodeId, Belief>, event: u64) -> NodeId {
    match nodes.get(&NodeId::Event(event)) {
        Some(Belief {
            node: Node::Event { area, .. },
            ..
        }) => NodeId::SemanticState(*area),
        _ => NodeId::SemanticState(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapline_witness::outcome::{Person, PresenceState};

    fn outcome(state: PresenceState, people: &[u64]) -> Outcome {
        let presence = Presence {
            state,
            ..Presence::default()
        };
        let tracks = people
            .iter()
            .map(|id| Person {
                id: *id,
                active: true,
                ..Person::default()
            })
            .collect();
        Outcome {
            presence,
            tracks,
            ..Outcome::default()
        }
    }

    #[test]
    fn a_belief_that_does_not_change_extends_its_interval() {
        let mut world = World::default();
        for cycle in 0..1_000 {
            world.update(cycle, &outcome(PresenceState::Empty, &[]), 0);
            assert_eq!(world.changes().len(), usize::from(cycle == 0));
        }
        assert_eq!(world.nodes().count(), 1);
        let (_, interval, _) = world.node(NodeId::SemanticState(None)).unwrap();
        assert_eq!(
            interval,
            Interval {
                from_cycle: 0,
                to_cycle: 999
            }
        );
    }

    #[test]
    fn the_live_graph_is_bounded() {
        let mut world = World::default();
        for cycle in 0..10_000_u64 {
            let state = if cycle % 2 == 0 {
                PresenceState::Empty
            } else {
                PresenceState::OccupiedMoving
            };
            world.update(cycle, &outcome(state, &[cycle / 3]), 0);
        }
        let persons = (PERSON_CYCLES / 3 + 2) as usize;
        assert!(
            world.nodes().count() <= LIVE_EVENTS + 1 + persons,
            "{} nodes",
            world.nodes().count()
        );
        assert!(
            world.edges().count() <= LIVE_EVENTS + persons,
            "{} edges",
            world.edges().count()
        );
    }

    #[test]
    fn the_state_survives_export_and_import() {
        let mut world = World::default();
        for cycle in 0..50 {
            let state = if cycle % 7 < 3 {
                PresenceState::Empty
            } else {
                PresenceState::OccupiedStill
            };
            world.update(cycle, &outcome(state, &[cycle / 9]), 0);
        }
        let bytes = borsh::to_vec(&world).unwrap();
        let mut copy: World = borsh::from_slice(&bytes).unwrap();
        for cycle in 50..80 {
            let next = outcome(PresenceState::Empty, &[3]);
            world.update(cycle, &next, 0);
            copy.update(cycle, &next, 0);
        }
        assert_eq!(world, copy);
    }
}
