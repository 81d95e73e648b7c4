//! Smooth image with its posterior: Gaussian readings, Gaussian prior that is correlated in space.
//!
//! Prior covariance `C(u, v) = s^2 exp(-|u - v| / d)` (Wilson and Patwari 2010, eq. 14), readings
//! `y = W x + n`, `n ~ N(0, R)`. The posterior is computed on the side of the readings, of which there are
//! fewer than voxels: mean `C W' (W C W' + R)^-1 y`, variance the diagonal of
//! `C - C W' (W C W' + R)^-1 W C`. The factor is kept until the geometry, the set of links that answer, or
//! their noise changes.

use super::{Cholesky, ImageGrid, LinkWeights, Reading};
use crate::detmath;

/// The prior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TikhonovConfig {
    /// Prior standard deviation of a voxel, unit of the reading.
    pub sigma: f32,
    /// Distance at which the correlation falls to 1/e, metres.
    pub correlation_m: f32,
}

impl Default for TikhonovConfig {
    fn default() -> Self {
        Self {
            sigma: 3.0,
            correlation_m: 1.0,
        }
    }
}

/// A new factor is made when a reading's variance leaves this band round the one factorised.
const VARIANCE_BAND: f32 = 1.25;

/// Solver with its factor and buffers.
#[derive(Clone, Debug)]
pub struct TikhonovSolver {
    prior_variance: f32,
    voxels: usize,
    /// `W C`: one row of voxels a link.
    spread: Vec<f32>,
    /// `W C W'`, row-major.
    gram: Vec<f64>,
    /// Variance of each link's reading in the factor; `None` for links left out.
    factored: Vec<Option<f32>>,
    factor: Cholesky,
    /// Links in the factor, ascending.
    present: Vec<usize>,
    posterior_variance: Vec<f32>,
    right: Vec<f64>,
}

impl TikhonovSolver {
    /// Precomputes all that depends on the geometry.
    pub fn new(config: TikhonovConfig, grid: &ImageGrid, weights: &LinkWeights) -> Self {
        let (n, voxels) = (weights.links(), grid.voxels());
        let spread = spread(config, grid, weights);
        let mut gram = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                gram[i * n + j] = f64::from(weights.dot(i, &spread[j * voxels..(j + 1) * voxels]));
            }
        }
        Self {
            prior_variance: config.sigma * config.sigma,
            voxels,
            spread,
            gram,
            factored: vec![None; n],
            factor: Cholesky::default(),
            present: Vec::with_capacity(n),
            posterior_variance: vec![config.sigma * config.sigma; voxels],
            right: Vec::with_capacity(n),
        }
    }

    /// The variances the factor was made with.
    pub fn factored(&self) -> &[Option<f32>] {
        &self.factored
    }

    /// Makes the factor for these variances. False when they do not fit or the matrix is singular.
    pub fn factorise(&mut self, variances: &[Option<f32>]) -> bool {
        let n = self.factored.len();
        let sound = |v: &Option<f32>| v.is_none_or(|v| v.is_finite() && v > 0.0);
        if variances.len() != n || !variances.iter().all(sound) {
            return false;
        }
        self.present.clear();
        self.present.extend((0..n).filter(|&i| variances[i].is_some()));
        let m = self.present.len();
        let mut matrix = vec![0.0; m * m];
        for (row, &i) in self.present.iter().enumerate() {
            for (column, &j) in self.present.iter().enumerate() {
                // The two halves of `gram` differ by rounding; the lower one stands for both.
                let (a, b) = if i > j { (i, j) } else { (j, i) };
                let noise = if i == j {
                    f64::from(variances[i].unwrap_or(0.0))
                } else {
                    0.0
                };
                matrix[row * m + column] = self.gram[a * n + b] + noise;
            }
        }
        let Some(factor) = Cholesky::factorise(matrix, m) else {
            return false;
        };
        self.factor = factor;
        self.factored.copy_from_slice(variances);
        self.posterior();
        true
    }

    /// Variance of each voxel: the prior's, less the squared rows of `L^-1 W C`.
    fn posterior(&mut self) {
        let voxels = self.voxels;
        let mut reduced: Vec<f32> = Vec::with_capacity(self.present.len() * voxels);
        self.posterior_variance.fill(self.prior_variance);
        for (i, &link) in self.present.iter().enumerate() {
            let start = reduced.len();
            reduced.extend_from_slice(&self.spread[link * voxels..(link + 1) * voxels]);
            let (earlier, now) = reduced.split_at_mut(start);
            let row = self.factor.row(i);
            for (j, done) in earlier.chunks_exact(voxels).enumerate() {
                let l = row[j] as f32;
                for (a, b) in now.iter_mut().zip(done) {
                    *a -= l * b;
                }
            }
            let pivot = 1.0 / row[i] as f32;
            for (a, v) in now.iter_mut().zip(&mut self.posterior_variance) {
                *a *= pivot;
                *v -= *a * *a;
            }
        }
        // Rounding must not make a variance vanish.
        let least = self.prior_variance * 1e-4;
        for v in &mut self.posterior_variance {
            *v = if *v > least { *v } else { least };
        }
    }

    /// Solves for one set of readings; gives the objective
    /// `1/2 (y - W x)' R^-1 (y - W x) + 1/2 x' C^-1 x = 1/2 y' (W C W' + R)^-1 y`, or `None` when the
    /// matrix is singular.
    pub fn solve(&mut self, readings: &[Option<Reading>], image: &mut [f32], variance: &mut [f32]) -> Option<f32> {
        let stale = readings
            .iter()
            .zip(&self.factored)
            .any(|(now, then)| match (now, then) {
                (Some(now), Some(then)) => now.variance > then * VARIANCE_BAND || now.variance * VARIANCE_BAND < *then,
                (None, None) => false,
                _ => true,
            });
        if stale {
            let variances: Vec<_> = readings.iter().map(|r| r.map(|r| r.variance)).collect();
            self.factorise(&variances).then_some(())?;
        }
        self.right.clear();
        self.right.extend(readings.iter().flatten().map(|r| f64::from(r.value)));
        self.factor.solve(&mut self.right);
        image.fill(0.0);
        let mut objective = 0.0;
        for ((&link, &a), reading) in self.present.iter().zip(&self.right).zip(readings.iter().flatten()) {
            objective += 0.5 * a * f64::from(reading.value);
            let scale = a as f32;
            let row = &self.spread[link * self.voxels..(link + 1) * self.voxels];
            for (x, s) in image.iter_mut().zip(row) {
                *x += scale * s;
            }
        }
        variance.copy_from_slice(&self.posterior_variance);
        Some(objective as f32)
    }
}

/// `W C`. The correlation depends on the voxels' offset alone, so it is tabulated once by offset.
fn spread(config: TikhonovConfig, grid: &ImageGrid, weights: &LinkWeights) -> Vec<f32> {
    let [nx, ny, nz] = grid.shape;
    let mut table = vec![0.0; grid.voxels()];
    for (i, value) in table.iter_mut().enumerate() {
        let [dx, dy, dz] = grid.coordinates(i);
        let offset = [
            dx as f32 * grid.pitch_m[0],
            dy as f32 * grid.pitch_m[1],
            dz as f32 * grid.pitch_m[2],
        ];
        let distance = grid.distance(offset, [0.0; 3]);
        *value = config.sigma * config.sigma * detmath::exp(-distance / config.correlation_m);
    }
    let mut rows = vec![0.0; weights.links() * grid.voxels()];
    for (link, row) in rows.chunks_exact_mut(grid.voxels()).enumerate() {
        let (voxels, values) = weights.row(link);
        for (&v, &w) in voxels.iter().zip(values) {
            let [vx, vy, vz] = grid.coordinates(v as usize);
            let mut out = row.iter_mut();
            for z in 0..nz {
                for y in 0..ny {
                    let base = (z.abs_diff(vz) * ny + y.abs_diff(vy)) * nx;
                    for x in 0..nx {
                        if let Some(o) = out.next() {
                            *o += w * table[base + x.abs_diff(vx)];
                        }
                    }
                }
            }
        }
    }
    rows
}
