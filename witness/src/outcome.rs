//! `outcome_bytes`: what a cycle published, in canonical form.
//!
//! The encoding is borsh (little-endian integers, raw IEEE-754 bits, `u32` lengths, one byte for
//! `Option`), drawn field by field in docs/witness-format.md. NaN cannot be encoded. Whatever a client
//! sees is rendered from these bytes, so they hold only what the privacy class of the cycle lets out.

use borsh::{BorshDeserialize, BorshSerialize};

/// Version of this record.
pub const OUTCOME_VERSION: u16 = 1;

/// Presence of a site, room or zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum PresenceState {
    /// Not known, see [`Presence::reason`].
    #[default]
    Unknown,
    /// Nobody.
    Empty,
    /// Somebody, moving.
    OccupiedMoving,
    /// Somebody, still.
    OccupiedStill,
}

/// Why something is unknown or was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum Reason {
    /// Nothing to say.
    #[default]
    None,
    /// No frame arrived.
    NoInput,
    /// No quiet level has been learned or loaded.
    NotCalibrated,
    /// The gate rejected the measurements.
    GateRejected,
    /// The calibration no longer fits.
    Drifted,
    /// No link passes through the area.
    NotCovered,
    /// The privacy class does not let it out.
    Privacy,
    /// The stage that would know failed or was skipped.
    StageFailed,
    /// Motion evidence above its threshold.
    Motion,
    /// Attenuation or a track above its threshold.
    Attenuation,
    /// Held by minimum dwell or hysteresis.
    Held,
    /// All evidence below its thresholds.
    Quiet,
}

/// Decision of the coherence gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum Gate {
    /// Measurements are used.
    Accept,
    /// The filters predict only.
    #[default]
    PredictOnly,
    /// Measurements are not trusted.
    Reject,
    /// The calibration no longer fits the room.
    Recalibrate,
}

/// Presence of one area.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Presence {
    /// The state.
    pub state: PresenceState,
    /// Probability that anybody is there, 0 to 1; none when unknown.
    pub probability: Option<f32>,
    /// What decided.
    pub reason: Reason,
    /// Tick at which this state began.
    pub since_tick: u64,
}

/// Presence of a room or zone of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct AreaPresence {
    /// Index of the room or zone in the witnessed configuration.
    pub area: u16,
    /// Its presence.
    pub presence: Presence,
    /// People in it, when they can be counted.
    pub people: Option<u16>,
}

/// One joint of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Keypoint {
    /// x, y, z in metres; an axis the radio cannot give is none.
    pub position_m: [Option<f32>; 3],
    /// Standard deviation, metres (root mean square over the known axes).
    pub sigma_m: f32,
    /// Covariance of x, y, z, upper triangle row by row, square metres.
    pub covariance_m2: [f32; 6],
    /// 0 to 1.
    pub confidence: f32,
    /// True when the radio measured this joint, false when it follows from the kinematic prior.
    pub measured: bool,
}

/// One person.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Person {
    /// Published identity: the tracker's own, or an hourly pseudonym, by privacy class.
    pub id: u64,
    /// True while measurements support the track, false while it is coasting.
    pub active: bool,
    /// Probability that this person exists.
    pub existence: f32,
    /// x, y, z in metres; an axis the radio cannot give is none.
    pub position_m: [Option<f32>; 3],
    /// Metres a second.
    pub velocity_m_s: [Option<f32>; 3],
    /// Standard deviation of the position, metres (root mean square over the known axes).
    pub sigma_m: f32,
    /// Covariance of position and velocity, upper triangle row by row.
    pub covariance: [f32; 21],
    /// COCO-17; none when the class lets no pose out.
    pub keypoints: Option<[Keypoint; 17]>,
}

/// One link path in this cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct LinkReport {
    /// Index in the site's sorted list of link paths.
    pub path: u16,
    /// Milliseconds since its last frame; none when there never was one.
    pub age_ms: Option<u32>,
    /// Coherence with its calibration, 0 to 1; none without a calibration.
    pub coherence: Option<f32>,
    /// Motion statistic over its own quiet level; none without one.
    pub motion_ratio: Option<f32>,
    /// Dominant delay, nanoseconds; none when CIR has no answer.
    pub delay_ns: Option<f32>,
    /// Its standard deviation, nanoseconds.
    pub delay_sigma_ns: Option<f32>,
    /// RMS delay spread, nanoseconds.
    pub delay_spread_ns: Option<f32>,
    /// Rician K-factor, dB.
    pub k_factor_db: Option<f32>,
    /// Relative duality gap of the CIR.
    pub gap: Option<f32>,
}

/// A pair of statements that cannot both be true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = false)]
pub enum Contradiction {
    /// Motion evidence says empty, the tracker reports somebody.
    #[default]
    EmptyButTracked,
    /// Motion evidence says somebody moves, the image is quiet.
    MotionWithoutImage,
    /// Nodes disagree about the channel beyond their noise.
    NodesDisagree,
    /// The clocks of nodes spread beyond the soft guard.
    ClockSpread,
}

/// The quality of a cycle and what it rests on.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Quality {
    /// 0 to 1; none when there was nothing to judge.
    pub score: Option<f32>,
    /// Share of configured link paths with a frame in this cycle.
    pub links_share: f32,
    /// Mean coherence over links with a calibration.
    pub coherence: Option<f32>,
    /// Share of plugin stages that ran.
    pub stages_share: f32,
    /// Contradictions, ascending.
    pub contradictions: Vec<Contradiction>,
}

/// Why a cycle's privacy class is stricter than its mode's: bits of [`Outcome::demotion`].
pub mod demotion {
    /// A contradiction.
    pub const CONTRADICTION: u8 = 1;
    /// Nodes disagree.
    pub const ARRAY: u8 = 2;
    /// The clock or the mesh is suspicious.
    pub const MESH: u8 = 4;
}

/// What a cycle published.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Outcome {
    /// [`OUTCOME_VERSION`].
    pub version: u16,
    /// 50 ms slot since boot.
    pub tick: u64,
    /// End of the slot in the time base of the input (Unix milliseconds, or a recording's own).
    pub t_ms: i64,
    /// True when any frame of the cycle was simulated.
    pub simulated: bool,
    /// Age of the newest frame used, milliseconds at the end of the slot; none when there was none yet.
    pub age_ms: Option<u32>,
    /// Privacy class after demotion: 0 Raw, 1 Derived, 2 Anonymous, 3 Restricted.
    pub privacy_class: u8,
    /// Privacy mode: 0 RawResearch, 1 PrivateHome, 2 EnterpriseAnonymous, 3 CareWithConsent, 4 StrictNoIdentity.
    pub privacy_mode: u8,
    /// Bits of [`demotion`].
    pub demotion: u8,
    /// The gate's decision.
    pub gate: Gate,
    /// Why.
    pub gate_reason: Reason,
    /// Quality with its evidence.
    pub quality: Quality,
    /// The site as a whole.
    pub presence: Presence,
    /// Rooms, ascending index.
    pub rooms: Vec<AreaPresence>,
    /// Zones, ascending index; empty when the class lets out rooms only.
    pub zones: Vec<AreaPresence>,
    /// Number of people; none when it cannot be known.
    pub people: Option<u16>,
    /// People, ascending id; empty when the class lets none out.
    pub tracks: Vec<Person>,
    /// Link paths, ascending.
    pub links: Vec<LinkReport>,
}
