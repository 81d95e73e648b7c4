//! Keys that are exchanged while the log goes on: what a verifier accepts across it, and what it refuses.

use std::{collections::BTreeMap, io::Cursor};

use tapline_witness::{
    body::{
        Body, Genesis, Key, KeyAction, KeyRole,
        PrivacyModeCode::{CareWithConsent, PrivateHome, RawResearch},
    },
    bundle::build::BundleRequest,
    checkpoint::Checkpoint,
    codec::Text,
    hash::{log_id, witness},
    keyset::{KeySet, KeySetError},
    leaf::{self, Header, Kind},
    note::{KeyType, Name, Signer, Verifier},
    policy::Policy,
    tree::leaf_hash,
    verify::{Level, Report, Verdict, VerifyRequest, verify},
};

use crate::memory_log::MemoryLog;

use KeyAction::{Added, Retired};
use KeyRole::{Cosigner, Log};

/// A bundle, a policy, and the level that fails with these words; none when it is accepted.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) bundle: Vec<u8>,
    pub(crate) policy: String,
    fails: Option<(Level, &'static str)>,
}

/// Seeds: the first log key and cosigner of `MemoryLog::new(1)`, those that take over, and a stranger's.
const OLD: u8 = 1;
const NEW: u8 = 0x21;
const OLD_TIME: u8 = 101;
const NEW_TIME: u8 = 0x31;
const STRANGER: u8 = 0x41;

/// The log before, between and after the rotation of a key, with the checkpoint of each time.
struct History {
    before: (u64, String),
    between: (u64, String),
    after: (u64, String),
    /// When both signed.
    overlap: MemoryLog,
    log: MemoryLog,
}

fn both(role: KeyRole) -> Vec<(KeyRole, u8)> {
    match role {
        Log => vec![(Log, OLD), (Log, NEW), (Cosigner, OLD_TIME)],
        Cosigner => vec![(Log, OLD), (Cosigner, OLD_TIME), (Cosigner, NEW_TIME)],
    }
}

fn only_new(role: KeyRole) -> Vec<(KeyRole, u8)> {
    match role {
        Log => vec![(Log, NEW), (Cosigner, OLD_TIME)],
        Cosigner => vec![(Log, OLD), (Cosigner, NEW_TIME)],
    }
}

fn rotate(role: KeyRole) -> History {
    let (old, new) = match role {
        Log => (OLD, NEW),
        Cosigner => (OLD_TIME, NEW_TIME),
    };
    let build = |until_retired: bool| {
        let mut log = MemoryLog::new(1);
        log.cycles(10);
        let before = log.checkpoint();
        log.key(role, Added, new);
        log.signing = both(role);
        log.cycles(5);
        let between = log.checkpoint();
        if until_retired {
            log.key(role, Retired, old);
            log.signing = only_new(role);
            log.cycles(5);
        }
        (log, before, between)
    };
    let (overlap, ..) = build(false);
    let (log, before, between) = build(true);
    History {
        before,
        between,
        after: log.checkpoint(),
        overlap,
        log,
    }
}

fn cut(log: &MemoryLog, range: (u64, u64), checkpoint: (u64, String), old: Option<&(u64, String)>) -> Vec<u8> {
    let request = BundleRequest {
        from: range.0,
        to: range.1,
        inputs: false,
        checkpoint,
        old: old.cloned(),
    };
    log.bundle_of(request).0
}

/// What the operator hands out after the rotation.
fn new_policy(log: &MemoryLog) -> String {
    let leaf = |seq: usize| leaf::decode(&log.leaves[seq]).unwrap().body;
    let Body::Genesis(genesis) = leaf(0) else {
        panic!("no GENESIS")
    };
    let mut set = KeySet::of(&genesis).unwrap();
    for seq in 0..log.leaves.len() {
        if let Body::Key(key) = leaf(seq) {
            set.apply(seq as u64, &key).unwrap();
        }
    }
    set.policy()
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name, bundle, policy: &str, fails| {
        cases.push(Case {
            name,
            bundle,
            policy: policy.to_owned(),
            fails,
        });
    };
    for role in [Log, Cosigner] {
        let h = rotate(role);
        let old_policy = MemoryLog::new(1).policy_text("none");
        let new_policy = new_policy(&h.log);
        let range = (2, 9);
        let mut young = MemoryLog::new(1);
        young.cycles(10);
        let authentic = |words| Some((Level::Authentic, words));
        add(
            "before, new policy",
            cut(&young, range, h.before.clone(), None),
            &new_policy,
            None,
        );
        add(
            "both sign, old policy",
            cut(&h.overlap, range, h.between.clone(), None),
            &old_policy,
            None,
        );
        add(
            "both sign, new policy",
            cut(&h.overlap, range, h.between.clone(), None),
            &new_policy,
            None,
        );
        add(
            "after, new policy",
            cut(&h.log, range, h.after.clone(), None),
            &new_policy,
            None,
        );
        add(
            "after, new policy, continued",
            cut(&h.log, range, h.after.clone(), Some(&h.before)),
            &new_policy,
            None,
        );
        add(
            "after, old policy, vouched for by the checkpoint both signed",
            cut(&h.log, range, h.after.clone(), Some(&h.between)),
            &old_policy,
            None,
        );
        if role == Log {
            let cosigner = h.log.signer(Cosigner, OLD_TIME).verifier().to_vkey();
            let only_new = format!(
                "log {}\nwitness time {cosigner}\nquorum none\n",
                h.log.signer(Log, NEW).verifier().to_vkey()
            );
            add(
                "after, a policy that never knew the first key",
                cut(&h.log, range, h.after.clone(), None),
                &only_new,
                None,
            );
            add(
                "after, old policy, nobody vouches",
                cut(&h.log, range, h.after.clone(), None),
                &old_policy,
                authentic("no signature line by tapline.test/1"),
            );
            add(
                "after, old policy, the older checkpoint does not cover the KEY leaf",
                cut(&h.log, range, h.after.clone(), Some(&h.before)),
                &old_policy,
                authentic("no KEY leaf below size 12"),
            );
            // The old key vouches for another tree, in which the KEY leaf stands as well.
            let mut fork = MemoryLog::new(1);
            fork.cycles(11);
            fork.key(Log, Added, NEW);
            fork.cycles(4);
            add(
                "after, old policy, the older checkpoint is of a fork",
                cut(&h.log, range, h.after.clone(), Some(&fork.signed_by(&both(Log)))),
                &old_policy,
                authentic("of another tree"),
            );
        }
        let mut retired_signs = both(role);
        add(
            "a retired key signs on",
            cut(&h.log, range, h.log.signed_by(&retired_signs), None),
            &new_policy,
            authentic("was retired with leaf 18"),
        );
        let unaware: String = new_policy
            .lines()
            .filter(|l| !l.starts_with('#'))
            .map(|l| format!("{l}\n"))
            .collect();
        add(
            "a retired key signs on, and the policy does not know that it is",
            cut(&h.log, range, h.log.signed_by(&retired_signs), None),
            &unaware,
            authentic("is not in force and signs"),
        );
        // Whoever has stolen the retired key goes on without the KEY leaves.
        let mut stolen = MemoryLog::new(1);
        stolen.cycles(30);
        add(
            "a stolen retired key goes on alone",
            cut(&stolen, range, stolen.checkpoint(), None),
            &new_policy,
            authentic("was retired with leaf 18"),
        );
        retired_signs.retain(|(_, seed)| ![NEW, NEW_TIME].contains(seed));
        add(
            "the new key does not sign beside the old one",
            cut(&h.overlap, range, h.overlap.signed_by(&retired_signs), None),
            &old_policy,
            authentic("is in force and does not sign"),
        );
        let mut strange = both(role);
        for (_, seed) in &mut strange {
            if [NEW, NEW_TIME].contains(seed) {
                *seed = STRANGER;
            }
        }
        add(
            "a key signs that no leaf adds",
            cut(&h.overlap, range, h.overlap.signed_by(&strange), None),
            &old_policy,
            authentic("is by no known key"),
        );
        for (name, then) in [
            ("a third key is added", (role, Added, STRANGER)),
            (
                "a key is added twice",
                (role, Added, if role == Log { NEW } else { NEW_TIME }),
            ),
            ("a stranger's key is retired", (role, Retired, STRANGER)),
        ] {
            let mut log = rotate(role).overlap;
            log.key(then.0, then.1, then.2);
            log.cycles(2);
            let words = match then.1 {
                Added if then.2 == STRANGER => "is a third one",
                Added => "was a key of this log before",
                Retired => "is none that signs",
            };
            let checkpoint = log.signed_by(&both(role));
            add(
                name,
                cut(&log, range, checkpoint, None),
                &old_policy,
                Some((Level::Integrity, words)),
            );
        }
    }
    cases.extend(left_out());
    let mut add = |name, bundle, policy: &str, fails| {
        cases.push(Case {
            name,
            bundle,
            policy: policy.to_owned(),
            fails,
        });
    };
    let mut last = MemoryLog::new(1);
    last.cycles(3);
    last.key(Log, Retired, OLD);
    last.cycles(3);
    let policy = last.policy_text("none");
    add(
        "the only key is retired",
        cut(&last, (2, 5), last.checkpoint(), None),
        &policy,
        Some((Level::Integrity, "is the only one of its role")),
    );
    // A cosigner's key under the name of the log's: it would sign plain notes.
    let mut confused = MemoryLog::new(1);
    confused.cycles(3);
    let public_key = confused.signer(Log, NEW).verifier().public_key();
    let key = Key {
        role: Cosigner,
        action: Added,
        name: Text::new("tapline.test/1"),
        public_key,
    };
    confused.append(key.into(), 0);
    confused.cycles(3);
    let checkpoint = confused.signed_by(&both(Log));
    add(
        "a key of one role signs as another",
        cut(&confused, (2, 5), checkpoint, None),
        &policy,
        Some((Level::Authentic, "is by no known key")),
    );
    cases
}

/// Since a KEY leaf brings its tile and tile 0 into every bundle, tiles between them are left out, and with them what was
/// put in force there. An honest bundle failed INTEGRITY for it, whatever range it was of.
fn left_out() -> Vec<Case> {
    let other = |byte| [byte; 32];
    // Tile 0, left-out tile 1, tile 2 with the KEY leaf, left-out tile 3, and another boot.
    let history = |change: &dyn Fn(&mut MemoryLog), in_tile_2: &dyn Fn(&mut MemoryLog)| {
        let mut log = MemoryLog::new(1);
        log.cycles(298);
        change(&mut log);
        log.cycles(520_u64.saturating_sub(log.size()));
        log.key(Log, Added, NEW);
        log.signing = both(Log);
        log.cycles(10);
        in_tile_2(&mut log);
        log.cycles(500);
        log.boot_id = [77; 16];
        let size = log.size();
        log.boot(size);
        log.cycles(300);
        log
    };
    let policy = MemoryLog::new(1).policy_text("none");
    let case = |name, log: &MemoryLog, (from, to), fails| Case {
        name,
        bundle: cut(log, (from, to), log.checkpoint(), None),
        policy: policy.clone(),
        fails,
    };
    let nothing: &dyn Fn(&mut MemoryLog) = &|_| {};
    let learned: &dyn Fn(&mut MemoryLog) = &|l| l.calibrate(other(1));
    let mode: &dyn Fn(&mut MemoryLog) = &|l| l.mode(RawResearch, CareWithConsent);
    let at_the_end = |log: &MemoryLog| (log.size() - 10, log.size());
    let mut cases = Vec::new();
    for (name, change, in_tile_2) in [
        ("a calibration was learned in a tile left out", learned, nothing),
        ("and another one later", learned, &|l: &mut MemoryLog| {
            l.calibrate(other(2))
        }),
        ("a mode changed in a tile left out", mode, nothing),
        ("and again later", mode, &|l: &mut MemoryLog| {
            l.mode(CareWithConsent, RawResearch);
        }),
        (
            "a SWAP leaf of a tile left out takes effect in the next",
            &|l: &mut MemoryLog| {
                l.cycles(505 - l.size());
                l.swap_after(20, other(3));
            },
            nothing,
        ),
    ] as [(_, &dyn Fn(&mut MemoryLog), &dyn Fn(&mut MemoryLog)); 5]
    {
        let log = history(change, in_tile_2);
        cases.push(case(name, &log, at_the_end(&log), None));
    }
    let integrity = |words| Some((Level::Integrity, words));
    for (name, in_tile_2, words) in [
        (
            "a calibration that no leaf names, after one shown with it",
            &|l: &mut MemoryLog| {
                l.calibrate(other(2));
                l.cycle();
                l.calibration = other(4);
            },
            "calibration in force is 0404",
        ),
        (
            "a mode that no leaf names, after one shown with it",
            &|l: &mut MemoryLog| {
                l.mode(CareWithConsent, RawResearch);
                l.cycle();
                l.mode = CareWithConsent;
            },
            "privacy mode in force is 3, expected 0",
        ),
        (
            "a leaf with another mode before, after one shown with it",
            &|l: &mut MemoryLog| {
                l.mode(CareWithConsent, RawResearch);
                l.cycle();
                l.mode(PrivateHome, RawResearch);
            },
            "privacy mode before is 1, expected 0",
        ),
    ] as [(_, &dyn Fn(&mut MemoryLog), _); 3]
    {
        let log = history(mode, in_tile_2);
        cases.push(case(name, &log, at_the_end(&log), integrity(words)));
    }
    // No leaf says under which calibration these ran: no gap hides that once they are opened, nor at the start.
    let forged = history(&|l| l.calibration = other(4), nothing);
    cases.push(case(
        "opened cycles under a calibration that no leaf names",
        &forged,
        (540, 550),
        integrity("do not tell what was in force"),
    ));
    cases.push(case(
        "a calibration that no leaf names, without a gap",
        &forged,
        (200, 310),
        integrity("calibration in force is 0404"),
    ));
    cases
}

fn check(case: &Case) -> Report {
    let policy = Policy::parse(&case.policy).unwrap();
    let seen = BTreeMap::new();
    let request = VerifyRequest {
        policy: &policy,
        seen: &seen,
        must_be_consistent: false,
        fresh: None,
        replay: false,
    };
    verify(Cursor::new(&case.bundle), &request)
}

#[test]
fn a_rotation_is_followed_and_a_false_one_is_not() {
    for case in cases() {
        let report = check(&case);
        let Some((level, words)) = case.fails else {
            assert!(report.is_accepted(), "{}: {report}", case.name);
            continue;
        };
        assert!(!report.is_accepted(), "{}: {report}", case.name);
        match report.verdict(level) {
            Verdict::Fail(why) if why.contains(words) => {}
            other => panic!(
                "{}: expected {} to fail with {words:?}, found {other:?}",
                case.name,
                level.name()
            ),
        }
    }
}

/// Every byte of a bundle across a rotation matters, to the policy of before as to the one of after.
#[test]
fn no_flipped_byte_of_a_rotation_passes() {
    let h = rotate(Log);
    for (bundle, policy) in [
        (
            cut(&h.log, (12, 20), h.after.clone(), Some(&h.between)),
            MemoryLog::new(1).policy_text("none"),
        ),
        (
            cut(&h.log, (12, 20), h.after.clone(), Some(&h.between)),
            new_policy(&h.log),
        ),
    ] {
        let mut case = Case {
            name: "flip",
            bundle: bundle.clone(),
            policy,
            fails: None,
        };
        assert!(check(&case).is_accepted());
        let request = bundle.windows(8).position(|w| w == b"request\0").expect("a header") + 512;
        for at in (0..bundle.len()).step_by(11) {
            if (request..request + 512).contains(&at) {
                continue;
            }
            case.bundle.clone_from(&bundle);
            case.bundle[at] ^= 1 << (at % 8);
            assert!(!check(&case).is_accepted(), "byte {at}");
        }
    }
}

fn verifier(name: &str, key_type: KeyType, seed: u8) -> Verifier {
    Signer::from_seed(Name::new(name).unwrap(), key_type, &[seed; 32]).verifier()
}

/// Computed by a Python program with its own BLAKE3 and Ed25519 that shares no code with ours.
#[test]
fn keys_leaf_and_note_are_the_known_ones() {
    let origin = "tapline.test/1";
    let old = verifier(origin, KeyType::Ed25519, OLD);
    let new = verifier(origin, KeyType::Ed25519, NEW);
    let time = verifier("tapline.test/1/time", KeyType::Cosignature, OLD_TIME);
    assert_eq!(
        old.to_vkey(),
        "tapline.test/1+d8f7e874+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    );
    assert_eq!(
        new.to_vkey(),
        "tapline.test/1+1713e59e+AYhLiFf06qFhPGFQTbNNS+rzRlF6DjHePN3U2bQgHZ0L"
    );
    assert_eq!(
        time.to_vkey(),
        "tapline.test/1/time+c00cf675+BNYvAWoe/R5P33k+tCzYRHHhup8M8E0Sh7XMcfYWKHy4"
    );
    let header = Header {
        kind: Kind::Key,
        flags: 0,
        log_id: log_id(origin, &old.public_key()),
        seq: 3,
        prev: [2; 32],
        boot_id: [5; 16],
        tick: 1,
        mono_ns: 4,
        wall_ns: 1_760_000_000_000_000_000,
    };
    let key = Key {
        role: Log,
        action: Added,
        name: Text::new(origin),
        public_key: new.public_key(),
    };
    let mut bytes = Vec::new();
    leaf::encode(&header, &key.clone().into(), &mut bytes).unwrap();
    assert_eq!(
        hex::encode(&bytes[124..]),
        "00000e7461706c696e652e746573742f31884b8857f4eaa1613c61504db34d4beaf346517a0e31de3cddd4d9b4201d9d0b"
    );
    assert_eq!(
        hex::encode(witness(&bytes)),
        "d1b212e3ca22b204f065115bf4fd077138b0aea65afe1e0d211218304437f9d0"
    );
    assert_eq!(
        hex::encode(leaf_hash(&bytes)),
        "f1fbb65347e23aa67fa0fdaf07930173ff3bbb1ec1d472be64e7dadf3d58b45b"
    );
    let note = "tapline.test/1\n4\nAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\n\n\
        — tapline.test/1 2PfodHynEBCeJk6ltxak9Yc3fBd9D3ODaBsnPoSPCJY1R5c554u+QNI4q6g0u9KLnX0d795z/fxAqPa9SEM6LrZjowY=\n\
        — tapline.test/1 FxPlnoC+SuPdzV2TOEfVx2F0tPWe7s6E6AbYqXhUBzTaI2x9pPvkhVHGQTvJUI7Wy4xwvI9n9oCpKKCrSfA4RFU0vAc=\n\
        — tapline.test/1/time wAz2dQAAAABo53gAE8OEjA6sN2oTgYXPgkYvzC65xNnZlkUCfbLy9Lh9+2+iQhY7KHViRI6PUH56nzINPCd3UZaaR/OI7n/8ujsaDQ==\n";
    let mut set = set(&old, &time);
    set.apply(3, &key).unwrap();
    let signed = set.open(note.as_bytes()).unwrap();
    assert_eq!(
        (signed.checkpoint.size, signed.time_s, signed.signers.len()),
        (4, Some(1_760_000_000), 3)
    );
    // One of them missing is not enough, at a size that needs both.
    let line = note.lines().nth(5).unwrap();
    assert!(set.open(note.replace(&format!("{line}\n"), "").as_bytes()).is_err());
    let again = Checkpoint {
        origin: Name::new(origin).unwrap(),
        size: 4,
        root: [3; 32],
    };
    let [a, b] = [OLD, NEW].map(|seed| Signer::from_seed(Name::new(origin).unwrap(), KeyType::Ed25519, &[seed; 32]));
    let c = Signer::from_seed(
        Name::new("tapline.test/1/time").unwrap(),
        KeyType::Cosignature,
        &[OLD_TIME; 32],
    );
    assert_eq!(again.sign(&[&a, &b, &c], 1_760_000_000), note);
}

fn set(log: &Verifier, time: &Verifier) -> KeySet {
    let genesis = Genesis {
        format_version: 1,
        replay: false,
        origin: Text::new(log.name().as_str()),
        log_key: log.public_key(),
        cosigner_key: time.public_key(),
        predecessor: None,
    };
    KeySet::of(&genesis).unwrap()
}

#[test]
fn sizes_say_who_signs_and_the_policy_says_it_too() {
    let old = verifier("tapline.test/1", KeyType::Ed25519, OLD);
    let new = verifier("tapline.test/1", KeyType::Ed25519, NEW);
    let time = verifier("tapline.test/1/time", KeyType::Cosignature, OLD_TIME);
    let mut set = set(&old, &time);
    let key = |verifier: &Verifier, action| Key {
        role: Log,
        action,
        name: Text::new(verifier.name().as_str()),
        public_key: verifier.public_key(),
    };
    set.apply(12, &key(&new, Added)).unwrap();
    set.apply(18, &key(&old, Retired)).unwrap();
    for (size, expected) in [
        (1, vec![&old]),
        (12, vec![&old]),
        (13, vec![&old, &new]),
        (18, vec![&old, &new]),
        (19, vec![&new]),
    ] {
        let log: Vec<&Verifier> = set
            .signing(size)
            .filter(|k| k.role == Log)
            .map(|k| &k.verifier)
            .collect();
        assert_eq!(log, expected, "size {size}");
    }
    // A retired key does not come back, not even as one of another role.
    for role in [Log, Cosigner] {
        let back = Key {
            role,
            name: Text::new(if role == Log {
                "tapline.test/1"
            } else {
                "tapline.test/1/time"
            }),
            ..key(&old, Added)
        };
        assert!(matches!(set.clone().apply(20, &back), Err(KeySetError::Rule { .. })));
    }
    let weak = Key {
        public_key: [0; 32],
        ..key(&new, Added)
    };
    assert!(set.clone().apply(20, &weak).is_err());

    let policy = Policy::parse(&set.policy()).unwrap();
    assert_eq!(policy.logs(old.name()), [&old, &new]);
    assert_eq!((policy.retired(&old), policy.retired(&new)), (Some(18), None));
    for bad in [
        "#tapline-retired 00000000 5\nquorum none\n",
        &format!("log {}\n#tapline-retired d8f7e874 05\nquorum none\n", old.to_vkey()),
        &format!("log {}\n#tapline-retired d8f7e874\nquorum none\n", old.to_vkey()),
        &format!(
            "log {}\n#tapline-retired d8f7e874 5\n#tapline-retired d8f7e874 6\nquorum none\n",
            old.to_vkey()
        ),
    ] {
        assert!(Policy::parse(bad).is_err(), "{bad}");
    }
}
