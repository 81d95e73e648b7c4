//! What is really there: the other half of every accuracy figure.

use std::io::{self, Write};

use serde::Serialize;

use crate::{
    person::body::{Actor, Body},
    scene::Scene,
    simulator::Simulator,
};

/// Name and version of the file's format, its first line's `format`.
const FORMAT: &str = "tapline-truth-1";

/// Everybody at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// Seconds since the start.
    pub t_s: f64,
    /// Those who are there, in the scene's order.
    pub people: Vec<PersonTruth>,
}

/// One person at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonTruth {
    /// The scene's id.
    pub id: u32,
    /// Place between the hips, on the floor plan, metres.
    pub position_m: [f64; 2],
    /// Its velocity, m/s.
    pub velocity_m_s: [f64; 2],
    /// The room they are in; `None` outside of every room.
    pub room: Option<String>,
    /// The first zone they are in.
    pub zone: Option<String>,
    /// Walks, turns, sits down or gets up; breathing alone is not moving.
    pub moving: bool,
    /// Standing, walking or seated.
    pub posture: Posture,
    /// 17 COCO joints in COCO order, `[x, y, z]`, metres.
    pub joints_m: [[f64; 3]; 17],
}

/// What a person does with their body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Posture {
    /// On their feet, in one place.
    Standing,
    /// Under way.
    Walking,
    /// On a chair, or on the way to or from it.
    Seated,
}

/// The first line of a truth file.
#[derive(Serialize)]
struct Head<'a> {
    format: &'static str,
    simulated: bool,
    scene: &'a str,
    seed: u64,
    rate_hz: f64,
    duration_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    zero_unix_ms: Option<i64>,
    joints: [&'static str; 17],
}

/// Writes `truth.jsonl`: a head line, then one line for each moment `i / rate_hz` before the end of the simulation
/// (docs/simulator.md, "truth.jsonl").
///
/// # Errors
/// Those of the writer; `InvalidInput` for a rate outside of 0.001 to 1000 Hz.
pub fn write_truth(simulator: &Simulator, rate_hz: f64, into: &mut impl Write) -> io::Result<()> {
    write_truth_head(simulator, rate_hz, None, into)?;
    for moment in 0_u64.. {
        let t_s = moment as f64 / rate_hz;
        if t_s >= simulator.duration_s() {
            break;
        }
        write_truth_line(&simulator.truth_at(t_s), into)?;
    }
    Ok(())
}

/// Writes the head line of a truth file. `zero_unix_ms` is the wall clock at `t_s` 0, Unix milliseconds, for who plays
/// the simulation in real time.
///
/// # Errors
/// As [`write_truth`].
pub fn write_truth_head(
    simulator: &Simulator,
    rate_hz: f64,
    zero_unix_ms: Option<i64>,
    into: &mut impl Write,
) -> io::Result<()> {
    if !(0.001..=1000.0).contains(&rate_hz) {
        let message = format!("expected a truth rate of 0.001 to 1000 Hz, found {rate_hz}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let scene = simulator.scene();
    let head = Head {
        format: FORMAT,
        simulated: true,
        scene: &scene.name,
        seed: simulator.seed(),
        rate_hz,
        duration_s: scene.duration_s,
        zero_unix_ms,
        joints: crate::person::gait::JOINTS,
    };
    serde_json::to_writer(&mut *into, &head)?;
    into.write_all(b"\n")
}

/// Writes the line of one moment.
///
/// # Errors
/// Those of the writer.
pub fn write_truth_line(truth: &Truth, into: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *into, truth)?;
    into.write_all(b"\n")
}

pub(crate) fn at(scene: &Scene, actors: &[Actor], t_s: f64) -> Truth {
    Truth {
        t_s,
        people: actors
            .iter()
            .filter_map(|a| Some(person(scene, a.id, &a.at(t_s)?)))
            .collect(),
    }
}

fn person(scene: &Scene, id: u32, body: &Body) -> PersonTruth {
    let [x, y] = body.at;
    let walks = body.velocity_m_s != [0.0, 0.0];
    PersonTruth {
        id,
        position_m: body.at,
        velocity_m_s: body.velocity_m_s,
        room: scene.room_at(x, y).map(|i| scene.room[i].id.clone()),
        zone: scene.zone_at(x, y).map(|i| scene.zone[i].id.clone()),
        moving: body.moving,
        posture: if body.seated > 0.0 {
            Posture::Seated
        } else if walks {
            Posture::Walking
        } else {
            Posture::Standing
        },
        joints_m: body.joints.map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truth_file_has_a_head_and_a_line_for_every_moment() {
        let mut scene = Scene::builtin("demo").unwrap();
        scene.duration_s = 1.0;
        scene.person[0].appear_s = 0.0;
        let simulator = Simulator::new(scene, 9).unwrap();
        let mut file = Vec::new();
        write_truth(&simulator, 20.0, &mut file).unwrap();
        let lines: Vec<serde_json::Value> = file
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect();
        assert_eq!(lines.len(), 21);
        assert_eq!(lines[0]["format"], FORMAT);
        assert_eq!((&lines[0]["simulated"], &lines[0]["seed"]), (&true.into(), &9.into()));
        assert_eq!(lines[20]["t_s"], 0.95);
        let person = &lines[2]["people"][0];
        assert_eq!(person["posture"], "walking");
        assert!(
            person["position_m"][0].as_f64().is_some_and(|x| x < 9.0 && x > 8.99),
            "{person}"
        );
        assert!(person["room"].is_null() && person["zone"].is_null());
        assert_eq!(person["joints_m"].as_array().unwrap().len(), 17);
    }

    #[test]
    fn a_head_says_the_wall_clock_where_there_is_one() {
        let simulator = Simulator::new(Scene::builtin("demo").unwrap(), 9).unwrap();
        let head = |zero| -> serde_json::Value {
            let mut line = Vec::new();
            write_truth_head(&simulator, 20.0, zero, &mut line).unwrap();
            serde_json::from_slice(&line).unwrap()
        };
        assert_eq!(head(Some(1_775_182_186_000))["zero_unix_ms"], 1_775_182_186_000_i64);
        assert!(head(None).get("zero_unix_ms").is_none());
    }

    #[test]
    fn a_rate_that_is_no_rate_is_refused() {
        let simulator = Simulator::new(Scene::builtin("demo").unwrap(), 9).unwrap();
        for rate_hz in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = write_truth(&simulator, rate_hz, &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
