//! A link path as it was when the room was last empty.
//!
//! The calibrated profile drifts over days, so that somebody who keeps still cannot be told from drift by it. But drift is
//! slow: a room that looks as it did a minute ago, when it was empty, is empty again. The profile of the last empty
//! times, with the spread that its means of half a second had, says so. It speaks for *empty* only: a profile
//! that is another may be somebody, or a moved chair, or drift.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{calibration::PathBaseline, detmath};

/// Length of the means that are compared, seconds.
const MOMENT_S: f32 = 0.5;
/// Time constant of the empty room's profile, seconds.
const PROFILE_S: f32 = 30.0;
/// Empty time a profile needs before it says anything, seconds.
const KNOWN_MIN_S: f32 = 10.0;
/// Deviation, in units of the empty room's own, above which a profile says nothing.
const RATIO_MAX: f32 = 1.6;
/// The same, above which it is no scatter: somebody about to come in, or, for `MOVED_S` of empty time on end, a chair that was moved.
/// Then the empty room is learned anew.
const MOVED_RATIO: f32 = 4.0;
/// See there, seconds.
const MOVED_S: f32 = 10.0;
/// Log-likelihood ratio that a factor e below that is worth.
const SLOPE: f32 = 4.0;
/// The least a mean is credited with, in gain-normalised amplitude: what 8-bit samples leave.
const FLOOR: f32 = 1e-3;

/// What a CSI path knows of the empty room of late. Arrays run over its tones.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Vacancy {
    /// The half second that is under way.
    now: Moment,
    /// Mean amplitude of the last empty times, and the seconds it rests on.
    profile: Vec<f32>,
    known_s: f32,
    /// Mean square deviation of their half-second means from it.
    spread: f32,
    /// That of the last half second; none before the first.
    deviation: Option<f32>,
    /// Empty time on end in which it was no scatter, seconds.
    moved_s: f32,
}

/// Amplitudes of half a second, added up.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Moment {
    sum: Vec<f32>,
    /// Frames that had the tone.
    count: Vec<u32>,
    span_s: f32,
    /// Nobody was there in any of it.
    empty: bool,
}

impl Moment {
    fn new(tones: usize) -> Self {
        Self {
            sum: vec![0.0; tones],
            count: vec![0; tones],
            span_s: 0.0,
            empty: true,
        }
    }

    fn clear(&mut self) {
        self.sum.fill(0.0);
        self.count.fill(0);
        (self.span_s, self.empty) = (0.0, true);
    }

    fn add(&mut self, x: &[f32], mask: &[u8], step_s: f32, empty: bool) {
        for (((sum, count), x), _) in (self.sum.iter_mut())
            .zip(&mut self.count)
            .zip(x)
            .zip(mask)
            .filter(|(_, m)| **m != 0)
        {
            *sum += x;
            *count += 1;
        }
        self.span_s += step_s;
        self.empty &= empty;
    }

    /// Mean amplitudes of the tones that were there; none for others.
    fn means(&self) -> impl Iterator<Item = Option<f32>> {
        let tones = self.sum.iter().zip(&self.count);
        tones.map(|(sum, count)| (*count > 0).then(|| sum / *count as f32))
    }
}

impl Vacancy {
    pub(super) fn new(tones: usize) -> Self {
        Self {
            now: Moment::new(tones),
            profile: vec![0.0; tones],
            known_s: 0.0,
            spread: 0.0,
            deviation: None,
            moved_s: 0.0,
        }
    }

    /// Begins anew from the empty room of a calibration; knows nothing without one.
    ///
    /// A calibration says nothing of how the means of half a second scatter: they are taken to scatter as white noise does.
    /// Receivers whose noise is not white scatter more, so that this says too little for *empty* until the room has been.
    pub(super) fn begin(&mut self, baseline: Option<&PathBaseline>, step_s: f32) {
        self.now.clear();
        (self.known_s, self.spread, self.deviation, self.moved_s) = (0.0, 0.0, None, 0.0);
        let Some(b) = baseline.filter(|b| b.amplitude.len() == self.profile.len()) else {
            return;
        };
        self.profile.copy_from_slice(&b.amplitude);
        let (mut variance, mut tones) = (0.0, 0);
        for (of_tone, _) in b.amplitude_variance.iter().zip(&b.mask).filter(|(_, m)| **m != 0) {
            variance += of_tone;
            tones += 1;
        }
        let share = detmath::min(step_s / MOMENT_S, 1.0) + 1.0 / b.frames.max(1) as f32;
        let spread = share * variance / tones.max(1) as f32;
        if !spread.is_finite() {
            return;
        }
        self.spread = spread;
        // No more than what is needed: the room of today outweighs a calibration of last week in seconds.
        self.known_s = detmath::min(b.frames as f32 * step_s, KNOWN_MIN_S);
    }

    /// One cycle with a frame of gain-normalised amplitudes `x`. `empty`: nobody was there in the cycle before.
    pub(super) fn update(&mut self, x: &[f32], mask: &[u8], step_s: f32, empty: bool) {
        self.now.add(x, mask, step_s, empty);
        // Half a cycle less: sums of steps are not exact.
        if self.now.span_s < MOMENT_S - 0.5 * step_s {
            return;
        }
        let (mut sum, mut tones) = (0.0, 0);
        for (mean, profile) in self.now.means().zip(&self.profile) {
            if let Some(mean) = mean {
                sum += (mean - profile) * (mean - profile);
                tones += 1;
            }
        }
        // A calibration may say anything that is finite; its square need not be.
        let deviation = detmath::min(sum / tones.max(1) as f32, f32::MAX);
        self.deviation = Some(deviation);
        if self.now.empty {
            self.learn(deviation);
        }
        self.now.clear();
    }

    /// Takes the half second that has ended, in which nobody was there.
    fn learn(&mut self, deviation: f32) {
        let span_s = self.now.span_s;
        if self.known_s >= KNOWN_MIN_S && self.ratio(deviation) > MOVED_RATIO {
            self.moved_s += span_s;
            if self.moved_s < MOVED_S {
                return;
            }
            (self.known_s, self.spread) = (0.0, 0.0);
        }
        self.moved_s = 0.0;
        self.known_s += span_s;
        let weight = span_s / detmath::min(self.known_s, PROFILE_S);
        for (profile, mean) in self.profile.iter_mut().zip(self.now.means()) {
            if let Some(mean) = mean {
                *profile += weight * (mean - *profile);
            }
        }
        // The first second measures how the profile itself settles.
        let settled_s = self.known_s - 2.0 * MOMENT_S;
        if settled_s > 0.5 * span_s {
            let weight = span_s / detmath::clamp(settled_s, span_s, PROFILE_S);
            self.spread += weight * (deviation - self.spread);
        }
    }

    /// Log-likelihood ratio of nobody against somebody who keeps still, at `most`: 0 when nothing is known, or nothing like
    /// the empty room.
    pub(super) fn llr(&self, most: f32) -> f32 {
        match self.deviation {
            Some(deviation) if self.known_s >= KNOWN_MIN_S => {
                detmath::clamp(-SLOPE * detmath::ln(self.ratio(deviation) / RATIO_MAX), 0.0, most)
            }
            _ => 0.0,
        }
    }

    /// A deviation in units of the empty room's own.
    fn ratio(&self, deviation: f32) -> f32 {
        ((deviation + FLOOR * FLOOR) / (self.spread + FLOOR * FLOOR)).sqrt()
    }

    /// Whether the arrays have their length and all numbers are finite.
    pub(super) fn is_sound(&self, tones: usize) -> bool {
        let numbers = [
            self.now.span_s,
            self.known_s,
            self.spread,
            self.moved_s,
            self.deviation.unwrap_or(0.0),
        ];
        let arrays = [&self.now.sum, &self.profile];
        arrays
            .iter()
            .all(|a| a.len() == tones && a.iter().all(|v| v.is_finite()))
            && self.now.count.len() == tones
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
    fn a_calibration_is_an_empty_room_too() {
        let calibration = |frames: u32| PathBaseline {
            frames,
            mask: vec![1; TONES],
            amplitude: (0..TONES).map(|_| 1.0).collect(),
            amplitude_variance: vec![0.02 * 0.02 / 12.0; TONES],
            ..PathBaseline::default()
        };
        let after = |frames: u32, off: f32| {
            let mut v = Vacancy::new(TONES);
            v.begin(Some(&calibration(frames)), STEP_S);
            run(&mut v, 0..100, off, false);
            v.llr(4.0)
        };
        assert!(after(200, 0.0) > 1.0, "{}", after(200, 0.0));
        assert_eq!(after(200, 0.1), 0.0, "somebody sits there");
        assert_eq!(after(100, 0.0), 0.0, "5 s are not enough");
        let mut v = Vacancy::new(TONES);
        let absurd = PathBaseline {
            amplitude: vec![3e38; TONES],
            amplitude_variance: vec![3e38; TONES],
            ..calibration(200)
        };
        v.begin(Some(&absurd), STEP_S);
        run(&mut v, 0..1_000, 0.0, true);
        assert!(v.is_sound(TONES));
    }

    #[test]
    fn a_chair_that_was_moved_is_learned_and_a_passer_by_is_not() {
        let mut v = Vacancy::new(TONES);
        run(&mut v, 0..400, 0.0, true);
        run(&mut v, 400..560, 0.1, true);
        run(&mut v, 560..620, 0.0, false);
        assert!(v.llr(4.0) > 1.0, "8 s of somebody at the door: {}", v.llr(4.0));
        run(&mut v, 620..1_300, 0.1, true);
        assert!(v.llr(4.0) > 1.0, "the chair stands there: {}", v.llr(4.0));
        run(&mut v, 1_300..1_360, 0.2, false);
        assert_eq!(v.llr(4.0), 0.0, "somebody sits on it");
    }

    #[test]
    fn it_follows_slow_drift_and_begins_anew_with_a_calibration() {
        let mut v = Vacancy::new(TONES);
        for step in 0..40 {
            run(&mut v, 100 * step..100 * (step + 1), 0.002 * step as f32, true);
        }
        run(&mut v, 4_000..4_100, 0.078, false);
        assert!(v.llr(4.0) > 0.5, "{}", v.llr(4.0));
        v.begin(None, STEP_S);
        assert_eq!(v.llr(4.0), 0.0);
        assert!(v.is_sound(TONES) && !v.is_sound(TONES + 1));
    }
}
