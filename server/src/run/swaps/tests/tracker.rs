//! The stage behind which nothing waits: a tracker that is late, and nobody to take over.

use tapline_plugin_api::{
    geometry::Grid,
    guard::TrackerMethod,
    tracker::{TrackerInput, TrackerOutput, TrackerSummary},
};
use tapline_stages::tracker::Tracker;

use super::*;

/// While this is set, [`Stuck`] never returns from a call.
static STUCK_NOW: AtomicBool = AtomicBool::new(false);

/// While this is set, [`Falls`] panics.
static FALL_NOW: AtomicBool = AtomicBool::new(false);

/// The shipped tracker, but for that.
struct Stuck(Tracker);

/// The shipped tracker, but for that.
struct Falls(Tracker);

impl Method for Falls {
    const DESCRIPTION: Description = Description {
        name: RStr::from_str("falls"),
        ..Tracker::DESCRIPTION
    };
    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
        self.0.export_state(into)
    }
    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        self.0.import_state(state)
    }
}

impl TrackerMethod for Falls {
    fn new(setup: &Setup, grid: &Grid, max_links: u32) -> Result<Self, StageError> {
        Tracker::new(setup, grid, max_links).map(Self)
    }
    fn run(&mut self, input: &TrackerInput<'_>, output: &mut TrackerOutput<'_>) -> Result<TrackerSummary, StageError> {
        assert!(!FALL_NOW.load(Ordering::Acquire), "as written");
        self.0.run(input, output)
    }
}

impl Method for Stuck {
    const DESCRIPTION: Description = Description {
        name: RStr::from_str("stuck"),
        ..Tracker::DESCRIPTION
    };
    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
        self.0.export_state(into)
    }
    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        self.0.import_state(state)
    }
}

impl TrackerMethod for Stuck {
    fn new(setup: &Setup, grid: &Grid, max_links: u32) -> Result<Self, StageError> {
        Tracker::new(setup, grid, max_links).map(Self)
    }
    fn run(&mut self, input: &TrackerInput<'_>, output: &mut TrackerOutput<'_>) -> Result<TrackerSummary, StageError> {
        if STUCK_NOW.load(Ordering::Acquire) {
            std::thread::sleep(Duration::MAX);
        }
        self.0.run(input, output)
    }
}

/// The only tracker there is was late, and has failed by that: no earlier plugin and no built-in stage is left that could
/// take over. It stays skipped, the stages before it run on, nobody tries again and again, and an operator's swap brings it
/// back.
#[test]
fn a_late_tracker_that_nothing_replaces_stays_skipped_until_a_swap() {
    const ALL: &[PluginModule] = &[
        linked::cir::<Plain<Steady>>(),
        linked::tomography::<tapline_stages::tomography::Tomography>(),
        linked::tracker::<Stuck>(),
    ];
    let mut rig = Rig::in_scene("empty-room", ALL, "steady", None);
    let a = rig.engine.in_force.manifest_hash;
    let all_run = (0..200).any(|_| rig.slot_of_all() == [Disposition::Ran; 3]);
    assert!(all_run, "no slot in which all three stages ran");

    rig.deadline = Some(Duration::from_millis(400));
    STUCK_NOW.store(true, Ordering::Release);
    let late = rig.tick;
    assert_eq!(
        rig.slot_of_all(),
        [Disposition::Ran, Disposition::Ran, Disposition::Timeout]
    );
    STUCK_NOW.store(false, Ordering::Release);
    rig.deadline = None;
    let given_up = rig.until_final(1);
    assert_eq!(
        (given_up.kind, given_up.phase),
        (AttemptKind::Recovery, Phase::Rejected),
        "{}",
        given_up.message
    );
    assert!(
        given_up.message.contains("could take over has failed itself"),
        "{}",
        given_up.message
    );
    for _ in 0..60 {
        let [before @ .., tracker] = rig.slot_of_all();
        assert_eq!((before, tracker), ([Disposition::Ran; 2], Disposition::Skipped));
    }
    assert_eq!(rig.hub.attempts.list().len(), 1, "nobody tries again");

    // The same code under another configuration: what failed was the instance.
    let candidate = Candidate {
        stage: StageKind::Tracker,
        source: built_in("stuck"),
        blake3: None,
        table: Some("life-s = 50.0".to_owned()),
    };
    let id = rig.ask_with(AttemptKind::Swap, candidate, 3, false);
    let applied = rig.until_final(id);
    assert_eq!(applied.phase, Phase::Applied, "{}", applied.message);
    assert_eq!(rig.slot_of_all(), [Disposition::Ran; 3]);
    let (swaps, cycles) = rig.end();
    let results: Vec<_> = swaps.iter().map(|s| s.result).collect();
    assert_eq!(results, [SwapResult::Rejected, SwapResult::Applied]);
    assert!(swaps[1].effective_tick > late);
    check_in_force(&swaps, &cycles, a);
}

/// Nothing can take over from cir, so it stays skipped; when the tracker fails later it is replaced. One stage without a
/// stand-in had switched recovery off for all of them.
#[test]
fn a_stage_that_nothing_replaces_leaves_the_others_their_recovery() {
    const ALL: &[PluginModule] = &[
        linked::cir::<Plain<Panics>>(),
        linked::tomography::<tapline_stages::tomography::Tomography>(),
        linked::tracker::<Falls>(),
        linked::tracker::<Tracker>(),
    ];
    let mut rig = Rig::in_scene("empty-room", ALL, "panics", None);
    let a = rig.engine.in_force.manifest_hash;
    assert_eq!(rig.until_final(1).phase, Phase::Rejected);
    FALL_NOW.store(true, Ordering::Release);
    assert_eq!(rig.slot_of_all()[2], Disposition::Panic);
    FALL_NOW.store(false, Ordering::Release);
    let recovery = rig.until_final(2);
    assert_eq!(
        (recovery.kind, recovery.phase, recovery.stage, recovery.reason),
        (
            AttemptKind::Recovery,
            Phase::RolledBack,
            StageKind::Tracker,
            swap_reason::PANIC
        ),
        "{}",
        recovery.message
    );
    assert!(recovery.message.contains("tracker"), "{}", recovery.message);
    // Of cir it is said once more, under the new manifest, and then no more.
    let again = rig.until_final(3);
    assert_eq!((again.phase, again.stage), (Phase::Rejected, StageKind::Cir));
    for _ in 0..60 {
        let [cir, _, tracker] = rig.slot_of_all();
        assert_eq!((cir, tracker), (Disposition::Skipped, Disposition::Ran));
    }
    assert_eq!(rig.hub.attempts.list().len(), 3);
    let (swaps, cycles) = rig.end();
    let results: Vec<_> = swaps.iter().map(|s| s.result).collect();
    assert_eq!(
        results,
        [SwapResult::Rejected, SwapResult::RolledBack, SwapResult::Rejected]
    );
    check_in_force(&swaps, &cycles, a);
}
