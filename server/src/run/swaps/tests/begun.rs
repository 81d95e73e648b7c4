//! A capture that begins in the middle of what happens.

use tapline_stages::tracker::Tracker;

use super::*;
use crate::{
    run::{
        order::Order,
        replay::{Learn, LearnFrom},
    },
    world::{EdgeKind, NodeKind},
};

const ALL: &[PluginModule] = &[linked::cir::<Plain<Steady>>(), linked::tracker::<Tracker>()];

/// What stands in a store's graph at its end.
fn standing(data: &Path) -> (Vec<[String; 3]>, Vec<[String; 3]>) {
    let world = Reader::open(data).unwrap().world(None).unwrap();
    let node = |n: crate::store::reader::NodeRow| match n.kind.as_str() {
        // Where they were when their row was written.
        "PersonTrack" => [n.id, n.kind, String::new()],
        _ => [n.id, n.kind, n.label],
    };
    (
        world.nodes.into_iter().map(node).collect(),
        world.edges.into_iter().map(|e| [e.src, e.kind, e.dst]).collect(),
    )
}

/// Its state numbers cycles by the leaves of the live log, and the replay's log is another.
#[test]
fn a_capture_begun_while_somebody_walks_has_the_graph_of_the_live_run() {
    let mut rig = Rig::in_scene("one-walker", ALL, "steady", None);
    let stamp = rig.stamp();
    rig.engine
        .start_calibration(stamp, stamp.mono_ns + 80 * SLOT_NS)
        .unwrap();
    let moves = |rig: &Rig| {
        let mut edges = rig.engine.core.world.edges();
        edges.any(|e| e.from.kind() == NodeKind::RfLink && e.kind == EdgeKind::Supports)
    };
    let mut slots = 0;
    while !moves(&rig) {
        rig.slot();
        slots += 1;
        assert!(slots < 1_200, "nobody moves");
    }
    let file = rig.dir.path().join("run.tlc");
    let begin = rig.engine.begin().unwrap();
    rig.engine.take_notes();
    rig.capture = Some(Capture::start(&file, &rig.hub.facts, begin).unwrap());
    for _ in 0..60 {
        rig.slot();
    }
    rig.capture.take().unwrap().finish();
    let data = rig.dir.path().join("data");
    let again = rig.dir.path().join("again");
    drop(rig.swaps);
    rig.engine.writer.close().unwrap();

    replay_in("one-walker", ALL, &file, &again).unwrap();
    let (live, replayed) = (standing(&data), standing(&again));
    assert!(live.0.iter().any(|[id, ..]| id.starts_with("room:")));
    assert_eq!(live, replayed);
    let (live, replayed) = (witnessed_cycles(&data), witnessed_cycles(&again));
    assert_eq!(replayed.len(), 60);
    assert!(
        replayed
            .iter()
            .all(|(tick, (_, is))| live[tick].1.outcome == is.outcome)
    );
    assert!(fsck(&again, None).unwrap().is_clean());
}

/// Runs a capture of the empty room with what is configured, as `replay --as-configured` and `calibrate` do.
fn as_configured(capture: &Path, data: &Path, edit: &dyn Fn(&mut ReplayOptions<'_>)) -> (Summary, Vec<f64>) {
    let simulator = Simulator::new(Scene::builtin("empty-room").unwrap(), 1).unwrap();
    let fleet = fleet(&simulator);
    let site = Arc::new(fleet.select(None, "").unwrap());
    let mut spec = host_spec(&site, PathBuf::new()).unwrap();
    spec.linked = LINKED;
    let manifest = PluginHost::linked_manifest(&spec, ["steady", "", ""], program::host_stages()).unwrap();
    let host = PluginHost::new(spec, manifest).unwrap();
    let mut done_s = Vec::new();
    let mut options = ReplayOptions {
        recording: capture.to_owned(),
        data_dir: data.to_owned(),
        real_time: false,
        calibration: None,
        learn: None,
        passes: 1,
        soak: None,
        recorded: None,
        out: None,
        trace: None,
        progress: &mut |seconds| done_s.push(seconds),
    };
    edit(&mut options);
    let summary = replay(Prepared::over(fleet, site, host).unwrap(), options).unwrap();
    (summary, done_s)
}

/// A recording begun in the middle of a run counts from its own first slot: the empty room was learned from another part of
/// it than was asked for, recorded time slept through the run before it, and a GAP leaf named slots nobody had missed.
#[test]
fn a_capture_begun_in_the_middle_counts_from_its_first_slot() {
    const BEFORE: u64 = 600;
    const SLOTS: u64 = 130;
    const LEARNED: Duration = Duration::from_secs(4);
    let mut rig = Rig::in_scene("empty-room", LINKED, "steady", None);
    for _ in 0..BEFORE {
        rig.slot();
    }
    let file = rig.dir.path().join("run.tlc");
    let begin = rig.engine.begin().unwrap();
    rig.engine.take_notes();
    rig.capture = Some(Capture::start(&file, &rig.hub.facts, begin).unwrap());
    let first_mono_ns = rig.stamp().mono_ns;
    for _ in 0..SLOTS {
        rig.slot();
    }
    rig.capture.take().unwrap().finish();
    let kept = tempfile::tempdir().unwrap();
    let (copy, data) = (kept.path().join("run.tlc"), |name: &str| kept.path().join(name));
    std::fs::copy(&file, &copy).unwrap();
    rig.end();
    let leaves = |name: &str| -> Vec<leaf::Leaf> {
        let leaves = Reader::open(&data(name)).unwrap().leaves(0, 10_000).unwrap();
        leaves.iter().map(|bytes| leaf::decode(bytes).unwrap()).collect()
    };
    let ticks = |leaves: &[leaf::Leaf]| -> Vec<u64> {
        let cycles = leaves.iter().filter(|l| matches!(l.body, Body::Cycle(_)));
        cycles.map(|l| l.header.tick).collect()
    };

    // As often as one likes, without a hole.
    let (summary, done_s) = as_configured(&copy, &data("twice"), &|options| options.passes = 2);
    assert_eq!(summary.cycles, 2 * SLOTS, "{:?}", summary.not_used);
    assert_eq!(done_s, [0.0, 10.0]);
    let found = leaves("twice");
    assert!(!found.iter().any(|l| matches!(l.body, Body::Gap(_))));
    assert_eq!(ticks(&found), (BEFORE..BEFORE + 2 * SLOTS).collect::<Vec<_>>());
    assert!(fsck(&data("twice"), None).unwrap().is_clean());

    // `calibrate --last`: from the end, not from the beginning.
    let (summary, _) = as_configured(&copy, &data("last"), &|options| {
        options.learn = Some(Learn {
            from: LearnFrom::End,
            length: LEARNED,
            then_stop: true,
        });
    });
    assert!(summary.calibration_file.is_some(), "{}", summary.calibration);
    let ordered = leaves("last").into_iter().find_map(|l| match l.body {
        Body::Audit(audit) => match Order::from_action(audit.action.as_str()) {
            Some(Order::StartCalibration { end_ns }) => Some(end_ns),
            _ => None,
        },
        _ => None,
    });
    let slots = (ordered.unwrap() - LEARNED.as_nanos() as u64 - first_mono_ns) / SLOT_NS;
    assert!((SLOTS - 82..=SLOTS - 80).contains(&slots), "begun after {slots} slots");

    // Recorded time: six and a half seconds, not those of the run before.
    let begun = Instant::now();
    as_configured(&copy, &data("real-time"), &|options| options.real_time = true);
    assert!(begun.elapsed() < Duration::from_nanos(BEFORE * SLOT_NS));
}
