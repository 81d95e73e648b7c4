//! Attempts to change a plugin as their readers see them: what was asked for, how far it is, how the candidate
//! compares with what runs.

use std::{collections::VecDeque, sync::Arc};

use tapline_plugin_api::StageKind;
use tapline_witness::{body::swap_reason, disposition::Disposition};
use tokio::sync::watch;

use crate::host::{
    shadow::{ShadowCycle, StageComparison},
    swap::StateHandling,
};

/// Attempts that are remembered.
const KEPT: usize = 16;
/// Compared cycles of an attempt that are remembered.
pub const KEPT_CYCLES: usize = 1_200;

/// Who wants the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptKind {
    /// An operator names a plugin.
    Swap,
    /// An operator wants the plugin before.
    Rollback,
    /// The server replaces a stage that failed.
    Recovery,
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for the next cycle boundary.
    Queued,
    /// The candidate is loaded, gated, proved and built, beside the running cycle.
    Preparing,
    /// The candidate computes the live input; its answers are compared, not used.
    Shadowing,
    /// The comparison is over; an operator looks at it and decides.
    Compared,
    /// The SWAP leaf is written; the candidate waits for its tick.
    Committed,
    /// The candidate runs.
    Applied,
    /// The manifest before stays.
    Rejected,
    /// The plugin before, or the one that is built in, runs again.
    RolledBack,
}

impl Phase {
    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Applied | Self::Rejected | Self::RolledBack)
    }
}

/// One stage over all compared cycles.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTotal {
    /// Cycles in which the running stage ran.
    pub cycles: u32,
    /// Of which the candidate ran in, too.
    pub shadow_ran: u32,
    /// Of which with equal bits throughout.
    pub equal_cycles: u32,
    /// Numbers compared.
    pub values: u64,
    /// Of which with equal bits.
    pub equal: u64,
    /// Largest absolute difference.
    pub max_difference: f32,
    /// Mean time of the running stage's slowest instance, microseconds.
    pub active_mean_us: f64,
    /// Mean time of the candidate's slowest instance, microseconds.
    pub shadow_mean_us: f64,
    /// Slowest call of the running stage, microseconds.
    pub active_max_us: u32,
    /// Slowest call of the candidate, microseconds.
    pub shadow_max_us: u32,
    /// How the candidate ended the first cycle in which it owed an answer and gave none; not for lack of time.
    pub failed: Option<Disposition>,
}

impl StageTotal {
    /// How the candidate ended when it owed an answer and gave none. A machine may be busy for a moment: lack of time counts
    /// when it had too little in most cycles.
    pub fn owed(&self) -> Option<Disposition> {
        let late = 2 * u64::from(self.shadow_ran) < u64::from(self.cycles);
        self.failed.or(late.then_some(Disposition::Skipped))
    }

    fn add(&mut self, stage: &StageComparison) {
        // Where the running stage is out, or had no time, only an error tells something about the candidate.
        let failed = match stage.active {
            Disposition::Ran => !matches!(stage.shadow, Disposition::Ran | Disposition::Skipped),
            Disposition::Skipped => stage.shadow == Disposition::Error,
            _ => false,
        };
        if failed {
            self.failed.get_or_insert(stage.shadow);
        }
        if stage.active != Disposition::Ran {
            return;
        }
        self.cycles += 1;
        if stage.shadow != Disposition::Ran {
            return;
        }
        self.shadow_ran += 1;
        self.equal_cycles += u32::from(stage.equal == stage.values);
        self.values += stage.values;
        self.equal += stage.equal;
        if stage.max_difference > self.max_difference {
            self.max_difference = stage.max_difference;
        }
        let weight = 1.0 / f64::from(self.shadow_ran);
        self.active_mean_us += (f64::from(stage.active_us) - self.active_mean_us) * weight;
        self.shadow_mean_us += (f64::from(stage.shadow_us) - self.shadow_mean_us) * weight;
        self.active_max_us = self.active_max_us.max(stage.active_us);
        self.shadow_max_us = self.shadow_max_us.max(stage.shadow_us);
    }
}

/// The shadow run of an attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShadowRun {
    /// Cycles asked for.
    pub wanted: u32,
    /// Cycles compared.
    pub done: u32,
    /// cir, tomography, tracker.
    pub stages: [StageTotal; 3],
    /// The newest compared cycles, ascending.
    pub cycles: VecDeque<ShadowCycle>,
}

impl ShadowRun {
    /// The first stage that owed an answer, and how it ended instead.
    pub fn owed(&self) -> Option<(StageKind, Disposition)> {
        let kinds = [StageKind::Cir, StageKind::Tomography, StageKind::Tracker];
        let mut stages = kinds.into_iter().zip(&self.stages);
        stages.find_map(|(kind, total)| Some((kind, total.owed()?)))
    }

    /// Takes a compared cycle in.
    pub fn add(&mut self, cycle: ShadowCycle) {
        self.done += 1;
        for (total, stage) in self.stages.iter_mut().zip(&cycle.stages) {
            total.add(stage);
        }
        if self.cycles.len() == KEPT_CYCLES {
            self.cycles.pop_front();
        }
        self.cycles.push_back(cycle);
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Number since the process started, from 1.
    pub id: u64,
    /// Who wants it.
    pub kind: AttemptKind,
    /// The stage.
    pub stage: StageKind,
    /// What was asked for; for a recovery, what failed.
    pub asked: String,
    /// How far it is.
    pub phase: Phase,
    /// What is happening, or how it ended, in words.
    pub message: String,
    /// Reason code of the SWAP leaf; 0 while there is none.
    pub reason: u16,
    /// The manifest before.
    pub old_manifest_hash: [u8; 32],
    /// The manifest asked for, once it is written.
    pub new_manifest_hash: Option<[u8; 32]>,
    /// What differs between the two, a line each.
    pub changes: Vec<String>,
    /// Golden vectors: run, passed, failed.
    pub vectors: [u32; 3],
    /// The shadow run.
    pub shadow: Arc<ShadowRun>,
    /// First tick under the new manifest, once a leaf names it.
    pub effective_tick: Option<u64>,
    /// The newest SWAP leaf of the attempt.
    pub leaf: Option<u64>,
    /// What became of the state of cir, tomography and tracker.
    pub state: Option<[StateHandling; 3]>,
}

impl Attempt {
    /// One that waits for the next cycle boundary.
    pub fn queued(id: u64, kind: AttemptKind, stage: StageKind, asked: String, old_manifest_hash: [u8; 32]) -> Self {
        Self {
            id,
            kind,
            stage,
            asked,
            phase: Phase::Queued,
            message: "waits for the next cycle boundary".to_owned(),
            reason: swap_reason::NONE,
            old_manifest_hash,
            new_manifest_hash: None,
            changes: Vec::new(),
            vectors: [0; 3],
            shadow: Arc::default(),
            effective_tick: None,
            leaf: None,
            state: None,
        }
    }
}

/// The attempts of this process, the newest last. The cycle thread writes, readers follow.
#[derive(Debug)]
pub struct Attempts(watch::Sender<Arc<Vec<Arc<Attempt>>>>);

impl Default for Attempts {
    fn default() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }
}

impl Attempts {
    /// All that are remembered, ascending.
    pub fn list(&self) -> Arc<Vec<Arc<Attempt>>> {
        Arc::clone(&self.0.borrow())
    }

    /// One of them.
    pub fn get(&self, id: u64) -> Option<Arc<Attempt>> {
        self.0.borrow().iter().find(|a| a.id == id).cloned()
    }

    /// The list, and its changes.
    pub fn follow(&self) -> watch::Receiver<Arc<Vec<Arc<Attempt>>>> {
        self.0.subscribe()
    }

    /// Enters a new attempt under the next number. `exclusive`: only when no other is under way.
    pub fn begin(&self, exclusive: bool, attempt: impl FnOnce(u64) -> Attempt) -> Option<Arc<Attempt>> {
        let mut entered = None;
        self.0.send_if_modified(|list| {
            if exclusive && list.iter().any(|a| !a.phase.is_final()) {
                return false;
            }
            let attempt = Arc::new(attempt(list.last().map_or(1, |a| a.id + 1)));
            let mut all = Vec::clone(list);
            if all.len() == KEPT {
                all.remove(0);
            }
            all.push(Arc::clone(&attempt));
            *list = Arc::new(all);
            entered = Some(attempt);
            true
        });
        entered
    }

    /// Replaces an attempt by its newer form.
    pub fn update(&self, attempt: &Attempt) {
        self.0.send_if_modified(|list| {
            let Some(at) = list.iter().position(|a| a.id == attempt.id) else {
                return false;
            };
            let mut all = Vec::clone(list);
            all[at] = Arc::new(attempt.clone());
            *list = Arc::new(all);
            true
        });
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn attempt(id: u64, phase: Phase) -> Attempt {
        Attempt {
            phase,
            ..Attempt::queued(id, AttemptKind::Swap, StageKind::Cir, "cir-dense".to_owned(), [1; 32])
        }
    }

    #[test]
    fn one_at_a_time_and_old_ones_are_forgotten() {
        let attempts = Attempts::default();
        let first = attempts
            .begin(true, |id| attempt(id, Phase::Queued))
            .expect("the first");
        assert_eq!(first.id, 1);
        assert!(attempts.begin(true, |id| attempt(id, Phase::Queued)).is_none());
        attempts.update(&attempt(1, Phase::Rejected));
        for _ in 0..40 {
            assert!(attempts.begin(true, |id| attempt(id, Phase::Applied)).is_some());
        }
        assert_eq!((attempts.list().len(), attempts.list()[KEPT - 1].id), (KEPT, 41));
        assert!(attempts.get(1).is_none() && attempts.get(41).is_some());
    }

    #[test]
    fn totals_count_what_could_be_compared() {
        let mut run = ShadowRun::default();
        let stage = |shadow, equal, max_difference| StageComparison {
            active: Disposition::Ran,
            shadow,
            values: 10,
            equal,
            max_difference,
            active_us: 100,
            shadow_us: 300,
        };
        for cir in [
            stage(Disposition::Ran, 10, 0.0),
            stage(Disposition::Ran, 4, 0.5),
            stage(Disposition::Panic, 0, 0.0),
        ] {
            run.add(ShadowCycle {
                tick: 1,
                stages: [cir, StageComparison::default(), StageComparison::default()],
            });
        }
        let total = run.stages[0];
        assert_eq!((total.cycles, total.shadow_ran, total.equal_cycles), (3, 2, 1));
        assert_eq!((total.values, total.equal, total.max_difference), (20, 14, 0.5));
        assert_eq!((total.active_mean_us, total.shadow_mean_us), (100.0, 300.0));
        assert_eq!(run.owed(), Some((StageKind::Cir, Disposition::Panic)));
    }

    /// A candidate that gave no answer where the running stage had one stood as a good one.
    #[test]
    fn an_answer_is_owed_where_the_running_stage_has_one() {
        use Disposition::{Error, Ran, Skipped};
        let owed = |active, shadow| {
            let mut total = StageTotal::default();
            total.add(&StageComparison {
                active,
                shadow,
                ..StageComparison::default()
            });
            total.owed()
        };
        assert_eq!((owed(Ran, Error), owed(Ran, Skipped)), (Some(Error), Some(Skipped)));
        assert_eq!(owed(Skipped, Error), Some(Error), "the running stage is out");
        let none = [(Ran, Ran), (Skipped, Skipped), (Skipped, Ran), (Error, Error)];
        assert!(none.iter().all(|(active, shadow)| owed(*active, *shadow).is_none()));
    }
}
