//! `tapline manifest`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;
use tapline_plugin_api::StageKind;

use super::output::{Failure, Outcome, Result, print};
use crate::{
    config::Fleet,
    host::{
        HostError, Manifest, Tables,
        builds::{self, Proving},
        manifest::PluginRow,
        manifest_write::{self, Draft},
        program,
    },
};

/// How long golden vectors may take.
const PROOF_TIME: Duration = Duration::from_secs(120);

/// What to do with a manifest.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Load and prove the plugins of a directory and write their manifest
    Build {
        /// Directory with the libraries
        #[arg(long, default_value = "plugins")]
        dir: PathBuf,
        /// The file to write
        #[arg(long, default_value = "plugins/manifest.toml")]
        out: PathBuf,
        /// Fleet file whose tables the plugins run with (default: empty tables)
        #[arg(long)]
        config: Option<PathBuf>,
        /// Plugin for the stage cir
        #[arg(long, default_value = "cir-fft")]
        cir: String,
        /// Plugin for the stage tomography
        #[arg(long, default_value = "tomography")]
        tomography: String,
        /// Plugin for the stage tracker
        #[arg(long, default_value = "tracker")]
        tracker: String,
    },
    /// Print a manifest and its hash
    Show {
        /// The file
        #[arg(default_value = "plugins/manifest.toml")]
        file: PathBuf,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say what differs between two manifests; exit code 1 when anything does
    Diff {
        /// Before
        old: PathBuf,
        /// After
        new: PathBuf,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: &Command) -> Result {
    match command {
        Command::Build {
            dir,
            out,
            config,
            cir,
            tomography,
            tracker,
        } => build(dir, out, config.as_deref(), [cir, tomography, tracker]),
        Command::Show { file, json } => show(file, *json),
        Command::Diff { old, new, json } => diff(&read(old)?, &read(new)?, *json),
    }
}

fn diff(old: &Manifest, new: &Manifest, json: bool) -> Result {
    let changes = manifest_write::changes(old, new);
    let same = old.hash() == new.hash();
    if json {
        let one = |m: &Manifest| serde_json::json!({ "hash": hex::encode(m.hash()), "generation": m.generation() });
        let all = serde_json::json!({ "same": same, "old": one(old), "new": one(new), "changes": changes });
        print(&all.to_string());
    } else if same {
        print("no difference");
    } else {
        print(&changes.iter().map(|c| format!("{c}\n")).collect::<String>());
    }
    Ok(if same { Outcome::Yes } else { Outcome::No })
}

/// The tables of a fleet file's site for its plugins; empty ones without a file.
pub(super) fn tables(config: Option<&Path>, dir: &Path) -> std::result::Result<Tables, Failure> {
    let Some(path) = config else {
        return Ok(Tables::default());
    };
    let fleet = Fleet::load(path).map_err(Failure::of)?;
    let site = fleet.select(None, &crate::hostname()).map_err(Failure::of)?;
    let spec = crate::cycle::host_spec(&site, dir.to_owned()).map_err(Failure::of)?;
    Ok(spec.tables)
}

pub(super) fn read(file: &Path) -> std::result::Result<Manifest, Failure> {
    let text = fs::read_to_string(file).map_err(|e| {
        Failure(format!(
            "cannot read {}: {e}; `tapline manifest build` makes one",
            file.display()
        ))
    })?;
    Manifest::parse(text).map_err(Failure::of)
}

fn build(dir: &Path, out: &Path, config: Option<&Path>, names: [&str; 3]) -> Result {
    let tables = tables(config, dir)?;
    let mut draft = Draft {
        host_stages: program::host_stages(),
        ..Draft::default()
    };
    for (stage, name) in manifest_write::stage_kinds().into_iter().zip(names) {
        draft.replace(row(dir, stage, name, tables.of(stage)).map_err(Failure::of)?);
    }
    let manifest = draft.write().map_err(Failure::of)?;
    fs::write(out, manifest.text()).map_err(|e| Failure(format!("cannot write {}: {e}", out.display())))?;
    print(&format!("{}  {}", hex::encode(manifest.hash()), out.display()));
    Ok(Outcome::Yes)
}

/// The row of a plugin and its builds in the directory, all of them proved.
fn row(dir: &Path, stage: StageKind, name: &str, table: &str) -> std::result::Result<PluginRow, HostError> {
    let row = builds::row_of(dir, name, table, Proving::All, None, PROOF_TIME)?;
    if row.stage == stage {
        return Ok(row);
    }
    Err(HostError::Candidate {
        why: format!(
            "{name} is a plugin for the stage {}, asked for as the stage {}",
            row.stage.name(),
            stage.name()
        ),
    })
}

fn show(file: &Path, json: bool) -> Result {
    let manifest = read(file)?;
    let hash = hex::encode(manifest.hash());
    if json {
        let plugins: Vec<_> = manifest
            .plugins()
            .iter()
            .map(|p| serde_json::json!({ "name": p.name, "version": p.version, "stage": p.stage.name(), "golden": p.golden.to_string() }))
            .collect();
        print(
            &serde_json::json!({ "hash": hash, "generation": manifest.generation(), "plugins": plugins }).to_string(),
        );
    } else {
        print(&format!("{}\n# hash {hash}", manifest.text()));
    }
    Ok(Outcome::Yes)
}
