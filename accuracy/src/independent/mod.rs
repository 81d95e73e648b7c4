//! Rooms of a second simulator, written without sight of the first: people by arrays of antennas, and by single ones.

mod simulator;

use std::{fs, path::PathBuf};

use super::{
    lab::{Lab, Replay, side_by_side},
    people::Score,
    report::{Row, Section},
    simulated::{CALIBRATION_S, FROM_S, Truth},
};
use simulator::{Files, Scenario, simulate};

/// Seed 1 was looked at while the tracker was written.
const SEEDS: [u64; 2] = [2, 3];
/// Two people on lines that cross, or half a metre apart.
const CROSSINGS: [Scenario; 4] = [Scenario::Cross1, Scenario::Cross2, Scenario::Cross3, Scenario::Cross4];
/// Antennas of a node: an array, and none.
const ARRAY: usize = 4;
const SINGLE: usize = 1;

/// A room to score.
#[derive(Clone, Copy)]
struct Room {
    scenario: Scenario,
    seed: u64,
    antennas: usize,
}

/// What came of it.
struct Outcome {
    room: Room,
    score: Score,
    /// Cycles with a track while nobody was there.
    ghosts: u32,
}

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let outcomes = side_by_side(&rooms(), |room| measure(lab, *room))?;
    let of = |scenarios: &[Scenario], antennas: usize| -> Vec<&Outcome> {
        let wanted = |o: &&Outcome| o.room.antennas == antennas && scenarios.contains(&o.room.scenario);
        outcomes.iter().filter(wanted).collect()
    };
    let mut rows = Vec::new();

    let crossings = of(&CROSSINGS, ARRAY);
    rows.extend(crossings.iter().map(|outcome| outcome.identity_row()));
    rows.push(mean_identity("cross1 to cross4: mean IDF1", &crossings));

    let walkers = of(&[Scenario::One1], ARRAY);
    let rmse_m = mean(&walkers, |score| score.errors().rmse_m);
    let missed = mean(&walkers, Score::missed);
    rows.push(Row::asked(
        "one1: position",
        position(rmse_m, missed),
        "0.35 m, at most 5 % missed",
        rmse_m <= 0.35 && missed <= 0.05,
    ));
    rows.push(Row::reported("one1: IDF1", format!("{:.3}", mean(&walkers, identity))));

    let ghosts: u32 = of(&[Scenario::Empty1], ARRAY)
        .iter()
        .map(|outcome| outcome.ghosts)
        .sum();
    rows.push(Row::asked(
        "empty1: cycles with a track",
        ghosts.to_string(),
        "0",
        ghosts == 0,
    ));

    let others = of(&[Scenario::Sit1, Scenario::Join1], ARRAY);
    rows.extend(others.iter().map(|outcome| outcome.identity_row()));

    let single = of(&CROSSINGS, SINGLE);
    rows.push(mean_identity("cross1 to cross4 by single antennas: mean IDF1", &single));
    Ok(Section {
        title: "Simulated rooms of an independent simulator".to_owned(),
        method: method(),
        rows,
        ..Section::default()
    })
}

/// Every room: all scenes by arrays, those of two who cross by single antennas, too.
fn rooms() -> Vec<Room> {
    let others = [Scenario::One1, Scenario::Empty1, Scenario::Sit1, Scenario::Join1];
    let by_arrays = CROSSINGS.iter().chain(&others).map(|scenario| (*scenario, ARRAY));
    let by_single = CROSSINGS.iter().map(|scenario| (*scenario, SINGLE));
    by_arrays
        .chain(by_single)
        .flat_map(|(scenario, antennas)| {
            SEEDS.map(|seed| Room {
                scenario,
                seed,
                antennas,
            })
        })
        .collect()
}

fn method() -> String {
    format!(
        "Rooms of a second simulator (`accuracy/src/independent/simulator`), whose author knew the wire format and had seen neither the product's simulator nor its signal \
         processing. What it has that `sim/` has not: up to 68 points of clutter scatter in every room; a body is twelve cylinders and a sphere, which scatter by \
         physical optics, the trunk by elliptic sections; one person stands in the way of what another scatters; people have another gait, steer, and make way for each other; \
         receivers have a filter that is not flat over the band. Each antenna has a receive chain with an angle of its own, which `sim/` has since this simulator showed the want of it. In both, walls mirror waves up to twice. \
         Four nodes (HT40, 8 bits) send 25 times a second each. `cross1` to `cross4`: two people to and fro on lines at right angles, at 30 degrees, 0.54 m apart, and one overtaking the other, then at 50 degrees; `one1`: one roams; \
         `sit1`: roams and sits; `join1`: one comes while another stands; `empty1`: nobody. Nothing was set on seeds {} and {}; seed 1 was looked at while the tracker was written and is left out. A \
         seed chooses walls, clutter, speeds, bodies and radios; the size of a room, its doors, about where nodes stand and the lines people walk on are the same for every seed. \
         Nodes have four antennas half a wavelength apart, in the last row one. Calibrated on the first {CALIBRATION_S} s, scored as the scenes above, from {FROM_S} s on; everybody comes later. \
         By single antennas 0.9 is not expected: they do not tell two people who cross apart, in `two-crossing` above neither.",
        SEEDS[0], SEEDS[1]
    )
}

impl Outcome {
    fn identity_row(&self) -> Row {
        let Room { scenario, seed, .. } = self.room;
        let position = position(self.score.errors().rmse_m, self.score.missed());
        Row::reported(
            format!("{}, seed {seed}: IDF1", scenario.name()),
            format!("{:.3}; {position}", identity(&self.score)),
        )
    }
}

/// Simulates a room, replays it, and scores who was found.
fn measure(lab: &Lab, room: Room) -> Result<Outcome, String> {
    let name = format!("independent-{}-{}-{}", room.scenario.name(), room.seed, room.antennas);
    let file = |what: &str| -> Result<PathBuf, String> { lab.write(&format!("{name}.{what}"), "") };
    let (config, recording, truth) = (file("toml")?, file("recording.jsonl")?, file("truth.jsonl")?);
    let files = Files {
        config: &config,
        recording: &recording,
        truth: &truth,
    };
    simulate(room.scenario, room.seed, room.antennas, &files)?;
    let replay = Replay {
        config,
        recording,
        calibration: None,
        calibrate_first_s: Some(CALIBRATION_S),
    };
    let cycles = lab.replay_people(&replay, &name)?;
    // Up to 105 MB, and there are two dozen of them.
    fs::remove_file(&replay.recording).map_err(|e| format!("cannot remove {}: {e}", replay.recording.display()))?;
    let truth = Truth::read(&truth)?;
    let mut outcome = Outcome {
        room,
        score: Score::default(),
        ghosts: 0,
    };
    for cycle in cycles.iter().filter(|c| c.time_s >= FROM_S) {
        let people = truth.at(cycle.time_s);
        outcome.score.add(people, &cycle.tracks);
        outcome.ghosts += u32::from(people.is_empty() && !cycle.tracks.is_empty());
    }
    Ok(outcome)
}

fn identity(score: &Score) -> f64 {
    score.idf1().unwrap_or(0.0)
}

fn mean(outcomes: &[&Outcome], of: impl Fn(&Score) -> f64) -> f64 {
    outcomes.iter().map(|outcome| of(&outcome.score)).sum::<f64>() / outcomes.len() as f64
}

fn mean_identity(what: &str, outcomes: &[&Outcome]) -> Row {
    let idf1 = mean(outcomes, identity);
    Row::asked(what, format!("{idf1:.3}"), "0.9", idf1 >= 0.9)
}

fn position(rmse_m: f64, missed: f64) -> String {
    format!("RMSE {rmse_m:.2} m, missed {:.1} %", 100.0 * missed)
}
