//! Generations: another plugin in the shadow, then in the place, and back.

use std::time::Duration;

use tapline_plugin_api::StageKind;
use tapline_server::host::{
    HostError, PluginHost, PluginState, RunOrder,
    candidate::{Candidate, Source},
    manifest::Digest,
    manifest_write::{Draft, diff},
    shadow::Shadow,
    swap::StateHandling,
};
use tapline_witness::{body::swap_reason, disposition::Disposition};

use crate::tools::{SHIPPED, fill, good_row, manifest, plugin_dir, row, spec};

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

    let next = host.preparer().prepare(b.clone()).unwrap();
    let carried = host.carry(&next).unwrap();
    let mut shadow = Shadow::new(next);
    shadow.adopt(&carried).unwrap();
    for number in 1..6 {
        cycle(&mut host, number);
        let compared = shadow.run(&host.feed(u64::from(number)), Duration::from_secs(60));
        assert_eq!(compared.tick, u64::from(number));
        let cir = compared.stages[0];
        assert_eq!((cir.active, cir.shadow), (Disposition::Ran, Disposition::Ran));
        // Other code gives other bits, a little; the same code from the same state the same.
        assert!(cir.equal < cir.values && cir.max_difference > 0.0, "{cir:?}");
        assert_eq!(compared.stages[1].shadow, Disposition::Ran);
    }
    let with_a = taps(&host);
    assert!(shadow.failure().is_none());

    let done = host.activate(shadow.into_generation().unwrap()).unwrap();
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
    let order = host.recovery_order().unwrap();
    let ready = host.preparer().recover(&order).unwrap().unwrap();
    assert_eq!(
        ready.generation.manifest().plugin(StageKind::Cir),
        a.plugin(StageKind::Cir)
    );
    assert_eq!(ready.generation.manifest().generation(), 3);
    host.activate(ready.generation).unwrap();
    assert_eq!(host.run_cir(RunOrder::default())[0].disposition, Disposition::Ran);
    // What failed is not gone back to.
    assert!(host.before(StageKind::Cir).is_none());
}

/// An update put another file in the place of the one that runs: the swap of any stage was refused from then on, and what
/// failed was not replaced by what ran well before. A library that was never loaded is still held to its digest.
#[test]
fn a_replaced_file_leaves_rollback_and_other_swaps() {
    let dir = tempfile::tempdir().unwrap();
    let from = |file: &str| std::fs::read(plugin_dir().join(file)).unwrap();
    // Bytes after the end make libraries of this test's own.
    let place = |file: &str, end: &[u8]| {
        let path = dir.path().join(file);
        let _ = std::fs::remove_file(&path);
        std::fs::write(path, [from(file).as_slice(), end].concat()).unwrap();
    };
    for file in ["libcir_dense.so", "libcir_fft.so", "libtomography.so"] {
        place(file, b"replaced-file-1");
    }
    let here = |file: &str| {
        let known = good_row(file, "");
        let mut row = row(dir.path(), file, &known.name);
        (row.stage, row.golden) = (known.stage, known.golden);
        (row.state_schema, row.uses_rustfft) = (known.state_schema, known.uses_rustfft);
        (row.version, row.config) = (known.version, known.config);
        row
    };
    let a = manifest(vec![here("libcir_dense.so"), here("libtomography.so")]);
    let mut s = spec(2, SHIPPED);
    s.plugin_dir = dir.path().to_owned();
    let mut host = PluginHost::new(s, a.clone()).unwrap();
    cycle(&mut host, 0);
    let swap = |host: &mut PluginHost, current: &tapline_server::host::Manifest, row| {
        let mut draft = Draft::after(current);
        draft.replace(row);
        let next = host.preparer().prepare(draft.write().unwrap())?;
        host.activate(next)
    };
    let never_loaded = {
        place("libplugin_minimal.so", b"replaced-file-2");
        let row = here("libplugin_minimal.so");
        place("libplugin_minimal.so", b"replaced-file-3");
        row
    };
    place("libcir_dense.so", b"replaced-file-4");
    std::fs::remove_file(dir.path().join("libtomography.so")).unwrap();
    swap(&mut host, &a, here("libcir_fft.so")).expect("the image stage's file is gone, not its code");
    cycle(&mut host, 1);
    let b = host.manifest().clone();
    let back = host.before(StageKind::Cir).expect("it ran well");
    let ready = host.preparer().candidate(&b, &back).expect("its file is another now");
    host.activate(ready.generation).unwrap();
    cycle(&mut host, 2);
    assert_eq!(host.manifest().plugin(StageKind::Cir), a.plugin(StageKind::Cir));
    let c = host.manifest().clone();
    let error = swap(&mut host, &c, never_loaded).unwrap_err();
    assert!(matches!(error, HostError::FileDiffers { .. }), "{error}");
}

/// The candidate that computes the same from the same state gives the same bits in every shadow cycle.
#[test]
fn the_same_code_in_the_shadow_gives_the_same_bits() {
    let a = manifest(vec![good_row("libcir_fft.so", ""), good_row("libtomography.so", "")]);
    let mut host = PluginHost::new(spec(10, SHIPPED), a.clone()).unwrap();
    for number in 0..3 {
        cycle(&mut host, number);
    }
    let candidate = Candidate {
        stage: StageKind::Cir,
        source: Source::Linked("cir-fft".into()),
        blake3: None,
        table: None,
    };
    let ready = host.preparer().candidate(&a, &candidate).unwrap();
    assert!(ready.evidence.run > 0 && ready.evidence.passed == ready.evidence.run);
    let carried = host.carry(&ready.generation).unwrap();
    assert_eq!(carried.plan()[0], StateHandling::Imported);
    assert!(carried.digest(StageKind::Cir) != [0; 32]);
    let mut shadow = Shadow::new(ready.generation);
    shadow.adopt(&carried).unwrap();
    for number in 3..7 {
        cycle(&mut host, number);
        let compared = shadow.run(&host.feed(u64::from(number)), Duration::from_secs(60));
        for stage in &compared.stages[..2] {
            assert!(
                stage.values > 0 && stage.equal == stage.values && stage.max_difference == 0.0,
                "{stage:?}"
            );
        }
    }
    let state = host.activate(shadow.into_generation().unwrap()).unwrap().state;
    assert_eq!(state[..2], [StateHandling::Imported, StateHandling::Kept]);
    let before = host.before(StageKind::Cir).expect("the library ran well");
    assert_eq!(
        before.source,
        Source::Row(Box::new(a.plugin(StageKind::Cir).unwrap().clone()))
    );
}

/// Each refusal has the reason that its leaf will carry.
#[test]
fn a_refused_candidate_says_why() {
    let a = manifest(vec![good_row("libcir_fft.so", "")]);
    let host = PluginHost::new(spec(2, SHIPPED), a.clone()).unwrap();
    let refused = |source: Source, blake3, table: Option<&str>| {
        let candidate = Candidate {
            stage: StageKind::Cir,
            source,
            blake3,
            table: table.map(str::to_owned),
        };
        let refused = host.preparer().candidate(&a, &candidate).err().expect("it is refused");
        (refused.reason, refused.why)
    };
    let file = |name: &str| Source::Directory(name.to_owned());
    let of = |name: &str| refused(file(name), None, None);
    assert_eq!(of("../libcir_dense").0, swap_reason::LOAD);
    assert!(of("nothing-here").1.contains("there is no nothing-here.so"));
    assert_eq!(of("libbad_starts_threads").0, swap_reason::GATE);
    assert_eq!(of("libbad_nondeterministic").0, swap_reason::GOLDEN);
    assert_eq!(of("libbad_missing_symbol").0, swap_reason::LOAD);
    let (reason, why) = refused(file("libcir_dense"), Some(Digest([7; 32])), None);
    assert_eq!(reason, swap_reason::HASH, "{why}");
    let (reason, why) = refused(Source::Linked("cir-dense".into()), None, Some("lambda = \"often\""));
    assert_eq!(reason, swap_reason::LOAD, "{why}");
    let (_, why) = refused(Source::Linked("tomography".into()), None, None);
    assert!(why.contains("no such stage"), "{why}");
}
