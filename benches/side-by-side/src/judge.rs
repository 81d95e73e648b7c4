//! One judge for all: objective and relative duality gap in f64, from tones and taps alone.

use num_complex::{Complex32, Complex64};
use tapline_dsp::cir::ToneGrid;

use crate::Input;

pub struct Judge {
    grid: ToneGrid,
    roots: Vec<Complex64>,
}

/// Means over the links of the last cycle; the gap is the largest.
pub struct Judged {
    pub objective: f64,
    pub gap: f64,
    pub active: f64,
}

impl Judge {
    pub fn new(grid: &ToneGrid) -> Self {
        let taps = grid.taps();
        let scale = 1.0 / (grid.tones() as f64).sqrt();
        let roots = (0..taps)
            .map(|j| Complex64::from_polar(scale, -std::f64::consts::TAU * j as f64 / taps as f64))
            .collect();
        Self { grid: grid.clone(), roots }
    }

    /// `taps` on the scale of the tones (columns of norm 1), `lambdas` on the normalised scale.
    pub fn judge(&self, input: &Input, taps: &[Vec<Complex32>], lambdas: &[f32]) -> Judged {
        let last = input.cycles.last().expect("there are cycles");
        let mut judged = Judged { objective: 0.0, gap: 0.0, active: 0.0 };
        for ((tones, taps), lambda) in last.iter().zip(taps).zip(lambdas) {
            let norm = tones.iter().map(|t| f64::from(t.norm_sqr())).sum::<f64>().sqrt();
            let wide = |v: &Complex32| Complex64::new(v.re.into(), v.im.into()) / norm;
            let y: Vec<_> = tones.iter().map(wide).collect();
            let x: Vec<_> = taps.iter().map(wide).collect();
            let (objective, gap) = self.point(&y, &x, f64::from(*lambda));
            judged.objective += objective / last.len() as f64;
            judged.gap = judged.gap.max(gap);
            judged.active += x.iter().filter(|x| x.norm_sqr() > 0.0).count() as f64 / last.len() as f64;
        }
        judged
    }

    fn point(&self, y: &[Complex64], x: &[Complex64], lambda: f64) -> (f64, f64) {
        let taps = self.grid.taps();
        let r: Vec<_> = y
            .iter()
            .zip(self.grid.bins())
            .map(|(y, bin)| y - (0..taps).map(|g| self.roots[bin * g % taps] * x[g]).sum::<Complex64>())
            .collect();
        let peak = (0..taps)
            .map(|g| {
                let q: Complex64 = r.iter().zip(self.grid.bins()).map(|(r, bin)| self.roots[bin * g % taps].conj() * r).sum();
                q.norm()
            })
            .fold(0.0, f64::max);
        let power: f64 = r.iter().map(|r| r.norm_sqr()).sum();
        let product: f64 = y.iter().zip(&r).map(|(y, r)| (y.conj() * r).re).sum();
        let primal = 0.5 * power + lambda * x.iter().map(|x| x.norm()).sum::<f64>();
        let scale = (product / power).min(lambda / peak).max(0.0);
        let dual = scale * product - 0.5 * scale * scale * power;
        (primal, (primal - dual) / primal)
    }
}
