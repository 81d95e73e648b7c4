//! Where one person may be: a probability for each cell of the floor.

use super::{Floor, Hull, hull::inside};
use crate::{detmath, tomography::ImageGrid};

/// Less than this in a cell is nothing: it keeps the sums away from subnormal numbers.
const LEAST_PROBABILITY: f32 = 1e-20;

/// Most sweeps of one walk: at the finest pitch a cycle takes 21.
const SWEEPS_MAX: u32 = 64;

/// The cells a person can be in, and the buffers to move probability between them.
#[derive(Clone, Debug)]
pub struct FloorCells {
    grid: ImageGrid,
    open: Vec<bool>,
    scratch: Vec<f32>,
}

impl FloorCells {
    /// All cells open. The grid's lowest layer is the floor.
    pub fn new(grid: &ImageGrid) -> Self {
        let mut grid = *grid;
        grid.shape[2] = 1;
        Self {
            grid,
            open: vec![true; grid.voxels()],
            scratch: vec![0.0; grid.voxels()],
        }
    }

    /// Number of cells.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Opens the cells whose centre lies inside the outline (fewer than three corners: anywhere) and within
    /// `beyond_m` of the hull that the mesh spans. If that leaves none, all are open.
    pub fn set_bounds(&mut self, outline: &[[f32; 2]], hull: &Hull, beyond_m: f32) {
        let mut any = false;
        for cell in 0..self.open.len() {
            let at = self.centre(cell);
            let walled_in = outline.len() < 3 || inside(outline, at);
            self.open[cell] = walled_in && hull.distance_m(at) <= beyond_m;
            any |= self.open[cell];
        }
        if !any {
            self.open.fill(true);
        }
    }

    /// Whether a person can be in a cell.
    pub fn is_open(&self, cell: usize) -> bool {
        self.open[cell]
    }

    /// Centre of a cell, metres.
    pub fn centre(&self, cell: usize) -> [f32; 2] {
        let [x, y, _] = self.grid.centre(self.grid.coordinates(cell));
        [x, y]
    }

    /// A random walk that adds `variance` (square metres) on each axis. Probability flows between open
    /// neighbours only, so none is lost through walls. Of a walk longer than [`SWEEPS_MAX`] (after a pause) the rest goes over the
    /// whole floor alike, walls or not: the cycle has only so much time.
    pub fn diffuse(&mut self, belief: &mut [f32], variance: f32) {
        let pitch2 = self.grid.pitch_m[0] * self.grid.pitch_m[0];
        // One step of the five-point scheme with rate a adds 2 a pitch^2; stable to a = 1/4.
        let most = 0.4 * pitch2 * SWEEPS_MAX as f32;
        if variance > most {
            self.spread_evenly(belief, variance - most);
        }
        let variance = detmath::min(variance, most);
        let steps = ((variance / (0.4 * pitch2)) as u32 + 1).min(SWEEPS_MAX);
        let rate = variance / (2.0 * pitch2 * steps as f32);
        let [nx, ny, _] = self.grid.shape;
        for _ in 0..steps {
            self.scratch.copy_from_slice(belief);
            for y in 0..ny {
                for x in 0..nx {
                    let here = y * nx + x;
                    if x + 1 < nx {
                        self.flow(belief, here, here + 1, rate);
                    }
                    if y + 1 < ny {
                        self.flow(belief, here, here + nx, rate);
                    }
                }
            }
        }
    }

    /// Moves a belief towards an even one, the more the larger `variance` is beside that of an even one over the grid.
    fn spread_evenly(&self, belief: &mut [f32], variance: f32) {
        let [nx, ny, _] = self.grid.shape;
        let side_m = self.grid.pitch_m[0] * nx.max(ny) as f32;
        let even = variance / (variance + side_m * side_m / 12.0);
        let open = self.open.iter().filter(|open| **open).count();
        let sum: f32 = belief.iter().sum();
        let share = even * sum / open.max(1) as f32;
        for (p, open) in belief.iter_mut().zip(&self.open) {
            *p *= 1.0 - even;
            if *open {
                *p += share;
            }
        }
    }

    fn flow(&self, belief: &mut [f32], a: usize, b: usize, rate: f32) {
        if self.open[a] && self.open[b] {
            let moved = rate * (self.scratch[a] - self.scratch[b]);
            belief[a] -= moved;
            belief[b] += moved;
        }
    }

    /// Multiplies by `exp(evidence)` and normalises; gives `ln sum_c p(c) exp(evidence(c))`, the evidence
    /// for this person as a whole. `None`, and an unchanged belief, when nothing is left.
    pub fn weigh(&self, belief: &mut [f32], evidence: &[f32]) -> Option<f32> {
        let mut peak = f32::NEG_INFINITY;
        for (cell, (p, e)) in belief.iter().zip(evidence).enumerate() {
            if self.open[cell] && *p > LEAST_PROBABILITY && e.is_finite() {
                peak = detmath::max(peak, *e);
            }
        }
        if peak == f32::NEG_INFINITY {
            return None;
        }
        let mut sum = 0.0;
        for ((p, e), open) in belief.iter_mut().zip(evidence).zip(&self.open) {
            let kept = *open && *p > LEAST_PROBABILITY;
            *p = if kept { *p * detmath::exp(e - peak) } else { 0.0 };
            sum += *p;
        }
        // The cell of the peak alone holds LEAST_PROBABILITY.
        let scale = 1.0 / sum;
        belief.iter_mut().for_each(|p| *p *= scale);
        Some(peak + detmath::ln(sum))
    }

    /// Mean and covariance, the spread within a cell included.
    pub fn moments(&self, belief: &[f32]) -> Floor {
        let (mut sum, mut mx, mut my) = (0.0_f64, 0.0_f64, 0.0_f64);
        let (mut xx, mut xy, mut yy) = (0.0_f64, 0.0_f64, 0.0_f64);
        let [nx, _, _] = self.grid.shape;
        for (y, row) in belief.chunks_exact(nx).enumerate() {
            let (mut s0, mut s1, mut s2) = (0.0_f64, 0.0_f64, 0.0_f64);
            for (x, &p) in row.iter().enumerate() {
                let (p, x) = (f64::from(p), x as f64);
                s0 += p;
                s1 += p * x;
                s2 += p * x * x;
            }
            let y = y as f64;
            sum += s0;
            mx += s1;
            my += s0 * y;
            xx += s2;
            xy += s1 * y;
            yy += s0 * y * y;
        }
        let sum = if sum > 0.0 { sum } else { 1.0 };
        let (mx, my) = (mx / sum, my / sum);
        let pitch = f64::from(self.grid.pitch_m[0]);
        let square = pitch * pitch;
        let axis = |m: f64, k: usize| f64::from(self.grid.origin_m[k]) + (m + 0.5) * pitch;
        Floor {
            at_m: [axis(mx, 0), axis(my, 1)],
            covariance: [
                square * (detmath::max64(xx / sum - mx * mx, 0.0) + 1.0 / 12.0),
                square * (xy / sum - mx * my),
                square * (detmath::max64(yy / sum - my * my, 0.0) + 1.0 / 12.0),
            ],
        }
    }

    /// Fills with a mixture of "anywhere" and round bumps `(middle, standard deviation, weight)`, normalised.
    pub fn mixture(
        &self,
        anywhere: f32,
        bumps: impl Iterator<Item = ([f32; 2], f32, f32)> + Clone,
        belief: &mut [f32],
    ) {
        let open = self.open.iter().filter(|o| **o).count() as f32;
        let area = self.grid.pitch_m[0] * self.grid.pitch_m[0];
        let mut sum = 0.0;
        for (cell, p) in belief.iter_mut().enumerate() {
            *p = 0.0;
            if self.open[cell] {
                let [x, y] = self.centre(cell);
                *p = anywhere / open;
                for ([bx, by], sigma, weight) in bumps.clone() {
                    let s2 = sigma * sigma;
                    let d2 = (x - bx) * (x - bx) + (y - by) * (y - by);
                    *p += weight * area / (core::f32::consts::TAU * s2) * detmath::exp(-0.5 * d2 / s2);
                }
                sum += *p;
            }
        }
        if sum > 0.0 {
            belief.iter_mut().for_each(|p| *p /= sum);
        }
    }
}

/// Where people come in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entrance {
    /// Middle of the door, metres.
    pub at_m: [f32; 2],
    /// Its width, metres.
    pub width_m: f32,
}

impl Entrance {
    /// Standard deviation of where somebody who came in is first seen: half the width and half a step.
    pub fn spread_m(&self) -> f32 {
        0.5 * self.width_m + 0.4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> FloorCells {
        FloorCells::new(&ImageGrid::new([0.0; 3], [0.2, 0.2, 1.0], [21, 21, 1]).unwrap())
    }

    fn point(cell: usize) -> Vec<f32> {
        let mut belief = vec![0.0; 441];
        belief[cell] = 1.0;
        belief
    }

    #[test]
    fn a_random_walk_adds_its_variance_and_loses_nothing() {
        let mut cells = cells();
        let mut belief = point(10 * 21 + 10);
        for _ in 0..3 {
            cells.diffuse(&mut belief, 0.03);
        }
        let m = cells.moments(&belief);
        assert!((belief.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!((m.at_m[0] - 2.1).abs() < 1e-5 && (m.at_m[1] - 2.1).abs() < 1e-5);
        let within = 0.04 / 12.0;
        assert!((m.covariance[0] - 0.09 - within).abs() < 1e-4 && (m.covariance[2] - 0.09 - within).abs() < 1e-4);
        assert!(m.covariance[1].abs() < 1e-6);
    }

    #[test]
    fn after_a_long_pause_somebody_may_be_anywhere_on_the_floor() {
        let mut cells = cells();
        cells.set_bounds(&[[0.0, 0.0], [2.0, 0.0], [2.0, 4.2], [0.0, 4.2]], &Hull::default(), 0.0);
        let start = 10 * 21 + 8;
        let (mut short, mut long) = (point(start), point(start));
        // As far as the sweeps go, nothing is different.
        let most = 0.4 * 0.04 * SWEEPS_MAX as f32;
        cells.diffuse(&mut short, 0.999 * most);
        cells.diffuse(&mut long, 1440.0);
        let spread = |belief: &[f32]| belief.iter().fold(0.0_f32, |most, p| most.max(*p));
        assert!(spread(&long) < 1.1 / 210.0 && spread(&short) > 1.5 / 210.0);
        for belief in [short, long] {
            assert!((belief.iter().sum::<f32>() - 1.0).abs() < 1e-4);
            assert!((0..441).all(|c| cells.is_open(c) || belief[c] == 0.0));
        }
    }

    #[test]
    fn walls_hold() {
        let mut cells = cells();
        // The west half of the floor only.
        cells.set_bounds(&[[0.0, 0.0], [2.0, 0.0], [2.0, 4.2], [0.0, 4.2]], &Hull::default(), 0.0);
        let mut belief = point(10 * 21 + 8);
        for _ in 0..100 {
            cells.diffuse(&mut belief, 0.05);
        }
        assert!((0..441).all(|c| cells.is_open(c) == (c % 21 < 10)));
        assert!((0..441).all(|c| c % 21 < 10 || belief[c] == 0.0));
        assert!((belief.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn weighing_is_bayes_rule() {
        let cells = cells();
        let mut belief = vec![0.0; 441];
        (belief[0], belief[1]) = (0.25, 0.75);
        let mut evidence = vec![0.0; 441];
        evidence[0] = detmath::ln(3.0);
        let gain = cells.weigh(&mut belief, &evidence).unwrap();
        assert!((belief[0] - 0.5).abs() < 1e-6 && (belief[1] - 0.5).abs() < 1e-6);
        assert!((gain - detmath::ln(1.5)).abs() < 1e-6);
    }

    #[test]
    fn doors_are_favoured() {
        let cells = cells();
        let mut belief = vec![0.0; 441];
        cells.mixture(0.5, [([0.1, 2.1], 0.4, 0.5)].into_iter(), &mut belief);
        assert!((belief.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(belief[10 * 21] > 10.0 * belief[20] && belief[20] > 0.0);
    }
}
