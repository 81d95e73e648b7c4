//! Writing a manifest: the one time its text is made.

use std::{fmt::Write as _, path::Path, time::Duration};

use tapline_plugin_api::{CONTRACT_VERSION, Description, abi::PluginModule, conformance::Proof};

use super::{
    error::HostError,
    golden, load,
    manifest::{
        BuildRow, CpuLevel, Digest, HostStage, LINK_GROUP, MANIFEST_VERSION, Manifest, PIPELINE, PROFILE, PluginRow,
        config_digest, target,
    },
};

const LINKED_CONTEXT: &str = "tapline 2026-11 witness linked-stage v1";

/// What a manifest is written from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// One more than the manifest it replaces; 1 for the first.
    pub generation: u64,
    /// Links of a group.
    pub link_group: u32,
    /// The stages that are part of the program, with their golden digests.
    pub host_stages: Vec<HostStage>,
    /// The plugins, in any order.
    pub plugins: Vec<PluginRow>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            generation: 1,
            link_group: LINK_GROUP,
            host_stages: Vec::new(),
            plugins: Vec::new(),
        }
    }
}

impl Draft {
    /// The draft that says what a manifest says, of the next generation.
    pub fn after(manifest: &Manifest) -> Self {
        let document = manifest.document();
        Self {
            generation: document.generation.saturating_add(1),
            link_group: document.link_group,
            host_stages: document.host_stages.clone(),
            plugins: document.plugins.clone(),
        }
    }

    /// Puts a plugin in the place of the one of its stage.
    pub fn replace(&mut self, row: PluginRow) {
        self.plugins.retain(|p| p.stage != row.stage);
        self.plugins.push(row);
    }

    /// Writes the text and reads it back.
    ///
    /// # Errors
    /// [`HostError::Manifest`] when the draft breaks a rule of the document.
    pub fn write(mut self) -> Result<Manifest, HostError> {
        self.plugins.sort_by_key(|p| p.stage);
        let mut text = format!(
            "# Tapline manifest: the code that the cycles under its hash run through. It is hashed byte for byte;\n\
             # `tapline manifest build` writes it, a hand-edited copy is another manifest.\n\
             manifest = {MANIFEST_VERSION}\n\
             generation = {}\n\
             pipeline = [{}]\n\
             link_group = {}\n\
             numeric_profile = \"{PROFILE}\"\n",
            self.generation,
            quoted(&PIPELINE),
            self.link_group,
        );
        for stage in &self.host_stages {
            let _ = write!(
                text,
                "\n[[host_stage]]\nname = \"{}\"\nversion = \"{}\"\ngolden = \"{}\"\n",
                stage.name, stage.version, stage.golden
            );
        }
        for plugin in &self.plugins {
            write_plugin(&mut text, plugin);
        }
        Manifest::parse(text)
    }
}

fn write_plugin(text: &mut String, p: &PluginRow) {
    let _ = write!(
        text,
        "\n[[plugin]]\nname = \"{}\"\nversion = \"{}\"\nstage = \"{}\"\ncontract = {}\nstate_schema = {}\n\
         uses_rustfft = {}\ngolden = \"{}\"\nconfig = \"{}\"\n",
        p.name,
        p.version,
        p.stage.name(),
        p.contract,
        p.state_schema,
        p.uses_rustfft,
        p.golden,
        p.config
    );
    if let Some(table) = &p.table {
        let _ = writeln!(text, "table = {}", toml::Value::String(table.clone()));
    }
    if let Some(linked) = &p.linked {
        let _ = writeln!(text, "linked = \"{linked}\"");
    }
    for b in &p.builds {
        let _ = write!(
            text,
            "\n[[plugin.build]]\ntarget = \"{}\"\ncpu = \"{}\"\nfile = \"{}\"\nsize = {}\nblake3 = \"{}\"\n\
             sha256 = \"{}\"\nbuild_id = \"{}\"\nneeded = [{}]\n",
            b.target,
            b.cpu.name(),
            b.file,
            b.size,
            b.blake3,
            b.sha256,
            b.build_id,
            quoted(&b.needed)
        );
    }
}

fn quoted<T: std::fmt::Display>(names: &[T]) -> String {
    names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ")
}

/// The row of a stage that is linked into this program.
pub fn linked_row(module: &PluginModule, proof: &Proof, table: &str) -> PluginRow {
    let about = (module.describe)();
    PluginRow {
        linked: Some(linked_digest(&about, &proof.digest)),
        ..row(&about, proof, table)
    }
}

/// Loads and proves one library that no manifest names yet: the row that would.
///
/// # Errors
/// [`HostError`] of the gate, the handshake or the golden vectors.
pub fn library_row_of(path: &Path, cpu: CpuLevel, table: &str, within: Duration) -> Result<PluginRow, HostError> {
    let (examined, loaded) = load::load_unlisted(path)?;
    let about = (loaded.module.describe)();
    let proof = golden::prove(&about.name, &loaded.module, within)?;
    Ok(library_row(&about, &proof, table, vec![examined.row(target(), cpu)]))
}

/// The row of a plugin with these builds.
pub fn library_row(about: &Description, proof: &Proof, table: &str, builds: Vec<BuildRow>) -> PluginRow {
    PluginRow {
        builds,
        ..row(about, proof, table)
    }
}

fn row(about: &Description, proof: &Proof, table: &str) -> PluginRow {
    PluginRow {
        name: about.name.to_string(),
        version: about.version.to_string(),
        stage: about.stage,
        contract: CONTRACT_VERSION,
        state_schema: about.state_schema,
        uses_rustfft: about.uses_rustfft,
        golden: Digest(proof.digest),
        config: config_digest(table),
        table: None,
        linked: None,
        builds: Vec::new(),
    }
}

/// What stands in the place of a file's hash: name, version and golden digest.
pub(super) fn linked_digest(about: &Description, golden: &[u8; 32]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(LINKED_CONTEXT);
    for text in [about.name.as_str(), about.version.as_str()] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.update(golden);
    Digest(*hasher.finalize().as_bytes())
}

/// A field of a plugin's row, as text.
type Field = fn(&PluginRow) -> String;

/// One thing that changed from one manifest to another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// What, for example `cir.golden`.
    pub what: String,
    /// Before; `none` when it was not there.
    pub old: String,
    /// After.
    pub new: String,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} -> {}", self.what, self.old, self.new)
    }
}

/// What changed from one manifest to another, a line each.
pub fn diff(old: &Manifest, new: &Manifest) -> Vec<String> {
    changes(old, new).iter().map(Change::to_string).collect()
}

/// What changed from one manifest to another: its hash first, then what it was made of.
pub fn changes(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let mut found = Vec::new();
    let mut changed = |what: String, old: String, new: String| {
        if old != new {
            found.push(Change { what, old, new });
        }
    };
    let (a, b) = (old.document(), new.document());
    changed("manifest_hash".into(), hex::encode(old.hash()), hex::encode(new.hash()));
    changed("generation".into(), a.generation.to_string(), b.generation.to_string());
    changed("link_group".into(), a.link_group.to_string(), b.link_group.to_string());
    for stage in stage_kinds() {
        let (p, q) = (old.plugin(stage), new.plugin(stage));
        let text = |row: Option<&PluginRow>, field: Field| row.map_or("none".into(), field);
        let fields: [(&str, Field); 6] = [
            ("name", |r| r.name.clone()),
            ("version", |r| r.version.clone()),
            ("golden", |r| r.golden.to_string()),
            ("config", |r| r.config.to_string()),
            ("state_schema", |r| r.state_schema.to_string()),
            ("code", code_of),
        ];
        for (name, field) in fields {
            changed(format!("{}.{name}", stage.name()), text(p, field), text(q, field));
        }
    }
    let names = |d: &super::manifest::Document| d.host_stages.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    for name in names(a).into_iter().chain(names(b)) {
        let golden = |d: &super::manifest::Document| {
            let stage = d.host_stages.iter().find(|s| s.name == name);
            stage.map_or("none".to_owned(), |s| format!("{} {}", s.version, s.golden))
        };
        changed(format!("host_stage.{name}"), golden(a), golden(b));
    }
    found.dedup();
    found
}

/// The code of a plugin in one line: every build's digest, or the linked stage's.
fn code_of(row: &PluginRow) -> String {
    let build = |b: &BuildRow| format!("{}/{} {}", b.target, b.cpu.name(), b.blake3);
    let mut parts: Vec<String> = row.builds.iter().map(build).collect();
    parts.extend(row.linked.map(|digest| format!("linked {digest}")));
    parts.join(", ")
}

pub(crate) const fn stage_kinds() -> [tapline_plugin_api::StageKind; 3] {
    use tapline_plugin_api::StageKind::{Cir, Tomography, Tracker};
    [Cir, Tomography, Tracker]
}
