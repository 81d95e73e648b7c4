//! Bundles: what verifies, and that nothing else does.

use std::{collections::BTreeMap, io::Cursor};

use proptest::prelude::*;
use tapline_witness::{
    body::{KeyRole, PrivacyClass, PrivacyModeCode},
    bundle::{
        BundleError, FORMAT,
        build::{BundleRequest, InputsWithheld, LogSource, Prepared},
        read::{Bundle, EntryKind},
        tiles_needed, ustar,
    },
    checkpoint::Checkpoint,
    policy::Policy,
    tile::TileId,
    verify::{Level, Report, Seen, Verdict, VerifyRequest, verify},
};

use crate::memory_log::{MANIFEST, MemoryLog};

fn check(bundle: &[u8], policy: &Policy) -> Report {
    check_with(bundle, policy, &BTreeMap::new(), None)
}

fn check_with(bundle: &[u8], policy: &Policy, seen: &BTreeMap<String, Seen>, fresh: Option<(u64, u64)>) -> Report {
    let request = VerifyRequest {
        policy,
        seen,
        must_be_consistent: !seen.is_empty(),
        fresh,
        replay: false,
    };
    verify(Cursor::new(bundle), &request)
}

/// Content of each entry, in order.
fn take_apart(bundle: &[u8]) -> Vec<(String, Vec<u8>)> {
    let entries = ustar::index(&mut Cursor::new(bundle)).unwrap();
    entries
        .into_iter()
        .map(|entry| {
            (
                entry.name,
                bundle[entry.offset as usize..(entry.offset + entry.len) as usize].to_vec(),
            )
        })
        .collect()
}

fn put_together(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in entries {
        ustar::write_entry(&mut out, name, content).unwrap();
    }
    ustar::write_end(&mut out).unwrap();
    out
}

#[test]
fn a_bundle_proves_its_range() {
    let mut log = MemoryLog::new(1);
    log.cycles(700);
    let policy = log.policy();
    for (from, to) in [(0, 1), (2, 702), (300, 310), (255, 257), (511, 513), (701, 702)] {
        for inputs in [false, true] {
            let bundle = log.bundle(from, to, inputs);
            let report = check(&bundle, &policy);
            assert!(report.is_accepted(), "{from}..{to}: {report}");
            let first = report.cycles.map(|(first, _)| first);
            if to > 2 {
                assert_eq!(report.cycles.unwrap().1, to - 1);
                assert!(first.unwrap() <= from.max(2));
                assert_eq!(report.inputs_opened, if inputs { report.cycles_opened } else { 0 });
                // With inputs, the range begins at the keyframe a replay starts from.
                let state = EntryKind::State(first.unwrap());
                assert_eq!(
                    Bundle::open(Cursor::new(&bundle)).unwrap().has(&state),
                    inputs,
                    "{from}..{to}"
                );
            }
        }
    }
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let mut log = MemoryLog::new(1);
    log.cycles(300);
    assert_eq!(log.bundle(250, 290, true), log.bundle(250, 290, true));
}

#[test]
fn every_byte_matters() {
    let mut log = MemoryLog::new(1);
    log.cycles(3);
    let policy = log.policy();
    let bundle = log.bundle(2, 5, true);
    assert!(check(&bundle, &policy).is_accepted());
    let request = ustar::index(&mut Cursor::new(&bundle))
        .unwrap()
        .into_iter()
        .find(|e| e.name == "request")
        .unwrap();
    let informational = request.offset..request.offset + request.len;
    let mut changed = bundle.clone();
    for at in 0..bundle.len() {
        let bit = 1 << (at % 8);
        changed[at] ^= bit;
        let accepted = check(&changed, &policy).is_accepted();
        assert_eq!(accepted, informational.contains(&(at as u64)), "byte {at}");
        changed[at] ^= bit;
    }
    for cut in [
        0,
        1,
        511,
        512,
        bundle.len() - 1024,
        bundle.len() - 512,
        bundle.len() - 1,
    ] {
        assert!(!check(&bundle[..cut], &policy).is_accepted(), "cut at {cut}");
    }
    changed.push(0);
    assert!(!check(&changed, &policy).is_accepted());
}

#[test]
fn entries_left_out_added_or_changed_are_found() {
    let mut log = MemoryLog::new(1);
    log.cycles(300);
    let policy = log.policy();
    let entries = take_apart(&log.bundle(290, 295, true));
    let rejected = |entries: &[(String, Vec<u8>)], what: &str| {
        let report = check(&put_together(entries), &policy);
        assert!(!report.is_accepted(), "{what}: {report}");
        report.to_string()
    };
    for (index, (name, _)) in entries.iter().enumerate() {
        // Artefacts and openings may be left out: then less is disclosed. Everything else must be there.
        if ["request", "blob", "data", "state"]
            .iter()
            .any(|optional| name.starts_with(optional))
        {
            continue;
        }
        let mut fewer = entries.clone();
        fewer.remove(index);
        rejected(&fewer, name);
    }
    let add = |name: &str, content: &[u8]| {
        let mut more = entries.clone();
        more.push((name.into(), content.to_vec()));
        more[1..].sort();
        rejected(&more, name)
    };
    assert!(add(&format!("blob/{}", "0".repeat(64)), b"x").contains("not referenced by any leaf"));
    assert!(add("tile/0/005", &[0; 8192]).contains("not referenced"));
    assert!(add("state/290.bin", &[0; 40]).contains("not what the leaf commits to"));
    assert!(add("state/9999.bin", &[0; 40]).contains("belongs to no leaf"));
    assert!(add("data/7.bin", &[]).contains("belongs to no leaf"));
    assert!(add("data/07.bin", &[]).contains("no entry of a bundle has this name"));
    assert!(add("vkeys", b"log evil").contains("no entry of a bundle has this name"));
    let manifest = format!(
        "blob/{}",
        hex::encode(tapline_witness::hash::Domain::Manifest.hash(MANIFEST))
    );
    let mut other = entries.clone();
    other
        .iter_mut()
        .find(|(name, _)| *name == manifest)
        .unwrap()
        .1
        .push(b'#');
    assert!(rejected(&other, "manifest").contains("do not hash to its name"));
}

/// A bundle of a log as long as there can be, by nobody the policy knows: its tiles are looked at before it is refused.
pub(crate) fn of_the_largest_size() -> (Vec<u8>, MemoryLog) {
    let log = MemoryLog::new(1);
    let checkpoint = Checkpoint {
        origin: log.log.verifier().name().clone(),
        size: u64::MAX,
        root: [0; 32],
    };
    let note = checkpoint.sign(&[&log.signer(KeyRole::Log, 0x41)], 1_760_000_000);
    let tile = |id: TileId| (id.to_string(), vec![0; 32 * usize::from(id.width)]);
    let mut entries: Vec<(String, Vec<u8>)> = tiles_needed(u64::MAX, [0], None).into_iter().map(tile).collect();
    entries.push(("checkpoint".into(), note.into_bytes()));
    entries.push(("tile/entries/000".into(), vec![0; 512]));
    entries.sort();
    entries.insert(0, ("format".into(), FORMAT.to_vec()));
    (put_together(&entries), log)
}

#[test]
fn the_largest_size_there_can_be_does_no_harm() {
    let (bundle, log) = of_the_largest_size();
    let report = check(&bundle, &log.policy());
    assert!(
        matches!(report.verdict(Level::Authentic), Verdict::Fail(why) if why.contains("is by no known key")),
        "{report}"
    );
}

/// Bundles that open cycles in name only.
pub(crate) fn openings_of_nothing() -> (Vec<(&'static str, Vec<u8>)>, MemoryLog) {
    let mut log = MemoryLog::new(1);
    log.cycles(10);
    let entries = take_apart(&log.bundle(5, 8, false));
    let with = |data: Vec<u8>| {
        let mut entries = entries.clone();
        entries.iter_mut().find(|(name, _)| name == "data/0.bin").unwrap().1 = data;
        put_together(&entries)
    };
    let record = |seq: u64| [&seq.to_le_bytes()[..], &[0; 3]].concat();
    let bundles = vec![
        ("a record without a field", with(record(5))),
        ("records without a field", with([5, 6, 7].map(record).concat())),
        ("data without a record", with(Vec::new())),
    ];
    (bundles, log)
}

#[test]
fn what_opens_nothing_is_refused() {
    let (bundles, log) = openings_of_nothing();
    for (name, bundle) in bundles {
        let report = check(&bundle, &log.policy());
        assert!(report.to_string().contains("opens nothing"), "{name}: {report}");
        assert!(!report.is_accepted(), "{name}");
    }
}

#[test]
fn a_chain_that_is_not_in_the_tree_proves_nothing() {
    // Two logs with the same keys and ids but another cycle at 3: each leaf is well formed and chained.
    let mut honest = MemoryLog::new(1);
    honest.cycles(5);
    let mut forged = MemoryLog::new(1);
    forged.cycles(1);
    forged.class = PrivacyClass::Derived;
    forged.cycles(4);
    let mut entries = take_apart(&honest.bundle(2, 7, false));
    for (name, content) in take_apart(&forged.bundle(2, 7, false)) {
        if name.starts_with("tile/entries") || name.starts_with("data") {
            entries.iter_mut().find(|(known, _)| *known == name).unwrap().1 = content;
        }
    }
    let report = check(&put_together(&entries), &honest.policy());
    assert!(
        report
            .to_string()
            .contains("leaf 3: its bytes are not those hashed in the tree"),
        "{report}"
    );
}

#[test]
fn leaves_of_another_log_do_not_fit() {
    let (mut a, mut b) = (MemoryLog::new(1), MemoryLog::new(2));
    a.cycles(5);
    b.cycles(5);
    // Another policy, another log: nothing of b passes for a.
    let report = check(&b.bundle(2, 7, false), &a.policy());
    assert_eq!(
        report.verdict(Level::Authentic),
        &Verdict::Fail("the policy names no log tapline.test/2".into())
    );
    // b's leaves, tiles and data under a's name and keys: signed by a, but of another log id.
    std::mem::swap(&mut a.log, &mut b.log);
    std::mem::swap(&mut a.cosigner, &mut b.cosigner);
    std::mem::swap(&mut a.signing, &mut b.signing);
    let report = check(&b.bundle(2, 7, false), &b.policy());
    assert!(report.to_string().contains("log_id"), "{report}");
}

/// Logs in which the privacy mode changes, and the rule that each breaks.
pub(crate) fn mode_cases() -> Vec<(&'static str, MemoryLog, Option<&'static str>)> {
    use PrivacyModeCode::{CareWithConsent, PrivateHome, RawResearch};
    let log = |change: fn(&mut MemoryLog)| {
        let mut log = MemoryLog::new(1);
        log.cycles(3);
        change(&mut log);
        log.cycles(3);
        log
    };
    vec![
        (
            "mode with its leaf",
            log(|l| l.mode(RawResearch, CareWithConsent)),
            None,
        ),
        (
            "mode without a leaf",
            log(|l| l.mode = CareWithConsent),
            Some("privacy mode in force is 3, expected 0"),
        ),
        (
            "leaf with another mode before",
            log(|l| l.mode(PrivateHome, CareWithConsent)),
            Some("privacy mode before is 1, expected 0"),
        ),
        (
            "leaf that no cycle follows",
            log(|l| {
                l.mode(RawResearch, CareWithConsent);
                l.mode = RawResearch;
            }),
            Some("privacy mode in force is 0, expected 3"),
        ),
    ]
}

#[test]
fn rules_between_leaves_are_checked() {
    // A second boot in the middle: its cycles need its BOOT leaf, which is carried along.
    let mut log = MemoryLog::new(1);
    log.cycles(600);
    log.boot_id = [77; 16];
    let size = log.size();
    log.boot(size);
    log.cycles(600);
    let bundle = log.bundle(1100, 1110, false);
    let report = check(&bundle, &log.policy());
    assert!(report.is_accepted(), "{report}");
    assert_eq!(
        report.leaves,
        256 + 179,
        "the tile of the BOOT leaf and that of the range"
    );
    for (name, log, broken) in mode_cases() {
        let report = check(&log.bundle(4, log.size(), false), &log.policy());
        match broken {
            None => assert!(report.is_accepted(), "{name}: {report}"),
            Some(words) => assert!(report.to_string().contains(words), "{name}: {report}"),
        }
    }
    // A boot that does not know what it found.
    let mut log = MemoryLog::new(1);
    log.cycles(3);
    log.boot_id = [77; 16];
    log.boot(2);
    log.cycles(3);
    let report = check(&log.bundle(2, log.size(), false), &log.policy());
    assert!(
        report.to_string().contains("recovered size is 2, expected 5"),
        "{report}"
    );
}

#[test]
fn a_log_that_was_longer_or_other_before_is_not_consistent() {
    let mut log = MemoryLog::new(1);
    log.cycles(300);
    let before = Seen {
        size: log.size(),
        root: log.root(),
    };
    let old = log.checkpoint();
    log.cycles(900);
    let origin = log.log.verifier().name().to_string();
    let request = BundleRequest {
        from: 500,
        to: 510,
        inputs: false,
        checkpoint: log.checkpoint(),
        old: Some(old.clone()),
    };
    let (bundle, _) = log.bundle_of(request);
    let seen = |size, root| BTreeMap::from([(origin.clone(), Seen { size, root })]);
    let consistent = |seen: &BTreeMap<String, Seen>| {
        check_with(&bundle, &log.policy(), seen, None)
            .verdict(Level::Consistent)
            .clone()
    };
    assert_eq!(consistent(&seen(before.size, before.root)), Verdict::Pass);
    assert_eq!(check(&bundle, &log.policy()).verdict(Level::Consistent), &Verdict::Pass);
    assert!(matches!(consistent(&seen(before.size, [1; 32])), Verdict::Fail(reason) if reason.starts_with("fork")));
    assert!(matches!(consistent(&seen(9999, [1; 32])), Verdict::Fail(reason) if reason.contains("had 9999 leaves")));
    // The tiles for another old size are not in it: that is said, and does not pass for a check.
    let other = check_with(&bundle, &log.policy(), &seen(700, [1; 32]), None);
    assert!(matches!(other.verdict(Level::Consistent), Verdict::NotChecked(_)));
    assert!(!other.is_accepted());
    // Nor does a log of which nothing is remembered: its own checkpoint.old is as good as whoever hands it over.
    let stranger = BTreeMap::from([("tapline.test/9".to_owned(), before)]);
    let first = check_with(&bundle, &log.policy(), &stranger, None);
    assert!(matches!(first.verdict(Level::Consistent), Verdict::NotChecked(why) if why.starts_with("first seen")));
    assert!(!first.is_accepted());
    // Without checkpoint.old in it and without a state file nothing was compared.
    let plain = check(&log.bundle(500, 510, false), &log.policy());
    assert!(matches!(plain.verdict(Level::Consistent), Verdict::NotChecked(_)));
    assert!(plain.is_accepted());
    assert_eq!(
        plain.seen(),
        Some((
            origin,
            Seen {
                size: log.size(),
                root: log.root()
            }
        ))
    );
}

#[test]
fn witnesses_and_time_are_what_the_policy_asks() {
    let mut log = MemoryLog::new(1);
    log.cycles(3);
    let bundle = log.bundle(2, 5, false);
    let witnessed = Policy::parse(&log.policy_text("time")).unwrap();
    assert_eq!(check(&bundle, &witnessed).verdict(Level::Witnessed), &Verdict::Pass);
    let other = MemoryLog::new(2).cosigner.verifier().to_vkey();
    let text = log
        .policy_text("none")
        .replace("quorum none", &format!("witness w {other}\nquorum w"));
    let report = check(&bundle, &Policy::parse(&text).unwrap());
    assert!(matches!(report.verdict(Level::Witnessed), Verdict::Fail(_)) && !report.is_accepted());
    let fresh = |now_s| check_with(&bundle, &log.policy(), &BTreeMap::new(), Some((now_s, 60))).is_accepted();
    assert!(fresh(1_760_000_030));
    assert!(!fresh(1_760_086_400));
    // A policy that does not know the cosigner rejects its line.
    let only_log = format!("log {}\nquorum none\n", log.log.verifier().to_vkey());
    let report = check(&bundle, &Policy::parse(&only_log).unwrap());
    assert!(matches!(report.verdict(Level::Authentic), Verdict::Fail(_)));
}

#[test]
fn raw_input_is_withheld_where_privacy_or_time_took_it() {
    let mut log = MemoryLog::new(1);
    log.cycles(5);
    log.class = PrivacyClass::Anonymous;
    log.cycles(5);
    let request = |from, to| BundleRequest {
        from,
        to,
        inputs: true,
        checkpoint: log.checkpoint(),
        old: None,
    };
    let (bundle, withheld) = log.bundle_of(request(2, 12));
    assert_eq!(withheld, Some(InputsWithheld::Privacy));
    let report = check(&bundle, &log.policy());
    assert!(report.is_accepted());
    assert_eq!((report.cycles_opened, report.inputs_opened), (10, 0));
    assert_eq!(log.bundle_of(request(2, 7)).1, None);
    let mut forgetful = MemoryLog::new(1);
    forgetful.cycles(5);
    forgetful.kept.get_mut(&4).unwrap().fields[0] = None;
    let request = BundleRequest {
        checkpoint: forgetful.checkpoint(),
        ..request(2, 7)
    };
    assert_eq!(forgetful.bundle_of(request).1, Some(InputsWithheld::Forgotten));
}

#[test]
fn impossible_ranges_are_refused() {
    let mut log = MemoryLog::new(1);
    log.cycles(3);
    for (from, to) in [(3, 3), (4, 3), (0, 6), (5, 6), (0, u64::MAX)] {
        let request = BundleRequest {
            from,
            to,
            inputs: false,
            checkpoint: log.checkpoint(),
            old: None,
        };
        assert!(Prepared::new(&log, request).is_err(), "{from}..{to}");
    }
    let _ = LogSource::kept(&log, 2);
}

#[test]
fn hostile_containers_are_refused() {
    let mut log = MemoryLog::new(1);
    log.cycles(3);
    let bundle = log.bundle(2, 5, false);
    let header_of = |at: usize| {
        let mut changed = bundle.clone();
        move |edit: &dyn Fn(&mut [u8])| {
            let header = &mut changed[at..at + 512];
            edit(header);
            header[148..156].copy_from_slice(b"        ");
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            Bundle::open(Cursor::new(changed)).map(|_| ()).unwrap_err()
        }
    };
    let second = 1024;
    let plain = |error: BundleError| assert!(matches!(error, BundleError::Container { .. }), "{error}");
    for kind in *b"123456789xgLKSVM\0" {
        plain(header_of(second)(&|header| header[156] = kind));
    }
    plain(header_of(second)(&|header| {
        header[100..107].copy_from_slice(b"0000755")
    }));
    plain(header_of(second)(&|header| {
        header[136..147].copy_from_slice(b"00000000001")
    }));
    plain(header_of(second)(&|header| header[265] = b'r'));
    plain(header_of(second)(&|header| header[345] = b'p'));
    plain(header_of(second)(&|header| {
        header[257..265].copy_from_slice(b"ustar  \0")
    }));
    plain(header_of(second)(&|header| {
        header[124..136].copy_from_slice(b"-0000000001\0")
    }));
    plain(header_of(second)(&|header| {
        header[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 1])
    }));
    let huge = header_of(second)(&|header| header[124..136].copy_from_slice(b"77777777777\0"));
    assert!(
        matches!(
            huge,
            BundleError::Limit {
                what: "length of an entry",
                ..
            }
        ),
        "{huge}"
    );
    for name in [
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "A",
        "a b",
        "a\\b",
        "",
        "./a",
        "a/.",
    ] {
        let error = header_of(second)(&|header| {
            header[..100].fill(0);
            header[..name.len()].copy_from_slice(name.as_bytes());
        });
        plain(error);
    }
    // Twice, out of order, `format` not first.
    let mut entries = take_apart(&bundle);
    entries.insert(2, entries[1].clone());
    assert!(matches!(
        Bundle::open(Cursor::new(put_together(&entries))),
        Err(BundleError::Order { .. })
    ));
    entries.remove(2);
    entries.swap(1, 2);
    assert!(matches!(
        Bundle::open(Cursor::new(put_together(&entries))),
        Err(BundleError::Order { .. })
    ));
    entries.swap(0, 1);
    assert!(Bundle::open(Cursor::new(put_together(&entries))).is_err());
}

proptest! {
    #[test]
    fn hostile_bytes_do_no_harm(bytes: Vec<u8>, at in any::<prop::sample::Index>(), value: u8) {
        let mut log = MemoryLog::new(1);
        log.cycles(2);
        let policy = log.policy();
        prop_assert!(!check(&bytes, &policy).is_accepted());
        let mut changed = log.bundle(2, 4, true);
        let at = at.index(changed.len());
        changed[at] = value;
        let _ = check(&changed, &policy);
        let _ = tapline_witness::bundle::data::cycles(&bytes).count();
    }

    #[test]
    fn hostile_policies_do_no_harm(text in "(log|witness|group|quorum| |\n|none|any|a|b|1|\\PC){0,40}") {
        let _ = Policy::parse(&text);
    }
}
