//! What is ordered to be forgotten is in no file afterwards, and every proof holds.

use std::time::{Duration, Instant};

use tapline_witness::{
    body::{Audit, AuditResult, Body, PrivacyClass},
    codec::Text,
};

use super::support::*;
use crate::{
    log::{Forget, Log, fsck},
    store::{DATABASE_FILE, reader::Reader},
};

/// Bytes that stand in the raw input of every cycle of these tests and nowhere else.
const SECRET: &[u8] = b"a frame that shows who was there";

fn run_marked(log: &mut Log, ticks: std::ops::Range<u64>) {
    for tick in ticks {
        let mut record = log.writer.checkout_blocking().unwrap();
        fill(log, tick, PrivacyClass::Raw, &mut record);
        let mark = if tick < 600 { SECRET } else { b"another" };
        tapline_witness::lists::Input {
            source_id: 3,
            arrival_mono_ns: 1,
            bytes: mark,
        }
        .put(&mut record.inputs)
        .unwrap();
        let mut facts = facts(tick);
        facts.n_inputs = 3;
        log.chain.append_cycle(stamp(tick), &facts, &mut record).unwrap();
        log.writer.submit(record).unwrap();
    }
}

fn order(log: &mut Log, tick: u64, forget: Forget) -> u64 {
    let mut record = log.writer.checkout_blocking().unwrap();
    let body = Body::Audit(Audit {
        operator: [0; 32],
        action: Text::new(&forget.to_string()),
        target: [0; 32],
        result: AuditResult::Done,
    });
    let at = log.chain.append(stamp(tick), &body, &mut record).unwrap().seq;
    log.writer.submit(record).unwrap();
    at
}

/// How often the secret stands in the files of the data directory.
fn found(place: &Place) -> usize {
    let files = std::fs::read_dir(place.data())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .map(|path| {
            std::fs::read(path)
                .unwrap()
                .windows(SECRET.len())
                .filter(|w| *w == SECRET)
                .count()
        })
        .sum()
}

/// Seconds with a row of a person, since the first cycle.
fn people_at(place: &Place) -> Vec<i64> {
    let db = crate::store::schema::open_reader(&place.data().join(DATABASE_FILE)).unwrap();
    let mut statement = db
        .prepare("SELECT DISTINCT start_s - ?1 FROM rollup_person WHERE level = 0 ORDER BY start_s")
        .unwrap();
    let rows = statement.query_map([T0_NS / 1_000_000_000], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_is_forgotten_is_in_no_file_and_the_log_is_whole() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run_marked(&mut log, 1..700);
    log.writer.flush().unwrap();
    assert!(found(&place) >= 599, "the secret is there to begin with");
    assert_eq!(people_at(&place).first(), Some(&0));
    // Cycles 1 to 599 are leaves 2 to 600: tiles 0, 1, and 2 as far as the order.
    let at = order(&mut log, 700, Forget { from: 2, to: 601 });
    assert_eq!(at, 701);
    run_marked(&mut log, 701..900);
    log.writer.close().unwrap();

    assert_eq!(found(&place), 0);
    let people = people_at(&place);
    // Cycles 1 to 699 were in the seconds 0 to 34; the first minute was not over.
    assert!(people.first().is_some_and(|second| *second >= 35), "{people:?}");
    let reader = Reader::open(&place.data()).unwrap();
    assert_eq!(reader.cycle_data(300).unwrap(), None);
    assert_eq!(reader.cycle_data(699).unwrap(), None, "its tile had one secret");
    assert!(
        reader.cycle_data(702).unwrap().is_some(),
        "what came after the order is kept"
    );
    let report = fsck(&place.data(), None).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.opened, report.forgotten), (199, 699), "{report}");
    let db = crate::store::schema::open_reader(&place.data().join(DATABASE_FILE)).unwrap();
    let salts: i64 = db
        .query_row("SELECT count(*) FROM salt WHERE first_seq < 702", [], |row| row.get(0))
        .unwrap();
    assert_eq!(salts, 0);
}

/// A download takes as long as its client likes, and the records of the cycles cannot wait for it.
#[test]
fn a_reader_in_its_snapshot_holds_up_no_commit_after_forgetting() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run_marked(&mut log, 1..600);
    log.writer.flush().unwrap();
    let reader = crate::store::schema::open_reader(&place.data().join(DATABASE_FILE)).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let leaves: i64 = reader
        .query_row("SELECT count(*) FROM leaf", [], |row| row.get(0))
        .unwrap();
    assert_eq!(leaves, 601);
    order(&mut log, 600, Forget { from: 2, to: 601 });
    let begun = Instant::now();
    for tick in 601..609 {
        run_marked(&mut log, tick..tick + 1);
        log.writer.flush().unwrap();
    }
    let took = begun.elapsed();
    // One wait for the reader would be five seconds, and each commit had one behind it.
    assert!(took < Duration::from_secs(5), "eight commits took {took:?}");
    assert!(found(&place) > 0, "the reader's snapshot still has it");

    drop(reader);
    let (begun, mut tick) = (Instant::now(), 609);
    while found(&place) > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the write-ahead log is not cut off"
        );
        run_marked(&mut log, tick..tick + 1);
        log.writer.flush().unwrap();
        tick += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    log.writer.close().unwrap();
    assert!(fsck(&place.data(), None).unwrap().is_clean());
}

#[test]
fn an_order_that_was_not_obeyed_is_obeyed_after_the_next_start() {
    let place = Place::new();
    let mut log = place.open();
    boot(&mut log, 0);
    run_marked(&mut log, 1..300);
    order(&mut log, 300, Forget { from: 2, to: 301 });
    log.writer.close().unwrap();
    // As if the process had ended between the leaf and the erasing.
    let db = rusqlite::Connection::open(place.data().join(DATABASE_FILE)).unwrap();
    db.execute_batch(
        "DELETE FROM meta WHERE k = 'forgotten';
         INSERT INTO cycle_data (seq, stages, outcome) VALUES (9, x'00', x'00');
         INSERT INTO salt (first_seq, key) VALUES (2, zeroblob(32));",
    )
    .unwrap();
    drop(db);
    let mut log = place.open();
    boot(&mut log, 301);
    run_marked(&mut log, 302..310);
    log.writer.close().unwrap();
    let reader = Reader::open(&place.data()).unwrap();
    assert_eq!(reader.cycle_data(9).unwrap(), None);
    assert!(reader.cycle_data(305).unwrap().is_some());
    assert!(fsck(&place.data(), None).unwrap().is_clean());
}
