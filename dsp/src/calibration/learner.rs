//! Learns one path's baseline while the room is empty, and notices when it is not.

use borsh::{BorshDeserialize, BorshSerialize};
use num_complex::Complex32;
use thiserror::Error;

use super::{PathBaseline, QuietLevel, levels::LevelHistogram};
use crate::{detmath, motion::MotionStat};

/// CSI frames a path needs (one a tick): a second and a half of a 20 Hz stream.
pub const FRAMES_MIN_CSI: u32 = 30;
/// RSS samples a path needs: one sweep of a mesh is a calibration.
pub const FRAMES_MIN_RSS: u32 = 1;
/// Median share of coherent variance above which a CSI path is seen to move. Receivers' noise alone stays below 0.1, a
/// person who sits and breathes close to the link reaches 0.4, one who walks 0.6 to 0.9.
pub const COHERENT_SHARE_MAX: f32 = 0.5;
/// Coherent variance at the 90th percentile over the median whole variance: above it something moved for a while.
pub const BURST_MAX: f32 = 3.0;
/// 90th over 50th percentile of the standard deviation of an RSS path: above it something moved for a while.
pub const RSS_BURST_MAX: f32 = 3.0;
/// Median standard deviation of an RSS path above which it is seen to move, dB.
pub const RSS_STD_MAX_DB: f32 = 3.0;
/// Quiet standard deviation of an RSS path with too few samples to know its own, dB: one quantisation step.
pub const RSS_STD_PRIOR_DB: f32 = 1.0;
/// The least standard deviation an RSS path is credited with: uniform quantisation at 1 dB.
pub const RSS_STD_FLOOR_DB: f32 = 0.29;

/// Why a calibration was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, BorshSerialize, BorshDeserialize)]
pub enum CalibrationRefused {
    /// Somebody or something moves.
    #[error(
        "{moving} of {judged} link paths move; leave the room and keep doors and fans still, then start calibration again"
    )]
    Motion {
        /// Paths seen to move.
        moving: u32,
        /// Paths that could be judged.
        judged: u32,
    },
    /// Too little was received.
    #[error(
        "{ready} of {paths} link paths received enough frames ({frames_min} needed, the best got {frames_best}); \
         calibrate for longer or check the nodes"
    )]
    TooLittle {
        /// Paths with enough frames.
        ready: u32,
        /// Paths of the site.
        paths: u32,
        /// Frames a path needs.
        frames_min: u32,
        /// Frames the best path got.
        frames_best: u32,
    },
}

/// Running sums for one path. Arrays run over the path's tones (one value for RSS paths).
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Learner {
    csi: bool,
    frames: u32,
    count: Vec<u32>,
    mean: Vec<f32>,
    m2: Vec<f32>,
    cosine: Vec<f32>,
    sine: Vec<f32>,
    /// By tone, sum of the products with the array's first antenna; empty outside arrays.
    cross: Vec<[f32; 2]>,
    gain_sum: f64,
    agc_sum: u64,
    agc_count: u32,
    rss_count: u32,
    rss_mean: f64,
    rss_m2: f64,
    stats: u32,
    std_sum: f64,
    variance_sum: f64,
    std_levels: LevelHistogram,
    variance_levels: LevelHistogram,
    coherent: Part,
    smooth: Part,
}

/// The coherent or the smooth part of the variance over the windows that had one.
#[derive(Clone, Debug, Default, BorshSerialize, BorshDeserialize)]
struct Part {
    count: u32,
    mean: f64,
    m2: f64,
    levels: LevelHistogram,
}

impl Part {
    fn clear(&mut self) {
        (self.count, self.mean, self.m2) = (0, 0.0, 0.0);
        self.levels.clear();
    }

    fn add(&mut self, value: Option<f32>) {
        let Some(value) = value else { return };
        self.count += 1;
        let d = f64::from(value) - self.mean;
        self.mean += d / f64::from(self.count);
        self.m2 += d * (f64::from(value) - self.mean);
        self.levels.add(value);
    }

    /// Whether at least half of so many windows had it.
    fn known(&self, windows: u32) -> bool {
        2 * self.count >= windows
    }

    /// What quiet windows stay below: mean and two standard deviations.
    fn level(&self, windows: u32) -> Option<f32> {
        (self.count > 1 && self.known(windows)).then(|| {
            let spread = (self.m2 / f64::from(self.count - 1)).sqrt() as f32;
            detmath::max(detmath::max(self.mean as f32, 0.0) + 2.0 * spread, f32::MIN_POSITIVE)
        })
    }
}

impl Learner {
    /// A learner for a path of `channels` tones, or for an RSS path (`csi` false, one channel).
    pub fn new(channels: usize, csi: bool) -> Self {
        Self {
            csi,
            frames: 0,
            count: vec![0; channels],
            mean: vec![0.0; channels],
            m2: vec![0.0; channels],
            cosine: vec![0.0; channels],
            sine: vec![0.0; channels],
            cross: Vec::new(),
            gain_sum: 0.0,
            agc_sum: 0,
            agc_count: 0,
            rss_count: 0,
            rss_mean: 0.0,
            rss_m2: 0.0,
            stats: 0,
            std_sum: 0.0,
            variance_sum: 0.0,
            std_levels: LevelHistogram::default(),
            variance_levels: LevelHistogram::default(),
            coherent: Part::default(),
            smooth: Part::default(),
        }
    }

    /// True when the arrays have the right size (a state import checks it).
    pub fn fits(&self, channels: usize, csi: bool) -> bool {
        let arrays = [&self.mean, &self.m2, &self.cosine, &self.sine];
        self.csi == csi
            && self.count.len() == channels
            && (self.cross.is_empty() || self.cross.len() == channels)
            && self.cross.iter().flatten().all(|v| v.is_finite())
            && arrays
                .iter()
                .all(|a| a.len() == channels && a.iter().all(|v| v.is_finite()))
            && [&self.std_levels, &self.variance_levels]
                .into_iter()
                .chain([&self.coherent, &self.smooth].map(|part| &part.levels))
                .all(LevelHistogram::fits)
    }

    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        let Self {
            csi,
            frames,
            count,
            mean,
            m2,
            cosine,
            sine,
            cross,
            ..
        } = self;
        cross.fill([0.0; 2]);
        (*frames, *csi) = (0, *csi);
        count.fill(0);
        for array in [mean, m2, cosine, sine] {
            array.fill(0.0);
        }
        (self.gain_sum, self.agc_sum, self.agc_count) = (0.0, 0, 0);
        (self.rss_count, self.rss_mean, self.rss_m2) = (0, 0.0, 0.0);
        (self.stats, self.std_sum, self.variance_sum) = (0, 0.0, 0.0);
        for levels in [&mut self.std_levels, &mut self.variance_levels] {
            levels.clear();
        }
        for part in [&mut self.coherent, &mut self.smooth] {
            part.clear();
        }
    }

    /// Takes one aligned CSI frame: gain-normalised amplitudes `x` (Welford 1962) and the unit phasors of its tones
    /// (circular statistics: Fisher 1993, section 2.3).
    pub fn add_frame(&mut self, x: &[f32], tones: &[Complex32], mask: &[u8], gain: f32, agc_db: Option<u8>) {
        self.frames += 1;
        self.gain_sum += f64::from(gain);
        if let Some(agc) = agc_db {
            self.agc_sum += u64::from(agc);
            self.agc_count += 1;
        }
        for k in 0..x.len() {
            if mask[k] == 0 {
                continue;
            }
            self.count[k] += 1;
            let d = x[k] - self.mean[k];
            self.mean[k] += d / self.count[k] as f32;
            self.m2[k] += d * (x[k] - self.mean[k]);
            let length = (tones[k].re * tones[k].re + tones[k].im * tones[k].im).sqrt();
            if length > 0.0 {
                self.cosine[k] += tones[k].re / length;
                self.sine[k] += tones[k].im / length;
            }
        }
    }

    /// Takes a frame of a further antenna of an array beside the same frame of the first one, raw: what turns both alike, oscillators
    /// and clocks, cancels in their product.
    pub fn add_cross(&mut self, (own, mask): (&[[f32; 2]], &[u8]), (first, first_mask): (&[[f32; 2]], &[u8])) {
        self.cross.resize(self.count.len(), [0.0; 2]);
        for (k, sum) in self.cross.iter_mut().enumerate() {
            let ([a, b], [c, d]) = (own[k], first[k]);
            let length = detmath::hypot(a, b) * detmath::hypot(c, d);
            if mask[k] != 0 && first_mask[k] != 0 && length > 0.0 && length.is_finite() {
                sum[0] += (a * c + b * d) / length;
                sum[1] += (b * c - a * d) / length;
            }
        }
    }

    /// Takes one received strength.
    pub fn add_rss(&mut self, rssi_dbm: f32) {
        self.rss_count += 1;
        let d = f64::from(rssi_dbm) - self.rss_mean;
        self.rss_mean += d / f64::from(self.rss_count);
        self.rss_m2 += d * (f64::from(rssi_dbm) - self.rss_mean);
    }

    /// Takes the motion statistic of one window.
    pub fn add_statistic(&mut self, stat: &MotionStat) {
        self.stats += 1;
        self.std_sum += f64::from(stat.std);
        self.variance_sum += f64::from(stat.variance);
        self.std_levels.add(stat.std);
        self.variance_levels.add(stat.variance);
        self.coherent.add(stat.coherent);
        self.smooth.add(stat.smooth);
    }

    /// Frames (CSI) or samples (RSS) taken so far.
    pub fn frames(&self) -> u32 {
        if self.csi { self.frames } else { self.rss_count }
    }

    /// Frames this kind of path needs.
    pub fn frames_min(&self) -> u32 {
        if self.csi { FRAMES_MIN_CSI } else { FRAMES_MIN_RSS }
    }

    /// True when enough was received.
    pub fn ready(&self) -> bool {
        self.frames() >= self.frames_min() && (self.stats > 0 || !self.csi)
    }

    /// Whether the path moved while it was watched; none when there were too few windows to tell.
    pub fn moved(&self) -> Option<bool> {
        if self.stats < 4 {
            return None;
        }
        if let Some(part) = [&self.coherent, &self.smooth]
            .into_iter()
            .find(|part| part.known(self.stats))
        {
            let variance = self.variance_levels.quantile(0.5)?;
            let typical = part.levels.quantile(0.5)?;
            let high = part.levels.quantile(0.9)?;
            Some(typical > COHERENT_SHARE_MAX * variance || high > BURST_MAX * variance)
        } else if self.csi {
            None
        } else {
            let typical = detmath::max(self.std_levels.quantile(0.5)?, RSS_STD_FLOOR_DB);
            let high = self.std_levels.quantile(0.9)?;
            Some(typical > RSS_STD_MAX_DB || high > RSS_BURST_MAX * typical)
        }
    }

    /// The baseline learned so far; none until [`Learner::ready`].
    pub fn baseline(&self) -> Option<PathBaseline> {
        if !self.ready() {
            return None;
        }
        let channels = self.count.len();
        let mut out = PathBaseline {
            frames: self.frames(),
            mask: self
                .count
                .iter()
                .map(|&n| u8::from(2 * n >= self.frames && n > 1))
                .collect(),
            amplitude: self.mean.clone(),
            amplitude_variance: vec![0.0; channels],
            phase_rad: vec![0.0; channels],
            phase_dispersion: vec![1.0; channels],
            chosen: vec![1; channels],
            gain: (self.gain_sum / f64::from(self.frames.max(1))) as f32,
            agc_db: (self.agc_count > 0).then(|| (self.agc_sum as f64 / f64::from(self.agc_count)) as f32),
            rss_dbm: (self.rss_count > 0).then_some(self.rss_mean as f32),
            rss_std_db: RSS_STD_PRIOR_DB,
            quiet: self.quiet(),
            cross_phase_rad: self.cross.iter().map(|[re, im]| detmath::atan2(*im, *re)).collect(),
        };
        if self.rss_count >= 8 {
            let std = (self.rss_m2 / f64::from(self.rss_count - 1)).sqrt() as f32;
            out.rss_std_db = detmath::max(std, RSS_STD_FLOOR_DB);
        }
        if self.csi {
            for k in 0..channels {
                let n = self.count[k].max(1) as f32;
                out.amplitude_variance[k] = self.m2[k] / (self.count[k].max(2) - 1) as f32;
                if self.cosine[k] != 0.0 || self.sine[k] != 0.0 {
                    out.phase_rad[k] = detmath::atan2(self.sine[k], self.cosine[k]);
                    out.phase_dispersion[k] = detmath::max(1.0 - detmath::hypot(self.cosine[k], self.sine[k]) / n, 0.0);
                }
            }
            choose_tones(&out.mask, &out.amplitude_variance, &mut out.chosen);
        } else {
            out.mask.fill(1);
        }
        Some(out)
    }

    fn quiet(&self) -> QuietLevel {
        let n = f64::from(self.stats.max(1));
        let mut level = QuietLevel {
            windows: self.stats,
            std: (self.std_sum / n) as f32,
            variance: (self.variance_sum / n) as f32,
            coherent: self.coherent.level(self.stats),
            smooth: self.smooth.level(self.stats),
        };
        if !self.csi {
            if self.stats == 0 {
                level.std = RSS_STD_PRIOR_DB;
            }
            level.std = detmath::max(level.std, RSS_STD_FLOOR_DB);
            level.variance = detmath::max(level.variance, RSS_STD_FLOOR_DB * RSS_STD_FLOOR_DB);
        }
        level.std = detmath::max(level.std, f32::MIN_POSITIVE);
        level
    }
}

/// Chooses the tones for the motion statistic: those measured whose quiet variance is at most twice the median,
/// so that a tone in a null, which is noise alone, does not dilute the rest. At least half of the tones stay.
fn choose_tones(mask: &[u8], variance: &[f32], chosen: &mut [u8]) {
    let mut sorted: Vec<f32> = variance
        .iter()
        .zip(mask)
        .filter(|(_, m)| **m != 0)
        .map(|(v, _)| *v)
        .collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let limit = 2.0 * sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    for ((chosen, &m), &v) in chosen.iter_mut().zip(mask).zip(variance) {
        *chosen = u8::from(m != 0 && v <= limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(std: f32, coherent: f32) -> MotionStat {
        MotionStat {
            frames: 50,
            span_s: 1.0,
            std,
            variance: std * std,
            coherent: Some(coherent),
            smooth: None,
        }
    }

    fn learner(frames: u32, each: impl Fn(u32) -> (f32, Complex32, MotionStat)) -> Learner {
        let mut learner = Learner::new(2, true);
        for i in 0..frames {
            let (x, tone, stat) = each(i);
            learner.add_frame(
                &[x, 1.0],
                &[tone, Complex32::new(0.0, 2.0)],
                &[1, u8::from(i < 3)],
                10.0,
                Some(30),
            );
            learner.add_statistic(&stat);
        }
        learner
    }

    #[test]
    fn circular_mean_at_the_seam_by_hand() {
        // Phases pi - 0.1 and -pi + 0.1 average to pi, not to 0; R = cos 0.1.
        let l = learner(40, |i| {
            let a = if i % 2 == 0 {
                core::f32::consts::PI - 0.1
            } else {
                0.1 - core::f32::consts::PI
            };
            (
                1.0,
                Complex32::new(3.0 * detmath::cos(a), 3.0 * detmath::sin(a)),
                stat(0.02, 0.0),
            )
        });
        let b = l.baseline().unwrap();
        assert!(
            (b.phase_rad[0].abs() - core::f32::consts::PI).abs() < 1e-3,
            "{}",
            b.phase_rad[0]
        );
        assert!((b.phase_dispersion[0] - (1.0 - detmath::cos(0.1))).abs() < 1e-4);
        assert_eq!((b.mask, b.agc_db, b.gain), (vec![1, 0], Some(30.0), 10.0));
    }

    #[test]
    fn welford_by_hand_and_quiet_level() {
        let l = learner(40, |i| {
            (
                if i % 2 == 0 { 1.0 } else { 3.0 },
                Complex32::new(1.0, 0.0),
                stat(0.02, 1e-5),
            )
        });
        let b = l.baseline().unwrap();
        assert!((b.amplitude[0] - 2.0).abs() < 1e-6);
        assert!((b.amplitude_variance[0] - 40.0 / 39.0).abs() < 1e-5);
        assert!((b.quiet.coherent.unwrap() - 1e-5).abs() < 1e-9);
        // Now a fluctuation of 9e-5 over 1e-5 and a twentieth of the white noise of 1.6e-3.
        let now = MotionStat {
            variance: 1.69e-3,
            coherent: Some(9e-5),
            ..stat(0.0, 0.0)
        };
        assert!((b.quiet.motion_ratio(&now) - 1.0).abs() < 1e-3);
        assert_eq!(l.moved(), Some(false));
    }

    #[test]
    fn motion_all_the_time_or_for_a_while_is_seen() {
        let tone = Complex32::new(1.0, 0.0);
        assert_eq!(learner(40, |_| (1.0, tone, stat(0.1, 0.006))).moved(), Some(true));
        let burst = learner(100, |i| {
            (1.0, tone, if i > 80 { stat(0.2, 0.03) } else { stat(0.02, 0.0) })
        });
        assert_eq!(burst.moved(), Some(true));
    }

    #[test]
    fn slow_paths_are_judged_by_their_smooth_part() {
        let tone = Complex32::new(1.0, 0.0);
        let slow = |std: f32, smooth: f32| MotionStat {
            coherent: None,
            smooth: Some(smooth),
            ..stat(std, 0.0)
        };
        assert_eq!(learner(40, |_| (1.0, tone, slow(0.1, 0.006))).moved(), Some(true));
        let l = learner(40, |_| (1.0, tone, slow(0.02, 4e-5)));
        assert_eq!(l.moved(), Some(false));
        let quiet = l.baseline().unwrap().quiet;
        assert!(quiet.coherent.is_none() && (quiet.smooth.unwrap() - 4e-5).abs() < 1e-9);
        // 3.6e-4 of 5.6e-4 is smooth: over 4e-5 and a fifth of the 2e-4 that are not.
        let now = slow(5.6e-4_f32.sqrt(), 3.6e-4);
        assert!((quiet.motion_ratio(&now) - 4.5_f32.sqrt()).abs() < 1e-3);
    }

    #[test]
    fn too_little_gives_nothing() {
        let tone = Complex32::new(1.0, 0.0);
        let l = learner(FRAMES_MIN_CSI - 1, |_| (1.0, tone, stat(0.02, 0.0)));
        assert!(!l.ready() && l.baseline().is_none());
        let mut rss = Learner::new(1, false);
        assert!(rss.baseline().is_none());
        rss.add_rss(-61.0);
        let b = rss.baseline().unwrap();
        assert_eq!(
            (b.rss_dbm, b.rss_std_db, b.quiet.std),
            (Some(-61.0), RSS_STD_PRIOR_DB, RSS_STD_PRIOR_DB)
        );
    }

    #[test]
    fn clearing_leaves_a_new_learner() {
        let mut l = learner(40, |_| (1.0, Complex32::new(1.0, 1.0), stat(0.1, 0.006)));
        l.add_rss(-50.0);
        l.clear();
        assert_eq!(
            borsh::to_vec(&l).unwrap(),
            borsh::to_vec(&Learner::new(2, true)).unwrap()
        );
    }

    #[test]
    fn a_noisy_tone_is_not_chosen() {
        let mut chosen = [9; 5];
        choose_tones(&[1, 1, 1, 1, 0], &[1.0, 1.1, 0.9, 5.0, 0.0], &mut chosen);
        assert_eq!(chosen, [1, 1, 1, 0, 0]);
    }
}
