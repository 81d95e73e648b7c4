//! Appending, closing, continuing, replaying.

use std::time::Duration;

use tapline_witness::{
    body::{Body, ClockStep, Gap, GapReason},
    checkpoint::Checkpoint,
    leaf::{self, flags},
};

use super::support::*;
use crate::{
    log::{Identity, Log, LogError, LogOptions, WriterOptions},
    store::{DATABASE_FILE, retention::Retention, schema::open_reader},
};

fn leaves(place: &Place) -> Vec<Vec<u8>> {
    let db = open_reader(&place.data().join(DATABASE_FILE)).unwrap();
    let mut statement = db.prepare("SELECT body FROM leaf ORDER BY seq").unwrap();
    statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn a_log_is_continued_where_it_ended() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..600).unwrap();
    let size = shut_down(log, 600);
    assert_eq!(size, 2 + 599 + 1);

    let mut log = place.open();
    assert_eq!(log.recovered.size, size);
    boot(&mut log, 0);
    run(&mut log, 1..20).unwrap();
    assert_eq!(shut_down(log, 20), size + 1 + 19 + 1);

    let leaves = leaves(&place);
    let mut prev = [0; 32];
    let mut keyframes = Vec::new();
    for (seq, bytes) in leaves.iter().enumerate() {
        let leaf = leaf::decode(bytes).unwrap();
        assert_eq!((leaf.header.seq, leaf.header.prev), (seq as u64, prev));
        prev = tapline_witness::hash::witness(bytes);
        if leaf.header.flags & flags::KEYFRAME != 0 {
            keyframes.push(seq);
        }
        if let Body::Boot(boot) = leaf.body {
            assert_eq!(boot.recovered_size, if seq == 1 { 0 } else { size });
        }
    }
    // The first cycle of each boot, and the first at or after 256 and 512.
    assert_eq!(keyframes, [2, 256, 512, size as usize + 1]);
}

#[test]
fn checkpoints_are_signed_and_published() {
    let place = Place::new();
    let mut log = place.open();
    let durable = log.writer.durable();
    assert_eq!(durable.borrow().size, 0);
    boot(&mut log, 0);
    run(&mut log, 1..15).unwrap();
    let flushed = log.writer.flush().unwrap();
    assert_eq!((flushed.size, durable.borrow().size), (16, 16));
    let keys = Identity::live(&place.data().join("keys"), None).unwrap().verifiers();
    let signed = Checkpoint::open(flushed.note.as_bytes(), &keys[0], &keys).unwrap();
    assert_eq!((signed.checkpoint.size, signed.checkpoint.root), (16, flushed.root));
    assert_eq!(signed.time_s, Some((T0_NS / 1_000_000_000) as u64));
}

#[test]
fn two_replays_write_the_same_bytes() {
    let run_once = || {
        let place = Place::new();
        let mut log = Log::open(LogOptions::replay(place.data(), [7; 32])).unwrap();
        boot(&mut log, 0);
        run(&mut log, 1..700).unwrap();
        let durable = log.writer.flush().unwrap();
        assert!(durable.note.starts_with("tapline.replay/0707070707070707\n"));
        log.writer.close().unwrap();
        assert!(matches!(
            Log::open(LogOptions::replay(place.data(), [7; 32])),
            Err(LogError::Misuse { .. })
        ));
        assert!(!place.anchor().exists());
        (durable, leaves(&place))
    };
    assert_eq!(run_once(), run_once());
}

#[test]
fn two_live_logs_differ_in_ids_and_salts_only() {
    let one = || {
        let place = Place::new();
        let mut log = place.open();
        boot(&mut log, 0);
        run(&mut log, 1..3).unwrap();
        log.writer.close().unwrap();
        leaf::decode(&leaves(&place)[2]).unwrap()
    };
    let (a, b) = (one(), one());
    assert_ne!(a.header.log_id, b.header.log_id);
    assert_ne!(a.header.boot_id, b.header.boot_id);
    let (Body::Cycle(a), Body::Cycle(mut b)) = (a.body, b.body) else {
        panic!("leaf 2 is a cycle")
    };
    assert_ne!(a.outcome, b.outcome);
    (b.inputs, b.stages, b.outcome, b.state) = (a.inputs, a.stages, a.outcome, a.state);
    assert_eq!(a, b);
}

#[test]
fn misuse_appends_nothing() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..3).unwrap();
    let before = log.chain.next_seq();
    let mut record = log.writer.checkout_blocking().unwrap();
    fill(&log, 9, tapline_witness::body::PrivacyClass::Raw, &mut record);
    assert!(matches!(
        log.chain.append_cycle(stamp(9), &facts(2), &mut record),
        Err(LogError::Misuse { .. })
    ));
    record.state.push(1);
    assert!(matches!(
        log.chain.append_cycle(stamp(9), &facts(9), &mut record),
        Err(LogError::Misuse { .. })
    ));
    assert_eq!(log.chain.next_seq(), before);
    // A record nothing was appended to is refused by the writer, and that ends the log.
    log.writer.submit(record).unwrap();
    assert!(matches!(log.writer.flush(), Err(LogError::Ended { .. })));
    drop(log);
    assert_eq!(place.open().recovered.size, 0);
}

#[test]
fn equal_times_are_kept_apart() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 5);
    let mut record = log.writer.checkout_blocking().unwrap();
    let gap = Gap {
        first_tick: 1,
        last_tick: 4,
        frames_lost: 0,
        reason: GapReason::Overrun,
    };
    log.chain.append(stamp(5), &gap.into(), &mut record).unwrap();
    log.writer.submit(record).unwrap();
    log.writer.close().unwrap();
    let mono: Vec<u64> = leaves(&place)
        .iter()
        .map(|bytes| leaf::decode(bytes).unwrap().header.mono_ns)
        .collect();
    assert_eq!(mono, [250_000_000, 250_000_001, 250_000_002]);
}

#[test]
fn a_busy_log_says_so_and_loses_nothing() {
    let place = Place::new();
    let mut options = place.options();
    options.writer = WriterOptions {
        records: 4,
        interval: Some(Duration::from_secs(3600)),
        batch: 2,
        retention: Retention::FOREVER,
        window_tiles: None,
    };
    let mut log = Log::open(options).unwrap();
    boot(&mut log, 0);
    let held: Vec<_> = std::iter::from_fn(|| log.writer.checkout(Duration::from_millis(200)).ok()).collect();
    assert!(matches!(
        log.writer.checkout(Duration::from_millis(1)),
        Err(LogError::Busy { .. })
    ));
    drop(held);
    assert_eq!(log.writer.close().unwrap().size, 2);
}

#[test]
fn one_log_has_one_writer() {
    let place = Place::new();
    let log = place.open();
    assert!(matches!(Log::open(place.options()), Err(LogError::Locked { .. })));
    // A copy of the directory has its own lock, but not its own anchor.
    let copy = place.root.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let mut options = LogOptions::live(copy);
    options.anchor = Some(place.anchor());
    assert!(matches!(Log::open(options), Err(LogError::Locked { .. })));
    drop(log);
    place.open();
}

#[test]
fn a_database_of_yesterday_is_refused() {
    let place = Place::new();
    let database = place.data().join(DATABASE_FILE);
    let yesterday = place.root.path().join("yesterday.db");
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..40).unwrap();
    log.writer.close().unwrap();
    std::fs::copy(&database, &yesterday).unwrap();
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..40).unwrap();
    log.writer.close().unwrap();
    std::fs::copy(&yesterday, &database).unwrap();
    let error = Log::open(place.options()).unwrap_err();
    assert!(matches!(error, LogError::RolledBack { .. }), "{error}");
    assert!(error.to_string().contains("size 81"), "{error}");

    // Gone altogether, it is refused too; and so is a log without its anchor.
    std::fs::remove_file(&database).unwrap();
    assert!(matches!(Log::open(place.options()), Err(LogError::RolledBack { .. })));
    std::fs::copy(&yesterday, &database).unwrap();
    std::fs::remove_file(place.anchor()).unwrap();
    assert!(matches!(
        Log::open(place.options()),
        Err(LogError::AnchorMissing { size: 41, .. })
    ));
}

#[test]
fn a_damaged_end_is_refused() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..300).unwrap();
    log.writer.close().unwrap();
    let damage = |sql: &str| {
        let place_copy = Place::new();
        let data = place_copy.data();
        std::fs::create_dir_all(data.join("keys")).unwrap();
        for file in [DATABASE_FILE, "keys/log.key", "keys/cosigner.key"] {
            std::fs::copy(place.data().join(file), data.join(file)).unwrap();
        }
        std::fs::copy(place.anchor(), place_copy.anchor()).unwrap();
        let db = rusqlite::Connection::open(data.join(DATABASE_FILE)).unwrap();
        db.execute_batch("DROP TRIGGER leaf_is_never_changed; DROP TRIGGER leaf_is_kept; DROP TRIGGER tile_only_grows; DROP TRIGGER checkpoint_is_never_changed").unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        Log::open(place_copy.options()).map(|_| ()).unwrap_err().to_string()
    };
    for (sql, expected) in [
        ("DELETE FROM leaf WHERE seq = 300", "it covers 301 of 300 leaves"),
        ("DELETE FROM checkpoint WHERE size = 301", "it covers 288 of 301 leaves"),
        (
            "UPDATE leaf SET body = zeroblob(360) WHERE seq = 299",
            "leaf 299: its bytes are not those hashed",
        ),
        (
            "UPDATE tile SET data = zeroblob(32 * width) WHERE level = 0 AND idx = 1",
            "with another root",
        ),
        (
            "UPDATE tile SET data = zeroblob(32 * width) WHERE level = 1",
            "with another root",
        ),
        ("DELETE FROM tile WHERE level = 1", "tile/1/000.p/1 is missing"),
        (
            "UPDATE checkpoint SET note = replace(note, '301', '300') WHERE size = 301",
            "does not verify",
        ),
    ] {
        let found = damage(sql);
        assert!(found.contains(expected), "{sql}: {found}");
    }
}

#[test]
fn keys_of_another_log_are_refused() {
    let (a, b) = (Place::new(), Place::new());
    for place in [&a, &b] {
        let mut log = place.open();
        boot(&mut log, 0);
        log.writer.close().unwrap();
    }
    std::fs::copy(b.data().join("keys/log.key"), a.data().join("keys/log.key")).unwrap();
    assert!(matches!(
        Log::open(a.options()),
        Err(LogError::Misuse {
            field: "keys of the log",
            ..
        })
    ));
}

#[test]
fn a_wall_clock_that_is_set_breaks_nothing_and_signed_time_never_goes_back() {
    const DAY_NS: i64 = 86_400_000_000_000;
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..20).unwrap();
    let mut signed_s = log.writer.flush().unwrap().time_s;
    let mut tick = 20;
    // A day back, ten years on, back again, before 1970, and a leap second.
    for step_ns in [
        -DAY_NS,
        3_652 * DAY_NS,
        -3_651 * DAY_NS,
        -40_000 * DAY_NS,
        -1_000_000_000,
    ] {
        let wall = |tick: u64| stamp(tick).wall_ns + step_ns;
        let mut record = log.writer.checkout_blocking().unwrap();
        let at = |tick: u64| crate::log::Stamp {
            mono_ns: stamp(tick).mono_ns,
            wall_ns: wall(tick),
        };
        let body = ClockStep {
            before_ns: stamp(tick).wall_ns,
            after_ns: wall(tick),
        };
        log.chain.append(at(tick), &body.into(), &mut record).unwrap();
        log.writer.submit(record).unwrap();
        for _ in 0..20 {
            tick += 1;
            let mut record = log.writer.checkout_blocking().unwrap();
            fill(&log, tick, tapline_witness::body::PrivacyClass::Raw, &mut record);
            log.chain.append_cycle(at(tick), &facts(tick), &mut record).unwrap();
            log.writer.submit(record).unwrap();
        }
        let durable = log.writer.flush().unwrap();
        assert!(
            durable.time_s >= signed_s,
            "{step_ns}: {} after {signed_s}",
            durable.time_s
        );
        signed_s = durable.time_s;
    }
    shut_down(log, tick + 1);
    let report = crate::log::fsck(&place.data(), None).unwrap();
    assert!(report.is_clean(), "{report}");
    // The steps can be seen: five leaves say them.
    let steps = leaves(&place)
        .iter()
        .filter(|bytes| matches!(leaf::decode(bytes).unwrap().body, Body::ClockStep(_)))
        .count();
    assert_eq!(steps, 5);
    // And the next start goes on.
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..5).unwrap();
    shut_down(log, 5);
}
