//! Stage `tomography`: an image of the room from what its links lose and how much they flicker.

use abi_stable::{
    StableAbi,
    std_types::{RSlice, RSliceMut},
};
use bytemuck::{Pod, Zeroable};

use crate::{
    cir::{C32, CirLink, CirSummary},
    geometry::{Grid, NodePosition, Point2},
};

/// Which fields of a [`LinkObservation`] hold a measurement.
pub mod observed {
    /// `rss_dbm`.
    pub const RSS: u32 = 1;
    /// `attenuation_db` and `quiet_dbm`: the link has a quiet level.
    pub const QUIET: u32 = 2;
    /// `change` and `change_quiet`.
    pub const CHANGE: u32 = 4;
    /// `cir`.
    pub const CIR: u32 = 8;
}

/// What one link says on one channel in this cycle.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi, Pod, Zeroable)]
pub struct LinkObservation {
    /// Index of the path in the site's sorted list of link paths.
    pub path: u32,
    /// Transmitting node.
    pub tx: u32,
    /// Receiving node.
    pub rx: u32,
    /// Channel number.
    pub channel: u32,
    /// Bits of [`observed`].
    pub observed: u32,
    /// Index of this path in the CIR arrays, when `observed` says so.
    pub cir: u32,
    /// Received strength now, dBm.
    pub rss_dbm: f32,
    /// The link's own quiet level, dBm.
    pub quiet_dbm: f32,
    /// Quiet level minus now, dB: positive when something stands in the way.
    pub attenuation_db: f32,
    /// Standard deviation of the quiet level, dB.
    pub noise_db: f32,
    /// Short-time change of the link (standard deviation over the motion window), dB for RSS links,
    /// gain-normalised amplitude for CSI links.
    pub change: f32,
    /// The same in the quiet room: the unit of `change`.
    pub change_quiet: f32,
    /// Seconds since the last measurement.
    pub age_s: f32,
    /// Zero.
    pub reserved: u32,
}

/// What the stage reads.
#[repr(C)]
#[derive(StableAbi)]
pub struct TomographyInput<'a> {
    /// The image grid; the same in every call of an instance.
    pub grid: Grid,
    /// Seconds since the last cycle, at most an hour; the nominal period before the first.
    pub step_s: f32,
    /// Node positions, ascending by node id.
    pub nodes: RSlice<'a, NodePosition>,
    /// Room outline, counter-clockwise, without the closing point.
    pub outline: RSlice<'a, Point2>,
    /// One a link path, ascending by path.
    pub links: RSlice<'a, LinkObservation>,
    /// The CIR stage's links of all groups, ascending by path; empty when that stage did not run.
    pub cir_links: RSlice<'a, CirLink>,
    /// Their summaries.
    pub cir_summaries: RSlice<'a, CirSummary>,
    /// Their taps, at the offsets in `cir_links`.
    pub taps: RSlice<'a, C32>,
}

/// What the stage fills: one value a voxel, order of [`Grid`].
#[repr(C)]
#[derive(StableAbi)]
pub struct TomographyOutput<'a> {
    /// Image mean (unit of the method: dB of attenuation a metre, or change over quiet change).
    pub mean: RSliceMut<'a, f32>,
    /// Image variance, the square of that unit.
    pub variance: RSliceMut<'a, f32>,
}

/// The outcome of one call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi, Pod, Zeroable)]
pub struct TomographySummary {
    /// 1 when the image answers, 0 when not (too few links with a quiet level).
    pub valid: u32,
    /// Links used.
    pub links_used: u32,
    /// Solver iterations.
    pub iterations: u32,
    /// Objective at the end.
    pub objective: f32,
    /// Relative duality gap; 0 for closed-form methods.
    pub relative_gap: f32,
    /// Zero.
    pub reserved: u32,
}
