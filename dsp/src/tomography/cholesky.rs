//! Cholesky factor of a symmetric positive definite matrix on a flat array, sums in a fixed order.

/// Lower triangle `L` with `L L^T = A`, row-major `n x n`; what stands above the diagonal is not read.
#[derive(Clone, Debug, Default)]
pub struct Cholesky {
    n: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factorises `a` (row-major `n x n`, lower triangle read). `None` when a pivot is not positive.
    pub fn factorise(mut a: Vec<f64>, n: usize) -> Option<Self> {
        assert_eq!(a.len(), n * n, "the matrix must be n x n");
        for i in 0..n {
            for j in 0..=i {
                let (head, tail) = a.split_at(i * n);
                let row_i = &tail[..=i];
                let row_j = if j == i { row_i } else { &head[j * n..=j * n + j] };
                let mut sum = row_i[j];
                for k in 0..j {
                    sum -= row_i[k] * row_j[k];
                }
                a[i * n + j] = if j < i {
                    sum / a[j * n + j]
                } else if sum > 0.0 && sum.is_finite() {
                    sum.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(Self { n, lower: a })
    }

    /// Size of the matrix.
    pub fn size(&self) -> usize {
        self.n
    }

    /// Row `i` of `L`, up to and with the diagonal.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.lower[i * self.n..=i * self.n + i]
    }

    /// Solves `A x = b` in place.
    pub fn solve(&self, b: &mut [f64]) {
        for i in 0..self.n {
            let row = self.row(i);
            let mut sum = b[i];
            for k in 0..i {
                sum -= row[k] * b[k];
            }
            b[i] = sum / row[i];
        }
        for i in (0..self.n).rev() {
            b[i] /= self.lower[i * self.n + i];
            let value = b[i];
            for (k, earlier) in b[..i].iter_mut().enumerate() {
                *earlier -= self.lower[i * self.n + k] * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_by_two_by_hand() {
        // [4 2; 2 5] = [2 0; 1 2] [2 1; 0 2].
        let c = Cholesky::factorise(vec![4.0, 2.0, 2.0, 5.0], 2).unwrap();
        assert_eq!((c.row(0), c.row(1)), (&[2.0][..], &[1.0, 2.0][..]));
        let mut x = vec![8.0, 12.0];
        c.solve(&mut x);
        assert_eq!(x, [1.0, 2.0]);
    }

    #[test]
    fn an_indefinite_matrix_is_refused() {
        assert!(Cholesky::factorise(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
    }
}
