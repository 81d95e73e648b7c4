//! Plugins exchanged while the cycle runs: wanted by an operator, or because a stage failed.
//!
//! ```text
//! cycle thread                 swap thread                     shadow thread
//! order ─────────────────────▶ load, gate, golden twice, build
//!   │ ◀──────────────────────── ready, or REJECTED leaf
//!   │ a copy of each cycle ──────────────────────────────────▶ compute, compare
//!   │ ◀─────────────────────────────────────────────────────── differences and times
//!   │ an operator's yes, when the order wants one
//!   │ SWAP leaf (effective_tick = now + 40), durable
//!   ▼ activate between two cycles, state carried over; a keyframe follows
//! ```
//!
//! The cycle thread never waits: between two slots it looks what came back. A recovery skips the shadow and takes
//! effect with the next cycle; until then the failed stage is SKIPPED.

mod leaves;
mod threads;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use tapline_plugin_api::StageKind;
use tapline_witness::{
    body::{SwapResult, swap_reason},
    disposition::Disposition,
    hash::{Hash, ZERO},
};

pub(super) use self::leaves::{RecoverError, put_as_recorded, recover_now};
use self::{
    leaves::Leaf,
    threads::{Done, Job, ShadowLine, Shown},
};
use super::engine::{Engine, EngineError};
use crate::{
    host::{
        Generation, StageRun,
        candidate::{Candidate, Evidence, Source},
        manifest_write::diff,
        swap::StateHandling,
    },
    live::{
        Hub, SwapOrder,
        attempt::{Attempt, AttemptKind, Phase},
    },
    log::Stamp,
};

/// Cycles between a SWAP leaf and its effect: two seconds, in which it becomes durable.
const NOTICE_TICKS: u64 = 40;
/// Cycles that a candidate waits for an operator's decision: five minutes.
const REVIEW_TICKS: u64 = 6_000;

/// The attempt under way.
struct Work {
    attempt: Attempt,
    operator: Hash,
    shadow_cycles: u32,
    review: bool,
}

enum State {
    Idle,
    /// The swap thread is at it.
    Preparing(Work),
    /// The candidate computes beside the cycle.
    Shadowing(Work, ShadowLine, Evidence),
    /// An operator is asked, until this tick.
    Reviewing(Work, Box<Generation>, Evidence, u64),
    /// The leaf is written.
    Committed(Work, Box<Generation>, u64),
}

/// Exchanges plugins; lives on the cycle thread.
pub(super) struct Swaps {
    hub: Arc<Hub>,
    jobs: mpsc::Sender<Job>,
    done: mpsc::Receiver<Done>,
    state: State,
    /// How long the stages of a shadow cycle may take together.
    shadow_time: Duration,
    /// A manifest, and failed stages of it for which there is no replacement.
    hopeless: Option<(Hash, Vec<StageKind>)>,
}

impl Swaps {
    /// Starts the swap thread.
    pub(super) fn start(engine: &Engine, hub: &Arc<Hub>, shadow_time: Duration) -> std::io::Result<Self> {
        let (jobs, done) = threads::start(engine.core.host.preparer())?;
        Ok(Self {
            hub: Arc::clone(hub),
            jobs,
            done,
            state: State::Idle,
            shadow_time,
            hopeless: None,
        })
    }

    /// Takes an operator's order; to be called between two slots.
    pub(super) fn order(&mut self, engine: &mut Engine, order: SwapOrder, stamp: Stamp) -> Result<(), EngineError> {
        let Some(attempt) = self.hub.attempts.get(order.attempt) else {
            return Ok(());
        };
        let mut work = Work {
            attempt: (*attempt).clone(),
            operator: order.operator,
            shadow_cycles: order.shadow_cycles,
            review: order.review,
        };
        work.attempt.old_manifest_hash = engine.in_force.manifest_hash;
        // A failed stage that nothing can replace waits for exactly such an order.
        let recovering = self.to_recover(engine).is_some();
        if recovering || !matches!(self.state, State::Idle) {
            let why = "another change of the manifest is under way";
            return self.reject(engine, work, stamp, swap_reason::SUPERSEDED, why);
        }
        let stage = order.candidate.stage;
        let candidate = match order.candidate.source {
            Source::Before => engine.core.host.before(stage),
            _ => Some(order.candidate),
        };
        match candidate {
            Some(candidate) => {
                self.prepare(engine, work, candidate);
                Ok(())
            }
            None => {
                let why = "there is no plugin before this one that ran well in this process";
                self.reject(engine, work, stamp, swap_reason::LOAD, why)
            }
        }
    }

    /// An operator's decision about an attempt, in front of slot `tick`. One that has gone on meanwhile is left alone.
    pub(super) fn decide(
        &mut self,
        engine: &mut Engine,
        (attempt, go, operator): (u64, bool, Hash),
        tick: u64,
        stamp: Stamp,
    ) -> Result<(), EngineError> {
        let mut work = match std::mem::replace(&mut self.state, State::Idle) {
            State::Reviewing(mut work, generation, evidence, _) if work.attempt.id == attempt && go => {
                work.operator = operator;
                return self.commit(engine, work, generation, evidence, tick, stamp);
            }
            State::Preparing(work) | State::Shadowing(work, ..) | State::Reviewing(work, ..)
                if work.attempt.id == attempt && !go && work.attempt.kind == AttemptKind::Swap =>
            {
                work
            }
            other => {
                self.state = other;
                return Ok(());
            }
        };
        work.operator = operator;
        self.reject(
            engine,
            work,
            stamp,
            swap_reason::OPERATOR,
            "an operator decided against it",
        )
    }

    /// The first failed stage for which it is not known that nothing can take over by itself.
    fn to_recover(&self, engine: &Engine) -> Option<(StageKind, StageRun)> {
        let hopeless = self.hopeless.as_ref();
        let known = hopeless.filter(|(manifest, _)| *manifest == engine.in_force.manifest_hash);
        let is_hopeless = |stage: &StageKind| known.is_some_and(|(_, stages)| stages.contains(stage));
        let mut failures = engine.core.host.failures().into_iter();
        failures.find(|(stage, _)| !is_hopeless(stage))
    }

    fn prepare(&mut self, engine: &Engine, mut work: Work, candidate: Candidate) {
        work.attempt.phase = Phase::Preparing;
        work.attempt.message = "loading, gating, golden vectors twice, building".to_owned();
        self.hub.attempts.update(&work.attempt);
        let manifest = engine.core.host.manifest().clone();
        let job = Job::Candidate(work.attempt.id, manifest, Box::new(candidate));
        // The thread lives as long as its sender.
        let _ = self.jobs.send(job);
        self.state = State::Preparing(work);
    }

    /// Between slot `tick` and the next: looks at what came back, and goes on. True when another manifest is in force.
    pub(super) fn after_slot(&mut self, engine: &mut Engine, tick: u64, stamp: Stamp) -> Result<bool, EngineError> {
        let before = engine.in_force.manifest_hash;
        self.shadow(engine, tick, stamp)?;
        while let Ok(done) = self.done.try_recv() {
            self.take(engine, done, tick, stamp)?;
        }
        self.notice_failures(engine, stamp)?;
        self.end_review(engine, tick, stamp)?;
        self.activate_due(engine, tick + 1, stamp)?;
        Ok(before != engine.in_force.manifest_hash)
    }

    /// Before slot `tick`, which may come later than the one after the last: slots can be missed.
    pub(super) fn before_slot(&mut self, engine: &mut Engine, tick: u64, stamp: Stamp) -> Result<(), EngineError> {
        self.activate_due(engine, tick, stamp)
    }

    /// Feeds the shadow, shows what it found, and ends it when it has seen enough.
    fn shadow(&mut self, engine: &mut Engine, tick: u64, stamp: Stamp) -> Result<(), EngineError> {
        let State::Shadowing(work, line, _) = &mut self.state else {
            return Ok(());
        };
        let mut failed = None;
        let mut ended = None;
        while let Some(shown) = line.poll() {
            match shown {
                Shown::Compared(cycle) => Arc::make_mut(&mut work.attempt.shadow).add(cycle),
                Shown::Failed(reason, why) => failed = Some((reason, why)),
                Shown::Ended(generation) => ended = Some(generation),
            }
        }
        if failed.is_none() && line.wants_more() && line.feed(engine.core.host.feed(tick)).is_err() {
            failed = Some((
                swap_reason::DEADLINE,
                "the candidate is slower than the cycle".to_owned(),
            ));
        }
        work.attempt.message = format!("{} of {} cycles compared", work.attempt.shadow.done, work.shadow_cycles);
        self.hub.attempts.update(&work.attempt);
        match (failed, ended) {
            (Some((reason, why)), _) => {
                let State::Shadowing(work, ..) = std::mem::replace(&mut self.state, State::Idle) else {
                    return Ok(());
                };
                self.reject(engine, work, stamp, reason, &format!("in the shadow run: {why}"))
            }
            (None, Some(generation)) => {
                let State::Shadowing(work, _, evidence) = std::mem::replace(&mut self.state, State::Idle) else {
                    return Ok(());
                };
                self.compared(engine, work, generation, evidence, tick, stamp)
            }
            (None, None) => Ok(()),
        }
    }

    /// Takes what the swap thread made.
    fn take(&mut self, engine: &mut Engine, done: Done, tick: u64, stamp: Stamp) -> Result<(), EngineError> {
        let work = match std::mem::replace(&mut self.state, State::Idle) {
            State::Preparing(work) if work.attempt.id == done.id() => work,
            other => {
                // Of an attempt that was given up meanwhile.
                self.state = other;
                return Ok(());
            }
        };
        match done {
            Done::Candidate(_, Ok(ready)) => {
                let mut work = work;
                work.learn(engine, &ready.generation, &ready.evidence);
                match work.attempt.kind {
                    AttemptKind::Rollback => {
                        self.roll_back(engine, work, ready.generation, &ready.evidence, tick, stamp)
                    }
                    _ if work.shadow_cycles == 0 => {
                        self.compared(engine, work, Box::new(ready.generation), ready.evidence, tick, stamp)
                    }
                    _ => self.begin_shadow(engine, work, ready.generation, ready.evidence, stamp),
                }
            }
            Done::Candidate(_, Err(refused)) => {
                let mut work = work;
                work.attempt.vectors = [refused.evidence.run, refused.evidence.passed, refused.evidence.failed];
                let leaf = Leaf {
                    new: refused.manifest.as_ref(),
                    evidence: Some(&refused.evidence),
                    ..Leaf::of(&work.attempt, work.operator, SwapResult::Rejected, refused.reason)
                };
                let written = leaf.write(engine, stamp)?;
                engine
                    .core
                    .host
                    .registry()
                    .forget_unused(engine.core.host.manifest().generation() + 1);
                self.finish(work, Phase::Rejected, refused.reason, refused.why, written);
                Ok(())
            }
            Done::Recovery(_, order_failed, Ok(Some(ready))) => {
                let failures = engine.core.host.failures();
                if !failures.iter().map(|(stage, _)| stage).eq(&order_failed) {
                    // Another stage failed meanwhile: once more, for all of them.
                    return self.recover(engine, work.attempt);
                }
                let mut work = work;
                // Nothing may be left for the one that failed first.
                if let Some((_, run)) = failures.iter().find(|(stage, _)| *stage == ready.stage) {
                    work.attempt.stage = ready.stage;
                    work.attempt.reason = reason_of(run);
                }
                self.roll_back(engine, work, ready.generation, &ready.evidence, tick, stamp)
            }
            Done::Recovery(_, order_failed, other) => {
                self.hopeless = Some((engine.in_force.manifest_hash, order_failed));
                let why = match other {
                    Err(error) => error.to_string(),
                    _ => "every plugin and built-in stage that could take over has failed itself; the stage stays \
                          skipped until another plugin is swapped in"
                        .to_owned(),
                };
                tracing::error!(why, "a failed stage is not replaced");
                let leaf = Leaf::of(&work.attempt, ZERO, SwapResult::Rejected, swap_reason::LOAD);
                let written = leaf.write(engine, stamp)?;
                self.finish(work, Phase::Rejected, swap_reason::LOAD, why, written);
                Ok(())
            }
        }
    }

    fn begin_shadow(
        &mut self,
        engine: &mut Engine,
        mut work: Work,
        generation: Generation,
        evidence: Evidence,
        stamp: Stamp,
    ) -> Result<(), EngineError> {
        let started = match engine.core.host.carry(&generation) {
            Ok(carried) => {
                let cycles = work.shadow_cycles;
                threads::start_shadow(generation, carried, cycles, self.shadow_time).map_err(|e| e.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match started {
            Ok(line) => {
                work.attempt.phase = Phase::Shadowing;
                Arc::make_mut(&mut work.attempt.shadow).wanted = work.shadow_cycles;
                self.hub.attempts.update(&work.attempt);
                self.state = State::Shadowing(work, line, evidence);
                Ok(())
            }
            Err(why) => self.reject(engine, work, stamp, swap_reason::STATE, &why),
        }
    }

    /// The comparison is over, or none was wanted: goes on, or asks.
    fn compared(
        &mut self,
        engine: &mut Engine,
        mut work: Work,
        generation: Box<Generation>,
        evidence: Evidence,
        tick: u64,
        stamp: Stamp,
    ) -> Result<(), EngineError> {
        let owed = work.attempt.shadow.owed().map(|(stage, disposition)| {
            let total = &work.attempt.shadow.stages[stage as usize];
            let how = format!("{} gave no answer ({})", stage.name(), disposition.name());
            let ran = format!("it ran in {} of {} cycles", total.shadow_ran, total.cycles);
            (disposition, format!("{how}; {ran}"))
        });
        match owed {
            Some((disposition, why)) if !work.review => {
                let reason = match disposition {
                    Disposition::Skipped => swap_reason::DEADLINE,
                    _ => swap_reason::ERROR,
                };
                return self.reject(engine, work, stamp, reason, &format!("in the shadow run: {why}"));
            }
            None if !work.review => return self.commit(engine, work, generation, evidence, tick, stamp),
            _ => {}
        }
        work.attempt.phase = Phase::Compared;
        let but = owed.map_or_else(String::new, |(_, why)| format!(", but {why}"));
        work.attempt.message = format!(
            "{} cycles compared{but}; waits {} s for confirmSwap or cancelSwap",
            work.attempt.shadow.done,
            REVIEW_TICKS / 20
        );
        self.hub.attempts.update(&work.attempt);
        self.state = State::Reviewing(work, generation, evidence, tick + REVIEW_TICKS);
        Ok(())
    }

    /// Ends a review that nobody answers: a candidate must not hold up the next attempt for ever.
    fn end_review(&mut self, engine: &mut Engine, tick: u64, stamp: Stamp) -> Result<(), EngineError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Reviewing(work, .., until) if until <= tick => {
                let why = format!("nobody confirmed it within {} s", REVIEW_TICKS / 20);
                self.reject(engine, work, stamp, swap_reason::OPERATOR, &why)
            }
            other => {
                self.state = other;
                Ok(())
            }
        }
    }

    /// Rehearses the hand-over of the state, then writes the leaf that names the tick.
    fn commit(
        &mut self,
        engine: &mut Engine,
        mut work: Work,
        mut generation: Box<Generation>,
        evidence: Evidence,
        tick: u64,
        stamp: Stamp,
    ) -> Result<(), EngineError> {
        let carried = engine.core.host.carry(&generation);
        let carried = match carried.and_then(|carried| carried.give(&mut generation).map(|()| carried)) {
            Ok(carried) => carried,
            Err(error) => return self.reject(engine, work, stamp, swap_reason::STATE, &error.to_string()),
        };
        let stage = work.attempt.stage;
        let kept = carried.plan()[stage as usize] != StateHandling::Reset;
        let effective_tick = tick + NOTICE_TICKS;
        let leaf = Leaf {
            new: Some(generation.manifest()),
            effective_tick: Some(effective_tick),
            evidence: Some(&evidence),
            state: kept.then(|| carried.digest(stage)),
            ..Leaf::of(&work.attempt, work.operator, SwapResult::Applied, swap_reason::NONE)
        };
        let written = leaf.write(engine, stamp)?;
        work.attempt.phase = Phase::Committed;
        work.attempt.message = format!("leaf {written} names tick {effective_tick}");
        work.attempt.effective_tick = Some(effective_tick);
        work.attempt.leaf = Some(written);
        self.hub.attempts.update(&work.attempt);
        self.state = State::Committed(work, generation, written);
        Ok(())
    }

    /// Activates a committed generation when its tick has come and its leaf is durable.
    fn activate_due(&mut self, engine: &mut Engine, next_tick: u64, stamp: Stamp) -> Result<(), EngineError> {
        let State::Committed(work, _, leaf) = &self.state else {
            return Ok(());
        };
        let Some(effective_tick) = work.attempt.effective_tick.filter(|t| *t <= next_tick) else {
            return Ok(());
        };
        let durable = engine.writer.durable().borrow().size > *leaf;
        let State::Committed(mut work, generation, _) = std::mem::replace(&mut self.state, State::Idle) else {
            return Ok(());
        };
        if !durable {
            let leaf = Leaf {
                new: Some(generation.manifest()),
                effective_tick: Some(effective_tick),
                ..Leaf::of(
                    &work.attempt,
                    work.operator,
                    SwapResult::Rejected,
                    swap_reason::NOT_DURABLE,
                )
            };
            let written = leaf.write(engine, stamp)?;
            engine
                .core
                .host
                .registry()
                .forget_unused(generation.manifest().generation());
            let why = "its leaf was not durable at its tick; the manifest before stays".to_owned();
            self.finish(work, Phase::Rejected, swap_reason::NOT_DURABLE, why, written);
            return Ok(());
        }
        match engine.put_in_force(*generation, next_tick, (SwapResult::Applied, swap_reason::NONE)) {
            Ok(activation) => {
                work.attempt.state = Some(activation.state);
                let written = work.attempt.leaf.unwrap_or_default();
                let why = format!("runs since tick {next_tick}");
                self.finish(work, Phase::Applied, swap_reason::NONE, why, written);
            }
            Err(error) => {
                // The leaf put the new manifest in force: this one puts the old one back.
                let old = engine.core.host.manifest().clone();
                let leaf = Leaf {
                    new: Some(&old),
                    effective_tick: Some(effective_tick),
                    ..Leaf::of(&work.attempt, ZERO, SwapResult::RolledBack, swap_reason::STATE)
                };
                let written = leaf.write(engine, stamp)?;
                self.finish(work, Phase::RolledBack, swap_reason::STATE, error.to_string(), written);
            }
        }
        Ok(())
    }

    /// Begins a recovery when a stage has failed.
    fn notice_failures(&mut self, engine: &mut Engine, stamp: Stamp) -> Result<(), EngineError> {
        let Some((stage, run)) = self.to_recover(engine) else {
            return Ok(());
        };
        match std::mem::replace(&mut self.state, State::Idle) {
            // The tick of the committed manifest is near, and it may replace the very stage that failed.
            committed @ State::Committed(..) => {
                self.state = committed;
                return Ok(());
            }
            State::Preparing(work) if work.attempt.kind == AttemptKind::Recovery => {
                self.state = State::Preparing(work);
                return Ok(());
            }
            State::Preparing(work) | State::Shadowing(work, ..) | State::Reviewing(work, ..) => {
                let why = format!(
                    "the running stage {} failed meanwhile and is replaced first",
                    stage.name()
                );
                self.reject(engine, work, stamp, swap_reason::SUPERSEDED, &why)?;
            }
            State::Idle => {}
        }
        let manifest = engine.core.host.manifest();
        let name = manifest.plugin(stage).map_or_else(String::new, |row| row.name.clone());
        let asked = format!("{name} ({} {})", run.disposition.name(), run.message);
        tracing::warn!(
            stage = stage.name(),
            plugin = asked,
            "a stage failed; its replacement is prepared"
        );
        let old = engine.in_force.manifest_hash;
        let attempt = self.hub.attempts.begin(false, |id| Attempt {
            phase: Phase::Preparing,
            message: "the last good plugin, or the built-in stage, is prepared".to_owned(),
            reason: reason_of(&run),
            ..Attempt::queued(id, AttemptKind::Recovery, stage, asked.trim_end().to_owned(), old)
        });
        match attempt {
            Some(attempt) => self.recover(engine, (*attempt).clone()),
            None => Ok(()),
        }
    }

    fn recover(&mut self, engine: &Engine, attempt: Attempt) -> Result<(), EngineError> {
        let Some(order) = engine.core.host.recovery_order() else {
            return Ok(());
        };
        let _ = self.jobs.send(Job::Recovery(attempt.id, Box::new(order)));
        self.state = State::Preparing(Work {
            attempt,
            operator: ZERO,
            shadow_cycles: 0,
            review: false,
        });
        Ok(())
    }

    /// Puts a generation in force with the next cycle: for a recovery, or when an operator wants back.
    fn roll_back(
        &mut self,
        engine: &mut Engine,
        mut work: Work,
        generation: Generation,
        evidence: &Evidence,
        tick: u64,
        stamp: Stamp,
    ) -> Result<(), EngineError> {
        work.learn(engine, &generation, evidence);
        let manifest = generation.manifest().clone();
        let stage = work.attempt.stage;
        let carried = engine.core.host.carry(&generation).map(|carried| carried.digest(stage));
        let reason = match work.attempt.kind {
            AttemptKind::Recovery => work.attempt.reason,
            _ => swap_reason::OPERATOR,
        };
        let activation = match engine.put_in_force(generation, tick + 1, (SwapResult::RolledBack, reason)) {
            Ok(activation) => activation,
            Err(error) => return self.reject(engine, work, stamp, swap_reason::STATE, &error.to_string()),
        };
        let kept = activation.state[stage as usize] != StateHandling::Reset;
        let leaf = Leaf {
            new: Some(&manifest),
            effective_tick: Some(tick + 1),
            evidence: Some(evidence),
            state: carried.ok().filter(|_| kept),
            ..Leaf::of(&work.attempt, work.operator, SwapResult::RolledBack, reason)
        };
        let written = leaf.write(engine, stamp)?;
        work.attempt.state = Some(activation.state);
        work.attempt.effective_tick = Some(tick + 1);
        let row = manifest.plugin(stage);
        let what = row.map_or_else(String::new, |r| {
            format!(
                "{} {}{}",
                r.name,
                r.version,
                if r.linked.is_some() { " (built in)" } else { "" }
            )
        });
        tracing::info!(
            stage = stage.name(),
            plugin = what,
            tick = tick + 1,
            "another plugin took over"
        );
        let why = format!("{what} runs since tick {}", tick + 1);
        self.finish(work, Phase::RolledBack, reason, why, written);
        Ok(())
    }

    /// Ends an attempt without effect. The state stays: an order can be refused because of the attempt under way.
    fn reject(&self, engine: &mut Engine, work: Work, stamp: Stamp, reason: u16, why: &str) -> Result<(), EngineError> {
        let leaf = Leaf::of(&work.attempt, work.operator, SwapResult::Rejected, reason);
        let written = leaf.write(engine, stamp)?;
        engine
            .core
            .host
            .registry()
            .forget_unused(engine.core.host.manifest().generation() + 1);
        self.finish(work, Phase::Rejected, reason, why.to_owned(), written);
        Ok(())
    }

    /// Shows how an attempt ended; what is under way besides it is no business of this.
    fn finish(&self, mut work: Work, phase: Phase, reason: u16, why: String, leaf: u64) {
        tracing::info!(
            attempt = work.attempt.id,
            ?phase,
            reason = swap_reason::name(reason),
            why,
            leaf,
            "plugin swap"
        );
        work.attempt.phase = phase;
        work.attempt.reason = reason;
        work.attempt.message = why;
        work.attempt.leaf = Some(leaf);
        self.hub.attempts.update(&work.attempt);
    }
}

impl Work {
    /// Enters what is known of a generation once it is built.
    fn learn(&mut self, engine: &Engine, generation: &Generation, evidence: &Evidence) {
        self.attempt.new_manifest_hash = Some(generation.manifest().hash());
        self.attempt.changes = diff(engine.core.host.manifest(), generation.manifest());
        self.attempt.vectors = [evidence.run, evidence.passed, evidence.failed];
    }
}

/// The reason code of what ended a stage.
const fn reason_of(run: &StageRun) -> u16 {
    match run.disposition {
        Disposition::Panic => swap_reason::PANIC,
        Disposition::Timeout => swap_reason::DEADLINE,
        Disposition::NonFinite => swap_reason::NONFINITE,
        Disposition::FpEnv => swap_reason::FPENV,
        _ => swap_reason::STATE,
    }
}

#[cfg(test)]
mod tests;
