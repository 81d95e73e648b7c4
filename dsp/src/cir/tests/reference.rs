//! The slow obvious reference, in f64: sums straight from the definition, no clever order, no tables.

use num_complex::Complex64;

use crate::{cir::ToneGrid, detmath};

pub(crate) struct Reference {
    phi: Vec<Vec<Complex64>>,
}

pub(crate) struct Point {
    pub(crate) primal: f64,
    pub(crate) relative_gap: f64,
}

impl Reference {
    pub(crate) fn new(grid: &ToneGrid) -> Self {
        let scale = 1.0 / (grid.tones() as f64).sqrt();
        let entry = |k: i16, g: usize| {
            let angle = -core::f64::consts::TAU * f64::from(k) * g as f64 / grid.taps() as f64;
            Complex64::new(scale * detmath::cos64(angle), scale * detmath::sin64(angle))
        };
        Self {
            phi: grid
                .indices()
                .iter()
                .map(|&k| (0..grid.taps()).map(|g| entry(k, g)).collect())
                .collect(),
        }
    }

    pub(crate) fn forward(&self, x: &[Complex64]) -> Vec<Complex64> {
        self.phi
            .iter()
            .map(|row| row.iter().zip(x).map(|(p, x)| p * x).sum())
            .collect()
    }

    pub(crate) fn adjoint(&self, y: &[Complex64]) -> Vec<Complex64> {
        (0..self.phi[0].len())
            .map(|g| self.phi.iter().zip(y).map(|(row, y)| row[g].conj() * y).sum())
            .collect()
    }

    pub(crate) fn judge(&self, y: &[Complex64], x: &[Complex64], mask: &[u8], lambda: f64) -> Point {
        let r: Vec<_> = y
            .iter()
            .zip(self.forward(x))
            .zip(mask)
            .map(|((y, p), m)| if *m != 0 { y - p } else { Complex64::new(0.0, 0.0) })
            .collect();
        let power: f64 = r.iter().map(|r| r.norm_sqr()).sum();
        let primal = 0.5 * power + lambda * x.iter().map(|x| x.norm_sqr().sqrt()).sum::<f64>();
        let peak = self
            .adjoint(&r)
            .iter()
            .map(|q| q.norm_sqr().sqrt())
            .fold(0.0, |a: f64, b| if b > a { b } else { a });
        let scale = if peak > lambda { lambda / peak } else { 1.0 };
        let product: f64 = y.iter().zip(&r).map(|(y, r)| (y.conj() * r).re).sum();
        let dual = scale * product - 0.5 * scale * scale * power;
        Point {
            primal,
            relative_gap: (primal - dual) / primal,
        }
    }

    /// Plain ISTA, from zero.
    pub(crate) fn ista(&self, y: &[Complex64], mask: &[u8], lambda: f64, iterations: usize) -> Vec<Complex64> {
        let taps = self.phi[0].len();
        let step = self.phi.len() as f64 / taps as f64;
        let mut x = vec![Complex64::new(0.0, 0.0); taps];
        for _ in 0..iterations {
            let r: Vec<_> = y
                .iter()
                .zip(self.forward(&x))
                .zip(mask)
                .map(|((y, p), m)| if *m != 0 { y - p } else { Complex64::new(0.0, 0.0) })
                .collect();
            for (x, q) in x.iter_mut().zip(self.adjoint(&r)) {
                let u = *x + q * step;
                let length = u.norm_sqr().sqrt();
                *x = if length > lambda * step {
                    u * (1.0 - lambda * step / length)
                } else {
                    Complex64::new(0.0, 0.0)
                };
            }
        }
        x
    }
}

#[test]
fn one_tone_and_one_path_by_hand() {
    // Two tones, +-1, and four taps: Phi[k, g] = exp(-2 pi i k g / 4) / sqrt 2.
    let grid = ToneGrid::new(vec![-1, 1], 4, 312_500.0, 20).unwrap();
    let reference = Reference::new(&grid);
    let half = 0.5_f64.sqrt();
    let one = Complex64::new(1.0, 0.0);
    let i = Complex64::new(0.0, 1.0);
    let close = |a: Complex64, b: Complex64| (a - b).norm_sqr() < 1e-28;
    // A path at tap 1 turns tone -1 by +90 degrees, tone 1 by -90 degrees.
    let y = reference.forward(&[one * 0.0, one, one * 0.0, one * 0.0]);
    assert!(close(y[0], i * half) && close(y[1], -i * half));
    // It correlates fully with tap 1, fully and in opposite phase with tap 3, not at all with 0 and 2.
    let q = reference.adjoint(&y);
    assert!(close(q[0], one * 0.0) && close(q[1], one) && close(q[2], one * 0.0) && close(q[3], -one));
    // The optimum for lambda 1/4 is any x1 - x3 = 3/4 of one sign: P = 1/2 (1/4)^2 + 1/4 * 3/4 = 7/32.
    let x = reference.ista(&y, &[1, 1], 0.25, 200);
    let point = reference.judge(&y, &x, &[1, 1], 0.25);
    assert!((point.primal - 7.0 / 32.0).abs() < 1e-12 && point.relative_gap < 1e-12);
}
