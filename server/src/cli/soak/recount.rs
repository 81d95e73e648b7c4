//! Adds every cycle up once more, straight from what it published, and compares the sums with the store's at the end. What
//! the store went through meanwhile (steps, levels built from levels, rows not written, pruning) is not used here.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
};

use super::super::output::Failure;
use crate::{
    config::{Site, witnessed},
    rollup::{Calendar, Carry, CycleInput, Fold, Kind, Level, Names, Row, Rows, Series, Window},
    run::{Engine, Stepped, outcome_code},
    store::{DATABASE_FILE, rollup::query, schema::open_reader},
};

/// Windows of a level that are remembered, the newest ones: seconds are kept for hours only, and 32 bytes a window is
/// to be no part of what grows.
const WINDOWS_MAX: usize = 2_000;

/// What all rows of a window but latencies hash to.
type Digest = [u8; 32];

struct Tally {
    level: Level,
    fold: Fold<Carry>,
    open: Option<Window>,
    closed: VecDeque<(Window, Digest)>,
}

/// The second count.
pub(super) struct Recount {
    names: Names,
    calendar: Calendar,
    tallies: [Tally; 4],
    latest_ns: i64,
}

/// What the comparison saw.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Compared {
    /// Windows by level: seconds, minutes, hours, days.
    pub(super) windows: [usize; 4],
    /// Rows that were not zero.
    pub(super) rows: usize,
}

impl Recount {
    pub(super) fn new(site: &Site, calendar: Calendar) -> Self {
        Self {
            names: Names::of(&witnessed::document(site)),
            calendar,
            tallies: Level::ALL.map(|level| Tally {
                level,
                fold: Fold::new(Carry::default()),
                open: None,
                closed: VecDeque::new(),
            }),
            latest_ns: i64::MIN,
        }
    }

    pub(super) fn add(&mut self, engine: &Engine, stepped: &Stepped) {
        let outcome = engine.core.outcome();
        self.latest_ns = self.latest_ns.max(stepped.stamp.wall_ns);
        let input = CycleInput {
            seq: stepped.leaf.seq,
            boot_id: *engine.chain.boot_id(),
            tick: outcome.tick,
            wall_ns: self.latest_ns,
            outcome_code: outcome_code(&stepped.report, outcome) as u8,
            outcome,
            stage_us: None,
            names: &self.names,
        };
        let at_s = self.latest_ns.div_euclid(1_000_000_000);
        for tally in &mut self.tallies {
            if tally.open.is_none_or(|w| at_s >= w.end_s) {
                let (rows, _) = tally.fold.close();
                if let Some(window) = tally.open.replace(self.calendar.window(tally.level, at_s)) {
                    if tally.closed.len() == WINDOWS_MAX {
                        tally.closed.pop_front();
                    }
                    tally.closed.push_back((window, digest(&rows).0));
                }
            }
            tally.fold.add(&input);
        }
    }

    /// Compares with the store of this data directory.
    pub(super) fn compare(&self, data_dir: &Path) -> Result<Compared, Failure> {
        let db = open_reader(&data_dir.join(DATABASE_FILE)).map_err(Failure::of)?;
        let mut compared = Compared::default();
        for (tally, seen) in self.tallies.iter().zip(&mut compared.windows) {
            let extent = query::extent(&db, tally.level).map_err(Failure::of)?;
            let Some(from_s) = extent.from_s else { continue };
            let inside = |w: &Window| w.start_s >= from_s && w.end_s <= extent.to_s;
            let windows: Vec<_> = tally.closed.iter().filter(|(w, _)| inside(w)).collect();
            let (Some(first), Some(last)) = (windows.first(), windows.last()) else {
                continue;
            };
            let stretch = (first.0.start_s, last.0.end_s);
            let mut stored: BTreeMap<i64, Rows> = BTreeMap::new();
            for series in all_series(&db, tally.level, stretch).map_err(Failure::of)? {
                let found = query::points(&db, &self.calendar, &series, tally.level, stretch, query::MAX_POINTS);
                for point in found.map_err(Failure::of)?.points {
                    stored
                        .entry(point.window.start_s)
                        .or_default()
                        .insert(series.clone(), point.row);
                }
            }
            for (window, expected) in windows {
                let (found, rows) = stored.get(&window.start_s).map_or_else(|| digest(&Rows::new()), digest);
                if found != *expected {
                    return Err(Failure(format!(
                        "the rollups of the {:?} from {} on are not what its cycles add up to",
                        tally.level, window.start_s
                    )));
                }
                *seen += 1;
                compared.rows += rows;
            }
        }
        Ok(compared)
    }
}

/// Every series of a level but latencies.
fn all_series(
    db: &rusqlite::Connection,
    level: Level,
    stretch: (i64, i64),
) -> Result<Vec<Series>, crate::store::StoreError> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        match kind {
            Kind::Stages => {}
            Kind::Person => {
                let (start_s, end_s) = stretch;
                let people = query::people(db, &[(level, Window { start_s, end_s })])?;
                all.extend(people.into_iter().map(|(id, _)| Series::new(kind, id.to_string())));
            }
            _ => all.extend(query::keys(db, kind)?.into_iter().map(|key| Series::new(kind, key))),
        }
    }
    Ok(all)
}

/// Hash of all rows that say something, and how many there are.
fn digest(rows: &Rows) -> (Digest, usize) {
    let mut hash = blake3::Hasher::new();
    let mut count = 0;
    for (series, row) in rows {
        if series.kind == Kind::Stages || *row == Row::default() {
            continue;
        }
        count += 1;
        hash.update(&[series.kind as u8, series.key.len() as u8]);
        hash.update(series.key.as_bytes());
        hash.update(&row.encode());
    }
    (*hash.finalize().as_bytes(), count)
}
