//! Synthetic channels from integers: no platform mathematics, the same on every machine.

use num_complex::Complex32;

use crate::{cir::ToneGrid, detmath};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Complex Gaussian of variance 1 (Box and Muller).
    pub(crate) fn gaussian(&mut self) -> (f64, f64) {
        let radius = (-detmath::ln64(1.0 - self.uniform())).sqrt();
        let angle = core::f64::consts::TAU * self.uniform();
        (radius * detmath::cos64(angle), radius * detmath::sin64(angle))
    }
}

/// A channel of known paths.
pub(crate) struct Scene {
    /// Delay in taps, gain.
    pub(crate) paths: Vec<(f64, (f64, f64))>,
    pub(crate) noise_variance: f64,
}

impl Scene {
    /// `count` paths at least `apart` taps apart within a third of the delays, each weaker than the one before.
    pub(crate) fn random(grid: &ToneGrid, random: &mut Random, count: usize, apart: f64, snr_db: f64) -> Self {
        let span = grid.taps() as f64 / 3.0;
        let mut paths: Vec<(f64, (f64, f64))> = Vec::new();
        let mut gain = 1.0;
        while paths.len() < count {
            let delay = span * random.uniform();
            if paths.iter().all(|(other, _)| (other - delay).abs() >= apart) {
                let angle = core::f64::consts::TAU * random.uniform();
                paths.push((delay, (gain * detmath::cos64(angle), gain * detmath::sin64(angle))));
                gain *= 0.5 + 0.2 * random.uniform();
            }
        }
        let power: f64 = paths.iter().map(|(_, (re, im))| re * re + im * im).sum();
        Self {
            paths,
            noise_variance: power * detmath::pow64(10.0, -snr_db / 10.0),
        }
    }

    /// The tones, with noise.
    pub(crate) fn tones(&self, grid: &ToneGrid, random: &mut Random) -> Vec<Complex32> {
        let amplitude = self.noise_variance.sqrt();
        grid.indices()
            .iter()
            .map(|&k| {
                let (re, im) = random.gaussian();
                let (mut re, mut im) = (amplitude * re, amplitude * im);
                for (delay, gain) in &self.paths {
                    let angle = -core::f64::consts::TAU * f64::from(k) * delay / grid.taps() as f64;
                    let (c, s) = (detmath::cos64(angle), detmath::sin64(angle));
                    re += gain.0 * c - gain.1 * s;
                    im += gain.0 * s + gain.1 * c;
                }
                Complex32::new(re as f32, im as f32)
            })
            .collect()
    }
}
