//! A Newton step for the complex LASSO on the taps that are not zero.
//!
//! Away from zero `F(x) = 1/2 x^H H x - Re(c^H x) + lambda sum |x_j|` is smooth. Each tap is turned so that
//! it points along the real axis, `u_j = x_j / |x_j|`; then the 1-norm bends only across it, by
//! `lambda / |x_j|`, and the Hessian over radial and tangential parts is
//!
//! ```text
//! [ Re H'   -Im H'     ]
//! [ Im H'    Re H' + D ],   H'_ij = conj(u_i) H_ij u_j,   D = diag(lambda / |x_j|)
//! ```
//!
//! with right-hand side `(Re q' - lambda, Im q')`, `q' = conj(u) q`. Solved by `L D L^T` without pivoting,
//! one column after the other; it is positive definite unless single precision says otherwise.

use num_complex::Complex32;

/// Most taps of a step.
pub const TAPS_MAX: usize = 32;

/// Work memory of a step.
pub struct Newton {
    matrix: Vec<f32>,
    right: Vec<f32>,
    turns: [Complex32; TAPS_MAX],
    /// The step of each tap.
    pub step: [Complex32; TAPS_MAX],
    /// The radial part of each step.
    pub radial: [f32; TAPS_MAX],
}

impl Newton {
    /// Takes the memory.
    pub fn new() -> Self {
        Self {
            matrix: vec![0.0; 4 * TAPS_MAX * TAPS_MAX],
            right: vec![0.0; 2 * TAPS_MAX],
            turns: [Complex32::new(0.0, 0.0); TAPS_MAX],
            step: [Complex32::new(0.0, 0.0); TAPS_MAX],
            radial: [0.0; TAPS_MAX],
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(self.matrix.as_slice()) + size_of_val(self.right.as_slice())
    }

    /// Computes `step` for `count` taps given by `tap(j) = (x_j, |x_j|, q_j)`, all different from zero, and
    /// `gram(i, j) = H_ij`. False when the matrix is not positive definite.
    pub fn solve(
        &mut self,
        count: usize,
        lambda: f32,
        tap: impl Fn(usize) -> (Complex32, f32, Complex32),
        gram: impl Fn(usize, usize) -> Complex32,
    ) -> bool {
        let size = 2 * count;
        for j in 0..count {
            let (x, length, q) = tap(j);
            let turn = Complex32::new(x.re / length, x.im / length);
            self.turns[j] = turn;
            let turned = turn.conj() * q;
            self.right[j] = turned.re - lambda;
            self.right[count + j] = turned.im;
            for i in 0..=j {
                let h = self.turns[i].conj() * gram(i, j) * turn;
                // The lower triangle, by columns: entry (row, column) at column * size + row.
                self.matrix[i * size + j] = h.re;
                self.matrix[(count + i) * size + count + j] = h.re;
                self.matrix[i * size + count + j] = -h.im;
                self.matrix[j * size + count + i] = h.im;
            }
            self.matrix[(count + j) * size + count + j] += lambda / length;
        }
        if !factor(&mut self.matrix[..size * size], size) {
            return false;
        }
        substitute(&self.matrix[..size * size], &mut self.right[..size], size);
        for j in 0..count {
            self.radial[j] = self.right[j];
            self.step[j] = self.turns[j] * Complex32::new(self.right[j], self.right[count + j]);
        }
        true
    }
}

impl Default for Newton {
    fn default() -> Self {
        Self::new()
    }
}

/// `L D L^T` in place: unit lower columns below the diagonal, `1 / D` on it.
fn factor(matrix: &mut [f32], size: usize) -> bool {
    for column in 0..size {
        let (done, rest) = matrix.split_at_mut((column + 1) * size);
        let pivots = &mut done[column * size..];
        let pivot = pivots[column];
        if pivot.is_nan() || pivot <= 1e-6 {
            return false;
        }
        let inverse = 1.0 / pivot;
        pivots[column] = inverse;
        for later in column + 1..size {
            let factor = pivots[later] * inverse;
            let target = &mut rest[(later - column - 1) * size..][later..size];
            for (t, p) in target.iter_mut().zip(&pivots[later..size]) {
                *t -= factor * p;
            }
        }
        for p in &mut pivots[column + 1..size] {
            *p *= inverse;
        }
    }
    true
}

fn substitute(matrix: &[f32], right: &mut [f32], size: usize) {
    for column in 0..size {
        let (done, rest) = right.split_at_mut(column + 1);
        for (r, l) in rest
            .iter_mut()
            .zip(&matrix[column * size + column + 1..][..size - column - 1])
        {
            *r -= l * done[column];
        }
    }
    for column in (0..size).rev() {
        let mut value = right[column] * matrix[column * size + column];
        for row in column + 1..size {
            value -= matrix[column * size + row] * right[row];
        }
        right[column] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tap_lands_on_the_soft_threshold() {
        // H = 2, c = 3 i, lambda = 1: x = i (3 - 1) / 2 = i. From x = i / 2 the residual correlation is 2 i.
        let mut newton = Newton::new();
        let x = Complex32::new(0.0, 0.5);
        assert!(newton.solve(
            1,
            1.0,
            |_| (x, 0.5, Complex32::new(0.0, 2.0)),
            |_, _| Complex32::new(2.0, 0.0)
        ));
        assert_eq!(x + newton.step[0], Complex32::new(0.0, 1.0));
        assert_eq!(newton.radial[0], 0.5);
    }

    #[test]
    fn steps_solve_their_system() {
        let h = |i: usize, j: usize| {
            let d = i as f32 - j as f32;
            Complex32::new(1.0 / (1.0 + d * d), 0.1 * d)
        };
        let x = [
            Complex32::new(0.5, 0.2),
            Complex32::new(-0.3, 0.1),
            Complex32::new(0.0, -0.9),
        ];
        let q = [
            Complex32::new(0.4, 0.1),
            Complex32::new(-0.2, 0.3),
            Complex32::new(0.1, -0.3),
        ];
        let lambda = 0.2;
        let mut newton = Newton::new();
        assert!(newton.solve(3, lambda, |j| (x[j], x[j].norm(), q[j]), h));
        for i in 0..3 {
            // The linearised optimality condition: q - H step = lambda (u + tangential part / |x|).
            let u = x[i] / x[i].norm();
            let tangential = u * Complex32::new(0.0, (u.conj() * newton.step[i]).im / x[i].norm());
            let moved: Complex32 = q[i] - (0..3).map(|j| h(i, j) * newton.step[j]).sum::<Complex32>();
            assert!((moved - (u + tangential) * lambda).norm() < 1e-6);
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        let mut newton = Newton::new();
        let x = Complex32::new(1.0, 0.0);
        assert!(!newton.solve(2, 0.0, |_| (x, 1.0, x), |_, _| Complex32::new(1.0, 0.0)));
    }
}
