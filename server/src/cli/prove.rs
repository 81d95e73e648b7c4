//! `tapline plugin prove`: the golden digests of the built-in stages, or of a library beside those of the plugin it
//! would replace, and the manifest hash that follows.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};
use tapline_plugin_api::conformance::Proof;

use super::{
    manifest,
    output::{Failure, Outcome, Result, print},
};
use crate::{
    golden_run,
    host::{
        Manifest,
        builds::{self, Proving},
        fingerprint, golden,
        load::{load_here, load_unlisted},
        manifest::{CpuLevel, PluginRow},
        manifest_write::{Draft, changes},
        stages::{self, LINKED},
    },
};

/// How long golden vectors may take.
const PROOF_TIME: Duration = Duration::from_secs(120);

/// What to prove.
#[derive(Args)]
pub(super) struct Options {
    /// A library (default: the built-in stages and the whole cycle)
    file: Option<PathBuf>,
    /// In the form of golden/digests.txt
    #[arg(long, conflicts_with = "file")]
    golden: bool,
    /// The manifest it would change (default: manifest.toml beside the library, when there is one)
    #[arg(long, value_name = "FILE", requires = "file")]
    manifest: Option<PathBuf>,
    /// Fleet file whose tables the plugins run with (default: empty tables)
    #[arg(long, value_name = "FILE", requires = "file")]
    config: Option<PathBuf>,
    /// File with another configuration table for it, TOML
    #[arg(long, value_name = "FILE", requires = "file")]
    table: Option<PathBuf>,
    /// As one JSON object
    #[arg(long, requires = "file")]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result {
    match &options.file {
        None => built_in(options.golden),
        Some(file) => library(file, options),
    }
}

fn built_in(golden: bool) -> Result {
    let mut text = String::new();
    if golden {
        text += "# Golden digests: what the built-in stages and the whole cycle give on fixed inputs.\n";
        text += "# Written by `cargo xtask golden --update`; a change is deliberate and stands in CHANGELOG.md.\n";
    }
    for module in LINKED {
        let about = (module.describe)();
        let proof = golden::prove(&about.name, module, PROOF_TIME).map_err(Failure::of)?;
        text += &format!(
            "{:<12} {:<8} {}\n",
            about.name,
            about.version,
            hex::encode(proof.digest)
        );
    }
    for (name, digest) in golden_run::digests().map_err(Failure::of)? {
        text += &format!("{name:<21} {}\n", hex::encode(digest));
    }
    text += &format!("fingerprint           {}\n", hex::encode(fingerprint::measured()));
    print(&text);
    Ok(Outcome::Yes)
}

fn library(file: &Path, options: &Options) -> Result {
    let (examined, loaded) = load_unlisted(file).map_err(Failure::of)?;
    let about = (loaded.module.describe)();
    let proof = golden::prove(&about.name, &loaded.module, PROOF_TIME).map_err(Failure::of)?;
    let dir = file.parent().filter(|p| !p.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let named = options.manifest.clone().unwrap_or_else(|| dir.join("manifest.toml"));
    let old = match options.manifest.is_none() && !named.is_file() {
        true => None,
        false => Some(manifest::read(&named)?),
    };
    let mut value = json!({
        "name": about.name.as_str(),
        "version": about.version.as_str(),
        "stage": about.stage.name(),
        "method": about.method.as_str(),
        "blake3": examined.blake3.to_string(),
        "golden": { "new": hex::encode(proof.digest), "vectors": proof.vectors.len() },
    });
    if let Some(old) = &old {
        let new = regenerated(old, dir, file, options)?;
        if let Some(row) = old.plugin(about.stage) {
            value["golden"]["old"] = row.golden.to_string().into();
            value["golden"]["old_plugin"] = format!("{} {}", row.name, row.version).into();
            value["golden"]["differing"] = match run_again(row, dir) {
                Some(before) => differing(&before, &proof).into(),
                None => Value::Null,
            };
        }
        value["manifest"] = json!({
            "file": named.display().to_string(),
            "old": hex::encode(old.hash()),
            "new": hex::encode(new.hash()),
            "changes": changes(old, &new),
        });
    }
    if options.json {
        print(&value.to_string());
    } else {
        print(&in_words(&value));
    }
    Ok(Outcome::Yes)
}

/// The manifest after the library took its stage over, as a swap would write it.
fn regenerated(old: &Manifest, dir: &Path, file: &Path, options: &Options) -> std::result::Result<Manifest, Failure> {
    let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let tables = manifest::tables(options.config.as_deref(), dir)?;
    let other = match &options.table {
        None => None,
        Some(path) => {
            let text = fs::read_to_string(path);
            Some(text.map_err(|e| Failure(format!("cannot read {}: {e}", path.display())))?)
        }
    };
    let proving = Proving::Best(CpuLevel::of_this_machine());
    let with = |table: &str| builds::row_of(dir, name, table, proving, None, PROOF_TIME).map_err(Failure::of);
    // Its stage says which table is its own.
    let mut row = with("")?;
    let configured = tables.of(row.stage);
    let table = other.as_deref().unwrap_or(configured);
    row = with(table)?;
    row.table = (table != configured && !table.is_empty()).then(|| table.to_owned());
    let mut draft = Draft::after(old);
    draft.replace(row);
    draft.write().map_err(Failure::of)
}

/// The golden vectors of the plugin that a manifest names, when its very code is here.
fn run_again(row: &PluginRow, dir: &Path) -> Option<Proof> {
    let proof = match &row.linked {
        Some(_) => golden::prove(&row.name, stages::named(LINKED, row.stage, &row.name)?, PROOF_TIME).ok()?,
        None => {
            let level = CpuLevel::of_this_machine();
            let build = row.builds.iter().rev().find(|b| b.cpu <= level)?;
            let (_, loaded) = load_here(dir, &build.file, Some(build.blake3)).ok()?;
            golden::prove(&row.name, &loaded.module, PROOF_TIME).ok()?
        }
    };
    (proof.digest == row.golden.0).then_some(proof)
}

/// Vectors that two proofs answer differently.
fn differing(before: &Proof, now: &Proof) -> Vec<u32> {
    let pairs = before.vectors.iter().zip(&now.vectors);
    let mut ids: Vec<u32> = pairs.filter(|(a, b)| a != b).map(|(a, _)| a.id).collect();
    let (short, long) = (
        before.vectors.len().min(now.vectors.len()),
        before.vectors.len().max(now.vectors.len()),
    );
    ids.extend((short..long).map(|id| id as u32));
    ids
}

fn in_words(value: &Value) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let golden = &value["golden"];
    let mut said = format!(
        "{} {} (stage {}): {}\n  BLAKE3         {}\n",
        text(&value["name"]),
        text(&value["version"]),
        text(&value["stage"]),
        text(&value["method"]),
        text(&value["blake3"]),
    );
    if golden["old"].is_string() {
        said += &format!(
            "  golden  old    {}  ({})\n",
            text(&golden["old"]),
            text(&golden["old_plugin"])
        );
    }
    said += &format!(
        "  golden  new    {}  ({} vectors, run twice, the same bits)\n",
        text(&golden["new"]),
        golden["vectors"]
    );
    match &golden["differing"] {
        Value::Array(ids) if ids.is_empty() => said += "  every vector gives the bits it gave before\n",
        Value::Array(ids) => {
            let ids: Vec<String> = ids.iter().map(Value::to_string).collect();
            said += &format!("  {} vectors give other bits: {}\n", ids.len(), ids.join(", "));
        }
        _ if golden["old"].is_string() => {
            said += "  which vectors differ is not known: the code that the manifest names is not here\n";
        }
        _ => {}
    }
    let manifest = &value["manifest"];
    if manifest.is_null() {
        return said + "  no manifest is beside it: --manifest FILE shows what would become of its hash\n";
    }
    said += &format!(
        "  what a swap would record, from {}:\n    manifest_hash  {}\n                -> {}\n",
        text(&manifest["file"]),
        text(&manifest["old"]),
        text(&manifest["new"])
    );
    for change in manifest["changes"].as_array().into_iter().flatten().skip(1) {
        said += &format!(
            "    {}: {} -> {}\n",
            text(&change["what"]),
            text(&change["old"]),
            text(&change["new"])
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use tapline_plugin_api::conformance::VectorDigest;

    use super::*;

    #[test]
    fn vectors_that_differ_are_named() {
        let proof = |digests: &[u8]| Proof {
            digest: [0; 32],
            vectors: (0..)
                .zip(digests)
                .map(|(id, d)| VectorDigest { id, digest: [*d; 32] })
                .collect(),
        };
        assert_eq!(differing(&proof(&[1, 2, 3]), &proof(&[1, 9, 3])), [1]);
        assert_eq!(differing(&proof(&[1, 2, 3]), &proof(&[1])), [1, 2]);
        assert!(differing(&proof(&[1, 2]), &proof(&[1, 2])).is_empty());
    }
}
