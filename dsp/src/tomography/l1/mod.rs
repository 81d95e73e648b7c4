//! Sparse, non-negative image: `min 1/2 |S (y - W x)|^2 + lambda'x` over `x >= 0`.
//!
//! `S` holds one over each reading's standard deviation, so the misfit is in sigmas. Each voxel has its own
//! threshold, `lambda_v = sparsity sqrt(2 ln V) |S w_v|`: the universal threshold on normalised columns, so a
//! voxel that many links cross is not favoured.
//!
//! Solved by an active set (Lawson and Hanson, Solving Least Squares Problems, chapter 23, with a price on each
//! unknown): on the set of lit voxels the optimum is a small linear system; a step towards it ends where the first voxel
//! goes dark, which then leaves the set; when nothing on the set can be better, the dark voxel whose slope exceeds its
//! threshold by most comes in. There are fewer readings than voxels, so the set is never larger than the number
//! of pairs of nodes, and usually a dozen. It starts from the set of the last image. No step raises the
//! objective, and how far it can still fall is certified by a duality gap over all voxels: the residual,
//! scaled into the dual's feasible set, is the dual point.
//!
//! Sums are in double precision, and in a fixed order.

mod columns;
mod factor;

use super::{LinkWeights, Reading};
use columns::Columns;
use factor::Factor;

/// How hard to try, and how sparse an image to ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct L1Config {
    /// Sparsity in units of the universal threshold: at 1, quiet readings almost never light a voxel.
    pub sparsity: f32,
    /// Relative duality gap to reach.
    pub tolerance: f32,
    /// Steps after which to give what there is (the gap says how good it is).
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
    /// Steps made.
    pub iterations: u32,
    /// Primal objective.
    pub objective: f32,
    /// (primal - dual) / primal; 0 when the objective is zero.
    pub relative_gap: f32,
}

/// Most classes of voxels lit at once; bounds the factor at a megabyte. A solve that wants more ends there, with its gap.
const MOST_LIT: usize = 512;

/// A class of voxels that is lit.
#[derive(Clone, Copy, Debug, Default, PartialEq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Lit {
    class: u32,
    /// Sum over the voxels of the class, unit of the readings.
    value: f64,
}

/// Solver with its buffers; the lit voxels of the last solve are the start of the next.
#[derive(Clone, Debug)]
pub struct L1Solver {
    config: L1Config,
    columns: Columns,
    /// The set, in the order in which its members came, and how large it may be.
    lit: Vec<Lit>,
    most: usize,
    is_lit: Vec<bool>,
    factor: Factor,
    /// Direction on the set, or a new row of the factor.
    direction: Vec<f64>,
    whitening: Vec<f64>,
    /// `S y`, and `S (y - W x)`.
    target: Vec<f64>,
    residual: Vec<f64>,
    /// One value a link: `S` times the residual, or `S^2` times a column.
    of_links: Vec<f64>,
    /// One value a class: `lambda_v`, the slope of the misfit, the image, the variance.
    thresholds: Vec<f64>,
    slopes: Vec<f64>,
    sums: Vec<f64>,
    variances: Vec<f32>,
    largest_variance: f32,
}

/// What one look over all classes says.
struct Judged {
    solved: Solved,
    /// The dark class whose slope exceeds its threshold by most, if one does.
    entrant: Option<usize>,
}

impl L1Solver {
    /// A solver for these rows.
    pub fn new(config: L1Config, weights: &LinkWeights, voxels: usize) -> Self {
        let columns = Columns::build(weights, voxels);
        let (links, classes) = (weights.links(), columns.len());
        let most = [links, classes, MOST_LIT]
            .into_iter()
            .fold(usize::MAX, |a, b| if a < b { a } else { b });
        let mut solver = Self {
            config,
            columns,
            lit: Vec::with_capacity(most),
            most,
            is_lit: vec![false; classes],
            factor: Factor::with_room(most),
            direction: Vec::with_capacity(most),
            whitening: vec![0.0; links],
            target: vec![0.0; links],
            residual: vec![0.0; links],
            of_links: vec![0.0; links],
            thresholds: vec![0.0; classes],
            slopes: vec![0.0; classes],
            sums: vec![0.0; classes],
            variances: vec![0.0; classes],
            largest_variance: 0.0,
        };
        solver.set_thresholds();
        solver
    }

    /// What the next solve starts from.
    pub fn warm_start(&self) -> &[Lit] {
        &self.lit
    }

    /// Sets what [`Self::warm_start`] gave. False, and nothing changed, when it does not fit.
    pub fn set_warm_start(&mut self, lit: &[Lit]) -> bool {
        let mut seen = vec![false; self.columns.len()];
        let fits = lit.len() <= self.most
            && lit.iter().all(|l| {
                let class = l.class as usize;
                let fresh = class < seen.len() && !core::mem::replace(&mut seen[class], true);
                fresh && l.value > 0.0 && l.value.is_finite()
            });
        if fits {
            self.lit.clear();
            self.lit.extend_from_slice(lit);
            self.is_lit = seen;
        }
        fits
    }

    /// Solves for one set of readings. `variance` gets, for each voxel, one over the information that its
    /// own links and the prior (a Laplace law of rate `lambda_v`, variance `2 / lambda_v^2`) hold on it: the
    /// variance given all other voxels, hence a lower bound of the marginal one. A voxel that no link
    /// crosses gets the largest of the others.
    pub fn solve(&mut self, readings: &[Option<Reading>], image: &mut [f32], variance: &mut [f32]) -> Solved {
        let mut changed = false;
        for (link, reading) in readings.iter().enumerate() {
            let s = reading.map_or(0.0, |r| 1.0 / f64::from(r.variance).sqrt());
            changed |= s != self.whitening[link];
            self.whitening[link] = s;
            self.target[link] = reading.map_or(0.0, |r| s * f64::from(r.value));
        }
        if changed {
            self.set_thresholds();
        }
        self.begin();
        let solved = self.descend();
        self.sums.fill(0.0);
        for lit in &self.lit {
            self.sums[lit.class as usize] = lit.value;
        }
        self.columns.share_out(&self.sums, 0.0, image);
        self.columns.spread(&self.variances, self.largest_variance, variance);
        solved
    }

    /// Sets the thresholds and the variances from the diagonal of `W' S^2 W`.
    fn set_thresholds(&mut self) {
        let mut crossed = 0;
        for (class, threshold) in self.thresholds.iter_mut().enumerate() {
            let mut energy = 0.0;
            for (link, w) in self.columns.column(class) {
                energy += (self.whitening[link] * w) * (self.whitening[link] * w);
            }
            *threshold = energy;
            crossed += if energy > 0.0 { self.columns.size(class) } else { 0 };
        }
        let universal = f64::from(self.config.sparsity) * (2.0 * crate::detmath::ln64(1.0 + crossed as f64)).sqrt();
        self.largest_variance = 0.0;
        for (threshold, variance) in self.thresholds.iter_mut().zip(&mut self.variances) {
            let energy = *threshold;
            *threshold = universal * energy.sqrt();
            *variance = 0.0;
            if energy > 0.0 {
                *variance = (1.0 / (energy + 0.5 * *threshold * *threshold)) as f32;
                if *variance > self.largest_variance {
                    self.largest_variance = *variance;
                }
            }
        }
        for variance in self.variances.iter_mut().filter(|v| **v == 0.0) {
            *variance = self.largest_variance;
        }
    }

    /// The factor of the set that is lit; what no answering link crosses any more goes dark.
    fn begin(&mut self) {
        self.factor.clear();
        let (thresholds, is_lit) = (&self.thresholds, &mut self.is_lit);
        self.lit.retain(|lit| {
            let stays = thresholds[lit.class as usize] > 0.0;
            is_lit[lit.class as usize] = stays;
            stays
        });
        for n in 0..self.lit.len() {
            self.append(n);
        }
    }

    /// Adds member `n` of the set to the factor, which holds those before it.
    fn append(&mut self, n: usize) {
        let class = self.lit[n].class as usize;
        self.of_links.fill(0.0);
        for (link, w) in self.columns.column(class) {
            self.of_links[link] = self.whitening[link] * self.whitening[link] * w;
        }
        self.direction.clear();
        for lit in &self.lit[..=n] {
            self.direction
                .push(self.columns.dot(lit.class as usize, &self.of_links));
        }
        self.factor.append(&self.direction);
    }

    fn descend(&mut self) -> Solved {
        let mut made = 0;
        loop {
            made += self.settle(self.config.max_iterations.saturating_sub(made));
            let Judged { mut solved, entrant } = self.judge();
            solved.iterations = made;
            let done = solved.relative_gap <= self.config.tolerance || made >= self.config.max_iterations;
            let Some(class) = entrant.filter(|_| !done && self.lit.len() < self.most) else {
                return solved;
            };
            self.is_lit[class] = true;
            self.lit.push(Lit {
                class: class as u32,
                value: 0.0,
            });
            self.append(self.lit.len() - 1);
        }
    }

    /// Goes to the optimum on the set, out of which fall those who go dark on the way. Steps made.
    fn settle(&mut self, most: u32) -> u32 {
        let mut made = 0;
        while made < most && !self.lit.is_empty() {
            made += 1;
            self.weigh_residual();
            self.direction.clear();
            for lit in &self.lit {
                let class = lit.class as usize;
                self.direction
                    .push(self.columns.dot(class, &self.of_links) - self.thresholds[class]);
            }
            self.factor.solve(&mut self.direction);
            let mut step = 1.0;
            let mut first_dark = None;
            for (k, (lit, &d)) in self.lit.iter().zip(&self.direction).enumerate() {
                if lit.value + step * d <= 0.0 && d < 0.0 {
                    step = lit.value / -d;
                    first_dark = Some(k);
                }
            }
            for (lit, &d) in self.lit.iter_mut().zip(&self.direction) {
                lit.value += step * d;
            }
            let Some(k) = first_dark else { break };
            self.darken(k);
            // Whoever reached zero with it, or fell below by rounding.
            for k in (0..self.lit.len()).rev() {
                if self.lit[k].value < 0.0 {
                    self.darken(k);
                }
            }
        }
        // Steps may have run out before a newcomer moved.
        for k in (0..self.lit.len()).rev() {
            if self.lit[k].value <= 0.0 {
                self.darken(k);
            }
        }
        made
    }

    fn darken(&mut self, k: usize) {
        self.factor.remove(k);
        let gone = self.lit.remove(k);
        self.is_lit[gone.class as usize] = false;
    }

    /// The residual, and `S` times it.
    fn weigh_residual(&mut self) {
        self.of_links.fill(0.0);
        for lit in &self.lit {
            for (link, w) in self.columns.column(lit.class as usize) {
                self.of_links[link] += w * lit.value;
            }
        }
        let links = self.residual.iter_mut().zip(&mut self.of_links);
        for ((r, u), (&s, &y)) in links.zip(self.whitening.iter().zip(&self.target)) {
            *r = y - s * *u;
            *u = s * *r;
        }
    }

    /// Primal objective, duality gap, and who should come in.
    fn judge(&mut self) -> Judged {
        self.weigh_residual();
        let (mut misfit, mut cross) = (0.0, 0.0);
        for (&r, &y) in self.residual.iter().zip(&self.target) {
            misfit += r * r;
            cross += y * r;
        }
        for (class, slope) in self.slopes.iter_mut().enumerate() {
            *slope = self.columns.dot(class, &self.of_links);
        }
        // How far the residual leaves the dual's feasible set: the largest ratio of slope to threshold.
        let (mut steepest, mut entrant, mut entrants_ratio) = (1.0, None, 1.0);
        for (class, (&slope, &threshold)) in self.slopes.iter().zip(&self.thresholds).enumerate() {
            if slope > steepest * threshold {
                steepest = slope / threshold;
            }
            if slope > entrants_ratio * threshold && !self.is_lit[class] {
                entrants_ratio = slope / threshold;
                entrant = Some(class);
            }
        }
        let mut sum = 0.0;
        for lit in &self.lit {
            sum += self.thresholds[lit.class as usize] * lit.value;
        }
        let primal = 0.5 * misfit + sum;
        // Dual value of theta = a r is a y'r - a^2 |r|^2 / 2: best at a = y'r / |r|^2, held feasible.
        let feasible = 1.0 / steepest;
        let best = if misfit > 0.0 { cross / misfit } else { 0.0 };
        let scale = if best < feasible { best } else { feasible };
        let scale = if scale > 0.0 { scale } else { 0.0 };
        let dual = scale * cross - 0.5 * scale * scale * misfit;
        let gap = if primal > dual { primal - dual } else { 0.0 };
        Judged {
            solved: Solved {
                iterations: 0,
                objective: primal as f32,
                relative_gap: if primal > 0.0 { (gap / primal) as f32 } else { 0.0 },
            },
            entrant,
        }
    }
}
