//! Generations: another plugin in the shadow, then in the place, and back.

use tapline_plugin_api::StageKind;
use tapline_server::host::{
    PluginHost, PluginState, RunOrder,
    manifest_write::{Draft, diff},
    swap::StateHandling,
};
use tapline_witness::disposition::Disposition;

use crate::tools::{SHIPPED, fill, good_row, manifest, spec};

fn cycle(host: &mut PluginHost, number: u32) {
    fill(host, number);
    assert!(
        host.run_cir(RunOrder::default())
            .iter()
            .all(|r| r.disposition == Disposition::Ran)
    );
    assert_eq!(host.run_tomography(RunOrder::default()).disposition, Disposition::Ran);
    host.run_tracker(RunOrder::default());
}

/// Two libraries of one root type: abi_stable's own loader would give the first one's module for both.
#[test]
fn a_to_b_to_a_runs_other_code_under_three_hashes() {
    let a = manifest(vec![good_row("libcir_fft.so", ""), good_row("libtomography.so", "")]);
    let mut host = PluginHost::new(spec(10, SHIPPED), a.clone()).unwrap();
    cycle(&mut host, 0);
    let taps = |host: &PluginHost| host.cir_buffers(0).unwrap().taps.clone();

    let mut draft = Draft::after(&a);
    draft.replace(good_row("libcir_dense.so", ""));
    let b = draft.write().unwrap();
    assert!(
        diff(&a, &b).iter().any(|line| line == "cir.name: cir-fft -> cir-dense"),
        "{:?}",
        diff(&a, &b)
    );

    host.begin_shadow(host.preparer().prepare(b.clone()).unwrap());
    for number in 1..6 {
        cycle(&mut host, number);
    }
    let with_a = taps(&host);
    let (next, report) = host.end_shadow().unwrap();
    // Two groups, five cycles; other code gives other bits, the same code the same.
    assert_eq!((report.stages[0].runs, report.stages[0].not_ran), (10, 0));
    assert!(report.stages[0].equal < 10);
    assert_eq!((report.stages[1].runs, report.stages[1].failed.is_none()), (5, true));

    let done = host.activate(next).unwrap();
    assert_eq!(
        done.state,
        [StateHandling::Reset, StateHandling::Kept, StateHandling::None]
    );
    assert_eq!((done.old_manifest_hash, done.new_manifest_hash), (a.hash(), b.hash()));
    cycle(&mut host, 5);
    assert_ne!(taps(&host), with_a, "the other code runs");

    let mut draft = Draft::after(&b);
    draft.replace(good_row("libcir_fft.so", ""));
    let c = draft.write().unwrap();
    let next = host.preparer().prepare(c.clone()).unwrap();
    host.activate(next).unwrap();
    cycle(&mut host, 6);
    assert_eq!(host.manifest().plugin(StageKind::Cir), a.plugin(StageKind::Cir));
    assert!(a.hash() != b.hash() && b.hash() != c.hash() && a.hash() != c.hash());

    let list = host.registry().snapshot();
    let state = |generation, stage| {
        let found = list.iter().find(|s| (s.generation, s.stage) == (generation, stage));
        found.map(|s| s.state).unwrap()
    };
    assert_eq!(state(1, StageKind::Cir), PluginState::Retired);
    assert_eq!(state(2, StageKind::Cir), PluginState::Retired);
    assert_eq!(state(3, StageKind::Cir), PluginState::Active);
}

/// The same plugin under a new generation goes on as if nothing had been.
#[test]
fn kept_stages_go_on_bit_for_bit() {
    let run = |swap: bool| {
        let a = manifest(vec![good_row("libcir_fft.so", ""), good_row("libtomography.so", "")]);
        let mut host = PluginHost::new(spec(10, SHIPPED), a.clone()).unwrap();
        for number in 0..4 {
            cycle(&mut host, number);
        }
        if swap {
            let next = host.preparer().prepare(Draft::after(&a).write().unwrap()).unwrap();
            assert_eq!(host.activate(next).unwrap().state[0], StateHandling::Kept);
        }
        cycle(&mut host, 4);
        (
            host.cir_buffers(1).unwrap().clone(),
            host.tomography_output().unwrap().clone(),
        )
    };
    assert_eq!(run(false), run(true));
}

/// The linked stage in a library's place (same name, same state schema) takes its state over.
#[test]
fn a_linked_stage_takes_a_librarys_state() {
    let run = |swap: bool| {
        let a = manifest(vec![good_row("libcir_fft.so", ""), good_row("libtomography.so", "")]);
        let mut host = PluginHost::new(spec(10, SHIPPED), a).unwrap();
        for number in 0..4 {
            cycle(&mut host, number);
        }
        if swap {
            let linked = PluginHost::linked_manifest(&spec(10, SHIPPED), ["cir-fft", "tomography", ""], Vec::new());
            let next = host.preparer().prepare(linked.unwrap()).unwrap();
            let state = host.activate(next).unwrap().state;
            assert_eq!(state[..2], [StateHandling::Imported, StateHandling::Imported]);
        }
        fill(&mut host, 4);
        host.run_cir(RunOrder::default());
        host.run_tomography(RunOrder::default());
        (
            host.cir_buffers(1).unwrap().clone(),
            host.tomography_output().unwrap().clone(),
        )
    };
    assert_eq!(run(false), run(true));
}

/// A swap to the last good plugin, not to the linked stage, when there was one.
#[test]
fn recovery_goes_back_to_the_last_good_plugin() {
    let a = manifest(vec![good_row("libcir_dense.so", "")]);
    let mut s = spec(2, SHIPPED);
    s.tables.cir = "at = 0".into();
    let mut host = PluginHost::new(s, a.clone()).unwrap();
    let mut draft = Draft::after(&a);
    draft.replace(good_row("libbad_panic_in_call.so", "at = 0"));
    let next = host.preparer().prepare(draft.write().unwrap()).unwrap();
    host.activate(next).unwrap();
    fill(&mut host, 0);
    assert_eq!(host.run_cir(RunOrder::default())[0].disposition, Disposition::Panic);
    let recovery = host.recovery().unwrap().unwrap();
    assert_eq!(recovery.plugin(StageKind::Cir), a.plugin(StageKind::Cir));
    assert_eq!(recovery.generation(), 3);
    let next = host.preparer().prepare(recovery).unwrap();
    host.activate(next).unwrap();
    assert_eq!(host.run_cir(RunOrder::default())[0].disposition, Disposition::Ran);
}
