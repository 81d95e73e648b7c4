//! Motion statistic of one link path: how much its gain-normalised channel fluctuates, noise taken out.
//!
//! The plain statistic is `s = mean_k std_W(x_k)` over the frames of the last window W. It carries the receiver's
//! noise, which differs between receivers, gains and days, so a threshold on `s` does not transfer. Receiver
//! noise is white from frame to frame, a moving body is not (its Doppler is a few tens of hertz at most): the
//! covariance of neighbouring frames
//! `c = mean_k mean_t (x_k[t] - m_k)(x_k[t-1] - m_k)` keeps the motion and loses the noise.
//!
//! It needs neighbours less than a quarter of a Doppler period apart. Where frames come more slowly, neighbours in
//! frequency take their place: the echo of a body changes tones alike that are a thirteenth of the band apart (1.5 MHz
//! of 20; its way round is a few tens of nanoseconds longer than the direct one), noise does not.
//! `f = mean_t mean_k (x_k[t] - m_k)(x_{k+s}[t] - m_{k+s})` asks nothing of the frame rate. It is second
//! choice because receivers correlate the noise of tones a little, by their filters. Paths with one value a
//! frame (RSS meshes) use the whole variance.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{detmath, hampel::Hampel};

/// Which frames a statistic covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowConfig {
    /// Window, seconds.
    pub window_s: f32,
    /// Slow paths look further back, until they hold this many frames ...
    pub frames_min: usize,
    /// ... but never further than this, seconds.
    pub window_max_s: f32,
    /// Fast paths keep no more frames than this.
    pub frames_max: usize,
    /// Neighbouring frames further apart than this say little about each other, seconds: a quarter of a period of 16 Hz,
    /// which is a body that comes near both ends of a link at 1 m/s at 2.4 GHz.
    pub lag_max_s: f32,
    /// After a longer gap the outlier filter forgets what was before it, seconds.
    pub outlier_gap_s: f32,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            window_s: 1.0,
            frames_min: 4,
            window_max_s: 6.0,
            frames_max: 128,
            lag_max_s: 0.016,
            outlier_gap_s: 0.06,
        }
    }
}

/// Fewest frames a statistic is made from.
pub const FRAMES_VALID: u32 = 4;
/// Neighbours in frequency stand this share of the tones apart.
const BAND_PARTS: usize = 13;

/// What one window says.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct MotionStat {
    /// Frames in the window.
    pub frames: u32,
    /// Time they span, seconds.
    pub span_s: f32,
    /// Mean over the tones of the standard deviation.
    pub std: f32,
    /// Mean over the tones of the variance: noise and motion.
    pub variance: f32,
    /// Mean over the tones of the covariance of neighbouring frames: motion alone. May be slightly negative.
    /// None when the frames are too far apart.
    pub coherent: Option<f32>,
    /// Mean over the tones of the covariance of neighbours in frequency: motion, and what the receiver's filters make of
    /// its noise. None where a frame is one value.
    pub smooth: Option<f32>,
}

impl MotionStat {
    /// Variance without its coherent or smooth part: the receiver's white noise (and, without the coherent part, what
    /// moves too fast for the frame rate).
    pub fn without(&self, part: f32) -> f32 {
        detmath::max(self.variance - detmath::max(part, 0.0), 0.0)
    }
}

/// The last frames of one path, in a ring; `channels` values a frame (tones, or 1 for RSS).
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct MotionWindow {
    channels: u32,
    capacity: u32,
    head: u32,
    len: u32,
    times_ns: Vec<i64>,
    /// Zero where masked.
    values: Vec<f32>,
    /// 1 or 0.
    mask: Vec<u8>,
    hampel: Option<Hampel>,
}

impl MotionWindow {
    /// An empty window. `hampel_floor`: the smallest step the outlier filter takes for one, in the values' unit.
    pub fn new(channels: usize, config: &WindowConfig, hampel_floor: Option<f32>) -> Self {
        let capacity = config.frames_max.max(FRAMES_VALID as usize);
        Self {
            channels: channels as u32,
            capacity: capacity as u32,
            head: 0,
            len: 0,
            times_ns: vec![0; capacity],
            values: vec![0.0; capacity * channels],
            mask: vec![0; capacity * channels],
            hampel: hampel_floor.map(|floor| Hampel::new(channels, floor)),
        }
    }

    /// True when this window was built for `channels` and `config` (a state import checks it).
    pub fn fits(&self, channels: usize, config: &WindowConfig) -> bool {
        let fresh = Self::new(channels, config, None);
        let capacity = fresh.capacity;
        self.channels == fresh.channels
            && self.capacity == capacity
            && self.head < capacity
            && self.len <= capacity
            && self.times_ns.len() == fresh.times_ns.len()
            && self.values.len() == fresh.values.len()
            && self.mask.len() == fresh.mask.len()
            && self.mask.iter().all(|&m| m <= 1)
            && self
                .values
                .iter()
                .zip(&self.mask)
                .all(|(v, &m)| v.is_finite() && (m == 1 || *v == 0.0))
            && self.hampel.as_ref().is_none_or(|h| h.fits(channels))
    }

    /// True when it holds as many frames as it can: a fast path's then span less than the window.
    pub fn is_full(&self) -> bool {
        self.len == self.capacity
    }

    /// Appends a frame. A frame earlier than the newest starts the window anew (the clock was set back).
    pub fn push(&mut self, time_ns: i64, values: &[f32], mask: &[u8], config: &WindowConfig) {
        let mut gap_ns = 0;
        if let Some(newest) = self.newest_ns() {
            gap_ns = time_ns.saturating_sub(newest);
            if gap_ns < 0 {
                self.clear();
            }
        }
        let channels = self.channels as usize;
        let slot = self.head as usize;
        let at = slot * channels..(slot + 1) * channels;
        for (((kept, kept_mask), &x), &m) in self.values[at.clone()]
            .iter_mut()
            .zip(&mut self.mask[at.clone()])
            .zip(values)
            .zip(mask)
        {
            *kept_mask = u8::from(m != 0);
            *kept = if m != 0 { x } else { 0.0 };
        }
        self.times_ns[slot] = time_ns;
        if let Some(hampel) = &mut self.hampel {
            if gap_ns > seconds_to_ns(config.outlier_gap_s) {
                hampel.clear();
            }
            hampel.filter(&mut self.values[at], mask);
        }
        self.head = (self.head + 1) % self.capacity;
        self.len = (self.len + 1).min(self.capacity);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.head, self.len) = (0, 0);
        if let Some(hampel) = &mut self.hampel {
            hampel.clear();
        }
    }

    /// Time of the newest frame.
    pub fn newest_ns(&self) -> Option<i64> {
        (self.len > 0).then(|| self.times_ns[self.slot(0)])
    }

    /// Ring slot of the frame `back` places before the newest.
    fn slot(&self, back: u32) -> usize {
        ((self.head + self.capacity - 1 - back) % self.capacity) as usize
    }

    /// Frames of the window that ends at `end_ns`.
    fn frames(&self, end_ns: i64, config: &WindowConfig) -> u32 {
        let short = end_ns.saturating_sub(seconds_to_ns(config.window_s));
        let long = end_ns.saturating_sub(seconds_to_ns(config.window_max_s));
        let mut n = 0;
        while n < self.len {
            let time = self.times_ns[self.slot(n)];
            if time <= short && (n as usize >= config.frames_min || time <= long) {
                break;
            }
            n += 1;
        }
        n
    }

    /// The statistic of the window ending at `end_ns` over the tones with `chosen != 0`.
    /// None with fewer than [`FRAMES_VALID`] frames or no tone measured in that many of them.
    pub fn statistic(
        &self,
        end_ns: i64,
        chosen: &[u8],
        config: &WindowConfig,
        scratch: &mut MotionScratch,
    ) -> Option<MotionStat> {
        let n = self.frames(end_ns, config);
        if n < FRAMES_VALID {
            return None;
        }
        scratch.reset(self.channels as usize);
        let MotionScratch {
            mean,
            count,
            variance: square,
            covariance: product,
            across,
            deviation,
        } = scratch;
        let apart = self.neighbour();
        // Means first: the two passes keep their accuracy however small the fluctuation is. Masked values are zero,
        // so neither pass branches and both run over all tones side by side.
        for back in (0..n).rev() {
            let (values, mask) = self.frame(back);
            for (((mean, count), &x), &m) in mean.iter_mut().zip(count.iter_mut()).zip(values).zip(mask) {
                *mean += x;
                *count += u32::from(m);
            }
        }
        for (mean, &count) in mean.iter_mut().zip(count.iter()) {
            *mean /= count.max(1) as f32;
        }
        let lag_max_ns = seconds_to_ns(config.lag_max_s);
        let mut pairs = 0;
        let mut last_ns = None;
        for back in (0..n).rev() {
            let (values, mask) = self.frame(back);
            let time_ns = self.times_ns[self.slot(back)];
            let tones = deviation
                .iter_mut()
                .zip(square.iter_mut())
                .zip(mean.iter())
                .zip(values)
                .zip(mask);
            if last_ns
                .replace(time_ns)
                .is_some_and(|last| time_ns - last <= lag_max_ns)
            {
                pairs += 1;
                for (((((last, square), &mean), &x), &m), product) in tones.zip(product.iter_mut()) {
                    let d = (x - mean) * f32::from(m);
                    *square += d * d;
                    *product += d * *last;
                    *last = d;
                }
            } else {
                for ((((last, square), &mean), &x), &m) in tones {
                    let d = (x - mean) * f32::from(m);
                    *square += d * d;
                    *last = d;
                }
            }
            if let Some(apart) = apart {
                for ((across, &d), &e) in across.iter_mut().zip(deviation.iter()).zip(&deviation[apart..]) {
                    *across += d * e;
                }
            }
        }

        let (mut std, mut variance, mut covariance, mut tones) = (0.0_f32, 0.0_f32, 0.0_f32, 0_u32);
        let (mut smooth, mut neighbours) = (0.0_f32, 0_u32);
        let usable = |k: usize| chosen[k] != 0 && count[k] >= FRAMES_VALID;
        for k in 0..chosen.len() {
            if !usable(k) {
                continue;
            }
            let v = square[k] / (count[k] - 1) as f32;
            std += v.sqrt();
            variance += v;
            // A tone missing in some frames contributes to fewer pairs; the share keeps it unbiased to first order.
            let share = count[k] as f32 / n as f32;
            covariance += product[k] / (pairs.max(1) as f32 * share * share);
            tones += 1;
            if let Some(other) = apart.map(|a| k + a).filter(|&o| o < chosen.len() && usable(o)) {
                smooth += across[k] / ((n - 1) as f32 * share * (count[other] as f32 / n as f32));
                neighbours += 1;
            }
        }
        if tones == 0 {
            return None;
        }
        let tones = tones as f32;
        let span_ns = self.times_ns[self.slot(0)] - self.times_ns[self.slot(n - 1)];
        Some(MotionStat {
            frames: n,
            span_s: ns_to_seconds(span_ns),
            std: std / tones,
            variance: variance / tones,
            coherent: (2 * pairs >= n).then_some(covariance / tones),
            smooth: (neighbours > 0).then(|| smooth / neighbours as f32),
        })
    }

    /// How many tones apart neighbours in frequency are; none with a single channel.
    fn neighbour(&self) -> Option<usize> {
        let channels = self.channels as usize;
        (channels > 1).then(|| (channels / BAND_PARTS).max(1))
    }

    /// Root mean square deviation of channel 0 from `level` over the window ending at `end_ns`; none without a frame.
    pub fn deviation(&self, end_ns: i64, level: f32, config: &WindowConfig) -> Option<f32> {
        let n = self.frames(end_ns, config);
        let (mut sum, mut count) = (0.0_f32, 0_u32);
        for back in 0..n {
            let (values, mask) = self.frame(back);
            if mask[0] != 0 {
                let d = values[0] - level;
                sum += d * d;
                count += 1;
            }
        }
        (count > 0).then(|| (sum / count as f32).sqrt())
    }

    fn frame(&self, back: u32) -> (&[f32], &[u8]) {
        let (channels, slot) = (self.channels as usize, self.slot(back));
        let at = slot * channels..(slot + 1) * channels;
        (&self.values[at.clone()], &self.mask[at])
    }
}

/// Buffers of [`MotionWindow::statistic`], shared by all paths.
#[derive(Clone, Debug, Default)]
pub struct MotionScratch {
    mean: Vec<f32>,
    count: Vec<u32>,
    variance: Vec<f32>,
    covariance: Vec<f32>,
    across: Vec<f32>,
    deviation: Vec<f32>,
}

impl MotionScratch {
    /// Buffers for up to `channels` values a frame.
    pub fn new(channels: usize) -> Self {
        let mut scratch = Self::default();
        scratch.reset(channels);
        scratch
    }

    fn reset(&mut self, channels: usize) {
        self.count.clear();
        self.count.resize(channels, 0);
        for v in [
            &mut self.mean,
            &mut self.variance,
            &mut self.covariance,
            &mut self.across,
            &mut self.deviation,
        ] {
            v.clear();
            v.resize(channels, 0.0);
        }
    }
}

/// Whole nanoseconds of a duration in seconds; saturates.
pub(crate) fn seconds_to_ns(seconds: f32) -> i64 {
    (f64::from(seconds) * 1e9) as i64
}

/// Seconds of a duration in nanoseconds.
pub(crate) fn ns_to_seconds(ns: i64) -> f32 {
    (ns as f64 * 1e-9) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn filled(frames: usize, step_ms: i64, value: impl Fn(usize, usize) -> f32) -> MotionWindow {
        let config = WindowConfig::default();
        let mut window = MotionWindow::new(2, &config, None);
        for i in 0..frames {
            window.push(i as i64 * step_ms * MS, &[value(i, 0), value(i, 1)], &[1, 1], &config);
        }
        window
    }

    fn stat(window: &MotionWindow, chosen: [u8; 2]) -> Option<MotionStat> {
        let end = window.newest_ns().unwrap_or(0);
        window.statistic(end, &chosen, &WindowConfig::default(), &mut MotionScratch::new(2))
    }

    #[test]
    fn a_still_channel_has_no_motion() {
        let s = stat(&filled(50, 10, |_, k| 1.0 + k as f32), [1, 1]).unwrap();
        assert_eq!((s.frames, s.std, s.variance, s.coherent), (50, 0.0, 0.0, Some(0.0)));
    }

    #[test]
    fn alternating_frames_by_hand() {
        // +1, -1, +1, -1: sample variance 4/3, neighbours' covariance -1.
        let s = stat(&filled(4, 10, |i, _| if i % 2 == 0 { 1.0 } else { -1.0 }), [1, 0]).unwrap();
        assert!((s.variance - 4.0 / 3.0).abs() < 1e-6);
        assert_eq!(s.coherent, Some(-1.0));
        assert!((s.span_s - 0.03).abs() < 1e-6);
    }

    #[test]
    fn slow_fluctuation_is_coherent_and_slow_paths_have_no_covariance() {
        let slow = |i: usize, _| crate::detmath::sin(i as f32 * 0.2);
        let s = stat(&filled(50, 10, slow), [1, 1]).unwrap();
        assert!(s.coherent.unwrap() > 0.9 * s.variance);
        let s = stat(&filled(50, 600, slow), [1, 1]).unwrap();
        assert_eq!((s.frames, s.coherent), (4, None));
    }

    #[test]
    fn what_tones_do_alike_is_smooth_whatever_the_frame_rate() {
        // The same on both tones, then opposite, then on one alone: deviations of 1, sample variance 10/9.
        let flip = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        for (on_the_other, want) in [(1.0, 10.0 / 9.0), (-1.0, -10.0 / 9.0), (0.0, 0.0)] {
            for step_ms in [10, 40, 90] {
                let window = filled(
                    10,
                    step_ms,
                    |i, k| if k == 0 { flip(i) } else { on_the_other * flip(i) },
                );
                let s = stat(&window, [1, 1]).unwrap();
                assert_eq!((s.frames, s.coherent.is_some()), (10, step_ms == 10));
                assert!((s.smooth.unwrap() - want).abs() < 1e-6, "{s:?}");
            }
        }
        // Without a neighbour there is none.
        assert_eq!(stat(&filled(10, 10, |i, _| flip(i)), [1, 0]).unwrap().smooth, None);
    }

    #[test]
    fn deviation_from_a_level_by_hand() {
        let window = filled(4, 20, |i, _| 1.0 + i as f32);
        let d = window.deviation(60 * MS, 3.0, &WindowConfig::default()).unwrap();
        assert!((d - 1.5_f32.sqrt()).abs() < 1e-6, "{d}");
        assert_eq!(window.deviation(10_000 * MS, 3.0, &WindowConfig::default()), None);
    }

    #[test]
    fn too_few_frames_or_no_tone_is_no_answer() {
        assert_eq!(stat(&filled(3, 20, |_, _| 1.0), [1, 1]), None);
        assert_eq!(stat(&filled(9, 20, |_, _| 1.0), [0, 0]), None);
        assert_eq!(stat(&filled(9, 7_000, |_, _| 1.0), [1, 1]), None);
    }

    #[test]
    fn the_clock_set_back_starts_anew() {
        let config = WindowConfig::default();
        let mut window = filled(10, 20, |_, _| 1.0);
        window.push(0, &[1.0, 1.0], &[1, 1], &config);
        assert_eq!(window.newest_ns(), Some(0));
        assert_eq!(stat(&window, [1, 1]), None);
    }

    #[test]
    fn a_masked_tone_is_left_out() {
        let config = WindowConfig::default();
        let mut window = MotionWindow::new(2, &config, None);
        for i in 0..20 {
            window.push(
                i * 20 * MS,
                &[1.0, if i % 2 == 0 { 900.0 } else { 0.0 }],
                &[1, 0],
                &config,
            );
        }
        assert_eq!(stat(&window, [1, 1]).unwrap().variance, 0.0);
    }
}
