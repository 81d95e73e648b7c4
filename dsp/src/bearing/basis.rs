//! What the tones of a tier say about the length of a way, in three numbers.

use num_complex::{Complex32, Complex64};

use crate::{detmath, tier::Tier};

/// Numbers that stand for the delay of a way.
pub const DELAYS: usize = 3;

const LIGHT_M_S: f64 = 299_792_458.0;
/// Excess ways that are told apart, metres: from a little less than the direct one to that by a far wall.
const WAYS_M: (f64, f64) = (-0.5, 12.0);
/// Ways in between that the basis is made for.
const WAYS: usize = 200;
/// Passes of the subspace iteration: what is not of the three falls by the fourth eigenvalue over the third in each.
const PASSES: usize = 12;
/// Least excess way of the table of answers, its step and its length, metres.
const TABLE_FROM_M: f32 = -2.0;
const TABLE_STEP_M: f32 = 0.05;
const TABLE: usize = 401;

/// The three orthonormal tone patterns that hold most of what ways of [`WAYS_M`] look like, strongest first (principal components
/// of their steering vectors over the tones; Golub and Van Loan, "Matrix Computations", section 8.2.4), each divided by its singular
/// value over the first one's.
#[derive(Clone, Debug, PartialEq)]
pub struct DelayBasis {
    /// By tone: what a tone's residual is multiplied by.
    patterns: Vec<[Complex32; DELAYS]>,
    /// By excess way: what a unit echo leaves.
    answers: Vec<[Complex32; DELAYS]>,
    /// Mean squared length of the patterns: what white noise of unit power a tone leaves in each number.
    noise: f32,
}

impl DelayBasis {
    /// For the tones of a tier.
    pub fn new(tier: Tier) -> Self {
        let tones = tier.tones();
        let turns = core::f64::consts::TAU * tier.spacing_hz() / LIGHT_M_S;
        let echo = |way_m: f64| -> Vec<Complex64> {
            tier.tone_indices()
                .map(|k| {
                    let phase = -turns * f64::from(k) * way_m;
                    Complex64::new(detmath::cos64(phase), detmath::sin64(phase))
                })
                .collect()
        };
        let step_m = (WAYS_M.1 - WAYS_M.0) / (WAYS - 1) as f64;
        let echoes: Vec<_> = (0..WAYS).map(|i| echo(WAYS_M.0 + i as f64 * step_m)).collect();
        let mut vectors = [0.0, 5.0, 11.0].map(echo);
        let mut values = orthonormal(&mut vectors);
        for _ in 0..PASSES {
            vectors = vectors.map(|v| {
                let mut sum = vec![Complex64::default(); tones];
                for e in &echoes {
                    let along = inner(e, &v);
                    sum.iter_mut().zip(e).for_each(|(s, e)| *s += e * along);
                }
                sum
            });
            values = orthonormal(&mut vectors);
        }
        // The iteration gives eigenvalues of the products: squares of the singular values.
        let scale = values.map(|v| (values[0] / v).sqrt());
        let patterns = (0..tones)
            .map(|k| core::array::from_fn(|d| narrow(vectors[d][k].conj() * scale[d])))
            .collect();
        let unit = 1.0 / (tones as f64).sqrt();
        let answers = (0..TABLE)
            .map(|i| {
                let e = echo(f64::from(TABLE_FROM_M) + i as f64 * f64::from(TABLE_STEP_M));
                core::array::from_fn(|d| narrow(inner(&vectors[d], &e) * (scale[d] * unit)))
            })
            .collect();
        Self {
            patterns,
            answers,
            noise: (scale.iter().map(|s| s * s).sum::<f64>() / DELAYS as f64) as f32,
        }
    }

    /// By tone, what its residual is multiplied by.
    pub(super) fn patterns(&self) -> &[[Complex32; DELAYS]] {
        &self.patterns
    }

    /// What white noise of unit power a tone leaves in each number, in the mean.
    pub(super) fn noise(&self) -> f32 {
        self.noise
    }

    /// What an echo of unit power, all tones together, leaves whose way is `way_m` longer than the direct one.
    pub fn answer(&self, way_m: f32) -> [Complex32; DELAYS] {
        let at = (way_m - TABLE_FROM_M) / TABLE_STEP_M + 0.5;
        self.answers[(detmath::clamp(at, 0.0, (TABLE - 1) as f32)) as usize]
    }
}

fn narrow(z: Complex64) -> Complex32 {
    Complex32::new(z.re as f32, z.im as f32)
}

/// `a` conjugate times `b`.
fn inner(a: &[Complex64], b: &[Complex64]) -> Complex64 {
    a.iter().zip(b).map(|(a, b)| a.conj() * b).sum()
}

/// Makes the vectors orthonormal in their order (modified Gram-Schmidt); gives the lengths that were left.
fn orthonormal(vectors: &mut [Vec<Complex64>; DELAYS]) -> [f64; DELAYS] {
    let mut lengths = [0.0; DELAYS];
    for (d, length) in lengths.iter_mut().enumerate() {
        let (before, rest) = vectors.split_at_mut(d);
        let v = &mut rest[0];
        for b in before.iter() {
            let along = inner(b, v);
            v.iter_mut().zip(b).for_each(|(v, b)| *v -= b * along);
        }
        *length = detmath::max64(inner(v, v).re.sqrt(), f64::MIN_POSITIVE);
        v.iter_mut().for_each(|v| *v /= *length);
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patterns_hold_what_ways_of_a_room_look_like() {
        let tier = Tier::Ht40;
        let basis = DelayBasis::new(tier);
        let scale = |d: usize| basis.patterns.iter().map(|p| p[d].norm_sqr()).sum::<f32>();
        assert!((scale(0) - 1.0).abs() < 1e-4 && scale(1) > 1.0 && scale(2) > scale(1));
        assert!((basis.noise() - (scale(0) + scale(1) + scale(2)) / 3.0).abs() < 1e-2);
        for way_m in [0.0_f32, 3.0, 6.0, 11.0] {
            // The share of a unit echo that three numbers keep.
            let kept: f32 = basis
                .answer(way_m)
                .iter()
                .enumerate()
                .map(|(d, a)| a.norm_sqr() / scale(d))
                .sum();
            assert!((0.97..1.001).contains(&kept), "{way_m} m: {kept}");
        }
        // Off the table at either end: the nearest.
        assert_eq!(basis.answer(-50.0), basis.answer(-2.0));
        assert_eq!(basis.answer(500.0), basis.answer(18.0));
    }
}
