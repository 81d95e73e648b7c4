//! The simulator's scenes, whose truth is exact: radio in, people out, all through the product.

use std::path::Path;

use serde_json::Value;

use super::{
    lab::{Cycle, Lab, Replay, read, side_by_side},
    people::{Person, Score},
    report::{Row, Section},
    score::Counts,
};

/// Every scene but the demo is empty at least this long, and calibrated on it, seconds.
pub(super) const CALIBRATION_S: f64 = 30.0;
/// In the demo somebody comes after twelve seconds.
const DEMO_CALIBRATION_S: f64 = 10.0;
/// Cycles from here on count: everybody comes later.
pub(super) const FROM_S: f64 = CALIBRATION_S + 1.0;
const SEED: &str = "1";
/// Every shipped scene, and those of people that arrays of antennas see.
const SCENES: [&str; 17] = [
    "empty-room",
    "one-walker",
    "two-crossing",
    "sitting-still",
    "door",
    "four-nodes-ht20",
    "four-nodes-ht40",
    "six-nodes-he40",
    "bad-clocks",
    "drifting-temperature",
    "moved-furniture",
    "two-nodes-adr018",
    "demo",
    "two-crossing-arrays",
    "one-walker-arrays",
    "sitting-still-arrays",
    "door-arrays",
];

fn calibration_s(scene: &str) -> f64 {
    if scene == "demo" {
        DEMO_CALIBRATION_S
    } else {
        CALIBRATION_S
    }
}

/// The people in a room at each moment of a truth file.
pub(super) struct Truth(Vec<(f64, Vec<Person>)>);

impl Truth {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut moments = Vec::new();
        // The first line says what the file is.
        for line in read(path)?.lines().skip(1) {
            let v: Value = serde_json::from_str(line).map_err(|e| format!("{}: {e}", path.display()))?;
            let person = |p: &Value| {
                p["room"].as_str()?;
                Some(Person {
                    id: p["id"].as_u64()?,
                    position_m: [p["position_m"][0].as_f64()?, p["position_m"][1].as_f64()?],
                })
            };
            let people = v["people"].as_array().map_or(&[][..], Vec::as_slice);
            moments.push((
                v["t_s"].as_f64().ok_or("a truth without t_s")?,
                people.iter().filter_map(person).collect(),
            ));
        }
        Ok(Self(moments))
    }

    /// Every moment there is, with the people in a room.
    pub(super) fn moments(&self) -> impl Iterator<Item = (f64, &[Person])> {
        self.0.iter().map(|(time_s, people)| (*time_s, people.as_slice()))
    }

    pub(super) fn at(&self, time_s: f64) -> &[Person] {
        let next = self.0.partition_point(|m| m.0 <= time_s + 1e-6);
        next.checked_sub(1).map_or(&[], |k| &self.0[k].1)
    }
}

/// A shipped scene through the product: its cycles and what was true.
pub(super) fn replay(lab: &Lab, scene: &str) -> Result<(Vec<Cycle>, Truth), String> {
    replay_as(lab, scene, scene, SEED)
}

/// The same for a scene by name or file; `name` is that of the files in the laboratory.
pub(super) fn replay_as(lab: &Lab, name: &str, scene: &str, seed: &str) -> Result<(Vec<Cycle>, Truth), String> {
    let file = |what: &str| lab.write(&format!("sim-{name}.{what}"), "");
    let (config, recording, truth) = (file("toml")?, file("recording.jsonl")?, file("truth.jsonl")?);
    let text = |p: &Path| p.display().to_string();
    lab.tapline(&[
        "simulate",
        "--scene",
        scene,
        "--seed",
        seed,
        "--write-config",
        &text(&config),
        "--record",
        &text(&recording),
        "--truth",
        &text(&truth),
    ])?;
    let replay = Replay {
        config,
        recording,
        calibration: None,
        calibrate_first_s: Some(calibration_s(scene)),
    };
    Ok((
        lab.replay_people(&replay, &format!("sim-{name}"))?,
        Truth::read(&truth)?,
    ))
}

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let mut section = Section {
        title: "Simulated scenes".to_owned(),
        method: format!(
            "All scenes of `sim/scenes`, seed {SEED}, calibrated on their first {CALIBRATION_S} s (`demo`: {DEMO_CALIBRATION_S} s); everybody in a room counts, in every cycle from a \
             second later on. `NAME-arrays` is the same scene and seed with four receive antennas a node, half a wavelength apart. The tracker's table of what a rate says was counted in other rooms of this same simulator. \
             Position errors are those of tracks within 1 m of a person, and the share of person cycles without one stands beside them. GOSPA has \
             p 2, c 1 m, alpha 2; IDF1 counts a track as its person within 1 m, and who goes out and comes in again (`demo`, `door`) as one person, \
             to whom no track of ours gives the old identity: it cannot be high there."
        ),
        ..Section::default()
    };
    let replays = side_by_side(&SCENES, |scene| replay(lab, scene))?;
    for (scene, (cycles, truth)) in SCENES.into_iter().zip(replays) {
        let (mut score, mut presence, mut ghosts) = (Score::default(), Counts::default(), 0_u32);
        for cycle in cycles.iter().filter(|c| c.time_s >= calibration_s(scene) + 1.0) {
            let people = truth.at(cycle.time_s);
            score.add(people, &cycle.tracks);
            presence.add(!people.is_empty(), cycle.occupied());
            ghosts += u32::from(people.is_empty() && !cycle.tracks.is_empty());
        }
        let errors = score.errors();
        let idf1 = score.idf1().map_or("none".to_owned(), |v| format!("{v:.3}"));
        let missed = 100.0 * score.missed();
        let position = if score.missed() < 1.0 {
            format!(
                "RMSE {:.2} m, median {:.2} m, missed {missed:.1} %",
                errors.rmse_m, errors.median_m
            )
        } else {
            "nobody found".to_owned()
        };
        section.rows.push(match scene {
            "empty-room" => Row::asked("empty-room: cycles with a track", ghosts.to_string(), "0", ghosts == 0),
            "one-walker" => {
                let reached = errors.rmse_m <= 0.35 && score.missed() <= 0.05;
                Row::asked("one-walker: position", position, "0.35 m, at most 5 % missed", reached)
            }
            _ => Row::reported(format!("{scene}: position"), position),
        });
        if scene != "empty-room" {
            let reached = score.idf1().is_some_and(|v| v >= 0.9);
            section.rows.push(match scene {
                "two-crossing" | "two-crossing-arrays" => Row::asked(format!("{scene}: IDF1"), idf1, "0.9", reached),
                _ => Row::reported(format!("{scene}: IDF1"), idf1),
            });
        }
        section.rows.push(Row::reported(
            format!("{scene}: GOSPA, count, false tracks, presence"),
            format!(
                "{:.3} m, {:.1} %, {:.2} a cycle; {presence}",
                score.gospa_m(),
                100.0 * score.count_accuracy(),
                score.false_tracks()
            ),
        ));
    }
    Ok(section)
}
