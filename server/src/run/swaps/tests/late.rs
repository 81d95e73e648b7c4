//! What time decided beside the dispositions of whole stages is recorded too, and both replays obey it: that of a capture and
//! that of the log.

use tapline_witness::lists;

use super::*;
use crate::run::rerun::{Rerun, RerunOptions, StoreMaterial, rerun};

struct Mute;
impl Flavour for Mute {
    const NAME: &'static str = "mute";
    const MUTE: bool = true;
}

struct SmallGroupHangs;
impl Flavour for SmallGroupHangs {
    const NAME: &'static str = "small-group-hangs";
    const HANGS: bool = true;
    const HANGS_BELOW: usize = 8;
}

struct LargeGroupErrs;
impl Flavour for LargeGroupErrs {
    const NAME: &'static str = "large-group-errs";
    const ERRS: bool = true;
    const ERRS_FROM: usize = 8;
}

struct ErrsAndHangs;
impl Flavour for ErrsAndHangs {
    const NAME: &'static str = "errs-and-hangs";
    const ERRS: bool = true;
    const ERRS_FROM: usize = 8;
    const HANGS: bool = true;
    const HANGS_BELOW: usize = 8;
}

/// A stage's entries in a cycle: dispositions and error codes of its instances.
fn entries(data: &CycleData, stage: u16) -> Vec<(Disposition, u32)> {
    let all = lists::stages(&data.stages).map(|entry| entry.expect("a good entry"));
    all.filter(|e| e.stage_id == stage)
        .map(|e| (e.disposition, e.err_code))
        .collect()
}

/// Runs what a rig's log holds again, as `verify --replay --data-dir` does.
fn run_again(linked: &'static [PluginModule], data: &Path) -> Rerun {
    let reader = Reader::open(data).unwrap();
    let options = RerunOptions {
        linked,
        ..RerunOptions::default()
    };
    let mut material = StoreMaterial::new(&reader, None, None).unwrap();
    rerun(&mut material, &options, &mut |_| {})
}

/// Ends a rig whose capture runs; gives its cycles, those of the capture's replay, and the rerun of its log.
fn replays(mut rig: Rig, linked: &'static [PluginModule]) -> (BTreeMap<u64, CycleData>, Rerun) {
    let file = rig.dir.path().join("run.tlc");
    rig.capture.take().unwrap().finish();
    drop(rig.swaps);
    rig.engine.writer.close().unwrap();
    let data = rig.dir.path().join("data");
    let live = witnessed_cycles(&data);
    let again = rig.dir.path().join("again");
    replay_in("demo", linked, &file, &again).unwrap();
    let replayed = witnessed_cycles(&again);
    assert_eq!(live.keys().collect::<Vec<_>>(), replayed.keys().collect::<Vec<_>>());
    for (tick, (_, was)) in &live {
        let is = &replayed[tick].1;
        assert!(was.stages == is.stages, "stages of tick {tick}");
        assert!(was.outcome == is.outcome, "outcome of tick {tick}");
    }
    let rerun = run_again(linked, &data);
    (live.into_iter().map(|(tick, (_, data))| (tick, data)).collect(), rerun)
}

fn captured(linked: &'static [PluginModule], cir: &str) -> Rig {
    let mut rig = Rig::in_scene("demo", linked, cir, None);
    let begin = rig.engine.begin().unwrap();
    let file = rig.dir.path().join("run.tlc");
    rig.capture = Some(Capture::start(&file, &rig.hub.facts, begin).unwrap());
    rig
}

/// The stage ran in the cycle of a keyframe and then did not give its state in time. The keyframe says so, the next
/// cycles say so, and a replay, to which the stage would give it, takes it out there. It was a wrong FAIL.
#[test]
fn a_stage_that_gave_no_state_in_time_replays() {
    const BOTH: &[PluginModule] = &[linked::cir::<Plain<Mute>>(), linked::cir::<Plain<Steady>>()];
    let mut rig = captured(BOTH, "mute");
    rig.engine.core.host.set_state_time(Duration::from_millis(50));
    let first = rig.engine.in_force.manifest_hash;
    while rig.engine.in_force.manifest_hash == first {
        assert!(rig.tick < 2_000, "nothing happened");
        rig.slot();
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..10 {
        assert_eq!(rig.slot(), Disposition::Ran);
    }
    let (live, rerun) = replays(rig, BOTH);
    let cir: Vec<Disposition> = live.values().map(|data| entries(data, 5)[0].0).collect();
    let out = cir.iter().filter(|d| **d == Disposition::Skipped).count();
    assert!(
        out > 0 && cir.iter().all(|d| [Disposition::Ran, Disposition::Skipped].contains(d)),
        "{cir:?}"
    );
    assert_eq!(rerun.reason, None);
    assert_eq!(rerun.count, live.len() as u64);
    assert!(
        rerun.states >= 2,
        "the keyframe without it, and the one under the next manifest"
    );
}

/// The same where no keyframe says it: a recording that an operator begins asks for the state, too.
#[test]
fn a_stage_that_fails_between_two_cycles_replays() {
    const BOTH: &[PluginModule] = &[linked::cir::<Plain<Mute>>(), linked::cir::<Plain<Steady>>()];
    let mut rig = captured(BOTH, "mute");
    rig.engine.core.host.set_state_time(Duration::from_millis(50));
    for _ in 0..50 {
        rig.slot();
    }
    assert!(rig.engine.begin().is_ok());
    assert_eq!(rig.slot(), Disposition::Skipped);
    let first = rig.engine.in_force.manifest_hash;
    rig.until(|rig| (rig.engine.in_force.manifest_hash != first).then_some(()));
    rig.slot();
    let (live, rerun) = replays(rig, BOTH);
    assert_eq!(rerun.reason, None);
    assert_eq!(rerun.count, live.len() as u64);
}

/// One of two groups was late: the other's answer stands in the stages list, and comes out of both replays.
#[test]
fn a_group_that_ran_beside_a_late_one_replays() {
    const BOTH: &[PluginModule] = &[linked::cir::<Plain<SmallGroupHangs>>(), linked::cir::<Plain<Steady>>()];
    let mut rig = captured(BOTH, "small-group-hangs");
    rig.deadline = Some(Duration::from_millis(400));
    let late = (0..120).find(|_| rig.slot() == Disposition::Timeout);
    assert!(late.is_some(), "nothing was late");
    let late = rig.tick - 1;
    rig.deadline = None;
    let first = rig.engine.in_force.manifest_hash;
    rig.until(|rig| (rig.engine.in_force.manifest_hash != first).then_some(()));
    rig.slot();
    let (live, rerun) = replays(rig, BOTH);
    let kinds: Vec<Disposition> = entries(&live[&late], 5).iter().map(|(d, _)| *d).collect();
    assert_eq!(kinds, [Disposition::Ran, Disposition::Timeout]);
    assert_eq!(rerun.reason, None);
    assert_eq!(rerun.count, live.len() as u64);
}

/// An error in one of two groups took delay, spread, K and gap from the links of both.
#[test]
fn an_error_costs_the_links_of_its_group_only() {
    const BOTH: &[PluginModule] = &[linked::cir::<Plain<LargeGroupErrs>>(), linked::cir::<Plain<Steady>>()];
    let mut rig = captured(BOTH, "large-group-errs");
    let erred = (0..120).find(|_| rig.slot() == Disposition::Error);
    assert!(erred.is_some(), "no error");
    let core = &rig.engine.core;
    let with_delay: Vec<u32> = core
        .outcome()
        .links
        .iter()
        .filter(|l| l.delay_ns.is_some())
        .map(|l| l.path.into())
        .collect();
    let second: Vec<u32> = core.host.cir_buffers(1).unwrap().links.iter().map(|l| l.path).collect();
    assert_eq!(with_delay, second);
    let (live, rerun) = replays(rig, BOTH);
    assert_eq!(rerun.reason, None);
    assert_eq!(rerun.count, live.len() as u64);
}

/// The first group erred and the second was late: the capture said "error", and its replay waited for the late one as long as
/// it took.
#[test]
fn a_late_group_beside_one_that_erred_replays() {
    const BOTH: &[PluginModule] = &[linked::cir::<Plain<ErrsAndHangs>>(), linked::cir::<Plain<Steady>>()];
    let mut rig = captured(BOTH, "errs-and-hangs");
    rig.deadline = Some(Duration::from_millis(400));
    let late = (0..120).find(|_| rig.slot() == Disposition::Timeout);
    assert!(late.is_some(), "nothing was late");
    let late = rig.tick - 1;
    rig.deadline = None;
    let first = rig.engine.in_force.manifest_hash;
    rig.until(|rig| (rig.engine.in_force.manifest_hash != first).then_some(()));
    rig.slot();
    let (live, rerun) = replays(rig, BOTH);
    let kinds: Vec<Disposition> = entries(&live[&late], 5).iter().map(|(d, _)| *d).collect();
    assert_eq!(kinds, [Disposition::Error, Disposition::Timeout]);
    assert_eq!(rerun.reason, None);
    assert_eq!(rerun.count, live.len() as u64);
}

/// The stages were told of the nominal period however many slots had been missed; and a state knows its slot, so that whoever
/// goes on from it tells them the same.
#[test]
fn missed_slots_are_in_the_step_of_the_next() {
    let mut rig = Rig::new();
    for _ in 0..3 {
        rig.slot();
        assert_eq!(rig.engine.core.host.scene_mut().step_s, 0.05);
    }
    let mut state = Vec::new();
    rig.engine.core.export_state(&mut state).unwrap();
    let mut other = Rig::new();
    other.engine.go_on_from(&state).unwrap();
    other.tick = rig.tick;
    for rig in [&mut rig, &mut other] {
        let gap = Body::Gap(Gap {
            first_tick: rig.tick,
            last_tick: rig.tick + 9,
            frames_lost: 0,
            reason: GapReason::Overrun,
        });
        let stamp = rig.stamp();
        rig.engine.append(stamp, &gap, Vec::new()).unwrap();
        rig.tick += 10;
        rig.slot();
        let step_s = rig.engine.core.host.scene_mut().step_s;
        assert!((step_s - 0.55).abs() < 1e-6, "{step_s}");
    }
    rig.slot();
    assert_eq!(rig.engine.core.host.scene_mut().step_s, 0.05);
}

/// A stage that nothing replaces stays out when another one is exchanged: the swap put a fresh instance of what had failed
/// into service. It does not judge the candidate in the shadow either, and both replays do the same.
#[test]
fn a_failed_stage_stays_out_when_another_is_exchanged() {
    const ALL: &[PluginModule] = &[
        linked::cir::<Plain<Panics>>(),
        linked::tomography::<tapline_stages::tomography::Tomography>(),
    ];
    let mut rig = captured(ALL, "panics");
    let given_up = rig.until_final(1);
    assert_eq!(
        (given_up.kind, given_up.phase),
        (AttemptKind::Recovery, Phase::Rejected)
    );
    let candidate = Candidate {
        stage: StageKind::Tomography,
        source: built_in("tomography"),
        blake3: None,
        table: Some("prior-sigma = 2.0".to_owned()),
    };
    // More cycles than a fresh instance of it would live.
    let id = rig.ask_with(AttemptKind::Swap, candidate, 60, false);
    let applied = rig.until_final(id);
    assert_eq!(applied.phase, Phase::Applied, "{}", applied.message);
    let status = rig.engine.core.host.registry().snapshot();
    let cir = status.iter().rfind(|s| s.stage == StageKind::Cir).unwrap();
    assert_eq!(
        (cir.generation, cir.state),
        (2, crate::host::PluginState::Failed),
        "{cir:?}"
    );
    // Under the new manifest it is tried once more, and said again.
    assert_eq!(rig.until_final(id + 1).phase, Phase::Rejected);
    for _ in 0..60 {
        assert_eq!(rig.slot(), Disposition::Skipped);
    }
    assert_eq!(rig.hub.attempts.list().len(), 3);
    let (live, rerun) = replays(rig, ALL);
    assert_eq!(rerun.reason, None);
    assert_eq!(rerun.count, live.len() as u64);
}

/// A replay of a store reads it in pages: a server's write-ahead log can be cut off while it goes on.
#[test]
fn a_replay_of_a_store_does_not_hold_its_writer() {
    let mut rig = Rig::new();
    for _ in 0..420 {
        rig.slot();
    }
    rig.engine.writer.flush().unwrap();
    let data = rig.dir.path().join("data");
    let reader = Reader::open(&data).unwrap();
    let mut material = StoreMaterial::new(&reader, None, None).unwrap();
    let options = RerunOptions {
        linked: LINKED,
        ..RerunOptions::default()
    };
    let database = data.join(crate::store::DATABASE_FILE);
    let cut_off = || {
        let db = rusqlite::Connection::open(&database).unwrap();
        let busy: bool = db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .unwrap();
        !busy
    };
    let mut tries = Vec::new();
    let report = rerun(&mut material, &options, &mut |_| {
        // The log grows meanwhile, as a server's does.
        rig.slot();
        rig.engine.writer.flush().unwrap();
        tries.push(cut_off());
    });
    assert_eq!(
        (report.reason.as_deref(), report.count >= 400),
        (None, true),
        "{report:?}"
    );
    assert!(tries.len() >= 2 && tries.iter().all(|ok| *ok), "{tries:?}");
    // A snapshot that is held through all of it does hold it back: the test can fail.
    let held = reader.snapshot_or(|db| {
        db.query_row("SELECT count(*) FROM leaf", [], |row| row.get::<_, i64>(0))?;
        rig.slot();
        rig.engine.writer.flush().unwrap();
        Ok::<_, crate::store::StoreError>(!cut_off())
    });
    assert!(held.unwrap(), "a held snapshot holds nothing back");
}
