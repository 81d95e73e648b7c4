//! Hardware normalisation: one common grid and one common scale for mixed receivers.
//!
//! *Scale*: a receiver's automatic gain multiplies every tone of a frame by one unknown factor, so
//! statistics use `x_k = |h_k| / mean_k |h_k|` over the measured tones ([`gain_normalise`]).
//!
//! *Grid*: fusion compares receivers of different bandwidth and spacing on canonical-56 (+-1..28 at
//! 312.5 kHz). [`Canonical`] takes a frame whose slope has been taken off (its mean delay, which is mostly
//! the receiver's timing), interpolates the complex channel between the measured tones by a Catmull-Rom
//! spline on the true, possibly uneven, tone positions, and masks every canonical tone that has no
//! measured tone on both sides: nothing is extrapolated.

use num_complex::Complex32;

use crate::{phase_align::ToneGrid, tier::Tier};

/// Tones of the canonical grid.
pub const CANONICAL_TONES: usize = Tier::Canonical56.tones();

/// Widest hole between measured tones that is interpolated, Hz (four canonical tones).
pub const HOLE_MAX_HZ: f64 = 1.25e6;

/// Writes gain-normalised amplitudes, `x_k = |h_k| / mean |h|` over the tones with `mask != 0`, and
/// returns that mean. Masked tones get zero. `None`, and `x` all zero, when no measured tone carries energy.
pub fn gain_normalise(tones: &[Complex32], mask: &[u8], x: &mut [f32]) -> Option<f32> {
    let mut sum = 0.0_f32;
    let mut count = 0_u32;
    for ((x, h), &m) in x.iter_mut().zip(tones).zip(mask) {
        *x = if m != 0 {
            (h.re * h.re + h.im * h.im).sqrt()
        } else {
            0.0
        };
        sum += *x;
        count += u32::from(m != 0);
    }
    let mean = sum / count.max(1) as f32;
    if mean.is_finite() && mean > 0.0 {
        let scale = 1.0 / mean;
        x.iter_mut().for_each(|x| *x *= scale);
        Some(mean)
    } else {
        x.fill(0.0);
        None
    }
}

/// A resampler from one tier onto canonical-56.
#[derive(Clone, Debug)]
pub struct Canonical {
    grid: ToneGrid,
    hole_max: f32,
    /// Source tones that are measured in the frame at hand.
    knots: Vec<u32>,
}

impl Canonical {
    /// A resampler for frames of `tier`.
    pub fn new(tier: Tier) -> Self {
        let spacing = Tier::Canonical56.spacing_hz();
        Self {
            grid: ToneGrid::new(tier),
            hole_max: (HOLE_MAX_HZ / spacing) as f32,
            knots: Vec::with_capacity(tier.tones()),
        }
    }

    /// Resamples one aligned frame of the tier; both outputs have [`CANONICAL_TONES`] places and are written whole.
    /// The frame must have no mean delay ([`crate::phase_align`] takes it off): the spline follows a slow turn of the
    /// phase from tone to tone, not a fast one. The amplitude unit is kept.
    pub fn resample(&mut self, tones: &[Complex32], mask: &[u8], out: &mut [Complex32], out_mask: &mut [u8]) {
        self.knots.clear();
        self.knots
            .extend((0..mask.len() as u32).filter(|&i| mask[i as usize] != 0));

        let mut next = 0; // first knot at or right of the canonical tone
        for ((tone, out), out_mask) in Tier::Canonical56.tone_indices().zip(out).zip(out_mask) {
            let at = f32::from(tone);
            while next < self.knots.len() && self.grid.position()[self.knots[next] as usize] < at {
                next += 1;
            }
            match self.between(tones, at, next) {
                Some(value) => (*out, *out_mask) = (value, 1),
                None => (*out, *out_mask) = (Complex32::default(), 0),
            }
        }
    }

    /// The spline at `at`, where `next` is the first knot not left of it.
    fn between(&self, tones: &[Complex32], at: f32, next: usize) -> Option<Complex32> {
        let knot = |i: usize| {
            (
                self.grid.position()[self.knots[i] as usize],
                tones[self.knots[i] as usize],
            )
        };
        if next >= self.knots.len() {
            return None;
        }
        let (p2, h2) = knot(next);
        if p2 == at {
            return Some(h2);
        }
        if next == 0 {
            return None;
        }
        let (p1, h1) = knot(next - 1);
        let width = p2 - p1;
        if width > self.hole_max {
            return None;
        }
        // Catmull-Rom as a cubic Hermite with the secant over both neighbours as tangent; at an end of the
        // band the one-sided secant. On an even grid this is the textbook Catmull-Rom spline.
        let secant = (h2 - h1) / width;
        let tangent1 = match next {
            1 => secant,
            _ => {
                let (p0, h0) = knot(next - 2);
                (h2 - h0) / (p2 - p0)
            }
        };
        let tangent2 = if next + 1 < self.knots.len() {
            let (p3, h3) = knot(next + 1);
            (h3 - h1) / (p3 - p1)
        } else {
            secant
        };
        let u = (at - p1) / width;
        let (u2, u3) = (u * u, u * u * u);
        Some(
            h1 * (2.0 * u3 - 3.0 * u2 + 1.0)
                + tangent1 * (width * (u3 - 2.0 * u2 + u))
                + h2 * (3.0 * u2 - 2.0 * u3)
                + tangent2 * (width * (u3 - u2)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detmath, phase_align};

    fn resampled(tier: Tier, channel: impl Fn(f32) -> Complex32, mask: &[u8]) -> (Vec<Complex32>, Vec<u8>) {
        let ratio = (tier.spacing_hz() / 312_500.0) as f32;
        let mut tones: Vec<_> = tier.tone_indices().map(|i| channel(f32::from(i) * ratio)).collect();
        phase_align::remove_trend(&mut tones, mask, &ToneGrid::new(tier));
        let mut out = vec![Complex32::default(); 56];
        let mut out_mask = vec![9; 56];
        Canonical::new(tier).resample(&tones, mask, &mut out, &mut out_mask);
        (out, out_mask)
    }

    #[test]
    fn a_canonical_tone_outside_the_band_is_masked() {
        for (tier, outside) in [
            (Tier::Ht20, 4),
            (Tier::Canonical56, 0),
            (Tier::Ht40, 0),
            (Tier::He20, 0),
        ] {
            let (out, mask) = resampled(tier, |_| Complex32::new(2.0, 0.0), &vec![1; tier.tones()]);
            assert_eq!(mask.iter().filter(|&&m| m == 0).count(), outside, "{}", tier.name());
            for (h, m) in out.iter().zip(&mask) {
                assert!((h.norm() - 2.0 * f32::from(*m)).abs() < 1e-5, "{} {h}", tier.name());
            }
        }
    }

    #[test]
    fn every_tier_sees_the_same_two_path_channel() {
        // Two paths 40 ns apart; phase per canonical tone 2 pi * 312.5 kHz * 40 ns.
        let channel = |p: f32| {
            let phase = -core::f32::consts::TAU * 0.0125 * p;
            Complex32::new(1.0 + 0.5 * detmath::cos(phase), 0.5 * detmath::sin(phase))
        };
        let reference = resampled(Tier::Canonical56, channel, &[1; 56]);
        for tier in [Tier::Ht20, Tier::Ht40, Tier::He20, Tier::He40] {
            let (out, mask) = resampled(tier, channel, &vec![1; tier.tones()]);
            for ((a, b), m) in out.iter().zip(&reference.0).zip(&mask) {
                // The widest knot distance, HT40's carrier gap, costs the most: 0.003.
                assert!(
                    *m == 0 || (a.norm() - b.norm()).abs() < 4e-3,
                    "{}: {a} {b}",
                    tier.name()
                );
            }
        }
    }

    #[test]
    fn wide_holes_stay_masked_and_narrow_ones_are_bridged() {
        let mut mask = vec![1; 56];
        mask[10] = 0; // one tone
        mask[30..36].fill(0); // six tones
        let (_, out) = resampled(Tier::Canonical56, |_| Complex32::new(1.0, 0.0), &mask);
        assert_eq!(out[10], 1);
        assert!(out[30..36].iter().all(|&m| m == 0));
    }

    #[test]
    fn gain_does_not_matter() {
        let tones: Vec<_> = (1..=8).map(|i| Complex32::new(i as f32, -0.5 * i as f32)).collect();
        let louder: Vec<_> = tones.iter().map(|h| h * 4.0).collect();
        let mask = [1, 1, 0, 1, 1, 1, 1, 1];
        let (mut a, mut b) = ([0.0; 8], [0.0; 8]);
        let gain = gain_normalise(&tones, &mask, &mut a).unwrap();
        assert_eq!(gain_normalise(&louder, &mask, &mut b), Some(4.0 * gain));
        assert_eq!(a, b);
        assert_eq!(a[2], 0.0);
        assert_eq!(gain_normalise(&tones, &[0; 8], &mut a), None);
        assert_eq!(a, [0.0; 8]);
    }
}
