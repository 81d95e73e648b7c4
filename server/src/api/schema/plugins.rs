//! Plugins exchanged while the cycle runs: what may be asked for, how an attempt goes, how the candidate compares.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object, SimpleObject, Subscription};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tapline_plugin_api::StageKind;
use tapline_witness::body::swap_reason;

use super::{
    api,
    mutation::send_for,
    query::invalid,
    scalars::{Long, hex},
};
use crate::{
    api::{
        Api,
        access::{Leaves::Anyway, Rule, Scope::*, rule},
        auth::Identity,
        error::Failure,
    },
    host::{
        builds,
        candidate::{Candidate, MAX_TABLE_BYTES, Source},
        manifest::{CpuLevel, Digest},
        shadow::StageComparison,
        stages::LINKED,
        swap::StateHandling,
    },
    live::{
        Command, SwapOrder,
        attempt::{Attempt, AttemptKind, Phase, StageTotal},
    },
};

/// Who may ask what, and what the answers give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Query", Read, Anyway, "pluginCandidates swap swaps"),
    // Another plugin is other code in the server's process.
    rule(
        "Mutation",
        Admin,
        Anyway,
        "swapPlugin confirmSwap cancelSwap rollbackPlugin",
    ),
    rule("Subscription", Subscribe, Anyway, "swapProgress"),
    rule(
        "PluginCandidate",
        Read,
        Anyway,
        "plugin stage file cpu blake3 size refused",
    ),
    rule(
        "SwapAttempt",
        Read,
        Anyway,
        "id kind stage plugin phase finished message reason oldManifestHash newManifestHash changes vectorsRun \
         vectorsPassed shadow effectiveTick leaf state",
    ),
    rule("SwapStageState", Read, Anyway, "stage state"),
    rule("SwapShadow", Read, Anyway, "wanted done stages lastCycle cycles"),
    rule("SwapCycle", Read, Anyway, "tick stages"),
    rule(
        "SwapStageCycle",
        Read,
        Anyway,
        "stage oldDisposition newDisposition values equalValues maxDifference oldUs newUs",
    ),
    rule(
        "SwapStageTotal",
        Read,
        Anyway,
        "stage cycles shadowRan equalCycles values equalValues maxDifference oldMeanUs newMeanUs oldMaxUs newMaxUs",
    ),
];

/// Shadow cycles when the caller does not say: two seconds.
pub(crate) const SHADOW_CYCLES: u32 = 40;
/// Shadow cycles at most: a minute.
pub(crate) const MAX_SHADOW_CYCLES: u32 = 1_200;
/// Compared cycles in one answer.
const CYCLES: usize = 100;
/// Before a stage's name: it is meant as it is built into the program, not as a library.
const BUILT_IN: &str = "built-in:";

/// A stage of the cycle that a plugin computes.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum PluginStage {
    /// Channel impulse response of every link path.
    Cir,
    /// The image of the room.
    Tomography,
    /// People.
    Tracker,
}

impl From<StageKind> for PluginStage {
    fn from(stage: StageKind) -> Self {
        match stage {
            StageKind::Cir => Self::Cir,
            StageKind::Tomography => Self::Tomography,
            StageKind::Tracker => Self::Tracker,
        }
    }
}

impl PluginStage {
    pub(crate) const fn kind(self) -> StageKind {
        match self {
            Self::Cir => StageKind::Cir,
            Self::Tomography => StageKind::Tomography,
            Self::Tracker => StageKind::Tracker,
        }
    }
}

/// Who wants a plugin exchanged.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SwapKind {
    /// An operator named a plugin (`swapPlugin`).
    Swap,
    /// An operator wanted the plugin before (`rollbackPlugin`).
    Rollback,
    /// The server replaces a stage that failed.
    Recovery,
}

/// How far an attempt is. APPLIED, REJECTED and ROLLED_BACK are final.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SwapPhase {
    /// It waits for the next cycle boundary.
    Queued,
    /// The candidate is loaded, checked against the gate, proved by its golden vectors, and built, beside the cycle.
    Preparing,
    /// The candidate computes the live input; its answers are compared, not used.
    Shadowing,
    /// The comparison is over; `confirmSwap` or `cancelSwap` decides, within five minutes.
    Compared,
    /// The SWAP leaf is written; the candidate runs from `effectiveTick` on.
    Committed,
    /// The candidate runs.
    Applied,
    /// The manifest before stays; `reason` and `message` say why.
    Rejected,
    /// Another plugin (the one before, or the built-in stage) took over from `effectiveTick` on.
    RolledBack,
}

/// What became of a stage's state.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SwapState {
    /// The same instances go on.
    Kept,
    /// Other code took the exported state over.
    Imported,
    /// It begins anew.
    Reset,
    /// There is no such stage.
    None,
}

/// State of one stage after a swap.
#[derive(Clone, Debug, SimpleObject, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SwapStageState {
    /// The stage.
    stage: PluginStage,
    /// What became of its state.
    state: SwapState,
}

/// One stage over all compared cycles.
#[derive(Clone, Debug, SimpleObject, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SwapStageTotal {
    /// The stage.
    stage: PluginStage,
    /// Cycles in which the running stage ran.
    cycles: u32,
    /// Of which the candidate ran in, too.
    shadow_ran: u32,
    /// Of which with equal bits throughout.
    equal_cycles: u32,
    /// 32-bit values compared.
    values: Long,
    /// Of which with equal bits.
    equal_values: Long,
    /// Largest absolute difference: of taps, of voxel means and variances, of positions (m) and velocities (m/s).
    max_difference: f64,
    /// Mean time of the running stage, microseconds.
    old_mean_us: f64,
    /// Mean time of the candidate, microseconds.
    new_mean_us: f64,
    /// Slowest call of the running stage, microseconds.
    old_max_us: u32,
    /// Slowest call of the candidate, microseconds.
    new_max_us: u32,
}

impl SwapStageTotal {
    fn new(stage: PluginStage, t: &StageTotal) -> Self {
        Self {
            stage,
            cycles: t.cycles,
            shadow_ran: t.shadow_ran,
            equal_cycles: t.equal_cycles,
            values: t.values.into(),
            equal_values: t.equal.into(),
            max_difference: f64::from(t.max_difference),
            old_mean_us: t.active_mean_us,
            new_mean_us: t.shadow_mean_us,
            old_max_us: t.active_max_us,
            new_max_us: t.shadow_max_us,
        }
    }
}

/// One stage of one compared cycle.
#[derive(Clone, Debug, SimpleObject, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SwapStageCycle {
    /// The stage.
    stage: PluginStage,
    /// How the running stage ended (RAN, SKIPPED, …).
    old_disposition: &'static str,
    /// How the candidate ended.
    new_disposition: &'static str,
    /// 32-bit values compared; 0 when either gave no answer.
    values: Long,
    /// Of which with equal bits.
    equal_values: Long,
    /// Largest absolute difference.
    max_difference: f64,
    /// Time of the running stage, microseconds.
    old_us: u32,
    /// Time of the candidate, microseconds.
    new_us: u32,
}

impl SwapStageCycle {
    fn new(stage: PluginStage, s: &StageComparison) -> Self {
        Self {
            stage,
            old_disposition: s.active.name(),
            new_disposition: s.shadow.name(),
            values: s.values.into(),
            equal_values: s.equal.into(),
            max_difference: f64::from(s.max_difference),
            old_us: s.active_us,
            new_us: s.shadow_us,
        }
    }
}

/// One compared cycle.
#[derive(Clone, Debug, SimpleObject, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SwapCycle {
    /// Its tick.
    tick: Long,
    /// The stages: cir, tomography, tracker.
    stages: Vec<SwapStageCycle>,
}

/// The shadow run of an attempt: the candidate computed the live input beside the running plugin.
#[derive(Clone, Debug, SimpleObject, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SwapShadow {
    /// Cycles asked for.
    wanted: u32,
    /// Cycles compared so far.
    done: u32,
    /// All compared cycles together: cir, tomography, tracker.
    stages: Vec<SwapStageTotal>,
    /// The newest compared cycle; null before the first.
    last_cycle: Option<SwapCycle>,
    /// The newest compared cycles, ascending, at most 100.
    cycles: Vec<SwapCycle>,
}

/// One attempt to exchange a plugin.
#[derive(Clone, Debug, SimpleObject, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SwapAttempt {
    /// Number since the process started, from 1.
    id: Long,
    /// Who wants it.
    kind: SwapKind,
    /// The stage.
    stage: PluginStage,
    /// What was asked for; for a recovery, what failed and how.
    plugin: String,
    /// How far it is.
    phase: SwapPhase,
    /// True when nothing more will happen.
    finished: bool,
    /// What is happening, or how it ended, in words.
    message: String,
    /// Reason in the SWAP leaf (GATE, GOLDEN, HASH, PANIC, …); null while there is none.
    reason: Option<&'static str>,
    /// Hash of the manifest before, 64 hex digits.
    old_manifest_hash: String,
    /// Hash of the manifest asked for; null before it is written.
    new_manifest_hash: Option<String>,
    /// What differs between the two manifests, a line each.
    changes: Vec<String>,
    /// Golden vectors run (each twice).
    vectors_run: u32,
    /// Of which gave the same bits both times.
    vectors_passed: u32,
    /// The shadow run; null when there is none.
    shadow: Option<SwapShadow>,
    /// First tick under the new manifest; null before a leaf names it.
    effective_tick: Option<Long>,
    /// Number of the newest SWAP leaf of the attempt; null before there is one.
    leaf: Option<Long>,
    /// What became of the state of each stage; empty before.
    state: Vec<SwapStageState>,
}

const STAGES: [PluginStage; 3] = [PluginStage::Cir, PluginStage::Tomography, PluginStage::Tracker];

impl From<&Attempt> for SwapAttempt {
    fn from(a: &Attempt) -> Self {
        let cycle = |c: &crate::host::shadow::ShadowCycle| SwapCycle {
            tick: c.tick.into(),
            stages: STAGES
                .iter()
                .zip(&c.stages)
                .map(|(n, s)| SwapStageCycle::new(*n, s))
                .collect(),
        };
        let run = &a.shadow;
        let shadow = (run.wanted > 0).then(|| SwapShadow {
            wanted: run.wanted,
            done: run.done,
            stages: STAGES
                .iter()
                .zip(&run.stages)
                .map(|(n, t)| SwapStageTotal::new(*n, t))
                .collect(),
            last_cycle: run.cycles.back().map(cycle),
            cycles: run
                .cycles
                .iter()
                .skip(run.cycles.len().saturating_sub(CYCLES))
                .map(cycle)
                .collect(),
        });
        let state = |handling| match handling {
            StateHandling::Kept => SwapState::Kept,
            StateHandling::Imported => SwapState::Imported,
            StateHandling::Reset => SwapState::Reset,
            StateHandling::None => SwapState::None,
        };
        Self {
            id: a.id.into(),
            kind: match a.kind {
                AttemptKind::Swap => SwapKind::Swap,
                AttemptKind::Rollback => SwapKind::Rollback,
                AttemptKind::Recovery => SwapKind::Recovery,
            },
            stage: a.stage.into(),
            plugin: a.asked.clone(),
            phase: match a.phase {
                Phase::Queued => SwapPhase::Queued,
                Phase::Preparing => SwapPhase::Preparing,
                Phase::Shadowing => SwapPhase::Shadowing,
                Phase::Compared => SwapPhase::Compared,
                Phase::Committed => SwapPhase::Committed,
                Phase::Applied => SwapPhase::Applied,
                Phase::Rejected => SwapPhase::Rejected,
                Phase::RolledBack => SwapPhase::RolledBack,
            },
            finished: a.phase.is_final(),
            message: a.message.clone(),
            reason: (a.reason != swap_reason::NONE).then(|| swap_reason::name(a.reason)),
            old_manifest_hash: hex(&a.old_manifest_hash),
            new_manifest_hash: a.new_manifest_hash.map(|h| hex(&h)),
            changes: a.changes.clone(),
            vectors_run: a.vectors[0],
            vectors_passed: a.vectors[1],
            shadow,
            effective_tick: a.effective_tick.map(Long::from),
            leaf: a.leaf.map(Long::from),
            state: a.state.map_or_else(Vec::new, |all| {
                let each = STAGES.iter().zip(all);
                each.map(|(stage, s)| SwapStageState {
                    stage: *stage,
                    state: state(s),
                })
                .collect()
            }),
        }
    }
}

/// A plugin that `swapPlugin` can be asked for.
#[derive(Clone, Debug, SimpleObject, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PluginCandidate {
    /// What to give `swapPlugin` as `plugin`.
    plugin: String,
    /// Its stage; null for a library, which says so only once it is loaded.
    stage: Option<PluginStage>,
    /// File in the plugin directory; null for a stage that is built into the program.
    file: Option<String>,
    /// CPU level of the file: `baseline`, `v3` or `v4`.
    cpu: Option<&'static str>,
    /// BLAKE3 of the file, 64 hex digits: give it to `swapPlugin` to get this very file or none.
    blake3: Option<String>,
    /// Bytes of the file.
    size: Option<Long>,
    /// Why it would be refused unread; null when nothing is known against it. None of its code was run to find out.
    refused: Option<String>,
}

/// What a swap is asked with, by GraphQL and by REST.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) stage: PluginStage,
    pub(crate) plugin: String,
    pub(crate) blake3: Option<String>,
    pub(crate) config: Option<String>,
    pub(crate) shadow_cycles: Option<u32>,
    pub(crate) review: bool,
}

impl Wish {
    /// Checks it and hands it to the cycle.
    pub(crate) fn send(self, api: &Api, operator: [u8; 32]) -> Result<SwapAttempt, Failure> {
        let cycles = self.shadow_cycles.unwrap_or(SHADOW_CYCLES);
        if cycles > MAX_SHADOW_CYCLES {
            return Err(invalid("shadowCycles", cycles, format!("0 to {MAX_SHADOW_CYCLES}")));
        }
        if let Some(found) = self.config.as_ref().filter(|c| c.len() > MAX_TABLE_BYTES) {
            let found = format!("{} bytes", found.len());
            return Err(invalid(
                "config",
                found,
                format!("at most {MAX_TABLE_BYTES} bytes of TOML"),
            ));
        }
        let (name, source): (_, fn(String) -> Source) = match self.plugin.strip_prefix(BUILT_IN) {
            Some(name) => (name, Source::Linked),
            None => (self.plugin.as_str(), Source::Directory),
        };
        let name = builds::plugin_name(name).map_err(|_| {
            let expected = "a name without path, such as cir-dense, cir-dense.so or built-in:cir-dense".to_owned();
            invalid("plugin", self.plugin.escape_default(), expected)
        })?;
        if let Some(found) = self.blake3.as_ref().filter(|_| self.plugin.starts_with(BUILT_IN)) {
            let expected = "none with a built-in stage, which is part of the program and has no file".to_owned();
            return Err(invalid("blake3", found.escape_default(), expected));
        }
        let blake3 = self.blake3.map(|text| {
            Digest::try_from(text.clone()).map_err(|_| {
                invalid(
                    "blake3",
                    text.escape_default(),
                    "64 lower-case hexadecimal digits".to_owned(),
                )
            })
        });
        let candidate = Candidate {
            stage: self.stage.kind(),
            source: source(name.to_owned()),
            blake3: blake3.transpose()?,
            table: self.config,
        };
        let order = SwapOrder {
            attempt: 0,
            candidate,
            shadow_cycles: cycles,
            review: self.review,
            operator,
        };
        send(api, AttemptKind::Swap, self.plugin, order)
    }
}

/// Asks for the plugin before the one that runs.
pub(crate) fn roll_back(api: &Api, stage: PluginStage, operator: [u8; 32]) -> Result<SwapAttempt, Failure> {
    let candidate = Candidate {
        stage: stage.kind(),
        source: Source::Before,
        blake3: None,
        table: None,
    };
    let order = SwapOrder {
        attempt: 0,
        candidate,
        shadow_cycles: 0,
        review: false,
        operator,
    };
    send(api, AttemptKind::Rollback, "the plugin before".to_owned(), order)
}

/// Takes the candidate of an attempt that waits for it (`go`), or drops one that is not yet in the log.
pub(crate) fn decide(api: &Api, id: u64, go: bool, operator: [u8; 32]) -> Result<SwapAttempt, Failure> {
    let attempt = api
        .hub
        .attempts
        .get(id)
        .ok_or_else(|| invalid("id", id, "the number of an attempt of this process".to_owned()))?;
    let possible = match attempt.phase {
        Phase::Compared => true,
        Phase::Queued | Phase::Preparing | Phase::Shadowing => !go,
        Phase::Committed | Phase::Applied | Phase::Rejected | Phase::RolledBack => false,
    };
    if !possible || attempt.kind != AttemptKind::Swap {
        let found = format!("{id}, which is {:?}: {}", attempt.phase, attempt.message);
        let expected = if go {
            "an attempt in phase COMPARED"
        } else {
            "a swap that is not COMMITTED yet"
        };
        return Err(invalid("id", found, expected.to_owned()));
    }
    let command = Command::DecideSwap {
        attempt: id,
        go,
        operator,
    };
    let action = if go { "swap.confirm" } else { "swap.cancel" };
    send_for(api, operator, &format!("{action} {id}"), command)?;
    Ok((&*attempt).into())
}

/// Enters an attempt, which numbers the order, and hands the order to the cycle.
fn send(api: &Api, kind: AttemptKind, asked: String, order: SwapOrder) -> Result<SwapAttempt, Failure> {
    let old_manifest_hash = api.hub.manifest().hash;
    let stage = order.candidate.stage;
    let operator = order.operator;
    let action = match kind {
        AttemptKind::Rollback => "swap.rollback",
        AttemptKind::Swap | AttemptKind::Recovery => "swap.begin",
    };
    let action = format!("{action} {} {asked}", stage.name());
    let attempt = api
        .hub
        .attempts
        .begin(true, |id| Attempt::queued(id, kind, stage, asked, old_manifest_hash));
    let attempt = attempt.ok_or(Failure::Busy {
        what: "swaps at a time",
        limit: 1,
    })?;
    let order = SwapOrder {
        attempt: attempt.id,
        ..order
    };
    if let Err(failure) = send_for(api, operator, &action, Command::Swap(order)) {
        api.hub.attempts.update(&Attempt {
            phase: Phase::Rejected,
            message: "too many orders wait for the cycle".to_owned(),
            ..(*attempt).clone()
        });
        return Err(failure);
    }
    Ok((&*attempt).into())
}

/// Every attempt that is remembered, ascending.
pub(crate) fn attempts(api: &Api) -> Vec<SwapAttempt> {
    api.hub.attempts.list().iter().map(|a| (&**a).into()).collect()
}

/// One attempt; without a number the newest.
pub(crate) fn attempt(api: &Api, id: Option<u64>) -> Option<SwapAttempt> {
    let found = match id {
        Some(id) => api.hub.attempts.get(id),
        None => api.hub.attempts.list().last().cloned(),
    };
    found.map(|a| (&*a).into())
}

/// The plugins that can be asked for. Reads and hashes files, so on a blocking thread.
pub(crate) async fn candidates(api: &Api) -> Result<Vec<PluginCandidate>, Failure> {
    let built_in = LINKED.iter().map(|module| {
        let about = (module.describe)();
        PluginCandidate {
            plugin: format!("{BUILT_IN}{}", about.name),
            stage: Some(about.stage.into()),
            file: None,
            cpu: None,
            blake3: None,
            size: None,
            refused: None,
        }
    });
    let mut all: Vec<PluginCandidate> = built_in.collect();
    let dir = api.hub.facts.plugin_dir.clone();
    if dir.as_os_str().is_empty() {
        return Ok(all);
    }
    let internal = |detail: String| Failure::Internal { detail };
    let permit = Arc::clone(&api.readers).acquire_owned().await;
    let permit = permit.map_err(|e| internal(e.to_string()))?;
    let listed = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        builds::list(&dir)
    });
    let listed = listed.await.map_err(|e| internal(e.to_string()))?;
    for file in listed.map_err(|e| internal(e.to_string()))? {
        let (examined, refused) = match file.examined {
            Ok(examined) => (Some(examined), None),
            // The path is the server's business.
            Err(why) => (
                None,
                Some(why.replace(&api.hub.facts.plugin_dir.display().to_string(), "…")),
            ),
        };
        all.push(PluginCandidate {
            plugin: match file.cpu {
                CpuLevel::Baseline => file.name,
                _ => file.file.clone(),
            },
            stage: None,
            file: Some(file.file),
            cpu: Some(file.cpu.name()),
            blake3: examined.as_ref().map(|e| e.blake3.to_string()),
            size: examined.map(|e| e.size.into()),
            refused,
        });
    }
    Ok(all)
}

/// Questions about the exchange of plugins.
#[derive(Default)]
pub(crate) struct PluginsQuery;

/// Questions about the exchange of plugins.
#[Object]
impl PluginsQuery {
    /// Plugins that `swapPlugin` can be asked for: the libraries of the plugin directory and the built-in stages.
    #[graphql(complexity = "20 * child_complexity")]
    async fn plugin_candidates(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<PluginCandidate>> {
        Ok(candidates(api(ctx)).await?)
    }

    /// Attempts to exchange a plugin, ascending: the last 16 of this process, recoveries of the server included.
    #[graphql(complexity = "16 * child_complexity")]
    async fn swaps(&self, ctx: &Context<'_>) -> Vec<SwapAttempt> {
        attempts(api(ctx))
    }

    /// One attempt; without a number the newest. Null when there is none.
    async fn swap(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of the attempt; without it the newest.")] id: Option<Long>,
    ) -> Option<SwapAttempt> {
        let id = match id {
            Some(id) => Some(id.unsigned()?),
            None => None,
        };
        attempt(api(ctx), id)
    }
}

fn number(id: Long) -> Result<u64, Failure> {
    id.unsigned()
        .ok_or_else(|| invalid("id", "a negative number", "the number of an attempt".to_owned()))
}

/// Orders to exchange plugins.
#[derive(Default)]
pub(crate) struct PluginsMutation;

/// Orders to exchange plugins.
#[allow(
    clippy::too_many_arguments,
    reason = "they are the arguments of a field of the schema"
)]
#[Object]
impl PluginsMutation {
    /// Brings another plugin into the running cycle: it is loaded, checked, proved and built beside the cycle, computes
    /// the live input for `shadowCycles` without being used, is named in a durable SWAP leaf, and takes over 40 ticks
    /// later with the state carried over where it fits. No cycle is missed. Answers at once; follow `swapProgress`.
    /// One attempt at a time.
    async fn swap_plugin(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The stage it is for.")] stage: PluginStage,
        #[graphql(
            desc = "A library of the plugin directory by name (`cir-dense`), or a built-in stage (`built-in:cir-dense`). \
                    See `pluginCandidates`."
        )]
        plugin: String,
        #[graphql(desc = "BLAKE3 the file must have, 64 hex digits; another file is refused before its code runs.")]
        blake3: Option<String>,
        #[graphql(desc = "Its configuration table, TOML; default: the table of the fleet file.")] config: Option<
            String,
        >,
        #[graphql(desc = "Cycles in which it is compared before it is used, 0 to 1200; default 40.")]
        shadow_cycles: Option<u32>,
        #[graphql(
            desc = "True: after the comparison it waits, in phase COMPARED, until `confirmSwap` or `cancelSwap` decides.",
            default = false
        )]
        review: bool,
    ) -> async_graphql::Result<SwapAttempt> {
        let wish = Wish {
            stage,
            plugin,
            blake3,
            config,
            shadow_cycles,
            review,
        };
        Ok(wish.send(api(ctx), ctx.data_unchecked::<Identity>().operator())?)
    }

    /// Lets the candidate of an attempt in phase COMPARED take over. Answers at once; follow `swapProgress`.
    async fn confirm_swap(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of the attempt.")] id: Long,
    ) -> async_graphql::Result<SwapAttempt> {
        Ok(decide(
            api(ctx),
            number(id)?,
            true,
            ctx.data_unchecked::<Identity>().operator(),
        )?)
    }

    /// Drops a candidate that is not in the log yet: the manifest stays, and a REJECTED leaf says so.
    async fn cancel_swap(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of the attempt.")] id: Long,
    ) -> async_graphql::Result<SwapAttempt> {
        Ok(decide(
            api(ctx),
            number(id)?,
            false,
            ctx.data_unchecked::<Identity>().operator(),
        )?)
    }

    /// Goes back to the plugin that ran before, with the next cycle after it is prepared: a ROLLED_BACK leaf names the
    /// tick.
    async fn rollback_plugin(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The stage.")] stage: PluginStage,
    ) -> async_graphql::Result<SwapAttempt> {
        Ok(roll_back(api(ctx), stage, ctx.data_unchecked::<Identity>().operator())?)
    }
}

/// The exchange of plugins as it happens.
#[derive(Default)]
pub(crate) struct PluginsSubscription;

/// The exchange of plugins as it happens.
#[Subscription]
impl PluginsSubscription {
    /// An attempt each time something about it changes (in the shadow run: every cycle), and as it is now. Without a
    /// number: whichever is the newest. A slow reader gets the newest state, not every one.
    async fn swap_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of the attempt; without it the newest.")] id: Option<Long>,
    ) -> impl Stream<Item = SwapAttempt> {
        let id = id.and_then(Long::unsigned);
        let list = api(ctx).hub.attempts.follow();
        let first = true;
        stream::unfold((list, None, first), move |(mut list, shown, first)| async move {
            let mut wait = !first;
            loop {
                if wait && list.changed().await.is_err() {
                    return None;
                }
                wait = true;
                let all = Arc::clone(&list.borrow_and_update());
                let found = match id {
                    Some(id) => all.iter().find(|a| a.id == id),
                    None => all.last(),
                };
                if let Some(found) = found.filter(|a| shown.as_ref() != Some(*a)) {
                    let found = Arc::clone(found);
                    return Some((Arc::clone(&found), (list, Some(found), false)));
                }
            }
        })
        .map(|a| SwapAttempt::from(&*a))
    }
}
