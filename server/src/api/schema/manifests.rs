//! Which manifests there were, since when and why: what BOOT and SWAP leaves say, with the rows of each manifest.

use async_graphql::{
    Context, Enum, ID, Object, SimpleObject,
    connection::{Connection, EmptyFields},
};
use tapline_witness::{
    body::{Body, SwapResult, swap_reason},
    hash::Hash,
};

use super::{
    api,
    plugins::PluginStage,
    query::{newest_first, page_back},
    scalars::{Long, Timestamp, hex},
};
use crate::{
    api::access::{Leaves::Anyway, Rule, Scope::Read, rule},
    host::manifest::{BuildRow, HostStage, Manifest, PluginRow},
    store::manifests::{self, ManifestLeaf},
};

/// What the answers give away: code, and nothing that was sensed.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Query", Read, Anyway, "manifests"),
    rule("ManifestChangeConnection", Read, Anyway, "edges nodes pageInfo"),
    rule("ManifestChangeEdge", Read, Anyway, "cursor node"),
    rule(
        "ManifestChange",
        Read,
        Anyway,
        "at bootId cause durable generation goldenSet hash hostStages leaf oldHash operator plugins reason sinceTick text \
         vectorsFailed vectorsPassed vectorsRun",
    ),
    rule(
        "ManifestPlugin",
        Read,
        Anyway,
        "builds config contract golden linked name stage stateSchema version",
    ),
    rule(
        "ManifestBuild",
        Read,
        Anyway,
        "blake3 buildId cpu file sha256 size target",
    ),
    rule("ManifestHostStage", Read, Anyway, "golden name version"),
];

/// Leaves of one page at most.
const PAGE: i32 = 50;

/// Questions about manifests.
#[derive(Default)]
pub(crate) struct ManifestsQuery;

/// Questions about manifests.
#[Object]
impl ManifestsQuery {
    /// Every manifest that was in force or refused, newest first: one entry for each BOOT and SWAP leaf that is kept. The first
    /// whose cause is not `REJECTED` is in force, or comes into force with its tick.
    #[graphql(complexity = "10 * child_complexity")]
    async fn manifests(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Older than this cursor.")] after: Option<String>,
        #[graphql(desc = "So many, 1 to 50.", default = 20)] first: i32,
    ) -> async_graphql::Result<Connection<u64, ManifestChange, EmptyFields, EmptyFields>> {
        let (before, first) = newest_first(after.as_deref(), first, PAGE)?;
        let api = api(ctx);
        let durable = api.hub.durable().borrow().size;
        let found = api
            .read_store(move |db| manifests::leaves(db, before, first + 1))
            .await?;
        Ok(page_back(found, (before, first), |leaf| {
            (leaf.header.seq, ManifestChange::new(leaf, durable))
        }))
    }
}

/// Why a leaf names a manifest.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum ManifestCause {
    /// The process started with it.
    Started,
    /// It replaced the one before.
    Applied,
    /// It was refused: the one before stayed, or came back before its tick.
    Rejected,
    /// The one before it is back, under a new generation.
    RolledBack,
}

impl From<SwapResult> for ManifestCause {
    fn from(result: SwapResult) -> Self {
        match result {
            SwapResult::Applied => Self::Applied,
            SwapResult::Rejected => Self::Rejected,
            SwapResult::RolledBack => Self::RolledBack,
        }
    }
}

/// A manifest that came into force, or was refused.
#[derive(SimpleObject)]
pub(crate) struct ManifestChange {
    /// Number of the leaf that says so.
    leaf: Long,
    /// When.
    at: Timestamp,
    /// Process start, 32 hex digits.
    boot_id: ID,
    /// First tick of this process under it; of a refused one the tick it was meant for.
    since_tick: Long,
    /// Why.
    cause: ManifestCause,
    /// Reason in the SWAP leaf (OPERATOR, GOLDEN, PANIC, DEADLINE, …); null when it gives none.
    reason: Option<&'static str>,
    /// Digest of the name of whoever ordered it, 64 hex digits; null when the server acted by itself.
    operator: Option<String>,
    /// Hash of the manifest, 64 hex digits; null when it was refused before it was written.
    hash: Option<String>,
    /// Hash of the manifest before, 64 hex digits; null at a start.
    old_hash: Option<String>,
    /// True when a published checkpoint covers the leaf.
    durable: bool,
    /// Digest of the golden vectors run for it, 64 hex digits; null when none were.
    golden_set: Option<String>,
    /// Golden vectors run for it.
    vectors_run: u32,
    /// Of which with the expected digest.
    vectors_passed: u32,
    /// Of which not.
    vectors_failed: u32,
    /// Grows by one with every change, also by going back; null when the text is not kept or cannot be read.
    generation: Option<Long>,
    /// The text, verbatim; null when it is not kept.
    text: Option<String>,
    /// Its plugins in pipeline order; empty without a text.
    plugins: Vec<ManifestPlugin>,
    /// Golden runs of what is part of the program; empty without a text.
    host_stages: Vec<ManifestHostStage>,
}

impl ManifestChange {
    fn new(leaf: ManifestLeaf, durable: u64) -> Self {
        let unless_zero = |hash: &Hash| (*hash != [0; 32]).then(|| hex(hash));
        let manifest = leaf.text.as_deref().and_then(|text| Manifest::parse(text).ok());
        let swap = match &leaf.body {
            Body::Swap(swap) => Some(swap),
            _ => None,
        };
        Self {
            leaf: leaf.header.seq.into(),
            at: Timestamp {
                wall_ns: leaf.header.wall_ns,
            },
            boot_id: hex(&leaf.header.boot_id).into(),
            since_tick: swap.map_or(0, |s| s.effective_tick).into(),
            cause: swap.map_or(ManifestCause::Started, |s| s.result.into()),
            reason: swap
                .filter(|s| s.reason != swap_reason::NONE)
                .map(|s| swap_reason::name(s.reason)),
            operator: swap.and_then(|s| unless_zero(&s.operator)),
            hash: manifests::named(&leaf.body).map(|hash| hex(&hash)),
            old_hash: swap.and_then(|s| unless_zero(&s.old_manifest_hash)),
            durable: leaf.header.seq < durable,
            golden_set: swap.and_then(|s| unless_zero(&s.golden_set)),
            vectors_run: swap.map_or(0, |s| s.vectors_run),
            vectors_passed: swap.map_or(0, |s| s.vectors_passed),
            vectors_failed: swap.map_or(0, |s| s.vectors_failed),
            generation: manifest.as_ref().map(|m| m.generation().into()),
            plugins: manifest.as_ref().map_or_else(Vec::new, |m| all(m.plugins())),
            host_stages: manifest.as_ref().map_or_else(Vec::new, |m| all(m.host_stages())),
            text: leaf.text,
        }
    }
}

fn all<'r, R, T: From<&'r R>>(rows: &'r [R]) -> Vec<T> {
    rows.iter().map(T::from).collect()
}

/// A plugin as a manifest names it.
#[derive(SimpleObject)]
struct ManifestPlugin {
    /// Its name.
    name: String,
    /// Semantic version.
    version: String,
    /// Its stage.
    stage: PluginStage,
    /// Version of the plugin contract.
    contract: u32,
    /// Version of its state.
    state_schema: u32,
    /// Digest of what its golden vectors must give, 64 hex digits.
    golden: String,
    /// Digest of its configuration table, 64 hex digits.
    config: String,
    /// True when it is built into the program and has no library.
    linked: bool,
    /// Its libraries, one a target and CPU level; empty for one that is built in.
    builds: Vec<ManifestBuild>,
}

impl From<&PluginRow> for ManifestPlugin {
    fn from(row: &PluginRow) -> Self {
        Self {
            name: row.name.clone(),
            version: row.version.clone(),
            stage: row.stage.into(),
            contract: row.contract,
            state_schema: row.state_schema,
            golden: row.golden.to_string(),
            config: row.config.to_string(),
            linked: row.linked.is_some(),
            builds: all(&row.builds),
        }
    }
}

/// A library of a plugin.
#[derive(SimpleObject)]
struct ManifestBuild {
    /// Target triple.
    target: String,
    /// CPU level: `baseline`, `v3` or `v4`.
    cpu: &'static str,
    /// File in the plugin directory.
    file: String,
    /// Bytes.
    size: Long,
    /// BLAKE3 of the file, 64 hex digits.
    blake3: String,
    /// SHA-256 of the file, 64 hex digits.
    sha256: String,
    /// ELF build id, hex; null when the file has none.
    build_id: Option<String>,
}

impl From<&BuildRow> for ManifestBuild {
    fn from(row: &BuildRow) -> Self {
        Self {
            target: row.target.clone(),
            cpu: row.cpu.name(),
            file: row.file.clone(),
            size: row.size.into(),
            blake3: row.blake3.to_string(),
            sha256: row.sha256.to_string(),
            build_id: (!row.build_id.is_empty()).then(|| row.build_id.clone()),
        }
    }
}

/// A golden run of what is part of the program.
#[derive(SimpleObject)]
struct ManifestHostStage {
    /// Name of the run.
    name: String,
    /// Version of the program.
    version: String,
    /// Digest of its golden vectors, 64 hex digits.
    golden: String,
}

impl From<&HostStage> for ManifestHostStage {
    fn from(stage: &HostStage) -> Self {
        Self {
            name: stage.name.clone(),
            version: stage.version.clone(),
            golden: stage.golden.to_string(),
        }
    }
}
