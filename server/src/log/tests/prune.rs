//! The oldest leaves go, what they add up to stays, and whatever fails on the way, `fsck` finds nothing wrong.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use tapline_witness::{
    body::{Body, KeyAction, KeyRole, RetentionPolicy},
    bundle::build::{BundleRequest, Prepared},
    leaf,
    policy::Policy,
    proof::prove_consistency,
    rollup::states_outcomes,
    verify::{VerifyRequest, verify},
};

use super::{
    rotate::{first_keys, prepared, turn},
    support::*,
};
use crate::{
    log::{Faults, FsckReport, Log, LogError, LogOptions, Step, fsck},
    store::{DATABASE_FILE, log_source::SqlLog, reader::Reader, retention::Retention, schema::open_reader},
};

/// Twenty seconds of cycles, so that a tile (12.8 s) is added up while it can be opened; thirty of leaves, a ROLLUP leaf every two tiles.
const RETENTION: Retention = Retention {
    raw_s: 5,
    cycles_s: 20,
    cycles_max: u64::MAX,
    leaves_s: 30,
};

fn options(place: &Place) -> LogOptions {
    let mut options = place.options();
    options.writer.retention = RETENTION;
    options.writer.window_tiles = Some(2);
    options
}

fn state_policy(log: &mut Log, tick: u64, policy: RetentionPolicy) {
    let mut record = log.writer.checkout_blocking().unwrap();
    log.chain.append(stamp(tick), &policy.into(), &mut record).unwrap();
    log.writer.submit(record).unwrap();
}

/// Appends the cycles of these ticks, and the ROLLUP leaves as they come.
fn run_rolled(log: &mut Log, ticks: std::ops::Range<u64>) -> Result<(), LogError> {
    for tick in ticks {
        run(log, tick..tick + 1)?;
        if let Some(rollup) = log.writer.rollup_due() {
            let mut record = log.writer.checkout_blocking()?;
            log.chain.append(stamp(tick), &Body::Rollup(*rollup), &mut record)?;
            log.writer.submit(record)?;
        }
    }
    Ok(())
}

fn start(options: impl Fn() -> LogOptions) -> Log {
    let mut log = open_patiently(options);
    // The clock goes on over restarts.
    let tick = log.recovered.size;
    boot(&mut log, tick);
    if log.policy != Some(RETENTION.policy()) {
        state_policy(&mut log, tick, RETENTION.policy());
    }
    log
}

fn clean(place: &Place) -> FsckReport {
    let report = fsck(&place.data(), None).unwrap();
    assert!(report.is_clean(), "{report}");
    report
}

fn bundle(place: &Place, from: u64, to: u64) -> Vec<u8> {
    bundle_after(place, from, to, None)
}

/// A bundle that also shows a checkpoint of before, which the client kept.
fn bundle_after(place: &Place, from: u64, to: u64, old: Option<(u64, String)>) -> Vec<u8> {
    let db = open_reader(&place.data().join(DATABASE_FILE)).unwrap();
    // The writer goes on forgetting meanwhile.
    db.execute_batch("BEGIN").unwrap();
    let log = SqlLog(&db);
    let size = db
        .query_row("SELECT max(size) FROM checkpoint", [], |row| row.get::<_, i64>(0))
        .unwrap()
        .cast_unsigned();
    let request = BundleRequest {
        from,
        to,
        inputs: false,
        checkpoint: (size, log.note(size).unwrap().unwrap()),
        old,
    };
    let mut bytes = Vec::new();
    Prepared::new(&log, request).unwrap().0.write(&mut bytes).unwrap();
    bytes
}

fn assert_accepted(bundle: &[u8], policy: &Policy) {
    let request = VerifyRequest {
        policy,
        seen: &Default::default(),
        must_be_consistent: false,
        fresh: None,
        replay: false,
    };
    let report = verify(io::Cursor::new(bundle), &request);
    assert!(report.is_accepted(), "{report}");
}

#[test]
fn old_tiles_go_and_what_is_left_is_proven() {
    let place = Place::new();
    let mut log = start(|| options(&place));
    let policy = Policy::parse(&log.chain.policy()).unwrap();
    run_rolled(&mut log, 1..600).unwrap();
    log.writer.flush().unwrap();
    let saved = bundle(&place, 300, 580);
    run_rolled(&mut log, 600..4_000).unwrap();
    log.writer.close().unwrap();

    let report = clean(&place);
    // 4,000 cycles are 200 s: all but the last 30 s, a window and what was on its way.
    assert!((2_560..=3_400).contains(&report.minimum_index), "{report}");
    assert!(report.rollups >= report.minimum_index / 512, "{report}");
    let db = open_reader(&place.data().join(DATABASE_FILE)).unwrap();
    let count = |sql: &str| {
        db.query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
            .cast_unsigned()
    };
    let minimum = report.minimum_index;
    let below = |what: &str| count(&format!("SELECT count(*) FROM {what} {minimum}"));
    // The first tile holds GENESIS and BOOT: bundles of later cycles carry it.
    assert_eq!(below("leaf WHERE kind = 1 AND seq < "), 256 - 3);
    assert_eq!(below("cycle_data WHERE seq < "), 0);
    assert_eq!(below("salt WHERE first_seq < "), 0);
    assert_eq!(below("checkpoint WHERE size < "), 0);
    // Of other tiles their leaves that are no cycles stay, with the hashes beside them.
    let with_others =
        below("(SELECT DISTINCT seq / 256 AS tile, seq FROM leaf WHERE kind <> 1 GROUP BY tile) WHERE seq < ");
    assert!(with_others > 1);
    assert_eq!(
        count(&format!(
            "SELECT count(*) FROM tile WHERE level = 0 AND idx < {}",
            minimum / 256
        )),
        with_others
    );

    // A bundle saved before, one of what is left, and consistency between whole tiles that are gone.
    assert_accepted(&saved, &policy);
    assert_accepted(&bundle(&place, minimum + 5, report.leaves), &policy);
    prove_consistency(&SqlLog(&db), 512, report.leaves).unwrap();
    assert!(
        prove_consistency(&SqlLog(&db), 256 + 57, report.leaves).is_err(),
        "in the middle of a tile that is gone"
    );

    // Every rollup was made while its cycles could be opened, and says what they were.
    let mut statement = db.prepare("SELECT body FROM leaf WHERE kind = 4 ORDER BY seq").unwrap();
    let bodies = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    for bytes in bodies {
        let Body::Rollup(rollup) = leaf::decode(&bytes.unwrap()).unwrap().body else {
            panic!("no ROLLUP leaf");
        };
        assert!(states_outcomes(&rollup));
        let cycles: u64 = rollup.by_outcome.iter().sum();
        assert_eq!(rollup.occupancy[2], cycles, "two people in every cycle");
        assert_eq!((rollup.by_disposition[0], rollup.by_disposition[1]), (cycles, cycles));
        assert_eq!((rollup.missed_ticks, rollup.quality_count), (0, 0));
    }
}

/// A ROLLUP leaf names the rows by the minute that were closed in its window, and `fsck` finds one that is another.
#[test]
fn a_rollup_leaf_names_its_rows_by_the_minute() {
    let place = Place::new();
    let mut log = start(|| options(&place));
    run_rolled(&mut log, 1..4_500).unwrap();
    log.writer.close().unwrap();
    let report = clean(&place);
    // Before the first minute ended there were no such rows.
    assert!(report.rollups >= 5 && report.minutes + 1 == report.rollups, "{report}");
    let db = open_reader(&place.data().join(DATABASE_FILE)).unwrap();
    let mut statement = db.prepare("SELECT body FROM leaf WHERE kind = 4 ORDER BY seq").unwrap();
    let bodies = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let digests: std::collections::BTreeSet<_> = bodies
        .map(|bytes| match leaf::decode(&bytes.unwrap()).unwrap().body {
            Body::Rollup(rollup) => rollup.minute_rows,
            _ => panic!("no ROLLUP leaf"),
        })
        .collect();
    // Windows of 25.6 s: some without the end of a minute, three with one.
    assert!(digests.len() >= 4, "{} digests", digests.len());
    drop(statement);
    drop(db);
    let db = rusqlite::Connection::open(place.data().join(DATABASE_FILE)).unwrap();
    let changed = db
        .execute(
            "UPDATE rollup SET body = CAST(body || x'00' AS BLOB) WHERE level = 1",
            [],
        )
        .unwrap();
    assert!(changed > 0);
    drop(db);
    let report = fsck(&place.data(), None).unwrap();
    assert!(
        report
            .to_string()
            .contains("rows by the minute that ended in its window"),
        "{report}"
    );
}

/// What both verifiers say of a bundle under a policy; only ours, where there is no Python.
fn accepted_by_both(place: &Place, bundle: &[u8], policy: &str) -> bool {
    let parsed = Policy::parse(policy).unwrap();
    let request = VerifyRequest {
        policy: &parsed,
        seen: &Default::default(),
        must_be_consistent: false,
        fresh: None,
        replay: false,
    };
    let report = verify(io::Cursor::new(bundle), &request);
    let file = |name: &str, bytes: &[u8]| {
        let path = place.root.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let theirs = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/verify.py"))
        .arg(file("one.wbundle", bundle))
        .arg("--policy")
        .arg(file("policy.txt", policy.as_bytes()))
        .output();
    // Where there is no Python, the tests of `witness` that compare the verifiers say so.
    if let Ok(out) = theirs {
        assert_eq!(
            out.status.code(),
            Some(i32::from(!report.is_accepted())),
            "{report}\n{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    }
    report.is_accepted()
}

/// The signing key is exchanged, and long after that the leaves of that time go: the tiles of the KEY leaves stay whole, and
/// both verifiers follow from the old key to the new one over what is left.
#[test]
fn tiles_of_key_leaves_stay_and_a_rotation_is_followed_over_them() {
    let place = Place::new();
    let mut log = start(|| options(&place));
    let before = log.chain.policy();
    let [old, _] = first_keys(&log);
    run_rolled(&mut log, 1..800).unwrap();
    let new = prepared(&place, &log, KeyRole::Log);
    let added = turn(&mut log, 800, KeyRole::Log, KeyAction::Added, &new).unwrap();
    run_rolled(&mut log, 800..810).unwrap();
    let both_signed = log.writer.flush().unwrap();
    // Five tiles later: each action has a tile of its own.
    run_rolled(&mut log, 810..2_100).unwrap();
    let retired = turn(&mut log, 2_100, KeyRole::Log, KeyAction::Retired, &old).unwrap();
    run_rolled(&mut log, 2_100..5_000).unwrap();
    let after = log.chain.policy();
    log.writer.close().unwrap();

    let report = clean(&place);
    assert!(report.minimum_index > retired + 512, "{report}");
    let db = open_reader(&place.data().join(DATABASE_FILE)).unwrap();
    let left = |tile: u64| -> i64 {
        let range = [tile * 256, tile * 256 + 256].map(u64::cast_signed);
        let count = "SELECT count(*) FROM leaf WHERE kind = 1 AND seq >= ?1 AND seq < ?2";
        db.query_row(count, range, |row| row.get(0)).unwrap()
    };
    for key in [added, retired] {
        assert!(left(key / 256) > 250, "the tile of KEY leaf {key} is kept whole");
        assert_eq!(left(key / 256 + 1), 0, "its neighbour is not");
    }

    let (from, to) = (report.minimum_index + 5, report.leaves);
    let kept = Some((both_signed.size, both_signed.note.to_string()));
    assert_ne!(before, after);
    assert!(accepted_by_both(&place, &bundle(&place, from, to), &after));
    assert!(
        !accepted_by_both(&place, &bundle(&place, from, to), &before),
        "nobody vouches for the new key"
    );
    assert!(
        accepted_by_both(&place, &bundle_after(&place, from, to, kept), &before),
        "the checkpoint that both signed does"
    );
}

#[test]
fn nothing_goes_before_its_time_or_without_a_policy() {
    for policy in [
        None,
        Some(RetentionPolicy {
            leaves_s: u64::MAX,
            ..RETENTION.policy()
        }),
        Some(RetentionPolicy {
            leaves_s: 150,
            ..RETENTION.policy()
        }),
    ] {
        let place = Place::new();
        let mut log = Log::open(options(&place)).unwrap();
        boot(&mut log, 0);
        if let Some(policy) = &policy {
            state_policy(&mut log, 0, policy.clone());
        }
        // 150 s.
        run_rolled(&mut log, 1..3_000).unwrap();
        log.writer.close().unwrap();
        let report = clean(&place);
        assert_eq!(report.minimum_index, 0, "{policy:?}");
        assert!(report.rollups > 3, "{report}");
    }
}

#[test]
fn a_damaged_tile_is_never_pruned() {
    let place = Place::new();
    let mut log = start(|| options(&place));
    run(&mut log, 1..700).unwrap();
    log.writer.close().unwrap();
    let db = rusqlite::Connection::open(place.data().join(DATABASE_FILE)).unwrap();
    db.execute_batch(
        "DROP TRIGGER leaf_is_never_changed;
         UPDATE leaf SET body = CAST(substr(body, 1, 300) || x'0102030405060708' || substr(body, 309) AS BLOB) WHERE seq = 300;",
    )
    .unwrap();
    drop(db);
    let mut log = start(|| options(&place));
    run_rolled(&mut log, 701..4_000).unwrap();
    log.writer.close().unwrap();
    let report = fsck(&place.data(), None).unwrap();
    assert!(!report.is_clean());
    assert_eq!((report.minimum_index, report.rollups), (0, 0), "{report}");
}

#[test]
fn a_false_rollup_is_found_by_fsck() {
    let place = Place::new();
    let mut log = start(|| options(&place));
    run(&mut log, 1..700).unwrap();
    let mut rollup = loop {
        log.writer.flush().unwrap();
        if let Some(rollup) = log.writer.rollup_due() {
            break rollup;
        }
        let next = log.chain.last_tick().unwrap() + 1;
        run(&mut log, next..next + 16).unwrap();
    };
    rollup.missed_ticks += 1;
    rollup.occupancy.swap(1, 2);
    let mut record = log.writer.checkout_blocking().unwrap();
    let tick = log.chain.last_tick().unwrap();
    log.chain
        .append(stamp(tick), &Body::Rollup(*rollup), &mut record)
        .unwrap();
    log.writer.submit(record).unwrap();
    log.writer.close().unwrap();
    let report = fsck(&place.data(), None).unwrap();
    assert!(!report.is_clean());
    assert!(
        report
            .to_string()
            .contains("missed_ticks: it says 1, its leaves add up to 0"),
        "{report}"
    );
}

/// Fails one step of pruning, or ends the process there.
struct At {
    step: Step,
    persisted: bool,
    time: u32,
    seen: u32,
    abort: bool,
}

impl At {
    fn reached(&mut self, step: Step, persisted: bool) -> io::Result<()> {
        if step != self.step || persisted != self.persisted {
            return Ok(());
        }
        self.seen += 1;
        if self.seen != self.time {
            return Ok(());
        }
        if self.abort {
            // No destructor runs, no buffer is flushed: to the database it is a SIGKILL.
            std::process::abort();
        }
        Err(io::Error::other("injected"))
    }
}

impl Faults for At {
    fn before(&mut self, step: Step) -> io::Result<()> {
        self.reached(step, false)
    }
    fn after(&mut self, step: Step) -> io::Result<()> {
        self.reached(step, true)
    }
}

/// After a failure: the log opens, goes on, catches up with pruning, and nothing is wrong with it.
fn goes_on(place: &Place, what: &str) {
    let before = fsck(&place.data(), None).unwrap();
    assert!(before.is_clean(), "{what}: {before}");
    let mut log = start(|| options(place));
    let tick = log.recovered.size;
    run_rolled(&mut log, tick + 1..tick + 1_500).unwrap();
    log.writer.close().unwrap();
    let after = clean(place);
    assert!(after.minimum_index >= before.minimum_index + 512, "{what}: {after}");
}

#[test]
fn whatever_step_of_pruning_fails_it_is_done_again() {
    for step in Step::PRUNING {
        for persisted in [false, true] {
            let place = Place::new();
            let mut log = start(|| LogOptions {
                faults: Box::new(At {
                    step,
                    persisted,
                    time: 2,
                    seen: 0,
                    abort: false,
                }),
                ..options(&place)
            });
            let error = run_rolled(&mut log, 1..20_000).unwrap_err();
            assert!(error.to_string().contains("injected"), "{step:?}: {error}");
            drop(log);
            goes_on(&place, &format!("{step:?}, persisted {persisted}"));
        }
    }
}

/// Somebody who reads for long holds up neither commits nor compaction, and reads on what was there.
#[test]
fn a_reader_in_its_snapshot_holds_up_no_compaction() {
    let place = Place::new();
    let mut log = start(|| options(&place));
    run_rolled(&mut log, 1..300).unwrap();
    log.writer.flush().unwrap();
    let reader = Reader::open(&place.data()).unwrap();
    reader
        .snapshot(|db| {
            let count = |table: &str| {
                let sql = format!("SELECT count(*) FROM {table}");
                db.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
            };
            let before = ["leaf", "cycle_data", "rollup"].map(count);
            run_rolled(&mut log, 300..3_000).unwrap();
            log.writer.flush().unwrap();
            // Another connection sees that all of it went on meanwhile.
            let now = open_reader(&place.data().join(DATABASE_FILE)).unwrap();
            let number = |sql: &str| now.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            assert!(number("SELECT max(seq) FROM leaf") >= 3_000);
            assert!(number("SELECT v FROM meta WHERE k = 'minimum_index'") >= 512, "pruned");
            assert!(number("SELECT min(seq) FROM cycle_data") > 300, "forgotten");
            assert!(number("SELECT count(*) FROM rollup") > before[2], "rolled up");
            assert_eq!(
                ["leaf", "cycle_data", "rollup"].map(count),
                before,
                "the snapshot stands"
            );
            Ok(())
        })
        .unwrap();
    log.writer.close().unwrap();
    clean(&place);
}

const CHILD: &str = "TAPLINE_PRUNE_TEST";

/// Not a test by itself: the process that [`killed_at_any_step_of_pruning`] starts, and that ends itself at a step.
#[test]
#[ignore = "started by killed_at_any_step_of_pruning"]
fn child_that_ends_at_a_step() {
    let Ok(at) = std::env::var(CHILD) else { return };
    let (index, data) = at.split_once(' ').unwrap();
    let index: usize = index.parse().unwrap();
    let mut log = start(|| {
        let mut options = LogOptions::live(data);
        options.writer.retention = RETENTION;
        options.writer.window_tiles = Some(2);
        options.writer.interval = None;
        options.writer.batch = 16;
        options.faults = Box::new(At {
            step: Step::PRUNING[index / 2],
            persisted: index % 2 == 1,
            time: 2,
            seen: 0,
            abort: true,
        });
        options
    });
    run_rolled(&mut log, 1..20_000).unwrap();
}

#[test]
fn killed_at_any_step_of_pruning() {
    for index in 0..2 * Step::PRUNING.len() {
        let place = Place::new();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::tests::prune::child_that_ends_at_a_step", "--ignored"])
            .env(CHILD, format!("{index} {}", place.data().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), None, "it was to end by a signal");
        goes_on(
            &place,
            &format!("killed at {:?}, {}", Step::PRUNING[index / 2], index % 2),
        );
    }
}
