//! Somebody saved a bundle; its leaves were pruned behind a ROLLUP leaf. What that says is held against what was saved.

use std::{io::Cursor, path::Path, process::Command};

use tapline_witness::{
    body::Rollup,
    bundle::read::Bundle,
    rolled::{RolledUp, against_saved},
    rollup::Counter,
    verify::Verdict,
};

use crate::memory_log::MemoryLog;

/// A log with a ROLLUP leaf over its first two tiles, and the bundle that somebody saved before.
fn logs(spoil: impl FnOnce(&mut Rollup), saved: (u64, u64), score: Option<f32>) -> (MemoryLog, Vec<u8>, Vec<u8>) {
    let mut log = MemoryLog::new(1);
    log.score = score;
    log.cycles(600);
    let kept = log.bundle(saved.0, saved.1, false);
    let mut counter = Counter::new(0).unwrap();
    for (seq, leaf) in (0..512_u64).zip(&log.leaves) {
        let opened = log.kept.get(&seq).map(|kept| {
            let bytes = |field: usize| kept.fields[field].as_ref().unwrap().1.as_slice();
            (bytes(1), bytes(2))
        });
        counter.add(leaf, opened).unwrap();
    }
    let mut rollup = counter.finish().unwrap();
    assert_eq!(rollup.occupancy.iter().sum::<u64>(), 510);
    spoil(&mut rollup);
    log.append(rollup.into(), 0);
    log.cycles(50);
    let size = log.size();
    let later = log.bundle(size - 40, size, false);
    (log, kept, later)
}

fn ours(saved: &[u8], later: &[u8]) -> Vec<RolledUp> {
    let open = |bytes: &[u8]| Bundle::open(Cursor::new(bytes.to_vec())).unwrap();
    against_saved(&mut open(saved), &mut open(later)).unwrap()
}

/// A case: what is done to the rollup, which leaves were saved, and a word of the verdict.
type Case = (
    &'static str,
    fn(&mut Rollup),
    (u64, u64),
    Option<Result<(), &'static str>>,
);

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn saved_leaves_expose_a_false_rollup() {
    let cases: [Case; 9] = [
        ("true", |_| {}, (0, 600), Some(Ok(()))),
        (
            "occupancy",
            |r| r.occupancy.swap(0, 8),
            (0, 600),
            Some(Err("occupancy")),
        ),
        ("outcomes", |r| r.by_outcome[4] += 1, (0, 600), Some(Err("by_outcome"))),
        (
            "dispositions",
            |r| r.by_disposition[0] -= 1,
            (0, 600),
            Some(Err("by_disposition")),
        ),
        ("missed", |r| r.missed_ticks = 3, (0, 600), Some(Err("missed_ticks"))),
        (
            "another range",
            |r| r.range_digest[5] ^= 1,
            (0, 600),
            Some(Err("range_digest")),
        ),
        // Outcomes that it does not state are not compared.
        (
            "counts of leaves only",
            |r| r.occupancy = [0; 9],
            (0, 600),
            Some(Ok(())),
        ),
        // Two of them are more than an i128 holds.
        (
            "scores that are none",
            |r| assert_eq!((r.quality_sum, r.quality_count), (i128::MAX, 510)),
            (0, 600),
            Some(Ok(())),
        ),
        ("not all saved", |r| r.missed_ticks = 3, (520, 600), None),
    ];
    let python = Command::new("python3").arg("--version").output().is_ok();
    if !python {
        eprintln!("SKIPPED: there is no python3");
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rolled-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for (name, spoil, range, expected) in cases {
        let score = (name == "scores that are none").then_some(f32::MAX);
        let (log, saved, later) = logs(spoil, range, score);
        // Leaf 0 and 1 are of tile 0: a range from 520 on carries that tile as context, but not tile 1.
        let found = ours(&saved, &later);
        let [one] = &found[..] else { panic!("{name}: {found:?}") };
        assert_eq!((one.leaf, one.start, one.end), (602, 0, 512), "{name}");
        let word = match (&one.verdict, expected) {
            (Verdict::Pass, Some(Ok(()))) => "PASS",
            (Verdict::Fail(why), Some(Err(field))) if why.starts_with(field) => "FAIL",
            (Verdict::NotChecked(_), None) => "NOT_CHECKED",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(
            one.outcomes,
            expected.is_some() && name != "counts of leaves only",
            "{name}"
        );
        if !python {
            continue;
        }
        let file = |end: &str, bytes: &[u8]| {
            let path = dir.join(end);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let state = dir.join("seen.json");
        let _ = std::fs::remove_file(&state);
        let out = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/verify.py"))
            .arg(file("later", &later))
            .arg("--saved")
            .arg(file("saved", &saved))
            .arg("--policy")
            .arg(file("policy", log.policy_text("none").as_bytes()))
            .arg("--first-seen")
            .arg("--state")
            .arg(&state)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        let line = said.lines().last().unwrap_or_default();
        let differs = expected.and_then(Result::err).unwrap_or_default();
        let wanted = format!("ROLLUP leaf 602 over 0 to 512: {word} {differs}");
        assert_eq!(
            line,
            wanted.trim_end(),
            "{name}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        assert_eq!(out.status.code(), Some(i32::from(word != "PASS")), "{name}");
        // A log that lies, or was not found out, is not what one goes on from.
        assert_eq!(state.exists(), word == "PASS", "{name}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// A hostile range costs nothing.
#[test]
fn impossible_ranges_are_answered_at_once() {
    for (start, end) in [(0, u64::MAX - 255), (256, 256), (3, 512), (1 << 60, (1 << 62) + 256)] {
        let (_, saved, later) = logs(
            |r| {
                (r.start, r.end) = (start, end);
            },
            (0, 600),
            None,
        );
        let found = ours(&saved, &later);
        assert_ne!(found[0].verdict, Verdict::Pass, "{start} to {end}");
    }
}
