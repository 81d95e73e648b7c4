//! The noise estimate and what it makes of `lambda`.

use super::scene::{Random, Scene};
use crate::{
    cir::{
        Lambda, Settings, ToneGrid,
        noise::{choose_lambda, estimate_variance},
    },
    tier::Tier,
};

#[test]
fn the_estimate_is_near_the_truth_where_delays_are_short() {
    for tier in Tier::ALL {
        let grid = ToneGrid::of_tier(tier);
        let mut squares = vec![0.0; grid.tones()];
        for snr_db in [0.0, 10.0, 20.0] {
            let (mut sum, runs) = (0.0, 200);
            for seed in 0..runs {
                let mut random = Random(seed);
                // Paths within 100 ns of each other, anywhere in the period.
                let mut scene = Scene::random(&grid, &mut random, 3, 0.0, snr_db);
                let spread = 100e-9 / grid.tap_delay_s();
                let start = grid.taps() as f64 * random.uniform();
                for (delay, _) in &mut scene.paths {
                    *delay = start + spread * random.uniform();
                }
                let tones = scene.tones(&grid, &mut random);
                let found = estimate_variance(&grid, &tones, |_| true, &mut squares).unwrap();
                sum += f64::from(found) / scene.noise_variance;
            }
            let mean = sum / runs as f64;
            assert!((0.9..1.25).contains(&mean), "{} at {snr_db} dB: {mean}", tier.name());
        }
    }
}

#[test]
fn too_few_neighbours_give_no_estimate() {
    let grid = ToneGrid::of_tier(Tier::Ht20);
    let mut random = Random(1);
    let scene = Scene::random(&grid, &mut random, 1, 0.0, 10.0);
    let tones = scene.tones(&grid, &mut random);
    let every_other = |k: usize| k.is_multiple_of(2);
    assert_eq!(estimate_variance(&grid, &tones, every_other, &mut [0.0; 52]), None);
}

#[test]
fn lambda_means_what_it_says() {
    let settings = Settings::default();
    // sigma sqrt(2 ln 156) = 0.01 * 3.178.
    let lambda = choose_lambda(&settings, 156, Some(0.01), 1.0);
    assert!((lambda - 0.031_78).abs() < 1e-5);
    assert!((choose_lambda(&settings, 156, Some(0.01), 0.25) - 0.5 * lambda).abs() < 1e-6);
    assert_eq!(choose_lambda(&settings, 156, Some(0.0), 1.0), settings.lambda_floor);
    assert_eq!(choose_lambda(&settings, 156, None, 1.0), settings.lambda_fallback);
    let fixed = Settings {
        lambda: Lambda::Fixed(0.2),
        ..settings
    };
    assert_eq!(choose_lambda(&fixed, 156, Some(0.01), 1.0), 0.2);
}
