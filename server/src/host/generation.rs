//! One generation: everything that runs under one manifest.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tapline_plugin_api::{
    StageKind,
    abi::{PluginModule, TomographyBox, TrackerBox},
    cir::CirLinkSpec,
    conformance::Proof,
    describe::Setup,
    geometry::Grid,
};

use super::{
    bench::{Bench, Build},
    buffers::{CirBuffers, TomographyBuffers, TrackerBuffers},
    error::HostError,
    golden,
    kind::{Cir, Tomography, Tracker},
    load,
    manifest::{CpuLevel, Manifest, PluginRow, config_digest, target},
    manifest_write::{linked_digest, stage_kinds},
    program,
    registry::{PluginState, PluginStatus, Registry},
    stages,
};

/// Voxels a grid may have.
pub const MAX_VOXELS: u64 = 1 << 20;
/// Groups, each with a thread of its own.
pub const MAX_GROUPS: usize = 64;
/// Workers that may be given up and not have come back; with more, nothing new is built in this process.
pub const MAX_GIVEN_UP: usize = 64;
/// How long a constructor or a state call may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What instances are built from, the same for every generation of a site.
#[derive(Clone)]
pub struct HostSpec {
    /// CSI link paths in ascending order; none on a mesh that measures strength only.
    pub links: Vec<CirLinkSpec>,
    /// Image grid of the site.
    pub grid: Grid,
    /// Most link paths of any kind.
    pub max_links: u32,
    /// Nominal cycle period, seconds.
    pub step_s: f32,
    /// The configuration tables of the three stages, as text.
    pub tables: Tables,
    /// Where libraries lie.
    pub plugin_dir: PathBuf,
    /// Which builds may be used; none: what this machine has.
    pub cpu: Option<CpuLevel>,
    /// Stages linked into this program, [`stages::LINKED`] but in tests.
    pub linked: &'static [PluginModule],
    /// How long golden vectors may take.
    pub proof_time: Duration,
}

/// One TOML table a stage, as text; empty is the default configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// For `cir`.
    pub cir: String,
    /// For `tomography`.
    pub tomography: String,
    /// For `tracker`.
    pub tracker: String,
}

impl Tables {
    /// The table of a stage.
    pub fn of(&self, stage: StageKind) -> &str {
        match stage {
            StageKind::Cir => &self.cir,
            StageKind::Tomography => &self.tomography,
            StageKind::Tracker => &self.tracker,
        }
    }
}

/// The instances of one manifest, built and proved, ready to run.
pub struct Generation {
    pub(super) manifest: Manifest,
    pub(super) cir: Bench<Cir>,
    pub(super) tomography: Bench<Tomography>,
    pub(super) tracker: Bench<Tracker>,
    /// What the golden vectors of cir, tomography and tracker gave.
    pub(super) proofs: [Option<Proof>; 3],
    /// Which builds were loaded: index of the plugin, index of the build, BLAKE3.
    builds: Vec<(u16, u16, [u8; 32])>,
}

impl Generation {
    /// Loads, proves and builds all that a manifest names. Takes seconds: not on the cycle's thread.
    ///
    /// # Errors
    /// The first [`HostError`]; the registry then holds the plugin as `Failed` with it.
    pub fn prepare(
        spec: &HostSpec,
        manifest: Manifest,
        registry: &Registry,
        given_up: &Arc<AtomicUsize>,
    ) -> Result<Self, HostError> {
        check_spec(spec, &manifest)?;
        let found = self::given_up(given_up);
        if found >= MAX_GIVEN_UP {
            return Err(HostError::GivenUp {
                found,
                allowed: MAX_GIVEN_UP,
            });
        }
        program::is_this(&manifest)?;
        let mut modules = [None; 3];
        let mut tables = [""; 3];
        let mut proofs = [const { None }; 3];
        let mut builds = Vec::new();
        for (index, row) in manifest.plugins().iter().enumerate() {
            let mut status = declared(&manifest, row);
            registry.set(status.clone());
            let mut step = |state, reason: &str| {
                (status.state, status.reason) = (state, reason.to_owned());
                registry.set(status.clone());
            };
            let resolved = table_of(spec, row).and_then(|table| Ok((table, resolve(spec, row, &mut step)?)));
            match resolved {
                Ok((table, (module, proof))) => {
                    let cpu = spec.cpu.unwrap_or_else(CpuLevel::of_this_machine);
                    if let Some(build) = row.build_index_for(&target(), cpu) {
                        builds.push((index as u16, build as u16, row.builds[build].blake3.0));
                    }
                    proofs[row.stage as usize] = Some(proof);
                    tables[row.stage as usize] = table;
                    status.method = (module.describe)().method.into();
                    modules[row.stage as usize] = Some(module);
                }
                Err(error) => {
                    step(PluginState::Failed, &error.to_string());
                    return Err(error);
                }
            }
        }
        let built = Self::build(spec, &manifest, modules, tables, given_up).inspect_err(|error| {
            let of =
                |row: &&PluginRow| matches!(error, HostError::Construct { stage, .. } if *stage == row.stage.name());
            if let Some(row) = manifest.plugins().iter().find(of) {
                registry.set(PluginStatus {
                    state: PluginState::Failed,
                    reason: error.to_string(),
                    ..declared(&manifest, row)
                });
            }
        })?;
        Ok(Self {
            proofs,
            builds,
            ..built
        })
    }

    fn build(
        spec: &HostSpec,
        manifest: &Manifest,
        [cir, tomography, tracker]: [Option<PluginModule>; 3],
        tables: [&str; 3],
        given_up: &Arc<AtomicUsize>,
    ) -> Result<Self, HostError> {
        let setup = |stage: StageKind| Setup {
            config_toml: tables[stage as usize].into(),
            step_s: spec.step_s,
        };
        let name = |stage| manifest.plugin(stage).map_or("", |p| p.name.as_str());
        let (grid, max_links) = (spec.grid, spec.max_links);

        let groups: Vec<Vec<CirLinkSpec>> = spec.links.chunks(manifest.link_group()).map(<[_]>::to_vec).collect();
        let buffers = groups
            .iter()
            .map(|group| CirBuffers::new(group))
            .collect::<Result<Vec<_>, _>>()?;
        let cir = {
            let setup = setup(StageKind::Cir);
            let count = if cir.is_some() { groups.len() } else { 0 };
            let build: Build<Cir> = Arc::new(move |index| match &cir {
                Some(module) => (module.new_cir)(&setup, groups[index].as_slice().into()).into_result(),
                None => Err(no_stage()),
            });
            let make = move |index: usize| Box::new(buffers[index].clone());
            Bench::start(name(StageKind::Cir), count, &build, make, PATIENCE, given_up)?
        };
        let tomography = {
            let setup = setup(StageKind::Tomography);
            let count = usize::from(tomography.is_some());
            let build: Build<Tomography> = Arc::new(move |_| -> Result<TomographyBox, _> {
                let module = tomography.as_ref().ok_or_else(no_stage)?;
                (module.new_tomography)(&setup, &grid, max_links).into_result()
            });
            let make = move |_| Box::new(TomographyBuffers::new(grid));
            Bench::start(name(StageKind::Tomography), count, &build, make, PATIENCE, given_up)?
        };
        let tracker = {
            let setup = setup(StageKind::Tracker);
            let count = usize::from(tracker.is_some());
            let build: Build<Tracker> = Arc::new(move |_| -> Result<TrackerBox, _> {
                let module = tracker.as_ref().ok_or_else(no_stage)?;
                (module.new_tracker)(&setup, &grid, max_links).into_result()
            });
            let make = move |_| Box::new(TrackerBuffers::new(grid));
            Bench::start(name(StageKind::Tracker), count, &build, make, PATIENCE, given_up)?
        };
        Ok(Self {
            manifest: manifest.clone(),
            cir,
            tomography,
            tracker,
            proofs: [const { None }; 3],
            builds: Vec::new(),
        })
    }

    /// The plugin files that really run.
    pub fn builds(&self) -> Vec<tapline_witness::body::BuildRow> {
        let row = |&(plugin_index, build_index, blake3)| tapline_witness::body::BuildRow {
            plugin_index,
            build_index,
            blake3,
        };
        self.builds.iter().map(row).collect()
    }

    /// The manifest it runs under.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Why a stage no longer runs, if it does not.
    pub(super) fn failure(&self, stage: StageKind) -> Option<&super::StageRun> {
        match stage {
            StageKind::Cir => self.cir.failed(),
            StageKind::Tomography => self.tomography.failed(),
            StageKind::Tracker => self.tracker.failed(),
        }
    }

    /// Enters every plugin of the generation in the registry.
    pub(super) fn mark(&self, registry: &Registry, state: PluginState, reason: &str) {
        for stage in stage_kinds() {
            if self.failure(stage).is_none() {
                self.mark_stage(registry, stage, state, reason);
            }
        }
    }

    pub(super) fn mark_stage(&self, registry: &Registry, stage: StageKind, state: PluginState, reason: &str) {
        if let Some(row) = self.manifest.plugin(stage) {
            registry.set(PluginStatus {
                state,
                reason: reason.to_owned(),
                ..declared(&self.manifest, row)
            });
        }
    }
}

fn no_stage() -> tapline_plugin_api::StageError {
    tapline_plugin_api::StageError::new(
        tapline_plugin_api::guard::code::HOST,
        "the manifest names no such stage",
    )
}

fn check_spec(spec: &HostSpec, manifest: &Manifest) -> Result<(), HostError> {
    let g = &spec.grid;
    let found = u64::from(g.nx)
        .saturating_mul(u64::from(g.ny))
        .saturating_mul(u64::from(g.nz));
    if found > MAX_VOXELS {
        return Err(HostError::Grid {
            found,
            allowed: MAX_VOXELS,
        });
    }
    let groups = spec.links.len().div_ceil(manifest.link_group());
    if groups > MAX_GROUPS {
        return Err(HostError::Groups {
            found: groups,
            allowed: MAX_GROUPS,
        });
    }
    Ok(())
}

fn declared(manifest: &Manifest, row: &PluginRow) -> PluginStatus {
    PluginStatus {
        generation: manifest.generation(),
        stage: row.stage,
        name: row.name.clone(),
        version: row.version.clone(),
        method: String::new(),
        linked: row.linked.is_some(),
        blake3: row.builds.first().map(|b| b.blake3.to_string()).unwrap_or_default(),
        state: PluginState::Declared,
        reason: "named by the manifest".into(),
    }
}

/// From a row of the manifest to a module that has reproduced its golden vectors.
fn resolve(
    spec: &HostSpec,
    row: &PluginRow,
    step: &mut impl FnMut(PluginState, &str),
) -> Result<(PluginModule, Proof), HostError> {
    let module = match row.linked {
        Some(_) => linked(spec, row)?,
        None => load::load(&spec.plugin_dir, row, spec.cpu, step)?.module,
    };
    let proof = golden::prove(&row.name, &module, spec.proof_time)?;
    golden::agree(&row.name, &proof, &row.golden.0)?;
    if let Some(expected) = row.linked {
        let found = linked_digest(&(module.describe)(), &proof.digest);
        differs(row, "code digest", expected, found)?;
    }
    let reason = format!("{} golden vectors came out, twice", proof.vectors.len());
    step(PluginState::Proved, &reason);
    Ok((module, proof))
}

/// The table a row was made for: its own, the configured one, or the empty one (a stage that stands in for another).
fn table_of<'a>(spec: &'a HostSpec, row: &'a PluginRow) -> Result<&'a str, HostError> {
    if let Some(table) = &row.table {
        return Ok(table);
    }
    let table = spec.tables.of(row.stage);
    let found = config_digest(table);
    if row.config == found {
        return Ok(table);
    }
    if row.config == config_digest("") {
        return Ok("");
    }
    Err(HostError::Differs {
        name: row.name.clone(),
        field: "configuration digest",
        expected: row.config.to_string(),
        found: found.to_string(),
    })
}

fn linked(spec: &HostSpec, row: &PluginRow) -> Result<PluginModule, HostError> {
    let Some(module) = stages::named(spec.linked, row.stage, &row.name) else {
        return Err(HostError::NotLinked {
            name: row.name.clone(),
            known: stages::names(spec.linked, row.stage),
        });
    };
    let about = (module.describe)();
    differs(row, "version", row.version.as_str(), about.version.as_str())?;
    differs(row, "state schema", row.state_schema, about.state_schema)?;
    Ok(*module)
}

fn differs<T: PartialEq + ToString>(
    row: &PluginRow,
    field: &'static str,
    expected: T,
    found: T,
) -> Result<(), HostError> {
    if expected == found {
        return Ok(());
    }
    Err(HostError::Differs {
        name: row.name.clone(),
        field,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// How many workers are given up and have not come back.
pub(super) fn given_up(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}
