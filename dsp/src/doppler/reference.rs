//! Takes the empty room off a frame.

use num_complex::Complex32;

use super::{FILTER_M, FILTERS};
use crate::{calibration::PathBaseline, detmath, tier::Tier};

const LIGHT_M_S: f64 = 299_792_458.0;
/// The least noise power of a sample, as a share of the empty room's: what 12 bits resolve.
const NOISE_FLOOR: f32 = 1e-9;
/// Refinements of a frame's clock slope.
const PASSES: usize = 2;

/// The empty room as one link path sees it, made for taking it off.
///
/// A frame differs from it by an unknown phase and slope over the tones (oscillators and clocks), which are fitted, and
/// by its level, which is kept: the receiver's gain is known where it reports its AGC, and a body near the direct
/// path changes little else.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    /// Position of each tone, in tones from the carrier.
    position: Vec<f32>,
    /// Conjugate unit phasor of the empty room at each tone.
    turn: Vec<Complex32>,
    /// Its amplitude, gain-normalised; 0 where it is not known.
    amplitude: Vec<f32>,
    filters: Vec<[Complex32; FILTERS]>,
    /// Raw gain and AGC at calibration.
    gain: f32,
    agc_db: Option<f32>,
    noise: f32,
    scratch: Vec<Complex32>,
}

impl Reference {
    /// For a path of this tier with this baseline.
    pub fn new(tier: Tier, baseline: &PathBaseline) -> Self {
        let tones = tier.tones();
        let known = |k: usize| baseline.mask[k] != 0;
        let turns = |w: f64| Complex32::new(detmath::cos64(w) as f32, detmath::sin64(w) as f32);
        let count = (0..tones).filter(|k| known(*k)).count().max(1) as f32;
        let variance: f32 = (0..tones)
            .filter(|k| known(*k))
            .map(|k| baseline.amplitude_variance[k])
            .sum();
        let per_metre = core::f64::consts::TAU * tier.spacing_hz() / LIGHT_M_S;
        Self {
            position: tier.tone_indices().map(f32::from).collect(),
            turn: baseline.phase_rad.iter().map(|p| turns(f64::from(-p))).collect(),
            amplitude: (0..tones)
                .map(|k| if known(k) { baseline.amplitude[k] } else { 0.0 })
                .collect(),
            filters: tier
                .tone_indices()
                .map(|k| FILTER_M.map(|m| turns(per_metre * f64::from(m) * f64::from(k)) / count))
                .collect(),
            gain: baseline.gain,
            agc_db: baseline.agc_db,
            // A complex sample has twice the variance that its amplitude shows.
            noise: detmath::max(2.0 * variance / (count * count), NOISE_FLOOR),
            scratch: vec![Complex32::default(); tones],
        }
    }

    /// Mean power of a sample of the empty room, each filter: its noise.
    pub fn noise(&self) -> f32 {
        self.noise
    }

    /// What moved, in a frame whose raw gain is `gain`; none when it has nothing in common with the empty room.
    pub fn sample(
        &mut self,
        tones: &[Complex32],
        mask: &[u8],
        gain: f32,
        agc_db: Option<u8>,
    ) -> Option<[[f32; 2]; FILTERS]> {
        let level = self.level(gain, agc_db)?;
        let z = &mut self.scratch;
        for (k, z) in z.iter_mut().enumerate() {
            *z = if mask[k] != 0 && self.amplitude[k] > 0.0 {
                tones[k] * self.turn[k] / gain
            } else {
                Complex32::default()
            };
        }
        let mut steps = Complex32::default();
        for k in 1..z.len() {
            if self.position[k] - self.position[k - 1] == 1.0 {
                steps += z[k] * z[k - 1].conj() * (self.amplitude[k] * self.amplitude[k - 1]);
            }
        }
        turn_by(z, &self.position, -detmath::atan2(steps.im, steps.re));
        for _ in 0..PASSES {
            level_phase(z, &self.amplitude)?;
            let (mut along, mut across) = (0.0, 0.0);
            for (k, z) in z.iter().enumerate() {
                let weighted = self.amplitude[k] * self.position[k];
                across += weighted * z.im;
                along += weighted * self.position[k] * z.re;
            }
            if along > 0.0 {
                turn_by(z, &self.position, -across / along);
            }
        }
        level_phase(z, &self.amplitude)?;
        let mut value = [Complex32::default(); FILTERS];
        for (k, z) in z.iter().enumerate() {
            if mask[k] != 0 && self.amplitude[k] > 0.0 {
                let moved = *z * level - self.amplitude[k];
                value
                    .iter_mut()
                    .zip(&self.filters[k])
                    .for_each(|(v, f)| *v += moved * f);
            }
        }
        Some(value.map(|v| [v.re, v.im])).filter(|v| v.as_flattened().iter().all(|x| x.is_finite()))
    }

    /// Level of a frame against the empty room; 1 where the receiver does not say what it amplified by.
    fn level(&self, gain: f32, agc_db: Option<u8>) -> Option<f32> {
        let level = match (agc_db, self.agc_db) {
            (Some(now), Some(then)) if self.gain > 0.0 => {
                gain / self.gain * detmath::pow(10.0, (then - f32::from(now)) / 20.0)
            }
            _ => 1.0,
        };
        (gain > 0.0 && level.is_finite()).then_some(level)
    }
}

/// Turns each tone by `slope` times its position.
pub(crate) fn turn_by(z: &mut [Complex32], position: &[f32], slope: f32) {
    let phasor = |w: f32| Complex32::new(detmath::cos(w), detmath::sin(w));
    let one = phasor(slope);
    let mut turn = phasor(slope * position[0]);
    for k in 0..z.len() {
        if k > 0 {
            let gap = position[k] - position[k - 1];
            turn *= if gap == 1.0 { one } else { phasor(slope * gap) };
        }
        z[k] *= turn;
    }
}

/// Takes the phase that all tones share off them; none when they share none.
pub(crate) fn level_phase(z: &mut [Complex32], amplitude: &[f32]) -> Option<()> {
    let mut sum = Complex32::default();
    for (z, a) in z.iter().zip(amplitude) {
        sum += *z * *a;
    }
    let length = detmath::hypot(sum.re, sum.im);
    (length > 0.0 && length.is_finite()).then(|| {
        let turn = sum.conj() / length;
        z.iter_mut().for_each(|z| *z *= turn);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(tier: Tier) -> PathBaseline {
        let tones = tier.tones();
        PathBaseline {
            mask: vec![1; tones],
            amplitude: (0..tones).map(|k| 1.0 + 0.3 * detmath::sin(0.1 * k as f32)).collect(),
            amplitude_variance: vec![1e-4; tones],
            phase_rad: (0..tones).map(|k| 0.4 * detmath::sin(0.07 * k as f32)).collect(),
            gain: 100.0,
            agc_db: Some(40.0),
            ..PathBaseline::default()
        }
    }

    /// The empty room with an echo of this strength, phase and extra way, as a receiver with any phase, slope and AGC sends it.
    fn frame(tier: Tier, echo: f32, phase: f32, way_m: f32, agc_db: u8) -> (Vec<Complex32>, f32) {
        let b = baseline(tier);
        let per_metre = (core::f64::consts::TAU * tier.spacing_hz() / LIGHT_M_S) as f32;
        let polar = |r: f32, w: f32| Complex32::new(r * detmath::cos(w), r * detmath::sin(w));
        let amplified = 100.0 * detmath::pow(10.0, (f32::from(agc_db) - 40.0) / 20.0);
        let tones: Vec<_> = tier
            .tone_indices()
            .enumerate()
            .map(|(k, at)| {
                let at = f32::from(at);
                let room = polar(b.amplitude[k], b.phase_rad[k]);
                let moved = room / b.amplitude[k] * polar(echo, phase - per_metre * way_m * at);
                (room + moved) * polar(amplified, 1.1 - 0.21 * at)
            })
            .collect();
        (tones, amplified)
    }

    #[test]
    fn the_empty_room_leaves_nothing_whatever_phase_slope_and_gain() {
        let tier = Tier::Ht40;
        let mut reference = Reference::new(tier, &baseline(tier));
        for agc in [30, 40, 47] {
            let (tones, gain) = frame(tier, 0.0, 0.0, 0.0, agc);
            let left = reference
                .sample(&tones, &vec![1; tones.len()], gain, Some(agc))
                .unwrap();
            assert!(left.as_flattened().iter().all(|v| v.abs() < 2e-5), "{left:?}");
        }
    }

    #[test]
    fn an_echo_turns_with_its_way() {
        let tier = Tier::Ht40;
        let mut reference = Reference::new(tier, &baseline(tier));
        let mut turns = |way_m| {
            let mut turned = 0.0;
            let mut before: Option<Complex32> = None;
            for step in 0..32 {
                let (tones, gain) = frame(tier, 0.02, -0.3 * step as f32, way_m, 40);
                let value = reference.sample(&tones, &vec![1; tones.len()], gain, Some(40)).unwrap();
                let now = Complex32::new(value[1][0], value[1][1]);
                if let Some(before) = before {
                    let by = now * before.conj();
                    turned += detmath::atan2(by.im, by.re);
                }
                before = Some(now);
            }
            turned / 31.0
        };
        // 4 m more than the direct way: the fit of phase and slope takes part of it, not its direction.
        let by = turns(4.0);
        assert!((by + 0.3).abs() < 0.06, "{by}");
    }

    #[test]
    fn tones_that_are_missing_do_not_count() {
        let tier = Tier::Ht20;
        let mut reference = Reference::new(tier, &baseline(tier));
        let (mut tones, gain) = frame(tier, 0.0, 0.0, 0.0, 40);
        let mut mask = vec![1; tones.len()];
        tones[7] = Complex32::new(1e9, 0.0);
        mask[7] = 0;
        let left = reference.sample(&tones, &mask, gain, Some(40)).unwrap();
        assert!(left.as_flattened().iter().all(|v| v.abs() < 2e-5), "{left:?}");
        assert!(
            reference
                .sample(&tones, &vec![0; tones.len()], gain, Some(40))
                .is_none()
        );
    }
}
