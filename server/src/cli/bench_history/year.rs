//! A year of a made-up site, written as the roller writes: window by window in the order of time, so that the file is as
//! large as one that grew.

use std::{collections::BTreeMap, path::Path};

use rusqlite::Connection;

use crate::{
    rollup::{
        Calendar, End, Event, Kind, Level, Occupancy, Row, Rows, Series, bucket, cell_at,
        fields::{area, cycles, flow, heat, link, stages},
    },
    store::{
        StoreError,
        rollup::{Keep, Roller, RollupOptions},
        schema::{StoreKind, open_writer},
    },
};

pub(super) const ROOMS: u64 = 10;
const ZONES: u64 = 20;
const AREAS: u64 = 1 + ROOMS + ZONES;
const LINKS: u64 = 45;
const FLOWS: u64 = 12;
/// Areas, links, flows, a heat map a room, cycles and latencies.
pub(super) const SERIES: u64 = AREAS + LINKS + FLOWS + ROOMS + 2;

const DAY_S: i64 = 86_400;
/// Begin of the year: 2025-11-01T00:00:00Z.
const BEGIN_S: i64 = 1_761_955_200;
/// Cycles a second.
const RATE: u64 = 20;
/// Nobody moves on before that, seconds.
const STAY_S: i64 = 600;
/// Moving or still holds so long, seconds.
const BOUT_S: i64 = 10;
/// Windows of a commit.
const COMMIT: usize = 512;

/// SplitMix64 as a hash of two numbers.
pub(super) fn chance(a: u64, b: u64) -> u64 {
    let mut z = a
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(b.wrapping_mul(0xd1b5_4a32_d192_ed03));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Name of an area, whatever the number.
pub(super) fn area(n: u64) -> String {
    match n % AREAS {
        0 => "site".to_owned(),
        room @ 1..=ROOMS => format!("room:{}", room - 1),
        zone => format!("zone:{}", zone - 1 - ROOMS),
    }
}

/// Name of a link, whatever the number.
pub(super) fn link(n: u64) -> String {
    let n = n % LINKS;
    format!("{}-{}", n / 9, 10 + n % 9)
}

/// Whether somebody is in an area from a time on for [`STAY_S`]: a third of the time by day, seldom at night.
fn occupied(of: u64, at_s: i64) -> bool {
    let day = (7..22).contains(&(at_s.rem_euclid(DAY_S) / 3_600));
    let share = if of == 0 { 90 } else { 33 };
    chance(of, at_s.div_euclid(STAY_S).cast_unsigned()) % 100 < if day { share } else { 3 }
}

fn end(of: u64, at_s: i64) -> End {
    let n = chance(of + 1_000, at_s.div_euclid(BOUT_S).cast_unsigned());
    match (occupied(of, at_s), n % 4) {
        (false, _) => End::Known { state: 1, people: 0 },
        (true, 0) => End::Known { state: 2, people: 1 },
        (true, _) => End::Known { state: 3, people: 1 },
    }
}

/// The rows of a window, and the changes in it when it is a second.
fn rows(start_s: i64, end_s: i64) -> (Rows, Vec<Event>) {
    let span_s = (end_s - start_s).cast_unsigned();
    let seed = start_s.cast_unsigned();
    let mut rows = Rows::new();
    let mut events = Vec::new();
    let counted = span_s * RATE;
    let mut row = Row::default();
    row.sum[cycles::CYCLES] = counted;
    row.sum[cycles::MISSED] = chance(seed, 1) % 50 / 49;
    row.sum[cycles::GATE] = counted;
    row.sum[cycles::CODE] = counted;
    row.sum[cycles::CLASS + 2] = counted;
    row.sum[cycles::QUALITY_N] = counted;
    row.sum[cycles::QUALITY] = counted * (50_000 + chance(seed, 2) % 10_000);
    rows.insert(Series::cycles(), row);
    for of in 0..AREAS {
        rows.insert(
            Series::new(Kind::Area, area(of)),
            area_row(of, start_s, end_s, &mut events),
        );
    }
    for of in 0..LINKS {
        rows.insert(Series::new(Kind::Link, link(of)), link_row(of, seed, counted));
    }
    for room in 0..ROOMS {
        if let Some(row) = heat_row(room, start_s, end_s) {
            rows.insert(Series::new(Kind::Heat, format!("room:{room}")), row);
        }
    }
    for of in 0..FLOWS {
        // Somebody goes whenever the first room of the pair is left.
        let crossings = changes(1 + of % ROOMS, start_s, end_s).filter(|(_, to)| !to).count();
        if crossings > 0 {
            let mut row = Row::default();
            row.sum[flow::CROSSINGS] = crossings as u64;
            let key = format!("room:{}>room:{}", of % ROOMS, (of + 1 + of / ROOMS) % ROOMS);
            rows.insert(Series::new(Kind::Flow, key), row);
        }
    }
    rows.insert(Series::new(Kind::Stages, ""), stage_row(seed, counted));
    (rows, events)
}

/// When somebody comes to (true) or leaves an area.
fn changes(of: u64, start_s: i64, end_s: i64) -> impl Iterator<Item = (i64, bool)> {
    let first = (start_s + STAY_S - 1).div_euclid(STAY_S);
    (first..)
        .map(|n| n * STAY_S)
        .take_while(move |s| *s < end_s)
        .filter_map(move |s| {
            let to = occupied(of, s);
            (occupied(of, s - 1) != to).then_some((s, to))
        })
}

fn area_row(of: u64, start_s: i64, end_s: i64, events: &mut Vec<Event>) -> Row {
    let mut row = Row::default();
    let mut at_s = start_s;
    while at_s < end_s {
        let until_s = (at_s.div_euclid(BOUT_S) + 1) * BOUT_S;
        let until_s = until_s.min(end_s);
        let bout = Row::steady(end(of, at_s), (until_s - at_s).cast_unsigned() * RATE);
        row.merge(&bout);
        row.end = bout.end;
        at_s = until_s;
    }
    for (t_s, to) in changes(of, start_s, end_s) {
        if to {
            row.sum[area::ENTRIES] += 1;
        } else {
            row.sum[area::STAYS] += 1;
            row.sum[area::STAY_S] += STAY_S.cast_unsigned();
            row.peak[area::LONGEST_S] = STAY_S.cast_unsigned();
            *row.map.entry(bucket(STAY_S as u32)).or_default() += 1;
        }
        events.push(Event {
            t_ms: t_s * 1_000,
            seq: t_s.cast_unsigned() * RATE,
            series: Series::new(Kind::Area, area(of)),
            to: if to { Occupancy::Occupied } else { Occupancy::Empty },
        });
    }
    row
}

fn link_row(of: u64, seed: u64, counted: u64) -> Row {
    let mut row = Row::default();
    let n = chance(seed, 100 + of);
    row.sum[link::REPORTS] = counted;
    row.sum[link::FRESH] = counted - n % (counted / 10 + 1);
    row.sum[link::COHERENCE_N] = counted;
    row.sum[link::COHERENCE] = counted * (40_000 + (n >> 8) % 20_000);
    row.sum[link::MOTION_N] = counted;
    row.sum[link::MOTION] = counted * (1_024 + (n >> 24) % 4_096);
    row.peak = [(n >> 40) % 100_000, (n >> 16) % 65_536];
    row
}

/// A cell a second while the room is occupied, near where the stay is.
fn heat_row(room: u64, start_s: i64, end_s: i64) -> Option<Row> {
    let mut row = Row::default();
    let mut at_s = start_s;
    while at_s < end_s {
        // A stay has some thirty cells, so a day's map need not be made second by second.
        let until_s = ((at_s.div_euclid(STAY_S) + 1) * STAY_S).min(end_s);
        if occupied(1 + room, at_s) {
            let stay = at_s.div_euclid(STAY_S).cast_unsigned();
            let left = (until_s - at_s).cast_unsigned() * RATE;
            let cells = (until_s - at_s).cast_unsigned().min(30);
            for c in 0..cells {
                let n = chance(stay, room * 1_000 + chance(start_s.cast_unsigned(), c) % 30);
                let at_m = [(n % 20) as f32 * 0.25, (n / 20 % 16) as f32 * 0.25];
                *row.map.entry(cell_at(at_m)).or_default() += left / cells;
            }
        }
        at_s = until_s;
    }
    row.sum[heat::TOTAL] = row.map.values().sum();
    (row.sum[heat::TOTAL] > 0).then_some(row)
}

/// Times that spread by a third, as those of docs/benchmarks/cycle.md do.
fn stage_row(seed: u64, counted: u64) -> Row {
    let mut row = Row::default();
    row.sum[stages::CYCLES] = counted;
    let samples = counted.min(200);
    for stage in 0..10_u64 {
        let usual = [6_000, 200, 150, 60, 90, 2_500, 120, 800, 1_700, 400][stage as usize];
        let mut left = counted;
        for s in 0..samples {
            let spread = (0..4).map(|k| chance(seed ^ s, stage * 4 + k) % 100).sum::<u64>();
            let micros = (usual * (200 + spread) / 400) as u32;
            let n = if s + 1 == samples { left } else { counted / samples };
            left -= n;
            *row.map.entry((stage as u32) << 16 | bucket(micros)).or_default() += n;
            row.sum[stages::MICROS + stage as usize] += u64::from(micros) * n;
        }
    }
    row.peak[stages::LONGEST] = 9_000;
    row
}

/// Writes the year: its last day by seconds, sixty days by minutes, all of it by hours and days.
pub(super) fn write(file: &Path, days: u32) -> Result<(), StoreError> {
    let mut db = open_writer(file, StoreKind::Replay)?;
    let calendar = Calendar::default();
    let roller = Roller::new(RollupOptions {
        calendar: calendar.clone(),
        keep: Keep::default(),
    });
    let end_s = BEGIN_S + i64::from(days) * DAY_S;
    let kept_s = Keep::default().seconds.map(|s| s.map_or(i64::MAX, u64::cast_signed));
    // In the order of their ends, as they are closed.
    let mut open: BTreeMap<(i64, Level), i64> = BTreeMap::new();
    for level in Level::ALL {
        let from_s = BEGIN_S.max(end_s.saturating_sub(kept_s[level as usize]));
        let window = calendar.window(level, from_s);
        open.insert((window.end_s, level), window.start_s);
    }
    let mut batch = Vec::with_capacity(COMMIT);
    while let Some(((until_s, level), start_s)) = open.pop_first() {
        if until_s <= end_s {
            open.insert((calendar.window(level, until_s).end_s, level), until_s);
            batch.push((level, start_s, until_s));
        }
        if batch.len() == COMMIT || open.is_empty() {
            let tx = db.transaction()?;
            for (level, start_s, until_s) in batch.drain(..) {
                let (rows, events) = rows(start_s, until_s);
                // Changes of the year stand with its hours, once.
                let events = if level == Level::Hour { events } else { Vec::new() };
                roller.put(&tx, level, (start_s, until_s), &rows, &events)?;
            }
            tx.commit()?;
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
    }
    Ok(())
}

/// Rows by level.
pub(super) fn rows_of(db: &Connection) -> Result<[u64; 4], StoreError> {
    let mut counts = [0; 4];
    for level in Level::ALL {
        let n: i64 = db.query_row("SELECT count(*) FROM rollup WHERE level = ?1", [level as u8], |row| {
            row.get(0)
        })?;
        counts[level as usize] = n.cast_unsigned();
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_has_a_hundred_series_and_every_level() {
        assert_eq!(SERIES, 100);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("year.db");
        let mut db = open_writer(&file, StoreKind::Replay).unwrap();
        let roller = Roller::new(RollupOptions::default());
        let tx = db.transaction().unwrap();
        // A day at noon by an hour, and seconds before it.
        let noon_s = BEGIN_S + DAY_S / 2;
        for (level, start_s, end_s) in [
            (Level::Second, noon_s - 1, noon_s),
            (Level::Minute, noon_s - 60, noon_s),
            (Level::Hour, noon_s - 3_600, noon_s),
            (Level::Day, BEGIN_S, BEGIN_S + DAY_S),
        ] {
            let (rows, events) = rows(start_s, end_s);
            // As in a store: a change stands there once.
            let events = if level == Level::Day { events } else { Vec::new() };
            roller.put(&tx, level, (start_s, end_s), &rows, &events).unwrap();
        }
        tx.commit().unwrap();
        let series: i64 = db
            .query_row("SELECT count(*) FROM rollup_series", [], |row| row.get(0))
            .unwrap();
        assert_eq!(series, 100);
        assert!(rows_of(&db).unwrap().iter().all(|n| *n > 40));
    }

    /// The hour is what its minutes add up to, so that levels are alike.
    #[test]
    fn areas_of_an_hour_are_those_of_its_minutes() {
        let hour_s = BEGIN_S + 9 * 3_600;
        for of in 0..AREAS {
            let mut total = Row::default();
            for minute in 0..60 {
                let from_s = hour_s + 60 * minute;
                let row = area_row(of, from_s, from_s + 60, &mut Vec::new());
                total.merge(&row);
                total.end = row.end;
            }
            assert_eq!(area_row(of, hour_s, hour_s + 3_600, &mut Vec::new()), total, "{of}");
        }
    }
}
