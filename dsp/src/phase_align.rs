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

/// The commonest spacing of neighbouring measured tones, in units of `position`; the smaller of two equals. Tones that
/// stand at other distances (across the carrier, at a hole) are left out of differences. None below two tones.
fn spacing(mask: &[u8], position: &[f32]) -> Option<f32> {
    let mut step = f32::INFINITY;
    for pair in position.windows(2) {
        step = detmath::min(step, pair[1] - pair[0]);
    }
    let mut counts = [0_u32; 9];
    let mut last = None;
    for k in (0..mask.len()).filter(|&k| mask[k] != 0) {
        if let Some(last) = last.replace(k) {
            let steps = ((position[k] - position[last]) / step + 0.5) as usize;
            if let Some(count) = counts.get_mut(steps) {
                *count += 1;
            }
        }
    }
    let best = (1..counts.len()).rev().max_by_key(|&steps| counts[steps])?;
    (counts[best] > 0).then_some(best as f32 * step)
}

/// Calls `each` with every run of `N` neighbouring measured tones that stand `spacing` apart.
fn runs<const N: usize>(mask: &[u8], position: &[f32], spacing: f32, mut each: impl FnMut([usize; N])) {
    let mut run = [0; N];
    let mut len = 0;
    for k in (0..mask.len()).filter(|&k| mask[k] != 0) {
        if len > 0 && (position[k] - position[run[len - 1]] - spacing).abs() > 0.25 * spacing {
            len = 0;
        }
        if len == N {
            run.copy_within(1.., 0);
            len = N - 1;
        }
        run[len] = k;
        len += 1;
        if len == N {
            each(run);
        }
    }
}

/// Slope by pulse pair, radians a unit of position; the reference's own slope is taken out first. `None` without a
/// pair that carries energy.
fn slope(tones: &[Complex32], mask: &[u8], position: &[f32], reference: Option<&[Complex32]>) -> Option<f32> {
    let spacing = spacing(mask, position)?;
    let mut sum = Complex32::default();
    runs(mask, position, spacing, |[a, b]| {
        let pair = tones[b] * tones[a].conj();
        sum += reference.map_or(pair, |r| pair * (r[b] * r[a].conj()).conj());
    });
    (sum.re != 0.0 || sum.im != 0.0).then(|| detmath::atan2(sum.im, sum.re) / spacing)
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
    let spacing = spacing(mask, position)?;
    let (mut noise, mut count_runs) = (0.0_f32, 0_u32);
    runs(mask, position, spacing, |[a, b, c, d]| {
        let third = (tones[d] - tones[a]) + (tones[b] - tones[c]) * 3.0;
        noise += third.re * third.re + third.im * third.im;
        count_runs += 1;
    });
    let (mut power, mut count) = (0.0_f32, 0_u32);
    for (h, _) in tones.iter().zip(mask).filter(|(_, m)| **m != 0) {
        power += h.re * h.re + h.im * h.im;
        count += 1;
    }
    (count_runs >= 8).then(|| (noise / (20.0 * count_runs as f32), power / count as f32))
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
    fn a_grid_with_every_other_tone_is_aligned_and_its_noise_known() {
        // The tones an Intel 5300 reports, on canonical-56.
        let position = positions(Tier::Canonical56);
        let reported = |i: i16| i == -1 || i == 28 || if i < 0 { i % 2 == 0 } else { i % 2 == 1 };
        let mask: Vec<u8> = Tier::Canonical56
            .tone_indices()
            .map(|i| u8::from(reported(i)))
            .collect();
        assert_eq!(
            (spacing(&mask, &position), mask.iter().filter(|&&m| m != 0).count()),
            (Some(2.0), 30)
        );
        let mut plain = two_paths(&position);
        let mut turned: Vec<_> = plain
            .iter()
            .zip(&position)
            .map(|(h, p)| h * phasor(1.0 + 0.3 * p))
            .collect();
        remove_trend(&mut plain, &mask, &position);
        remove_trend(&mut turned, &mask, &position);
        for k in (0..56).filter(|&k| mask[k] != 0) {
            assert!((plain[k] - turned[k]).norm() < 1e-4);
        }
        assert!(noise_variance(&plain, &mask, &position).is_some_and(|(noise, power)| noise < 1e-4 * power));
    }

    #[test]
    fn no_tone_or_one_has_no_spacing() {
        let position = positions(Tier::Ht20);
        let mut mask = vec![0; 52];
        assert_eq!(spacing(&mask, &position), None);
        mask[3] = 1;
        assert_eq!(spacing(&mask, &position), None);
        assert_eq!(spacing(&[], &[]), None);
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
