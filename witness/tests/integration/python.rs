//! `tools/verify.py` and the Rust verifier share no code; on every bundle, good or bad, they agree.

use std::{collections::BTreeMap, io::Cursor, path::Path, process::Command};

use tapline_witness::{
    body::PrivacyClass,
    bundle::{build::BundleRequest, ustar},
    policy::Policy,
    verify::{Level, Seen, Verdict, VerifyRequest, verify},
};

use crate::memory_log::MemoryLog;

struct Case {
    name: String,
    bundle: Vec<u8>,
    policy: String,
    seen: BTreeMap<String, Seen>,
    fresh: Option<(u64, u64)>,
}

fn verdict_name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail(_) => "FAIL",
        Verdict::NotChecked(_) => "NOT_CHECKED",
    }
}

fn cases() -> Vec<Case> {
    let mut log = MemoryLog::new(1);
    log.cycles(10);
    let old = (
        log.checkpoint(),
        Seen {
            size: log.size(),
            root: log.root(),
        },
    );
    log.boot_id = [5; 16];
    let size = log.size();
    log.boot(size);
    log.cycles(10);
    let policy = log.policy_text("none");
    let mut cases = Vec::new();
    let case = |name: &str, bundle: Vec<u8>, policy: &str| Case {
        name: name.into(),
        bundle,
        policy: policy.into(),
        seen: BTreeMap::new(),
        fresh: None,
    };
    let mut add = |name: &str, bundle: Vec<u8>, policy: &str| cases.push(case(name, bundle, policy));
    add("range", log.bundle(14, 20, false), &policy);
    add("inputs", log.bundle(5, 12, true), &policy);
    let mut long = MemoryLog::new(1);
    long.cycles(300);
    add("two tiles", long.bundle(250, 262, true), &policy);
    add("genesis", log.bundle(0, 1, false), &policy);
    add("quorum", log.bundle(15, 17, false), &log.policy_text("time"));
    add(
        "other log",
        log.bundle(15, 17, false),
        &MemoryLog::new(2).policy_text("none"),
    );
    let stranger = format!("log {}\nquorum none\n", log.log.verifier().to_vkey());
    add("unknown cosigner", log.bundle(15, 17, false), &stranger);

    let with_old = |old| BundleRequest {
        from: 15,
        to: 17,
        inputs: false,
        checkpoint: log.checkpoint(),
        old: Some(old),
    };
    let continued = log.bundle_of(with_old(old.0.clone())).0;
    add("old checkpoint", continued.clone(), &policy);
    let mut fork = MemoryLog::new(1);
    fork.class = PrivacyClass::Derived;
    fork.cycles(10);
    add(
        "fork in the bundle",
        log.bundle_of(with_old(fork.checkpoint())).0,
        &policy,
    );
    let origin = log.log.verifier().name().to_string();
    for (name, seen) in [
        ("seen", old.1),
        ("fork", Seen { root: [1; 32], ..old.1 }),
        ("longer before", Seen { size: 9999, ..old.1 }),
    ] {
        cases.push(Case {
            seen: BTreeMap::from([(origin.clone(), seen)]),
            ..case(name, continued.clone(), &policy)
        });
    }
    for (name, now_s) in [("fresh", 1_760_000_030), ("stale", 1_770_000_000)] {
        let bundle = log.bundle(15, 17, false);
        cases.push(Case {
            fresh: Some((now_s, 60)),
            ..case(name, bundle, &policy)
        });
    }
    cases
}

/// One flipped bit in each part of a small bundle: header, note, tile, leaf, data, state, padding, end.
fn flips() -> Vec<Case> {
    let mut log = MemoryLog::new(1);
    log.cycles(3);
    let bundle = log.bundle(2, 5, true);
    let mut at: Vec<usize> = vec![0, bundle.len() - 1, bundle.len() - 1000];
    for entry in ustar::index(&mut Cursor::new(&bundle)).unwrap() {
        let (offset, len) = (entry.offset as usize, entry.len as usize);
        at.extend([
            offset - 512,
            offset - 512 + 125,
            offset,
            offset + len / 2,
            offset + len - 1,
            offset + len,
        ]);
    }
    // Every field of the first CYCLE leaf in the entry bundle.
    let magic = b"CWR1\x01";
    let leaf = bundle.windows(magic.len()).position(|window| window == magic).unwrap();
    at.extend(
        [
            4, 5, 6, 8, 40, 48, 80, 96, 104, 112, 120, 124, 125, 126, 127, 128, 132, 136, 200, 300,
        ]
        .map(|o| leaf + o),
    );
    let flip = |at: usize| {
        let mut changed = bundle.clone();
        changed[at] ^= 1 << (at % 8);
        let policy = log.policy_text("none");
        Case {
            name: format!("flip {at}"),
            bundle: changed,
            policy,
            seen: BTreeMap::new(),
            fresh: None,
        }
    };
    at.into_iter().map(flip).collect()
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn the_python_verifier_agrees() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no python3");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/verify.py");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (bundle, policy, state) = (dir.join("b.wbundle"), dir.join("policy.txt"), dir.join("seen.json"));
    let mut passed = 0;
    for case in cases().into_iter().chain(flips()) {
        let parsed = Policy::parse(&case.policy).unwrap();
        let request = VerifyRequest {
            policy: &parsed,
            seen: &case.seen,
            must_be_consistent: !case.seen.is_empty(),
            fresh: case.fresh,
            replay: false,
        };
        let ours = verify(Cursor::new(&case.bundle), &request);

        std::fs::write(&bundle, &case.bundle).unwrap();
        std::fs::write(&policy, &case.policy).unwrap();
        let mut command = Command::new("python3");
        command
            .arg(&script)
            .arg(&bundle)
            .arg("--policy")
            .arg(&policy)
            .arg("--json");
        if !case.seen.is_empty() {
            let seen: serde_json::Map<_, _> = case
                .seen
                .iter()
                .map(|(origin, seen)| {
                    (
                        origin.clone(),
                        serde_json::json!({ "size": seen.size, "root": hex::encode(seen.root) }),
                    )
                })
                .collect();
            std::fs::write(&state, serde_json::Value::Object(seen).to_string()).unwrap();
            command.arg("--state").arg(&state);
        }
        if let Some((now_s, max_age_s)) = case.fresh {
            command.args(["--now", &now_s.to_string(), "--max-age", &max_age_s.to_string()]);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let theirs: serde_json::Value = serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{}: {text} {}", case.name, String::from_utf8_lossy(&output.stderr)));
        for level in Level::ALL {
            assert_eq!(
                theirs["levels"][level.name()]["verdict"],
                verdict_name(ours.verdict(level)),
                "{}: {}\n{ours}\n{theirs}",
                case.name,
                level.name()
            );
        }
        assert_eq!(theirs["accepted"], ours.is_accepted(), "{}", case.name);
        assert_eq!(
            output.status.code(),
            Some(i32::from(!ours.is_accepted())),
            "{}",
            case.name
        );
        if ours.is_accepted() {
            assert_eq!(theirs["root"], ours.root.unwrap(), "{}", case.name);
            assert_eq!(theirs["cycles_opened"], ours.cycles_opened, "{}", case.name);
            passed += 1;
        }
    }
    assert!(passed >= 6, "only {passed} bundles were accepted");
    std::fs::remove_dir_all(&dir).unwrap();
}
