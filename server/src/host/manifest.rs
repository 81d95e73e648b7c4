//! The manifest: one text that names every piece of code a cycle runs through.
//!
//! It is written once and hashed as the bytes it is; it is never written again from its parsed form. One
//! manifest covers every machine: each plugin has a row for each of its builds.

use serde::Deserialize;
use tapline_plugin_api::{CONTRACT_VERSION, StageKind};

use super::error::HostError;

/// Version of the document.
pub const MANIFEST_VERSION: u32 = 1;
/// Links of one group when nothing else is asked for.
pub const LINK_GROUP: u32 = 8;
/// The numeric profile that this program keeps.
pub const PROFILE: &str = "ieee-strict-1";
/// The ten stages in order, as the manifest lists them.
pub const PIPELINE: [&str; 10] = [
    "ingest",
    "calibration",
    "phase-align",
    "fusion",
    "cir",
    "coherence",
    "tomography",
    "tracker",
    "quality",
    "publish",
];

/// BLAKE3 domain of the manifest's bytes.
const HASH_CONTEXT: &str = "tapline 2026-11 witness manifest v1";
/// BLAKE3 domain of a plugin's configuration table.
const CONFIG_CONTEXT: &str = "tapline 2026-11 witness plugin-config v1";

const MAX_BYTES: usize = 256 * 1024;
const MAX_PLUGINS: usize = 16;
const MAX_BUILDS: usize = 16;
const MAX_HOST_STAGES: usize = 64;
const MAX_NEEDED: usize = 8;
/// A library larger than this is refused unread.
pub const MAX_LIBRARY_BYTES: u64 = 64 * 1024 * 1024;

/// 32 bytes, hexadecimal in the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest(pub [u8; 32]);

impl TryFrom<String> for Digest {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let mut bytes = [0; 32];
        let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match hex::decode_to_slice(&text, &mut bytes) {
            Ok(()) if lower => Ok(Self(bytes)),
            _ => Err(format!("`{text}` is not 64 lower-case hexadecimal digits")),
        }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// How much of the CPU a build may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CpuLevel {
    /// Every CPU of the target.
    Baseline,
    /// x86-64-v3: AVX2 and what goes with it.
    V3,
    /// x86-64-v4: AVX-512.
    V4,
}

impl CpuLevel {
    /// The name in manifests and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::V3 => "v3",
            Self::V4 => "v4",
        }
    }

    /// The highest level this machine has.
    pub fn of_this_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let v3 = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("fma") && has!("lzcnt") && has!("movbe");
            let v4 = has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
            if v3 && v4 {
                return Self::V4;
            }
            if v3 {
                return Self::V3;
            }
        }
        Self::Baseline
    }
}

/// The target triple of this program, as manifests name it.
pub fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// One build of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildRow {
    /// Target triple.
    pub target: String,
    /// CPU level.
    pub cpu: CpuLevel,
    /// Name of the file in the plugin directory.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the file.
    pub blake3: Digest,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// ELF build id, hexadecimal; empty when the file has none.
    pub build_id: String,
    /// Libraries it may depend on: exactly those of the file.
    pub needed: Vec<String>,
}

/// One plugin, or one linked-in stage in a plugin's place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginRow {
    /// Its name.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// Its stage: `cir`, `tomography` or `tracker`.
    #[serde(deserialize_with = "stage_kind")]
    pub stage: StageKind,
    /// Version of the plugin contract.
    pub contract: u32,
    /// Version of its state blob.
    pub state_schema: u32,
    /// Whether it may import `sin`, `cos`, `sincos`.
    pub uses_rustfft: bool,
    /// What its golden vectors must give.
    pub golden: Digest,
    /// Digest of its configuration table.
    pub config: Digest,
    /// The table itself, when it is not the one of the fleet file: a swap brought it.
    #[serde(default)]
    pub table: Option<String>,
    /// For a linked-in stage: digest of name, version and golden digest.
    #[serde(default)]
    pub linked: Option<Digest>,
    /// For a library: one row a build.
    #[serde(default, rename = "build")]
    pub builds: Vec<BuildRow>,
}

/// What is always part of the program, by what it gives: a golden run of the whole cycle ([`super::program`]).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostStage {
    /// Name of the run.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Digest of its golden vectors.
    pub golden: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) manifest: u32,
    pub(super) generation: u64,
    pub(super) pipeline: Vec<String>,
    pub(super) link_group: u32,
    pub(super) numeric_profile: String,
    #[serde(default, rename = "host_stage")]
    pub(super) host_stages: Vec<HostStage>,
    #[serde(default, rename = "plugin")]
    pub(super) plugins: Vec<PluginRow>,
}

/// A manifest: its text, and what the text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    text: String,
    document: Document,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`HostError::Manifest`] naming the key, what was found and what is allowed.
    pub fn parse(text: impl Into<String>) -> Result<Self, HostError> {
        let text = text.into();
        let fail = |what: String| HostError::Manifest { what };
        if text.len() > MAX_BYTES {
            return Err(fail(format!("{} bytes, at most {MAX_BYTES} are allowed", text.len())));
        }
        let parser = toml::Deserializer::parse(&text).map_err(|e| fail(e.to_string().trim_end().to_owned()))?;
        let document: Document = serde_path_to_error::deserialize(parser)
            .map_err(|e| fail(format!("{}: {}", e.path(), e.inner().to_string().trim_end())))?;
        check(&document).map_err(fail)?;
        Ok(Self { text, document })
    }

    /// The text, byte for byte as it was hashed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `manifest_hash` of the witness log.
    pub fn hash(&self) -> [u8; 32] {
        blake3::derive_key(HASH_CONTEXT, self.text.as_bytes())
    }

    /// Grows by one with every change, so that going back to old code is still a new hash.
    pub const fn generation(&self) -> u64 {
        self.document.generation
    }

    /// Links of a group.
    pub const fn link_group(&self) -> usize {
        self.document.link_group as usize
    }

    /// The stages that are part of the program.
    pub fn host_stages(&self) -> &[HostStage] {
        &self.document.host_stages
    }

    /// The plugins, in pipeline order.
    pub fn plugins(&self) -> &[PluginRow] {
        &self.document.plugins
    }

    /// The plugin of a stage.
    pub fn plugin(&self, stage: StageKind) -> Option<&PluginRow> {
        self.document.plugins.iter().find(|p| p.stage == stage)
    }

    pub(super) const fn document(&self) -> &Document {
        &self.document
    }
}

impl PluginRow {
    /// The best build for a target and CPU level.
    pub fn build_for(&self, target: &str, cpu: CpuLevel) -> Option<&BuildRow> {
        self.builds
            .iter()
            .filter(|b| b.target == target && b.cpu <= cpu)
            .max_by_key(|b| b.cpu)
    }

    /// Index of that build in the row's list.
    pub fn build_index_for(&self, target: &str, cpu: CpuLevel) -> Option<usize> {
        let best = self.build_for(target, cpu)?;
        self.builds.iter().position(|b| b == best)
    }
}

/// Digest of a plugin's configuration table as it stands in the fleet file.
pub fn config_digest(table: &str) -> Digest {
    Digest(blake3::derive_key(CONFIG_CONTEXT, table.as_bytes()))
}

fn stage_kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<StageKind, D::Error> {
    let name = String::deserialize(deserializer)?;
    [StageKind::Cir, StageKind::Tomography, StageKind::Tracker]
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| serde::de::Error::custom(format!("stage `{name}`, allowed are `cir`, `tomography`, `tracker`")))
}

fn check(document: &Document) -> Result<(), String> {
    let at_most = |what: &str, found: usize, allowed: usize| {
        if found <= allowed {
            return Ok(());
        }
        Err(format!("{found} {what}, at most {allowed} are allowed"))
    };
    let equal = |key: &str, found: &str, expected: &str| {
        if found == expected {
            return Ok(());
        }
        Err(format!("{key} is {found}, this program knows {expected}"))
    };
    equal(
        "manifest",
        &document.manifest.to_string(),
        &MANIFEST_VERSION.to_string(),
    )?;
    equal("numeric_profile", &document.numeric_profile, PROFILE)?;
    equal("pipeline", &document.pipeline.join(", "), &PIPELINE.join(", "))?;
    if document.generation == 0 {
        return Err("generation is 0, it begins at 1".into());
    }
    if !(1..=64).contains(&document.link_group) {
        return Err(format!("link_group is {}, allowed is 1 to 64", document.link_group));
    }
    at_most("host_stage tables", document.host_stages.len(), MAX_HOST_STAGES)?;
    at_most("plugin tables", document.plugins.len(), MAX_PLUGINS)?;
    if let Some(two) = document.plugins.windows(2).find(|p| p[0].stage >= p[1].stage) {
        return Err(format!(
            "plugin `{}` ({}) after `{}` ({}): one plugin a stage, in pipeline order",
            two[1].name,
            two[1].stage.name(),
            two[0].name,
            two[0].stage.name()
        ));
    }
    for stage in &document.host_stages {
        name_is_plain("host_stage.name", &stage.name)?;
        name_is_plain("host_stage.version", &stage.version)?;
    }
    document.plugins.iter().try_for_each(check_plugin)
}

fn check_plugin(plugin: &PluginRow) -> Result<(), String> {
    let name = &plugin.name;
    name_is_plain("plugin.name", name)?;
    name_is_plain("plugin.version", &plugin.version)?;
    if plugin.contract != CONTRACT_VERSION {
        return Err(format!(
            "plugin `{name}`: contract {}, this program speaks {CONTRACT_VERSION}",
            plugin.contract
        ));
    }
    if plugin.table.as_ref().is_some_and(|t| config_digest(t) != plugin.config) {
        return Err(format!("plugin `{name}`: `config` is not the digest of its `table`"));
    }
    if plugin.linked.is_some() != plugin.builds.is_empty() {
        return Err(format!(
            "plugin `{name}`: it is either `linked` or has `[[plugin.build]]` rows, one of the two"
        ));
    }
    if plugin.builds.len() > MAX_BUILDS {
        return Err(format!(
            "plugin `{name}`: {} builds, at most {MAX_BUILDS} are allowed",
            plugin.builds.len()
        ));
    }
    for (i, build) in plugin.builds.iter().enumerate() {
        name_is_plain("plugin.build.file", &build.file)?;
        name_is_plain("plugin.build.target", &build.target)?;
        if build.size > MAX_LIBRARY_BYTES {
            return Err(format!(
                "plugin `{name}`: size {}, at most {MAX_LIBRARY_BYTES} bytes are allowed",
                build.size
            ));
        }
        if build.needed.len() > MAX_NEEDED || build.needed.iter().any(|n| name_is_plain("needed", n).is_err()) {
            return Err(format!(
                "plugin `{name}`: `needed` holds at most {MAX_NEEDED} plain library names"
            ));
        }
        if build.build_id.len() > 128 || hex::decode(&build.build_id).is_err() {
            return Err(format!(
                "plugin `{name}`: build_id `{}` is not hexadecimal",
                build.build_id
            ));
        }
        if plugin.builds[..i]
            .iter()
            .any(|b| (&b.target, b.cpu) == (&build.target, build.cpu))
        {
            return Err(format!(
                "plugin `{name}`: two builds for {} {}",
                build.target,
                build.cpu.name()
            ));
        }
    }
    Ok(())
}

/// A name that can stand in a path, a log line and a label: no separators, no control characters.
pub(super) fn name_is_plain(key: &str, text: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+');
    let good = (1..=80).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('.');
    if good {
        return Ok(());
    }
    Err(format!(
        "{key} is `{}`, allowed are 1 to 80 letters, digits, `-`, `_`, `.`, `+`",
        text.escape_default()
    ))
}
