//! The graph itself and how an outcome changes it.

use std::collections::VecDeque;

use borsh::{BorshDeserialize, BorshSerialize};
use tapline_witness::outcome::{AreaPresence, Outcome, Person, Presence, PresenceState};

use super::{
    evidence::{Spell, Stay, speaks},
    graph::{Edge, EdgeKind, Interval, Node, NodeId, Provenance},
    plan::Plan,
};
use crate::{config::PrivacyMode, cycle::privacy, ordered::Ordered};

/// Events kept in the live graph; older ones are in the store.
pub(super) const LIVE_EVENTS: usize = 256;
/// A person without an update for this many cycles leaves the live graph (2 s).
pub(super) const PERSON_CYCLES: u64 = 40;

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
pub(super) struct Belief {
    pub(super) node: Node,
    pub(super) interval: Interval,
    pub(super) provenance: Provenance,
}

/// The live graph.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct World {
    pub(super) nodes: Ordered<NodeId, Belief>,
    /// Ascending, with room for more: an edge that begins takes no memory.
    pub(super) edges: Vec<Edge>,
    pub(super) events: VecDeque<u64>,
    next_event: u64,
    pub(super) persons: Ordered<u64, Whereabouts>,
    /// One for each of the plan's sightings.
    pub(super) spells: Vec<Spell>,
    /// True once the configured part stood in [`Self::changes`].
    announced: bool,
    #[borsh(skip)]
    pub(super) changes: Vec<Change>,
    /// Configured nodes that are other than before, told with the next update.
    #[borsh(skip)]
    pub(super) edited: Vec<NodeId>,
}

/// Where a person is, and what they say about the room's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Whereabouts {
    room: Stay,
    zone: Stay,
    says: Option<EdgeKind>,
}

impl World {
    pub(super) fn join(&mut self, from: NodeId, kind: EdgeKind, to: NodeId) {
        let edge = Edge { from, kind, to };
        if let Err(place) = self.edges.binary_search(&edge) {
            self.edges.insert(place, edge);
            self.changes.push(Change::Edge(edge));
        }
    }

    fn part(&mut self, from: NodeId, kind: EdgeKind, to: NodeId) {
        let edge = Edge { from, kind, to };
        if let Ok(place) = self.edges.binary_search(&edge) {
            self.edges.remove(place);
            self.changes.push(Change::EdgeGone(edge));
        }
    }

    /// One edge of a node ends and another begins, where they differ; one that is to stand is there afterwards.
    fn turn(&mut self, from: NodeId, before: Option<(EdgeKind, NodeId)>, now: Option<(EdgeKind, NodeId)>) {
        if let Some((kind, to)) = before.filter(|_| before != now) {
            self.part(from, kind, to);
        }
        if let Some((kind, to)) = now {
            self.join(from, kind, to);
        }
    }

    /// Lets an edge stand or not.
    fn let_stand(&mut self, stands: bool, from: NodeId, kind: EdgeKind, to: NodeId) {
        if stands {
            self.join(from, kind, to);
        } else {
            self.part(from, kind, to);
        }
    }

    /// Takes a published outcome of the site with this plan. What changed stands in [`Self::changes`] until the next call.
    pub fn update(&mut self, cycle: u64, outcome: &Outcome, plan: &Plan) {
        self.changes.clear();
        self.changes.extend(self.edited.drain(..).map(Change::Node));
        if !self.announced {
            self.announced = true;
            self.changes.extend(self.nodes.iter().map(|(id, _)| Change::Node(*id)));
            self.changes.extend(self.edges.iter().map(|edge| Change::Edge(*edge)));
        }
        self.area(cycle, None, &outcome.presence);
        for AreaPresence { area, presence, .. } in &outcome.rooms {
            self.area(cycle, Some(*area), presence);
        }
        for AreaPresence { area, presence, .. } in &outcome.zones {
            self.area(cycle, Some(plan.rooms() + *area), presence);
        }
        self.privacy(cycle, outcome, plan.mode());
        for person in outcome.tracks.iter().filter(|p| p.active) {
            self.person(cycle, person, outcome, plan);
        }
        self.retire_persons(cycle);
        self.motion(cycle, outcome, plan);
    }

    /// What is withheld, and from which beliefs.
    fn privacy(&mut self, cycle: u64, outcome: &Outcome, mode: PrivacyMode) {
        let (class, id) = (outcome.privacy_class, NodeId::Privacy);
        let node = Node::Privacy {
            mode: outcome.privacy_mode,
            class,
            demotion: outcome.demotion,
        };
        match self.nodes.get_mut(&id) {
            Some(belief) if belief.node == node => belief.interval.to_cycle = cycle,
            _ => {
                self.end(id);
                self.begin(id, node, cycle);
            }
        }
        let site = NodeId::SemanticState(None);
        let withheld = privacy::withheld(mode, class);
        self.let_stand(withheld.people, site, EdgeKind::PrivacyLimitedBy, id);
        for room in &outcome.rooms {
            let room = NodeId::SemanticState(Some(room.area));
            self.let_stand(withheld.zones, room, EdgeKind::PrivacyLimitedBy, id);
        }
    }

    fn person(&mut self, cycle: u64, person: &Person, outcome: &Outcome, plan: &Plan) {
        let id = NodeId::PersonTrack(person.id);
        let node = Node::Person {
            position_m: person.position_m,
            sigma_m: person.sigma_m,
        };
        let at = match person.position_m {
            [Some(x), Some(y), _] => Some([x, y]),
            _ => None,
        };
        let room = at.and_then(|at| plan.room_at(at));
        let zone = at.and_then(|at| plan.zone_at(at));
        let before = match self.nodes.get_mut(&id) {
            Some(belief) => {
                // A position that moves on is the same belief; its history is in the track rows.
                belief.node = node;
                belief.interval.to_cycle = cycle;
                self.persons.get(&person.id).copied().unwrap_or_default()
            }
            None => {
                self.begin(id, node, cycle);
                self.join(id, EdgeKind::DerivedFrom, NodeId::SemanticState(None));
                Whereabouts {
                    room: Stay::at(room),
                    zone: Stay::at(zone),
                    says: None,
                }
            }
        };
        let mut now = before;
        now.room.seen(cycle, room);
        now.zone.seen(cycle, zone);
        now.says = speaks(state_of(outcome, now.room.place));
        let room = |w: &Whereabouts| w.room.place.map(|room| (EdgeKind::LocatedIn, NodeId::Room(room)));
        let zone = |w: &Whereabouts| w.zone.place.map(|zone| (EdgeKind::LocatedIn, NodeId::Zone(zone)));
        let says = |w: &Whereabouts| w.says.map(|kind| (kind, NodeId::SemanticState(w.room.place)));
        self.turn(id, room(&before), room(&now));
        self.turn(id, zone(&before), zone(&now));
        self.turn(id, says(&before), says(&now));
        let pseudonym = privacy::withheld(plan.mode(), outcome.privacy_class).identity;
        self.let_stand(pseudonym, id, EdgeKind::PrivacyLimitedBy, NodeId::Privacy);
        self.persons.insert(person.id, now);
    }

    /// What the links say about the areas they see.
    fn motion(&mut self, cycle: u64, outcome: &Outcome, plan: &Plan) {
        for (index, sighting) in plan.sightings().iter().enumerate() {
            let Some(spell) = self.spells.get_mut(index) else { break };
            let moves = sighting.paths.iter().any(|path| {
                let ratio = outcome.links.get(usize::from(*path)).and_then(|link| link.motion_ratio);
                ratio.is_some_and(|ratio| ratio >= plan.ratio_threshold())
            });
            let before = spell.edge;
            if outcome.links.is_empty() {
                // The class lets no link's measurements out, nor what was made of them a moment ago.
                *spell = Spell::default();
            }
            let now = spell.after(cycle, moves, state_of(outcome, sighting.room));
            if before != now {
                let state = NodeId::SemanticState(sighting.room);
                let about = |kind: Option<EdgeKind>| kind.map(|kind| (kind, state));
                self.turn(NodeId::RfLink(sighting.tx, sighting.rx), about(before), about(now));
            }
        }
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
                let id = NodeId::Event(oldest);
                self.part(id, EdgeKind::DerivedFrom, id_of_event(&self.nodes, oldest));
                self.end(id);
            }
        }
    }

    /// A person of the live graph who has had no update for too long.
    fn person_gone(&self, cycle: u64) -> Option<NodeId> {
        let persons = self.nodes.from(&NodeId::PersonTrack(0));
        persons
            .take_while(|(id, _)| matches!(id, NodeId::PersonTrack(_)))
            .find(|(_, b)| cycle.wrapping_sub(b.interval.to_cycle) > PERSON_CYCLES)
            .map(|(id, _)| *id)
    }

    fn retire_persons(&mut self, cycle: u64) {
        while let Some(id) = self.person_gone(cycle) {
            let first = Edge {
                from: id,
                kind: EdgeKind::Observes,
                to: NodeId::Room(0),
            };
            let at = self.edges.partition_point(|edge| *edge < first);
            while let Some(edge) = self.edges.get(at).filter(|e| e.from == id).copied() {
                self.part(edge.from, edge.kind, edge.to);
            }
            if let NodeId::PersonTrack(person) = id {
                self.persons.remove(&person);
            }
            self.end(id);
        }
    }

    /// Goes on in another log, in which the next cycle has this number. What was numbered by the leaves of the log it comes from
    /// keeps its age; what began before the other log did wraps below zero, and ages are differences. All that stands is told
    /// with the next update: that log knows nothing of it.
    pub fn go_on_in_another_log(&mut self, next_cycle: u64) {
        self.announced = false;
        let Some(last) = self.nodes.get(&NodeId::Privacy).map(|b| b.interval.to_cycle) else {
            return;
        };
        let by = next_cycle.wrapping_sub(1).wrapping_sub(last);
        for belief in self.nodes.values_mut() {
            belief.interval.from_cycle = belief.interval.from_cycle.wrapping_add(by);
            belief.interval.to_cycle = belief.interval.to_cycle.wrapping_add(by);
        }
        for spell in &mut self.spells {
            spell.shift(by);
        }
        for person in self.persons.values_mut() {
            person.room.shift(by);
            person.zone.shift(by);
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

fn id_of_event(nodes: &Ordered<NodeId, Belief>, event: u64) -> NodeId {
    match nodes.get(&NodeId::Event(event)) {
        Some(Belief {
            node: Node::Event { area, .. },
            ..
        }) => NodeId::SemanticState(*area),
        _ => NodeId::SemanticState(None),
    }
}

/// The published state of a room, or of the site.
fn state_of(outcome: &Outcome, room: Option<u16>) -> PresenceState {
    match room {
        None => outcome.presence.state,
        Some(room) => outcome
            .rooms
            .iter()
            .find(|r| r.area == room)
            .map_or(PresenceState::Unknown, |r| r.presence.state),
    }
}
