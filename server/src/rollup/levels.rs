//! Which rows are written, and how one that was not written reads.
//!
//! Every window with a cycle has a row of [`Series::cycles`]. Of the other series a row is written only when it says
//! something:
//!
//! - nothing was counted: no row, and a missing row reads as zero. So links without frames, flows, people who are not there;
//! - an area that stood all through the window as it stood at the end of its last written row: no row, and a missing
//!   row reads as that many cycles of the same ([`Row::steady`]). In the first window of each window of the next level
//!   (with a cycle) every area's row is written, so no reader looks further back than that.

use std::collections::BTreeMap;

use super::{
    calendar::Window,
    cycle::Rows,
    fields::cycles,
    row::{End, Kind, Row, Series},
};

/// True when the row has to be written. `before`: how the area stood at the end of its last row within the same window
/// of the next level; `cycles`: of this window.
pub fn is_news(series: &Series, row: &Row, before: Option<End>, cycles: u64) -> bool {
    match (series.kind, before) {
        (Kind::Area, Some(end)) => *row != Row::steady(end, cycles),
        _ => !row.is_zero(),
    }
}

/// Rows of one series as they read, from those that were written: one for each window of `clock` (start, cycles), both
/// ascending. `outer` gives the window of the next level around a time; it is asked once a window.
pub fn read(
    kind: Kind,
    clock: &[(i64, u64)],
    written: &[(i64, Row)],
    outer: impl Fn(i64) -> Window,
) -> Vec<(i64, Row)> {
    let mut written = written.iter().peekable();
    let mut end = End::Absent;
    let mut within = Window { start_s: 0, end_s: 0 };
    let mut rows = Vec::with_capacity(clock.len());
    for (start_s, cycles) in clock {
        if !(within.start_s..within.end_s).contains(start_s) {
            (within, end) = (outer(*start_s), End::Absent);
        }
        // Rows of windows before the first asked for still say how the area stood.
        while let Some((_, before)) = written.next_if(|(at, _)| at < start_s) {
            end = before.end;
        }
        let row = match written.next_if(|(at, _)| at == start_s) {
            Some((_, row)) => row.clone(),
            None if kind == Kind::Area => Row::steady(end, *cycles),
            None => Row::default(),
        };
        end = row.end;
        rows.push((*start_s, row));
    }
    rows
}

/// The rows of a window of the next level from all that were written in it, by series. The rows of
/// [`Series::cycles`] must be among them.
pub fn fold(written: &BTreeMap<Series, Vec<(i64, Row)>>) -> Rows {
    let clock: Vec<(i64, u64)> = written
        .get(&Series::cycles())
        .into_iter()
        .flatten()
        .map(|(at, row)| (*at, row.sum[cycles::CYCLES]))
        .collect();
    let mut rows = Rows::new();
    for (series, written) in written {
        let mut total = Row::default();
        if series.kind == Kind::Area {
            let all = Window {
                start_s: i64::MIN,
                end_s: i64::MAX,
            };
            for (_, row) in read(series.kind, &clock, written, |_| all) {
                total.merge(&row);
                total.end = row.end;
            }
        } else {
            written.iter().for_each(|(_, row)| total.merge(row));
        }
        if !total.is_zero() {
            rows.insert(series.clone(), total);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: End = End::Known { state: 1, people: 0 };
    const STILL: End = End::Known { state: 3, people: 1 };

    #[test]
    fn what_was_not_written_reads_as_it_was() {
        let area = Series::new(Kind::Area, "room:a");
        // Two minutes of seconds; the area changes in second 30, is not reported in second 90, and 100 has no cycle.
        let clock: Vec<(i64, u64)> = (0..120).filter(|t| *t != 100).map(|t| (t, 19 + t as u64 % 3)).collect();
        let whole = |t: i64, n: u64| match t {
            0..30 => Row::steady(EMPTY, n),
            30 => {
                let mut row = Row::steady(STILL, n - 1);
                row.merge(&Row::steady(EMPTY, 1));
                row
            }
            90 => Row::steady(End::Absent, n),
            _ => Row::steady(STILL, n),
        };
        let mut before = None;
        let mut written = Vec::new();
        for (t, n) in &clock {
            if t % 60 == 0 {
                before = None;
            }
            let row = whole(*t, *n);
            if is_news(&area, &row, before, *n) {
                before = Some(row.end);
                written.push((*t, row));
            }
        }
        assert_eq!(written.iter().map(|(t, _)| *t).collect::<Vec<_>>(), [0, 30, 60, 90, 91]);
        let rows = read(Kind::Area, &clock, &written, |t| Window {
            start_s: t - t % 60,
            end_s: t - t % 60 + 60,
        });
        for ((t, n), (at, row)) in clock.iter().zip(&rows) {
            assert_eq!((*t, &whole(*t, *n)), (*at, row));
        }
    }

    #[test]
    fn an_area_that_is_gone_is_said_once() {
        let area = Series::new(Kind::Area, "zone:a");
        assert!(is_news(&area, &Row::default(), Some(EMPTY), 20));
        assert!(!is_news(&area, &Row::default(), Some(End::Absent), 20));
        assert!(!is_news(&area, &Row::default(), None, 20));
        assert!(!is_news(&Series::new(Kind::Link, "1-2"), &Row::default(), None, 20));
    }
}
