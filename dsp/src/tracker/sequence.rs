//! A fixed sequence of well-spread numbers: what a cloud of guesses is scattered by.
//!
//! Nothing here is random: the sequence is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) from a constant start, its place in
//! it is part of the tracker's state, and every run draws the same numbers.

use borsh::{BorshDeserialize, BorshSerialize};

/// A place in the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Sequence(u64);

impl Sequence {
    pub(super) const fn new(start: u64) -> Self {
        Self(start)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Evenly spread over 0 to 1, 1 excluded.
    pub(super) fn even(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Mean 0, standard deviation 1, nearly normal: the sum of four even ones.
    pub(super) fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: u32 = (0..4).map(|lane| (bits >> (16 * lane) & 0xffff) as u32).sum();
        // Four times the variance 1/12 of an even one, scaled to 1.
        (sum as f32 / 65_536.0 - 2.0 + 2.0 / 65_536.0) * 1.732_050_8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_law() {
        let mut sequence = Sequence::new(7);
        let n = 20_000;
        let (mut mean, mut square, mut even) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            let v = f64::from(sequence.normal());
            (mean, square) = (mean + v, square + v * v);
            even += f64::from(sequence.even());
        }
        let n = f64::from(n);
        assert!(
            (mean / n).abs() < 0.02 && (square / n - 1.0).abs() < 0.03,
            "{mean} {square}"
        );
        assert!((even / n - 0.5).abs() < 0.01);
    }
}
