//! Chance from a seed: xoshiro256++ (Blackman and Vigna, 2019), seeded by SplitMix64.
//!
//! The normal and exponential numbers use the platform's mathematics: on another machine last bits may differ.

use std::f64::consts::TAU;

/// A sequence of random numbers.
pub(super) struct Random {
    state: [u64; 4],
    /// The second number of the last pair of normal ones.
    spare: Option<f64>,
}

impl Random {
    /// The sequence of this seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
        let mut state = [0; 4];
        for word in &mut state {
            x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *word = z ^ (z >> 31);
        }
        Self { state, spare: None }
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.state;
        let next = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        next
    }

    /// Even from 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Even between two numbers.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Even, at most this far from 0.
    pub(super) fn within(&mut self, reach: f64) -> f64 {
        self.between(-reach, reach)
    }

    /// Normal with mean 0 and standard deviation 1 (Box and Muller, 1958).
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(number) = self.spare.take() {
            return number;
        }
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sin, cos) = (TAU * self.unit()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Exponential with this mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_moments() {
        let mut random = Random::new(5);
        let mut mean_of =
            |number: fn(&mut Random) -> f64| (0..20_000).map(|_| number(&mut random)).sum::<f64>() / 20_000.0;
        // Five standard deviations of each mean.
        assert!(mean_of(Random::normal).abs() < 0.036);
        assert!((mean_of(|r| r.normal().powi(2)) - 1.0).abs() < 0.05);
        assert!((mean_of(|r| r.between(2.0, 4.0)) - 3.0).abs() < 0.021);
        assert!((mean_of(|r| r.exponential(0.5)) - 0.5).abs() < 0.018);
    }
}
