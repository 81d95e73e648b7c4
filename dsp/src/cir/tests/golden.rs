//! Golden vectors: for each tier and method what was true, what is estimated, and the bits.
//!
//! `golden.txt` holds generator, seed and rows. The digests prove that builds, batch sizes and machines
//! agree; the numbers beside them let a reader tell an estimator's error from a changed one. Float bits
//! change on purpose only: `TAPLINE_GOLDEN=write cargo test -p tapline-dsp golden`, with a changelog entry.

use std::{fmt::Write, path::Path};

use num_complex::Complex32;

use super::scene::{Random, Scene};
use crate::{
    cir::{
        BatchSolver, DenseOperator, Estimate, FftOperator, Lambda, Lanes8, Method, SensingOperator, Settings, ToneGrid,
        batch::Link,
    },
    tier::Tier,
};

const SEED: u64 = 20_260_101;
const LINKS: usize = 5;

/// FNV-1a over the bits of numbers.
struct Digest(u64);

impl Digest {
    fn add(&mut self, bits: u32) {
        for byte in bits.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn add_estimate(&mut self, e: &Estimate) {
        for value in [
            e.dominant_delay_s,
            e.dominant_delay_sigma_s.unwrap_or(0.0),
            e.dominant_ratio,
            e.rms_delay_spread_s,
            e.k_factor_db,
            e.lambda,
            e.objective,
            e.relative_gap,
        ] {
            self.add(value.to_bits());
        }
        self.add(e.active_taps);
        self.add(e.iterations);
    }
}

fn rows<O: SensingOperator<Lanes8>>(name: &str, tier: Tier, operator: fn(ToneGrid) -> O, settings: Settings) -> String {
    let grid = ToneGrid::of_tier(tier);
    let mut random = Random(SEED);
    let mut solver = BatchSolver::<Lanes8, O>::new(operator(grid.clone()), settings);
    let mut text = String::new();
    let scenes: Vec<_> = (0..LINKS)
        .map(|link| {
            let scene = Scene::random(&grid, &mut random, 1 + link, 7.0, 5.0 + 6.0 * link as f64);
            let tones = scene.tones(&grid, &mut random);
            let mask: Vec<u8> = (0..grid.tones()).map(|k| u8::from(link != 3 || k % 11 != 5)).collect();
            (scene, tones, mask)
        })
        .collect();
    let mut warm = vec![vec![Complex32::new(0.0, 0.0); grid.taps()]; LINKS];
    let mut taps = warm[0].clone();
    // Twice: from nothing and from the first answer.
    for round in 0..2 {
        solver.clear();
        for (lane, (scene, tones, mask)) in scenes.iter().enumerate() {
            // One link's noise is left to be estimated.
            let noise_variance = (lane != 2).then_some(scene.noise_variance as f32);
            let link = Link {
                tones,
                mask,
                noise_variance,
                warm: &warm[lane],
            };
            solver.load(lane, &link).unwrap();
        }
        solver.solve();
        for (lane, (scene, ..)) in scenes.iter().enumerate() {
            let e = solver.read(lane, &mut taps, &mut warm[lane]).unwrap();
            let mut digest = Digest(0xcbf2_9ce4_8422_2325);
            digest.add_estimate(&e);
            for tap in &taps {
                digest.add(tap.re.to_bits());
                digest.add(tap.im.to_bits());
            }
            let truth = scene.paths[0].0 * grid.tap_delay_s();
            writeln!(
                text,
                "{name} {} {lane} {round} {} {:.3} {:.3} {:.3} {} {} {:.6} {:.2e} {:016x}",
                tier.name(),
                1 + lane,
                truth * 1e9,
                f64::from(e.dominant_delay_s) * 1e9,
                f64::from(e.dominant_delay_sigma_s.unwrap_or(0.0)) * 1e9,
                e.active_taps,
                e.iterations,
                e.objective,
                e.relative_gap,
                digest.0
            )
            .unwrap();
        }
    }
    text
}

fn all() -> String {
    let mut text = format!(
        "# dsp/src/cir/tests/golden.rs, seed {SEED}\n\
         # solver tier link round paths true_ns estimated_ns sigma_ns active iterations objective gap digest\n"
    );
    let method = |method| Settings {
        method,
        ..Settings::default()
    };
    let ista = Settings {
        lambda: Lambda::Fixed(0.03),
        max_iterations: 30,
        ..method(Method::Ista)
    };
    for tier in Tier::ALL {
        text += &rows("fft-working-set", tier, FftOperator::new, method(Method::WorkingSet));
        text += &rows("fft-fista", tier, FftOperator::new, method(Method::Fista));
        text += &rows("fft-admm", tier, FftOperator::new, method(Method::Admm));
        text += &rows("fft-ista", tier, FftOperator::new, ista);
    }
    for tier in [Tier::Ht20, Tier::Ht40, Tier::Canonical56, Tier::Lltf64] {
        text += &rows("dense-fista", tier, DenseOperator::new, method(Method::Fista));
    }
    text
}

#[test]
fn golden() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cir/tests/golden.txt");
    let found = all();
    if std::env::var_os("TAPLINE_GOLDEN").is_some_and(|v| v == "write") {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (expected, found) in expected.lines().zip(found.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}
