//! From the store to the rows of a table, a piece of time at a time.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{Cell, ExportError, Request, Sink, What};
use crate::{
    rollup::{
        Calendar, Kind, Occupancy, Row, Series, Window, cell_corner_m,
        fields::{area, cycles, flow, heat, link, person, stages},
        quantile,
    },
    store::rollup::query::{self, Point},
};

/// Windows, or events, read at once.
const PIECE: u32 = 1_000;
/// Cycles a second.
const RATE: f64 = 20.0;

/// Writes the rows of a table, series by series and each ascending by time; events ascending by time. Returns how many.
///
/// # Errors
/// When the store cannot be read or the sink fails: rows before that are written.
pub fn export(
    db: &Connection,
    calendar: &Calendar,
    request: &Request,
    sink: &mut dyn Sink,
) -> Result<u64, ExportError> {
    in_pieces(db, calendar, request, sink, PIECE)
}

/// The same with so many windows, or events, read at once.
pub(super) fn in_pieces(
    db: &Connection,
    calendar: &Calendar,
    request: &Request,
    sink: &mut dyn Sink,
    piece: u32,
) -> Result<u64, ExportError> {
    let mut writer = Writer {
        db,
        calendar,
        request,
        sink,
        piece,
        rows: 0,
    };
    match request.what {
        What::Events => writer.events()?,
        What::Flows | What::Heat => writer.sparse()?,
        What::People => writer.people()?,
        What::Operation | What::Latency | What::Occupancy | What::Links => writer.dense()?,
    }
    Ok(writer.rows)
}

struct Writer<'e> {
    db: &'e Connection,
    calendar: &'e Calendar,
    request: &'e Request,
    sink: &'e mut dyn Sink,
    piece: u32,
    rows: u64,
}

impl Writer<'_> {
    fn put(&mut self, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        debug_assert_eq!(cells.len(), self.request.what.columns().len());
        self.rows += 1;
        self.sink.row(cells)
    }

    fn keys(&self) -> Result<Vec<String>, ExportError> {
        let Some(kind) = self.request.what.kind() else {
            return Ok(Vec::new());
        };
        let mut keys = query::keys(self.db, kind)?;
        keys.retain(|key| self.request.zones || !key.starts_with("zone:"));
        Ok(keys)
    }

    /// A row for every window with a cycle, also where nothing changed.
    fn dense(&mut self) -> Result<(), ExportError> {
        let Request { what, level, to_s, .. } = *self.request;
        let Some(kind) = what.kind() else { return Ok(()) };
        for key in self.keys()? {
            let series = Series::new(kind, key);
            let mut from_s = self.request.from_s;
            while from_s < to_s {
                let piece = query::points(self.db, self.calendar, &series, level, (from_s, to_s), self.piece)?;
                let Some(last) = piece.points.last() else { break };
                from_s = last.window.end_s;
                for point in &piece.points {
                    match what {
                        What::Operation => self.operation(point)?,
                        What::Latency => self.latency(point)?,
                        What::Occupancy => self.occupancy(&series.key, point)?,
                        _ => self.link(&series.key, point)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Stretches of time that one question covers, ascending.
    fn pieces(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let Request {
            level, from_s, to_s, ..
        } = *self.request;
        let step_s = i64::from(self.piece) * level.usual_s();
        std::iter::successors(Some(from_s), move |s| s.checked_add(step_s))
            .take_while(move |s| *s < to_s)
            .map(move |s| (s, s.saturating_add(step_s).min(to_s)))
    }

    /// A row for what happened, none where nothing did.
    fn sparse(&mut self) -> Result<(), ExportError> {
        let Some(kind) = self.request.what.kind() else {
            return Ok(());
        };
        for key in self.keys()? {
            let series = Series::new(kind, key);
            for span in self.pieces() {
                for (start_s, row) in query::written(self.db, &series, self.request.level, span)? {
                    let window = self.calendar.window(self.request.level, start_s);
                    match kind {
                        Kind::Flow => self.flow(window, &series.key, &row)?,
                        _ => self.heat(window, &series.key, &row)?,
                    }
                }
            }
        }
        Ok(())
    }

    fn people(&mut self) -> Result<(), ExportError> {
        for span in self.pieces() {
            for (start_s, id, row) in query::people_rows(self.db, self.request.level, span)? {
                let window = self.calendar.window(self.request.level, start_s);
                self.person(window, id, &row)?;
            }
        }
        Ok(())
    }

    fn events(&mut self) -> Result<(), ExportError> {
        let (from_ms, to_ms) = (
            self.request.from_s.saturating_mul(1_000),
            self.request.to_s.saturating_mul(1_000),
        );
        let mut after = None;
        loop {
            let page = query::changes_after(self.db, after, (from_ms, to_ms), self.piece)?;
            let Some((last, number)) = page.last() else {
                return Ok(());
            };
            after = Some((last.t_ms, last.seq, *number));
            for (change, _) in &page {
                if !self.request.zones && change.area.starts_with("zone:") {
                    continue;
                }
                let to = match change.to {
                    Occupancy::Unknown => "unknown",
                    Occupancy::Empty => "empty",
                    Occupancy::Occupied => "occupied",
                };
                self.put(&[
                    Cell::Time(change.t_ms),
                    Cell::Integer(change.seq),
                    Cell::Text(change.area.as_str().into()),
                    Cell::Text(to.into()),
                ])?;
            }
        }
    }

    fn operation(&mut self, point: &Point) -> Result<(), ExportError> {
        let sum = &point.row.sum;
        let mut cells = window_cells(point.window).to_vec();
        cells.extend([cycles::CYCLES, cycles::MISSED].map(|i| Cell::Integer(sum[i])));
        cells.extend((cycles::GATE..cycles::QUALITY_N).map(|i| Cell::Integer(sum[i])));
        cells.push(mean(sum[cycles::QUALITY], sum[cycles::QUALITY_N], 65_536.0));
        cells.extend([cycles::SIMULATED, cycles::DEMOTED].map(|i| Cell::Integer(sum[i])));
        self.put(&cells)
    }

    fn latency(&mut self, point: &Point) -> Result<(), ExportError> {
        let sum = &point.row.sum;
        if sum[stages::CYCLES] == 0 {
            return Ok(());
        }
        let mut by_stage = BTreeMap::<u32, BTreeMap<u32, u64>>::new();
        for (key, count) in &point.row.map {
            by_stage.entry(key >> 16).or_default().insert(key & 0xffff, *count);
        }
        for stage in 0..=9 {
            let counts = by_stage.remove(&stage).unwrap_or_default();
            let at = |q| quantile(&counts, q).map_or(Cell::None, Cell::Integer);
            let [start, end] = window_cells(point.window);
            self.put(&[
                start,
                end,
                Cell::Integer(u64::from(stage)),
                Cell::Integer(sum[stages::CYCLES]),
                mean(sum[stages::MICROS + stage as usize], sum[stages::CYCLES], 1.0),
                at(0.5),
                at(0.99),
            ])?;
        }
        Ok(())
    }

    fn occupancy(&mut self, key: &str, point: &Point) -> Result<(), ExportError> {
        let row = &point.row;
        let [start, end] = window_cells(point.window);
        let mut cells = vec![start, end, Cell::Text(key.into()), Cell::Integer(point.cycles)];
        cells.extend((area::STATE..area::ENTRIES).map(|i| Cell::Integer(row.sum[i])));
        cells.extend([area::ENTRIES, area::STAYS, area::STAY_S].map(|i| Cell::Integer(row.sum[i])));
        cells.push(Cell::Integer(row.peak[area::LONGEST_S]));
        self.put(&cells)
    }

    fn link(&mut self, key: &str, point: &Point) -> Result<(), ExportError> {
        let Row { sum, peak, .. } = &point.row;
        let [start, end] = window_cells(point.window);
        let coherences = sum[link::COHERENCE_N];
        let ratios = sum[link::MOTION_N];
        let known = |n: u64, value: f64| if n == 0 { Cell::None } else { Cell::Real(value) };
        self.put(&[
            start,
            end,
            Cell::Text(key.into()),
            Cell::Integer(sum[link::REPORTS]),
            Cell::Integer(sum[link::FRESH]),
            mean(sum[link::COHERENCE], coherences, 65_536.0),
            known(coherences, 1.0 - peak[link::COHERENCE_LEAST] as f64 / 65_536.0),
            mean(sum[link::MOTION], ratios, 1_024.0),
            known(ratios, peak[link::MOTION_MAX] as f64 / 1_024.0),
        ])
    }

    fn flow(&mut self, window: Window, key: &str, row: &Row) -> Result<(), ExportError> {
        let (from, to) = key.split_once('>').unwrap_or((key, ""));
        let [start, end] = window_cells(window);
        self.put(&[
            start,
            end,
            Cell::Text(from.into()),
            Cell::Text(to.into()),
            Cell::Integer(row.sum[flow::CROSSINGS]),
        ])
    }

    fn heat(&mut self, window: Window, key: &str, row: &Row) -> Result<(), ExportError> {
        debug_assert_eq!(row.sum[heat::TOTAL], row.map.values().sum::<u64>());
        for (cell, count) in &row.map {
            let [x_m, y_m] = cell_corner_m(*cell).map(f64::from);
            let [start, end] = window_cells(window);
            self.put(&[
                start,
                end,
                Cell::Text(key.into()),
                Cell::Real(x_m),
                Cell::Real(y_m),
                Cell::Real(*count as f64 / RATE),
            ])?;
        }
        Ok(())
    }

    fn person(&mut self, window: Window, id: u64, row: &Row) -> Result<(), ExportError> {
        let [start, end] = window_cells(window);
        let positions = row.sum[person::POSITIONS];
        let metres = |sum: u64| match positions {
            0 => Cell::None,
            n => Cell::Real((sum as f64 / n as f64 - person::ORIGIN_MM as f64) / 1_000.0),
        };
        self.put(&[
            start,
            end,
            Cell::Text(id.to_string().into()),
            Cell::Integer(row.sum[person::CYCLES]),
            Cell::Integer(row.sum[person::ACTIVE]),
            metres(row.sum[person::X_MM]),
            metres(row.sum[person::Y_MM]),
            Cell::Real(row.sum[person::WAY_MM] as f64 / 1_000.0),
        ])
    }
}

fn window_cells(window: Window) -> [Cell<'static>; 2] {
    [window.start_s, window.end_s].map(|s| Cell::Time(s.saturating_mul(1_000)))
}

fn mean(sum: u64, n: u64, unit: f64) -> Cell<'static> {
    match n {
        0 => Cell::None,
        n => Cell::Real(sum as f64 / unit / n as f64),
    }
}
