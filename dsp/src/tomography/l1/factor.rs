//! A Cholesky factor that grows and shrinks by one unknown at a time.
//!
//! Appending solves for one more row; removing row and column `k` leaves the rows above it as they are and adds
//! the outer product of what stood in column `k` to the rest (Golub and Van Loan, Matrix Computations, 6.5),
//! which keeps it positive definite. Each costs `O(n^2)`; a new factor would cost `O(n^3)`.

/// A pivot is at least this share of its diagonal element: an unknown that the others already span gets a
/// small ridge of its own instead of a division by rounding.
const LEAST_PIVOT: f64 = 1e-9;

/// Lower triangle by rows, row `i` from `i (i + 1) / 2`.
#[derive(Clone, Debug, Default)]
pub(super) struct Factor {
    n: usize,
    packed: Vec<f64>,
    /// The column that a removal spreads over the rest.
    column: Vec<f64>,
}

const fn start(row: usize) -> usize {
    row * (row + 1) / 2
}

impl Factor {
    /// An empty factor with room for `most` unknowns.
    pub(super) fn with_room(most: usize) -> Self {
        Self {
            n: 0,
            packed: vec![0.0; start(most)],
            column: vec![0.0; most],
        }
    }

    /// Forgets all unknowns.
    pub(super) fn clear(&mut self) {
        self.n = 0;
    }

    /// One more unknown: `row` holds the matrix between it and those there are, and its own diagonal element last.
    pub(super) fn append(&mut self, row: &[f64]) {
        let n = self.n;
        assert_eq!(row.len(), n + 1, "one element for each unknown and one for the new one");
        let (head, new) = self.packed.split_at_mut(start(n));
        let mut squares = 0.0;
        for i in 0..n {
            let above = &head[start(i)..=start(i) + i];
            let mut sum = row[i];
            for (l, m) in above[..i].iter().zip(&new[..i]) {
                sum -= l * m;
            }
            new[i] = sum / above[i];
            squares += new[i] * new[i];
        }
        let (pivot, least) = (row[n] - squares, LEAST_PIVOT * row[n]);
        new[n] = if pivot > least { pivot } else { least }.sqrt();
        self.n = n + 1;
    }

    /// Takes unknown `k` out.
    pub(super) fn remove(&mut self, k: usize) {
        let rest = self.n - k - 1;
        // Rows below move up by one and lose column k.
        for i in k + 1..self.n {
            let from = start(i);
            self.column[i - k - 1] = self.packed[from + k];
            self.packed.copy_within(from..from + k, start(i - 1));
            self.packed.copy_within(from + k + 1..=from + i, start(i - 1) + k);
        }
        self.n -= 1;
        for j in 0..rest {
            let at = start(k + j) + k + j;
            let (l, v) = (self.packed[at], self.column[j]);
            let r = (l * l + v * v).sqrt();
            let (c, s) = (r / l, v / l);
            self.packed[at] = r;
            for i in j + 1..rest {
                let at = start(k + i) + k + j;
                self.packed[at] = (self.packed[at] + s * self.column[i]) / c;
                self.column[i] = c * self.column[i] - s * self.packed[at];
            }
        }
    }

    /// Solves `A x = b` in place.
    pub(super) fn solve(&self, b: &mut [f64]) {
        let row = |i: usize| &self.packed[start(i)..=start(i) + i];
        for i in 0..self.n {
            let row = row(i);
            let mut sum = b[i];
            for (l, x) in row[..i].iter().zip(&b[..i]) {
                sum -= l * x;
            }
            b[i] = sum / row[i];
        }
        for i in (0..self.n).rev() {
            let row = row(i);
            b[i] /= row[i];
            let value = b[i];
            for (l, x) in row[..i].iter().zip(&mut b[..i]) {
                *x -= l * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A positive definite matrix without structure.
    fn element(i: usize, j: usize) -> f64 {
        let (i, j) = if i < j { (i, j) } else { (j, i) };
        if i == j {
            9.0 + i as f64
        } else {
            ((3 * i + 7 * j) % 5) as f64 - 1.5
        }
    }

    #[test]
    fn what_was_appended_and_removed_solves_what_is_left() {
        let mut factor = Factor::with_room(8);
        let mut there: Vec<usize> = Vec::new();
        let removals = [
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            Some(0),
            Some(3),
            Some(5),
            None,
            Some(1),
        ];
        for (step, removal) in removals.into_iter().enumerate() {
            match removal {
                Some(k) => {
                    factor.remove(k);
                    there.remove(k);
                }
                None => {
                    let row: Vec<_> = there
                        .iter()
                        .map(|&i| element(i, step))
                        .chain([element(step, step)])
                        .collect();
                    factor.append(&row);
                    there.push(step);
                }
            }
            let want: Vec<_> = (0..there.len()).map(|i| 1.0 - 0.3 * i as f64).collect();
            let mut b: Vec<f64> = there
                .iter()
                .map(|&i| there.iter().zip(&want).map(|(&j, x)| element(i, j) * x).sum())
                .collect();
            factor.solve(&mut b);
            for (got, want) in b.iter().zip(&want) {
                assert!((got - want).abs() < 1e-12, "step {step}: {got} instead of {want}");
            }
        }
    }

    #[test]
    fn an_unknown_that_the_others_span_is_held_by_a_ridge() {
        let mut factor = Factor::with_room(2);
        factor.append(&[4.0]);
        factor.append(&[4.0, 4.0]);
        let mut b = [4.0, 4.0];
        factor.solve(&mut b);
        assert!(
            b.iter().all(|x| x.is_finite()) && (b[0] + b[1] - 1.0).abs() < 1e-6,
            "{b:?}"
        );
    }
}
