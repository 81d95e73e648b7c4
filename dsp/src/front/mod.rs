//! The host's numeric stages of one cycle behind one facade.
//!
//! A cycle is: any number of [`Front::push_csi`] and [`Front::push_rss`] in arrival order (stage 1), then
//! [`Front::begin_tick`], [`Front::calibrate`] (2), [`Front::align`] (3), [`Front::fuse`] (4) and [`Front::sense`] (6).
//! All outputs are borrowed from buffers the front end owns; in the steady state nothing is allocated.
//!
//! The front end is deterministic and its state can be exported: running on is bit for bit the same as exporting,
//! importing elsewhere and running on there.

mod areas;
mod bearings;
mod calibrating;
pub mod config;
pub mod evidence;
mod path;
mod state;
mod vacancy;

use num_complex::Complex32;

pub use calibrating::CalibrationStatus;
pub use config::{Area, FrontConfig, FrontError, PATHS_MAX, PathKind, PathSpec};
pub use evidence::{AreaEvidence, DecisionTrace, LinkEvidence, TraceLink, valid};

use crate::{
    calibration::{CalibrationArtefact, CalibrationRefused, PathBaseline},
    detmath,
    doppler::{PairSpectrum, Pairs},
    fusion::{Fused, Fusion},
    gate::{Decision, Gate, GateInput, GateReason},
    motion::{MotionScratch, ns_to_seconds},
    normalize::CANONICAL_TONES,
    presence::PresenceState,
};
use areas::{Areas, View};
use bearings::Bearings;
use calibrating::Calibrating;
use path::Path;

/// Doppler spectra are measured in cycles whose tick is a multiple of this.
const DOPPLER_TICKS: u64 = 2;

/// The front end of one site.
#[derive(Clone, Debug)]
pub struct Front {
    config: FrontConfig,
    paths: Vec<Path>,
    areas: Areas,
    gate: Gate,
    gate_coherence: Option<f32>,
    fusion: Fusion,
    /// Index of each path's receiving node in the fusion.
    node_of_path: Vec<u32>,
    links: Vec<LinkEvidence>,
    pairs: Pairs,
    bearings: Bearings,
    tick: u64,
    end_ns: i64,
    clock_quality: u8,
    calibrating: Calibrating,
    finished: Option<Result<CalibrationArtefact, CalibrationRefused>>,
    scratch: MotionScratch,
    coherences: Vec<f32>,
}

impl Front {
    /// Builds the front end of a site.
    ///
    /// # Errors
    /// [`FrontError`] when the configuration is not usable; it names the entry.
    pub fn new(config: FrontConfig) -> Result<Self, FrontError> {
        config.check()?;
        let mut nodes: Vec<u16> = config
            .paths
            .iter()
            .filter(|p| p.kind != PathKind::Rss)
            .map(|p| p.rx)
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        let channels_max = config.paths.iter().map(PathSpec::channels).max().unwrap_or(1);
        Ok(Self {
            paths: config.paths.iter().map(|&spec| Path::new(spec, &config)).collect(),
            areas: Areas::new(&config),
            gate: Gate::default(),
            gate_coherence: None,
            fusion: Fusion::new(&nodes),
            node_of_path: config
                .paths
                .iter()
                .map(|p| nodes.partition_point(|&n| n < p.rx) as u32)
                .collect(),
            links: vec![LinkEvidence::default(); config.paths.len()],
            pairs: Pairs::new(&config.paths),
            bearings: Bearings::new(&config.paths),
            tick: 0,
            end_ns: 0,
            clock_quality: 0,
            calibrating: Calibrating::default(),
            finished: None,
            scratch: MotionScratch::new(channels_max),
            coherences: Vec::with_capacity(config.paths.len()),
            config,
        })
    }

    /// What it was built from.
    pub fn config(&self) -> &FrontConfig {
        &self.config
    }

    // ---- stage 1

    /// Takes a CSI frame of a path: one tone and one mask entry (0 = missing) for each tone of its tier, ascending.
    /// Tones that are not finite count as missing; `rssi_dbm >= 0` means unknown. `noise_dbm` is the radio's own
    /// figure; it is kept out of the numbers, which measure the noise on the tones themselves.
    ///
    /// # Errors
    /// [`FrontError::Path`] and [`FrontError::Tones`]; nothing is taken then.
    #[allow(clippy::too_many_arguments, reason = "the fields of one frame")]
    pub fn push_csi(
        &mut self,
        path: usize,
        time_ns: i64,
        rssi_dbm: i8,
        _noise_dbm: i8,
        agc_db: Option<u8>,
        tones: &[Complex32],
        mask: &[u8],
    ) -> Result<(), FrontError> {
        let paths = self.paths.len();
        let slot = self
            .paths
            .get_mut(path)
            .filter(|p| p.is_csi())
            .ok_or(FrontError::Path { path, paths })?;
        let expected = slot.tones.len();
        if let Some(found) = [tones.len(), mask.len()].into_iter().find(|&n| n != expected) {
            return Err(FrontError::Tones { path, expected, found });
        }
        slot.push_csi(time_ns, rssi_dbm, agc_db, tones, mask, &self.config);
        self.bearings
            .push(path, &mut self.paths, self.calibrating.start_ns().is_some());
        Ok(())
    }

    /// Takes a received strength of an RSS path, dBm. What is no strength (0 or more, not finite) is left out.
    ///
    /// # Errors
    /// [`FrontError::Path`]; nothing is taken then.
    pub fn push_rss(&mut self, path: usize, time_ns: i64, rssi_dbm: f32) -> Result<(), FrontError> {
        let paths = self.paths.len();
        let slot = self
            .paths
            .get_mut(path)
            .filter(|p| !p.is_csi())
            .ok_or(FrontError::Path { path, paths })?;
        slot.push_rss(time_ns, rssi_dbm, &self.config);
        Ok(())
    }

    // ---- the cycle

    /// Begins tick `tick`, whose slot ends at `end_ns`: picks each path's newest frame up to the hard guard, its
    /// age, and the clock quality from the spread over the paths.
    pub fn begin_tick(&mut self, tick: u64, end_ns: i64) {
        (self.tick, self.end_ns) = (tick, end_ns);
        let (mut oldest, mut newest) = (i64::MAX, i64::MIN);
        for path in &mut self.paths {
            path.begin_tick(end_ns, &self.config);
            if let (true, Some(time)) = (path.present(), path.newest_ns()) {
                (oldest, newest) = (oldest.min(time), newest.max(time));
            }
        }
        self.clock_quality = if newest < oldest {
            0
        } else {
            self.quality_of_spread(newest.saturating_sub(oldest))
        };
    }

    /// 100 up to the soft guard, falling to 0 at the hard guard.
    fn quality_of_spread(&self, spread_ns: i64) -> u8 {
        let (soft, hard) = (self.config.spread_soft_s, self.config.frame_age_max_s);
        let spread = ns_to_seconds(spread_ns);
        if spread <= soft {
            return 100;
        }
        (100.0 * detmath::clamp((hard - spread) / detmath::max(hard - soft, 1e-9), 0.0, 1.0)) as u8
    }

    /// Stage 2: compares every path with its empty-room baseline.
    pub fn calibrate(&mut self) {
        self.paths.iter_mut().for_each(Path::calibrate);
    }

    /// Stage 3: takes oscillator offset and clock slope off every path's tones, in place.
    pub fn align(&mut self) {
        self.paths.iter_mut().for_each(Path::align);
    }

    /// Stage 4: fuses the receiving nodes on the canonical grid.
    pub fn fuse(&mut self) {
        let mut tones = [Complex32::default(); CANONICAL_TONES];
        let mut mask = [0; CANONICAL_TONES];
        self.fusion.begin();
        for (path, &node) in self.paths.iter_mut().zip(&self.node_of_path) {
            if let Some(gain) = path.canonical(&mut tones, &mut mask) {
                self.fusion.add(node as usize, &tones, &mask, gain);
            }
        }
        self.fusion.finish();
    }

    /// Gives the areas other outlines, between two cycles. What was known of each area's presence is kept. Allocates.
    ///
    /// # Errors
    /// [`FrontError`] as [`Front::new`]; nothing changes then.
    ///
    /// # Panics
    /// When there are more or fewer areas than before: whose state would go where?
    pub fn set_areas(&mut self, areas: Vec<Area>) -> Result<(), FrontError> {
        assert_eq!(areas.len(), self.config.areas.len(), "areas keep their number");
        let config = FrontConfig {
            areas,
            ..self.config.clone()
        };
        config.check()?;
        let mut moved = Areas::new(&config);
        moved.restore(self.areas.filters().cloned().collect());
        (self.config, self.areas) = (config, moved);
        Ok(())
    }

    /// Stage 6: evidence per link, the gate, presence of site and areas, and a running calibration. `occupied`: the last
    /// cycle ended with people whom others know of, however still they keep (the tracker).
    pub fn sense(&mut self, occupied: bool) {
        let learning = self.calibrating.start_ns();
        // As the last cycle found it. Somebody who sits must not be learned as a part of the empty room.
        let empty = self.site_is(PresenceState::Empty) && !occupied;
        for (i, path) in self.paths.iter_mut().enumerate() {
            path.update(self.end_ns, learning, empty, &self.config, &mut self.scratch);
            self.links[i] = path.evidence(i, &self.config);
        }
        // A window is many cycles long: every other cycle is often enough.
        if self.tick.is_multiple_of(DOPPLER_TICKS) {
            let paths = &self.paths;
            self.pairs.measure(self.end_ns, |path| paths[path].moved());
        } else {
            self.pairs.clear();
        }
        self.bearings.measure(self.tick, self.end_ns);
        self.step_gate();
        let rejected = self.gate.state().0 == Decision::Reject && self.gate.state().1 != GateReason::Stale;
        let paths = &self.paths;
        self.areas.step(
            self.tick,
            &self.links,
            |path| View {
                calibrated: paths[path].baseline().is_some(),
                span_s: paths[path].stat().map_or(0.0, |s| s.span_s),
                vacancy: paths[path].vacancy(&self.config),
            },
            rejected,
            &self.config,
        );
        self.finish_calibration();
    }

    fn step_gate(&mut self) {
        let mut input = GateInput {
            // As the last cycle saw it: drift is judged in quiet times only.
            motion: self.site_is(PresenceState::OccupiedMoving),
            ..GateInput::default()
        };
        self.coherences.clear();
        for path in &self.paths {
            if path.fresh() {
                input.fresh_paths += 1;
                self.coherences.extend(path.signal_coherence());
            }
            if let Some(drift) = path.drift(&self.config) {
                input.drift_links.0 += 1;
                input.drift_links.1 += u32::from(drift > self.config.gate.drift_sigma);
            }
        }
        if !self.coherences.is_empty() {
            let middle = self.coherences.len() / 2;
            let (_, median, _) = self.coherences.select_nth_unstable_by(middle, f32::total_cmp);
            input.coherence = Some(*median);
        }
        self.gate_coherence = input.coherence;
        self.gate.step(&input, &self.config.gate);
    }

    /// Whether the site was in this state when its presence was last decided.
    fn site_is(&self, state: PresenceState) -> bool {
        self.areas.filters().next().is_some_and(|site| site.state() == state)
    }

    // ---- outputs

    /// The tones of a path in this cycle and their mask; aligned after stage 3. All zero without a frame.
    /// Both are empty for an RSS path.
    pub fn tones(&self, path: usize) -> (&[Complex32], &[u8]) {
        let path = &self.paths[path];
        (&path.tones, &path.mask)
    }

    /// True when the path has a frame to use in this cycle.
    pub fn present(&self, path: usize) -> bool {
        self.paths[path].present()
    }

    /// Noise variance `E|n|^2` of one of the path's tones, square of their unit; 0 when unknown.
    pub fn noise_variance(&self, path: usize) -> f32 {
        self.paths[path].noise_variance()
    }

    /// Seconds from the path's last frame to the end of the slot; none when there never was one.
    pub fn age_s(&self, path: usize) -> Option<f32> {
        self.paths[path].age_s
    }

    /// The empty room as the path sees it; none without a calibration of it.
    pub fn baseline(&self, path: usize) -> Option<&PathBaseline> {
        self.paths[path].baseline()
    }

    /// Log-likelihood ratio of nobody against somebody who keeps still, by how like the empty room of late every link looks;
    /// 0 when that says nothing.
    pub fn vacancy(&self) -> f32 {
        self.areas.vacancy()
    }

    /// Evidence of every path, in the paths' order.
    pub fn links(&self) -> &[LinkEvidence] {
        &self.links
    }

    /// Doppler spectra measured in this cycle, by pair of nodes: none in every other cycle.
    pub fn doppler(&self) -> (&[PairSpectrum], &[f32]) {
        self.pairs.spectra()
    }

    /// Path rates up to which the spectra of two nodes tell them apart, m/s; none before their first spectrum.
    pub fn path_rate_limit_m_s(&self, tx: u16, rx: u16) -> Option<f32> {
        self.pairs.limit_m_s((tx, rx))
    }

    /// Presence of the site as a whole.
    pub fn site(&self) -> &AreaEvidence {
        self.areas.site()
    }

    /// Presence of the configured areas, in their order.
    pub fn areas(&self) -> &[AreaEvidence] {
        self.areas.areas()
    }

    /// The gate: its decision, why, and the median signal coherence over fresh CSI paths.
    pub fn gate(&self) -> (Decision, GateReason, Option<f32>) {
        let (decision, reason) = self.gate.state();
        (decision, reason, self.gate_coherence)
    }

    /// The fused canonical frame with the node weights; none without a CSI frame in this cycle.
    pub fn fused(&self) -> Option<&Fused> {
        self.fusion.current()
    }

    /// Clock quality of the cycle: 100 up to the soft guard of 20 ms between paths, 0 at the hard one or without
    /// a frame.
    pub fn clock_quality(&self) -> u8 {
        self.clock_quality
    }
}

#[cfg(test)]
mod tests;
