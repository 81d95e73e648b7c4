//! A capture that begins in the middle of what happens.

use tapline_stages::tracker::Tracker;

use super::*;
use crate::world::{EdgeKind, NodeKind};

const ALL: &[PluginModule] = &[linked::cir::<Plain<Steady>>(), linked::tracker::<Tracker>()];

/// What stands in a store's graph at its end.
fn standing(data: &Path) -> (Vec<[String; 3]>, Vec<[String; 3]>) {
    let reader = Reader::open(data).unwrap();
    let nodes = reader.world_nodes(None, "", 1_000).unwrap();
    let edges = reader.world_edges(None, 10_000).unwrap();
    let node = |n: crate::store::reader::NodeRow| match n.kind.as_str() {
        // Where they were when their row was written.
        "PersonTrack" => [n.id, n.kind, String::new()],
        _ => [n.id, n.kind, n.label],
    };
    (
        nodes.into_iter().map(node).collect(),
        edges.into_iter().map(|e| [e.src, e.kind, e.dst]).collect(),
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
