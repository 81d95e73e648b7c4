//! The facade on scenes made by hand.

use num_complex::Complex32;

use super::*;
use crate::{detmath, presence::PresenceReason, tier::Tier};

const MS: i64 = 1_000_000;

/// A room whose channel is a direct path and one echo that moves when told to.
struct Scene {
    front: Front,
    frame: u64,
    noise: u32,
    /// Radians a frame by which the echo's phase turns.
    doppler: f32,
    gain: f32,
    /// Phase of the echo: another place of whoever makes it.
    echo: f32,
    /// Whether the cycle before knew of somebody.
    occupied: bool,
}

fn csi(tx: u16, rx: u16) -> PathSpec {
    let kind = PathKind::Csi {
        tier: Tier::Ht20,
        centre_khz: 2_437_000,
    };
    PathSpec {
        tx,
        rx,
        tx_antenna: 0,
        rx_antenna: 0,
        channel: 6,
        kind,
    }
}

fn rss(tx: u16, rx: u16) -> PathSpec {
    PathSpec {
        channel: 11,
        kind: PathKind::Rss,
        ..csi(tx, rx)
    }
}

fn config() -> FrontConfig {
    let corner = |x: f32, y: f32| vec![[x, y], [x + 2.0, y], [x + 2.0, y + 2.0], [x, y + 2.0]];
    FrontConfig {
        paths: vec![csi(0, 1), csi(0, 2)],
        nodes: vec![(0, [0.0, 0.0, 1.0]), (1, [4.0, 0.0, 1.0]), (2, [4.0, 4.0, 1.0])],
        areas: vec![
            Area {
                is_room: true,
                room: 0,
                outline_m: vec![[0.0, -1.0], [5.0, -1.0], [5.0, 5.0], [0.0, 5.0]],
            },
            Area {
                is_room: false,
                room: 0,
                outline_m: corner(-20.0, -20.0),
            },
        ],
        ..FrontConfig::default()
    }
}

impl Scene {
    fn new() -> Self {
        Self {
            front: Front::new(config()).unwrap(),
            frame: 0,
            noise: 7,
            doppler: 0.0,
            echo: 0.0,
            occupied: false,
            gain: 20.0,
        }
    }

    fn random(&mut self) -> f32 {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.noise >> 8) as f32 / (1 << 24) as f32 - 0.5
    }

    /// One tick: two frames a path, then the stages.
    fn tick(&mut self) {
        for half in 0..2 {
            self.frame += 1;
            let time_ns = (self.frame as i64) * 25 * MS - 5 * MS + half;
            for path in 0..2 {
                let turn = self.echo + self.doppler * self.frame as f32 + path as f32;
                let clock = (self.random() * 6.0, self.random() * 0.4);
                let tones: Vec<Complex32> = Tier::Ht20
                    .tone_indices()
                    .map(|i| {
                        let echo = turn - 0.08 * f32::from(i);
                        let h = Complex32::new(1.0 + 0.4 * detmath::cos(echo), 0.4 * detmath::sin(echo));
                        let a = clock.0 + clock.1 * f32::from(i);
                        let noise = Complex32::new(self.random(), self.random()) * 0.05;
                        (h * Complex32::new(detmath::cos(a), detmath::sin(a)) + noise) * self.gain
                    })
                    .collect();
                self.front
                    .push_csi(path, time_ns, -50, -92, None, &tones, &[1; 52])
                    .unwrap();
            }
        }
        let tick = self.frame / 2 - 1;
        self.front.begin_tick(tick, (tick as i64 + 1) * 50 * MS);
        self.front.calibrate();
        self.front.align();
        self.front.fuse();
        self.front.sense(self.occupied);
    }

    fn run(&mut self, seconds: f32) {
        (0..(seconds * 20.0) as u32).for_each(|_| self.tick());
    }

    fn calibrated() -> Self {
        let mut scene = Self::new();
        scene.front.start_calibration(5_000 * MS);
        scene.run(5.0);
        let artefact = scene.front.take_calibration().unwrap().unwrap();
        scene.front.load_calibration(&artefact).unwrap();
        scene
    }
}

#[test]
fn without_a_calibration_presence_is_unknown() {
    let mut scene = Scene::new();
    scene.run(3.0);
    let site = scene.front.site();
    assert_eq!(
        (site.state, site.reason),
        (PresenceState::Unknown, PresenceReason::NotCalibrated)
    );
    assert_eq!(site.probability, None);
    assert_eq!(scene.front.calibration_status(), CalibrationStatus::None);
    let (decision, _, coherence) = scene.front.gate();
    assert!(
        decision == Decision::Accept && coherence.unwrap() > 0.95,
        "{coherence:?}"
    );
}

#[test]
fn a_still_scene_is_empty_and_a_moving_one_is_not() {
    let mut scene = Scene::calibrated();
    scene.run(20.0);
    let front = &scene.front;
    assert_eq!(front.site().state, PresenceState::Empty, "{:?}", front.site());
    assert!(front.site().probability.unwrap() < 0.1);
    assert!(
        front
            .links()
            .iter()
            .all(|l| l.has(valid::CHANGE) && l.motion_ratio < 2.0),
        "{:?}",
        front.links()
    );
    assert!(front.links().iter().all(|l| l.coherence > 0.8), "{:?}", front.links());

    scene.doppler = 0.6;
    scene.run(3.0);
    let site = scene.front.site();
    assert_eq!(
        (site.state, site.reason),
        (PresenceState::OccupiedMoving, PresenceReason::Motion)
    );
    assert!(
        site.probability.unwrap() > 0.95 && site.trace.links_named == 2,
        "{site:?}"
    );
    let [room, outside] = scene.front.areas() else { panic!() };
    assert_eq!(room.state, PresenceState::OccupiedMoving);
    assert_eq!(
        (outside.state, outside.reason),
        (PresenceState::Unknown, PresenceReason::NotCovered)
    );
}

#[test]
fn who_sits_and_is_followed_is_not_learned_as_a_part_of_the_empty_room() {
    let sits = |followed: bool| {
        let mut scene = Scene::calibrated();
        scene.run(20.0);
        assert!(scene.front.vacancy() > 0.5, "empty: {}", scene.front.vacancy());
        (scene.echo, scene.occupied) = (1.0, followed);
        scene.run(60.0);
        scene
    };
    let mut scene = sits(true);
    assert_eq!(scene.front.vacancy(), 0.0);
    (scene.echo, scene.occupied) = (0.0, false);
    scene.run(2.0);
    assert!(scene.front.vacancy() > 0.5, "gone: {}", scene.front.vacancy());
    // Whom nobody follows becomes the empty room: a limit that docs/sensing.md states.
    assert!(sits(false).front.vacancy() > 0.5);
}

#[test]
fn a_gain_step_is_not_motion() {
    let mut scene = Scene::calibrated();
    scene.run(10.0);
    scene.gain = 63.0;
    for _ in 0..60 {
        scene.tick();
        assert_eq!(scene.front.site().state, PresenceState::Empty);
    }
}

#[test]
fn calibration_is_refused_when_somebody_moves_and_when_nothing_comes() {
    let mut scene = Scene::new();
    scene.doppler = 0.6;
    scene.front.start_calibration(5_000 * MS);
    scene.run(2.0);
    assert!(matches!(
        scene.front.calibration_status(),
        CalibrationStatus::Running { paths_ready: 2, .. }
    ));
    scene.run(3.0);
    assert_eq!(scene.front.calibration_status(), CalibrationStatus::Finished);
    assert_eq!(
        scene.front.take_calibration(),
        Some(Err(CalibrationRefused::Motion { moving: 2, judged: 2 }))
    );
    assert_eq!(scene.front.take_calibration(), None);

    let mut scene = Scene::new();
    scene.front.start_calibration(1_000 * MS);
    scene.run(1.0);
    let refused = scene.front.take_calibration().unwrap().unwrap_err();
    assert!(
        matches!(
            refused,
            CalibrationRefused::TooLittle {
                ready: 0,
                paths: 2,
                frames_best: 20,
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn alignment_takes_the_clocks_off() {
    let mut scene = Scene::calibrated();
    scene.run(1.0);
    let before: Vec<_> = scene.front.tones(0).0.to_vec();
    scene.run(1.0);
    let (after, mask) = scene.front.tones(0);
    assert!(mask.iter().all(|&m| m == 1));
    for (a, b) in before.iter().zip(after) {
        assert!((a - b).norm_sqr() < 0.01 * scene.gain * scene.gain, "{a} {b}");
    }
    let noise = scene.front.noise_variance(0);
    let truth = 2.0 / 12.0 * (0.05 * scene.gain) * (0.05 * scene.gain);
    assert!((0.5..2.0).contains(&(noise / truth)), "{noise} {truth}");
}

#[test]
fn old_frames_are_dropped_and_silence_is_no_input() {
    let mut scene = Scene::calibrated();
    scene.run(1.0);
    assert!(scene.front.present(0) && scene.front.fused().is_some());
    assert_eq!(scene.front.clock_quality(), 100);
    for i in 1..=100 {
        let tick = scene.frame / 2 - 1 + i;
        scene.front.begin_tick(tick, (tick as i64 + 1) * 50 * MS);
        scene.front.calibrate();
        scene.front.align();
        scene.front.fuse();
        scene.front.sense(false);
    }
    let front = &scene.front;
    assert!(!front.present(0) && front.fused().is_none() && front.noise_variance(0) == 0.0);
    assert!(front.tones(0).0.iter().all(|h| h.norm_sqr() == 0.0) && front.tones(0).1.iter().all(|&m| m == 0));
    assert_eq!(front.gate().0, Decision::PredictOnly);
    assert_eq!(
        (front.site().state, front.site().reason),
        (PresenceState::Unknown, PresenceReason::NoInput)
    );
    assert_eq!(front.clock_quality(), 0);
}

#[test]
fn running_on_is_the_same_as_export_import_and_running_on() {
    for split in [0.3, 2.0, 7.0] {
        let mut whole = Scene::new();
        whole.front.start_calibration(5_000 * MS);
        whole.run(split);
        let mut state = Vec::new();
        whole.front.export_state(&mut state).unwrap();
        let mut other = Scene {
            front: Front::new(config()).unwrap(),
            ..whole
        };
        let mut whole = Scene {
            front: whole.front,
            ..other
        };
        other.front.import_state(&state).unwrap();
        for scene in [&mut whole, &mut other] {
            scene.run(6.0 - split);
            if let Some(artefact) = scene.front.take_calibration() {
                scene.front.load_calibration(&artefact.unwrap()).unwrap();
            }
            scene.doppler = 0.3;
            scene.run(2.0);
        }
        let states = [&whole, &other].map(|scene| {
            let mut state = Vec::new();
            scene.front.export_state(&mut state).unwrap();
            (
                state,
                format!(
                    "{:?} {:?} {:?}",
                    scene.front.links(),
                    scene.front.site(),
                    scene.front.fused()
                ),
            )
        });
        assert!(states[0] == states[1], "split at {split}");
    }
}

#[test]
fn a_foreign_or_damaged_state_is_refused() {
    let mut scene = Scene::calibrated();
    let mut state = Vec::new();
    scene.front.export_state(&mut state).unwrap();
    let mut other = Front::new(FrontConfig {
        paths: vec![csi(0, 1)],
        ..config()
    })
    .unwrap();
    assert!(matches!(other.import_state(&state), Err(FrontError::State { .. })));
    assert!(scene.front.import_state(&state[..state.len() - 1]).is_err());
    state.push(0);
    let error = scene.front.import_state(&state).unwrap_err().to_string();
    assert!(error.contains("left over"), "{error}");
}

#[test]
fn what_cannot_be_pushed_is_named() {
    let mut front = Front::new(config()).unwrap();
    let tones = [Complex32::new(1.0, 0.0); 52];
    let path = front.push_csi(2, 0, -50, -90, None, &tones, &[1; 52]);
    assert_eq!(path, Err(FrontError::Path { path: 2, paths: 2 }));
    let short = front.push_csi(0, 0, -50, -90, None, &tones[1..], &[1; 52]);
    assert_eq!(
        short,
        Err(FrontError::Tones {
            path: 0,
            expected: 52,
            found: 51
        })
    );
    assert!(front.push_rss(0, 0, -50.0).is_err());
    // Hostile content is masked, not trusted.
    front
        .push_csi(
            0,
            0,
            127,
            127,
            None,
            &[Complex32::new(f32::NAN, f32::INFINITY); 52],
            &[7; 52],
        )
        .unwrap();
    front.begin_tick(0, 0);
    front.sense(false);
    assert!(!front.present(0) && !front.links()[0].has(valid::RSS));
}

/// A hundred frames a second fill what is kept of a path long before half of a long window.
#[test]
fn a_fast_path_is_judged_by_the_frames_that_are_kept() {
    let mut config = config();
    config.window.window_s = 6.0;
    let mut scene = Scene {
        front: Front::new(config).unwrap(),
        ..Scene::new()
    };
    scene.front.start_calibration(8_000 * MS);
    // The scene's two frames a cycle, as often as it takes.
    for _ in 0..160 {
        for extra in 0..3_i64 {
            let time_ns = (scene.frame as i64) * 25 * MS + (extra + 1) * 5 * MS;
            for path in 0..2 {
                let tones: Vec<Complex32> = (0..52)
                    .map(|_| Complex32::new(20.0 + scene.random(), scene.random()))
                    .collect();
                scene
                    .front
                    .push_csi(path, time_ns, -50, -92, None, &tones, &[1; 52])
                    .unwrap();
            }
        }
        scene.tick();
    }
    let artefact = scene.front.take_calibration().unwrap();
    assert!(artefact.is_ok(), "{:?}", artefact.err());
}

/// What a path was heard at says nothing against another quiet level than that it was compared with.
#[test]
fn a_new_calibration_forgets_the_deviation_from_the_old_one() {
    let config = FrontConfig {
        paths: vec![rss(0, 1), rss(1, 0)],
        ..FrontConfig::default()
    };
    let mut front = Front::new(config).unwrap();
    let tick = |front: &mut Front, tick: i64, level: Option<f32>| {
        for path in 0..2 {
            if let Some(level) = level {
                front.push_rss(path, tick * 50 * MS, level).unwrap();
            }
        }
        front.begin_tick(tick as u64, tick * 50 * MS);
        front.calibrate();
        front.align();
        front.fuse();
        front.sense(false);
    };
    let mut now = 0;
    let mut calibrate = |front: &mut Front, level: f32| {
        front.start_calibration(10_000 * MS);
        for i in 0..210 {
            now += 1;
            tick(front, now, (i % 4 == 0).then_some(level - (i % 8) as f32 / 8.0));
        }
        let artefact = front.take_calibration().unwrap().unwrap();
        front.load_calibration(&artefact).unwrap();
        now += 1;
        tick(front, now, None);
    };
    calibrate(&mut front, -60.0);
    assert!(!front.links()[0].has(valid::LEVEL));
    calibrate(&mut front, -70.0);
    assert!(!front.links()[0].has(valid::LEVEL), "{:?}", front.links()[0]);
}

#[test]
fn a_mesh_of_received_strengths() {
    let config = FrontConfig {
        paths: vec![rss(0, 1), rss(1, 0)],
        ..FrontConfig::default()
    };
    let mut front = Front::new(config).unwrap();
    let sweep = |front: &mut Front, i: i64, level: f32| {
        for path in 0..2 {
            front.push_rss(path, i * 500 * MS, level).unwrap();
            front.push_rss(path, i * 500 * MS, 127.0).unwrap(); // not received
        }
        for tick in 0..10 {
            front.begin_tick((i * 10 + tick) as u64, i * 500 * MS + tick * 50 * MS);
            front.calibrate();
            front.align();
            front.fuse();
            front.sense(false);
        }
    };
    front.start_calibration(10_000 * MS);
    (0..=20).for_each(|i| sweep(&mut front, i, -60.0 - (i % 2) as f32));
    let artefact = front.take_calibration().unwrap().unwrap();
    front.load_calibration(&artefact).unwrap();
    (21..40).for_each(|i| sweep(&mut front, i, -60.0 - (i % 2) as f32));
    assert_eq!(front.site().state, PresenceState::Empty);
    (40..50).for_each(|i| sweep(&mut front, i, -60.0 - 7.0 * (i % 3) as f32));
    assert_eq!(
        front.site().state,
        PresenceState::OccupiedMoving,
        "{:?} {:?}",
        front.site(),
        front.links()
    );
    let link = front.links()[0];
    assert!(link.has(valid::RSS | valid::QUIET | valid::CHANGE));
    assert!((link.attenuation_db - (link.quiet_dbm - link.rss_dbm)).abs() < 1e-6 && link.motion_ratio > 3.0);
}

/// Finite, but so large that what is computed from it is not: one such frame must not stay in the memory.
#[test]
fn a_frame_beyond_all_measure_leaves_a_state_that_can_be_kept() {
    let mut scene = Scene::new();
    scene.run(1.0);
    let tones: Vec<Complex32> = (0..52)
        .map(|k| Complex32::from(if k % 2 == 0 { 1e18 } else { -1e18 }))
        .collect();
    let time_ns = (scene.frame as i64) * 25 * MS + MS;
    scene
        .front
        .push_csi(0, time_ns, -50, -92, None, &tones, &[1; 52])
        .unwrap();
    let tick = scene.frame / 2;
    scene.front.begin_tick(tick, (tick as i64 + 1) * 50 * MS);
    scene.front.calibrate();
    scene.front.align();
    scene.front.fuse();
    scene.front.sense(false);
    scene.frame += 2;
    scene.run(1.0);
    let mut state = Vec::new();
    scene.front.export_state(&mut state).unwrap();
    Front::new(config()).unwrap().import_state(&state).unwrap();
}
