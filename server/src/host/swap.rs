//! Another generation in the active one's place, between two cycles.
//!
//! ```text
//! Preparer::candidate (any thread: load, gate, golden vectors twice, build)
//!     └─▶ Shadow::run (a thread of its own; its answers are compared, never used)
//!             └─▶ PluginHost::activate (between two cycles; state carried over)
//! ```
//!
//! When a stage ends itself it is skipped from the next cycle; [`PluginHost::recovery_order`] and
//! [`Preparer::recover`] then make the generation that replaces it.

use std::{
    mem,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use abi_stable::std_types::RVec;
use tapline_plugin_api::{
    StageKind,
    guard::{StageError, code},
};
use tapline_witness::hash::{Domain, Hash, ZERO};

use super::{
    PluginHost,
    bench::Bench,
    candidate::{Candidate, RecoveryOrder, Source},
    error::HostError,
    generation::{Generation, HostSpec, PATIENCE},
    kind::Kind,
    manifest::{Manifest, PluginRow},
    manifest_write::stage_kinds,
    registry::{PluginState, Registry},
    worker::StageRun,
};

/// Rows of a stage that ran well and are remembered.
const GOOD_ROWS: usize = 8;

/// Prepares generations on other threads than the cycle's.
#[derive(Clone)]
pub struct Preparer {
    pub(super) spec: Arc<HostSpec>,
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

    /// Where libraries lie; empty when only built-in stages are used.
    pub fn plugin_dir(&self) -> &std::path::Path {
        &self.spec.plugin_dir
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

/// States of the active generation on their way into another one.
pub struct Carried {
    plan: [StateHandling; 3],
    states: [Vec<RVec<u8>>; 3],
    /// What ended the stages that have failed and that the other generation would run by the same row.
    failed: [Option<StageRun>; 3],
    within: Duration,
}

impl Carried {
    /// What becomes of each stage's state.
    pub const fn plan(&self) -> [StateHandling; 3] {
        self.plan
    }

    /// Digest of a stage's states, of all its instances in order; zero when nothing of it is carried.
    pub fn digest(&self, stage: StageKind) -> Hash {
        let states = &self.states[stage as usize];
        if states.is_empty() {
            return ZERO;
        }
        let mut hasher = Domain::Blob.hasher();
        for state in states {
            hasher.update(&(state.len() as u64).to_le_bytes());
            hasher.update(state);
        }
        *hasher.finalize().as_bytes()
    }

    /// Whether a stage is out in the other generation, too.
    pub(super) const fn is_out(&self, stage: StageKind) -> bool {
        self.failed[stage as usize].is_some()
    }

    /// Hands every state to its instance, and ends what has failed: a fresh instance of it would be back in service
    /// because another stage was exchanged.
    ///
    /// # Errors
    /// [`HostError::State`] when one refuses.
    pub fn give(&self, next: &mut Generation) -> Result<(), HostError> {
        self.give_bench(&mut next.cir)?;
        self.give_bench(&mut next.tomography)?;
        self.give_bench(&mut next.tracker)
    }

    fn give_bench<K: Kind>(&self, bench: &mut Bench<K>) -> Result<(), HostError> {
        if let Some(run) = &self.failed[K::STAGE as usize] {
            bench.end(run.clone());
        }
        let states = &self.states[K::STAGE as usize];
        if !states.is_empty() && states.len() != bench.len() {
            let why = StageError::new(code::HOST, format!("{} instances, then {}", states.len(), bench.len()));
            return Err(HostError::State {
                stage: K::STAGE.name(),
                index: 0,
                why: why.to_string(),
            });
        }
        for (index, state) in states.iter().enumerate() {
            bench.import(index, state, self.within)?;
        }
        Ok(())
    }
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

    /// How long an instance may take to give or take its state: on a live cycle's thread little, else seconds.
    pub const fn set_state_time(&mut self, within: Duration) {
        self.state_time = within;
    }

    /// The stages that ended themselves, with what ended them.
    pub fn failures(&self) -> Vec<(StageKind, StageRun)> {
        let failed = |stage| Some((stage, self.active.failure(stage)?.clone()));
        stage_kinds().into_iter().filter_map(failed).collect()
    }

    /// What [`Preparer::recover`] needs to replace every failed stage; none when nothing failed.
    pub fn recovery_order(&self) -> Option<RecoveryOrder> {
        let failed: Vec<StageKind> = stage_kinds()
            .into_iter()
            .filter(|stage| self.active.failure(*stage).is_some())
            .collect();
        (!failed.is_empty()).then(|| RecoveryOrder {
            manifest: self.active.manifest.clone(),
            failed,
            good: self.good.clone(),
            condemned: self.condemned.clone(),
        })
    }

    /// The candidate that goes back to the plugin before the one that runs; none when there was none, or when it
    /// failed.
    pub fn before(&self, stage: StageKind) -> Option<Candidate> {
        let good = self.good[stage as usize].iter().rev();
        let now = self.active.manifest.plugin(stage);
        let row = good
            .clone()
            .find(|row| Some(*row) != now && !self.condemned.contains(row))?;
        Some(Candidate {
            stage,
            source: Source::Row(Box::new(row.clone())),
            blake3: None,
            table: None,
        })
    }

    /// The states that another generation would take over now.
    ///
    /// # Errors
    /// [`HostError::State`] when a stage does not give its state.
    pub fn carry(&mut self, next: &Generation) -> Result<Carried, HostError> {
        let plan = self.plan(next);
        self.export(next, plan, |handling| {
            matches!(handling, StateHandling::Kept | StateHandling::Imported)
        })
    }

    fn plan(&self, next: &Generation) -> [StateHandling; 3] {
        let same_groups = self.active.manifest.link_group() == next.manifest.link_group();
        stage_kinds().map(|stage| plan(&self.active, next, stage, same_groups))
    }

    fn export(
        &mut self,
        next: &Generation,
        plan: [StateHandling; 3],
        wanted: impl Fn(StateHandling) -> bool,
    ) -> Result<Carried, HostError> {
        let within = self.state_time;
        let mut states = [const { Vec::new() }; 3];
        if wanted(plan[0]) {
            states[0] = export_all(&mut self.active.cir, within)?;
        }
        if wanted(plan[1]) {
            states[1] = export_all(&mut self.active.tomography, within)?;
        }
        if wanted(plan[2]) {
            states[2] = export_all(&mut self.active.tracker, within)?;
        }
        let stays = |stage| self.active.manifest.plugin(stage) == next.manifest.plugin(stage);
        let failed = stage_kinds().map(|stage| self.active.failure(stage).filter(|_| stays(stage)).cloned());
        Ok(Carried {
            plan,
            states,
            failed,
            within,
        })
    }

    /// Puts a generation in the active one's place; to be called between two cycles. State is carried over where
    /// code or state schema allow it and the old stage is not failed; a stage that is stays so under the same row.
    ///
    /// # Errors
    /// [`HostError::State`] when the state does not come out or go in. The active generation then stays.
    pub fn activate(&mut self, next: Generation) -> Result<Activation, HostError> {
        self.replace(next, true)
    }

    /// The same to go back: what is taken out was not wanted, and takes over from nothing by itself any more.
    ///
    /// # Errors
    /// As [`activate`](Self::activate).
    pub fn go_back(&mut self, next: Generation) -> Result<Activation, HostError> {
        self.replace(next, false)
    }

    fn replace(&mut self, mut next: Generation, was_good: bool) -> Result<Activation, HostError> {
        let plan = self.plan(&next);
        // Imports first: they can fail, and until then nothing of the old generation has moved.
        self.export(&next, plan, |handling| handling == StateHandling::Imported)?
            .give(&mut next)?;
        let old = &mut self.active;
        keep(plan[0], &mut old.cir, &mut next.cir);
        keep(plan[1], &mut old.tomography, &mut next.tomography);
        keep(plan[2], &mut old.tracker, &mut next.tracker);

        next.mark(&self.registry, PluginState::Active, "activated");
        let retired = mem::replace(&mut self.active, next);
        let by = format!("replaced by generation {}", self.active.manifest.generation());
        for (stage, handling) in stage_kinds().into_iter().zip(plan) {
            if self.active.failure(stage).is_some() {
                let still = "failed under the manifest before, and nothing took over";
                self.active
                    .mark_stage(&self.registry, stage, PluginState::Failed, still);
            }
            // A kept bench has left `retired`; a failed one stays failed in the registry.
            if handling == StateHandling::Kept || retired.failure(stage).is_none() {
                retired.mark_stage(&self.registry, stage, PluginState::Retired, &by);
            }
            if handling != StateHandling::Kept
                && retired.failure(stage).is_none()
                && let Some(row) = retired.manifest.plugin(stage)
            {
                let good = &mut self.good[stage as usize];
                good.retain(|r| r != row);
                if was_good {
                    remember(good, row);
                }
            }
        }
        Ok(Activation {
            old_manifest_hash: retired.manifest.hash(),
            new_manifest_hash: self.active.manifest.hash(),
            state: plan,
        })
    }
}

fn remember(rows: &mut Vec<PluginRow>, row: &PluginRow) {
    if rows.len() == GOOD_ROWS {
        rows.remove(0);
    }
    rows.push(row.clone());
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

fn export_all<K: Kind>(bench: &mut Bench<K>, within: Duration) -> Result<Vec<RVec<u8>>, HostError> {
    (0..bench.len()).map(|index| bench.export(index, within)).collect()
}

/// How long state calls may take where nothing waits for them.
pub(super) const UNHURRIED: Duration = PATIENCE;
