//! An outcome as a client sees it: the JSON object of `--out`, REST and GraphQL alike.
//!
//! It is rendered from an outcome that was decoded from (or encoded to) the committed bytes, so nothing
//! can be shown that was not committed. Numbers the radio cannot give are `null`.

use serde::Serialize;

use crate::outcome::{AreaPresence, Contradiction, Gate, Keypoint, Outcome, Person, PresenceState, Reason};

/// COCO-17 names, in the order of [`Person::keypoints`].
pub const KEYPOINT_NAMES: [&str; 17] = [
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

/// Names of the rooms and zones of the witnessed configuration, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AreaNames {
    /// Rooms.
    pub rooms: Vec<String>,
    /// Zones.
    pub zones: Vec<String>,
}

/// One cycle as published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CycleView<'a> {
    /// Index of the cycle's leaf in the log.
    pub cycle: u64,
    /// 50 ms slot since boot.
    pub tick: u64,
    /// End of the slot in the time base of the input, milliseconds.
    pub t_ms: i64,
    /// True when any frame of the cycle was simulated.
    pub simulated: bool,
    /// Age of the newest frame used, milliseconds.
    pub age_ms: Option<u32>,
    /// People, as far as the privacy class lets them out.
    pub tracks: Vec<TrackView>,
    /// Presence of the site, its rooms and zones.
    pub presence: PresenceView<'a>,
    /// Number of people; `null` when it cannot be known.
    pub people: Option<u16>,
    /// 0 to 1; `null` when there was nothing to judge.
    pub quality: Option<f32>,
    /// Statements of this cycle that cannot both be true.
    pub contradictions: Vec<&'static str>,
    /// The gate's decision.
    pub gate: &'static str,
    /// Why the gate decided so.
    pub gate_reason: &'static str,
    /// Privacy class after demotion.
    pub privacy_class: &'static str,
}

/// One person as published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrackView {
    /// Published identity. A JSON number; ids stay below 2^53 or clients must read them as integers.
    pub id: u64,
    /// `ACTIVE` or `LOST`.
    pub state: &'static str,
    /// Probability that this person exists.
    pub existence: f32,
    /// Metres.
    pub x: Option<f32>,
    /// Metres.
    pub y: Option<f32>,
    /// Metres.
    pub z: Option<f32>,
    /// Metres a second.
    pub vx: Option<f32>,
    /// Metres a second.
    pub vy: Option<f32>,
    /// Metres a second.
    pub vz: Option<f32>,
    /// Standard deviation of the position, metres.
    pub sigma_m: f32,
    /// 17 joints, or none when the class lets no pose out.
    pub keypoints: Vec<KeypointView>,
}

/// One joint as published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeypointView {
    /// One of [`KEYPOINT_NAMES`].
    pub name: &'static str,
    /// Metres.
    pub x: Option<f32>,
    /// Metres.
    pub y: Option<f32>,
    /// Metres.
    pub z: Option<f32>,
    /// Standard deviation, metres.
    pub sigma_m: f32,
    /// 0 to 1.
    pub confidence: f32,
    /// `MEASURED` or `PRIOR`.
    pub source: &'static str,
}

/// Presence as published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PresenceView<'a> {
    /// `UNKNOWN`, `EMPTY`, `OCCUPIED_MOVING` or `OCCUPIED_STILL`.
    pub state: &'static str,
    /// Probability that anybody is there; `null` when unknown.
    pub probability: Option<f32>,
    /// What decided.
    pub reason: &'static str,
    /// Rooms.
    pub rooms: Vec<AreaView<'a>>,
    /// Zones.
    pub zones: Vec<AreaView<'a>>,
}

/// A room or zone as published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AreaView<'a> {
    /// Its name in the configuration; `null` when the names given do not reach that far.
    pub name: Option<&'a str>,
    /// As in [`PresenceView::state`].
    pub state: &'static str,
    /// As in [`PresenceView::probability`].
    pub probability: Option<f32>,
    /// People in it, when they can be counted.
    pub people: Option<u16>,
    /// What decided.
    pub reason: &'static str,
}

impl<'a> CycleView<'a> {
    /// Renders the outcome of the cycle with this leaf index.
    pub fn new(cycle: u64, outcome: &Outcome, names: &'a AreaNames) -> Self {
        Self {
            cycle,
            tick: outcome.tick,
            t_ms: outcome.t_ms,
            simulated: outcome.simulated,
            age_ms: outcome.age_ms,
            tracks: outcome.tracks.iter().map(TrackView::new).collect(),
            presence: PresenceView {
                state: outcome.presence.state.name(),
                probability: outcome.presence.probability,
                reason: outcome.presence.reason.name(),
                rooms: outcome
                    .rooms
                    .iter()
                    .map(|room| AreaView::new(room, &names.rooms))
                    .collect(),
                zones: outcome
                    .zones
                    .iter()
                    .map(|zone| AreaView::new(zone, &names.zones))
                    .collect(),
            },
            people: outcome.people,
            quality: outcome.quality.score,
            contradictions: outcome
                .quality
                .contradictions
                .iter()
                .map(|found| found.name())
                .collect(),
            gate: outcome.gate.name(),
            gate_reason: outcome.gate_reason.name(),
            privacy_class: privacy_class_name(outcome.privacy_class),
        }
    }

    /// The JSON object, on one line without a newline.
    pub fn to_json(&self) -> String {
        // Only maps with non-string keys and failing writers make this fail; there are none here.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl TrackView {
    fn new(person: &Person) -> Self {
        let [x, y, z] = person.position_m;
        let [vx, vy, vz] = person.velocity_m_s;
        let joints = person.keypoints.as_ref().map_or(&[][..], |joints| &joints[..]);
        Self {
            id: person.id,
            state: if person.active { "ACTIVE" } else { "LOST" },
            existence: person.existence,
            x,
            y,
            z,
            vx,
            vy,
            vz,
            sigma_m: person.sigma_m,
            keypoints: joints
                .iter()
                .zip(KEYPOINT_NAMES)
                .map(|(joint, name)| KeypointView::new(name, joint))
                .collect(),
        }
    }
}

impl KeypointView {
    fn new(name: &'static str, joint: &Keypoint) -> Self {
        let [x, y, z] = joint.position_m;
        Self {
            name,
            x,
            y,
            z,
            sigma_m: joint.sigma_m,
            confidence: joint.confidence,
            source: if joint.measured { "MEASURED" } else { "PRIOR" },
        }
    }
}

impl<'a> AreaView<'a> {
    fn new(area: &AreaPresence, names: &'a [String]) -> Self {
        Self {
            name: names.get(usize::from(area.area)).map(String::as_str),
            state: area.presence.state.name(),
            probability: area.presence.probability,
            people: area.people,
            reason: area.presence.reason.name(),
        }
    }
}

/// The name of a privacy class in API and files.
pub const fn privacy_class_name(class: u8) -> &'static str {
    match class {
        0 => "RAW",
        1 => "DERIVED",
        2 => "ANONYMOUS",
        _ => "RESTRICTED",
    }
}

impl PresenceState {
    /// The name in API and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Empty => "EMPTY",
            Self::OccupiedMoving => "OCCUPIED_MOVING",
            Self::OccupiedStill => "OCCUPIED_STILL",
        }
    }
}

impl Gate {
    /// The name in API and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "ACCEPT",
            Self::PredictOnly => "PREDICT_ONLY",
            Self::Reject => "REJECT",
            Self::Recalibrate => "RECALIBRATE",
        }
    }
}

impl Reason {
    /// The name in API and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::NoInput => "NO_INPUT",
            Self::NotCalibrated => "NOT_CALIBRATED",
            Self::GateRejected => "GATE_REJECTED",
            Self::Drifted => "DRIFTED",
            Self::NotCovered => "NOT_COVERED",
            Self::Privacy => "PRIVACY",
            Self::StageFailed => "STAGE_FAILED",
            Self::Motion => "MOTION",
            Self::Attenuation => "ATTENUATION",
            Self::Held => "HELD",
            Self::Quiet => "QUIET",
        }
    }
}

impl Contradiction {
    /// The name in API and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmptyButTracked => "EMPTY_BUT_TRACKED",
            Self::MotionWithoutImage => "MOTION_WITHOUT_IMAGE",
            Self::NodesDisagree => "NODES_DISAGREE",
            Self::ClockSpread => "CLOCK_SPREAD",
        }
    }
}
