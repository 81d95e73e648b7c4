//! The exchange of plugins in a whole engine, on simulated frames, slot by slot without a clock.

mod begun;
mod captured;
mod failing;
mod late;
mod plain;
mod recorded;
mod rig;
mod tracker;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    time::{Duration, Instant},
};

use tapline_plugin_api::{
    CirMethod, Description, Method, NUMERIC_PROFILE, StageError, StageKind,
    abi::PluginModule,
    abi_stable::std_types::{RStr, RVec},
    cir::{C32, CirInput, CirLinkSpec, CirOutput, CirSummary},
    describe::Setup,
    guard::code,
    linked,
};
use tapline_sim::{Scene, Simulator};
use tapline_witness::{
    body::{Body, Gap, GapReason, Host, Swap, SwapResult, swap_reason},
    hash::Domain,
    leaf::{self, flags},
};

use self::{captured::*, plain::*, rig::*};
use super::*;
use crate::{
    config::Fleet,
    cycle::{clock::SLOT_NS, host_spec},
    host::{PluginHost, program},
    ingest::frames::Frames,
    live::Command,
    log::{Faults, LogOptions, Step, fsck},
    run::{
        SlotInput,
        capture::Capture,
        notes::Begin,
        recordings::Recorder,
        replay::{ReplayError, ReplayOptions, Summary, replay},
        start::{Prepared, Started},
    },
    store::reader::{CycleData, Reader},
};

#[test]
fn a_to_b_to_a_leaves_three_hashes_and_misses_no_cycle() {
    let mut rig = Rig::new();
    let a = rig.engine.in_force.manifest_hash;
    for _ in 0..30 {
        rig.slot();
    }
    let id = rig.ask(AttemptKind::Swap, built_in("other"), None, 6);
    let applied = rig.until_final(id);
    assert_eq!(applied.phase, Phase::Applied, "{}", applied.message);
    let b = rig.engine.in_force.manifest_hash;
    assert_eq!((applied.new_manifest_hash, rig.hub.manifest().hash), (Some(b), b));
    assert_eq!(rig.hub.manifest().generation, 2);
    let (shadow, cir) = (&applied.shadow, applied.shadow.stages[0]);
    assert_eq!((shadow.done, shadow.cycles.len()), (6, 6));
    // Other code: it ran on every cycle, and its numbers are near, not equal.
    assert_eq!((cir.cycles, cir.shadow_ran), (6, 6), "{cir:?}");
    assert!(
        cir.equal < cir.values && cir.max_difference > 0.0 && cir.shadow_mean_us > 0.0,
        "{cir:?}"
    );
    assert!(applied.vectors[0] > 0 && applied.vectors[1] == applied.vectors[0]);
    assert!(applied.changes.iter().any(|c| c == "cir.name: steady -> other"));
    assert_eq!(rig.slot(), Disposition::Ran);

    let id = rig.ask(AttemptKind::Swap, built_in("steady"), None, 0);
    let again = rig.until_final(id);
    assert_eq!(again.phase, Phase::Applied, "{}", again.message);
    let c = rig.engine.in_force.manifest_hash;
    assert!(a != b && b != c && a != c);
    rig.slot();
    let (swaps, cycles) = rig.end();
    assert_eq!(swaps.len(), 2);
    assert!(
        swaps
            .iter()
            .all(|s| s.result == SwapResult::Applied && s.vectors_run > 0 && s.golden_set != ZERO)
    );
    assert_eq!(swaps[0].effective_tick, applied.effective_tick.unwrap());
    assert_eq!(swaps[0].operator, Domain::Operator.hash(b"a test"));
    check_in_force(&swaps, &cycles, a);
}

/// An operator who wants to look first is asked after the comparison, and nothing is in the log before the answer.
#[test]
fn a_swap_under_review_waits_for_its_decision() {
    let mut rig = Rig::new();
    let a = rig.engine.in_force.manifest_hash;
    let operator = Domain::Operator.hash(b"another");
    let mut ended = Vec::new();
    for (go, phase, shadow_cycles) in [
        (false, Phase::Rejected, 3),
        (true, Phase::Applied, 3),
        (false, Phase::Rejected, 0),
    ] {
        let wanted = if ended.len() < 2 { "other" } else { "steady" };
        let id = rig.ask_for(AttemptKind::Swap, built_in(wanted), None, shadow_cycles, true);
        let waits = rig.until(|rig| rig.hub.attempts.get(id).filter(|a| a.phase == Phase::Compared));
        assert_eq!((waits.shadow.done, waits.leaf), (shadow_cycles, None));
        for _ in 0..60 {
            rig.slot();
        }
        assert_eq!(rig.hub.attempts.get(id).unwrap().phase, Phase::Compared, "it waits");
        let (tick, stamp) = (rig.tick, rig.stamp());
        // Another attempt's number decides nothing.
        rig.swaps
            .decide(&mut rig.engine, (id + 1, go, operator), tick, stamp)
            .unwrap();
        assert_eq!(rig.hub.attempts.get(id).unwrap().phase, Phase::Compared);
        rig.swaps
            .decide(&mut rig.engine, (id, go, operator), tick, stamp)
            .unwrap();
        let end = rig.until_final(id);
        assert_eq!(end.phase, phase, "{}", end.message);
        ended.push(end);
    }
    let (swaps, cycles) = rig.end();
    let said: Vec<_> = swaps.iter().map(|s| (s.result, s.reason)).collect();
    let no = (SwapResult::Rejected, swap_reason::OPERATOR);
    assert_eq!(said, [no, (SwapResult::Applied, swap_reason::NONE), no]);
    assert!(
        swaps.iter().all(|s| s.operator == operator),
        "who decided stands in the leaf"
    );
    check_in_force(&swaps, &cycles, a);
}

/// A candidate that nobody decides about does not hold up the next attempt for ever.
#[test]
fn a_review_that_nobody_answers_ends() {
    let mut rig = Rig::new();
    rig.slot();
    let id = rig.ask_for(AttemptKind::Swap, built_in("other"), None, 0, true);
    rig.until(|rig| rig.hub.attempts.get(id).filter(|a| a.phase == Phase::Compared));
    let gap = Body::Gap(Gap {
        first_tick: rig.tick,
        last_tick: rig.tick + REVIEW_TICKS - 1,
        frames_lost: 0,
        reason: GapReason::Overrun,
    });
    let stamp = rig.stamp();
    rig.engine.append(stamp, &gap, Vec::new()).unwrap();
    rig.tick += REVIEW_TICKS;
    let forgotten = rig.until_final(id);
    assert_eq!(
        (forgotten.phase, forgotten.reason),
        (Phase::Rejected, swap_reason::OPERATOR)
    );
    assert!(forgotten.message.contains("nobody confirmed"), "{}", forgotten.message);
}

/// The same code with another table: its state goes over, and an operator may go back.
#[test]
fn state_goes_over_and_a_rollback_comes_at_once() {
    let mut rig = Rig::new();
    let a = rig.engine.in_force.manifest_hash;
    for _ in 0..30 {
        rig.slot();
    }
    let table = "gain = 2.0";
    let id = rig.ask(AttemptKind::Swap, built_in("steady"), Some(table), 4);
    let applied = rig.until_final(id);
    assert_eq!(applied.phase, Phase::Applied, "{}", applied.message);
    assert_eq!(
        applied.state.unwrap(),
        [StateHandling::Imported, StateHandling::None, StateHandling::None]
    );
    assert!(
        rig.hub.manifest().text.contains(table),
        "the manifest carries the table that no file holds"
    );
    rig.slot();
    let id = rig.ask(AttemptKind::Rollback, Source::Before, None, 0);
    let back = rig.until_final(id);
    assert_eq!(
        (back.phase, back.reason),
        (Phase::RolledBack, swap_reason::OPERATOR),
        "{}",
        back.message
    );
    rig.slot();
    let (swaps, cycles) = rig.end();
    assert_eq!(
        (swaps[0].state != ZERO, swaps[1].result),
        (true, SwapResult::RolledBack)
    );
    check_in_force(&swaps, &cycles, a);
}

/// Whatever an operator took out by a rollback came back by itself when the plugin before failed.
#[test]
fn what_was_rolled_back_does_not_come_back() {
    // Of the built-in stages the first that is left would take over.
    const THREE: &[PluginModule] = &[
        linked::cir::<Plain<Steady>>(),
        linked::cir::<Plain<Nan>>(),
        linked::cir::<Plain<Other>>(),
    ];
    let mut rig = Rig::over(THREE, "steady", None);
    rig.slot();
    let id = rig.ask(AttemptKind::Swap, built_in("other"), None, 0);
    assert_eq!(rig.until_final(id).phase, Phase::Applied);
    let id = rig.ask(AttemptKind::Rollback, Source::Before, None, 0);
    assert_eq!(rig.until_final(id).phase, Phase::RolledBack);
    assert!(rig.hub.manifest().text.contains("\"steady\""));
    let before = rig.engine.core.host.before(StageKind::Cir);
    assert_eq!(before, None, "there was none before it");
    rig.engine.core.host.fail(StageKind::Cir);
    let recovery = rig.until_final(id + 1);
    assert_eq!(
        (recovery.kind, recovery.phase),
        (AttemptKind::Recovery, Phase::RolledBack),
        "{}",
        recovery.message
    );
    let text = &rig.hub.manifest().text;
    assert!(text.contains("\"nan\"") && !text.contains("\"other\""), "{text}");
}

#[test]
fn what_is_refused_leaves_a_leaf() {
    let mut rig = Rig::new();
    let a = rig.engine.in_force.manifest_hash;
    rig.slot();
    for (kind, source, table, reason) in [
        (AttemptKind::Swap, built_in("no-such-stage"), None, swap_reason::LOAD),
        (
            AttemptKind::Swap,
            built_in("other"),
            Some("lambda = \"often\""),
            swap_reason::LOAD,
        ),
        (
            AttemptKind::Swap,
            Source::Directory("other".to_owned()),
            None,
            swap_reason::LOAD,
        ),
        (AttemptKind::Swap, built_in("steady"), None, swap_reason::LOAD),
        (AttemptKind::Rollback, Source::Before, None, swap_reason::LOAD),
    ] {
        let id = rig.ask(kind, source, table, 0);
        let refused = rig.until_final(id);
        assert_eq!(
            (refused.phase, refused.reason),
            (Phase::Rejected, reason),
            "{}",
            refused.message
        );
        assert!(!refused.message.is_empty());
    }
    assert_eq!(rig.hub.manifest().hash, a);
    let (swaps, cycles) = rig.end();
    assert_eq!(swaps.len(), 5);
    assert!(swaps.iter().all(|s| s.result == SwapResult::Rejected));
    check_in_force(&swaps, &cycles, a);
}

/// Keeps the disk from answering while it is held.
struct Held(Arc<AtomicBool>);

impl Faults for Held {
    fn before(&mut self, _: Step) -> io::Result<()> {
        while self.0.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
    fn after(&mut self, _: Step) -> io::Result<()> {
        Ok(())
    }
}

/// A leaf that is not durable at its tick is withdrawn by a second one, and every verifier knows.
#[test]
fn a_swap_whose_leaf_is_not_durable_does_not_happen() {
    let held = Arc::new(AtomicBool::new(false));
    let mut rig = Rig::with("steady", Some(Box::new(Held(Arc::clone(&held)))));
    let a = rig.engine.in_force.manifest_hash;
    rig.slot();
    held.store(true, Ordering::Release);
    let id = rig.ask(AttemptKind::Swap, built_in("other"), None, 0);
    let begun = Instant::now();
    while !rig.hub.attempts.get(id).unwrap().phase.is_final() {
        // Few slots while it is prepared: the log holds only so many records while the disk does not answer.
        if rig.hub.attempts.get(id).unwrap().phase != Phase::Committed {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(begun.elapsed() < STUCK);
        rig.slot();
    }
    let refused = rig.hub.attempts.get(id).unwrap();
    assert_eq!(
        (refused.phase, refused.reason),
        (Phase::Rejected, swap_reason::NOT_DURABLE)
    );
    for _ in 0..3 {
        rig.slot();
    }
    held.store(false, Ordering::Release);
    let (swaps, cycles) = rig.end();
    let results: Vec<_> = swaps.iter().map(|s| s.result).collect();
    assert_eq!(results, [SwapResult::Applied, SwapResult::Rejected]);
    assert!(cycles.iter().all(|(_, manifest, _)| *manifest == a));
}
