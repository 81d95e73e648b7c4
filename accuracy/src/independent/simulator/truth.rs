//! What is true, in the format of `tapline simulate --truth`, without joints.

use std::io::{self, Write};

use super::{
    person::{Person, Stance},
    scene::Scene,
};

const RATE_HZ: f64 = 20.0;
/// From this speed on somebody moves.
const MOVING_M_S: f64 = 0.1;

/// A head line, then a line for each moment with everybody there is, in the room or outside.
pub(super) fn write_truth(scene: &Scene, seed: u64, people: &[Person], into: &mut impl Write) -> io::Result<()> {
    let duration_s = scene.scenario.duration_s();
    writeln!(
        into,
        "{{\"format\":\"tapline-truth-1\",\"simulated\":true,\"scene\":\"os-{}\",\"seed\":{seed},\"rate_hz\":{RATE_HZ:?},\"duration_s\":{duration_s:?},\"joints\":[]}}",
        scene.scenario.name()
    )?;
    for moment in 0..(duration_s * RATE_HZ).round() as usize {
        let time_s = moment as f64 / RATE_HZ;
        let here = people
            .iter()
            .filter_map(|person| Some(truth_of(scene, person.id, &person.at(time_s)?)));
        let here: Vec<String> = here.collect();
        writeln!(into, "{{\"t_s\":{time_s:?},\"people\":[{}]}}", here.join(","))?;
    }
    into.flush()
}

fn truth_of(scene: &Scene, id: u32, stance: &Stance) -> String {
    let [x_m, y_m] = stance.at_m;
    let [east_m_s, north_m_s] = stance.velocity_m_s();
    let (room, zone) = if !scene.room.holds(stance.at_m, 0.0) {
        ("null", "null")
    } else if x_m < scene.room.size_m[0] / 2.0 {
        ("\"lab\"", "\"west\"")
    } else {
        ("\"lab\"", "\"east\"")
    };
    let is_moving = stance.speed_m_s > MOVING_M_S;
    let posture = if stance.seated > 0.5 {
        "sitting"
    } else if is_moving {
        "walking"
    } else {
        "standing"
    };
    format!(
        "{{\"id\":{id},\"position_m\":[{x_m:.4},{y_m:.4}],\"velocity_m_s\":[{east_m_s:.4},{north_m_s:.4}],\
         \"room\":{room},\"zone\":{zone},\"moving\":{is_moving},\"posture\":\"{posture}\"}}"
    )
}
