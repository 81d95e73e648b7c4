//! The shipped libraries: the same code linked and loaded, the gate's list, and races on the path.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tapline_plugin_api::{StageKind, conformance};
use tapline_server::host::{
    HostError, HostSpec, PluginHost, RunOrder, gate,
    load::{self, load_unlisted},
    manifest::{CpuLevel, PluginRow},
    stages,
};

use crate::tools::{SHIPPED, fill, good_row, manifest, plugin_dir, row, spec};

const LIBRARIES: [(&str, &str); 4] = [
    ("libcir_dense.so", "cir-dense"),
    ("libcir_fft.so", "cir-fft"),
    ("libtomography.so", "tomography"),
    ("libplugin_minimal.so", "minimal"),
];

/// One suite for any plugin, in the loaded library itself: its own allocator counts.
fn keeps_the_contract((file, name): (&str, &str)) {
    let (examined, loaded) = load_unlisted(&plugin_dir().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    assert_eq!((loaded.module.describe)().name.as_str(), name);
    assert_eq!(examined.passed.build_id.len(), 20, "{file} has a build id");
    let counter = loaded.allocations.expect("it exports its allocations");
    let report = conformance::check(&loaded.module, Some(&|| counter()));
    assert!(
        report.findings.is_empty() && report.allocations_counted,
        "{file}:\n{report}"
    );
}

/// By far the longest, so beside the others.
#[test]
fn the_loaded_dense_cir_keeps_the_contract() {
    keeps_the_contract(LIBRARIES[0]);
}

#[test]
fn the_other_loaded_plugins_keep_the_contract() {
    LIBRARIES[1..].iter().copied().for_each(keeps_the_contract);
}

/// A stage linked in and the same one loaded from a file give equal bits.
#[test]
fn linked_and_loaded_stages_prove_the_same() {
    for module in SHIPPED {
        let about = (module.describe)();
        let Some((file, _)) = LIBRARIES.iter().find(|(_, name)| *name == about.name.as_str()) else {
            continue;
        };
        let row = good_row(file, "");
        let linked = conformance::prove(module).unwrap();
        assert_eq!(row.golden.0, linked.digest, "{}", about.name);
    }
}

#[test]
fn linked_and_loaded_stages_give_the_same_cycle() {
    let answers = |mut host: PluginHost| {
        let mut bits = Vec::new();
        for cycle in 0..5 {
            fill(&mut host, cycle);
            host.run_cir(RunOrder::default());
            host.run_tomography(RunOrder::default());
            for group in 0..host.groups() {
                let b = host.cir_buffers(group).unwrap();
                bits.extend(b.taps.iter().flat_map(|t| [t.re.to_bits(), t.im.to_bits()]));
                bits.extend(b.summaries.iter().map(|s| s.objective.to_bits()));
            }
            bits.extend(host.tomography_output().unwrap().mean.iter().map(|v| v.to_bits()));
        }
        assert!(bits.iter().any(|b| *b != 0));
        bits
    };
    let linked = PluginHost::linked_manifest(&spec(10, SHIPPED), ["cir-fft", "tomography", ""], Vec::new()).unwrap();
    let linked = PluginHost::new(spec(10, SHIPPED), linked).unwrap();
    let loaded = manifest(vec![good_row("libcir_fft.so", ""), good_row("libtomography.so", "")]);
    let loaded = PluginHost::new(spec(10, &[]), loaded).unwrap();
    assert_ne!(linked.manifest_hash(), loaded.manifest_hash());
    assert_eq!(answers(linked), answers(loaded));
}

#[test]
fn the_allow_list_is_what_plugins_import() {
    let mut imported = BTreeSet::new();
    for (file, name) in LIBRARIES {
        let bytes = fs::read(plugin_dir().join(file)).unwrap();
        let uses_rustfft = name == "cir-fft";
        let passed = gate::check(&bytes, uses_rustfft).unwrap_or_else(|e| panic!("{file}: {e}"));
        imported.extend(passed.imports);
    }
    // A plugin that says it does without rustfft may not have what it needs.
    let bytes = fs::read(plugin_dir().join("libcir_fft.so")).unwrap();
    assert!(gate::check(&bytes, false).is_err());
    assert!(imported.contains("malloc"));
}

/// Cuts of a library and changed bytes in its tables end in an error or a pass: never a panic.
#[test]
fn the_gate_survives_any_bytes() {
    let bytes = fs::read(plugin_dir().join("libplugin_minimal.so")).unwrap();
    for cut in (0..4096).step_by(7).chain((4096..bytes.len()).step_by(65_537)) {
        let _ = gate::check(&bytes[..cut], false);
    }
    let mut seed = 1_u64;
    let mut changed = bytes.clone();
    for _ in 0..300 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Headers and dynamic tables stand in front.
        let at = (seed >> 33) as usize % 20_000;
        let old = changed[at];
        changed[at] = (seed >> 24) as u8;
        let _ = gate::check(&changed, false);
        changed[at] = old;
    }
    assert_eq!(changed, bytes);
}

/// A thread keeps changing what the path names while libraries are loaded from it: what is loaded is always what the
/// manifest's digest names, or nothing.
#[test]
fn a_race_on_the_path_never_loads_other_code() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.so");
    let minimal = fs::read(plugin_dir().join("libplugin_minimal.so")).unwrap();
    let other = plugin_dir().join("libtomography.so");
    // Bytes after the end of an ELF file change its digest and nothing else: each variant is loaded anew.
    let variants: Vec<Vec<u8>> = (0..6_u8).map(|i| [minimal.as_slice(), &[i]].concat()).collect();
    let rows: Vec<PluginRow> = variants
        .iter()
        .map(|bytes| {
            fs::write(&path, bytes).unwrap();
            let mut row = row(dir.path(), "plugin.so", "minimal");
            row.stage = StageKind::Tomography;
            row
        })
        .collect();
    let stop = AtomicBool::new(false);
    // A panic here would leave the other thread running, and the scope waiting for it.
    let mut wrong = None;
    thread::scope(|scope| {
        scope.spawn(|| {
            let aside = dir.path().join("aside");
            let mut turn = 0;
            while !stop.load(Ordering::Relaxed) {
                turn += 1;
                match turn % 4 {
                    // Rewritten in place, renamed over, linked, gone.
                    0 => drop(fs::write(&path, &variants[turn % variants.len()])),
                    1 => {
                        let _ = fs::copy(&other, &aside).and_then(|_| fs::rename(&aside, &path));
                    }
                    2 => {
                        let _ = std::os::unix::fs::symlink(&other, &aside).and_then(|()| fs::rename(&aside, &path));
                    }
                    _ => drop(fs::remove_file(&path)),
                }
            }
        });
        for turn in 0..400 {
            let row = &rows[turn % rows.len()];
            match load::load(dir.path(), row, None, &mut |_, _| {}) {
                Ok(loaded) if (loaded.module.describe)().name.as_str() == "minimal" => {}
                Ok(loaded) => wrong = Some(format!("loaded {}", (loaded.module.describe)().name)),
                Err(HostError::FileDiffers { .. } | HostError::Read { .. }) => {}
                Err(other) => wrong = Some(other.to_string()),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(wrong, None);
    for (row, bytes) in rows.iter().zip(&variants) {
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
        let loaded = load::load(dir.path(), row, None, &mut |_, _| {}).expect("the race is over");
        assert_eq!((loaded.module.describe)().name.as_str(), "minimal");
    }
    // Each library's descriptor stays open for ever.
    let sealed = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let sealed = sealed.filter_map(|fd| fs::read_link(fd.path()).ok());
    let open = sealed
        .filter(|to| to.to_string_lossy().starts_with("/memfd:tapline-"))
        .count();
    assert!(open >= load::libraries().min(rows.len()), "{open}");
}

#[test]
fn the_same_bytes_are_loaded_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(plugin_dir().join("libcir_dense.so"), dir.path().join("copy.so")).unwrap();
    let (_, one) = load_unlisted(&plugin_dir().join("libcir_dense.so")).unwrap();
    let (_, two) = load_unlisted(&dir.path().join("copy.so")).unwrap();
    assert_eq!(one.module.new_cir as usize, two.module.new_cir as usize);
}

#[test]
fn a_build_is_picked_by_machine() {
    let mut row = good_row("libcir_dense.so", "");
    row.builds[0].cpu = CpuLevel::V4;
    let spec = HostSpec {
        cpu: Some(CpuLevel::V3),
        ..spec(1, &[])
    };
    let Err(error) = PluginHost::new(spec, manifest(vec![row])) else {
        panic!("it was accepted");
    };
    assert!(
        matches!(&error, HostError::NoBuild { cpu, .. } if cpu == "v3"),
        "{error}"
    );
}

#[test]
fn files_that_are_no_libraries_are_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let check = |bytes: &[u8]| {
        let path = dir.path().join("x.so");
        fs::write(&path, bytes).unwrap();
        let error = load::examine(&path).unwrap_err();
        assert!(matches!(error, HostError::Gate { .. }), "{error}");
    };
    check(b"");
    check(b"#!/bin/sh\n");
    // A program, and one below the size limit in every profile, which this test's own is not.
    check(&fs::read("/bin/sh").unwrap());
    assert!(matches!(
        load::examine(Path::new("/nowhere/x.so")),
        Err(HostError::Read { .. })
    ));
    assert!(stages::LINKED.len() >= 3);
}
