//! Stages that fail in the cycle, and candidates that fail in the shadow run.

use super::*;

#[test]
fn a_stage_that_panics_is_skipped_then_replaced() {
    skipped_then_replaced("panics", Disposition::Panic, swap_reason::PANIC);
}

#[test]
fn a_stage_that_answers_nan_is_skipped_then_replaced() {
    skipped_then_replaced("nan", Disposition::NonFinite, swap_reason::NONFINITE);
}

fn skipped_then_replaced(stage: &str, disposition: Disposition, reason: u16) {
    let mut rig = Rig::with(stage, None);
    let a = rig.engine.in_force.manifest_hash;
    for _ in 0..200 {
        if rig.slot() == disposition {
            break;
        }
    }
    let panicked = rig.tick - 1;
    assert!((40..199).contains(&panicked), "no slot ended so");
    let recovery = rig.until_final(1);
    assert_eq!(
        (recovery.kind, recovery.phase),
        (AttemptKind::Recovery, Phase::RolledBack),
        "{}",
        recovery.message
    );
    assert_eq!(recovery.reason, reason);
    assert_eq!(rig.slot(), Disposition::Ran);
    assert_eq!(rig.hub.manifest().generation, 2);
    assert!(rig.hub.manifest().text.contains("steady"));
    let (swaps, cycles) = rig.end();
    assert_eq!(swaps.len(), 1);
    assert_eq!((swaps[0].result, swaps[0].reason), (SwapResult::RolledBack, reason));
    assert!(swaps[0].effective_tick > panicked);
    check_in_force(&swaps, &cycles, a);
}

/// An order that came in the slot in which a stage failed was refused, and took the recovery under way along: the stage stayed
/// skipped, its attempt open, and nobody could order anything any more.
#[test]
fn an_order_in_the_slot_of_a_failure_leaves_the_recovery_alone() {
    let mut rig = Rig::with("panics", None);
    // Queued in the slot of the failure, taken in front of the next.
    let queue = |rig: &Rig| {
        let attempt = |id| crate::live::attempt::tests::attempt(id, Phase::Queued);
        rig.hub.attempts.begin(true, attempt).expect("no other is under way").id
    };
    let ordered = (0..200).find_map(|_| {
        let id = queue(&rig);
        if rig.slot() == Disposition::Panic {
            return Some(id);
        }
        rig.hub
            .attempts
            .update(&crate::live::attempt::tests::attempt(id, Phase::Rejected));
        None
    });
    let ordered = ordered.expect("no slot panicked");
    let order = SwapOrder {
        attempt: ordered,
        candidate: Candidate {
            stage: StageKind::Cir,
            source: built_in("other"),
            blake3: None,
            table: None,
        },
        shadow_cycles: 0,
        review: false,
        operator: ZERO,
    };
    let stamp = rig.stamp();
    rig.swaps.order(&mut rig.engine, order, stamp).unwrap();
    let refused = rig.hub.attempts.get(ordered).unwrap();
    assert_eq!(
        (refused.phase, refused.reason),
        (Phase::Rejected, swap_reason::SUPERSEDED),
        "{}",
        refused.message
    );
    let recovery = rig.until_final(ordered + 1);
    assert_eq!(
        (recovery.kind, recovery.phase),
        (AttemptKind::Recovery, Phase::RolledBack),
        "{}",
        recovery.message
    );
    assert_eq!(rig.slot(), Disposition::Ran);
    let id = rig.ask(AttemptKind::Swap, built_in("other"), None, 0);
    assert_eq!(rig.until_final(id).phase, Phase::Applied);
}

/// The only stage of its kind has failed itself, so nothing takes over; an operator still can change it.
#[test]
fn a_stage_that_nothing_replaces_waits_for_an_order() {
    const ONLY: &[PluginModule] = &[linked::cir::<Plain<Panics>>()];
    let mut rig = Rig::over(ONLY, "panics", None);
    let a = rig.engine.in_force.manifest_hash;
    let given_up = rig.until_final(1);
    assert_eq!(
        (given_up.kind, given_up.phase),
        (AttemptKind::Recovery, Phase::Rejected),
        "{}",
        given_up.message
    );
    assert_eq!(rig.slot(), Disposition::Skipped);
    let id = rig.ask(AttemptKind::Swap, built_in("panics"), Some("gain = 2.0"), 3);
    let applied = rig.until_final(id);
    assert_eq!(applied.phase, Phase::Applied, "{}", applied.message);
    assert_eq!(rig.slot(), Disposition::Ran);
    let (swaps, cycles) = rig.end();
    let results: Vec<_> = swaps.iter().map(|s| s.result).collect();
    assert_eq!(results, [SwapResult::Rejected, SwapResult::Applied]);
    check_in_force(&swaps, &cycles, a);
}

/// A candidate that misbehaves in the shadow never touches the cycle.
#[test]
fn a_candidate_that_panics_in_the_shadow_is_refused() {
    let mut rig = Rig::with("steady", None);
    let a = rig.engine.in_force.manifest_hash;
    for _ in 0..30 {
        rig.slot();
    }
    let id = rig.ask(AttemptKind::Swap, built_in("panics"), None, 60);
    let refused = rig.until_final(id);
    assert_eq!(
        (refused.phase, refused.reason),
        (Phase::Rejected, swap_reason::PANIC),
        "{}",
        refused.message
    );
    assert_eq!(refused.shadow.done, 41);
    assert_eq!(rig.slot(), Disposition::Ran);
    let (swaps, cycles) = rig.end();
    assert_eq!(swaps.len(), 1);
    check_in_force(&swaps, &cycles, a);
}

/// A candidate that passes its golden vectors and then answers this site's input with an error, or has no time for it, was
/// applied and stayed: a stage that returns an error is not failed. Under review the operator is told.
#[test]
fn a_candidate_that_owes_answers_in_the_shadow_is_refused() {
    const BOTH: &[PluginModule] = &[linked::cir::<Plain<Steady>>(), linked::cir::<Plain<Errs>>()];
    let mut rig = Rig::over(BOTH, "steady", None);
    let a = rig.engine.in_force.manifest_hash;
    for _ in 0..30 {
        rig.slot();
    }
    let id = rig.ask(AttemptKind::Swap, built_in("errs"), None, 60);
    let refused = rig.until_final(id);
    assert_eq!(
        (refused.phase, refused.reason),
        (Phase::Rejected, swap_reason::ERROR),
        "{}",
        refused.message
    );
    assert_eq!((refused.shadow.done, refused.shadow.stages[0].shadow_ran), (60, 40));

    let id = rig.ask_for(AttemptKind::Swap, built_in("errs"), None, 60, true);
    let waits = rig.until(|rig| rig.hub.attempts.get(id).filter(|a| a.phase == Phase::Compared));
    assert!(waits.message.contains("gave no answer (ERROR)"), "{}", waits.message);
    let (tick, stamp) = (rig.tick, rig.stamp());
    rig.swaps
        .decide(&mut rig.engine, (id, false, ZERO), tick, stamp)
        .unwrap();

    rig.swaps.shadow_time = Duration::ZERO;
    let id = rig.ask(AttemptKind::Swap, built_in("errs"), None, 3);
    let late = rig.until_final(id);
    assert_eq!(
        (late.phase, late.reason),
        (Phase::Rejected, swap_reason::DEADLINE),
        "{}",
        late.message
    );
    assert_eq!(rig.slot(), Disposition::Ran);
    let (swaps, cycles) = rig.end();
    assert_eq!(swaps.len(), 3);
    check_in_force(&swaps, &cycles, a);
}
