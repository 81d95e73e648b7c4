//! Tracks in meshes of received strengths: the basement's walker with timed truth, and the Utah room.

use super::{
    basement,
    lab::{Cycle, Lab, Quiet, Replay, read},
    people::{Errors, distance_m},
    report::{Row, Section},
    site::Site,
    svg::Picture,
};

/// The walk begins here, and each pivot takes this long, milliseconds.
const START_MS: f64 = 56_000.0;
const PIVOT_MS: f64 = 8_000.0;
const CALIBRATION_S: f64 = 30.0;
/// What a row without a published person costs, metres.
const MISSED_M: f64 = 4.0;
const FOOT_M: f64 = 0.3048;

type Places = Vec<[f64; 2]>;

fn place(row: &[f64]) -> Result<[f64; 2], String> {
    match row {
        [x, y, ..] => Ok([*x, *y]),
        _ => Err("a place needs two numbers".to_owned()),
    }
}

/// The basement's true places, and where the published track was at each sweep.
struct Walk {
    pivots: Places,
    path: Vec<usize>,
    sweeps_ms: Vec<f64>,
}

impl Walk {
    fn read(lab: &Lab) -> Result<Self, String> {
        let pivots = basement::table(lab, "pivot_coords_basement_m.txt")?;
        let path = basement::table(lab, "path_basement_1_f.txt")?;
        let sweeps = basement::table(lab, "basement_listenx_out_1.txt")?;
        Ok(Self {
            pivots: pivots.iter().map(|r| place(r)).collect::<Result<_, _>>()?,
            path: path.iter().flatten().map(|v| *v as usize).collect(),
            sweeps_ms: sweeps.iter().filter_map(|r| r.last().copied()).collect(),
        })
    }

    /// Where the person is; none before the walk and after it.
    fn truth(&self, t_ms: f64) -> Option<[f64; 2]> {
        let pivot = (t_ms - START_MS) / PIVOT_MS;
        if pivot < 0.0 {
            return None;
        }
        let k = pivot as usize;
        let (a, b) = (
            *self.pivots.get(*self.path.get(k)?)?,
            *self.pivots.get(*self.path.get(k + 1)?)?,
        );
        let part = pivot.fract();
        Some([0, 1].map(|axis| a[axis] * (1.0 - part) + b[axis] * part))
    }

    /// Errors and the share of missed sweeps at the best time offset within a second.
    fn score(&self, cycles: &[Cycle]) -> (Errors, f64, f64) {
        let at_offset = |step: i32| {
            let offset_ms = f64::from(step) * 250.0;
            let (mut errors, mut missed) = (Vec::new(), 0_u32);
            for &t_ms in &self.sweeps_ms {
                let Some(truth) = self.truth(t_ms + offset_ms) else {
                    continue;
                };
                // Causal: one pose a sweep, of the cycle that the sweep's end falls into. Earlier ones know the sweep
                // before only, later ones may know the next.
                let own = cycles.partition_point(|c| c.t_ms < t_ms);
                let track = cycles.get(own).and_then(best);
                missed += u32::from(track.is_none());
                errors.push(track.map_or(MISSED_M, |at| distance_m(at, truth)));
            }
            let share = f64::from(missed) / errors.len().max(1) as f64;
            (Errors::of(errors), share, offset_ms)
        };
        (-4..=4)
            .map(at_offset)
            .min_by(|a, b| a.0.rmse_m.total_cmp(&b.0.rmse_m))
            .unwrap_or_default()
    }
}

/// The surest published person.
fn best(cycle: &Cycle) -> Option<[f64; 2]> {
    let surest = cycle.tracks.iter().min_by(|a, b| a.sigma_m.total_cmp(&b.sigma_m));
    surest.map(|t| t.position_m)
}

fn ids(cycles: &[Cycle]) -> usize {
    let mut all: Vec<u64> = cycles.iter().flat_map(|c| c.tracks.iter().map(|t| t.id)).collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

pub(super) fn basement(lab: &Lab) -> Result<Section, String> {
    let (recording, config) = basement::recording(lab)?;
    let calibration = lab.calibrate(&config, &recording, Quiet::From(0.0, CALIBRATION_S), "basement-tracks")?;
    let replay = Replay {
        config,
        recording,
        calibration: Some(calibration),
        calibrate_first_s: None,
    };
    let cycles = lab.replay_people(&replay, "basement-tracks")?;
    let walk = Walk::read(lab)?;
    let (errors, missed, offset_ms) = walk.score(&cycles);
    let in_walk = |c: &&Cycle| walk.truth(c.t_ms).is_some();
    let outside = cycles.iter().filter(|c| !in_walk(c));
    let (mut empty, mut ghosts) = (0_u32, 0_u32);
    for cycle in outside {
        empty += 1;
        ghosts += u32::from(!cycle.tracks.is_empty());
    }
    let several = cycles.iter().filter(|c| c.tracks.len() > 1).count();
    let bound =
        |axis: usize, pick: fn(f64, f64) -> f64| walk.pivots.iter().map(|p| p[axis]).fold(walk.pivots[0][axis], pick);
    let mut plan = Picture::plan(
        "Basement: published track and true path",
        [bound(0, f64::min) - 1.0, bound(1, f64::min) - 1.0],
        [bound(0, f64::max) + 1.0, bound(1, f64::max) + 1.0],
    );
    let path: Places = walk.path.iter().filter_map(|k| walk.pivots.get(*k).copied()).collect();
    plan.dashed("truth", Picture::colour(6), &path);
    let track: Places = cycles.iter().filter(in_walk).step_by(5).filter_map(best).collect();
    plan.line("published", Picture::colour(0), &track);
    Ok(Section {
        title: "Tracks, mesh of received strengths (rti-basement)".to_owned(),
        method: format!(
            "Calibrated on the first {CALIBRATION_S} s. One error a sweep from 56 s to 376 s, between the true place and the pose of the cycle \
             that the sweep's end falls into; a sweep without one counts {MISSED_M} m. The clock offset of truth and recording is searched within 1 s \
             (found: {offset_ms} ms). The tracker's parameters were set on this recording."
        ),
        rows: vec![
            Row::asked(
                "RMSE",
                format!("{:.3} m", errors.rmse_m),
                "0.75 m",
                errors.rmse_m <= 0.75,
            )
            .reference("attenuation RTI 1.65 m, change image with a grid filter 0.87 m, peer 1.89 m"),
            Row::asked(
                "median",
                format!("{:.3} m", errors.median_m),
                "0.45 m",
                errors.median_m <= 0.45,
            ),
            Row::asked(
                "90 % quantile",
                format!("{:.3} m", errors.p90_m),
                "1.3 m",
                errors.p90_m <= 1.3,
            ),
            Row::reported("sweeps without a track", format!("{:.1} %", 100.0 * missed)),
            Row::reported(
                "cycles before and after the walk with a track",
                format!("{ghosts} of {empty} (the person stands at the edge for some of them)"),
            ),
            Row::reported(
                "cycles with more than one track",
                format!("{several} of {}", cycles.len()),
            ),
            Row::reported("identities", ids(&cycles).to_string()),
        ],
        images: vec![(
            lab.image("basement-tracks", plan.svg()),
            "Published track over the floor plan".to_owned(),
        )],
        ..Section::default()
    })
}

/// Places of the Utah nodes, metres: a 3 ft pitch round a square of 21 ft.
fn utah_nodes() -> Places {
    let side = |k: usize| 3.0 * (k % 7) as f64;
    (0..28)
        .map(|k| match k / 7 {
            0 => [0.0, side(k)],
            1 => [side(k), 21.0],
            2 => [21.0, 21.0 - side(k)],
            _ => [21.0 - side(k), 0.0],
        })
        .map(|at: [f64; 2]| at.map(|feet| FOOT_M * feet))
        .collect()
}

/// Rows of a file as lines of a recording; rows of one second are spread over it. `from_s` moves the start.
fn utah_rows(lab: &Lab, file: &str, from_s: f64) -> Result<(String, f64), String> {
    let text = read(&lab.data().join("rti-utah").join(file))?;
    let mut rows: Vec<(u32, Vec<i32>)> = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let values: Result<Vec<i32>, _> = line.split(',').map(|w| w.trim().parse::<i32>()).collect();
        let mut values = values.map_err(|e| format!("{file}: {line}: {e}"))?;
        if values.len() != 32 {
            return Err(format!("{file}: expected 32 columns, found {}", values.len()));
        }
        let clock = values.split_off(29);
        let second = clock.iter().fold(0, |sum, part| 60 * sum + part);
        rows.push((second as u32, values));
    }
    let first = rows.first().map_or(0, |r| r.0);
    let (mut out, mut last_s) = (String::new(), from_s);
    for (i, (second, values)) in rows.iter().enumerate() {
        let of_second = rows.partition_point(|r| r.0 <= *second) - rows.partition_point(|r| r.0 < *second);
        let within = (i - rows.partition_point(|r| r.0 < *second)) as f64 / of_second as f64;
        last_s = from_s + f64::from(second - first) + within;
        let rx = values[0];
        for (tx, rssi) in values[1..].iter().enumerate().filter(|(tx, _)| *tx as i32 != rx) {
            out += &format!(
                "{{\"type\":\"rss\",\"t_ms\":{:.0},\"tx\":{},\"rx\":{},\"channel\":1,\"rssi_dbm\":{rssi}}}\n",
                1e3 * last_s,
                tx + 1,
                rx + 1
            );
        }
    }
    Ok((out, last_s))
}

pub(super) fn utah(lab: &Lab) -> Result<Section, String> {
    let nodes = utah_nodes();
    let side_m = 21.0 * FOOT_M;
    let mut site = Site::new("utah").room("room", [0.0, 0.0], [side_m, side_m]);
    for (i, at) in nodes.iter().enumerate() {
        site = site.sensor(i as u16 + 1, [at[0], at[1], 1.0], "auto");
    }
    let config = lab.write("utah.toml", site.rss_mesh(&[1]).text())?;
    // A calibration ends with the first cycle after it: the sweep follows itself, outside of what is learned.
    let (mut text, empty_s) = utah_rows(lab, "empty.csv", 0.0)?;
    text += &utah_rows(lab, "empty.csv", empty_s + 1.0)?.0;
    let empty = lab.write("utah-empty.recording.jsonl", text)?;
    let calibration = lab.calibrate(&config, &empty, Quiet::From(0.0, empty_s + 0.1), "utah")?;
    let mut section = Section {
        title: "Tracks, Utah room (rti-utah)".to_owned(),
        method: "28 nodes round a square of 21 ft, one channel; calibrated from the single sweep of `empty.csv`. The walked square has no timed \
                 truth, so no error is claimed from it."
            .to_owned(),
        ..Section::default()
    };
    let mut plan = Picture::plan("Utah: published tracks", [0.0, 0.0], [side_m, side_m]);
    plan.dots("nodes", Picture::colour(6), 2.0, &nodes);
    for (index, (file, standing_ft)) in [
        ("one_person_at_x3_y18.csv", Some([3.0, 18.0])),
        ("one_person_moving_square.csv", None),
    ]
    .into_iter()
    .enumerate()
    {
        let (text, _) = utah_rows(lab, file, 0.0)?;
        let recording = lab.write(&format!("utah-{file}.recording.jsonl"), text)?;
        let replay = Replay {
            config: config.clone(),
            recording,
            calibration: Some(calibration.clone()),
            calibrate_first_s: None,
        };
        let cycles = lab.replay_people(&replay, &format!("utah-{file}"))?;
        let track: Places = cycles.iter().filter_map(best).collect();
        plan.line(file, Picture::colour(index), &track);
        let first_s = cycles.iter().find(|c| best(c).is_some()).map_or(f64::NAN, |c| c.time_s);
        let shape = format!("from {first_s:.1} s on, {} identities", ids(&cycles));
        section.rows.push(match standing_ft {
            Some(feet) => {
                let at = feet.map(|f: f64| FOOT_M * f);
                let errors = Errors::of(track.iter().map(|t| distance_m(*t, at)).collect());
                let reached = !track.is_empty() && errors.mean_m <= 0.30;
                Row::asked(
                    "standing at (3, 18) ft, mean error",
                    format!("{:.3} m ({shape})", errors.mean_m),
                    "0.30 m",
                    reached,
                )
                .reference("0.36 m")
            }
            None => {
                let jump = track.windows(2).map(|w| distance_m(w[0], w[1])).fold(0.0, f64::max);
                let gaps = cycles
                    .iter()
                    .skip_while(|c| c.tracks.is_empty())
                    .filter(|c| c.tracks.is_empty())
                    .count();
                let reached = !track.is_empty() && jump <= 1.0 && ids(&cycles) == 1;
                Row::asked(
                    "square, largest step between cycles",
                    format!("{jump:.2} m ({shape}, {gaps} cycles without a track after the first)"),
                    "one track, 1 m",
                    reached,
                )
            }
        });
    }
    section.images.push((
        lab.image("utah", plan.svg()),
        "Published tracks in the Utah room".to_owned(),
    ));
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_stand_round_the_square() {
        let feet: Places = utah_nodes().iter().map(|p| p.map(|m| (m / FOOT_M).round())).collect();
        assert_eq!([feet[0], feet[1], feet[7]], [[0.0, 0.0], [0.0, 3.0], [0.0, 21.0]]);
        assert_eq!([feet[8], feet[14], feet[15]], [[3.0, 21.0], [21.0, 21.0], [21.0, 18.0]]);
        assert_eq!([feet[21], feet[22], feet[27]], [[21.0, 0.0], [18.0, 0.0], [3.0, 0.0]]);
    }

    #[test]
    fn the_walk_is_straight_between_pivots() {
        let walk = Walk {
            pivots: vec![[0.0, 0.0], [4.0, 2.0]],
            path: vec![0, 1],
            sweeps_ms: Vec::new(),
        };
        assert_eq!(walk.truth(START_MS + 2_000.0), Some([1.0, 0.5]));
        assert_eq!(walk.truth(START_MS - 1.0), None);
        assert_eq!(walk.truth(START_MS + PIVOT_MS), None);
    }
}
