//! Several people: ours against the tracker of the public crate `wifi-densepose-signal`, on the same detections.
//!
//! `benches/side-by-side/src/bin/peer-tracker.rs` runs the crate; detections go in and tracks come out as lines.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use tapline_dsp::tracker::Floor;

use super::{
    lab::{Cycle, Lab, Track},
    people::{Person, Score, distance_m},
    point_tracker::PointTracker,
    random::Random,
    report::{Row, Section},
    simulated::{self, FROM_S},
};
use xtask::run::{cargo, program, root, run as run_command};

/// Every scene with several people.
const SCENES: [&str; 4] = ["two-crossing", "four-nodes-ht40", "six-nodes-he40", "door"];
/// Its people walk as those of `four-nodes-ht40`: made from the truth alone, its detections are the same.
const SAME_WALK: &str = "six-nodes-he40";
/// All of them play in this room, metres.
const ROOM_M: [f64; 2] = [6.0, 5.0];
const STEP_S: f32 = 0.05;
/// Times that chance is drawn anew; figures are means over them.
const DRAWS: u64 = 5;
/// Noise that the crate's own server tells its tracker, metres.
const ITS_NOISE_M: f64 = 0.08;

/// How good a detector is.
struct Detector {
    name: &'static str,
    /// Of each coordinate, metres.
    noise_m: f64,
    /// Share of cycles in which somebody is detected.
    detected: f64,
    /// Share of cycles with a false detection, anywhere in the room.
    clutter: f64,
}

const DETECTORS: [Detector; 2] = [
    Detector {
        name: "fine",
        noise_m: 0.1,
        detected: 0.95,
        clutter: 0.05,
    },
    Detector {
        name: "coarse",
        noise_m: 0.3,
        detected: 0.8,
        clutter: 0.2,
    },
];

/// What is true and what was detected, cycle by cycle.
struct Task {
    truth: Vec<Vec<Person>>,
    detections: Vec<Vec<[f64; 2]>>,
    noise_m: f64,
}

impl Task {
    /// Detections made from the truth.
    fn of(truth: Vec<Vec<Person>>, detector: &Detector, draw: u64) -> Self {
        let mut random = Random::new([7, draw, (1000.0 * detector.noise_m) as u64]);
        let detect = |people: &Vec<Person>| {
            let mut seen = Vec::new();
            for person in people {
                let at = person.position_m.map(|v| v + detector.noise_m * random.normal());
                if random.chance(detector.detected) {
                    seen.push(at);
                }
            }
            if random.chance(detector.clutter) {
                seen.push(ROOM_M.map(|edge| random.between(0.0, edge)));
            }
            // In no order that tells who is who, or what is false.
            for k in (1..seen.len()).rev() {
                seen.swap(k, random.between(0.0, (k + 1) as f64) as usize);
            }
            seen
        };
        Self {
            detections: truth.iter().map(detect).collect(),
            truth,
            noise_m: detector.noise_m,
        }
    }
}

/// GOSPA and IDF1.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    gospa_m: f64,
    idf1: f64,
}

impl Figures {
    fn of(truth: &[Vec<Person>], tracks: &[Vec<Track>]) -> Self {
        let mut score = Score::default();
        for (people, tracks) in truth.iter().zip(tracks) {
            score.add(people, tracks);
        }
        Self {
            gospa_m: score.gospa_m(),
            idf1: score.idf1().unwrap_or_default(),
        }
    }

    fn mean(all: &[Self]) -> Self {
        let n = all.len() as f64;
        Self {
            gospa_m: all.iter().map(|f| f.gospa_m).sum::<f64>() / n,
            idf1: all.iter().map(|f| f.idf1).sum::<f64>() / n,
        }
    }

    fn text(self) -> String {
        format!("GOSPA {:.3} m, IDF1 {:.3}", self.gospa_m, self.idf1)
    }

    fn is_ahead_of(self, other: Self) -> bool {
        self.gospa_m < other.gospa_m && self.idf1 > other.idf1
    }
}

/// The crate's tracker, built.
struct Peer(PathBuf);

impl Peer {
    fn build() -> Result<Self, String> {
        let directory = root().join("benches/side-by-side");
        let mut command = cargo();
        command
            .current_dir(&directory)
            .args(["build", "--locked", "--target-dir", "target", "--bin", "peer-tracker"]);
        run_command("build the public crate's tracker", &mut command)?;
        Ok(Self(directory.join("target/debug/peer-tracker")))
    }

    /// Its tracks: all that its server shows, or the confirmed ones among them only.
    fn tracks(
        &self,
        detections: &[Vec<[f64; 2]>],
        noise_m: f64,
        is_active_only: bool,
    ) -> Result<Vec<Vec<Track>>, String> {
        let mut lines = String::new();
        for seen in detections {
            lines += &format!("{STEP_S}");
            seen.iter().for_each(|[x, y]| lines += &format!(" {x} {y}"));
            lines.push('\n');
        }
        let out = fed(&self.0, &noise_m.to_string(), lines)?;
        let track = |words: &[&str]| match words {
            [id, is_active, x, y] if !is_active_only || *is_active == "1" => Some(Track {
                id: id.parse().ok()?,
                position_m: [x.parse().ok()?, y.parse().ok()?],
                sigma_m: 0.0,
            }),
            _ => None,
        };
        let line = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.chunks(4).filter_map(track).collect()
        };
        Ok(out.lines().map(line).collect())
    }

    /// As its server drives it, and made as good as its interface allows: told the detector's noise, confirmed tracks only.
    fn figures(&self, task: &Task) -> Result<[Figures; 2], String> {
        let as_driven = self.tracks(&task.detections, ITS_NOISE_M, false)?;
        let helped = self.tracks(&task.detections, task.noise_m, true)?;
        Ok([as_driven, helped].map(|tracks| Figures::of(&task.truth, &tracks)))
    }
}

/// Runs a program on this input; what it printed.
fn fed(path: &Path, argument: &str, input: String) -> Result<String, String> {
    let fail = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut command = program(path);
    command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(fail)?;
    let mut stdin = child.stdin.take().ok_or("a program without input")?;
    // It answers while it reads: a thread of its own, so that neither waits for the other.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let out = child.wait_with_output().map_err(fail)?;
    writer.join().expect("the writer does not panic").map_err(fail)?;
    if !out.status.success() {
        return Err(format!("{} failed ({})", path.display(), out.status));
    }
    String::from_utf8(out.stdout).map_err(|e| e.to_string())
}

/// Tracks of our parts on the same detections.
fn our_tracks(task: &Task) -> Vec<Vec<Track>> {
    let mut tracker = PointTracker::new();
    let variance = task.noise_m * task.noise_m;
    let place = |at_m: &[f64; 2]| Floor {
        at_m: *at_m,
        covariance: [variance, 0.0, variance],
    };
    let step = |seen: &Vec<[f64; 2]>| {
        tracker.step(STEP_S, &seen.iter().map(place).collect::<Vec<_>>());
        let track = |t: &tapline_dsp::tracker::Track| Track {
            id: t.id,
            position_m: t.kalman.floor().at_m,
            sigma_m: 0.0,
        };
        tracker.published().map(track).collect()
    };
    task.detections.iter().map(step).collect()
}

/// One who walks straight on and is detected exactly in every cycle: the crate's tracker and ours.
fn straight_on(peer: &Peer) -> Result<String, String> {
    let (speed_m_s, cycles) = (0.5, 400);
    let places = (0..cycles).map(|k| vec![[speed_m_s * f64::from(STEP_S) * f64::from(k), 1.0]]);
    let task = Task {
        detections: places.collect(),
        truth: Vec::new(),
        noise_m: ITS_NOISE_M,
    };
    let say = |tracks: &[Vec<Track>]| {
        let mut ids: Vec<u64> = tracks.iter().flatten().map(|t| t.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let behind = tracks.iter().zip(&task.detections).filter_map(|(tracks, seen)| {
            let off = |t: &Track| distance_m(t.position_m, seen[0]);
            tracks.iter().map(off).min_by(f64::total_cmp)
        });
        let behind: Vec<f64> = behind.collect();
        let mean_m = behind.iter().sum::<f64>() / behind.len().max(1) as f64;
        format!("{} identities, {mean_m:.2} m behind on average", ids.len())
    };
    Ok(format!(
        "One person who walks straight on at {speed_m_s} m/s for {:.0} s and is detected exactly in every cycle: the crate's tracker, as its server drives it, \
         gives {}; ours {}. Its filter predicts variances but no covariance of place and velocity, so that a measured place never reaches the velocity, and its gain \
         falls with every update: the track nears the mean of all places, until the gate is left and another track begins.",
        f64::from(STEP_S) * f64::from(cycles),
        say(&peer.tracks(&task.detections, ITS_NOISE_M, false)?),
        say(&our_tracks(&task)),
    ))
}

fn row(what: String, ours: Figures, [driven, helped]: [Figures; 2]) -> Row {
    let is_ahead = ours.is_ahead_of(driven) && ours.is_ahead_of(helped);
    let reference = format!("as its server drives it: {}; helped: {}", driven.text(), helped.text());
    Row::asked(what, ours.text(), "ahead in both, of both", is_ahead).reference(&reference)
}

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let peer = Peer::build()?;
    let mut rows = [Vec::new(), Vec::new(), Vec::new()];
    for scene in SCENES {
        let (cycles, truth) = simulated::replay(lab, scene)?;
        let moments = truth.moments().filter(|(time_s, _)| *time_s >= FROM_S);
        let people: Vec<Vec<Person>> = moments.map(|(_, people)| people.to_vec()).collect();
        let made = DETECTORS.iter().filter(|_| scene != SAME_WALK);
        for (detector, rows) in made.zip(&mut rows) {
            let (mut own, mut theirs) = (Vec::new(), [Vec::new(), Vec::new()]);
            for draw in 0..DRAWS {
                let task = Task::of(people.clone(), detector, draw);
                own.push(Figures::of(&task.truth, &our_tracks(&task)));
                let figures = peer.figures(&task)?;
                theirs.iter_mut().zip(figures).for_each(|(all, f)| all.push(f));
            }
            let theirs = theirs.map(|all| Figures::mean(&all));
            rows.push(row(
                format!("{scene}, {} detections", detector.name),
                Figures::mean(&own),
                theirs,
            ));
        }
        let cycles: Vec<Cycle> = cycles.into_iter().filter(|c| c.time_s >= FROM_S).collect();
        let truth: Vec<Vec<Person>> = cycles.iter().map(|c| truth.at(c.time_s).to_vec()).collect();
        let published: Vec<Vec<Track>> = cycles.into_iter().map(|c| c.tracks).collect();
        let places = published.iter().map(|all| all.iter().map(|t| t.position_m).collect());
        let sigmas: Vec<f64> = published.iter().flatten().map(|t| t.sigma_m).collect();
        let task = Task {
            detections: places.collect(),
            noise_m: sigmas.iter().sum::<f64>() / sigmas.len().max(1) as f64,
            truth,
        };
        let own = Figures::of(&task.truth, &published);
        rows[2].push(row(format!("{scene}, end to end"), own, peer.figures(&task)?));
    }
    Ok(Section {
        title: "Several people: against the tracker of a public crate".to_owned(),
        method: format!(
            "`cargo xtask accuracy peer-tracker` (by name only: it fetches the crate `wifi-densepose-signal`). The crate's pose tracker takes detections of 17 keypoints; a detection at a place is one \
             standing pose there. The loop is left to its caller: here as the server of its project drives it (`benches/side-by-side/src/bin/peer-tracker.rs` says how), \
             and *helped*, told the true noise and counted by its confirmed tracks only. No embeddings, as there. Our product has no tracker of detections: stage 8 follows people on the links themselves. So there are two comparisons. \
             *Fine* and *coarse detections*: the true places in the scene with noise of {:.1} m and {:.1} m a coordinate, somebody seen in {:.0} % and {:.0} % of the cycles, a false detection anywhere in {:.0} % and {:.0} %, \
             in random order, new in each cycle, means of {DRAWS} draws; ours are the tracker's own parts with its defaults (Kalman filter, optimal assignment, life of a track), put together in `accuracy/src/point_tracker.rs`. \
             *End to end*: ours is what the product published; the crate's tracker gets the places that it published as detections, without their identities. Scenes of `sim/scenes`, seed 1, from {FROM_S} s on; GOSPA has p 2, c 1 m, alpha 2; IDF1 counts within 1 m.",
            DETECTORS[0].noise_m,
            DETECTORS[1].noise_m,
            100.0 * DETECTORS[0].detected,
            100.0 * DETECTORS[1].detected,
            100.0 * DETECTORS[0].clutter,
            100.0 * DETECTORS[1].clutter,
        ),
        rows: rows.into_iter().flatten().collect(),
        notes: vec![
            format!(
                "On detections made from the truth, `{SAME_WALK}` is `four-nodes-ht40`: its people walk the same way. `door` lets nobody keep an identity through the door: neither side re-identifies."
            ),
            straight_on(&peer)?,
        ],
        ..Section::default()
    })
}
