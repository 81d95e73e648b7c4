//! What the front end hands on: evidence per path, presence per area, the decision's trace.

use crate::presence::{PresenceReason, PresenceState};

/// Which fields of a [`LinkEvidence`] hold a measurement.
pub mod valid {
    /// `age_s`.
    pub const AGE: u32 = 1;
    /// `rss_dbm`.
    pub const RSS: u32 = 2;
    /// `quiet_dbm`, `quiet_std_db`; with `RSS` also `attenuation_db`.
    pub const QUIET: u32 = 4;
    /// `change`, `change_quiet`, `motion_ratio`.
    pub const CHANGE: u32 = 8;
    /// `coherence`.
    pub const COHERENCE: u32 = 16;
    /// `signal_coherence`.
    pub const SIGNAL: u32 = 32;
    /// `drift_sigma`.
    pub const DRIFT: u32 = 64;
    /// `level_ratio`.
    pub const LEVEL: u32 = 128;
}

/// What one link path says in one cycle. Fields without a measurement hold zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkEvidence {
    /// Index of the path.
    pub path: u16,
    /// Bits of [`valid`].
    pub valid: u32,
    /// Seconds since its last frame.
    pub age_s: f32,
    /// Received strength: mean of the last tick that had any, dBm.
    pub rss_dbm: f32,
    /// The same in the quiet room.
    pub quiet_dbm: f32,
    /// Its standard deviation there, dB.
    pub quiet_std_db: f32,
    /// Quiet level minus now, dB.
    pub attenuation_db: f32,
    /// Fluctuation over the motion window: gain-normalised amplitude with the noise taken out (CSI), or dB (RSS).
    pub change: f32,
    /// The same in the quiet room: the unit of `change`.
    pub change_quiet: f32,
    /// `change / change_quiet`.
    pub motion_ratio: f32,
    /// RSS paths: root mean square deviation from `quiet_dbm` over the motion window, over `quiet_std_db`.
    pub level_ratio: f32,
    /// Coherence of the profile with the calibrated one, 0 to 1.
    pub coherence: f32,
    /// Share of the frame that is channel rather than noise, 0 to 1.
    pub signal_coherence: f32,
    /// Deviation of the slow profile from the calibrated one, standard deviations.
    pub drift_sigma: f32,
}

impl LinkEvidence {
    /// True when all of `bits` are valid.
    pub fn has(&self, bits: u32) -> bool {
        self.valid & bits == bits
    }
}

/// Links named in a trace.
pub const TRACE_LINKS: usize = 4;

/// One link's part in a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TraceLink {
    /// Index of the path: of the link's paths the one with the largest motion ratio.
    pub path: u16,
    /// Its motion ratio.
    pub motion_ratio: f32,
    /// The link's log-likelihood ratio of somebody (moving or still, whichever is larger) against nobody, mean over
    /// its paths.
    pub llr: f32,
}

/// Why an area is in the state it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecisionTrace {
    /// Links with usable evidence in this cycle.
    pub links_used: u16,
    /// Links that could see the area.
    pub links_covering: u16,
    /// Fused log-likelihood ratio of somebody against nobody over one window; none without evidence.
    pub llr: Option<f32>,
    /// Ratio at which a link's evidence changes sides.
    pub ratio_threshold: f32,
    /// Probability that would change the published state of occupied or empty.
    pub probability_threshold: f32,
    /// The links that spoke loudest for motion, loudest first; those after the last are zero.
    pub links: [TraceLink; TRACE_LINKS],
    /// How many of `links` are filled.
    pub links_named: u8,
}

/// Presence of the site, a room or a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AreaEvidence {
    /// The published state.
    pub state: PresenceState,
    /// Probability that anybody is there; none when unknown.
    pub probability: Option<f32>,
    /// Probability that somebody moves there; none when unknown.
    pub moving_probability: Option<f32>,
    /// What decided.
    pub reason: PresenceReason,
    /// Tick at which the state began.
    pub since_tick: u64,
    /// Links, evidence and thresholds behind it.
    pub trace: DecisionTrace,
}
