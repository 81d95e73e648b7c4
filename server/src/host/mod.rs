//! The plugin host: from a manifest to running stages, and nothing that misbehaves takes the cycle along.
//!
//! | module | one job |
//! |---|---|
//! | [`manifest`], [`manifest_write`] | the document that names all code, and its hash |
//! | [`gate`], [`load`] | from bytes to a mapped library: hash, static gate, sealed copy, handshakes |
//! | [`golden`] | golden vectors before the first cycle |
//! | `worker`, `bench`, `kind` | instances on threads of their own, deadlines, what makes an answer usable |
//! | [`generation`] | everything that runs under one manifest |
//! | [`registry`] | what the API shows of plugins |
//! | [`program`] | the digests by which a manifest names the program around the plugins |
//! | [`builds`], [`candidate`] | from a plugin's name, or a failed stage, to a generation that is ready |
//! | [`shadow`] | a generation beside the active one, compared and not used |
//! | [`swap`] | a new generation in the old one's place |
//!
//! A linked stage and a loaded one differ only in where their module came from. `unsafe` is in `load` and
//! [`fpenv`] alone.

mod bench;
pub mod buffers;
pub mod builds;
pub mod candidate;
pub mod error;
pub mod fingerprint;
pub mod fpenv;
pub mod gate;
pub mod generation;
pub mod golden;
mod kind;
mod layout;
pub mod load;
pub mod manifest;
pub mod manifest_write;
pub mod program;
pub mod registry;
pub mod shadow;
pub mod stages;
mod state;
pub mod swap;
mod worker;

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use tapline_plugin_api::StageKind;
use tapline_witness::disposition::Disposition;

pub use self::{
    bench::RunOrder,
    buffers::{CirBuffers, Scene, TomographyBuffers, TrackerBuffers},
    error::HostError,
    generation::{Generation, HostSpec, Tables},
    manifest::Manifest,
    registry::{PluginState, PluginStatus, Registry},
    worker::StageRun,
};
use self::{
    buffers::copy_into,
    manifest::PluginRow,
    manifest_write::{Draft, linked_row},
};

/// The three plugin stages of a running site. Owned by the cycle's thread; [`Registry`] and
/// [`swap::Preparer`] are what other threads get.
///
/// In each cycle: fill [`cir_buffers_mut`](Self::cir_buffers_mut) of every group and [`run_cir`](Self::run_cir);
/// fill [`scene_mut`](Self::scene_mut); [`run_tomography`](Self::run_tomography);
/// [`run_tracker`](Self::run_tracker). What one stage hands to the next is copied by the host.
pub struct PluginHost {
    spec: Arc<HostSpec>,
    registry: Registry,
    given_up: Arc<AtomicUsize>,
    active: Generation,
    /// Rows of each stage that ran well before the active one, the newest last.
    good: [Vec<PluginRow>; 3],
    /// Rows that ended themselves in this process.
    condemned: Vec<PluginRow>,
    /// How the stages were run in this cycle.
    orders: [RunOrder; 3],
    state_time: Duration,
    scene: Scene,
}

impl PluginHost {
    /// Loads, proves and builds everything that the manifest names.
    ///
    /// # Errors
    /// The first [`HostError`].
    pub fn new(spec: HostSpec, manifest: Manifest) -> Result<Self, HostError> {
        let (registry, given_up) = (Registry::default(), Arc::default());
        let active = Generation::prepare(&spec, manifest, &registry, &given_up)?;
        active.mark(&registry, PluginState::Active, "since the start");
        Ok(Self {
            spec: Arc::new(spec),
            registry,
            given_up,
            active,
            good: Default::default(),
            condemned: Vec::new(),
            orders: Default::default(),
            state_time: swap::UNHURRIED,
            scene: Scene::default(),
        })
    }

    /// The manifest of the linked stages with these names (`""`: the default of its kind; a kind without any
    /// stage is left out), proved now.
    ///
    /// # Errors
    /// [`HostError::NotLinked`], or [`HostError::Golden`] when a stage does not prove itself.
    pub fn linked_manifest(
        spec: &HostSpec,
        names: [&str; 3],
        host_stages: Vec<manifest::HostStage>,
    ) -> Result<Manifest, HostError> {
        let mut draft = Draft {
            host_stages,
            ..Draft::default()
        };
        for (stage, name) in manifest_write::stage_kinds().into_iter().zip(names) {
            let module = match name {
                "" => stages::default(spec.linked, stage),
                name => Some(
                    stages::named(spec.linked, stage, name).ok_or_else(|| HostError::NotLinked {
                        name: name.to_owned(),
                        known: stages::names(spec.linked, stage),
                    })?,
                ),
            };
            if let Some(module) = module {
                let about = (module.describe)();
                let proof = golden::prove(&about.name, module, spec.proof_time)?;
                draft.replace(linked_row(module, &proof, spec.tables.of(stage)));
            }
        }
        draft.write()
    }

    /// Groups of CSI link paths; none on a mesh that measures strength only.
    pub fn groups(&self) -> usize {
        self.active.cir.len()
    }

    /// Input and answer of a group.
    pub fn cir_buffers(&self, group: usize) -> Option<&CirBuffers> {
        self.active.cir.buffers(group)
    }

    /// A group's buffers, to fill before [`run_cir`](Self::run_cir).
    ///
    /// # Panics
    /// When there is no such group.
    pub fn cir_buffers_mut(&mut self, group: usize) -> &mut CirBuffers {
        self.active.cir.buffers_mut(group)
    }

    /// Runs every group, in parallel. One [`StageRun`] a group, in order; none when there are no groups, which is
    /// a stage without input (`SKIPPED`). A group whose run did not end in `RAN` holds zeros, and all do when one
    /// ended the stage.
    pub fn run_cir(&mut self, order: RunOrder) -> &[StageRun] {
        self.run_cir_but(order, u64::MAX)
    }

    /// The same under a recorded `Timeout`, of which only the groups with a bit set in `late` are left out.
    pub fn run_cir_but(&mut self, order: RunOrder, late: u64) -> &[StageRun] {
        self.orders[StageKind::Cir as usize] = order;
        self.active.cir.run_but(order, late);
        self.report(StageKind::Cir);
        self.active.cir.runs()
    }

    /// What `tomography` and `tracker` read in this cycle beside the answers of earlier stages.
    pub const fn scene_mut(&mut self) -> &mut Scene {
        &mut self.scene
    }

    /// Runs the stage on the scene and the groups' answers. The run is `SKIPPED` when there is no such stage.
    pub fn run_tomography(&mut self, order: RunOrder) -> StageRun {
        fill_tomography(&mut self.active, &self.scene);
        self.orders[StageKind::Tomography as usize] = order;
        let run = first(self.active.tomography.run(order));
        self.report(StageKind::Tomography);
        run
    }

    /// The image; none without such a stage.
    pub fn tomography_output(&self) -> Option<&TomographyBuffers> {
        self.active.tomography.buffers(0)
    }

    /// Runs the stage on the scene, the image and the groups' answers. `SKIPPED` when there is no such stage.
    pub fn run_tracker(&mut self, order: RunOrder) -> StageRun {
        fill_tracker(&mut self.active, &self.scene);
        self.orders[StageKind::Tracker as usize] = order;
        let run = first(self.active.tracker.run(order));
        self.report(StageKind::Tracker);
        run
    }

    /// The people; none without such a stage.
    pub fn tracker_output(&self) -> Option<&TrackerBuffers> {
        self.active.tracker.buffers(0)
    }

    /// The runs of a stage in this cycle.
    pub fn runs(&self, stage: StageKind) -> &[StageRun] {
        match stage {
            StageKind::Cir => self.active.cir.runs(),
            StageKind::Tomography => self.active.tomography.runs(),
            StageKind::Tracker => self.active.tracker.runs(),
        }
    }

    /// Appends the state of all instances.
    ///
    /// A stage that does not give its state is failed from here on, and the blob says so: a keyframe never waits for a
    /// stage that is broken.
    ///
    /// # Errors
    /// [`HostError::State`]; `into` is then as before.
    pub fn export_state(&mut self, into: &mut Vec<u8>) -> Result<(), HostError> {
        for stage in manifest_write::stage_kinds() {
            match state::export(&mut self.active, self.state_time, into) {
                Err(HostError::State { stage: of, why, index }) => {
                    tracing::warn!(stage = of, index, why, "a stage does not give its state and is failed");
                    let stage = manifest_write::stage_kinds()
                        .into_iter()
                        .find(|s| s.name() == of)
                        .unwrap_or(stage);
                    let message = format!("state: {why}");
                    self.end_stage(
                        stage,
                        StageRun {
                            message,
                            ..StageRun::of(Disposition::Error)
                        },
                        index,
                    );
                }
                result => return result,
            }
        }
        // Every stage has failed by now, and a failed stage has no state to wait for.
        state::export(&mut self.active, self.state_time, into)
    }

    /// Replaces the state of all instances by one that [`export_state`](Self::export_state) wrote under the same
    /// manifest.
    ///
    /// # Errors
    /// [`HostError::StateBlob`] or [`HostError::State`]. The host is then to be thrown away: some instances may have
    /// taken their part.
    pub fn import_state(&mut self, blob: &[u8]) -> Result<(), HostError> {
        state::import(&mut self.active, self.state_time, blob)
    }

    /// Takes a stage out that had failed in the recorded run that is run again; one that is out already stays as it is.
    pub fn fail(&mut self, stage: StageKind) {
        if self.active.failure(stage).is_none() && self.active.manifest.plugin(stage).is_some() {
            let message = "it had failed in the recorded run".to_owned();
            self.end_stage(
                stage,
                StageRun {
                    message,
                    ..StageRun::of(Disposition::Error)
                },
                0,
            );
        }
    }

    /// The same for every stage that has failed in a state that [`export_state`](Self::export_state) wrote.
    pub fn fail_as_in(&mut self, blob: &[u8]) {
        for stage in state::failed(blob) {
            self.fail(stage);
        }
    }

    /// `manifest_hash` of the cycles that run now.
    pub fn manifest_hash(&self) -> [u8; 32] {
        self.active.manifest.hash()
    }

    /// The manifest of the cycles that run now.
    pub const fn manifest(&self) -> &Manifest {
        &self.active.manifest
    }

    /// The plugin files that really run.
    pub fn builds(&self) -> Vec<tapline_witness::body::BuildRow> {
        self.active.builds()
    }

    /// What the API shows; clone it and keep it.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Workers that were given up in a call and have not come back.
    pub fn given_up(&self) -> usize {
        generation::given_up(&self.given_up)
    }

    /// Enters a stage that ended itself in this run.
    fn report(&mut self, stage: StageKind) {
        let runs = self.runs(stage);
        if let Some((index, run)) = runs.iter().enumerate().find(|(_, run)| run.ends_the_instance()) {
            let run = run.clone();
            self.end_stage(stage, run, index);
        }
    }

    /// Takes a stage out until another generation takes over.
    fn end_stage(&mut self, stage: StageKind, run: StageRun, index: usize) {
        let reason = format!("instance {index}: {} {}", run.disposition.name(), run.message);
        self.active
            .mark_stage(&self.registry, stage, PluginState::Failed, reason.trim_end());
        match stage {
            StageKind::Cir => self.active.cir.end(run),
            StageKind::Tomography => self.active.tomography.end(run),
            StageKind::Tracker => self.active.tracker.end(run),
        }
        if let Some(row) = self
            .active
            .manifest
            .plugin(stage)
            .filter(|r| !self.condemned.contains(r))
        {
            self.condemned.push(row.clone());
        }
    }
}

fn first(runs: &[StageRun]) -> StageRun {
    runs.first().cloned().unwrap_or_default()
}

/// Hands the scene and the groups' answers to the image stage.
fn fill_tomography(generation: &mut Generation, scene: &Scene) {
    if generation.tomography.len() == 0 {
        return;
    }
    let cir = &generation.cir;
    let to = generation.tomography.buffers_mut(0);
    scene.copy_into(&mut to.scene);
    to.cir_links.clear();
    to.cir_summaries.clear();
    to.taps.clear();
    if cir.answers() {
        for group in (0..cir.len()).filter_map(|index| cir.buffers(index)) {
            let first_tap = to.taps.len() as u32;
            to.cir_links
                .extend(group.links.iter().map(|link| tapline_plugin_api::cir::CirLink {
                    tap_offset: link.tap_offset + first_tap,
                    ..*link
                }));
            to.cir_summaries.extend_from_slice(&group.summaries);
            to.taps.extend_from_slice(&group.taps);
        }
    }
}

/// Hands the scene, the image and the groups' answers to the tracker.
fn fill_tracker(generation: &mut Generation, scene: &Scene) {
    if generation.tracker.len() == 0 {
        return;
    }
    let (cir, image) = (&generation.cir, &generation.tomography);
    let to = generation.tracker.buffers_mut(0);
    scene.copy_into(&mut to.scene);
    to.cir_summaries.clear();
    if cir.answers() {
        for group in (0..cir.len()).filter_map(|index| cir.buffers(index)) {
            to.cir_summaries.extend_from_slice(&group.summaries);
        }
    }
    match image.buffers(0).filter(|_| image.answers()) {
        Some(from) => {
            copy_into(&from.mean, &mut to.mean);
            copy_into(&from.variance, &mut to.variance);
            to.image = from.summary;
        }
        None => {
            to.mean.clear();
            to.variance.clear();
            to.image = tapline_plugin_api::tomography::TomographySummary::default();
        }
    }
}
