//! The table: counts, their ratio, smoothed, and as text.

use std::fmt::Write as _;

use tapline_dsp::{
    detmath,
    tracker::body::{NATS, RATE_M_S, SHARE},
};

use crate::walks::OTHERS;

const ROWS: usize = NATS.len();
const COLUMNS: usize = NATS[0].len();
/// Walks that every cell is taken to have more than were counted.
const PRIOR: f32 = 0.5;
/// Standard deviation of the smoothing, in cells, and how far it reaches.
const SMOOTH: f32 = 0.6;
const REACH: isize = 2;
/// No cell says more than this, nats.
const MOST: f32 = 2.5;

type Table = [[f32; COLUMNS]; ROWS];

/// How often each share was seen at each rate.
#[derive(Default)]
pub(crate) struct Counts {
    walks: Table,
    others: Table,
}

impl Counts {
    /// A walk that somebody takes.
    pub(crate) fn walk(&mut self, share: f32, rate_m_s: f32) {
        *cell(&mut self.walks, share, rate_m_s) += 1.0;
    }

    /// A walk that nobody takes.
    pub(crate) fn other(&mut self, share: f32, rate_m_s: f32) {
        *cell(&mut self.others, share, rate_m_s) += 1.0;
    }

    /// Logarithm of how much oftener a share is seen at a rate of a walk than at that of another.
    fn nats(&self) -> Table {
        let mut table = Table::default();
        for ((row, walks), others) in table.iter_mut().zip(&self.walks).zip(&self.others) {
            let other = PRIOR * OTHERS as f32;
            let [walked, passed] =
                [(walks, PRIOR), (others, other)].map(|(n, prior)| n.iter().map(|n| n + prior).sum::<f32>());
            for ((nats, walk), o) in row.iter_mut().zip(walks).zip(others) {
                *nats = detmath::ln((walk + PRIOR) / walked * passed / (o + other));
            }
        }
        smoothed(&table)
    }
}

/// The nearest cell.
fn cell(table: &mut Table, share: f32, rate_m_s: f32) -> &mut f32 {
    let nearest = |value: f32, [first, step]: [f32; 2], count: usize| {
        (detmath::max((value - first) / step + 0.5, 0.0) as usize).min(count - 1)
    };
    let row = nearest(rate_m_s.abs(), RATE_M_S, ROWS);
    &mut table[row][nearest(detmath::ln(detmath::max(share, 1e-9)), SHARE, COLUMNS)]
}

/// Smoothed along rows and columns; the peak's own column stays as it is.
fn smoothed(table: &Table) -> Table {
    let weight = |at: isize| detmath::exp(-0.5 * (at as f32 / SMOOTH) * (at as f32 / SMOOTH));
    let all: f32 = (-REACH..=REACH).map(weight).sum();
    let near = |at: usize, by: isize, count: usize| at.saturating_add_signed(by).min(count - 1);
    core::array::from_fn(|row| {
        core::array::from_fn(|column| {
            let mut sum = 0.0;
            for down in -REACH..=REACH {
                for along in -REACH..=REACH {
                    let value = table[near(row, down, ROWS)][near(column, along, COLUMNS)];
                    sum += weight(down) * weight(along) * value / (all * all);
                }
            }
            let own = match COLUMNS - 1 - column {
                0 => 1.0,
                1 => 0.5,
                _ => 0.0,
            };
            detmath::clamp(sum + own * (table[row][column] - sum), -MOST, MOST)
        })
    })
}

/// The table as a constant, its counts, and its distance from the one compiled in, over cells with so many walks.
pub(crate) fn report(counts: &Counts, least: f32) -> String {
    let table = counts.nats();
    let mut text = format!("pub const NATS: [[f32; {COLUMNS}]; {ROWS}] = [\n");
    for row in &table {
        let _ = writeln!(text, "    [\n        {},\n    ],", joined(row, 2));
    }
    text.push_str("];\n\nWalks counted, by cell:\n");
    for row in &counts.walks {
        let _ = writeln!(text, "    {}", joined(row, 0));
    }
    text.push_str("\nFrom the table compiled in:\n");
    let (mut most, mut squares, mut cells) = (0.0, 0.0, 0.0);
    for ((row, known), walks) in table.iter().zip(&NATS).zip(&counts.walks) {
        let off: [f32; COLUMNS] = core::array::from_fn(|k| row[k] - known[k]);
        let _ = writeln!(text, "    {}", joined(&off, 2));
        for (off, _) in off.iter().zip(walks).filter(|(_, n)| **n >= least) {
            most = detmath::max(most, off.abs());
            squares += off * off;
            cells += 1.0_f32;
        }
    }
    let rms = (squares / cells.max(1.0)).sqrt();
    let _ = writeln!(
        text,
        "{cells} cells with {least} walks or more: at most {most:.2} nats off, {rms:.2} in the root mean square"
    );
    text
}

fn joined(row: &[f32; COLUMNS], digits: usize) -> String {
    // Plus zero: no "-0.00".
    let rounded = row.map(|v| (v * 100.0).round() / 100.0 + 0.0);
    rounded.map(|v| format!("{v:.digits$}")).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_what_is_even_and_the_last_column() {
        let even = [[0.7; COLUMNS]; ROWS];
        for (a, b) in smoothed(&even).as_flattened().iter().zip(even.as_flattened()) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        let mut peaked = even;
        peaked[4][COLUMNS - 1] = 2.0;
        peaked[4][3] = 2.0;
        let smooth = smoothed(&peaked);
        assert!((smooth[4][COLUMNS - 1] - 2.0).abs() < 1e-5 && smooth[4][3] < 1.5 && smooth[5][3] > 0.75);
    }

    #[test]
    fn what_walks_show_and_others_do_not_speaks_for_a_walk() {
        let mut counts = Counts::default();
        for _ in 0..100 {
            counts.walk(1.0, -0.5);
            counts.walk(0.0, 9.0);
            (0..OTHERS).for_each(|_| counts.other(0.03, 0.5));
        }
        assert_eq!(
            (counts.walks[2][COLUMNS - 1], counts.walks[ROWS - 1][0]),
            (100.0, 100.0)
        );
        let nats = counts.nats();
        assert_eq!((nats[2][COLUMNS - 1], nats[2][6] < 0.0), (MOST, true));
        assert!(nats[6][COLUMNS - 1].abs() < 1e-5);
    }
}
