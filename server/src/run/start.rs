//! From a fleet file and a data directory to an engine that is ready for its first slot.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tapline_dsp::calibration::ArtefactError;
use tapline_witness::{
    body::{Boot, Host},
    hash::{Domain, ZERO},
};

use super::{
    engine::{Engine, EngineError, InForce, mode_code},
    notes::Begin,
    replay::ReplayError,
};
use crate::{
    config::{ConfigError, Fleet, Site, witnessed},
    cycle::{Core, SetupError, host_spec},
    host::{
        HostError, HostSpec, Manifest, PluginHost,
        manifest::{PluginRow, config_digest},
        manifest_write::Draft,
        program,
    },
    live::{self, Facts, Hub},
    log::{Blob, Log, LogError, LogOptions, Stamp},
    rollup::Calendar,
    store::rollup::{Keep, RollupOptions},
};

/// Why nothing could be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The fleet file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The cycle.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The plugins.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A calibration file.
    #[error("this calibration cannot be used: {0}")]
    Calibration(ArtefactError),
    /// The manifest file is not there.
    #[error("there is no manifest {}; looked in: {}. `cargo xtask build` makes one, `tapline manifest build` too; --manifest linked uses the stages built into the program.", manifest.display(), list(looked))]
    Manifest {
        /// As configured.
        manifest: PathBuf,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A node's key file is not a key.
    #[error(
        "{path} does not hold a key: found {found}; a key is 64 hex digits (for example from `openssl rand -hex 32`)"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What is in it, without showing it.
        found: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|p| p.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Name that stands for the stages built into the program.
pub const LINKED: &str = "linked";

/// The code and configuration of a run, before it has a log.
pub struct Prepared {
    /// The whole fleet file.
    pub fleet: Fleet,
    /// The site to run.
    pub site: Arc<Site>,
    core: Core,
    config_text: String,
    manifest_text: String,
}

/// Reads the configuration, loads and proves the plugins, builds the cycle.
///
/// # Errors
/// [`StartError`]: the first thing that does not fit.
pub fn prepare(config: &Path, site: Option<&str>, manifest: Option<&Path>) -> Result<Prepared, StartError> {
    prepare_with(config, site, manifest, |_| {})
}

/// The same for a site that is adjusted before anything is built from it; the witnessed configuration says so.
///
/// # Errors
/// [`StartError`]: the first thing that does not fit.
pub fn prepare_with(
    config: &Path,
    site: Option<&str>,
    manifest: Option<&Path>,
    adjust: impl FnOnce(&mut Site),
) -> Result<Prepared, StartError> {
    let fleet = Fleet::load(config)?;
    let mut site = fleet.select(site, &crate::hostname())?;
    adjust(&mut site);
    let site = Arc::new(site);
    let named = manifest.unwrap_or(&site.pipeline.manifest);
    let host = if named == Path::new(LINKED) {
        let spec = host_spec(&site, PathBuf::new())?;
        let manifest = PluginHost::linked_manifest(&spec, [""; 3], program::host_stages())?;
        PluginHost::new(spec, manifest)?
    } else {
        let path = find_manifest(named, config)?;
        let text = std::fs::read_to_string(&path).map_err(|source| StartError::Read {
            path: path.clone(),
            source,
        })?;
        let directory = path.parent().unwrap_or(Path::new(".")).to_owned();
        let spec = host_spec(&site, directory)?;
        let manifest = with_tables(Manifest::parse(text)?, &spec)?;
        PluginHost::new(spec, manifest)?
    };
    Ok(Prepared::over(fleet, site, host)?)
}

/// The same for a capture: the code and configuration that it began with. `manifest` says only where plugins lie.
///
/// # Errors
/// [`ReplayError::NotAsRecorded`] when they are not here any more.
pub fn prepare_recorded(
    config: &Path,
    site: Option<&str>,
    manifest: Option<&Path>,
    begin: &Begin,
) -> Result<Prepared, ReplayError> {
    let fleet = Fleet::load(config).map_err(StartError::from)?;
    let mut site = fleet.select(site, &crate::hostname()).map_err(StartError::from)?;
    begin.apply(&mut site)?;
    let site = Arc::new(site);
    let missing = |error: HostError| {
        let what = format!("it began under a manifest that does not come up here: {error}");
        ReplayError::not_as_recorded(what)
    };
    let recorded = Manifest::parse(begin.manifest.as_str()).map_err(missing)?;
    let named = manifest.unwrap_or(&site.pipeline.manifest);
    let directory = if named == Path::new(LINKED) || recorded.plugins().iter().all(|row| row.linked.is_some()) {
        // A later manifest of the capture may need it even so.
        find_manifest(named, config).unwrap_or_default()
    } else {
        find_manifest(named, config)?
    };
    let directory = directory.parent().unwrap_or(Path::new("")).to_owned();
    let spec = host_spec(&site, directory).map_err(StartError::from)?;
    let host = PluginHost::new(spec, recorded).map_err(missing)?;
    Ok(Prepared::over(fleet, site, host).map_err(StartError::from)?)
}

/// The manifest that says which configuration tables its plugins run with, and in which program. One that says so already
/// is kept to the letter; otherwise the file names the plugins, the fleet file the tables, and all together are what runs. A
/// plugin that brings its own table, as a swap gave it one, keeps it.
fn with_tables(manifest: Manifest, spec: &HostSpec) -> Result<Manifest, HostError> {
    let table = |row: &PluginRow| config_digest(row.table.as_deref().unwrap_or_else(|| spec.tables.of(row.stage)));
    let stages = program::host_stages();
    if manifest.plugins().iter().all(|row| row.config == table(row)) && manifest.host_stages() == stages {
        return Ok(manifest);
    }
    let mut draft = Draft::after(&manifest);
    draft.generation -= 1;
    draft.host_stages = stages;
    for row in &mut draft.plugins {
        row.config = table(row);
    }
    draft.write()
}

/// In the working directory, then beside the fleet file, then beside the program.
fn find_manifest(named: &Path, config: &Path) -> Result<PathBuf, StartError> {
    let beside = |place: Option<&Path>| place.map(|p| p.join(named));
    let program = std::env::current_exe().ok();
    let mut looked: Vec<PathBuf> = vec![named.to_owned()];
    if named.is_relative() {
        looked.extend(beside(config.parent()));
        looked.extend(beside(program.as_deref().and_then(Path::parent)));
        // A test program lies one directory below the programs it tests.
        looked.extend(beside(program.as_deref().and_then(Path::parent).and_then(Path::parent)));
    }
    match looked.iter().find(|p| p.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(StartError::Manifest {
            manifest: named.to_owned(),
            looked,
        }),
    }
}

/// The authentication keys of the nodes that have one.
///
/// # Errors
/// [`StartError::Read`], [`StartError::Key`].
pub fn node_keys(site: &Site) -> Result<BTreeMap<u16, [u8; 32]>, StartError> {
    let mut keys = BTreeMap::new();
    for node in &site.nodes {
        let Some(path) = &node.mac_key_file else { continue };
        let path = &crate::tokens::secret_path(path).map_err(|source| StartError::Read {
            path: path.clone(),
            source,
        })?;
        let text = std::fs::read_to_string(path).map_err(|source| StartError::Read {
            path: path.clone(),
            source,
        })?;
        let mut key = [0; 32];
        if hex::decode_to_slice(text.trim(), &mut key).is_err() {
            return Err(StartError::Key {
                path: path.clone(),
                found: format!("{} characters", text.trim().len()),
            });
        }
        keys.insert(node.id, key);
    }
    Ok(keys)
}

/// How what happens at a site is added up.
pub(super) fn rollup_options(site: &Site) -> RollupOptions {
    let kept = &site.retention.rollup;
    let hours = |n: u32| Some(u64::from(n) * 3_600);
    let bytes = Some(u64::from(kept.megabytes) << 20);
    RollupOptions {
        // The configuration was checked to name a zone that this program knows.
        calendar: Calendar::of(&site.timezone).unwrap_or_default(),
        keep: Keep {
            seconds: [
                hours(kept.second_hours),
                hours(24 * kept.minute_days),
                hours(24 * kept.hour_days),
                None,
            ],
            bytes: [bytes, bytes, bytes, None],
        },
    }
}

/// An engine with its log.
pub struct Started {
    /// Ready for the first slot.
    pub engine: Engine,
    /// Readers' side, when there are readers.
    pub hub: Option<(Arc<Hub>, std::sync::mpsc::Receiver<crate::live::Command>)>,
}

impl Prepared {
    /// The cycle of a site over a plugin host.
    ///
    /// # Errors
    /// [`SetupError`].
    pub(super) fn over(fleet: Fleet, site: Arc<Site>, host: PluginHost) -> Result<Self, SetupError> {
        let manifest_text = host.manifest().text().to_owned();
        Ok(Self {
            config_text: witnessed::document(&site),
            core: Core::new(Arc::clone(&site), host)?,
            fleet,
            site,
            manifest_text,
        })
    }

    /// The plugin files that run.
    pub(super) fn builds(&self) -> Vec<tapline_witness::body::BuildRow> {
        self.core.host.builds()
    }

    /// Is this what a capture began with?
    ///
    /// # Errors
    /// [`ReplayError::NotAsRecorded`] saying what is not.
    pub(super) fn is_as_recorded(&self, begin: &Begin) -> Result<(), ReplayError> {
        begin.agrees(&self.config_text)?;
        if self.manifest_text == begin.manifest {
            return Ok(());
        }
        Err(ReplayError::not_as_recorded(
            "it began under another manifest than the one prepared".to_owned(),
        ))
    }

    /// Opens the log and writes BOOT. `host` says what runs; all zero for a replay, so that its root is the same
    /// on every machine. `patience`: how long a slot may wait for the log.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(
        self,
        log: LogOptions,
        stamp: Stamp,
        host: Host,
        numeric_profile: u16,
        patience: Duration,
        with_readers: bool,
    ) -> Result<Started, StartError> {
        let retention = log.writer.window_tiles.map(|_| log.writer.retention);
        let Log {
            mut chain,
            writer,
            recovered: _,
            policy,
        } = Log::open(log)?;
        let in_force = InForce {
            manifest_hash: self.core.host.manifest_hash(),
            config_hash: Domain::Config.hash(self.config_text.as_bytes()),
            calibration_id: ZERO,
            numeric_profile,
        };
        let boot = Boot {
            // Filled in by the chain.
            recovered_size: 0,
            recovered_root: ZERO,
            manifest_hash: in_force.manifest_hash,
            config_hash: in_force.config_hash,
            calibration_id: ZERO,
            privacy_mode: mode_code(&self.site),
            numeric_profile,
            host: host.clone(),
        };
        let blob = |hash, kind, text: &str| Blob {
            hash,
            kind,
            bytes: text.as_bytes().to_vec(),
        };
        let blobs = vec![
            blob(in_force.manifest_hash, "manifest", &self.manifest_text),
            blob(in_force.config_hash, "config", &self.config_text),
        ];
        chain.boot(stamp, boot, blobs, &writer)?;
        if let Some(wanted) = retention
            .map(|r| r.policy())
            .filter(|wanted| policy.as_ref() != Some(wanted))
        {
            // Nothing is pruned under a policy that the log does not state.
            let mut record = writer.checkout_blocking()?;
            chain.append(stamp, &wanted.into(), &mut record)?;
            writer.submit(record)?;
        }
        let hub = with_readers.then(|| {
            let facts = Facts {
                other_sites: self
                    .fleet
                    .site
                    .iter()
                    .map(|s| s.id.clone())
                    .filter(|id| *id != self.site.id)
                    .collect(),
                site: (*self.site).clone(),
                boot_id: *chain.boot_id(),
                origin: chain.origin().to_owned(),
                vkey: chain.vkey(),
                started_wall_ns: stamp.wall_ns,
                plugin_dir: self.core.host.preparer().plugin_dir().to_owned(),
                config: self.config_text.clone(),
                config_hash: in_force.config_hash,
                host,
            };
            let manifest = live::InForce {
                text: self.manifest_text.clone(),
                hash: in_force.manifest_hash,
                generation: self.core.host.manifest().generation(),
                since_tick: 0,
            };
            let (hub, commands) = Hub::new(facts, manifest);
            hub.publish_keys(chain.keys().clone());
            (hub, commands)
        });
        let readers = hub.as_ref().map(|(hub, _)| Arc::clone(hub));
        let engine = Engine::new(self.core, chain, writer, in_force, readers, patience);
        Ok(Started { engine, hub })
    }
}

#[cfg(test)]
mod tests {
    use tapline_plugin_api::StageKind;
    use tapline_sim::{Scene, Simulator};

    use super::*;

    /// The manifest in force after a swap with a table, saved as the manifest file, did not start: the row's digest became that
    /// of the configured table while its own table stayed.
    #[test]
    fn a_row_keeps_its_own_table() {
        let simulator = Simulator::new(Scene::builtin("empty-room").unwrap(), 1).unwrap();
        let text = format!("version = 1\n{}", simulator.site_config().to_fleet_toml());
        let fleet = Fleet::parse(&text, Path::new("scene.toml")).unwrap();
        let site = fleet.select(None, "").unwrap();
        let spec = host_spec(&site, PathBuf::new()).unwrap();
        let manifest = PluginHost::linked_manifest(&spec, [""; 3], program::host_stages()).unwrap();
        let mut draft = Draft::after(&manifest);
        let table = "prior-sigma = 2.0".to_owned();
        for row in &mut draft.plugins {
            if row.stage == StageKind::Tomography {
                row.config = config_digest(&table);
                row.table = Some(table.clone());
            }
        }
        let saved = draft.write().unwrap();
        assert_eq!(with_tables(saved.clone(), &spec).unwrap().text(), saved.text());
        // Of another program, so that it is written anew.
        let mut draft = Draft::after(&saved);
        draft.host_stages.clear();
        let anew = with_tables(draft.write().unwrap(), &spec).unwrap();
        assert_eq!(anew.plugin(StageKind::Tomography), saved.plugin(StageKind::Tomography));
        assert!(PluginHost::new(spec, anew).is_ok());
    }
}
