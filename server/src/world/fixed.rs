//! The part of the graph that the configuration says: things, their places, and who sees what.

use super::{
    evidence::Spell,
    graph::{EdgeKind, Interval, Node, NodeId, Place, Provenance},
    plan::Plan,
    update::{Belief, LIVE_EVENTS, World},
};
use crate::config::{Site, Zone};

/// People whose nodes and edges take no memory when they come.
const PEOPLE: usize = 32;
/// Edges of each of them.
const PERSON_EDGES: usize = 5;

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
        // One more event than are kept: the oldest leaves after the newest has come. States: the site's, rooms', zones', privacy's.
        let states = 2 + site.rooms.len() + site.zones.len();
        world.nodes.hold(world.nodes.len() + states + LIVE_EVENTS + 1 + PEOPLE);
        world.persons.hold(PEOPLE);
        world
            .edges
            .reserve(LIVE_EVENTS + 1 + plan.sightings().len() + PERSON_EDGES * PEOPLE);
        world.changes.reserve(world.nodes.len() + world.edges.len());
        world.events.reserve(LIVE_EVENTS + 1);
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
}
