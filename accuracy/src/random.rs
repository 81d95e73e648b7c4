//! Chance that is the same on every machine.

/// Fixed generator (SplitMix64: Steele, Lea and Flood, 2014).
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A sequence of its own for these numbers.
    pub(super) fn new(numbers: [u64; 3]) -> Self {
        let mut random = Self(0x7461_706C_696E_6531);
        for number in numbers {
            random.0 ^= number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            random.0 = random.next();
        }
        random
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Even between two numbers.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.between(0.0, 1.0) < probability
    }

    /// Of mean 0 and standard deviation 1, normal but for its cut tails: the sum of twelve even ones, which needs no
    /// platform mathematics.
    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.between(-0.5, 0.5)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_numbers_are_even() {
        let mut random = Random::new([9, 9, 9]);
        let mean = (0..10_000).map(|_| random.between(2.0, 4.0)).sum::<f64>() / 10_000.0;
        assert!((mean - 3.0).abs() < 0.02, "{mean}");
    }

    #[test]
    fn normal_numbers_have_their_two_moments() {
        let mut random = Random::new([8, 0, 0]);
        let all: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = all.iter().sum::<f64>() / 20_000.0;
        let variance = all.iter().map(|v| v * v).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
    }
}
