//! Linked stages: every way a call can end, and that the cycle goes on.

use std::time::{Duration, Instant};

use tapline_plugin_api::{StageKind, guard::code};
use tapline_server::host::{HostError, PluginHost, PluginState, RunOrder};
use tapline_witness::disposition::Disposition;

use crate::tools::{MOODY, SHIPPED, fill, host, spec};

/// For what must not come back.
const SHORT: RunOrder = RunOrder {
    deadline: Some(Duration::from_millis(100)),
    obey: None,
    idle: false,
};
/// For what must: a panic with a backtrace takes its time on a busy machine.
const SOON: RunOrder = RunOrder {
    deadline: Some(Duration::from_secs(60)),
    obey: None,
    idle: false,
};
const ANY_TIME: RunOrder = RunOrder {
    deadline: None,
    obey: None,
    idle: false,
};

/// Ten links in two groups of a moody stage that does `what` in its third call, in the group of path 9.
fn moody(what: &str) -> PluginHost {
    let mut spec = spec(10, MOODY);
    spec.tables.cir = format!("misbehave = \"{what}\"\nat = 2\npath = 9");
    host(spec)
}

/// Runs three cycles, the last of which misbehaves.
fn third(host: &mut PluginHost, order: RunOrder) -> Vec<(Disposition, u32)> {
    for cycle in 0..2 {
        fill(host, cycle);
        assert!(host.run_cir(SOON).iter().all(|r| r.disposition == Disposition::Ran));
    }
    fill(host, 2);
    host.run_cir(order)
        .iter()
        .map(|r| (r.disposition, r.err_code))
        .collect()
}

fn cir_state(host: &PluginHost) -> (PluginState, String) {
    let list = host.registry().snapshot();
    let cir = list.iter().find(|s| s.stage == StageKind::Cir).expect("a cir stage");
    (cir.state, cir.reason.clone())
}

#[test]
fn groups_run_and_their_answers_reach_the_image() {
    let mut host = moody("nothing");
    assert_eq!(host.groups(), 2);
    assert_eq!(host.cir_buffers(0).unwrap().links.len(), 8);
    assert_eq!(host.cir_buffers(1).unwrap().links.len(), 2);
    fill(&mut host, 0);
    assert!(
        host.run_cir(SOON)
            .iter()
            .all(|r| r.disposition == Disposition::Ran && r.elapsed_ns > 0)
    );
    assert_eq!(host.run_tomography(SOON).disposition, Disposition::Ran);
    let image = host.tomography_output().unwrap();
    assert_eq!((image.summary.links_used, image.mean[0]), (10, 10.0 * 156.0));
    // No tracker is linked here: it is skipped, not faulty.
    assert_eq!(host.run_tracker(SOON).disposition, Disposition::Skipped);
    // -0 became +0 on the way.
    assert_eq!(host.cir_buffers(0).unwrap().taps[0].im.to_bits(), 0);
    assert_eq!(cir_state(&host).0, PluginState::Active);
}

#[test]
fn an_error_costs_the_group_its_cycle() {
    let mut host = moody("err");
    assert_eq!(
        third(&mut host, SOON),
        [(Disposition::Ran, 0), (Disposition::Error, code::OWN + 7)]
    );
    assert_eq!(host.cir_buffers(0).unwrap().taps[0].re, 2.0);
    assert_eq!(host.cir_buffers(1).unwrap().taps[0].re, 0.0);
    fill(&mut host, 3);
    assert!(host.run_cir(SOON).iter().all(|r| r.disposition == Disposition::Ran));
    assert_eq!(cir_state(&host).0, PluginState::Active);
}

#[test]
fn an_answer_that_breaks_the_contract_is_an_error() {
    let mut host = moody("lie");
    assert_eq!(third(&mut host, SOON)[1], (Disposition::Error, code::OUTPUT));
    assert_eq!(host.cir_buffers(1).unwrap().summaries[0].valid, 0);
}

/// What ends the stage blanks it, leaves the cycle running, and is replaced by the linked stage.
fn check_ends(what: &str, order: RunOrder, disposition: Disposition, err_code: u32, reason: &str) {
    let mut host = moody(what);
    let runs = third(&mut host, order);
    assert_eq!(runs[1], (disposition, err_code), "{what}");
    for group in 0..2 {
        assert!(
            host.cir_buffers(group).unwrap().taps.iter().all(|t| t.re == 0.0),
            "{what}"
        );
    }
    assert_eq!(cir_state(&host).0, PluginState::Failed);
    assert!(cir_state(&host).1.contains(reason), "{what}: {}", cir_state(&host).1);
    // The image is made without it.
    assert_eq!(host.run_tomography(SOON).disposition, Disposition::Ran);
    assert_eq!(host.tomography_output().unwrap().mean[0], 0.0);
    // Skipped until its replacement comes.
    fill(&mut host, 3);
    assert!(host.run_cir(SOON).iter().all(|r| r.disposition == Disposition::Skipped));

    let old = host.manifest_hash();
    let order = host.recovery_order().expect("a stage failed");
    let ready = host
        .preparer()
        .recover(&order)
        .expect("it proves itself")
        .expect("there is a linked stage");
    let activation = host.activate(ready.generation).expect("it takes over");
    assert_eq!(activation.old_manifest_hash, old);
    assert_eq!(activation.new_manifest_hash, host.manifest_hash());
    assert_ne!(old, host.manifest_hash());
    assert_eq!(host.manifest().generation(), 2);
    fill(&mut host, 4);
    assert!(host.run_cir(SOON).iter().all(|r| r.disposition == Disposition::Ran));
    assert!(host.recovery_order().is_none());
}

#[test]
fn a_panic_ends_the_stage_not_the_process() {
    check_ends("panic", SOON, Disposition::Panic, code::PANIC, "as configured");
}

#[test]
fn a_nan_ends_the_stage() {
    check_ends("nan", SOON, Disposition::NonFinite, code::OUTPUT, "NaN");
}

#[test]
fn a_call_that_never_returns_is_given_up() {
    check_ends("hang", SHORT, Disposition::Timeout, 0, "TIMEOUT");
}

#[test]
fn the_deadline_holds_and_a_late_worker_is_taken_off_the_count() {
    let mut host = moody("slow");
    let begin = Instant::now();
    assert_eq!(third(&mut host, SHORT)[1].0, Disposition::Timeout);
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(100), "{took:?}");
    assert_eq!(host.given_up(), 1);
    while host.given_up() > 0 {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "the late worker never came back"
        );
        std::thread::yield_now();
    }
}

#[test]
fn recorded_dispositions_are_obeyed() {
    let obey = |disposition| RunOrder {
        obey: Some(disposition),
        ..ANY_TIME
    };
    let mut host = moody("nothing");
    fill(&mut host, 0);
    let calls = |host: &PluginHost| host.cir_buffers(0).unwrap().taps[0].re;
    assert_eq!(
        host.run_cir(obey(Disposition::Skipped))[0].disposition,
        Disposition::Skipped
    );
    assert_eq!(host.run_cir(obey(Disposition::Ran))[0].disposition, Disposition::Ran);
    assert_eq!(calls(&host), 0.0, "the skipped call was not made");
    assert_eq!(
        host.run_cir(obey(Disposition::Timeout))[0].disposition,
        Disposition::Timeout
    );
    // As when it happened: the stage is over.
    assert_eq!(
        host.run_cir(obey(Disposition::Ran))[0].disposition,
        Disposition::Skipped
    );
    assert_eq!(host.failures()[0].0, StageKind::Cir);
}

#[test]
fn a_stage_without_time_is_skipped_and_not_failed() {
    let mut host = moody("nothing");
    fill(&mut host, 0);
    let late = RunOrder {
        deadline: Some(Duration::ZERO),
        ..ANY_TIME
    };
    let recorded = RunOrder {
        obey: Some(Disposition::Skipped),
        ..ANY_TIME
    };
    let idle = RunOrder { idle: true, ..late };
    for (order, err_code) in [(late, code::DEADLINE), (recorded, code::DEADLINE), (idle, 0)] {
        let run = host.run_cir(order)[0].clone();
        assert_eq!((run.disposition, run.err_code), (Disposition::Skipped, err_code));
    }
    assert!(host.failures().is_empty() && host.recovery_order().is_none());
    assert_eq!(host.run_cir(ANY_TIME)[0].disposition, Disposition::Ran);
}

#[test]
fn state_goes_on_bit_for_bit() {
    let run = |host: &mut PluginHost, cycles: std::ops::Range<u32>| {
        let mut seen = Vec::new();
        for cycle in cycles {
            fill(host, cycle);
            host.run_cir(ANY_TIME);
            host.run_tomography(ANY_TIME);
            host.run_tracker(ANY_TIME);
            for group in 0..host.groups() {
                let b = host.cir_buffers(group).unwrap();
                seen.extend(b.taps.iter().flat_map(|t| [t.re.to_bits(), t.im.to_bits()]));
            }
            let image = host.tomography_output().unwrap();
            seen.extend(image.mean.iter().map(|v| v.to_bits()));
        }
        seen
    };
    let mut whole = host(spec(10, SHIPPED));
    let _ = run(&mut whole, 0..3);
    let expected = run(&mut whole, 3..6);

    let mut first = host(spec(10, SHIPPED));
    let _ = run(&mut first, 0..3);
    let mut blob = Vec::new();
    first.export_state(&mut blob).unwrap();
    let mut second = host(spec(10, SHIPPED));
    second.import_state(&blob).unwrap();
    assert_eq!(run(&mut second, 3..6), expected);

    // The blob itself is strict.
    for cut in [0, 3, 4, blob.len() / 2, blob.len() - 1] {
        assert!(second.import_state(&blob[..cut]).is_err(), "{cut} bytes were accepted");
    }
    blob.push(0);
    assert!(matches!(second.import_state(&blob), Err(HostError::StateBlob { .. })));
}

#[test]
fn an_export_that_hangs_is_given_up() {
    let mut spec = spec(2, MOODY);
    spec.tables.cir = "misbehave = \"hang in export\"".into();
    let mut host = host(spec);
    let mut blob = vec![1, 2, 3];
    host.set_state_time(Duration::from_millis(100));
    host.export_state(&mut blob).expect("the others have a state");
    assert_eq!(blob[..3], [1, 2, 3]);
    assert_eq!(host.given_up(), 1);
    assert!(cir_state(&host).1.contains("did not answer"), "{}", cir_state(&host).1);
    assert_eq!(host.run_cir(SOON)[0].disposition, Disposition::Skipped);
    // Whoever takes the state over knows that the stage does not run.
    let mut heir = self::host(self::spec(2, MOODY));
    heir.import_state(&blob[3..]).expect("the state fits");
    fill(&mut heir, 0);
    assert!(heir.run_cir(SOON).iter().all(|r| r.disposition == Disposition::Skipped));
}

#[test]
fn a_configuration_that_a_stage_refuses_is_told() {
    let mut spec = spec(2, MOODY);
    spec.tables.cir = "mood = 1".into();
    let manifest = PluginHost::linked_manifest(&spec, ["", "", ""], Vec::new()).unwrap();
    let Err(error) = PluginHost::new(spec, manifest) else {
        panic!("it was accepted");
    };
    assert!(matches!(&error, HostError::Construct { stage: "cir", source, .. } if source.code == code::CONFIG));
    assert!(error.to_string().contains("mood"), "{error}");
}

#[test]
fn a_mesh_without_csi_has_no_groups() {
    let mut host = host(spec(0, SHIPPED));
    assert_eq!(host.groups(), 0);
    fill(&mut host, 0);
    assert!(host.run_cir(SOON).is_empty());
    assert_eq!(host.run_tomography(SOON).disposition, Disposition::Ran);
}
