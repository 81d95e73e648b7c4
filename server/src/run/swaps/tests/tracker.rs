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

/// The shipped tracker, but for that.
struct Stuck(Tracker);

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
