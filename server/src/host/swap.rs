//! Another generation: prepared aside, run in the shadow of the active one, put in its place between cycles.
//!
//! ```text
//! Preparer::prepare (any thread: load, gate, golden vectors twice, build)
//!     └─▶ PluginHost::begin_shadow (its answers are compared, never used)
//!             └─▶ PluginHost::activate (between two cycles; state carried over)
//! ```
//!
//! When a stage ends itself it is skipped from the next cycle; [`PluginHost::recovery`] then names the manifest
//! that replaces it: the plugin of the last generation, else the linked stage.

use std::{
    mem,
    sync::{Arc, atomic::AtomicUsize},
};

use tapline_plugin_api::{
    StageKind,
    guard::{StageError, code},
};
use tapline_witness::disposition::Disposition;

use super::{
    PluginHost,
    bench::{Bench, RunOrder},
    buffers::Scene,
    error::HostError,
    fill_tomography, fill_tracker,
    generation::{Generation, HostSpec, PATIENCE},
    golden,
    kind::Kind,
    manifest::Manifest,
    manifest_write::{Draft, linked_row, stage_kinds},
    registry::{PluginState, Registry},
    stages,
    worker::StageRun,
};

/// Prepares generations on other threads than the cycle's.
#[derive(Clone)]
pub struct Preparer {
    spec: Arc<HostSpec>,
    registry: Registry,
    given_up: Arc<AtomicUsize>,
}

impl Preparer {
    /// Loads, proves and builds what a manifest names.
    ///
    /// # Errors
    /// The first [`HostError`]; the registry says it too.
    pub fn prepare(&self, manifest: Manifest) -> Result<Generation, HostError> {
        Generation::prepare(&self.spec, manifest, &self.registry, &self.given_up)
    }

    /// The manifest that replaces the failed stages of `manifest`: by the row of `last_good` when that is other
    /// code, else by the linked stage. None when a failed stage has no replacement.
    ///
    /// # Errors
    /// [`HostError::Golden`] when the linked stage does not prove itself.
    fn replacing(
        &self,
        manifest: &Manifest,
        failed: &[StageKind],
        last_good: Option<&Manifest>,
    ) -> Result<Option<Manifest>, HostError> {
        let mut draft = Draft::after(manifest);
        for &stage in failed {
            let now = manifest.plugin(stage);
            let before = last_good.and_then(|m| m.plugin(stage));
            if let Some(row) = before.filter(|row| Some(*row) != now) {
                draft.replace(row.clone());
                continue;
            }
            let Some(module) = stages::default(self.spec.linked, stage) else {
                return Ok(None);
            };
            let about = (module.describe)();
            let proof = golden::prove(&about.name, module, self.spec.proof_time)?;
            draft.replace(linked_row(module, &proof, ""));
        }
        draft.write().map(Some)
    }
}

/// What became of a stage's state in an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateHandling {
    /// Same code: the instances themselves were carried over.
    Kept,
    /// Other code of the same name and state schema took the exported state.
    Imported,
    /// It begins anew.
    Reset,
    /// The manifest names no such stage.
    None,
}

/// What an activation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// `manifest_hash` until now.
    pub old_manifest_hash: [u8; 32],
    /// `manifest_hash` from the next cycle on.
    pub new_manifest_hash: [u8; 32],
    /// State of `cir`, `tomography`, `tracker`.
    pub state: [StateHandling; 3],
}

/// How a shadow did beside the active generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShadowReport {
    /// `cir`, `tomography`, `tracker`.
    pub stages: [ShadowStage; 3],
}

/// One stage of a [`ShadowReport`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShadowStage {
    /// Calls compared.
    pub runs: u64,
    /// Calls with equal bits and equal disposition.
    pub equal: u64,
    /// Calls that ended otherwise than `RAN` while the active one ran.
    pub not_ran: u64,
    /// Longest call of an instance, nanoseconds: shadow, active.
    pub slowest_ns: [u64; 2],
    /// Sum of the calls, nanoseconds: shadow, active.
    pub total_ns: [u64; 2],
    /// What ended the stage in the shadow, if anything did.
    pub failed: Option<StageRun>,
}

/// A generation whose answers are looked at, not used.
pub(super) struct Shadow {
    generation: Generation,
    report: ShadowReport,
}

impl Shadow {
    pub(super) fn run_cir(&mut self, active: &mut Generation, order: RunOrder) {
        let shadow = &mut self.generation.cir;
        if shadow.len() != active.cir.len() {
            return;
        }
        for index in 0..shadow.len() {
            let from = active.cir.buffers_mut(index);
            let to = shadow.buffers_mut(index);
            to.links.copy_from_slice(&from.links);
            to.tones.copy_from_slice(&from.tones);
            to.mask.copy_from_slice(&from.mask);
        }
        shadow.run(order);
        note(&mut self.report.stages[0], shadow, &active.cir, |a, b| {
            (&a.taps, &a.summaries) == (&b.taps, &b.summaries)
        });
    }

    pub(super) fn run_tomography(&mut self, active: &Generation, scene: &Scene, order: RunOrder) {
        fill_tomography(&mut self.generation, scene);
        self.generation.tomography.run(order);
        let shadow = &self.generation.tomography;
        note(&mut self.report.stages[1], shadow, &active.tomography, |a, b| {
            (&a.mean, &a.variance, &a.summary) == (&b.mean, &b.variance, &b.summary)
        });
    }

    pub(super) fn run_tracker(&mut self, active: &Generation, scene: &Scene, order: RunOrder) {
        fill_tracker(&mut self.generation, scene);
        self.generation.tracker.run(order);
        let shadow = &self.generation.tracker;
        note(&mut self.report.stages[2], shadow, &active.tracker, |a, b| {
            (&a.tracks, &a.summary) == (&b.tracks, &b.summary)
        });
    }
}

/// Compares the instances of one stage after a cycle. Answers are canonical, so equal values are equal bits.
fn note<K: Kind>(
    stage: &mut ShadowStage,
    shadow: &Bench<K>,
    active: &Bench<K>,
    equal: impl Fn(&K::Buffers, &K::Buffers) -> bool,
) {
    for (index, (a, b)) in shadow.runs().iter().zip(active.runs()).enumerate() {
        let same = match (shadow.buffers(index), active.buffers(index)) {
            (Some(x), Some(y)) => equal(x, y),
            _ => false,
        };
        stage.runs += 1;
        stage.equal += u64::from(same && a.disposition == b.disposition);
        stage.not_ran += u64::from(a.disposition != Disposition::Ran && b.disposition == Disposition::Ran);
        for (side, run) in [a, b].into_iter().enumerate() {
            stage.slowest_ns[side] = stage.slowest_ns[side].max(run.elapsed_ns);
            stage.total_ns[side] = stage.total_ns[side].saturating_add(run.elapsed_ns);
        }
    }
    stage.failed = shadow.failed().cloned();
}

impl PluginHost {
    /// What prepares generations for this host, on any thread.
    pub fn preparer(&self) -> Preparer {
        Preparer {
            spec: Arc::clone(&self.spec),
            registry: self.registry.clone(),
            given_up: Arc::clone(&self.given_up),
        }
    }

    /// The stages that ended themselves, with what ended them.
    pub fn failures(&self) -> Vec<(StageKind, StageRun)> {
        let failed = |stage| Some((stage, self.active.failure(stage)?.clone()));
        stage_kinds().into_iter().filter_map(failed).collect()
    }

    /// The manifest under which every failed stage is replaced; none when nothing failed or nothing can replace
    /// it. [`Preparer::prepare`] and [`activate`](Self::activate) do the rest.
    ///
    /// # Errors
    /// [`HostError::Golden`] when the linked stage does not prove itself.
    pub fn recovery(&self) -> Result<Option<Manifest>, HostError> {
        let failed: Vec<StageKind> = self.failures().into_iter().map(|(stage, _)| stage).collect();
        if failed.is_empty() {
            return Ok(None);
        }
        self.preparer()
            .replacing(&self.active.manifest, &failed, self.previous.as_ref())
    }

    /// Runs a generation beside the active one from the next cycle on, in place of any earlier shadow.
    pub fn begin_shadow(&mut self, generation: Generation) {
        self.shadow = Some(Shadow {
            generation,
            report: ShadowReport::default(),
        });
    }

    /// How the shadow is doing.
    pub fn shadow_report(&self) -> Option<&ShadowReport> {
        self.shadow.as_ref().map(|s| &s.report)
    }

    /// Ends the shadow and gives its generation back. Its instances have lived through cycles that the active ones
    /// lived through too; [`activate`](Self::activate) replaces their state all the same.
    pub fn end_shadow(&mut self) -> Option<(Generation, ShadowReport)> {
        self.shadow.take().map(|s| (s.generation, s.report))
    }

    /// Puts a generation in the active one's place; to be called between two cycles. State is carried over where
    /// code or state schema allow it and the old stage is not failed.
    ///
    /// # Errors
    /// [`HostError::State`] when the state does not come out or go in. The active generation then stays.
    pub fn activate(&mut self, mut next: Generation) -> Result<Activation, HostError> {
        let same_groups = self.active.manifest.link_group() == next.manifest.link_group();
        let old = &mut self.active;
        let plan = stage_kinds().map(|stage| plan(old, &next, stage, same_groups));
        // Imports first: they can fail, and until then nothing of the old generation has moved.
        import(plan[0], &mut old.cir, &mut next.cir)?;
        import(plan[1], &mut old.tomography, &mut next.tomography)?;
        import(plan[2], &mut old.tracker, &mut next.tracker)?;
        keep(plan[0], &mut old.cir, &mut next.cir);
        keep(plan[1], &mut old.tomography, &mut next.tomography);
        keep(plan[2], &mut old.tracker, &mut next.tracker);

        next.mark(&self.registry, PluginState::Active, "activated");
        let retired = mem::replace(&mut self.active, next);
        let by = format!("replaced by generation {}", self.active.manifest.generation());
        for (stage, handling) in stage_kinds().into_iter().zip(plan) {
            // A kept bench has left `retired`; a failed one stays failed in the registry.
            if retired.failure(stage).is_none() || handling == StateHandling::Kept {
                retired.mark_stage(&self.registry, stage, PluginState::Retired, &by);
            }
        }
        let activation = Activation {
            old_manifest_hash: retired.manifest.hash(),
            new_manifest_hash: self.active.manifest.hash(),
            state: plan,
        };
        self.previous = Some(retired.manifest);
        Ok(activation)
    }
}

fn plan(old: &Generation, next: &Generation, stage: StageKind, same_groups: bool) -> StateHandling {
    let Some(new_row) = next.manifest.plugin(stage) else {
        return StateHandling::None;
    };
    let Some(old_row) = old.manifest.plugin(stage) else {
        return StateHandling::Reset;
    };
    if old.failure(stage).is_some() || !(same_groups || stage != StageKind::Cir) {
        StateHandling::Reset
    } else if old_row == new_row {
        StateHandling::Kept
    } else if (&old_row.name, old_row.state_schema) == (&new_row.name, new_row.state_schema) {
        StateHandling::Imported
    } else {
        StateHandling::Reset
    }
}

fn keep<K: Kind>(plan: StateHandling, old: &mut Bench<K>, next: &mut Bench<K>) {
    if plan == StateHandling::Kept {
        mem::swap(old, next);
    }
}

fn import<K: Kind>(plan: StateHandling, old: &mut Bench<K>, next: &mut Bench<K>) -> Result<(), HostError> {
    if plan == StateHandling::Imported {
        if old.len() != next.len() {
            let why = StageError::new(code::HOST, format!("{} instances, then {}", old.len(), next.len()));
            return Err(HostError::State {
                stage: K::STAGE.name(),
                index: 0,
                why: why.to_string(),
            });
        }
        for index in 0..old.len() {
            let state = old.export(index, PATIENCE)?;
            next.import(index, &state, PATIENCE)?;
        }
    }
    Ok(())
}
