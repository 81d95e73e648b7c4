//! Bits: lanes, order, dirt and gain.

use num_complex::Complex32;
use proptest::prelude::*;

use super::scene::{Random, Scene};
use crate::{
    cir::{
        BatchSolver, DenseOperator, Estimate, FftOperator, Lambda, Lane, Lanes8, Method, NoAnswer, SensingOperator,
        Settings, ToneGrid, batch::Link,
    },
    tier::Tier,
};

#[derive(Clone)]
struct Owned {
    tones: Vec<Complex32>,
    mask: Vec<u8>,
    noise_variance: Option<f32>,
    warm: Vec<Complex32>,
}

type Answer = (Result<Estimate, NoAnswer>, Vec<(u32, u32)>, Vec<(u32, u32)>);

fn bits(values: &[Complex32]) -> Vec<(u32, u32)> {
    values.iter().map(|v| (v.re.to_bits(), v.im.to_bits())).collect()
}

fn run<T: Lane, O: SensingOperator<T>>(solver: &mut BatchSolver<T, O>, links: &[Option<&Owned>]) -> Vec<Answer> {
    solver.clear();
    let loaded: Vec<_> = links
        .iter()
        .enumerate()
        .map(|(lane, link)| {
            link.map_or(Err(NoAnswer::NoInput), |link| {
                solver.load(
                    lane,
                    &Link {
                        tones: &link.tones,
                        mask: &link.mask,
                        noise_variance: link.noise_variance,
                        warm: &link.warm,
                    },
                )
            })
        })
        .collect();
    solver.solve();
    let taps = solver.operator().grid().taps();
    loaded
        .into_iter()
        .enumerate()
        .map(|(lane, loaded)| {
            let mut gains = vec![Complex32::new(f32::NAN, f32::NAN); taps];
            let mut warm = vec![Complex32::new(0.0, 0.0); taps];
            let answer = loaded.and_then(|()| solver.read(lane, &mut gains, &mut warm));
            if loaded.is_err() {
                gains.fill(Complex32::new(0.0, 0.0));
            }
            (answer, bits(&gains), bits(&warm))
        })
        .collect()
}

/// Random links: scenes of several kinds, masked tones, warm starts, silence, broken tones.
fn links(grid: &ToneGrid, seed: u64, count: usize) -> Vec<Owned> {
    let mut random = Random(seed);
    (0..count)
        .map(|_| {
            let paths = 1 + (random.next() % 5) as usize;
            let snr_db = 30.0 * random.uniform();
            let scene = Scene::random(grid, &mut random, paths, 3.0, snr_db);
            let mut tones = scene.tones(grid, &mut random);
            let missing = random.next() % 12;
            let mut mask = vec![1; grid.tones()];
            if missing > 6 {
                for _ in 0..missing {
                    mask[(random.next() % grid.tones() as u64) as usize] = 0;
                }
            }
            let mut warm = vec![Complex32::new(0.0, 0.0); grid.taps()];
            if random.next().is_multiple_of(2) {
                for (delay, (re, im)) in &scene.paths {
                    let tap = *delay as usize % grid.taps();
                    warm[tap] = Complex32::new((re * 0.3) as f32, (im * 0.3) as f32);
                }
            }
            match random.next() % 16 {
                0 => tones.fill(Complex32::new(0.0, 0.0)),
                1 => tones[3].im = f32::NAN,
                2 => mask.fill(0),
                _ => {}
            }
            Owned {
                tones,
                mask,
                noise_variance: (!random.next().is_multiple_of(3)).then_some(scene.noise_variance as f32),
                warm,
            }
        })
        .collect()
}

fn check_lanes<S, W>(tier: Tier, settings: Settings, seed: u64, scalar: fn(ToneGrid) -> S, wide: fn(ToneGrid) -> W)
where
    S: SensingOperator<f32>,
    W: SensingOperator<Lanes8>,
{
    let grid = ToneGrid::of_tier(tier);
    let owned = links(&grid, seed, 8);
    let mut alone = BatchSolver::<f32, S>::new(scalar(grid.clone()), settings);
    let mut batch = BatchSolver::<Lanes8, W>::new(wide(grid.clone()), settings);
    let expected: Vec<_> = owned.iter().flat_map(|link| run(&mut alone, &[Some(link)])).collect();
    // Dirty buffers first, then the full batch, then partial ones with holes, then in another order.
    run(&mut batch, &links(&grid, !seed, 8).iter().map(Some).collect::<Vec<_>>());
    let full = run(&mut batch, &owned.iter().map(Some).collect::<Vec<_>>());
    assert_eq!(full, expected, "{}", tier.name());
    let holes: Vec<_> = owned
        .iter()
        .enumerate()
        .map(|(i, l)| (i % 3 != 0).then_some(l))
        .collect();
    for (i, answer) in run(&mut batch, &holes).into_iter().enumerate() {
        if i % 3 == 0 {
            assert_eq!(answer.0, Err(NoAnswer::NoInput));
        } else {
            assert_eq!(answer, expected[i]);
        }
    }
    let reversed: Vec<_> = owned.iter().rev().map(Some).collect();
    let mut reversed = run(&mut batch, &reversed);
    reversed.reverse();
    assert_eq!(reversed, expected);
}

fn tiers() -> impl Strategy<Value = Tier> {
    prop::sample::select(vec![
        Tier::Ht20,
        Tier::Ht40,
        Tier::He20,
        Tier::Canonical56,
        Tier::Lltf64,
    ])
}

fn settings() -> impl Strategy<Value = Settings> {
    let method = prop::sample::select(vec![Method::Ista, Method::Fista, Method::Admm, Method::WorkingSet]);
    let lambda = prop_oneof![Just(Lambda::Noise), (0.01f32..0.3).prop_map(Lambda::Fixed)];
    (method, lambda, 1u32..60).prop_map(|(method, lambda, max_iterations)| Settings {
        method,
        lambda,
        max_iterations,
        ..Settings::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_lane_has_the_bits_of_the_scalar_run(tier in tiers(), settings in settings(), seed: u64) {
        check_lanes(tier, settings, seed, FftOperator::<f32>::new, FftOperator::<Lanes8>::new);
    }
}

#[test]
fn lanes_are_exact_on_he40_and_on_the_dense_operator() {
    for method in [Method::Ista, Method::Fista, Method::Admm, Method::WorkingSet] {
        let settings = Settings {
            method,
            max_iterations: 25,
            ..Settings::default()
        };
        check_lanes(
            Tier::He40,
            settings,
            11,
            FftOperator::<f32>::new,
            FftOperator::<Lanes8>::new,
        );
        check_lanes(Tier::Ht20, settings, 12, DenseOperator::new, DenseOperator::new);
        check_lanes(Tier::Ht40, settings, 13, DenseOperator::new, DenseOperator::new);
    }
}

#[test]
fn the_gain_of_the_receiver_does_not_matter() {
    let grid = ToneGrid::of_tier(Tier::Ht40);
    for method in [Method::Ista, Method::Fista, Method::Admm, Method::WorkingSet] {
        let settings = Settings {
            method,
            max_iterations: 200,
            ..Settings::default()
        };
        let mut solver = BatchSolver::<f32, _>::new(FftOperator::new(grid.clone()), settings);
        for seed in 0..6 {
            let mut random = Random(seed);
            let scene = Scene::random(&grid, &mut random, 3, 6.0, 15.0);
            let plain = Owned {
                tones: scene.tones(&grid, &mut random),
                mask: vec![1; grid.tones()],
                noise_variance: (seed % 2 == 0).then_some(scene.noise_variance as f32),
                warm: vec![Complex32::new(0.0, 0.0); grid.taps()],
            };
            let (expected, gains, _) = run(&mut solver, &[Some(&plain)]).remove(0);
            let expected = expected.unwrap();
            for gain in [2.0f32.powi(-20), 2.0f32.powi(14), 0.003, 173.0] {
                let mut louder = plain.clone();
                for tone in &mut louder.tones {
                    *tone *= gain;
                }
                louder.noise_variance = plain.noise_variance.map(|v| v * gain * gain);
                let (found, louder_gains, _) = run(&mut solver, &[Some(&louder)]).remove(0);
                let found = found.unwrap();
                // A power of two changes no bit; another gain rounds the tones anew.
                if gain.log2().fract() == 0.0 {
                    assert_eq!(found, expected);
                    assert_ne!(louder_gains, gains);
                }
                assert_eq!(found.active_taps, expected.active_taps);
                assert!((found.objective / expected.objective - 1.0).abs() < 1e-4);
                assert!((found.dominant_delay_s - expected.dominant_delay_s).abs() < 1e-11);
            }
        }
    }
}

#[test]
fn hostile_input_has_a_reason_and_never_a_number_that_is_none() {
    let grid = ToneGrid::of_tier(Tier::Ht20);
    let mut solver = BatchSolver::<f32, _>::new(FftOperator::new(grid.clone()), Settings::default());
    let good = links(&grid, 5, 1).remove(0);
    let mut with = |f: &dyn Fn(&mut Owned)| {
        let mut link = Owned {
            mask: vec![1; grid.tones()],
            ..good.clone()
        };
        f(&mut link);
        run(&mut solver, &[Some(&link)]).remove(0).0
    };
    assert_eq!(with(&|l| l.tones[0].re = f32::INFINITY), Err(NoAnswer::NotFinite));
    assert_eq!(with(&|l| l.tones[0].re = 1e30), Err(NoAnswer::NotFinite));
    assert_eq!(with(&|l| l.mask[..27].fill(0)), Err(NoAnswer::TooFewTones));
    assert_eq!(
        with(&|l| l.tones.fill(Complex32::new(0.0, -0.0))),
        Err(NoAnswer::NoSignal)
    );
    // A masked tone may hold anything.
    assert!(
        with(&|l| {
            l.tones[9].re = f32::NAN;
            l.mask[9] = 0;
        })
        .is_ok()
    );
    for noise in [f32::NAN, f32::INFINITY, -1.0, 0.0, f32::MIN_POSITIVE] {
        let estimate = with(&|l| l.noise_variance = Some(noise)).unwrap();
        assert!(estimate.objective.is_finite() && estimate.dominant_delay_s.is_finite());
    }
    // More noise than signal: no tap rises above lambda.
    assert_eq!(with(&|l| l.noise_variance = Some(f32::MAX)), Err(NoAnswer::NoSignal));
    // A warm start from another world is dropped.
    let cold = with(&|l| l.warm.fill(Complex32::new(0.0, 0.0))).unwrap();
    let wild = with(&|l| l.warm.fill(Complex32::new(900.0, -900.0))).unwrap();
    assert_eq!(cold, wild);
}
