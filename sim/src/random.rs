//! Chance with an address: every random number is a function of the seed and of what it is for.
//!
//! SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014) used as a
//! counter-based generator: a stream starts at a hash of `(seed, purpose, keys)`, so the noise of frame 7000 of one
//! link does not depend on how many frames of other links were drawn, or lost, before it. Normal numbers by Box and
//! Muller (Ann. Math. Stat. 29, 1958) over `detmath`: the same on every machine.

use tapline_dsp::detmath::{cos64, ln64, sin64};

const TAU: f64 = core::f64::consts::TAU;

/// What a stream of random numbers is for; keeps streams with equal keys apart.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// What is fixed for a node's life: start phase, clock phase, ripple.
    Node = 1,
    /// One transmission.
    Transmission = 2,
    /// One reception: noise, gain error, timing.
    Reception = 3,
    /// One datagram on its way to the host.
    Network = 4,
    /// What is fixed for a person: phases of gait and breath.
    Person = 5,
    /// What is fixed for a receive chain of an array: phase and gain.
    Chain = 6,
}

/// The next datum of SplitMix64's output function.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    state: u64,
}

impl Stream {
    /// The stream for one purpose and one set of keys.
    pub(crate) fn new(seed: u64, purpose: Purpose, keys: [u64; 3]) -> Self {
        let mut state = mix(seed.wrapping_add(GAMMA));
        for key in [purpose as u64, keys[0], keys[1], keys[2]] {
            state = mix(state.wrapping_add(GAMMA) ^ mix(key.wrapping_mul(GAMMA).wrapping_add(GAMMA)));
        }
        Self { state }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform in (0, 1]: 53 bits, never zero.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Two independent standard normal numbers.
    pub(crate) fn normal_pair(&mut self) -> (f64, f64) {
        let radius = (-2.0 * ln64(self.uniform())).sqrt();
        let angle = TAU * self.uniform();
        (radius * cos64(angle), radius * sin64(angle))
    }

    /// One standard normal number.
    pub(crate) fn normal(&mut self) -> f64 {
        self.normal_pair().0
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -ln64(self.uniform())
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() <= probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_matches_its_published_sequence() {
        // Seed 1234567 of the reference implementation (Vigna, splitmix64.c).
        let mut s = Stream { state: 1_234_567 };
        assert_eq!(s.bits(), 6_457_827_717_110_365_317);
        assert_eq!(s.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn moments_are_those_of_the_laws() {
        let mut s = Stream::new(1, Purpose::Node, [0, 0, 0]);
        let n = 200_000;
        let (mut sum, mut square, mut fourth, mut waits) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..n {
            let (a, b) = s.normal_pair();
            for x in [a, b] {
                sum += x;
                square += x * x;
                fourth += x * x * x * x;
            }
            waits += s.exponential();
        }
        let m = 2.0 * f64::from(n);
        assert!((sum / m).abs() < 0.008, "mean {}", sum / m);
        assert!((square / m - 1.0).abs() < 0.012, "variance {}", square / m);
        assert!((fourth / m - 3.0).abs() < 0.1, "fourth moment {}", fourth / m);
        assert!((waits / f64::from(n) - 1.0).abs() < 0.012);
    }

    #[test]
    fn keys_and_purposes_give_different_streams() {
        let first = |seed, purpose, keys| Stream::new(seed, purpose, keys).bits();
        let reference = first(1, Purpose::Node, [1, 2, 3]);
        assert_ne!(reference, first(2, Purpose::Node, [1, 2, 3]));
        assert_ne!(reference, first(1, Purpose::Network, [1, 2, 3]));
        assert_ne!(reference, first(1, Purpose::Node, [2, 1, 3]));
        assert_ne!(reference, first(1, Purpose::Node, [1, 2, 4]));
    }
}
