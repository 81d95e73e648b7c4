//! Which detection belongs to which track: gated, globally optimal, ties by index.
//!
//! Shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987) on costs scaled to integers, so that
//! sums are exact and equal costs are equal. All buffers are fixed: it runs in the 20 Hz cycle.

/// Most rows and columns.
pub const MOST: usize = 32;

/// Cost of a pair that its gate forbids.
pub const FORBIDDEN: f64 = f64::INFINITY;

/// Steps of one cost unit.
const SCALE: f64 = 65_536.0;
/// What leaving a row without a column costs, above every allowed cost: pairs are made wherever gates allow.
const UNASSIGNED: i64 = 1 << 40;
/// Dearer than leaving the row alone, so never taken.
const NEVER: i64 = 2 * UNASSIGNED;

/// Costs of rows (tracks) against columns (detections).
#[derive(Clone, Debug)]
pub struct Assignment {
    rows: usize,
    columns: usize,
    cost: [[i64; MOST]; MOST],
}

impl Assignment {
    /// All pairs forbidden. Rows and columns above [`MOST`] are not considered.
    pub fn new(rows: usize, columns: usize) -> Self {
        Self {
            rows: rows.min(MOST),
            columns: columns.min(MOST),
            cost: [[NEVER; MOST]; MOST],
        }
    }

    /// Sets the cost of a pair; a cost that is not finite, negative, or above 2^20 forbids it.
    pub fn set(&mut self, row: usize, column: usize, cost: f64) {
        let allowed = (0.0..1_048_576.0).contains(&cost);
        self.cost[row][column] = if allowed { (cost * SCALE) as i64 } else { NEVER };
    }

    /// For each row its column. Most pairs first, then least total cost; of equal totals the one that the
    /// lower rows find first.
    pub fn solve(&self) -> [Option<usize>; MOST] {
        // Row r may stay without a detection: its own dummy column `columns + r` costs UNASSIGNED.
        let width = self.columns + self.rows;
        let cost = |row: usize, column: usize| {
            if column < self.columns {
                self.cost[row][column]
            } else if column - self.columns == row {
                UNASSIGNED
            } else {
                NEVER
            }
        };
        let mut row_price = [0_i64; MOST];
        let mut column_price = [0_i64; 2 * MOST];
        let mut owner: [Option<usize>; 2 * MOST] = [None; 2 * MOST];
        for start in 0..self.rows {
            let mut shortest = [i64::MAX; 2 * MOST];
            let mut via: [Option<usize>; 2 * MOST] = [None; 2 * MOST];
            let mut done = [false; 2 * MOST];
            let (mut row, mut reached, mut last) = (start, 0_i64, None);
            let end = loop {
                let mut next = None;
                for column in (0..width).filter(|&c| !done[c]) {
                    let length = reached + cost(row, column) - row_price[row] - column_price[column];
                    if length < shortest[column] {
                        shortest[column] = length;
                        via[column] = last;
                    }
                    if next.is_none_or(|n: usize| shortest[column] < shortest[n]) {
                        next = Some(column);
                    }
                }
                let Some(column) = next else { break None };
                reached = shortest[column];
                done[column] = true;
                match owner[column] {
                    Some(taken) => (row, last) = (taken, Some(column)),
                    None => break Some(column),
                }
            };
            // A row's own dummy column is always free, so a path is always found.
            let Some(mut column) = end else { continue };
            row_price[start] += reached;
            for c in (0..width).filter(|&c| done[c] && c != column) {
                column_price[c] -= reached - shortest[c];
                if let Some(r) = owner[c] {
                    row_price[r] += reached - shortest[c];
                }
            }
            while let Some(previous) = via[column] {
                owner[column] = owner[previous];
                column = previous;
            }
            owner[column] = Some(start);
        }
        let mut found = [None; MOST];
        for (column, row) in owner.iter().enumerate().take(self.columns) {
            if let Some(row) = *row {
                found[row] = (self.cost[row][column] < UNASSIGNED).then_some(column);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use pathfinding::{kuhn_munkres::kuhn_munkres_min, matrix::Matrix};
    use proptest::prelude::*;

    use super::*;

    fn solve(costs: &[&[f64]]) -> Vec<Option<usize>> {
        let mut a = Assignment::new(costs.len(), costs[0].len());
        for (r, row) in costs.iter().enumerate() {
            for (c, &cost) in row.iter().enumerate() {
                a.set(r, c, cost);
            }
        }
        a.solve()[..costs.len()].to_vec()
    }

    #[test]
    fn the_global_optimum_beats_the_greedy_choice() {
        // Greedy gives row 0 its 1.0 and row 1 its 9.0; the optimum is 2.0 + 2.0.
        assert_eq!(solve(&[&[1.0, 2.0], &[2.0, 9.0]]), [Some(1), Some(0)]);
    }

    #[test]
    fn gates_hold_and_ties_go_to_the_lower_index() {
        assert_eq!(solve(&[&[FORBIDDEN, FORBIDDEN], &[3.0, 3.0]]), [None, Some(0)]);
        assert_eq!(solve(&[&[1.0, 1.0], &[1.0, 1.0]]), [Some(0), Some(1)]);
    }

    #[test]
    fn more_pairs_come_before_less_cost() {
        assert_eq!(solve(&[&[0.0, 5.0], &[1.0, FORBIDDEN]]), [Some(1), Some(0)]);
    }

    proptest! {
        /// Against an independent implementation of the Hungarian method: same total.
        #[test]
        fn total_cost_is_that_of_kuhn_munkres(rows in 1..7_usize, extra in 0..4_usize, seed in prop::collection::vec(0..200_u32, 70)) {
            let columns = rows + extra;
            let cost = |r: usize, c: usize| f64::from(seed[r * 10 + c]) / 8.0;
            let mut a = Assignment::new(rows, columns);
            let mut weights = Matrix::new(rows, columns, 0_i64);
            for r in 0..rows {
                for c in 0..columns {
                    a.set(r, c, cost(r, c));
                    weights[(r, c)] = (cost(r, c) * SCALE) as i64;
                }
            }
            let found = a.solve();
            let total: f64 = (0..rows).map(|r| cost(r, found[r].unwrap())).sum();
            let (want, _) = kuhn_munkres_min(&weights);
            prop_assert_eq!((total * SCALE) as i64, want);
            let mut columns: Vec<_> = found[..rows].iter().flatten().collect();
            columns.sort_unstable();
            columns.dedup();
            prop_assert_eq!(columns.len(), rows);
        }
    }
}
