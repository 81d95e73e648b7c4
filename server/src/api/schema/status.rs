//! The process, its nodes and its plugins.

use async_graphql::{Context, Enum, ID, Object, SimpleObject};

use super::{
    api,
    array::{self, NodeClock, Placement},
    scalars::{Long, Timestamp, decimal, hex},
};
use crate::api::access::{
    Leaves::{Anyway, Zones},
    Rule,
    Scope::Read,
    rule,
};
use crate::{
    config::{self, NodeRole},
    live::{self, Readiness},
};

/// What the fields give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule(
        "Server",
        Read,
        Anyway,
        "bootId build cyclesRun logKey logOrigin missedTicks mode notReadyReason notUsed otherSites ready received startedAt uptimeS version",
    ),
    rule("Count", Read, Anyway, "count name"),
    rule("Document", Read, Anyway, "hash text"),
    rule(
        "Build",
        Read,
        Anyway,
        "cargoLock fingerprint flags program rustc target",
    ),
    rule("DecisionTrace", Read, Anyway, "area"),
    // The lines name links and what they see.
    rule("DecisionTrace", Read, Zones, "lines"),
    rule(
        "Node",
        Read,
        Anyway,
        "address antennasM clockQuality frames health healthReason id lastSeenS loss name notUsed placement rateHz reboots \
         role rssiDbm simulated x y z",
    ),
    rule("UnknownSender", Read, Anyway, "address admit datagrams node reason"),
    rule(
        "Plugin",
        Read,
        Anyway,
        "blake3 golden method name reason stage state version",
    ),
];

/// Where the newest cycle's input came from.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum Mode {
    /// Radios only.
    Live,
    /// At least one frame of the newest cycle came from a generator.
    Simulated,
}

/// This server process.
pub(crate) struct Server;

/// This server process.
#[Object]
impl Server {
    /// Version of the program.
    async fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// What runs: this very program, and what it was built from; as the BOOT leaf of this process has it.
    async fn build(&self, ctx: &Context<'_>) -> Build {
        let host = &api(ctx).hub.facts.host;
        Build {
            program: (host.program != [0; 32]).then(|| hex(&host.program)),
            cargo_lock: hex(&host.cargo_lock),
            fingerprint: hex(&host.fingerprint),
            rustc: host.rustc.as_str().to_owned(),
            target: host.target.as_str().to_owned(),
            flags: host.flags.as_str().to_owned(),
        }
    }

    /// Seconds since the process started.
    async fn uptime_s(&self, ctx: &Context<'_>) -> f64 {
        api(ctx).started.elapsed().as_secs_f64()
    }

    /// When the process started.
    async fn started_at(&self, ctx: &Context<'_>) -> Timestamp {
        Timestamp {
            wall_ns: api(ctx).hub.facts.started_wall_ns,
        }
    }

    /// Process start: 32 hex digits, random.
    async fn boot_id(&self, ctx: &Context<'_>) -> ID {
        hex(&api(ctx).hub.facts.boot_id).into()
    }

    /// Whether the newest cycle was sensed or simulated; null before the first cycle.
    async fn mode(&self, ctx: &Context<'_>) -> Option<Mode> {
        let cycle = api(ctx).hub.latest()?;
        Some(if cycle.outcome.simulated {
            Mode::Simulated
        } else {
            Mode::Live
        })
    }

    /// True when cycles run.
    async fn ready(&self, ctx: &Context<'_>) -> bool {
        *api(ctx).hub.readiness() == Readiness::Ready
    }

    /// Why the server is not ready; null when it is.
    async fn not_ready_reason(&self, ctx: &Context<'_>) -> Option<String> {
        match &*api(ctx).hub.readiness() {
            Readiness::Ready => None,
            Readiness::NotReady(why) => Some(why.clone()),
        }
    }

    /// Ids of the fleet file's other sites; another process runs each.
    async fn other_sites<'c>(&self, ctx: &Context<'c>) -> &'c [String] {
        &api(ctx).hub.facts.other_sites
    }

    /// Cycles run since start.
    async fn cycles_run(&self, ctx: &Context<'_>) -> Long {
        api(ctx).hub.diagnostics().cycles.into()
    }

    /// 50 ms slots that passed without a cycle.
    async fn missed_ticks(&self, ctx: &Context<'_>) -> Long {
        api(ctx).hub.diagnostics().missed_ticks.into()
    }

    /// Datagrams received, by kind.
    async fn received(&self, ctx: &Context<'_>) -> Vec<Count> {
        counts(&api(ctx).hub.diagnostics().received)
    }

    /// Datagrams not used, by reason.
    async fn not_used(&self, ctx: &Context<'_>) -> Vec<Count> {
        counts(&api(ctx).hub.diagnostics().not_used)
    }

    /// Origin line of the witness log.
    async fn log_origin<'c>(&self, ctx: &Context<'c>) -> &'c str {
        &api(ctx).hub.facts.origin
    }

    /// Verification key of the witness log, C2SP signed-note text: the newest one, when two sign.
    async fn log_key(&self, ctx: &Context<'_>) -> String {
        let hub = &api(ctx).hub;
        let newest = hub.keys().and_then(|keys| keys.vkey());
        newest.unwrap_or_else(|| hub.facts.vkey.clone())
    }
}

/// What runs.
#[derive(SimpleObject)]
struct Build {
    /// Digest of the program file, 64 hex digits; null when it could not be read at start.
    program: Option<String>,
    /// Digest of the `Cargo.lock` it was built from, 64 hex digits.
    cargo_lock: String,
    /// What its arithmetic gave at start, 64 hex digits: equal on machines that replay each other's cycles.
    fingerprint: String,
    /// Compiler.
    rustc: String,
    /// Target triple.
    target: String,
    /// Optimisation, CPU features and compiler flags.
    flags: String,
}

/// How often something happened.
#[derive(SimpleObject)]
pub(crate) struct Count {
    /// What.
    name: &'static str,
    /// How often since start.
    count: Long,
}

fn counts(from: &std::collections::BTreeMap<&'static str, u64>) -> Vec<Count> {
    from.iter()
        .map(|(name, count)| Count {
            name,
            count: (*count).into(),
        })
        .collect()
}

/// A text that is hashed into every cycle.
#[derive(SimpleObject)]
pub(crate) struct Document {
    /// Its hash, 64 hex digits.
    pub(crate) hash: String,
    /// The text, verbatim.
    pub(crate) text: String,
}

/// Why an area's state is what it is.
#[derive(SimpleObject)]
pub(crate) struct DecisionTrace {
    /// Id of the room or zone, or the name of the site-wide decision.
    pub(crate) area: String,
    /// Evidence, thresholds, since when; one statement a line.
    pub(crate) lines: Vec<String>,
}

/// What a node does.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum Role {
    /// Sends frames to the server, and may transmit for others.
    Sensor,
    /// Only transmits (an access point); the server never hears from it.
    Transmitter,
}

/// A configured radio.
pub(crate) struct Node {
    pub(crate) configured: config::Node,
    pub(crate) status: Option<live::NodeStatus>,
}

/// A configured radio.
#[Object]
impl Node {
    /// The number in its datagrams.
    async fn id(&self) -> u16 {
        self.configured.id
    }

    /// Name for people.
    async fn name(&self) -> String {
        if self.configured.name.is_empty() {
            format!("node {}", self.configured.id)
        } else {
            self.configured.name.clone()
        }
    }

    /// What it does.
    async fn role(&self) -> Role {
        match self.configured.role {
            NodeRole::Sensor => Role::Sensor,
            NodeRole::Transmitter => Role::Transmitter,
        }
    }

    /// True when it is configured as a generator instead of a radio.
    async fn simulated(&self) -> bool {
        self.configured.simulated
    }

    /// Position x, metres.
    async fn x(&self) -> f64 {
        decimal(self.configured.position_m[0])
    }

    /// Position y, metres.
    async fn y(&self) -> f64 {
        decimal(self.configured.position_m[1])
    }

    /// Position z, metres above the floor.
    async fn z(&self) -> f64 {
        decimal(self.configured.position_m[2])
    }

    /// Places `[x, y]` of its receive antennas from its own, metres, in the order of its frames; empty when it is no array.
    async fn antennas_m(&self) -> Vec<Vec<f64>> {
        let place = |from_m: &[f32; 2]| from_m.iter().copied().map(decimal).collect();
        self.configured.antennas_m.iter().map(place).collect()
    }

    /// One word on how it does (`ok`, `silent`, `never seen`, `slow`); null before the server looked.
    async fn health(&self) -> Option<&'static str> {
        Some(self.status.as_ref()?.health.0)
    }

    /// Why its health is what it is; null before the server looked.
    async fn health_reason(&self) -> Option<&str> {
        Some(&self.status.as_ref()?.health.1)
    }

    /// Seconds since its last frame; null when it was never heard.
    async fn last_seen_s(&self) -> Option<f64> {
        self.status.as_ref()?.last_seen_s
    }

    /// Frames a second over the last seconds; null before the server looked.
    async fn rate_hz(&self) -> Option<f64> {
        Some(self.status.as_ref()?.rate_hz)
    }

    /// Share of its frames that were lost on the way, 0 to 1, from sequence numbers; null without them.
    async fn loss(&self) -> Option<f64> {
        self.status.as_ref()?.loss
    }

    /// Frames used since start; null before the server looked.
    async fn frames(&self) -> Option<Long> {
        Some(self.status.as_ref()?.frames.into())
    }

    /// Restarts noticed since start; null before the server looked.
    async fn reboots(&self) -> Option<Long> {
        Some(self.status.as_ref()?.reboots.into())
    }

    /// Its frames that were not used, by reason.
    async fn not_used(&self) -> Vec<Count> {
        self.status.as_ref().map(|s| counts(&s.not_used)).unwrap_or_default()
    }

    /// Strength of its last frame, dBm; null when there was none.
    async fn rssi_dbm(&self) -> Option<i8> {
        self.status.as_ref()?.rssi_dbm
    }

    /// IP address it sends from; null when it was never heard.
    async fn address(&self) -> Option<String> {
        Some(self.status.as_ref()?.address?.to_string())
    }

    /// How its clock does; null before the server looked, and for one that only transmits.
    async fn clock_quality(&self) -> Option<NodeClock> {
        Some(self.status.as_ref()?.clock?.into())
    }

    /// What it adds to what the others can tell of people's places; null when the site is too large to judge that
    /// (`site.array.leftOut`).
    async fn placement(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Placement>> {
        array::placement(ctx, self.configured.id).await
    }
}

/// Somebody who sends datagrams but is not configured.
#[derive(SimpleObject)]
pub(crate) struct UnknownSender {
    /// IP address.
    address: String,
    /// Node id in its datagrams; null when they cannot be read.
    node: Option<u16>,
    /// Datagrams since start.
    datagrams: Long,
    /// Why they are not used.
    reason: &'static str,
    /// Lines for the fleet file that would admit it.
    admit: String,
}

impl From<&live::UnknownSender> for UnknownSender {
    fn from(u: &live::UnknownSender) -> Self {
        Self {
            address: u.address.to_string(),
            node: u.node,
            datagrams: u.datagrams.into(),
            reason: u.reason,
            admit: u.admit.clone(),
        }
    }
}

/// State of a plugin.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum PluginState {
    /// Named in the manifest.
    Declared,
    /// Its file has the manifest's hash and passed the static checks.
    Verified,
    /// Its library is open and speaks our contract.
    Loaded,
    /// It reproduced its golden digests on this machine.
    Proved,
    /// It computes.
    Active,
    /// Another generation took its place.
    Retired,
    /// It is not used; the reason says why.
    Failed,
    /// In a state this schema does not name.
    Other,
}

/// A plugin as the host sees it.
#[derive(SimpleObject)]
pub(crate) struct Plugin {
    /// Name in the manifest.
    name: String,
    /// Semantic version.
    version: String,
    /// Stage it computes: `cir`, `tomography` or `tracker`.
    stage: &'static str,
    /// Its method, one line.
    method: String,
    /// Where it stands.
    state: PluginState,
    /// Why it stands there; null when there is nothing to say.
    reason: Option<String>,
    /// BLAKE3 of its library, 64 hex digits; null when it is linked into the program.
    blake3: Option<String>,
    /// Digest of its golden outputs, hex.
    golden: String,
}

impl From<&live::PluginStatus> for Plugin {
    fn from(p: &live::PluginStatus) -> Self {
        Self {
            name: p.name.clone(),
            version: p.version.clone(),
            stage: p.stage,
            method: p.method.clone(),
            state: match p.state {
                "DECLARED" => PluginState::Declared,
                "VERIFIED" => PluginState::Verified,
                "LOADED" => PluginState::Loaded,
                "PROVED" => PluginState::Proved,
                "ACTIVE" => PluginState::Active,
                "RETIRED" => PluginState::Retired,
                "FAILED" => PluginState::Failed,
                _ => PluginState::Other,
            },
            reason: p.reason.clone(),
            blake3: p.blake3.clone(),
            golden: p.golden.clone(),
        }
    }
}
