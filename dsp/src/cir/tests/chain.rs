//! reference -> dense -> transform, and the certificate against the reference.

use num_complex::{Complex32, Complex64};

use super::{
    reference::Reference,
    scene::{Random, Scene},
};
use crate::{
    cir::{BatchSolver, DenseOperator, FftOperator, Lambda, Method, SensingOperator, Settings, ToneGrid, batch::Link},
    tier::Tier,
};

fn wide(values: &[Complex32]) -> Vec<Complex64> {
    values
        .iter()
        .map(|v| Complex64::new(v.re.into(), v.im.into()))
        .collect()
}

fn distance(a: &[Complex32], b: &[Complex64]) -> f64 {
    let far: f64 = wide(a).iter().zip(b).map(|(a, b)| (a - b).norm_sqr()).sum();
    let size: f64 = b.iter().map(|b| b.norm_sqr()).sum();
    (far / size).sqrt()
}

/// Relative error of a product in single precision: a sum of up to 1,452 terms in sequence (dense), about
/// twelve stages (transform).
const PRODUCT_TOLERANCE: f64 = 3e-6;

#[test]
fn operators_agree_with_the_reference_on_every_tier() {
    for tier in Tier::ALL {
        let grid = ToneGrid::of_tier(tier);
        let reference = Reference::new(&grid);
        let mut dense = DenseOperator::new(grid.clone());
        let mut fft = FftOperator::<f32>::new(grid.clone());
        let mut whole = FftOperator::<f32>::whole(grid.clone());
        for seed in 0..3 {
            let mut random = Random(seed);
            let mut draw = |n| -> Vec<Complex32> {
                let one = |(re, im)| Complex32::new(re as f32, im as f32);
                (0..n).map(|_| one(random.gaussian())).collect()
            };
            let (x, y) = (draw(grid.taps()), draw(grid.tones()));
            // Dirty outputs must not matter.
            let (mut forward, mut adjoint) = (draw(grid.tones()), draw(grid.taps()));
            let (true_forward, true_adjoint) = (reference.forward(&wide(&x)), reference.adjoint(&wide(&y)));
            let mut check = |name: &str, operator: &mut dyn SensingOperator<f32>| {
                operator.forward(&x, &mut forward);
                operator.adjoint(&y, &mut adjoint);
                let (f, a) = (distance(&forward, &true_forward), distance(&adjoint, &true_adjoint));
                assert!(
                    f < PRODUCT_TOLERANCE && a < PRODUCT_TOLERANCE,
                    "{name} {}: {f} {a}",
                    tier.name()
                );
            };
            check("dense", &mut dense);
            check("fft", &mut fft);
            check("whole fft", &mut whole);
        }
    }
}

struct Solved {
    warm: Vec<Complex32>,
    taps: Vec<Complex32>,
    estimate: crate::cir::Estimate,
}

fn solve(operator: impl SensingOperator<f32>, settings: Settings, link: &Link<'_>) -> Solved {
    let mut solver = BatchSolver::<f32, _>::new(operator, settings);
    let (mut taps, mut warm) = (link.warm.to_vec(), link.warm.to_vec());
    solver.clear();
    solver.load(0, link).unwrap();
    solver.solve();
    let estimate = solver.read(0, &mut taps, &mut warm).unwrap();
    Solved { warm, taps, estimate }
}

/// The normalised tones of a link, as the solver makes them, in f64.
fn normalised(tones: &[Complex32], mask: &[u8]) -> Vec<Complex64> {
    let mut y = wide(tones);
    for (y, m) in y.iter_mut().zip(mask) {
        *y *= f64::from(u8::from(*m != 0));
    }
    let norm = y.iter().map(|y| y.norm_sqr()).sum::<f64>().sqrt();
    y.iter().map(|y| y / norm).collect()
}

#[test]
fn a_hundred_ista_iterations_follow_the_reference() {
    for tier in [Tier::Ht20, Tier::Ht40, Tier::Canonical56] {
        let grid = ToneGrid::of_tier(tier);
        let mut random = Random(7);
        let scene = Scene::random(&grid, &mut random, 4, 6.0, 20.0);
        let tones = scene.tones(&grid, &mut random);
        let mut mask = vec![1; grid.tones()];
        mask[5] = 0;
        mask[20] = 0;
        let lambda = 0.05;
        let expected = Reference::new(&grid).ista(&normalised(&tones, &mask), &mask, lambda, 100);
        let settings = Settings {
            method: Method::Ista,
            lambda: Lambda::Fixed(lambda as f32),
            max_iterations: 100,
            ..Settings::default()
        };
        let warm = vec![Complex32::new(0.0, 0.0); grid.taps()];
        let link = Link {
            tones: &tones,
            mask: &mask,
            noise_variance: None,
            warm: &warm,
        };
        for solved in [
            solve(DenseOperator::new(grid.clone()), settings, &link),
            solve(FftOperator::new(grid.clone()), settings, &link),
        ] {
            assert!(distance(&solved.warm, &expected) < 1e-5, "{}", tier.name());
            assert_eq!(solved.estimate.iterations, 100);
        }
    }
}

#[test]
fn the_certificate_is_what_the_reference_finds() {
    for tier in Tier::ALL {
        let grid = ToneGrid::of_tier(tier);
        let reference = Reference::new(&grid);
        for seed in 0..4 {
            let mut random = Random(100 + seed);
            let snr_db = 5.0 + 7.0 * seed as f64;
            let scene = Scene::random(&grid, &mut random, 3, 6.0, snr_db);
            let tones = scene.tones(&grid, &mut random);
            let mask: Vec<u8> = (0..grid.tones()).map(|k| u8::from(k % 9 != 4 || seed < 2)).collect();
            let warm = vec![Complex32::new(0.0, 0.0); grid.taps()];
            let link = Link {
                tones: &tones,
                mask: &mask,
                noise_variance: Some(scene.noise_variance as f32),
                warm: &warm,
            };
            for method in METHODS {
                let settings = Settings {
                    method,
                    ..Settings::default()
                };
                let solved = solve(FftOperator::new(grid.clone()), settings, &link);
                let e = solved.estimate;
                let y = normalised(&tones, &mask);
                let point = reference.judge(&y, &wide(&solved.warm), &mask, e.lambda.into());
                let name = format!("{method:?} {} at {snr_db} dB", tier.name());
                assert!(e.converged && e.relative_gap <= 1e-3, "{name}: {e:?}");
                // The reference's scaling is the plain one, never better than the solver's; single precision
                // leaves a few parts in 1e5 of the objective.
                assert!(point.relative_gap <= 1.02e-3, "{name}: {} {e:?}", point.relative_gap);
                assert!((f64::from(e.objective) / point.primal - 1.0).abs() < 2e-5, "{name}");

                // The taps handed out are gains in the tones' unit.
                let gain = Complex64::new((grid.tones() as f64).sqrt(), 0.0);
                let explained: Vec<_> = reference
                    .forward(&wide(&solved.taps))
                    .iter()
                    .map(|p| p * gain)
                    .collect();
                let (mut left, mut all) = (0.0, 0.0);
                for ((y, p), m) in wide(&tones).iter().zip(&explained).zip(&mask) {
                    left += (y - p).norm_sqr() * f64::from(*m);
                    all += y.norm_sqr() * f64::from(*m);
                }
                let promised = 0.6 + 0.4 * (-0.1 * snr_db).exp2();
                assert!(left < promised * all, "{name}: {left} of {all} left");
            }
        }
    }
}

const METHODS: [Method; 3] = [Method::Fista, Method::Admm, Method::WorkingSet];
