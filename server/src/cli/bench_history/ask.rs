//! The questions, each asked of a file that was opened for it and whose pages were dropped before.

use std::{fs::File, path::Path, time::Instant};

use rusqlite::Connection;
use rustix::fs::{Advice, fadvise};

use super::year;
use crate::{
    rollup::{Kind, Level, Series},
    store::{StoreError, rollup::query, schema::open_reader},
};

const DAY_S: i64 = 86_400;
/// Points that the API gives when nobody says how many.
const USUAL: u32 = 500;
/// Points that leave room for a day's minutes.
const MINUTES: u32 = 1_500;

/// How a question was answered.
pub(super) struct Asked {
    pub(super) name: &'static str,
    pub(super) level: &'static str,
    pub(super) points: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) longest_ms: f64,
    /// Read from the disk in the middle one.
    pub(super) read_kib: u64,
}

/// A question: about so many days, with so many points at most.
struct Question {
    name: &'static str,
    days: i64,
    points: u32,
    of: fn(u64) -> Of,
}

enum Of {
    Points(Series),
    Total(Series),
    LastOccupied(String),
    Changes,
}

fn area(n: u64) -> Of {
    Of::Points(Series::new(Kind::Area, year::area(n)))
}

fn link(n: u64) -> Of {
    Of::Points(Series::new(Kind::Link, year::link(n)))
}

/// How many questions there are.
pub(super) const QUESTIONS: usize = 12;

const ALL: [Question; QUESTIONS] = [
    question("occupancy, a day", 1, USUAL, area),
    question("occupancy, a day by minutes", 1, MINUTES, area),
    question("occupancy, a week", 7, USUAL, area),
    question("occupancy, a year", 365, USUAL, area),
    question("occupancy, a year by hours", 365, 10_000, area),
    question("link, a day by minutes", 1, MINUTES, link),
    question("link, a week", 7, USUAL, link),
    question("link, a year", 365, USUAL, link),
    question("latency, a week", 7, USUAL, |_| {
        Of::Points(Series::new(Kind::Stages, ""))
    }),
    question("heat map, a year", 365, USUAL, |n| {
        Of::Total(Series::new(Kind::Heat, format!("room:{}", n % year::ROOMS)))
    }),
    question("last occupied", 365, USUAL, |n| Of::LastOccupied(year::area(n))),
    question("500 changes, newest first", 7, 500, |_| Of::Changes),
];

const fn question(name: &'static str, days: i64, points: u32, of: fn(u64) -> Of) -> Question {
    Question { name, days, points, of }
}

/// Asks all, in turns, so that none has the file warm.
pub(super) fn ask(file: &Path, rounds: u32) -> Result<Vec<Asked>, StoreError> {
    let io = |source| StoreError::Io {
        path: file.to_owned(),
        source,
    };
    let pages = File::open(file).map_err(io)?;
    // Only clean pages are dropped.
    pages.sync_all().map_err(io)?;
    let end_s = query::extent(&open_reader(file)?, Level::Second)?.to_s;
    let mut times: Vec<Vec<(f64, u64, Level, usize)>> = (0..QUESTIONS).map(|_| Vec::new()).collect();
    for round in 0..u64::from(rounds) {
        for (question, times) in ALL.iter().zip(&mut times) {
            fadvise(&pages, 0, None, Advice::DontNeed).map_err(|e| io(e.into()))?;
            // Not always the same series, nor the same day.
            let n = year::chance(round, question.days.cast_unsigned());
            let to_s = end_s - (n % 40).cast_signed() * DAY_S;
            let before = read_bytes();
            let begun = Instant::now();
            let db = open_reader(file)?;
            let (level, points) = answer(&db, question, (question.of)(n), to_s)?;
            drop(db);
            let ms = begun.elapsed().as_secs_f64() * 1e3;
            times.push((ms, read_bytes() - before, level, points));
        }
    }
    Ok(ALL
        .iter()
        .zip(times)
        .map(|(question, mut times)| {
            times.sort_by(|a, b| a.0.total_cmp(&b.0));
            let at = |share: f64| times[((share * times.len() as f64).ceil() as usize).clamp(1, times.len()) - 1];
            let (_, read, level, points) = at(0.5);
            Asked {
                name: question.name,
                level: level.name(),
                points,
                p50_ms: at(0.5).0,
                p99_ms: at(0.99).0,
                longest_ms: at(1.0).0,
                read_kib: read / 1024,
            }
        })
        .collect())
}

fn answer(db: &Connection, question: &Question, of: Of, to_s: i64) -> Result<(Level, usize), StoreError> {
    let span = (to_s - question.days * DAY_S, to_s);
    let level = query::finest(db, span.0, span.1, question.points)?;
    let count = match of {
        Of::Points(series) => {
            let calendar = query::calendar(db)?;
            query::points(db, &calendar, &series, level, span, question.points)?
                .points
                .len()
        }
        Of::Total(series) => {
            let stretches = query::cover(db, &query::calendar(db)?, span)?;
            query::total(db, &series, &stretches)?.map.len()
        }
        Of::LastOccupied(area) => usize::from(query::last_occupied(db, &area)?.is_some()),
        Of::Changes => query::changes(db, None, None, span.0 * 1_000, question.points)?.len(),
    };
    Ok((level, count))
}

/// What this process has read from disks so far, bytes.
fn read_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}
