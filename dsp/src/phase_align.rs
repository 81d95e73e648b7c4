//! Phase alignment: what the radios' clocks add is taken off, in place.
//!
//! A received tone is `h_k exp(j (theta + s k))`: theta is the local oscillators' offset of that frame
//! (carrier frequency offset times time), s the sampling clocks' slope (timing and SFO). Neither says anything
//! about the room and both change from frame to frame.
//!
//! The slope is the argument of the sum of products of neighbouring tones (pulse pair; Kay 1989, "A fast and
//! accurate single frequency estimator", uniform weights), the offset the argument of the sum over *static*
//! tones, both relative to a reference phase where there is one. No unwrapping, no iteration, no allocation.

use core::cmp::Ordering;

use num_complex::Complex32;

use crate::detmath;

/// What one frame's alignment took off.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Alignment {
    /// Phase of the local oscillators, radians in (-pi, pi].
    pub offset_rad: f32,
    /// Phase slope, radians a unit of tone position.
    pub slope_rad: f32,
}

/// The unit phasor of `angle`, radians.
fn phasor(angle: f32) -> Complex32 {
    Complex32::new(detmath::cos(angle), detmath::sin(angle))
}

/// Slope by pulse pair over neighbouring measured tones at most `1.5` positions apart; the reference's own
/// slope is taken out first. `None` without a neighbouring pair that carries energy.
fn slope(tones: &[Complex32], mask: &[u8], position: &[f32], reference: Option<&[Complex32]>) -> Option<f32> {
    let step = smallest_step(position);
    let mut sum = Complex32::default();
    for k in 1..tones.len() {
        if mask[k] == 0 || mask[k - 1] == 0 || position[k] - position[k - 1] > 1.5 * step {
            continue;
        }
        let mut pair = tones[k] * tones[k - 1].conj();
        if let Some(r) = reference {
            pair *= (r[k] * r[k - 1].conj()).conj();
        }
        sum += pair;
    }
    (sum.re != 0.0 || sum.im != 0.0).then(|| detmath::atan2(sum.im, sum.re) / step)
}

fn smallest_step(position: &[f32]) -> f32 {
    let mut step = f32::INFINITY;
    for pair in position.windows(2) {
        step = detmath::min(step, pair[1] - pair[0]);
    }
    step
}

/// Takes mean phase and mean slope off all measured tones. `position` ascends, any unit.
pub fn remove_trend(tones: &mut [Complex32], mask: &[u8], position: &[f32]) -> Alignment {
    align(tones, mask, position, None, None)
}

/// Aligns one frame in place and returns what was taken off.
///
/// `reference`: unit phasors of the room's own phase profile (zero where unknown), so that frames of one path
/// align with each other and with the calibration. `static_tones`: ascending indices of the tones the offset
/// is read from (see [`choose_static`]); without it, all. Masked tones stay as they are.
pub fn align(
    tones: &mut [Complex32],
    mask: &[u8],
    position: &[f32],
    reference: Option<&[Complex32]>,
    static_tones: Option<&[u32]>,
) -> Alignment {
    let slope_rad = slope(tones, mask, position, reference).unwrap_or(0.0);
    if slope_rad != 0.0 {
        for (h, &p) in tones.iter_mut().zip(position) {
            *h *= phasor(-slope_rad * p);
        }
    }
    let mut sum = Complex32::default();
    let mut add = |k: usize| {
        if mask[k] != 0 {
            sum += reference.map_or(tones[k], |r| tones[k] * r[k].conj());
        }
    };
    match static_tones {
        Some(list) => list.iter().for_each(|&k| add(k as usize)),
        None => (0..tones.len()).for_each(&mut add),
    }
    let offset_rad = if sum.re != 0.0 || sum.im != 0.0 {
        detmath::atan2(sum.im, sum.re)
    } else {
        0.0
    };
    let turn = phasor(-offset_rad);
    tones.iter_mut().for_each(|h| *h *= turn);
    Alignment { offset_rad, slope_rad }
}

/// The `count` tones with the smallest `dispersion`, ascending by index, into `chosen` (cleared first).
/// Equal dispersions go to the smaller index, so the choice does not depend on the selection algorithm.
pub fn choose_static(dispersion: &[f32], mask: &[u8], count: usize, chosen: &mut Vec<u32>) {
    chosen.clear();
    chosen.extend((0..dispersion.len() as u32).filter(|&k| mask[k as usize] != 0));
    if count < chosen.len() && count > 0 {
        chosen.select_nth_unstable_by(count - 1, |&a, &b| {
            match dispersion[a as usize].total_cmp(&dispersion[b as usize]) {
                Ordering::Equal => a.cmp(&b),
                order => order,
            }
        });
        chosen.truncate(count);
    }
    chosen.sort_unstable();
}

/// Noise variance `E|n|^2` of a complex tone from third differences along frequency.
///
/// A room's channel is smooth in frequency: a path of delay t passes a third difference with power gain
/// `(2 sin(pi df t))^6 / 20`, which is -55 dB at 100 ns and -27 dB at 300 ns for df = 312.5 kHz, while white noise
/// passes with gain 1. So a single frame tells its own noise, whoever moves. `None` when fewer than eight
/// runs of four neighbouring measured tones exist. Also returns the mean power `E|h|^2` of the measured tones.
pub fn noise_variance(tones: &[Complex32], mask: &[u8], position: &[f32]) -> Option<(f32, f32)> {
    let step = smallest_step(position);
    let mut noise = 0.0_f32;
    let mut runs = 0_u32;
    for k in 3..tones.len() {
        if mask[k - 3..=k].contains(&0) || position[k] - position[k - 3] > 3.5 * step {
            continue;
        }
        let d = (tones[k] - tones[k - 3]) + (tones[k - 2] - tones[k - 1]) * 3.0;
        noise += d.re * d.re + d.im * d.im;
        runs += 1;
    }
    let (mut power, mut count) = (0.0_f32, 0_u32);
    for (h, _) in tones.iter().zip(mask).filter(|(_, m)| **m != 0) {
        power += h.re * h.re + h.im * h.im;
        count += 1;
    }
    (runs >= 8).then(|| (noise / (20.0 * runs as f32), power / count as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tier::Tier;
    use proptest::prelude::*;

    fn positions(tier: Tier) -> Vec<f32> {
        tier.tone_indices().map(f32::from).collect()
    }

    fn two_paths(position: &[f32]) -> Vec<Complex32> {
        position
            .iter()
            .map(|&p| Complex32::new(1.0, 0.0) + phasor(-0.05 * p) * 0.4)
            .collect()
    }

    proptest! {
        #[test]
        fn offset_and_slope_of_the_clocks_leave_no_trace(offset in -3.0_f32..3.0, slope in -0.5_f32..0.5) {
            let position = positions(Tier::Ht20);
            let room = two_paths(&position);
            let mask = vec![1; room.len()];
            let mut plain = room.clone();
            remove_trend(&mut plain, &mask, &position);
            let mut turned: Vec<_> =
                room.iter().zip(&position).map(|(h, p)| h * phasor(offset + slope * p)).collect();
            remove_trend(&mut turned, &mask, &position);
            for (a, b) in turned.iter().zip(&plain) {
                prop_assert!((a - b).norm() < 2e-4, "{a} {b}");
            }
        }
    }

    #[test]
    fn masked_tones_do_not_pull() {
        let position = positions(Tier::Ht20);
        let mut mask = vec![1; 52];
        let mut clean = two_paths(&position);
        let mut spoiled = clean.clone();
        mask[7] = 0;
        spoiled[7] = Complex32::new(1e6, -1e6);
        let a = remove_trend(&mut clean, &mask, &position);
        let b = remove_trend(&mut spoiled, &mask, &position);
        assert_eq!(a, b);
    }

    #[test]
    fn ties_go_to_the_smaller_index() {
        let mut chosen = Vec::with_capacity(8);
        choose_static(&[0.5, 0.1, 0.1, 0.1, 0.0, 0.1], &[1, 1, 1, 1, 1, 0], 3, &mut chosen);
        assert_eq!(chosen, [1, 2, 4]);
        choose_static(&[0.5, 0.1], &[1, 1], 5, &mut chosen);
        assert_eq!(chosen, [0, 1]);
    }

    #[test]
    fn noise_is_told_from_a_smooth_channel() {
        let position = positions(Tier::Ht20);
        let mut tones = two_paths(&position);
        let mask = vec![1; 52];
        let (smooth, power) = noise_variance(&tones, &mask, &position).unwrap();
        assert!(smooth < 1e-6 * power, "{smooth} {power}");
        // A fixed +-0.1 pattern without structure: variance 0.02 a complex tone.
        let mut seed = 1_u32;
        let mut sign = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if seed >> 31 == 0 { 0.1 } else { -0.1 }
        };
        tones.iter_mut().for_each(|h| *h += Complex32::new(sign(), sign()));
        let (noise, _) = noise_variance(&tones, &mask, &position).unwrap();
        assert!((0.012..0.03).contains(&noise), "{noise}");
        assert_eq!(noise_variance(&tones, &[0; 52], &position), None);
    }
}
