//! The graph itself and how an outcome changes it.

use std::collections::{BTreeMap, VecDeque};

use borsh::{BorshDeserialize, BorshSerialize};
use tapline_witness::outcome::{AreaPresence, Outcome, Person, Presence, PresenceState};

use super::{
    evidence::{Spell, Stay, speaks},
    graph::{Edge, EdgeKind, Interval, Node, NodeId, Place, Provenance},
    plan::Plan,
};
use crate::{
    config::{PrivacyMode, Site, Zone},
    cycle::privacy,
};

/// Events kept in the live graph; older ones are in the store.
const LIVE_EVENTS: usize = 256;
/// A person without an update for this many cycles leaves the live graph (2 s).
const PERSON_CYCLES: u64 = 40;

/// Room for the edges of people: five each.
const PERSON_EDGES: usize = 5 * 32;

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
    /// Ascending. A list with room for more: an edge that begins takes no memory.
    edges: Vec<Edge>,
    events: VecDeque<u64>,
    next_event: u64,
    persons: BTreeMap<u64, Whereabouts>,
    /// One for each of the plan's sightings.
    spells: Vec<Spell>,
    /// True once the configured part stood in [`Self::changes`].
    announced: bool,
    #[borsh(skip)]
    changes: Vec<Change>,
    /// Configured nodes that are other than before, told with the next update.
    #[borsh(skip)]
    edited: Vec<NodeId>,
}

/// Where a person is, and what they say about the room's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
struct Whereabouts {
    room: Stay,
    zone: Stay,
    says: Option<EdgeKind>,
}

impl World {
    /// The static part of a site.
    pub fn of(site: &Site, plan: &Plan) -> Self {
        let mut world = Self::default();
        for (r, room) in site.rooms.iter().enumerate() {
            let id = NodeId::Room(r as u16);
            world.fix(id, &room.name, &room.id, Place::Outline(room.outline_m.clone()));
            let corners = &room.outline_m;
            for (w, from) in corners.iter().enumerate() {
                let wall = NodeId::Wall(r as u16, w as u16);
                let place = Place::Line([*from, corners[(w + 1) % corners.len()]]);
                world.fix(wall, "", &format!("{} wall {w}", room.id), place);
                world.join(wall, EdgeKind::AdjacentTo, id);
            }
        }
        for (z, zone) in site.zones.iter().enumerate() {
            let id = NodeId::Zone(z as u16);
            world.fix(id, &zone.name, &zone.id, Place::Outline(zone.outline_m.clone()));
            if let Some(room) = site.room(&zone.room) {
                world.join(id, EdgeKind::LocatedIn, NodeId::Room(room as u16));
            }
        }
        for (d, door) in site.doors.iter().enumerate() {
            let id = NodeId::Doorway(d as u16);
            world.fix(id, "", &door.id, Place::Spot(door.at_m));
            if let Some(room) = site.room(&door.room) {
                world.join(id, EdgeKind::AdjacentTo, NodeId::Room(room as u16));
            }
        }
        for (o, object) in site.objects.iter().enumerate() {
            let id = NodeId::ObjectAnchor(o as u16);
            world.fix(id, &object.name, &object.id, Place::Point(object.position_m));
            world.locate(id, object.position_m, plan);
        }
        for node in &site.nodes {
            let id = NodeId::Sensor(node.id);
            world.fix(
                id,
                &node.name,
                &format!("node {}", node.id),
                Place::Point(node.position_m),
            );
            world.locate(id, node.position_m, plan);
        }
        for path in &site.paths {
            let id = NodeId::RfLink(path.tx, path.rx);
            world.fix(id, "", &format!("{} to {}", path.tx, path.rx), Place::Between);
            world.join(NodeId::Sensor(path.rx), EdgeKind::Observes, id);
        }
        for sighting in plan.sightings() {
            if let Some(room) = sighting.room {
                let link = NodeId::RfLink(sighting.tx, sighting.rx);
                world.join(link, EdgeKind::Observes, NodeId::Room(room));
            }
        }
        world.edges.reserve(LIVE_EVENTS + plan.sightings().len() + PERSON_EDGES);
        world.spells = vec![Spell::default(); plan.sightings().len()];
        world.changes.clear();
        world
    }

    /// Takes the zones of a site whose zones were edited.
    pub fn edit_zones(&mut self, zones: &[Zone]) {
        for (z, zone) in zones.iter().enumerate() {
            let id = NodeId::Zone(z as u16);
            let edited = Place::Outline(zone.outline_m.clone());
            if let Some(Belief {
                node: Node::Fixed { place, .. },
                ..
            }) = self.nodes.get_mut(&id)
                && *place != edited
            {
                *place = edited;
                self.edited.push(id);
            }
        }
    }

    fn fix(&mut self, id: NodeId, name: &str, otherwise: &str, place: Place) {
        let name = if name.is_empty() { otherwise } else { name }.to_owned();
        let belief = Belief {
            node: Node::Fixed { name, place },
            interval: Interval::default(),
            provenance: Provenance::Configuration,
        };
        self.nodes.insert(id, belief);
    }

    fn locate(&mut self, id: NodeId, [x, y, _]: [f32; 3], plan: &Plan) {
        if let Some(room) = plan.room_at([x, y]) {
            self.join(id, EdgeKind::LocatedIn, NodeId::Room(room));
        }
    }

    fn join(&mut self, from: NodeId, kind: EdgeKind, to: NodeId) {
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
            self.changes.extend(self.nodes.keys().map(|id| Change::Node(*id)));
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
        self.moved(
            id,
            before.room.place.map(NodeId::Room),
            now.room.place.map(NodeId::Room),
        );
        self.moved(
            id,
            before.zone.place.map(NodeId::Zone),
            now.zone.place.map(NodeId::Zone),
        );
        let says = |w: &Whereabouts| w.says.map(|kind| (kind, NodeId::SemanticState(w.room.place)));
        if says(&before) != says(&now) {
            if let Some((kind, state)) = says(&before) {
                self.part(id, kind, state);
            }
            if let Some((kind, state)) = says(&now) {
                self.join(id, kind, state);
            }
        }
        let pseudonym = privacy::withheld(plan.mode(), outcome.privacy_class).identity;
        self.let_stand(pseudonym, id, EdgeKind::PrivacyLimitedBy, NodeId::Privacy);
        self.persons.insert(person.id, now);
    }

    fn moved(&mut self, id: NodeId, from: Option<NodeId>, to: Option<NodeId>) {
        if let Some(from) = from.filter(|from| Some(*from) != to) {
            self.part(id, EdgeKind::LocatedIn, from);
        }
        if let Some(to) = to {
            self.join(id, EdgeKind::LocatedIn, to);
        }
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
            spell.edge = now;
            if before != now {
                let link = NodeId::RfLink(sighting.tx, sighting.rx);
                let state = NodeId::SemanticState(sighting.room);
                if let Some(kind) = before {
                    self.part(link, kind, state);
                }
                if let Some(kind) = now {
                    self.join(link, kind, state);
                }
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

    fn retire_persons(&mut self, cycle: u64) {
        let persons = NodeId::PersonTrack(0)..=NodeId::PersonTrack(u64::MAX);
        while let Some(id) = self
            .nodes
            .range(persons.clone())
            .find(|(_, b)| b.interval.to_cycle + PERSON_CYCLES < cycle)
            .map(|(id, _)| *id)
        {
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

#[cfg(test)]
mod tests {
    use super::*;
    use tapline_witness::outcome::LinkReport;

    use crate::config::Fleet;

    /// Two rooms side by side, a desk in the first, four nodes; the first link sees the first room.
    const SITE: &str = r#"
        version = 1
        [[site]]
        id = "flat"
        [[site.room]]
        id = "west"
        outline_m = [[0, 0], [4, 0], [4, 4], [0, 4]]
        [[site.room]]
        id = "east"
        outline_m = [[4, 0], [8, 0], [8, 4], [4, 4]]
        [[site.zone]]
        id = "desk"
        room = "west"
        outline_m = [[0, 0], [1, 0], [1, 1], [0, 1]]
        [[site.object]]
        id = "sofa"
        position_m = [6, 1, 0.4]
        [[site.node]]
        id = 1
        position_m = [0.5, 0.5, 1]
        [[site.node]]
        id = 2
        position_m = [3.5, 3.5, 1]
        [[site.node]]
        id = 3
        position_m = [20, 20, 1]
        [[site.node]]
        id = 4
        position_m = [25, 20, 1]
        [[site.link]]
        tx = 1
        rx = 2
        [[site.link]]
        tx = 3
        rx = 4
    "#;

    fn plan_and_world() -> (Plan, World) {
        let fleet = Fleet::parse(SITE, std::path::Path::new("fleet.toml")).unwrap();
        let site = fleet.select(None, "").unwrap();
        let plan = Plan::of(&site, 1.6);
        let world = World::of(&site, &plan);
        (plan, world)
    }

    fn state(state: PresenceState) -> Presence {
        Presence {
            state,
            ..Presence::default()
        }
    }

    fn outcome(site: PresenceState, people: &[(u64, [f32; 2])]) -> Outcome {
        let person = |(id, [x, y]): &(u64, [f32; 2])| Person {
            id: *id,
            active: true,
            position_m: [Some(*x), Some(*y), None],
            ..Person::default()
        };
        let room = |area: u16| AreaPresence {
            area,
            presence: state(site),
            people: None,
        };
        Outcome {
            presence: state(site),
            rooms: vec![room(0), room(1)],
            tracks: people.iter().map(person).collect(),
            links: vec![LinkReport::default(); 2],
            ..Outcome::default()
        }
    }

    fn moving(mut outcome: Outcome, path: usize) -> Outcome {
        outcome.links[path].motion_ratio = Some(3.0);
        outcome
    }

    fn stands(world: &World, from: &str, kind: EdgeKind, to: &str) -> bool {
        world
            .edges()
            .any(|e| e.from.to_string() == from && e.kind == kind && e.to.to_string() == to)
    }

    #[test]
    fn the_plan_says_where_things_are_and_who_sees_what() {
        let (_, world) = plan_and_world();
        let located = EdgeKind::LocatedIn;
        assert!(stands(&world, "node:1", located, "room:0"));
        assert!(stands(&world, "object:0", located, "room:1"));
        assert!(stands(&world, "zone:0", located, "room:0"));
        assert!(!world.edges().any(|e| e.from == NodeId::Sensor(3) && e.kind == located));
        assert!(stands(&world, "link:1-2", EdgeKind::Observes, "room:0"));
        assert!(!stands(&world, "link:1-2", EdgeKind::Observes, "room:1"));
        assert!(
            !world.edges().any(|e| e.from == NodeId::RfLink(3, 4)),
            "it sees no room"
        );
        let (node, ..) = world.node(NodeId::ObjectAnchor(0)).unwrap();
        let sofa = Node::Fixed {
            name: "sofa".to_owned(),
            place: Place::Point([6.0, 1.0, 0.4]),
        };
        assert_eq!(*node, sofa);
    }

    #[test]
    fn a_belief_that_does_not_change_extends_its_interval() {
        let (plan, mut world) = plan_and_world();
        let fixed = world.nodes().count();
        for cycle in 0..1_000 {
            world.update(cycle, &outcome(PresenceState::Empty, &[]), &plan);
            assert!(cycle == 0 || world.changes().is_empty(), "cycle {cycle}");
        }
        // The site, two rooms, the privacy in force.
        assert_eq!(world.nodes().count(), fixed + 4);
        for id in [
            NodeId::SemanticState(None),
            NodeId::SemanticState(Some(1)),
            NodeId::Privacy,
        ] {
            let (_, interval, _) = world.node(id).unwrap();
            assert_eq!((interval.from_cycle, interval.to_cycle), (0, 999), "{id}");
        }
    }

    #[test]
    fn a_person_is_in_a_room_and_a_zone_and_speaks_for_the_room() {
        let (plan, mut world) = plan_and_world();
        let occupied = |at| outcome(PresenceState::OccupiedStill, &[(7, at)]);
        world.update(0, &occupied([0.5, 0.5]), &plan);
        assert!(stands(&world, "person:7", EdgeKind::LocatedIn, "room:0"));
        assert!(stands(&world, "person:7", EdgeKind::LocatedIn, "zone:0"));
        assert!(stands(&world, "person:7", EdgeKind::Supports, "state:0"));
        for cycle in 1..40 {
            world.update(cycle, &occupied([6.0, 2.0]), &plan);
        }
        assert!(!stands(&world, "person:7", EdgeKind::LocatedIn, "room:0"));
        assert!(!stands(&world, "person:7", EdgeKind::LocatedIn, "zone:0"));
        assert!(!stands(&world, "person:7", EdgeKind::Supports, "state:0"));
        assert!(stands(&world, "person:7", EdgeKind::LocatedIn, "room:1"));
        assert!(stands(&world, "person:7", EdgeKind::Supports, "state:1"));
        world.update(40, &outcome(PresenceState::Empty, &[(7, [6.0, 2.0])]), &plan);
        assert!(stands(&world, "person:7", EdgeKind::Contradicts, "state:1"));
        assert!(!stands(&world, "person:7", EdgeKind::Supports, "state:1"));
        for cycle in 41..90 {
            world.update(cycle, &outcome(PresenceState::Empty, &[]), &plan);
        }
        assert!(
            !world.edges().any(|e| e.from == NodeId::PersonTrack(7)),
            "nothing is left of them"
        );
        assert!(world.persons.is_empty());
    }

    #[test]
    fn a_link_that_moves_speaks_for_or_against_what_it_sees() {
        let (plan, mut world) = plan_and_world();
        let mut cycle = 0;
        let mut run = |world: &mut World, outcome: &Outcome, cycles: u64| {
            for _ in 0..cycles {
                world.update(cycle, outcome, &plan);
                cycle += 1;
            }
        };
        let occupied = PresenceState::OccupiedMoving;
        run(&mut world, &moving(outcome(occupied, &[]), 0), 9);
        assert!(!stands(&world, "link:1-2", EdgeKind::Supports, "state:0"), "not yet");
        run(&mut world, &moving(outcome(occupied, &[]), 0), 1);
        assert!(stands(&world, "link:1-2", EdgeKind::Supports, "state:0"));
        assert!(
            !stands(&world, "link:1-2", EdgeKind::Supports, "state:1"),
            "it does not see it"
        );
        // A link that sees no room speaks about the site.
        run(&mut world, &moving(outcome(PresenceState::Empty, &[]), 1), 10);
        assert!(stands(&world, "link:3-4", EdgeKind::Contradicts, "state:site"));
        assert!(stands(&world, "link:1-2", EdgeKind::Contradicts, "state:0"));
        run(&mut world, &outcome(PresenceState::Empty, &[]), 300);
        assert!(
            !world
                .edges()
                .any(|e| e.kind == EdgeKind::Contradicts || e.kind == EdgeKind::Supports)
        );
    }

    #[test]
    fn what_links_say_ends_when_they_are_withheld() {
        let (plan, mut world) = plan_and_world();
        for cycle in 0..20 {
            world.update(cycle, &moving(outcome(PresenceState::OccupiedMoving, &[]), 0), &plan);
        }
        assert!(stands(&world, "link:1-2", EdgeKind::Supports, "state:0"));
        let mut restricted = outcome(PresenceState::OccupiedMoving, &[]);
        restricted.links.clear();
        world.update(20, &restricted, &plan);
        assert!(!world.edges().any(|e| e.kind == EdgeKind::Supports));
    }

    #[test]
    fn what_privacy_withholds_is_said_of_the_belief() {
        let (mut plan, mut world) = plan_and_world();
        let limited = EdgeKind::PrivacyLimitedBy;
        let mut cycle = 0;
        let mut seen = |world: &mut World, plan: &Plan, class: u8| {
            let mut outcome = outcome(PresenceState::OccupiedStill, &[(7, [1.0, 1.0])]);
            outcome.privacy_class = class;
            world.update(cycle, &outcome, plan);
            cycle += 1;
            ["state:site", "state:0", "person:7"].map(|from| stands(world, from, limited, "state:privacy"))
        };
        // PrivateHome: an identity of the hour; demoted, nobody and no zone.
        assert_eq!(seen(&mut world, &plan, 2), [false, false, true]);
        assert_eq!(seen(&mut world, &plan, 3), [true, true, false]);
        plan.set_mode(PrivacyMode::RawResearch);
        assert_eq!(seen(&mut world, &plan, 0), [false; 3]);
        plan.set_mode(PrivacyMode::EnterpriseAnonymous);
        assert_eq!(seen(&mut world, &plan, 2), [true, false, false]);
    }

    #[test]
    fn an_edited_zone_is_told() {
        let (plan, mut world) = plan_and_world();
        world.update(0, &outcome(PresenceState::Empty, &[]), &plan);
        let edited = Zone {
            id: "desk".to_owned(),
            name: String::new(),
            room: "west".to_owned(),
            outline_m: vec![[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]],
        };
        world.edit_zones(std::slice::from_ref(&edited));
        world.update(1, &outcome(PresenceState::Empty, &[]), &plan);
        assert_eq!(world.changes(), [Change::Node(NodeId::Zone(0))]);
        world.edit_zones(&[edited]);
        world.update(2, &outcome(PresenceState::Empty, &[]), &plan);
        assert!(world.changes().is_empty(), "as it was");
    }

    #[test]
    fn the_live_graph_is_bounded() {
        let (plan, mut world) = plan_and_world();
        let (nodes, edges) = (world.nodes().count(), world.edges().count());
        for cycle in 0..10_000_u64 {
            let state = if cycle % 2 == 0 {
                PresenceState::Empty
            } else {
                PresenceState::OccupiedMoving
            };
            let at = [(cycle % 9) as f32, 1.0];
            world.update(cycle, &moving(outcome(state, &[(cycle / 3, at)]), 0), &plan);
        }
        let persons = (PERSON_CYCLES / 3 + 2) as usize;
        let (n, e) = (world.nodes().count(), world.edges().count());
        // Four beliefs; of a person: derived, room, zone, speaks, pseudonym; of a link: speaks.
        assert!(n <= nodes + LIVE_EVENTS + 4 + persons, "{n} nodes");
        assert!(e <= edges + LIVE_EVENTS + 5 * persons + 4, "{e} edges");
        assert!(world.persons.len() <= persons);
    }

    #[test]
    fn the_state_survives_export_and_import() {
        let (plan, mut world) = plan_and_world();
        for cycle in 0..50 {
            let state = if cycle % 7 < 3 {
                PresenceState::Empty
            } else {
                PresenceState::OccupiedStill
            };
            let at = [cycle as f32 / 10.0, 1.0];
            world.update(cycle, &moving(outcome(state, &[(cycle / 9, at)]), 0), &plan);
        }
        let bytes = borsh::to_vec(&world).unwrap();
        let mut copy: World = borsh::from_slice(&bytes).unwrap();
        for cycle in 50..80 {
            let next = moving(outcome(PresenceState::Empty, &[(3, [5.0, 1.0])]), 0);
            world.update(cycle, &next, &plan);
            copy.update(cycle, &next, &plan);
        }
        assert_eq!(world, copy);
    }
}
