//! Stage `cir`: channel impulse response of every link path of one group.

use abi_stable::{
    StableAbi,
    std_types::{RSlice, RSliceMut},
};
use bytemuck::{Pod, Zeroable};

/// A complex number, layout-compatible with `num_complex::Complex<f32>`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi, Pod, Zeroable)]
pub struct C32 {
    /// Real part.
    pub re: f32,
    /// Imaginary part.
    pub im: f32,
}

/// One link path as the stage is built for it: fixed while the instance lives.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi)]
pub struct CirLinkSpec {
    /// Index of the path in the site's sorted list of link paths.
    pub path: u32,
    /// PHY tier, the code of `tapline_dsp::tier::Tier`.
    pub tier: u32,
}

/// One link path in one cycle. Its tones stand at `tone_offset..tone_offset + tone_count` of the
/// input's flat arrays, its taps at `tap_offset..tap_offset + tap_count` of the output's.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi)]
pub struct CirLink {
    /// Index of the path in the site's sorted list of link paths; the same as in the spec, same order.
    pub path: u32,
    /// Transmitting node.
    pub tx: u32,
    /// Receiving node.
    pub rx: u32,
    /// Antennas: transmitter in the low 16 bits, receiver in the high.
    pub antennas: u32,
    /// PHY tier, the code of `tapline_dsp::tier::Tier`.
    pub tier: u32,
    /// 1 when there is a measurement in this cycle, 0 when the path has none (then: no answer).
    pub present: u32,
    /// First tone in the flat arrays.
    pub tone_offset: u32,
    /// Active tones of the tier (K).
    pub tone_count: u32,
    /// First tap in the output.
    pub tap_offset: u32,
    /// Taps (G = 3 K).
    pub tap_count: u32,
    /// Noise variance of a complex tone, E|n|^2, in the square of the tones' unit; 0 when unknown.
    pub noise_variance: f32,
    /// Seconds since the path's last frame at the end of this cycle's slot.
    pub age_s: f32,
    /// Centre frequency, kHz.
    pub centre_khz: u32,
    /// Zero.
    pub reserved: u32,
}

/// What the stage reads.
#[repr(C)]
#[derive(StableAbi)]
pub struct CirInput<'a> {
    /// The group's paths, in the order of the specs the instance was built with.
    pub links: RSlice<'a, CirLink>,
    /// Tone (subcarrier) indices relative to the centre, ascending for each link.
    pub tone_index: RSlice<'a, i16>,
    /// Complex channel at each tone, receiver amplitude units; masked tones hold zero.
    pub tones: RSlice<'a, C32>,
    /// 1 = measured, 0 = missing, one a tone.
    pub mask: RSlice<'a, u8>,
}

/// What the stage fills. Everything it is given is written in every call.
#[repr(C)]
#[derive(StableAbi)]
pub struct CirOutput<'a> {
    /// Complex tap gains, G a link; tap g has delay `g / (G df)`. Zero where there is no answer.
    pub taps: RSliceMut<'a, C32>,
    /// One summary a link.
    pub summaries: RSliceMut<'a, CirSummary>,
}

/// Why a [`CirSummary`] has no answer: [`CirSummary::reason`].
pub mod reason {
    /// There is an answer.
    pub const NONE: u32 = 0;
    /// The path has no measurement in this cycle.
    pub const NO_INPUT: u32 = 1;
    /// Too few tones are measured for the tier.
    pub const TOO_FEW_TONES: u32 = 2;
    /// All measured tones are zero.
    pub const NO_SIGNAL: u32 = 3;
    /// The solver ended at its iteration cap with a gap above its tolerance; taps are given all the same.
    pub const NOT_CONVERGED: u32 = 4;
    /// A tone is not a finite number.
    pub const NOT_FINITE: u32 = 5;
}

/// The outcome for one link path. Fields without an answer hold zero; NaN is never written.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, StableAbi, Pod, Zeroable)]
pub struct CirSummary {
    /// 1 when the taps answer, 0 when not.
    pub valid: u32,
    /// One of [`reason`].
    pub reason: u32,
    /// Non-zero taps.
    pub active_taps: u32,
    /// Solver iterations.
    pub iterations: u32,
    /// Delay of the strongest path, refined off-grid, seconds.
    pub dominant_delay_s: f32,
    /// Its standard deviation, seconds; 0 when unknown.
    pub dominant_delay_sigma_s: f32,
    /// Energy of the strongest tap over the energy of all taps, 0 to 1.
    pub dominant_ratio: f32,
    /// RMS delay spread, seconds.
    pub rms_delay_spread_s: f32,
    /// Rician K-factor of the taps (strongest over the rest), dB, clamped to +-60.
    pub k_factor_db: f32,
    /// Objective `1/2 |y - Phi x|^2 + lambda |x|_1` on the normalised problem.
    pub objective: f32,
    /// Relative duality gap, (primal - dual) / primal.
    pub relative_gap: f32,
    /// 1 when the bandwidth allows ranging (40 MHz or more).
    pub ranging_valid: u32,
}
