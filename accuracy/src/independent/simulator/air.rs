//! Turns at the air: who sends when, what is lost, and when the rest comes to the host.

use std::io::Write;

use super::{
    band::Response, body::Body, link::Link, person::Person, random::Random, receiver::Receiver, recording::Recording,
    scene::Scene,
};

/// One node sends in each slot, in turn, seconds.
const SLOT_S: f64 = 0.010;
/// Frames lost at the air, and datagrams lost on the way to the host.
const LOST_AT_THE_AIR: f64 = 0.006;
const LOST_ON_THE_WAY: f64 = 0.004;
/// Slots after which is written what nothing can overtake any more.
const SLOTS_A_BATCH: usize = 64;

/// A link, the nodes that it is between by place in the scene, and what its symbol timing is off by, seconds.
struct Hearing {
    from: usize,
    to: usize,
    link: Link,
    timing_s: f64,
}

/// Records the whole scene.
pub(super) fn record<W: Write>(
    scene: &Scene,
    people: &[Person],
    recording: &mut Recording<W>,
    random: &mut Random,
) -> Result<(), String> {
    let mut receivers: Vec<Receiver> = scene.nodes.iter().map(|node| Receiver::new(node, random)).collect();
    let hearings = hearings(scene, random);
    let slots = (scene.scenario.duration_s() / SLOT_S) as usize;
    for slot in 0..slots {
        let from = slot % scene.nodes.len();
        let time_s = slot as f64 * SLOT_S + random.between(0.0, 0.0006);
        let bodies: Vec<Body> = people
            .iter()
            .filter_map(|person| Some(Body::new(person, &person.at(time_s)?)))
            .collect();
        for hearing in hearings.iter().filter(|h| h.from == from) {
            if random.unit() < LOST_AT_THE_AIR {
                continue;
            }
            let is_lost = random.unit() < LOST_ON_THE_WAY;
            let with_people: Response;
            let channel = if bodies.is_empty() {
                &hearing.link.empty
            } else {
                with_people = hearing.link.response(&scene.room, &bodies);
                &with_people
            };
            let receiver = &mut receivers[hearing.to];
            let reception = receiver.receive(channel, hearing.timing_s, random);
            if is_lost {
                continue;
            }
            let datagram = receiver.datagram(&reception, scene.nodes[from].id, time_s, random)?;
            recording.add(arrival_s(time_s, random), scene.nodes[hearing.to].id, datagram);
        }
        if slot % SLOTS_A_BATCH == SLOTS_A_BATCH - 1 {
            recording.write_until(time_s)?;
        }
    }
    recording.write_until(f64::INFINITY)
}

fn hearings(scene: &Scene, random: &mut Random) -> Vec<Hearing> {
    let count = scene.nodes.len();
    (0..count)
        .flat_map(|from| (0..count).filter(move |to| *to != from).map(move |to| (from, to)))
        .map(|(from, to)| Hearing {
            from,
            to,
            link: Link::new(scene, &scene.nodes[from], &scene.nodes[to]),
            timing_s: random.between(0.0, 100e-9),
        })
        .collect()
}

/// When a datagram comes to the host: a millisecond later, now and then some more.
fn arrival_s(time_s: f64, random: &mut Random) -> f64 {
    let soon_s = time_s + 0.0011 + random.exponential(0.0003);
    let held_up_s = if random.unit() < 0.004 {
        random.between(0.002, 0.006)
    } else {
        0.0
    };
    soon_s + held_up_s
}
