//! What is known of the empty room: the calibration in force, path by path, and those before it, from CALIBRATION leaves.

use async_graphql::{
    Context, Enum, ID, Object, SimpleObject,
    connection::{Connection, EmptyFields},
};
use tapline_witness::body::CalibrationSource;

use super::{
    api,
    query::{newest_first, page_back},
    scalars::{Long, Timestamp, decimal, hex},
};
use crate::{
    api::access::{Leaves::Anyway, Rule, Scope::Read, rule},
    live,
    store::calibrations::{self, CalibrationLeaf},
};

/// What the answers give away: the empty room, and nothing that was sensed in it.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Query", Read, Anyway, "calibrations"),
    rule("Calibration", Read, Anyway, "id links since status"),
    rule("LinkCalibration", Read, Anyway, "agcDb frames rssiDbm tones"),
    rule("CalibrationChangeConnection", Read, Anyway, "edges nodes pageInfo"),
    rule("CalibrationChangeEdge", Read, Anyway, "cursor node"),
    rule(
        "CalibrationChange",
        Read,
        Anyway,
        "at bootId cause durable id leaf learnedS links oldId operator sinceTick",
    ),
];

/// Leaves of one page at most.
const PAGE: i32 = 50;

/// Questions about calibrations.
#[derive(Default)]
pub(crate) struct CalibrationsQuery;

/// Questions about calibrations.
#[Object]
impl CalibrationsQuery {
    /// Every calibration that came into force, newest first: one entry for each CALIBRATION leaf that is kept.
    #[graphql(complexity = "10 * child_complexity")]
    async fn calibrations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Older than this cursor.")] after: Option<String>,
        #[graphql(desc = "So many, 1 to 50.", default = 20)] first: i32,
    ) -> async_graphql::Result<Connection<u64, CalibrationChange, EmptyFields, EmptyFields>> {
        let (before, first) = newest_first(after.as_deref(), first, PAGE)?;
        let api = api(ctx);
        let durable = api.hub.durable().borrow().size;
        let found = api
            .read_store(move |db| calibrations::leaves(db, before, first + 1))
            .await?;
        Ok(page_back(found, (before, first), |leaf| {
            (leaf.header.seq, CalibrationChange::new(&leaf, durable))
        }))
    }
}

/// The empty-room calibration as it stands.
pub(super) struct Calibration {
    pub(super) now: live::Calibration,
}

/// The empty-room calibration.
#[Object]
impl Calibration {
    /// Its state in words: whether there is one, how old, how far a running one is, why one was refused.
    async fn status(&self) -> &str {
        &self.now.line
    }

    /// Digest of the one in force, 64 hex digits; null when there is none.
    async fn id(&self) -> Option<ID> {
        Some(hex(&self.now.id?).into())
    }

    /// When it was learned or loaded; null when there is none.
    async fn since(&self) -> Option<Timestamp> {
        let wall_ns = self.now.since_ns?;
        Some(Timestamp { wall_ns })
    }

    /// Link paths that it knows.
    async fn links(&self) -> u32 {
        self.now.paths.iter().flatten().count() as u32
    }
}

/// What the calibration in force knows of one link path.
#[derive(SimpleObject)]
pub(super) struct LinkCalibration {
    /// Frames it was learned from, one a cycle at most.
    frames: u32,
    /// Tones that were measured in at least half of them; null for a path that measures strength only.
    tones: Option<u32>,
    /// Mean received strength in the empty room, dBm; null when it is not reported.
    rssi_dbm: Option<f64>,
    /// Mean gain setting of the receiver in the empty room, dB; null when it is not reported.
    agc_db: Option<f64>,
}

impl From<&live::LinkCalibration> for LinkCalibration {
    fn from(c: &live::LinkCalibration) -> Self {
        Self {
            frames: c.frames,
            tones: c.tones,
            rssi_dbm: c.rssi_dbm.map(decimal),
            agc_db: c.agc_db.map(decimal),
        }
    }
}

/// Where a calibration came from.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum CalibrationCause {
    /// Learned on this server.
    Learned,
    /// Loaded: from a file, or from the log after a start.
    Loaded,
    /// Dropped: there is none from then on.
    Cleared,
}

impl From<CalibrationSource> for CalibrationCause {
    fn from(source: CalibrationSource) -> Self {
        match source {
            CalibrationSource::Learned => Self::Learned,
            CalibrationSource::Loaded => Self::Loaded,
            CalibrationSource::Cleared => Self::Cleared,
        }
    }
}

/// A calibration that came into force.
#[derive(SimpleObject)]
pub(crate) struct CalibrationChange {
    /// Number of the leaf that says so.
    leaf: Long,
    /// When.
    at: Timestamp,
    /// Process start, 32 hex digits.
    boot_id: ID,
    /// First tick of this process under it.
    since_tick: Long,
    /// Where it came from.
    cause: CalibrationCause,
    /// Digest of the calibration, 64 hex digits; null when there is none from then on.
    id: Option<ID>,
    /// Digest of the one before, 64 hex digits; null when there was none.
    old_id: Option<ID>,
    /// Digest of the name of whoever ordered it, 64 hex digits; null when the leaf names nobody (the AUDIT leaf before it does).
    operator: Option<String>,
    /// Link paths that it knows; null when its file is not kept.
    links: Option<u32>,
    /// How long the empty room was learned, seconds; null when its file is not kept.
    learned_s: Option<f64>,
    /// True when a published checkpoint covers the leaf.
    durable: bool,
}

impl CalibrationChange {
    fn new(leaf: &CalibrationLeaf, durable: u64) -> Self {
        let unless_zero = |hash: &[u8; 32]| (*hash != [0; 32]).then(|| hex(hash));
        let (header, body) = (&leaf.header, &leaf.body);
        Self {
            leaf: header.seq.into(),
            at: Timestamp {
                wall_ns: header.wall_ns,
            },
            boot_id: hex(&header.boot_id).into(),
            since_tick: body.effective_tick.into(),
            cause: body.source.into(),
            id: unless_zero(&body.new_calibration_id).map(Into::into),
            old_id: unless_zero(&body.old_calibration_id).map(Into::into),
            operator: unless_zero(&body.operator),
            links: leaf.artefact.as_ref().map(|a| a.paths.len() as u32),
            learned_s: leaf
                .artefact
                .as_ref()
                .map(|a| a.end_ns.saturating_sub(a.start_ns) as f64 / 1e9),
            durable: header.seq < durable,
        }
    }
}
