//! Takes the empty room off a frame of all antennas.

use num_complex::Complex32;

use super::{ANTENNAS_MAX, DELAYS, DIMENSIONS_MAX, DelayBasis};
use crate::{
    calibration::PathBaseline,
    detmath,
    doppler::reference::{level_phase, turn_by},
    tier::Tier,
};

/// The least noise power of a number, as a share of the empty room's power: what 8 bits resolve.
const NOISE_FLOOR: f32 = 1e-7;
/// Refinements of a frame's clock slope.
const PASSES: usize = 3;

/// The empty room as the antennas of one link see it.
///
/// A frame differs from it by one phase and one slope over the tones, the same at all antennas. They are fitted to all antennas
/// together: a fit to each alone would take half of what moves with it, and the direction it comes from.
#[derive(Clone, Debug)]
pub struct Reference {
    antennas: usize,
    /// Position of each tone, in tones from the carrier.
    position: Vec<f32>,
    /// By antenna and tone, conjugate unit phasor of the empty room.
    turn: Vec<Complex32>,
    /// Its amplitude, the same unit at all antennas; 0 where it is not known.
    amplitude: Vec<f32>,
    /// Power of the empty room, the mean over the antennas of its sum over the tones, and the AGC it was learned at.
    power: f32,
    agc_db: Option<f32>,
    /// Power of a number of [`Self::sample`] in the empty room, as a share of the empty room's.
    noise: f32,
    scratch: Vec<Complex32>,
}

impl Reference {
    /// For the antennas whose baselines these are, in their order; none where the baselines do not say how the antennas' phases stand
    /// to each other.
    pub fn new(tier: Tier, basis: &DelayBasis, baselines: &[&PathBaseline]) -> Option<Self> {
        let tones = tier.tones();
        let antennas = baselines.len();
        if !(2..=ANTENNAS_MAX).contains(&antennas) {
            return None;
        }
        let first = baselines[0];
        let mut turn = Vec::with_capacity(antennas * tones);
        let mut amplitude = Vec::with_capacity(antennas * tones);
        let mut noise = 0.0;
        for (antenna, b) in baselines.iter().enumerate() {
            if antenna > 0 && b.cross_phase_rad.len() != tones {
                return None;
            }
            let mut variance = 0.0;
            let mut count = 0;
            for k in 0..tones {
                let known = b.mask[k] != 0 && first.mask[k] != 0;
                let cross = if antenna > 0 { b.cross_phase_rad[k] } else { 0.0 };
                let phase = -(first.phase_rad[k] + cross);
                turn.push(Complex32::new(detmath::cos(phase), detmath::sin(phase)));
                amplitude.push(if known { b.amplitude[k] * b.gain } else { 0.0 });
                if known {
                    // A complex sample has twice the variance that its amplitude shows.
                    variance += 2.0 * b.amplitude_variance[k] * b.gain * b.gain;
                    count += 1;
                }
            }
            noise += variance / count.max(1) as f32 / antennas as f32;
        }
        let power = amplitude.iter().map(|a| a * a).sum::<f32>() / antennas as f32;
        (power > 0.0 && power.is_finite()).then(|| Self {
            antennas,
            position: tier.tone_indices().map(f32::from).collect(),
            turn,
            amplitude,
            power,
            agc_db: first.agc_db,
            noise: detmath::max(noise * basis.noise() / power, NOISE_FLOOR),
            scratch: vec![Complex32::default(); antennas * tones],
        })
    }

    /// Antennas.
    pub fn antennas(&self) -> usize {
        self.antennas
    }

    /// Mean power of a number of the empty room's samples: its noise.
    pub fn noise(&self) -> f32 {
        self.noise
    }

    /// What moved, in amplitudes of the empty room: [`DELAYS`] numbers an antenna, zeros after the last. `tones` gives the raw tones
    /// and the mask of an antenna. None when the frame has nothing in common with the empty room.
    pub fn sample<'f>(
        &mut self,
        basis: &DelayBasis,
        agc_db: Option<u8>,
        tones: impl Fn(usize) -> (&'f [[f32; 2]], &'f [u8]),
    ) -> Option<[[f32; 2]; DIMENSIONS_MAX]> {
        let count = self.position.len();
        let mut received = 0.0;
        let mut expected = 0.0;
        for (antenna, z) in self.scratch.chunks_exact_mut(count).enumerate() {
            let (values, mask) = tones(antenna);
            for (k, z) in z.iter_mut().enumerate() {
                let at = antenna * count + k;
                *z = if mask[k] != 0 && self.amplitude[at] > 0.0 {
                    let [re, im] = values[k];
                    received += re * re + im * im;
                    expected += self.amplitude[at] * self.amplitude[at];
                    Complex32::new(re, im) * self.turn[at]
                } else {
                    Complex32::default()
                };
            }
        }
        // Less than half of the tones is no frame of this room.
        if 2.0 * expected < self.power * self.antennas as f32 || !(received > 0.0 && received.is_finite()) {
            return None;
        }
        let level = match (agc_db, self.agc_db) {
            (Some(now), Some(then)) => detmath::pow(10.0, (then - f32::from(now)) / 20.0),
            _ => (expected / received).sqrt(),
        };
        self.straighten()?;
        let unit = level / self.power.sqrt();
        let mut value = [Complex32::default(); DIMENSIONS_MAX];
        for (antenna, z) in self.scratch.chunks_exact(count).enumerate() {
            let value = &mut value[antenna * DELAYS..][..DELAYS];
            let amplitude = &self.amplitude[antenna * count..][..count];
            let (_, mask) = tones(antenna);
            for (k, pattern) in basis.patterns().iter().enumerate() {
                if mask[k] != 0 && amplitude[k] > 0.0 {
                    // Turned back: the empty room's phase is part of where an echo stands.
                    let room = self.turn[antenna * count + k].conj();
                    let moved = (z[k] * unit - amplitude[k] / self.power.sqrt()) * room;
                    value.iter_mut().zip(pattern).for_each(|(v, p)| *v += moved * p);
                }
            }
        }
        Some(value.map(|v| [v.re, v.im])).filter(|v| v.as_flattened().iter().all(|x| x.is_finite()))
    }

    /// Takes phase and slope of the frame off its tones; none when it has none in common with the empty room.
    fn straighten(&mut self) -> Option<()> {
        let count = self.position.len();
        let (position, amplitude, z) = (&self.position, &self.amplitude, &mut self.scratch);
        let mut steps = Complex32::default();
        for (z, a) in z.chunks_exact(count).zip(amplitude.chunks_exact(count)) {
            for k in 1..count {
                if position[k] - position[k - 1] == 1.0 {
                    steps += z[k] * z[k - 1].conj() * (a[k] * a[k - 1]);
                }
            }
        }
        let slope = -detmath::atan2(steps.im, steps.re);
        z.chunks_exact_mut(count).for_each(|z| turn_by(z, position, slope));
        for _ in 0..PASSES {
            level_phase(z, amplitude)?;
            let (mut along, mut across) = (0.0, 0.0);
            for (z, a) in z.chunks_exact(count).zip(amplitude.chunks_exact(count)) {
                for k in 0..count {
                    let weighted = a[k] * position[k];
                    across += weighted * z[k].im;
                    along += weighted * position[k] * z[k].re;
                }
            }
            if along > 0.0 {
                z.chunks_exact_mut(count)
                    .for_each(|z| turn_by(z, position, -across / along));
            }
        }
        level_phase(z, amplitude)
    }
}
