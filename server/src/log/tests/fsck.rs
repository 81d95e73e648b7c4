//! `fsck` finds what is wrong, and nothing where nothing is.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::support::*;
use crate::{
    log::{Log, LogOptions, fsck},
    store::DATABASE_FILE,
};

#[test]
fn an_empty_log_and_a_replay_are_clean() {
    let place = Place::new();
    drop(place.open());
    let report = fsck(&place.data(), None).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.leaves, 0);

    let replay = Place::new();
    let mut log = Log::open(LogOptions::replay(replay.data(), [3; 32])).unwrap();
    boot(&mut log, 0);
    run(&mut log, 1..600).unwrap();
    log.writer.close().unwrap();
    let report = fsck(&replay.data(), None).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.leaves, report.opened, report.forgotten), (601, 599, 0));
}

#[test]
fn each_kind_of_damage_is_named() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..700).unwrap();
    log.writer.close().unwrap();
    let copy = Place::new();
    let check = |sql: &str, expected: &str| {
        let data = copy.data();
        std::fs::create_dir_all(&data).unwrap();
        std::fs::copy(place.data().join(DATABASE_FILE), data.join(DATABASE_FILE)).unwrap();
        std::fs::copy(place.anchor(), copy.anchor()).unwrap();
        let db = Connection::open(data.join(DATABASE_FILE)).unwrap();
        db.execute_batch(
            "PRAGMA ignore_check_constraints = 1; DROP TRIGGER leaf_is_never_changed; DROP TRIGGER leaf_is_kept;
             DROP TRIGGER tile_only_grows; DROP TRIGGER checkpoint_is_never_changed;",
        )
        .unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        let report = fsck(&data, None).unwrap();
        assert_eq!(report.is_clean(), expected.is_empty(), "{sql}: {report}");
        assert!(report.to_string().contains(expected), "{sql}: {report}");
    };
    check("", "");
    check(
        "UPDATE leaf SET body = (SELECT body FROM leaf WHERE seq = 5) WHERE seq = 6",
        "leaf 6: seq is 5",
    );
    check(
        "UPDATE leaf SET body = CAST(substr(body, 1, 59) || x'ff' || substr(body, 61) AS BLOB) WHERE seq = 6",
        "prev is",
    );
    check("UPDATE leaf SET kind = 2 WHERE seq = 9", "leaf 9: the kind column");
    check("DELETE FROM leaf WHERE seq = 600", "leaf 600 is missing");
    check(
        "UPDATE tile SET data = zeroblob(8192) WHERE level = 0 AND idx = 0",
        "tile/0/000: not the hashes",
    );
    check("DELETE FROM tile WHERE level = 1", "tile/1/000.p/2 is missing");
    check(
        "INSERT INTO tile VALUES (2, 0, 1, zeroblob(32))",
        "tile/2/000.p/1: no such tile",
    );
    check(
        "UPDATE checkpoint SET note = replace(note, char(10) || '32' || char(10), char(10) || '33' || char(10)) WHERE size = 32",
        "checkpoint 32: the signature",
    );
    check("DELETE FROM checkpoint WHERE size > 600", "leaves\n");
    check(
        "UPDATE cycle_data SET outcome = (SELECT outcome FROM cycle_data WHERE seq = 8) WHERE seq = 7",
        "cycle 7: outcome are not",
    );
    check(
        "UPDATE cycle_data SET inputs = x'00' WHERE seq = 300",
        "cycle 300: inputs are not",
    );
    check(
        "UPDATE cycle_data SET state = NULL WHERE seq = 256",
        "cycle 256: the state of a keyframe is missing",
    );
    check("UPDATE salt SET key = zeroblob(32)", "and 2");
    check("UPDATE blob SET bytes = x'00'", "manifest");
    check("DELETE FROM cycle WHERE seq = 44", "cycle 44: its query row");
    // Forgetting is no damage.
    check(
        "UPDATE cycle_data SET inputs = NULL WHERE seq < 300; DELETE FROM cycle_data WHERE seq < 100",
        "",
    );
    check("DELETE FROM salt", "");
}

#[test]
fn a_rollback_shows_in_the_anchor() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..40).unwrap();
    log.writer.close().unwrap();
    let text = std::fs::read_to_string(place.anchor()).unwrap();
    std::fs::write(place.anchor(), text.replace("size 41", "size 42")).unwrap();
    let report = fsck(&place.data(), None).unwrap();
    assert!(
        report.to_string().contains("says size 42, the database says size 41"),
        "{report}"
    );
    std::fs::remove_file(place.anchor()).unwrap();
    assert!(!fsck(&place.data(), None).unwrap().is_clean());
}

/// A log that grew while it was checked was called rolled back: the anchor, read last, was ahead of the snapshot.
#[test]
fn a_log_that_grows_meanwhile_is_clean() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run(&mut log, 1..2_000).unwrap();
    let size = log.writer.flush().unwrap().size;
    let (data, done) = (place.data(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let checked = scope.spawn(|| {
            let report = fsck(&data, None).unwrap();
            done.store(true, Ordering::Release);
            report
        });
        let mut tick = 2_000;
        while !done.load(Ordering::Acquire) {
            run(&mut log, tick..tick + 16).unwrap();
            log.writer.flush().unwrap();
            tick += 16;
        }
        assert!(
            log.writer.flush().unwrap().size > size,
            "nothing was appended meanwhile"
        );
        let report = checked.join().unwrap();
        assert!(report.is_clean(), "{report}");
    });
    log.writer.close().unwrap();
}
