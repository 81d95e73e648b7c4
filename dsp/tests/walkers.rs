//! People by Doppler: a walk through a room with six pairs of nodes, seen as spectra with limbs, walls and noise.

use tapline_dsp::{
    detmath,
    doppler::{POWERS, RATE_BINS, WINDOW_S, rate_m_s},
    tomography::Node,
    tracker::{Entrance, Life, Pair, TrackerConfig, Walkers, WalkersConfig, WalkersCycle},
};

const STEP_S: f32 = 0.05;
const OUTLINE: [[f32; 2]; 4] = [[0.0, 0.0], [6.0, 0.0], [6.0, 5.0], [0.0, 5.0]];
const DOOR: Entrance = Entrance {
    at_m: [6.0, 2.5],
    width_m: 0.9,
};

fn nodes() -> Vec<Node> {
    [[0.2, 0.2, 1.1], [5.8, 0.2, 1.2], [5.8, 4.8, 1.0], [0.2, 4.8, 1.15]]
        .into_iter()
        .zip(1..)
        .map(|(at_m, id)| Node { id, at_m })
        .collect()
}

/// In by the door, a round, a stop of four seconds, and out again; none while outside.
fn place(t: f32) -> Option<[f32; 2]> {
    const WAY: [[f32; 2]; 7] = [
        [6.6, 2.5],
        [4.8, 2.4],
        [4.6, 1.2],
        [1.4, 1.3],
        [1.4, 3.6],
        [4.7, 3.4],
        [6.6, 2.5],
    ];
    const SPEED_M_S: f32 = 0.8;
    const STOP: (usize, f32) = (4, 4.0);
    let mut left = t - 5.0;
    for (leg, ends) in WAY.windows(2).enumerate() {
        if left < 0.0 {
            return None;
        }
        if leg == STOP.0 {
            if left < STOP.1 {
                return Some(ends[0]);
            }
            left -= STOP.1;
        }
        let (dx, dy) = (ends[1][0] - ends[0][0], ends[1][1] - ends[0][1]);
        let takes = detmath::hypot(dx, dy) / SPEED_M_S;
        if left < takes {
            return Some([ends[0][0] + dx * left / takes, ends[0][1] + dy * left / takes]);
        }
        left -= takes;
    }
    None
}

/// Well-spread numbers from 0 to 1.
struct Numbers(u64);

impl Numbers {
    fn even(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    /// Speckle: exponential with mean 1.
    fn speckle(&mut self) -> f32 {
        -detmath::ln(1.0 - self.even() * 0.999_999)
    }
}

/// Spectra of all pairs: a body at its path rate, echoes by walls at any other, speckle on all of it.
fn spectra(t: f32, numbers: &mut Numbers) -> (Vec<Pair>, Vec<f32>) {
    let (before, now) = (place(t - WINDOW_S), place(t));
    let nodes = nodes();
    let (mut pairs, mut powers) = (Vec::new(), Vec::new());
    for (i, a) in nodes.iter().enumerate() {
        for b in &nodes[i + 1..] {
            let way = |p: [f32; 2]| {
                [a, b]
                    .map(|n| detmath::hypot(p[0] - n.at_m[0], p[1] - n.at_m[1]))
                    .iter()
                    .sum::<f32>()
            };
            let rate = match (before, now) {
                (Some(before), Some(now)) if before != now => Some((way(now) - way(before)) / WINDOW_S),
                _ => None,
            };
            let echo = 3.0 * (2.0 * numbers.even() - 1.0);
            let from = powers.len();
            powers.extend((0..POWERS).map(|at| {
                let bin = at % RATE_BINS;
                let at = |rate: f32, width: f32| {
                    let z = (rate_m_s(bin) - rate) / width;
                    detmath::exp(-0.5 * z * z)
                };
                // By walls, any rate, slow ones most; what stands still is in no spectrum.
                let v = rate_m_s(bin).abs();
                let walls = 20.0 + 150.0 * v / ((v + 0.08) * (1.0 + v * v / 0.12)) + 150.0 * at(echo, 0.3);
                let moving = rate.map_or(0.0, |rate| 300.0 * at(rate, 0.12) + walls);
                numbers.speckle() * (1.0 + moving)
            }));
            pairs.push(Pair {
                ends: [a.id, b.id],
                energy: powers[from..].iter().sum::<f32>() / POWERS as f32,
            });
        }
    }
    (pairs, powers)
}

fn start() -> Walkers {
    Walkers::new(TrackerConfig::default(), WalkersConfig::default())
}

fn cycle(walkers: &mut Walkers, tick: u32, numbers: &mut Numbers) {
    cycle_at(walkers, tick as f32 * STEP_S, tick, 0.0, numbers);
}

/// The cycle `tick`, in which the spectra are those of time `t`.
fn cycle_at(walkers: &mut Walkers, t: f32, tick: u32, vacancy: f32, numbers: &mut Numbers) {
    let seen = if tick.is_multiple_of(2) {
        spectra(t, numbers)
    } else {
        (Vec::new(), Vec::new())
    };
    walkers.set_room(OUTLINE.into_iter(), [DOOR].into_iter());
    walkers.step(&WalkersCycle {
        step_s: STEP_S,
        accept: true,
        nodes: nodes().into_iter(),
        pairs: &seen.0,
        spectra: &seen.1,
        vacancy,
    });
}

fn shown(walkers: &Walkers) -> Vec<[f32; 2]> {
    let known = walkers
        .tracks()
        .iter()
        .filter(|t| matches!(t.life, Life::Active | Life::Lost));
    known
        .map(|t| [t.kalman.mean[0] as f32, t.kalman.mean[1] as f32])
        .collect()
}

#[test]
fn somebody_who_comes_walks_stops_and_goes_is_followed_and_nobody_else() {
    let (mut walkers, mut numbers) = (start(), Numbers(1));
    let (mut seen, mut missed, mut squares, mut ghosts) = (0, 0, 0.0, 0);
    let mut ids = Vec::new();
    for tick in 0..900 {
        cycle(&mut walkers, tick, &mut numbers);
        let t = tick as f32 * STEP_S;
        let tracks = shown(&walkers);
        walkers.tracks().iter().for_each(|t| ids.push(t.id));
        match place(t).filter(|p| p[0] < 5.6) {
            Some(p) => {
                seen += 1;
                match tracks.as_slice() {
                    [one] => squares += (one[0] - p[0]) * (one[0] - p[0]) + (one[1] - p[1]) * (one[1] - p[1]),
                    _ => missed += 1,
                }
            }
            // A moment to be found gone.
            None if place(t - 2.5).is_none() && place(t + 1.0).is_none() => ghosts += tracks.len(),
            None => {}
        }
    }
    let rmse_m = (squares / (seen - missed) as f32).sqrt();
    assert!(seen > 300 && missed * 20 < seen, "{missed} of {seen} missed");
    assert!(rmse_m < 0.5, "{rmse_m} m");
    assert_eq!(ghosts, 0);
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[test]
fn who_stands_is_kept_until_the_room_looks_empty() {
    let (mut walkers, mut numbers) = (start(), Numbers(4));
    let seen = |w: &Walkers| shown(w).len();
    // Halfway round, and there the world stops.
    let stop = 18.5;
    assert!(place(stop) == place(stop - WINDOW_S), "stands at {stop} s");
    for tick in 0..900 {
        let t = detmath::min(tick as f32 * STEP_S, stop);
        cycle_at(&mut walkers, t, tick, 0.0, &mut numbers);
    }
    assert_eq!(seen(&walkers), 1, "half a minute later");
    for tick in 900..1_020 {
        cycle_at(&mut walkers, stop, tick, 1.5, &mut numbers);
    }
    assert_eq!(seen(&walkers), 0, "six seconds of a room that looks empty");
}

#[test]
fn a_state_goes_on_bit_for_bit() {
    let export = |w: &Walkers| {
        let mut blob = Vec::new();
        w.export_state(&mut blob).unwrap();
        blob
    };
    let (mut walkers, mut numbers) = (start(), Numbers(2));
    for tick in 0..200 {
        cycle(&mut walkers, tick, &mut numbers);
    }
    assert_eq!(walkers.tracks().len(), 1);
    let blob = export(&walkers);
    let mut again = start();
    again.import_state(&blob).unwrap();
    let mut same = Numbers(numbers.0);
    for tick in 200..260 {
        cycle(&mut walkers, tick, &mut numbers);
        cycle(&mut again, tick, &mut same);
    }
    assert_eq!(export(&walkers), export(&again));
    // A cut blob, and one with a number that is none, are refused.
    assert!(again.import_state(&blob[..blob.len() - 1]).is_err());
    let mut bad = blob;
    let at = bad.len() - 40;
    bad[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(again.import_state(&bad).is_err() || export(&again) != bad);
    assert_eq!(export(&walkers), export(&again));
}

#[test]
fn two_pairs_are_too_few_and_say_so() {
    let (mut walkers, mut numbers) = (start(), Numbers(3));
    walkers.set_room(OUTLINE.into_iter(), [DOOR].into_iter());
    for tick in 0..200 {
        let (pairs, powers) = spectra(tick as f32 * STEP_S, &mut numbers);
        let used = walkers.step(&WalkersCycle {
            step_s: STEP_S,
            accept: true,
            nodes: nodes().into_iter(),
            pairs: &pairs[..2],
            spectra: &powers[..2 * POWERS],
            vacancy: 0.0,
        });
        assert!(!used && !walkers.engaged() && walkers.tracks().is_empty());
    }
}
