//! The family of bad plugins: each ends in its exact error, with the process alive and the cycle going on.

use std::{path::Path, time::Duration};

use tapline_plugin_api::{
    CirMethod, Description, Method, StageError, StageKind,
    abi::PluginModule,
    abi_stable::std_types::RVec,
    cir::{CirInput, CirLinkSpec, CirOutput},
    describe::Setup,
    entry, linked,
};
use tapline_server::host::{
    HostError, HostSpec, PluginHost, PluginState, Registry, RunOrder,
    gate::GateError,
    generation::Generation,
    manifest::{Digest, PluginRow, config_digest},
};
use tapline_witness::disposition::Disposition;

use crate::tools::{MOODY, about, fill, good_row, manifest, plugin_dir, row, spec};

/// What the host says of a plugin that it refuses, and that the registry says the same.
fn refused_in(dir: &Path, row: PluginRow) -> HostError {
    let spec = HostSpec {
        plugin_dir: dir.to_owned(),
        ..spec(2, MOODY)
    };
    let registry = Registry::default();
    let Err(error) = Generation::prepare(&spec, manifest(vec![row]), &registry, &Default::default()) else {
        panic!("it was accepted");
    };
    let status = registry.snapshot()[0].clone();
    assert_eq!((status.state, status.reason), (PluginState::Failed, error.to_string()));
    error
}

fn refused(name: &str) -> HostError {
    let file = format!("libbad_{}.so", name.replace('-', "_"));
    refused_in(&plugin_dir(), row(&plugin_dir(), &file, &format!("bad-{name}")))
}

#[test]
fn another_loader_version() {
    let error = refused("wrong-abi");
    assert!(
        matches!(
            error,
            HostError::LoaderVersion {
                expected: 1,
                found: 99,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn no_root_module() {
    let error = refused("missing-symbol");
    let is = matches!(error, HostError::MissingSymbol { symbol, .. } if symbol == entry::ROOT_SYMBOL);
    assert!(is, "{error}");
}

#[test]
fn another_layout() {
    let error = refused("wrong-layout");
    assert!(
        matches!(&error, HostError::Abi { why, .. } if why.contains("PluginModule") && why.contains("found")),
        "{error}"
    );
    assert!(
        error.to_string().lines().count() == 1,
        "for a user, not five hundred lines: {error}"
    );
}

#[test]
fn a_panic_in_the_initialiser() {
    let error = refused("panic-in-init");
    assert!(
        matches!(&error, HostError::Abi { why, .. } if why.contains("panicked")),
        "{error}"
    );
}

#[test]
fn a_panic_in_the_constructor() {
    let error = refused("panic-in-constructor");
    let is = matches!(&error, HostError::Golden { why, .. } if why.contains("panics in its constructor"));
    assert!(is, "{error}");
}

#[test]
fn platform_mathematics() {
    let error = refused("platform-maths");
    let is = matches!(&error, HostError::Gate { why: GateError::Import { name, why }, .. }
        if name == "sin" && why.contains("detmath"));
    assert!(is, "{error}");
}

#[test]
fn threads() {
    let error = refused("starts-threads");
    let is = matches!(&error, HostError::Gate { why: GateError::Import { name, .. }, .. } if name == "pthread_create");
    assert!(is, "{error}");
}

#[test]
fn subnormals_switched_off_by_loading() {
    let error = refused("flush-at-load");
    assert!(matches!(error, HostError::FpEnv { .. }), "{error}");
    assert!(tapline_server::host::fpenv::is_strict());
}

#[test]
fn other_bits_in_every_run() {
    let error = refused("nondeterministic");
    let is = matches!(&error, HostError::Golden { why, .. } if why.contains("not deterministic"));
    assert!(is, "{error}");
}

#[test]
fn a_golden_digest_that_does_not_come_out() {
    let row = PluginRow {
        golden: Digest([7; 32]),
        ..good_row("libbad_not_a_number.so", "")
    };
    let error = refused_in(&plugin_dir(), row);
    let is = matches!(&error, HostError::Golden { why, .. } if why.contains(&"07".repeat(32)));
    assert!(is, "{error}");
}

#[test]
fn a_file_that_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let file = "libplugin_minimal.so";
    // Bytes of this test's own: what another one has loaded needs no file any more.
    let mut bytes = std::fs::read(plugin_dir().join(file)).unwrap();
    bytes.extend_from_slice(b"a file that was changed");
    std::fs::write(dir.path().join(file), &bytes).unwrap();
    let row = row(dir.path(), file, "minimal");
    let check = |bytes: &[u8], expected: &str| {
        std::fs::write(dir.path().join(file), bytes).unwrap();
        let error = refused_in(dir.path(), row.clone());
        assert!(
            matches!(&error, HostError::FileDiffers { field, .. } if *field == expected),
            "{error}"
        );
    };
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    check(&bytes, "BLAKE3");
    bytes[middle] ^= 1;
    bytes.push(0);
    check(&bytes, "size");
    std::fs::remove_file(dir.path().join(file)).unwrap();
    assert!(matches!(refused_in(dir.path(), row), HostError::Read { .. }));
}

#[test]
fn a_description_that_differs_from_the_manifest() {
    let good = good_row("libbad_not_a_number.so", "");
    let check = |row: PluginRow, expected: &str| {
        let error = refused_in(&plugin_dir(), row);
        assert!(
            matches!(&error, HostError::Describes { field, .. } if *field == expected),
            "{error}"
        );
    };
    check(
        PluginRow {
            name: "bad-other".into(),
            ..good.clone()
        },
        "name",
    );
    check(
        PluginRow {
            version: "9.9.9".into(),
            ..good.clone()
        },
        "version",
    );
    check(
        PluginRow {
            state_schema: 2,
            ..good.clone()
        },
        "state schema",
    );
    check(
        PluginRow {
            stage: StageKind::Tracker,
            ..good
        },
        "stage",
    );
}

/// A static constructor runs inside `dlopen`: digest and gate must come before.
#[test]
fn a_constructor_runs_only_after_digest_and_gate() {
    let marker = format!("/tmp/tapline-constructor-marker-{}", std::process::id());
    let ran = || Path::new(&marker).exists();
    let file = "libbad_constructor_marker.so";
    let dir = tempfile::tempdir().unwrap();
    let good = row(&plugin_dir(), file, "bad-constructor-marker");
    let mut bytes = std::fs::read(plugin_dir().join(file)).unwrap();

    // Another digest than the manifest's.
    let wrong = PluginRow {
        builds: vec![tapline_server::host::manifest::BuildRow {
            blake3: Digest([1; 32]),
            ..good.builds[0].clone()
        }],
        ..good.clone()
    };
    assert!(matches!(
        refused_in(&plugin_dir(), wrong),
        HostError::FileDiffers { field: "BLAKE3", .. }
    ));
    assert!(!ran());

    // The manifest's digest, but an import that the gate refuses: `write` renamed in the string table.
    let at = bytes
        .windows(8)
        .position(|w| w == b"\0writev\0")
        .expect("it imports writev");
    bytes[at + 1..at + 7].copy_from_slice(b"socket");
    std::fs::write(dir.path().join(file), &bytes).unwrap();
    let gated = row(dir.path(), file, "bad-constructor-marker");
    let error = refused_in(dir.path(), gated);
    let is = matches!(&error, HostError::Gate { why: GateError::Import { name, .. }, .. } if name == "socket");
    assert!(is, "{error}");
    assert!(!ran());

    // The same library untouched: now it does run, so the marker's absence above means something.
    let error = refused_in(&plugin_dir(), good);
    assert!(matches!(error, HostError::Golden { .. }), "{error}");
    assert!(ran());
    std::fs::remove_file(marker).unwrap();
}

/// A plugin that proves itself and misbehaves in its third call of the cycle: `disposition`, then skipped, then the
/// linked stage takes over.
fn check_in_call(name: &str, deadline: Duration, disposition: Disposition) {
    let file = format!("libbad_{}.so", name.replace('-', "_"));
    let mut spec = spec(2, MOODY);
    spec.tables.cir = "at = 2".into();
    let row = good_row(&file, &spec.tables.cir);
    assert_eq!(row.config, config_digest("at = 2"));
    let mut host = PluginHost::new(spec, manifest(vec![row])).expect("it proves itself");
    let patient = RunOrder::default();
    let order = RunOrder {
        deadline: Some(deadline),
        ..patient
    };
    for cycle in 0..2 {
        fill(&mut host, cycle);
        assert_eq!(host.run_cir(patient)[0].disposition, Disposition::Ran, "{name}");
    }
    assert_eq!(host.run_cir(order)[0].disposition, disposition, "{name}");
    assert_eq!(host.cir_buffers(0).unwrap().taps[0].re, 0.0);
    assert_eq!(host.run_cir(patient)[0].disposition, Disposition::Skipped, "{name}");
    assert_eq!(host.given_up(), usize::from(disposition == Disposition::Timeout));
    let status = host.registry().snapshot()[0].clone();
    assert_eq!(status.state, PluginState::Failed);
    assert!(status.reason.contains(disposition.name()), "{}", status.reason);

    let order = host.recovery_order().expect("a stage failed");
    let ready = host.preparer().recover(&order).unwrap().expect("a linked stage");
    host.activate(ready.generation).unwrap();
    assert_eq!(host.run_cir(patient)[0].disposition, Disposition::Ran, "{name}");
    assert!(host.manifest().plugin(StageKind::Cir).unwrap().linked.is_some());
}

#[test]
fn a_panic_in_a_call() {
    check_in_call("panic-in-call", Duration::from_secs(60), Disposition::Panic);
}

#[test]
fn a_nan_in_a_call() {
    check_in_call("not-a-number", Duration::from_secs(60), Disposition::NonFinite);
}

#[test]
fn subnormals_switched_off_in_a_call() {
    check_in_call("flush-to-zero", Duration::from_secs(60), Disposition::FpEnv);
}

/// The thread that is given up spins on until the process ends; a short deadline keeps the test short.
#[test]
fn a_call_that_never_returns() {
    check_in_call("never-returns", Duration::from_millis(100), Disposition::Timeout);
}

/// Hangs in its first call.
struct Sleeper;

impl Method for Sleeper {
    const DESCRIPTION: Description = about("sleeper", StageKind::Cir);
    fn export_state(&self, _: &mut RVec<u8>) -> Result<(), StageError> {
        Ok(())
    }
    fn import_state(&mut self, _: &[u8]) -> Result<(), StageError> {
        Ok(())
    }
}

impl CirMethod for Sleeper {
    fn new(_: &Setup, _: &[CirLinkSpec]) -> Result<Self, StageError> {
        Ok(Self)
    }
    fn run(&mut self, _: &CirInput<'_>, _: &mut CirOutput<'_>) -> Result<(), StageError> {
        std::thread::sleep(Duration::MAX);
        Ok(())
    }
}

/// Threads that do not come back are counted, and with too many nothing new is built.
#[test]
fn too_many_calls_that_never_returned() {
    let given_up = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(64));
    let row = good_row("libbad_not_a_number.so", "");
    let Err(error) = Generation::prepare(&spec(2, MOODY), manifest(vec![row]), &Registry::default(), &given_up) else {
        panic!("it was built");
    };
    assert!(
        matches!(error, HostError::GivenUp { found: 64, allowed: 64 }),
        "{error}"
    );
}

#[test]
fn golden_vectors_that_never_return() {
    const SLEEPER: &[PluginModule] = &[linked::cir::<Sleeper>()];
    let spec = HostSpec {
        proof_time: Duration::from_millis(50),
        ..spec(1, SLEEPER)
    };
    let error = PluginHost::linked_manifest(&spec, ["", "", ""], Vec::new()).unwrap_err();
    let is = matches!(&error, HostError::Golden { why, .. } if why.contains("did not return"));
    assert!(is, "{error}");
}
