//! What the graph says after which outcomes.

use tapline_witness::outcome::{AreaPresence, LinkReport, Outcome, Person, Presence, PresenceState};

use super::{
    graph::{EdgeKind, Node, NodeId, Place},
    plan::Plan,
    update::{Change, LIVE_EVENTS, PERSON_CYCLES, World},
};
use crate::config::{Fleet, PrivacyMode, Zone};

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
    assert_eq!(world.persons.len(), 0);
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

/// Ages are what they were, whatever the numbers: of who left, of what moved, and of who stands in a door.
#[test]
fn in_another_log_everything_is_as_old_as_it_was() {
    let (plan, mut here) = plan_and_world();
    let occupied = PresenceState::OccupiedMoving;
    let before = moving(outcome(occupied, &[(7, [1.0, 1.0]), (8, [2.0, 2.0])]), 0);
    for cycle in 72_000..72_500 {
        here.update(cycle, &before, &plan);
    }
    // One has left, the other has gone through the door, the link is still.
    let after = outcome(occupied, &[(8, [6.0, 1.0])]);
    for cycle in 72_500..72_510 {
        here.update(cycle, &after, &plan);
    }
    let mut there = here.clone();
    there.go_on_in_another_log(3);
    let mut gone = Vec::new();
    for step in 0..300 {
        here.update(72_510 + step, &after, &plan);
        there.update(3 + step, &after, &plan);
        if step == 0 {
            let told = |id: NodeId| there.changes().contains(&Change::Node(id));
            assert!(told(NodeId::Room(0)) && told(NodeId::RfLink(1, 2)) && told(NodeId::PersonTrack(7)));
        } else {
            let ids = |world: &World| -> Vec<String> {
                let id = |change: &Change| match change {
                    Change::Node(id) => format!("+{id}"),
                    Change::Gone(id, ..) => format!("-{id}"),
                    Change::Edge(e) => format!("+{} {}", e.from, e.to),
                    Change::EdgeGone(e) => format!("-{} {}", e.from, e.to),
                };
                world.changes().iter().map(id).collect()
            };
            assert_eq!(ids(&here), ids(&there), "step {step}");
            gone.extend(ids(&there));
        }
        assert!(here.edges().eq(there.edges()), "step {step}");
    }
    for change in ["-person:7", "+person:8 room:1", "-link:1-2 state:0"] {
        assert!(gone.iter().any(|c| c == change), "{change}: {gone:?}");
    }
}
