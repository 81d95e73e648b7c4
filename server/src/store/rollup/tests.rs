//! What is stored is what the cycles add up to, whatever fails on the way.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rusqlite::Connection;
use tapline_witness::{
    outcome::{AreaPresence, LinkReport, OUTCOME_VERSION, Outcome, Person, PresenceState},
    outcome_codec::encode_outcome,
};

use super::{Keep, Roller, RollupOptions, query, series};
use crate::{
    log::{
        Blob, Stamp, WriterOptions,
        tests::support::{Place, boot, facts, shut_down},
    },
    rollup::{Calendar, Carry, CycleInput, End, Fold, Kind, Level, Names, Row, Rows, Series},
    store::{
        DATABASE_FILE,
        retention::free_pages,
        schema::{StoreKind, open_writer},
    },
};

/// What names its places.
const CONFIG: &str = r#"
[[room]]
id = "living"
outline_m = [[0.0, 0.0], [5.0, 0.0], [5.0, 4.0], [0.0, 4.0]]
[[zone]]
id = "sofa"
outline_m = [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]
[[path]]
tx = 1
rx = 2
[[path]]
tx = 2
rx = 1
"#;

const TICKS: u64 = 3_000;
const BOOT_ID: [u8; 16] = [0; 16];

/// Jumps of five hours every 500 ticks, and once a minute back.
fn wall_ns(tick: u64) -> i64 {
    let back = if (1_200..1_400).contains(&tick) { 60 } else { 0 };
    let seconds = 1_760_000_000 + 18_000 * (tick / 500) as i64 - back;
    seconds * 1_000_000_000 + 50_000_000 * tick as i64
}

/// Somebody who walks about, sits, and leaves; ticks 700 to 714 are missing.
fn outcome(tick: u64) -> Outcome {
    let state = match tick % 900 {
        0..200 => PresenceState::Empty,
        200..210 => PresenceState::Unknown,
        210..600 => PresenceState::OccupiedMoving,
        _ => PresenceState::OccupiedStill,
    };
    let occupied = state as u8 > 1;
    let area = |index: u16| {
        let mut area = AreaPresence {
            area: index,
            people: Some(u16::from(occupied)),
            ..Default::default()
        };
        area.presence.state = state;
        area
    };
    let link = |path: u16| LinkReport {
        path,
        coherence: Some((tick % 100) as f32 / 128.0),
        motion_ratio: tick.is_multiple_of(3).then_some(1.0 + (tick % 7) as f32),
        age_ms: Some((tick % 80) as u32),
        ..Default::default()
    };
    let person = Person {
        id: u64::MAX - tick / 900,
        active: true,
        position_m: [Some((tick % 200) as f32 / 40.0), Some(1.0), None],
        ..Default::default()
    };
    let mut outcome = Outcome {
        version: OUTCOME_VERSION,
        tick,
        t_ms: 50 * tick as i64,
        people: Some(u16::from(occupied)),
        // A room that is there for half of the time.
        rooms: if tick < 1_500 { vec![area(0)] } else { Vec::new() },
        zones: vec![area(0)],
        links: vec![link(0), link(1)],
        tracks: if occupied { vec![person] } else { Vec::new() },
        ..Default::default()
    };
    outcome.presence.state = state;
    outcome
}

fn ticks() -> impl Iterator<Item = u64> {
    (1..TICKS).filter(|t| !(700..715).contains(t))
}

/// A log with the cycles in it, closed and rolled up.
pub(crate) fn logged() -> (Place, Vec<(u64, Outcome)>) {
    let place = Place::new();
    let mut options = place.options();
    options.writer = WriterOptions {
        batch: 64,
        records: 256,
        ..WriterOptions::replay()
    };
    let mut log = crate::log::Log::open(options).unwrap();
    boot(&mut log, 0);
    let mut cycles = Vec::new();
    for tick in ticks() {
        let mut record = log.writer.checkout_blocking().unwrap();
        let outcome = outcome(tick);
        encode_outcome(&outcome, &mut record.outcome).unwrap();
        record.stage_us = Some([tick as u32; 9]);
        if tick == 1 {
            record.blobs.push(Blob {
                hash: facts(tick).config_hash,
                kind: "config",
                bytes: CONFIG.as_bytes().to_vec(),
            });
        }
        if log.chain.keyframe_due(&facts(tick).manifest_hash) {
            record.state.extend_from_slice(b"state");
        }
        let stamp = Stamp {
            mono_ns: 50_000_000 * tick,
            wall_ns: wall_ns(tick),
        };
        let leaf = log.chain.append_cycle(stamp, &facts(tick), &mut record).unwrap();
        cycles.push((leaf.seq, outcome));
        log.writer.submit(record).unwrap();
    }
    shut_down(log, TICKS);
    (place, cycles)
}

/// The same store before anything was rolled up.
pub(crate) fn store() -> (Place, Connection, Vec<(u64, Outcome)>) {
    let (place, cycles) = logged();
    let db = open_writer(&place.data().join(DATABASE_FILE), StoreKind::Live).unwrap();
    // The writer rolled up as it went: begin anew.
    db.execute_batch(
        "DELETE FROM rollup; DELETE FROM rollup_person; DELETE FROM rollup_event; DELETE FROM rollup_series;
         UPDATE rollup_cursor SET end_s = -9000000000, bytes = 0; UPDATE rollup_next SET seq = 0, carry = x'';",
    )
    .unwrap();
    (place, db, cycles)
}

fn options(keep: Keep) -> RollupOptions {
    RollupOptions {
        calendar: Calendar::of("Europe/Berlin").unwrap(),
        keep,
    }
}

const FOREVER: Keep = Keep {
    seconds: [None; 4],
    bytes: [None; 4],
};

pub(crate) fn roll(db: &mut Connection) {
    let mut roller = Roller::new(options(FOREVER));
    while roller.step(db, true).unwrap() {}
}

/// Every table, as text.
fn contents(db: &Connection) -> Vec<String> {
    [
        "SELECT kind || key || level || ' ' || start_s || hex(body) FROM rollup JOIN rollup_series ON id = series",
        "SELECT level || ' ' || start_s || ' ' || person || hex(body) FROM rollup_person",
        "SELECT t_ms || ' ' || seq || key || state FROM rollup_event JOIN rollup_series ON id = series",
        "SELECT level || ' ' || end_s || ' ' || bytes FROM rollup_cursor",
        "SELECT seq || hex(carry) FROM rollup_next",
    ]
    .iter()
    .flat_map(|sql| {
        let mut rows: Vec<String> = db
            .prepare(sql)
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        rows.sort();
        rows
    })
    .collect()
}

/// The rows of every window of a level, straight from the cycles.
fn from_raw(level: Level, cycles: &[(u64, Outcome)]) -> BTreeMap<i64, Rows> {
    let calendar = Calendar::of("Europe/Berlin").unwrap();
    let names = Names::of(CONFIG);
    let mut latest = i64::MIN;
    let timed: Vec<(i64, &(u64, Outcome))> = cycles
        .iter()
        .map(|cycle| {
            latest = latest.max(wall_ns(cycle.1.tick));
            (latest, cycle)
        })
        .collect();
    // The last second is open, and so is every window that holds it.
    let open_s = latest.div_euclid(1_000_000_000);
    let mut all = BTreeMap::new();
    let mut carry = Carry::default();
    let mut at = 0;
    while at < timed.len() {
        let window = calendar.window(level, timed[at].0.div_euclid(1_000_000_000));
        let mut fold = Fold::new(&mut carry);
        while at < timed.len() && timed[at].0 < window.end_s * 1_000_000_000 {
            let (wall_ns, (seq, outcome)) = timed[at];
            fold.add(&CycleInput {
                seq: *seq,
                boot_id: BOOT_ID,
                tick: outcome.tick,
                wall_ns,
                outcome_code: 0,
                outcome,
                stage_us: Some([outcome.tick as u32; 9]),
                names: &names,
            });
            at += 1;
        }
        if window.end_s <= open_s {
            all.insert(window.start_s, fold.finish().0);
        }
    }
    all
}

#[test]
fn every_row_is_the_one_recomputed_from_the_cycles() {
    let (_place, mut db, cycles) = store();
    roll(&mut db);
    let calendar = Calendar::of("Europe/Berlin").unwrap();
    let mut all_series: Vec<Series> = series::all(&db).unwrap().into_values().collect();
    all_series.extend((0..4).map(|k| Series::new(Kind::Person, (u64::MAX - k).to_string())));
    assert!(all_series.len() > 8);
    for level in Level::ALL {
        let raw = from_raw(level, &cycles);
        assert!(raw.len() >= [100, 5, 5, 1][level as usize], "{level:?}: {}", raw.len());
        for series in &all_series {
            let found = query::points(&db, &calendar, series, level, (0, i64::MAX), 10_000).unwrap();
            let windows: Vec<i64> = found.points.iter().map(|p| p.window.start_s).collect();
            assert_eq!(windows, raw.keys().copied().collect::<Vec<_>>(), "{level:?}");
            for point in &found.points {
                let expected = raw[&point.window.start_s].get(series).cloned().unwrap_or_default();
                // What is not an area has no end; a boot's first missed ticks are the cycle's own.
                assert_eq!(point.row, expected, "{level:?} {series:?} {}", point.window.start_s);
            }
        }
    }
    // A second question has an answer of its own.
    let site = query::last_occupied(&db, "site").unwrap().unwrap();
    assert!(!site.1 || outcome(TICKS - 1).presence.state as u8 > 1);
}

/// A write of the rollups fails, each in turn: what was done is as if nothing had failed.
#[test]
fn whatever_write_fails_nothing_is_lost_or_counted_twice() {
    let (place, mut db, _) = store();
    let file = place.data().join(DATABASE_FILE);
    let copy = place.root.path().join("untouched.db");
    db.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    roll(&mut db);
    let whole = contents(&db);
    drop(db);
    for (table, write) in [
        ("rollup", "INSERT"),
        ("rollup_person", "INSERT"),
        ("rollup_event", "INSERT"),
        ("rollup_series", "INSERT"),
        ("rollup_cursor", "UPDATE"),
        ("rollup_next", "UPDATE"),
    ] {
        for nth in [1, 2, 40] {
            for side in ["db", "db-wal", "db-shm"] {
                let _ = std::fs::remove_file(file.with_extension(side));
            }
            std::fs::copy(&copy, &file).unwrap();
            let mut db = open_writer(&file, StoreKind::Live).unwrap();
            db.execute_batch(&format!(
                "CREATE TEMP TABLE left (n); INSERT INTO left VALUES ({nth});
                 CREATE TEMP TRIGGER fails BEFORE {write} ON main.{table} WHEN (SELECT n FROM left) = 1
                 BEGIN SELECT raise(ABORT, 'injected'); END;
                 CREATE TEMP TRIGGER counts AFTER {write} ON main.{table} BEGIN UPDATE left SET n = n - 1; END;"
            ))
            .unwrap();
            let mut roller = Roller::new(options(FOREVER));
            let failed = loop {
                match roller.step(&mut db, true) {
                    Ok(true) => {}
                    Ok(false) => break false,
                    Err(error) => {
                        assert!(error.to_string().contains("injected"), "{error}");
                        break true;
                    }
                }
            };
            assert!(failed || nth > 2, "{table} {nth}");
            // As after a restart.
            drop(db);
            let mut db = open_writer(&file, StoreKind::Live).unwrap();
            roll(&mut db);
            assert!(contents(&db) == whole, "{table}, write {nth}");
        }
    }
}

const CHILD: &str = "TAPLINE_ROLLUP_TEST";

/// Not a test by itself: the process that [`killed_within_and_between_steps`] starts, and that stands still until it is
/// killed.
#[test]
#[ignore = "started by killed_within_and_between_steps"]
fn child_that_stands_still() {
    let Ok(at) = std::env::var(CHILD) else { return };
    let [table, write, nth, file] = at.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
    let mut db = open_writer(Path::new(file), StoreKind::Live).unwrap();
    let mut roller = Roller::new(options(FOREVER));
    if table == "-" {
        for _ in 0..nth.parse().unwrap() {
            assert!(roller.step(&mut db, true).unwrap());
        }
        std::fs::write(format!("{file}.stands"), "").unwrap();
        loop {
            std::thread::park();
        }
    }
    // A question without an end, in the midst of a transaction.
    db.execute_batch(&format!(
        "CREATE TEMP TABLE left (n); INSERT INTO left VALUES ({nth});
         CREATE TEMP TRIGGER stands BEFORE {write} ON main.{table} WHEN (SELECT n FROM left) = 1
         BEGIN SELECT count(*) FROM (WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT 1 FROM c) SELECT x FROM c); END;
         CREATE TEMP TRIGGER counts AFTER {write} ON main.{table} BEGIN UPDATE left SET n = n - 1; END;"
    ))
    .unwrap();
    std::fs::write(format!("{file}.stands"), "").unwrap();
    while roller.step(&mut db, true).unwrap() {}
}

/// A process is killed while it rolls up, in the midst of each kind of write and between two steps: what the next one
/// makes of it is as if nobody had been killed.
#[test]
fn killed_within_and_between_steps() {
    let (place, mut db, _) = store();
    let copy = place.root.path().join("untouched.db");
    db.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    roll(&mut db);
    let whole = contents(&db);
    drop(db);
    let points = [
        "rollup INSERT 40",
        "rollup_person INSERT 4",
        "rollup_event INSERT 2",
        "rollup_series INSERT 3",
        "rollup_cursor UPDATE 3",
        "rollup_next UPDATE 2",
        "- - 1",
        "- - 3",
    ];
    for (index, point) in points.iter().enumerate() {
        let file = place.root.path().join(format!("killed-{index}.db"));
        std::fs::copy(&copy, &file).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::rollup::tests::child_that_stands_still", "--ignored"])
            .env(CHILD, format!("{point} {}", file.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mark = format!("{}.stands", file.display());
        while !Path::new(&mark).exists() {
            assert!(child.try_wait().unwrap().is_none(), "{point}: it ended by itself");
            std::thread::sleep(Duration::from_millis(5));
        }
        // It reaches the write within this time, or is killed before it: both have to do.
        std::thread::sleep(Duration::from_millis(500));
        assert!(child.try_wait().unwrap().is_none(), "{point}: it was to stand still");
        child.kill().unwrap();
        child.wait().unwrap();
        let mut db = open_writer(&file, StoreKind::Live).unwrap();
        assert!(contents(&db) != whole, "{point}: there was something left to do");
        roll(&mut db);
        assert!(contents(&db) == whole, "{point}");
    }
}

#[test]
fn rows_past_their_time_go_and_what_the_next_level_needs_stays() {
    let (_place, mut db, _) = store();
    let keep = Keep {
        seconds: [Some(10), Some(3_600), None, None],
        bytes: [None, None, Some(1), None],
    };
    let mut roller = Roller::new(options(keep));
    for _ in 0..500 {
        if !roller.step(&mut db, true).unwrap() {
            // Nothing more to add up; what is past its time goes with later steps.
            let tx = db.transaction().unwrap();
            let more = super::prune::prune(&tx, &options(keep), 0).unwrap();
            tx.commit().unwrap();
            if !more {
                break;
            }
        }
    }
    let extent = |level| query::extent(&db, level).unwrap();
    let days = from_raw(Level::Day, &store().2);
    // Days are whole though seconds, minutes and hours went.
    assert_eq!(extent(Level::Day).from_s, days.keys().next().copied());
    let second = extent(Level::Second);
    // Seconds whose minute is still open stay.
    let minute_s = extent(Level::Minute).to_s;
    assert!(second.from_s.unwrap() >= (second.to_s - 10).min(minute_s), "{second:?}");
    let bytes: i64 = db
        .query_row(
            "SELECT coalesce((SELECT sum(length(body) + 16) FROM rollup WHERE level = 0), 0)
             + coalesce((SELECT sum(length(body) + 16) FROM rollup_person WHERE level = 0), 0)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(second.bytes, bytes.cast_unsigned());
}

/// What a level may take in bytes is kept to, oldest first, and the pages go back to the file system.
#[test]
fn a_level_over_its_bytes_loses_its_oldest_rows_and_their_pages() {
    let (place, mut db, _) = store();
    roll(&mut db);
    let extent = |db: &Connection, level| query::extent(db, level).unwrap();
    let number = |db: &Connection, pragma: &str| -> u64 {
        let sql = format!("PRAGMA {pragma}");
        let n: i64 = db.query_row(&sql, [], |row| row.get(0)).unwrap();
        n.cast_unsigned()
    };
    let free_before = number(&db, "freelist_count");
    let (before, minutes) = (extent(&db, Level::Second), extent(&db, Level::Minute));
    let most = before.bytes / 3;
    let keep = Keep {
        bytes: [Some(most), None, None, None],
        ..FOREVER
    };
    let prune = |db: &mut Connection| {
        let tx = db.transaction().unwrap();
        super::prune::prune(&tx, &options(keep), 0).unwrap();
        tx.commit().unwrap();
        extent(db, Level::Second)
    };
    let mut now = before;
    while now.bytes > most {
        let next = prune(&mut db);
        assert!(next.bytes < now.bytes, "{next:?} after {now:?}: nothing went");
        now = next;
    }
    assert!(
        now.from_s > before.from_s && now.to_s == before.to_s,
        "{now:?}, {before:?}"
    );
    assert_eq!(extent(&db, Level::Minute), minutes);
    assert_eq!(prune(&mut db), now, "within its bytes, nothing more goes");

    let free = number(&db, "freelist_count");
    assert!(free > free_before, "{free} pages are free, {free_before} before");
    let pages = number(&db, "page_count");
    free_pages(&db, 64).unwrap();
    let given = free.min(64);
    assert_eq!(number(&db, "freelist_count"), free - given);
    // As many as were free, and pages of the map of pages between them.
    assert!(number(&db, "page_count") <= pages - given);
    while number(&db, "freelist_count") > 0 {
        free_pages(&db, 64).unwrap();
    }
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let bytes = std::fs::metadata(place.data().join(DATABASE_FILE)).unwrap().len();
    assert_eq!(bytes, number(&db, "page_count") * number(&db, "page_size"));
}

/// A site with many series writes more rows in a step than 2,000: the cycles went then a window a step, and what was left of the other
/// series, which is found by its cycles only, was read no more and grew without bound.
#[test]
fn a_site_of_many_series_stays_within_its_bytes_and_keeps_whole_windows() {
    const SERIES: i64 = 1_000;
    let dir = tempfile::tempdir().unwrap();
    let mut db = open_writer(&dir.path().join(DATABASE_FILE), StoreKind::Live).unwrap();
    let minute_bytes = 60 * (SERIES + 1) * (3 + 16);
    let keep = Keep {
        bytes: [Some(3 * minute_bytes.cast_unsigned()), None, None, None],
        ..FOREVER
    };
    let insert_series = "INSERT INTO rollup_series (kind, key) VALUES (?1, ?2)";
    db.execute(insert_series, (Kind::Cycles as u8, "")).unwrap();
    for link in 1..SERIES {
        db.execute(insert_series, (Kind::Link as u8, format!("{link}")))
            .unwrap();
    }
    let mut most_bytes = 0;
    for step in 0..12 * 8_i64 {
        let tx = db.transaction().unwrap();
        for second in 5 * step..5 * step + 5 {
            tx.execute(
                "INSERT INTO rollup SELECT 0, id, ?1, x'000000' FROM rollup_series",
                [second],
            )
            .unwrap();
            tx.execute("INSERT INTO rollup_person VALUES (0, ?1, 7, x'000000')", [second])
                .unwrap();
        }
        tx.execute(
            "UPDATE rollup_cursor SET end_s = ?1, bytes = bytes + ?2 WHERE level = 0",
            [5 * step + 5, minute_bytes / 12],
        )
        .unwrap();
        tx.execute(
            "UPDATE rollup_cursor SET end_s = ?1 WHERE level = 1",
            [(5 * step + 5) / 60 * 60],
        )
        .unwrap();
        super::prune::prune(&tx, &options(keep), 5_005).unwrap();
        tx.commit().unwrap();
        let (cycles_s, oldest_s, people_s, rows): (i64, i64, i64, i64) = db
            .query_row(
                "SELECT (SELECT min(start_s) FROM rollup WHERE series = 1), (SELECT min(start_s) FROM rollup),
                 (SELECT min(start_s) FROM rollup_person), (SELECT count(*) FROM rollup)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .unwrap();
        assert!(
            cycles_s - oldest_s <= 60 && people_s >= oldest_s,
            "{cycles_s} {oldest_s} {people_s}"
        );
        most_bytes = most_bytes.max(rows * (3 + 16));
    }
    assert!(most_bytes < 4 * minute_bytes, "{most_bytes}");
    assert!(most_bytes > 2 * minute_bytes, "{most_bytes}: not more went than had to");
}

/// Forgetting erased cycles and left the place of every person in every second of them.
#[test]
fn what_is_forgotten_leaves_no_way_of_people() {
    let (_place, mut db, _) = store();
    roll(&mut db);
    // Ten seconds of the 25 after the first jump of the clock; somebody is there until the 45th.
    let start_s = 1_760_018_000 + 30;
    let end_s = start_s + 10;
    let times: Vec<i64> = (0..200).map(|n| start_s * 1_000_000_000 + n * 50_000_000).collect();
    let ways = "(SELECT level, start_s, length(body) + 16 AS bytes FROM rollup_person UNION ALL
         SELECT level, start_s, length(body) + 16 FROM rollup JOIN rollup_series ON id = series WHERE kind IN (3, 4) AND level = 0)";
    let count = |db: &Connection, sql: &str| -> i64 { db.query_row(sql, [], |row| row.get(0)).unwrap() };
    let of = |level: u8, from_s: i64, to_s: i64| {
        format!("SELECT count(*) FROM {ways} WHERE level = {level} AND start_s >= {from_s} AND start_s < {to_s}")
    };
    let [seconds, minutes] = [of(0, start_s, end_s), of(1, start_s - start_s % 60, end_s)];
    assert!(count(&db, &seconds) >= 20 && count(&db, &minutes) > 0);
    let all = |db: &Connection| {
        [0, 1, 2, 3].map(|level| {
            let rows = count(db, &of(level, 0, i64::MAX));
            let bytes = format!(
                "SELECT (SELECT coalesce(sum(length(body) + 16), 0) FROM rollup WHERE level = {level})
                 + (SELECT coalesce(sum(length(body) + 16), 0) FROM rollup_person WHERE level = {level})"
            );
            let counted = query::extent(db, Level::ALL[level as usize]).unwrap().bytes;
            assert_eq!(counted.cast_signed(), count(db, &bytes));
            rows
        })
    };
    let (before, gone) = (all(&db), [count(&db, &seconds), count(&db, &minutes), 0, 0]);
    let tx = db.transaction().unwrap();
    super::forget_ways(&tx, &times).unwrap();
    tx.commit().unwrap();
    assert_eq!((count(&db, &seconds), count(&db, &minutes)), (0, 0));
    let after = all(&db);
    assert_eq!(
        std::array::from_fn::<_, 4, _>(|level| before[level] - gone[level]),
        after
    );
}

/// Rows that are kept read as they did before older ones went.
#[test]
fn what_is_kept_reads_as_before() {
    let (_place, mut db, cycles) = store();
    roll(&mut db);
    let keep = Keep {
        seconds: [Some(70), Some(6 * 3_600), Some(1), None],
        bytes: [None; 4],
    };
    loop {
        let tx = db.transaction().unwrap();
        let more = super::prune::prune(&tx, &options(keep), 0).unwrap();
        tx.commit().unwrap();
        if !more {
            break;
        }
    }
    let calendar = Calendar::of("Europe/Berlin").unwrap();
    for level in [Level::Second, Level::Minute, Level::Hour] {
        let raw = from_raw(level, &cycles);
        let mut left = 0;
        for series in series::all(&db).unwrap().into_values() {
            let found = query::points(&db, &calendar, &series, level, (0, i64::MAX), 10_000).unwrap();
            assert!(found.points.len() < raw.len() || level == Level::Hour, "{level:?}");
            left += found.points.len();
            for point in found.points {
                let expected = raw[&point.window.start_s].get(&series).cloned().unwrap_or_default();
                assert_eq!(point.row, expected, "{level:?} {series:?}");
            }
        }
        assert!(left > 0, "{level:?}");
    }
}

#[test]
fn the_finest_level_that_answers_is_taken() {
    let (_place, mut db, _) = store();
    roll(&mut db);
    let (from, to) = (1_760_000_000, 1_760_000_000 + 100);
    assert_eq!(query::finest(&db, from, to, 200).unwrap(), Level::Second);
    assert_eq!(query::finest(&db, from, to, 50).unwrap(), Level::Minute);
    assert_eq!(
        query::finest(&db, from, from + 86_400 * 30, 1_000).unwrap(),
        Level::Hour
    );
    assert_eq!(
        query::finest(&db, from, from + 86_400 * 3_000, 100).unwrap(),
        Level::Day
    );
    let calendar = Calendar::default();
    let few = query::points(&db, &calendar, &Series::cycles(), Level::Second, (from, to), 3).unwrap();
    assert_eq!(few.points.len(), 3);
}

/// What people did today was in no heat map: days were added up, and today is not over.
#[test]
fn a_time_is_covered_to_the_second() {
    let (_place, mut db, _) = store();
    roll(&mut db);
    let calendar = Calendar::of("Europe/Berlin").unwrap();
    let heat = Series::new(Kind::Heat, "room:living");
    let first_s = 1_760_000_000;
    let mut levels = std::collections::BTreeSet::new();
    for (from_s, to_s) in [
        (0, i64::MAX / 1_000_000_000),
        (first_s + 17, first_s + 18_000 * 5 + 130),
        (first_s + 17, first_s + 19),
        (first_s + 36_000, first_s + 18_000 * 4 + 121),
    ] {
        let stretches = query::cover(&db, &calendar, (from_s, to_s)).unwrap();
        levels.extend(stretches.iter().map(|s| s.0));
        let mut seconds = Row::default();
        for (_, row) in query::written(&db, &heat, Level::Second, (from_s, to_s)).unwrap() {
            seconds.merge(&row);
        }
        assert_ne!(seconds, Row::default());
        assert_eq!(query::total(&db, &heat, &stretches).unwrap(), seconds, "{stretches:?}");
        let mut people = BTreeMap::<u64, Row>::new();
        for (_, person, row) in query::people_rows(&db, Level::Second, (from_s, to_s)).unwrap() {
            people.entry(person).or_default().merge(&row);
        }
        let covered = query::people(&db, &stretches).unwrap();
        assert_eq!(covered, people.into_iter().collect::<Vec<_>>(), "{stretches:?}");
    }
    assert_eq!(levels.len(), 4, "{levels:?}");
}

#[test]
fn changes_come_newest_first_and_page_by_page() {
    let (_place, mut db, _) = store();
    roll(&mut db);
    let all = query::changes(&db, None, None, i64::MIN, 10_000).unwrap();
    assert!(all.len() > 10 && all.windows(2).all(|w| w[0].0.t_ms >= w[1].0.t_ms));
    let mut paged = Vec::new();
    let mut before = None;
    loop {
        let page = query::changes(&db, None, before, i64::MIN, 3).unwrap();
        let Some((last, number)) = page.last() else { break };
        before = Some((last.t_ms, last.seq, *number));
        paged.extend(page);
    }
    assert!(paged == all);
    let site = query::changes(&db, Some("site"), None, i64::MIN, 10_000).unwrap();
    assert!(!site.is_empty() && site.iter().all(|(c, _)| c.area == "site"));
    assert!(
        query::changes(&db, Some("room:nowhere"), None, i64::MIN, 10)
            .unwrap()
            .is_empty()
    );
}

/// No question reads a whole table.
#[test]
fn questions_use_indexes() {
    let (_place, db, _) = store();
    for sql in [
        "SELECT start_s, body FROM rollup WHERE level = ?1 AND series = ?2 AND start_s >= ?3 AND start_s < ?4 ORDER BY start_s",
        "SELECT start_s, person, body FROM rollup_person WHERE level = ?1 AND start_s >= ?2 AND start_s < ?3 ORDER BY start_s, person",
        "SELECT start_s, body FROM rollup_person WHERE person = ?1 AND level = ?2 AND start_s >= ?3 AND start_s < ?4 ORDER BY start_s",
        query::CHANGES_OF_ONE,
        query::CHANGES_OF_ALL,
        query::CHANGES_AFTER,
    ] {
        let plan: Vec<String> = db
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap()
            .query_map(rusqlite::params_from_iter(vec![1; sql.matches('?').count()]), |row| {
                row.get(3)
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(plan.iter().all(|line| line.starts_with("SEARCH")), "{sql}: {plan:?}");
    }
}

#[test]
fn an_area_that_did_not_change_reads_as_it_stood() {
    let (_place, mut db, _) = store();
    roll(&mut db);
    let written: i64 = db
        .query_row(
            "SELECT count(*) FROM rollup JOIN rollup_series ON id = series WHERE level = 0 AND key = 'site' AND kind = 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let found = query::points(
        &db,
        &Calendar::default(),
        &Series::new(Kind::Area, "site"),
        Level::Second,
        (0, i64::MAX),
        10_000,
    )
    .unwrap();
    assert!(2 * written < found.points.len() as i64, "{written}");
    assert!(
        found
            .points
            .iter()
            .all(|p| p.row.end != End::Absent && p.row != Row::default())
    );
}
