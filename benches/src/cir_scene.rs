//! Links in a room in which one person walks, as tones.
//!
//! Each link has a direct path, three walls and the walker; per cycle of 50 ms the walker's path grows by
//! up to 0.14 m (1.4 m/s, there and back), which turns its phase by radians and moves its delay by half a
//! nanosecond. Noise is new in every cycle. Integers and `detmath` only: the same on every machine.

use num_complex::Complex32;
use tapline_dsp::{cir::ToneGrid, detmath};

/// Speed of light, m/s.
const LIGHT_M_S: f64 = 299_792_458.0;
/// Carrier frequency, Hz.
const CARRIER_HZ: f64 = 2.437e9;
/// Length of a cycle, seconds.
const STEP_S: f64 = 0.05;

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Complex Gaussian of variance 1 (Box and Muller).
    pub fn gaussian(&mut self) -> (f64, f64) {
        let radius = (-detmath::ln64(1.0 - self.uniform())).sqrt();
        let angle = core::f64::consts::TAU * self.uniform();
        (radius * detmath::cos64(angle), radius * detmath::sin64(angle))
    }
}

#[derive(Clone, Copy, Debug)]
struct Path {
    length_m: f64,
    gain: f64,
    speed_m_s: f64,
}

/// One link.
#[derive(Clone, Debug)]
pub struct Link {
    paths: [Path; 5],
    random: Random,
    /// Noise variance of a complex tone.
    pub noise_variance: f32,
}

/// Links of the room at one signal-to-noise ratio.
pub fn links(count: usize, snr_db: f64) -> Vec<Link> {
    (0..count)
        .map(|link| {
            let mut random = Random(1000 + link as u64);
            let direct_m = 2.0 + 4.0 * random.uniform();
            let mut path = |extra_m: f64, gain: f64, speed_m_s: f64| Path {
                length_m: direct_m + extra_m * (0.7 + 0.6 * random.uniform()),
                gain,
                speed_m_s,
            };
            let paths = [
                path(0.0, 1.0, 0.0),
                path(5.0, 0.5, 0.0),
                path(11.0, 0.35, 0.0),
                path(20.0, 0.25, 0.0),
                path(3.0, 0.3, if link % 2 == 0 { 2.8 } else { -1.4 }),
            ];
            let power: f64 = paths.iter().map(|p| p.gain * p.gain).sum();
            Link {
                paths,
                random,
                noise_variance: (power * detmath::pow64(10.0, -snr_db / 10.0)) as f32,
            }
        })
        .collect()
}

impl Link {
    /// The tones of the next cycle.
    pub fn next(&mut self, grid: &ToneGrid, cycle: u32) -> Vec<Complex32> {
        let amplitude = f64::from(self.noise_variance).sqrt();
        // Back and forth within two seconds.
        let step = cycle % 80;
        let walked_s = STEP_S * f64::from(if step < 40 { step } else { 80 - step });
        let paths = self
            .paths
            .map(|p| (p.gain, (p.length_m + p.speed_m_s * walked_s) / LIGHT_M_S));
        let random = &mut self.random;
        grid.indices()
            .iter()
            .map(|&k| {
                let hz = CARRIER_HZ + f64::from(k) * grid.spacing_hz();
                let (re, im) = random.gaussian();
                let mut tone = (amplitude * re, amplitude * im);
                for (gain, delay_s) in paths {
                    let turns = hz * delay_s;
                    let angle = -core::f64::consts::TAU * (turns - (turns as i64) as f64);
                    tone.0 += gain * detmath::cos64(angle);
                    tone.1 += gain * detmath::sin64(angle);
                }
                Complex32::new(tone.0 as f32, tone.1 as f32)
            })
            .collect()
    }
}

/// `cycles[c][l]`: the tones of `count` links over `cycles` cycles.
pub fn recording(grid: &ToneGrid, count: usize, cycles: u32, snr_db: f64) -> (Vec<Vec<Vec<Complex32>>>, Vec<f32>) {
    let mut links = links(count, snr_db);
    let tones = (0..cycles)
        .map(|cycle| links.iter_mut().map(|link| link.next(grid, cycle)).collect())
        .collect();
    (tones, links.iter().map(|l| l.noise_variance).collect())
}
