//! Recordings on an order: what is in them, when they end, and that they are whole on disk.

use std::path::PathBuf;

use tapline_wire::recording::{ReadOptions, RecordBody, Recording};

use super::*;
use crate::{
    config::{Privacy, PrivacyMode, Site},
    live::recording::RecordingEnd,
};

/// A rig in this mode that keeps recordings.
fn rig() -> Rig {
    let mut rig = Rig::in_scene("empty-room", LINKED, "steady", None);
    rig.hub.keep_in(rig.dir.path());
    rig.recorder = Some(Recorder::new(Arc::clone(&rig.hub)));
    set(&mut rig, PrivacyMode::RawResearch);
    rig
}

fn set(rig: &mut Rig, mode: PrivacyMode) {
    let privacy = Privacy { mode };
    let site = Site {
        privacy,
        ..(**rig.engine.core.site()).clone()
    };
    let (stamp, tick) = (rig.stamp(), rig.tick);
    rig.engine.configure(stamp, tick, Arc::new(site), ZERO).unwrap();
}

fn recorder(rig: &mut Rig) -> &mut Recorder {
    rig.recorder.as_mut().unwrap()
}

fn file(rig: &Rig, name: &str) -> PathBuf {
    rig.hub.recordings.file(name).unwrap()
}

/// Slots of a recording, the latest arrival in each, and why what is not used is not.
fn read(file: &Path) -> (Vec<u64>, Vec<u64>, Vec<&'static str>) {
    let (mut ticks, mut arrivals, mut not_used) = (Vec::new(), Vec::new(), Vec::new());
    for record in Recording::open(file, &ReadOptions::default()).unwrap() {
        let record = record.unwrap();
        match record.body {
            RecordBody::Tick(entry) => ticks.push(entry.tick),
            RecordBody::Datagram(_) => arrivals.push(record.arrival_ns.unwrap().cast_unsigned()),
            RecordBody::NotUsed { reason } => not_used.push(reason),
            RecordBody::Note(_) => {}
        }
    }
    (ticks, arrivals, not_used)
}

#[test]
fn no_slot_of_a_stricter_class_is_recorded() {
    let mut rig = rig();
    rig.slot();
    recorder(&mut rig).start("a".to_owned(), 60);
    let mut in_gap = Vec::new();
    for n in 0..30 {
        rig.demoted = (10..16).contains(&n);
        let (tick, from_ns) = (rig.tick, rig.stamp().mono_ns - SLOT_NS);
        rig.slot();
        if rig.demoted {
            in_gap.push(tick);
            let arrived = rig.frames.iter().filter(|frame| frame.arrival_ns > from_ns).count();
            assert!(arrived > 0, "there was something to record");
        }
    }
    let now = rig.hub.recordings.now().unwrap();
    assert_eq!(
        (now.name.as_str(), now.withheld, now.lost),
        ("a", 6, 0),
        "it goes on after a demotion"
    );
    recorder(&mut rig).stop(RecordingEnd::Ordered);
    assert_eq!(rig.hub.recordings.ended("a"), Some(RecordingEnd::Ordered));
    rig.recorder.take().unwrap().finish();

    let (ticks, arrivals, not_used) = read(&file(&rig, "a"));
    assert_eq!(ticks, (1..31).filter(|tick| !in_gap.contains(tick)).collect::<Vec<_>>());
    let (first, last) = (in_gap[0], in_gap[5]);
    let gap_ns = 1_000_000_000 + (first - 1) * SLOT_NS..1_000_000_000 + last * SLOT_NS;
    assert!(
        arrivals.len() > 20 && not_used.is_empty(),
        "{} {not_used:?}",
        arrivals.len()
    );
    let within: Vec<_> = arrivals
        .iter()
        .filter(|ns| **ns > gap_ns.start && **ns <= gap_ns.end)
        .collect();
    assert!(within.is_empty(), "{within:?} in {gap_ns:?}");
    // The gap is marked: nobody takes what follows for what came next.
    let error = replay_over(LINKED, &file(&rig, "a"), &rig.dir.path().join("again")).unwrap_err();
    let said = format!("6 slots before slot {}", last + 1);
    let is = matches!(&error, ReplayError::NotAsRecorded { what }
        if what.starts_with(&said) && what.contains("stricter than Raw"));
    assert!(is, "{error}");
    rig.end();
}

#[test]
fn a_stricter_mode_ends_a_recording_for_good() {
    let mut rig = rig();
    recorder(&mut rig).start("a".to_owned(), 1_000);
    rig.slot();
    rig.slot();
    assert_eq!(recorder(&mut rig).hold_to(PrivacyMode::RawResearch), None);
    set(&mut rig, PrivacyMode::StrictNoIdentity);
    assert_eq!(
        recorder(&mut rig).hold_to(PrivacyMode::StrictNoIdentity).as_deref(),
        Some("a")
    );
    assert_eq!(rig.hub.recordings.now(), None);
    assert_eq!(rig.hub.recordings.ended("a"), Some(RecordingEnd::Mode));
    rig.slot();
    set(&mut rig, PrivacyMode::RawResearch);
    rig.slot();
    assert_eq!(rig.hub.recordings.now(), None, "it does not begin again");

    // An order that has not begun is taken back; one that comes while a slot is still of a stricter class waits.
    recorder(&mut rig).start("b".to_owned(), 1_000);
    assert_eq!(
        recorder(&mut rig).hold_to(PrivacyMode::PrivateHome).as_deref(),
        Some("b")
    );
    set(&mut rig, PrivacyMode::StrictNoIdentity);
    rig.slot();
    set(&mut rig, PrivacyMode::RawResearch);
    recorder(&mut rig).start("c".to_owned(), 1_000);
    rig.slot();
    assert_eq!(rig.hub.recordings.now(), None, "the state is of a stricter class yet");
    rig.slot();
    rig.recorder.take().unwrap().finish();
    assert_eq!(read(&file(&rig, "a")).0, [0, 1]);
    assert!(!file(&rig, "b").exists());
    assert_eq!(read(&file(&rig, "c")).0, [rig.tick - 1]);
    rig.end();
}

/// However a run ends: in order, with a recording that was stopped just before, or with an error.
#[test]
fn what_was_recorded_is_on_disk_when_the_run_has_ended() {
    let mut rig = rig();
    for (name, stopped, in_order) in [
        ("a", false, true),
        ("b", true, true),
        ("c", false, false),
        ("d", true, false),
    ] {
        let mut running = Recorder::new(Arc::clone(&rig.hub));
        running.start(name.to_owned(), 1_000);
        rig.recorder = Some(running);
        let first = rig.tick;
        for _ in 0..100 {
            rig.slot();
        }
        let mut running = rig.recorder.take().unwrap();
        if stopped {
            running.stop(RecordingEnd::Ordered);
        }
        if in_order {
            running.finish();
        } else {
            drop(running);
        }
        let (ticks, _, not_used) = read(&file(&rig, name));
        assert_eq!(ticks, (first..first + 100).collect::<Vec<_>>(), "{name}");
        assert!(not_used.is_empty(), "{name}: {not_used:?}");
    }
    rig.end();
}
