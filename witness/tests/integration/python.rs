//! `tools/verify.py` and the Rust verifier share no code; on every bundle, good or bad, they agree.

use std::{collections::BTreeMap, io::Cursor, path::Path, process::Command};

use tapline_witness::{
    body::PrivacyClass,
    bundle::{build::BundleRequest, ustar},
    policy::Policy,
    verify::{Level, Seen, Verdict, VerifyRequest, verify},
};

use crate::{
    bundle::{mode_cases, of_the_largest_size, openings_of_nothing},
    memory_log::MemoryLog,
    rotation,
};

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
    for (name, log, _) in mode_cases() {
        add(name, log.bundle(4, log.size(), false), &policy);
    }
    let mut long = MemoryLog::new(1);
    long.cycles(300);
    add("two tiles", long.bundle(250, 262, true), &policy);
    add("the largest size", of_the_largest_size().0, &policy);
    for (name, bundle) in openings_of_nothing().0 {
        add(name, bundle, &policy);
    }
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
    for (name, bundle) in [
        ("first seen", log.bundle(15, 17, false)),
        ("first seen, with an old checkpoint", continued),
    ] {
        cases.push(Case {
            seen: BTreeMap::from([("tapline.test/9".to_owned(), old.1)]),
            ..case(name, bundle, &policy)
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

/// Runs all cases in one Python process: each line of its output is the report on one bundle.
const DRIVER: &str = r#"
import json, sys
sys.path.insert(0, sys.argv[1])
import verify
for case in json.load(open(sys.argv[2])):
    fresh = tuple(case["fresh"]) if case["fresh"] else None
    verifier = verify.Verifier(verify.Policy(case["policy"]), case["seen"], bool(case["seen"]), fresh)
    verifier.run(open(case["bundle"], "rb").read())
    print(json.dumps({"levels": {level: verdict for level, (verdict, _) in verifier.levels.items()},
                      "why": verifier.levels, "accepted": verifier.accepted(),
                      "root": verifier.head.root.hex() if verifier.head else None, "opened": verifier.opened}))
"#;

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn the_python_verifier_agrees() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no python3");
        return;
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let rotated = rotation::cases().into_iter().map(|case| Case {
        name: case.name.into(),
        bundle: case.bundle,
        policy: case.policy,
        seen: BTreeMap::new(),
        fresh: None,
    });
    let cases: Vec<Case> = cases().into_iter().chain(rotated).chain(flips()).collect();
    let listed: Vec<serde_json::Value> = cases
        .iter()
        .enumerate()
        .map(|(index, case)| {
            let bundle = dir.join(format!("{index}.wbundle"));
            std::fs::write(&bundle, &case.bundle).unwrap();
            let seen = |seen: &Seen| serde_json::json!({ "size": seen.size, "root": hex::encode(seen.root) });
            let seen: BTreeMap<&String, _> = case.seen.iter().map(|(origin, known)| (origin, seen(known))).collect();
            serde_json::json!({ "bundle": bundle, "policy": case.policy, "seen": seen, "fresh": case.fresh })
        })
        .collect();
    let list = dir.join("cases.json");
    std::fs::write(&list, serde_json::Value::Array(listed).to_string()).unwrap();
    let output = Command::new("python3")
        .args(["-c", DRIVER])
        .arg(&tools)
        .arg(&list)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let reports: Vec<&str> = text.lines().collect();
    assert_eq!(
        reports.len(),
        cases.len(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let mut passed = 0;
    for (case, theirs) in cases.iter().zip(reports) {
        let theirs: serde_json::Value = serde_json::from_str(theirs).unwrap();
        let policy = Policy::parse(&case.policy).unwrap();
        let request = VerifyRequest {
            policy: &policy,
            seen: &case.seen,
            must_be_consistent: !case.seen.is_empty(),
            fresh: case.fresh,
            replay: false,
        };
        let ours = verify(Cursor::new(&case.bundle), &request);
        for level in Level::ALL {
            let (found, expected) = (&theirs["levels"][level.name()], verdict_name(ours.verdict(level)));
            assert_eq!(found, expected, "{}: {}\n{ours}\n{theirs}", case.name, level.name());
        }
        assert_eq!(theirs["accepted"], ours.is_accepted(), "{}", case.name);
        if ours.is_accepted() {
            assert_eq!(theirs["root"], ours.root.unwrap(), "{}", case.name);
            assert_eq!(theirs["opened"], ours.cycles_opened, "{}", case.name);
            passed += 1;
        }
    }
    assert!(passed >= 6, "only {passed} bundles were accepted");
    check_program(&tools, &dir, &cases);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The program itself: exit codes, and the state file that remembers.
fn check_program(tools: &Path, dir: &Path, cases: &[Case]) {
    let (policy, state) = (dir.join("policy.txt"), dir.join("seen.json"));
    std::fs::write(&policy, &cases[0].policy).unwrap();
    let run = |bundle: &str, policy: &Path, options: &[&str]| {
        let mut command = Command::new("python3");
        command
            .arg(tools.join("verify.py"))
            .arg(dir.join(bundle))
            .arg("--policy")
            .arg(policy);
        command.arg("--state").arg(&state).args(options);
        command.output().unwrap().status.code()
    };
    let last = format!("{}.wbundle", cases.len() - 1);
    assert_eq!(run(&last, &policy, &["--first-seen"]), Some(1));
    assert!(!state.exists(), "what failed is not remembered");
    assert_eq!(run("0.wbundle", &policy, &[]), Some(1), "a file that is not there");
    assert!(!state.exists(), "nor what was compared with nothing");
    assert_eq!(run("0.wbundle", &policy, &["--first-seen"]), Some(0));
    let remembered = std::fs::read_to_string(&state).unwrap();
    assert!(remembered.contains("\"size\": 23"));
    assert_eq!(run("0.wbundle", &policy, &[]), Some(0));
    assert_eq!(run("0.wbundle", &dir.join("no such policy"), &[]), Some(2));
}
