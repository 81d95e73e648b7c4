//! A wall clock that is set ahead by mistake and set right again takes nothing with it.

use rusqlite::Connection;
use tapline_witness::body::{Body, ClockStep, PrivacyClass};

use super::support::*;
use crate::{
    log::{Forget, Log, Stamp, fsck},
    store::{DATABASE_FILE, log_source::SqlLog, retention::Retention, schema::open_reader},
};

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
const HOUR_NS: i64 = 60 * MINUTE_NS;
const DAYS_NS: i64 = 48 * HOUR_NS;
/// By the wall clock a cycle comes every quarter of a minute, so that hours are few cycles.
const STEP_NS: i64 = MINUTE_NS / 4;

const RETENTION: Retention = Retention {
    raw_s: 15 * 60,
    cycles_s: 4 * 3_600,
    cycles_max: u64::MAX,
    leaves_s: u64::MAX,
};

struct Clock {
    log: Log,
    tick: u64,
    wall_ns: i64,
    /// Between two cycles.
    step_ns: i64,
}

impl Clock {
    fn new(place: &Place) -> Self {
        Self::keeping(place, RETENTION)
    }

    /// The same with a RETENTION_POLICY leaf, when leaves are not kept for ever.
    fn keeping(place: &Place, retention: Retention) -> Self {
        let mut options = place.options();
        options.writer.retention = retention;
        if retention.leaves_s != u64::MAX {
            options.writer.window_tiles = Some(1);
        }
        let mut log = Log::open(options).unwrap();
        boot(&mut log, 0);
        let mut clock = Self {
            log,
            tick: 0,
            wall_ns: T0_NS,
            step_ns: STEP_NS,
        };
        if retention.leaves_s != u64::MAX {
            clock.append(&retention.policy().into());
        }
        clock
    }

    fn append(&mut self, body: &Body) {
        let mut record = self.log.writer.checkout_blocking().unwrap();
        let stamp = self.stamp();
        self.log.chain.append(stamp, body, &mut record).unwrap();
        self.log.writer.submit(record).unwrap();
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            mono_ns: 50_000_000 * self.tick,
            wall_ns: self.wall_ns,
        }
    }

    /// Runs for a time; the first and one past the last leaf.
    fn run(&mut self, for_ns: i64) -> Forget {
        let from = self.log.chain.next_seq();
        for _ in 0..for_ns / self.step_ns {
            self.tick += 1;
            self.wall_ns += self.step_ns;
            let mut record = self.log.writer.checkout_blocking().unwrap();
            fill(&self.log, self.tick, PrivacyClass::Raw, &mut record);
            let stamp = self.stamp();
            self.log
                .chain
                .append_cycle(stamp, &facts(self.tick), &mut record)
                .unwrap();
            self.log.writer.submit(record).unwrap();
            // An idle slot of the writer behind each, in which it forgets.
            self.log.writer.flush().unwrap();
            if let Some(rollup) = self.log.writer.rollup_due() {
                self.append(&Body::Rollup(*rollup));
            }
        }
        Forget {
            from,
            to: self.log.chain.next_seq(),
        }
    }

    fn set(&mut self, by_ns: i64) {
        let before_ns = self.wall_ns;
        self.wall_ns += by_ns;
        let body = Body::ClockStep(ClockStep {
            before_ns,
            after_ns: self.wall_ns,
        });
        self.append(&body);
    }

    fn end(self, place: &Place) -> Connection {
        self.log.writer.close().unwrap();
        let report = fsck(&place.data(), None).unwrap();
        assert!(report.is_clean(), "{report}");
        open(place)
    }
}

fn open(place: &Place) -> Connection {
    open_reader(&place.data().join(DATABASE_FILE)).unwrap()
}

fn count(db: &Connection, what: &str) -> i64 {
    db.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_clock_that_is_ahead_for_a_minute_erases_nothing() {
    let place = Place::new();
    let mut clock = Clock::new(&place);
    clock.run(HOUR_NS);
    clock.set(DAYS_NS);
    clock.run(2 * MINUTE_NS);
    let db = open(&place);
    assert_eq!(count(&db, "cycle"), 240 + 8);
    assert!(
        count(&db, "cycle_data WHERE inputs IS NOT NULL") >= 60,
        "a quarter of an hour of raw input"
    );
    assert_eq!(count(&db, "salt"), 1);
    drop(db);
    clock.set(-DAYS_NS);
    clock.run(2 * MINUTE_NS);
    let db = clock.end(&place);
    assert_eq!(count(&db, "cycle"), 240 + 8 + 8);
    assert_eq!(count(&db, "track"), 2 * (240 + 8 + 8));
    let raw = count(&db, "cycle_data WHERE inputs IS NOT NULL");
    // Those of the minutes ahead stay longer, and a commit may bring some more.
    assert!((60..60 + 8 + 20).contains(&raw), "{raw}");
}

#[test]
fn what_was_stamped_ahead_holds_up_no_forgetting() {
    let place = Place::new();
    let mut clock = Clock::new(&place);
    clock.run(10 * MINUTE_NS);
    clock.set(DAYS_NS);
    let ahead = clock.run(60 * MINUTE_NS - STEP_NS);
    clock.set(-DAYS_NS);
    clock.run(6 * HOUR_NS);
    let db = clock.end(&place);
    let oldest: i64 = db
        .query_row("SELECT min(seq) FROM cycle", [], |row| row.get(0))
        .unwrap();
    assert!(
        oldest.cast_unsigned() > ahead.to,
        "they went with the first later one: {oldest}"
    );
    let kept = count(&db, "cycle");
    assert!((4 * 240..=4 * 240 + 240).contains(&kept), "{kept}");
}

/// A window of leaves whose last one was stamped a year ahead was past its time in a year, and until then nothing behind it
/// was pruned: the disk filled.
#[test]
fn a_window_stamped_ahead_holds_up_no_pruning() {
    let place = Place::new();
    let retention = Retention {
        raw_s: 300,
        cycles_s: 600,
        leaves_s: 900,
        ..RETENTION
    };
    let mut clock = Clock::keeping(&place, retention);
    // A tile is 512 seconds, and a step of the rollups closes the minutes it adds up.
    clock.step_ns = 2 * SECOND_NS;
    let year_ns = 365 * 24 * HOUR_NS;
    clock.run(900 * SECOND_NS);
    clock.set(year_ns);
    let ahead = clock.run(150 * SECOND_NS);
    assert!(
        ahead.from < 511 && 511 < ahead.to,
        "the end of the second tile: {ahead:?}"
    );
    clock.set(-year_ns);
    let minimum = || SqlLog(&open(&place)).minimum_index().unwrap();
    clock.run(950 * SECOND_NS);
    assert_eq!(minimum(), 256, "the third tile is eight minutes old");
    clock.run(1_000 * SECOND_NS);
    assert!(minimum() >= 768, "leaves are kept from {} on", minimum());
    clock.end(&place);
}

#[test]
fn a_clock_that_goes_on_is_believed() {
    let place = Place::new();
    let mut clock = Clock::new(&place);
    let before = clock.run(30 * MINUTE_NS);
    clock.set(DAYS_NS);
    clock.run(50 * MINUTE_NS);
    assert_eq!(count(&open(&place), &format!("cycle WHERE seq < {}", before.to)), 120);
    clock.run(20 * MINUTE_NS);
    let db = clock.end(&place);
    assert_eq!(
        count(&db, &format!("cycle WHERE seq < {}", before.to)),
        0,
        "two days old"
    );
}

#[test]
fn a_process_that_begins_while_the_clock_is_ahead_does_not_believe_it_either() {
    let place = Place::new();
    let mut clock = Clock::new(&place);
    clock.run(30 * MINUTE_NS);
    clock.set(DAYS_NS);
    clock.run(MINUTE_NS);
    let (tick, wall_ns) = (clock.tick, clock.wall_ns);
    clock.end(&place);
    let mut clock = Clock::new(&place);
    (clock.tick, clock.wall_ns) = (tick, wall_ns);
    clock.run(2 * MINUTE_NS);
    let db = clock.end(&place);
    assert_eq!(count(&db, "cycle"), 120 + 4 + 8);
}

/// Minutes and hours were "past their time" at once, and rollups stood still until the year that the clock had begun in.
#[test]
fn a_process_that_begins_years_ahead_takes_no_history_with_it() {
    let place = Place::new();
    let mut clock = Clock::new(&place);
    clock.run(30 * MINUTE_NS);
    let (tick, wall_ns) = (clock.tick, clock.wall_ns);
    clock.end(&place);
    let years_ns = 4 * 365 * 24 * HOUR_NS;
    let mut clock = Clock::new(&place);
    (clock.tick, clock.wall_ns) = (tick, wall_ns + years_ns);
    clock.run(10 * MINUTE_NS);
    clock.set(-years_ns);
    clock.run(30 * MINUTE_NS);
    let last_s = clock.wall_ns / SECOND_NS;
    let db = clock.end(&place);
    let minutes = count(&db, "(SELECT DISTINCT start_s FROM rollup WHERE level = 1)");
    assert!((68..=70).contains(&minutes), "{minutes}");
    let newest: i64 = db
        .query_row("SELECT max(start_s) FROM rollup", [], |row| row.get(0))
        .unwrap();
    assert!((last_s - 60..=last_s).contains(&newest), "{newest} of {last_s}");
}

#[test]
fn rollups_go_on_where_the_clock_was_set_right() {
    let place = Place::new();
    let mut clock = Clock::new(&place);
    clock.run(30 * MINUTE_NS);
    clock.set(DAYS_NS);
    clock.run(MINUTE_NS);
    clock.set(-DAYS_NS);
    clock.run(30 * MINUTE_NS);
    let last_s = clock.wall_ns / SECOND_NS;
    let db = clock.end(&place);
    let cursor = |level: u8| -> i64 {
        db.query_row("SELECT end_s FROM rollup_cursor WHERE level = ?1", [level], |row| {
            row.get(0)
        })
        .unwrap()
    };
    assert_eq!(cursor(0), last_s, "seconds");
    assert!((last_s - 60..=last_s).contains(&cursor(1)), "minutes: {}", cursor(1));
    // Every second of a cycle has its row; the minute ahead is counted where it was.
    let seconds = count(&db, "(SELECT DISTINCT start_s FROM rollup WHERE level = 0)");
    assert!((230..=244).contains(&seconds), "{seconds}");
}

#[test]
fn what_lies_between_two_times_of_one_name_is_not_forgotten() {
    let place = Place::new();
    let mut clock = Clock::new(&place);
    let hours = 3 * HOUR_NS;
    clock.run(hours);
    clock.set(hours);
    let ahead = clock.run(MINUTE_NS);
    let begin = clock.wall_ns - MINUTE_NS;
    clock.set(-hours - MINUTE_NS);
    clock.run(hours);
    let again = clock.run(2 * MINUTE_NS);
    let db = clock.end(&place);
    let end = begin + MINUTE_NS;
    let orders = SqlLog(&db).to_forget(begin + 1, end + 1).unwrap();
    let Forget { from, .. } = again;
    assert_eq!(orders, [ahead, Forget { from, to: from + 4 }]);
    assert_eq!(SqlLog(&db).to_forget(begin - 1, begin).unwrap().len(), 0);
    assert_eq!(
        SqlLog(&db).to_forget(T0_NS, begin).unwrap().len(),
        1,
        "one run, though leaves lie in it"
    );
}
