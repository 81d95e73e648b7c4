//! What a cycle published, as front-ends see it. Everything is rendered from the committed outcome,
//! which holds only what the privacy class lets out.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, MergedObject, Object, SimpleObject};
use tapline_witness::{
    disposition::Disposition,
    outcome::{self, Contradiction, Gate, PresenceState, Reason, demotion},
};

use super::{
    api,
    link::LinkReport,
    person::{PEOPLE, Person, everybody},
    scalars::{Long, Timestamp, decimal, hex},
    skips,
};
use crate::api::access::{Bar, Leaves::*, Rule, Scope::Read, rule};
use crate::{
    api::{metrics::STAGES, resume::Resumed, then::Then},
    config::{self, PathKind, Site},
    live,
};

/// What the fields give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule(
        "Cycle",
        Read,
        Anyway,
        "ageMs at bootId cycle demotions durable privacyClass privacyMode quality simulated tMs tick witness presence people rooms gate gateReason links stages",
    ),
    rule("Cycle", Read, Zones, "zones"),
    rule("Cycle", Read, People, "tracks"),
    rule(
        "CycleUpdate",
        Read,
        Anyway,
        "resumption skipped ageMs at bootId cycle demotions durable privacyClass privacyMode quality simulated tMs tick witness presence people rooms gate gateReason links stages",
    ),
    rule("CycleUpdate", Read, Zones, "zones"),
    rule("CycleUpdate", Read, People, "tracks"),
    rule(
        "OccupancyUpdate",
        Read,
        Anyway,
        "resumption skipped ageMs at bootId cycle demotions durable privacyClass privacyMode quality simulated tMs tick witness presence people rooms",
    ),
    rule("OccupancyUpdate", Read, Zones, "zones"),
    rule(
        "PoseFrame",
        Read,
        Anyway,
        "resumption skipped ageMs at bootId cycle demotions durable privacyClass privacyMode quality simulated tMs tick witness presence people rooms",
    ),
    rule("PoseFrame", Read, Zones, "zones"),
    rule("PoseFrame", Read, People, "tracks"),
    rule("Resumption", Read, Anyway, "gapFrom gapTo lastKept reset"),
    rule("StageReport", Read, Anyway, "stage disposition tookUs budgetUs"),
    rule("AreaOccupancy", Read, Anyway, "id name presence people"),
    rule("Presence", Read, Anyway, "state probability reason sinceTick"),
    rule(
        "Quality",
        Read,
        Anyway,
        "score linksShare coherence stagesShare contradictions",
    ),
];

/// One cycle with what the API knows about it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) cycle: Arc<live::Cycle>,
    pub(crate) boot_id: [u8; 16],
    pub(crate) durable: bool,
    /// True when it comes from the running process, false when it comes from the store.
    pub(crate) live: bool,
    /// The configuration it numbers areas and link paths by; none when their lists are those of now.
    pub(crate) then: Option<Arc<Then>>,
    /// Messages skipped before this one, for this reader alone.
    pub(crate) skipped: u64,
    /// What became of the wish to go on, on the first message after it.
    pub(crate) resumed: Option<Arc<Resumed>>,
}

impl Snapshot {
    /// Index of one of its rooms in the list of now; none when it is no longer configured.
    pub(super) fn room(&self, index: u16) -> Option<u16> {
        self.then.as_ref().map_or(Some(index), |then| then.room(index))
    }

    /// Index of one of its zones in the list of now; none when it is no longer configured.
    pub(super) fn zone(&self, index: u16) -> Option<u16> {
        self.then.as_ref().map_or(Some(index), |then| then.zone(index))
    }

    /// Index of one of its link paths in the list of now, none when it is no longer configured; and what it measured.
    fn path(&self, index: u16, now: &Site) -> (Option<u16>, Option<PathKind>) {
        match &self.then {
            Some(then) => then.path(index),
            None => (Some(index), now.paths.get(usize::from(index)).map(|p| p.kind)),
        }
    }
}

/// A finished 50 ms cycle: what was sensed, how sure, and what it rests on.
#[derive(MergedObject)]
#[graphql(name = "Cycle")]
pub(crate) struct CycleObject(Stamp, Areas, Sensed, Evidence);

/// What a front-end draws: the people and the occupancy of one cycle.
#[derive(MergedObject)]
pub(crate) struct PoseFrame(Skips, Stamp, Areas, Sensed);

/// Occupancy of the site, its rooms and zones after it changed.
#[derive(MergedObject)]
pub(crate) struct OccupancyUpdate(Skips, Stamp, Areas);

/// One cycle of a subscription.
#[derive(MergedObject)]
pub(crate) struct CycleUpdate(Skips, Stamp, Areas, Sensed, Evidence);

impl From<Snapshot> for CycleObject {
    fn from(s: Snapshot) -> Self {
        let s = Arc::new(s);
        Self(
            Stamp(Arc::clone(&s)),
            Areas(Arc::clone(&s)),
            Sensed(Arc::clone(&s)),
            Evidence(s),
        )
    }
}

impl From<Snapshot> for PoseFrame {
    fn from(s: Snapshot) -> Self {
        let s = Arc::new(s);
        Self(
            Skips(Arc::clone(&s)),
            Stamp(Arc::clone(&s)),
            Areas(Arc::clone(&s)),
            Sensed(s),
        )
    }
}

impl From<Snapshot> for OccupancyUpdate {
    fn from(s: Snapshot) -> Self {
        let s = Arc::new(s);
        Self(Skips(Arc::clone(&s)), Stamp(Arc::clone(&s)), Areas(s))
    }
}

impl From<Snapshot> for CycleUpdate {
    fn from(s: Snapshot) -> Self {
        let s = Arc::new(s);
        Self(
            Skips(Arc::clone(&s)),
            Stamp(Arc::clone(&s)),
            Areas(Arc::clone(&s)),
            Sensed(Arc::clone(&s)),
            Evidence(s),
        )
    }
}

pub(crate) struct Skips(pub(crate) Arc<Snapshot>);

#[Object]
impl Skips {
    /// What became of the wish to go on after a lost connection (docs/api.md, "Going on"): on the first message, when
    /// cycles were missed. Null otherwise.
    async fn resumption(&self) -> Option<Resumption> {
        self.0.resumed.as_deref().map(Resumption::from)
    }

    /// Messages of this subscription that were left out before this one because the client was behind; 0
    /// for a client that keeps up.
    async fn skipped(&self, ctx: &Context<'_>) -> Long {
        skips::number(ctx, self.0.skipped)
    }
}

/// How a subscription goes on after a lost connection.
#[derive(SimpleObject)]
struct Resumption {
    /// True when the process was started anew since: cycles of the old boot id above `lastKept` never became durable,
    /// and their numbers come again under the new one.
    reset: bool,
    /// Highest cycle of the old boot id that the log kept, up to the last one seen; null without a reset, or when none is
    /// known to have been kept.
    last_kept: Option<Long>,
    /// First missed cycle that is not sent again; null when all of them follow.
    gap_from: Option<Long>,
    /// Last missed cycle that is not sent again; null when all of them follow.
    gap_to: Option<Long>,
}

impl From<&Resumed> for Resumption {
    fn from(r: &Resumed) -> Self {
        Self {
            reset: r.reset,
            last_kept: r.last_kept.map(Long::from),
            gap_from: r.gap.map(|(from, _)| from.into()),
            gap_to: r.gap.map(|(_, to)| to.into()),
        }
    }
}

pub(crate) struct Stamp(pub(crate) Arc<Snapshot>);

#[Object]
impl Stamp {
    /// Process start: 32 hex digits. The same cycle number under another boot id is another cycle.
    async fn boot_id(&self) -> ID {
        hex(&self.0.boot_id).into()
    }

    /// Number of the cycle: the `seq` of its leaf in the witness log.
    async fn cycle(&self) -> Long {
        self.0.cycle.cycle.into()
    }

    /// 50 ms slot since the process started; a jump shows missed slots.
    async fn tick(&self) -> Long {
        self.0.cycle.outcome.tick.into()
    }

    /// End of the slot in milliseconds of the input's time base: Unix time, or a recording's own.
    async fn t_ms(&self) -> Long {
        self.0.cycle.outcome.t_ms.into()
    }

    /// End of the slot by the server's clock.
    async fn at(&self) -> Timestamp {
        Timestamp {
            wall_ns: self.0.cycle.wall_ns,
        }
    }

    /// True when any frame of the cycle came from a generator instead of a radio.
    async fn simulated(&self) -> bool {
        self.0.cycle.outcome.simulated
    }

    /// Age of the newest frame used, milliseconds at the end of the slot; null when no frame came yet.
    async fn age_ms(&self) -> Option<Long> {
        self.0.cycle.outcome.age_ms.map(|ms| u64::from(ms).into())
    }

    /// True when a published checkpoint covers the cycle. Live messages come before that and say false;
    /// after a power cut up to a second of them may be gone.
    async fn durable(&self) -> bool {
        self.0.durable
    }

    /// Privacy class of everything in the cycle, after any demotion.
    async fn privacy_class(&self) -> Option<PrivacyClass> {
        PrivacyClass::from_code(self.0.cycle.outcome.privacy_class)
    }

    /// Privacy mode the site runs in.
    async fn privacy_mode(&self) -> Option<PrivacyMode> {
        PrivacyMode::from_code(self.0.cycle.outcome.privacy_mode)
    }

    /// Why the class is stricter than the mode's; empty when it is not.
    async fn demotions(&self) -> Vec<Demotion> {
        let bits = self.0.cycle.outcome.demotion;
        [
            (demotion::CONTRADICTION, Demotion::Contradiction),
            (demotion::ARRAY, Demotion::Array),
            (demotion::MESH, Demotion::Mesh),
        ]
        .into_iter()
        .filter_map(|(bit, why)| (bits & bit != 0).then_some(why))
        .collect()
    }

    /// How good the cycle is and what that rests on.
    async fn quality(&self) -> Quality {
        Quality::from(&self.0.cycle.outcome.quality)
    }

    /// BLAKE3 witness of the cycle's leaf, 64 hex digits.
    async fn witness(&self) -> String {
        hex(&self.0.cycle.witness)
    }
}

struct Areas(Arc<Snapshot>);

#[Object]
impl Areas {
    /// The site as a whole, or the room that was asked for.
    async fn presence(&self) -> Presence {
        self.0.cycle.outcome.presence.into()
    }

    /// Number of people; null when it cannot be known.
    async fn people(&self) -> Option<u16> {
        self.0.cycle.outcome.people
    }

    /// Rooms with their occupancy.
    async fn rooms(&self, ctx: &Context<'_>) -> Vec<AreaOccupancy> {
        let rooms = &api(ctx).hub.facts.site.rooms;
        let name = |i: u16| {
            let room = rooms.get(usize::from(self.0.room(i)?))?;
            Some((room.id.as_str(), room.name.as_str()))
        };
        areas(&self.0.cycle.outcome.rooms, name)
    }

    /// Zones with their occupancy; empty when the privacy class lets out rooms only.
    async fn zones(&self, ctx: &Context<'_>) -> Vec<AreaOccupancy> {
        let zones = &api(ctx).hub.facts.site.zones;
        let name = |i: u16| {
            let zone = zones.get(usize::from(self.0.zone(i)?))?;
            Some((zone.id.as_str(), zone.name.as_str()))
        };
        areas(&self.0.cycle.outcome.zones, name)
    }
}

struct Sensed(Arc<Snapshot>);

#[Object]
impl Sensed {
    /// People, ascending id; empty when nobody is tracked, or when the privacy class lets no person out.
    #[graphql(complexity = "PEOPLE * child_complexity + 1")]
    async fn tracks(&self, ctx: &Context<'_>) -> Vec<Person> {
        everybody(api(ctx), Bar::of(api(ctx)), &self.0.cycle.outcome)
    }
}

fn areas<'a>(from: &[outcome::AreaPresence], name: impl Fn(u16) -> Option<(&'a str, &'a str)>) -> Vec<AreaOccupancy> {
    from.iter()
        .map(|area| {
            let named = name(area.area);
            AreaOccupancy {
                id: named.map(|(id, _)| id.into()),
                name: named.map(|(_, name)| name.to_owned()),
                presence: area.presence.into(),
                people: area.people,
            }
        })
        .collect()
}

struct Evidence(Arc<Snapshot>);

#[Object]
impl Evidence {
    /// Decision of the coherence gate: whether measurements were used.
    async fn gate(&self) -> GateDecision {
        self.0.cycle.outcome.gate.into()
    }

    /// Why the gate decided so.
    async fn gate_reason(&self) -> WhyCode {
        self.0.cycle.outcome.gate_reason.into()
    }

    /// Link paths, ascending; of a past cycle those that are still configured.
    async fn links(&self, ctx: &Context<'_>) -> Vec<LinkReport> {
        let site = &api(ctx).hub.facts.site;
        let links = &self.0.cycle.outcome.links;
        let placed = links.iter().filter_map(|l| {
            let (path, kind) = self.0.path(l.path, site);
            Some((path?, kind, l))
        });
        let mut placed: Vec<_> = placed.collect();
        placed.sort_unstable_by_key(|(path, ..)| *path);
        placed
            .into_iter()
            .map(|(path, kind, l)| LinkReport::new(l, path, kind))
            .collect()
    }

    /// What became of stages 1 to 10 and how long each took; null for a cycle of the past, whose timings
    /// are not kept (no timing enters a witness).
    async fn stages(&self) -> Option<Vec<StageReport>> {
        self.0.live.then(|| {
            STAGES
                .into_iter()
                .zip(self.0.cycle.stages)
                .map(|((stage, budget_us), (disposition, took_us))| StageReport {
                    stage,
                    disposition: disposition.into(),
                    took_us: u64::from(took_us).into(),
                    budget_us: u64::from(budget_us).into(),
                })
                .collect()
        })
    }
}

/// What one stage did in one cycle.
#[derive(SimpleObject)]
struct StageReport {
    /// Its name.
    stage: &'static str,
    /// What became of it.
    disposition: StageDisposition,
    /// Time it took, microseconds.
    took_us: Long,
    /// Its budget, microseconds.
    budget_us: Long,
}

/// Occupancy of a room or zone in one cycle.
#[derive(SimpleObject)]
struct AreaOccupancy {
    /// Id in the configuration; null when a past cycle's area is no longer configured.
    id: Option<ID>,
    /// Name for people; null when a past cycle's area is no longer configured.
    name: Option<String>,
    /// Its presence.
    presence: Presence,
    /// People in it; null when they cannot be counted.
    people: Option<u16>,
}

/// Presence in an area. "Unknown" is an answer.
#[derive(Clone, SimpleObject)]
pub(crate) struct Presence {
    /// The state.
    state: AreaState,
    /// Probability that anybody is there, 0 to 1; null when unknown.
    probability: Option<f64>,
    /// What decided.
    reason: WhyCode,
    /// Tick at which this state began.
    since_tick: Long,
}

impl From<outcome::Presence> for Presence {
    fn from(p: outcome::Presence) -> Self {
        Self {
            state: p.state.into(),
            probability: p.probability.map(decimal),
            reason: p.reason.into(),
            since_tick: p.since_tick.into(),
        }
    }
}

/// Quality of a cycle with its evidence.
#[derive(SimpleObject)]
pub(crate) struct Quality {
    /// 0 to 1; null when there was nothing to judge.
    score: Option<f64>,
    /// Share of configured link paths with a frame in this cycle, 0 to 1.
    links_share: f64,
    /// Mean coherence with the calibration, 0 to 1, over links that have one; null when none has.
    coherence: Option<f64>,
    /// Share of plugin stages that ran, 0 to 1.
    stages_share: f64,
    /// Statements that cannot both be true.
    contradictions: Vec<ContradictionKind>,
}

impl From<&outcome::Quality> for Quality {
    fn from(q: &outcome::Quality) -> Self {
        Self {
            score: q.score.map(decimal),
            links_share: decimal(q.links_share),
            coherence: q.coherence.map(decimal),
            stages_share: decimal(q.stages_share),
            contradictions: q.contradictions.iter().map(|c| (*c).into()).collect(),
        }
    }
}

/// What may leave the box, from least to most strict.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub(crate) enum PrivacyClass {
    /// Poses, stable identity, zones; raw input on this machine.
    Raw,
    /// Poses, stable identity, zones.
    Derived,
    /// Poses, an identity that changes every hour, zones.
    Anonymous,
    /// Occupancy of rooms, nothing of single people.
    Restricted,
}

impl PrivacyClass {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Raw, Self::Derived, Self::Anonymous, Self::Restricted]
            .get(usize::from(code))
            .copied()
    }
}

/// How a site handles what it senses.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub(crate) enum PrivacyMode {
    /// Class Raw: demonstrations, tests, replay.
    RawResearch,
    /// Class Anonymous; the default.
    PrivateHome,
    /// Class Anonymous, counts only.
    EnterpriseAnonymous,
    /// Class Derived.
    CareWithConsent,
    /// Class Restricted.
    StrictNoIdentity,
}

impl PrivacyMode {
    /// As the configuration has it.
    pub(crate) fn configured(self) -> config::PrivacyMode {
        match self {
            Self::RawResearch => config::PrivacyMode::RawResearch,
            Self::PrivateHome => config::PrivacyMode::PrivateHome,
            Self::EnterpriseAnonymous => config::PrivacyMode::EnterpriseAnonymous,
            Self::CareWithConsent => config::PrivacyMode::CareWithConsent,
            Self::StrictNoIdentity => config::PrivacyMode::StrictNoIdentity,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [
            Self::RawResearch,
            Self::PrivateHome,
            Self::EnterpriseAnonymous,
            Self::CareWithConsent,
            Self::StrictNoIdentity,
        ]
        .get(usize::from(code))
        .copied()
    }
}

/// Why a cycle is stricter than its mode.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum Demotion {
    /// Statements contradict each other.
    Contradiction,
    /// Nodes disagree.
    Array,
    /// The clock or the mesh is suspicious.
    Mesh,
}

/// Presence of an area.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[graphql(name = "PresenceState", remote = "PresenceState")]
pub(crate) enum AreaState {
    /// Not known; the reason says why.
    Unknown,
    /// Nobody.
    Empty,
    /// Somebody, moving.
    OccupiedMoving,
    /// Somebody, still.
    OccupiedStill,
}

/// Why something is unknown or was decided.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[graphql(name = "Reason", remote = "Reason")]
pub(crate) enum WhyCode {
    /// Nothing to say.
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
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[graphql(name = "Gate", remote = "Gate")]
pub(crate) enum GateDecision {
    /// Measurements are used.
    Accept,
    /// The filters predict only.
    PredictOnly,
    /// Measurements are not trusted.
    Reject,
    /// The calibration no longer fits the room.
    Recalibrate,
}

/// A pair of statements that cannot both be true.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[graphql(name = "Contradiction", remote = "Contradiction")]
enum ContradictionKind {
    /// Motion evidence says empty, the tracker reports somebody.
    EmptyButTracked,
    /// Motion evidence says somebody moves, the image is quiet.
    MotionWithoutImage,
    /// Nodes disagree about the channel beyond their noise.
    NodesDisagree,
    /// The clocks of nodes spread beyond the soft guard of 20 ms.
    ClockSpread,
}

/// What became of a stage in a cycle.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[graphql(name = "Disposition", remote = "Disposition")]
enum StageDisposition {
    /// It ran and its output was used.
    Ran,
    /// It had no usable input, or waits for its replacement.
    Skipped,
    /// It did not return in time.
    Timeout,
    /// It returned an error.
    Error,
    /// It panicked.
    Panic,
    /// Its output held a NaN or an infinity.
    NonFinite,
    /// It changed the floating-point environment.
    FpEnv,
}
