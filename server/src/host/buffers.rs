//! What the host lends to a stage: flat arrays that are taken once and reused in every cycle.

use tapline_dsp::tier::Tier;
use tapline_plugin_api::{
    cir::{C32, CirInput, CirLink, CirLinkSpec, CirOutput, CirSummary},
    geometry::{AntennaPosition, Door, Grid, NodePosition, Point2},
    tomography::{LinkObservation, TomographyInput, TomographyOutput, TomographySummary},
    tracker::{ArrayLink, DopplerPair, MAX_TRACKS, Track, TrackerInput, TrackerOutput, TrackerSummary, gate},
};

use super::error::HostError;

/// One group of link paths: input of the `cir` stage and its answer.
///
/// Fixed at construction: the links' order, tiers, offsets and tone indices. Filled every cycle: `tones`,
/// `mask`, and in each link `present`, `noise_variance`, `age_s`, `centre_khz`, `tx`, `rx`, `antennas`.
#[derive(Clone, Debug, PartialEq)]
pub struct CirBuffers {
    /// One a link path.
    pub links: Vec<CirLink>,
    /// Tone indices of every link, ascending for each.
    pub tone_index: Vec<i16>,
    /// Complex channel at each tone; masked tones hold zero.
    pub tones: Vec<C32>,
    /// 1 = measured, 0 = missing.
    pub mask: Vec<u8>,
    /// Answer: taps of every link at its `tap_offset`.
    pub taps: Vec<C32>,
    /// Answer: one a link path.
    pub summaries: Vec<CirSummary>,
}

impl CirBuffers {
    /// Buffers for these link paths.
    ///
    /// # Errors
    /// [`HostError::Tier`] for a tier code that does not exist.
    pub fn new(specs: &[CirLinkSpec]) -> Result<Self, HostError> {
        let mut links = Vec::with_capacity(specs.len());
        let mut tone_index = Vec::new();
        let mut taps = 0_u32;
        for spec in specs {
            let tier = Tier::from_code(spec.tier).ok_or(HostError::Tier {
                path: spec.path,
                found: spec.tier,
            })?;
            let (tone_count, tap_count) = (tier.tones() as u32, tier.taps() as u32);
            links.push(CirLink {
                path: spec.path,
                tier: spec.tier,
                tone_offset: tone_index.len() as u32,
                tone_count,
                tap_offset: taps,
                tap_count,
                ..CirLink::default()
            });
            tone_index.extend(tier.tone_indices());
            taps += tap_count;
        }
        let tones = tone_index.len();
        Ok(Self {
            links,
            tone_index,
            tones: vec![C32::default(); tones],
            mask: vec![0; tones],
            taps: vec![C32::default(); taps as usize],
            summaries: vec![CirSummary::default(); specs.len()],
        })
    }

    /// Marks every link path as unmeasured, before a cycle fills in what it has.
    pub fn clear_input(&mut self) {
        self.tones.fill(C32::default());
        self.mask.fill(0);
        for link in &mut self.links {
            link.present = 0;
        }
    }

    pub(super) fn parts(&mut self) -> (CirInput<'_>, CirOutput<'_>) {
        (
            CirInput {
                links: self.links.as_slice().into(),
                tone_index: self.tone_index.as_slice().into(),
                tones: self.tones.as_slice().into(),
                mask: self.mask.as_slice().into(),
            },
            CirOutput {
                taps: self.taps.as_mut_slice().into(),
                summaries: self.summaries.as_mut_slice().into(),
            },
        )
    }
}

/// What `tomography` and `tracker` share in a cycle; the cycle fills it once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// Seconds since the last cycle, at most an hour.
    pub step_s: f32,
    /// Decision of the coherence gate, one of `tapline_plugin_api::tracker::gate`.
    pub gate: u32,
    /// Probability that anybody is in the room; negative when unknown.
    pub presence: f32,
    /// Log-likelihood ratio of nobody against somebody who keeps still; 0 when unknown.
    pub vacancy: f32,
    /// Node positions, ascending by node id.
    pub nodes: Vec<NodePosition>,
    /// Receive antennas of nodes that have an array, ascending by node and antenna.
    pub antennas: Vec<AntennaPosition>,
    /// Room outline, counter-clockwise.
    pub outline: Vec<Point2>,
    /// Doors.
    pub doors: Vec<Door>,
    /// Link observations, ascending by path.
    pub links: Vec<LinkObservation>,
    /// Pairs with a Doppler spectrum, ascending; for the tracker.
    pub doppler: Vec<DopplerPair>,
    /// Their spectra.
    pub spectra: Vec<f32>,
    /// Links to arrays with a spectrum in this cycle; for the tracker.
    pub arrays: Vec<ArrayLink>,
    /// Their spectra.
    pub array_spectra: Vec<f32>,
}

/// Input and answer of the `tomography` stage.
#[derive(Clone, Debug, PartialEq)]
pub struct TomographyBuffers {
    pub(super) grid: Grid,
    pub(super) scene: Scene,
    pub(super) cir_links: Vec<CirLink>,
    pub(super) cir_summaries: Vec<CirSummary>,
    pub(super) taps: Vec<C32>,
    /// Answer: image mean, one a voxel.
    pub mean: Vec<f32>,
    /// Answer: image variance, one a voxel.
    pub variance: Vec<f32>,
    /// Answer: the outcome.
    pub summary: TomographySummary,
}

impl TomographyBuffers {
    pub(super) fn new(grid: Grid) -> Self {
        Self {
            grid,
            scene: Scene::default(),
            cir_links: Vec::new(),
            cir_summaries: Vec::new(),
            taps: Vec::new(),
            mean: vec![0.0; grid.voxels()],
            variance: vec![0.0; grid.voxels()],
            summary: TomographySummary::default(),
        }
    }

    /// Where the image's voxels are.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    pub(super) fn parts(&mut self) -> (TomographyInput<'_>, TomographyOutput<'_>) {
        (
            TomographyInput {
                grid: self.grid,
                step_s: self.scene.step_s,
                nodes: self.scene.nodes.as_slice().into(),
                outline: self.scene.outline.as_slice().into(),
                links: self.scene.links.as_slice().into(),
                cir_links: self.cir_links.as_slice().into(),
                cir_summaries: self.cir_summaries.as_slice().into(),
                taps: self.taps.as_slice().into(),
            },
            TomographyOutput {
                mean: self.mean.as_mut_slice().into(),
                variance: self.variance.as_mut_slice().into(),
            },
        )
    }
}

/// Input and answer of the `tracker` stage.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackerBuffers {
    pub(super) grid: Grid,
    pub(super) scene: Scene,
    pub(super) image: TomographySummary,
    pub(super) mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
    pub(super) cir_summaries: Vec<CirSummary>,
    /// Answer: `summary.count` tracks, then zeros.
    pub tracks: Vec<Track>,
    /// Answer: the outcome.
    pub summary: TrackerSummary,
}

impl TrackerBuffers {
    pub(super) fn new(grid: Grid) -> Self {
        Self {
            grid,
            scene: Scene {
                gate: gate::PREDICT_ONLY,
                ..Scene::default()
            },
            image: TomographySummary::default(),
            mean: Vec::with_capacity(grid.voxels()),
            variance: Vec::with_capacity(grid.voxels()),
            cir_summaries: Vec::new(),
            tracks: vec![Track::default(); MAX_TRACKS],
            summary: TrackerSummary::default(),
        }
    }

    pub(super) fn parts(&mut self) -> (TrackerInput<'_>, TrackerOutput<'_>) {
        (
            TrackerInput {
                step_s: self.scene.step_s,
                gate: self.scene.gate,
                presence: self.scene.presence,
                vacancy: self.scene.vacancy,
                grid: self.grid,
                image: self.image,
                mean: self.mean.as_slice().into(),
                variance: self.variance.as_slice().into(),
                outline: self.scene.outline.as_slice().into(),
                doors: self.scene.doors.as_slice().into(),
                nodes: self.scene.nodes.as_slice().into(),
                links: self.scene.links.as_slice().into(),
                cir_summaries: self.cir_summaries.as_slice().into(),
                doppler: self.scene.doppler.as_slice().into(),
                spectra: self.scene.spectra.as_slice().into(),
                antennas: self.scene.antennas.as_slice().into(),
                arrays: self.scene.arrays.as_slice().into(),
                array_spectra: self.scene.array_spectra.as_slice().into(),
            },
            TrackerOutput {
                tracks: self.tracks.as_mut_slice().into(),
            },
        )
    }
}

/// Copies `from` into `to` without giving up `to`'s memory.
pub(super) fn copy_into<T: Clone>(from: &[T], to: &mut Vec<T>) {
    to.clear();
    to.extend_from_slice(from);
}

impl Scene {
    pub(super) fn copy_into(&self, to: &mut Self) {
        (to.step_s, to.gate) = (self.step_s, self.gate);
        (to.presence, to.vacancy) = (self.presence, self.vacancy);
        copy_into(&self.nodes, &mut to.nodes);
        copy_into(&self.antennas, &mut to.antennas);
        copy_into(&self.outline, &mut to.outline);
        copy_into(&self.doors, &mut to.doors);
        copy_into(&self.links, &mut to.links);
        copy_into(&self.doppler, &mut to.doppler);
        copy_into(&self.spectra, &mut to.spectra);
        copy_into(&self.arrays, &mut to.arrays);
        copy_into(&self.array_spectra, &mut to.array_spectra);
    }
}
