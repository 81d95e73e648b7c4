//! Rooms that nobody chose: as many people walk at random in rooms from seeds that no parameter has seen.

use super::{
    lab::{Lab, side_by_side},
    people::Score,
    report::{Row, Section},
    simulated::{FROM_S, replay_as},
};
use xtask::run::{cargo, output};

/// Seeds of the rooms with one person, and with two; those of the tracker's table are other ones.
const ONE: std::ops::RangeInclusive<u32> = 9001..=9008;
const TWO: std::ops::RangeInclusive<u32> = 9101..=9104;

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let mut section = Section {
        title: "Simulated rooms made up at random".to_owned(),
        method: format!(
            "Rooms of 5 to 7 m by 4 to 6 m with walls of three kinds, four nodes (HT40) near the corners, a door, a cabinet; people come in and walk from place to place \
             with stops (`benches/src/bin/walk-spectra/room.rs`). One person: seeds {} to {}; two: {} to {}. No parameter was set on these seeds, but the tracker's table was counted in other \
             rooms of the same generator. Scored as the scenes above, from {FROM_S} s on, room by room; the figures are means over rooms.",
            ONE.start(),
            ONE.end(),
            TWO.start(),
            TWO.end()
        ),
        ..Section::default()
    };
    for (people, seeds) in [(1, ONE), (2, TWO)] {
        let seeds: Vec<_> = seeds.collect();
        let rooms = side_by_side(&seeds, |seed| score(lab, *seed, people))?;
        let mean = |of: &dyn Fn(&Score) -> f64| rooms.iter().map(of).sum::<f64>() / rooms.len() as f64;
        let rmse_m = mean(&|s| s.errors().rmse_m);
        let missed = mean(&|s| s.missed());
        let idf1 = mean(&|s| s.idf1().unwrap_or(0.0));
        let position = format!("RMSE {rmse_m:.2} m, missed {:.1} %", 100.0 * missed);
        let gospa = format!(
            "{:.3} m, {:.1} %",
            mean(&|s| s.gospa_m()),
            100.0 * mean(&|s| s.count_accuracy())
        );
        if people == 1 {
            let reached = rmse_m <= 0.35 && missed <= 0.05;
            let what = "one person: position";
            section
                .rows
                .push(Row::asked(what, position, "0.35 m, at most 5 % missed", reached));
            section
                .rows
                .push(Row::reported("one person: IDF1", format!("{idf1:.3}")));
        } else {
            section.rows.push(Row::reported("two people: position", position));
            section
                .rows
                .push(Row::asked("two people: IDF1", format!("{idf1:.3}"), "0.9", idf1 >= 0.9));
        }
        let who = if people == 1 { "one person" } else { "two people" };
        section.rows.push(Row::reported(format!("{who}: GOSPA, count"), gospa));
    }
    Ok(section)
}

fn score(lab: &Lab, seed: u32, people: u32) -> Result<Score, String> {
    let (seed, name) = (seed.to_string(), format!("room-{seed}"));
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--package",
        "tapline-benches",
        "--bin",
        "walk-spectra",
        "--",
    ]);
    command.args(["--seed", &seed, "--scene", &people.to_string()]);
    let scene = lab.write(
        &format!("{name}.toml"),
        &output("the generator of rooms", &mut command)?,
    )?;
    let (cycles, truth) = replay_as(lab, &name, &scene.display().to_string(), &seed)?;
    let mut score = Score::default();
    for cycle in cycles.iter().filter(|c| c.time_s >= FROM_S) {
        score.add(truth.at(cycle.time_s), &cycle.tracks);
    }
    Ok(score)
}
