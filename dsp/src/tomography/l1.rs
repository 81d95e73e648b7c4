//! Sparse, non-negative image: `min 1/2 |S (y - W x)|^2 + lambda'x` over `x >= 0`.
//!
//! `S` holds one over each reading's standard deviation, so the misfit is in sigmas. Each voxel has its own
//! threshold, `lambda_v = sparsity sqrt(2 ln V) |S w_v|`: the universal threshold on normalised columns, so a
//! voxel that many links cross is not favoured. Solved by FISTA
//! (Beck and Teboulle, SIAM J. Imaging Sciences 2009) with adaptive restart (O'Donoghue and Candes, Found.
//! Comput. Math. 2015), started from the last image, ended when the relative duality gap is below its
//! tolerance. The step is exact: `A = S W W' S` has no negative entry, so for every positive `v` the
//! Collatz-Wielandt quotient `max_i (A v)_i / v_i` is a proven upper bound of its largest eigenvalue, and
//! the power method drives that bound down onto it.

use super::{LinkWeights, Reading};

/// How hard to try, and how sparse an image to ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct L1Config {
    /// Sparsity in units of the universal threshold: at 1, quiet readings almost never light a voxel.
    pub sparsity: f32,
    /// Relative duality gap to reach.
    pub tolerance: f32,
    /// Iterations after which to give what there is (the gap says how good it is).
    pub max_iterations: u32,
}

impl Default for L1Config {
    fn default() -> Self {
        Self {
            sparsity: 1.0,
            tolerance: 1e-3,
            max_iterations: 200,
        }
    }
}

/// How a solve ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Solved {
    /// Iterations made.
    pub iterations: u32,
    /// Primal objective.
    pub objective: f32,
    /// (primal - dual) / primal; 0 when the objective is zero.
    pub relative_gap: f32,
}

/// Power steps taken when the geometry changes, and in every solve to follow changing noise.
const POWER_STEPS_NEW: u32 = 60;
const POWER_STEPS_RUN: u32 = 1;
/// Iterations between two computations of the duality gap.
const GAP_EVERY: u32 = 5;

/// Solver with its buffers; the image of the last solve is the start of the next.
#[derive(Clone, Debug)]
pub struct L1Solver {
    config: L1Config,
    image: Vec<f32>,
    momentum: Vec<f32>,
    gradient: Vec<f32>,
    residual: Vec<f32>,
    whitening: Vec<f32>,
    /// Estimate of the leading eigenvector of `A`, all entries positive.
    leading: Vec<f32>,
    /// `lambda_v`.
    thresholds: Vec<f32>,
}

impl L1Solver {
    /// A solver for these rows, all readings of unit variance until told otherwise.
    pub fn new(config: L1Config, weights: &LinkWeights, voxels: usize) -> Self {
        let mut solver = Self {
            config,
            image: vec![0.0; voxels],
            momentum: vec![0.0; voxels],
            gradient: vec![0.0; voxels],
            residual: vec![0.0; weights.links()],
            whitening: vec![1.0; weights.links()],
            leading: vec![1.0; weights.links()],
            thresholds: vec![0.0; voxels],
        };
        solver.norm_bound(weights, POWER_STEPS_NEW);
        solver
    }

    /// The image that the next solve starts from, and the positive vector its step is proven with.
    pub fn warm_start(&self) -> (&[f32], &[f32]) {
        (&self.image, &self.leading)
    }

    /// Sets what [`Self::warm_start`] gave. False, and nothing changed, when it does not fit.
    pub fn set_warm_start(&mut self, image: &[f32], leading: &[f32]) -> bool {
        let fits = image.len() == self.image.len()
            && leading.len() == self.leading.len()
            && image.iter().all(|v| v.is_finite() && *v >= 0.0)
            && leading.iter().all(|v| v.is_finite() && *v > 0.0);
        if fits {
            self.image.copy_from_slice(image);
            self.leading.copy_from_slice(leading);
        }
        fits
    }

    /// Upper bound of the largest eigenvalue of `S W W' S`, tight after enough steps.
    fn norm_bound(&mut self, weights: &LinkWeights, steps: u32) -> f32 {
        let mut bound = 0.0;
        for _ in 0..steps {
            self.gradient.fill(0.0);
            for (link, (&v, &s)) in self.leading.iter().zip(&self.whitening).enumerate() {
                weights.add_row(link, s * v, &mut self.gradient);
            }
            bound = 0.0;
            let mut largest = 0.0;
            for (link, residual) in self.residual.iter_mut().enumerate() {
                *residual = self.whitening[link] * weights.dot(link, &self.gradient);
                let quotient = *residual / self.leading[link];
                bound = if quotient > bound { quotient } else { bound };
                largest = if *residual > largest { *residual } else { largest };
            }
            if largest > 0.0 {
                for (v, r) in self.leading.iter_mut().zip(&self.residual) {
                    // Any positive vector proves a bound: the floor keeps links that are out at present.
                    let scaled = r / largest;
                    *v = if scaled > 1e-3 { scaled } else { 1e-3 };
                }
            }
        }
        bound
    }

    /// Solves for one set of readings. `variance` gets, for each voxel, one over the information that its
    /// own links and the prior (a Laplace law of rate `lambda_v`, variance `2 / lambda_v^2`) hold on it: the
    /// variance given all other voxels, hence a lower bound of the marginal one. A voxel that no link
    /// crosses gets the largest of the others.
    pub fn solve(
        &mut self,
        weights: &LinkWeights,
        readings: &[Option<Reading>],
        image: &mut [f32],
        variance: &mut [f32],
    ) -> Solved {
        for (s, reading) in self.whitening.iter_mut().zip(readings) {
            *s = reading.map_or(0.0, |r| 1.0 / r.variance.sqrt());
        }
        let lipschitz = self.norm_bound(weights, POWER_STEPS_RUN);
        self.set_thresholds(weights, variance);
        let solved = if lipschitz > 0.0 {
            self.fista(weights, readings, lipschitz)
        } else {
            self.image.fill(0.0);
            Solved::default()
        };
        image.copy_from_slice(&self.image);
        solved
    }

    /// Sets the thresholds and the variances from the diagonal of `W' S^2 W`.
    fn set_thresholds(&mut self, weights: &LinkWeights, variance: &mut [f32]) {
        variance.fill(0.0);
        for (link, &s) in self.whitening.iter().enumerate() {
            let (voxels, values) = weights.row(link);
            for (&v, &w) in voxels.iter().zip(values) {
                variance[v as usize] += (s * w) * (s * w);
            }
        }
        let crossed = variance.iter().filter(|&&d| d > 0.0).count();
        let universal = self.config.sparsity * (2.0 * crate::detmath::ln(1.0 + crossed as f32)).sqrt();
        let mut largest = 0.0_f32;
        for (threshold, d) in self.thresholds.iter_mut().zip(variance.iter_mut()) {
            *threshold = universal * d.sqrt();
            if *d > 0.0 {
                *d = 1.0 / (*d + 0.5 * *threshold * *threshold);
                largest = if *d > largest { *d } else { largest };
            }
        }
        for d in variance.iter_mut().filter(|d| **d == 0.0) {
            *d = largest;
        }
    }

    fn fista(&mut self, weights: &LinkWeights, readings: &[Option<Reading>], lipschitz: f32) -> Solved {
        let step = 1.0 / lipschitz;
        let mut t = 1.0_f32;
        self.momentum.copy_from_slice(&self.image);
        let mut solved = self.certify(weights, readings);
        while solved.relative_gap > self.config.tolerance && solved.iterations < self.config.max_iterations {
            self.descend(weights, readings);
            let t_next = 0.5 * (1.0 + (1.0 + 4.0 * t * t).sqrt());
            let beta = (t - 1.0) / t_next;
            let mut uphill = 0.0_f32;
            let columns = self.gradient.iter().zip(&self.thresholds);
            for ((x, z), (g, lambda)) in self.image.iter_mut().zip(&mut self.momentum).zip(columns) {
                let moved = *z - step * (g + lambda);
                let next = if moved > 0.0 { moved } else { 0.0 };
                uphill += (*z - next) * (next - *x);
                *z = next + beta * (next - *x);
                *x = next;
            }
            t = t_next;
            if uphill > 0.0 {
                // The momentum points uphill: drop it (gradient scheme of the restart paper).
                t = 1.0;
                self.momentum.copy_from_slice(&self.image);
            }
            let made = solved.iterations + 1;
            if made.is_multiple_of(GAP_EVERY) || made == self.config.max_iterations {
                solved = self.certify(weights, readings);
            }
            solved.iterations = made;
        }
        solved
    }

    /// Gradient of the misfit at the momentum point.
    fn descend(&mut self, weights: &LinkWeights, readings: &[Option<Reading>]) {
        self.gradient.fill(0.0);
        for (link, reading) in readings.iter().enumerate() {
            let Some(reading) = reading else { continue };
            let s = self.whitening[link];
            let misfit = s * s * (weights.dot(link, &self.momentum) - reading.value);
            weights.add_row(link, misfit, &mut self.gradient);
        }
    }

    /// Primal objective and duality gap at the image. The residual, scaled into the dual's feasible set
    /// `W' S theta <= lambda_v`, is the dual point.
    fn certify(&mut self, weights: &LinkWeights, readings: &[Option<Reading>]) -> Solved {
        self.gradient.fill(0.0);
        let (mut misfit, mut energy, mut cross) = (0.0_f32, 0.0_f32, 0.0_f32);
        for (link, reading) in readings.iter().enumerate() {
            let Some(reading) = reading else { continue };
            let s = self.whitening[link];
            let y = s * reading.value;
            let r = y - s * weights.dot(link, &self.image);
            misfit += r * r;
            energy += y * y;
            cross += y * r;
            weights.add_row(link, s * r, &mut self.gradient);
        }
        let mut sum = 0.0_f32;
        // How far the residual leaves the dual's feasible set: largest ratio of slope to threshold.
        let mut steepest = 1.0_f32;
        for ((&x, &g), &lambda) in self.image.iter().zip(&self.gradient).zip(&self.thresholds) {
            sum += lambda * x;
            if g > steepest * lambda {
                steepest = g / lambda;
            }
        }
        let primal = 0.5 * misfit + sum;
        // Dual value of theta = a r is a y'r - a^2 |r|^2 / 2: best at a = y'r / |r|^2, held feasible.
        let feasible = 1.0 / steepest;
        let best = if misfit > 0.0 { cross / misfit } else { 0.0 };
        let scale = if best < feasible { best } else { feasible };
        let scale = if scale > 0.0 { scale } else { 0.0 };
        let dual = scale * cross - 0.5 * scale * scale * misfit;
        let gap = if primal > dual { primal - dual } else { 0.0 };
        Solved {
            iterations: 0,
            objective: primal,
            relative_gap: if energy > 0.0 && primal > 0.0 {
                gap / primal
            } else {
                0.0
            },
        }
    }
}
