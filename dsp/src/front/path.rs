//! One link path: what it remembers from cycle to cycle, and its part of every stage.

use borsh::{BorshDeserialize, BorshSerialize};
use num_complex::Complex32;

use super::{
    config::{FrontConfig, PathKind, PathSpec},
    evidence::{LinkEvidence, valid},
    vacancy::Vacancy,
};
use crate::{
    calibration::{Learner, PathBaseline},
    coherence, detmath,
    doppler::{FILTERS, Reference, Sample, Series},
    motion::{MotionScratch, MotionStat, MotionWindow, ns_to_seconds},
    normalize::{self, CANONICAL_TONES, Canonical},
    phase_align::{self, ToneGrid},
};

/// Weight of a new frame in the running estimate of a path's noise share.
const NOISE_WEIGHT: f32 = 0.1;
/// Share of a path's tones that carry its phase reference.
const STATIC_SHARE: usize = 3;
/// The least noise a path is credited with, as a share of its power: 8-bit samples at half scale.
const NOISE_FLOOR: f32 = 1e-6;

/// What a path remembers: all of it is in an exported state.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct Memory {
    /// Time of the newest frame.
    newest_ns: Option<i64>,
    /// A frame came since the last tick began.
    arrived: bool,
    /// A frame came in the tick at hand.
    fresh: bool,
    /// Received strengths since the last tick began.
    rss_sum: f32,
    rss_count: u32,
    /// Their mean in the last tick that had any.
    rss_dbm: Option<f32>,
    agc_db: Option<u8>,
    /// The newest frame as it came, real and imaginary parts.
    tones: Vec<[f32; 2]>,
    mask: Vec<u8>,
    window: MotionWindow,
    /// What moved, frame by frame; empty without a baseline.
    moved: Series<FILTERS>,
    stat: Option<MotionStat>,
    /// Deviation of an RSS path from its quiet level over the window, dB.
    deviation_db: Option<f32>,
    /// Slow profile of gain-normalised amplitudes and the seconds it rests on.
    slow: Vec<f32>,
    slow_s: f32,
    /// The empty room of late; of no tones for an RSS path, which has its level.
    vacancy: Vacancy,
    /// Running share of noise in the frame's power; negative until known.
    noise_share: f32,
    learner: Option<Learner>,
    baseline: Option<PathBaseline>,
}

/// One link path with its buffers.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) spec: PathSpec,
    pub(super) memory: Memory,
    /// Age of the frame in use; none when there is none young enough.
    pub(super) age_s: Option<f32>,
    /// Tones in use: aligned from stage 3 on, all zero without a frame.
    pub(super) tones: Vec<Complex32>,
    pub(super) mask: Vec<u8>,
    /// Their gain-normalised amplitudes and the gain.
    x: Vec<f32>,
    gain: f32,
    power: f32,
    signal_coherence: Option<f32>,
    baseline_coherence: Option<f32>,
    /// Where the tones stand; none for an RSS path.
    grid: Option<ToneGrid>,
    canonical: Option<Canonical>,
    reference: Vec<Complex32>,
    /// The empty room, to be taken off frames; none without a baseline.
    room: Option<Reference>,
    static_tones: Vec<u32>,
    all_tones: Vec<u8>,
}

impl Path {
    pub(super) fn new(spec: PathSpec, config: &FrontConfig) -> Self {
        let channels = spec.channels();
        let tier = match spec.kind {
            PathKind::Csi { tier, .. } => Some(tier),
            PathKind::Rss => None,
        };
        // An RSS path is too slow for the outlier filter: one crossing of the link is one or two samples.
        let hampel_floor = tier.map(|_| config.hampel_floor);
        Self {
            spec,
            memory: Memory {
                newest_ns: None,
                arrived: false,
                fresh: false,
                rss_sum: 0.0,
                rss_count: 0,
                rss_dbm: None,
                agc_db: None,
                tones: vec![[0.0; 2]; if tier.is_some() { channels } else { 0 }],
                mask: vec![0; channels],
                window: MotionWindow::new(channels, &config.window, hampel_floor),
                moved: Series::default(),
                stat: None,
                deviation_db: None,
                slow: vec![0.0; channels],
                slow_s: 0.0,
                vacancy: Vacancy::new(if tier.is_some() { channels } else { 0 }),
                noise_share: -1.0,
                learner: None,
                baseline: None,
            },
            age_s: None,
            tones: vec![Complex32::default(); if tier.is_some() { channels } else { 0 }],
            mask: vec![0; if tier.is_some() { channels } else { 0 }],
            x: vec![0.0; channels],
            gain: 0.0,
            power: 0.0,
            signal_coherence: None,
            baseline_coherence: None,
            grid: tier.map(ToneGrid::new),
            canonical: tier.map(Canonical::new),
            reference: vec![Complex32::default(); channels],
            room: None,
            static_tones: Vec::with_capacity(channels),
            all_tones: vec![1; channels],
        }
    }

    pub(super) fn is_csi(&self) -> bool {
        matches!(self.spec.kind, PathKind::Csi { .. })
    }

    pub(super) fn fresh(&self) -> bool {
        self.memory.fresh
    }

    pub(super) fn newest_ns(&self) -> Option<i64> {
        self.memory.newest_ns
    }

    pub(super) fn baseline(&self) -> Option<&PathBaseline> {
        self.memory.baseline.as_ref()
    }

    pub(super) fn stat(&self) -> Option<&MotionStat> {
        self.memory.stat.as_ref()
    }

    pub(super) fn signal_coherence(&self) -> Option<f32> {
        self.signal_coherence
    }

    /// The newest frame as it came, and its mask.
    pub(super) fn frame(&self) -> (&[[f32; 2]], &[u8]) {
        (&self.memory.tones, &self.memory.mask)
    }

    pub(super) fn agc_db(&self) -> Option<u8> {
        self.memory.agc_db
    }

    /// Learns by how much the newest frame's phases are ahead of the same frame's at the array's first antenna.
    pub(super) fn learn_cross(&mut self, first: &Self) {
        let Memory {
            learner, tones, mask, ..
        } = &mut self.memory;
        if let Some(learner) = learner {
            learner.add_cross((tones, mask), first.frame());
        }
    }

    // ---- stage 1: frames

    /// Takes a CSI frame; `tones` and `mask` have the path's length.
    pub(super) fn push_csi(
        &mut self,
        time_ns: i64,
        rssi_dbm: i8,
        agc_db: Option<u8>,
        tones: &[Complex32],
        mask: &[u8],
        config: &FrontConfig,
    ) {
        let memory = &mut self.memory;
        for k in 0..tones.len() {
            let good = mask[k] != 0 && tones[k].re.is_finite() && tones[k].im.is_finite();
            memory.mask[k] = u8::from(good);
            memory.tones[k] = if good { [tones[k].re, tones[k].im] } else { [0.0; 2] };
        }
        memory.agc_db = agc_db;
        memory.newest_ns = Some(time_ns);
        memory.arrived = true;
        // A strength of zero or more is no strength: recorders write it where they know none.
        if rssi_dbm < 0 {
            memory.rss_sum += f32::from(rssi_dbm);
            memory.rss_count += 1;
        }
        if let Some(gain) = normalize::gain_normalise(tones, &memory.mask, &mut self.x) {
            memory.window.push(time_ns, &self.x, &memory.mask, &config.window);
            let room = self.room.as_mut();
            if let Some(value) = room.and_then(|r| r.sample(tones, &memory.mask, gain, agc_db)) {
                memory.moved.push(Sample { time_ns, value });
            }
        } else {
            memory.mask.fill(0);
        }
    }

    /// Takes a received strength, dBm. What is not a strength (127, 0, NaN) is left out.
    pub(super) fn push_rss(&mut self, time_ns: i64, rssi_dbm: f32, config: &FrontConfig) {
        if !(rssi_dbm.is_finite() && (-200.0..0.0).contains(&rssi_dbm)) {
            return;
        }
        let memory = &mut self.memory;
        memory.newest_ns = Some(time_ns);
        memory.arrived = true;
        memory.rss_sum += rssi_dbm;
        memory.rss_count += 1;
        memory.window.push(time_ns, &[rssi_dbm], &[1], &config.window);
    }

    // ---- the tick

    pub(super) fn begin_tick(&mut self, end_ns: i64, config: &FrontConfig) {
        let csi = self.is_csi();
        let memory = &mut self.memory;
        memory.fresh = memory.arrived;
        memory.arrived = false;
        if memory.rss_count > 0 {
            memory.rss_dbm = Some(memory.rss_sum / memory.rss_count as f32);
            (memory.rss_sum, memory.rss_count) = (0.0, 0);
        }
        self.age_s = memory.newest_ns.map(|t| ns_to_seconds(end_ns.saturating_sub(t).max(0)));
        let in_use = self.age_s.is_some_and(|age| age <= config.frame_age_max_s);
        self.signal_coherence = None;
        self.baseline_coherence = None;
        if !csi {
            return;
        }
        for k in 0..self.tones.len() {
            let [re, im] = memory.tones[k];
            self.mask[k] = if in_use { memory.mask[k] } else { 0 };
            self.tones[k] = if self.mask[k] != 0 {
                Complex32::new(re, im)
            } else {
                Complex32::default()
            };
        }
        self.gain = normalize::gain_normalise(&self.tones, &self.mask, &mut self.x).unwrap_or(0.0);
    }

    /// True when the path has a frame young enough to use.
    pub(super) fn present(&self) -> bool {
        if self.is_csi() {
            self.gain > 0.0
        } else {
            self.memory.fresh
        }
    }

    // ---- stage 2

    pub(super) fn calibrate(&mut self) {
        if let (Some(b), true) = (&self.memory.baseline, self.is_csi() && self.gain > 0.0) {
            self.baseline_coherence =
                coherence::baseline_coherence(&self.x, &self.mask, &b.amplitude, &b.amplitude_variance, &b.mask);
        }
    }

    // ---- stage 3

    pub(super) fn align(&mut self) {
        let Some(grid) = self.grid.as_ref().filter(|_| self.gain > 0.0) else {
            return;
        };
        let referenced = self.memory.baseline.is_some();
        phase_align::align(
            &mut self.tones,
            &self.mask,
            grid,
            referenced.then_some(self.reference.as_slice()),
            referenced.then_some(self.static_tones.as_slice()),
        );
        let Some((noise, power)) = phase_align::noise_variance(&self.tones, &self.mask, grid) else {
            return;
        };
        self.power = power;
        self.signal_coherence = Some(coherence::signal_coherence(noise, power));
        if self.memory.fresh && power > 0.0 && (noise / power).is_finite() {
            let share = detmath::max(noise / power, NOISE_FLOOR);
            let known = self.memory.noise_share;
            self.memory.noise_share = if known < 0.0 {
                share
            } else {
                known + NOISE_WEIGHT * (share - known)
            };
        }
    }

    /// Noise variance `E|n|^2` of a tone in use, square of the tones' unit; 0 when unknown.
    pub(super) fn noise_variance(&self) -> f32 {
        if self.present() && self.memory.noise_share > 0.0 {
            self.memory.noise_share * self.power
        } else {
            0.0
        }
    }

    // ---- stage 4

    /// The canonical frame and the gain to divide it by, into the given buffers; none without a CSI frame.
    pub(super) fn canonical(
        &mut self,
        tones: &mut [Complex32; CANONICAL_TONES],
        mask: &mut [u8; CANONICAL_TONES],
    ) -> Option<f32> {
        let canonical = self.canonical.as_mut()?;
        if self.gain <= 0.0 {
            return None;
        }
        canonical.resample(&self.tones, &self.mask, tones, mask);
        Some(self.gain)
    }

    // ---- stage 6

    /// What moved of late, and what the empty room is; none without a baseline.
    pub(super) fn moved(&self) -> Option<(&Series<FILTERS>, &Reference)> {
        Some((&self.memory.moved, self.room.as_ref()?))
    }

    /// Brings the motion statistic, the profiles and a running calibration up to this tick. `empty`: the last cycle found nobody.
    pub(super) fn update(
        &mut self,
        end_ns: i64,
        calibration_start_ns: Option<i64>,
        empty: bool,
        config: &FrontConfig,
        scratch: &mut MotionScratch,
    ) {
        let csi = self.is_csi();
        let memory = &mut self.memory;
        if !memory.fresh {
            return;
        }
        let chosen = memory.baseline.as_ref().map_or(&self.all_tones, |b| &b.chosen);
        memory.stat = memory.window.statistic(end_ns, chosen, &config.window, scratch);
        // A window that has just begun is no evidence yet: half of it, or as many frames as are kept.
        let full = memory.window.is_full();
        memory.stat = memory
            .stat
            .filter(|s| !csi || full || s.span_s >= 0.5 * config.window.window_s);
        let quiet = memory.baseline.as_ref().and_then(|b| b.rss_dbm).filter(|_| !csi);
        memory.deviation_db = quiet.and_then(|level| memory.window.deviation(end_ns, level, &config.window));

        if let (Some(learner), Some(start_ns)) = (&mut memory.learner, calibration_start_ns) {
            if csi && self.gain > 0.0 {
                learner.add_frame(&self.x, &self.tones, &self.mask, self.gain, memory.agc_db);
            }
            if let Some(rss) = memory.rss_dbm {
                learner.add_rss(rss);
            }
            if let Some(stat) = &memory.stat {
                // Only windows that lie wholly within the calibration.
                let newest = memory.newest_ns.unwrap_or(end_ns);
                if ns_to_seconds(newest.saturating_sub(start_ns)) >= stat.span_s {
                    learner.add_statistic(stat);
                }
            }
        }

        if csi && self.gain > 0.0 {
            memory.vacancy.update(&self.x, &self.mask, config.step_s, empty);
            let ratio = match (&memory.baseline, &memory.stat) {
                (Some(b), Some(stat)) => b.quiet.motion_ratio(stat),
                _ => return,
            };
            if ratio <= config.slow_ratio_max {
                memory.slow_s += config.step_s;
                let weight = config.step_s / detmath::min(memory.slow_s, config.slow_profile_s);
                for k in 0..self.x.len() {
                    if self.mask[k] != 0 {
                        memory.slow[k] += weight * (self.x[k] - memory.slow[k]);
                    }
                }
            }
        }
    }

    /// Log-likelihood ratio of nobody against somebody who keeps still, from the profile of the empty room of late; none for
    /// an RSS path.
    pub(super) fn vacancy(&self, config: &FrontConfig) -> Option<f32> {
        let most = -config.presence.llr_limits[0];
        self.is_csi().then(|| self.memory.vacancy.llr(most))
    }

    /// Drift of the slow profile in standard deviations; none until it is as old as its time constant.
    pub(super) fn drift(&self, config: &FrontConfig) -> Option<f32> {
        let b = self.memory.baseline.as_ref()?;
        if !self.is_csi() || self.memory.slow_s < config.slow_profile_s {
            return None;
        }
        coherence::drift(&self.memory.slow, &b.mask, &b.amplitude, &b.amplitude_variance, &b.mask)
    }

    /// What this path says in this cycle.
    pub(super) fn evidence(&self, path: usize, config: &FrontConfig) -> LinkEvidence {
        let mut e = LinkEvidence {
            path: path as u16,
            ..LinkEvidence::default()
        };
        let memory = &self.memory;
        if let Some(age) = self.age_s {
            e.age_s = age;
            e.valid |= valid::AGE;
        }
        let current = self.age_s.is_some_and(|age| age <= config.presence.evidence_age_max_s);
        if let Some(rss) = memory.rss_dbm.filter(|_| current) {
            e.rss_dbm = rss;
            e.valid |= valid::RSS;
        }
        if let Some(coherence) = self.baseline_coherence {
            e.coherence = coherence;
            e.valid |= valid::COHERENCE;
        }
        if let Some(coherence) = self.signal_coherence {
            e.signal_coherence = coherence;
            e.valid |= valid::SIGNAL;
        }
        let Some(b) = &memory.baseline else { return e };
        if let Some(quiet) = b.rss_dbm {
            e.quiet_dbm = quiet;
            e.quiet_std_db = b.rss_std_db;
            e.valid |= valid::QUIET;
            if e.valid & valid::RSS != 0 {
                e.attenuation_db = quiet - e.rss_dbm;
            }
        }
        if let Some(stat) = memory.stat.filter(|_| current) {
            (e.change, e.change_quiet) = b.quiet.change(&stat);
            e.motion_ratio = e.change / e.change_quiet;
            e.valid |= valid::CHANGE;
        }
        if let (Some(deviation), true) = (memory.deviation_db.filter(|_| current), e.has(valid::QUIET)) {
            e.level_ratio = deviation / e.quiet_std_db;
            e.valid |= valid::LEVEL;
        }
        if let Some(drift) = self.drift(config) {
            e.drift_sigma = drift;
            e.valid |= valid::DRIFT;
        }
        e
    }

    // ---- calibration

    pub(super) fn start_learning(&mut self) {
        let (channels, csi) = (self.spec.channels(), self.is_csi());
        match &mut self.memory.learner {
            Some(learner) => learner.clear(),
            none => *none = Some(Learner::new(channels, csi)),
        }
    }

    pub(super) fn learner(&self) -> Option<&Learner> {
        self.memory.learner.as_ref()
    }

    pub(super) fn stop_learning(&mut self) {
        self.memory.learner = None;
    }

    /// Puts a baseline in force (or takes it away).
    pub(super) fn set_baseline(&mut self, baseline: Option<PathBaseline>, step_s: f32) {
        self.memory.baseline = baseline;
        self.memory.slow.fill(0.0);
        self.memory.slow_s = 0.0;
        self.memory.vacancy.begin(self.memory.baseline.as_ref(), step_s);
        self.memory.moved.clear();
        // It was told from the old quiet level.
        self.memory.deviation_db = None;
        self.derive();
    }

    /// Computes what follows from the baseline: phase reference and static tones.
    fn derive(&mut self) {
        self.reference.fill(Complex32::default());
        self.static_tones.clear();
        self.room = None;
        if let (Some(b), PathKind::Csi { tier, .. }) = (&self.memory.baseline, self.spec.kind) {
            self.room = Some(Reference::new(tier, b));
            for k in 0..b.mask.len() {
                if b.mask[k] != 0 {
                    self.reference[k] = Complex32::new(detmath::cos(b.phase_rad[k]), detmath::sin(b.phase_rad[k]));
                }
            }
            let count = (b.mask.len() / STATIC_SHARE).max(1);
            phase_align::choose_static(&b.phase_dispersion, &b.mask, count, &mut self.static_tones);
        }
    }

    // ---- state

    /// Restores an exported memory; says what is wrong with one that does not fit.
    pub(super) fn restore(&mut self, mut memory: Memory, config: &FrontConfig) -> Result<(), &'static str> {
        let channels = self.spec.channels();
        let csi = self.is_csi();
        let sizes = memory.tones.len() == if csi { channels } else { 0 }
            && memory.mask.len() == channels
            && memory.slow.len() == channels
            && memory.vacancy.is_sound(if csi { channels } else { 0 })
            && memory.window.fits(channels, &config.window);
        if !sizes {
            return Err("a buffer has another size");
        }
        let finite = memory.tones.iter().flatten().chain(&memory.slow).all(|v| v.is_finite())
            && [memory.rss_sum, memory.slow_s, memory.noise_share]
                .iter()
                .all(|v| v.is_finite());
        if !finite || !memory.moved.restored() {
            return Err("a number is not finite, or a time is out of order");
        }
        if memory.learner.as_ref().is_some_and(|l| !l.fits(channels, csi)) {
            return Err("the running calibration has another size");
        }
        if let Some(what) = memory.baseline.as_ref().and_then(|b| b.fault(channels)) {
            return Err(what);
        }
        self.memory = memory;
        self.derive();
        Ok(())
    }
}
