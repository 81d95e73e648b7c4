//! A link path as it was when the room was last empty.
//!
//! The calibrated profile drifts over days, so that somebody who keeps still cannot be told from drift by it. But drift is
//! slow: a room that looks as it did a minute ago, when it was empty, is empty again. The profile of the last empty
//! times, with the spread that its means of half a second had, says so. It speaks for *empty* only: a profile
//! that is another may be somebody, or a moved chair, or drift.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::detmath;

/// Time constant of the mean that is compared, seconds.
const RECENT_S: f32 = 0.5;
/// Time constant of the empty room's profile, seconds.
const PROFILE_S: f32 = 30.0;
/// Empty time a profile needs before it says anything, seconds.
const KNOWN_MIN_S: f32 = 10.0;
/// Deviation, in units of the empty room's own, above which a profile says nothing.
const RATIO_MAX: f32 = 1.6;
/// Log-likelihood ratio that a factor e below that is worth.
const SLOPE: f32 = 4.0;
/// The least a mean is credited with, in gain-normalised amplitude: what 8-bit samples leave.
const FLOOR: f32 = 1e-3;

/// What a CSI path knows of the empty room of late. Arrays run over its tones.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Vacancy {
    /// Mean amplitude of the last moments, and the seconds it rests on.
    recent: Vec<f32>,
    recent_s: f32,
    /// Mean amplitude of the last empty times, and the seconds it rests on.
    profile: Vec<f32>,
    known_s: f32,
    /// Mean square deviation of `recent` from `profile` in them.
    spread: f32,
    /// The same now.
    deviation: f32,
}

impl Vacancy {
    pub(super) fn new(tones: usize) -> Self {
        Self {
            recent: vec![0.0; tones],
            recent_s: 0.0,
            profile: vec![0.0; tones],
            known_s: 0.0,
            spread: 0.0,
            deviation: 0.0,
        }
    }

    /// Forgets all: another calibration is in force.
    pub(super) fn clear(&mut self) {
        (self.recent_s, self.known_s, self.spread, self.deviation) = (0.0, 0.0, 0.0, 0.0);
    }

    /// One cycle with a frame of gain-normalised amplitudes `x`. `empty`: nobody was there in the cycle before.
    pub(super) fn update(&mut self, x: &[f32], mask: &[u8], step_s: f32, empty: bool) {
        self.recent_s += step_s;
        let weight = step_s / detmath::min(self.recent_s, RECENT_S);
        for ((recent, x), m) in self.recent.iter_mut().zip(x).zip(mask) {
            if *m != 0 {
                *recent += weight * (x - *recent);
            }
        }
        if self.recent_s < RECENT_S {
            return;
        }
        let (mut sum, mut tones) = (0.0, 0);
        for ((recent, profile), m) in self.recent.iter().zip(&self.profile).zip(mask) {
            if *m != 0 {
                let off = recent - profile;
                sum += off * off;
                tones += 1;
            }
        }
        self.deviation = sum / tones.max(1) as f32;
        if !empty {
            return;
        }
        self.known_s += step_s;
        let weight = step_s / detmath::min(self.known_s, PROFILE_S);
        for (profile, recent) in self.profile.iter_mut().zip(&self.recent) {
            *profile += weight * (recent - *profile);
        }
        // The first seconds measure how the profile itself settles.
        if self.known_s > 2.0 * RECENT_S {
            let weight = step_s / detmath::min(self.known_s - 2.0 * RECENT_S, PROFILE_S);
            self.spread += weight * (self.deviation - self.spread);
        }
    }

    /// Log-likelihood ratio of nobody against somebody who keeps still, at `most`: 0 when nothing is known, or nothing like
    /// the empty room.
    pub(super) fn llr(&self, most: f32) -> f32 {
        if self.known_s < KNOWN_MIN_S || self.recent_s < RECENT_S {
            return 0.0;
        }
        let ratio = ((self.deviation + FLOOR * FLOOR) / (self.spread + FLOOR * FLOOR)).sqrt();
        detmath::clamp(-SLOPE * detmath::ln(ratio / RATIO_MAX), 0.0, most)
    }

    /// Whether the arrays have their length and all numbers are finite.
    pub(super) fn is_sound(&self, tones: usize) -> bool {
        let numbers = [self.recent_s, self.known_s, self.spread, self.deviation];
        self.recent.len() == tones
            && self.profile.len() == tones
            && self.recent.iter().chain(&self.profile).all(|v| v.is_finite())
            && numbers.iter().all(|v| v.is_finite() && *v >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_S: f32 = 0.05;
    const TONES: usize = 24;

    /// Amplitudes of the empty room with a little noise, the same in every run, and `off` more on every third tone.
    fn frame(tick: u32, off: f32) -> Vec<f32> {
        let noise = |k: usize| {
            let mixed =
                (tick.wrapping_mul(0x9E37_79B9) ^ (k as u32).wrapping_mul(0x85EB_CA6B)).wrapping_mul(0xC2B2_AE35);
            (mixed >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..TONES)
            .map(|k| 1.0 + 0.02 * noise(k) + if k % 3 == 0 { off } else { 0.0 })
            .collect()
    }

    fn run(v: &mut Vacancy, ticks: core::ops::Range<u32>, off: f32, empty: bool) {
        for tick in ticks {
            v.update(&frame(tick, off), &[1; TONES], STEP_S, empty);
        }
    }

    #[test]
    fn a_room_that_looks_as_it_did_is_empty_and_another_look_says_nothing() {
        let mut v = Vacancy::new(TONES);
        run(&mut v, 0..190, 0.0, true);
        assert_eq!(v.llr(4.0), 0.0, "9.5 s are not enough");
        run(&mut v, 190..600, 0.0, true);
        run(&mut v, 600..700, 0.1, false);
        assert_eq!(v.llr(4.0), 0.0, "somebody sits there");
        run(&mut v, 700..760, 0.0, false);
        assert!(v.llr(4.0) > 1.0, "gone: {}", v.llr(4.0));
    }

    #[test]
    fn it_follows_slow_drift_and_forgets_with_a_new_calibration() {
        let mut v = Vacancy::new(TONES);
        for step in 0..40 {
            run(&mut v, 100 * step..100 * (step + 1), 0.002 * step as f32, true);
        }
        run(&mut v, 4_000..4_100, 0.078, false);
        assert!(v.llr(4.0) > 0.5, "{}", v.llr(4.0));
        v.clear();
        assert_eq!(v.llr(4.0), 0.0);
        assert!(v.is_sound(TONES) && !v.is_sound(TONES + 1));
    }
}
