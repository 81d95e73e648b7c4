//! The replay of a capture obeys what was ordered and what went wrong.

use super::*;

/// Of every cycle of a store: its leaf's manifest, configuration and calibration, and what it commits to.
pub(super) fn witnessed_cycles(data: &Path) -> BTreeMap<u64, ([Hash; 3], CycleData)> {
    let reader = Reader::open(data).unwrap();
    let mut all = BTreeMap::new();
    // A page at a time.
    let mut leaves: Vec<Vec<u8>> = Vec::new();
    while let page = reader.leaves(leaves.len() as u64, 100_000).unwrap()
        && !page.is_empty()
    {
        leaves.extend(page);
    }
    for bytes in leaves {
        let decoded = leaf::decode(&bytes).unwrap();
        if let Body::Cycle(c) = decoded.body {
            let data = reader.cycle_data(decoded.header.seq).unwrap().unwrap();
            all.insert(
                decoded.header.tick,
                ([c.manifest_hash, c.config_hash, c.calibration_id], data),
            );
        }
    }
    all
}

/// Replays a capture of a rig's room over its linked stages.
pub(super) fn replay_over(
    linked: &'static [PluginModule],
    capture: &Path,
    data: &Path,
) -> Result<Summary, ReplayError> {
    replay_in("empty-room", linked, capture, data)
}

pub(super) fn replay_in(
    scene: &str,
    linked: &'static [PluginModule],
    capture: &Path,
    data: &Path,
) -> Result<Summary, ReplayError> {
    let begin = Begin::of(capture)?.expect("a capture");
    let simulator = Simulator::new(Scene::builtin(scene).unwrap(), 1).unwrap();
    let fleet = fleet(&simulator);
    let mut site = fleet.select(None, "").unwrap();
    begin.apply(&mut site)?;
    let site = Arc::new(site);
    let mut spec = host_spec(&site, PathBuf::new()).unwrap();
    spec.linked = linked;
    let host = PluginHost::new(spec, crate::host::Manifest::parse(begin.manifest.clone()).unwrap()).unwrap();
    let options = ReplayOptions {
        recording: capture.to_owned(),
        data_dir: data.to_owned(),
        real_time: false,
        calibration: None,
        learn: None,
        passes: 1,
        soak: None,
        recorded: Some(begin),
        out: None,
        trace: None,
        progress: &mut |_| {},
    };
    replay(Prepared::over(fleet, site, host).unwrap(), options)
}

/// Begun in the middle of a run, with a calibration in force; then another configuration, a swap with a table, a
/// calibration that is given up and one that is learned, a plugin that panics and the recovery: the replay of the capture
/// comes to the very cycles of the live run. Where a plugin is not there any more it says so.
#[test]
fn a_capture_obeys_swaps_recoveries_and_orders() {
    const LESS: &[PluginModule] = &[linked::cir::<Plain<Steady>>(), linked::cir::<Plain<Panics>>()];
    let mut rig = Rig::in_scene("empty-room", LINKED, "steady", None);
    let learn = |rig: &mut Rig, slots: u64| {
        let (stamp, end_ns) = (rig.stamp(), rig.stamp().mono_ns + slots * SLOT_NS);
        rig.engine.start_calibration(stamp, end_ns).unwrap();
        for _ in 0..slots + 2 {
            rig.slot();
        }
    };
    learn(&mut rig, 80);
    assert_ne!(
        rig.engine.in_force.calibration_id,
        ZERO,
        "{}",
        rig.engine.calibration_line()
    );
    let file = rig.dir.path().join("run.tlc");
    // What was ordered before the first slot is in what the capture begins with.
    let mode = |rig: &mut Rig, mode| {
        let site = crate::config::Site {
            privacy: crate::config::Privacy { mode },
            ..(**rig.engine.core.site()).clone()
        };
        let (stamp, tick) = (rig.stamp(), rig.tick);
        rig.engine.configure(stamp, tick, Arc::new(site), ZERO).unwrap();
    };
    mode(&mut rig, crate::config::PrivacyMode::RawResearch);
    let begin = rig.engine.begin().unwrap();
    rig.engine.take_notes();
    let first = rig.tick;
    rig.capture = Some(Capture::start(&file, &rig.hub.facts, begin).unwrap());
    for _ in 0..5 {
        rig.slot();
    }
    mode(&mut rig, crate::config::PrivacyMode::StrictNoIdentity);
    let id = rig.ask(AttemptKind::Swap, built_in("other"), Some("gain = 2.0"), 3);
    assert_eq!(rig.until_final(id).phase, Phase::Applied);
    let (stamp, end_ns) = (rig.stamp(), rig.stamp().mono_ns + 80 * SLOT_NS);
    rig.engine.start_calibration(stamp, end_ns).unwrap();
    rig.slot();
    let stamp = rig.stamp();
    rig.engine.stop_calibration(stamp).unwrap();
    mode(&mut rig, crate::config::PrivacyMode::CareWithConsent);
    let before = rig.engine.in_force.calibration_id;
    learn(&mut rig, 80);
    assert_ne!(rig.engine.in_force.calibration_id, before);
    let id = rig.ask(AttemptKind::Swap, built_in("panics"), None, 0);
    assert_eq!(rig.until_final(id).phase, Phase::Applied);
    let recovered = rig.until_final(id + 1);
    assert_eq!(recovered.phase, Phase::RolledBack, "{}", recovered.message);
    for _ in 0..10 {
        assert_eq!(rig.slot(), Disposition::Ran);
    }
    rig.capture.take().unwrap().finish();
    let dir = rig.dir.path().to_owned();
    let kept = tempfile::tempdir().unwrap();
    let (copy, again) = (kept.path().join("run.tlc"), kept.path().join("again"));
    std::fs::copy(&file, &copy).unwrap();
    drop(rig.swaps);
    rig.engine.writer.close().unwrap();
    let live = witnessed_cycles(&dir.join("data"));

    let summary = replay_over(LINKED, &copy, &again).unwrap();
    assert!(summary.not_used.is_empty(), "{:?}", summary.not_used);
    let replayed = witnessed_cycles(&again);
    let live: BTreeMap<_, _> = live.into_iter().filter(|(tick, _)| *tick >= first).collect();
    assert_eq!(live.keys().collect::<Vec<_>>(), replayed.keys().collect::<Vec<_>>());
    let mut seen = [const { BTreeSet::new() }; 3];
    for (tick, (names, was)) in &live {
        let (found, is) = &replayed[tick];
        assert_eq!(names, found, "manifest, configuration, calibration of tick {tick}");
        for (seen, name) in seen.iter_mut().zip(names) {
            seen.insert(*name);
        }
        assert!(was.inputs == is.inputs, "inputs of tick {tick}");
        assert!(was.stages == is.stages, "stages of tick {tick}");
        assert!(was.outcome == is.outcome, "outcome of tick {tick}");
    }
    assert_eq!(seen.map(|s| s.len()), [4, 3, 2]);
    assert!(fsck(&again, None).unwrap().is_clean());
    // Each change of the mode is a leaf of its own, with the mode before.
    let report = fsck(&dir.join("data"), None).unwrap();
    assert!(report.is_clean(), "{report}");
    let mut modes = Vec::new();
    for bytes in Reader::open(&dir.join("data")).unwrap().leaves(0, 100_000).unwrap() {
        if let Body::PrivacyMode(mode) = leaf::decode(&bytes).unwrap().body {
            modes.push((mode.old_mode, mode.new_mode));
        }
    }
    use tapline_witness::body::PrivacyModeCode::{CareWithConsent, RawResearch, StrictNoIdentity};
    assert_eq!(
        modes[modes.len() - 2..],
        [(RawResearch, StrictNoIdentity), (StrictNoIdentity, CareWithConsent)]
    );

    let error = replay_over(LESS, &copy, &kept.path().join("less")).unwrap_err();
    let is =
        matches!(&error, ReplayError::NotAsRecorded { what } if what.contains("`other`") && what.contains("from slot"));
    assert!(is, "{error}");
}

/// Slots that the disk did not take are missed, never passed over in silence.
#[test]
fn a_capture_with_a_hole_is_not_replayed_as_recorded() {
    let mut rig = Rig::in_scene("empty-room", LINKED, "steady", None);
    let file = rig.dir.path().join("run.tlc");
    let begin = rig.engine.begin().unwrap();
    rig.capture = Some(Capture::start(&file, &rig.hub.facts, begin).unwrap());
    rig.slot();
    rig.slot();
    rig.disk_full = true;
    rig.slot();
    rig.capture.as_mut().unwrap().lose();
    rig.disk_full = false;
    rig.slot();
    rig.capture.take().unwrap().finish();
    let error = replay_over(LINKED, &file, &rig.dir.path().join("again")).unwrap_err();
    let is = matches!(&error, ReplayError::NotAsRecorded { what } if what.starts_with("1 slots before slot 3"));
    assert!(is, "{error}");
    rig.end();
}

/// A stage that hangs takes the whole time of its cycle, so the two after it have none: they are skipped, not blamed, and
/// only the one that hung is replaced. The replay of the capture obeys all of it.
#[test]
fn only_the_stage_that_hangs_is_replaced() {
    const ALL: &[PluginModule] = &[
        linked::cir::<Plain<Steady>>(),
        linked::cir::<Plain<Hangs>>(),
        linked::tomography::<tapline_stages::tomography::Tomography>(),
        linked::tracker::<tapline_stages::tracker::Tracker>(),
    ];
    let mut rig = Rig::in_scene("empty-room", ALL, "hangs", None);
    rig.deadline = Some(Duration::from_millis(400));
    let first = rig.engine.core.host.manifest().clone();
    let file = rig.dir.path().join("run.tlc");
    let begin = rig.engine.begin().unwrap();
    rig.capture = Some(Capture::start(&file, &rig.hub.facts, begin).unwrap());
    let [cir, later @ ..] = std::iter::repeat_with(|| rig.slot_of_all())
        .take(200)
        .find(|all| !matches!(all[0], Disposition::Ran | Disposition::Skipped))
        .expect("a slot in which it hangs");
    assert_eq!((cir, later), (Disposition::Timeout, [Disposition::Skipped; 2]));
    let hung = rig.tick - 1;
    let recovery = rig.until_final(1);
    assert_eq!(
        (recovery.kind, recovery.phase, recovery.reason),
        (AttemptKind::Recovery, Phase::RolledBack, swap_reason::DEADLINE),
        "{}",
        recovery.message
    );
    assert_eq!(rig.slot_of_all(), [Disposition::Ran; 3]);
    let second = rig.engine.core.host.manifest().clone();
    assert_ne!(second.plugin(StageKind::Cir), first.plugin(StageKind::Cir));
    for stage in [StageKind::Tomography, StageKind::Tracker] {
        assert_eq!(second.plugin(stage), first.plugin(stage));
        assert_eq!(recovery.state.unwrap()[stage as usize], StateHandling::Kept);
    }
    rig.capture.take().unwrap().finish();
    let data = rig.dir.path().join("data");
    drop(rig.swaps);
    rig.engine.writer.close().unwrap();
    let live = witnessed_cycles(&data);
    let entries = tapline_witness::lists::stages(&live[&hung].1.stages);
    let late: Vec<_> = entries
        .map(Result::unwrap)
        .filter(|e| [7, 8].contains(&e.stage_id))
        .map(|e| (e.disposition, e.err_code))
        .collect();
    assert_eq!(late, [(Disposition::Skipped, code::DEADLINE); 2]);

    let again = rig.dir.path().join("again");
    replay_over(ALL, &file, &again).unwrap();
    let replayed = witnessed_cycles(&again);
    assert_eq!(live.keys().collect::<Vec<_>>(), replayed.keys().collect::<Vec<_>>());
    for (tick, (names, was)) in &live {
        let (found, is) = &replayed[tick];
        assert_eq!(names, found, "tick {tick}");
        assert!(was.stages == is.stages || *tick == hung, "stages of tick {tick}");
        assert!(was.outcome == is.outcome, "outcome of tick {tick}");
    }
}
