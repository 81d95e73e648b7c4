//! Stage `tracker`: persons with identity, uncertainty and 17 COCO keypoints.

use abi_stable::{
    StableAbi,
    std_types::{RSlice, RSliceMut},
};
use bytemuck::{Pod, Zeroable};

use crate::{
    cir::CirSummary,
    geometry::{AntennaPosition, Door, Grid, NodePosition, Point2},
    tomography::{LinkObservation, TomographySummary},
};

/// Tracks the output can hold.
pub const MAX_TRACKS: usize = 16;
/// COCO keypoints of a person.
pub const KEYPOINTS: usize = 17;

/// COCO-17 names in order.
pub const KEYPOINT_NAMES: [&str; KEYPOINTS] = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
];

/// Life cycle of a track: [`Track::state`].
pub mod state {
    /// Seen, not confirmed: never published.
    pub const TENTATIVE: u32 = 0;
    /// Confirmed and measured.
    pub const ACTIVE: u32 = 1;
    /// Confirmed, without a measurement for a while.
    pub const LOST: u32 = 2;
    /// Ended in this cycle; its id comes back only when a tracker re-identifies the person.
    pub const TERMINATED: u32 = 3;
}

/// Decision of the coherence gate: [`TrackerInput::gate`].
pub mod gate {
    /// Use the measurements.
    pub const ACCEPT: u32 = 0;
    /// Predict, do not update.
    pub const PREDICT_ONLY: u32 = 1;
    /// Measurements are not to be trusted.
    pub const REJECT: u32 = 2;
    /// The calibration no longer fits the room.
    pub const RECALIBRATE: u32 = 3;
}

/// Where a keypoint comes from: [`Keypoint::source`].
pub mod source {
    /// Follows from the kinematic prior round the track's position.
    pub const PRIOR: u32 = 0;
    /// Measured by the radio.
    pub const MEASURED: u32 = 1;
}

/// Path rates of a Doppler spectrum: -3.2 m/s to 3.2 m/s.
pub const RATE_BINS: usize = 65;
/// Distance of two path rates, m/s.
pub const RATE_STEP_M_S: f32 = 0.1;
/// Delay filters of a spectrum.
pub const DELAY_FILTERS: usize = 3;
/// How much longer than the direct way the way over a body is that each filter is made for, metres.
pub const DELAY_FILTER_M: [f32; DELAY_FILTERS] = [0.5, 3.0, 6.0];
/// Length of the window a spectrum is measured in, seconds; it ends with the cycle's slot.
pub const DOPPLER_WINDOW_S: f32 = 0.7;

/// Doppler of what moves between two nodes, both directions together.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi, Pod, Zeroable)]
pub struct DopplerPair {
    /// The node with the smaller id.
    pub a: u32,
    /// The other.
    pub b: u32,
    /// Frames in the window.
    pub samples: u32,
    /// Mean of the spectrum: about 1 when nobody moves.
    pub energy: f32,
}

/// Most receive antennas of an array.
pub const ARRAY_ANTENNAS: usize = 4;
/// Numbers that stand for the delays of one antenna's echoes.
pub const ARRAY_DELAYS: usize = 3;
/// Path rates of an array's spectrum: they cover [`ArrayLink::period_m_s`] once, from minus a half of it up.
pub const ARRAY_RATES: usize = 36;
/// Numbers of an array's spectrum: for each antenna and delay the real parts by rising path rate, then the imaginary ones; zeros
/// for antennas that are not there.
pub const ARRAY_SPECTRUM: usize = 2 * ARRAY_ANTENNAS * ARRAY_DELAYS * ARRAY_RATES;

/// What moves, as a node with several receive antennas hears another one: by rate, delay and antenna, the phases of one frame kept
/// (`tapline_dsp::bearing` makes it, and has the delay basis by tier).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi, Pod, Zeroable)]
pub struct ArrayLink {
    /// The node that sends, by its antenna 0.
    pub tx: u32,
    /// The node that receives.
    pub rx: u32,
    /// Its antennas, 2 to [`ARRAY_ANTENNAS`].
    pub antennas: u32,
    /// Frames in the window.
    pub samples: u32,
    /// Code of the PHY tier: which tones the delays were told from.
    pub tier: u32,
    /// Wavelength, metres.
    pub wavelength_m: f32,
    /// Path rates that differ by this look the same, m/s: the wavelength times the frames a second.
    pub period_m_s: f32,
    /// Noise of one number of a frame in the empty room, as a share of the empty room's power.
    pub noise: f32,
}

/// What the stage reads.
#[repr(C)]
#[derive(StableAbi)]
pub struct TrackerInput<'a> {
    /// Seconds since the last cycle, at most an hour; the nominal period before the first.
    pub step_s: f32,
    /// One of [`gate`].
    pub gate: u32,
    /// Probability that anybody is in the room, from link motion evidence; negative when unknown.
    pub presence: f32,
    /// Log-likelihood ratio of nobody in the room against somebody who keeps still, nats a second, by how like the empty room
    /// of late the links look: 0 when that says nothing, never negative.
    pub vacancy: f32,
    /// The image grid.
    pub grid: Grid,
    /// The tomography stage's outcome; `valid == 0` when it did not run.
    pub image: TomographySummary,
    /// Image mean, empty when the stage did not run.
    pub mean: RSlice<'a, f32>,
    /// Image variance.
    pub variance: RSlice<'a, f32>,
    /// Room outline, counter-clockwise.
    pub outline: RSlice<'a, Point2>,
    /// Doors.
    pub doors: RSlice<'a, Door>,
    /// Node positions, ascending by node id.
    pub nodes: RSlice<'a, NodePosition>,
    /// Link observations, ascending by path.
    pub links: RSlice<'a, LinkObservation>,
    /// CIR summaries, ascending by path; empty when that stage did not run.
    pub cir_summaries: RSlice<'a, CirSummary>,
    /// Pairs of nodes with a Doppler spectrum, ascending; empty in cycles in which none was measured.
    pub doppler: RSlice<'a, DopplerPair>,
    /// [`DELAY_FILTERS`] times [`RATE_BINS`] powers a pair: for each filter by rising path rate (the speed at which the way over
    /// the moving body grows), in units of the empty room's noise.
    pub spectra: RSlice<'a, f32>,
    /// Receive antennas of nodes that have an array, ascending by node and antenna.
    pub antennas: RSlice<'a, AntennaPosition>,
    /// Links to arrays that have a spectrum in this cycle: a part of them, in turn.
    pub arrays: RSlice<'a, ArrayLink>,
    /// [`ARRAY_SPECTRUM`] numbers a link, in units of the empty room's noise.
    pub array_spectra: RSlice<'a, f32>,
}

/// What the stage fills. Tracks stand in ascending id; those after `count` are zero.
#[repr(C)]
#[derive(StableAbi)]
pub struct TrackerOutput<'a> {
    /// [`MAX_TRACKS`] places.
    pub tracks: RSliceMut<'a, Track>,
}

/// The outcome of one call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi, Pod, Zeroable)]
pub struct TrackerSummary {
    /// Tracks written, in all states.
    pub count: u32,
    /// Detections taken from the image.
    pub detections: u32,
    /// 1 when the stage could judge the room at all; 0 means the number of people is unknown.
    pub valid: u32,
    /// Expected number of people (sum of existence probabilities).
    pub people_mean: f32,
    /// Its variance.
    pub people_variance: f32,
    /// Zero.
    pub reserved: u32,
}

/// One person.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi, Pod, Zeroable)]
pub struct Track {
    /// Never given to another person by this instance, nor by one that goes on from its state. An instance that begins anew
    /// may count from 1 again.
    pub id: u64,
    /// One of [`state`].
    pub state: u32,
    /// Bits 0 to 2: x, y, z of the position are measured (a planar mesh cannot give z).
    pub axes: u32,
    /// Cycles since birth.
    pub age_cycles: u32,
    /// Cycles since the last update by a measurement.
    pub coasted_cycles: u32,
    /// Probability that this person exists, 0 to 1.
    pub existence: f32,
    /// Zero.
    pub reserved: u32,
    /// x, y, z in metres, vx, vy, vz in metres a second.
    pub mean: [f32; 6],
    /// Covariance of `mean`, upper triangle row by row (21 numbers).
    pub covariance: [f32; 21],
    /// Zero.
    pub reserved2: u32,
    /// Order of [`KEYPOINT_NAMES`].
    pub keypoints: [Keypoint; KEYPOINTS],
}

/// One joint of a person.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi, Pod, Zeroable)]
pub struct Keypoint {
    /// x, y, z in metres.
    pub mean: [f32; 3],
    /// Covariance, upper triangle row by row.
    pub covariance: [f32; 6],
    /// Probability that the joint lies within 0.2 m of the mean (the covariance's own mass), 0 to 1.
    pub confidence: f32,
    /// One of [`source`].
    pub source: u32,
    /// Bits 0 to 2: x, y, z are known.
    pub axes: u32,
}
